"""One-way and asymmetric boxes: against intervals of rationals, with ties in the decimals of floats."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from support.neighbourhoods import check_pairs, conflicts_of

from lossfloor.adversaries import Box, Linf, WeightedLp
from lossfloor.adversaries.geometry.deciding import Ends

N, LEFT = 30, 14
AMOUNTS = [0, 0.1, 0.2, "1/3", 1, 2, math.inf]


def amount(value: Any) -> Any:
    return math.inf if value == math.inf else Fraction(str(value))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (4,), (N, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_boxes_against_intervals(dtype: Any, shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng([seed, len(shape)])
    X = rng.integers(0, 6, (N, 4)).astype(dtype)
    if dtype in (np.float32, np.float64):
        X = X / dtype(10)  # the doubles next to decimals, that budgets are: near ties, and ties
    lower, upper = (np.array(AMOUNTS, dtype=object)[rng.integers(0, len(AMOUNTS), shape)] for _ in range(2))
    eps = [Fraction(int(k), 5) for k in rng.integers(0, 10, N)]
    adversary = Box(lower, upper, eps=[str(value) for value in eps], unit=2)
    sure, undecided = conflicts_of(adversary, adversary.as_data(X, N), LEFT)
    assert not undecided.any()
    down, up = (np.broadcast_to(np.asarray(table, dtype=object), (N, 4)) for table in (lower, upper))

    def interval(i: int, j: int) -> tuple[Any, Any]:
        x = Fraction(X[i, j].item())
        low, high = amount(down[i, j]), amount(up[i, j])
        return (
            x - 2 * eps[i] * low if low != math.inf else -math.inf,
            x + 2 * eps[i] * high if high != math.inf else math.inf,
        )

    for i, j in np.ndindex(*sure.shape):
        ends = [(interval(i, f), interval(LEFT + j, f)) for f in range(4)]
        assert sure[i, j] == all(a[0] <= b[1] and b[0] <= a[1] for a, b in ends)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_boxes_meet(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 6, (N, 4)).astype(dtype)
    adversary = Box(rng.integers(0, 4, (N, 4)), [0, 1, 2.5, math.inf])
    sure, _ = check_pairs(adversary, X, LEFT)
    assert 0 < sure.mean() < 1
    # Whole budgets of integers always leave a whole point.
    whole = Box(rng.integers(0, 4, (N, 4)), 2)
    for j in range(LEFT, N):
        point = whole.meet(X[[0, j]], index=np.array([0, j]))
        assert point is None or point.dtype == dtype


def test_a_feature_that_may_only_grow() -> None:
    adversary = Box(lower=0, upper=math.inf)
    data = np.array([[1, 5], [3, 2], [0, 0]])
    assert conflicts_of(adversary, data, 1)[0].all()  # both may grow to the larger
    assert adversary.meet(data[:2]).tolist() == [3, 5]
    one_way = Box(lower=0, upper=[math.inf, 0])
    assert conflicts_of(one_way, np.array([[1, 5], [3, 5], [0, 4]]), 1)[0].tolist() == [[True, False]]
    assert one_way.contains([[1, 5], [1, 5]], [[2, 5], [0, 5]]).tolist() == [True, False]


def test_equal_budgets_are_the_maximum_norm() -> None:
    X = np.random.default_rng(2).random((N, 3))
    expected = conflicts_of(Linf(0.2), X, LEFT)[0]
    for adversary in (Box(0.2, 0.2), Box([1, 1, 1], 1, eps=0.2), WeightedLp(math.inf, 5, 1)):
        np.testing.assert_array_equal(conflicts_of(adversary, X, LEFT)[0], expected)
    assert 0 < expected.mean() < 1


def test_three_boxes() -> None:
    adversary = Box(1, [0, 2])
    X = np.array([[2, 0], [1, 1], [3, 4]])
    assert adversary.meet(X[:2]).tolist() == [1, 0]
    assert adversary.meet(X) is None
    wider = Box(2, [0, 2])
    assert wider.contains(X, np.stack([wider.meet(X)] * 3)).all()


def test_an_interval_without_doubles() -> None:
    touching = Box([["1/3"], ["2/3"]], [["1/3"], ["2/3"]])
    with pytest.raises(ArithmeticError, match="no such point with double coordinates was found"):
        touching.meet([[0.0], [1.0]], index=np.arange(2))
    assert Box(0, ["1/3", 0]).meet([[0.0, 1.0], [1.0, 1.0]]) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(-1, 0), "'lower' must be at least 0"),
        (lambda: Box(0, [1, -math.inf]), "'upper' must be finite"),
        (lambda: Box(0, math.nan), "'upper' must be finite"),
        (lambda: Box(np.ones((2, 2, 2)), 0), "'lower' must be one number or an array of shape"),
        (lambda: Box(0, [1, 2]).as_data([[1, 2, 3]], 1), r"'upper' must be one number or an array of shape \(3,\)"),
        (lambda: Box(np.ones((3, 2)), 1).as_data([[1, 2]], 1), r"or \(1, 2\)"),
        (lambda: Box(np.ones((3, 2)), 1).meet([[1, 2], [1, 2]]), "'index' must be given"),
        (lambda: Box(0, 1, eps=-1), "'eps' must be at least 0"),
        (lambda: Box(0, 1, unit=0), "'unit' must be positive"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


DECIMALS = [Fraction(-1, 10), Fraction(0), Fraction(1, 5), Fraction(1, 3), math.inf, -math.inf]
#: With these, numbers that a double holds differ from each other by exactly what others do: many ties.
TIED = [Fraction(1, 10) + Fraction(k, 8) for k in range(4)] + [Fraction(1, 3) - Fraction(k, 8) for k in range(4)]


@pytest.mark.parametrize("table", [DECIMALS, TIED])
@pytest.mark.parametrize("size", [1, 2.0**20, 3.0**40])
def test_ends_of_intervals_compare_as_rationals_do(table: list[Any], size: float) -> None:
    rng = np.random.default_rng(0)
    tenths, eighths = np.round(rng.random(60), 1), rng.integers(0, 20, 60) / 8
    ends = Ends(table)
    groups = [(values, rng.integers(0, len(table), 60)) for values in (tenths, eighths, eighths + size)]
    for values, codes in groups:
        ends.add(values, codes)
    ranks = np.concatenate(ends.ranks()).tolist()
    exact = [
        Fraction(x) + table[c] if isinstance(table[c], Fraction) else table[c]
        for values, codes in groups
        for x, c in zip(values.tolist(), codes.tolist(), strict=True)
    ]
    for a, x in zip(ranks, exact, strict=True):
        for b, y in zip(ranks, exact, strict=True):
            assert (a < b) == (x < y)
            assert (a == b) == (x == y)
