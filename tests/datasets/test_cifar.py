"""CIFAR: both sets, both versions, folders and archives, and pickles that must not run."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossfloor.datasets import load

N = 12


def batch(seed: int, n: int = N) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels as the files have them, labels of 10 or 100 classes, and coarse labels."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3072), dtype=np.uint8), rng.integers(0, 10, n), rng.integers(0, 10, n)


def as_images(pixels: np.ndarray) -> np.ndarray:
    """Colour planes to colours last, one pixel at a time."""
    out = np.empty((len(pixels), 32, 32, 3), np.uint8)
    for colour in range(3):
        for row in range(32):
            start = 1024 * colour + 32 * row
            out[:, row, :, colour] = pixels[:, start : start + 32]
    return out


def binary10(seed: int) -> bytes:
    pixels, labels, _ = batch(seed)
    return np.column_stack([labels.astype(np.uint8), pixels]).tobytes()


def binary100(seed: int) -> bytes:
    pixels, labels, coarse = batch(seed)
    return np.column_stack([coarse.astype(np.uint8), labels.astype(np.uint8), pixels]).tobytes()


def python10(seed: int, protocol: int = 2) -> bytes:
    pixels, labels, _ = batch(seed)
    names = [f"picture_{i}.png" for i in range(N)]
    content = {"batch_label": "a batch", "labels": labels.tolist(), "data": pixels, "filenames": names}
    return pickle.dumps(content, protocol)


def python100(seed: int, protocol: int = 2) -> bytes:
    pixels, labels, coarse = batch(seed)
    content = {b"data": pixels, b"fine_labels": labels.tolist(), b"coarse_labels": coarse.tolist()}
    return pickle.dumps(content, protocol)


META100 = pickle.dumps(
    {
        "fine_label_names": [f"fine{i}" for i in range(100)],
        "coarse_label_names": [f"coarse{i}" for i in range(20)],
    },
    2,
)
TRAIN_SEEDS, TEST_SEED = (1, 2, 3, 4, 5), 6


def files10(version: str) -> dict[str, bytes]:
    make, ending = (binary10, ".bin") if version == "binary" else (python10, "")
    files = {f"data_batch_{i}{ending}": make(i) for i in TRAIN_SEEDS}
    return {**files, f"test_batch{ending}": make(TEST_SEED), "readme.html": b"<html>"}


def files100(version: str) -> dict[str, bytes]:
    if version == "binary":
        names = {
            f"{kind}_label_names.txt": "\n".join(f"{kind}{i}" for i in range(n)).encode()
            for kind, n in (("fine", 100), ("coarse", 20))
        }
        return {"train.bin": binary100(1), "test.bin": binary100(TEST_SEED), **names}
    return {"train": python100(1), "test": python100(TEST_SEED), "meta": META100}


def store(tmp_path: Path, files: dict[str, bytes], how: str) -> Path:
    if how == "folder":
        folder = tmp_path / "cifar"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return folder
    path = tmp_path / f"cifar{how}"
    with tarfile.open(path, "w" if how == ".tar" else "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


HOW = pytest.mark.parametrize("how", ["folder", ".tar.gz", ".tgz", ".tar"])
VERSION = pytest.mark.parametrize("version", ["binary", "python"])


@HOW
@VERSION
def test_cifar10(tmp_path: Path, version: str, how: str) -> None:
    path = store(tmp_path, files10(version), how)
    train, test = [batch(seed) for seed in TRAIN_SEEDS], batch(TEST_SEED)
    X, y = as_images(np.concatenate([b[0] for b in train])), np.concatenate([b[1] for b in train])

    data = load(path)
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, y)
    assert data.X.dtype == np.uint8
    assert data.X.flags.c_contiguous
    assert data.unit == 255
    assert data.class_names[0] == "airplane"

    data = load(path, split="test")
    np.testing.assert_array_equal(data.X, as_images(test[0]))
    np.testing.assert_array_equal(data.y, test[1])

    data = load(path, split="all", classes=("Cat", 5))
    y = np.concatenate([y, test[1]])
    rows = np.flatnonzero((y == 3) | (y == 5))
    np.testing.assert_array_equal(data.X, np.concatenate([X, as_images(test[0])])[rows])
    assert data.class_names == {3: "cat", 5: "dog"}


@HOW
@VERSION
def test_cifar100(tmp_path: Path, version: str, how: str) -> None:
    path = store(tmp_path, files100(version), how)
    pixels, fine, coarse = batch(1)
    data = load(path)
    np.testing.assert_array_equal(data.X, as_images(pixels))
    np.testing.assert_array_equal(data.y, fine)
    assert data.class_names == {label: f"fine{label}" for label in np.unique(fine).tolist()}
    data = load(path, label="coarse")
    np.testing.assert_array_equal(data.y, coarse)
    assert data.class_names == {label: f"coarse{label}" for label in np.unique(coarse).tolist()}
    assert load(path, split="all", label="coarse").y.tolist() == [*coarse, *batch(TEST_SEED)[2]]


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_protocol_and_order(tmp_path: Path, protocol: int, order: Any) -> None:
    pixels, labels, _ = batch(1)
    content = {"labels": labels.tolist(), "data": np.asarray(pixels, order=order)}
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps(content, protocol))
    np.testing.assert_array_equal(load(path, split="test").X, as_images(pixels))


def test_a_batch_as_python_2_wrote_it(tmp_path: Path) -> None:
    # Byte strings by SHORT_BINSTRING and BINSTRING, and NumPy's old name: so the published files are made.
    pixels, labels, _ = batch(1)

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t"
        + text(b"b")
        + b"tR(K\x01(M"
        + N.to_bytes(2, "little")
        + b"M\x00\x0ct"
        + b"cnumpy\ndtype\n("
        + text(b"u1")
        + b"K\x00K\x01tR(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + b"T"
        + (N * 3072).to_bytes(4, "little")
        + pixels.tobytes()
        + b"tb"
    )
    content = (
        b"\x80\x02}q\x01("
        + text(b"data")
        + array
        + text(b"labels")
        + b"]("
        + b"".join(b"K" + bytes([label]) for label in labels)
        + b"eu."
    )
    assert pickle.loads(content, encoding="bytes")[b"data"].shape == (N, 3072)  # noqa: S301
    path = tmp_path / "data_batch_1"
    path.write_bytes(content)
    data = load(path)
    np.testing.assert_array_equal(data.X, as_images(pixels))
    np.testing.assert_array_equal(data.y, labels)


def test_single_files(tmp_path: Path) -> None:
    folder = store(tmp_path, files10("binary"), "folder")
    np.testing.assert_array_equal(load(folder / "data_batch_3.bin").X, as_images(batch(3)[0]))
    assert len(load(folder / "test_batch.bin", split="test").X) == N
    with pytest.raises(ValueError, match="is one file, not of the test split"):
        load(folder / "data_batch_3.bin", split="test")


@HOW
def test_batches_that_are_missing(tmp_path: Path, how: str) -> None:
    files = files10("python")
    del files["data_batch_3"]
    path = store(tmp_path, files, how)
    with pytest.raises(ValueError, match="has not all of CIFAR-10, split 'train': it needs data_batch_1, data_batch_2"):
        load(path)
    assert len(load(path, split="test").X) == N


@pytest.mark.parametrize(("label", "message"), [("coarse", "has no coarse labels"), ("super", "unknown label 'super'")])
def test_labels_of_another_kind(tmp_path: Path, label: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(store(tmp_path, files10("binary"), "folder"), label=label)


# Pickles


class Evil:
    ran = False

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.args


def global_step(module: str, name: str) -> bytes:
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


MARK = "MARK"
EVIL_PICKLES = {
    "reduce": lambda mark: pickle.dumps(Evil(os.mkdir, mark), 2),
    "in a batch": lambda mark: pickle.dumps({"labels": [0], "data": Evil(os.mkdir, mark)}, 4),
    "eval": lambda mark: pickle.dumps(Evil(eval, f"__import__('os').mkdir({mark!r})"), 2),
    "protocol 0": lambda mark: b"cos\nmkdir\n(S" + repr(mark).encode() + b"\ntR.",
    "inst": lambda mark: b"(S" + repr(mark).encode() + b"\nios\nmkdir\n.",
    "obj": lambda mark: b"(cos\nmkdir\nS" + repr(mark).encode() + b"\no.",
    "dotted": lambda mark: b"\x80\x04\x8c\x05numpy\x8c\x15ndarray.__class__.mro\x93.",
    "module of numpy": lambda mark: b"\x80\x02cnumpy.testing._private.utils\nrunstring\n(X\x01\0\0\0a}tR.",
    "other codec": lambda mark: b"\x80\x02c_codecs\ndecode\n(U\x01aU\x03hextR.",
    "extension": lambda mark: b"\x80\x02\x82\x01.",
    "persistent": lambda mark: b"\x80\x02U\x01aQ.",
}


@pytest.mark.parametrize("how", ["single", "folder", ".tar.gz"])
@pytest.mark.parametrize("name", list(EVIL_PICKLES))
def test_a_malicious_pickle_is_refused_without_running(tmp_path: Path, name: str, how: str) -> None:
    mark = tmp_path / "mark"
    files = {**files10("python"), "test_batch": EVIL_PICKLES[name](str(mark))}
    path = store(tmp_path, files, "folder" if how == "single" else how)
    with pytest.raises(ValueError, match=r"is refused|is no pickled batch of CIFAR"):
        load(path / "test_batch" if how == "single" else path, split="test")
    assert not mark.exists()


def test_the_pickles_above_do_run_elsewhere(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pickle.loads(EVIL_PICKLES["in a batch"](str(mark)))  # noqa: S301
    assert mark.is_dir()


def test_a_registered_extension_is_no_way_around(tmp_path: Path) -> None:
    # An extension that was used once is handed out without asking for its name again.
    mark, code = tmp_path / "mark", 200
    copyreg.add_extension("os", "mkdir", code)
    try:
        assert pickle.loads(b"\x80\x02\x82" + bytes([code]) + b".") is os.mkdir  # noqa: S301
        path = tmp_path / "test_batch"
        text = str(mark).encode()
        path.write_bytes(b"\x80\x02\x82" + bytes([code]) + b"X" + len(text).to_bytes(4, "little") + text + b"\x85R.")
        with pytest.raises(ValueError, match="is no pickled batch of CIFAR"):
            load(path)
        assert not mark.exists()
    finally:
        copyreg.remove_extension("os", "mkdir", code)


def test_only_latin_1_is_encoded(tmp_path: Path) -> None:
    path = tmp_path / "test_batch"
    path.write_bytes(b"\x80\x02" + global_step("_codecs", "encode") + b"X\x01\0\0\0aX\x06\0\0\0rot_13\x86R.")
    with pytest.raises(ValueError, match="is refused: its pickle encodes otherwise than in latin1"):
        load(path)


def test_an_error_names_what_the_pickle_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps(Evil(os.mkdir, "x"), 2))
    with pytest.raises(ValueError, match=r"its pickle asks for \w+\.mkdir, which is no part of a CIFAR batch"):
        load(path)


RECONSTRUCT = global_step("numpy.core.multiarray", "_reconstruct")
NDARRAY = global_step("numpy", "ndarray")
DTYPE = global_step("numpy", "dtype")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x80\x02.",
        b"\x80\x02].",
        b"\x80\x02}.",
        python10(1)[:500],
        python10(1)[:-1],
        b"\x80\x02" + RECONSTRUCT + NDARRAY + b"J\xff\xff\xff\x7f\x85U\x01b\x87R.",  # an array of 2 GiB
        b"\x80\x02T\xff\xff\xff\x7f.",  # a string of 2 GiB
        b"\x80\x04\x8e" + (2**50).to_bytes(8, "little") + b".",  # bytes of a PiB
        b"\x80\x04\x95" + (2**50).to_bytes(8, "little") + b".",  # a frame of a PiB
        b"\x80\x02Nr\xff\xff\xff\xff.",  # the memo at 2^32
        b"\x80\x02" + DTYPE + b"U\x01OK\x00K\x01\x87R.",  # a dtype of objects
        b"\x80\x02" + NDARRAY + b"}b.",  # the state of the class itself
        b"\x80\x02" + global_step("_codecs", "encode") + b"}U\x08__code__Nsb.",
        b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"Ns.",  # a key whose hash would overflow the stack
        b"\x80\x02](" + b"]" * 200_000 + b".",
        pickle.dumps({"data": np.zeros((2, 3072)), "labels": [0, 1]}, 2),
        pickle.dumps({"data": np.zeros((2, 3071), np.uint8), "labels": [0, 1]}, 2),
        pickle.dumps({"data": np.zeros((2, 3072), np.int8), "labels": [0, 1]}, 2),
        pickle.dumps({"data": np.zeros(3072, np.uint8), "labels": [0]}, 2),
        pickle.dumps({"data": np.array([None]), "labels": [0]}, 2),
        pickle.dumps({"data": b"0" * 3072, "labels": [0]}, 2),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8)}, 2),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, 2),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, "1"]}, 2),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, -1]}, 2),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10]}, 2),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": (0, 1)}, 2),
        python100(1),
    ],
)
def test_python_batches_that_make_no_sense(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "test_batch"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match="test_batch"):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**26


def test_labels_that_would_grow_without_end(tmp_path: Path) -> None:
    labels: list[Any] = [0, 0]
    for _ in range(40):
        labels = [labels, labels]
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": labels}, 2))
    with pytest.raises(ValueError, match="must hold 'labels', a list of integers"):
        load(path)


def test_a_pickle_that_encodes_one_text_again_and_again(tmp_path: Path) -> None:
    text = "a" * 10**6
    encode = b"h\x00h\x01X\x06\0\0\0latin1\x86R"
    content = b"\x80\x02" + global_step("_codecs", "encode") + b"q\x00X" + len(text).to_bytes(4, "little")
    content += text.encode() + b"q\x01]" + (encode + b"a") * 1000 + b"."
    path = tmp_path / "test_batch"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match="is refused: its pickle encodes more than it holds"):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24


# Binary files and archives


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be records of 3073 bytes, got 0 bytes"),
        (binary10(1)[:-1], f"must be records of 3073 bytes, got {3073 * N - 1} bytes"),
        (b"\x0a" + bytes(3072), "its labels must be 0 to 9, got 10 to 10"),
        (binary100(1), f"must be records of 3073 bytes, got {3074 * N} bytes"),
    ],
)
def test_binary_batches_that_make_no_sense(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "test_batch.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "no archive", "empty"])
def test_archives_that_are_damaged(tmp_path: Path, damage: str) -> None:
    path = store(tmp_path, files10("binary"), ".tar.gz")
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "flipped":
        content[len(content) // 3] ^= 0xFF
    else:
        content = bytearray(b"hello" if damage == "no archive" else b"")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be read as an archive of CIFAR|has not all of CIFAR"):
        load(path)


def tar_of(tmp_path: Path, *members: tarfile.TarInfo, content: bytes = b"") -> Path:
    path = tmp_path / "cifar.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(content) if member.size else None)
    return path


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(binary10(1))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        link = tarfile.TarInfo("test_batch.bin")
        link.type, link.linkname = kind, str(secret)
        with pytest.raises(ValueError, match=r"'test_batch.bin' is a link, no plain file, or there twice"):
            load(tar_of(tmp_path, link), split="test")


def test_an_archive_writes_nothing_to_disk(tmp_path: Path) -> None:
    member = tarfile.TarInfo("../../test_batch.bin")
    member.size = len(binary10(1))
    path = tar_of(tmp_path, member, content=binary10(1))
    before = sorted(tmp_path.parent.rglob("*"))
    assert len(load(path, split="test").X) == N
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_a_file_that_is_twice_in_an_archive(tmp_path: Path) -> None:
    member = tarfile.TarInfo("test_batch.bin")
    member.size = len(binary10(1))
    with pytest.raises(ValueError, match="there twice"):
        load(tar_of(tmp_path, member, member, content=binary10(1)), split="test")


@pytest.mark.parametrize("name", ["test_batch.bin", "filler"])
def test_an_archive_that_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("lossfloor.datasets.cifar._MAX_BYTES", 2**20)
    member = tarfile.TarInfo(name)
    member.size = 2**25
    path = tar_of(tmp_path, member, content=bytes(2**25))
    assert path.stat().st_size < 2**16
    tracemalloc.start()
    with pytest.raises(ValueError, match="it unpacks to more than 1048576 bytes"):
        load(path, split="test")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


def test_an_archive_of_very_many_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than 1000 files"):
        load(tar_of(tmp_path, *(tarfile.TarInfo(f"f{i}") for i in range(1001))))


def test_a_file_too_large_for_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossfloor.datasets.cifar._MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="too large for a file of CIFAR"):
        load(store(tmp_path, files10("binary"), "folder"))
