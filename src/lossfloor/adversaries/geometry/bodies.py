"""Convex neighbourhoods as bodies, and whether several of them share a point.

Pairs that have an exact test: two boxes (interval by interval), a ball of an l_p norm and a box (the point of
the box next to the centre is found by clipping, coordinate by coordinate, whatever p is), two balls of one
norm (distance of the centres), an l1 and an l2 ball (distance of a point from an l1 ball), two ellipsoids of
one matrix.

Everything else is decided from two sides.  A smooth search minimises ``F(z) = 1/2 sum_i e_i(z)^2`` where
e_i(z) is how far z is outside body i, with a vector g_i such that ``g_i (y - z) <= -e_i(z)`` for all y in the
body.  If it ends at a point that exact tests find in every body, the answer is yes.  If it ends elsewhere,
any common point y would have ``sum l_i g_i (y - z) <= -sum l_i e_i`` for any l_i >= 0, so there is none when
``sum l_i e_i`` exceeds ``|sum l_i g_i| R``, R being a bound of |y - z|; a margin of 1e-9 of the extent is left
for rounding.  If neither holds, the pair is undecided.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor.adversaries.base import Adversary
from lossfloor.adversaries.geometry.feature_amounts import Amount
from lossfloor.exact import Order

Vector = npt.NDArray[np.float64]

#: The share of the extent that a proof of emptiness leaves for rounding: far above d * 2^-53 for any d below
#: 10^6.
_MARGIN = 1e-9


class Body(abc.ABC):
    """A closed convex set, given by rationals."""

    @abc.abstractmethod
    def has(self, point: Sequence[Fraction]) -> bool:
        """Decide exactly whether a point lies in the set."""

    @abc.abstractmethod
    def outside(self, z: Vector, shrink: float) -> tuple[float, Vector]:
        """Return how far z is outside the set shrunk by a share, and the vector g of the module's text."""

    @abc.abstractmethod
    def bounds(self) -> tuple[Vector, Vector]:
        """Return the corners of a box around the set, rounded outwards."""

    @property
    @abc.abstractmethod
    def centre(self) -> list[Fraction]:
        """The example whose neighbourhood this is."""

    @functools.cached_property
    def near(self) -> Vector:
        """The centre in doubles."""
        return np.array([float(x) for x in self.centre])


@dataclasses.dataclass(frozen=True)
class AxisBox(Body):
    """``low <= z <= high`` in every coordinate; ends may be infinite."""

    middle: list[Fraction]
    low: list[Amount]
    high: list[Amount]

    @property
    def centre(self) -> list[Fraction]:
        """The example inside the box."""
        return self.middle

    def has(self, point: Sequence[Fraction]) -> bool:
        """Compare each coordinate."""
        return all(low <= z <= high for low, z, high in zip(self.low, point, self.high, strict=True))

    @functools.cached_property
    def _ends(self) -> tuple[Vector, Vector]:
        return _doubles(self.low, 0), _doubles(self.high, 1)

    def bounds(self) -> tuple[Vector, Vector]:
        """Return the ends, rounded outwards."""
        return self._ends

    def outside(self, z: Vector, shrink: float) -> tuple[float, Vector]:
        """Return the Euclidean distance and its gradient."""
        low, high = self._ends
        with np.errstate(invalid="ignore"):
            room = np.where(np.isfinite(high - low), (high - low) * (shrink / 2), 0.0)
        step = z - np.clip(z, low + room, high - room)
        distance = float(np.linalg.norm(step))
        return distance, step / distance if distance > 0 else step


