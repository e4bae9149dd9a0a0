"""Adversaries that move an example within a ball of an l_p norm.

Two closed balls share a point exactly when the distance of their centres is at most the sum of their radii: by the
triangle inequality it cannot be more, and if it is not more, the point that divides the segment between the centres in
the ratio of the radii lies in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._validation import as_fraction, as_points, must
from lossfloor.adversaries.base import (
    Adversary,
    BitRows,
    ConflictRows,
    Index,
    as_budgets,
    check_count,
    pick,
    show_budgets,
    show_number,
)
from lossfloor.distances import PairSweep, Radii, paired_within
from lossfloor.exact import Order


class NormBall(Adversary):
    """Moves an example by at most `eps` in an l_p norm; what `L1`, `L2`, `Linf` and `Lp` share.

    Parameters
    ----------
    order : Fraction or None
        p of the norm; None is the maximum norm.
    eps : number or array_like of shape (n,)
        Radius, the same for all examples or one for each; at least 0.  Read as the decimal that prints it.
    unit : number, default 1
        How many units of the data make one unit of `eps`; 255 for pixels stored as 0 to 255 with `eps` in [0, 1].
    """

    def __init__(self, order: Order, eps: Any, unit: Any = 1) -> None:
        self.order = order
        self.eps = as_budgets("eps", eps)
        self.unit = as_fraction("unit", unit)
        if self.unit <= 0:
            raise ValueError(must("unit", "positive", unit))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._repr_order()}eps={show_budgets(self.eps)}, unit={show_number(self.unit)})"

    def _repr_order(self) -> str:
        return ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NormBall) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash((self.name, self.order, self.eps, self.unit))

    def config(self) -> dict[str, Any]:
        """Return the name, the radii and the unit, rationals as strings."""
        eps = [str(value) for value in self.eps]
        return {"name": self.name, "eps": eps[0] if len(eps) == 1 else eps, "unit": str(self.unit)}

    def as_data(self, X: Any, n: int) -> npt.NDArray[Any]:
        """Check that X is a matrix of finite numbers with `n` rows.

        Parameters
        ----------
        X : array_like, shape (n, ...)
            Integers or floats; an image or any other shape counts as one row.
        n : int

        Returns
        -------
        ndarray, shape (n, d)
        """
        points = as_points("X", X)
        if len(points) != n:
            raise ValueError(must("X", f"of {n} examples, one a label", f"{len(points)} examples"))
        check_count("eps", self.eps, n)
        return points

    def radii(self, count: int, index: Index | None = None) -> tuple[Fraction, ...]:
        """Return the radii of `count` examples in units of the data (one if all share it)."""
        return tuple(self.unit * value for value in pick(self.eps, index, count))

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Tell for each i whether ``Z[i]`` lies in the closed ball around ``X[i]``, exactly.

        Parameters
        ----------
        X, Z : array_like, shape (n, ...)
        index : ndarray of intp, shape (n,), optional
            Positions of the rows of X in the data set; needed if each example has a radius of its own.

        Returns
        -------
        ndarray of bool, shape (n,)

        Examples
        --------
        >>> L2(0.5, unit=10).contains([[0, 0], [0, 0]], [[3, 4], [4, 4]])
        array([ True, False])
        """
        centres, points = as_points("X", X), as_points("Z", Z)
        if centres.shape != points.shape:
            raise ValueError(must("Z", f"of shape {centres.shape}, like X", f"shape {points.shape}"))
        radii = self.radii(len(centres), index)
        return paired_within(self.order, centres, points, lambda i: radii[i if len(radii) > 1 else 0])

    def conflicts(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Yield the pairs with ``distance <= unit * (eps_a + eps_b)``, equality included, decided exactly."""
        radii = Radii(self.radii(len(XA), index_a), self.radii(len(XB), index_b))
        for start, stop, bits in self.sweep(XA, XB).within(radii):
            yield BitRows(start, stop, bits)

    def sweep(self, XA: npt.NDArray[Any], XB: npt.NDArray[Any]) -> PairSweep:
        """Return the pass over all pairs of this norm; `PairSweep.route` tells how it computes them."""
        return PairSweep(self.order, XA, XB)

    def thresholds(self, eps: Sequence[Fraction]) -> list[Fraction]:
        """Return the distances at which pairs begin to conflict when both may move by each of `eps`."""
        return [2 * self.unit * value for value in eps]

    def meet(self, points: Any, *, index: Index | None = None) -> npt.NDArray[np.float64] | None:
        """Return the point of the segment between two examples that divides it in the ratio of their radii.

        Parameters
        ----------
        points : array_like, shape (2, d)
        index : ndarray of intp, shape (2,), optional

        Returns
        -------
        ndarray of float64, shape (d,), or None
            None if the balls share no point.  The coordinates are rounded to doubles.
        """
        pair = as_points("points", points)
        if len(pair) != 2:
            raise ValueError(must("points", "two examples", f"{len(pair)}"))
        radii = self.radii(2, index)
        first, second = radii[0], radii[-1]
        if not paired_within(self.order, pair[:1], pair[1:], lambda _: first + second)[0]:
            return None
        share = 0.5 if first == second else float(first / (first + second))
        a, b = pair.astype(np.float64)
        middle: npt.NDArray[np.float64] = a + share * (b - a)
        return middle


class L2(NormBall):
    """Moves an example by at most `eps` in Euclidean distance.

    Parameters
    ----------
    eps : number or array_like of shape (n,)
        Radius, shared or one for each example; at least 0, read as the decimal that prints it.
    unit : number, default 1
        How many units of the data make one unit of `eps` (255 for pixels stored as 0 to 255).

    Raises
    ------
    TypeError, ValueError
        If `eps` is negative or no finite number, or `unit` is not positive.

    Examples
    --------
    >>> L2(4.6, unit=255)
    L2(eps=4.6, unit=255)
    """

    name: ClassVar[str] = "l2"

    def __init__(self, eps: Any, unit: Any = 1) -> None:
        super().__init__(Fraction(2), eps, unit)


class L1(NormBall):
    """Moves an example so that the absolute changes of its features sum to at most `eps`; see `L2`.

    Examples
    --------
    >>> L1(2).contains([[0, 0]], [[1, 1]])
    array([ True])
    """

    name: ClassVar[str] = "l1"

    def __init__(self, eps: Any, unit: Any = 1) -> None:
        super().__init__(Fraction(1), eps, unit)


class Linf(NormBall):
    """Moves every feature of an example by at most `eps`; see `L2`.

    Examples
    --------
    >>> Linf("8/255", unit=255)
    Linf(eps=8/255, unit=255)
    """

    name: ClassVar[str] = "linf"

    def __init__(self, eps: Any, unit: Any = 1) -> None:
        super().__init__(None, eps, unit)


class Lp(NormBall):
    """Moves an example by at most `eps` in the norm ``(sum |x_i|^p)^(1/p)``; see `L2`.

    Parameters
    ----------
    p : number
        At least 1, read as the decimal that prints it; ``float("inf")`` is the maximum norm.
    eps, unit
        As for `L2`.

    Examples
    --------
    >>> Lp(1.5, eps=1)
    Lp(p=1.5, eps=1, unit=1)
    """

    name: ClassVar[str] = "lp"

    def __init__(self, p: Any, eps: Any, unit: Any = 1) -> None:
        order = None if isinstance(p, float) and p == float("inf") else as_fraction("p", p)
        if order is not None and order < 1:
            raise ValueError(must("p", "at least 1 (below, it is no norm)", p))
        super().__init__(order, eps, unit)

    def _repr_order(self) -> str:
        return f"p={'inf' if self.order is None else show_number(self.order)}, "

    def config(self) -> dict[str, Any]:
        """Return the name, the order, the radii and the unit, rationals as strings."""
        return {**super().config(), "p": "inf" if self.order is None else str(self.order)}
