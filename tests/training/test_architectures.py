"""Networks: shapes, seeds, and normalisation inside."""

from __future__ import annotations

import pytest
import torch

from lossfloor.training import ARCHITECTURES, WideResNet, build

SMALL = {"mlp": {"hidden": [8]}, "cnn": {}, "resnet18": {"width": 4}, "wideresnet": {"depth": 10, "widen": 1}}


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_come_out_and_gradients_go_back(name: str, shape: tuple[int, ...]) -> None:
    model = build(name, shape, **SMALL[name])
    x = torch.rand(2, *shape, requires_grad=True)
    logits = model(x)
    assert logits.shape == (2, 2)
    logits.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert build(name, shape, classes=5, **SMALL[name])(x.detach()).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("resnet18", (3, 32, 32), 11_168_832 + 512 * 2 + 2),
        ("resnet18", (1, 28, 28), 11_168_832 - 2 * 9 * 64 + 512 * 2 + 2),
        ("wideresnet", (3, 32, 32), 36_472_784 + 640 * 2 + 2),
        ("cnn", (1, 28, 28), 272 + 8224 + 156_900 + 202),
    ],
)
def test_they_have_the_parameters_that_they_should(name: str, shape: tuple[int, ...], parameters: int) -> None:
    with torch.device("meta"):
        model = ARCHITECTURES[name](shape)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_weights_come_from_the_seed_alone() -> None:
    before = torch.get_rng_state()
    one, two, other = (build("cnn", (1, 8, 8), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(one(x), two(x))
    assert not torch.equal(one(x), other(x))


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("vgg", (1, 8, 8), {}, "unknown architecture 'vgg'"),
        ("cnn", (8, 8), {}, "'shape' must be \\(channels, height, width\\)"),
        ("cnn", (1, 9, 8), {}, "sides that four divides"),
        ("mlp", (4,), {"depth": 3}, "options of the architecture 'mlp'"),
    ],
)
def test_mistakes_are_told(name: str, shape: tuple[int, ...], options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, shape, **options)


def test_a_depth_that_is_none() -> None:
    with pytest.raises(ValueError, match="'depth' must be 6 n \\+ 4"):
        WideResNet((3, 32, 32), depth=12)
