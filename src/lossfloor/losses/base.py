"""What every loss has in common, and the checks of the arguments."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from numbers import Real
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

EPS = float(np.finfo(np.float64).eps)
SMALLEST_NORMAL = float(np.finfo(np.float64).smallest_normal)


class Loss(ABC):
    """A decreasing function of the probability that a classifier keeps on the true class.

    Losses are small immutable values: equal if they mean the same, hashable, and cheap to make.

    Attributes
    ----------
    name : str
        Short name, for instance ``"cross_entropy"``.
    label : str
        Name to show to people, for instance ``"0-1 loss"``; by default `name` with hyphens.
    unit : str
        Unit of the values, ``"nats"`` for cross-entropy; empty for most losses.
    label_with_unit : str
        Label of an axis, for instance ``"cross-entropy (nats)"``.
    proper : bool
        Whether the posterior itself is a best answer, ``g(pi) = pi``.  False if it is not, or if this is not known.
    convex : bool
        Whether the loss is convex in ``q``.
    depends_on_class : bool
        Whether the two classes may have different losses, as with `Costs`.
    core_name : str or None
        Name by which the compiled solver of many classes knows the loss; None if it needs a table of slopes.

    Notes
    -----
    `bayes_risk`, `block_risk`, `exact_bayes_risk` and `minimizer` are for two classes.  They give the floor of a block
    if the loss is convex or proper, with or without class-dependent costs; every loss of this package is.
    """

    unit: ClassVar[str] = ""
    depends_on_class: ClassVar[bool] = False
    core_name: ClassVar[str | None] = None

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name of the loss."""

    @property
    def label(self) -> str:
        """Name of the loss to show to people."""
        return self.name.replace("_", "-")

    @property
    def label_with_unit(self) -> str:
        """The label, with the unit in parentheses if there is one."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

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
            Which entries belong to the second class.  Only `Costs` uses it, and requires it.

        Returns
        -------
        ndarray of float64, the shape of `q`
            Infinite where the loss is, which is possible at ``q = 0`` only.

        Raises
        ------
        TypeError
            If `q` does not consist of real numbers, or `second` not of booleans.
        ValueError
            If an entry of `q` is NaN or outside [0, 1], or the shapes do not match.
        """
        probability = _probabilities("q", q)
        loss = self._loss(probability.ravel(), _side(second, probability.shape))
        return loss.reshape(probability.shape)

    def gradient(self, q: npt.ArrayLike, second: npt.ArrayLike | None = None) -> FloatArray:
        """Differentiate each example's loss: ``dl/dq``, at most 0.

        Parameters, errors and the shape of the result are those of calling the loss.

        Returns
        -------
        ndarray of float64, the shape of `q`
            At 0 and 1 the one-sided derivative, which may be -inf at 0.
        """
        probability = _probabilities("q", q)
        gradient = self._gradient(probability.ravel(), _side(second, probability.shape))
        return gradient.reshape(probability.shape)

    def bayes_risk(self, pi: npt.ArrayLike) -> FloatArray:
        """Smallest expected loss ``H(pi)`` if the first class has probability `pi`.

        Parameters
        ----------
        pi : array_like of any shape, in [0, 1]
            Conflict posterior ``a / (a + b)`` of each block.

        Returns
        -------
        ndarray of float64, the shape of `pi`
            Not above the true minimum, except for rounding in the last few units.

        Raises
        ------
        TypeError
            If `pi` does not consist of real numbers.
        ValueError
            If an entry is NaN or outside [0, 1].
        """
        posterior = _probabilities("pi", pi)
        first = posterior.ravel()
        return self._risk(first, 1.0 - first).reshape(posterior.shape)

    def block_risk(self, a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
        """Smallest total loss ``(a + b) H(a / (a + b))`` of blocks with weights `a` and `b`.

        It is computed from the weights, not from their rounded quotient, so it keeps its relative accuracy if one of
        them is tiny compared with the other.

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
        >>> from lossfloor.losses import ZeroOne
        >>> ZeroOne().block_risk([3, 10**15], [7, 1])
        array([3., 1.])
        """
        first, second = _weights("a", a), _weights("b", b)
        if first.shape != second.shape:
            raise ValueError(must("b", f"of the shape of 'a', {first.shape}", f"shape {second.shape}"))
        return self._risk(first.ravel(), second.ravel()).reshape(first.shape)

    def risk_of_many(self, weights: npt.ArrayLike) -> FloatArray:
        """Smallest total loss at each point, for any number of classes; for two it is `block_risk`.

        Parameters
        ----------
        weights : array_like, shape (k, m), finite and not negative
            Weight of each of k classes at each of m points.

        Returns
        -------
        ndarray of float64, shape (m,)

        Raises
        ------
        TypeError
            If the weights are not real numbers.
        ValueError
            If a weight is NaN, infinite or negative, the shape is another one, or the Bayes risk of this loss is known
            for two classes only.

        Examples
        --------
        >>> from lossfloor.losses import ZeroOne
        >>> ZeroOne().risk_of_many([[3, 0], [1, 2], [1, 2]])
        array([2., 2.])
        """
        array = _weights("weights", weights)
        if array.ndim != 2 or len(array) == 0:
            raise ValueError(must("weights", "of shape (k, m)", f"shape {array.shape}"))
        risk = self._risk(*array) if len(array) == 2 else self._risk_of_many(array)
        if risk is None:
            raise ValueError(must("loss", "one whose Bayes risk is known for more than two classes", self))
        return risk

    def exact_bayes_risk(self, a: int, b: int) -> Fraction | None:
        """Exact total loss ``(a + b) H(a / (a + b))`` of one block, if it is a known rational number.

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
        >>> from lossfloor.losses import Brier, CrossEntropy
        >>> Brier().exact_bayes_risk(1, 2)
        Fraction(2, 3)
        >>> CrossEntropy().exact_bayes_risk(1, 2) is None
        True
        """
        return self._exact(_count("a", a), _count("b", b))

    def minimizer(self, pi: npt.ArrayLike) -> FloatArray:
        """Best probability ``g(pi)`` to keep on the first class if that class has probability `pi`.

        Parameters
        ----------
        pi : array_like of any shape, in [0, 1]
            Conflict posterior of each block.

        Returns
        -------
        ndarray of float64, the shape of `pi`
            Never decreasing in `pi`, so the answers of one call together respect every conflict.

        Raises
        ------
        TypeError
            If `pi` does not consist of real numbers.
        ValueError
            If an entry is NaN or outside [0, 1].
        """
        posterior = _probabilities("pi", pi)
        return self._minimizer(posterior.ravel()).reshape(posterior.shape)

    def sum_of_tilted_minima(self, weights: Sequence[int], slopes: Sequence[int]) -> Fraction | None:
        r"""Lower bound of :math:`\sum_i \min_{0 \le q \le 1} (w_i \, l(q) + s_i \, q)` from a closed form.

        Each term is, up to signs, the convex conjugate of the loss.  Lower bounds for many classes consist of such
        sums.  The sum is homogeneous: weights and slopes in another unit give it in that unit.

        Parameters
        ----------
        weights, slopes : sequence of int, of the same length
            All positive; not checked.

        Returns
        -------
        Fraction or None
            The exact sum, except that logarithms are rounded downwards.  None if there is no closed form; then
            `tilted_minimum` gives a bound for any convex loss.

        Examples
        --------
        >>> from lossfloor.losses import Brier
        >>> Brier().sum_of_tilted_minima([1, 1], [1, 5])
        Fraction(7, 4)
        """
        return None

    # What each loss defines.  The methods above have checked the arguments and made them flat.

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
        """Where `_risk` at ``(pi, 1 - pi)`` has its minimum."""

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        """`_risk` in exact arithmetic, if it is rational."""
        return None

    def _risk_of_many(self, weights: FloatArray) -> FloatArray | None:
        """`risk_of_many`, if it is known; weights of shape (k, m)."""
        return None


def sum_downwards(terms: FloatArray) -> Fraction:
    """Return the sum of some doubles, rounded downwards."""
    if len(terms) == 0:
        return Fraction(0)
    return Fraction(math.nextafter(math.fsum(terms.tolist()), -math.inf))


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
