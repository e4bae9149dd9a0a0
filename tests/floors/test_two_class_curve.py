"""Curves: the same answers as floor by floor, and the budget at which a value is first reached."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import lossfloor as lf
from lossfloor.floors import two_class_curve as curves


def digits():
    data = lf.load("digits", classes=(3, 8), n_per_class=90)
    return data.X, data.y, int(data.unit)


@pytest.mark.parametrize("family", [lf.L1, lf.L2, lf.Linf])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_each_point_is_the_floor_of_its_budget(family, dtype):
    X, y, unit = digits()
    top = {lf.L1: 8, lf.L2: 1.6, lf.Linf: 0.5}[family]
    grid = [round(top * k / 12, 3) for k in range(13)]
    data = X if dtype == np.uint8 else (X.astype(dtype) / dtype(unit))
    scale = unit if dtype == np.uint8 else 1
    result = lf.curve(data, y, family, eps=grid, unit=scale)
    for i, eps in enumerate(grid):
        alone = lf.floor(data, y, family(eps, scale))
        assert result.n_edges[i] == alone.n_edges
        assert result.cross_entropy[i] == alone.cross_entropy
        assert result.floors[i].exact_loss("zero-one") == alone.exact_loss("zero-one")
    assert np.all(np.diff(result.cross_entropy) >= 0)
    assert result.floors[6].verify().cross_entropy == pytest.approx(result.cross_entropy[6], abs=1e-14)


def test_lp_takes_its_order():
    X, y, unit = digits()
    result = lf.curve(X, y, lf.Lp, p=3, eps=[0.5, 1.0], unit=unit)
    assert result.n_edges[1] == lf.floor(X, y, lf.Lp(3, 1.0, unit)).n_edges


@pytest.mark.parametrize("family", [lf.L1, lf.L2, lf.Linf])
def test_separation_is_half_the_smallest_distance(family):
    X, y, unit = digits()
    left, right = X[y == 3].astype(float).reshape(-1, 64), X[y == 8].astype(float).reshape(-1, 64)
    steps = np.abs(left[:, None] - right[None])
    distances = {lf.L1: steps.sum(2), lf.L2: np.sqrt((steps**2).sum(2)), lf.Linf: steps.max(2)}[family]
    expected = distances.min() / 2 / unit
    for grid in ([0, 0.01], [0, 0.5, 20]):  # found beyond the grid, and inside it
        assert lf.curve(X, y, family, eps=grid, unit=unit).separation == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("family", [lf.L1, lf.L2, lf.Linf])
@pytest.mark.parametrize("measure", [{"cross_entropy": 0.05}, {"zero_one": 0.02}, {"loss": "brier", "value": 0.01}])
def test_eps_at_is_the_first_budget_that_reaches_the_value(family, measure):
    X, y, unit = digits()
    top = {lf.L1: 12, lf.L2: 2, lf.Linf: 0.6}[family]
    result = lf.curve(X, y, family, eps=[0, top / 2, top], unit=unit)
    eps = result.eps_at(**measure)
    name, target = next(iter(measure.items())) if "loss" not in measure else ("brier", measure["value"])
    at = lf.floor(X, y, family(eps, unit)).loss(name.replace("_", "-"))
    below = lf.floor(X, y, family(np.nextafter(eps, 0), unit)).loss(name.replace("_", "-"))
    assert below < target <= at


def test_eps_at_in_floats_with_a_narrowing_bracket(monkeypatch):
    monkeypatch.setattr(curves, "_FEW_PAIRS", 3)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = np.repeat([0, 1], 30)
    eps = lf.curve(X, y, lf.L2, eps=[4]).eps_at(zero_one=0.2)
    assert lf.floor(X, y, lf.L2(eps)).zero_one >= 0.2 > lf.floor(X, y, lf.L2(np.nextafter(eps, 0))).zero_one


def test_eps_at_the_ends():
    result = lf.curve([[0], [0], [9]], [0, 1, 1], lf.L2, eps=[0, 1])
    assert result.eps_at(zero_one=0.3) == 0.0
    assert result.eps_at(zero_one=0.4) is None


def test_more_budgets_than_a_byte_has_values():
    rng = np.random.default_rng(1)
    X, y = rng.integers(0, 50, (40, 3)), np.repeat([0, 1], 20)
    grid = [Fraction(k, 10) for k in range(300)]
    result = lf.curve(X, y, lf.L1, eps=grid)
    assert len(result) == 300
    assert result.n_edges[290] == lf.floor(X, y, lf.L1(29)).n_edges


def test_without_the_matrix_of_levels(monkeypatch):
    X, y, unit = digits()
    expected = lf.curve(X, y, lf.L2, eps=[0.9, 1.1, 1.3], unit=unit)
    monkeypatch.setattr(curves, "_MOST_PAIRS_AT_ONCE", 10)
    found = lf.curve(X, y, lf.L2, eps=[0.9, 1.1, 1.3], unit=unit)
    assert np.array_equal(found.cross_entropy, expected.cross_entropy)
    assert found.separation == expected.separation


def test_any_callable_makes_a_curve():
    distances = np.abs(np.subtract.outer(np.arange(6), np.arange(6))).astype(float)
    y = [0, 1, 0, 1, 0, 1]
    result = lf.curve(None, y, lambda eps: lf.Precomputed(distances=distances, eps=eps), eps=[0.25, 0.5])
    assert result.zero_one.tolist() == [0.0, 0.5]
    with pytest.raises(TypeError, match="norm ball"):
        result.eps_at(zero_one=0.1)


# What a function makes is taken as it is: every point is the floor of the adversary that was made for it.


def fives(eps):
    """Return a radius of their own for 18 examples."""
    return [eps * Fraction(1 + i % 5, 3) for i in range(18)]


MAKERS = {
    "half the radius": lambda e: lf.Linf(e / 2),
    "three times": lambda e: lf.L1(e * 3),
    "by the unit": lambda e: lf.L2(1, unit=e + 1),
    "order": lambda e: lf.Lp(3, e / 3),
    "order that grows": lambda e: lf.Lp(1 + e, 1),
    "box": lambda e: lf.Box(lower=e / 2, upper=0),
    "weighted": lambda e: lf.WeightedLp(2, [1, 2], e * 2),
    "radii of their own": lambda e: lf.L2(fives(e)),
    "radii of their own in some": lambda e: lf.L2(fives(e) if e > 1 else e),
    "union": lambda e: lf.Union(lf.Linf(e / 2), lf.L1(e / 4)),
    "intersection": lambda e: lf.Intersection(lf.Linf(e / 2), lf.L1(e * 2)),
    "falling": lambda e: lf.L2(3 - e),
    "up and down": lambda e: lf.L1(abs(e - 2) + Fraction(1, 2)),
    "the same": lambda e: lf.Linf(1),
    "several kinds": lambda e: [lf.L2, lf.Linf, lf.L1][int(2 * e) % 3](e),
    "a norm and a union": lambda e: lf.L2(e) if e < 1 else lf.Union(lf.Linf(e / 4), lf.L1(e / 2)),
}


class HalfTheRadius(lf.L2):
    """A family that means something of its own by a radius."""

    def __init__(self, eps, unit=1):
        super().__init__(eps / 2, unit)


def few(n_classes):
    rng = np.random.default_rng(n_classes)
    return rng.integers(0, 7, (18, 2)), np.r_[np.arange(n_classes), rng.integers(0, n_classes, 18 - n_classes)]


GRID = [Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(5, 2)]


@pytest.mark.parametrize("name", MAKERS)
def test_each_point_is_the_floor_of_the_adversary_that_was_made(name):
    X, y = few(2)
    result = lf.curve(X, y, MAKERS[name], eps=GRID)
    for i, eps in enumerate(GRID):
        alone = lf.floor(X, y, MAKERS[name](eps))
        assert result.n_edges[i] == alone.n_edges, eps
        assert result.floors[i].exact_loss("zero-one") == alone.exact_loss("zero-one")
        assert result.cross_entropy[i] == alone.cross_entropy
        assert result.floors[i].summary()["adversary"] == alone.summary()["adversary"]
        assert result.floors[i].verify().cross_entropy == pytest.approx(alone.cross_entropy, abs=1e-14)
    assert np.isnan(result.separation)
    with pytest.raises(TypeError, match="not a function"):
        result.eps_at(zero_one=0.01)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("loss", ["cross-entropy", "zero-one"])
def test_each_point_bounds_the_floor_of_the_adversary_that_was_made(name, loss):
    """More than two classes: what both prove agrees, and is as near as that of the floor by itself."""
    X, y = few(3)
    result = lf.curve(X, y, MAKERS[name], eps=GRID)
    for i, eps in enumerate(GRID):
        alone = lf.floor(X, y, MAKERS[name](eps))
        low, high = alone.bounds(loss)
        assert result.n_edges[i] == alone.n_edges
        assert max(low, result.lower(loss)[i]) <= min(high, result.upper(loss)[i]) + 1e-12, eps
        assert result.upper(loss)[i] - result.lower(loss)[i] <= high - low + 1.001e-4


def test_a_class_that_means_something_of_its_own_by_a_radius():
    X, y = few(2)
    result = lf.curve(X, y, HalfTheRadius, eps=[1, 2])
    assert result.n_edges.tolist() == [lf.floor(X, y, lf.L2(radius)).n_edges for radius in (Fraction(1, 2), 1)]
    assert np.isnan(result.separation)


def test_a_maker_is_called_once_for_each_budget():
    """What it says does not change under way, even if it would say something else when it is asked again."""
    asked = []

    def family(eps):
        asked.append(eps)
        return lf.L2(eps * len(asked))

    X, y = few(2)
    result = lf.curve(X, y, family, eps=[0.5, 1])
    assert asked == [Fraction(1, 2), Fraction(1)]
    assert result.n_edges.tolist() == [lf.floor(X, y, lf.L2(radius)).n_edges for radius in (0.5, 2)]
    assert result.summary()["adversaries"] == [{"eps": "1/2"}, {"eps": "2"}]


def test_the_summary_tells_what_was_made():
    X, y = few(2)
    assert lf.curve(X, y, lf.L2, eps=[1, 2]).summary()["adversary"] == {"name": "l2", "unit": "1"}
    assert "adversaries" not in lf.curve(X, y, lambda e: lf.L2(e), eps=[1, 2]).summary()
    told = lf.curve(X, y, lambda e: lf.Union(lf.L1(e), lf.Linf(e / 2)), eps=[1, 2]).summary()
    assert told["adversary"]["members"] == [{"name": "l1", "unit": "1"}, {"name": "linf", "unit": "1"}]
    assert told["adversaries"][0] == {"members": [{"eps": "1"}, {"eps": "1/2"}]}
    several = lf.curve(X, y, lambda e: lf.L2(e) if e < 2 else lf.Precomputed(conflicts=np.ones((18, 18))), eps=[1, 2])
    assert several.summary()["adversary"] == {"name": "l2 or precomputed"}
    assert several.plot().get_xlabel() == "eps (l2 or precomputed)"


@pytest.mark.parametrize("exponent", [-200, -150, 150, 200])
@pytest.mark.parametrize(("family", "p"), [(lf.L2, None), (lf.Lp, 3), (lf.Lp, 100), (lf.L1, None), (lf.Linf, None)])
def test_distances_whose_powers_are_no_doubles(exponent, family, p):
    X, scale = [[0.0], [float(f"1e{exponent}")]], Fraction(10) ** exponent
    result = lf.curve(X, [0, 1], family, p=p, eps=[scale / 4, scale])
    assert result.zero_one.tolist() == [0.0, 0.5]
    assert result.separation == float(scale / 2)
    assert result.eps_at(zero_one=0.5) == pytest.approx(result.separation, rel=1e-15)


@pytest.mark.parametrize("p", [3, 100, Fraction(161, 2), 300])
def test_separation_and_eps_at_of_high_powers(p):
    result = lf.curve([[0.0], [6.5e-4]], [0, 1], lf.Lp, p=p, eps=[1])
    assert result.separation == 3.25e-4
    assert result.eps_at(zero_one=0.5) == 3.25e-4


def test_separation_beyond_all_doubles():
    assert lf.curve([[0.0], [1e300]], [0, 1], lf.L2, eps=[1], unit="1e-300").separation == np.inf
    assert lf.curve([[0.0], [1.0]], [0, 1], lf.L2, eps=[1], unit="1e400").separation == 0.0


def test_tables(tmp_path):
    result = lf.curve([[0.0], [1.0]], [0, 1], lf.L2, eps=[0.25, 0.5])
    result.to_csv(tmp_path / "curve.csv")
    lines = (tmp_path / "curve.csv").read_text().splitlines()
    assert lines[0].split(",")[:3] == ["eps", "cross_entropy", "zero_one"]
    assert lines[2].split(",")[:3] == ["0.5", repr(float(np.log(2))), "0.5"]
    assert json.loads(result.to_json())["cross_entropy"] == [0.0, float(np.log(2))]
    assert result.to_frame()["n_edges"].tolist() == [0, 1]


def test_weights_count():
    X, y = [[0], [1], [50]], [0, 1, 1]
    weighted = lf.curve(X, y, lf.L2, eps=[1], sample_weight=[3, 1, 1])
    copies = lf.curve([[0], [0], [0], [1], [50]], [0, 0, 0, 1, 1], lf.L2, eps=[1])
    assert weighted.cross_entropy[0] == copies.cross_entropy[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": []}, "'eps' must be a list with at least one budget"),
        ({"eps": [-1]}, "'eps' must be at least 0"),
        ({"eps": [float("nan")]}, "'eps' must be finite"),
        ({"eps": ["1e400"]}, "'eps' must be at most 1.79769e\\+308, got .more."),
        ({"family": lambda eps: eps}, "'family' must be"),
        ({"family": lambda eps: lf.L2(1) if eps else None, "eps": [0, 1]}, "'family' must be"),
        ({"time_limit": 0}, "'time_limit' must be positive"),
        ({"eps": [[1]]}, "'eps'"),
        ({"p": 2}, "'p' goes with Lp only"),
        ({"family": lf.Lp}, "'p', the order of the norm, is needed"),
        ({"family": 3}, "'family' must be"),
        ({"family": lf.L2(1)}, "'family' must be"),
        ({"y": [0, 0]}, "at least two classes"),
        ({"unit": 0}, "'unit' must be positive"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"X": [[0], [1]], "y": [0, 1], "family": lf.L2, "eps": [1]} | change
    with pytest.raises((TypeError, ValueError), match=message):
        lf.curve(arguments.pop("X"), arguments.pop("y"), arguments.pop("family"), **arguments)


@pytest.mark.parametrize("arguments", [{}, {"cross_entropy": 0.1, "zero_one": 0.1}, {"loss": "brier"}])
def test_eps_at_wants_one_value(arguments):
    result = lf.curve([[0], [1]], [0, 1], lf.L2, eps=[1])
    with pytest.raises(TypeError):
        result.eps_at(**arguments)
    with pytest.raises(ValueError, match="positive"):
        result.eps_at(zero_one=-1)


def test_progress_is_told():
    told = []
    lf.curve([[0], [1]], [0, 1], lf.L2, eps=[0, 1], progress=lambda *args: told.append(args))
    assert ("pairs", 1, 1) in told
    assert ("budgets", 2, 2) in told


def test_a_curve_with_open_pairs_says_bounds():
    """`Curve.summary` in Python tells what the command line tells."""

    def family(eps):
        def meet(x, y):
            if x + y > 10:
                raise ArithmeticError  # it cannot be decided
            return x if abs(x - y) <= eps else None

        return lf.CustomAdversary(contains=lambda x, z: abs(x - z) <= eps, meet=meet)

    curve = lf.curve([1, 9, 1, 9], [0, 0, 1, 1], family, eps=[0, 1])
    told = curve.summary()
    assert told["status"] == "bounds"
    for name in ("cross_entropy", "zero_one", "brier"):
        assert told["upper"][name] == [getattr(one.upper, name) for one in curve.floors]
        assert told[name][0] < told["upper"][name][0]
    exact = lf.curve(np.array([[1.0], [2.0]]), [0, 1], lf.Linf, eps=[0, 1]).summary()
    assert exact["status"] == "exact"
    assert "upper" not in exact


class Twice(lf.L2):
    """Means twice its budget by a radius, which only grows."""

    budgets = ("eps",)

    def __init__(self, eps: Any, unit: Any = 1) -> None:
        super().__init__(2 * eps, unit)


def test_a_radius_that_is_not_the_budget_gives_no_separation() -> None:
    X, y = [[0.0], [1.0], [5.0]], [0, 1, 1]
    curve = lf.curve(X, y, Twice, eps=[0.1, 0.5, 2])
    assert curve.zero_one.tolist() == [lf.floor(X, y, lf.L2(2 * eps)).zero_one for eps in (0.1, 0.5, 2)]
    assert np.isnan(curve.separation)
    with pytest.raises(TypeError, match="eps_at needs a family"):
        curve.eps_at(zero_one=0.1)


class Quartic(lf.adversaries.NormBall):
    """A norm ball that says what its budget is."""

    name = "quartic"
    budgets = ("eps",)

    def __init__(self, eps: Any, unit: Any = 1) -> None:
        super().__init__(Fraction(4), eps, unit)


def test_a_norm_ball_of_ones_own_has_the_fast_curve() -> None:
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
    own, known = lf.curve(X, y, Quartic, eps=[0.2, 0.5]), lf.curve(X, y, lf.Lp, p=4, eps=[0.2, 0.5])
    assert own.cross_entropy.tolist() == known.cross_entropy.tolist()
    assert own.separation == known.separation
    assert own.eps_at(zero_one=0.05) == known.eps_at(zero_one=0.05)
