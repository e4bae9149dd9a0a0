"""Tables: ``.csv`` and ``.parquet``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossfloor.datasets import load
from lossfloor.exceptions import MissingDependencyError


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "set.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def parquet(tmp_path: Path, columns: dict[str, Any]) -> Path:
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table(columns), path)
    return path


# CSV


@pytest.mark.parametrize(
    ("text", "X", "y"),
    [
        ("1,2,0\n3,4,1\n", [[1, 2], [3, 4]], [0, 1]),
        ("a,b,c\n1,2,0\n3,4,1\n", [[1, 2], [3, 4]], [0, 1]),
        ("label,b,c\n0,1,2\n1,3,4\n", [[1, 2], [3, 4]], [0, 1]),
        ("a,Target,c\n1,0,2\n3,1,4\n", [[1, 2], [3, 4]], [0, 1]),
        ("0,1,y\n1,2,0\n3,4,1\n", [[1, 2], [3, 4]], [0, 1]),
        ("0,1,y\n1,2,n\n", [[0, 1], [1, 2]], ["y", "n"]),
        ("class,0,1\n0,1,2\n1,3,4\n", [[1, 2], [3, 4]], [0, 1]),
        ("5,-3,cat\n1,2,dog\n", [[5, -3], [1, 2]], ["cat", "dog"]),
        ("5,3,1.0\n1,2,2.0\n", [[5, 3], [1, 2]], [1, 2]),
        ("5,3,07\n1,2,7\n", [[5, 3], [1, 2]], ["07", "7"]),
        ("5,3,-1\n1,2,1\n", [[5, 3], [1, 2]], [-1, 1]),
        ("\ufeffa,label\r\n 1 , 0 \r\n\r\n2,1\r\n", [[1], [2]], [0, 1]),
        ('"1","x, y"\n2,"z ""w"""\n', [[1], [2]], ["x, y", 'z "w"']),
        ("9223372036854775807,-9223372036854775808,0\n", [[2**63 - 1, -(2**63)]], [0]),
    ],
)
def test_whole_numbers(tmp_path: Path, text: str, X: list[list[int]], y: list[Any]) -> None:
    data = load(csv(tmp_path, text))
    assert data.X.dtype == np.int64
    assert data.X.tolist() == X
    assert data.y.tolist() == y
    assert data.unit == 1


@pytest.mark.parametrize(
    ("text", "X"),
    [
        ("1,2.5,0\n3,4,1\n", [[1.0, 2.5], [3.0, 4.0]]),
        ("1,2,0\n3,4e-1,1\n", [[1.0, 2.0], [3.0, 0.4]]),
        ("0.1,2,0\n", [[0.1, 2.0]]),
    ],
)
def test_fractions_anywhere_make_all_of_it_floats(tmp_path: Path, text: str, X: list[list[float]]) -> None:
    data = load(csv(tmp_path, text))
    assert data.X.dtype == np.float64
    assert data.X.tolist() == X


