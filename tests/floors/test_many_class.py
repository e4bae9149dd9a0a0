"""Floors of more than two classes beside every conflict listed by brute force and a general convex solver."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from support.hypergraphs import all_conflicts, discs_meet, smallest_loss

import lossfloor as lf
from lossfloor.adversaries import Adversary

LOSSES = ("cross_entropy", "zero_one", "brier")


def plane(seed: int, n: int, k: int, spread: float = 1.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    return rng.normal(size=(n, 2)) * spread, y


def check(result: Any, conflicts: list[tuple[int, ...]], weight: Any, gap: float, names: Any = LOSSES) -> None:
    """The bounds bracket the truth and are as near to each other as was asked."""
    for name in names:
        low, high = result.bounds(name)
        truth = smallest_loss(weight, conflicts, name)
        assert low <= truth + 1e-7, name
        assert truth - 1e-7 <= high, name
        assert high - low <= gap * (1 + 1e-9), name
        q = result.solution(name).correct_probability
        assert all(q[list(row)].sum() <= 1 for row in conflicts), name


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("k", "eps"), [(3, 0.9), (4, 0.9), (6, 1.1)])
def test_discs(seed: int, k: int, eps: float) -> None:
    X, y = plane(seed, 14, k)
    conflicts = all_conflicts(y, lambda row: discs_meet(X[list(row)], np.full(len(row), eps)))
    assert any(len(row) > 2 for row in conflicts)
    check(lf.floor(X, y, lf.L2(eps)), conflicts, np.ones(14), 1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_discs_with_radii_and_weights(seed: int) -> None:
    X, y = plane(seed, 13, 5)
    rng = np.random.default_rng(100 + seed)
    radii, weight = rng.uniform(0.3, 1.3, 13).round(3), rng.integers(1, 9, 13)
    conflicts = all_conflicts(y, lambda row: discs_meet(X[list(row)], radii[list(row)]))
    check(lf.floor(X, y, lf.L2(radii), sample_weight=weight), conflicts, weight, 1e-4)


def test_weights_count_like_copies() -> None:
    X, y = plane(3, 12, 4)
    times = np.array([1, 2, 3] * 4)
    weighted = lf.floor(X, y, lf.L2(1), sample_weight=times, gap=1e-5)
    copied = lf.floor(np.repeat(X, times, axis=0), np.repeat(y, times), lf.L2(1), gap=1e-5)
    for name in LOSSES:
        low, high = weighted.bounds(name)
        other_low, other_high = copied.bounds(name)
        assert max(low, other_low) <= min(high, other_high)
    np.testing.assert_allclose(
        copied.correct_probability[np.cumsum(times) - 1], weighted.correct_probability, atol=0.02
    )


@pytest.mark.parametrize("seed", range(6))
def test_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, 12, (14, 3)).astype(np.uint8), np.concatenate([np.arange(4), rng.integers(0, 4, 10)])

    def meets(row: Any) -> bool:
        points = X[list(row)].astype(int)
        return bool(np.all(points.max(axis=0) - points.min(axis=0) <= 6))

    check(lf.floor(X, y, lf.Linf(3)), all_conflicts(y, meets), np.ones(14), 1e-4)


@pytest.mark.parametrize(
    "adversary",
    [
        lf.L1(1.2),
        lf.Lp(3, 0.9),
        lf.WeightedLp(2, [1, 2], 1.1),
        lf.Box(lower=0.5, upper=1),
        lf.Clipped(lf.L2(0.8), -2, 2),
        lf.Union(lf.Linf(0.4), lf.L2(0.7)),
    ],
    ids=lambda adversary: type(adversary).__name__,
)
def test_other_families_by_their_meeting_points(adversary: Adversary) -> None:
    X, y = plane(5, 12, 4)

    def meets(row: Any) -> bool:
        index = np.array(row)
        if len(row) == 2:
            return bool(adversary.conflict(X[row[0]], X[row[1]], index=index))
        return adversary.meet(X[index], index=index) is not None

    conflicts = all_conflicts(y, meets)
    assert any(len(row) > 2 for row in conflicts)
    check(lf.floor(X, y, adversary), conflicts, np.ones(12), 1e-4, ("cross_entropy", "zero_one"))


def test_matrix_of_conflicts_knows_pairs_only() -> None:
    """Three that conflict pairwise may share a point or not: that leaves the bounds apart."""
    matrix = ~np.eye(3, dtype=bool)
    result = lf.floor(None, [0, 1, 2], lf.Precomputed(conflicts=matrix))
    low, high = result.bounds("cross-entropy")
    assert low == pytest.approx(math.log(2), abs=1e-4)
    assert high == pytest.approx(math.log(3), abs=1e-4)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_max_degree_gives_the_relaxed_optimum(degree: int) -> None:
    X, y = plane(1, 16, 5, 0.6)
    meets = lambda row: discs_meet(X[list(row)], np.full(len(row), 0.9))  # noqa: E731
    some, every = all_conflicts(y, meets, degree), all_conflicts(y, meets)
    result = lf.floor(X, y, lf.L2(0.9), max_degree=degree)
    for name in LOSSES:
        found = result.solution(name)
        relaxed, truth = (smallest_loss(np.ones(16), rows, name) for rows in (some, every))
        assert found.lower <= relaxed + 1e-7
        assert relaxed <= found.relaxed + 1e-7
        assert found.relaxed - found.lower <= 1e-4
        assert truth <= found.upper + 1e-7
        assert max(found.dual.rows.degrees) <= degree


def test_monotone_in_eps_and_in_max_degree() -> None:
    X, y = plane(2, 40, 5)
    before = {name: 0.0 for name in LOSSES}
    for eps in (0.2, 0.4, 0.6, 0.8, 1.0):
        result = lf.floor(X, y, lf.L2(eps), gap=1e-6)
        for name in LOSSES:
            assert result.bounds(name)[1] >= before[name]
            before[name] = result.bounds(name)[0]
    lower = [lf.floor(X, y, lf.L2(1), max_degree=d, gap=1e-6).cross_entropy for d in (2, 3, 4, 5)]
    assert all(b >= a - 1e-6 for a, b in itertools.pairwise(lower))


def test_names_and_order_of_classes_change_nothing() -> None:
    X, y = plane(4, 30, 4)
    first = lf.floor(X, y, lf.L2(0.8), gap=1e-6)
    order = np.random.default_rng(0).permutation(30)
    names = np.array(["d", "a", "c", "b"])
    second = lf.floor(X[order], names[y[order]], lf.L2(0.8), gap=1e-6)
    for name in LOSSES:
        assert max(first.bounds(name)[0], second.bounds(name)[0]) <= min(first.bounds(name)[1], second.bounds(name)[1])


def test_one_more_class_never_lowers_the_total_loss() -> None:
    X, y = plane(6, 36, 4)
    three = y < 3
    few, many = lf.floor(X[three], y[three], lf.L2(0.8)), lf.floor(X, y, lf.L2(0.8))
    for name in LOSSES:
        assert few.bounds(name)[0] * three.sum() <= many.bounds(name)[1] * 36


def test_two_classes_are_solved_exactly() -> None:
    X, y = plane(7, 20, 2)
    assert isinstance(lf.floor(X, y, lf.L2(0.8), gap=0.5, max_degree=2), lf.Floor)


def test_a_class_without_conflicts_leaves_the_two_class_floor() -> None:
    X, y = plane(8, 30, 2)
    two = lf.floor(X, y, lf.L2(0.7))
    far = np.concatenate([X, X[:5] + 1000.0])
    three = lf.floor(far, np.concatenate([y, np.full(5, 2)]), lf.L2(0.7), gap=1e-7)
    for name in LOSSES:
        low, high = three.bounds(name)
        assert low * 35 <= two.loss(name) * 30 + 1e-9
        assert two.loss(name) * 30 <= high * 35 + 1e-9
        assert high - low <= 1e-7


def test_no_conflict_at_all_is_exact() -> None:
    result = lf.floor([[0.0], [10.0], [20.0]], [0, 1, 2], lf.L2(1))
    assert result.status == "exact"
    assert result.bounds("cross-entropy") == (0.0, 0.0)
    assert result.bounds("zero-one") == (0.0, 0.0)


def test_any_convex_loss_and_costs() -> None:
    X, y = plane(9, 12, 4)
    conflicts = all_conflicts(y, lambda row: discs_meet(X[list(row)], np.full(len(row), 0.8)))
    result = lf.floor(X, y, lf.L2(0.8))
    low, high = result.bounds(lambda q: 1 / np.maximum(q, 1e-300))
    assert low - 1e-6 <= smallest_loss(np.ones(12), conflicts, "reciprocal") <= high + 1e-6
    costs = {0: 1, 1: "1/2", 2: 3, 3: 1}
    factor = np.array([1, 0.5, 3, 1])[y]
    low, high = result.bounds("zero-one", costs=costs)
    truth = smallest_loss(factor, conflicts, "zero_one") * factor.sum() / 12
    assert low - 1e-7 <= truth <= high + 1e-7


def test_three_balls_that_touch_in_one_point_are_a_conflict() -> None:
    result = lf.floor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0, 1, 2], lf.L2(1))
    assert result.cross_entropy == pytest.approx(math.log(3), abs=1e-4)
    apart = lf.floor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0 + 1e-3]], [0, 1, 2], lf.L2(1))
    assert apart.upper.cross_entropy == pytest.approx(math.log(2), abs=1e-4)


def test_soft_labels_are_what_the_optimal_classifier_answers() -> None:
    X, y = plane(10, 30, 4)
    result = lf.floor(X, y, lf.L2(0.8))
    labels = result.soft_labels()
    np.testing.assert_allclose(labels.sum(axis=1), 1)
    np.testing.assert_allclose(labels[np.arange(30), result.codes], result.correct_probability)
    assert labels.min() >= 0
    assert result.soft_labels(0.6)[np.arange(30), result.codes].min() >= 0.6


def test_a_time_limit_gives_valid_bounds_early() -> None:
    data = lf.load("digits", n_per_class=60)
    quick = lf.floor(data.X, data.y, lf.L2(1.1, unit=data.unit), time_limit=1e-3)
    assert not quick.solution().complete
    low, high = quick.bounds("cross-entropy")
    slow = lf.floor(data.X, data.y, lf.L2(1.1, unit=data.unit)).bounds("cross-entropy")
    assert 0 <= low <= slow[1]
    assert slow[0] <= high


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gap": 0}, "'gap' must be positive, got 0"),
        ({"gap": "small"}, "'gap' must be a number, got 'small'"),
        ({"time_limit": -1}, "'time_limit' must be positive, got -1"),
        ({"max_degree": 1}, "'max_degree' must be at least 2, got 1"),
        ({"max_degree": 2.5}, "'max_degree' must be a whole number, got 2.5"),
    ],
)
def test_what_is_wrong_is_told(changed: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message.replace(".", r"\.")):
        lf.floor([[0.0], [1.0], [2.0]], [0, 1, 2], lf.L2(1), **changed)


def test_losses_that_are_not_convex_are_refused() -> None:
    result = lf.floor([[0.0], [1.0], [2.0]], [0, 1, 2], lf.L2(1))
    with pytest.raises(ValueError, match="'loss' must be convex where there are more than two classes"):
        result.loss("spherical")
    with pytest.raises(ValueError, match="'costs' must be a cost for each of the classes"):
        result.loss("brier", costs={0: 1})
