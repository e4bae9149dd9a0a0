"""Weights as integers: exact where they can be, honest where they cannot."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossfloor.weights import as_integers


def proportional(weights: list[Fraction], integers: list[int]) -> bool:
    return all(w * integers[0] == i * weights[0] for w, i in zip(weights, integers, strict=True))


def test_no_weights_are_ones() -> None:
    result = as_integers(None, 3)
    assert result.values.tolist() == [1, 1, 1]
    assert result.values.dtype == np.int64
    assert result.exact


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([2, 4, 6], [1, 2, 3]),
        ([7], [1]),
        ([0.5, 0.25, 1.0], [2, 1, 4]),
        ([0.1, 0.2, 0.3], [1, 2, 3]),
        ([1 / 3, 1 / 7, 1.0], [7, 3, 21]),
        ([1e-6, 1.0], [1, 10**6]),
        ([1e18, 1.0], [10**18, 1]),
        ([1e30, 2e30], [1, 2]),
        (np.array([0.1, 0.3], dtype=np.float32), [1, 3]),
        (np.array([0.1, 0.3], dtype=np.float16), [1, 3]),
        (np.array([3, 6], dtype=np.uint8), [1, 2]),
        (np.array([2**63, 2**62], dtype=np.uint64), [2, 1]),
        ([2**61 - 1, 2**60], [2**61 - 1, 2**60]),
        ([2.0**-1074, 2.0**-1073], [1, 2]),
    ],
)
def test_rationals_of_small_denominator_are_exact(weights: Any, expected: list[int]) -> None:
    result = as_integers(weights, len(expected))
    assert result.values.tolist() == expected
    assert result.exact


@given(st.lists(st.integers(1, 2**40), min_size=1, max_size=20), st.integers(1, 10**6))
def test_integers_over_a_small_denominator_are_exact(tops: list[int], bottom: int) -> None:
    whole = as_integers(tops, len(tops))
    assert whole.exact
    assert proportional([Fraction(top) for top in tops], whole.values.tolist())
    assert math.gcd(*whole.values.tolist()) == 1
    small = [top % 1000 + 1 for top in tops]
    parts = as_integers([top / bottom for top in small], len(small))
    assert parts.exact
    assert proportional([Fraction(top, bottom) for top in small], parts.values.tolist())


@given(st.lists(st.floats(1e-5, 1e5), min_size=2, max_size=30))  # 2^-41 of the largest is as small as one may be
def test_any_weights_are_right_to_2_to_the_minus_40_of_the_largest(weights: list[float]) -> None:
    result = as_integers(weights, len(weights))
    integers = result.values.tolist()
    assert min(integers) > 0
    assert sum(integers) < 2**62
    largest = weights.index(max(weights))
    for weight, integer in zip(weights, integers, strict=True):
        share = Fraction(weight) / Fraction(weights[largest])
        assert abs(share - Fraction(integer, integers[largest])) <= Fraction(1, 2**39)
    if result.exact:  # then as the decimals that were written, if not as the binary numbers
        ratio = Fraction(integers[0], integers[-1])
        assert float(ratio) == pytest.approx(weights[0] / weights[-1], rel=4e-16)


def test_irrational_weights_are_rounded_and_say_so() -> None:
    result = as_integers([math.pi, math.e, 1.0], 3)
    assert not result.exact
    assert result.values / result.values[2] == pytest.approx([math.pi, math.e, 1], rel=1e-11)


def test_sums_that_do_not_fit_are_rounded() -> None:
    result = as_integers([2**61, 2**61 - 1, 2**60 + 1], 3)
    assert not result.exact
    assert result.values.sum() < 2**62
    assert result.values / result.values[0] == pytest.approx([1, 1, 0.5], rel=1e-11)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, 2], ValueError, r"'sample_weight' must be of shape \(3,\), one weight per example, got 'shape \(2,\)'"),
        ([[1, 2, 3]], ValueError, r"'sample_weight' must be of shape \(3,\)"),
        (1.0, ValueError, r"'sample_weight' must be of shape \(3,\)"),
        ([1, 0, 2], ValueError, "'sample_weight' must be positive and finite, got 0 at position 1"),
        ([1, 2, -0.5], ValueError, "'sample_weight' must be positive and finite, got -0.5 at position 2"),
        ([math.nan, 1, 2], ValueError, "'sample_weight' must be positive and finite, got nan at position 0"),
        ([1, math.inf, 2], ValueError, "'sample_weight' must be positive and finite, got inf at position 1"),
        (["a", "b", "c"], TypeError, "'sample_weight' must be an array of numbers"),
        ([True, True, True], TypeError, "'sample_weight' must be an array of numbers"),
        ([1j, 1, 2], TypeError, "'sample_weight' must be an array of numbers"),
        ([None, 1, 2], TypeError, "'sample_weight' must be an array of numbers"),
        ([math.pi, 1e-20, 1], ValueError, r"at least 2\*\*-41 of the largest weight, got 1e-20 beside 3.14"),
        ([1e-300, 1e300, 1], ValueError, r"at least 2\*\*-41 of the largest weight"),
    ],
)
def test_wrong_weights(weights: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_integers(weights, 3)
