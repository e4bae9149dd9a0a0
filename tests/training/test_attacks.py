"""Attacks: inside the ball in exact arithmetic, as strong as closed forms allow, and without a trace on the model."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lossfloor.training import MLP, StridedCNN, Threat, losses_at, perturb, worst_case


def inputs(seed: int, n: int = 12, d: int = 30, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return examples of which some features are exactly 0 and 1."""
    x = torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    x[:, ::5] = 0.0
    x[:, 1::7] = 1.0
    return x


def network(seed: int = 0, d: int = 30) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MLP((d,), hidden=(16,))


def linear(weight: list[float], bias: float = 0.0) -> nn.Module:
    """Return a model with the margin ``weight @ x + bias`` for the true class 0."""
    model = nn.Linear(len(weight), 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0] * len(weight), weight]))
        model.bias.copy_(torch.tensor([0.0, bias]))
    return model


def assert_inside(threat: Threat, x: Tensor, z: Tensor) -> None:
    """Check with rationals that points are in the ball and in the cube."""
    eps = Fraction(threat.eps)
    for a, b in zip(x.flatten(1).tolist(), z.flatten(1).tolist(), strict=True):
        changes = [Fraction(end) - Fraction(start) for start, end in zip(a, b, strict=True)]
        assert all(0 <= value <= 1 for value in b)
        if threat.norm == "linf":
            assert max(map(abs, changes)) <= eps
        else:
            assert sum(change * change for change in changes) <= eps * eps


# Where the points are


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("eps", [0.0, 1e-9, 8 / 255, 1.7, 40.0])
def test_points_are_inside_exactly(norm: str, dtype: torch.dtype, eps: float) -> None:
    threat, x = Threat(norm, eps), inputs(1, dtype=dtype)
    generator = torch.Generator().manual_seed(2)
    far = x + 3 * torch.randn(x.shape, generator=generator, dtype=dtype)
    for z in (threat.start(x, generator), threat.project(x, far), threat.project(x, x + 1e-3 * far)):
        assert_inside(threat, x, z)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_what_attacks_return_is_inside_exactly(norm: str) -> None:
    threat, x, labels = Threat(norm, 0.4), inputs(3), torch.arange(12) % 2
    assert_inside(threat, x, perturb(network(), x, labels, threat))
    found = worst_case(network(), x, labels, threat, steps=8, candidates=torch.ones(12, 2, 30))
    assert_inside(threat, x, found.points)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_projecting_uses_the_whole_ball_and_leaves_what_is_inside(norm: str) -> None:
    threat, x = Threat(norm, 0.5), torch.full((3, 4), 0.5)
    far = x + torch.eye(4)[:3] * 5
    moved = (threat.project(x, far) - x).flatten(1)
    assert moved.amax(dim=1) == pytest.approx(0.5, rel=1e-5)
    near = x + torch.eye(4)[:3] * 0.25
    assert torch.equal(threat.project(x, near), near)


# How strong they are


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_linear_model_is_attacked_optimally(norm: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=6), rng.normal()
    x = torch.from_numpy(rng.uniform(0.3, 0.7, size=(9, 6))).float()  # so far inside that [0, 1] does not bind
    eps = 0.2
    found = worst_case(linear(weight.tolist(), bias), x, torch.zeros(9, dtype=torch.int64), Threat(norm, eps))
    dual = np.linalg.norm(weight) if norm == "l2" else np.abs(weight).sum()
    margin = x.double().numpy() @ weight + bias + eps * dual
    assert found.loss == pytest.approx(np.log1p(np.exp(margin)), rel=1e-3)
    assert (found.wrong == (margin >= 0)).all()


def test_the_cube_binds_a_linear_model_in_the_maximum_norm() -> None:
    weight = [1.0, -2.0, 0.5, 3.0]
    x = torch.tensor([[0.9, 0.05, 0.5, 1.0], [0.0, 1.0, 0.0, 0.2]])
    found = worst_case(linear(weight), x, torch.zeros(2, dtype=torch.int64), Threat("linf", 0.3))
    best = np.where(np.array(weight) > 0, np.minimum(x.numpy() + 0.3, 1), np.maximum(x.numpy() - 0.3, 0))
    assert found.loss == pytest.approx(np.log1p(np.exp(best @ np.array(weight))), rel=1e-5)


def test_the_cube_binds_a_linear_model_in_the_euclidean_norm() -> None:
    # Of a budget of 0.5 only 0.1 can go into the first feature; the rest of it goes into the second.
    found = worst_case(linear([3.0, 1.0]), torch.tensor([[0.9, 0.3]]), torch.tensor([0]), Threat("l2", 0.5))
    best = 3.0 * 1.0 + 1.0 * (0.3 + math.sqrt(0.5**2 - 0.1**2))
    assert found.cross_entropy == pytest.approx(math.log1p(math.exp(best)), rel=1e-3)


def test_three_classes() -> None:
    model = nn.Linear(2, 3, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]))
    x = torch.full((1, 2), 0.5)
    found = worst_case(model, x, torch.tensor([0]), Threat("linf", 0.25))
    assert found.cross_entropy == pytest.approx(math.log(1 + 2 * math.exp(3.0)), rel=1e-5)
    assert found.wrong.all()


def test_more_restarts_steps_and_points_never_lower_the_loss() -> None:
    x, labels, threat, model = inputs(5), torch.arange(12) % 2, Threat("l2", 0.8), network(3)
    one = worst_case(model, x, labels, threat, steps=6, restarts=1)
    two = worst_case(model, x, labels, threat, steps=6, restarts=3)
    assert (two.loss >= one.loss).all()
    more = worst_case(model, x, labels, threat, steps=6, restarts=1, candidates=two.points[:, None])
    assert (more.loss >= np.maximum(one.loss, two.loss) * (1 - 1e-6)).all()
    assert (one.loss >= one.clean_loss).all()


def test_the_loss_is_that_of_the_points() -> None:
    x, labels, model = inputs(6), torch.arange(12) % 2, network(4)
    found = worst_case(model, x, labels, Threat("linf", 0.2), steps=5)
    assert found.loss == pytest.approx(losses_at(model, found.points, labels), rel=1e-5)
    assert found.cross_entropy == pytest.approx(found.loss.mean())
    assert found.zero_one == found.wrong.mean()


def test_examples_that_are_wrong_from_the_start_are_attacked_too() -> None:
    # Suites that keep such points give a cross-entropy that is far too low.
    x = torch.full((1, 2), 0.5)
    found = worst_case(linear([2.0, 2.0]), x, torch.tensor([0]), Threat("linf", 0.25))
    assert found.clean_loss[0] > math.log(2)
    assert found.loss[0] > found.clean_loss[0] + 0.5


def test_a_step_that_is_worst_in_between_counts() -> None:
    class Ridge(nn.Module):
        """Worst at one point on the way, and flat behind."""

        def forward(self, x: Tensor) -> Tensor:
            height = torch.relu(0.2 - (x[:, 0] - 0.7).abs()) * 30
            return torch.stack([torch.zeros_like(height), height + 0.01 * x[:, 0]], dim=1)

    x = torch.tensor([[0.45]])
    found = worst_case(Ridge(), x, torch.tensor([0]), Threat("linf", 0.5), steps=5, restarts=10)
    # Long steps leave the ridge, and what lies behind has a loss of 0.7 only.
    assert found.cross_entropy > 2.0
    assert 0.5 < found.points.item() < 0.9


def test_a_flat_model_is_no_trouble() -> None:
    found = worst_case(linear([0.0, 0.0]), torch.rand(4, 2), torch.tensor([0, 1, 0, 1]), Threat("l2", 0.3))
    assert found.loss == pytest.approx([math.log(2)] * 4)
    assert found.wrong.all()
    assert torch.isfinite(found.points).all()


def test_batches_and_seeds() -> None:
    x, labels, model, threat = inputs(7), torch.arange(12) % 2, network(5), Threat("l2", 0.5)
    once = worst_case(model, x, labels, threat, steps=4, restarts=2, seed=1)
    again = worst_case(model, x, labels, threat, steps=4, restarts=2, seed=1)
    assert np.array_equal(once.loss, again.loss)
    other = worst_case(model, x, labels, threat, steps=4, restarts=2, seed=2)
    assert not np.array_equal(once.loss, other.loss)
    told: list[tuple[str, int, int]] = []
    pieces = worst_case(
        model, x, labels, threat, steps=4, restarts=1, batch_size=5, progress=lambda *args: told.append(args)
    )
    whole = worst_case(model, x, labels, threat, steps=4, restarts=1)
    assert pieces.loss == pytest.approx(whole.loss, rel=1e-5)
    assert told == [("attack", 5, 12), ("attack", 10, 12), ("attack", 12, 12)]


