"""The classifier that reaches the floor: scikit-learn's checks, exactness at the edges, bounds against brute force."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.spatial import distance
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import lossfloor as lf
from lossfloor.adversaries import Box, CustomAdversary, EditDistance, Hamming, WeightedLp
from lossfloor.classifiers import FloorClassifier
from lossfloor.classifiers.nearness import least_distances


@parametrize_with_checks([FloorClassifier(), FloorClassifier(lf.Linf(0.3), choice="nearest")])
def test_scikit_learn_conventions(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # or one of the checks is skipped
    check(estimator)


def clouds(seed, n=50, d=2, dtype=np.float64):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    y[:2] = 0, 1
    X = rng.normal(size=(n, d)) * 2 + 1.5 * y[:, None]
    return (X if np.dtype(dtype).kind == "f" else np.rint(5 * X + 30).clip(0, 100)).astype(dtype), y


def of_class(probabilities, y):
    return probabilities[np.arange(len(y)), y]


ADVERSARIES = [lf.L2(1), lf.L1(1.5), lf.Linf(0.8), lf.Lp(1.5, 1), WeightedLp(2, [1, 2], eps=1), Box(0, 1)]


def slow_interval(adversary, X, y, posterior, points):
    """The definition, example by example."""
    low, up = np.zeros(len(points)), np.ones(len(points))
    for i, z in enumerate(points):
        covering = adversary.contains(X, np.stack([z] * len(X)), index=np.arange(len(X)))
        low[i] = max(posterior[covering & (y == 0)], default=0.0)
        up[i] = min(posterior[covering & (y == 1)], default=1.0)
    return low, up


@pytest.mark.parametrize("adversary", ADVERSARIES, ids=repr)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
def test_interval_is_that_of_the_definition(adversary, dtype):
    X, y = clouds(0, dtype=dtype)
    if dtype == np.uint8:
        adversary = type(adversary).from_config(_without_name({**adversary.config(), **_wider(adversary)}))
    classifier = FloorClassifier(adversary).fit(X, y)
    points = np.concatenate([X[:20], classifier.floor_.attack().sample(0)[:20], clouds(5)[0][:20] + 3])
    low, up = classifier.predict_interval(points)
    slow_low, slow_up = slow_interval(adversary, X, y, classifier.floor_.posterior, points)
    assert np.all(low <= up)
    np.testing.assert_array_equal(low, slow_low)
    np.testing.assert_array_equal(up, slow_up)


def _without_name(config):
    return {key: value for key, value in config.items() if key != "name"}


def _wider(adversary):
    return {"unit": 5} if "unit" in adversary.config() else {}


@pytest.mark.parametrize("choice", FloorClassifier.CHOICES)
@pytest.mark.parametrize("adversary", ADVERSARIES[:5], ids=repr)
@pytest.mark.parametrize("seed", range(2))
def test_reaches_the_floor_on_the_perturbed_data(choice, adversary, seed):
    X, y = clouds(seed)
    weights = np.random.default_rng(seed).integers(1, 5, len(y))
    classifier = FloorClassifier(adversary, choice=choice).fit(X, y, sample_weight=weights)
    floor = classifier.floor_
    assert floor.cross_entropy > 0
    data = floor.attack().expected()
    kept = of_class(classifier.predict_proba(data.points), data.labels)
    np.testing.assert_allclose(kept, floor.correct_probability[data.index], rtol=1e-12)
    for loss in ("cross-entropy", "brier", "spherical"):
        mean = (data.weights * lf.losses.resolve(loss)(kept)).sum()
        assert mean == pytest.approx(floor.loss(loss), abs=1e-12)
        lower, upper = classifier.robust_loss(loss=loss)
        assert lower == upper == pytest.approx(floor.loss(loss), abs=1e-12)


@pytest.mark.parametrize("choice", FloorClassifier.CHOICES)
def test_no_move_of_a_training_example_costs_more(choice):
    """Random moves inside the balls, which the certificate says keep at least q."""
    X, y = clouds(1)
    radii = np.random.default_rng(2).integers(2, 20, len(y)) / 10
    classifier = FloorClassifier(lf.L2(radii), choice=choice).fit(X, y)
    rng = np.random.default_rng(3)
    steps = rng.normal(size=(20, *X.shape))
    steps *= (0.999 * radii * rng.random((20, len(y))) ** 0.3 / np.linalg.norm(steps, axis=2))[..., None]
    kept = of_class(classifier.predict_proba((X + steps).reshape(-1, 2)), np.tile(y, 20))
    assert np.all(kept >= np.tile(classifier.floor_.correct_probability, 20) - 1e-12)


@pytest.mark.parametrize("choice", FloorClassifier.CHOICES)
@pytest.mark.parametrize("loss", ["cross-entropy", "brier"])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_for_new_examples_hold_the_loss(choice, loss, seed):
    """On a line the worst move is found by trying all of them."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 40, (30, 1)) / 4
    y = (X[:, 0] + rng.normal(size=30) * 2 > 5).astype(int)
    new, labels = rng.integers(0, 40, (25, 1)) / 4, rng.integers(0, 2, 25)
    classifier = FloorClassifier(lf.L2(0.5), choice=choice).fit(X, y)
    lower, upper = classifier.robust_loss(new, labels, loss)
    steps = np.arange(-32, 33) / 64  # ends and middles of all intervals are among them
    moved = np.concatenate([new + step for step in steps])
    kept = of_class(classifier.predict_proba(moved), np.tile(labels, len(steps)))
    worst = kept.reshape(len(steps), -1).min(axis=0)
    true = lf.losses.resolve(loss)(worst).mean()
    assert lower <= true + 1e-12
    assert true <= upper + 1e-12
    assert lower > 0


