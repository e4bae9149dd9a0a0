"""The sets that come with scikit-learn, against its own loaders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

from lossfloor.datasets import bundled, load

LOADERS = {
    "digits": sklearn.datasets.load_digits,
    "iris": sklearn.datasets.load_iris,
    "wine": sklearn.datasets.load_wine,
    "breast-cancer": sklearn.datasets.load_breast_cancer,
}


@pytest.fixture(params=["own files", "scikit-learn's loaders"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Both ways to the files: the second one is for a scikit-learn that keeps them elsewhere."""
    if request.param != "own files":
        monkeypatch.setattr(bundled, "_folder", lambda: tmp_path)
    return str(request.param)


@pytest.mark.parametrize("name", list(LOADERS))
@pytest.mark.usefixtures("way")
def test_a_set_is_what_scikit_learn_loads(name: str) -> None:
    data, expected = load(name), LOADERS[name]()
    np.testing.assert_array_equal(data.X, expected.images if name == "digits" else expected.data)
    np.testing.assert_array_equal(data.y, expected.target)
    assert list(data.class_names.values()) == [str(word) for word in expected.target_names]
    assert data.y.dtype == np.int64
    assert data.X.flags.c_contiguous
    assert data.name == name
    assert data.source == f"{name}, as it comes with scikit-learn"


@pytest.mark.usefixtures("way")
def test_digits_are_bytes_and_count_to_16() -> None:
    data = load("digits", classes=(3, 8), n_per_class=100)
    assert data.X.dtype == np.uint8
    assert data.X.shape == (200, 8, 8)
    assert data.X.max() == data.unit == 16
    assert data.counts == {3: 100, 8: 100}


def test_iris_by_the_names_of_its_classes() -> None:
    data = load("iris", classes=["Virginica", "setosa"])
    np.testing.assert_array_equal(data.X, sklearn.datasets.load_iris().data[[*range(50), *range(100, 150)]])
    assert data.class_names == {0: "setosa", 2: "virginica"}
    assert data.unit == 1


@pytest.mark.parametrize("name", list(LOADERS))
def test_there_are_no_splits(name: str) -> None:
    assert len(load(name, split="all").X) == len(load(name).X)
    with pytest.raises(ValueError, match=f"'{name}' is not divided into splits"):
        load(name, split="test")


def test_no_slow_package_is_imported_to_load_digits() -> None:
    # scikit-learn alone takes longer to import than the whole of a run on digits should take.
    code = (
        "import sys, lossfloor.datasets as d; d.load('digits'); "
        "print(*{'sklearn', 'scipy', 'pandas', 'PIL', 'pyarrow', 'matplotlib'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
