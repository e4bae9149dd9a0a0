"""Files of arrays: written completely or not at all, read without trusting them."""

from __future__ import annotations

import os
import tempfile
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from lossfloor._checks import must

#: Bytes of one array above which a file is not read.
_MOST_BYTES = 1 << 36
#: How many times its size deflated data can grow: a file that claims more does not hold it.
_MOST_GROWTH = 1032
#: What the readers of zip files and of .npy headers raise at damaged bytes, beside ValueError.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
)


def write_whole(path: str | os.PathLike[str], write: Any) -> None:
    """Let ``write(stream)`` fill a temporary file next to `path`, then rename it atomically."""
    target = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
        # mkstemp makes private files; a result gets the permissions that any new file would have.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_arrays(path: str | os.PathLike[str], kind: str, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays to an .npz file with the name of their format in the array ``format``."""

    def write(stream: IO[bytes]) -> None:
        np.savez_compressed(stream, allow_pickle=False, format=np.array(kind), **arrays)

    write_whole(path, write)


def read_arrays(path: str | os.PathLike[str], kind: str) -> dict[str, npt.NDArray[Any]]:
    """Read an .npz file that `write_arrays` wrote, without pickles and with sizes checked before memory is allocated.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no .npz file, of another format, damaged, or claims sizes that it does not hold.
    """
    with open(path, "rb") as file:
        try:
            arrays = _arrays_in(file)
        except _DAMAGE as error:
            raise ValueError(must("path", f"a file of the format {kind}", f"{os.fspath(path)} ({error})")) from None
    found = arrays.pop("format", None)
    name = str(found) if found is not None and found.shape == () and found.dtype.kind == "U" else "something else"
    if name != kind:
        raise ValueError(must("path", f"a file of the format {kind}", os.fspath(path)) + f", which is {name}")
    return arrays


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the name of the format that `write_arrays` wrote into a file, or "" if it is none of these.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive, archive.open("format.npy") as stream:
                _check_header(stream, "format.npy", 1 << 16)
                stream.seek(0)
                found = _read(stream)
        except (KeyError, ValueError, *_DAMAGE):
            return ""
    return str(found) if found.shape == () and found.dtype.kind == "U" else ""


def read_plain(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of any .npz file, or that of an .npy file under the name "": as safely as `read_arrays`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is neither, damaged, holds objects, or claims sizes that it does not hold.
    """
    with open(path, "rb") as file:
        try:
            if file.read(2) == b"PK":
                return _arrays_in(file)
            file.seek(0)
            return {"": _single_array(file)}
        except _DAMAGE as error:
            raise ValueError(must("path", "an .npy or .npz file", f"{os.fspath(path)} ({error})")) from None


def _single_array(file: IO[bytes]) -> npt.NDArray[Any]:
    held = os.fstat(file.fileno()).st_size
    _check_header(file, os.path.basename(file.name), held)
    file.seek(0)
    return _read(file)


def _arrays_in(file: IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {}
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            held = min(info.file_size, _MOST_GROWTH * info.compress_size)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                held = 0
            with archive.open(info) as stream:
                _check_header(stream, info.filename, held)
            with archive.open(info) as stream:
                arrays[info.filename.removesuffix(".npy")] = _read(stream)
    return arrays


def _read(stream: IO[bytes]) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return array


def _check_header(stream: IO[bytes], name: str, held: int) -> None:
    """Check that an array is none of objects, and no larger than the bytes that are there for it."""
    try:
        shape, dtype = _header(stream)
    except ValueError as error:  # numpy's, which does not say what it is about
        raise ValueError(must("path", "a file of arrays", f"{name} ({error})")) from None
    if dtype.hasobject:
        raise ValueError(must("path", "a file of plain arrays", f"objects in {name}"))
    if min(shape, default=0) < 0:
        raise ValueError(must("path", "a file of arrays", f"{name} of shape {shape}"))
    size = dtype.itemsize
    for side in shape:
        size *= side
    if size > min(_MOST_BYTES, held):
        raise ValueError(must("path", "a file that holds what it claims", f"{size} bytes claimed by {name}"))


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the header of an .npy file."""
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(stream)
    else:
        raise ValueError(f"not of the .npy format 1.0 or 2.0 but {version}")
    return shape, dtype