@dataclasses.dataclass(frozen=True)
class Ball(Body):
    """``(sum (c_j |z_j - x_j|)^p)^(1/p) <= radius``, p finite; c_j may be 0 (free) or infinite (frozen)."""

    middle: list[Fraction]
    order: Fraction
    costs: tuple[Amount, ...] | None
    radius: Fraction

    @property
    def centre(self) -> list[Fraction]:
        """The middle of the ball."""
        return self.middle

    def has(self, point: Sequence[Fraction]) -> bool:
        """Sum the steps exactly."""
        return self.reaches([abs(z - x) for z, x in zip(point, self.middle, strict=True)])

    @functools.cached_property
    def _weights(self) -> Vector:
        return np.ones(len(self.middle)) if self.costs is None else np.array([float(cost) for cost in self.costs])

    def reaches(self, steps: Sequence[Fraction]) -> bool:
        """Return whether a step of these absolute sizes stays in the ball."""
        return weighted_at_most(steps, self.costs, self.order, self.radius)

    def bounds(self) -> tuple[Vector, Vector]:
        """Return the largest step along each axis, rounded outwards."""
        reach: list[Amount] = [self.radius] * len(self.middle)
        if self.costs is not None:
            reach = [_quotient(self.radius, cost) for cost in self.costs]
        low = [x - r if isinstance(r, Fraction) else -math.inf for x, r in zip(self.middle, reach, strict=True)]
        high = [x + r if isinstance(r, Fraction) else math.inf for x, r in zip(self.middle, reach, strict=True)]
        return _doubles(low, 0), _doubles(high, 1)

    def outside(self, z: Vector, shrink: float) -> tuple[float, Vector]:
        """Return the excess of the norm (p > 1) or the distance (p = 1), joined with frozen coordinates."""
        step = z - self.near
        radius = exact.nearest_double(self.radius) * (1 - shrink)
        weights = self._weights
        frozen = np.isinf(weights)
        held, free = np.where(frozen, step, 0.0), np.where(frozen, 0.0, step)
        weights = np.where(frozen, 0.0, weights)
        excess, gradient = (
            _outside_l1(free, weights, radius)
            if self.order == 1
            else _outside_norm(free, weights, float(self.order), radius)
        )
        moved = float(np.linalg.norm(held))
        if moved == 0:
            return excess, gradient
        both = math.hypot(excess, moved)
        return both, (excess * gradient + held) / both


def _outside_l1(step: Vector, weights: Vector, radius: float) -> tuple[float, Vector]:
    """Distance from the weighted l1 ball: the nearest point takes ``theta * weight`` off every step."""
    sizes = np.abs(step)
    total = float((weights * sizes).sum())
    if total <= radius:
        return 0.0, np.zeros_like(step)
    priced = weights > 0
    ratios = np.zeros_like(sizes)
    ratios[priced] = sizes[priced] / weights[priced]
    order = np.argsort(-ratios)
    squares = np.cumsum(np.square(weights[order]))
    thetas = (np.cumsum((weights * sizes)[order]) - radius) / np.maximum(squares, 1e-300)
    theta = float(thetas.max())
    off = np.sign(step) * np.minimum(sizes, theta * weights)
    distance = float(np.linalg.norm(off))
    return distance, off / distance if distance > 0 else off


def _outside_norm(step: Vector, weights: Vector, p: float, radius: float) -> tuple[float, Vector]:
    priced = weights * np.abs(step)
    largest = float(priced.max(initial=0.0))
    if largest == 0:
        return 0.0, np.zeros_like(step)
    norm = largest * float(((priced / largest) ** p).sum() ** (1 / p))
    if norm <= radius:
        return 0.0, np.zeros_like(step)
    return norm - radius, np.sign(step) * weights * (priced / norm) ** (p - 1)


@dataclasses.dataclass(frozen=True)
class Ellipse(Body):
    """``sqrt((z - x)' M (z - x)) <= radius`` for a positive definite M."""

    middle: list[Fraction]
    matrix: npt.NDArray[np.float64]
    half_widths: Vector  # how far radius 1 reaches along each axis, rounded upwards
    radius: Fraction

    @property
    def centre(self) -> list[Fraction]:
        """The middle of the ellipsoid."""
        return self.middle

    def has(self, point: Sequence[Fraction]) -> bool:
        """Evaluate the quadratic form in rationals."""
        steps = [z - x for z, x in zip(point, self.middle, strict=True)]
        return quadratic_form(self.matrix, steps) <= self.radius**2

    def bounds(self) -> tuple[Vector, Vector]:
        """Return the largest step along each axis, rounded outwards."""
        middle = self.near
        with np.errstate(over="ignore"):
            reach = exact.bracket(self.radius)[1] * self.half_widths * (1 + 1e-6)
            margin = 1e-12 * np.abs(middle) + 2.0**-1060
            return middle - reach - margin, middle + reach + margin

    def outside(self, z: Vector, shrink: float) -> tuple[float, Vector]:
        """Return the excess of the Mahalanobis distance and its gradient."""
        step = z - self.near
        image = (self.matrix + self.matrix.T) @ step / 2
        norm = math.sqrt(max(float(step @ image), 0.0))
        radius = exact.nearest_double(self.radius) * (1 - shrink)
        if norm <= radius:
            return 0.0, np.zeros_like(step)
        return norm - radius, image / norm


