"""What commands print: results on standard output; progress and remarks on standard error."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import typer

from lossfloor._types import Progress
from lossfloor.reporting.numbers import at_least, at_most, bounds, bounds_in_table, number

if TYPE_CHECKING:
    from lossfloor.datasets import Dataset


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    typer.echo(json.dumps(values, indent=2, allow_nan=False))


def remark(text: str, *, quiet: bool) -> None:
    """Print a remark on standard error."""
    if not quiet:
        typer.secho(f"lossfloor: {text}", err=True, fg=typer.colors.YELLOW)


def print_fields(title: str, *groups: Mapping[str, str]) -> None:
    """Print a title and below it names with their values, an empty line between groups."""
    typer.secho(printable(title), bold=True)
    width = max(len(name) for group in groups for name in group)
    for i, group in enumerate(groups):
        if i:
            typer.echo()
        for name, value in group.items():
            typer.echo(f"  {printable(name):<{width}}  {printable(value)}")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; columns of numbers are set to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        right = all(row[i].replace(".", "").isdigit() for row in rows)
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    Console(markup=False, highlight=False, emoji=False).print(table)


def printable(text: str) -> str:
    """Replace terminal control characters: labels and paths come from untrusted files."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def show_unit(unit: Fraction | int) -> str:
    """Print a unit with what it means."""
    return f"{unit} (an eps of 1 is {unit} in the data)"


def unit_json(unit: Fraction | int) -> int | str:
    """Return a unit in a form JSON can represent: a whole number, or a quotient as a string."""
    return int(unit) if unit == int(unit) else str(unit)


def show_data(data: Dataset) -> str:
    """Print which examples were taken, by class."""
    counts = [f"{count} of class {show_class(label, data)}" for label, count in data.counts.items()]
    return f"{data.name}: {', '.join(counts)}"


def show_class(label: Any, data: Dataset) -> str:
    """Print a label with the name of its class, if that says more."""
    name = data.class_names.get(label, str(label))
    return str(label) if name == str(label) else f"{label} ({name})"


def data_json(data: Dataset) -> dict[str, Any]:
    """Return which examples were taken, in a form JSON can represent."""
    return {
        "name": data.name,
        "source": data.source,
        "class_names": [data.class_names.get(label, str(label)) for label in data.counts],
        "shape": list(data.X.shape),
        "dtype": str(data.X.dtype),
    }


__all__ = [
    "at_least",
    "at_most",
    "bounds",
    "bounds_in_table",
    "data_json",
    "number",
    "print_fields",
    "print_json",
    "print_table",
    "printable",
    "progress_bars",
    "remark",
    "show_class",
    "show_data",
    "show_unit",
    "unit_json",
    "working",
]

_STAGES = {
    "conflicts": "finding conflicts",
    "blocks": "solving",
    "bounds": "closing the gap",
    "pairs": "measuring distances",
    "budgets": "solving each eps",
    "attack": "attacking",
}


@contextlib.contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Progress | None]:
    """Show a progress bar for each stage of the work, if standard error is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, progress.TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES.get(stage, stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


@contextlib.contextmanager
def working(text: str, *, quiet: bool) -> Iterator[None]:
    """Show a spinner for work of unknown length, if standard error is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield
