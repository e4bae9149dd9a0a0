"""The projection filter: whatever it decides must be what rational arithmetic decides."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from support.isas import ISAS

from lossfloor import _core, exact
from lossfloor.distances import PairSweep, Radii, sweep
from lossfloor.distances.filter import FilterRadii, ProjectionFilter, rough_cost

TWO = Fraction(2)


@pytest.fixture(autouse=True)
def _filter_everything(monkeypatch):
    """Let the filter work on small data too, and never give way to the dense kernel."""
    monkeypatch.setattr(sweep, "_LEAST_WORK_TO_FILTER", 0)
    monkeypatch.setattr(
        PairSweep,
        "_prepared",
        lambda self, radii: _prepared_always(self, radii),
    )


def _prepared_always(pairs, radii):
    if pairs._filter is None:
        return None
    chosen = pairs._filter_radii(radii, pairs._filter.scale)
    pairs.plan = pairs._filter.plan(chosen)
    return pairs._filter.prepare(chosen, pairs.plan)


def answer(pairs, radii):
    bits = np.concatenate([rows for _, _, rows in pairs.within(radii)])
    assert pairs.plan is not None, "the filter was not used"
    flags = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little").astype(bool)
    assert not flags[:, len(pairs.right) :].any()
    return flags[:, : len(pairs.right)]


def brute_force(left, right, threshold_of):
    """Decide in rationals, save for the pairs that are a millionth or more away from their threshold in doubles."""
    keys = ((left[:, None, :].astype(float) - right[None, :, :].astype(float)) ** 2).sum(axis=2)
    limits = np.array([[float(threshold_of(i, j)) ** 2 for j in range(len(right))] for i in range(len(left))])
    expected = keys <= limits
    for i, j in np.argwhere(np.abs(keys - limits) <= 1e-6 * limits):
        steps, exponent = exact.differences(left[i], right[j])
        expected[i, j] = exact.norm_at_most(steps, exponent, TWO, threshold_of(i, j))
    return expected


def correlated(rng, n, d, dtype):
    """Data of low rank with noise, which a projection decides well."""
    base = rng.normal(size=(n, 6)) @ rng.normal(size=(6, d)) * 20 + rng.normal(size=(n, d)) * 3
    return np.clip(base + 128, 0, 255).astype(dtype)


def middle_distance(left, right, share):
    keys = ((left[:, None, :].astype(float) - right[None, :, :].astype(float)) ** 2).sum(axis=2)
    return float(np.sqrt(np.quantile(keys, share)))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize(("n", "m", "d"), [(60, 70, 64), (49, 130, 100), (1, 65, 70), (97, 3, 133)])
def test_agrees_with_rationals(isa, dtype, n, m, d):
    rng = np.random.default_rng([n, m, d])
    left, right = correlated(rng, n, d, dtype), correlated(rng, m, d, dtype)
    if dtype in (np.float32, np.float64):
        left, right = (left + rng.random(left.shape)).astype(dtype), (right + rng.random(right.shape)).astype(dtype)
    for share in (0.02, 0.5, 0.97):
        threshold = Fraction(str(round(middle_distance(left, right, share), 2)))
        radii = Radii((threshold,), (Fraction(0),))
        found = answer(PairSweep(TWO, left, right, isa=isa), radii)
        assert np.array_equal(found, brute_force(left, right, lambda i, j, t=threshold: t))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_a_radius_for_each_example(dtype):
    rng = np.random.default_rng(5)
    left, right = correlated(rng, 50, 80, dtype), correlated(rng, 70, 80, dtype)
    middle = middle_distance(left, right, 0.5) / 2
    own = tuple(Fraction(str(round(middle * x, 1))) for x in rng.uniform(0.5, 1.5, 50))
    other = tuple(Fraction(str(round(middle * x, 1))) for x in rng.uniform(0.5, 1.5, 70))
    found = answer(PairSweep(TWO, left, right), Radii(own, other))
    assert np.array_equal(found, brute_force(left, right, lambda i, j: own[i] + other[j]))


@pytest.mark.parametrize("scale", [1.0, 2.0**60, 2.0**-60, 1e3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_thresholds_at_the_distances_themselves(scale, dtype, offset):
    """For each of some pairs the threshold is the double at, below and above its distance."""
    rng = np.random.default_rng(6)
    left = ((rng.random((30, 64)) + offset) * scale).astype(dtype)
    right = ((rng.random((40, 64)) + offset) * scale).astype(dtype)
    pairs = PairSweep(TWO, left, right)
    for i, j in ((0, 0), (3, 17), (29, 39)):
        distance = pairs.distance_of_key(pairs.key(i, j))
        for threshold in (distance, np.nextafter(distance, 0), np.nextafter(distance, np.inf)):
            exact_threshold = Fraction(float(threshold))
            found = answer(pairs, Radii((exact_threshold,), (Fraction(0),)))
            expected = brute_force(left, right, lambda i, j, t=exact_threshold: t)
            assert np.array_equal(found, expected)


def test_integer_ties_are_conflicts():
    rng = np.random.default_rng(7)
    left = rng.integers(0, 4, (60, 64)).astype(np.uint8)
    right = rng.integers(0, 4, (60, 64)).astype(np.uint8)
    keys = ((left[:, None].astype(int) - right[None].astype(int)) ** 2).sum(axis=2)
    tie = int(np.median(keys))
    root = exact.integer_root(tie, 2)
    threshold = Fraction(root) if root * root == tie else Fraction(root + 1)
    found = answer(PairSweep(TWO, left, right), Radii((threshold / 2,), (threshold / 2,)))
    assert np.array_equal(found, keys <= threshold**2)
    assert (keys == threshold**2).any(), "the test needs ties"


def test_the_filter_is_not_asked_where_it_cannot_help(monkeypatch):
    monkeypatch.setattr(sweep, "_LEAST_WORK_TO_FILTER", 0)
    few_features = PairSweep(TWO, np.zeros((5, 8), np.uint8), np.ones((5, 8), np.uint8))
    assert few_features._filter is None
    other_norm = PairSweep(Fraction(1), np.zeros((5, 80), np.uint8), np.ones((5, 80), np.uint8))
    assert other_norm._filter is None


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8] * _core.multiplies_bytes() + [np.int16, np.float32, np.float64])
def test_the_rough_cost_tells_where_the_filter_pays(dtype, own):
    rng = np.random.default_rng(8)
    n, d = 400, 128
    easy = [correlated(rng, n, d, dtype) for _ in range(2)]
    hard = [rng.integers(0, 256, (n, d)).astype(dtype) for _ in range(2)]
    exponent = 8 if dtype in (np.float32, np.float64) else 0
    costs = {}
    for name, (left, right) in {"easy": easy, "hard": hard}.items():
        made = ProjectionFilter(left, right, exponent, threads=1, isa="avx512")
        radius = middle_distance(left, right, 0.3) / 2 / 2.0**exponent
        parts = np.full(n, radius), np.full(n, radius)
        radii = FilterRadii(None, *parts) if own else FilterRadii(2 * radius, np.zeros(1), np.zeros(1))
        costs[name] = rough_cost(left, right, exponent, radii), made.plan(radii).cost
    assert costs["easy"][0] < 1.7 * costs["easy"][1]
    assert 2 * costs["easy"][0] < costs["hard"][0]
    assert costs["hard"][0] > 0.5 * costs["hard"][1]


def test_the_rough_cost_of_equal_examples():
    same = np.full((70, 64), 9, dtype=np.uint8)
    assert rough_cost(same, same, 0, FilterRadii(1.0, np.zeros(1), np.zeros(1))) < 200


def test_all_examples_equal():
    same = np.full((70, 64), 9, dtype=np.uint8)
    found = answer(PairSweep(TWO, same, same.copy()), Radii((Fraction(0),), (Fraction(0),)))
    assert found.all()
