"""Balls of norms, plain, weighted and elliptic: against exact sums, with ties, and their common points."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import cvxpy
import numpy as np
import pytest
from support.neighbourhoods import accepted, check_pairs, conflicts_of

import lossfloor as lf
from lossfloor.adversaries import L1, L2, Ellipsoid, Linf, Lp, NormBall, WeightedLp

DTYPES = [np.uint8, np.int64, np.float32, np.float64]
N, LEFT = 30, 14


def points(rng: np.random.Generator, dtype: Any, d: int = 5) -> Any:
    """Return points on a coarse grid, so that ties happen."""
    grid = rng.integers(0, 6, (N, d))
    return grid.astype(dtype) if np.issubdtype(dtype, np.integer) else (grid / 8).astype(dtype)


def steps_of(x: Any, y: Any) -> list[Fraction]:
    return [abs(Fraction(a) - Fraction(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def norm_within(steps: list[Fraction], p: Any, radius: Fraction) -> bool:
    """Compare exactly for whole p; to 60 digits else, where a tie of random numbers does not happen."""
    if p == math.inf:
        return max(steps) <= radius
    if p == int(p):
        return sum(step ** int(p) for step in steps) <= radius ** int(p)
    with localcontext() as context:
        context.prec = 60
        power = Decimal(p)
        terms = [(Decimal(step.numerator) / Decimal(step.denominator)) ** power for step in steps if step]
        limit = (Decimal(radius.numerator) / Decimal(radius.denominator)) ** power if radius else Decimal(0)
        difference = sum(terms, Decimal(0)) - limit
        assert abs(difference) > Decimal(10) ** -50 or difference == 0
        return difference <= 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [1, 1.5, 2, 3, math.inf])
@pytest.mark.parametrize("costs", [[1, 1, 1, 1, 1], ["1/3", 1, 0, 0.7, 2], [1, math.inf, 0.25, 0, 1]])
def test_weighted_norms_against_exact_sums(dtype: Any, p: float, costs: list[Any]) -> None:
    rng = np.random.default_rng(int(10 * min(p, 9)))
    X = points(rng, dtype)
    eps = [Fraction(int(k), 12) for k in rng.integers(0, 40, N)]
    adversary = WeightedLp(p, costs, [str(value) for value in eps], unit=2)
    sure, undecided = conflicts_of(adversary, adversary.as_data(X, N), LEFT)
    assert not undecided.any()
    prices = [math.inf if cost == math.inf else Fraction(str(cost)) for cost in costs]
    expected = np.zeros_like(sure)
    for i, j in np.ndindex(*sure.shape):
        steps = steps_of(X[i], X[LEFT + j])
        frozen = any(step and price == math.inf for step, price in zip(steps, prices, strict=True))
        paid = [step * price for step, price in zip(steps, prices, strict=True) if price != math.inf]
        expected[i, j] = not frozen and norm_within(paid, p, 2 * (eps[i] + eps[LEFT + j]))
    np.testing.assert_array_equal(sure, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [1, 1.5, 2, 3, math.inf])
def test_weighted_norms_meet(dtype: Any, p: float) -> None:
    rng = np.random.default_rng(3)
    X = points(rng, dtype)
    adversary = WeightedLp(p, [1, 0.5, 0, 2, math.inf], rng.integers(1, 30, N) / 8)
    check_pairs(adversary, X, LEFT, unrepresentable=0.05)


@pytest.mark.parametrize("dtype", DTYPES)
def test_costs_of_one_are_the_plain_norm(dtype: Any) -> None:
    X = points(np.random.default_rng(0), dtype)
    for plain, weighted in [(L1(0.5), WeightedLp(1, 1, 0.5)), (Lp(2.5, 1), WeightedLp("5/2", [1] * 5, 1))]:
        first, second = (conflicts_of(a, a.as_data(X, N), LEFT)[0] for a in (plain, weighted))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(plain.critical_eps(X[:4], X[4:9]), weighted.critical_eps(X[:4], X[4:9]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
def test_ellipsoids_against_exact_sums(dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = points(rng, dtype)
    root = rng.integers(-3, 4, (5, 5)) + 4 * np.eye(5)
    matrix = root @ root.T / 16 if seed % 2 else np.linalg.inv(root @ root.T)
    eps = rng.integers(1, 25, N) / 8
    adversary = Ellipsoid(matrix, eps)
    sure, _ = check_pairs(adversary, X, LEFT, unrepresentable=0.05)
    for i, j in np.ndindex(*sure.shape):
        step = [Fraction(a) - Fraction(b) for a, b in zip(X[i].tolist(), X[LEFT + j].tolist(), strict=True)]
        form = sum(step[a] * Fraction(matrix[a, b].item()) * step[b] for a in range(5) for b in range(5))
        assert sure[i, j] == (form <= Fraction(float(eps[i] + eps[LEFT + j])) ** 2)


def test_an_ellipsoid_with_the_identity_is_a_ball_ties_included() -> None:
    X = np.array([[0, 0], [3, 4], [6, 8], [5, 0]])
    for eps in (2.5, 2.4999999999, 5):
        ball, ellipsoid = L2(eps), Ellipsoid(np.eye(2), eps)
        np.testing.assert_array_equal(conflicts_of(ball, X, 2)[0], conflicts_of(ellipsoid, X, 2)[0])
    assert conflicts_of(Ellipsoid(np.eye(2), 2.5), X, 1)[0].tolist() == [[True, False, True]]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 2], [2, 1]], "positive definite"),
        ([[1, 0], [0, 0]], "positive definite"),
        ([[1, 1], [1, 1 + 2**-52]], "positive definite"),
        ([[1, 0.5], [0.4, 1]], "symmetric"),
        ([[1, 2, 3]], "square"),
        ([[np.nan]], "free of NaN"),
    ],
)
def test_matrices_that_are_no_ellipsoid(matrix: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"'matrix' must be .*{message}"):
        Ellipsoid(matrix, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WeightedLp(0.5, 1, 1), "'p' must be at least 1"),
        (lambda: WeightedLp(2, [1, -1], 1), "'costs' must be at least 0"),
        (lambda: WeightedLp(2, [[1], [2]], 1), "'costs' must be one number or an array of shape"),
        (
            lambda: WeightedLp(2, [1, 2], 1).as_data([[1, 2, 3]], 1),
            r"'costs' must be one number or an array of shape \(3,\)",
        ),
        (lambda: WeightedLp(2, [np.nan], 1), "'costs' must be finite"),
        (lambda: Ellipsoid(np.eye(2), 1).as_data([[1, 2, 3]], 1), "'X' must be of 2 features"),
        (lambda: Ellipsoid(np.eye(2), -1), "'eps' must be at least 0"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# Common points.

BALLS: list[Any] = [L1, L2, Linf, lambda eps: Lp(3, eps), lambda eps: Lp(1.5, eps)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", BALLS)
def test_a_common_point_has_the_dtype_of_the_data_when_there_is_room(make: Any, dtype: Any) -> None:
    rng = np.random.default_rng(7)
    X = (rng.random((12, 40)) * 200).astype(dtype)
    for i in range(0, 12, 2):
        pair = X[i : i + 2]
        critical = make(1).critical_eps(pair[:1], pair[1:])[0, 0]
        adversary = make(critical * 1.02)
        point = adversary.meet(pair)
        assert point.dtype == dtype
        assert accepted(adversary, pair, np.arange(2), point)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", BALLS)
def test_a_common_point_is_found_where_balls_barely_touch(make: Any, dtype: Any) -> None:
    rng = np.random.default_rng(8)
    X = (rng.random((12, 40)) * 200).astype(dtype)
    for i in range(0, 12, 2):
        pair = X[i : i + 2]
        adversary = make(make(1).critical_eps(pair[:1], pair[1:])[0, 0])
        point = adversary.meet(pair)
        assert accepted(adversary, pair, np.arange(2), point)


def test_whole_steps_are_shared_out_when_an_l1_tie_allows_it() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        pair = rng.integers(0, 9, (2, 6))
        distance = int(np.abs(pair[0] - pair[1]).sum())
        mine = int(rng.integers(0, distance + 1))
        adversary = L1([mine, distance - mine])
        point = adversary.meet(pair, index=np.arange(2))
        assert point.dtype == pair.dtype
        assert accepted(adversary, pair, np.arange(2), point)


def test_ties_of_very_different_radii() -> None:
    pair = np.array([[0.0, 0.0], [1.0, 0.0]])
    for first in (Fraction(1, 8), Fraction(1, 2**40), Fraction(0), Fraction(1)):
        adversary = L2([str(first), str(1 - first)])
        point = adversary.meet(pair, index=np.arange(2))
        assert point.tolist() == [float(first), 0.0]


def test_balls_that_touch_where_no_double_is() -> None:
    adversary = L2(["1/3", "2/3"])
    assert adversary.conflict(np.array([0.0]), np.array([1.0]), index=np.arange(2))
    with pytest.raises(ArithmeticError, match="no such point with double coordinates was found"):
        adversary.meet([[0.0], [1.0]], index=np.arange(2))
    assert L2(["1/3", "1/3"]).meet([[0.0], [1.0]], index=np.arange(2)) is None


def test_a_point_between_integers_is_a_double() -> None:
    point = Linf(0.5).meet(np.array([[0, 0], [1, 1]], dtype=np.uint8))
    assert point.dtype == np.float64
    assert point.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize("k", [3, 4])
@pytest.mark.parametrize("make", [*BALLS, lambda eps: Ellipsoid(np.diag([1, 2, 0.5]) + 0.1, eps)])
def test_more_than_two_balls(make: Any, k: int, dtype: Any) -> None:
    """The least radius at which k balls share a point, by bisection on `meet`, against a cloud of points."""
    rng = np.random.default_rng(k)
    X = (rng.random((k, 3)) * 8).astype(dtype)
    low, high = 0.0, 20.0
    for _ in range(16):
        middle = round((low + high) / 2, 6)
        adversary = make(middle)
        try:
            point = adversary.meet(X)
        except ArithmeticError:
            break
        if point is None:
            low = middle
        else:
            assert accepted(adversary, X, np.arange(k), point)
            high = middle
    gauge = make(1)
    pairwise = gauge.critical_eps(X, X).max()
    assert pairwise - 1e-4 <= high <= 2 * pairwise
    # The search in a norm that is neither l1, l2 nor linf may leave a pair of bounds (it says so by ArithmeticError).
    if isinstance(gauge, NormBall):
        assert high - low < (1e-3 if gauge.order in (1, 2, None) else 0.2)
    # No point of a cloud around the answer lies in all balls of a clearly smaller radius.
    cloud = make(high).meet(X) + rng.normal(0, 0.02, (300, 3))
    smaller = make(round(low - 0.02, 6)) if low > 0.03 else None
    if smaller is not None:
        inside = np.all([smaller.contains(np.repeat(x[None], len(cloud), 0), cloud) for x in X], axis=0)
        assert not inside.any()


@pytest.mark.parametrize("p", [1, 1.5, 3])
@pytest.mark.parametrize("d", [3, 30])
def test_three_balls_are_decided_a_thousandth_from_touching(p: float, d: int) -> None:
    X = np.random.default_rng(d).random((3, d))
    z = cvxpy.Variable(d)
    radius = cvxpy.Problem(cvxpy.Minimize(cvxpy.maximum(*(cvxpy.pnorm(z - x, p) for x in X)))).solve()
    assert Lp(p, radius * 1.001).meet(X) is not None
    assert Lp(p, radius * 0.999).meet(X) is None


def test_three_boxes_meet_when_each_two_do() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        X = rng.integers(0, 5, (3, 2)).astype(float)
        adversary = Linf(rng.integers(1, 6, 3) / 4)
        pairs = [adversary.meet(X[[i, j]], index=np.array([i, j])) for i, j in ((0, 1), (0, 2), (1, 2))]
        assert (adversary.meet(X, index=np.arange(3)) is not None) == all(point is not None for point in pairs)


def test_three_discs_may_meet_two_by_two_only() -> None:
    corners = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, math.sqrt(3)]])
    assert L2(1.1).meet(corners) is None  # the middle is 2 / sqrt(3) = 1.1547 away
    assert L2(1.1).meet(corners[:2]) is not None
    assert L2(1.155).meet(corners) is not None


def test_the_critical_radius_of_large_integers() -> None:
    X = np.array([[2**60, 0], [2**60 + 3, 4]])
    assert L2(1).critical_eps(X[:1], X[1:]).tolist() == [[2.5]]
    assert L1(1, unit=7).critical_eps(X[:1], X[1:]).tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("adversary", "d", "expected"),
    [
        (L2(1), 1, "balls"),  # its proofs name a common point
        (L2(1), 3, "balls"),
        (L2("1e-40"), 3, "asking"),  # squares of radii would vanish
        (L1(1), 1, "pairs"),
        (L1(1), 3, "asking"),
        (Linf(1), 3, "pairs"),
        (Lp("inf", 1), 3, "pairs"),
        (WeightedLp("inf", 2, 1), 3, "pairs"),
        (WeightedLp(2, 2, 1), 3, "asking"),
        (Ellipsoid([[2.0]], 1), 1, "pairs"),
    ],
    ids=str,
)
def test_how_several_balls_meet(adversary: Any, d: int, expected: str) -> None:
    X = np.random.default_rng(0).normal(size=(6, d))
    assert adversary.meets_by(adversary.as_data(X, 6)) == expected


@pytest.mark.parametrize("make", [L1, lambda eps: Lp(3, eps), lambda eps: WeightedLp(2, 1, eps)])
def test_intervals_of_any_norm_have_the_same_floor(make: Any) -> None:
    rng = np.random.default_rng(5)
    X, y = rng.integers(0, 40, (30, 1)), rng.integers(0, 4, 30)
    known, floor = lf.floor(X, y, Linf(2)), lf.floor(X, y, make(2))
    for loss in ("cross-entropy", "zero-one"):
        assert floor.bounds(loss) == known.bounds(loss)
    floor.verify()
