"""An adversary clipped to a domain: it must keep every feature between two limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.adversaries.base import Adversary, Index
from lossfloor.adversaries.combined import mixed_pairs
from lossfloor.adversaries.ellipsoid import Ellipsoid
from lossfloor.adversaries.geometric import Geometric
from lossfloor.graphs.rows import ConflictRows


class Clipped(Adversary):
    """Moves an example like another adversary, but never out of ``low <= z <= high``.

    Parameters
    ----------
    adversary : Adversary
        On numbers.
    low, high : number or array_like of shape (d,)
        Limits of the features, finite or not; compared with the data as numbers of its dtype.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; when the data are read, if an example lies outside the limits.

    Notes
    -----
    Where the limits change no conflict, conflicts are those of the adversary itself:

    - `L1`, `L2`, `Linf`, `Lp`, `WeightedLp`, `Box`, `SparseLinf`, `Hamming`, and unions and intersections of
      these.  Take a common point of two neighbourhoods and move each coordinate into the range between the
      two examples (for `Hamming`, to one of their values).  That brings it nearer to both in every
      coordinate, so it stays in both neighbourhoods, and between two examples inside the limits it is inside.
    - `Ellipsoid`: two of them that share a point share one on the segment between the examples.

    Where they do change something: `Geometric` loses the outcomes that are out of the limits, which its
    finite sets show exactly.  An ellipsoid joined with something else by `Union` or `Intersection`, and a
    `CustomAdversary`: a pair whose common point is inside conflicts surely, any other one that conflicts
    without limits is undecided.

    Examples
    --------
    >>> from lossfloor.adversaries import Linf
    >>> adversary = Clipped(Linf(0.3), 0, 1)
    >>> adversary.contains([[0.9], [0.9]], [[1.0], [1.1]])
    array([ True, False])
    """

    name: ClassVar[str] = "clipped"
    budgets: ClassVar[tuple[str, ...]] = ()
    part_keys: ClassVar[tuple[str, ...]] = ("adversary",)

    def __init__(self, adversary: Adversary, low: Any, high: Any) -> None:
        if not isinstance(adversary, Adversary):
            raise TypeError(must("adversary", "an adversary, such as lossfloor.L2(0.5)", adversary))
        self.low, self.high = _limit("low", low), _limit("high", high)
        if np.any(self.low > self.high):
            raise ValueError(must("low", "at most 'high'", f"{low!r} and {high!r}"))
        self.adversary = adversary
        if isinstance(adversary, Geometric):
            if self.low.ndim or self.high.ndim:
                raise ValueError(must("low", "one number for all pixels of a Geometric adversary", low))
            self.adversary = adversary.within(float(self.low), float(self.high))
        self._unchanged = isinstance(self.adversary, (Ellipsoid, Geometric)) or self.adversary.is_monotone

    def __repr__(self) -> str:
        return f"Clipped({self.adversary!r}, {_show(self.low)}, {_show(self.high)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Clipped) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash((self.name, self.adversary))

    def config(self) -> dict[str, Any]:
        """Return the name, the adversary and the limits."""
        limits = {
            "low": self.low.astype(str).tolist() if self.low.ndim else str(self.low),
            "high": self.high.astype(str).tolist() if self.high.ndim else str(self.high),
        }
        return {"name": self.name, "adversary": self.adversary.config(), **limits}

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Clipped:
        """Make the adversary of the one inside and the limits."""
        if set(arguments) != {"adversary", "low", "high"}:
            raise ValueError(must("config", "a mapping with name, adversary, low and high", sorted(arguments)))
        return cls(arguments["adversary"], arguments["low"], arguments["high"])

    @property
    def parts(self) -> tuple[Adversary, ...]:
        """The adversary inside."""
        return (self.adversary,)

    def as_data(self, X: Any, n: int) -> Any:
        """Check the examples as the adversary does, and that they are inside the limits."""
        data = self.adversary.as_data(X, n)
        if not isinstance(data, np.ndarray):
            raise TypeError(must("X", "an array of numbers, to be kept between two limits", type(data).__name__))
        inside = self._inside(data, data.dtype)
        if not inside.all():
            raise ValueError(
                must(
                    "X",
                    f"between {_show(self.low)} and {_show(self.high)}",
                    f"example {np.argmin(inside)} outside",
                )
            )
        return data

    def _inside(self, Z: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[np.bool_]:
        """Return which rows are inside the limits, which are rounded to a float dtype as the data were."""
        if dtype.kind not in "iuf":
            raise TypeError(must("X", "an array of numbers, to be kept between two limits", dtype))
        shape = (1, *Z.shape[1:])
        with np.errstate(over="ignore"):
            low, high = (
                np.broadcast_to(
                    limit.astype(dtype if dtype.kind == "f" else np.float64).reshape(_fit(limit, shape)),
                    shape,
                )
                for limit in (self.low, self.high)
            )
        inside = (low <= Z) & (high >= Z)
        return np.asarray(inside.reshape(len(Z), -1).all(axis=1))

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether the adversary may move ``X[i]`` to ``Z[i]``, inside the limits."""
        examples, points = np.asarray(X), np.asarray(Z)
        reached = self.adversary.contains(X, Z, index=index)
        return np.asarray(reached & self._inside(points.reshape(examples.shape), examples.dtype))

    def conflict(self, a: Any, b: Any, *, index: Index | None = None) -> bool | None:
        """Decide one pair of examples; None if it is undecided."""
        without = self.adversary.conflict(a, b, index=index)
        if self._unchanged or without is False:
            return without
        return True if self._meet_inside(np.stack([a, b]), index) is not None else None

    def _meet_inside(self, points: npt.NDArray[Any], index: Index | None) -> Any | None:
        """Return a common point that is inside the limits, or None if none was found."""
        try:
            point = self.adversary.meet(points, index=index)
        except ArithmeticError:
            point = None
        for candidate in (point, *points):
            if candidate is not None:
                targets = np.stack([candidate] * len(points))
                if self.contains(points, targets, index=index).all():
                    return candidate
        return None

    def meet(self, points: Any, *, index: Index | None = None) -> Any | None:
        """Return a point inside the limits that every example may be moved to; None if there is none.

        Raises
        ------
        ArithmeticError
            As the adversary's `meet`, and if it cannot be told whether there is one inside.
        """
        point = self.adversary.meet(points, index=index)
        if point is None or self._inside(np.asarray(point)[None], np.asarray(points).dtype)[0]:
            return point
        found = self._meet_inside(np.asarray(points), index)
        if found is None:
            raise ArithmeticError("could not decide whether these neighbourhoods share a point inside the limits")
        return found

    def conflicts(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Yield the conflicts of the adversary; those that the limits may forbid are undecided."""
        for rows in self.adversary.conflicts(XA, XB, index_a=index_a, index_b=index_b):
            if self._unchanged:
                yield rows
                continue
            piece = mixed_pairs.as_piece(rows, len(XB))
            without = piece.sure | piece.undecided
            sure = np.zeros_like(without)
            for i, j in np.argwhere(without).tolist():
                i_all = piece.start + i
                index = None if index_a is None or index_b is None else np.array([index_a[i_all], index_b[j]])
                sure[i, j] = self._meet_inside(np.stack([XA[i_all], XB[j]]), index) is not None
            yield mixed_pairs.Piece(piece.start, sure, without & ~sure).rows()

    def critical_eps(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the critical budgets of the adversary, where limits change no conflict.

        Raises
        ------
        TypeError
            Where they do, or the adversary has no radius.
        """
        if not self._unchanged:
            return super().critical_eps(XA, XB, index_a=index_a, index_b=index_b)
        return self.adversary.critical_eps(XA, XB, index_a=index_a, index_b=index_b)


def _limit(name: str, value: Any) -> npt.NDArray[np.float64]:
    try:
        limit = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(must(name, "a number or an array of numbers", value)) from None
    if limit.ndim > 1 or np.isnan(limit).any() or limit.size == 0:
        raise ValueError(must(name, "one number or an array of shape (d,), free of NaN", value))
    return limit


def _fit(limit: npt.NDArray[np.float64], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape in which a limit stands beside rows: the same for all features, or one for each."""
    if limit.ndim == 0:
        return (1,) * len(shape)
    if limit.size != int(np.prod(shape)):
        raise ValueError(must("low", f"one number or {int(np.prod(shape))} of them", f"{limit.size} numbers"))
    return shape


def _show(limit: npt.NDArray[np.float64]) -> str:
    return f"{limit.item():g}" if limit.ndim == 0 else f"<{limit.size} limits>"
