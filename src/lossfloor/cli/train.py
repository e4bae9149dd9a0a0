"""``lossfloor train``: robust training described by a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossfloor.cli import _data_options as opt
from lossfloor.cli import _print as out

if TYPE_CHECKING:
    from lossfloor.audits import Audit

EPILOG = """[bold]Examples[/bold]

lossfloor train run.toml

lossfloor train run.toml --audit strong --json

The file has the tables data, attack, model, training and output; see docs/training.md for an example."""


def command(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="TOML file that describes the training run.", show_default=False),
    ],
    audit: Annotated[
        str | None,
        opt.output_option("--audit", "NAME", "Attack the trained model and compare it with the floor: fast, strong."),
    ] = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a network robustly, on hard or on soft labels. Needs the extra torch.

    A checkpoint is written after each epoch; run the command again to resume from it. An interrupted run ends
    like one that was not.
    """
    from lossfloor import audits
    from lossfloor._checks import one_of
    from lossfloor.training import config as runs

    if audit is not None:
        one_of("--audit", audit, tuple(audits.STRENGTHS))
    described = runs.read(config)
    with out.progress_bars(quiet=quiet) as progress:
        trained = runs.train(described, progress=progress)
        result = None
        if audit is not None:
            floor = trained.floor or runs.floor_of(described, trained.data)
            result = audits.audit(
                floor,
                model=trained.model,
                X=trained.data.X,
                y=trained.data.y,
                attack=audit,
                device=described.device,
                progress=progress,
            )
    if json:
        out.print_json(_as_json(described, trained, result))
        return
    fields = {
        "data": out.show_data(trained.data),
        "epochs": str(len(trained.history)),
        "last training loss": out.number(trained.history[-1]["loss"]),
        "checkpoint": str(described.checkpoint),
        "log": str(described.log),
    }
    out.print_fields("Trained", fields, {} if result is None else result.rows())


def _as_json(described: Any, trained: Any, result: Audit | None) -> dict[str, Any]:
    values = {
        "checkpoint": str(described.checkpoint),
        "log": str(described.log),
        "data": out.data_json(trained.data),
        "history": trained.history,
    }
    return values if result is None else {**values, "audit": result.summary()}
