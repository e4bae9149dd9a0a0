"""Exact arithmetic: distances as rationals, and comparisons that no rounding touches.

Everything here is plain Python on integers and fractions.  It is slow and is called for the few pairs that a fast
pass with a rounding bound leaves open; the checker of certificates uses it too, and nothing of the fast passes.
"""

from __future__ import annotations

import collections
import decimal
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

#: The order p of a norm; ``None`` stands for infinity.
Order = Fraction | None
#: Largest numerator of an order p: exact comparisons raise integers to that power.
LARGEST_POWER = 10_000
#: Powers of whole numbers up to so many bits are written out.
_FEW_BITS = 1 << 14


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
    largest = max(steps, default=0)
    if order is None or largest > bound:  # no norm is below the maximum norm
        return bool(largest <= bound)
    if order.denominator == 1 and order * _size(largest, bound) <= _FEW_BITS:
        p = order.numerator
        return bool(sum(step**p for step in steps) <= bound**p)
    return _power_sum_at_most([step for step in steps if step], order, bound)


def norm_near(steps: Sequence[int], exponent: int, order: Order) -> Fraction:
    """Return a rational next to the norm of a vector: what it is above the largest step is right to a relative 2**-120.

    Parameters
    ----------
    steps, exponent, order
        As for `norm_at_most`.

    Notes
    -----
    With the other steps in proportion to the largest, and r the sum of their powers, the norm is the largest step times
    ``1 + g`` with ``g = (1 + r)**(1/p) - 1``, which is r / p up to a relative r.
    """
    unit, largest = power_of_two(exponent), max(steps, default=0)
    counts = collections.Counter(step for step in steps if step)
    counts[largest] -= 1
    if order is None or largest == 0 or not any(counts.values()):
        return largest * unit
    if order == 1:
        return sum(steps) * unit
    powers = _Powers(order, 90, largest, len(counts))
    rest = decimal.Decimal(0)
    for step, count in counts.items():
        rest = powers.add(rest, powers.multiply(powers.of_ratio(step, largest), count))
    if rest.adjusted() < -40:
        growth = powers.divide(powers.multiply(rest, order.denominator), order.numerator)
    else:  # 90 digits less 41 that the 1 takes away
        growth = powers.subtract(powers.raised(powers.add(rest, 1), 1 / order), 1)
    return (1 + Fraction(growth)) * largest * unit


def _size(largest: int, bound: Fraction) -> int:
    """Bound the bits of whole numbers up to the larger one of two, over a common denominator."""
    return max(largest.bit_length() + bound.denominator.bit_length(), bound.numerator.bit_length())


