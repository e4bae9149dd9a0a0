"""Norms of every order at every scale: conflicts, separation and critical budgets against whole numbers.

Powers of large orders underflow and overflow long before the numbers do; nothing of that may show in an answer.
"""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.brute_force import AllPairs, unpack

import lossfloor as lf
from lossfloor import exact
from lossfloor.distances import PairSweep, Radii

WHOLE = [Fraction(p) for p in (2, 3, 4, 7, 16, 17, 33, 100, 200, 300)]
BROKEN = [Fraction(*p) for p in ((3, 2), (5, 2), (7, 3), (161, 2), (599, 2), (4, 3))]
SCALES = [1e-300, 1e-200, 1e-120, 1e-30, 1e-3, 1.0, 1e3, 1e30, 1e120, 1e200, 1e300]
Points = npt.NDArray[Any]


def make(order: Fraction, eps: Any) -> lf.Lp:
    return lf.Lp(p=order, eps=eps)


# The examples that showed the faults.


@pytest.mark.parametrize(
    ("X", "p", "eps"),
    [
        ([[0.7], [0.72]], 200, "0.001"),
        ([[0.7], [0.72]], 200, "0.00999999999999999"),
        ([[0.7, 1e-120], [0.7, 0.0]], 3, 0),
        ([[0.7, 1e-120], [0.7, 0.0]], 3, "1e-121"),
        ([[0.6, 1e-300], [0.6, 0.0]], "3/2", "1e-301"),
    ],
)
def test_powers_that_underflow_make_no_conflict(X: Any, p: Any, eps: Any) -> None:
    assert lf.floor(X, [0, 1], lf.Lp(p=p, eps=eps)).cross_entropy == 0
    assert lf.floor(X, [0, 1], lf.Lp(p=p, eps=[eps, eps])).cross_entropy == 0
    assert not lf.curve(X, [0, 1], lf.Lp, eps=[eps, 1], p=p).n_edges[0]


@pytest.mark.parametrize("order", [Fraction(100), Fraction(161, 2), Fraction(300), Fraction(3, 2)])
def test_every_digit_of_a_separation(order: Fraction) -> None:
    for gap, scale in itertools.product([0.00065, 3e-8, 1e-17], [1.0, 1e-280, 1e280]):
        X = np.array([[0, 1], [gap, 1], [0, 1 / 2], [5 * gap, 1]]) * scale
        curve = lf.curve(X, [0, 1, 1, 0], lf.Lp, eps=[scale], p=order)
        # In one feature every norm is the difference.
        assert curve.separation == X[1, 0] / 2
        assert curve.eps_at(zero_one=0.01) == least_double(lambda e, gap=X[1, 0]: e >= Fraction(gap) / 2)


def test_a_step_far_below_the_others_counts_too() -> None:
    # (1 + 1e-200)^(1/100) is above 1 in the 202nd digit.
    X = [[0.0, 0.0], [1.0, 0.0], [10.0, 10.0], [11.0, 10.01]]
    for order in (100, Fraction(161, 2)):
        curve = lf.curve(X, [0, 1, 0, 1], lf.Lp, eps=[0.5, 0.6], p=order)
        assert curve.n_edges.tolist() == [1, 2]
        assert curve.separation == 0.5
        assert curve.eps_at(zero_one=0.25) == 0.5
        assert curve.eps_at(zero_one=0.5) == math.nextafter(0.5, 1)
        critical = make(order, 0).critical_eps(np.array(X)[[0, 2]], np.array(X)[[1, 3]])
        assert critical.diagonal().tolist() == [0.5, math.nextafter(0.5, 1)]


def least_double(holds: Callable[[Fraction], bool]) -> float:
    """Return the least double whose decimal a monotone test accepts, by bisection over all doubles."""
    low, high = 0, int(np.float64(1.7e308).view(np.int64))
    while low < high:
        middle = (low + high) // 2
        number = float(np.int64(middle).view(np.float64))
        low, high = (low, middle) if holds(Fraction(repr(number))) else (middle + 1, high)
    return float(np.int64(low).view(np.float64))


