"""IDX, the format of MNIST: a file of images beside a file of labels, each perhaps compressed with gzip.

A file is four bytes (0, 0, code of the dtype, number of dimensions), the dimensions as big-endian 32-bit
integers, and the entries, big-endian.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ._plugin import (
    DEFLATE_RATIO,
    Array,
    Examples,
    Format,
    Request,
    Rows,
    as_label_array,
    join,
    must_fit,
    must_match,
    parts_of,
)

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_PREFIXES = {"train": ("train",), "test": ("t10k", "test")}
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 2**20
_MAX_DIMENSIONS = 8
_USUAL_NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?$")
_TEST_NAME = re.compile(r"(^|[-_.])(t10k|test)[-_.]", re.IGNORECASE)


def usual_files(split: str) -> list[str]:
    """Name the two files that hold a split, as they are handed out."""
    prefix = _PREFIXES[split][0]
    return [f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"]


def holds(folder: Path, split: str) -> bool:
    """Return whether a folder has the usual files of a split."""
    return all(_usual_pair(folder, part) is not None for part in parts_of(split))


def _accepts(path: Path) -> bool:
    if path.is_dir():
        return any(_USUAL_NAME.match(entry.name) for entry in path.iterdir())
    return re.search(r"idx\d?(-[a-z]+)?(\.gz)?$", path.name, re.IGNORECASE) is not None


def _read(path: Path, request: Request) -> Examples:
    if not path.is_dir():
        is_test = _TEST_NAME.search(path.name) is not None
        if request.split == "test" and not is_test:
            raise ValueError(f"{path} is one file, not of the test split: give the folder of both to use split='test'")
        return _open_pair(path, _labels_beside(path))
    parts = []
    for part in parts_of(request.split):
        pair = _usual_pair(path, part)
        if pair is None:
            wanted = " and ".join(usual_files(part))
            raise ValueError(f"{path} has no {part} split: it needs {wanted} (with or without .gz)")
        parts.append(_open_pair(*pair))
    return join(parts)


FORMAT = Format("IDX", "IDX images beside their labels (.gz too), or a folder with MNIST's files", _accepts, _read)


def _usual_pair(folder: Path, part: str) -> tuple[Path, Path] | None:
    for prefix in _PREFIXES[part]:
        images = _first_of(folder, [f"{prefix}-images-idx3-ubyte", f"{prefix}-images.idx3-ubyte"])
        labels = _first_of(folder, [f"{prefix}-labels-idx1-ubyte", f"{prefix}-labels.idx1-ubyte"])
        if images is not None and labels is not None:
            return images, labels
    return None


def _first_of(folder: Path, names: list[str]) -> Path | None:
    # The plain file is looked for before the compressed one, since it is read faster.
    paths = [folder / (name + ending) for ending in ("", ".gz") for name in names]
    return next((path for path in paths if path.is_file()), None)


def _labels_beside(images: Path) -> Path:
    if "images" not in images.name:
        raise ValueError(
            f"{images} must have 'images' in its name, and the labels beside it with 'labels' in that place"
        )
    name = re.sub(r"idx\d", "idx1", images.name.removesuffix(".gz").replace("images", "labels"))
    labels = _first_of(images.parent, [name, name.replace("-idx", ".idx"), name.replace(".idx", "-idx")])
    if labels is None:
        raise ValueError(f"{images}: its labels are not beside it; expected {name} (with or without .gz)")
    return labels


def _open_pair(images: Path, labels: Path) -> Examples:
    image_file, label_file = _File.open(images), _File.open(labels)
    if len(image_file.shape) < 2:
        raise ValueError(f"{images} must hold an example in each row, got shape {image_file.shape}")
    if len(label_file.shape) != 1:
        raise ValueError(f"{labels} must hold one label per example, got shape {label_file.shape}")
    must_match(image_file.shape[0], label_file.shape[0], f"{images} and {labels}")
    y = as_label_array(label_file.read(np.arange(label_file.shape[0])), str(labels))
    return Examples(y=y, read=image_file.read, source=str(images))


@dataclass(frozen=True)
class _File:
    """An IDX file whose header was read and found sound."""

    path: Path
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]

    @classmethod
    def open(cls, path: Path) -> _File:
        try:
            with _stream(path) as stream:
                magic = stream.read(4)
                if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
                    raise ValueError(f"{path} is not an IDX file: it begins with {magic!r}")
                if not 1 <= magic[3] <= _MAX_DIMENSIONS:
                    raise ValueError(f"{path}: its header has {magic[3]} dimensions; 1 to {_MAX_DIMENSIONS} are read")
                dims = stream.read(4 * magic[3])
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        if len(dims) < 4 * magic[3]:
            raise ValueError(f"{path} ends within its header")
        shape = tuple(int(dim) for dim in np.frombuffer(dims, ">u4"))
        if 0 in shape:
            raise ValueError(f"{path} holds no examples: shape {shape}")
        file = cls(path, np.dtype(_DTYPES[magic[2]]), shape)
        file._check_size()
        return file

    @property
    def _header_bytes(self) -> int:
        return 4 + 4 * len(self.shape)

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def _check_size(self) -> None:
        promised = self._header_bytes + self.shape[0] * self._row_bytes
        there = self.path.stat().st_size
        if _is_gzip(self.path):
            if promised > DEFLATE_RATIO * there:
                raise ValueError(f"{self.path}: its header promises {promised} bytes, more than its {there} can hold")
        elif promised != there:
            raise ValueError(f"{self.path}: its header promises {promised} bytes, but the file has {there}")
        must_fit(promised, str(self.path))

    def read(self, rows: Rows) -> Array:
        """Read rows, which rise, holding no more than these and one piece of the file.

        The file is always read to its end, so that gzip's checksum is compared and a file that was cut off or
        goes on for longer than its header says is found out.
        """
        out = np.empty((len(rows), *self.shape[1:]), self.dtype.newbyteorder("="))
        step = max(1, _CHUNK_BYTES // self._row_bytes)
        try:
            with _stream(self.path) as stream:
                stream.read(self._header_bytes)
                for start in range(0, self.shape[0], step):
                    size = min(step, self.shape[0] - start)
                    chunk = stream.read(size * self._row_bytes)
                    if len(chunk) < size * self._row_bytes:
                        raise ValueError(f"{self.path} ends before the {self.shape[0]} rows that its header promises")
                    low, high = np.searchsorted(rows, (start, start + size))
                    block = np.frombuffer(chunk, self.dtype).reshape(size, *self.shape[1:])
                    out[low:high] = block[rows[low:high] - start]
                if stream.read(1):
                    raise ValueError(f"{self.path} goes on after the {self.shape[0]} rows that its header promises")
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{self.path} cannot be read: {error}") from error
        return out


def _is_gzip(path: Path) -> bool:
    # Told from the bytes: people unpack these files and keep the name.  IDX itself begins with zeros.
    with path.open("rb") as stream:
        return stream.read(2) == _GZIP_MAGIC


def _stream(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if _is_gzip(path) else path.open("rb")
