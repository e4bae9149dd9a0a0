r"""Losses, and what the best classifier must pay for each on a block of the solution.

A *loss* ``l(q)`` is a decreasing function of the probability ``q`` that a classifier keeps on the true class.
A solver of two classes returns blocks.  A block in which the first class weighs ``a`` and the second ``b``
has the conflict posterior ``pi = a / (a + b)`` and costs, for each unit of its weight,

.. math:: H(\pi) = \min_{0 \le t \le 1} \; \pi \, l(t) + (1 - \pi) \, l(1 - t),

reached at ``t = g(pi)``: first-class examples of the block keep ``q = t``, second-class examples keep
``q = 1 - t``.  `Loss.bayes_risk` is ``H`` and `Loss.minimizer` is ``g``.

Why the blocks serve every loss.  With ``t = q`` on the first class and ``t = 1 - q`` on the second, conflicts
say ``t_u <= t_v``, and the loss is minimised over an order.  The level sets ``{pi > c}`` of the blocks solve,
for every threshold ``c`` at once, the problem in which a first-class example with ``t <= c`` costs ``1 - c``
and a second-class example with ``t > c`` costs ``c``.

- A *convex* loss is minimised by an isotonic regression, whose level sets are cuts of this kind.
- A *proper* loss, one with ``g(pi) = pi``, is a mixture of these threshold problems (Schervish, 1989), so
  ``t = pi`` solves all of its parts.  It need not be convex in ``q``.

References
----------
A. N. Bhagoji, D. Cullina, V. Sehwag, P. Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of
Test-time Adversaries", ICML 2021.

M. J. Schervish, "A General Method for Comparing Probability Assessors", Annals of Statistics 17(4), 1989.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._validation import as_fraction, must, unknown

__all__ = ["Brier", "Convex", "Costs", "CrossEntropy", "Loss", "Spherical", "ZeroOne", "resolve"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_EPS = float(np.finfo(np.float64).eps)
_SMALLEST_NORMAL = float(np.finfo(np.float64).smallest_normal)
_SMALLEST = math.ulp(0.0)
_BELOW_ONE = math.nextafter(1.0, 0.0)


class Loss(ABC):
    """A decreasing function of the probability that a classifier keeps on the true class.

    Losses are small immutable values: equal when they mean the same, hashable, cheap to make.

    Attributes
    ----------
    name : str
        Short name, for instance ``"cross_entropy"``.
    proper : bool
        Whether the posterior itself is a best answer, ``g(pi) = pi``.  False means no, or not known.
    convex : bool
        Whether the loss is convex in ``q``.

    Notes
    -----
    `bayes_risk` and its siblings belong to two classes.  They are the floor of a block if the loss is convex
    or proper, or one of these with class-dependent costs, which holds for every loss of this module.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name of the loss."""

    @property
    @abstractmethod
    def proper(self) -> bool:
        """Whether ``g(pi) = pi``."""

    @property
    @abstractmethod
    def convex(self) -> bool:
        """Whether the loss is convex in ``q``."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __call__(self, q: npt.ArrayLike, second: npt.ArrayLike | None = None) -> FloatArray:
        """Loss of each example.

        Parameters
        ----------
        q : array_like of any shape, in [0, 1]
            Probability kept on the true class.
        second : array_like of bool, broadcast to the shape of `q`, optional
            Which entries belong to the second class.  Only `Costs` reads it, and needs it.

        Returns
        -------
        ndarray of float64, the shape of `q`
            Infinite where the loss is, which can happen at ``q = 0`` only.

        Raises
        ------
        TypeError
            If `q` is not made of real numbers, or `second` not of booleans.
        ValueError
            If an entry of `q` is NaN or outside [0, 1], or the shapes do not match.
        """
        probability = _probabilities("q", q)
        loss = self._loss(probability.ravel(), _side(second, probability.shape))
        return loss.reshape(probability.shape)

    def gradient(self, q: npt.ArrayLike, second: npt.ArrayLike | None = None) -> FloatArray:
        """Differentiate each example's loss: ``dl/dq``, at most 0.

        Parameters, errors and the shape of the answer are those of calling the loss.

        Returns
        -------
        ndarray of float64, the shape of `q`
            At 0 and 1 the one-sided derivative, which may be -inf at 0.
        """
        probability = _probabilities("q", q)
        gradient = self._gradient(probability.ravel(), _side(second, probability.shape))
        return gradient.reshape(probability.shape)

    def bayes_risk(self, pi: npt.ArrayLike) -> FloatArray:
        """Smallest expected loss ``H(pi)`` when the first class has probability `pi`.

        Parameters
        ----------
        pi : array_like of any shape, in [0, 1]
            Conflict posterior ``a / (a + b)`` of each block.

        Returns
        -------
        ndarray of float64, the shape of `pi`
            Not above the true minimum, but for rounding: a few units in the last place.

        Raises
        ------
        TypeError
            If `pi` is not made of real numbers.
        ValueError
            If an entry is NaN or outside [0, 1].
        """
        posterior = _probabilities("pi", pi)
        first = posterior.ravel()
        return self._risk(first, 1.0 - first).reshape(posterior.shape)

    def block_risk(self, a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
        """Smallest total loss ``(a + b) H(a / (a + b))`` of blocks with weights `a` and `b`.

        It is computed from the weights and not from their rounded quotient, so that it keeps its relative
        accuracy when one of them is tiny beside the other.

        Parameters
        ----------
        a, b : array_like of the same shape, finite and not negative
            Weight of the first and of the second class in each block.

        Returns
        -------
        ndarray of float64, the shape of `a`

        Raises
        ------
        TypeError
            If the weights are not real numbers.
        ValueError
            If a weight is NaN, infinite or negative, or the shapes differ.

        Examples
        --------
        >>> ZeroOne().block_risk([3, 10**15], [7, 1])
        array([3., 1.])
        """
        first, second = _weights("a", a), _weights("b", b)
        if first.shape != second.shape:
            raise ValueError(must("b", f"of the shape of 'a', {first.shape}", f"shape {second.shape}"))
        return self._risk(first.ravel(), second.ravel()).reshape(first.shape)

    def exact_bayes_risk(self, a: int, b: int) -> Fraction | None:
        """Exact total loss ``(a + b) H(a / (a + b))`` of one block, where it is a known rational number.

        Parameters
        ----------
        a, b : int
            Weight of the first and of the second class; not negative.

        Returns
        -------
        Fraction or None
            None if the value is irrational (cross-entropy, spherical) or not known exactly (any callable).

        Raises
        ------
        TypeError
            If a weight is not an integer.
        ValueError
            If a weight is negative.

        Examples
        --------
        >>> Brier().exact_bayes_risk(1, 2)
        Fraction(2, 3)
        >>> CrossEntropy().exact_bayes_risk(1, 2) is None
        True
        """
        return self._exact(_count("a", a), _count("b", b))

    def minimizer(self, pi: npt.ArrayLike) -> FloatArray:
        """Best probability ``g(pi)`` to keep on the first class when that class has probability `pi`.

        Parameters
        ----------
        pi : array_like of any shape, in [0, 1]
            Conflict posterior of each block.

        Returns
        -------
        ndarray of float64, the shape of `pi`
            Never decreasing in `pi`, so that the answers of one call together respect every conflict.

        Raises
        ------
        TypeError
            If `pi` is not made of real numbers.
        ValueError
            If an entry is NaN or outside [0, 1].
        """
        posterior = _probabilities("pi", pi)
        return self._minimizer(posterior.ravel()).reshape(posterior.shape)

    # What a loss must say of itself.  The methods above have checked the arguments and made them flat.

    @abstractmethod
    def _loss(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        """Loss at q."""

    @abstractmethod
    def _gradient(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        """Slope at q."""

    @abstractmethod
    def _risk(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """``min_t a l(t) + b l(1 - t)``: positively homogeneous, 0 where both weights are 0."""

    @abstractmethod
    def _minimizer(self, pi: FloatArray) -> FloatArray:
        """Where the minimum of `_risk` at ``(pi, 1 - pi)`` lies."""

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        """`_risk` in exact arithmetic, if it is rational."""
        return None


class _ProperLoss(Loss):
    """A loss for which the posterior is the best answer."""

    proper = True

    def _minimizer(self, pi: FloatArray) -> FloatArray:
        return pi.copy()


@dataclass(frozen=True, repr=False)
class CrossEntropy(_ProperLoss):
    r"""Cross-entropy or log loss, in nats: :math:`l(q) = -\log q`.

    ``H`` is the binary entropy :math:`-\pi \log \pi - (1 - \pi) \log(1 - \pi)` and ``g(pi) = pi``.

    Examples
    --------
    >>> CrossEntropy().bayes_risk([0.5, 0.1, 0.0])
    array([0.69314718, 0.32508297, 0.        ])
    >>> CrossEntropy()([1.0, 0.5, 0.0])
    array([0.        , 0.69314718,        inf])
    """

    name = "cross_entropy"
    convex = True

    def _loss(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        with np.errstate(divide="ignore"):
            return 0.0 - np.log(q)  # not -log(q), which is -0.0 at q = 1

    def _gradient(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        with np.errstate(divide="ignore", over="ignore"):
            return -1.0 / q

    def _risk(self, a: FloatArray, b: FloatArray) -> FloatArray:
        # a log((a + b) / a) + b log((a + b) / b) as a sum of terms that are not negative: nothing cancels.
        small, large, ratio = _ordered(a, b)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_ratio = np.where(ratio >= _SMALLEST_NORMAL, np.log(ratio), np.log(small) - np.log(large))
            rarer = np.where(small > 0, -small * log_ratio, 0.0)
        return (small + large) * np.log1p(ratio) + rarer

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        # With two positive weights this is the logarithm of an algebraic number other than 1: never rational.
        return None if a > 0 and b > 0 else Fraction(0)


@dataclass(frozen=True, repr=False)
class ZeroOne(Loss):
    r"""0-1 loss of a randomised classifier: :math:`l(q) = 1 - q`, the probability of a wrong answer.

    :math:`H(\pi) = \min(\pi, 1 - \pi)`.  ``g`` is 1 for ``pi > 1/2`` and 0 for ``pi < 1/2``; at 1/2, where
    every answer costs the same, it is 1: the first class wins ties.  So the best randomised classifier of two
    classes needs no chance at all, and the floor is that of deterministic classifiers too.

    Examples
    --------
    >>> ZeroOne().bayes_risk([0.2, 0.5, 0.75])
    array([0.2 , 0.5 , 0.25])
    >>> ZeroOne().minimizer([0.2, 0.5, 0.75])
    array([0., 1., 1.])
    """

    name = "zero_one"
    proper = False
    convex = True

    def _loss(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return 1.0 - q

    def _gradient(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return np.full(q.shape, -1.0)

    def _risk(self, a: FloatArray, b: FloatArray) -> FloatArray:
        return np.minimum(a, b)

    def _minimizer(self, pi: FloatArray) -> FloatArray:
        return np.where(pi >= 0.5, 1.0, 0.0)

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        return min(a, b)


@dataclass(frozen=True, repr=False)
class Brier(_ProperLoss):
    r"""Brier or squared loss: :math:`l(q) = (1 - q)^2`.

    :math:`H(\pi) = \pi (1 - \pi)` and ``g(pi) = pi``.  It is half of the Brier score that sums the squares
    over both classes.

    Examples
    --------
    >>> Brier().bayes_risk([0.2, 0.5])
    array([0.16, 0.25])
    """

    name = "brier"
    convex = True

    def _loss(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return (1.0 - q) ** 2

    def _gradient(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return 2.0 * (q - 1.0)

    def _risk(self, a: FloatArray, b: FloatArray) -> FloatArray:
        small, _, ratio = _ordered(a, b)
        return small / (1.0 + ratio)  # a b / (a + b)

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        return a * b / (a + b) if a + b > 0 else Fraction(0)


@dataclass(frozen=True, repr=False)
class Spherical(_ProperLoss):
    r"""Spherical loss of two classes: :math:`l(q) = 1 - q / \sqrt{q^2 + (1 - q)^2}`.

    :math:`H(\pi) = 1 - \sqrt{\pi^2 + (1 - \pi)^2}` and ``g(pi) = pi``.

    Notes
    -----
    The loss is proper but not convex in ``q``: it bends the other way for ``q < (7 - sqrt(17)) / 8 = 0.36``.
    What is said of two classes holds all the same, for every proper loss that decreases: such a loss is a
    mixture of cost-weighted 0-1 losses (Schervish, 1989), and one isotonic solution has the optimal level
    sets of them all.

    Examples
    --------
    >>> Spherical().bayes_risk([0.0, 0.5])
    array([0.        , 0.29289322])
    """

    name = "spherical"
    convex = False

    def _loss(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        norm: FloatArray = np.hypot(q, 1.0 - q)
        return (1.0 - q) ** 2 / (norm * (norm + q))  # (norm - q) / norm without its cancellation

    def _gradient(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        norm: FloatArray = np.hypot(q, 1.0 - q)
        return (q - 1.0) / norm**3

    def _risk(self, a: FloatArray, b: FloatArray) -> FloatArray:
        # a + b - hypot(a, b) = 2 a b / (a + b + hypot(a, b)), whose terms are all positive.
        small, _, ratio = _ordered(a, b)
        return 2.0 * small / (1.0 + ratio + np.hypot(1.0, ratio))

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        square = a * a + b * b
        root = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
        return a + b - root if root * root == square else None


@dataclass(frozen=True, init=False, repr=False)
class Costs(Loss):
    r"""A loss whose two classes cost differently: `first` times as much on the first, `second` on the second.

    With costs :math:`c_A, c_B` a block with weights ``a`` and ``b`` costs what a block with weights
    :math:`c_A a` and :math:`c_B b` costs without them, hence

    .. math:: H(\pi) = (\pi c_A + (1 - \pi) c_B) \, H_l(\pi'), \qquad
              \pi' = \frac{\pi c_A}{\pi c_A + (1 - \pi) c_B}, \qquad g(\pi) = g_l(\pi').

    As :math:`\pi'` grows with :math:`\pi`, the blocks are the same as without costs.

    Parameters
    ----------
    loss : Loss, str or callable
        The loss of either class before costs; see `resolve`.
    first, second : int, float, str or Fraction
        Costs of the first and of the second class, greater than 0.  A float is read as the decimal that
        prints it.

    Raises
    ------
    TypeError
        If a cost is not a number, or `loss` is no loss.
    ValueError
        If a cost is not positive, or not a float's size.

    Examples
    --------
    >>> loss = Costs("zero-one", first=5, second=1)
    >>> loss
    Costs(ZeroOne(), first=5, second=1)
    >>> loss.bayes_risk([0.1, 0.5])
    array([0.5, 0.5])
    >>> loss([0.2, 0.2], second=[False, True])
    array([4. , 0.8])
    """

    loss: Loss
    first: Fraction
    second: Fraction

    def __init__(
        self,
        loss: Loss | type[Loss] | str | Callable[..., Any],
        first: float | str | Fraction,
        second: float | str | Fraction,
    ) -> None:
        object.__setattr__(self, "loss", resolve(loss))
        object.__setattr__(self, "first", _cost("first", first))
        object.__setattr__(self, "second", _cost("second", second))

    @property
    def name(self) -> str:
        """Name of the loss with its costs, as in ``"brier (costs 2:1)"``."""
        return f"{self.loss.name} (costs {self.first}:{self.second})"

    @property
    def proper(self) -> bool:
        """Whether ``g(pi) = pi``, which unequal costs undo."""
        return self.loss.proper and self.first == self.second

    @property
    def convex(self) -> bool:
        """Whether the loss is convex in ``q``."""
        return self.loss.convex

    def __repr__(self) -> str:
        return f"Costs({self.loss!r}, first={self.first}, second={self.second})"

    def _loss(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return self._factor(second) * self.loss._loss(q, second)

    def _gradient(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return self._factor(second) * self.loss._gradient(q, second)

    def _risk(self, a: FloatArray, b: FloatArray) -> FloatArray:
        return self.loss._risk(float(self.first) * a, float(self.second) * b)

    def _minimizer(self, pi: FloatArray) -> FloatArray:
        # 1 / (1 + b / a) rather than a / (a + b): each rounding keeps the order, so g never decreases.
        with np.errstate(divide="ignore", over="ignore"):
            odds_against = float(self.second) * (1.0 - pi) / (float(self.first) * pi)
        posterior = 1.0 / (1.0 + odds_against)
        # What was possible must not round to impossible: it could make the loss infinite.
        mixed = (pi > 0) & (pi < 1)
        posterior[mixed] = np.clip(posterior[mixed], _SMALLEST, _BELOW_ONE)
        return self.loss._minimizer(posterior)

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        return self.loss._exact(self.first * a, self.second * b)

    def _factor(self, second: BoolArray | None) -> FloatArray:
        if second is None:
            if self.first != self.second:
                raise TypeError(
                    must("second", "given (which entries are of the second class) for a loss with costs", None)
                )
            return np.asarray(float(self.first))
        return np.where(second, float(self.second), float(self.first))


# The search of Convex looks at 16 equal cells, keeps four of them and cuts these into 16 again.  All its
# points are multiples of 2^-52, for which 1 - t is exact.
_CELLS = 16
_DEPTHS = 25
# What a callable is trusted to: each value is right to a few units of rounding.
_NOISE = 64 * _EPS
_TOLERANCE = 1e-12
# Differences of smaller numbers than this are made of subnormal numbers, which have few digits.
_COARSE_NUMBERS = _SMALLEST_NORMAL / _EPS
# Rows that are searched together, which bounds the memory.
_ROWS = 4096
# Every callable is looked at here first: evenly, and ever closer to both ends.
_COARSE = 512
_ENDS = 0.5 ** np.arange(10, 41)
_GRID = np.unique(np.concatenate([np.arange(_COARSE + 1) / _COARSE, _ENDS, 1.0 - _ENDS]))


@dataclass(frozen=True, init=False, repr=False)
class Convex(Loss):
    r"""Any convex decreasing function of ``q``.

    Parameters
    ----------
    function : callable
        Takes an array of shape (n,) of numbers in [0, 1] and returns the losses, of the same shape.  A
        function of one number is fine too, but slower.  It may be infinite at 0 (or raise there, if it takes
        one number).  Each value must be right to a few units of rounding.
    name : str, optional
        Name of the loss; the name of the function by default.

    Raises
    ------
    TypeError
        If `function` cannot be called or `name` is no string.
    ValueError
        If, on a grid of some 570 points, the function fails to be real, finite for ``q >= 1/512``, free of
        NaN, decreasing and convex (all but for rounding).  The message says what failed and where.

    Notes
    -----
    ``H`` is found by bracketing the minimum of the convex function

    .. math:: f(t) = \pi \, l(t) + (1 - \pi) \, l(1 - t),

    and what is returned is a *proved lower bound*: between two points, a convex function lies above the
    secants through the points to their left and to their right, prolonged.  The bound is at most ``1e-12 s``
    below the smallest value found, where ``s`` is the size of the loss there: ``|l(1)| + |f|`` and how much
    ``f`` changes within 1/8 of its minimum.  If that cannot be reached the function is not convex, or not
    accurate, and a ValueError says so.  The proof rests on what a grid can only sample: that the function is
    convex and decreasing, and that its values are right to a few units of rounding.

    `bayes_risk` is exactly ``l(1)`` at ``pi = 0`` and ``pi = 1``.

    `minimizer` returns a point whose value is within twice this bound of the smallest; where the best point
    is not unique, any of them.

    `gradient` is a difference quotient, good to about ten digits where the function is smooth and ``q`` not
    tiny; at a kink it lies between the slopes of the two sides.

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
        """Call the function, and believe nothing that it returns."""
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
        step = np.where(q > 0, np.maximum(q * 2.0**-17, _SMALLEST_NORMAL), 2.0**-26)
        middle = np.clip(q, step, 1.0 - step)
        before, after = middle - step, middle + step
        value_before, value, value_after = self._values(before), self._values(middle), self._values(after)
        with np.errstate(invalid="ignore", over="ignore"):
            slope_before = (value - value_before) / (middle - before)
            slope_after = (value_after - value) / (after - middle)
            # The derivative at q of the parabola through the three points; q need not be the middle one.
            slope = slope_before + (0.5 + (q - middle) / step) * (slope_after - slope_before)
        # No value is NaN: the slope is where the function falls from infinity, or too steeply for a number.
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
        # The true minimizers never decrease with pi.  To replace one by a larger one that belongs to a
        # smaller pi adds no more than the gap of the latter: the difference of two such f decreases in t.
        order = np.argsort(pi, kind="stable")
        best[order] = np.maximum.accumulate(best[order])
        return best

    def _search(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Minimise ``a l(t) + b l(1 - t)`` in each row; ``a, b > 0`` add up to 1.

        Returns the lower bounds and the best points.
        """
        lower, best = np.empty(a.shape), np.empty(a.shape)
        for start in range(0, a.size, _ROWS):
            rows = slice(start, start + _ROWS)
            lower[rows], best[rows] = self._search_rows(a[rows], b[rows])
        return lower, best

    def _search_rows(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        at_one = float(self._values(np.ones(1))[0])

        def mixture(rows: npt.NDArray[np.intp], t: FloatArray) -> FloatArray:
            return a[rows, None] * self._values(t) + b[rows, None] * self._values(1.0 - t)

        # The function decreases, which bounds it from below by a l(1) + b l(1).
        return _bracket(mixture, a * at_one + b * at_one, abs(at_one), lambda q: f"{q} or {1 - q}")


def tilted_minimum(loss: Loss, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minimise ``l(t) + slope t`` over [0, 1] for a convex loss, by values alone.

    Parameters
    ----------
    loss : Loss
        Convex, the same for all examples (no `Costs`).
    slope : ndarray of float64, shape (n,)
        Finite and not negative.

    Returns
    -------
    lower : ndarray of float64, shape (n,)
        Proved lower bounds of the minima, as for `Convex`: convexity makes secants into bounds.
    point : ndarray of float64, shape (n,)
        Where the smallest values were seen.

    Raises
    ------
    ValueError
        If the loss turns out not to be convex, or its values not to be right to a few units of rounding.
    """
    at_one = float(loss(1.0))
    lower, point = np.empty(slope.shape), np.empty(slope.shape)
    for start in range(0, slope.size, _ROWS):
        some = slope[start : start + _ROWS]

        def tilted(rows: npt.NDArray[np.intp], t: FloatArray, some: FloatArray = some) -> FloatArray:
            return loss._loss(t.ravel(), None).reshape(t.shape) + some[rows, None] * t

        part = slice(start, start + _ROWS)
        lower[part], point[part] = _bracket(tilted, np.full(some.shape, at_one), abs(at_one), str)
    return lower, point


def _bracket(
    function: Callable[[npt.NDArray[np.intp], FloatArray], FloatArray],
    lower: FloatArray,
    least_size: float,
    describe: Callable[[float], str],
) -> tuple[FloatArray, FloatArray]:
    """Bracket the minimum over [0, 1] of one convex function per row.

    Parameters
    ----------
    function : callable
        Takes numbers of rows and points, shape (rows, m), and returns the values of these rows there.
    lower : ndarray, shape (n,)
        A lower bound of each minimum that is known already.
    least_size : float
        The size of the functions for rounding is at least this.
    describe : callable
        Names a point in an error message.

    Returns
    -------
    lower, point : ndarray, shape (n,)
        Better lower bounds, and the points of the smallest values that were seen.
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
        noise = _NOISE * (size[rows] + cells.spread)
        lower[rows] = np.maximum(lower[rows], cells.value - cells.gap - noise)
        better = cells.value < value[rows]
        point[rows[better]] = cells.point[better]
        value[rows] = np.minimum(value[rows], cells.value)
        left[rows] = cells.start
        rows = rows[value[rows] - lower[rows] > 2 * _NOISE * size[rows]]
        if rows.size == 0:
            break
    missed = value - lower > _TOLERANCE * size
    if missed.any():
        where = describe(float(point[missed][0]))
        what = "convex and right to a few units of rounding"
        raise ValueError(must("function", what, f"values near q = {where} that are not"))
    return np.minimum(lower, value), point


def resolve(loss: Loss | type[Loss] | str | Callable[..., Any]) -> Loss:
    """Turn what a user hands in for a loss into a `Loss`.

    Parameters
    ----------
    loss : Loss, class of a Loss, str or callable
        A loss; the class of one that needs no arguments; one of the names ``"cross-entropy"``,
        ``"zero-one"``, ``"brier"`` and ``"spherical"`` (an underscore may stand for the hyphen); or a convex
        decreasing function of the probability kept on the true class, see `Convex`.

    Returns
    -------
    Loss

    Raises
    ------
    TypeError
        If `loss` is none of these.
    ValueError
        If the name is unknown, or the callable is not convex and decreasing.

    Examples
    --------
    >>> resolve("zero-one")
    ZeroOne()
    >>> resolve(lambda q: 1 - q)
    Convex(convex)
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        named = _NAMED.get(loss.replace("_", "-"))
        if named is None:
            raise ValueError(unknown("loss", loss, _NAMED))
        return named()
    if isinstance(loss, type) and issubclass(loss, Loss):
        try:
            return loss()
        except TypeError:
            raise TypeError(must("loss", f"an instance of {loss.__name__}, which takes arguments", loss)) from None
    if callable(loss):
        return Convex(loss)
    raise TypeError(must("loss", "a Loss, the name of one or a convex decreasing function", loss))


_NAMED: dict[str, type[Loss]] = {
    "cross-entropy": CrossEntropy,
    "zero-one": ZeroOne,
    "brier": Brier,
    "spherical": Spherical,
}


class _Neighbourhood:
    """The smallest of a convex function's values at equally spaced points, and what its neighbours prove.

    Of the five points around the smallest, the outer ones give slopes from which the function cannot fall
    away any faster in the two cells between the inner ones.

    Parameters
    ----------
    t, f : ndarray, shape (n, m)
        In each row equally spaced points in [0, 1], and the convex function there; it may be infinite, not
        everywhere.

    Attributes
    ----------
    point, value : ndarray, shape (n,)
        The smallest value and the first point that has it.
    start : ndarray, shape (n,)
        Where the next, finer look begins: two cells to the left, if these are inside.
    rise : ndarray, shape (n,)
        How far the function rises in two cells, on the side where it rises less.
    gap : ndarray, shape (n,)
        The minimum of the function is at most so far below `value`.
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
    """How far below its inner end a convex function can fall in one cell.

    Let the function rise by ``inner`` from the cell's inner end to its outer end, by ``outer`` over the next
    cell outwards and by ``opposite`` over the next cell on the inner side.  Over the cell it lies above both
    secants prolonged, which meet ``(outer - inner) opposite / (outer + opposite)`` below the inner end.
    """
    outer = np.maximum(outer, 0.0)  # rounding can make it negative
    gap = opposite.copy()  # what one of the lines proves if the other is vertical, or as good as
    both = np.isfinite(outer) & (opposite > 1e-300 * outer)
    gap[both] = np.maximum(outer[both] - inner[both], 0.0) / (1.0 + outer[both] / opposite[both])
    return gap


def _second_difference(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """``outer - inner`` and an allowance for the rounding of a steep side; infinite where it is not known."""
    bend = np.full(outer.shape, np.inf)
    np.subtract(outer, inner * (1.0 - _NOISE), out=bend, where=np.isfinite(outer))
    return bend


def _takes_arrays(function: Callable[..., Any]) -> bool:
    """Whether the function takes an array at once; if not it is called with one number at a time."""
    try:
        with np.errstate(all="ignore"):
            function(np.array([0.0, 0.5, 1.0]))
    except (TypeError, ValueError, ArithmeticError):
        return False
    return True


def _value_at(function: Callable[..., Any], q: np.float64) -> Any:
    """Call a function of one number; to raise at 0 is how some say infinity there."""
    try:
        return function(q)
    except (TypeError, ValueError, ArithmeticError) as error:
        if q == 0 and not isinstance(error, TypeError):
            return np.inf
        what = "one that takes an array of numbers in [0, 1], or one such number"
        raise ValueError(must("function", what, f"{type(error).__name__}: {error}") + f" at q = {q}") from error


def _check_convex_decreasing(values: FloatArray, at_half: FloatArray) -> None:
    """Check the values of a callable on `_GRID`; `at_half` are its values at half of each point.

    A convex decreasing function has ``q |l'(q)| <= 2 (l(q / 2) - l(q))``, so the values at half of each point
    tell how much of a difference is rounding.
    """
    infinite = np.isinf(values) & (_GRID >= 1 / _COARSE)
    if infinite.any():
        where = int(np.argmax(infinite))
        raise ValueError(must("function", "finite on (0, 1]", float(values[where])) + f" at q = {_GRID[where]}")

    rounding = _NOISE * (np.abs(at_half) + np.abs(values) + abs(values[-1]))
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
        above = values[1:-1] - chord - rounding[1:-1] - _NOISE * np.abs(values[:-2])
    above = np.nan_to_num(above, nan=-np.inf)
    worst = int(np.argmax(above))
    if above[worst] > 0:
        raise ValueError(
            must("function", "convex on [0, 1]", float(values[worst + 1]))
            + f" at q = {middle[worst]}, above the line from q = {before[worst]} to q = {after[worst]}"
        )


def _ordered(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Smaller and larger weight and their quotient, which is 0 where both are 0."""
    small, large = np.minimum(a, b), np.maximum(a, b)
    ratio = np.zeros(small.shape)
    with np.errstate(under="ignore"):
        np.divide(small, large, out=ratio, where=large > 0)
    return small, large, ratio


def _real_numbers(name: str, value: npt.ArrayLike) -> FloatArray:
    """Read an array of real numbers as float64."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(must(name, "an array (its rows of equal length)", value)) from None
    numbers = array.dtype == object and all(isinstance(entry, Real) for entry in array.flat)
    if not (numbers or array.dtype.kind in "iuf"):
        raise TypeError(must(name, "made of real numbers", value))
    return array.astype(np.float64)


def _probabilities(name: str, value: npt.ArrayLike) -> FloatArray:
    """Read an array of numbers in [0, 1]."""
    array = _real_numbers(name, value)
    outside = ~((array >= 0) & (array <= 1))
    if outside.any():
        raise ValueError(must(name, "in [0, 1]", float(array[outside][0])))
    return array


def _weights(name: str, value: npt.ArrayLike) -> FloatArray:
    """Read an array of finite numbers that are not negative."""
    array = _real_numbers(name, value)
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        raise ValueError(must(name, "finite and not negative", float(array[bad][0])))
    return array


def _side(second: npt.ArrayLike | None, shape: tuple[int, ...]) -> BoolArray | None:
    """Read which entries belong to the second class."""
    if second is None:
        return None
    array = np.asarray(second)
    if array.dtype != np.bool_:
        raise TypeError(must("second", "made of booleans", second))
    try:
        return np.broadcast_to(array, shape).ravel()
    except ValueError:
        raise ValueError(must("second", f"of the shape of 'q', {shape}", f"shape {array.shape}")) from None


def _count(name: str, value: int) -> Fraction:
    """Read an integer weight."""
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(must(name, "an integer", value)) from None
    if count < 0:
        raise ValueError(must(name, "not negative", value))
    return Fraction(count)


def _cost(name: str, value: float | str | Fraction) -> Fraction:
    """Read a cost: positive, and as a float neither 0 nor infinite."""
    cost = as_fraction(name, value)
    try:
        as_float = float(cost)
    except OverflowError:
        as_float = math.inf
    if not 0.0 < as_float < math.inf:
        raise ValueError(must(name, "greater than 0 and of a float's size", value))
    return cost
