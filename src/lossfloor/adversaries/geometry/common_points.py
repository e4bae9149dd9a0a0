"""Points that lie in several neighbourhoods at once, in numbers that an array can hold.

A common point that exists among the reals need not exist among the numbers of a dtype.  The functions here
look for one in the dtype of the data first and then among doubles, and each point that they return has passed
the exact tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor.adversaries.geometry.feature_amounts import Amount

#: Returns for a point whether the first and whether the second example may be moved to it.
Inside = Callable[[npt.NDArray[Any]], tuple[bool, bool]]


def unrepresentable() -> ArithmeticError:
    """Return the error for neighbourhoods that share points, none of which was found among the doubles."""
    return ArithmeticError(
        "the neighbourhoods share a point, but no such point with double coordinates was found: they touch in a "
        "point that has to be rounded"
    )


def dtypes_to_try(dtype: np.dtype[Any]) -> list[np.dtype[Any]]:
    """Return the dtype of the data, then double precision."""
    double = np.dtype(np.float64)
    return [dtype] if dtype == double else [dtype, double]


def in_intervals(
    intervals: Sequence[tuple[Amount, Amount]], wishes: Sequence[Fraction], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Return a point with each coordinate in its interval, as near to its wish as the dtype allows.

    Parameters
    ----------
    intervals : sequence of (low, high)
        Rational or infinite ends, ``low <= high``.
    wishes : sequence of Fraction
    dtype : dtype

    Returns
    -------
    ndarray, shape (d,)
        Of `dtype`, or of float64 if it has no such point.

    Raises
    ------
    ArithmeticError
        If not even doubles have one.
    """
    for kind in dtypes_to_try(dtype):
        numbers = [_in_interval(low, high, wish, kind) for (low, high), wish in zip(intervals, wishes, strict=True)]
        if None not in numbers:
            return np.array(numbers, dtype=kind)
    raise unrepresentable()


def in_all_intervals(
    points: npt.NDArray[Any], lows: Sequence[Sequence[Amount]], highs: Sequence[Sequence[Amount]]
) -> npt.NDArray[Any] | None:
    """Return a point that lies in the box of every example, or None if some coordinate has no such number.

    Parameters
    ----------
    points : ndarray, shape (k, d)
        The examples; each lies in its own box.
    lows, highs : k sequences of d ends
    """
    intervals = list(zip(map(max, zip(*lows, strict=True)), map(min, zip(*highs, strict=True)), strict=True))
    if any(low > high for low, high in intervals):
        return None
    # Between the smallest and the largest of the examples there is a common number too: clipping a common
    # number to that range brings it nearer to each of them.  That keeps integers in their dtype and data in
    # its domain.
    ranges = [
        (min(column), max(column)) for column in zip(*(map(Fraction, row) for row in points.tolist()), strict=True)
    ]
    inner = [(max(low, first), min(high, last)) for (low, high), (first, last) in zip(intervals, ranges, strict=True)]
    return in_intervals(inner, [(first + last) / 2 for first, last in ranges], points.dtype)


def _in_interval(low: Amount, high: Amount, wish: Fraction, dtype: np.dtype[Any]) -> Any | None:
    target = wish
    if target < low:
        target = Fraction(low)
    if target > high:
        target = Fraction(high)
    if dtype.kind in "iu":
        down = target.numerator // target.denominator
        candidates: list[Any] = [round(target), down, down + 1]
    else:
        near = dtype.type(float(target))
        candidates = [
            near,
            np.nextafter(near, dtype.type(-math.inf)),
            np.nextafter(near, dtype.type(math.inf)),
        ]
    for candidate in candidates:
        if np.isfinite(candidate) and low <= Fraction(candidate.item() if dtype.kind == "f" else candidate) <= high:
            return candidate
    return None


def on_segment(
    a: npt.NDArray[Any],
    b: npt.NDArray[Any],
    shares: tuple[float, float],
    ratio: Fraction,
    inside: Inside,
    other: Callable[[np.dtype[Any]], npt.NDArray[Any] | None] = lambda _: None,
) -> npt.NDArray[Any]:
    """Return a point near the segment from `a` to `b` that passes both exact tests.

    Parameters
    ----------
    a, b : ndarray, shape (d,), of one dtype
    shares : (low, high)
        About which shares of the way from `a` to `b` lie in both neighbourhoods.
    ratio : Fraction
        The share that is in both if any is.
    inside : callable
    other : callable, optional
        Gives one more point of a dtype to try, not on the segment.

    Returns
    -------
    ndarray, shape (d,)
        Of the dtype of the examples if rounding finds such a point, else of float64.

    Raises
    ------
    ArithmeticError
        If none is found among doubles either.
    """
    for dtype in dtypes_to_try(a.dtype):
        for point in _candidates(a, b, shares, ratio, dtype):
            found = _nudged(point, a, b, inside)
            if found is not None:
                return found
        last = other(dtype)
        if last is not None and all(inside(last)):
            return last
    raise unrepresentable()