def _power_sum_at_most(steps: Sequence[int], order: Fraction, bound: Fraction) -> bool:
    """Tell whether ``sum(step**order) <= bound**order`` where the powers are irrational or long.

    No step is above the bound.  Powers in proportion to that of the bound are computed with ever more digits until
    these tell.  They always do unless both sides are equal; whether they are is asked once several hundred digits
    do not tell, see `_is_tie`.
    """
    if not steps or max(steps) == bound:
        return len(steps) <= 1
    values = [step * bound.denominator for step in steps]
    common = math.gcd(bound.numerator, *values)
    counts = collections.Counter(value // common for value in values)
    counts[bound.numerator // common] = -1
    for digits in (20, 80, 320):
        sign = _sign_of_power_sum(counts, order, digits)
        if sign is not None:
            return sign < 0
    if _is_tie(counts, order):
        return True
    digits = 640
    while (sign := _sign_of_power_sum(counts, order, digits)) is None:
        digits *= 2
    return sign < 0


def _sign_of_power_sum(counts: Mapping[int, int], order: Fraction, digits: int) -> int | None:
    """Return the sign of ``sum(count * value**order)`` for values above 0, or None if `digits` digits do not tell.

    Every power, in proportion to the largest, is right up to a relative 0.01 * 10**-digits (see `_Powers`), and the
    sum of n terms is rounded n times more.
    """
    largest = max(counts)
    powers = _Powers(order, digits, largest, len(counts))
    total, spread = decimal.Decimal(0), decimal.Decimal(0)
    for value, count in counts.items():
        term = powers.multiply(powers.of_ratio(value, largest), count)
        total, spread = powers.add(total, term), powers.add(spread, term.copy_abs())
    if total.copy_abs() <= spread.scaleb(-digits, powers.context):
        return None
    return -1 if total.is_signed() else 1


class _Powers:
    """Powers of ratios of whole numbers, right up to a relative ``0.01 * 10**-digits``.

    `decimal` rounds products, quotients, square roots, logarithms and exponentials correctly: to a relative u =
    10^(1 - prec) / 2.  A ratio is off by (bits + 4) u, with what is due to the powers of two that stand for all but the
    leading digits.  With an order a / b and b <= 2, a square root halves that and adds u, and the a-th power, by
    repeated multiplication, is off by a times that and 2 a u more.  With any other b, the logarithm of the ratio is
    below the number of bits, so that times a / b it is off by less than 3 order (bits + 4) u, and the power by that in
    proportion.  With ``size = 2 (order + 1) bits`` all of these are below 8 size u, and ``10^(prec - digits) >= 10^4
    size`` makes that less than 0.01 * 10^-digits.

    Parameters
    ----------
    order : Fraction
        Above 0.
    digits : int
    largest : int
        No ratio is asked of larger numbers.
    terms : int, default 1
        How many such powers are to be added, each time with a rounding.
    """

    def __init__(self, order: Fraction, digits: int, largest: int, terms: int = 1) -> None:
        size = 2 * int(order + 1) * largest.bit_length() + terms
        precision = digits + len(str(size)) + 4
        self._order = order
        self._bits = 4 * precision  # leading bits: a relative error below 2**(1 - 4 prec) < u
        self.context = decimal.Context(
            prec=precision,
            rounding=decimal.ROUND_HALF_EVEN,
            Emin=decimal.MIN_EMIN,
            Emax=decimal.MAX_EMAX,
            traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
        )
        self.add, self.subtract = self.context.add, self.context.subtract
        self.multiply, self.divide = self.context.multiply, self.context.divide

    def of_ratio(self, value: int, other: int) -> decimal.Decimal:
        """Return the power of ``value / other``, whole numbers above 0."""
        shifts = [max(0, number.bit_length() - self._bits) for number in (value, other)]
        leading = self.divide(decimal.Decimal(value >> shifts[0]), decimal.Decimal(other >> shifts[1]))
        if shifts[0] != shifts[1]:
            leading = self.multiply(leading, self._integer_power(decimal.Decimal(2), shifts[0] - shifts[1]))
        return self.raised(leading, self._order)

    def raised(self, base: decimal.Decimal, order: Fraction) -> decimal.Decimal:
        """Return the power of another order, of a number above 0."""
        a, b = order.numerator, order.denominator
        if b <= 2:
            return self._integer_power(base if b == 1 else self.context.sqrt(base), a)
        return self.context.exp(self.divide(self.multiply(self.context.ln(base), a), b))

    def _integer_power(self, base: decimal.Decimal, exponent: int) -> decimal.Decimal:
        power = decimal.Decimal(1)
        for bit in bin(abs(exponent))[2:]:
            power = self.multiply(power, power)
            if bit == "1":
                power = self.multiply(power, base)
        return power if exponent >= 0 else self.divide(1, power)


def _is_tie(counts: Mapping[int, int], order: Fraction) -> bool:
    """Tell whether ``sum(count * value**order) == 0``.

    With order = a/b each power is a b-th root of an integer.  Roots of that kind whose ratios are irrational are
    linearly independent over the rationals (Besicovitch 1940), so the sum is zero only if it is term by term, once
    each root is written as an integer times the root of a number without b-th powers.
    """
    if order.denominator > 1:
        return not _independent_powers(counts, order)
    a, prime = order.numerator, (1 << 127) - 1
    if sum(count * pow(value, a, prime) for value, count in counts.items()) % prime:  # spares most long powers
        return False
    return bool(sum(count * value**a for value, count in counts.items()) == 0)


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


def _independent_powers(counts: Mapping[int, int], order: Fraction) -> dict[int, int]:
    """Gather powers ``value**(a/b)`` that are rational multiples of each other; a sum is zero only if nothing is left.

    The values are written over pairwise coprime bases, none of them a perfect power; then the part of each power
    that is no b-th power of an integer is read off the exponents.  No number has to be factored.

    Returns
    -------
    dict
        How often each b-th root of a number without b-th powers is in the sum.
    """
    a, b = order.numerator, order.denominator
    bases = _coprime_bases(counts)
    gathered: dict[int, int] = {}
    for value, count in counts.items():
        rest, outside, inside = value, 1, 1
        for base in bases:
            exponent = 0
            while rest % base == 0:
                rest //= base
                exponent += 1
            outside *= base ** (exponent * a // b)
            inside *= base ** (exponent * a % b)
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
    for degree in range(2, number.bit_length()):
        if any(degree % factor == 0 for factor in range(2, math.isqrt(degree) + 1)):
            continue  # a power of degree 6 is one of degree 2
        while (root := integer_root(number, degree)) > 1 and root**degree == number:
            number = root
    return number


def power_bracket(value: Fraction, order: Fraction) -> tuple[float, float]:
    """Return doubles ``lower <= value**order <= upper`` for a non-negative value and a positive rational order.

    At most one double lies between them, none if the power is a rational of moderate length.
    """
    if order.denominator == 1 and order * _bits_of(value) <= _FEW_BITS:
        return bracket(value**order.numerator)
    if value == 0:
        return 0.0, 0.0
    near = _power(value, order, 40)
    if near.adjusted() < -400:  # no double between, and no use for so many digits
        return 0.0, math.ulp(0.0)
    if near.adjusted() > 400:
        return float(np.finfo(np.float64).max), math.inf
    margin = Fraction(1, 10**40)
    return bracket(Fraction(near) * (1 - margin))[0], bracket(Fraction(near) * (1 + margin))[1]


def power_near(value: Fraction, order: Fraction) -> Fraction:
    """Return a rational within a relative 2**-120 of ``value**order``, for a value >= 0 and an order > 0."""
    if value == 0 or order == 1:
        return value
    return Fraction(_power(value, order, 40))


def nearest_root(value: Fraction, degree: int, unit: Fraction) -> float:
    """Return the double nearest to ``unit * value**(1/degree)``; infinity where that is beyond all doubles.

    Parameters
    ----------
    value : Fraction
        At least 0.
    degree : int
    unit : Fraction
        Above 0.
    """
    if value == 0:
        return 0.0
    near, margin = Fraction(_power(value, Fraction(1, degree), 40)) * unit, Fraction(1, 10**40)
    lower, upper = nearest_double(near * (1 - margin)), nearest_double(near * (1 + margin))
    if lower == upper or math.isinf(upper):
        return upper
    middle = (Fraction(lower) + Fraction(upper)) / 2  # differences of doubles are often the middle of two
    power = (middle / unit) ** degree
    if power == value:
        return nearest_double(middle)
    return lower if value < power else upper


def root_at_least(value: Fraction, order: Fraction) -> Fraction:
    """Return a rational that is at least ``value**(1/order)``, and above it by a relative 10**-39 at most."""
    return Fraction(_power(value, 1 / order, 40)) * (1 + Fraction(1, 10**40)) if value > 0 else value


def shortened(value: Fraction) -> Fraction:
    """Round a number of at least 0 up to 128 bits or so."""
    shift = 128 + value.denominator.bit_length() - value.numerator.bit_length()
    scaled = value * power_of_two(shift)
    return -(-scaled.numerator // scaled.denominator) * power_of_two(-shift)


def nearest_double(value: Fraction) -> float:
    """Return the double nearest to a number, or infinity with its sign if it is beyond them all."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _power(value: Fraction, order: Fraction, digits: int) -> decimal.Decimal:
    """Return ``value**order`` up to a relative 10**-digits, for a positive value."""
    powers = _Powers(order, digits, max(value.numerator, value.denominator))
    return powers.of_ratio(value.numerator, value.denominator)


def _bits_of(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())
