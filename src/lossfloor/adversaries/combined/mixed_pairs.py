"""Which examples conflict when the left one moves as one adversary allows, the right one as another does."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._checks import must
from lossfloor.adversaries.base import Adversary, Index
from lossfloor.adversaries.geometry import common_points, deciding
from lossfloor.adversaries.geometry.bodies import AxisBox, Ball, Body, ConvexAdversary, common_point, have_common_point
from lossfloor.adversaries.geometry.deciding import Flags, U, fractions
from lossfloor.adversaries.geometry.gauge_balls import GaugeBall, Matrix, float_margin
from lossfloor.adversaries.norms import NormBall
from lossfloor.adversaries.weighted import WeightedLp
from lossfloor.graphs.rows import BitRows, ConflictRows

#: Numbers that one piece of pairs and features holds.
_NUMBERS_AT_ONCE = 1 << 21


class Piece(NamedTuple):
    """Some rows of pairs: which surely conflict, and which others are undecided."""

    start: int
    sure: Flags
    undecided: Flags

    def rows(self) -> BitRows:
        """Return the piece as `conflicts` yields it."""
        return deciding.bit_rows(self.start, self.sure, self.undecided)


def as_piece(rows: ConflictRows, m: int) -> Piece:
    """Unpack what `conflicts` yields."""
    if isinstance(rows, BitRows):
        sure = deciding.unpack(rows.bits, m)
        undecided = np.zeros_like(sure) if rows.undecided is None else deciding.unpack(rows.undecided, m)
        return Piece(rows.start, sure, undecided)
    return Piece(
        rows.start,
        _from_lists(rows.targets, rows.counts, m),
        _from_lists(*rows.undecided, m)
        if rows.undecided is not None
        else np.zeros((len(rows.counts), m), dtype=np.bool_),
    )


def _from_lists(targets: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], m: int) -> Flags:
    flags = np.zeros((len(counts), m), dtype=np.bool_)
    flags[np.repeat(np.arange(len(counts)), counts), targets] = True
    return flags


def pieces_of(first: Adversary, second: Adversary, XA: Any, XB: Any, index_a: Index, index_b: Index) -> Iterator[Piece]:
    """Yield which left examples moved by `first` meet which right ones moved by `second`."""
    if first is second:
        for rows in first.conflicts(XA, XB, index_a=index_a, index_b=index_b):
            yield as_piece(rows, len(XB))
    elif isinstance(first, ConvexAdversary) and isinstance(second, ConvexAdversary):
        yield from _convex(first, second, XA, XB, index_a, index_b)
    else:
        yield from _coarse(first, second, XA, XB, index_a, index_b)


def pair(first: Adversary, second: Adversary, a: Any, b: Any, positions: tuple[int, int]) -> bool | None:
    """Decide one pair of `pieces_of` by itself; None if it is undecided."""
    if first is second:
        return first.conflict(a, b, index=np.array(positions, dtype=np.intp))
    if isinstance(first, ConvexAdversary) and isinstance(second, ConvexAdversary):
        return have_common_point(first.body(a, positions[0]), second.body(b, positions[1]))
    if _reached(first, second, a, b, positions):
        return True
    indices = [np.array([position], dtype=np.intp) for position in positions]
    boxes = [_around(*side) for side in ((first, one(a), indices[0]), (second, one(b), indices[1]))]
    if boxes[0] is None or boxes[1] is None:
        return None
    apart = (boxes[0][0] > boxes[1][1]) | (boxes[1][0] > boxes[0][1])
    return False if apart.any() else None


def _reached(first: Adversary, second: Adversary, a: Any, b: Any, positions: tuple[int, int]) -> bool:
    """Return whether one of two examples can be moved to the other, which stays."""
    i, j = (np.array([position], dtype=np.intp) for position in positions)
    left, right = one(a), one(b)
    return bool(
        (second.contains(right, right, index=j)[0] and first.contains(left, right, index=i)[0])
        or (first.contains(left, left, index=i)[0] and second.contains(right, left, index=j)[0])
    )


def one(x: Any) -> npt.NDArray[Any]:
    """Return an array that holds one example."""
    if isinstance(x, np.ndarray):
        return x[None]
    single = np.empty(1, dtype=object)
    single[0] = x
    return single


def _coarse(first: Adversary, second: Adversary, XA: Any, XB: Any, index_a: Index, index_b: Index) -> Iterator[Piece]:
    """Bound conflicts for which there is no test: a pair is sure if one example can be moved to the other."""
    boxes = [_around(*side) for side in ((first, XA, index_a), (second, XB, index_b))]
    for i in range(len(XA)):
        places = [(int(index_a[i]), int(index_b[j])) for j in range(len(XB))]
        sure = np.array([[_reached(first, second, XA[i], XB[j], place) for j, place in enumerate(places)]])
        near = np.ones_like(sure)
        if boxes[0] is not None and boxes[1] is not None:
            (low_a, high_a), (low_b, high_b) = boxes[0], boxes[1]
            near = ((low_a[i] <= high_b) & (low_b <= high_a[i])).all(axis=1)[None]
        yield Piece(i, sure, near & ~sure)


def _around(adversary: Adversary, X: Any, index: Index) -> tuple[Matrix, Matrix] | None:
    """Return boxes around the neighbourhoods, rounded outwards, or None where none are known."""
    from lossfloor.adversaries.sparse_linf import SparseLinf

    if isinstance(adversary, SparseLinf):
        return NormBall(None, adversary.eps, adversary.unit).reach(X, index)
    return adversary.reach(X, index) if isinstance(adversary, ConvexAdversary) else None


def is_box(adversary: Adversary) -> bool:
    """Return whether the neighbourhoods of an adversary are boxes along the axes."""
    from lossfloor.adversaries.box import Box

    return isinstance(adversary, Box) or (isinstance(adversary, (NormBall, WeightedLp)) and adversary.order is None)


def _is_ball(adversary: Adversary) -> bool:
    return isinstance(adversary, (NormBall, WeightedLp)) and adversary.order is not None


def _convex(
    first: ConvexAdversary, second: ConvexAdversary, XA: Any, XB: Any, index_a: Index, index_b: Index
) -> Iterator[Piece]:
    """Exclude most pairs by boxes around them, decide more by bounds, and the rest by the bodies."""
    reach_a, reach_b = first.reach(XA, index_a), second.reach(XB, index_b)
    (low_a, high_a), (low_b, high_b) = ([np.ascontiguousarray(end.T) for end in reach] for reach in (reach_a, reach_b))

    def feature(rows: Any, columns: Any, j: int) -> Flags:
        overlapping: Flags = (low_a[j][rows] <= high_b[j][columns]) & (low_b[j][columns] <= high_a[j][rows])
        return overlapping

    def exactly(i: int, j: int) -> bool | None:
        return have_common_point(first.body(XA[i], int(index_a[i])), second.body(XB[j], int(index_b[j])))

    for start, _, near in deciding.all_features(len(XA), len(XB), XA.shape[1], feature):
        sure, undecided = np.zeros_like(near), np.zeros_like(near)
        rows, columns = np.nonzero(near)
        step = max(1, _NUMBERS_AT_ONCE // XA.shape[1])
        for begin in range(0, len(rows), step):
            i, j = rows[begin : begin + step] + start, columns[begin : begin + step]
            low, high = _excess_bounds(first, second, XA, XB, i, j, index_a, index_b, reach_a, reach_b)
            sure[i - start, j] = high <= 0
            for row, column in zip(*(side[(low <= 0) & ~(high <= 0)].tolist() for side in (i, j)), strict=True):
                decided = exactly(row, column)
                sure[row - start, column] = decided is True
                undecided[row - start, column] = decided is None
        yield Piece(start, sure, undecided)


def _excess_bounds(
    first: ConvexAdversary,
    second: ConvexAdversary,
    XA: Any,
    XB: Any,
    rows: Index,
    columns: Index,
    index_a: Index,
    index_b: Index,
    reach_a: tuple[Matrix, Matrix],
    reach_b: tuple[Matrix, Matrix],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Bound a number that is positive exactly for pairs that do not meet, by infinities if need be."""
    if is_box(second) and _is_ball(first):
        return _ball_and_box(first, XA[rows], index_a[rows], XB[columns], [end[columns] for end in reach_b])
    if is_box(first) and _is_ball(second):
        return _ball_and_box(second, XB[columns], index_b[columns], XA[rows], [end[rows] for end in reach_a])
    if isinstance(first, NormBall) and isinstance(second, NormBall) and {first.order, second.order} == {1, 2}:
        return _l1_and_l2(first, second, XA[rows], XB[columns], index_a[rows], index_b[columns])
    low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    if is_box(first) and is_box(second):
        # The boxes rounded outwards overlap; so do the true ones if the overlap is more than the rounding.
        ends = [reach_a[0][rows], reach_a[1][rows], reach_b[0][columns], reach_b[1][columns]]
        slack = [_slack(end, X) for end, X in zip(ends, (XA[rows], XA[rows], XB[columns], XB[columns]), strict=True)]
        clear = (ends[0] + slack[0] <= ends[3] - slack[3]) & (ends[2] + slack[2] <= ends[1] - slack[1])
        high[clear.all(axis=1)] = 0
    elif isinstance(first, GaugeBall) and isinstance(second, GaugeBall):
        # A point of the segment is in both if the shares that they reach of it sum to at least one.
        for k, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
            radii = (first.radii(1, index_a[[i]])[0], second.radii(1, index_b[[j]])[0])
            distances = [float(ball.gauges(XA[[i]], XB[[j]])[1][0, 0]) for ball in (first, second)]
            if all(distance > 0 for distance in distances):
                parts = [exact.bracket(radius)[0] / distance for radius, distance in zip(radii, distances, strict=True)]
                high[k] = 0.0 if sum(parts) * (1 - 8 * U) >= 1 else np.inf
    return low, high


