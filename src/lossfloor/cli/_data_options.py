"""The options that several commands share, and what they are turned into."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lossfloor as lf
from lossfloor.cli._errors import UsageError

if TYPE_CHECKING:
    from lossfloor.datasets import Dataset

_DATA = "Data"
_ADVERSARY = "Adversary"
_OUTPUT = "Output"

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Name of a data set, or a file or folder: IDX, .npz, .csv, .parquet, CIFAR, one image folder "
        "per class. `lossfloor info` lists the names.",
        show_default=False,
    ),
]
Classes = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--classes",
        metavar="A B",
        help="The two classes, by label or name. Required if the data have more than two.",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
NPerClass = Annotated[
    int | None,
    typer.Option(
        "--n-per-class",
        metavar="N",
        help="Use the first N examples of each class, in file order; all by default.",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Split = Annotated[
    str,
    typer.Option(
        "--split", metavar="SPLIT", help="Part of the data set to use: train, test or all.", rich_help_panel=_DATA
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of a named data set, if not in a standard place (LOSSFLOOR_DATA, ./data, ...).",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="COLUMN",
        help="For tables: name or position of the label column. For CIFAR-100: fine or coarse.",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Unit = Annotated[
    str | None,
    typer.Option(
        "--unit",
        metavar="U",
        help="How many data units make one unit of eps. By default 255 for byte images, 16 for "
        "digits, otherwise 1. The data are never rescaled.",
        rich_help_panel=_ADVERSARY,
        show_default=False,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print only JSON on standard output.", rich_help_panel=_OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print no progress and no remarks on standard error.", rich_help_panel=_OUTPUT),
]


def output_option(flag: str, metavar: str, what: str) -> Any:
    """Make an option that says what comes out or where to."""
    return typer.Option(flag, metavar=metavar, help=what, rich_help_panel=_OUTPUT, show_default=False)


def adversary_option(flag: str, metavar: str | None, what: str) -> Any:
    """Make an option that describes the adversary."""
    return typer.Option(flag, metavar=metavar, help=what, rich_help_panel=_ADVERSARY, show_default=False)


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """Which examples: the arguments of `lossfloor.load`, as the command line gives them."""

    name_or_path: str
    classes: tuple[str, str] | None = None
    n_per_class: int | None = None
    split: str = "train"
    data_dir: Path | None = None
    label: str | None = None
    unit: str | None = None

    def load(self) -> Dataset:
        """Load the examples of all classes asked for."""
        arguments = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return lf.load(arguments.pop("name_or_path"), **arguments)

    def load_two_classes(self, other: str = "") -> Dataset:
        """Load the examples; raise an error unless there are two classes, naming the `other` choice."""
        return self.of_two_classes(self.load(), other)

    @staticmethod
    def of_two_classes(data: Dataset, other: str = "") -> Dataset:
        """Return the examples; raise an error unless there are two classes."""
        labels = list(data.counts)
        if len(labels) != 2:
            some = ", ".join(map(str, labels[:10])) + (", ..." if len(labels) > 10 else "")
            raise UsageError(f"{data.name} has {len(labels)} classes ({some}): choose two with --classes A B{other}")
        return data


def pairs_of(flag: str, values: Sequence[str]) -> dict[str, str]:
    """Read options of the form NAME=VALUE."""
    pairs: dict[str, str] = {}
    for value in values:
        name, sign, number = value.rpartition("=")
        if not (name and sign and number):
            raise UsageError(f"{flag} must be of the form NAME=VALUE, got {value!r}")
        if name in pairs:
            raise UsageError(f"{flag} gives {name!r} twice")
        pairs[name] = number
    return pairs


def check_outputs(**paths: Path | None) -> None:
    """Check, before any work starts, that output files can be written."""
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        if path is None:
            continue
        flag = "--" + name.replace("_", "-")
        if path.is_dir():
            raise UsageError(f"{flag} must be a file, got the folder {path}")
        if not path.parent.is_dir():
            raise UsageError(f"{flag} must be in a folder that exists, got {path}")
        twin = seen.setdefault(path.absolute(), flag)
        if twin != flag:
            raise UsageError(f"{twin} and {flag} must be different files, got {path} for both")
