"""The adversary's strategy and the perturbed data, against the theorem and against brute force."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import lossfloor as lf
from lossfloor.adversaries import CustomAdversary, EditDistance, FiniteSets, Hamming, WeightedLp
from lossfloor.attacks.two_class import between, in_balls

PROPER = ["cross-entropy", "brier", "spherical"]


def blobs(seed, n=60, d=3, dtype=np.float64, spread=2.0):
    """Two overlapping clouds."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    y[:2] = 0, 1
    X = rng.normal(size=(n, d)) * 3 + spread * y[:, None]
    if np.dtype(dtype).kind in "iu":
        X = np.rint(4 * X + 40).clip(0, 200)
    return X.astype(dtype), y


def cases():
    rng = np.random.default_rng(0)
    for seed, dtype in enumerate([np.float64, np.float32, np.uint8, np.int64]):
        scale = 4 if np.dtype(dtype).kind in "iu" else 1
        X, y = blobs(seed, dtype=dtype)
        radii = rng.integers(0, 24, len(X)) / 8 * scale
        for norm in (lf.L2, lf.L1, lf.Linf, lambda eps: lf.Lp(1.5, eps)):
            yield X, y, norm(1.3 * scale)
            yield X, y, norm(radii)
    X, y = blobs(9)
    yield X, y, WeightedLp(2, eps=2, costs=[1, 2, 0.5])
    grid = rng.integers(0, 4, (50, 4))
    yield grid, np.arange(50) % 2, Hamming(1)
    words = ["".join(rng.choice(list("ab"), rng.integers(2, 6))) for _ in range(40)]
    yield words, np.arange(40) % 2, EditDistance(1)
    yield rng.random((40, 60)) < 0.05 + np.eye(40, 60), np.arange(40) % 2, FiniteSets()
    numbers = list(range(2, 60))
    yield numbers, np.array(numbers) % 2, CustomAdversary(contains=lambda x, z: z % x == 0, meet=_smallest_common)


def _smallest_common(x, y):
    product = int(np.lcm(x, y))
    return product if product < 200 else None


CASES = list(cases())


