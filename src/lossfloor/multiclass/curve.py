"""Bounds for more than two classes over a grid of budgets; each takes over the conflicts that the one before found."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor import losses
from lossfloor._files import write_whole
from lossfloor.adversaries import Adversary
from lossfloor.exceptions import MissingDependencyError
from lossfloor.multiclass.floor import MulticlassFloor, multiclass_floor
from lossfloor.multiclass.graph import Progress
from lossfloor.weights import IntegerWeights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: The losses that a curve is solved for.
SOLVED = ("cross_entropy", "zero_one")


class MulticlassCurve:
    """Bounds of the smallest robust loss of any classifier over budgets; `lossfloor.curve` makes one.

    The budgets ascend, and what an adversary can do with one it can do with any larger one.  So a lower bound at a
    budget holds at all larger ones and an upper bound at all smaller ones: each number is the best of these.

    Attributes
    ----------
    eps : ndarray of float64, shape (k,)
    floors : tuple of MulticlassFloor, length k

    Examples
    --------
    >>> import lossfloor as lf
    >>> X = [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    >>> lf.curve(X, ["a", "b", "c"], lf.L2, eps=[0.5, 0.8, 1]).lower("zero-one").round(3)
    array([0.   , 0.333, 0.667])
    """

    def __init__(self, eps: Sequence[Fraction], floors: Sequence[MulticlassFloor], adversary: dict[str, Any]) -> None:
        self.eps = np.array([float(value) for value in eps])
        self.floors = tuple(floors)
        self._adversary = adversary

    def __len__(self) -> int:
        return len(self.floors)

    def __repr__(self) -> str:
        low, high = self.lower(), self.upper()
        return (
            f"MulticlassCurve({len(self)} budgets from {self.eps[0]:g} to {self.eps[-1]:g}, cross_entropy from "
            f"{low[0]:.6g} to {low[-1]:.6g} nats, bounds at most {float((high - low).max()):.2g} apart)"
        )

    def lower(self, loss: Any = "cross-entropy") -> npt.NDArray[np.float64]:
        """Return the proved lower bound of a loss at each budget, shape (k,)."""
        return np.maximum.accumulate([one.bounds(loss)[0] for one in self.floors])

    def upper(self, loss: Any = "cross-entropy") -> npt.NDArray[np.float64]:
        """Return at each budget a loss that some classifier reaches, shape (k,)."""
        return np.minimum.accumulate([one.bounds(loss)[1] for one in self.floors[::-1]])[::-1]

    def loss(self, loss: Any) -> npt.NDArray[np.float64]:
        """Return the lower bound of a loss at each budget, like `Curve.loss`."""
        return self.lower(loss)

    @property
    def n_edges(self) -> npt.NDArray[np.int64]:
        """Number of pairs of examples in conflict at each budget, shape (k,)."""
        return np.array([one.n_edges for one in self.floors], dtype=np.int64)

    @property
    def separation(self) -> float:
        """Not known here: NaN."""
        return float("nan")

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `to_frame` has by the names of its columns."""
        found: dict[str, npt.NDArray[Any]] = {"eps": self.eps}
        for name in SOLVED:
            found |= {f"{name}_lower": self.lower(name), f"{name}_upper": self.upper(name)}
        return {**found, "n_edges": self.n_edges}

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row for each budget.

        Returns
        -------
        pandas.DataFrame
            Columns eps, cross_entropy_lower, cross_entropy_upper, zero_one_lower, zero_one_upper, n_edges.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingDependencyError("to_frame needs pandas: pip install 'lossfloor[frames]'") from None
        return pd.DataFrame(self.columns())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `to_frame` as a table (written whole or not at all)."""
        columns = self.columns()
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        text = "\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)]) + "\n"
        write_whole(path, lambda stream: stream.write(text.encode()))

    def summary(self) -> dict[str, Any]:
        """Return the curve as JSON can hold it."""
        return {
            "status": "bounds",
            "adversary": {key: value for key, value in self._adversary.items() if key != "eps"},
            **{name: column.tolist() for name, column in self.columns().items()},
        }

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the lower bounds; see `lossfloor.plotting.plot_curve`."""
        from lossfloor.plotting import plot_curve

        return plot_curve(self, ax, **options)


def multiclass_curve(
    X: Any,
    y: Any,
    classes: npt.NDArray[Any],
    codes: npt.NDArray[np.intp],
    weights: IntegerWeights,
    make: Callable[[Fraction], Adversary],
    eps: Sequence[Fraction],
    *,
    gap: float,
    progress: Progress | None = None,
) -> MulticlassCurve:
    """Solve a grid of budgets in ascending order; what `lossfloor.curve` does after its checks.

    Parameters
    ----------
    X, y : array_like
    classes : ndarray, shape (k,)
    codes : ndarray of intp, shape (n,)
    weights : IntegerWeights
    make : callable
        The adversary of a budget; what one can do, those of larger budgets can do too.
    eps : sequence of Fraction
        Ascending.
    gap : float
        As for `lossfloor.floor`.
    progress : callable, optional
        Called with ("budgets", done, in all).

    Returns
    -------
    MulticlassCurve
    """
    floors: list[MulticlassFloor] = []
    for i, value in enumerate(eps):
        adversary = make(value)
        data = adversary.as_data(X, len(codes))
        start = floors[-1] if floors else None
        one = multiclass_floor(X, y, classes, codes, data, weights, adversary, gap=gap, start=start)
        for name in SOLVED:
            one.solution(losses.resolve(name))
        floors.append(one)
        if progress is not None:
            progress("budgets", i + 1, len(eps))
    return MulticlassCurve(eps, floors, make(eps[-1]).config())
