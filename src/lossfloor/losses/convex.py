"""Any convex decreasing function as a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.losses.base import SMALLEST_NORMAL, BoolArray, FloatArray, Loss
from lossfloor.losses.bracket import NOISE, ROWS, bracketed_minimum

# Every callable is checked on this grid first: evenly spaced, and ever closer to both ends.
_COARSE = 512
_ENDS = 0.5 ** np.arange(10, 41)
_GRID = np.unique(np.concatenate([np.arange(_COARSE + 1) / _COARSE, _ENDS, 1.0 - _ENDS]))


@dataclass(frozen=True, init=False, repr=False)
class Convex(Loss):
    r"""Any convex decreasing function of ``q``.

    Parameters
    ----------
    function : callable
        Takes an array of shape (n,) of numbers in [0, 1] and returns the losses, of the same shape.  A function of one
        number works too, but is slower.  It may be infinite at 0 (or raise there, if it takes one number).  Each value
        must be right to a few units of rounding.
    name : str, optional
        Name of the loss; the name of the function by default.

    Raises
    ------
    TypeError
        If `function` is not callable or `name` is not a string.
    ValueError
        If, on a grid of some 570 points, the function is not real, finite for ``q >= 1/512``, free of NaN, decreasing
        and convex (up to rounding).  The message says what failed and where.

    Notes
    -----
    To find ``H``, the minimum of this convex function is bracketed:

    .. math:: f(t) = \pi \, l(t) + (1 - \pi) \, l(1 - t).

    The result is a *proved lower bound*: between two points, a convex function lies above the prolonged secants through
    the points to their left and to their right.  The bound is at most ``1e-12 s`` below the smallest value found, where
    ``s`` is the size of the loss there: ``|l(1)| + |f|`` plus the change of ``f`` within 1/8 of its minimum.  If this
    cannot be reached, the function is not convex or not accurate, and a ValueError says so.  The proof assumes what a
    grid can only sample: that the function is convex and decreasing, and its values right to a few units of rounding.

    `bayes_risk` is exactly ``l(1)`` at ``pi = 0`` and ``pi = 1``.

    `minimizer` returns a point whose value is within twice this bound of the smallest one.  If there are several such
    points, it may return any of them.

    `gradient` is a difference quotient, right to about ten digits where the function is smooth and ``q`` not tiny; at a
    kink it lies between the slopes of the two sides.

    Examples
    --------
    >>> loss = Convex(lambda q: 1 / q, name="reciprocal")
    >>> loss
    Convex(reciprocal)
    >>> loss.bayes_risk([0.0, 0.2, 0.5])
    array([1. , 1.8, 2. ])
    >>> Convex(lambda q: q)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: 'function' must be decreasing on [0, 1], got 0.00390625 at q = 0.00390625, above ...
    """

    function: Callable[..., Any]
    name: str = ""
    _one_by_one: bool = field(default=False, compare=False)

    proper = False
    convex = True

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        if not callable(function):
            raise TypeError(must("function", "callable", function))
        if name is None:
            name = getattr(function, "__name__", type(function).__name__)
            name = "convex" if name == "<lambda>" else name
        if not isinstance(name, str):
            raise TypeError(must("name", "a string", name))
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_one_by_one", not _takes_arrays(function))
        _check_convex_decreasing(self._values(_GRID), self._values(_GRID / 2))

    def __repr__(self) -> str:
        return f"Convex({self.name})"

    def _values(self, q: FloatArray) -> FloatArray:
        """Call the function and check everything that it returns."""
        points = q.flatten()  # a copy: the function may write to it
        with np.errstate(all="ignore"):
            if self._one_by_one:
                returned: Any = [_value_at(self.function, point) for point in points]
            else:
                returned = self.function(points)
        try:
            values = np.asarray(returned)
        except ValueError:
            raise ValueError(must("function", f"one that returns an array of shape ({q.size},)", returned)) from None
        if values.dtype.kind not in "iuf":
            raise ValueError(must("function", "one that returns real numbers", returned))
        if values.shape != (q.size,):
            what = f"one that returns an array of the shape of its argument, ({q.size},)"
            raise ValueError(must("function", what, f"shape {values.shape}"))
        values = values.astype(np.float64)
        bad = np.isnan(values) | (values == -np.inf)
        if bad.any():
            where = int(np.argmax(bad))
            raise ValueError(
                must("function", "free of NaN and -inf", float(values[where])) + f" at q = {q.flat[where]}"
            )
        return values.reshape(q.shape)

    def _loss(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return self._values(q)

    def _gradient(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        step = np.where(q > 0, np.maximum(q * 2.0**-17, SMALLEST_NORMAL), 2.0**-26)
        middle = np.clip(q, step, 1.0 - step)
        before, after = middle - step, middle + step
        value_before, value, value_after = self._values(before), self._values(middle), self._values(after)
        with np.errstate(invalid="ignore", over="ignore"):
            slope_before = (value - value_before) / (middle - before)
            slope_after = (value_after - value) / (after - middle)
            # The derivative at q of the parabola through the three points; q need not be the middle one.
            slope = slope_before + (0.5 + (q - middle) / step) * (slope_after - slope_before)
        # No value is NaN, but a slope is where the function falls from infinity, or more steeply than a double can say.
        return np.where(np.isnan(slope), -np.inf, np.minimum(slope, 0.0))

    def _risk(self, a: FloatArray, b: FloatArray) -> FloatArray:
        total = a + b
        at_one = self._values(np.ones(1))[0]
        share_a, share_b = (np.divide(x, total, out=np.zeros(x.shape), where=total > 0) for x in (a, b))
        mixed = (share_a > 0) & (share_b > 0)
        risk = np.full(total.shape, at_one)
        risk[mixed] = self._search(share_a[mixed], share_b[mixed])[0]
        return risk * total

    def _minimizer(self, pi: FloatArray) -> FloatArray:
        best = pi.copy()  # 0 and 1 are their own minimizers
        mixed = (pi > 0) & (pi < 1)
        best[mixed] = self._search(pi[mixed], 1.0 - pi[mixed])[1]
        # The true minimizers never decrease with pi.  Replacing one by a larger one of a smaller pi adds at most the
        # gap of the latter, because the difference of two such f decreases in t.
        order = np.argsort(pi, kind="stable")
        best[order] = np.maximum.accumulate(best[order])
        return best

    def _search(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Minimise ``a l(t) + b l(1 - t)`` in each row, where a and b are positive and sum to 1.

        Returns the lower bounds and the best points.
        """
        lower, best = np.empty(a.shape), np.empty(a.shape)
        for start in range(0, a.size, ROWS):
            rows = slice(start, start + ROWS)
            lower[rows], best[rows] = self._search_rows(a[rows], b[rows])
        return lower, best

    def _search_rows(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        at_one = float(self._values(np.ones(1))[0])

        def mixture(rows: npt.NDArray[np.intp], t: FloatArray) -> FloatArray:
            return a[rows, None] * self._values(t) + b[rows, None] * self._values(1.0 - t)

        # Since the function decreases, a l(1) + b l(1) is a lower bound.
        return bracketed_minimum(mixture, a * at_one + b * at_one, abs(at_one), lambda q: f"{q} or {1 - q}")


def tilted_minimum(loss: Loss, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minimise ``l(t) + slope t`` over [0, 1] for a convex loss, from its values alone.

    Parameters
    ----------
    loss : Loss
        Convex and the same for all examples (not `Costs`).
    slope : ndarray of float64, shape (n,)
        Finite and not negative.

    Returns
    -------
    lower : ndarray of float64, shape (n,)
        Proved lower bounds of the minima, as for `Convex`: by convexity, secants give bounds.
    point : ndarray of float64, shape (n,)
        The points of the smallest values found.

    Raises
    ------
    ValueError
        If the loss turns out not to be convex, or its values not to be right to a few units of rounding.
    """
    at_one = float(loss(1.0))
    lower, point = np.empty(slope.shape), np.empty(slope.shape)
    for start in range(0, slope.size, ROWS):
        some = slope[start : start + ROWS]

        def tilted(rows: npt.NDArray[np.intp], t: FloatArray, some: FloatArray = some) -> FloatArray:
            return loss._loss(t.ravel(), None).reshape(t.shape) + some[rows, None] * t

        part = slice(start, start + ROWS)
        lower[part], point[part] = bracketed_minimum(tilted, np.full(some.shape, at_one), abs(at_one), str)
    return lower, point


def _takes_arrays(function: Callable[..., Any]) -> bool:
    """Whether the function takes an array; if not, it is called with one number at a time."""
    try:
        with np.errstate(all="ignore"):
            function(np.array([0.0, 0.5, 1.0]))
    except (TypeError, ValueError, ArithmeticError):
        return False
    return True


def _value_at(function: Callable[..., Any], q: np.float64) -> Any:
    """Call a function of one number; one that raises at 0 is taken to be infinite there."""
    try:
        return function(q)
    except (TypeError, ValueError, ArithmeticError) as error:
        if q == 0 and not isinstance(error, TypeError):
            return np.inf
        what = "one that takes an array of numbers in [0, 1], or one such number"
        raise ValueError(must("function", what, f"{type(error).__name__}: {error}") + f" at q = {q}") from error


def _check_convex_decreasing(values: FloatArray, at_half: FloatArray) -> None:
    """Check the values of a callable on `_GRID`; `at_half` are its values at half of each point.

    A convex decreasing function has ``q |l'(q)| <= 2 (l(q / 2) - l(q))``, so the values at half of each point bound
    how much of a difference is due to rounding.
    """
    infinite = np.isinf(values) & (_GRID >= 1 / _COARSE)
    if infinite.any():
        where = int(np.argmax(infinite))
        raise ValueError(must("function", "finite on (0, 1]", float(values[where])) + f" at q = {_GRID[where]}")

    rounding = NOISE * (np.abs(at_half) + np.abs(values) + abs(values[-1]))
    with np.errstate(invalid="ignore"):  # infinities near 0, which pass
        rise = np.nan_to_num(values[1:] - values[:-1] - rounding[1:], nan=-np.inf)
    worst = int(np.argmax(rise))
    if rise[worst] > 0:
        raise ValueError(
            must("function", "decreasing on [0, 1]", float(values[worst + 1]))
            + f" at q = {_GRID[worst + 1]}, above {values[worst]} at q = {_GRID[worst]}"
        )

    before, middle, after = _GRID[:-2], _GRID[1:-1], _GRID[2:]
    share = (after - middle) / (after - before)
    with np.errstate(invalid="ignore"):
        chord = share * values[:-2] + (1.0 - share) * values[2:]
        above = values[1:-1] - chord - rounding[1:-1] - NOISE * np.abs(values[:-2])
    above = np.nan_to_num(above, nan=-np.inf)
    worst = int(np.argmax(above))
    if above[worst] > 0:
        raise ValueError(
            must("function", "convex on [0, 1]", float(values[worst + 1]))
            + f" at q = {middle[worst]}, above the line from q = {before[worst]} to q = {after[worst]}"
        )