def _candidates(
    a: npt.NDArray[Any],
    b: npt.NDArray[Any],
    shares: tuple[float, float],
    ratio: Fraction,
    dtype: np.dtype[Any],
) -> Iterator[npt.NDArray[Any]]:
    low, high = (min(max(share, 0.0), 1.0) for share in shares)
    start, end = a.astype(np.float64), b.astype(np.float64)
    middle = (low + high) / 2
    if low <= 0.5 <= high or abs(middle - 0.5) < 1e-9:
        yield _cast(start / 2 + end / 2, a, b, dtype)  # without rounding wherever there is a point without
    for share in (middle, low, high):
        with np.errstate(over="ignore", invalid="ignore"):
            steps = end - start
            point = start + share * steps if np.isfinite(steps).all() else (1 - share) * start + share * end
        yield _cast(point, a, b, dtype)
    # Where the neighbourhoods touch, only this point will do: rounded once.
    exact_point = weighted_point(np.stack([a, b]), [1 - ratio, ratio])
    yield _cast(np.array([float(value) for value in exact_point]), a, b, dtype)


def _cast(
    point: npt.NDArray[np.float64], a: npt.NDArray[Any], b: npt.NDArray[Any], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Round a point to a dtype, no coordinate leaving the range between `a` and `b`."""
    rounded = np.rint(point) if dtype.kind in "iu" else point
    with np.errstate(over="ignore", invalid="ignore"):
        cast = rounded.astype(dtype)
    low, high = np.minimum(a, b).astype(dtype), np.maximum(a, b).astype(dtype)
    clipped: npt.NDArray[Any] = np.clip(cast, low, high)
    return clipped


def _nudged(
    point: npt.NDArray[Any], a: npt.NDArray[Any], b: npt.NDArray[Any], inside: Inside
) -> npt.NDArray[Any] | None:
    """Move coordinates by one step of their dtype until both neighbourhoods hold the point, or give up."""
    in_a, in_b = inside(point)
    if in_a and in_b:
        return point
    if in_a == in_b:
        return None
    side = 0 if not in_a else 1
    goal = (a if side == 0 else b).astype(point.dtype)
    nearer = _step_towards(point, goal)
    ranking = np.argsort(-np.abs(a.astype(np.float64) - b.astype(np.float64)), kind="stable")

    def with_steps(count: int) -> npt.NDArray[Any]:
        moved = point.copy()
        moved[ranking[:count]] = nearer[ranking[:count]]
        return moved

    # The neighbourhood of the goal is not reached with `few` steps; whether it is with `many` is tested first.
    few, many = 0, len(point)
    if not inside(with_steps(many))[side]:
        return None
    while many - few > 1:
        between = (few + many) // 2
        few, many = (few, between) if inside(with_steps(between))[side] else (between, many)
    found = with_steps(many)
    return found if all(inside(found)) else None


def _step_towards(point: npt.NDArray[Any], goal: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if point.dtype.kind in "iu":
        up, down = goal > point, goal < point
        moved: npt.NDArray[Any] = point + up.astype(point.dtype) - down.astype(point.dtype)
        return moved
    return np.asarray(np.nextafter(point, goal))


def on_staircase(
    a: npt.NDArray[Any],
    b: npt.NDArray[Any],
    costs: Sequence[Amount],
    budgets: tuple[Fraction, Fraction],
    dtype: np.dtype[Any],
) -> npt.NDArray[Any] | None:
    """Go from `a` to `b` along the axes, which is a shortest way where costs of features add up, and stop in between.

    Parameters
    ----------
    a, b : ndarray, shape (d,)
    costs : sequence of d Fraction or inf
        What one unit of each feature costs.
    budgets : (Fraction, Fraction)
        What the two ends may spend.
    dtype : dtype

    Returns
    -------
    ndarray, shape (d,), or None
        None if the feature in which the way has to stop has no fitting number of the dtype.
    """
    starts, goals = ([Fraction(value) for value in end.tolist()] for end in (a, b))
    moved = [j for j, cost in enumerate(costs) if starts[j] != goals[j] and isinstance(cost, Fraction)]
    whole = sum((abs(starts[j] - goals[j]) * Fraction(costs[j]) for j in moved), Fraction(0))
    most, least = budgets[0], whole - budgets[1]
    point, spent = a.astype(dtype), Fraction(0)
    for j in moved:
        cost = Fraction(costs[j])
        step = abs(starts[j] - goals[j])
        if spent + step * cost <= most:
            point[j] = b[j]
            spent += step * cost
            continue
        ends = (max(least - spent, Fraction(0)) / cost, (most - spent) / cost)
        sign = 1 if goals[j] > starts[j] else -1
        low, high = sorted(starts[j] + sign * end for end in ends)
        stop = _in_interval(low, high, high, dtype) if low <= high else None
        if stop is None:
            return None
        point[j] = stop
        return point
    return point


def deepest_point_of_balls(
    gram: Sequence[Sequence[Fraction | int]], radii: Sequence[Fraction]
) -> list[Fraction] | None:
    """Find exactly a point that balls of an inner product share.

    The balls ``|z - x_i| <= r_i`` share a point exactly when the minimum over z of ``max_i |z - x_i|^2 -
    r_i^2`` is at most zero.  By duality that minimum is the maximum over the simplex of
    ``sum l_i (|x_i|^2 - r_i^2) - |sum l_i x_i|^2``, reached at ``z = sum l_i x_i`` with at most as many
    weights as affinely independent points.  All supports are tried, in rationals: for few balls.

    Parameters
    ----------
    gram : k sequences of k numbers
        Inner products of the centres.
    radii : sequence of k Fraction

    Returns
    -------
    list of k Fraction, or None
        Weights of the centres in the common point that lies deepest; None if there is no common point.
    """
    k = len(radii)
    powers = [gram[i][i] - radii[i] ** 2 for i in range(k)]
    best: tuple[Fraction, list[Fraction]] | None = None
    for members in range(1, 1 << k):
        support = [i for i in range(k) if members >> i & 1]
        weights = _stationary(gram, powers, support, k)
        if weights is None or min(weights) < 0:
            continue
        value = sum((weights[i] * powers[i] for i in support), Fraction(0)) - sum(
            (weights[i] * weights[j] * gram[i][j] for i in support for j in support), Fraction(0)
        )
        if best is None or value > best[0]:
            best = value, weights
    if best is None:
        raise ArithmeticError("no stationary point on the simplex")
    return best[1] if best[0] <= 0 else None


def _stationary(
    gram: Sequence[Sequence[Fraction | int]], powers: list[Fraction], support: list[int], k: int
) -> list[Fraction] | None:
    """Return weights on a support with equal powers, or None if its points are affinely dependent."""
    size = len(support)
    rows = [[Fraction(2 * gram[i][j]) for j in support] + [Fraction(1), Fraction(powers[i])] for i in support]
    rows.append([Fraction(1)] * size + [Fraction(0), Fraction(1)])
    solution = solve_rationals(rows)
    if solution is None:
        return None
    weights = [Fraction(0)] * k
    for i, value in zip(support, solution, strict=False):
        weights[i] = value
    return weights


def solve_rationals(rows: list[list[Fraction]]) -> list[Fraction] | None:
    """Solve a square system whose last column is the right-hand side; None if it is singular."""
    size = len(rows)
    rows = [list(row) for row in rows]
    for column in range(size):
        pivot = next((i for i in range(column, size) if rows[i][column] != 0), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        lead = rows[column][column]
        rows[column] = [value / lead for value in rows[column]]
        for i in range(size):
            factor = rows[i][column]
            if i != column and factor != 0:
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[column], strict=True)]
    return [row[-1] for row in rows]


def weighted_point(points: npt.NDArray[Any], weights: Sequence[Fraction]) -> list[Fraction]:
    """Return the exact coordinates of a weighted mean of points."""
    integers, exponent = exact.integer_rows(points)
    unit = exact.power_of_two(exponent)
    denominator = math.lcm(*(weight.denominator for weight in weights))
    whole = [int(weight * denominator) for weight in weights]
    return [
        Fraction(sum(w * row[j] for w, row in zip(whole, integers, strict=True)), denominator) * unit
        for j in range(points.shape[1])
    ]
