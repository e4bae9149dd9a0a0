"""NumPy's ``.npz``: a zip of arrays, read without pickles and with its sizes checked first."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from ._plugin import (
    DEFLATE_RATIO,
    Array,
    Examples,
    Format,
    Request,
    Rows,
    as_label_array,
    as_native,
    join,
    must_fit,
    must_match,
    must_not_ask_for_test,
    parts_of,
)

_WHOLE = (("X", "y"), ("x", "y"))
_PARTS = {
    "train": (("x_train", "y_train"), ("X_train", "y_train")),
    "test": (("x_test", "y_test"), ("X_test", "y_test")),
}
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


def _accepts(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".npz"


def _read(path: Path, request: Request) -> Examples:
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {name.removesuffix(".npy") for name in archive.namelist()}
    except _BROKEN as error:
        raise ValueError(f"{path} is not an .npz file: {error}") from error
    if any(_pair(arrays, part) for part in _PARTS.values()):
        return join([_read_part(path, arrays, part) for part in parts_of(request.split)])
    pair = _pair(arrays, _WHOLE)
    if pair is None:
        raise ValueError(
            f"{path} must hold arrays X and y, or x_train, y_train, x_test and y_test, got {_listed(arrays)}"
        )
    must_not_ask_for_test(request, str(path))
    return _open_pair(path, *pair)


FORMAT = Format("npz", "NumPy archive with arrays X and y, or x_train, y_train, x_test, y_test", _accepts, _read)


def _read_part(path: Path, arrays: set[str], part: str) -> Examples:
    pair = _pair(arrays, _PARTS[part])
    if pair is None:
        raise ValueError(f"{path} has no {part} split: it needs x_{part} and y_{part}, got {_listed(arrays)}")
    return _open_pair(path, *pair)


def _pair(arrays: set[str], pairs: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    return next((pair for pair in pairs if arrays.issuperset(pair)), None)


def _listed(arrays: set[str]) -> str:
    names = sorted(arrays)
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") or "none"


def _open_pair(path: Path, x_name: str, y_name: str) -> Examples:
    shape = _checked_shape(path, x_name)
    y = as_label_array(_read_array(path, y_name), f"{path}, array {y_name!r},")
    must_match(shape[0] if shape else 0, len(y), f"{path}, arrays {x_name!r} and {y_name!r}")

    def read(rows: Rows) -> Array:
        return as_native(_read_array(path, x_name), f"{path}, array {x_name!r},")[rows]

    return Examples(y=y, read=read, source=f"{path} ({x_name}, {y_name})")


def _read_array(path: Path, name: str) -> Array:
    _checked_shape(path, name)
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except (*_BROKEN, ValueError) as error:
        raise ValueError(f"{path}, array {name!r}, cannot be read: {error}") from error


def _checked_shape(path: Path, name: str) -> tuple[int, ...]:
    """Read the header of an array, and compare what it promises with what the file can hold."""
    what = f"{path}, array {name!r},"
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
            entry = archive.getinfo(f"{name}.npy")
            shape, dtype = _read_header(stream)
            start = stream.tell()
    except Exception as error:  # the header is a Python literal, and a hostile one can fail in any way
        raise ValueError(f"{what} cannot be read: {error}") from error
    if dtype.hasobject:
        raise ValueError(f"{what} holds Python objects, which are pickled and are not read; got dtype {dtype}")
    if dtype.kind not in "iufbU" or dtype.itemsize == 0:
        raise ValueError(f"{what} must hold numbers, or words for labels; got dtype {dtype}")
    if any(dim < 0 for dim in shape):
        raise ValueError(f"{what} has a negative dimension: shape {shape}")
    promised = start + math.prod(shape) * dtype.itemsize
    if promised != entry.file_size:
        raise ValueError(f"{what} promises {promised} bytes by its header, but has {entry.file_size}")
    if promised > DEFLATE_RATIO * path.stat().st_size:
        raise ValueError(f"{what} promises {promised} bytes, more than the file can hold")
    must_fit(promised, what)
    return shape


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:  # version 3 is for structured arrays with names in UTF-8
        raise ValueError(f"version {version} of the format is for structured arrays")
    shape, _, dtype = readers[version](stream)
    return shape, dtype
