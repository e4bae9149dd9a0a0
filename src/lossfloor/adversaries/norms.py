"""Adversaries that move an example within a ball of an l_p norm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._checks import as_fraction, must
from lossfloor.adversaries.base import Index
from lossfloor.adversaries.geometry import common_points
from lossfloor.adversaries.geometry.bodies import AxisBox, Ball, Body
from lossfloor.adversaries.geometry.deciding import U, fractions
from lossfloor.adversaries.geometry.gauge_balls import GaugeBall, Matrix, float_margin, paired_points
from lossfloor.distances import PairSweep, Radii, Rows, paired_within
from lossfloor.exact import Order
from lossfloor.graphs.rows import BitRows, ConflictRows
from lossfloor.reporting.numbers import show_number


class NormBall(GaugeBall):
    """Moves an example by at most `eps` in an l_p norm; what `L1`, `L2`, `Linf` and `Lp` share.

    A class derived from this one that states its `budgets` promises that they are the radius it is made with.

    Parameters
    ----------
    order : Fraction or None
        p of the norm; None is the maximum norm.
    eps : number or array_like of shape (n,)
        Radius, common or one per example; at least 0.  Read as its decimal representation.
    unit : number, default 1
        How many data units make one unit of `eps`; 255 for pixels stored as 0 to 255 with `eps` in [0,
        1].
    """

    takes_rows: ClassVar[bool] = True

    def __init__(self, order: Order, eps: Any, unit: Any = 1) -> None:
        super().__init__(eps, unit)
        self.order = order

    @property
    def norm_ball(self) -> NormBall:
        """The ball itself."""
        return self

    @property
    def is_monotone(self) -> bool:
        """Always: a step towards the example makes the distance no larger."""
        return True

    def meets_by(self, data: npt.NDArray[Any]) -> str:
        """Return "pairs" for boxes and intervals, "balls" for Euclidean balls whose squares fit doubles, else "asking".

        Euclidean balls are "balls" on one feature too: their proofs name a common point.
        """
        if self.order == 2:
            return "balls" if self._has_plain_squares(data) else "asking"
        return "pairs" if self.order is None else super().meets_by(data)

    def _has_plain_squares(self, data: npt.NDArray[Any]) -> bool:
        """Return whether doubles hold the data, and squares of distances and radii neither overflow nor vanish."""
        largest = float(np.abs(data.astype(np.float64)).max())
        radii = [float(radius) for radius in set(self.radii(len(data), np.arange(len(data))))]
        if data.dtype.kind in "iu" and largest > 2.0**50:
            return False
        return min(radii) > 2.0**-100 and max(radii) < 2.0**100 and largest < 2.0**100

    @property
    def family_arguments(self) -> dict[str, Any]:
        """What `lossfloor.curve` needs besides the class of the ball, its budgets and its unit."""
        return {}

    def within(self, a: npt.NDArray[Any], b: npt.NDArray[Any], radius: Fraction) -> bool:
        """Decide exactly whether two points, shape (d,), are at most `radius` apart, in data units."""
        steps, exponent = exact.differences(a, b)
        return exact.norm_at_most(steps, exponent, self.order, radius)

    def gauge(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Fraction:
        """Return the distance of two points, shape (d,), to 30 digits."""
        return exact.shortened(exact.norm_near(*exact.differences(a, b), self.order))

    def gauges(self, XA: npt.NDArray[Any], XB: npt.NDArray[Any]) -> tuple[Matrix, Matrix]:
        """Bound the distances of all pairs from below and above, in data units, shape (n, m) each."""
        return norm_bounds(self.order, XA, XB)

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``Z[i]`` lies in the closed ball around ``X[i]``, exactly.

        Parameters
        ----------
        X, Z : array_like, shape (n, ...)
        index : ndarray of intp, shape (n,), optional
            Positions of the rows of X in the data set; required if each example has its own radius.

        Returns
        -------
        ndarray of bool, shape (n,)

        Examples
        --------
        >>> L2(0.5, unit=10).contains([[0, 0], [0, 0]], [[3, 4], [4, 4]])
        array([ True, False])
        """
        centres, points = paired_points(X, Z)
        radii = self.radii(len(centres), index)
        return paired_within(self.order, centres, points, lambda i: radii[i if len(radii) > 1 else 0])

    def conflicts(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Yield the pairs with ``distance <= unit * (eps_a + eps_b)``, equality included, decided exactly."""
        radii = Radii(self.radii(len(XA), index_a), self.radii(len(XB), index_b))
        for start, stop, bits in self.sweep(XA, XB).within(radii):
            yield BitRows(start, stop, bits)

    def sweep(self, XA: npt.NDArray[Any] | Rows, XB: npt.NDArray[Any] | Rows) -> PairSweep:
        """Return the pass over all pairs of this norm; `PairSweep.route` says how it computes them."""
        return PairSweep(self.order, XA, XB)

    def thresholds(self, eps: Sequence[Fraction]) -> list[Fraction]:
        """Return the distances at which pairs begin to conflict when both may move by each of `eps`."""
        return [2 * self.unit * value for value in eps]

    def reach(self, X: npt.NDArray[Any], index: Index) -> tuple[Matrix, Matrix]:
        """Return boxes around the neighbourhoods, rounded outwards, shape (n, d) each."""
        radii = np.array([exact.bracket(radius)[1] for radius in self.radii(len(X), index)])[:, None]
        middle = X.astype(np.float64)
        with np.errstate(over="ignore"):
            margin = 4 * U * np.abs(middle) + 4 * U * radii + float_margin(X)
            return middle - radii - margin, middle + radii + margin

    def _body_of(self, x: npt.NDArray[Any], radius: Fraction) -> Body:
        middle = fractions(x)
        if self.order is None:
            return AxisBox(middle, [value - radius for value in middle], [value + radius for value in middle])
        return Ball(middle, self.order, None, radius)

    def _between(
        self, a: npt.NDArray[Any], b: npt.NDArray[Any], radii: tuple[Fraction, Fraction], dtype: np.dtype[Any]
    ) -> npt.NDArray[Any] | None:
        return None if self.order != 1 else common_points.on_staircase(a, b, [Fraction(1)] * len(a), radii, dtype)

    def _gram(self, centres: npt.NDArray[Any]) -> list[list[Fraction]] | None:
        if self.order != 2:
            return None
        rows, exponent = exact.integer_rows(centres)
        unit = exact.power_of_two(2 * exponent)
        return [[sum(x * y for x, y in zip(a, b, strict=True)) * unit for b in rows] for a in rows]


def norm_bounds(order: Order, XA: npt.NDArray[Any], XB: npt.NDArray[Any]) -> tuple[Matrix, Matrix]:
    """Bound the l_p distances of all pairs, from the differences of the features in double precision.

    For p of 1, 2 and infinity each difference is rounded once, its p-th power within 2p + 4 roundings, the sum of d of
    them within d, and the root within 8: relative errors of 2^-53 each.  Squares that underflow move a distance by
    less than ``d 2^-530``.  Other p: see `lossfloor.distances.distance_bounds`, whose formula this is.
    """
    from scipy.spatial import distance  # here, since few need it and it takes long to import

    left, right = XA.astype(np.float64), XB.astype(np.float64)
    d = left.shape[1]
    # A power of two keeps all of this from overflow.
    largest = max(float(np.abs(left).max()), float(np.abs(right).max()))
    exponent = int(np.frexp(largest)[1]) + 1 if largest > 0 else 0
    left, right = np.ldexp(left, -exponent), np.ldexp(right, -exponent)
    roundings = d + 20.0
    if order is None:
        distances = distance.cdist(left, right, "chebyshev")
    elif order == 1:
        distances = distance.cdist(left, right, "cityblock")
    elif order == 2:
        distances = distance.cdist(left, right, "euclidean")
    else:
        distances, roundings = _in_proportion(float(order), left, right), 20 + 3 * d / float(order)
    moved = d * float(np.ldexp(float_margin(XA) + float_margin(XB), -exponent))
    absolute = moved + d * (2.0**-530 if order == 2 else 2.0**-1060)
    relative = 1.01 * roundings * U
    return unscaled(distances * (1 - relative) - absolute, distances * (1 + relative) + absolute, exponent)


def _in_proportion(p: float, left: Matrix, right: Matrix) -> Matrix:
    """Return l_p distances as the largest step times the norm of the steps in proportion to it."""
    largest = np.zeros((len(left), len(right)))
    for j in range(left.shape[1]):
        np.maximum(largest, np.abs(left[:, j, None] - right[None, :, j]), out=largest)
    divisor = np.where(largest > 0, largest, 1.0)
    sums = np.zeros_like(largest)
    with np.errstate(under="ignore"):
        for j in range(left.shape[1]):
            sums += (np.abs(left[:, j, None] - right[None, :, j]) / divisor) ** p
        distances: Matrix = largest * sums ** (1 / p)
    return distances


def unscaled(low: Matrix, high: Matrix, exponent: int) -> tuple[Matrix, Matrix]:
    """Multiply bounds of distances by a power of two, rounding outwards where that is below or beyond all doubles."""
    with np.errstate(over="ignore", under="ignore"):
        low, high = np.ldexp(low, exponent), np.ldexp(high, exponent)
        low = np.nextafter(low, -np.inf)  # infinity becomes the largest double
        return np.maximum(low, 0.0), np.nextafter(high, np.inf)


class L2(NormBall):
    """Moves an example by at most `eps` in Euclidean distance.

    Parameters
    ----------
    eps : number or array_like of shape (n,)
        Radius, common or one per example; at least 0, read as its decimal representation.
    unit : number, default 1
        How many data units make one unit of `eps` (255 for pixels stored as 0 to 255).

    Raises
    ------
    TypeError, ValueError
        If `eps` is negative or not a finite number, or `unit` is not positive.

    Examples
    --------
    >>> L2(4.6, unit=255)
    L2(eps=4.6, unit=255)
    """

    name: ClassVar[str] = "l2"
    budgets: ClassVar[tuple[str, ...]] = ("eps",)

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
    budgets: ClassVar[tuple[str, ...]] = ("eps",)

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
    budgets: ClassVar[tuple[str, ...]] = ("eps",)

    def __init__(self, eps: Any, unit: Any = 1) -> None:
        super().__init__(None, eps, unit)


class Lp(NormBall):
    """Moves an example by at most `eps` in the norm ``(sum |x_i|^p)^(1/p)``; see `L2`.

    Parameters
    ----------
    p : number
        At least 1, read as its decimal representation, which must be a quotient of integers up to 10,000;
        ``float("inf")`` is the maximum norm.
    eps, unit
        As for `L2`.

    Examples
    --------
    >>> Lp(1.5, eps=1)
    Lp(p=1.5, eps=1, unit=1)
    """

    name: ClassVar[str] = "lp"
    budgets: ClassVar[tuple[str, ...]] = ("eps",)

    def __init__(self, p: Any, eps: Any, unit: Any = 1) -> None:
        super().__init__(as_order(p), eps, unit)

    @property
    def family_arguments(self) -> dict[str, Any]:
        """What `lossfloor.curve` needs besides the class of the ball, its budgets and its unit."""
        return {"p": "inf" if self.order is None else self.order}

    def _details(self) -> list[str]:
        return [f"p={show_order(self.order)}"]

    def config(self) -> dict[str, Any]:
        """Return the name, the order, the radii and the unit, rationals as strings."""
        return {**super().config(), "p": "inf" if self.order is None else str(self.order)}


def as_order(p: Any) -> Order:
    """Read the p of a norm: at least 1, or infinity (None)."""
    if p == "inf" or (isinstance(p, (float, np.floating)) and p == float("inf")):
        return None
    order = as_fraction("p", p)
    if order < 1:
        raise ValueError(must("p", "at least 1 (otherwise it is not a norm)", p))
    if order.numerator > exact.LARGEST_POWER:
        raise ValueError(must("p", f"a quotient of whole numbers up to {exact.LARGEST_POWER}, or infinity", p))
    return order


def show_order(order: Order) -> str:
    """Print the p of a norm."""
    return "inf" if order is None else show_number(order)
