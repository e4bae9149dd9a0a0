"""Distances of all pairs by plain integers and high-precision decimals: slow, and sharing no code with the package.

Numbers are what they are stored as: a float is a whole number times a power of two.
"""

from __future__ import annotations

import decimal
import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

#: The order of an l_p norm; None is the maximum norm.
Order = Fraction | None

#: Powers that are not rational are whole numbers times 2**-_BITS, rounded down.  Sums of them that differ are much
#: farther apart than what that loses; sums that are as near as that count as equal.
_BITS = 400
_LOST = 10_000


def whole_numbers(*sides: npt.NDArray[Any]) -> tuple[list[npt.NDArray[Any]], Fraction]:
    """Return arrays of Python integers, and the unit in which they count."""
    ratios = [[value.as_integer_ratio() for value in side.ravel().tolist()] for side in sides]
    common = max(denominator for ratio in ratios for _, denominator in ratio)  # powers of two
    numbers = [[top * (common // bottom) for top, bottom in ratio] for ratio in ratios]
    unit = math.gcd(*(number for side in numbers for number in side)) or 1
    whole = [
        np.array([number // unit for number in row], dtype=object).reshape(side.shape)
        for row, side in zip(numbers, sides, strict=True)
    ]
    return whole, Fraction(unit, common)


class AllPairs:
    """The keys of all pairs: sums of p-th powers of whole numbers, or maxima of them."""

    def __init__(self, order: Order, left: npt.NDArray[Any], right: npt.NDArray[Any]) -> None:
        self.order = order
        (a, b), self.unit = whole_numbers(left, right)
        self.keys: list[list[int]] = [[self._key(np.abs(row - other).tolist()) for other in b] for row in a]

    def _key(self, steps: list[int]) -> int:
        if self.order is None:
            return max(steps)
        if self.order.denominator == 1:
            return sum(step**self.order.numerator for step in steps)
        return sum(_power(Fraction(step), self.order) for step in steps)

    def at_most(self, i: int, j: int, radius: Fraction) -> bool:
        """Tell whether a pair is at most `radius` apart."""
        bound = radius / self.unit
        if bound < 0:
            return False
        if self.order is None:
            return self.keys[i][j] <= bound
        if self.order.denominator == 1:
            return self.keys[i][j] <= bound**self.order.numerator
        return self.keys[i][j] <= _power(bound, self.order) + _LOST

    def within(self, radii: Any) -> npt.NDArray[np.bool_]:
        """Tell of every pair whether it is within ``radii(i, j)``."""
        n, m = len(self.keys), len(self.keys[0])
        return np.array([[self.at_most(i, j, radii(i, j)) for j in range(m)] for i in range(n)])

    def levels(self, thresholds: list[Fraction]) -> npt.NDArray[np.int64]:
        """Count for every pair the thresholds below its distance."""
        n, m = len(self.keys), len(self.keys[0])
        return np.array([[sum(not self.at_most(i, j, t) for t in thresholds) for j in range(m)] for i in range(n)])

    def near(self, i: int, j: int) -> Fraction:
        """Return a rational within 2^-80 of the distance of a pair, in proportion; exact for l1 and linf."""
        key = self.keys[i][j]
        if self.order is None or self.order == 1:
            return key * self.unit
        with decimal.localcontext(prec=80):
            number = +decimal.Decimal(key)  # rounded
            if self.order.denominator != 1:
                number /= 2**_BITS
            root = number ** (decimal.Decimal(self.order.denominator) / self.order.numerator) if number else number
            value = Fraction(root)
        top = 1 << (80 + max(0, -_size(value)))
        return Fraction(round(value * top), top) * self.unit


def _size(value: Fraction) -> int:
    return value.numerator.bit_length() - value.denominator.bit_length() if value else 0


@functools.lru_cache(maxsize=10_000)
def _power(value: Fraction, order: Fraction) -> int:
    """Return ``value**order`` in units of 2**-_BITS, rounded down."""
    power, degree = value**order.numerator, order.denominator
    return _root((power.numerator << (_BITS * degree)) // power.denominator, degree)


def _root(number: int, degree: int) -> int:
    """Return the largest whole number whose power is not above `number`."""
    if degree == 2:
        return math.isqrt(number)
    root = 1 << (number.bit_length() // degree + 1)
    while root**degree > number:  # Newton's steps from above
        root = ((degree - 1) * root + number // root ** (degree - 1)) // degree
    return root


def unpack(bits: npt.NDArray[np.uint64], m: int) -> npt.NDArray[np.bool_]:
    """Spread packed answers, and insist that the bits beyond the last example are zero."""
    spread = np.unpackbits(bits.astype("<u8").view(np.uint8), axis=1, bitorder="little").astype(np.bool_)
    if spread[:, m:].any():
        raise AssertionError("bits beyond the last example are set")
    return spread[:, :m]
