"""The losses that are known by name; all that is known about one is in its class.

To add a loss, write its class here and list it in ``__all__`` and ``NAMED``.  Nothing else has to change: for many
classes a convex loss without a closed form is bounded by secants and solved with a table of its slopes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lossfloor.losses.base import SMALLEST_NORMAL, BoolArray, FloatArray, Loss, sum_downwards

__all__ = ["Brier", "CrossEntropy", "Spherical", "ZeroOne"]


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
    unit = "nats"
    convex = True
    core_name = "log"

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
            log_ratio = np.where(ratio >= SMALLEST_NORMAL, np.log(ratio), np.log(small) - np.log(large))
            rarer = np.where(small > 0, -small * log_ratio, 0.0)
        return (small + large) * np.log1p(ratio) + rarer

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        # With two positive weights this is the logarithm of an algebraic number other than 1: never rational.
        return None if a > 0 and b > 0 else Fraction(0)

    def _risk_of_many(self, weights: FloatArray) -> FloatArray:
        total = weights.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(weights > 0, weights * np.log(total / np.where(weights > 0, weights, 1.0)), 0.0)
        risk: FloatArray = terms.sum(axis=0)
        return risk

    def sum_of_tilted_minima(self, weights: Sequence[int], slopes: Sequence[int]) -> Fraction:
        """Each minimum is s where s <= w, else ``w + w log(s / w)``."""
        pairs = list(zip(weights, slopes, strict=True))
        plain = sum(min(w, s) for w, s in pairs)
        # Of the excess over 1, which is right to a rounding: then each term is right to a few units in the last place,
        # also where s / w is near 1.
        logs = np.array([w * math.log1p((s - w) / w) for w, s in pairs if s > w])
        return plain + sum_downwards(logs * (1 - 2.0**-49))


@dataclass(frozen=True, repr=False)
class ZeroOne(Loss):
    r"""0-1 loss of a randomised classifier: :math:`l(q) = 1 - q`, the probability of a wrong answer.

    :math:`H(\pi) = \min(\pi, 1 - \pi)`.  ``g`` is 1 for ``pi > 1/2`` and 0 for ``pi < 1/2``; at 1/2, where every answer
    costs the same, it is 1: the first class wins ties.  So the best randomised classifier of two classes does not need
    randomness, and the floor is also that of deterministic classifiers.

    Examples
    --------
    >>> ZeroOne().bayes_risk([0.2, 0.5, 0.75])
    array([0.2 , 0.5 , 0.25])
    >>> ZeroOne().minimizer([0.2, 0.5, 0.75])
    array([0., 1., 1.])
    """

    name = "zero_one"
    label = "0-1 loss"
    proper = False
    convex = True
    core_name = "linear"

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

    def _risk_of_many(self, weights: FloatArray) -> FloatArray:
        return np.asarray(weights.sum(axis=0) - weights.max(axis=0))

    def sum_of_tilted_minima(self, weights: Sequence[int], slopes: Sequence[int]) -> Fraction:
        """Each minimum is the smaller of w and s."""
        return Fraction(sum(min(w, s) for w, s in zip(weights, slopes, strict=True)))


@dataclass(frozen=True, repr=False)
class Brier(_ProperLoss):
    r"""Brier or squared loss: :math:`l(q) = (1 - q)^2`.

    :math:`H(\pi) = \pi (1 - \pi)` and ``g(pi) = pi``.  For two classes it is half of the Brier score that sums the
    squares over both classes.

    Examples
    --------
    >>> Brier().bayes_risk([0.2, 0.5])
    array([0.16, 0.25])
    """

    name = "brier"
    label = "Brier loss"
    convex = True
    core_name = "square"

    def _loss(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return (1.0 - q) ** 2

    def _gradient(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return 2.0 * (q - 1.0)

    def _risk(self, a: FloatArray, b: FloatArray) -> FloatArray:
        small, _, ratio = _ordered(a, b)
        return small / (1.0 + ratio)  # a b / (a + b)

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        return a * b / (a + b) if a + b > 0 else Fraction(0)

    def _risk_of_many(self, weights: FloatArray) -> FloatArray:
        """Minimise ``sum w (1 - h)**2`` over distributions h.

        If the m heaviest classes get a positive probability, ``1 - h = (m - 1) / (w sum 1/w)`` in each of them.  A
        class gets one if this is below 1.
        """
        ordered = -np.sort(-weights, axis=0)
        k = len(ordered)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = np.cumsum(1.0 / ordered, axis=0)
            m = np.arange(k)[:, None]
            used = (ordered > 0) & (m < ordered * inverse)
            count = np.maximum(used.sum(axis=0), 1)
            columns = np.arange(ordered.shape[1])
            inside = (count - 1) ** 2 / np.where(count > 1, inverse[count - 1, columns], 1.0)
        outside = np.where(np.arange(k)[:, None] >= count, ordered, 0.0).sum(axis=0)
        return np.asarray(inside + outside)

    def sum_of_tilted_minima(self, weights: Sequence[int], slopes: Sequence[int]) -> Fraction:
        """Each minimum is ``s - s^2 / 4w`` where s < 2w, else w."""
        plain = 0
        squares: dict[int, int] = {}  # by weight, so that there is one quotient per weight
        for w, s in zip(weights, slopes, strict=True):
            plain += s if s < 2 * w else w
            if s < 2 * w:
                squares[w] = squares.get(w, 0) + s * s
        return plain - sum((Fraction(value, 4 * w) for w, value in squares.items()), Fraction(0))


@dataclass(frozen=True, repr=False)
class Spherical(_ProperLoss):
    r"""Spherical loss of two classes: :math:`l(q) = 1 - q / \sqrt{q^2 + (1 - q)^2}`.

    :math:`H(\pi) = 1 - \sqrt{\pi^2 + (1 - \pi)^2}` and ``g(pi) = pi``.

    Notes
    -----
    The loss is proper but not convex in ``q``: it is concave for ``q < (7 - sqrt(17)) / 8 = 0.36``.  For two classes
    its floor is valid all the same, as for every proper loss that decreases: such a loss is a mixture of cost-weighted
    0-1 losses (Schervish, 1989), and one isotonic solution has the optimal level sets of them all.

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


def _ordered(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the smaller and the larger weight and their quotient, which is 0 where both are 0."""
    small, large = np.minimum(a, b), np.maximum(a, b)
    ratio = np.zeros(small.shape)
    with np.errstate(under="ignore"):
        np.divide(small, large, out=ratio, where=large > 0)
    return small, large, ratio


#: Losses by the names that `resolve` and the command line know.
NAMED: dict[str, type[Loss]] = {
    "cross-entropy": CrossEntropy,
    "zero-one": ZeroOne,
    "brier": Brier,
    "spherical": Spherical,
}
