"""The well-known sets of images, found by name in the folders where people keep them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lossfloor._checks import must
from lossfloor.exceptions import DatasetNotFoundError

from . import cifar, idx
from ._plugin import Examples, Label, NamedSet, Request, parts_of

_SYSTEM_ROOT = Path("/usr/share/datasets")
"""Where Debian's packages of data sets put them."""

_FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True)
class _Kept:
    """How a set is kept: in which folders below a root, and what must lie in them."""

    name: str
    description: str
    places: tuple[str, ...]
    """Folders and archives below a root: torchvision's layout first."""
    open: Callable[[Path, Request], Examples]
    holds: Callable[[Path, str], bool]
    files: Callable[[str], str]
    """The files of a split, for people."""
    class_names: Mapping[Label, str]
    advice: str = ""
    takes_label: bool = False

    def candidates(self, data_dir: Path | None) -> list[Path]:
        """List the places to look, the first first."""
        if data_dir is None:
            return [root / place for root in _roots() for place in self.places]
        # Only here may the files lie in the root itself: MNIST and Fashion-MNIST have files of the same
        # names, and nothing but the caller's word then tells them apart.
        return [*(data_dir / place for place in self.places), data_dir]

    def find(self, data_dir: Path | None, split: str) -> Path | None:
        """Find the first place that has all of a split."""
        return next((place for place in self.candidates(data_dir) if self.holds(place, split)), None)

    def find_any(self, data_dir: Path | None) -> Path | None:
        """Find the first place that has one of the splits."""
        return self.find(data_dir, "train") or self.find(data_dir, "test")

    def read(self, data_dir: Path | None, request: Request) -> Examples:
        """Open the set, or say where it was searched for and how to get it."""
        if data_dir is not None and not data_dir.is_dir():
            raise DatasetNotFoundError(must("data_dir", "a folder that exists", str(data_dir)))
        place = self.find(data_dir, request.split)
        if place is None:
            raise DatasetNotFoundError(self._not_found(data_dir, request.split))
        examples = self.open(place, request)
        return replace(examples, class_names=examples.class_names or self.class_names)

    def _not_found(self, data_dir: Path | None, split: str) -> str:
        sought = "".join(f"\n  {place}" for place in self.candidates(data_dir))
        root = Path("$LOSSFLOOR_DATA") if data_dir is None else data_dir
        needed = ", ".join(self.files(part) for part in parts_of(split))
        return (
            f"{self.name} (split {split!r}) is not on this machine. Sought in:{sought}\n"
            f"{self.advice}Put {needed} into {root / self.places[0]}"
            + (", LOSSFLOOR_DATA being a folder of your choice." if data_dir is None else ".")
        )


def _roots() -> list[Path]:
    named = os.environ.get("LOSSFLOOR_DATA")
    cache = os.environ.get("XDG_CACHE_HOME")
    return [
        *([Path(named).expanduser()] if named else []),
        Path("data").absolute(),
        (Path(cache) if cache else Path("~/.cache").expanduser()) / "lossfloor",
        _SYSTEM_ROOT,
    ]


def _mnist_files(split: str) -> str:
    return " and ".join(idx.usual_files(split))


def _named(kept: _Kept) -> NamedSet:
    return NamedSet(kept.name, kept.description, kept.read, kept.find_any, takes_label=kept.takes_label)


SETS = tuple(
    _named(kept)
    for kept in (
        _Kept(
            name="fashion-mnist",
            description="70000 pictures of clothes, 28 x 28 pixels, 10 classes",
            places=("FashionMNIST/raw", "fashion-mnist"),
            open=idx.FORMAT.read,
            holds=idx.holds,
            files=_mnist_files,
            class_names=dict(enumerate(_FASHION_CLASSES)),
            advice="On Debian and Ubuntu: apt-get install dataset-fashion-mnist. Elsewhere: ",
        ),
        _Kept(
            name="mnist",
            description="70000 handwritten digits, 28 x 28 pixels, 10 classes",
            places=("MNIST/raw", "mnist"),
            open=idx.FORMAT.read,
            holds=idx.holds,
            files=_mnist_files,
            class_names={},
        ),
        _Kept(
            name="cifar-10",
            description="60000 photographs, 32 x 32 pixels in colour, 10 classes",
            places=(
                "cifar-10-batches-py",
                "cifar-10-batches-bin",
                "cifar-10-python.tar.gz",
                "cifar-10-binary.tar.gz",
            ),
            open=partial(cifar.open_set, expected=cifar.CIFAR10),
            holds=partial(cifar.holds, version=cifar.CIFAR10),
            takes_label=True,
            files=lambda split: "data_batch_1 to data_batch_5" if split == "train" else "test_batch",
            class_names=dict(enumerate(cifar.CIFAR10_CLASSES)),
        ),
        _Kept(
            name="cifar-100",
            description="60000 photographs, 32 x 32 pixels in colour, 100 classes",
            places=(
                "cifar-100-python",
                "cifar-100-binary",
                "cifar-100-python.tar.gz",
                "cifar-100-binary.tar.gz",
            ),
            open=partial(cifar.open_set, expected=cifar.CIFAR100),
            holds=partial(cifar.holds, version=cifar.CIFAR100),
            takes_label=True,
            files=lambda split: f"{split} and meta",
            class_names={},
        ),
    )
)
