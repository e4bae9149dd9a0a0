"""``.npz``: the names of the arrays, and archives that lie."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossfloor.datasets import load

X = np.random.default_rng(5).integers(0, 256, (6, 3, 3), dtype=np.uint8)
Y = np.array([1, 0, 1, 0, 2, 2])


def save(path: Path, compressed: bool = False, **arrays: Any) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def save_raw(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "examples",
    [
        X,
        X.astype(">i4"),
        X.reshape(6, 9).astype(np.float32),
        np.asfortranarray(X.reshape(6, 9).astype(np.float64)),
        X > 100,
    ],
)
def test_an_archive_comes_back_as_it_was_written(tmp_path: Path, examples: np.ndarray, compressed: bool) -> None:
    data = load(save(tmp_path / "set.npz", compressed, X=examples, y=Y))
    np.testing.assert_array_equal(data.X, examples)
    assert data.X.dtype == examples.dtype.newbyteorder("=")
    assert data.X.flags.c_contiguous
    assert data.y.tolist() == Y.tolist()
    assert data.name == "set.npz"


@pytest.mark.parametrize(("examples", "unit"), [(X, 255), (X.reshape(6, 9), 1), (X.astype(np.int32), 1), (X / 255, 1)])
def test_the_unit_is_255_for_images_of_bytes_only(tmp_path: Path, examples: np.ndarray, unit: int) -> None:
    assert load(save(tmp_path / "set.npz", X=examples, y=Y)).unit == unit


@pytest.mark.parametrize("x_name", ["x", "X"])
def test_the_splits(tmp_path: Path, x_name: str) -> None:
    arrays = {f"{x_name}_train": X, "y_train": Y, f"{x_name}_test": X[::-1], "y_test": Y[::-1, None]}
    path = save(tmp_path / "set.npz", **arrays)
    np.testing.assert_array_equal(load(path).X, X)
    np.testing.assert_array_equal(load(path, split="test").X, X[::-1])
    assert load(path, split="all").y.tolist() == [*Y, *Y[::-1]]
    assert load(path, split="all", classes=(2,), n_per_class=3).X.tolist() == X[[4, 5, 5]].tolist()


def test_splits_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not divided into splits: 'split' must be 'train' or 'all'"):
        load(save(tmp_path / "a.npz", X=X, y=Y), split="test")
    for split in ("test", "all"):
        with pytest.raises(ValueError, match="has no test split: it needs x_test and y_test, got x_train, y_train"):
            load(save(tmp_path / "b.npz", x_train=X, y_train=Y), split=split)


def test_the_parts_must_have_one_shape(tmp_path: Path) -> None:
    path = save(tmp_path / "set.npz", x_train=X, y_train=Y, x_test=X[:, 1:], y_test=Y)
    with pytest.raises(ValueError, match=r"examples of one shape, got \(3, 3\) and \(2, 3\)"):
        load(path, split="all")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array(["b", "a"] * 3), ["b", "a"] * 3),
        (Y.astype(np.float32), Y.tolist()),
        (Y.astype(np.uint8)[:, None], Y.tolist()),
        (Y == 1, [1, 0, 1, 0, 0, 0]),
    ],
)
def test_labels_of_every_kind(tmp_path: Path, labels: np.ndarray, expected: list[Any]) -> None:
    assert load(save(tmp_path / "set.npz", X=X, y=labels)).y.tolist() == expected


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (Y + 0.5, r"must hold class labels \(whole numbers or words\), got 1.5 in row 0"),
        (Y * np.nan, "must hold class labels"),
        (Y * 1e300, "must hold labels of at most 64 bits, got 2e\\+300"),
        (Y.astype(np.uint64) + np.uint64(2**63), "must hold labels of at most 64 bits"),
        (Y.astype(complex), "must hold numbers, or words for labels; got dtype complex128"),
        (np.eye(6), r"must hold one label per example, got an array of shape \(6, 6\)"),
        (Y[:5], "there are 6 examples but 5 labels"),
        (Y[:0], "holds no examples"),
        (np.array(3), "must hold one label per example"),
        (Y.astype("V8"), "must hold numbers, or words"),
        (np.zeros(6, "V0"), "must hold numbers, or words"),
        (np.zeros(6, [("a", int)]), "must hold numbers, or words"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(save(tmp_path / "set.npz", X=X, y=labels))


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (X.astype(complex), "must hold numbers"),
        (np.full((6, 2), "a"), "must hold integers, floats or booleans, got dtype <U1"),
        (X[:, 0, 0], r"must hold an example in each row, got shape \(6,\)"),
        (X[:, :0], r"must hold an example in each row, got shape \(6, 0, 3\)"),
        (np.float64(3), "there are 0 examples but 6 labels"),
    ],
)
def test_examples_that_are_none(tmp_path: Path, examples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(save(tmp_path / "set.npz", X=examples, y=Y))


def test_arrays_of_other_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold arrays X and y, or x_train.*, got labels, pictures"):
        load(save(tmp_path / "set.npz", pictures=X, labels=Y))


class Evil:
    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Evil, "ran", True))


@pytest.mark.parametrize("which", ["X", "y"])
def test_objects_are_refused_and_not_unpickled(tmp_path: Path, which: str) -> None:
    evil = np.empty(6, object)
    evil[0] = Evil()
    path = save(tmp_path / "set.npz", **{"X": X, "y": Y, which: evil})
    with pytest.raises(ValueError, match="holds Python objects, which are pickled and are not read"):
        load(path)
    assert not Evil.ran


def test_a_pickle_without_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="array 'X', cannot be read"):
        load(save_raw(tmp_path / "set.npz", X=pickle.dumps(Evil()), y=npy(Y)))
    assert not Evil.ran


def with_shape(array: np.ndarray, shape: str) -> bytes:
    """An array whose header says another shape."""
    stream = io.BytesIO()
    header = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {shape}}}"
    padded = header + " " * (117 - len(header)) + "\n"
    stream.write(b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + array.tobytes())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (with_shape(X, "(6, 3000000, 3000000)"), "promises 54000000000128 bytes by its header, but has 182"),
        (with_shape(X, "(6, -3, -3)"), "negative dimension"),
        (with_shape(X, "(6, 3, 2)"), "promises 164 bytes by its header, but has 182"),
        (with_shape(X, "6"), "cannot be read"),
        (with_shape(X, "(" * 90), "cannot be read"),
        (npy(X)[:50], "cannot be read"),
        (npy(X)[:-1], "promises 182 bytes by its header, but has 181"),
        (b"\x93NUMPY\x09\x00" + npy(X)[8:], "cannot be read"),
        (b"", "cannot be read"),
        (
            with_shape(np.zeros(0), "(6, 1000000000000)").replace(b"<f8", b"<U0"),
            "must hold numbers, or words",
        ),
    ],
)
def test_headers_that_lie(tmp_path: Path, content: bytes, message: str) -> None:
    path = save_raw(tmp_path / "set.npz", X=content, y=npy(Y))
    tracemalloc.start()
    with pytest.raises(ValueError, match=message):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**22


def test_an_archive_that_lies_about_its_size(tmp_path: Path) -> None:
    # The header and the zip's directory agree on 3 GiB, which so few compressed bytes cannot hold.
    path = save_raw(tmp_path / "set.npz", X=with_shape(X, "(6, 536870912)"), y=npy(Y))
    true_size, false_size = (128 + X.nbytes).to_bytes(4, "little"), (128 + 6 * 2**29).to_bytes(4, "little")
    content = path.read_bytes()
    assert content.count(true_size) == 2
    path.write_bytes(content.replace(true_size, false_size))
    with pytest.raises(ValueError, match=f"promises {128 + 6 * 2**29} bytes, more than the file can hold"):
        load(path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "no zip", "empty"])
def test_archives_that_are_damaged(tmp_path: Path, damage: str) -> None:
    path = save(tmp_path / "set.npz", X=X, y=Y)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "flipped":
        content[content.index(X.tobytes()) + 5] ^= 0xFF  # found by the checksum alone
    else:
        content = bytearray(b"hello" if damage == "no zip" else b"")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not an .npz file|cannot be read"):
        load(path)


def test_a_set_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "set.npz", X=X, y=Y)
    monkeypatch.setattr("lossfloor.datasets._plugin.MAX_BYTES", 100)
    with pytest.raises(ValueError, match="array 'X', would take 182 bytes of memory; the limit is 100"):
        load(path)