# Everything, against whole numbers.


def points(rng: np.random.Generator, scale: float, n: int, d: int) -> Points:
    """Random examples: of one size, in a cluster, of all sizes, or whole numbers; some features equal."""
    kind = int(rng.integers(4))
    made = rng.normal(size=(n, d))
    if kind == 1:
        made = 0.7 + made * 1e-3
    elif kind == 2:
        made = made * 10.0 ** -rng.integers(0, 250, (n, d)).astype(float)
    elif kind == 3:
        made = rng.integers(-3, 4, (n, d)).astype(float)
    made[rng.random((n, d)) < 0.3] = made[0, 0]
    return np.asarray(made * scale / 8)


def near(pairs: AllPairs, i: int, j: int, rng: np.random.Generator) -> Fraction:
    """The distance of a pair, or a number beside it, by a double, by far less, or by much."""
    factor = [1, 1 + Fraction(1, 2**70), 1 - Fraction(1, 2**70), 1 + Fraction(1, 2**50), 1 - Fraction(1, 2**50), 2]
    step = pairs.near(i, j) * factor[int(rng.integers(6))]
    return step if rng.random() < 0.7 else Fraction(repr(exact.nearest_double(step)))


@pytest.mark.parametrize(
    ("order", "scale"),
    # Every order at four scales, every scale with seven orders or so.
    [(order, SCALES[(i + 3 * k) % len(SCALES)]) for i, order in enumerate([*WHOLE, *BROKEN]) for k in range(4)],
    ids=str,
)
def test_conflicts_of_every_order_at_every_scale(order: Fraction, scale: float) -> None:
    rng = np.random.default_rng([order.numerator, order.denominator, int(1000 * math.log10(scale)) % 2**32])
    for d in (1, 2, 3) if order < 200 else (2,):
        n, m = 2, 3
        data = points(rng, scale, n + m, d)
        left, right = data[:n], data[n:]
        pairs = AllPairs(order, left, right)
        threshold = near(pairs, int(rng.integers(n)), int(rng.integers(m)), rng)
        shared = Radii((threshold / 3,), (threshold * 2 / 3,))
        own = Radii(
            tuple(threshold * Fraction(k, 7) for k in (1, 7)), tuple(threshold * Fraction(k, 7) for k in (0, 2, 3))
        )
        for radii in (shared, own):
            parts = [unpack(bits, m) for _, _, bits in PairSweep(order, left, right).within(radii)]
            assert np.array_equal(np.concatenate(parts), pairs.within(radii.of_pair))
        grid = sorted({Fraction(0), threshold / 2**30, threshold / 2, threshold, threshold * 2})
        levels = np.concatenate([part for _, _, part in PairSweep(order, left, right).levels(grid)])
        assert np.array_equal(levels, pairs.levels(grid))
        check_one_by_one(order, left, right, pairs)


