"""Audits: what is unavoidable, what is the model's, and what only a weak attack can have measured."""

from __future__ import annotations

import csv
import json
import math
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lossfloor as lf


@pytest.fixture(scope="module")
def digits() -> lf.Dataset:
    return lf.load("digits", classes=(3, 8), n_per_class=60)


@pytest.fixture(scope="module")
def floor(digits: lf.Dataset) -> lf.Floor:
    return lf.floor(digits.X, digits.y, lf.L2(1.2, unit=16))


def three() -> lf.Floor:
    """Return a floor with a conflict of the first two, and an example alone."""
    return lf.floor([[0.0], [1.0], [5.0]], [0, 1, 1], lf.L2(0.5))


# The parts


def test_a_case_by_hand() -> None:
    result = lf.audit(three(), probabilities=[0.4, 0.5, 0.8])
    assert result.loss == pytest.approx([-math.log(0.4), math.log(2), -math.log(0.8)])
    assert result.unavoidable == pytest.approx(2 / 3 * math.log(2))
    assert result.unavoidable_per_example == pytest.approx([math.log(2), math.log(2), 0])
    assert result.gap_per_example == pytest.approx([math.log(1.25), 0, math.log(1.25)])
    assert result.gap == pytest.approx(2 / 3 * math.log(1.25))
    assert result.cross_entropy == pytest.approx(result.unavoidable + result.gap)
    assert result.wrong.tolist() == [True, True, False]
    assert result.zero_one == pytest.approx(2 / 3)
    assert not result.lost_without_need.any()
    assert not result.weak_attack
    assert result.gradient_loss is None


def test_examples_that_are_lost_without_need() -> None:
    result = lf.audit(three(), probabilities=[0.3, 0.6, 0.4])
    assert result.lost_without_need.tolist() == [False, False, True]


def test_losses_and_probabilities_say_the_same(floor: lf.Floor) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.random(120) * 0.9 * floor.correct_probability
    one, two = lf.audit(floor, probabilities=probabilities), lf.audit(floor, losses=-np.log(probabilities))
    assert one.summary() == pytest.approx(two.summary())
    assert one.probability == pytest.approx(probabilities)


def test_weights_count() -> None:
    floor = lf.floor([[0.0], [1.0], [5.0]], [0, 1, 1], lf.L2(0.5), sample_weight=[1, 1, 6])
    result = lf.audit(floor, losses=[1.0, 1.0, 0.5])
    assert result.cross_entropy == pytest.approx((1 + 1 + 6 * 0.5) / 8)
    assert result.zero_one == pytest.approx(2 / 8)
    assert result.gap_per_example @ [1 / 8, 1 / 8, 6 / 8] == pytest.approx(result.gap)


def test_the_optimal_classifier_has_no_gap(floor: lf.Floor) -> None:
    result = lf.audit(floor, probabilities=floor.correct_probability)
    assert result.gap == pytest.approx(0, abs=1e-12)
    assert not result.weak_attack
    assert not result.lost_without_need.any()
    assert "no sign that it was too weak" in result.verdict()


def test_an_infinite_loss_is_no_trouble() -> None:
    result = lf.audit(three(), probabilities=[0.0, 0.5, 1.0])
    assert result.cross_entropy == math.inf
    assert result.summary()["cross_entropy"] is None
    json.dumps(result.summary(), allow_nan=False)
    assert "inf nats" in repr(result)
    assert "inf" in result._repr_html_()


# Weak attacks


def test_below_the_floor_warns_that_the_attack_failed(floor: lf.Floor) -> None:
    with pytest.warns(lf.WeakAttackWarning, match="the attack failed, never that the model won"):
        result = lf.audit(floor, losses=np.zeros(120))
    assert result.below_floor
    assert result.weak_attack
    assert "the attack failed, never that the model won" in result.verdict()
    conflicting = np.unique(floor.certificate.flow_edges)
    assert result.won_impossibly[conflicting].all()
    assert result.won_impossibly.sum() == len(conflicting)


def test_too_few_errors_are_below_the_floor_too() -> None:
    with pytest.warns(lf.WeakAttackWarning):
        result = lf.audit(three(), probabilities=[0.51, 0.51, 0.9])
    assert result.cross_entropy > result.unavoidable
    assert result.below_floor


def test_a_weak_attack_shows_in_a_pair_though_the_mean_is_fine() -> None:
    X, y = [[0.0], [1.0], [10.0], [11.0]], [0, 1, 0, 1]
    floor = lf.floor(X, y, lf.L2(0.5))
    result = lf.audit(floor, probabilities=[0.9, 0.4, 0.01, 0.01])
    assert not result.below_floor
    assert result.won_impossibly.tolist() == [True, True, False, False]
    assert "2 examples are in pairs no function can get right" in result.verdict()


def test_a_weak_attack_shows_in_a_block_though_the_mean_is_fine() -> None:
    floor = lf.floor([[0.0], [1.0], [50.0]], [0, 1, 1], lf.L2(0.5))
    result = lf.audit(floor, probabilities=[0.50005, 0.50005, 0.001])
    assert result.in_failed_block.tolist() == [True, True, False]
    assert result.cross_entropy > result.unavoidable