@pytest.mark.parametrize("choice", FloorClassifier.CHOICES)
@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
def test_training_data_taken_for_new_is_bounded_by_the_floor(choice, dtype):
    X, y = clouds(4, dtype=dtype)
    adversary = lf.L2(1, unit=1 if dtype == np.float64 else 5)
    classifier = FloorClassifier(adversary, choice=choice).fit(X, y)
    lower, upper = classifier.robust_loss(X, y)
    floor = classifier.floor_.cross_entropy
    assert upper == pytest.approx(floor, abs=1e-9)
    assert 0.9 * floor < lower <= floor + 1e-12


def test_budgets_of_new_examples():
    X, y = clouds(6)
    classifier = FloorClassifier(lf.L2(np.full(len(y), 0.5))).fit(X, y)
    with pytest.raises(ValueError, match="'adversary' must be given"):
        classifier.robust_loss(X, y)
    with pytest.raises(ValueError, match="'adversary' must be of the same norm"):
        classifier.robust_loss(X, y, adversary=lf.L1(1))
    losses = [classifier.robust_loss(X, y, "brier", adversary=lf.L2(eps))[1] for eps in (0, 0.25, 0.5, 1.0)]
    assert losses == sorted(losses)
    assert losses[2] == pytest.approx(classifier.floor_.brier, abs=1e-12)
    mixed = classifier.robust_loss(X, y, "brier", adversary=lf.L2(np.linspace(0, 0.5, len(y))))
    assert mixed[0] <= mixed[1]


@pytest.mark.parametrize(
    ("X", "y", "adversary"),
    [
        (["aa", "ab", "bb", "ba", "aab"], [0, 1, 1, 0, 1], EditDistance(1)),
        (np.array([[0, 1], [1, 1], [2, 2], [0, 0]]), [0, 1, 1, 0], Hamming(1)),
        ([2, 3, 4, 5], [0, 1, 0, 1], CustomAdversary(contains=lambda x, z: z % x == 0, meet=np.lcm)),
        (np.array([[0.0], [1.0], [4.0]]), [0, 1, 1], Box(0, 1)),
    ],
    ids=["edits", "hamming", "custom", "box"],
)
def test_other_adversaries(X, y, adversary):
    classifier = FloorClassifier(adversary).fit(X, y)
    data = classifier.floor_.attack().expected()
    kept = of_class(classifier.predict_proba(data.points), data.labels)
    assert (data.weights * -np.log(kept)).sum() == pytest.approx(classifier.floor_.cross_entropy, abs=1e-12)
    lower, upper = classifier.robust_loss(X, y, "brier")
    assert classifier.floor_.brier <= upper + 1e-12
    assert lower <= upper


def test_choices():
    X, y = [[0.0], [4.0]], ["a", "b"]
    classifiers = {choice: FloorClassifier(lf.L2(1), choice=choice).fit(X, y) for choice in FloorClassifier.CHOICES}
    nowhere = [[1.5]]
    found = {choice: classifier.predict_proba(nowhere)[0, 0] for choice, classifier in classifiers.items()}
    assert found == {"lower": 0.0, "upper": 1.0, "middle": 0.5, "nearest": 2.5 / 4}
    assert all(classifier.predict([[0.5]]) == ["a"] for classifier in classifiers.values())


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1e-150, 0), (1e150, 0), (1, 1e6), (0, 3)])
@pytest.mark.parametrize("grid", [False, True])
def test_distances_from_the_nearest_example(scale, shift, grid):
    rng = np.random.default_rng(9)
    X, Z = rng.normal(size=(300, 5)), rng.normal(size=(70, 5))
    X, Z = (scale * (np.rint(2 * side) if grid else side) + shift for side in (X, Z))
    Z[:5] = X[:5]
    expected = scale * distance.cdist((Z - shift) / (scale or 1), (X - shift) / (scale or 1)).min(axis=1)
    np.testing.assert_allclose(least_distances(Z, X), expected, rtol=1e-9, atol=1e-7 * scale)