def check_one_by_one(order: Fraction, left: Points, right: Points, pairs: AllPairs) -> None:
    """Distances as doubles are the nearest ones, bounds are bounds, and critical budgets the least."""
    sweep, ball = PairSweep(order, left, right), make(order, 0)
    low, high = ball.gauges(left, right)
    critical = ball.critical_eps(left, right)
    for i, j in itertools.product(range(len(left)), range(len(right))):
        distance = sweep.distance_of_key(sweep.key(i, j))
        below, above = math.nextafter(distance, -math.inf), math.nextafter(distance, math.inf)
        if distance > 0:
            assert not pairs.at_most(i, j, (Fraction(distance) + Fraction(below)) / 2 * (1 - Fraction(1, 2**200)))
        assert math.isinf(above) or pairs.at_most(i, j, (Fraction(distance) + Fraction(above)) / 2)
        assert low[i, j] == 0 or not pairs.at_most(i, j, Fraction(low[i, j]) * (1 - Fraction(1, 2**200)))
        assert math.isinf(high[i, j]) or pairs.at_most(i, j, Fraction(high[i, j]))
        assert high[i, j] <= low[i, j] * (1 + 1e-13) + 2.0**-520 * np.abs([*left, *right]).max() + 2.0**-1050
        eps = float(critical[i, j])
        assert pairs.at_most(i, j, 2 * Fraction(repr(eps)))
        assert eps == 0 or not pairs.at_most(i, j, 2 * Fraction(repr(math.nextafter(eps, 0))))
    i, j, key = sweep.nearest()
    assert not any(sweep.key(k, o) < key for k, o in itertools.product(range(len(left)), range(len(right))))
    assert (i, j) in [(k, o) for k in range(len(left)) for o in range(len(right)) if sweep.key(k, o) == key]


def any_within(pairs: AllPairs, eps: Fraction) -> bool:
    return any(pairs.at_most(i, j, 2 * eps) for i, j in itertools.product(range(3), range(3)))


@pytest.mark.parametrize("order", [*WHOLE, *BROKEN], ids=str)
def test_separation_and_eps_of_curves(order: Fraction) -> None:
    rng = np.random.default_rng(order.numerator)
    for scale in SCALES[::2]:
        data = points(rng, scale, 6, 2)
        y = np.array([0, 1, 0, 1, 0, 1])
        pairs = AllPairs(order, data[y == 0], data[y == 1])
        largest = float(np.abs(data).max())
        curve = lf.curve(data, y, lf.Lp, eps=[largest / 2**20, largest, 2 * largest], p=order)
        least = curve.eps_at(zero_one=1e-3)
        assert least is not None
        assert any_within(pairs, Fraction(repr(least)))
        assert least == 0 or not any_within(pairs, Fraction(repr(math.nextafter(least, 0))))
        assert abs(curve.separation - least) <= math.ulp(least)
        for eps, edges in zip(curve.eps, curve.n_edges, strict=True):
            assert edges == pairs.within(lambda i, j, e=eps: 2 * Fraction(repr(float(e)))).sum()


def test_orders_beyond_all_powers() -> None:
    # 1.7^2000 is beyond all doubles, and so is 1.8^2000.
    X = [[-0.9, 0.0], [0.9, 0.5], [-0.9, 0.1], [0.9, 0.2]]
    for eps in (0.85, [0.85] * 4, [0.0, 1.7, 0.0, 1.7]):
        assert lf.floor(X, [0, 1, 0, 1], lf.Lp(p=2000, eps=eps)).n_edges == 0
    for eps in (0.901, [0.901] * 4, [0.0, 1.81, 0.0, 1.81]):
        assert lf.floor(X, [0, 1, 0, 1], lf.Lp(p=2000, eps=eps)).n_edges == 4


# Time and memory: what is decided exactly needs few digits, however large the order and the scale.


@pytest.mark.parametrize(
    "order", [Fraction(100), Fraction(161, 2), Fraction(300), Fraction(9999, 10), Fraction(9999, 9998)]
)
def test_exact_decisions_are_quick_at_all_scales(order: Fraction) -> None:
    steps = [int(Fraction(x) * 2**1074) for x in (1e-300, 3e-5, 3.7e300, 1.2e300)]
    began = time.process_time()
    length = exact.norm_near(steps, -1074, order)
    assert not exact.norm_at_most(steps, -1074, order, length * (1 - Fraction(1, 2**110)))
    assert exact.norm_at_most(steps, -1074, order, length * (1 + Fraction(1, 2**110)))
    assert not exact.norm_at_most(steps, -1074, order, Fraction(3.7e300))
    assert exact.norm_at_most(steps[2:3], -1074, order, Fraction(3.7e300))
    root = exact.nearest_root(Fraction(1, 10**300), order.numerator, Fraction(3))
    assert math.isclose(root, 3 * 10 ** (-300 / order.numerator), rel_tol=1e-9)
    assert time.process_time() - began < 2


