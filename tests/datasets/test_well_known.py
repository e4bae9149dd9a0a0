"""The sets that are found by name, on made-up files and on the real Fashion-MNIST."""

from __future__ import annotations

import gzip
import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from lossfloor.datasets import available, load, well_known
from lossfloor.exceptions import DatasetNotFoundError


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder: Path, value: int, prefix: str = "train") -> Path:
    """A set of two examples whose pixels all have one value, to tell the places apart."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(idx_bytes(np.full((2, 3, 3), value, np.uint8)))
    )
    (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.array([3, 7], np.uint8))))
    return folder


def write_cifar10(folder: Path, value: int) -> None:
    folder.mkdir(parents=True)
    record = bytes([value]) + bytes([value]) * 3072
    for name in (
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ):
        (folder / f"{name}.bin").write_bytes(record * 2)


def write_cifar100(folder: Path, value: int) -> None:
    folder.mkdir(parents=True)
    batch = {"data": np.full((2, 3072), value, np.uint8), "fine_labels": [4, 5], "coarse_labels": [1, 2]}
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    names = {
        "fine_label_names": [f"f{i}" for i in range(100)],
        "coarse_label_names": [f"c{i}" for i in range(20)],
    }
    (folder / "meta").write_bytes(pickle.dumps(names, 2))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """All the roots where sets are sought, in a temporary folder, in the order in which they are."""
    roots = {
        "env": tmp_path / "env",
        "data": tmp_path / "work/data",
        "cache": tmp_path / "home/lossfloor",
        "system": tmp_path / "share",
    }
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("LOSSFLOOR_DATA", str(roots["env"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(well_known, "_SYSTEM_ROOT", roots["system"])
    return roots


def test_the_order_of_the_places(places: dict[str, Path], tmp_path: Path) -> None:
    order = [root / folder for root in places.values() for folder in ("FashionMNIST/raw", "fashion-mnist")]
    for value, folder in reversed(list(enumerate(order))):
        write_mnist(folder, value)
        data = load("fashion-mnist")
        assert data.X.max() == value
        assert str(folder) in data.source
        assert available()["fashion-mnist"] == (available()["fashion-mnist"].description, True, str(folder))


@pytest.mark.parametrize("below", ["", "MNIST/raw", "mnist"])
def test_an_explicit_folder_is_the_only_place(places: dict[str, Path], tmp_path: Path, below: str) -> None:
    write_mnist(places["env"] / "mnist", 1)
    with pytest.raises(DatasetNotFoundError, match=r"mnist .* is not on this machine") as caught:
        load("mnist", data_dir=places["system"].parent)
    assert str(places["env"]) not in str(caught.value)
    write_mnist(tmp_path / "own" / below, 2)
    assert load("mnist", data_dir=tmp_path / "own").X.max() == 2
    assert load("mnist", data_dir=str(tmp_path / "own")).X.max() == 2
    assert load("mnist").X.max() == 1


def test_an_explicit_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"'data_dir' must be a folder that exists, got '"):
        load("mnist", data_dir=tmp_path / "nowhere")


def test_files_in_a_root_itself_could_be_of_either_set(places: dict[str, Path]) -> None:
    write_mnist(places["env"], 1)
    for name in ("mnist", "fashion-mnist"):
        with pytest.raises(DatasetNotFoundError):
            load(name)


def test_a_place_must_have_the_split(places: dict[str, Path]) -> None:
    write_mnist(places["env"] / "mnist", 1)
    write_mnist(places["cache"] / "mnist", 2)
    write_mnist(places["cache"] / "mnist", 3, "t10k")
    assert load("mnist").X.max() == 1
    assert load("mnist", split="test").X.max() == 3
    assert load("mnist", split="all").X[:, 0, 0].tolist() == [2, 2, 3, 3]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar-10", "cifar-100"])
@pytest.mark.usefixtures("places")
def test_a_set_that_is_not_there(name: str, places: dict[str, Path]) -> None:
    with pytest.raises(DatasetNotFoundError) as caught:
        load(name, split="all")
    message = str(caught.value)
    for root in places.values():
        assert str(root) in message
    assert f"{name} (split 'all') is not on this machine. Sought in:" in message
    assert "LOSSFLOOR_DATA" in message
    assert ("apt-get install dataset-fashion-mnist" in message) == (name == "fashion-mnist")
    assert not available()[name].found
    assert available()[name].path is None


@pytest.mark.usefixtures("places")
def test_the_message_tells_which_files_to_put_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError) as caught:
        load("fashion-mnist")
    assert str(caught.value).endswith(
        "Put train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz into "
        "$LOSSFLOOR_DATA/FashionMNIST/raw, LOSSFLOOR_DATA being a folder of your choice."
    )
    with pytest.raises(DatasetNotFoundError) as caught:
        load("mnist", split="test", data_dir=tmp_path)
    assert str(caught.value).endswith(
        f"Put t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz into {tmp_path}/MNIST/raw."
    )


def test_without_the_environment(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(places["env"] / "mnist", 1)
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("LOSSFLOOR_DATA")
        else:
            monkeypatch.setenv("LOSSFLOOR_DATA", value)
        with pytest.raises(DatasetNotFoundError):
            load("mnist")


def test_cifar_by_name(places: dict[str, Path]) -> None:
    write_cifar10(places["env"] / "cifar-10-batches-bin", 3)
    data = load("cifar-10")
    assert data.X.shape == (10, 32, 32, 3)
    assert data.class_names == {3: "cat"}
    assert data.name == "cifar-10"
    assert load("CIFAR10", split="test").X.shape == (2, 32, 32, 3)

    write_cifar100(places["data"] / "cifar-100-python", 8)
    assert load("cifar-100").class_names == {4: "f4", 5: "f5"}
    assert load("cifar-100", label="coarse").class_names == {1: "c1", 2: "c2"}


def test_one_cifar_is_not_taken_for_the_other(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "ten", 3)
    write_cifar100(tmp_path / "hundred", 8)
    assert len(load("cifar-10", data_dir=tmp_path / "ten").X) == 10
    assert len(load("cifar-100", data_dir=tmp_path / "hundred").X) == 2
    with pytest.raises(DatasetNotFoundError):
        load("cifar-100", data_dir=tmp_path / "ten")
    with pytest.raises(DatasetNotFoundError):
        load("cifar-10", data_dir=tmp_path / "hundred")


# The real one, from Debian's package dataset-fashion-mnist


def test_fashion_mnist() -> None:
    data = load("fashion-mnist", classes=(3, 7), n_per_class=5000)
    assert data.X.shape == (10000, 28, 28)
    assert data.X.dtype == np.uint8
    assert data.X.flags.c_contiguous
    assert data.counts == {3: 5000, 7: 5000}
    assert data.class_names == {3: "Dress", 7: "Sneaker"}
    assert data.unit == 255


@pytest.mark.parametrize(("split", "n"), [("train", 6000), ("test", 1000), ("all", 7000)])
def test_fashion_mnist_has_as_many_of_each_class(split: str, n: int) -> None:
    data = load("fashion-mnist", split=split)
    assert data.counts == dict.fromkeys(range(10), n)
    assert data.X.shape == (10 * n, 28, 28)


@pytest.mark.parametrize(("split", "prefix", "n"), [("train", "train", 5000), ("test", "t10k", 300)])
def test_fashion_mnist_is_what_the_files_say(split: str, prefix: str, n: int) -> None:
    path = Path(available()["fashion-mnist"].path or "")
    with gzip.open(path / f"{prefix}-images-idx3-ubyte.gz") as stream:
        X = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(path / f"{prefix}-labels-idx1-ubyte.gz") as stream:
        y = np.frombuffer(stream.read(), np.uint8, offset=8)
    data = load("fashion-mnist", split=split, classes=("Sneaker", "3"), n_per_class=n)
    rows = np.sort(np.concatenate([np.flatnonzero(y == 3)[:n], np.flatnonzero(y == 7)[:n]]))
    np.testing.assert_array_equal(data.X, X[rows])
    np.testing.assert_array_equal(data.y, y[rows])


def test_fashion_mnist_is_read_fast() -> None:
    start = time.process_time()
    load("fashion-mnist", classes=(3, 7), n_per_class=5000)
    assert time.process_time() - start < 2  # a third of a second where nothing else runs
