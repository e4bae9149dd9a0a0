"""The one interface of the readers: what each takes, and what it gives.

A reader opens its file, checks it, and hands back :class:`Examples`: all labels, and a function that reads
chosen rows.  So the choice of classes is made once, in one place, before any reader takes memory for pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must

Label = int | str
Array = npt.NDArray[Any]
Rows = npt.NDArray[np.intp]

SPLITS = ("train", "test", "all")

MAX_BYTES = 2**35
"""No reader takes more memory than this (32 GiB), whatever a file promises."""

DEFLATE_RATIO = 1032
"""Deflate, the method of .gz and .npz, cannot shrink data by more than this factor."""


@dataclass(frozen=True)
class Request:
    """What the caller asked of a reader besides the path."""

    split: str = "train"
    label: str | int | None = None


@dataclass(frozen=True)
class Examples:
    """A data set that is open and checked, but not yet read."""

    y: Array
    """Label of each example, shape (n,): int64 or strings."""
    read: Callable[[Rows], Array]
    """Read the examples of these rows, which are in rising order."""
    source: str
    """Where they come from, for people."""
    class_names: Mapping[Label, str] = field(default_factory=dict)
    unit: int | None = None
    """Data units in a unit of eps; None to tell it from the array, as `natural_unit` does."""


@dataclass(frozen=True)
class Format:
    """A way in which data sets are stored."""

    name: str
    description: str
    accepts: Callable[[Path], bool]
    """Is this file or folder, which exists, for this reader?  Told from names alone."""
    read: Callable[[Path, Request], Examples]
    takes_label: bool = False
    """Does the argument `label` mean something here?"""


@dataclass(frozen=True)
class NamedSet:
    """A data set that is known by name."""

    name: str
    description: str
    read: Callable[[Path | None, Request], Examples]
    """Read it from the given folder, or from wherever it is found."""
    find: Callable[[Path | None], Path | None]
    """Where it lies on this machine, if it does."""
    takes_label: bool = False


def natural_unit(X: Array) -> int:
    """Tell the unit from the array: 255 for images of bytes, otherwise 1."""
    return 255 if X.dtype == np.uint8 and X.ndim >= 3 else 1


def parts_of(split: str) -> tuple[str, ...]:
    """Name the parts of a divided data set that make up a split."""
    return ("train", "test") if split == "all" else (split,)


def must_not_ask_for_test(request: Request, what: str) -> None:
    """Raise if the test split is asked of something that is not divided."""
    if request.split == "test":
        raise ValueError(f"{what} is not divided into splits: 'split' must be 'train' or 'all', got 'test'")


def must_fit(n_bytes: int, what: str) -> None:
    """Raise before memory is taken for more than any reader may take."""
    if n_bytes > MAX_BYTES:
        raise ValueError(f"{what} would take {n_bytes} bytes of memory; the limit is {MAX_BYTES}")


def join(parts: Sequence[Examples]) -> Examples:
    """Put several parts one after the other."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(part.y) for part in parts)])

    def read(rows: Rows) -> Array:
        cuts = np.searchsorted(rows, starts)
        pieces = [
            part.read(rows[cut:stop] - start)
            for part, start, cut, stop in zip(parts, starts[:-1], cuts[:-1], cuts[1:], strict=True)
            if stop > cut
        ]
        if len({piece.shape[1:] for piece in pieces}) > 1:
            shapes = " and ".join(str(piece.shape[1:]) for piece in pieces)
            raise ValueError(f"{parts[0].source}: the parts must have examples of one shape, got {shapes}")
        return np.concatenate(pieces)

    return replace(
        parts[0],
        y=np.concatenate([part.y for part in parts]),
        read=read,
        source=" and ".join(part.source for part in parts),
        class_names={label: name for part in parts for label, name in part.class_names.items()},
    )


_LABELS = "whole numbers or words"


def as_label_array(values: Array, what: str) -> Array:
    """Check the labels of a file: int64, or strings.

    Whole floats and booleans become integers; anything else is refused, since it is no class.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"{what} must hold one label per example, got an array of shape {values.shape}")
    if len(values) == 0:
        raise ValueError(f"{what} holds no examples")
    if values.dtype.kind == "U":
        return values
    if values.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(values) | (values != np.floor(values)))
        if bad.size:
            raise ValueError(f"{what} must hold class labels ({_LABELS}), got {values[bad[0]]} in row {bad[0]}")
    elif values.dtype.kind not in "iub":
        raise ValueError(f"{what} must hold class labels ({_LABELS}), got dtype {values.dtype}")
    if values.dtype.kind in "uf" and (np.abs(values) >= 2.0**63).any():
        raise ValueError(f"{what} must hold labels of at most 64 bits, got {values.max()}")
    return values.astype(np.int64)


_WHOLE = re.compile(r"(0|-?[1-9][0-9]{0,17})(\.0*)?")


def labels_from_words(words: Sequence[str], what: str) -> Array:
    """Read labels that are written as text: integers where all are, otherwise the words themselves.

    Only plain decimals count as integers: "07" stays a word, since it may stand beside "7".
    """
    if all(_WHOLE.fullmatch(word) for word in words):
        return np.array([int(word.split(".")[0]) for word in words], dtype=np.int64)
    fraction = next((word for word in words if not _WHOLE.fullmatch(word) and not word.isdigit()), None)
    if fraction is not None and all(_is_number(word) for word in words):
        raise ValueError(f"{what} must hold class labels ({_LABELS}), got {fraction!r}")
    return np.array(words, dtype=np.str_)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def as_native(X: Array, what: str) -> Array:
    """Check the dtype of examples (real numbers or booleans), and turn the bytes to this machine's order."""
    if X.dtype.kind not in "iufb":
        raise ValueError(f"{what} must hold integers, floats or booleans, got dtype {X.dtype}")
    if X.ndim < 2 or 0 in X.shape:
        raise ValueError(f"{what} must hold an example in each row, got shape {X.shape}")
    return np.ascontiguousarray(X, dtype=X.dtype.newbyteorder("="))


def must_match(n_examples: int, n_labels: int, what: str) -> None:
    """Raise unless there is a label for each example."""
    if n_examples != n_labels:
        raise ValueError(f"{what}: there are {n_examples} examples but {n_labels} labels")


def wrong_label_argument(request: Request, what: str) -> ValueError:
    """Word the error for a `label` where it means nothing."""
    return ValueError(must("label", f"left out: {what} says itself which are the labels", request.label))