class ConvexAdversary(Adversary):
    """An adversary whose neighbourhoods are convex sets of points."""

    takes_vectors: ClassVar[bool] = True

    @abc.abstractmethod
    def body(self, x: npt.NDArray[Any], position: int) -> Body:
        """Return the neighbourhood of the example x, which stands at `position` in the data set."""

    @abc.abstractmethod
    def reach(self, X: npt.NDArray[Any], index: npt.NDArray[np.intp]) -> tuple[Vector, Vector]:
        """Return boxes around the neighbourhoods, rounded outwards, shape (n, d) each."""


def weighted_at_most(steps: Sequence[Fraction], costs: Sequence[Amount] | None, order: Order, radius: Fraction) -> bool:
    """Decide exactly whether the weighted norm of some steps is at most `radius`."""
    if costs is not None:
        if any(step != 0 and not isinstance(cost, Fraction) for step, cost in zip(steps, costs, strict=True)):
            return False
        steps = [step * cost for step, cost in zip(steps, costs, strict=True) if isinstance(cost, Fraction)]
    denominator = math.lcm(*(step.denominator for step in steps))
    whole = [step.numerator * (denominator // step.denominator) for step in steps if step != 0]
    return exact.norm_at_most(whole, 0, order, radius * denominator)


def quadratic_form(matrix: npt.NDArray[np.float64], steps: Sequence[Fraction]) -> Fraction:
    """Return ``steps' matrix steps`` exactly, the matrix being the numbers that it stores."""
    moved = [i for i, step in enumerate(steps) if step != 0]
    if not moved:
        return Fraction(0)
    denominator = math.lcm(*(steps[i].denominator for i in moved))
    whole = [steps[i].numerator * (denominator // steps[i].denominator) for i in moved]
    rows, exponent = exact.integer_rows(matrix[np.ix_(moved, moved)])
    total = sum(
        x * sum(entry * y for entry, y in zip(row, whole, strict=True)) for x, row in zip(whole, rows, strict=True)
    )
    return Fraction(total, denominator**2) * exact.power_of_two(exponent)


def have_common_point(first: Body, second: Body) -> bool | None:
    """Return whether two bodies share a point: exactly where there is a test, else None if undecided."""
    if isinstance(first, AxisBox) and isinstance(second, AxisBox):
        ends = zip(first.low, first.high, second.low, second.high, strict=True)
        return all(low <= other_high and other_low <= high for low, high, other_low, other_high in ends)
    if isinstance(first, AxisBox):
        return have_common_point(second, first)
    if isinstance(second, AxisBox) and isinstance(first, Ball):
        return first.reaches(
            [_gap(x, low, high) for x, low, high in zip(first.middle, second.low, second.high, strict=True)]
        )
    steps = [abs(x - y) for x, y in zip(first.centre, second.centre, strict=True)]
    if isinstance(first, Ball) and isinstance(second, Ball) and first.costs is second.costs is None:
        orders = {first.order: first.radius, second.order: second.radius}
        if set(orders) == {1, 2}:
            theta = threshold(steps, orders[Fraction(1)])
            return sum((min(step, theta) ** 2 for step in steps), Fraction(0)) <= orders[Fraction(2)] ** 2
    if (
        isinstance(first, Ball)
        and isinstance(second, Ball)
        and first.order == second.order
        and first.costs == second.costs
    ):
        return weighted_at_most(steps, first.costs, first.order, first.radius + second.radius)
    if isinstance(first, Ellipse) and isinstance(second, Ellipse) and first.matrix is second.matrix:
        signed = [x - y for x, y in zip(first.centre, second.centre, strict=True)]
        return quadratic_form(first.matrix, signed) <= (first.radius + second.radius) ** 2
    found = common_point([first, second])
    return found if isinstance(found, bool) or found is None else True


def threshold(steps: Sequence[Fraction], radius: Fraction) -> Fraction:
    """Return what has to be taken off each of some steps, down to zero, for their sum to be at most `radius`.

    The point of an l1 ball nearest to a point in Euclidean distance is found so (Duchi et al., "Efficient projections
    onto the l1-ball for learning in high dimensions", ICML 2008): the steps left lead to the nearest point.
    """
    total, theta = Fraction(0), Fraction(0)
    for count, step in enumerate(sorted(steps, reverse=True), start=1):
        total += step
        theta = max(theta, (total - radius) / count)
    return theta


def common_point(bodies: Sequence[Body]) -> Vector | bool | None:
    """Look for a point that all bodies share.

    Returns
    -------
    ndarray of float64, False or None
        A point that the exact tests find in each body; False if it is proved that there is none; None if neither is
        shown.
    """
    centres = np.array([body.near for body in bodies])
    low, high = centres.min(axis=0), centres.max(axis=0)
    corners = [body.bounds() for body in bodies]
    inner_low = np.max([corner[0] for corner in corners], axis=0)
    inner_high = np.min([corner[1] for corner in corners], axis=0)
    if np.any(inner_low > inner_high):
        return False
    # A common point, if any, lies in all the boxes; where those are endless, between the centres (only balls
    # and boxes have endless directions, and clipping a point to the range of the centres brings it nearer to
    # all of them).
    low = np.where(np.isfinite(inner_low), inner_low, low)
    high = np.where(np.isfinite(inner_high), inner_high, high)
    low, high = np.minimum(low, high), np.maximum(low, high)
    for shrink, tolerance in ((1e-3, 1e-6), (1e-6, 1e-10), (0.0, 1e-14)):
        z = _search(bodies, (low + high) / 2, shrink, tolerance)
        for point in (z, *_snapped(z, bodies)):
            rationals = [Fraction(value) for value in point.tolist()]
            if all(body.has(rationals) for body in bodies):
                return point
        if _apart(bodies, z, low, high):
            return False
    return None


def _search(bodies: Sequence[Body], start: Vector, shrink: float, tolerance: float) -> Vector:
    from scipy import optimize  # here, since few need it and it takes long to import

    scale = max(float(np.abs(body.near - start).max()) for body in bodies) or 1.0

    def objective(w: Vector) -> tuple[float, Vector]:
        value, gradient = 0.0, np.zeros_like(w)
        for body in bodies:
            excess, direction = body.outside(start + scale * w, shrink)
            value += 0.5 * (excess / scale) ** 2
            gradient += (excess / scale) * direction
        return value, gradient

    result = optimize.minimize(
        objective,
        np.zeros_like(start),
        jac=True,
        method="CG",
        options={"maxiter": 300, "gtol": tolerance},
    )
    found: Vector = start + scale * np.asarray(result.x, dtype=np.float64)
    return found


def _snapped(z: Vector, bodies: Sequence[Body]) -> list[Vector]:
    """Return a nearby point with the coordinates of the centres where it all but has them (frozen ones)."""
    centres = np.array([body.near for body in bodies])
    snapped = z.copy()
    for x in centres:
        close = np.abs(z - x) <= 1e-9 * np.maximum(np.abs(x), 1e-300) + 1e-12 * np.abs(centres).max(axis=0)
        snapped[close] = x[close]
    return [snapped]


def _apart(bodies: Sequence[Body], z: Vector, low: Vector, high: Vector) -> bool:
    """Return whether the bodies are proved to share no point, by the inequality of the module's text."""
    from scipy import optimize

    sides = [body.outside(z, 0.0) for body in bodies]
    excess, directions = np.array([side[0] for side in sides]), np.array([side[1] for side in sides])
    if not excess.any():
        return False
    extent = float(np.linalg.norm(np.maximum(np.abs(z - low), np.abs(z - high))))
    magnitude = float(np.linalg.norm(np.maximum(np.abs(low), np.abs(high))))
    # Any weights will do for a proof; these make the pull small beside the excess.
    target = np.zeros(z.size + 1)
    target[-1] = 1.0
    try:
        weights, _ = optimize.nnls(np.vstack([extent * directions.T, excess]) / excess.max(), target)
    except RuntimeError:  # it has not come to an end
        weights = excess
    total = float(weights @ excess)
    pull = float(np.linalg.norm(weights @ directions))
    sizes = float(weights @ np.linalg.norm(directions, axis=1))
    return total > pull * extent + _MARGIN * sizes * (extent + 1e-3 * magnitude)


def _gap(x: Fraction, low: Amount, high: Amount) -> Fraction:
    """Distance of a coordinate from an interval."""
    if x < low:
        return Fraction(low) - x
    if x > high:
        return x - Fraction(high)
    return Fraction(0)


def _quotient(radius: Fraction, cost: Amount) -> Amount:
    if not isinstance(cost, Fraction):
        return Fraction(0)
    return radius / cost if cost > 0 else math.inf


def _doubles(values: Sequence[Amount], side: int) -> Vector:
    """Round to doubles, downwards for side 0 and upwards for side 1."""
    return np.array(
        [exact.bracket(value)[side] if isinstance(value, Fraction) else value for value in values],
        dtype=np.float64,
    )
