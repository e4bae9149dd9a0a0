"""The nearest shift: closed forms, other solvers, hard matrices, sets that are given by functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize
from support.mixtures import SHAPES, Capsule, random_covariance

import lossfloor as lf
from lossfloor.adversaries import Box, Ellipsoid, Intersection, SparseLinf, WeightedLp
from lossfloor.populations.gaussian import ConvergenceError, ConvexSet, Covariance, gaussian_floor

Array = npt.NDArray[np.float64]
ORDERS = [1.0, 1.01, 1.2, 1.5, 2.0, 2.5, 3.0, 10.0, 50.0, float("inf")]


def norm_ball(order: float, eps: float) -> Any:
    return lf.Lp(order, eps)


def as_full(variances: Array) -> Covariance:
    """A diagonal covariance that the project is not told of: it takes the routes of full ones."""
    return Covariance(np.diag(np.sqrt(variances)))


def distance(mean: Array, z: Array, covariance: Any) -> float:
    matrix = covariance if np.ndim(covariance) == 2 else np.eye(len(mean)) * covariance
    return float(np.sqrt((mean - z) @ np.linalg.solve(matrix, mean - z)))


# Closed forms.


@pytest.mark.parametrize("seed", range(5))
def test_l2_closed_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    variances, mean = rng.uniform(0.01, 1, size=6), rng.normal(size=6)
    eps = round(float(rng.uniform(0.1, 0.9) * np.linalg.norm(mean)), 6)
    multiplier = optimize.brentq(
        lambda x: np.linalg.norm(mean / (1 + x * variances)) - eps, 0, 1e6, xtol=1e-14, rtol=1e-14
    )
    z = mean / (1 + multiplier * variances)
    floor = gaussian_floor(mean, variances, lf.L2(eps))
    assert np.allclose(floor.shift, z, rtol=1e-10)
    assert floor.separation == pytest.approx(distance(mean, z, variances), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_linf_closed_form_is_what_every_other_route_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = 5
    variances, mean = rng.uniform(0.05, 1, size=d), rng.normal(size=d)
    eps = 0.6
    closed = gaussian_floor(mean, variances, lf.Linf(eps))
    assert np.array_equal(closed.shift, np.clip(mean, -eps, eps))
    sets = {
        "active set": (as_full(variances), lf.Linf(eps)),
        "box": (as_full(variances), Box([eps] * d, [eps] * d)),
        "projection": (variances, ConvexSet(project=lambda z: np.clip(z, -eps, eps))),
        "support point": (variances, ConvexSet(support_point=lambda w: eps * np.sign(w))),
        "support": (variances, ConvexSet(support=lambda w: eps * np.abs(w).sum())),
    }
    for name, (covariance, adversary) in sets.items():
        found = gaussian_floor(mean, covariance, adversary)
        assert found.separation == pytest.approx(closed.separation, abs=1e-9), name
        print(f"{name}: {abs(found.separation - closed.separation):.1e}")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("d", [1, 2, 7])
def test_diagonal_routes_are_what_full_routes_find(order: float, d: int) -> None:
    rng = np.random.default_rng([d, ORDERS.index(order)])
    for _ in range(5):
        variances, mean = rng.uniform(0.05, 1, size=d), rng.normal(size=d)
        eps = round(float(rng.uniform(0.05, 0.95) * np.linalg.norm(mean, order)), 9)
        one = gaussian_floor(mean, variances, norm_ball(order, eps))
        other = gaussian_floor(mean, as_full(variances), norm_ball(order, eps))
        assert one.separation == pytest.approx(other.separation, abs=1e-9)
        assert np.allclose(one.shift, other.shift, atol=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_one_feature(order: float) -> None:
    floor = gaussian_floor([-3.0], 4.0, norm_ball(order, 1))
    assert floor.shift == pytest.approx([-1.0], rel=1e-12)
    assert floor.separation == pytest.approx(1.0, rel=1e-12)


def test_tiny_separations_are_found() -> None:
    # The mean is 1e-8 standard deviations outside the set.
    for adversary, mean in ((lf.L2(5), [3.0, 4.0]), (lf.Linf(1), [1.0, 0.5]), (lf.L1(2), [1.0, 1.0])):
        outside = np.array(mean) * (1 + 1e-8)
        floor = gaussian_floor(outside, 1.0, adversary)
        assert 0 < floor.separation < 1e-7
        assert floor.separation - floor.separation_lower < 1e-14


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ORDERS)
def test_the_unit_of_the_data_does_not_matter(shape: str, order: float) -> None:
    rng = np.random.default_rng(ORDERS.index(order))
    covariance, mean = random_covariance(rng, 4, shape), rng.normal(size=4)
    expected = gaussian_floor(mean, covariance, norm_ball(order, 0.25)).separation
    for unit in (1e-20, 1e-9, 1e9):
        adversary = lf.Lp(order, 0.25, unit=unit)
        # Noise in the same unit; and noise of another, where the separation is in units of that.
        for noise in (unit, 1.0):
            found = gaussian_floor(mean * unit, np.multiply(covariance, noise**2), adversary).separation
            assert found == pytest.approx(expected * unit / noise, rel=1e-9)


@pytest.mark.parametrize(
    ("order", "route"),
    [(1.0, "LARS"), (1.5, "Newton, dual"), (2.0, "singular values"), (4.0, "Newton, primal"), (np.inf, "active set")],
)
def test_each_order_has_a_route_that_suffices(order: float, route: str) -> None:
    # Projected gradients would do in the end, and hide that the route proper has failed.
    for seed in range(8):
        rng = np.random.default_rng(seed)
        matrix, mean = random_covariance(rng, 12, "full"), rng.normal(size=12)
        eps = round(float(rng.uniform(0.1, 0.9) * np.linalg.norm(mean, order)), 6)
        assert gaussian_floor(mean, matrix, norm_ball(order, eps)).route == route


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ORDERS)
def test_means_far_away(shape: str, order: float) -> None:
    covariance, mean = random_covariance(np.random.default_rng(2), 3, shape), np.array([1.0, -0.7, 0.4])
    for size in (1e8, 1e16, 1e20, 1e90):
        floor = gaussian_floor(size * mean, covariance, norm_ball(order, 0.5))
        assert floor.separation - floor.separation_lower <= 1e-10 * floor.separation
        assert floor.cross_entropy == 0.0


# Intersections.


@pytest.mark.parametrize("shape", SHAPES)
def test_an_intersection_with_a_part_that_matters_alone(shape: str) -> None:
    rng = np.random.default_rng(SHAPES.index(shape))
    covariance, mean = random_covariance(rng, 6, shape), rng.normal(size=6)
    alone = gaussian_floor(mean, covariance, lf.L2("0.3"))
    for adversary in (
        Intersection(lf.L2("0.3")),
        Intersection(lf.L2("0.3"), lf.Linf("0.3")),
        Intersection(lf.L1(9), lf.L2("0.3")),
    ):
        found = gaussian_floor(mean, covariance, adversary)
        assert found.separation == pytest.approx(alone.separation, abs=1e-10)
        assert np.allclose(found.shift, alone.shift, atol=1e-6)


def test_intersections_of_boxes_are_boxes() -> None:
    mean, variances = np.array([1.0, -2.0, 0.3]), np.array([1.0, 0.5, 2.0])
    floor = gaussian_floor(mean, variances, Intersection(lf.Linf(1), Box([0.5, 2, 2], [0.5, 2, 2])))
    assert np.allclose(floor.shift, [0.5, -1.0, 0.3], rtol=1e-14)
    assert gaussian_floor(floor.shift, variances, floor.adversary).separation == 0.0


@pytest.mark.parametrize("shape", SHAPES)
def test_moves_of_an_intersection_are_allowed_by_every_part(shape: str) -> None:
    for seed in range(4):
        rng = np.random.default_rng([seed, SHAPES.index(shape)])
        covariance, mean = random_covariance(rng, 8, shape), 2 * rng.normal(size=8)
        floor = gaussian_floor(mean, covariance, Intersection(lf.L1("0.9"), lf.L2("0.5"), lf.Linf("0.3")))
        assert floor.separation - floor.separation_lower <= 1e-10 * max(1.0, floor.separation)
        for order, eps in ((1, 0.9), (2, 0.5), (np.inf, 0.3)):
            assert np.linalg.norm(floor.shift, order) <= eps * (1 + 1e-14)


def test_intersections_that_cannot_be_taken() -> None:
    for part, error in ((SparseLinf(1, 1), TypeError), (Box(0, 1), ValueError)):
        with pytest.raises(error, match="'adversary' must be"):
            gaussian_floor([1.0, 2.0], 1.0, Intersection(lf.L2(1), part))


# A convex solver.


def by_clarabel(mean: Array, matrix: Array, constraint: Callable[[Any], Any]) -> float:
    z = cp.Variable(len(mean))
    root = np.linalg.inv(np.linalg.cholesky(matrix))
    problem = cp.Problem(cp.Minimize(cp.norm(root @ (mean - z), 2)), [constraint(z)])
    problem.solve(solver=cp.CLARABEL)
    return float(problem.value)


def as_constraint(family: str, rng: np.random.Generator, d: int) -> tuple[Any, Callable[[Any], Any]]:
    """Make an adversary and what its moves must satisfy."""
    costs, budgets = rng.uniform(0.3, 3, size=d), rng.uniform(0.0, 1.0, size=d)
    root = rng.normal(size=(d, d)) + np.eye(d)
    capsule = Capsule(rng, d)
    free = np.append(0.0, costs[1:])
    cases: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "l1": (lf.L1(0.7), lambda z: cp.norm(z, 1) <= 0.7),
        "l1.5": (lf.Lp(1.5, 0.6), lambda z: cp.pnorm(z, 1.5) <= 0.6),
        "l2": (lf.L2(0.5), lambda z: cp.norm(z, 2) <= 0.5),
        "l3": (lf.Lp(3, 0.6), lambda z: cp.pnorm(z, 3) <= 0.6),
        "linf": (lf.Linf(0.4), lambda z: cp.norm(z, "inf") <= 0.4),
        "weighted": (WeightedLp(1, costs, 0.7), lambda z: cp.norm(cp.multiply(costs, z), 1) <= 0.7),
        "box": (Box(budgets, budgets), lambda z: cp.abs(z) <= budgets),
        "ellipsoid": (Ellipsoid(root.T @ root, 0.8), lambda z: cp.norm(root @ z, 2) <= 0.8),
        "frozen": (
            WeightedLp(2, np.append(np.inf, costs[1:]), 0.5),
            lambda z: cp.norm(cp.multiply(np.append(1e6, costs[1:]), z), 2) <= 0.5,
        ),
        "free": (WeightedLp(1, free, 0.5), lambda z: cp.norm(cp.multiply(free, z), 1) <= 0.5),
        "l2 and linf": (
            Intersection(lf.L2(0.6), lf.Linf(0.4)),
            lambda z: cp.maximum(cp.norm(z, 2) / 0.6, cp.norm(z, "inf") / 0.4) <= 1,
        ),
        "l1, l3 and a box": (
            Intersection(Intersection(lf.L1(1), lf.Lp(3, 0.6)), Box(budgets, budgets)),
            lambda z: cp.max(cp.hstack([cp.norm(z, 1), cp.pnorm(z, 3) / 0.6, cp.max(cp.abs(z) / budgets)])) <= 1,
        ),
        "ellipsoid and free": (
            Intersection(Ellipsoid(root.T @ root, 0.8), WeightedLp(1, free, 0.5)),
            lambda z: cp.maximum(cp.norm(root @ z, 2) / 0.8, cp.norm(cp.multiply(free, z), 1) / 0.5) <= 1,
        ),
        "frozen and linf": (
            Intersection(WeightedLp(2, np.append(np.inf, costs[1:]), 0.5), lf.Linf(0.2)),
            lambda z: (
                cp.maximum(cp.norm(cp.multiply(np.append(1e6, costs[1:]), z), 2) / 0.5, cp.norm(z, "inf") / 0.2) <= 1
            ),
        ),
        "capsule": (
            ConvexSet(project=capsule.project),
            lambda z: cp.norm(z - cp.Variable(1, bounds=[-1, 1]) * capsule.axis, 2) <= capsule.radius,
        ),
    }
    return cases[family]


@pytest.mark.parametrize(
    "family",
    [
        "l1",
        "l1.5",
        "l2",
        "l3",
        "linf",
        "weighted",
        "box",
        "ellipsoid",
        "frozen",
        "free",
        "capsule",
        "l2 and linf",
        "l1, l3 and a box",
        "ellipsoid and free",
        "frozen and linf",
    ],
)
def test_against_a_convex_solver(family: str) -> None:
    for d in (2, 4, 9):
        rng = np.random.default_rng([d, sum(map(ord, family))])
        matrix, mean = random_covariance(rng, d, "full"), rng.normal(size=d)
        adversary, constraint = as_constraint(family, rng, d)
        expected = by_clarabel(mean, matrix, constraint)
        assert gaussian_floor(mean, matrix, adversary).separation == pytest.approx(expected, abs=3e-6)


def test_frozen_features_stay_and_free_ones_carry_no_weight() -> None:
    matrix = random_covariance(np.random.default_rng(0), 4, "full")
    mean = np.array([1.0, -2.0, 0.5, 3.0])
    floor = gaussian_floor(mean, matrix, WeightedLp(2, [np.inf, 1, 1, 0], 0.7))
    assert floor.shift[0] == 0.0
    assert abs(floor.coef[3]) < 1e-12
    # Without the free feature it is the same problem.
    rest = gaussian_floor(mean[:3], matrix[:3, :3], WeightedLp(2, [np.inf, 1, 1], 0.7))
    assert floor.separation == pytest.approx(rest.separation, rel=1e-12)
    for covariance in (matrix, np.diag(matrix)):
        everything = gaussian_floor(mean, covariance, WeightedLp(2, 0, 0.7))
        assert everything.separation == 0.0
        nothing = gaussian_floor(mean, covariance, WeightedLp(1, np.inf, 0.7))
        assert nothing.separation == pytest.approx(distance(mean, 0 * mean, covariance), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ORDERS)
def test_a_feature_without_budget_keeps_the_means_apart(shape: str, order: float) -> None:
    # All that may move does, to the mean of the second class; the rest is a problem of one feature.
    covariance = random_covariance(np.random.default_rng(1), 3, shape)
    floor = gaussian_floor([0.01, -0.02, 2.0], covariance, WeightedLp(order, [1, 1, np.inf], 30))
    matrix = covariance if np.ndim(covariance) == 2 else np.eye(3) * covariance
    assert floor.separation == pytest.approx(2.0 / np.sqrt(matrix[2, 2]), rel=1e-9)


# Hard matrices.


@pytest.mark.parametrize("condition", [1e4, 1e8, 1e11])
@pytest.mark.parametrize("order", [1.0, 1.5, 2.0, 4.0, float("inf")])
def test_ill_conditioned_covariances_are_solved_to_a_proof(condition: float, order: float) -> None:
    rng = np.random.default_rng(3)
    for d in (3, 15):
        axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
        matrix = (axes * np.geomspace(1, 1 / condition, d)) @ axes.T
        floor = gaussian_floor(rng.normal(size=d), (matrix + matrix.T) / 2, norm_ball(order, 0.5))
        assert floor.separation - floor.separation_lower <= 1e-10 * max(1.0, floor.separation)


@pytest.mark.parametrize("seed", [0, 3, 5, 63, 132])
def test_boxes_where_active_sets_go_in_circles(seed: int) -> None:
    for d in (8, 15):
        rng = np.random.default_rng(seed)
        axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
        matrix = (axes * np.geomspace(1, 1e-8, d)) @ axes.T
        floor = gaussian_floor(rng.normal(size=d), (matrix + matrix.T) / 2, lf.Linf("0.5"))
        assert floor.separation - floor.separation_lower <= 1e-13 * max(1.0, floor.separation)


@pytest.mark.parametrize("correlation", [0.3, 0.9, -0.01])
@pytest.mark.parametrize("order", [1.0, 1.5, 4.0, float("inf")])
def test_features_that_are_all_alike(correlation: float, order: float) -> None:
    d = 30
    matrix = (1 - correlation) * np.eye(d) + correlation
    eps = 0.2 * d ** (1 / order)
    floor = gaussian_floor(np.ones(d), matrix, norm_ball(order, eps))
    # By symmetry every feature is moved by the same.
    assert floor.separation == pytest.approx(distance(np.ones(d), np.full(d, 0.2), matrix), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_two_hundred_features(order: float) -> None:
    rng = np.random.default_rng(ORDERS.index(order))
    matrix, mean = random_covariance(rng, 200, "full"), rng.normal(size=200)
    eps = round(0.3 * float(np.linalg.norm(mean, order)), 6)
    floor = gaussian_floor(mean, matrix, norm_ball(order, eps))
    print(f"p = {order}: gap {floor.separation - floor.separation_lower:.1e} by {floor.route}")
    assert floor.separation - floor.separation_lower <= 1e-10 * max(1.0, floor.separation)


# Sets given by functions.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_capsule_by_any_of_its_functions(shape: str, d: int) -> None:
    rng = np.random.default_rng([d, SHAPES.index(shape)])
    covariance, mean, capsule = random_covariance(rng, d, shape), 2 * rng.normal(size=d), Capsule(rng, d)

    def point(w: Array) -> Array:
        return capsule.axis * np.sign(w @ capsule.axis) + capsule.radius * w / np.linalg.norm(w)

    sets = [
        ConvexSet(project=capsule.project),
        ConvexSet(support_point=point),
        ConvexSet(support=capsule.support),
        ConvexSet(support=capsule.support, support_point=point),
    ]
    found = [gaussian_floor(mean, covariance, one).separation for one in sets]
    assert np.allclose(found, found[0], atol=2e-10)


def test_a_convex_set_needs_a_function() -> None:
    with pytest.raises(TypeError, match="needs 'project', 'support' or 'support_point'"):
        ConvexSet()
    with pytest.raises(TypeError, match="'support' must be callable"):
        ConvexSet(support=3)  # type: ignore[arg-type]
    assert repr(ConvexSet(support=np.max)) == "ConvexSet(support=...)"


def radially(z: Array) -> Array:
    """Map points onto an ellipse towards its middle, which is no projection."""
    return z / max(1.0, float(np.hypot(z[0] + 0.4 * z[1], z[1])))


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"project": lambda z: np.clip(z, -1, 0.5)}, "'project' must be the projection onto a symmetric set"),
        ({"project": lambda z: z / 2}, "'project' must be a projection, which leaves its own values"),
        ({"project": lambda z: z[:1]}, r"'project' must be a function that returns an array of shape \(2,\)"),
        ({"project": lambda z: np.full(2, np.nan)}, "'project' must be free of NaN"),
        ({"support": lambda w: np.maximum(w, 0).sum()}, "'support' must be the support function of a symmetric"),
        ({"support": lambda w: -1.0}, "'support' must be a function that returns a number that is at least 0"),
        ({"support": lambda w: w}, "'support' must be a function that returns a number"),
        (
            {"support": lambda w: np.abs(w).sum(), "support_point": lambda w: 2 * np.sign(w)},
            "'support_point' must be a point that reaches the support function",
        ),
        ({"support": lambda w: np.linalg.norm(w) + 1e-9 * np.cos(1e12 * w[0])}, "could not be differentiated"),
        (
            {"project": lambda z: np.clip(z, -1, 1), "support": lambda w: 2 * np.abs(w).sum()},
            "'support' must be the support function of the set that 'project' goes to",
        ),
        ({"project": radially}, "'project' must be the Euclidean projection onto a convex set, got one that"),
        ({"support": lambda w: np.sqrt(np.abs(w)).sum() ** 2}, "'support' must be the support function of a convex"),
    ],
)
def test_functions_that_contradict_each_other(functions: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gaussian_floor([3.0, 5.0], [1.0, 2.0], ConvexSet(**functions))


MEANS = [[1.0, 0.0], [2.0, 1.0], [0.0, -1.5]]
MATRICES: list[Any] = [1.0, [1.0, 4.0], [[1.0, 0.4], [0.4, 0.5]]]


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("covariance", MATRICES)
@pytest.mark.parametrize("centre", [[0.0, 0.3], [0.3, 0.0], [-0.2, 0.4], [0.0, 1e-5]])
@pytest.mark.parametrize("kind", ["support", "support_point", "project", "support and project"])
def test_a_disc_off_the_origin_is_refused(mean: Any, covariance: Any, centre: Any, kind: str) -> None:
    """It was taken for symmetric where the first direction is at right angles to the centre."""
    c, r = np.array(centre), 0.5
    functions: dict[str, Any] = {
        "support": lambda w: c @ w + r * np.linalg.norm(w),
        "support_point": lambda w: c + r * w / np.linalg.norm(w),
        "project": lambda z: c + (z - c) / max(1.0, float(np.linalg.norm(z - c)) / r),
    }
    given = {name: functions[name] for name in kind.split(" and ")}
    with pytest.raises(ValueError, match="a symmetric set"):
        gaussian_floor(mean, covariance, ConvexSet(**given))


def test_a_set_off_the_origin_around_the_mean_is_refused() -> None:
    """Its mirror image does not hold the mean: only one class could be moved there."""
    disc = ConvexSet(project=lambda z: [1.0, 1.0] + (z - 1.0) / max(1.0, 2 * float(np.linalg.norm(z - 1.0))))
    with pytest.raises(ValueError, match="'project' must be the projection onto a symmetric set"):
        gaussian_floor([1.2, 1.1], 1.0, disc)


@pytest.mark.parametrize("mean", [[2.0], [2.0, 1.0], [1.0, 2.0, 3.0]])
@pytest.mark.parametrize(
    "support",
    [lambda w: 1.0, lambda w: w @ w, lambda w: np.sqrt(np.linalg.norm(w)), lambda w: np.tanh(np.abs(w).sum())],
)
def test_a_support_function_that_is_not_homogeneous_is_refused(mean: Any, support: Any) -> None:
    with pytest.raises(ValueError, match="'support' must be the support function of a set, which is twice as large"):
        gaussian_floor(mean, 1.0, ConvexSet(support=support))


def test_a_point_beyond_what_the_support_function_says_elsewhere() -> None:
    """Even and homogeneous, and convex around the direction that is asked first, but not between the others."""

    def support(w: Array) -> float:
        angle = float(np.arctan2(w[1], w[0]))
        return float(np.linalg.norm(w)) * (1 + 0.5 * np.cos(6 * angle))

    with pytest.raises(ValueError, match="support"):
        gaussian_floor([3.0, 1.0], [1.0, 9.0], ConvexSet(support=support))


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 2])
def test_flat_sets_are_not_refused_for_rounding(angle: float) -> None:
    """The support function of a segment is zero across it, but for rounding."""
    end = np.array([np.cos(angle), np.sin(angle)])
    mean = 0.4 * end + 2 * np.array([-np.sin(angle), np.cos(angle)])
    for given in (
        ConvexSet(support_point=lambda w: np.copysign(1.0, w @ end) * end),
        ConvexSet(support=lambda w: abs(float(w @ end)), support_point=lambda w: np.copysign(1.0, w @ end) * end),
        ConvexSet(project=lambda z: np.clip(z @ end, -1, 1) * end),
    ):
        assert gaussian_floor(mean, 1.0, given).separation == pytest.approx(2.0, abs=1e-10)


def test_what_cannot_be_proved_is_not_handed_out() -> None:
    # Projected gradients would need a hundred thousand steps for a covariance as flat as this.
    axes = np.array([[0.8, -0.6], [0.6, 0.8]])
    flat = (axes * [1.0, 1e-12]) @ axes.T
    disc = ConvexSet(project=lambda z: z / max(1.0, float(np.linalg.norm(z))))
    with pytest.raises(ConvergenceError, match="the separation is proved to be between"):
        gaussian_floor([3.0, 1.0], flat, disc)
