"""Tables of results: one DataFrame, one CSV and one HTML table for all of them."""

from __future__ import annotations

import csv
import html
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lossfloor._files import write_whole
from lossfloor.exceptions import MissingDependencyError

if TYPE_CHECKING:
    import pandas as pd

#: Columns by their names, of equal length.
Columns = Mapping[str, Any]


def as_frame(columns: Columns) -> pd.DataFrame:
    """Return columns as a pandas DataFrame.

    Raises
    ------
    MissingDependencyError
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingDependencyError("to_frame needs pandas: pip install 'lossfloor[frames]'") from None
    return pd.DataFrame(dict(columns))


def csv_text(columns: Columns) -> str:
    """Return columns as a CSV text; floats keep every digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*map(_plain, columns.values()), strict=True))
    return text.getvalue()


def write_csv(path: str | os.PathLike[str], columns: Columns) -> None:
    """Write columns to a CSV file (written whole or not at all)."""
    content = csv_text(columns).encode()
    write_whole(path, lambda stream: stream.write(content))


def write_rows(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that have the same names, at least one, as `write_csv` does columns."""
    write_csv(path, {name: [row[name] for row in rows] for name in rows[0]})


def _plain(column: Any) -> list[Any]:
    return list(column.tolist() if isinstance(column, np.ndarray) else column)


def html_fields(caption: str, fields: Mapping[str, str]) -> str:
    """Return names and values as an HTML table with a row for each; all text is escaped."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in fields.items()
    )
    return f"<table><caption>{html.escape(caption)}</caption>{rows}</table>"


def html_table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, row_heads: bool = False) -> str:
    """Return an HTML table; with `row_heads` the first cell of each row names it.  All text is escaped."""
    first = "th" if row_heads else "td"
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = ""
    for cells in rows:
        tags = [first, *["td"] * (len(cells) - 1)]
        row = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for tag, cell in zip(tags, cells, strict=True))
        body += f"<tr>{row}</tr>"
    return f"<table><caption>{html.escape(caption)}</caption><tr>{top}</tr>{body}</table>"