@pytest.mark.parametrize("label", ["kind", "1", 1, -2])
def test_the_column_of_labels_by_name_and_by_position(tmp_path: Path, label: str | int) -> None:
    data = load(csv(tmp_path, "label,kind,c\n1,0,2\n3,1,4\n"), label=label)
    assert data.X.tolist() == [[1, 2], [3, 4]]
    assert data.y.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("knd", r"unknown column in .*set.csv 'knd'; did you mean 'kind'\? Known: a, kind"),
        (2, "'label' must be a column of .*set.csv, which has 2, got 2"),
        (-3, "'label' must be a column of .*set.csv, which has 2, got -3"),
        ("9", "'label' must be a column of .*set.csv, which has 2, got 9"),
    ],
)
def test_a_column_of_labels_that_is_not_there(tmp_path: Path, label: str | int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(csv(tmp_path, "a,kind\n1,0\n"), label=label)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n1,2,0\n3,x,1\n", "row 3, column 'b' must hold a finite number, got 'x'"),
        ("?,2,0\n3,4,1\n", "row 1, column '1' must hold a finite number, got '\\?'"),
        ("1,2,0\n3,,1\n", "row 2, column '2' must hold a finite number, got ''"),
        ("1,2,0\nnan,4,1\n", "row 2, column '1' must hold a finite number, got 'nan'"),
        ("1,2.5,0\n3,1e999,1\n", "row 2, column '2' must hold a finite number, got '1e999'"),
        ("1,2.5,0\n3,1_000,1\n", "row 2, column '2' must hold a finite number, got '1_000'"),
        ("1,2,0\n3,1_000,1\n", "row 2, column '2' must hold a finite number, got '1_000'"),
        ("1,0\n9223372036854775808,1\n", "row 2 holds an integer beyond 64 bits"),
        ("1,2,0\n3,4\n", "row 2 must have 3 cells like row 1, got 2"),
        ("1,2,0\n3,4,1,5\n", "row 2 must have 3 cells like row 1, got 4"),
        ("1,2,0\n3,4,\n", "row 2, column '3': the label is missing"),
        ("1,0.5\n2,0.25\n", r"column '2', must hold class labels \(whole numbers or words\), got '0.5'"),
        ("1,0.5\n2,3\n", "must hold class labels"),
        ("1,nan\n2,3\n", "must hold class labels"),
        (",a,label\n0,5,1\n", r"column 1 has no name; if it numbers the rows, .*index=False"),
        (
            "label,a,target\n0,5,1\n",
            "columns 'label', 'target' could all hold the labels: choose one with 'label'",
        ),
        ("1\n2\n", "must have a column of labels and at least one of features, got 1 column"),
        ("a,b\n", "holds no examples"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        ('1,2\n"3,4\n', "cannot be read as CSV near row"),
        ("1,0\n" + "2" * 200_000 + ",1\n", "cannot be read as CSV near row"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(csv(tmp_path, text))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_bytes(b"\xff\xfe\x00\x01,1\n")
    with pytest.raises(ValueError, match="cannot be read as CSV"):
        load(path)


def test_a_table_as_numpy_writes_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 4)), rng.integers(0, 3, 50)
    np.savetxt(tmp_path / "set.csv", np.column_stack([X, y]), delimiter=",", fmt=["%.17g"] * 4 + ["%d"])
    data = load(tmp_path / "set.csv", classes=(2, 0))
    np.testing.assert_array_equal(data.X, X[y != 1])
    np.testing.assert_array_equal(data.y, y[y != 1])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_as_pandas_writes_it(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame(np.arange(12).reshape(4, 3)).rename(columns=str).assign(label=["a", "b", "b", "a"])
    path = tmp_path / f"set.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.iloc[[0, 1, 2, 3]].set_axis([3, 1, 2, 9]).to_parquet(path)  # an index, which is no feature
    data = load(path, classes=["b"])
    assert data.X.tolist() == [[3, 4, 5], [6, 7, 8]]
    assert data.y.tolist() == ["b", "b"]
    assert data.class_names == {"b": "b"}


def test_a_table_has_no_splits(tmp_path: Path) -> None:
    for path in (csv(tmp_path, "1,0\n"), parquet(tmp_path, {"a": [1], "y": [0]})):
        assert len(load(path, split="all").X) == 1
        with pytest.raises(ValueError, match="is not divided into splits"):
            load(path, split="test")


# Parquet


@pytest.mark.parametrize(
    ("kinds", "dtype"),
    [
        (["uint8", "uint8"], np.uint8),
        (["uint8", "int8"], np.int16),
        (["uint64", "int64"], np.int64),
        (["float32", "float32"], np.float32),
        (["float32", "int64"], np.float64),
        (["bool_", "int32"], np.int32),
        (["bool_", "bool_"], np.bool_),
    ],
)
def test_parquet_keeps_the_dtype_that_holds_all_columns(tmp_path: Path, kinds: list[str], dtype: type) -> None:
    columns = [pa.array([1, 0, 1], type=pa.int8()).cast(getattr(pa, kind)()) for kind in kinds]
    data = load(parquet(tmp_path, {"a": columns[0], "target": [5, 6, 5], "b": columns[1]}))
    assert data.X.dtype == dtype
    assert data.X.tolist() == [[1, 1], [0, 0], [1, 1]]
    assert data.y.tolist() == [5, 6, 5]


def test_parquet_keeps_the_order_over_row_groups(tmp_path: Path) -> None:
    y = np.arange(1000) % 7
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"a": np.arange(1000), "y": y}), path, row_group_size=13)
    data = load(path, classes=(6, 2), n_per_class=50)
    rows = np.sort(np.concatenate([np.flatnonzero(y == 2)[:50], np.flatnonzero(y == 6)[:50]]))
    np.testing.assert_array_equal(data.X[:, 0], rows)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array(["a", "b", "a"], pa.large_string()), ["a", "b", "a"]),
        (pa.array([1.0, 2.0, 1.0]), [1, 2, 1]),
        (pa.array([True, False, True]), [1, 0, 1]),
    ],
)
def test_parquet_labels_of_every_kind(tmp_path: Path, labels: pa.Array, expected: list[Any]) -> None:
    assert load(parquet(tmp_path, {"a": [1, 2, 3], "y": labels})).y.tolist() == expected


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": ["x", "z"], "y": [0, 1]}, "column 'a' must hold numbers, got string"),
        ({"a": [[1], [2]], "y": [0, 1]}, "column 'a' must hold numbers, got list"),
        ({"a": [1, None], "y": [0, 1]}, "column 'a' must hold a number in each row, got 1 nulls"),
        ({"a": [1, 2], "y": [0, None]}, "column 'y', must hold a label in each row, got 1 nulls"),
        ({"a": [1, 2], "y": [0.5, 1]}, "must hold class labels"),
        ({"a": [1, 2], "y": [b"x", b"z"]}, "must hold class labels .*, got binary"),
        ({"a": [1, 2]}, "at least one of features, got 1 column"),
        (
            {"a": pa.array([2**63, 1], pa.uint64()), "b": [-1, 1], "y": [0, 1]},
            "column 'a' holds an integer beyond",
        ),
    ],
)
def test_parquet_tables_that_are_none(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(parquet(tmp_path, columns))


@pytest.mark.parametrize("damage", ["cut", "no parquet"])
def test_parquet_files_that_are_damaged(tmp_path: Path, damage: str) -> None:
    path = parquet(tmp_path, {"a": [1, 2], "y": [0, 1]})
    path.write_bytes(path.read_bytes()[:-20] if damage == "cut" else b"hello")
    with pytest.raises(ValueError, match="cannot be read as parquet"):
        load(path)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path, {"a": [1, 2], "y": [0, 1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lossfloor\[parquet\]'"):
        load(path)


def test_parquet_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A million equal numbers take a few bytes of the file.
    path = parquet(tmp_path, {"a": np.zeros(10**6), "y": np.zeros(10**6)})
    assert path.stat().st_size < 10**5
    monkeypatch.setattr("lossfloor.datasets._plugin.MAX_BYTES", 10**7)
    with pytest.raises(ValueError, match="would take 16000000 bytes of memory; the limit is 10000000"):
        load(path)
