"""Tables: ``.csv`` and ``.parquet``, an example a row, with a column of labels."""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from lossfloor._checks import must, unknown
from lossfloor.exceptions import MissingDependencyError

from ._plugin import (
    Array,
    Examples,
    Format,
    Request,
    Rows,
    as_label_array,
    labels_from_words,
    must_fit,
    must_not_ask_for_test,
)

_LABEL_NAMES = ("label", "target", "class", "y")
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def _column_of_labels(names: Sequence[str] | None, n_columns: int, label: str | int | None, path: Path) -> int:
    """Find the column of labels: the one asked for, the one that is named so, or the last."""
    if n_columns < 2:
        raise ValueError(f"{path} must have a column of labels and at least one of features, got {n_columns} column")
    if isinstance(label, str):
        if names is not None and label in names:
            return list(names).index(label)
        if not re.fullmatch(r"-?\d+", label):
            raise ValueError(unknown(f"column in {path}", label, names or ()))
        label = int(label)
    if label is not None:
        if not -n_columns <= label < n_columns:
            raise ValueError(must("label", f"a column of {path}, which has {n_columns}", label))
        return label % n_columns
    named = [i for i, name in enumerate(names or ()) if name.casefold() in _LABEL_NAMES]
    if len(named) > 1:
        found = ", ".join(repr((names or ())[i]) for i in named)
        raise ValueError(f"{path}: columns {found} could all hold the labels: choose one with 'label'")
    return named[0] if named else n_columns - 1


# CSV


def _read_csv(path: Path, request: Request) -> Examples:
    must_not_ask_for_test(request, str(path))
    rows = _csv_rows(path)
    top = list(islice(rows, 2))
    if not top:
        raise ValueError(f"{path} is empty")
    first, second = ([cell.strip() for cell in cells] for _, cells in (top[0], top[-1]))
    names = first if _is_header(first, second, request.label) else None
    if names is not None and "" in names:
        raise ValueError(
            f"{path}: column {names.index('') + 1} has no name; if it numbers the rows, leave it out "
            "(in pandas: to_csv(..., index=False)), for else it would count as a feature"
        )
    at = _column_of_labels(names, len(first), request.label, path)
    table = _CsvTable(path, names or [str(i + 1) for i in range(len(first))], at)
    for number, cells in chain(top if names is None else top[1:], rows):
        table.add(number, cells)
    X, y = table.arrays()
    return Examples(y=y, read=lambda chosen: X[chosen], source=str(path))


CSV = Format(
    "csv",
    "table, an example a row; the labels in the column named label, target, class or y, else in the last",
    lambda path: path.is_file() and path.suffix.lower() == ".csv",
    _read_csv,
    takes_label=True,
)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} cannot be read as CSV near row {reader.line_num}: {error}") from error


def _is_header(first: list[str], second: list[str], label: str | int | None) -> bool:
    """Tell a row of names from a row of data, by the first two rows.

    Names are no numbers.  Where some are (pandas numbers the columns of an array), the name of the labels'
    column gives them away; "y" may also be a label itself, and is a name if there is a number below it.
    """
    words = [(word, below) for word, below in zip(first, second, strict=False) if _number(word) is None]
    if len(words) == len(first):
        return True
    return any(
        word == label
        or word.casefold() in ("label", "target", "class")
        or (word.casefold() == "y" and _number(below) is not None)
        for word, below in words
    )


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


class _CsvTable:
    """The rows read so far, kept as 64-bit integers until the first cell that is none."""

    def __init__(self, path: Path, names: list[str], at: int) -> None:
        self._path = path
        self._names = names
        self._at = at
        self._words: list[str] = []
        self._values: array[Any] = array("q")

    def add(self, number: int, cells: list[str]) -> None:
        """Take in the row that ends in line `number`."""
        if len(cells) != len(self._names):
            raise ValueError(
                f"{self._path}, row {number} must have {len(self._names)} cells like row 1, got {len(cells)}"
            )
        word = cells.pop(self._at).strip()
        if not word:
            raise ValueError(f"{self._path}, row {number}, column {self._names[self._at]!r}: the label is missing")
        self._words.append(word)
        if self._values.typecode == "q":
            try:
                self._values.extend(array("q", map(int, _no_underscore(cells))))
                return
            except OverflowError:
                raise ValueError(f"{self._path}, row {number} holds an integer beyond 64 bits") from None
            except ValueError:
                self._values = array("d", self._values)
        try:
            self._values.extend(_finite(array("d", map(float, _no_underscore(cells)))))
        except ValueError:
            names = self._names[: self._at] + self._names[self._at + 1 :]
            name, cell = next(pair for pair in zip(names, cells, strict=True) if _number(pair[1]) is None)
            where = f"{self._path}, row {number}, column {name!r}"
            raise ValueError(f"{where} must hold a finite number, got {cell!r}") from None

    def arrays(self) -> tuple[Array, Array]:
        """Give the features, int64 or float64 of shape (n, d), and the labels."""
        if not self._words:
            raise ValueError(f"{self._path} holds no examples")
        y = labels_from_words(self._words, f"{self._path}, column {self._names[self._at]!r},")
        dtype = np.int64 if self._values.typecode == "q" else np.float64
        return np.frombuffer(self._values, dtype).reshape(len(y), -1), y


