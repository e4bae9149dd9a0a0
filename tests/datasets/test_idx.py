"""IDX: round trips of every dtype, and every way in which a file can lie."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from lossfloor.datasets import load

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_split(folder: Path, prefix: str, X: np.ndarray, y: np.ndarray, ending: str = "") -> Path:
    write(folder / f"{prefix}-labels-idx1-ubyte{ending}", idx_bytes(y))
    return write(folder / f"{prefix}-images-idx3-ubyte{ending}", idx_bytes(X))


def images(seed: int, n: int, shape: tuple[int, ...] = (5, 4), dtype: str = "u1") -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 100, (n, *shape)).astype(dtype)


LABELS = np.array([3, 7, 3, 1, 7, 7, 3], dtype=np.uint8)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dtype", list(CODES))
def test_a_file_comes_back_as_it_was_written(tmp_path: Path, dtype: str, ending: str) -> None:
    X = images(0, 7, dtype=dtype)
    data = load(write_split(tmp_path, "train", X, LABELS, ending))
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, LABELS)
    assert data.X.dtype == np.dtype(dtype)
    assert data.X.dtype.isnative
    assert data.X.flags.c_contiguous
    assert data.y.dtype == np.int64
    assert data.unit == (255 if dtype == "u1" else 1)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_rows_are_picked_from_every_piece_of_a_long_file(tmp_path: Path, ending: str) -> None:
    # Three pieces of a mebibyte, the last one short.
    X = images(1, 2700, (32, 32))
    y = np.arange(2700, dtype=np.uint16).astype(np.uint8) % 9
    data = load(write_split(tmp_path, "train", X, y, ending), classes=(2, 8), n_per_class=290)
    rows = np.sort(np.concatenate([np.flatnonzero(y == 2)[:290], np.flatnonzero(y == 8)[:290]]))
    np.testing.assert_array_equal(data.X, X[rows])
    np.testing.assert_array_equal(data.y, y[rows])


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("test_prefix", ["t10k", "test"])
def test_the_splits_of_a_folder(tmp_path: Path, test_prefix: str, ending: str) -> None:
    X, X_test = images(2, 7), images(3, 3)
    write_split(tmp_path, "train", X, LABELS, ending)
    write_split(tmp_path, test_prefix, X_test, LABELS[:3], ending)
    np.testing.assert_array_equal(load(tmp_path).X, X)
    np.testing.assert_array_equal(load(tmp_path, split="test").X, X_test)
    both = load(tmp_path, split="all", classes=(7,))
    np.testing.assert_array_equal(both.X, np.concatenate([X, X_test])[[1, 4, 5, 8]])
    assert both.y.tolist() == [7, 7, 7, 7]


def test_only_the_split_that_is_asked_for_is_opened(tmp_path: Path) -> None:
    X = images(4, 7)
    write_split(tmp_path, "train", X, LABELS)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"broken")
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"broken")
    np.testing.assert_array_equal(load(tmp_path).X, X)
    with pytest.raises(ValueError, match="is not an IDX file"):
        load(tmp_path, split="test")


def test_a_split_that_a_folder_does_not_have(tmp_path: Path) -> None:
    write_split(tmp_path, "train", images(5, 7), LABELS)
    with pytest.raises(ValueError, match=r"has no test split: it needs t10k-images-idx3-ubyte\.gz and t10k-labels"):
        load(tmp_path, split="test")


def test_a_folder_without_the_labels(tmp_path: Path) -> None:
    write(tmp_path / "train-images-idx3-ubyte", idx_bytes(images(5, 7)))
    with pytest.raises(ValueError, match=r"has no train split: it needs .* and train-labels-idx1-ubyte\.gz"):
        load(tmp_path)


def test_a_single_file_says_by_its_name_of_which_split_it_is(tmp_path: Path) -> None:
    train = write_split(tmp_path, "train", images(6, 7), LABELS)
    test = write_split(tmp_path, "t10k", images(7, 7), LABELS)
    assert len(load(test, split="test").X) == len(load(test).X) == len(load(train, split="all").X) == 7
    with pytest.raises(ValueError, match="not of the test split"):
        load(train, split="test")


def test_a_plain_file_goes_before_a_compressed_one(tmp_path: Path) -> None:
    X = images(8, 7)
    write_split(tmp_path, "train", images(9, 7), LABELS, ".gz")
    write_split(tmp_path, "train", X, LABELS)
    np.testing.assert_array_equal(load(tmp_path).X, X)


def test_compression_is_told_from_the_bytes(tmp_path: Path) -> None:
    X = images(10, 7)
    path = write_split(tmp_path, "train", X, LABELS)
    path.write_bytes(gzip.compress(idx_bytes(X)))
    np.testing.assert_array_equal(load(tmp_path).X, X)


@pytest.mark.parametrize(
    ("image_name", "label_name"),
    [
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("train-images.idx3-ubyte", "train-labels-idx1-ubyte.gz"),
        ("emnist-letters-train-images-idx3-ubyte.gz", "emnist-letters-train-labels-idx1-ubyte"),
        ("my-images.idx3", "my-labels.idx1"),
    ],
)
def test_the_labels_are_found_beside_the_images(tmp_path: Path, image_name: str, label_name: str) -> None:
    X = images(11, 7)
    write(tmp_path / label_name, idx_bytes(LABELS))
    np.testing.assert_array_equal(load(write(tmp_path / image_name, idx_bytes(X))).X, X)


def test_labels_that_are_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "train-images-idx3-ubyte", idx_bytes(images(12, 7)))
    with pytest.raises(ValueError, match="its labels are not beside it; expected train-labels-idx1-ubyte"):
        load(path)
    with pytest.raises(ValueError, match="must have 'images' in its name"):
        load(write(tmp_path / "train-labels-idx1-ubyte", idx_bytes(LABELS)))


def header(*numbers: int, code: int = 0x08) -> bytes:
    return struct.pack(f">4B{len(numbers)}I", 0, 0, code, len(numbers), *numbers)


GOOD = idx_bytes(images(13, 7))


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (GOOD[:3], "is not an IDX file"),
        (b"\1" + GOOD[1:], "is not an IDX file"),
        (b"\0\0\x0a" + GOOD[3:], "is not an IDX file"),
        (b"\0\0\x08\0", "has 0 dimensions"),
        (b"\0\0\x08\xff" + bytes(2000), "has 255 dimensions"),
        (GOOD[:10], "ends within its header"),
        (header(0, 28, 28), "holds no examples"),
        (header(7, 0, 28), "holds no examples"),
        (idx_bytes(LABELS), "must hold an example in each row"),
        (idx_bytes(images(13, 6)), "there are 6 examples but 7 labels"),
    ],
)
def test_headers_that_make_no_sense(tmp_path: Path, content: bytes, message: str, ending: str) -> None:
    write_split(tmp_path, "train", images(13, 7), LABELS)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path / f"train-images-idx3-ubyte{ending}", content))


@pytest.mark.parametrize(("change", "there"), [(-1, 155), (1, 157)])
def test_a_plain_file_must_have_the_size_that_its_header_promises(tmp_path: Path, change: int, there: int) -> None:
    path = write_split(tmp_path, "train", images(14, 7), LABELS)
    content = path.read_bytes()
    path.write_bytes(content[:change] if change < 0 else content + bytes(change))
    with pytest.raises(ValueError, match=f"promises 156 bytes, but the file has {there}"):
        load(path)


def test_a_compressed_file_that_holds_too_little_or_too_much(tmp_path: Path) -> None:
    path = write_split(tmp_path, "train", images(15, 7), LABELS, ".gz")
    write(path, GOOD[:-1])
    with pytest.raises(ValueError, match="ends before the 7 rows that its header promises"):
        load(path)
    write(path, GOOD + b"\0")
    with pytest.raises(ValueError, match="goes on after the 7 rows that its header promises"):
        load(path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "checksum"])
def test_a_compressed_file_that_is_damaged(tmp_path: Path, damage: str) -> None:
    path = write_split(tmp_path, "train", images(16, 700), np.zeros(700, np.uint8), ".gz")
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    else:
        content[-8] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be read|ends before|goes on after"):
        load(path, n_per_class=1)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_an_oversize_header_takes_no_memory(tmp_path: Path, ending: str) -> None:
    path = write_split(tmp_path, "train", images(17, 7), LABELS, ending)
    write(path, header(2**31, 2**15, 2**15) + bytes(100))
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"its header promises {2**61 + 16} bytes"):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_a_bomb_takes_no_memory_beyond_its_header(tmp_path: Path) -> None:
    path = write_split(tmp_path, "train", images(18, 7), LABELS, ".gz")
    write(path, GOOD + bytes(2**26))
    tracemalloc.start()
    with pytest.raises(ValueError, match="goes on after the 7 rows"):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21


def test_a_set_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_split(tmp_path, "train", images(19, 7), LABELS)
    monkeypatch.setattr("lossfloor.datasets._plugin.MAX_BYTES", 100)
    with pytest.raises(ValueError, match="would take 156 bytes of memory; the limit is 100"):
        load(path)