def _slack(end: Matrix, X: npt.NDArray[Any]) -> Matrix:
    """Bound how far the end of a box may lie outside the true one."""
    size = np.where(np.isfinite(end), np.abs(end), 0.0) + np.abs(X.astype(np.float64))
    slack: Matrix = 40 * U * size + 4 * float_margin(X) + 2.0**-1050
    return slack


def _ball_and_box(
    ball: ConvexAdversary, centres: Any, index: Index, owners: Any, ends: list[Matrix]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Bound the norm of the gaps between centres and boxes, less the radius."""
    if not isinstance(ball, (NormBall, WeightedLp)) or ball.order is None:
        raise TypeError(must("ball", "a ball of a norm of finite order", ball))
    p, d = float(ball.order), centres.shape[1]
    x = centres.astype(np.float64)
    low_end, high_end = ends
    gap = np.maximum(np.maximum(low_end - x, x - high_end), 0.0)
    least = np.maximum(gap * (1 - 4 * U) - float_margin(centres), 0.0)
    slack = np.where(low_end - x > x - high_end, _slack(low_end, owners), _slack(high_end, owners))
    most = np.maximum(np.maximum(low_end - x, x - high_end) * (1 + 4 * U) + 2 * slack + float_margin(centres), 0.0)
    weights = np.ones(d)
    frozen = np.zeros(d, dtype=np.bool_)
    if isinstance(ball, WeightedLp):
        prices = np.array([float(cost) for cost in ball.costs.amounts(ball.costs.rows(1, d, None)[0])])
        frozen = np.isinf(prices)
        weights = np.where(frozen, 0.0, prices)
    relative = 1.01 * (d + 2 * p + 24) * U
    norms = [_norms(gaps * weights, p) for gaps in (least, most)]
    low, high = norms[0] * (1 - relative), norms[1] * (1 + relative) + d * 2.0**-1000
    low = np.where((least[:, frozen] > 0).any(axis=1), np.inf, low)
    high = np.where((most[:, frozen] > 0).any(axis=1), np.inf, high)
    limits = deciding.double_bounds(ball.radii(len(centres), index))
    return low - limits[1] - 4 * U * limits[1], high - limits[0] + 4 * U * limits[0]


def _l1_and_l2(
    first: NormBall, second: NormBall, XA: Any, XB: Any, index_a: Index, index_b: Index
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Bound the Euclidean distance of the centre of an l2 ball from an l1 ball, less the radius.

    That distance changes by no more than the steps (in the Euclidean norm) and the radius of the l1 ball do, so
    rounding these and d sums of them moves it by less than 64 d 2^-53 of their size.
    """
    d = XA.shape[1]
    bounds = [
        deciding.double_bounds(ball.radii(len(XA), index)) for ball, index in ((first, index_a), (second, index_b))
    ]
    one, two = bounds if first.order == 1 else bounds[::-1]
    steps = -np.sort(-np.abs(XA.astype(np.float64) - XB.astype(np.float64)), axis=1)
    radius = np.broadcast_to(one[1], len(steps))
    thetas = (np.cumsum(steps, axis=1) - radius[:, None]) / np.arange(1, d + 1)
    theta = np.maximum(thetas.max(axis=1), 0.0)
    distances = np.sqrt(np.square(np.minimum(steps, theta[:, None])).sum(axis=1))
    slack = 64 * d * U * (steps.sum(axis=1) + radius) + d * (float_margin(XA) + float_margin(XB)) + 2.0**-500
    return distances - slack - two[1] * (1 + 4 * U), distances + slack - two[0] * (1 - 4 * U)


def _norms(steps: Matrix, p: float) -> npt.NDArray[np.float64]:
    largest = steps.max(axis=1)
    scale = np.where(largest > 0, largest, 1.0)
    norms: npt.NDArray[np.float64] = scale * ((steps / scale[:, None]) ** p).sum(axis=1) ** (1 / p)
    return norms


def meeting_point(bodies: list[Body], centres: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """Return a point of all bodies, of the dtype of the examples if one is found; None if there is none.

    Raises
    ------
    ArithmeticError
        If there may be one, but none was found among doubles.
    """
    boxes = [body for body in bodies if isinstance(body, AxisBox)]
    balls = [body for body in bodies if not isinstance(body, AxisBox)]
    if not balls:
        return common_points.in_all_intervals(centres, [box.low for box in boxes], [box.high for box in boxes])
    if boxes and len(balls) == 1 and isinstance(balls[0], Ball):
        return _nearest_in_box(balls[0], boxes, centres)
    if len(bodies) == 2 and have_common_point(*bodies) is False:
        return None
    found = common_point(bodies)
    if found is False:
        return None
    if isinstance(found, np.ndarray):
        for dtype in common_points.dtypes_to_try(centres.dtype):
            cast = (np.rint(found) if dtype.kind in "iu" else found).astype(dtype)
            if all(body.has(fractions(cast)) for body in bodies):
                return cast
    raise common_points.unrepresentable()


def _nearest_in_box(ball: Ball, boxes: list[AxisBox], centres: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """Return the point of some boxes that is nearest to the middle of a ball, coordinate by coordinate."""
    intervals = [
        (max(lows), min(highs))
        for lows, highs in zip(
            zip(*(box.low for box in boxes), strict=True),
            zip(*(box.high for box in boxes), strict=True),
            strict=True,
        )
    ]
    if any(low > high for low, high in intervals):
        return None
    nearest = [Fraction(min(max(x, low), high)) for x, (low, high) in zip(ball.middle, intervals, strict=True)]
    if not ball.has(nearest):
        return None
    for dtype in common_points.dtypes_to_try(centres.dtype):
        point = common_points.in_intervals(intervals, ball.middle, dtype)
        if ball.has(fractions(point)):
            return point
    raise common_points.unrepresentable()
