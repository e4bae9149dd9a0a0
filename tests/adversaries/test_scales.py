"""Balls of weighted norms and ellipsoids at every scale, and of data of two types, against fractions.

Nothing that overflows or underflows on the way may show: neither in an answer nor as a warning, which is an error here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import lossfloor as lf
from lossfloor.adversaries import Ellipsoid, WeightedLp
from lossfloor.adversaries.box import Box
from lossfloor.adversaries.geometry.deciding import sum_bounds, unpack
from lossfloor.adversaries.geometry.gauge_balls import GaugeBall

Points = npt.NDArray[Any]
#: Tells whether two points are at most so far apart.
Within = Callable[[Points, Points, Fraction], bool]
HAIR = Fraction(1, 10**25)


def steps_of(a: Points, b: Points) -> list[Fraction]:
    return [Fraction(x) - Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]


def random_points(rng: np.random.Generator, d: int) -> Points:
    """Five examples of one size, of many, or whole numbers."""
    made = rng.normal(size=(5, d)) if rng.random() < 0.6 else rng.integers(-3, 4, (5, d)).astype(float)
    made *= 10.0 ** float(rng.choice([-320, -300, -160, -10, 0, 10, 160, 300]))
    kind = int(rng.integers(6))
    if kind == 0:
        made *= 10.0 ** -rng.integers(0, 200, (5, d)).astype(float)
    elif kind == 1:
        made /= 10.0 ** rng.integers(0, 200, d).astype(float)
    elif kind == 2:
        return rng.integers(-(2**62), 2**62, (5, d))
    return made


def random_ellipsoid(rng: np.random.Generator, d: int) -> tuple[Callable[[Any], GaugeBall], Within]:
    """From round to a needle of 10^6 to 1, in features of all sizes."""
    root = rng.normal(size=(d, d))
    sizes = 10.0 ** rng.integers(-140, 141, d).astype(float)
    matrix = (root @ root.T + np.eye(d) * 10.0 ** -float(rng.integers(0, 12))) * np.outer(sizes, sizes)
    entries = [[Fraction(value) for value in row] for row in ((matrix + matrix.T) / 2).tolist()]

    def within(a: Points, b: Points, radius: Fraction) -> bool:
        steps = steps_of(a, b)
        pairs = itertools.product(range(d), range(d))
        return radius >= 0 and sum(entries[i][j] * steps[i] * steps[j] for i, j in pairs) <= radius**2

    return lambda eps: Ellipsoid((matrix + matrix.T) / 2, eps), within


def random_weights(rng: np.random.Generator, d: int) -> tuple[Callable[[Any], GaugeBall], Within]:
    """Costs of all sizes, some of them infinite."""
    p = str(rng.choice(["1", "2", "3", "7", "inf", "100"]))
    costs = [Fraction(str(cost)) for cost in 10.0 ** rng.integers(-300, 301, d).astype(float)]
    frozen = (rng.random(d) < 0.2).tolist()
    table = [float("inf") if cold else cost for cold, cost in zip(frozen, costs, strict=True)]

    def within(a: Points, b: Points, radius: Fraction) -> bool:
        steps = steps_of(a, b)
        if any(cold and step for cold, step in zip(frozen, steps, strict=True)):
            return False
        paid = [abs(step) * cost for step, cost, cold in zip(steps, costs, frozen, strict=True) if not cold]
        unit = math.lcm(radius.denominator, *(step.denominator for step in paid))
        whole, bound = [int(step * unit) for step in paid], int(radius * unit)
        return max(whole, default=0) <= bound if p == "inf" else sum(x ** int(p) for x in whole) <= bound ** int(p)

    return lambda eps: WeightedLp(p, table, eps), within


@pytest.mark.parametrize("make", [random_ellipsoid, random_weights])
@pytest.mark.parametrize("seed", range(60))
def test_balls_at_every_scale(make: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 4))
    X = random_points(rng, d)
    ball, within = make(rng, d)
    check_distances(ball(0), within, X[:2], X[2:])
    middle = ball(0).gauge(X[0], X[2])
    middle = Fraction(1) if middle is None else middle
    for factor in (1, 1 + HAIR, 1 - HAIR, 2):
        eps = [middle / 2 * factor * Fraction(int(k), 2) for k in rng.integers(0, 4, 5)]
        for given in (middle / 2 * factor, eps):
            rows = ball(given).conflicts(X[:2], X[2:], index_a=np.arange(2), index_b=np.arange(2, 5))
            found = np.concatenate([unpack(one.bits, 3) for one in rows])
            radii = eps if given is eps else [given] * 5
            for i, j in itertools.product(range(2), range(3)):
                assert found[i, j] == within(X[i], X[2 + j], radii[i] + radii[2 + j])


def check_distances(ball: GaugeBall, within: Within, left: Points, right: Points) -> None:
    low, high = ball.gauges(left, right)
    critical = ball.critical_eps(left, right)
    for i, j in itertools.product(range(len(left)), range(len(right))):
        a, b, near, eps = left[i], right[j], ball.gauge(left[i], right[j]), float(critical[i, j])
        if near is None:
            assert math.isinf(eps)
            assert not within(a, b, Fraction(10) ** 1000)
            continue
        assert within(a, b, near * (1 + HAIR))
        assert near == 0 or not within(a, b, near * (1 - HAIR))
        assert low[i, j] == 0 or not within(a, b, Fraction(low[i, j]) * (1 - HAIR))
        assert math.isinf(high[i, j]) or within(a, b, Fraction(high[i, j]))
        if math.isinf(eps):
            assert not within(a, b, 2 * Fraction("1.7976931348623157e308"))
            continue
        assert within(a, b, 2 * Fraction(repr(eps)))
        assert eps == 0 or not within(a, b, 2 * Fraction(repr(math.nextafter(eps, 0))))


@pytest.mark.parametrize("seed", range(20))
def test_boxes_around_ellipsoids_are_around_them(seed: int) -> None:
    """The point of an ellipsoid that is farthest along an axis lies in its box, however thin the ellipsoid is."""
    rng = np.random.default_rng(seed)
    d = 3
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    matrix = (turn * 10.0 ** -np.array([0, 4, float(rng.integers(4, 13))])) @ turn.T
    ball = Ellipsoid((matrix + matrix.T) / 2, 1)
    low, high = ball.reach(np.zeros((1, d)), np.array([0]))
    exact = inverse_diagonal([[Fraction(value) for value in row] for row in ((matrix + matrix.T) / 2).tolist()])
    assert all(Fraction(end) ** 2 >= square for end, square in zip(high[0].tolist(), exact, strict=True))
    assert np.array_equal(low, -high)
    assert all(Fraction(end) ** 2 <= square * 100 for end, square in zip(high[0].tolist(), exact, strict=True))


def inverse_diagonal(matrix: list[list[Fraction]]) -> list[Fraction]:
    """By cofactors, for three features."""

    def minor(i: int) -> Fraction:
        j, k = (other for other in range(3) if other != i)
        return matrix[j][j] * matrix[k][k] - matrix[j][k] ** 2

    (a, b, c), (_, e, f), (_, _, i) = matrix
    determinant = a * (e * i - f * f) - b * (b * i - f * c) + c * (b * f - e * c)
    return [minor(i) / determinant for i in range(3)]


def test_ellipsoids_at_the_ends_of_the_doubles_warn_of_nothing() -> None:
    for scale in (1e-320, 1e-200, 1e200, 1e308):
        X = np.array([[0.0, 0.0], [1.0, 0.5], [1.0, -0.5], [0.0, 1.0]]) * scale
        for size in (1e-300, 1.0, 1e300):
            ball = Ellipsoid(np.array([[2.0, 1.0], [1.0, 2.0]]) * size, 0)
            assert lf.floor(X, [0, 1, 0, 1], ball).n_edges == 0
    with pytest.raises(ValueError, match="positive definite"):
        Ellipsoid([[1e-300, 1e300], [1e300, 1e-300]], 1)
    with pytest.raises(ValueError, match="symmetric"):
        Ellipsoid([[1.0, 1.7e308], [-1.7e308, 1.0]], 1)
    assert Ellipsoid([[1.7e308, 0.0], [0.0, 1.7e308]], 1).contains([[0, 0]], [[0.0, 1e-154]]).tolist() == [False]
    # Conflicts of three classes look for common points.
    floor = lf.floor([[0.0, 0.0], [1e200, 0.0], [0.0, 1e200]], [0, 1, 2], Ellipsoid(np.eye(2), "0.75e200"))
    assert floor.bounds("zero-one") == pytest.approx((2 / 3, 2 / 3), abs=1e-4)


def test_costs_that_underflow_make_no_conflict() -> None:
    zero = np.array([[0.0]])
    for gap, cost, eps in ((1.38e-19, "1e-304", "6e-324"), (1e-100, "1e-290", "1e-391"), (1e-100, "1e-290", 0)):
        ball, X = WeightedLp(1, [cost], eps), np.array([[gap]])
        assert Fraction(gap) * Fraction(cost) > 2 * Fraction(str(eps))
        assert not unpack(next(iter(ball.conflicts(X, zero))).bits, 1)[0, 0]
    ball = WeightedLp(1, ["1e400"], "1e300")  # a cost that is no double
    assert ball.contains([[0.0]] * 2, [[0.9e-100], [1.1e-100]]).tolist() == [True, False]
    assert lf.floor([[0.0], [1.9e-100], [2.1e-100]], [0, 1, 1], ball).n_edges == 1


def test_whole_numbers_beside_floats_are_not_rounded() -> None:
    whole, near = np.array([[2**53 + 1, 0]]), np.array([[2.0**53, 0.0]])
    for costs in ([1, 1], [float("inf"), 1]):
        ball = WeightedLp(1, costs, Fraction(1, 4))
        assert not ball.contains(whole, near)[0]
        assert not unpack(next(iter(ball.conflicts(whole, near))).bits, 1)[0, 0]
    low, high = WeightedLp(1, [float("inf"), 1], 0).gauges(whole, near)
    assert np.isinf(low[0, 0])
    assert np.isinf(high[0, 0])
    # Floats are not cut to whole numbers, wherever they stand.
    for a, b in (([[0, 0]], [[0.9, 0.0]]), ([[0.9, 0.0]], [[0, 0]])):
        rows = WeightedLp(1, [1, 1], Fraction(1, 4)).conflicts(np.array(a), np.array(b))
        assert not unpack(next(iter(rows)).bits, 1)[0, 0]


def test_sums_of_radii_beyond_all_doubles() -> None:
    large = Fraction("1.7e308")
    low, high = sum_bounds([large], [large])
    assert Fraction(low[0, 0]) <= 2 * large
    assert math.isinf(high[0, 0])
    ball = WeightedLp(2, [3, 1], "1.7e308")
    for gap, expected in ((1.1e308, True), (1.2e308, False)):
        assert lf.floor([[gap, 0.0], [0.0, 0.0]], [0, 1], ball).n_edges == expected


def test_ends_of_boxes_beyond_all_doubles() -> None:
    # The first may move down to -3.4e308, the second to 0.
    X = np.array([[-1.7e308], [1.7e308]])
    for upper, expected in ((0, False), ("1.69e308", False), ("1.71e308", True)):
        rows = Box("1.7e308", upper).conflicts(X[:1], X[1:])
        assert unpack(next(iter(rows)).bits, 1)[0, 0] == expected
