"""Both optimal players for more than two classes: the attack, and the classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

import lossfloor as lf
from lossfloor.adversaries import Adversary
from lossfloor.attacks.perturbed import PerturbedData

ADVERSARIES = [lf.L2(0.8), lf.Linf(0.5), lf.L1(1.0), lf.Box(lower=0.5, upper=0.9), lf.Clipped(lf.L2(0.8), -2, 2)]


def plane(seed: int, n: int, k: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)).clip(-2, 2), np.concatenate([np.arange(k), rng.integers(0, k, n - k)])


@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda adversary: type(adversary).__name__)
@pytest.mark.parametrize("loss", ["cross-entropy", "zero-one", "brier"])
def test_no_classifier_beats_the_attack(adversary: Adversary, loss: str) -> None:
    """The smallest loss on the perturbed data, from points and labels alone, is the proved lower bound."""
    X, y = plane(0, 40, 4)
    floor = lf.floor(X, y, adversary)
    low, high = floor.bounds(loss)
    attack = floor.attack(loss=loss)
    moved = attack.expected()
    assert low - 1e-9 <= moved.bayes_risk(loss) <= high
    assert moved.weights.sum() == pytest.approx(1)
    assert adversary.contains(X[moved.index], moved.points, index=moved.index).all()
    np.testing.assert_array_equal(moved.labels, y[moved.index])
    drawn = attack.sample(random_state=3)
    assert adversary.contains(X, drawn).all()


IMAGES = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)


@pytest.mark.parametrize(
    ("X", "adversary"),
    [
        ([[0.0], [5.0], [9.0]], lf.L2(1)),
        ([[0.0], [5.0], [9.0]], lf.Box(0, 1)),
        ([[0, 0], [5, 0], [9, 0]], lf.Hamming(0)),
        (["a", "bbb", "ccccc"], lf.EditDistance(0)),
        ([["a"], ["b", "b"], ["c", "c", "c"]], lf.EditDistance(0)),
        ([["a"], ["b", "b"], ["c", "c", "c"]], lf.Substitution({"a": ["d"]})),
        (IMAGES, lf.Linf(1)),
        (IMAGES, lf.Geometric(shifts=1)),
        (np.eye(3), lf.FiniteSets()),
    ],
)
@pytest.mark.parametrize("loss", ["cross-entropy", "zero-one"])
def test_where_nothing_conflicts_all_stay(X: Any, adversary: Adversary, loss: str) -> None:
    floor = lf.floor(X, [0, 1, 2], adversary)
    assert floor.n_edges == 0
    attack = floor.attack(loss=loss)
    drawn, moved = attack.sample(random_state=0), attack.expected()
    data = adversary.as_data(X, 3)
    assert adversary.contains(data, drawn, index=np.arange(3)).all()
    assert moved.index.tolist() == [0, 1, 2]
    assert moved.partner.tolist() == [-1, -1, -1]
    assert moved.bayes_risk() == 0.0
    if not isinstance(adversary, lf.FiniteSets):
        assert [np.array_equal(one, np.array(other)) for one, other in zip(drawn, X, strict=True)] == [True] * 3


def test_sequences_of_several_lengths() -> None:
    """Token lists have no shape; those that meet go to one list, and the one apart stays."""
    X = [["a", "b"], ["a", "b", "c"], ["a"], ["x"] * 9]
    floor = lf.floor(X, [0, 1, 2, 2], lf.EditDistance(1))
    attack = floor.attack()
    moved = attack.expected()
    assert all(
        lf.EditDistance(1).contains([X[i]], [point])[0] for i, point in zip(moved.index, moved.points, strict=True)
    )
    assert floor.cross_entropy - 1e-6 <= moved.bayes_risk() <= floor.upper.cross_entropy + 1e-6
    assert attack.sample(random_state=1)[3] == ("x",) * 9


def test_an_example_that_may_not_stay_as_it_is_goes_to_a_point_of_its_own() -> None:
    """Every image is turned by a quarter: where it is, no example may be."""
    adversary = lf.Geometric(rotations=[90], shifts=0)
    floor = lf.floor(IMAGES, [0, 1, 2], adversary)
    moved = floor.attack().expected()
    assert adversary.contains(IMAGES, moved.points).all()
    assert not any(np.array_equal(one, other) for one, other in zip(moved.points, IMAGES, strict=True))


def test_samples_come_as_often_as_the_strategy_says() -> None:
    X, y = plane(1, 12, 3)
    attack = lf.floor(X, y, lf.L2(0.9)).attack()
    moved = attack.expected()
    drawn = np.stack([attack.sample(random_state=seed) for seed in range(400)])
    for v in range(12):
        rows = moved.index == v
        for point, weight in zip(moved.points[rows], moved.weights[rows] * 12, strict=True):
            seen = np.all(np.isclose(drawn[:, v], point), axis=1).mean()
            others = np.isclose(moved.points[rows], point).all(axis=1)
            expected = moved.weights[rows][others].sum() * 12
            assert seen == pytest.approx(expected, abs=0.12), weight


def test_a_trained_classifier_is_at_or_above_the_bound_on_the_attack() -> None:
    data = lf.load("digits", n_per_class=60)
    floor = lf.floor(data.X, data.y, lf.L2(0.9, unit=data.unit))
    moved = floor.attack().expected()
    flat = moved.points.reshape(len(moved), -1) / 16
    model = LogisticRegression(C=100, max_iter=3000).fit(flat, moved.labels, sample_weight=moved.weights * len(moved))
    q = model.predict_proba(flat)[np.arange(len(moved)), np.searchsorted(model.classes_, moved.labels)]
    assert -(moved.weights * np.log(q)).sum() >= floor.cross_entropy
    assert floor.attack().sample(0).shape == data.X.shape


@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda adversary: type(adversary).__name__)
@pytest.mark.parametrize("choice", ["even", "largest"])
def test_the_classifier_keeps_q_wherever_an_example_is_moved(adversary: Adversary, choice: str) -> None:
    X, y = plane(2, 40, 4)
    classifier = lf.MulticlassFloorClassifier(adversary, choice=choice).fit(X, y)
    floor = classifier.floor_
    rng = np.random.default_rng(0)
    moved = floor.attack().expected()
    tried = [(moved.index, moved.points)]
    for _ in range(20):
        near = X + rng.uniform(-1, 1, X.shape)
        inside = np.flatnonzero(adversary.contains(X, near))
        tried.append((inside, near[inside]))
    for index, points in tried:
        probabilities = classifier.predict_proba(points)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        kept = probabilities[np.arange(len(index)), y[index]]
        assert (kept >= floor.correct_probability[index] - 1e-12).all()
    q = classifier.predict_proba(moved.points)[np.arange(len(moved)), moved.labels]
    loss = -(moved.weights * np.log(q)).sum()
    assert floor.cross_entropy - 1e-9 <= loss <= floor.upper.cross_entropy + 1e-9


def test_two_classes_are_those_of_the_exact_floor() -> None:
    X, y = plane(3, 30, 2)
    many = lf.MulticlassFloorClassifier(lf.L2(0.6)).fit(X, y)
    two = lf.FloorClassifier(lf.L2(0.6)).fit(X, y)
    np.testing.assert_allclose(many.predict_proba(X), two.predict_proba(X), atol=1e-12)


def test_best_answers_of_many_classes_by_brute_force() -> None:
    rng = np.random.default_rng(4)
    grid = np.array([(a, b, 60 - a - b) for a in range(61) for b in range(61 - a)]) / 60
    for _ in range(20):
        weights = rng.dirichlet([0.4, 0.7, 1.0])
        data = PerturbedData(np.zeros((3, 1)), np.arange(3), weights, np.arange(3), np.full(3, -1))
        brier = (weights * (1 - grid) ** 2).sum(axis=1).min()
        assert brier - 2e-3 <= data.bayes_risk("brier") <= brier + 1e-12
        assert data.bayes_risk("zero-one") == pytest.approx(1 - weights.max())
        assert data.bayes_risk() == pytest.approx(-(weights * np.log(weights)).sum())
    with pytest.raises(ValueError, match="'loss' must be one whose Bayes risk is known for more than two classes"):
        data.bayes_risk("spherical")


def test_what_is_wrong_is_told() -> None:
    X, y = plane(5, 12, 3)
    with pytest.raises(ValueError, match="unknown choice"):
        lf.MulticlassFloorClassifier(lf.L2(1), choice="middle").fit(X, y)
    with pytest.raises(TypeError, match="'adversary' must be an adversary"):
        lf.MulticlassFloorClassifier(0.5).fit(X, y)
    matrix = lf.floor(None, [0, 1, 2], lf.Precomputed(conflicts=~np.eye(3, dtype=bool)))
    with pytest.raises(TypeError, match="'adversary' must be one that knows points"):
        matrix.attack()


@parametrize_with_checks([lf.MulticlassFloorClassifier()])
def test_conventions_of_scikit_learn(estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # or one of the checks is skipped
    check(estimator)
