"""Exact arithmetic: distances as rationals, and comparisons that no rounding touches.

Everything here is plain Python on integers and fractions.  It is slow and is called for the few pairs that a fast
pass with a rounding bound leaves open; the checker of certificates uses it too, and nothing of the fast passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

#: The order p of a norm; ``None`` stands for infinity.
Order = Fraction | None
#: Largest numerator of an order p: exact comparisons raise integers to that power.
LARGEST_POWER = 10_000


def fraction_of(number: float | np.number[Any]) -> Fraction:
    """Return the exact value of a number as it is stored (a float is the binary number that it holds)."""
    item: Any = number.item() if isinstance(number, np.generic) else number
    return Fraction(item)


def bracket(value: Fraction) -> tuple[float, float]:
    """Return the two doubles next to a number: ``lower <= value <= upper``, equal if the number is a double.

    Examples
    --------
    >>> bracket(Fraction(1, 2))
    (0.5, 0.5)
    >>> lower, upper = bracket(Fraction(1, 10))
    >>> Fraction(lower) < Fraction(1, 10) <= Fraction(upper)
    True
    """
    try:
        near = float(value)
    except OverflowError:
        largest = float(np.finfo(np.float64).max)
        return (largest, math.inf) if value > 0 else (-math.inf, -largest)
    exact = Fraction(near)
    if exact == value:
        return near, near
    if exact < value:
        return near, math.nextafter(near, math.inf)
    return math.nextafter(near, -math.inf), near


def integer_rows(rows: npt.NDArray[Any]) -> tuple[list[list[int]], int]:
    """Write rows of numbers as integers times one power of two.

    Parameters
    ----------
    rows : ndarray, shape (k, d)
        Integers or finite floats.

    Returns
    -------
    integers : list of k lists of d int
    exponent : int
        ``rows[i, j] == integers[i][j] * 2**exponent`` exactly.
    """
    if np.issubdtype(rows.dtype, np.integer) or rows.dtype == np.bool_:
        return [[int(value) for value in row] for row in rows.tolist()], 0
    mantissa, exponent = np.frexp(rows.astype(np.float64))
    whole = np.ldexp(mantissa, 53).astype(np.int64)  # |mantissa| < 1, so this is exact
    nonzero = whole != 0
    if not nonzero.any():
        return [[0] * rows.shape[1] for _ in range(rows.shape[0])], 0
    least = int(exponent[nonzero].min())
    shift = np.where(nonzero, exponent - least, 0)
    return (
        [[m << s for m, s in zip(ms, ss, strict=True)] for ms, ss in zip(whole.tolist(), shift.tolist(), strict=True)],
        least - 53,
    )


def power_of_two(exponent: int) -> Fraction:
    """Return ``2**exponent`` for any integer exponent."""
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def differences(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> tuple[list[int], int]:
    """Return ``|a - b|`` feature by feature, as integers times ``2**exponent``, zeros left out."""
    if a.dtype == b.dtype:
        rows, exponent = integer_rows(np.stack([a, b]))
        return [abs(x - y) for x, y in zip(*rows, strict=True) if x != y], exponent
    # Two dtypes (int64 beside float64, say) need not have one that holds the numbers of both.
    (first,), first_exponent = integer_rows(a[None])
    (second,), second_exponent = integer_rows(b[None])
    exponent = min(first_exponent, second_exponent)
    pairs = zip(
        (x << (first_exponent - exponent) for x in first),
        (y << (second_exponent - exponent) for y in second),
        strict=True,
    )
    return [abs(x - y) for x, y in pairs if x != y], exponent


def norm_at_most(steps: Sequence[int], exponent: int, order: Order, radius: Fraction) -> bool:
    """Tell whether a vector of the given steps has a norm of at most `radius`, exactly.

    Parameters
    ----------
    steps : sequence of int
        Absolute values of the entries, in units of ``2**exponent``.
    exponent : int
    order : Fraction or None
        p of the l_p norm, at least 1; None is the maximum norm.
    radius : Fraction

    Returns
    -------
    bool
    """
    if radius < 0:
        return False
    bound = radius / power_of_two(exponent)  # in the units of the steps
    if order is None:
        return bool(max(steps, default=0) <= bound)
    if order.denominator == 1:
        p = order.numerator
        return bool(sum(step**p for step in steps) <= bound**p)
    return _rational_power_sum_at_most(steps, order, bound)


def _rational_power_sum_at_most(steps: Iterable[int], order: Fraction, bound: Fraction) -> bool:
    """Tell whether ``sum(step**order) <= bound**order`` for an order that is no integer.

    With order = a/b each term is a b-th root of an integer.  Roots of that kind whose ratios are irrational are
    linearly independent over the rationals (Besicovitch 1940), so the two sides are equal only if they are term by
    term, once each root is written as an integer times the root of a number without b-th powers.  If they differ,
    intervals of growing precision separate them.
    """
    a, b = order.numerator, order.denominator
    counts: dict[int, int] = {}
    scale = bound.denominator  # multiply both sides by scale**order, so that every radicand is an integer
    for step in steps:
        radicand = (step * scale) ** a
        counts[radicand] = counts.get(radicand, 0) + 1
    right = bound.numerator**a
    counts[right] = counts.get(right, 0) - 1
    counts = {radicand: count for radicand, count in counts.items() if count != 0 and radicand != 0}
    if not counts:
        return True
    precision = 64
    while precision <= 1024:
        sign = _sign_of_root_sum(counts, b, precision)
        if sign is not None:
            return sign < 0
        precision *= 4
    reduced = _independent_roots(counts, b)
    if not reduced:
        return True
    while True:
        sign = _sign_of_root_sum(reduced, b, precision)
        if sign is not None:
            return sign < 0
        precision *= 2


def _sign_of_root_sum(counts: dict[int, int], degree: int, precision: int) -> int | None:
    """Return the sign of ``sum(count * radicand**(1/degree))``, or None if `precision` bits do not tell."""
    low = high = 0
    for radicand, count in counts.items():
        root = integer_root(radicand << (degree * precision), degree)
        low += count * (root if count > 0 else root + 1)
        high += count * (root + 1 if count > 0 else root)
    if low > 0:
        return 1
    return -1 if high < 0 else None


def integer_root(number: int, degree: int) -> int:
    """Return the floor of the `degree`-th root of a non-negative integer.

    Examples
    --------
    >>> integer_root(26, 3), integer_root(27, 3)
    (2, 3)
    """
    if number < 2 or degree == 1:
        return number
    if degree == 2:
        return math.isqrt(number)
    root = 1 << -(-number.bit_length() // degree)  # above the root: Newton's steps fall from there
    while True:
        step = ((degree - 1) * root + number // root ** (degree - 1)) // degree
        if step >= root:
            return root
        root = step


def _independent_roots(counts: dict[int, int], degree: int) -> dict[int, int]:
    """Gather roots that are rational multiples of each other; the sum is zero only if nothing is left.

    The radicands are written over pairwise coprime bases, none of them a perfect power; then the part of each without
    `degree`-th powers is read off the exponents.  No number has to be factored.
    """
    bases = _coprime_bases(counts)
    gathered: dict[int, int] = {}
    for radicand, count in counts.items():
        rest, outside, inside = radicand, 1, 1
        for base in bases:
            exponent = 0
            while rest % base == 0:
                rest //= base
                exponent += 1
            outside *= base ** (exponent // degree)
            inside *= base ** (exponent % degree)
        gathered[inside] = gathered.get(inside, 0) + count * outside
    return {inside: count for inside, count in gathered.items() if count != 0}


def _coprime_bases(numbers: Iterable[int]) -> list[int]:
    """Return pairwise coprime integers above 1, no perfect powers, of which every number is a product."""
    bases: list[int] = []
    todo = [number for number in numbers if number > 1]
    while todo:
        number = todo.pop()
        for i, base in enumerate(bases):
            common = math.gcd(number, base)
            if common > 1:
                del bases[i]
                todo += [part for part in (common, base // common, number // common) if part > 1]
                break
        else:
            bases.append(number)
    return [_without_power(base) for base in bases]


def _without_power(number: int) -> int:
    """Return the smallest integer of which `number` is a power."""
    for degree in range(number.bit_length(), 1, -1):
        root = integer_root(number, degree)
        if root > 1 and root**degree == number:
            return root
    return number


def power_bracket(value: Fraction, order: Fraction) -> tuple[float, float]:
    """Return doubles ``lower <= value**order <= upper`` for a non-negative value and a positive rational order."""
    a, b = order.numerator, order.denominator
    power = value**a
    if b == 1:
        return bracket(power)
    if power == 0:
        return 0.0, 0.0
    # Scale so that the integer root has at least 128 bits.
    size = power.numerator.bit_length() - power.denominator.bit_length()
    shift = max(0, 128 - size // b)
    root = integer_root((power.numerator << (b * shift)) // power.denominator, b)
    return bracket(Fraction(root, 1 << shift))[0], bracket(Fraction(root + 1, 1 << shift))[1]


def power_near(value: Fraction, order: Fraction) -> Fraction:
    """Return a rational within a relative 2**-120 of ``value**order``, for a non-negative value."""
    a, b = order.numerator, order.denominator
    power = value**a
    if power == 0 or b == 1:
        return power
    size = power.numerator.bit_length() - power.denominator.bit_length()
    shift = max(0, 160 - size // b)
    return Fraction(integer_root((power.numerator << (b * shift)) // power.denominator, b), 1 << shift)
