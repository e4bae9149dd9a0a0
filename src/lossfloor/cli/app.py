"""The application: its commands and how it handles their errors."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import lossfloor as lf
from lossfloor.cli import audit, curve, floor, gaussian, info, pairwise, paper, train, verify
from lossfloor.cli._adversary_options import Command
from lossfloor.cli._errors import exit_status, message


class _Commands(TyperGroup):
    """The commands; a user error is reported in one line and ends in a documented exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt) as error:
            status = exit_status(error)
            if status is None:
                raise
            typer.secho(f"lossfloor: {message(error)}", err=True, fg=typer.colors.RED)
            raise typer.Exit(status) from None


app = typer.Typer(
    cls=_Commands,
    name="lossfloor",
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lossfloor {lf.__version__}")
        raise typer.Exit


@app.callback(
    epilog="Exit status: [bold]0[/bold] success, [bold]1[/bold] not computed, or a proof was "
    "rejected, [bold]2[/bold] invalid arguments or data, [bold]130[/bold] Ctrl-C."
)
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Compute the smallest robust loss any classifier could achieve on your data, with a proof.

    Start with: [bold]lossfloor floor digits --classes 3 8 --l2 1[/bold]
    """


for _command in (floor, curve, verify, pairwise, audit, train, info, gaussian):
    app.command(_command.__name__.rpartition(".")[2], cls=Command, epilog=_command.EPILOG)(_command.command)

app.add_typer(paper.app)
