"""Unions, intersections and limits of the domain: against a general convex solver, with ties, and with bounds."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import cvxpy
import numpy as np
import pytest
from support.neighbourhoods import accepted, check_pairs, conflicts_of

import lossfloor as lf
from lossfloor import conflicts
from lossfloor.adversaries import (
    L1,
    L2,
    Adversary,
    Box,
    Clipped,
    CustomAdversary,
    Ellipsoid,
    Geometric,
    Hamming,
    Intersection,
    Linf,
    Lp,
    NormBall,
    Precomputed,
    SparseLinf,
    Union,
    WeightedLp,
    from_config,
)
from lossfloor.adversaries.geometry import bodies
from lossfloor.exceptions import CertificateError

N, LEFT = 10, 5
MATRIX = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.5]])


class Depth:
    """How deep the deepest common point of two neighbourhoods lies, by a general solver; positive if there is none."""

    def __init__(self, first: Adversary, second: Adversary, d: int) -> None:
        self.z = cvxpy.Variable(d)
        self.sides = [self._side(first, d), self._side(second, d)]
        parts = [part for side in self.sides for part in side[0]]
        self.problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.maximum(*parts)))

    def _side(self, adversary: Adversary, d: int) -> tuple[list[Any], Any, list[tuple[Any, Any]]]:
        x = cvxpy.Parameter(d)
        members = adversary.members if isinstance(adversary, Intersection) else (adversary,)
        parts, scales = [], []
        for member in members:
            scale = cvxpy.Parameter(nonneg=True)
            scales.append((scale, member))
            parts += _excess(member, self.z - x, scale)
        return parts, x, scales

    def of(self, data: Any, i: int, j: int) -> float:
        for (_, x, scales), k in zip(self.sides, (i, j), strict=True):
            x.value = data[k].astype(float)
            for scale, member in scales:
                scale.value = float(member.eps[k if len(member.eps) > 1 else 0] * member.unit)
        return float(self.problem.solve(solver=cvxpy.CLARABEL))


def _excess(adversary: Adversary, step: Any, scale: Any) -> list[Any]:
    """Return expressions that are at most zero exactly when an example may make a step with a budget."""
    d = step.shape[0]
    if isinstance(adversary, Box):
        low, high = (
            [float(amount) for amount in table.amounts(table.rows(1, d, None)[0])]
            for table in (adversary.lower, adversary.upper)
        )
        down = [-step[j] - scale * low[j] for j in range(d) if math.isfinite(low[j])]
        return down + [step[j] - scale * high[j] for j in range(d) if math.isfinite(high[j])]
    if isinstance(adversary, NormBall):
        return [cvxpy.norm(step, "inf" if adversary.order is None else float(adversary.order)) - scale]
    if isinstance(adversary, WeightedLp):
        costs = np.array([float(cost) for cost in adversary.costs.amounts(adversary.costs.rows(1, d, None)[0])])
        frozen = [100 * cvxpy.abs(step[j]) for j in np.flatnonzero(np.isinf(costs))]
        paid = np.where(np.isinf(costs), 0, costs)
        return [cvxpy.norm(cvxpy.multiply(paid, step), float(adversary.order or math.inf)) - scale, *frozen]
    assert isinstance(adversary, Ellipsoid)
    return [cvxpy.norm(np.linalg.cholesky(adversary.matrix).T @ step, 2) - scale]


def check_against_solver(adversary: Adversary, data: Any) -> None:
    """Compare conflicts with what the solver says, where it is not a tie for it."""
    sure, undecided = check_pairs(adversary, data, LEFT, unrepresentable=0.1)
    assert not undecided.any()
    members = adversary.members if isinstance(adversary, Union) else (adversary,)
    depths = [Depth(first, second, data.shape[1]) for first, second in itertools.product(members, repeat=2)]
    clear = 0
    for i, j in np.ndindex(*sure.shape):
        depth = math.inf
        for pair in depths:
            depth = min(depth, pair.of(data, i, LEFT + j)) if depth > -1e-5 else depth
        if depth < -1e-5:
            assert sure[i, j]
        elif depth > 1e-5:
            assert not sure[i, j]
        clear += abs(depth) > 1e-5
    assert clear > 0.7 * sure.size
    assert 0 < sure.mean() < 1


def budgets(seed: int, scale: float = 1) -> Any:
    return (np.random.default_rng(seed).integers(1, 12, N) * scale / 8).tolist()


UNIONS: dict[str, Any] = {
    "l2, linf": lambda: Union(L2(budgets(0)), Linf(budgets(1, 0.7))),
    "l1, l2": lambda: Union(L1(budgets(0, 1.5)), L2(budgets(1))),
    "l1, l2, linf": lambda: Union(L1(1.5), L2(1), Linf(0.6)),
    "l1, l3": lambda: Union(L1(budgets(0, 1.3)), Lp(3, budgets(1))),
    "l3, linf": lambda: Union(Lp(3, budgets(0)), Linf(budgets(1, 0.7))),
    "box, l2": lambda: Union(Box(0, [1, math.inf, 0.5], eps=budgets(1)), L2(budgets(0))),
    "box, box": lambda: Union(Box(0, [1, 2, 0.5]), Box([1, 0, 3], 0.25)),
    "weighted, box": lambda: Union(WeightedLp(2, [1, math.inf, 0], budgets(0)), Box(0.5, 1)),
    "weighted, weighted": lambda: Union(WeightedLp(2, [1, 2, 0.5], budgets(0)), WeightedLp(1, [2, 1, 0.1], budgets(1))),
    "ellipsoid, linf": lambda: Union(Ellipsoid(MATRIX, budgets(0)), Linf(budgets(1, 0.6))),
    "ellipsoid, l1": lambda: Union(Ellipsoid(MATRIX, budgets(0)), L1(budgets(1))),
    "two l2": lambda: Union(L2(budgets(0)), L2(budgets(1))),
}


@pytest.mark.parametrize("name", UNIONS)
def test_unions_against_a_solver(name: str) -> None:
    check_against_solver(UNIONS[name](), (np.random.default_rng(1).random((N, 3)) * 3).round(2))


INTERSECTIONS: dict[str, Any] = {
    "l2, linf, shared": lambda: Intersection(L2(1.2), Linf(0.9)),
    "ellipsoid, l1, shared": lambda: Intersection(Ellipsoid(MATRIX, 1.5), L1(2)),
    "l2, linf": lambda: Intersection(L2(budgets(0, 1.5)), Linf(budgets(1))),
    "box, linf": lambda: Intersection(Box(0, [1, math.inf, 0.5]), Linf(budgets(1, 1.5))),
    "box, l2": lambda: Intersection(Box([0, 1, 1], [2, 3, 0.5]), L2(budgets(0, 1.5))),
    "l1, l2, box": lambda: Intersection(L1(budgets(0, 2)), L2(1.5), Box(1, 2)),
    "one member": lambda: Intersection(L1(budgets(0, 1.5))),
}


@pytest.mark.parametrize("name", INTERSECTIONS)
def test_intersections_against_a_solver(name: str) -> None:
    check_against_solver(INTERSECTIONS[name](), (np.random.default_rng(2).random((N, 3)) * 3).round(2))


@pytest.mark.parametrize("name", [*UNIONS, *INTERSECTIONS])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_points_of_a_grid_with_many_ties(name: str, dtype: Any) -> None:
    grid = np.random.default_rng(4).integers(0, 5, (N, 3))
    data = grid.astype(np.uint8) if dtype == np.uint8 else (grid / 2).astype(np.float32)
    adversary = (UNIONS | INTERSECTIONS)[name]()
    sure, undecided = check_pairs(adversary, data, LEFT, unrepresentable=0.2)
    assert sure.any()
    assert undecided.mean() <= 0.1


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_a_ball_that_touches_the_corner_of_a_box(p: float) -> None:
    """The corner (1, 1, 1) of the box around 0 is at a distance of 3^(1/p) a from the centre (1 + a, ...)."""
    data = np.array([[0.0, 0, 0], [3.0, 3, 3]])
    box = Linf([1, 0])
    radius = lf.Lp(p, 1).critical_eps(np.zeros((1, 3)), np.full((1, 3), 2.0))[0, 0] * 2
    touching, apart = (Lp(p, [0, r]) for r in (radius, radius * (1 - 1e-15)))
    assert conflicts_of(Union(box, touching), data, 1)[0].all()
    assert not conflicts_of(Union(box, apart), data, 1)[0].any()
    assert Union(box, apart).conflict(*data, index=np.arange(2)) is False


def test_an_l1_ball_that_touches_an_l2_ball() -> None:
    """Nearest to (4, 3) in the l1 ball of radius 3 is (2, 1), at the distance sqrt(8); to (5, 0) it is (3, 0)."""
    data = np.array([[0, 0], [4, 3], [5, 0]])
    index = np.arange(3)
    for radius, expected in (
        ("2.8284271247461902", [True, True]),
        ("2.82842712474619", [False, True]),
        (2, [False, True]),
    ):
        adversary = Union(L1([3, 0, 0]), L2([0, radius, radius]))
        assert conflicts_of(adversary, data, 1)[0].tolist() == [expected]
    assert not conflicts_of(Union(L1([3, 0, 0]), L2([0, 0, "1.999999999999999999"])), data, 1)[0].any()
    point = Union(L1([3, 0, 0]), L2([0, 0, 2])).meet(data[[0, 2]], index=index[[0, 2]])
    assert point.tolist() == [3, 0]


def root_bracket(square: Fraction) -> tuple[str, str]:
    """Return two decimals of 40 places, one below the root of a number and one not below it."""
    unit = 10**40
    root = math.isqrt(square.numerator * unit**2 // square.denominator)
    assert Fraction(root, unit) ** 2 < square
    return str(Fraction(root, unit)), str(Fraction(root + 1, unit))


@pytest.mark.parametrize("other", ["linf", "box", "l1", "weighted"])
@pytest.mark.parametrize("seed", range(8))
def test_an_l2_ball_nearer_to_touching_than_doubles_can_tell(other: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = (rng.random((2, 6)) * [[1.0], [1.0]] + [[0.0] * 6, [1.0] * 6]).round(3)
    steps = [Fraction(b) - Fraction(a) for a, b in zip(*data.tolist(), strict=True)]
    costs = [Fraction(1)] * 6
    if other == "l1":
        member: Adversary = L1(["0.7", 0])
        theta = max((sum(sorted(steps)[-k:]) - Fraction(7, 10)) / k for k in range(1, 7))
        left = [min(step, theta) for step in steps]
    else:
        member = Linf(["0.3", 0]) if other != "box" else Box(0, "0.3", eps=[1, 0])
        left = [max(step - Fraction(3, 10), Fraction(0)) for step in steps]
    if other == "weighted":
        costs = [Fraction(k, 7) for k in range(1, 7)]
    square = sum((cost * gap) ** 2 for cost, gap in zip(costs, left, strict=True))
    for radius, expected in zip(root_bracket(square), (False, True), strict=True):
        ball = WeightedLp(2, [str(cost) for cost in costs], [0, radius]) if other == "weighted" else L2([0, radius])
        for members in ((member, ball), (ball, member)):
            adversary = Union(*members)
            assert conflicts_of(adversary, data, 1)[0].item() == expected
            assert adversary.conflict(*data, index=np.arange(2)) is expected
            turned = Union(*(from_config({**m.config(), "eps": m.config()["eps"][::-1]}) for m in members))
            assert conflicts_of(turned, data[::-1], 1)[0].item() == expected


def test_three_examples_reach_a_point_in_their_own_ways() -> None:
    adversary = Union(L2(1), Linf(0.75))
    data = np.array([[0.0, 0.0], [1.5, 1.5], [1.6875, 0.75]])
    point = adversary.meet(data)
    assert accepted(adversary, data, np.arange(3), point)
    assert L2(1).meet(data) is None
    assert Linf(0.75).meet(data) is None
    far = np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]])
    assert adversary.meet(far) is None


def test_an_example_is_moved_within_the_balls_of_all_members() -> None:
    adversary = Intersection(L2(1.5), Linf(1), L1(2.2))
    data = np.array([[0.0, 0.0], [1.2, 1.2], [1.4, 0.2]])
    point = adversary.meet(data)
    assert accepted(adversary, data, np.arange(3), point)
    assert Intersection(L2(0.6), Linf(1)).meet(data) is None


def test_members_without_a_test_for_mixed_pairs() -> None:
    adversary = Union(Hamming(1), Linf(0.5))
    data = np.random.default_rng(0).integers(0, 3, (N, 3))
    sure, undecided = check_pairs(adversary, data, LEFT)
    assert undecided.any()
    moves = np.abs(data[:LEFT, None] - data[None, LEFT:])
    either = ((moves > 0).sum(axis=2) <= 2) | (moves.max(axis=2) <= 1)
    assert (sure >= either).all()


def test_sparse_moves_are_within_a_box() -> None:
    adversary = Union(SparseLinf(1, 1), L2(0.5))
    data = np.random.default_rng(0).integers(0, 4, (N, 3))
    _, undecided = check_pairs(adversary, data, LEFT)
    assert undecided.any()
    assert np.abs(data[:LEFT, None] - data[None, LEFT:]).max(axis=2)[undecided].max() <= 1


@pytest.mark.parametrize("cls", [Union, Intersection])
def test_members_that_take_different_data(cls: Any) -> None:
    with pytest.raises(ValueError, match="'members' must be adversaries that take the same data as L2"):
        cls(L2(1), Geometric(shape=(1, 2))).as_data([[1, 2], [3, 4]], 2)
    with pytest.raises(TypeError, match="'members' must be adversaries"):
        cls(L2(1), 3)
    with pytest.raises(ValueError, match="'members' must be at least one adversary"):
        cls()


def test_an_intersection_may_not_be_empty() -> None:
    leaves = CustomAdversary(contains=lambda x, z: (x != z).any(), meet=lambda x, y: None)
    with pytest.raises(ValueError, match="'members' must be adversaries that let every example stay"):
        Intersection(L2(1), leaves).as_data(np.eye(2), 2)


# What is open.


def test_bodies_that_touch_for_all_that_can_be_told() -> None:
    """A ball of p = 3 that just touches an l1 ball: no point is found, and no proof that there is none."""
    first, second = np.zeros(2), np.array([2.0, 2.0])
    found = bodies.have_common_point(L1([1, 0]).body(first, 0), Lp(3, [0, "1.8898815748423097"]).body(second, 1))
    assert found is None
    assert bodies.have_common_point(L1([1, 0]).body(first, 0), Lp(3, [0, "1.8899"]).body(second, 1)) is True
    assert bodies.have_common_point(L1([1, 0]).body(first, 0), Lp(3, [0, "1.8898"]).body(second, 1)) is False


def open_case() -> tuple[Any, Any, Adversary]:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 5, (40, 3))
    return X, np.arange(40) % 2, Union(SparseLinf(1, 1), L2(0.5))


def test_a_floor_with_bounds(tmp_path: Any) -> None:
    X, y, adversary = open_case()
    floor = lf.floor(X, y, adversary)
    with pytest.raises(ValueError, match="'adversary' must be one that decides every pair"):
        conflicts.build(adversary, adversary.as_data(X, 40), y)
    assert floor.status == "bounds"
    assert floor.lower is floor
    assert floor.cross_entropy < floor.upper.cross_entropy
    assert floor.bounds("brier") == (floor.brier, floor.upper.brier)
    assert floor.summary()["upper"]["zero_one"] == floor.upper.zero_one
    assert " to " in repr(floor)
    assert "bounds" in repr(floor)
    floor.save(tmp_path / "floor.npz")
    again = lf.Floor.load(tmp_path / "floor.npz")
    assert again.status == "bounds"
    assert again.bounds("cross-entropy") == floor.bounds("cross-entropy")
    for one in (floor, again):
        assert one.verify(X, y).zero_one == floor.exact_loss("zero-one")
        assert one.upper.verify(X, y).zero_one == floor.upper.exact_loss("zero-one")


def test_the_floor_of_any_graph_between_is_between() -> None:
    X, y, adversary = open_case()
    floor = lf.floor(X, y, adversary)
    order = np.argsort(y, kind="stable")
    sure, undecided = conflicts_of(adversary, X[order], 20)
    for share in (0.0, 0.3, 1.0):
        some = sure | (undecided & (np.random.default_rng(4).random(undecided.shape) < share))
        matrix = np.zeros((40, 40), dtype=bool)
        matrix[:20, 20:] = some
        between = lf.floor(None, y[order], Precomputed(conflicts=matrix | matrix.T))
        for name in ("cross-entropy", "zero-one", "brier"):
            low, high = floor.bounds(name)
            assert low <= between.loss(name) + 1e-15
            assert between.loss(name) <= high + 1e-15
        if share in (0.0, 1.0):
            assert between.brier == floor.bounds("brier")[int(share)]


def test_the_upper_certificate_does_not_prove_the_sure_conflicts() -> None:
    X, y, adversary = open_case()
    floor = lf.floor(X, y, adversary)
    floor.upper._undecided = False
    with pytest.raises(CertificateError, match="carry flow but do not conflict"):
        floor.upper.verify()


# Limits of the domain.

MONOTONE: dict[str, Any] = {
    "l1": lambda: L1(budgets(0, 2)),
    "l2": lambda: L2(budgets(0, 1.5)),
    "linf": lambda: Linf(budgets(0)),
    "lp": lambda: Lp(1.5, budgets(0, 1.5)),
    "weighted": lambda: WeightedLp(2, [1, 0, 0.5], budgets(0)),
    "box": lambda: Box([0, 1, 2], [math.inf, 0, 1], eps=budgets(0)),
    "sparse": lambda: SparseLinf(2, budgets(0, 1.5)),
    "hamming": lambda: Hamming(1),
    "ellipsoid": lambda: Ellipsoid(MATRIX, budgets(0)),
    "union": lambda: Union(L2(budgets(0)), Linf(budgets(1, 0.7)), Box(0, [1, 2, 3])),
    "intersection": lambda: Intersection(L2(budgets(0, 2)), Linf(budgets(1))),
}


@pytest.mark.parametrize("name", MONOTONE)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_limits_change_no_conflict(name: str, dtype: Any) -> None:
    """Common points of all conflicts are found inside limits that are as tight as the data allows."""
    data = np.random.default_rng(3).integers(0, 5, (N, 3)).astype(dtype)
    if dtype == np.float32:
        data = data / dtype(4)
    free = MONOTONE[name]()
    clipped = Clipped(free, data.min(axis=0), data.max(axis=0))
    assert clipped.as_data(data, N) is not None
    expected = conflicts_of(free, data, LEFT)
    np.testing.assert_array_equal(conflicts_of(clipped, data, LEFT), expected)
    check_pairs(clipped, data, LEFT, unrepresentable=0.1)
    assert expected[0].any()


def test_limits_that_may_change_something() -> None:
    """An ellipsoid along the diagonal and a box meet outside the limits, and there only."""
    matrix = np.array([[1.0, -0.999], [-0.999, 1.0]]) * 200
    adversary = Union(Ellipsoid(matrix, [1, 0]), Linf([0, 0.25]))
    data = np.array([[0.0, 0.0], [1.2, 1.2]])
    assert conflicts_of(adversary, data, 1)[0].all()
    inside = Clipped(adversary, 0, 1.2)
    sure, undecided = conflicts_of(inside, data, 1)
    assert sure.all() or undecided.all()
    lower = np.array([[0.0, 0.0], [0.0, 0.3]])
    shifted = Union(Ellipsoid(matrix, [1, 0]), Linf([0, 0.25]))
    sure, undecided = check_pairs(Clipped(shifted, 0, 1), lower, 1)
    assert (sure | undecided).all() == conflicts_of(shifted, lower, 1)[0].all()


def test_a_custom_adversary_within_limits() -> None:
    def meet(x: Any, y: Any) -> Any:
        return np.maximum(x, y) + 0.5

    adversary = Clipped(CustomAdversary(contains=lambda x, z: (z >= x).all(), meet=meet), 0, 1)
    data = np.array([[0.2], [0.9], [0.4], [0.95]])
    sure, undecided = check_pairs(adversary, data, 2)
    # The point of the first pair is inside; those of the others are not, but the larger example is one that is.
    assert sure.all()
    assert not undecided.any()
    never = Clipped(CustomAdversary(contains=lambda x, z: z[0] >= x[0] + 0.1, meet=meet), 0, 1)
    sure, undecided = check_pairs(never, data, 2)
    assert sure.tolist() == [[True, False], [False, False]]
    assert undecided.tolist() == [[False, True], [True, True]]


def test_images_lose_the_outcomes_outside() -> None:
    images = np.array([[[1, 2, 1]], [[2, 1, 1]], [[1, 2, 2]]])
    free = Geometric(shifts=1)
    assert conflicts_of(free, images, 1)[0].tolist() == [[True, False]] or conflicts_of(free, images, 1)[0].any()
    limited = Clipped(free, 1, 2)  # a shift brings in zeros
    assert not conflicts_of(limited, limited.as_data(images, 3), 1)[0].any()
    assert limited.contains(images, images).all()
    assert not limited.contains(images, [[[0, 1, 2]], [[0, 2, 1]], [[0, 1, 2]]]).any()
    with pytest.raises(ValueError, match="outcome inside the limits, got 'none for example 0'"):
        Clipped(Geometric(90), 1, 2).as_data(images, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits_are_numbers_of_the_data(dtype: Any) -> None:
    data = np.array([[0.1], [0.9]], dtype=dtype)
    adversary = Clipped(Linf(1), 0.1, 0.9)
    assert adversary.as_data(data, 2) is not None
    assert adversary.contains(data, data[::-1]).all()
    with pytest.raises(ValueError, match=r"'X' must be between 0.1 and 0.9, got 'example 1 outside'"):
        adversary.as_data(np.nextafter(data, dtype(2)), 2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Clipped(1, 0, 1), TypeError, "'adversary' must be an adversary"),
        (lambda: Clipped(L2(1), 1, 0), ValueError, "'low' must be at most 'high'"),
        (lambda: Clipped(L2(1), "a", 0), TypeError, "'low' must be a number"),
        (lambda: Clipped(L2(1), 0, np.nan), ValueError, "'high' must be one number"),
        (lambda: Clipped(L2(1), [0, 0], 1).as_data([[1, 1, 1]], 1), ValueError, "must be one number or 3 of them"),
        (lambda: Clipped(Hamming(1), 0, 1).as_data([["a"]], 1), TypeError, "'X' must be an array of numbers"),
        (lambda: Clipped(Geometric(), [0, 1], 1), ValueError, "'low' must be one number for all pixels"),
    ],
)
def test_wrong_limits(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
