"""``lossfloor paper``: figures of the paper, computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lossfloor.cli import _options as opt
from lossfloor.cli import _output as out

app = typer.Typer(
    name="paper",
    help="Compute figures of the paper again (Bhagoji, Cullina, Sehwag, Mittal, ICML 2021).",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def _paper() -> None:
    # With a callback a single command keeps its name: `lossfloor paper fig3`.
    pass


@app.command(
    "fig3",
    epilog="""[bold]Examples[/bold]

lossfloor paper fig3

lossfloor paper fig3 --dimension 2 --size 100 --size 1000 --size 20000 --repeats 12 --plot d2.svg --csv d2.csv""",
)
def fig3(
    dimension: Annotated[
        list[int] | None,
        typer.Option(
            "--dimension", metavar="D", help="Number of features; can be given again. 2, 10 and 100 by default."
        ),
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option(
            "--size", metavar="N", help="Examples in a sample; can be given again. 100, 1000 and 10000 by default."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="R", help="Samples of each size.")] = 5,
    points: Annotated[int, typer.Option("--points", metavar="K", help="Number of eps in each panel.")] = 41,
    constant: Annotated[str, typer.Option("--constant", metavar="C", help="What sets the means apart.")] = "2",
    seed: Annotated[int, typer.Option("--seed", metavar="SEED", help="What everything is drawn from.")] = 0,
    plot: Annotated[
        Path, typer.Option("--plot", metavar="FILE", help="The picture (.png, .svg or .pdf).", rich_help_panel="Output")
    ] = Path("fig3.png"),
    csv: Annotated[Path, typer.Option("--csv", metavar="FILE", help="The numbers.", rich_help_panel="Output")] = Path(
        "fig3.csv"
    ),
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compare the floor of a Gaussian population with the floors of samples of growing size.

    The paper's construction: S diagonal with entries uniform in (0, 1), means +mu and -mu with mu_i = C S_ii / sqrt(d),
    equal priors, an l2 adversary.
    """
    from lossfloor.paper import figure3
    from lossfloor.plotting import picture_format, save_figure

    picture_format(plot)
    opt.check_outputs(plot=plot, csv=csv)
    with out.progress_bars(quiet=quiet) as progress:
        result = figure3(
            dimension or (2, 10, 100),
            size or (100, 1000, 10_000),
            constant=constant,
            repeats=repeats,
            points=points,
            seed=seed,
            progress=progress,
        )
    result.to_csv(csv)
    save_figure(result.plot(), plot)
    if json:
        out.print_json(
            {
                "seed": result.seed,
                "constant": result.constant,
                "plot": str(plot),
                "csv": str(csv),
                "rows": result.rows(),
            }
        )
        return
    out.print_fields(
        "Floors of Gaussian populations and of samples of them",
        {"seed": str(result.seed), "C": f"{result.constant:g}", "picture": str(plot), "numbers": str(csv)},
    )
    table = []
    for panel in result.panels:
        middle = len(panel.eps) // 4
        for n, floors in panel.samples.items():
            shown = [f"{panel.population[middle]:.4f}", f"{floors[:, middle].mean():.4f}"]
            table.append([str(panel.dimension), f"{float(panel.eps[middle]):g}", str(n), *shown])
    out.print_table(["d", "eps", "examples", "population floor", "sample floor (mean)"], table)
