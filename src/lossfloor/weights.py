"""Weights of examples as integers, which is what exact arithmetic needs."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must

#: Denominators up to this count as small: such a weight is read as the rational number it appears to be.
_SMALL_DENOMINATOR = 10**6
#: Where weights have no small common denominator they are rounded at this share of the largest.
_ROUNDING = 2.0**-40
_LARGEST_SUM = 2**62


@dataclasses.dataclass(frozen=True)
class IntegerWeights:
    """Integers in proportion to the weights of the examples.

    Attributes
    ----------
    values : ndarray of int64, shape (n,)
        Positive, with a sum below 2**62.
    exact : bool
        Whether the integers are exactly in proportion to the weights that were given; if not, each is rounded at
        2**-40 of the largest.
    """

    values: npt.NDArray[np.int64]
    exact: bool


def as_integers(sample_weight: Any, n: int) -> IntegerWeights:
    """Scale weights to integers.

    Parameters
    ----------
    sample_weight : array_like of shape (n,), or None
        Positive and finite; None gives each example the weight 1.
    n : int
        Number of examples.

    Returns
    -------
    IntegerWeights
        Exactly in proportion where the weights are integers or rationals of small denominator, otherwise rounded at
        2**-40 of the largest.

    Raises
    ------
    TypeError, ValueError
        If a weight is not a positive finite number, there are not `n` of them, or they are so different in size that
        rounding would make the smallest zero.

    Examples
    --------
    >>> as_integers([0.5, 0.25, 1 / 3], 3)
    IntegerWeights(values=array([6, 3, 4]), exact=True)
    """
    if sample_weight is None:
        return IntegerWeights(np.ones(n, dtype=np.int64), True)
    weights = np.asarray(sample_weight)
    if weights.shape != (n,):
        raise ValueError(must("sample_weight", f"of shape ({n},), one weight per example", f"shape {weights.shape}"))
    if weights.dtype.kind not in "iuf":
        raise TypeError(must("sample_weight", "an array of numbers", weights.dtype))
    wrong = ~(np.isfinite(weights) & (weights > 0))
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise ValueError(must("sample_weight", "positive and finite", weights[i].item()) + f" at position {i}")
    distinct, place = np.unique(weights, return_inverse=True)
    integers = _exact_integers(distinct)
    if integers is not None:
        values = np.array(integers, dtype=object)[place]
        if int(values.sum()) < _LARGEST_SUM:
            return IntegerWeights(values.astype(np.int64), True)
    shares = distinct.astype(np.float64) / float(distinct[-1])  # at most 1, however large or small the weights are
    steps = np.rint(shares / _ROUNDING).astype(np.int64)
    rounded = steps[place]
    if steps.min() == 0:
        raise ValueError(
            must("sample_weight", "at least 2**-41 of the largest weight", float(distinct[0]))
            + f" beside {float(distinct[-1])}; leave such examples out"
        )
    if int(rounded.sum(dtype=np.float64)) >= _LARGEST_SUM:
        raise ValueError(must("sample_weight", "for at most 2**22 examples unless all are small rationals", n))
    common = int(np.gcd.reduce(rounded))
    return IntegerWeights(rounded // common, _in_proportion(distinct, steps))


def _in_proportion(distinct: npt.NDArray[Any], integers: npt.NDArray[np.int64]) -> bool:
    """Return whether rounding has changed nothing, as with weights such as 2**-1074 and 2**-1073."""
    last = Fraction(distinct[-1].item()) / int(integers[-1])
    return all(Fraction(w) == last * i for w, i in zip(distinct.tolist(), integers.tolist(), strict=True))


def _exact_integers(distinct: npt.NDArray[Any]) -> list[int] | None:
    """Return integers in the same proportion, or None where the weights are no rationals of small denominator."""
    rationals: list[Fraction] = []
    denominator = 1
    for weight in distinct if distinct.dtype.kind in "iu" else map(str, distinct):
        # str of a numpy scalar is its shortest decimal: a float32 of 0.1 is one tenth too.
        weight = int(weight) if distinct.dtype.kind in "iu" else float(weight)
        rational = Fraction(weight).limit_denominator(_SMALL_DENOMINATOR)
        if float(rational) != weight and Fraction(weight) != rational:
            return None
        rationals.append(rational)
        denominator = math.lcm(denominator, rational.denominator)
        if denominator >= _LARGEST_SUM:
            return None
    integers = [int(rational * denominator) for rational in rationals]
    common = math.gcd(*integers)
    return [integer // common for integer in integers]
