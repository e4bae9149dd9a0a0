"""Robust losses: what they are at the points that the attack found."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossfloor as lf
from lossfloor.training import (
    MLP,
    RobustLoss,
    Threat,
    adversarial_training,
    paper_rule,
    soft_cross_entropy,
    trades,
)
from lossfloor.training.beyond_paper import AnnealedClipping, CappedLoss, IntervalTargets, KeptPoints, OptimalPoints

THREAT = Threat("l2", 0.3)


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(10, 5, generator=generator)
    own = torch.rand(10, generator=generator)
    labels = torch.arange(10) % 2
    soft = torch.stack([own, 1 - own], dim=1)
    return x, labels, soft


def model_of(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MLP((5,), hidden=(8,))


def test_soft_cross_entropy_of_hard_labels_is_cross_entropy(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    _, labels, soft = batch
    logits = torch.randn(10, 2, generator=torch.Generator().manual_seed(1))
    hard = soft_cross_entropy(logits, labels)
    assert torch.allclose(hard, soft_cross_entropy(logits, labels, nn.functional.one_hot(labels).float()))
    p = torch.softmax(logits.double(), dim=1)
    assert soft_cross_entropy(logits, labels, soft).numpy() == pytest.approx(-(soft * p.log()).sum(dim=1), rel=1e-5)


@pytest.mark.parametrize("is_soft", [False, True])
def test_adversarial_training_is_the_loss_at_the_attack(batch: tuple[Tensor, Tensor, Tensor], is_soft: bool) -> None:
    x, labels, soft = batch
    given = soft if is_soft else None
    model = model_of()
    value = adversarial_training(THREAT, seed=3)(model, x, labels, given)
    z = RobustLoss(THREAT, seed=3).attack(model, x, labels)
    assert value.item() == pytest.approx(soft_cross_entropy(model(z), labels, given).mean().item(), rel=1e-6)
    clean = soft_cross_entropy(model(x), labels).mean().item()
    assert adversarial_training(THREAT, seed=3)(model, x, labels).item() > clean
    value.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("beta", [1.0, 6.0])
def test_trades_is_its_formula(batch: tuple[Tensor, Tensor, Tensor], beta: float) -> None:
    x, labels, soft = batch
    model = model_of()
    clean = torch.log_softmax(model(x), dim=1).detach()
    z = RobustLoss(THREAT, "trades", beta=beta, seed=5).attack(model, x, labels, clean)
    p, q = torch.softmax(model(x), dim=1).double(), torch.softmax(model(z), dim=1).double()
    divergence = (p * (p / q).log()).sum(dim=1).mean()
    assert divergence > 0.01  # the attack found something
    natural = -p.gather(1, labels[:, None]).log().mean()
    value = trades(THREAT, beta=beta, seed=5)(model, x, labels)
    assert value.item() == pytest.approx((natural + beta * divergence).item(), rel=1e-4)
    softly = -(soft * p.log()).sum(dim=1).mean()
    value = trades(THREAT, beta=beta, seed=5)(model, x, labels, soft)
    assert value.item() == pytest.approx((softly + beta * divergence).item(), rel=1e-4)


def test_attacks_see_the_model_in_evaluation_and_training_sees_it_in_training(
    batch: tuple[Tensor, Tensor, Tensor],
) -> None:
    seen: list[tuple[bool, bool]] = []

    class Watched(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    x, labels, _ = batch
    for loss in (RobustLoss(THREAT, steps=4), RobustLoss(THREAT, "trades", steps=4)):
        model = Watched(5, 2)
        seen.clear()
        loss(model, x, labels)
        assert [training for training, _ in seen][:-1] == [False] * (len(seen) - 1)
        assert seen[-1] == (True, True)
        assert model.training


def test_the_share_of_eps_is_what_the_attack_uses(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, labels, _ = batch
    loss = RobustLoss(THREAT)
    loss.share = 0.5
    far = (loss.attack(model_of(), x, labels) - x).norm(dim=1)
    assert far.max().item() == pytest.approx(0.15, rel=1e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"method": "pgd"}, "method"), ({"beta": 0.0}, "beta"), ({"beta": math.nan}, "beta"), ({"steps": 0}, "steps")],
)
def test_mistakes_are_told(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RobustLoss(THREAT, **options)  # type: ignore[arg-type]


# Targets


def test_the_papers_rule_differs_from_clipping_between_a_half_and_its_value() -> None:
    soft = np.array([[0.3, 0.7], [0.5, 0.5], [0.55, 0.45], [0.9, 0.1]])
    rule = paper_rule(soft, [0, 0, 0, 0])
    assert rule[:, 0] == pytest.approx([0.6, 0.6, 0.55, 0.9])
    assert rule.sum(axis=1) == pytest.approx([1] * 4)
    assert paper_rule(soft, [1, 1, 1, 1])[:, 1] == pytest.approx([0.7, 0.6, 0.6, 0.6])


@pytest.mark.parametrize(
    ("soft", "labels", "raised", "message"),
    [
        ([[0.5, 0.5]], [0, 1], 0.6, "'soft_labels' must be of shape"),
        ([[1.0, 0.0, 0.0]], [0], 0.6, "'soft_labels' must be of shape"),
        ([[0.5, 0.5]], [0], 0.5, "'raised' must be above 0.5"),
    ],
)
def test_mistakes_of_the_rule(soft: object, labels: object, raised: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paper_rule(soft, labels, raised=raised)


# Beyond the paper


def test_annealed_clipping_goes_from_hard_to_clipped(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, labels, soft = batch
    model = model_of()
    loss = AnnealedClipping(THREAT, floor_at=0.6)
    hard = soft_cross_entropy(model(x), labels).mean().item()
    assert loss.at(model, x, labels, soft).item() == pytest.approx(hard, rel=1e-5)
    loss.progress = 1.0
    own = soft.gather(1, labels[:, None]).clamp_min(0.6)
    target = torch.zeros(10, 2).scatter(1, labels[:, None], own).scatter(1, 1 - labels[:, None], 1 - own)
    clipped = soft_cross_entropy(model(x), labels, target).mean().item()
    assert loss.at(model, x, labels, soft).item() == pytest.approx(clipped, rel=1e-5)


def test_the_capped_loss_pulls_nobody_who_has_what_the_floor_allows(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, labels, _ = batch
    model = model_of()
    nobody = torch.full((10, 2), 1e-6)
    CappedLoss(THREAT).at(model, x, labels, nobody).backward()
    assert all((p.grad == 0).all() for p in model.parameters() if p.grad is not None)
    everybody = torch.ones(10, 2)
    hard = soft_cross_entropy(model(x), labels).mean().item()
    assert CappedLoss(THREAT).at(model, x, labels, everybody).item() == pytest.approx(hard)
    assert CappedLoss(THREAT, strength=0.0).at(model, x, labels, nobody).item() == pytest.approx(hard)


def test_optimal_points_are_drawn_by_their_weights() -> None:
    points = torch.tensor([[0.1], [0.2], [0.3]])
    loss = OptimalPoints(THREAT, points, index=[1, 0, 1], weights=[0.75, 1.0, 0.25], share=1.0)
    drawn = torch.cat([loss._points[loss._draw(np.array([0, 1]))] for _ in range(400)]).view(400, 2)
    assert set(drawn[:, 0].tolist()) == {points[1].item()}
    share = (drawn[:, 1] == points[0]).double().mean().item()
    assert share == pytest.approx(0.75, abs=0.08)
    with pytest.raises(ValueError, match="every example has a point"):
        OptimalPoints(THREAT, points, index=[0, 0, 2], weights=[1, 1, 1])


def test_interval_targets_are_those_of_the_optimal_classifier() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.random((40, 2)), np.arange(40) % 2
    eps = 0.11
    classifier = lf.FloorClassifier(lf.L2(eps)).fit(X, y)
    assert classifier.floor_.n_blocks > 3
    labels = torch.from_numpy(y)
    loss = IntervalTargets(Threat("l2", eps), torch.from_numpy(X).float(), labels, classifier.floor_.posterior)
    z = (X + rng.normal(scale=0.03, size=X.shape)).astype(np.float32)
    low, up = classifier.predict_interval(z.astype(np.float64))
    targets = loss._targets(torch.from_numpy(z), labels).numpy()
    assert targets == pytest.approx(np.where(y == 0, up, low), abs=1e-6)


@pytest.mark.parametrize("kind", [AnnealedClipping, CappedLoss])
def test_losses_beyond_the_paper_tell_mistakes(kind: type[RobustLoss], batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, labels, _ = batch
    with pytest.raises(ValueError, match="'soft' must be given"):
        kind(THREAT)(model_of(), x, labels)
    option = {AnnealedClipping: "floor_at", CappedLoss: "strength"}[kind]
    with pytest.raises(ValueError, match=option):
        kind(THREAT, **{option: 1.5})


def test_kept_points_go_on_from_where_they_ended(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Against a model that does not change, a few steps again and again find what many steps find."""
    x, labels, _ = batch
    model, index = model_of(), torch.arange(10)
    loss = KeptPoints(THREAT, 10, steps=2)
    found = [loss(model, x, labels, None, index).item() for _ in range(12)]
    far = RobustLoss(THREAT, steps=60)(model, x, labels).item()
    assert found[0] < found[-1] - 1e-4
    assert found[-1] == pytest.approx(far, abs=2e-3)
    moves = loss.state()["moves"]
    assert (moves.norm(dim=1) <= THREAT.eps).all()
    assert ((x + moves >= -1e-6) & (x + moves <= 1 + 1e-6)).all()