@pytest.mark.parametrize(("X", "y", "adversary"), CASES, ids=lambda value: repr(value)[:30])
def test_bayes_risk_of_the_perturbed_data_is_the_floor(X, y, adversary):
    weights = np.random.default_rng(1).integers(1, 6, len(y))
    floor = lf.floor(X, y, adversary, sample_weight=weights)
    assert floor.cross_entropy > 0, "an instance without conflict shows nothing"
    data = floor.attack().expected()
    assert data.weights.min() > 0
    assert data.weights.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(np.bincount(data.index, data.weights), weights / weights.sum(), rtol=1e-12)
    assert np.array_equal(data.labels, np.asarray(y)[data.index])
    # Every point is in the neighbourhood of the example that was moved there, and of its partner.
    known = adversary.as_data(X, len(y))
    assert adversary.contains(known[data.index], data.points, index=data.index).all()
    pairs = data.partner >= 0
    partner = data.partner[pairs]
    assert adversary.contains(known[partner], data.points[pairs], index=partner).all()
    for loss in [*PROPER, "zero-one"]:
        assert data.bayes_risk(loss) == pytest.approx(floor.loss(loss), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_points_kept_apart_have_the_same_risk(seed):
    """The proof goes pair by pair: no two points have to be told to be equal."""
    X, y = blobs(seed, dtype=np.uint8)
    floor = lf.floor(X, y, lf.L2(6))
    data = floor.attack().expected()
    sums: dict[tuple[int, int], list[float]] = {}
    for label, weight, i, j in zip(data.labels, data.weights, data.index, data.partner, strict=True):
        sums.setdefault((min(i, j), max(i, j)) if j >= 0 else (i, i), [0.0, 0.0])[label] += weight
    risk = 0.0
    for a, b in sums.values():
        risk -= sum(w * np.log(w / (a + b)) for w in (a, b) if w > 0)
    assert risk == pytest.approx(floor.cross_entropy, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_strategy_is_the_flow(seed):
    X, y = blobs(seed)
    weights = np.random.default_rng(seed).integers(1, 9, len(y))
    floor = lf.floor(X, y, lf.L2(1.5), sample_weight=weights)
    table = floor.strategy
    assert table.shape == (len(y), len(y))
    assert table.dtype == np.float64
    sums = table.sum(axis=1)
    mixed = (floor.posterior > 0) & (floor.posterior < 1)
    np.testing.assert_allclose(sums[mixed], 1, rtol=1e-12)
    assert np.array_equal(np.diff(table.indptr) > 0, mixed)
    assert np.all(floor.degrees[mixed] > 0)
    rows, columns = table.nonzero()
    assert np.all(y[rows] != y[columns])
    assert np.all(np.linalg.norm(X[rows] - X[columns], axis=1) <= 3)
    # Both directions of a pair carry one flow: the weights on its point are in the ratio of the posterior.
    mass = (table.multiply(weights[:, None])).toarray()
    first = np.flatnonzero(y == floor.classes[0])
    for u in first:
        for v in np.flatnonzero(mass[u]):
            assert mass[u, v] / (mass[u, v] + mass[v, u]) == pytest.approx(floor.posterior[u], rel=1e-12)


def test_huge_weights_do_not_overflow():
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    weights = [2**59, 3**37, 2**58 + 1, 5**25]
    floor = lf.floor(X, [0, 1, 0, 1], lf.L1(0.5), sample_weight=weights)
    data = floor.attack().expected()
    total = sum(weights)
    for i, weight in enumerate(weights):
        assert data.weights[data.index == i].sum() == pytest.approx(float(Fraction(weight, total)), rel=1e-14)
    assert data.bayes_risk() == pytest.approx(floor.cross_entropy, abs=1e-12)


def test_sample_follows_the_strategy():
    X, y = blobs(3, n=24)
    floor = lf.floor(X, y, lf.L2(2))
    attack = floor.attack()
    expected = attack.expected()
    draws = 2000
    counts = np.zeros(len(expected))
    where = {(i, point.tobytes()): k for k, (i, point) in enumerate(zip(expected.index, expected.points, strict=True))}
    rng = np.random.RandomState(5)
    for _ in range(draws):
        for i, point in enumerate(attack.sample(rng)):
            counts[where[i, point.tobytes()]] += 1
    probability = expected.weights * len(y)
    deviation = np.sqrt(draws * probability * (1 - probability))
    assert np.all(np.abs(counts - draws * probability) <= 5 * deviation + 1e-9)


def test_sample_repeats_and_keeps_shape_and_type():
    X, y = blobs(1, n=40, d=12, dtype=np.float32)
    images = X.reshape(40, 3, 4)
    attack = lf.floor(images, y, lf.Linf(4)).attack()
    assert np.array_equal(attack.sample(7), attack.sample(7))
    assert not np.array_equal(attack.sample(7), attack.sample(8))
    assert attack.sample(0).shape == (40, 3, 4)
    assert attack.sample(0).dtype == np.float32
    assert "pairs share a point" in repr(attack)


def test_integers_stay_integers_where_they_can():
    X = np.array([[0, 0], [3, 4], [90, 90]], dtype=np.uint8)
    assert lf.floor(X, [0, 1, 1], lf.L2(3)).attack().sample(0).dtype == np.uint8  # (2, 2) suits both
    halves = lf.floor(X, [0, 1, 1], lf.L2(2.5)).attack().sample(0)
    assert halves.dtype == np.float64
    np.testing.assert_array_equal(halves, [[1.5, 2.0], [1.5, 2.0], [90, 90]])


def test_examples_without_conflict_stay():
    X, y = blobs(2)
    floor = lf.floor(X, y, lf.L2(0.4))
    free = floor.degrees == 0
    assert free.any()
    np.testing.assert_array_equal(floor.attack().sample(0)[free], X[free])


def test_touching_in_a_point_that_is_no_double_is_an_error():
    # One third and two thirds: the only common point is 1/3, which no double is.
    attack = lf.floor([[0], [1]], [0, 1], lf.L1(["1/3", "2/3"])).attack()
    with pytest.raises(ArithmeticError, match=r"examples 0 and 1: .* with double coordinates"):
        attack.sample()


def test_trials_are_the_points_of_the_strategy_in_the_shape_of_the_data():
    X = np.zeros((3, 2, 2), dtype=np.uint8)
    X[1], X[2] = 2, 9
    attack = lf.floor(X, [0, 1, 1], lf.Linf(1)).attack()
    trials = attack.trials()
    assert trials.examples.tolist() == [0, 1]
    np.testing.assert_array_equal(trials.points, np.ones((2, 2, 2), dtype=np.uint8))
    assert trials.skipped.shape == (0, 2)
    apart = lf.floor(X, [0, 1, 1], lf.Linf("1/2")).attack().trials()
    assert len(apart.examples) == len(apart.points) == len(apart.skipped) == 0
    with pytest.raises(TypeError, match="a ball of a norm"):
        lf.floor(X, [0, 1, 1], lf.Box(0, 1)).attack().trials()


def test_ragged_sequences():
    """Token lists of several lengths have no shape."""
    X = [["a", "b"], ["a", "b", "c"], ["x"] * 9]
    attack = lf.floor(X, [0, 1, 1], lf.EditDistance(1)).attack()
    moved = attack.expected()
    assert moved.bayes_risk() == pytest.approx(2 / 3 * np.log(2))
    assert attack.sample(random_state=0)[2] == ("x",) * 9
    for index, point in zip(moved.index, moved.points, strict=True):
        assert lf.EditDistance(1).contains([X[index]], [point])[0]


def test_whole_numbers_that_stay_are_not_rounded():
    """A point between two others is no whole number, so all are doubles; one example that stays is none."""
    X = np.array([[0, 0], [1, 0], [2**60 + 1, 9]])
    with pytest.raises(ArithmeticError, match="examples 2: doubles cannot hold it"):
        lf.floor(X, [0, 1, 1], lf.L2("1/2")).attack().sample()
    assert lf.floor(X, [0, 1, 1], lf.L2(1)).attack().sample(random_state=0)[2].tolist() == [2**60 + 1, 9]


def test_touching_exactly_is_found():
    X = np.array([[0, 0], [6, 8]], dtype=np.uint8)
    attack = lf.floor(X, [0, 1], lf.L2([4, 6])).attack()
    with pytest.raises(ArithmeticError):  # (2.4, 3.2) is no double
        attack.sample()
    found = lf.floor(X, [0, 1], lf.L2([2.5, 7.5])).attack().sample()
    np.testing.assert_array_equal(found, [[1.5, 2.0], [1.5, 2.0]])


def test_after_load(tmp_path):
    X, y = blobs(4)
    floor = lf.floor(X, y, lf.L2(1.5))
    floor.save(tmp_path / "floor.npz")
    loaded = lf.Floor.load(tmp_path / "floor.npz")
    np.testing.assert_array_equal(loaded.attack(X).sample(3), floor.attack().sample(3))
    with pytest.raises(ValueError, match="'X' must be given"):
        loaded.attack()
    with pytest.raises(ValueError, match="'adversary' must be that of this floor"):
        loaded.attack(X, adversary=lf.L2(2))


def test_a_matrix_knows_no_points():
    floor = lf.floor(None, [0, 1], lf.Precomputed(conflicts=np.array([[0, 1], [1, 0]])))
    assert floor.strategy.toarray().tolist() == [[0, 1], [1, 0]]
    with pytest.raises(TypeError, match="'adversary' must be one that knows points"):
        floor.attack()


@pytest.mark.parametrize("order", ["l1", "l2", "linf", "lp"])
def test_balls_are_decided_exactly_at_the_edge(order):
    ball = {"l1": lf.L1(1), "l2": lf.L2(1), "linf": lf.Linf(1), "lp": lf.Lp(3, 1)}[order]
    centre, point = np.zeros((3, 2)), np.array([[0.1, 0.0], [0.1, 0.0], [0.1, 0.0]])
    radii = [Fraction(0.1), Fraction(1, 10), Fraction(0.1) - Fraction(1, 10**30)]  # the double 0.1 is above one tenth
    assert in_balls(ball, centre, point, radii).tolist() == [True, False, False]


def test_between_goes_by_the_radii():
    radii = [Fraction(1)], [Fraction(2)]
    points, inside = between(lf.L2(1), np.zeros((1, 1)), np.full((1, 1), 3.0), *radii, np.dtype(np.float64))
    assert points.tolist() == [[1.0]]
    assert inside.tolist() == [True]


def test_between_says_no_where_balls_are_apart():
    points, inside = between(
        lf.L2(1), np.zeros((1, 1)), np.full((1, 1), 3.0), [Fraction(1)], [Fraction(1)], np.dtype(np.float64)
    )
    assert points.tolist() == [[1.5]]
    assert inside.tolist() == [False]


@pytest.fixture(scope="module")
def fashion():
    """The paper's pair of classes, few images and every other pixel, to keep the models quick."""
    data = lf.load("fashion-mnist", classes=(3, 7), n_per_class=150)
    return lf.floor(data.X[:, ::2, ::2], data.y, lf.L2(3.2, unit=data.unit))


def models():
    yield make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    yield KNeighborsClassifier(15)
    yield HistGradientBoostingClassifier(max_iter=10, learning_rate=0.1, random_state=0)


@pytest.mark.parametrize("model", list(models()), ids=["logistic regression", "neighbours", "boosting"])
def test_no_model_is_below_the_floor(fashion, model):
    floor, attack = fashion, fashion.attack()
    y = floor.classes[floor.certificate.codes.astype(int)]
    train, test = (np.asarray(attack.sample(seed)).reshape(len(y), -1) for seed in (0, 1))
    everywhere = attack.expected()
    with threadpool_limits(1):  # threads that wait for a busy machine take minutes
        model.fit(train, y)
    predicted = np.clip(model.predict_proba(everywhere.points.reshape(len(everywhere), -1)), 1e-12, 1)
    # No sampling error here: what is drawn at random is the training data alone.
    assert log_loss(everywhere.labels, predicted, sample_weight=everywhere.weights) >= floor.cross_entropy
    losses = -np.log(np.clip(model.predict_proba(test), 1e-12, 1))[np.arange(len(y)), (y == floor.classes[1]) * 1]
    assert losses.mean() >= floor.cross_entropy - 3 * losses.std() / np.sqrt(len(y))
