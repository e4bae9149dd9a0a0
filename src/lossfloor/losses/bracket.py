"""The minimum of a convex function of one variable, with a proved lower bound, from values alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.losses.base import EPS, SMALLEST_NORMAL, FloatArray

#: Accuracy required of a callable: each value is right to a few units of rounding.
NOISE = 64 * EPS
#: Rows to search together, which bounds the memory.
ROWS = 4096

# The search looks at 16 equal cells, keeps four of them and cuts these into 16 again.  All its points are multiples of
# 2^-52, for which 1 - t is exact.
_CELLS = 16
_DEPTHS = 25
_TOLERANCE = 1e-12
# Differences of smaller numbers than this are subnormal and have few digits.
_COARSE_NUMBERS = SMALLEST_NORMAL / EPS


def bracketed_minimum(
    function: Callable[[npt.NDArray[np.intp], FloatArray], FloatArray],
    lower: FloatArray,
    least_size: float,
    describe: Callable[[float], str],
) -> tuple[FloatArray, FloatArray]:
    """Bracket the minimum over [0, 1] of one convex function per row.

    Parameters
    ----------
    function : callable
        Takes row numbers and points, shape (rows, m), and returns the values of these rows there.
    lower : ndarray, shape (n,)
        A known lower bound of each minimum.
    least_size : float
        Least size of the functions to assume when rounding is estimated.
    describe : callable
        Names a point in an error message.

    Returns
    -------
    lower, point : ndarray, shape (n,)
        Better lower bounds, and the points of the smallest values found.

    Raises
    ------
    ValueError
        If a function turns out not to be convex, or its values not to be right to a few units of rounding.
    """
    lower = lower.copy()
    value, size = np.full(lower.shape, np.inf), np.zeros(lower.shape)
    point, left = np.zeros(lower.shape), np.zeros(lower.shape)
    rows = np.arange(lower.size)
    for depth in range(_DEPTHS):
        t = left[rows, None] + np.arange(_CELLS + 1) * 0.5 ** (2 * depth + 4)
        cells = _Neighbourhood(t, function(rows, t))
        if depth == 0:
            size = least_size + np.abs(cells.value) + cells.rise + _COARSE_NUMBERS
        bent = cells.bend < -_TOLERANCE * (size[rows] + cells.spread)
        if bent.any():
            where = describe(float(cells.point[bent][0]))
            raise ValueError(must("function", "convex on [0, 1]", f"a bend the other way near q = {where}"))
        noise = NOISE * (size[rows] + cells.spread)
        lower[rows] = np.maximum(lower[rows], cells.value - cells.gap - noise)
        better = cells.value < value[rows]
        point[rows[better]] = cells.point[better]
        value[rows] = np.minimum(value[rows], cells.value)
        left[rows] = cells.start
        rows = rows[value[rows] - lower[rows] > 2 * NOISE * size[rows]]
        if rows.size == 0:
            break
    missed = value - lower > _TOLERANCE * size
    if missed.any():
        where = describe(float(point[missed][0]))
        what = "convex and right to a few units of rounding"
        raise ValueError(must("function", what, f"values near q = {where} that are not"))
    return np.minimum(lower, value), point


class _Neighbourhood:
    """The smallest of a convex function's values at equally spaced points, and what its neighbours prove.

    Of the five points around the smallest value, the outer ones give slopes: in the two cells between the inner points
    the function cannot fall faster than these.

    Parameters
    ----------
    t, f : ndarray, shape (n, m)
        Equally spaced points in [0, 1] in each row, and the convex function there; some values may be infinite, not
        all.

    Attributes
    ----------
    point, value : ndarray, shape (n,)
        The smallest value and the first point that has it.
    start : ndarray, shape (n,)
        Where the next, finer search begins: two cells to the left, if these are inside.
    rise : ndarray, shape (n,)
        How far the function rises within two cells, on the side where it rises less.
    gap : ndarray, shape (n,)
        The minimum of the function is at most this far below `value`.
    bend : ndarray, shape (n,)
        The smaller of the second differences at the two neighbours: negative if the function is not convex.
    spread : ndarray, shape (n,)
        Size of the differences that enter `gap`, for rounding.
    """

    def __init__(self, t: FloatArray, f: FloatArray) -> None:
        each = np.arange(len(f))
        lowest = np.argmin(f, axis=1)
        padded = np.pad(f, ((0, 0), (2, 2)), constant_values=np.inf)
        outer_left, inner_left, value, inner_right, outer_right = (padded[each, lowest + k] for k in range(5))
        self.point = t[each, lowest]
        self.value = value
        self.start = t[each, np.clip(lowest - 2, 0, t.shape[1] - 5)]
        self.rise = np.minimum(outer_left, outer_right) - value
        # Rises from the smallest value to its neighbours, and from these to the outer points.
        left, right = inner_left - value, inner_right - value
        far_left, far_right = _rise(inner_left, outer_left), _rise(inner_right, outer_right)
        gap_left = np.where(self.point == 0, 0.0, _secant_gap(far_left, left, right))
        gap_right = np.where(self.point == 1, 0.0, _secant_gap(far_right, right, left))
        self.gap = np.maximum(gap_left, gap_right)
        self.spread = np.minimum(far_left, right) + np.minimum(far_right, left)
        self.bend = np.minimum(_second_difference(far_left, left), _second_difference(far_right, right))


def _rise(inner: FloatArray, outer: FloatArray) -> FloatArray:
    """``outer - inner``, infinite where one of them is."""
    rise = np.full(outer.shape, np.inf)
    np.subtract(outer, inner, out=rise, where=np.isfinite(inner))
    return rise


def _secant_gap(outer: FloatArray, inner: FloatArray, opposite: FloatArray) -> FloatArray:
    """How far below its inner end a convex function can fall within one cell.

    Let the function rise by ``inner`` from the cell's inner end to its outer end, by ``outer`` over the next cell
    outwards and by ``opposite`` over the next cell on the inner side.  Over the cell it lies above both prolonged
    secants, which meet ``(outer - inner) opposite / (outer + opposite)`` below the inner end.
    """
    outer = np.maximum(outer, 0.0)  # rounding can make it negative
    gap = opposite.copy()  # what one of the lines proves if the other is vertical, or nearly so
    both = np.isfinite(outer) & (opposite > 1e-300 * outer)
    gap[both] = np.maximum(outer[both] - inner[both], 0.0) / (1.0 + outer[both] / opposite[both])
    return gap


def _second_difference(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """``outer - inner`` with an allowance for the rounding of a steep side; infinite where it is not known."""
    bend = np.full(outer.shape, np.inf)
    np.subtract(outer, inner * (1.0 - NOISE), out=bend, where=np.isfinite(outer))
    return bend
