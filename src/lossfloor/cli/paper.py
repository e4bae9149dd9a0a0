"""``lossfloor paper``: figures of the paper, computed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossfloor.cli import _data_options as opt
from lossfloor.cli import _print as out

if TYPE_CHECKING:
    from lossfloor.paper import Figure4

app = typer.Typer(
    name="paper",
    help="Recompute figures of the paper (Bhagoji, Cullina, Sehwag, Mittal, ICML 2021).",
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
        typer.Option("--dimension", metavar="D", help="Number of features; can be repeated. 2, 10 and 100 by default."),
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option("--size", metavar="N", help="Sample size; can be repeated. 100, 1000 and 10000 by default."),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="R", help="Number of samples per size.")] = 5,
    points: Annotated[int, typer.Option("--points", metavar="K", help="Number of eps in each panel.")] = 41,
    constant: Annotated[
        str, typer.Option("--constant", metavar="C", help="The constant C that scales the means.")
    ] = "2",
    seed: Annotated[int, typer.Option("--seed", metavar="SEED", help="Random seed.")] = 0,
    plot: Annotated[
        Path,
        typer.Option(
            "--plot", metavar="FILE", help="File for the figure (.png, .svg or .pdf).", rich_help_panel="Output"
        ),
    ] = Path("fig3.png"),
    csv: Annotated[
        Path, typer.Option("--csv", metavar="FILE", help="File for the numbers (CSV).", rich_help_panel="Output")
    ] = Path("fig3.csv"),
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compare the floor of a Gaussian population with the floors of samples of increasing size.

    The paper's construction: S diagonal with entries uniform in (0, 1), means +mu and -mu with mu_i = C S_ii / sqrt(d),
    equal priors, an l2 adversary.
    """
    from lossfloor.paper import figure3
    from lossfloor.reporting.plots import picture_format, save_figure

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


Results = Annotated[
    Path,
    typer.Option("--results", metavar="DIR", help="Folder with one file per finished run; created if necessary."),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="cnn, mlp, resnet18 or wideresnet; can be repeated."),
]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", metavar="NAME", help="Training method, such as hard; can be repeated. All by default."),
]
Budgets = Annotated[list[str] | None, typer.Option("--eps", metavar="EPS", help="Budget in l2; can be repeated.")]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", help="Number of seeds per setting.")]
Limit = Annotated[
    float | None,
    typer.Option("--limit-minutes", metavar="M", help="Start no run after M minutes; 0 only shows existing results."),
]
NPerClass = Annotated[int, typer.Option("--n-per-class", metavar="N", help="Training examples per class.")]
Epochs = Annotated[int, typer.Option("--epochs", metavar="N", help="Passes over the training data.")]
Attack = Annotated[
    str, typer.Option("--attack", metavar="NAME", help="Strength of the attack: fast, strong or strongest.")
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="Where to train: cpu, cuda or mps.")]