# What they leave alone


def legacy_state() -> list[int]:
    state: list[int] = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    return state


@pytest.mark.parametrize("apgd", [False, True])
def test_the_model_and_global_random_states_stay_as_they_were(apgd: bool) -> None:
    model = nn.Sequential(nn.Linear(30, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 2))
    model.train()
    model[1].eval()  # a mixture of modes
    model(inputs(8))[:, 0].sum().backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [part.training for part in model.modules()]
    before = torch.get_rng_state(), legacy_state(), random.getstate()
    x = inputs(8)
    labels = torch.arange(12) % 2
    worst_case(model, x, labels, Threat("l2", 0.5), steps=3, apgd=apgd)
    perturb(model, x, labels, Threat("l2", 0.5), steps=3)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (legacy_state(), random.getstate())
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    after = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(after) == len(gradients)
    assert all(torch.equal(a, b) for a, b in zip(after, gradients, strict=True))
    assert torch.equal(x, inputs(8))


def test_modes_come_back_when_a_model_fails() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("out of order")

    model = nn.Sequential(Failing())
    with pytest.raises(RuntimeError, match="out of order"):
        perturb(model, inputs(0), torch.zeros(12, dtype=torch.int64), Threat("l2", 1.0))
    assert model.training


# The other attack


@pytest.mark.parametrize("norm", ["l2", pytest.param("linf", marks=pytest.mark.slow)])
def test_apgd_joins_in(norm: str) -> None:
    model = StridedCNN((1, 8, 8), channels=(4, 4), hidden=8)
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    threat = Threat(norm, 0.2)
    weak = worst_case(model, x, labels, threat, steps=1, restarts=1)
    joined = worst_case(model, x, labels, threat, steps=1, restarts=1, apgd=True)
    strong = worst_case(model, x, labels, threat)
    assert (joined.loss >= weak.loss).all()
    assert joined.cross_entropy == pytest.approx(strong.cross_entropy, rel=1e-2)
    assert_inside(threat, x, joined.points)


# Mistakes


class _Odd(nn.Module):
    def __init__(self, out: Tensor) -> None:
        super().__init__()
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        return self.out


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": torch.full((2, 3), 1.5)}, ValueError, "'x' must be in \\[0, 1\\], got 'values from 1.5 to 1.5'"),
        ({"x": torch.full((2, 3), math.nan)}, ValueError, "'x' must be in \\[0, 1\\]"),
        ({"x": torch.zeros(2, 3, dtype=torch.uint8)}, TypeError, "'x' must be a tensor of floats"),
        ({"x": torch.zeros(0, 3)}, ValueError, "'x' must be at least one example"),
        ({"labels": torch.zeros(2)}, TypeError, "'labels' must be a tensor of int64"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, ValueError, "'labels' must be of shape \\(2,\\)"),
        ({"model": _Odd(torch.zeros(2))}, ValueError, "'model' must be a module that returns logits of shape"),
        ({"model": _Odd(torch.zeros(2, 1))}, ValueError, "'model' must be a module that returns logits of shape"),
        ({"model": _Odd(torch.full((2, 2), math.nan))}, ValueError, "returns finite logits, got 'NaN or infinity'"),
    ],
)
def test_mistakes_are_told(change: dict[str, object], error: type[Exception], message: str) -> None:
    arguments = {"model": linear([1.0, 1.0, 1.0]), "x": torch.zeros(2, 3), "labels": torch.zeros(2, dtype=torch.int64)}
    with pytest.raises(error, match=message):
        worst_case(**(arguments | change), threat=Threat("l2", 1.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(("norm", "eps", "name"), [("l1", 1.0, "norm"), ("l2", -1.0, "eps"), ("l2", math.inf, "eps")])
def test_a_threat_that_is_none(norm: str, eps: float, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Threat(norm, eps)
