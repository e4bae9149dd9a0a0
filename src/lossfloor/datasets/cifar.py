"""CIFAR-10 and CIFAR-100, binary and python version, in a folder or in the archive that is handed out.

The python version is pickled.  A pickle is a program, so it is run by an interpreter that knows only the
steps which these files need, and that builds nothing but numbers, words, lists, dicts and arrays of bytes.
"""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

import numpy as np
import numpy.typing as npt

from lossfloor._checks import one_of

from ._plugin import Array, Examples, Format, Label, Request, Rows, as_label_array, join, parts_of

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_PIXELS = 3 * 32 * 32
_MAX_BYTES = 2**28
"""The largest archive unpacks to 186 MB; nothing beyond 256 MiB is one of them."""
_MAX_MEMBERS = 1000
_ARCHIVES = (".tar.gz", ".tgz", ".tar")


@dataclass(frozen=True)
class Version:
    """One of the two sets, as it is handed out."""

    name: str
    files: dict[str, tuple[str, ...]]
    label_bytes: tuple[str, ...]
    """What each byte before the pixels of the binary version says."""
    fields: dict[str, str]
    """Where the python version keeps the labels of each kind."""
    n_classes: dict[str, int]
    meta: str = ""
    """The file that names the classes in the python version."""

    def members(self, split: str) -> set[str]:
        """Name the files of a split, of both versions."""
        names = [name for part in parts_of(split) for name in self.files[part]]
        return {*names, *(f"{name}.bin" for name in names)}


CIFAR10 = Version(
    name="CIFAR-10",
    files={"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
    label_bytes=("fine",),
    fields={"fine": "labels"},
    n_classes={"fine": 10},
)
CIFAR100 = Version(
    name="CIFAR-100",
    files={"train": ("train",), "test": ("test",)},
    label_bytes=("coarse", "fine"),
    fields={"fine": "fine_labels", "coarse": "coarse_labels"},
    n_classes={"fine": 100, "coarse": 20},
    meta="meta",
)
_VERSIONS = (CIFAR10, CIFAR100)


def holds(path: Path, split: str, version: Version) -> bool:
    """Tell from names whether a folder or an archive has the files of a split."""
    if path.is_dir():
        return _stored_as(_names_in(path), version, split) is not None
    return path.is_file() and path.name.endswith(_ARCHIVES)


def _accepts(path: Path) -> bool:
    if path.is_dir():
        names = _names_in(path)
        # One file is enough, so that the error can say which are missing; but "train" and "test" without an
        # ending are common names.
        return bool(names & (CIFAR10.members("all") | {"train.bin", "test.bin"})) or (
            CIFAR100.meta in names and bool(names & CIFAR100.members("all"))
        )
    return path.name.endswith(_ARCHIVES) or any(path.name in version.members("all") for version in _VERSIONS)


def open_set(path: Path, request: Request, expected: Version | None = None) -> Examples:
    """Open a folder, an archive or a single batch, of the expected version if one is given."""
    kind = "fine" if request.label is None else one_of("label", str(request.label), ("fine", "coarse"))
    if path.is_dir():
        names = _names_in(path)
        version = expected or _version_of(names)
        wanted = _wanted(names, version, request.split, path)
        contents = {name: _file_bytes(path / name) for name in wanted & names}
    elif path.name.endswith(_ARCHIVES):
        contents = _archive_bytes(path, request.split)
        version = expected or _version_of(set(contents))
        _wanted(set(contents), version, request.split, path)
    else:
        return _read_single(path, request, kind)
    ending = _stored_as(set(contents), version, request.split)
    batches = [name + (ending or "") for part in parts_of(request.split) for name in version.files[part]]
    examples = join([_open_batch(contents.pop(name), f"{path}/{name}", version, kind) for name in batches])
    class_names = _class_names(contents, version, kind, str(path))
    return replace(examples, class_names=class_names, source=f"{version.name}, {request.split}, in {path}")


FORMAT = Format(
    "CIFAR",
    "CIFAR-10 or CIFAR-100, binary or python version, a folder or .tar.gz; label='coarse' for superclasses",
    _accepts,
    open_set,
    takes_label=True,
)


def _read_single(path: Path, request: Request, kind: str) -> Examples:
    version = next(version for version in _VERSIONS if path.name in version.members("all"))
    if request.split == "test" and path.name not in version.members("test"):
        raise ValueError(f"{path} is one file, not of the test split: give the folder of both to use split='test'")
    examples = _open_batch(_file_bytes(path), str(path), version, kind)
    return replace(examples, class_names=_class_names({}, version, kind, str(path)))


# Which files


def _version_of(names: set[str]) -> Version:
    return next((version for version in _VERSIONS if names & version.members("all")), CIFAR10)


def _names_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if entry.is_file()}