@pytest.mark.parametrize(("x", "label"), [(4.0, "a"), (6.0, "b")])
def test_worst_nearness(x, label):
    """Between two training examples, where nobody covers: the worst place is half a unit nearer to the other one."""
    classifier = FloorClassifier(lf.L2(0.5), choice="nearest").fit([[0.0], [10.0]], ["a", "b"])
    lower, upper = classifier.robust_loss([[x]], [label], "brier")
    assert lower == pytest.approx(0.4**2)
    assert upper == pytest.approx(0.45**2, rel=1e-3)
    assert upper >= 0.45**2


def test_weights_of_zero_leave_examples_out():
    X, y = clouds(7)
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    some = FloorClassifier(lf.L2(1)).fit(X[weights > 0], y[weights > 0], sample_weight=weights[weights > 0])
    every = FloorClassifier(lf.L2(1)).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(some.predict_proba(X), every.predict_proba(X))


def test_images_and_labels_of_any_kind():
    X, y = clouds(8, d=4, dtype=np.uint8)
    images, words = X.reshape(-1, 2, 2), np.array(["dress", "sneaker"])[y]
    classifier = clone(FloorClassifier(lf.L2(5))).fit(images, words)
    assert classifier.n_features_in_ == 4
    assert set(classifier.predict(images)) <= {"dress", "sneaker"}
    assert classifier.score(images, words) >= 1 - classifier.floor_.zero_one - 1e-12


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"choice": "mean"}, ValueError, "unknown choice 'mean'"),
        ({"adversary": 4.6}, TypeError, "'adversary' must be an adversary"),
        ({"adversary": Hamming(1), "choice": "nearest"}, ValueError, "'choice' must be another than 'nearest'"),
        ({"adversary": lf.Precomputed(conflicts=np.eye(2))}, TypeError, "'adversary' must be one that knows points"),
    ],
)
def test_wrong_parameters(arguments, error, message):
    with pytest.raises(error, match=message):
        FloorClassifier(**arguments).fit([[0.0], [1.0]], [0, 1])


def test_wrong_new_examples():
    classifier = FloorClassifier(lf.L2(1)).fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match="'y' must be given"):
        classifier.robust_loss([[0.0]])
    with pytest.raises(ValueError, match=r"'y' must be of shape \(1,\)"):
        classifier.robust_loss([[0.0]], [0, 1])
    with pytest.raises(ValueError, match=r"'y' must be made of \[0, 1\], got .*2"):
        classifier.robust_loss([[0.0]], [2])


def test_bounds_of_a_floor_with_open_pairs():
    """A pair that nobody decides: the classifier is that of all possible conflicts."""

    def meet(x, z):
        raise ArithmeticError("cannot tell")

    adversary = CustomAdversary(contains=lambda x, z: abs(x - z) <= 1, meet=meet)
    classifier = FloorClassifier(adversary).fit([0, 1], [0, 1])
    assert classifier.floor_.status == "bounds"
    assert classifier.robust_loss() == (0.0, pytest.approx(np.log(2)))
    assert classifier.predict_interval([0.5]) == (0.5, 0.5)


def test_fashion_mnist_reaches_the_floor_and_nobody_else():
    data = lf.load("fashion-mnist", classes=(3, 7), n_per_class=300)
    classifier = FloorClassifier(lf.L2(5.6, unit=data.unit)).fit(data.X, data.y)
    floor = classifier.floor_
    everywhere = floor.attack().expected()
    column = np.searchsorted(classifier.classes_, everywhere.labels)
    kept = of_class(classifier.predict_proba(everywhere.points), column)
    assert (everywhere.weights * -np.log(kept)).sum() == pytest.approx(floor.cross_entropy, abs=1e-9)
    assert floor.cross_entropy > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("choice", FloorClassifier.CHOICES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_ten_thousand_queries_take_less_than_ten_seconds(choice, dtype):
    data = lf.load("fashion-mnist", classes=(3, 7), n_per_class=5000)
    classifier = FloorClassifier(lf.L2("4.6", unit=data.unit), choice=choice).fit(data.X, data.y)
    noise = np.random.default_rng(0).normal(size=data.X.shape) * 20
    queries = np.clip(data.X + noise, 0, 255).astype(dtype)
    began = time.process_time()  # of all threads together
    classifier.predict_proba(queries)
    assert time.process_time() - began < 10