@app.command(
    "fig4",
    epilog="""[bold]Examples[/bold]

lossfloor paper fig4 --limit-minutes 60

lossfloor paper fig4 --limit-minutes 0 --plot fig4.svg

lossfloor paper fig4 --model resnet18 --device cuda --epochs 30""",
)
def fig4(
    results: Results = Path("fig4-runs"),
    model: Models = None,
    method: Methods = None,
    eps: Budgets = None,
    seeds: Seeds = 3,
    n_per_class: NPerClass = 5000,
    epochs: Epochs = 12,
    attack: Attack = "strong",
    limit_minutes: Limit = None,
    device: Device = "cpu",
    data_dir: opt.DataDir = None,
    plot: Annotated[
        Path,
        typer.Option(
            "--plot", metavar="FILE", help="File for the figure (.png, .svg or .pdf).", rich_help_panel="Output"
        ),
    ] = Path("fig4.png"),
    csv: Annotated[
        Path, typer.Option("--csv", metavar="FILE", help="File for the numbers (CSV).", rich_help_panel="Output")
    ] = Path("fig4.csv"),
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train networks robustly, attack them strongly, and set them beside the floor (Fashion-MNIST, 3 against 7).

    Takes hours; needs the extra torch. It can be stopped at any moment and started again: a finished run is kept as a
    file in the folder of results and not repeated, and an unfinished one goes on from its last epoch.
    """
    from lossfloor.reporting.plots import picture_format, save_figure

    picture_format(plot)
    opt.check_outputs(plot=plot, csv=csv)
    _make_runs(results, model, method, eps, seeds, n_per_class, epochs, attack, limit_minutes, device, data_dir, quiet)
    figure = _figure_of(results, n_per_class, epochs)
    figure.to_csv(csv)
    save_figure(figure.plot(), plot)
    if json:
        out.print_json({"plot": str(plot), "csv": str(csv), "rows": figure.rows(), "published": figure.published})
        return
    out.print_fields(
        "Robust cross-entropy of trained networks beside the floor (nats; mean, half of the 95 % interval)",
        {"picture": str(plot), "numbers": str(csv), "runs": str(sum(cell.seeds for cell in figure.cells))},
    )
    rows = [
        [
            *(cell.eps, cell.model, cell.method, str(cell.seeds)),
            *(_show(cell.train, cell.train_half), _show(cell.test, cell.test_half), _show(cell.floor)),
            _show(cell.train_zero_one),
        ]
        for cell in figure.cells
    ]
    out.print_table(["eps", "net", "training", "runs", "train", "test", "floor", "0-1"], rows)


@app.command(
    "table1",
    epilog="""[bold]Examples[/bold]

lossfloor paper table1 --limit-minutes 60

lossfloor paper table1 --results benchmarks/results/fig4 --limit-minutes 0""",
)
def table1(
    results: Results = Path("fig4-runs"),
    model: Models = None,
    seeds: Seeds = 3,
    n_per_class: NPerClass = 5000,
    epochs: Epochs = 12,
    attack: Attack = "strong",
    limit_minutes: Limit = None,
    device: Device = "cpu",
    data_dir: opt.DataDir = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Print Table 1, the paper's numbers beside ours: hard labels and clipped soft labels at eps 4.6 and 5.0.

    Its runs are among those of fig4, and shared with it: the same folder, nothing is made twice.
    """
    from lossfloor.paper import table1 as table

    methods, eps = ["hard", "clipped-paper", "clipped-0.6"], ["4.6", "5.0"]
    _make_runs(results, model, methods, eps, seeds, n_per_class, epochs, attack, limit_minutes, device, data_dir, quiet)
    rows = table(_figure_of(results, n_per_class, epochs))
    if json:
        out.print_json({"rows": rows})
        return
    out.print_table(
        ["eps", "net", "training", "runs", "train", "test"],
        [
            [
                *(row["eps"], row["model"], row["method"], str(row["seeds"] or "-")),
                *(_show(row["train"], row["train_half"]), _show(row["test"], row["test_half"])),
            ]
            for row in rows
        ],
    )


def _make_runs(
    results: Path,
    models: list[str] | None,
    methods: list[str] | None,
    eps: list[str] | None,
    seeds: int,
    n_per_class: int,
    epochs: int,
    attack: str,
    limit_minutes: float | None,
    device: str,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    from lossfloor.paper.methods import METHODS
    from lossfloor.paper.runs import EPS, make, plan

    runs = plan(
        models=models or ("mlp", "cnn"),
        methods=methods or tuple(METHODS),
        eps=eps or EPS,
        seeds=seeds,
        n_per_class=n_per_class,
        epochs=epochs,
    )
    with out.progress_bars(quiet=quiet) as progress:
        make(
            runs,
            results,
            seconds=None if limit_minutes is None else 60 * limit_minutes,
            device=device,
            attack=attack,
            data_dir=data_dir,
            say=None if quiet else lambda line: typer.echo(line, err=True),
            progress=progress,
        )


def _figure_of(results: Path, n_per_class: int, epochs: int) -> Figure4:
    """Put those runs together that were made in the same size."""
    from lossfloor.paper import figure4
    from lossfloor.paper.runs import read

    size = (n_per_class, epochs)
    return figure4([run for run in read(results) if (run["n_per_class"], run["epochs"]) == size])


def _show(value: float | None, half: float | None = None) -> str:
    """Print a loss, with half the length of its interval if there is one."""
    if value is None:
        return "-"
    return f"{value:.4f}" if half is None else f"{value:.4f} ±{half:.3f}"
