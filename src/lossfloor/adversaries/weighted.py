"""An l_p ball with a cost per feature: a feature may be frozen, expensive or free."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._checks import must
from lossfloor.adversaries.base import Index
from lossfloor.adversaries.geometry import common_points
from lossfloor.adversaries.geometry.bodies import AxisBox, Ball, Body
from lossfloor.adversaries.geometry.deciding import U, bit_rows, fractions, unpack
from lossfloor.adversaries.geometry.feature_amounts import Amount, FeatureTable
from lossfloor.adversaries.geometry.gauge_balls import GaugeBall, Matrix, float_margin
from lossfloor.adversaries.norms import as_order, norm_bounds, show_order, unscaled
from lossfloor.distances import PairSweep, Radii
from lossfloor.distances.routes import exponent_of
from lossfloor.graphs.rows import ConflictRows


class WeightedLp(GaugeBall):
    r"""Moves x to z at a cost :math:`(\sum_j (c_j |z_j - x_j|)^p)^{1/p}` of at most `eps`.

    Parameters
    ----------
    p : number
        At least 1, read as its decimal representation; ``float("inf")`` is the maximum norm.
    costs : number or array_like of shape (d,)
        Cost of one unit of each feature, at least 0: infinity freezes a feature, 0 sets it free.  Read as
        decimals.
    eps : number or array_like of shape (n,)
        Budget, common or one per example; at least 0, read as its decimal representation.
    unit : number, default 1
        How many data units make one unit of `eps`.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.

    Notes
    -----
    The cost is a seminorm on the features that are not frozen, so two examples conflict exactly when their
    frozen features are equal and the cost of going from one to the other is at most the sum of their budgets.

    Examples
    --------
    >>> adversary = WeightedLp(1, costs=[1, 0.5, float("inf")], eps=2)
    >>> adversary
    WeightedLp(p=1, costs=[1, 0.5, inf], eps=2, unit=1)
    >>> adversary.contains([[0, 0, 7], [0, 0, 7]], [[1, 2, 7], [0, 0, 8]])
    array([ True, False])
    """

    name: ClassVar[str] = "weighted-lp"
    budgets: ClassVar[tuple[str, ...]] = ("eps",)

    def __init__(self, p: Any, costs: Any, eps: Any, unit: Any = 1) -> None:
        super().__init__(eps, unit)
        self.order = as_order(p)
        self.costs = FeatureTable("costs", costs)
        if self.costs.codes.ndim == 2:
            raise ValueError(must("costs", "one number or an array of shape (d,)", f"shape {self.costs.codes.shape}"))

    @property
    def is_monotone(self) -> bool:
        """Always: a step towards the example makes the cost no larger."""
        return True

    def meets_by(self, data: npt.NDArray[Any]) -> str:
        """Return "pairs" where the neighbourhoods are boxes, else "asking"."""
        return "pairs" if self.order is None else super().meets_by(data)

    def _details(self) -> list[str]:
        return [f"p={show_order(self.order)}", f"costs={self.costs!r}"]

    def config(self) -> dict[str, Any]:
        """Return the name, the order, the costs, the budgets and the unit, rationals as strings."""
        order = "inf" if self.order is None else str(self.order)
        return {**super().config(), "p": order, "costs": self.costs.config()}

    def as_data(self, X: Any, n: int) -> npt.NDArray[Any]:
        """Check that X is a matrix of finite numbers with `n` rows and a cost for each feature."""
        points = super().as_data(X, n)
        self.costs.check(*points.shape)
        return points

    def _costs(self, d: int) -> list[Amount]:
        return self.costs.amounts(self.costs.rows(1, d, None)[0])

    def within(self, a: npt.NDArray[Any], b: npt.NDArray[Any], radius: Fraction) -> bool:
        """Decide exactly whether moving a to b, shape (d,), costs at most `radius`, in data units."""
        found = self._steps(a, b)
        return found is not None and exact.norm_at_most(found[0], 0, self.order, radius * found[1])

    def gauge(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Fraction | None:
        """Return the cost between two points, shape (d,), to 30 digits; None if a frozen feature would move."""
        found = self._steps(a, b)
        return None if found is None else exact.shortened(exact.norm_near(found[0], 0, self.order) / found[1])

    def _steps(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> tuple[list[int], int] | None:
        """Return the costs of the features that differ as whole numbers, and how many of them make one unit.

        None if a frozen feature differs.
        """
        costs = self._costs(len(a))
        denominator = math.lcm(*(cost.denominator for cost in costs if isinstance(cost, Fraction)))
        # Numpy rounds to compare numbers of two dtypes, which may make different ones equal.
        moved = np.flatnonzero(a != b) if a.dtype == b.dtype else np.arange(len(a))
        rows = [fractions(side[moved]) for side in (a, b)]
        unit = math.lcm(*(value.denominator for row in rows for value in row))
        steps = []
        for x, y, j in zip(*rows, moved.tolist(), strict=True):
            cost = costs[j]
            if not isinstance(cost, Fraction):
                if x != y:
                    return None
                continue
            steps.append(int(abs(x - y) * unit) * int(cost * denominator))
        return [step for step in steps if step], denominator * unit

    def gauges(self, XA: npt.NDArray[Any], XB: npt.NDArray[Any]) -> tuple[Matrix, Matrix]:
        """Bound the costs between all pairs from below and above, in data units, shape (n, m) each."""
        costs = self._costs(XA.shape[1])
        prices = [cost for cost in costs if isinstance(cost, Fraction) and cost > 0]
        paid = np.array([isinstance(cost, Fraction) and cost > 0 for cost in costs])
        frozen = np.array([not isinstance(cost, Fraction) for cost in costs])
        if prices:
            low, high = self._paid_gauges(XA[:, paid], XB[:, paid], prices)
        else:
            low, high = np.zeros((len(XA), len(XB))), np.zeros((len(XA), len(XB)))
        if frozen.any():
            different = _row_numbers(XA[:, frozen], XB[:, frozen])
            apart = different[: len(XA), None] != different[None, len(XA) :]
            low[apart] = high[apart] = np.inf
        return low, high

    def _paid_gauges(self, XA: npt.NDArray[Any], XB: npt.NDArray[Any], prices: list[Fraction]) -> tuple[Matrix, Matrix]:
        """Bound the costs of features that all have a finite cost above 0.

        Data and costs are scaled to at most 1 by powers of two, features are centred and multiplied by their costs,
        which rounds each entry within 4 roundings; the differences are then bounded as for an unweighted norm.  What
        underflows on the way, entries, costs or their products, adds less than 2^-1060 per feature.
        """
        scale = max(price.numerator.bit_length() - price.denominator.bit_length() + 1 for price in prices)
        weights = np.array([float(price * exact.power_of_two(-scale)) for price in prices])
        exponent = exponent_of(XA, XB)
        sides = [np.ldexp(side.astype(np.float64), -exponent) for side in (XA, XB)]
        middle = (sides[0].mean(axis=0) + sides[1].mean(axis=0)) / 2
        with np.errstate(under="ignore"):
            sides = [(side - middle) * weights for side in sides]
        low, high = norm_bounds(self.order, *sides)
        # In every l_p norm an error is at most the sum of the errors of the entries.
        extra = [
            5 * U * np.abs(side).sum(axis=1)
            + weights.sum() * float(np.ldexp(float_margin(X), -exponent))
            + len(prices) * 2.0**-1060
            for side, X in zip(sides, (XA, XB), strict=True)
        ]
        slack = extra[0][:, None] + extra[1][None, :]
        return unscaled(low - slack, high + slack, exponent + scale)

    def conflicts(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Iterator[ConflictRows]:
        """Yield the pairs whose frozen features agree and whose cost is at most the sum of the budgets."""
        scaled = self._as_whole_numbers(XA, XB)
        if scaled is None:
            yield from super().conflicts(XA, XB, index_a=index_a, index_b=index_b)
            return
        left, right, denominator = scaled
        frozen = np.array([not isinstance(cost, Fraction) for cost in self._costs(XA.shape[1])])
        numbers = _row_numbers(XA[:, frozen], XB[:, frozen])
        first, second = numbers[: len(XA)], numbers[len(XA) :]
        radii = Radii(
            tuple(radius * denominator for radius in self.radii(len(XA), index_a)),
            tuple(radius * denominator for radius in self.radii(len(XB), index_b)),
        )
        for start, stop, bits in PairSweep(self.order, left, right).within(radii):
            flags = unpack(bits, len(XB)) & (first[start:stop, None] == second[None, :])
            yield bit_rows(start, flags)

    def _as_whole_numbers(
        self, XA: npt.NDArray[Any], XB: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int] | None:
        """Multiply integer data by integer costs, if products stay small: that makes distances exact."""
        costs = self._costs(XA.shape[1])
        paid = [j for j, cost in enumerate(costs) if isinstance(cost, Fraction) and cost > 0]
        if XA.dtype.kind not in "iu" or XB.dtype.kind not in "iu" or not paid:
            return None
        prices = [cost for cost in (costs[j] for j in paid) if isinstance(cost, Fraction)]
        denominator = math.lcm(*(price.denominator for price in prices))
        largest = max(int(price * denominator) for price in prices)
        extent = max(max(abs(int(X[:, paid].min())), abs(int(X[:, paid].max()))) for X in (XA, XB))
        if largest * extent >= 2**50:
            return None
        factors = np.array([int(price * denominator) for price in prices], dtype=np.int64)
        left, right = (np.ascontiguousarray(X[:, paid].astype(np.int64) * factors) for X in (XA, XB))
        return left, right, denominator

    def reach(self, X: npt.NDArray[Any], index: Index) -> tuple[Matrix, Matrix]:
        """Return boxes around the neighbourhoods, rounded outwards, shape (n, d) each."""
        radii = np.array([exact.bracket(radius)[1] for radius in self.radii(len(X), index)])[:, None]
        prices = np.array([_double_below(cost) for cost in self._costs(X.shape[1])])
        middle = X.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            steps = np.where(prices > 0, np.where(np.isinf(prices), 0.0, radii / prices), np.inf) * (1 + 8 * U)
            sizes = 8 * U * np.abs(middle) + 8 * U * np.where(np.isfinite(steps), steps, 0.0)
            margin = sizes + float_margin(X) + 2.0**-1060
            return middle - steps - margin, middle + steps + margin

    def _between(
        self, a: npt.NDArray[Any], b: npt.NDArray[Any], radii: tuple[Fraction, Fraction], dtype: np.dtype[Any]
    ) -> npt.NDArray[Any] | None:
        return None if self.order != 1 else common_points.on_staircase(a, b, self._costs(len(a)), radii, dtype)

    def _body_of(self, x: npt.NDArray[Any], radius: Fraction) -> Body:
        middle, costs = fractions(x), self._costs(len(x))
        if self.order is not None:
            return Ball(middle, self.order, tuple(costs), radius)
        steps = [_step(radius, cost) for cost in costs]
        low = [
            value - step if isinstance(step, Fraction) else -math.inf for value, step in zip(middle, steps, strict=True)
        ]
        high = [
            value + step if isinstance(step, Fraction) else math.inf for value, step in zip(middle, steps, strict=True)
        ]
        return AxisBox(middle, low, high)


def _step(radius: Fraction, cost: Amount) -> Amount:
    if not isinstance(cost, Fraction):
        return Fraction(0)
    return radius / cost if cost > 0 else math.inf


def _double_below(cost: Amount) -> float:
    """Round a cost down to a double."""
    return exact.bracket(cost)[0] if isinstance(cost, Fraction) else cost


def _row_numbers(XA: npt.NDArray[Any], XB: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Give rows numbers that are the same exactly when the rows are."""
    if XA.dtype != XB.dtype:  # no dtype need hold the numbers of both: Python compares them exactly
        numbers: dict[tuple[Any, ...], int] = {}
        rows = (tuple(row) for X in (XA, XB) for row in X.tolist())
        return np.array([numbers.setdefault(row, len(numbers)) for row in rows], dtype=np.intp)
    both = np.concatenate([XA, XB])
    if both.shape[1] == 0:
        return np.zeros(len(both), dtype=np.intp)
    return np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