def test_float_error_is_no_failure(floor: lf.Floor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = lf.audit(floor, losses=-np.log(floor.correct_probability).astype(np.float32))
    assert not result.below_floor


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_function_is_ever_flagged_when_the_attack_is_exact(data: st.DataObject) -> None:
    """Any function on a grid, attacked at every point that matters: never below the floor, in total or in part."""
    n = data.draw(st.integers(2, 9))
    X = np.array(data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n)))[:, None]
    y = np.array([0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))])
    halves = data.draw(st.integers(0, 4))
    weights = np.array(data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)))
    h = np.array(data.draw(st.lists(st.floats(0.001, 0.999), min_size=40, max_size=40)))  # at -4, -3.5, ...
    floor = lf.floor(X, y, lf.L1(halves / 2), sample_weight=weights)
    kept = []
    for x, label in zip(X[:, 0], y, strict=True):
        there = h[2 * x + 8 - halves : 2 * x + 8 + halves + 1]
        kept.append(there.min() if label == 0 else (1 - there).min())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = lf.audit(floor, probabilities=kept)
    assert not result.weak_attack
    assert result.gap >= -1e-12


# To look at


def test_tables(floor: lf.Floor, tmp_path: Path) -> None:
    result = lf.audit(floor, probabilities=0.5 * floor.correct_probability)
    frame = result.to_frame()
    assert list(frame.columns) == [
        "label", "weight", "loss", "unavoidable", "gap", "probability", "correct_probability", "wrong",
        "lost_without_need", "won_impossibly", "in_failed_block",
    ]  # fmt: skip
    assert frame["label"].tolist() == np.where(floor.certificate.codes == 0, 3, 8).tolist()
    assert (frame["gap"] * frame["weight"]).sum() == pytest.approx(result.gap)
    result.to_csv(tmp_path / "table.csv")
    with open(tmp_path / "table.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == result.loss.tolist()
    assert [row["wrong"] for row in rows] == [str(value) for value in result.wrong.tolist()]


def test_the_notebook_sees_escaped_html(floor: lf.Floor) -> None:
    result = lf.audit(floor, probabilities=0.5 * floor.correct_probability)
    result.rows = lambda: {"<b>": "<script>"}  # type: ignore[method-assign]
    assert "<script>" not in result._repr_html_()
    assert "&lt;script&gt;" in result._repr_html_()


# Models


def _linear(weight: npt.NDArray[np.float64], bias: float) -> object:
    import torch

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(len(weight), 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([torch.zeros(len(weight)), torch.from_numpy(weight)]))
        model[1].bias.copy_(torch.tensor([0.0, bias]))
    return model


@pytest.mark.parametrize("norm", [lf.L2, lf.Linf])
def test_a_linear_model_is_measured_by_its_closed_form(norm: type[lf.L2 | lf.Linf]) -> None:
    rng = np.random.default_rng(1)
    X = rng.uniform(60, 195, size=(30, 4))  # so far inside that 0 and 255 do not bind
    y = np.array(["a", "b"] * 15)
    weight, eps = rng.normal(size=4) * 3, 0.15
    floor = lf.floor(X, y, norm(eps, unit=255))
    bias = -float(np.median(X / 255 @ weight))
    result = lf.audit(floor, model=_linear(weight, bias), X=X, y=y)
    dual = np.linalg.norm(weight) if norm is lf.L2 else np.abs(weight).sum()
    margin = X / 255 @ weight + bias
    worst = np.where(y == "a", margin, -margin) + eps * dual
    assert result.loss == pytest.approx(np.log1p(np.exp(worst)), rel=1e-3)
    assert result.gradient_loss == pytest.approx(result.cross_entropy, rel=1e-3)
    assert result.zero_one == pytest.approx((worst >= 0).mean())
    assert not result.weak_attack


def test_points_that_no_double_can_hold_are_skipped() -> None:
    """The first two touch midway between 2^-60 and 1, which is no double; the others meet at (0.75, 1)."""
    X = np.array([[1.0, 0.0], [2.0**-60, 0.0], [1.0, 1.0], [0.5, 1.0]])
    y = [0, 1, 0, 1]
    floor = lf.floor(X, y, lf.L2(Fraction(1, 2) - Fraction(1, 2**61)))
    assert sorted(map(tuple, floor.certificate.flow_edges.tolist())) == [(0, 1), (2, 3)]
    with pytest.raises(ArithmeticError):
        floor.attack().expected()
    trials = floor.attack().trials()
    assert trials.skipped.tolist() == [[0, 1]]
    assert sorted(trials.examples.tolist()) == [2, 3]
    assert trials.points.tolist() == [[trials.points[0, 0], 1.0]] * 2
    result = lf.audit(floor, model=_linear(np.array([4.0, 0.0]), -3.0), X=X, y=y, attack="fast")
    assert result.n_skipped == 1
    assert result.summary()["n_skipped"] == 1
    assert result.rows()["Points left out"] == "1 that no double can hold"
    assert result.loss[2] >= math.log(2) - 1e-6 or result.loss[3] >= math.log(2) - 1e-6
    # Nothing but such points.
    touching = lf.floor(X[:2], y[:2], lf.L2(Fraction(1, 2) - Fraction(1, 2**61)))
    only = lf.audit(touching, model=_linear(np.array([4.0, 0.0]), -3.0), X=X[:2], y=y[:2], attack="fast")
    assert only.n_skipped == 1


def test_the_points_of_the_optimal_attack_keep_every_model_above_the_floor(
    digits: lf.Dataset, floor: lf.Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that hides its gradients: by gradients alone it seems to beat the floor."""
    import torch

    class Hiding(torch.nn.Module):
        """Nearest neighbour, with a slope of zero everywhere, and far too sure."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            known = torch.from_numpy(digits.X.reshape(len(digits.X), -1) / 16.0).float()
            distances = torch.cdist(x.flatten(1), known)
            sides = [torch.from_numpy(digits.y == label) for label in (3, 8)]
            logits = torch.stack([-distances[:, side].amin(dim=1) for side in sides], dim=1)
            return 40 * (logits - logits.amax(dim=1, keepdim=True)).sign().detach() + 0 * x.sum()

    monkeypatch.setitem(lf.audits.STRENGTHS, "fast", (1, 1, False))  # type: ignore[attr-defined]
    with pytest.warns(lf.WeakAttackWarning):
        result = lf.audit(floor, model=Hiding(), X=digits.X, y=digits.y, attack="fast")
    assert result.gradient_loss is not None
    assert result.gradient_loss < floor.cross_entropy
    assert result.cross_entropy >= floor.cross_entropy


def test_any_network_is_at_or_above_the_floor_on_the_optimal_attack(digits: lf.Dataset, floor: lf.Floor) -> None:
    import torch

    from lossfloor.training import as_inputs, build, losses_at

    moved = floor.attack().expected()
    points = as_inputs(moved.points, unit=16)
    labels = torch.from_numpy((moved.labels == 8).astype(np.int64))
    for seed in range(3):
        model = build("mlp", (1, 8, 8), seed=seed, hidden=[32])
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
        weights = torch.from_numpy(moved.weights).float()
        for _ in range(40):  # even trained on these very points
            optimiser.zero_grad()
            (torch.nn.functional.cross_entropy(model(points), labels, reduction="none") * weights).sum().backward()
            optimiser.step()
        measured = float(moved.weights @ losses_at(model, points, labels))
        assert floor.cross_entropy - 1e-6 <= measured


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "'losses' must be given alone, or probabilities, or model, got 'none'"),
        ({"losses": [0, 0, 0], "probabilities": [1, 1, 1]}, ValueError, "got 'losses and probabilities'"),
        ({"losses": [1.0, 2.0]}, ValueError, "'losses' must be of shape \\(3,\\)"),
        ({"losses": [1.0, 2.0, -0.1]}, ValueError, "'losses' must be at least 0, got -0.1"),
        ({"losses": [1.0, 2.0, math.nan]}, ValueError, "'losses' must be at least 0, got nan"),
        ({"losses": ["a", "b", "c"]}, TypeError, "'losses' must be an array of numbers"),
        ({"probabilities": [0.1, 0.2, 1.5]}, ValueError, "'probabilities' must be between 0 and 1, got 1.5"),
        ({"model": object()}, ValueError, "'X' must be given together with y"),
        ({"model": object(), "attack": "dlr"}, ValueError, "unknown attack 'dlr'"),
    ],
)
def test_mistakes_are_told(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lf.audit(three(), **arguments)  # type: ignore[arg-type]


def test_a_floor_is_needed() -> None:
    with pytest.raises(TypeError, match="'floor' must be a Floor"):
        lf.audit(0.3, losses=[1.0])  # type: ignore[arg-type]


@pytest.mark.parametrize("adversary", [lf.L1(0.5), lf.L2([0.5, 0.4]), lf.Lp(3, 0.5)])
def test_a_model_is_attacked_in_balls_that_we_know(adversary: lf.Adversary) -> None:
    floor = lf.floor([[0.0], [1.0]], [0, 1], adversary)
    with pytest.raises(ValueError, match="'floor' must be against an l2 or linf ball of one radius"):
        lf.audit(floor, model=object(), X=[[0.0], [1.0]], y=[0, 1])


def test_labels_must_be_those_of_the_floor(floor: lf.Floor, digits: lf.Dataset) -> None:
    for y in (digits.y[::-1], np.where(digits.y == 3, 1, 8)):
        with pytest.raises(ValueError, match="'y' must be the labels of the floor"):
            lf.audit(floor, model=object(), X=digits.X, y=y)


def test_a_floor_from_a_file_will_do(floor: lf.Floor, digits: lf.Dataset, tmp_path: Path) -> None:
    floor.save(tmp_path / "floor.npz")
    again = lf.Floor.load(tmp_path / "floor.npz")
    model = _linear(np.linspace(-1, 1, 64), 0.0)
    one = lf.audit(floor, model=model, X=digits.X, y=digits.y, attack="fast")
    two = lf.audit(again, model=model, X=digits.X, y=digits.y, attack="fast")
    assert one.summary() == two.summary()