def _stored_as(names: set[str], version: Version, split: str) -> str | None:
    """Give the ending of the files, "" or ".bin", where all of a split are there."""
    batches = [name for part in parts_of(split) for name in version.files[part]]
    # "train" and "test" alone are common names: the python version of CIFAR-100 is known by its third file.
    if version.meta in {"", *names} and names.issuperset(batches):
        return ""
    return ".bin" if names.issuperset(f"{name}.bin" for name in batches) else None


def _wanted(names: set[str], version: Version, split: str, path: Path) -> set[str]:
    ending = _stored_as(names, version, split)
    if ending is None:
        needed = ", ".join(name for part in parts_of(split) for name in version.files[part])
        extra = f" and {version.meta}" if version.meta else ""
        raise ValueError(
            f"{path} has not all of {version.name}, split {split!r}: it needs {needed}{extra} (or .bin files)"
        )
    batches = {name + ending for part in parts_of(split) for name in version.files[part]}
    return batches | _meta_files(version)


def _meta_files(version: Version) -> set[str]:
    return {version.meta, "fine_label_names.txt", "coarse_label_names.txt"} if version.meta else set()


def _file_bytes(path: Path) -> bytes:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes: too large for a file of CIFAR")
    return path.read_bytes()


def _archive_bytes(path: Path, split: str) -> dict[str, bytes]:
    """Read the files of a split out of an archive, without unpacking it to disk."""
    wanted: set[str] = set().union(*(version.members(split) | _meta_files(version) for version in _VERSIONS))
    contents: dict[str, bytes] = {}
    try:
        with _decompressed(path) as raw, tarfile.open(fileobj=_Bounded(raw), mode="r|") as archive:
            for count, member in enumerate(archive):
                if count >= _MAX_MEMBERS:
                    raise ValueError(f"more than {_MAX_MEMBERS} files")
                name = member.name.rsplit("/", 1)[-1]
                if name not in wanted:
                    continue
                if not member.isreg() or member.issparse() or name in contents:
                    raise ValueError(f"{member.name!r} is a link, no plain file, or there twice")
                stream = archive.extractfile(member)
                contents[name] = stream.read() if stream else b""
                if len(contents[name]) != member.size:
                    raise ValueError(f"it ends within {member.name!r}")
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as an archive of CIFAR: {error}") from error
    return contents


def _decompressed(path: Path) -> BinaryIO:
    return path.open("rb") if path.name.endswith(".tar") else cast(BinaryIO, gzip.open(path))


