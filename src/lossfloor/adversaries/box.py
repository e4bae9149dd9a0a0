"""Boxes: how far each feature may be lowered and how far it may be raised."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._checks import as_fraction, as_points, must
from lossfloor.adversaries.base import Index, as_budgets, check_count, pick, show_budgets
from lossfloor.adversaries.geometry import common_points, deciding
from lossfloor.adversaries.geometry.bodies import AxisBox, ConvexAdversary
from lossfloor.adversaries.geometry.deciding import U, fractions
from lossfloor.adversaries.geometry.feature_amounts import Amount, FeatureTable
from lossfloor.adversaries.geometry.gauge_balls import Matrix, float_margin, paired_points
from lossfloor.graphs.rows import ConflictRows
from lossfloor.reporting.numbers import show_number


class Box(ConvexAdversary):
    """Lowers feature j by at most ``eps * lower_j`` and raises it by at most ``eps * upper_j``.

    Parameters
    ----------
    lower, upper : number, or array_like of shape (d,) or (n, d)
        Budgets down and up, for all features, for each feature, or for each feature of each example; at least
        0.  Zero forbids the direction and infinity leaves it open.  Read as their decimal representations.
    eps : number or array_like of shape (n,), default 1
        Scale of the budgets, common or one per example; at least 0.  It is what a curve varies.
    unit : number, default 1
        How many data units make one unit of a budget.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.

    Notes
    -----
    A feature that may only grow (calls that can be added to a program but not removed) has ``lower = 0``.

    Two boxes share a point exactly when their intervals do in every feature: one example lowered as far as it
    can be is not above the other one raised as far as it can be, and the other way round.  An infinite budget
    stays infinite at ``eps = 0``.

    Examples
    --------
    >>> adversary = Box(lower=0, upper=[2, float("inf")])
    >>> adversary
    Box(lower=0, upper=[2, inf], eps=1, unit=1)
    >>> adversary.contains([[1, 1], [1, 1]], [[3, 100], [0, 1]])
    array([ True, False])
    """

    name: ClassVar[str] = "box"
    budgets: ClassVar[tuple[str, ...]] = ("eps",)

    def __init__(self, lower: Any, upper: Any, *, eps: Any = 1, unit: Any = 1) -> None:
        self.lower = FeatureTable("lower", lower)
        self.upper = FeatureTable("upper", upper)
        self.eps = as_budgets("eps", eps)
        self.unit = as_fraction("unit", unit)
        if self.unit <= 0:
            raise ValueError(must("unit", "positive", unit))

    def __repr__(self) -> str:
        return (
            f"Box(lower={self.lower!r}, upper={self.upper!r}, eps={show_budgets(self.eps)}, "
            f"unit={show_number(self.unit)})"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash((self.name, self.eps, self.unit))

    @property
    def is_monotone(self) -> bool:
        """Always: a box has the whole way to the example, feature by feature."""
        return True

    def meets_by(self, data: npt.NDArray[Any]) -> str:
        """Return "pairs": boxes share a point if every two of them do (Helly)."""
        return "pairs"

    def config(self) -> dict[str, Any]:
        """Return the name, the budgets and the unit, rationals as strings."""
        eps = [str(value) for value in self.eps]
        return {
            "name": self.name,
            "lower": self.lower.config(),
            "upper": self.upper.config(),
            "eps": eps[0] if len(eps) == 1 else eps,
            "unit": str(self.unit),
        }

    def as_data(self, X: Any, n: int) -> npt.NDArray[Any]:
        """Check that X is a matrix of finite numbers with `n` rows, and that the budgets suit it.

        Parameters
        ----------
        X : array_like, shape (n, ...)
        n : int

        Returns
        -------
        ndarray, shape (n, d)
        """
        points = as_points("X", X)
        if len(points) != n:
            raise ValueError(must("X", f"of {n} examples, one per label", f"{len(points)} examples"))
        check_count("eps", self.eps, n)
        self.lower.check(*points.shape)
        self.upper.check(*points.shape)
        return points

    def _scales(self, count: int, index: Index | None) -> list[Fraction]:
        """Return for each example what its budgets are multiplied by to be in data units."""
        scales = [self.unit * value for value in pick(self.eps, index, count)]
        return scales * count if len(scales) == 1 else scales

    def _steps(self, table: FeatureTable, count: int, d: int, index: Index | None) -> list[list[Amount]]:
        scales = self._scales(count, index)
        return [
            [_times(amount, scale) for amount in table.amounts(codes)]
            for codes, scale in zip(table.rows(count, d, index), scales, strict=True)
        ]

    def _boxes(self, X: npt.NDArray[Any], index: Index | None) -> list[AxisBox]:
        n, d = X.shape
        down, up = (self._steps(table, n, d, index) for table in (self.lower, self.upper))
        boxes = []
        for x, lower, upper in zip(X, down, up, strict=True):
            middle = fractions(x)
            low = [z - s if isinstance(s, Fraction) else -math.inf for z, s in zip(middle, lower, strict=True)]
            high = [z + s if isinstance(s, Fraction) else math.inf for z, s in zip(middle, upper, strict=True)]
            boxes.append(AxisBox(middle, low, high))
        return boxes

    def body(self, x: npt.NDArray[Any], position: int) -> AxisBox:
        """Return the neighbourhood of the example x, which stands at `position` in the data set."""
        return self._boxes(x[None], np.array([position], dtype=np.intp))[0]

    def reach(self, X: npt.NDArray[Any], index: Index) -> tuple[Matrix, Matrix]:
        """Return boxes around the neighbourhoods, rounded outwards, shape (n, d) each."""
        middle = X.astype(np.float64)
        n, d = X.shape
        scales = np.array([exact.bracket(scale)[1] for scale in self._scales(len(X), index)])[:, None]
        ends = []
        for table, sign in ((self.lower, -1.0), (self.upper, 1.0)):
            amounts = np.array([float(amount) for amount in table.distinct])[table.rows(n, d, index)]
            with np.errstate(invalid="ignore"):
                steps = np.where(np.isinf(amounts), np.inf, amounts * scales)
            slack = 8 * U * (np.abs(middle) + np.where(np.isinf(steps), 0.0, steps)) + float_margin(X) + 2.0**-1060
            ends.append(middle + sign * (steps + slack))
        return ends[0], ends[1]

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``Z[i]`` lies in the box of ``X[i]``, exactly.

        Parameters
        ----------
        X, Z : array_like, shape (n, ...)
        index : ndarray of intp, shape (n,), optional
            Positions of the rows of X in the data set; required if examples have their own budgets.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        centres, points = paired_points(X, Z)
        boxes = self._boxes(centres, index)
        return np.array([box.has(fractions(z)) for box, z in zip(boxes, points, strict=True)], dtype=np.bool_)

    def conflict(self, a: npt.NDArray[Any], b: npt.NDArray[Any], *, index: Index | None = None) -> bool:
        """Decide exactly whether the boxes of two examples share a point."""
        d = len(a)
        scales = self._scales(2, index)
        lower, upper = (table.rows(2, d, index) for table in (self.lower, self.upper))
        for j in np.flatnonzero(a != b).tolist():
            step = Fraction(a[j].item()) - Fraction(b[j].item())
            down, up = (0, 1) if step > 0 else (1, 0)  # who has to come down, and who up
            bridge = _times(self.lower.distinct[lower[down, j]], scales[down]) + _times(
                self.upper.distinct[upper[up, j]], scales[up]
            )
            if abs(step) > bridge:
                return False
        return True

    def meet(self, points: Any, *, index: Index | None = None) -> npt.NDArray[Any] | None:
        """Return a point in the boxes of all the examples given.

        Parameters
        ----------
        points : array_like, shape (k, ...)
        index : ndarray of intp, shape (k,), optional

        Returns
        -------
        ndarray, shape (d,), or None
            Between the smallest and the largest of the examples in each feature; of their dtype if it has
            such a point, else of float64.  None if the boxes share no point.

        Raises
        ------
        ArithmeticError
            If they share a point, but none whose coordinates are doubles.
        """
        centres = as_points("points", points)
        boxes = self._boxes(centres, index)
        return common_points.in_all_intervals(centres, [box.low for box in boxes], [box.high for box in boxes])

    def conflicts(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Iterator[ConflictRows]:
        """Yield the pairs whose intervals share a number in every feature, decided exactly.

        The ends of all intervals of a feature are replaced by their ranks, which is where rationals are
        compared; the pairs are then a matter of integers.
        """
        n, d = XA.shape
        sides = ((XA, index_a), (XB, index_b))
        shifts = [
            self._shifts(table, sign, [(len(X), index) for X, index in sides], d)
            for table, sign in ((self.lower, -1), (self.upper, 1))
        ]
        ranks = np.empty((4, max(n, len(XB)), d), dtype=np.int64)
        for j in range(d):
            ends = deciding.Ends([*shifts[0][0], *shifts[1][0]])
            for side, (X, _) in enumerate(sides):
                for first, (_, codes) in zip((0, len(shifts[0][0])), shifts, strict=True):
                    ends.add(X[:, j], codes[side][:, j] + first)
            for place, values in enumerate(ends.ranks()):
                ranks[place, : len(values), j] = values
        low_a, high_a, low_b, high_b = (np.ascontiguousarray(part.T) for part in ranks)

        def feature(rows: Any, columns: Any, j: int) -> npt.NDArray[np.bool_]:
            overlapping: npt.NDArray[np.bool_] = (low_a[j][rows] <= high_b[j][columns]) & (
                low_b[j][columns] <= high_a[j][rows]
            )
            return overlapping

        for start, _, flags in deciding.all_features(n, len(XB), d, feature):
            yield deciding.bit_rows(start, flags)

    def _shifts(
        self, table: FeatureTable, sign: int, sides: list[tuple[int, Index | None]], d: int
    ) -> tuple[list[Amount], list[npt.NDArray[np.intp]]]:
        """Return the distinct signed steps and for each side the place of each example's step among them."""
        distinct: dict[Amount, int] = {}
        codes = []
        for count, index in sides:
            scales = self._scales(count, index)
            known = {scale: k for k, scale in enumerate(dict.fromkeys(scales))}
            places = np.array(
                [
                    [distinct.setdefault(sign * _times(amount, scale), len(distinct)) for amount in table.distinct]
                    for scale in known
                ],
                dtype=np.intp,
            )
            rows = np.array([known[scale] for scale in scales], dtype=np.intp)
            codes.append(places[rows[:, None], table.rows(count, d, index)])
        return list(distinct), codes

    def critical_eps(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Matrix:
        """Return for each pair the smallest double at which it conflicts if both examples have it as `eps`.

        Parameters
        ----------
        XA, XB : ndarray, shape (n, d) and (m, d)
            Of moderate size: each pair is decided in rational arithmetic.
        index_a, index_b : ndarray of intp, optional
            Positions in the data set; needed if `lower` or `upper` have a row for each example.

        Returns
        -------
        ndarray of float64, shape (n, m)
            The largest over the features of their distance over the budgets that bridge it, rounded up to the
            least double whose decimal is at least that; infinity where some feature cannot be bridged.
        """
        plain = [
            [table.amounts(row) for row in table.rows(len(X), X.shape[1], index)]
            for table in (self.lower, self.upper)
            for X, index in ((XA, index_a), (XB, index_b))
        ]
        lower_a, lower_b, upper_a, upper_b = plain

        def of_pair(i: int, j: int) -> float:
            steps = [x - y for x, y in zip(fractions(XA[i]), fractions(XB[j]), strict=True)]
            needed = Fraction(0)
            for step, down_a, down_b, up_a, up_b in zip(
                steps, lower_a[i], lower_b[j], upper_a[i], upper_b[j], strict=True
            ):
                bridge = down_a + up_b if step > 0 else up_a + down_b
                if step == 0 or not isinstance(bridge, Fraction):
                    continue
                if bridge == 0:
                    return math.inf
                needed = max(needed, abs(step) / (bridge * self.unit))
            return deciding.least_double(float(needed), lambda eps: eps >= needed)

        return deciding.critical_matrix(len(XA), len(XB), of_pair)


def _times(amount: Amount, scale: Fraction) -> Amount:
    """Multiply a budget by a scale; an infinite one stays infinite."""
    return amount * scale if isinstance(amount, Fraction) else math.inf
