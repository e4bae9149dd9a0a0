"""Curves: the same answers as floor by floor, and the budget at which a value is first reached."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

import lossfloor as lf
from lossfloor import curves


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
