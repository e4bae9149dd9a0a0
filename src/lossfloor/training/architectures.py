"""Networks to train: inputs in [0, 1] with channels first, logits out, normalisation inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossfloor._checks import must, unknown


class _Normalise(nn.Module):
    """Move inputs in [0, 1] to mean 0 and a deviation near 1; no parameters."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.5) * 4.0


class MLP(nn.Module):
    """Fully connected layers with ReLU.

    Parameters
    ----------
    shape : sequence of int
        Shape of one input, such as ``(1, 28, 28)``.
    classes : int, default 2
    hidden : sequence of int, default (256, 256)
        Widths of the hidden layers.
    """

    def __init__(self, shape: Sequence[int], classes: int = 2, hidden: Sequence[int] = (256, 256)) -> None:
        super().__init__()
        width = 1
        for side in shape:
            width *= side
        layers: list[nn.Module] = [_Normalise(), nn.Flatten()]
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU()]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (n, classes)."""
        logits: Tensor = self.layers(x)
        return logits


class StridedCNN(nn.Module):
    """Two convolutions of stride 2 (16 and 32 channels by default) and two full layers: for a CPU.

    Parameters
    ----------
    shape : sequence of int
        ``(channels, height, width)``, sides that four divides.
    classes : int, default 2
    channels : sequence of two int, default (16, 32)
    hidden : int, default 100
    """

    def __init__(
        self, shape: Sequence[int], classes: int = 2, channels: Sequence[int] = (16, 32), hidden: int = 100
    ) -> None:
        super().__init__()
        inputs, height, width = _image_shape(shape)
        if height % 4 or width % 4:
            raise ValueError(must("shape", "an image with sides that four divides", tuple(shape)))
        first, second = channels
        self.layers = nn.Sequential(
            _Normalise(),
            nn.Conv2d(inputs, first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * (height // 4) * (width // 4), hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (n, classes)."""
        logits: Tensor = self.layers(x)
        return logits


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, as in a ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet18(nn.Module):
    """The ResNet-18 for small images: a 3x3 stem without pooling, four stages of two blocks.

    Parameters
    ----------
    shape : sequence of int
        ``(channels, height, width)``: (1, 28, 28), (3, 32, 32), or any other of at least 8 a side.
    classes : int, default 2
    width : int, default 64
        Channels of the first stage; the others have 2, 4 and 8 times as many.
    """

    def __init__(self, shape: Sequence[int], classes: int = 2, width: int = 64) -> None:
        super().__init__()
        inputs, _, _ = _image_shape(shape)
        self.stem = nn.Sequential(
            _Normalise(), nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        before = width
        for stage in range(4):
            after = width << stage
            blocks += [_BasicBlock(before, after, 1 if stage == 0 else 2), _BasicBlock(after, after, 1)]
            before = after
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (n, classes)."""
        logits: Tensor = self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))
        return logits


class _WideBlock(nn.Module):
    """A block of a WideResNet: normalise and activate first."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        same = stride == 1 and inputs == outputs
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(x))
        beside: Tensor = x if self.shortcut is None else self.shortcut(y)
        inner: Tensor = self.conv2(F.relu(self.norm2(self.conv1(y))))
        return inner + beside


class WideResNet(nn.Module):
    """A WideResNet without dropout.

    Parameters
    ----------
    shape : sequence of int
        ``(channels, height, width)``.
    classes : int, default 2
    depth : int, default 28
        6 n + 4 layers.
    widen : int, default 10
        How many times 16, 32 and 64 channels the three stages have.
    """

    def __init__(self, shape: Sequence[int], classes: int = 2, depth: int = 28, widen: int = 10) -> None:
        super().__init__()
        inputs, _, _ = _image_shape(shape)
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(must("depth", "6 n + 4 with n >= 1", depth))
        layers: list[nn.Module] = [_Normalise(), nn.Conv2d(inputs, 16, 3, padding=1, bias=False)]
        before = 16
        for stage in range(3):
            after = (16 << stage) * widen
            for i in range((depth - 4) // 6):
                layers.append(_WideBlock(before, after, 2 if stage and not i else 1))
                before = after
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(before), nn.ReLU())
        self.head = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (n, classes)."""
        logits: Tensor = self.head(self.layers(x).mean(dim=(2, 3)))
        return logits


def _image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(must("shape", "(channels, height, width)", tuple(shape)))
    channels, height, width = shape
    return channels, height, width


#: Networks by their names in settings and checkpoints.
ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {
    "mlp": MLP,
    "cnn": StridedCNN,
    "resnet18": ResNet18,
    "wideresnet": WideResNet,
}


def build(name: str, shape: Sequence[int], *, seed: int = 0, **options: Any) -> nn.Module:
    """Make a network with weights drawn from a seed; the global random state stays as it was.

    Parameters
    ----------
    name : {"mlp", "cnn", "resnet18", "wideresnet"}
    shape : sequence of int
        Shape of one input.
    seed : int, default 0
    **options
        Of the class, such as ``hidden`` or ``width``.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If the name is unknown, or an option is invalid.

    Examples
    --------
    >>> sum(p.numel() for p in build("cnn", (1, 28, 28)).parameters())
    165598
    """
    if name not in ARCHITECTURES:
        raise ValueError(unknown("architecture", name, ARCHITECTURES))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return ARCHITECTURES[name](tuple(shape), **options)
        except TypeError as error:
            raise ValueError(f"options of the architecture {name!r}: {error}") from None