class _Bounded(io.RawIOBase):
    """A stream that gives no more than an archive of CIFAR holds, so that a bomb ends early."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._left = _MAX_BYTES

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        piece = self._raw.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(piece)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {_MAX_BYTES} bytes")
        return piece


# What is in them


def _open_batch(content: bytes, where: str, version: Version, kind: str) -> Examples:
    if kind not in version.fields:
        raise ValueError(f"{where} has no coarse labels: 'label' must be left out for {version.name}")
    opened = _binary_batch if where.endswith(".bin") else _python_batch
    pixels, labels = opened(content, where, version, kind)
    y = as_label_array(labels, where)
    if y.min() < 0 or y.max() >= version.n_classes[kind]:
        raise ValueError(f"{where}: its labels must be 0 to {version.n_classes[kind] - 1}, got {y.min()} to {y.max()}")

    def read(rows: Rows) -> Array:
        # The file has the colours one after the other; images elsewhere have them last.
        return np.ascontiguousarray(pixels[rows].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))

    return Examples(y=y, read=read, source=f"{version.name}, {where}")


def _binary_batch(content: bytes, where: str, version: Version, kind: str) -> tuple[Array, Array]:
    record = len(version.label_bytes) + _PIXELS
    if len(content) % record or not content:
        raise ValueError(f"{where} must be records of {record} bytes, got {len(content)} bytes")
    table = np.frombuffer(content, np.uint8).reshape(-1, record)
    return table[:, len(version.label_bytes) :], table[:, version.label_bytes.index(kind)]


def _python_batch(content: bytes, where: str, version: Version, kind: str) -> tuple[Array, Array]:
    batch = _unpickle(content, where)
    data = batch.get("data")
    labels = batch.get(version.fields[kind])
    if not isinstance(data, _Array) or data.values.ndim != 2 or data.values.shape[1] != _PIXELS:
        raise ValueError(f"{where} must hold 'data', an array of bytes of shape (n, {_PIXELS})")
    # Each entry is looked at before numpy is: a list of lists, each in itself, would grow without end.
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 256 for label in labels):
        raise ValueError(f"{where} must hold {version.fields[kind]!r}, a list of integers")
    if len(labels) != len(data.values):
        raise ValueError(f"{where}: there are {len(data.values)} examples but {len(labels)} labels")
    return data.values, np.array(labels, dtype=np.int64)


def _class_names(contents: dict[str, bytes], version: Version, kind: str, where: str) -> dict[Label, str]:
    if version is CIFAR10:
        return dict(enumerate(CIFAR10_CLASSES))
    listed: Iterable[str] = ()
    if version.meta in contents:
        names = _unpickle(contents[version.meta], f"{where}/{version.meta}").get(f"{kind}_label_names")
        if not isinstance(names, list) or not all(isinstance(name, (bytes, str)) for name in names):
            raise ValueError(f"{where}/{version.meta} must hold '{kind}_label_names', a list of words")
        listed = (name.decode("ascii", "replace") if isinstance(name, bytes) else name for name in names)
    elif f"{kind}_label_names.txt" in contents:
        listed = contents[f"{kind}_label_names.txt"].decode("ascii", "replace").split()
    return dict(enumerate(listed))


# Pickles


def _unpickle(content: bytes, where: str) -> dict[str, Any]:
    """Read a pickled dict of numbers, words, lists and arrays of bytes; refuse anything else, unrun."""
    try:
        batch = _Unpickler(content).load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"{where} is refused: {error}") from error
    except Exception as error:  # a stream of steps that make no sense can fail in any way
        raise ValueError(f"{where} is no pickled batch of CIFAR ({type(error).__name__})") from error
    if not isinstance(batch, _Dict):
        raise ValueError(f"{where} is no pickled batch of CIFAR: it holds no dict")
    return {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in batch.items()}


class _Array:
    """Stands in for ``numpy.ndarray``, so that no code of numpy is run on what the file says."""

    values: npt.NDArray[np.uint8]

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array must be made of bytes")
        self.values = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands in for ``numpy.dtype``; only that of bytes is known."""

    def __init__(self, code: object, *_: object) -> None:
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError("an array must be of dtype uint8")

    def __setstate__(self, state: object) -> None:
        """Pass over the byte order, which bytes do not have."""


class _Dict(dict[Any, Any]):
    """A dict with words for keys: to hash a deeply nested tuple would overflow the stack."""

    __slots__ = ()

    def __setitem__(self, key: object, value: object) -> None:
        if not isinstance(key, (bytes, str)):
            raise pickle.UnpicklingError("the keys of a dict must be words")
        super().__setitem__(key, value)


# The steps that protocols 2 to 4 take for the plain values of a batch: no classes are looked up but by
# GLOBAL and STACK_GLOBAL, which go through find_class.
_STEPS = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK),
    *(
        pickle.NONE,
        pickle.NEWTRUE,
        pickle.NEWFALSE,
        pickle.BININT,
        pickle.BININT1,
        pickle.BININT2,
        pickle.LONG1,
    ),
    *(pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
    *(pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET, pickle.MEMOIZE),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD),
)


class _Unpickler(pickle._Unpickler):
    """An unpickler that knows the steps above and four names, none of which is real.

    The one written in Python is used: the one in C takes memory for the sizes that a file names before it has
    seen the bytes.
    """

    dispatch: ClassVar[dict[int, Any]] = {step[0]: pickle._Unpickler.dispatch[step[0]] for step in _STEPS}

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._may_encode = len(content)

    def find_class(self, module: str, name: str) -> Any:
        """Give the stand-in for a name; refuse all names but four."""
        known = {
            "numpy.ndarray": _Array,
            "numpy.dtype": _Dtype,
            "numpy.core.multiarray._reconstruct": _Array,
            "numpy._core.multiarray._reconstruct": _Array,
            "_codecs.encode": self._encode,
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"its pickle asks for {module}.{name}, which is no part of a CIFAR batch")
        return known[f"{module}.{name}"]

    def _encode(self, text: str, encoding: str) -> bytes:
        """Stand in for ``codecs.encode``, by which Python 3 writes bytes in protocol 2."""
        self._may_encode -= len(text)
        if encoding != "latin1":
            raise pickle.UnpicklingError("its pickle encodes otherwise than in latin1")
        if self._may_encode < 0:
            raise pickle.UnpicklingError("its pickle encodes more than it holds")
        return text.encode("latin-1")


def _load_empty_dict(unpickler: Any) -> None:
    unpickler.append(_Dict())


_Unpickler.dispatch[pickle.EMPTY_DICT[0]] = _load_empty_dict