def test_ties_of_large_numbers() -> None:
    big = 2**900 + 1
    assert exact.norm_at_most([3 * big, 4 * big, 5 * big], -500, Fraction(3), Fraction(6 * big, 2**500))
    assert not exact.norm_at_most([3 * big, 4 * big, 5 * big, 1], -500, Fraction(3), Fraction(6 * big, 2**500))
    assert not exact.norm_at_most([3 * big, 4 * big, 5 * big], -500, Fraction(3), Fraction(6 * big - 1, 2**500))
    # 8 equal steps have 4 times their length at p = 3/2.
    assert exact.norm_at_most([big] * 8, 0, Fraction(3, 2), Fraction(4 * big))
    assert not exact.norm_at_most([big] * 7 + [big + 1], 0, Fraction(3, 2), Fraction(4 * big))
    assert exact.norm_at_most([big] * 7 + [big - 1], 0, Fraction(3, 2), Fraction(4 * big))


@pytest.mark.parametrize("order", [Fraction(1, 2), Fraction(2, 3), Fraction(5, 2), Fraction(80), Fraction(161, 2)])
def test_powers_to_many_digits(order: Fraction) -> None:
    chance = random.Random(order.numerator)
    for _ in range(20):
        value = Fraction(
            chance.getrandbits(chance.choice([3, 60, 900])) + 1, chance.getrandbits(chance.choice([3, 900])) + 1
        )
        power = exact.power_near(value, order)
        margin, truth = Fraction(1, 2**120), value**order.numerator
        assert (power * (1 - margin)) ** order.denominator <= truth <= (power * (1 + margin)) ** order.denominator
        root = exact.root_at_least(value, order)
        assert (root * (1 - margin)) ** order.numerator <= value**order.denominator <= root**order.numerator


# The ends of the doubles.


def test_data_at_the_ends_of_the_doubles() -> None:
    large, small = 1.7e308, 5e-324
    for make_ball in (lf.L1, lf.L2, lf.Linf, lambda e: lf.Lp(3, e), lambda e: lf.Lp("5/2", e), lambda e: lf.Lp(100, e)):
        ball = make_ball(0)
        for X in ([[large], [-large]], [[large, 0.0], [-large, 0.0]]):
            left, right = np.array(X[:1]), np.array(X[1:])
            assert ball.critical_eps(left, right)[0, 0] == large
            assert lf.floor(X, [0, 1], make_ball("1.7e308")).n_edges == (Fraction("1.7e308") >= Fraction(large))
            assert lf.floor(X, [0, 1], make_ball("1.71e308")).n_edges == 1
            assert lf.floor(X, [0, 1], make_ball("1.69e308")).n_edges == 0
            assert lf.curve(X, [0, 1], make_ball, eps=["1.69e308", "1.71e308"]).n_edges.tolist() == [0, 1]
        X = [[small, 0.0], [3 * small, 0.0]]
        assert ball.critical_eps(np.array(X[:1]), np.array(X[1:]))[0, 0] == small
        assert lf.floor(X, [0, 1], make_ball(small)).n_edges == (Fraction("5e-324") >= Fraction(small))
        assert lf.floor(X, [0, 1], make_ball("4e-324")).n_edges == 0


def test_the_nearest_pair_of_data_whose_squares_overflow() -> None:
    curve = lf.curve([[1e200], [2e200], [-1e200]], [0, 1, 1], lf.L2, eps=[1e199])
    assert curve.separation == 5e199
    curve = lf.curve([[1e-200], [2e-200], [-1e-200]], [0, 1, 1], lf.L2, eps=[1e-201])
    assert curve.separation == 5e-201
