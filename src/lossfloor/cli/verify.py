"""``lossfloor verify``: check the proof of a saved result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lossfloor as lf
from lossfloor.cli import _options as opt
from lossfloor.cli import _output as out
from lossfloor.cli._errors import UsageError
from lossfloor.exceptions import CertificateError

if TYPE_CHECKING:
    from lossfloor.certificates import Verification
    from lossfloor.datasets import Dataset

EPILOG = """[bold]Example[/bold]

lossfloor floor digits --classes 3 8 --l2 1 --save result.npz

lossfloor verify result.npz --data digits --classes 3 8"""


def command(
    result: Annotated[
        Path,
        typer.Argument(metavar="RESULT", help="A file that `lossfloor floor --save` wrote.", show_default=False),
    ],
    data: Annotated[
        str,
        typer.Option("--data", metavar="DATA", help="The data set, as for floor.", rich_help_panel="Data"),
    ],
    classes: opt.Classes = None,
    n_per_class: opt.NPerClass = None,
    split: opt.Split = "train",
    data_dir: opt.DataDir = None,
    label: opt.Label = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Check the proof of a saved result against the data, independently of how it was found.

    The adversary and the unit are those of the file. Everything is decided again in exact arithmetic, without
    the solver and its kernels. Exit status 1 if the result is not proved.
    """
    if not result.is_file():
        raise UsageError(f"{result} does not exist")
    examples = opt.DataOptions(data, classes, n_per_class, split, data_dir, label).load_two_classes()
    try:
        adversary, verification = _check(result, examples, quiet)
    except CertificateError as error:
        if json:
            out.print_json({"status": "rejected", "reason": str(error), "data": out.data_json(examples)})
        raise
    if json:
        out.print_json(_as_json(verification, adversary, examples))
    else:
        _print(result, verification, adversary, examples)


def _check(path: Path, data: Dataset, quiet: bool) -> tuple[dict[str, Any], Verification]:
    try:
        loaded = lf.Floor.load(path)
        with out.working("checking the proof", quiet=quiet):
            return loaded.summary()["adversary"], loaded.verify(data.X, data.y)
    except (ValueError, TypeError) as error:
        # The data has been read, so it is the file that is wrong.
        raise CertificateError(f"{path} is rejected: {error}") from error
    except CertificateError as error:
        raise CertificateError(f"{path} is rejected: {error}") from error


def _as_json(verification: Verification, adversary: dict[str, Any], data: Dataset) -> dict[str, Any]:
    return {
        "status": "proved",
        "cross_entropy": verification.cross_entropy,
        "zero_one": float(verification.zero_one),
        "brier": float(verification.brier),
        "adversary": adversary,
        "n_examples": verification.n_examples,
        "n_blocks": verification.n_blocks,
        "n_flow_conflicts": verification.n_flow_conflicts,
        "n_pairs_excluded": verification.n_pairs_excluded,
        "data": out.data_json(data),
    }


def _print(path: Path, verification: Verification, adversary: dict[str, Any], data: Dataset) -> None:
    from lossfloor.adversaries import from_config

    out.print_fields(
        f"{path} is proved",
        {
            "cross-entropy": f"{out.number(verification.cross_entropy)} nats",
            "0-1 loss": out.number(float(verification.zero_one)),
            "Brier loss": out.number(float(verification.brier)),
        },
        {"data": out.show_data(data), "adversary": repr(from_config(adversary))},
    )
    rows = [
        ["labels", verification.n_examples, "those of the data"],
        ["blocks", verification.n_blocks, "weights add up, posteriors ascend"],
        ["conflicts that carry flow", verification.n_flow_conflicts, "do conflict, flow is what is due"],
        ["pairs that must not conflict", verification.n_pairs_excluded, "do not"],
    ]
    out.print_table(["decided again", "how many", "found"], [[str(cell) for cell in row] for row in rows])