def test_kept_points_belong_to_their_examples(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """The order of a batch, and which examples share one, change no example's start."""
    x, labels, _ = batch
    model = model_of()
    whole, parts = KeptPoints(THREAT, 10), KeptPoints(THREAT, 10)
    start = torch.rand(10, 5, generator=torch.Generator().manual_seed(2)) * 0.1
    for loss in (whole, parts):
        loss.load_state({"moves": start})
    whole(model, x, labels, None, torch.arange(10))
    for index in (torch.tensor([7, 2, 5, 0, 9]), torch.tensor([1, 3, 4, 6, 8])):
        parts(model, x[index], labels[index], None, index)
    assert torch.allclose(whole.state()["moves"], parts.state()["moves"], atol=1e-6)


def test_kept_points_tell_mistakes(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, labels, _ = batch
    with pytest.raises(ValueError, match="'index' must be given"):
        KeptPoints(THREAT, 10)(model_of(), x, labels)
    with pytest.raises(ValueError, match="'count' must be at least 1"):
        KeptPoints(THREAT, 0)
    with pytest.raises(ValueError, match="'first' must be above 0 and at most 1"):
        KeptPoints(THREAT, 10, first=2.0)
    with pytest.raises(ValueError, match="'state' must be the moves of 10 examples"):
        KeptPoints(THREAT, 10).load_state({"moves": torch.zeros(3, 5)})
    with pytest.raises(ValueError, match="this loss remembers nothing"):
        RobustLoss(THREAT).load_state({"moves": torch.zeros(3, 5)})
