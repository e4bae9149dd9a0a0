"""Exact arithmetic: brackets, roots, and comparisons of sums of roots."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossfloor import exact

RATIONALS = st.fractions(min_value=-(10**40), max_value=10**40, max_denominator=10**40)


@given(RATIONALS)
def test_a_bracket_holds_its_number_and_no_double_between(value: Fraction) -> None:
    lower, upper = exact.bracket(value)
    assert Fraction(lower) <= value <= Fraction(upper)
    if lower == upper:
        assert Fraction(lower) == value
    else:
        assert math.nextafter(lower, math.inf) == upper


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_bracket_of_a_double_is_itself(value: float) -> None:
    assert exact.bracket(Fraction(value)) == (value, value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Fraction(0), (0.0, 0.0)),
        (Fraction(1, 10**400), (0.0, 5e-324)),
        (-Fraction(1, 10**400), (-5e-324, 0.0)),
        (Fraction(3, 2) * Fraction(2) ** -1074, (5e-324, 1e-323)),
        (Fraction(10) ** 400, (1.7976931348623157e308, math.inf)),
        (-(Fraction(10) ** 400), (-math.inf, -1.7976931348623157e308)),
        (Fraction(2) ** 1024, (1.7976931348623157e308, math.inf)),
    ],
)
def test_brackets_at_the_ends(value: Fraction, expected: tuple[float, float]) -> None:
    assert exact.bracket(value) == expected


@given(st.integers(0, 10**60), st.integers(1, 7))
def test_integer_roots(number: int, degree: int) -> None:
    root = exact.integer_root(number, degree)
    assert root**degree <= number < (root + 1) ** degree


@given(st.integers(0, 10**12), st.integers(1, 7))
def test_integer_roots_of_powers(root: int, degree: int) -> None:
    assert exact.integer_root(root**degree, degree) == root
    if root > 1 and degree > 1:
        assert exact.integer_root(root**degree - 1, degree) == root - 1


@given(
    st.fractions(min_value=0, max_value=10**30, max_denominator=10**30),
    st.sampled_from([Fraction(1), Fraction(2), Fraction(3, 2), Fraction(4, 3), Fraction(7, 5), Fraction(10)]),
)
def test_power_brackets(value: Fraction, order: Fraction) -> None:
    lower, upper = exact.power_bracket(value, order)
    # lower <= value^(a/b) <= upper, raised to the b-th power.
    power = value**order.numerator
    assert Fraction(lower) ** order.denominator <= power
    assert math.isinf(upper) or power <= Fraction(upper) ** order.denominator
    assert upper <= math.nextafter(math.nextafter(lower, math.inf), math.inf)


@pytest.mark.parametrize("exponent", [0, 1, 5, -1, -5, 1100, -1100])
def test_powers_of_two(exponent: int) -> None:
    assert exact.power_of_two(exponent) == Fraction(2) ** exponent


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_rows_of_floats_are_integers_times_a_power_of_two(row: list[float]) -> None:
    integers, exponent = exact.integer_rows(np.array([row, row[::-1]]))
    unit = exact.power_of_two(exponent)
    assert [value * unit for value in integers[0]] == [Fraction(value) for value in row]
    assert integers[1] == integers[0][::-1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64, np.float32, np.float64])
def test_rows_of_every_type(dtype: type) -> None:
    rows = np.array([[0, 1, 7], [100, 3, 0]], dtype=dtype)
    integers, exponent = exact.integer_rows(rows)
    unit = exact.power_of_two(exponent)
    assert [[value * unit for value in row] for row in integers] == rows.tolist()
    assert exact.integer_rows(np.zeros((2, 2), dtype=dtype))[0] == [[0, 0], [0, 0]]


@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=6),
    st.lists(st.floats(-1e300, 1e300), min_size=6, max_size=6),
)
def test_differences(a: list[float], b: list[float]) -> None:
    b = b[: len(a)]
    steps, exponent = exact.differences(np.array(a), np.array(b))
    unit = exact.power_of_two(exponent)
    expected = [abs(Fraction(x) - Fraction(y)) for x, y in zip(a, b, strict=True)]
    assert [step * unit for step in steps] == [step for step in expected if step]


def test_differences_of_two_types() -> None:
    largest, smallest = np.array([2**64 - 1], dtype=np.uint64), np.array([-(2**63)])
    assert exact.differences(largest, smallest) == ([2**64 - 1 + 2**63], 0)
    steps, exponent = exact.differences(np.array([1, 2], dtype=np.uint8), np.array([0.5, 2.0]))
    assert [step * exact.power_of_two(exponent) for step in steps] == [Fraction(1, 2)]
    steps, exponent = exact.differences(np.array([2**60 + 1, 3]), np.array([0.5, 3.0]))
    assert [step * exact.power_of_two(exponent) for step in steps] == [2**60 + Fraction(1, 2)]
    steps, exponent = exact.differences(np.array([0.5], dtype=np.float32), np.array([2**64 - 1], dtype=np.uint64))
    assert [step * exact.power_of_two(exponent) for step in steps] == [2**64 - 1 - Fraction(1, 2)]


def test_fractions_of_stored_numbers() -> None:
    assert exact.fraction_of(0.1) == Fraction(3602879701896397, 36028797018963968)
    assert exact.fraction_of(np.float32(0.1)) == Fraction(13421773, 134217728)
    assert exact.fraction_of(np.uint64(2**64 - 1)) == 2**64 - 1


# Norms against a rational radius.


@given(
    st.lists(st.integers(0, 50), min_size=0, max_size=6),
    st.integers(-3, 3),
    st.fractions(min_value=0, max_value=400, max_denominator=60),
    st.integers(1, 5),
)
def test_norms_of_whole_order(steps: list[int], exponent: int, radius: Fraction, p: int) -> None:
    lengths = [step * Fraction(2) ** exponent for step in steps]
    assert exact.norm_at_most(steps, exponent, Fraction(p), radius) == (sum(x**p for x in lengths) <= radius**p)
    assert exact.norm_at_most(steps, exponent, None, radius) == (max(lengths, default=0) <= radius)


@pytest.mark.parametrize("order", [Fraction(1), Fraction(2), Fraction(3, 2), None])
def test_nothing_fits_into_a_negative_radius(order: Fraction | None) -> None:
    assert not exact.norm_at_most([], 0, order, Fraction(-1))
    assert exact.norm_at_most([], 0, order, Fraction(0))
    assert not exact.norm_at_most([1], 0, order, Fraction(0))


@pytest.mark.parametrize("order", [Fraction(3, 2), Fraction(4, 3), Fraction(5, 2), Fraction(7, 5), Fraction(101, 100)])
def test_equal_steps_tie_where_their_number_is_a_power(order: Fraction) -> None:
    # k^a equal steps s have the norm k^b s for the order a / b.
    a, b = order.numerator, order.denominator
    for k, step in itertools.product([2, 3], [1, 2, 12]):
        if k**a > 5000:
            continue
        tie = Fraction(k**b * step)
        steps = [step] * k**a
        assert exact.norm_at_most(steps, 0, order, tie)
        assert not exact.norm_at_most(steps, 0, order, tie * (1 - Fraction(1, 10**60)))
        assert exact.norm_at_most(steps, 7, order, tie * 128)
        assert not exact.norm_at_most([*steps, 1], 0, order, tie)


def test_ties_of_sums_of_different_roots() -> None:
    # At p = 3/2: 2^1.5 + 8^1.5 = 2 sqrt 2 + 16 sqrt 2 = 18 sqrt 2 = 648^0.5 = r^1.5 for r = 648^(1/3), no rational;
    # but 27 of 2 are 54 sqrt 2 = 18^1.5 / sqrt 2 ...: 18^1.5 = 54 sqrt 2.
    assert exact.norm_at_most([2] * 27, 0, Fraction(3, 2), Fraction(18))
    assert exact.norm_at_most([2] * 19 + [8], 0, Fraction(3, 2), Fraction(18))  # 38 + 16 = 54, times sqrt 2
    assert not exact.norm_at_most([2] * 19 + [8, 1], 0, Fraction(3, 2), Fraction(18))
    assert not exact.norm_at_most([2] * 19 + [8], 0, Fraction(3, 2), Fraction(18) - Fraction(1, 10**200))
    assert exact.norm_at_most([2] * 18 + [8], 0, Fraction(3, 2), Fraction(18))


def test_sums_of_roots_that_differ_in_the_hundredth_digit() -> None:
    # sqrt(n - 1) + sqrt(n + 1) comes very near to 2 sqrt(n), and never meets it.
    n = 10**50
    assert exact.norm_at_most([], 0, Fraction(3, 2), Fraction(0))
    counts = {n - 1: 1, n + 1: 1, n: -2}
    assert exact._sign_of_power_sum(counts, Fraction(1, 2), 600) == -1
    assert exact._sign_of_power_sum(counts, Fraction(1, 2), 20) is None
    assert exact._independent_powers({8: 1, 18: 1, 50: -1}, Fraction(1, 2)) == {}  # 2 + 3 - 5, times sqrt 2
    assert exact._independent_powers({8: 1, 18: 1, 50: -1, 3: 4}, Fraction(1, 2)) == {3: 4}
    assert exact._independent_powers({16: 1, 54: 1, 250: -1}, Fraction(1, 3)) == {}  # 2 + 3 - 5, times cbrt 2
    assert exact._independent_powers({8: 1, 18: 1, 50: -1}, Fraction(3, 2)) == {2: 8 * 2 + 27 * 2 - 125 * 2}


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
def test_coprime_bases(numbers: list[int]) -> None:
    bases = exact._coprime_bases(numbers)
    for one, two in itertools.combinations(bases, 2):
        assert math.gcd(one, two) == 1
    for number in numbers:
        for base in bases:
            while number % base == 0:
                number //= base
        assert number == 1
    for base in bases:
        assert all(exact.integer_root(base, degree) ** degree != base for degree in range(2, base.bit_length()))
