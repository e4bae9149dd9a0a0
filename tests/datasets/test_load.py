"""What ``load`` does with every format: names, classes, counts, units and their errors."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossfloor.datasets import Dataset, available, load
from lossfloor.exceptions import DatasetNotFoundError

Y = np.array([7, 3, 3, 11, 7, 3, 7, 7, 3])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "set.npz"
    np.savez(path, X=np.arange(18).reshape(9, 2), y=Y)
    return path


@pytest.mark.parametrize(
    "classes", [(3, 7), [7, 3], ("3", "7"), (" 7", 3), np.array([3, 7]), {3, 7}, (np.uint8(3), "7")]
)
@pytest.mark.parametrize("n", [None, 1, 3, 4, np.int64(2)])
def test_the_first_of_each_class_in_the_order_of_the_file(path: Path, classes: Any, n: Any) -> None:
    data = load(path, classes=classes, n_per_class=n)
    # The slow way: go through the file, and take what there is still room for.
    room = {3: n or 9, 7: n or 9}
    rows = []
    for row, label in enumerate(Y.tolist()):
        if room.get(label, 0) > 0:
            rows.append(row)
            room[label] -= 1
    assert data.X[:, 0].tolist() == [2 * row for row in rows]
    assert data.y.tolist() == Y[rows].tolist()
    assert data.class_names == {3: "3", 7: "7"}


def test_all_classes_by_default(path: Path) -> None:
    assert load(path).y.tolist() == Y.tolist()
    assert load(path, n_per_class=1).y.tolist() == [7, 3, 11]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"classes": (3, 8)},
            ValueError,
            r"'classes' must be made of known classes, got 8\. Known: 3, 7, 11\.",
        ),
        (
            {"classes": ("cat",)},
            ValueError,
            r"'classes' must be made of known classes, got 'cat'\. Known: 3, 7, 11\.",
        ),
        ({"classes": (3, "3")}, ValueError, "free of repetitions: class 3 is there twice"),
        ({"classes": ()}, ValueError, "'classes' must be at least one class"),
        ({"classes": "37"}, TypeError, "'classes' must be a sequence of labels"),
        ({"classes": 3}, TypeError, "'classes' must be a sequence of labels"),
        ({"classes": (3.0, 7)}, TypeError, "'classes' must be made of integers and class names, got 3.0"),
        ({"classes": (True, 7)}, TypeError, "'classes' must be made of integers and class names, got True"),
        ({"n_per_class": 0}, ValueError, "'n_per_class' must be a positive integer, got 0"),
        ({"n_per_class": -1}, ValueError, "'n_per_class' must be a positive integer, got -1"),
        ({"n_per_class": 1.0}, TypeError, "'n_per_class' must be a positive integer, got 1.0"),
        ({"n_per_class": True}, TypeError, "'n_per_class' must be a positive integer, got True"),
        ({"n_per_class": 2}, ValueError, "must be at most 1, the examples that there are of class 11, got 2"),
        ({"split": "tset"}, ValueError, "unknown split 'tset'; did you mean 'test'"),
        ({"split": None}, ValueError, "unknown split 'None'"),
        ({"unit": 0}, ValueError, "'unit' must be positive, got 0"),
        ({"unit": "x"}, ValueError, "'unit' must be a number, got 'x'"),
        ({"unit": float("nan")}, ValueError, "'unit' must be finite"),
        (
            {"label": "y"},
            ValueError,
            "'label' must be left out: .* says itself which are the labels, got 'y'",
        ),
        ({"label": 1.5}, TypeError, "'label' must be the name or the position of a column"),
        ({"data_dir": "."}, ValueError, "'data_dir' must be left out where a path is given"),
        ({"data_dir": 3}, TypeError, "'data_dir' must be the path of a folder, got 3"),
    ],
)
def test_arguments_that_are_wrong(path: Path, arguments: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        load(path, **arguments)


def test_arguments_are_checked_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'n_per_class' must be"):
        load(tmp_path / "nowhere.npz", n_per_class=0)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (
            ("Drss", "Sneaker"),
            r"got 'Drss'; did you mean 'Dress'\? Known: 0 \(T-shirt/top\), 1 \(Trouser\), 2",
        ),
        ((10,), r"got 10\. Known: 0 \(T-shirt/top\), .*9 \(Ankle boot\)\."),
        (("Dress", 3), r"free of repetitions: class 3 \(Dress\) is there twice"),
    ],
)
def test_classes_with_names(classes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load("fashion-mnist", split="test", classes=classes)


def test_too_few_of_a_class_with_a_name() -> None:
    with pytest.raises(
        ValueError,
        match=r"must be at most 1000, the examples that there are of class 7 \(Sneaker\), got 1001",
    ):
        load("fashion-mnist", split="test", classes=(7,), n_per_class=1001)


def test_a_class_that_is_known_but_not_there(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(bytes(3073))
    with pytest.raises(ValueError, match=r"there are no examples of class 3 \(cat\) in CIFAR-10"):
        load(tmp_path / "test_batch.bin", classes=("cat",))


def test_many_classes_are_not_all_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", X=np.zeros((100, 1)), y=np.arange(100))
    with pytest.raises(ValueError, match=r"Known: 0, 1, .*, 29, \.\.\. \(100 in all\)\."):
        load(tmp_path / "set.npz", classes=(100,))


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (None, 1),
        (255, 255),
        (16.0, 16),
        (0.1, Fraction(1, 10)),
        ("1/3", Fraction(1, 3)),
        (np.float32(0.1), Fraction(1, 10)),
    ],
)
def test_the_unit_can_be_given(path: Path, unit: Any, expected: Any) -> None:
    data = load(path, unit=unit)
    assert data.unit == expected
    assert isinstance(data.unit, (int, Fraction))


@pytest.mark.parametrize("name", ["fashion-mnist", "Fashion-MNIST", "FashionMNIST", "fashion_mnist", " fashion mnist"])
def test_names_are_read_kindly(name: str) -> None:
    assert load(name, split="test", n_per_class=1).name == "fashion-mnist"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("fashon-mnist", ValueError, "unknown data set 'fashon-mnist'; did you mean 'fashion-mnist'"),
        (
            "digit",
            ValueError,
            r"did you mean 'digits'\? Known: breast-cancer, .*There is no file or folder of that name",
        ),
        ("xyz", ValueError, "unknown data set 'xyz'. Known: breast-cancer"),
        ("nowhere/digits", DatasetNotFoundError, r"^nowhere/digits does not exist$"),
        ("digits.csv", DatasetNotFoundError, r"^digits\.csv does not exist$"),
        ("~/nowhere", DatasetNotFoundError, r"^~/nowhere does not exist$"),
        (Path("digits"), DatasetNotFoundError, r"^digits does not exist$"),
        ("", ValueError, "'name_or_path' must be not empty"),
        (3, TypeError, "'name_or_path' must be the name of a data set or the path of a file, got 3"),
        (None, TypeError, "'name_or_path' must be"),
    ],
)
def test_names_and_paths_that_are_not_there(
    name: Any, error: type, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        load(name)


def test_a_name_goes_before_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert len(load("digits").X) == 1797
    for path in ("./digits", Path("digits")):
        with pytest.raises(ValueError, match="holds no data set"):
            load(path)


def test_a_file_without_an_ending_is_a_path_if_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thing").write_bytes(b"")
    with pytest.raises(ValueError, match=r"thing is not in a supported format: IDX \(.*\); npz \(.*image folder"):
        load("thing")


def test_the_label_column_of_a_named_set_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match="'label' must be left out: digits says itself"):
        load("digits", label="x")


def test_what_is_available() -> None:
    listed = available()
    assert {
        "digits",
        "iris",
        "wine",
        "breast-cancer",
        "fashion-mnist",
        "mnist",
        "cifar-10",
        "cifar-100",
    } == set(listed)
    assert all(entry.description and "\n" not in entry.description for entry in listed.values())
    assert all(entry.found == (entry.path is not None) for entry in listed.values())
    assert listed["iris"].found


# Dataset


def test_the_repr_is_short() -> None:
    data = load("fashion-mnist", split="test", classes=("Dress", 7), n_per_class=10)
    assert repr(data) == ("<Dataset fashion-mnist: X (20, 28, 28) uint8, y {3 (Dress): 10, 7 (Sneaker): 10}, unit 255>")
    many = Dataset(np.zeros((100, 1)), np.arange(100), {}, name="many")
    assert repr(many) == (
        "<Dataset many: X (100, 1) float64, y {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, ... 100 classes}, unit 1>"
    )


def test_a_data_set_is_frozen_and_checked() -> None:
    data = Dataset(np.zeros((2, 1)), np.array(["a", "b"]), {})
    assert data.counts == {"a": 1, "b": 1}
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.unit = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match=r"'y' must be of shape \(2,\), one label per example, got 'shape \(3,\)'"):
        Dataset(np.zeros((2, 1)), np.arange(3), {})
    with pytest.raises(ValueError, match="'unit' must be positive, got -1"):
        Dataset(np.zeros((2, 1)), np.arange(2), {}, unit=-1)