def _finite(values: array[float]) -> array[float]:
    if not all(map(math.isfinite, values)):
        raise ValueError
    return values


def _no_underscore(cells: list[str]) -> list[str]:
    # Python reads 1_000 as a thousand; no writer of CSV does.
    if "_" in "".join(cells):
        raise ValueError
    return cells


# Parquet


def _read_parquet(path: Path, request: Request) -> Examples:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingDependencyError("reading .parquet needs pyarrow: pip install 'lossfloor[parquet]'") from None
    must_not_ask_for_test(request, str(path))
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read as parquet: {error}") from error
    with file:
        names = [name for name in file.schema_arrow.names if not _PANDAS_INDEX.fullmatch(name)]
        if len(set(names)) < len(names):
            raise ValueError(f"{path} has two columns of one name")
        at = _column_of_labels(names, len(names), request.label, path)
        features = names[:at] + names[at + 1 :]
        for name in features:
            kind = file.schema_arrow.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
                raise ValueError(f"{path}, column {name!r} must hold numbers, got {kind}")
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        must_fit(file.metadata.num_rows * len(names) * 8, str(path))
        must_fit(sum(group.total_byte_size for group in groups), str(path))
        y = _parquet_labels(file, names[at], path)

    def read(rows: Rows) -> Array:
        try:
            table = pq.read_table(path, columns=features).take(pa.array(rows))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path} cannot be read as parquet: {error}") from error
        dtype = _common_dtype([table.schema.field(name).type.to_pandas_dtype() for name in features])
        X = np.empty((len(rows), len(features)), dtype)
        for i, name in enumerate(features):
            column = table.column(name)
            if column.null_count:
                raise ValueError(
                    f"{path}, column {name!r} must hold a number in each row, got {column.null_count} nulls"
                )
            values = column.to_numpy()
            if dtype == np.int64 and values.dtype == np.uint64 and (values > np.iinfo(np.int64).max).any():
                raise ValueError(f"{path}, column {name!r} holds an integer beyond 64 bits with a sign")
            X[:, i] = values
        return X

    return Examples(y=y, read=read, source=str(path))


PARQUET = Format(
    "parquet",
    "table as for csv; needs pyarrow: pip install 'lossfloor[parquet]'",
    lambda path: path.is_file() and path.suffix.lower() in (".parquet", ".pq"),
    _read_parquet,
    takes_label=True,
)


def _parquet_labels(file: Any, name: str, path: Path) -> Array:
    import pyarrow as pa

    try:
        column = file.read(columns=[name]).column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read as parquet: {error}") from error
    what = f"{path}, column {name!r},"
    if column.null_count:
        raise ValueError(f"{what} must hold a label in each row, got {column.null_count} nulls")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return as_label_array(np.array(column.to_pylist(), dtype=np.str_), what)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise ValueError(f"{what} must hold class labels (whole numbers or words), got {column.type}")
    return as_label_array(column.to_numpy(), what)


def _common_dtype(kinds: list[Any]) -> np.dtype[Any]:
    dtypes = [np.dtype(kind) for kind in kinds]
    if any(dtype == np.float16 for dtype in dtypes):
        dtypes.append(np.dtype(np.float32))
    common = np.result_type(*dtypes)
    # NumPy would turn uint64 beside int64 into floats, and lose digits.
    if common.kind == "f" and all(dtype.kind in "iub" for dtype in dtypes):
        return np.dtype(np.int64)
    return common
