"""``lossfloor pairwise``: the floor of every two classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lossfloor as lf
from lossfloor.cli import _adversary_options as adv
from lossfloor.cli import _data_options as opt
from lossfloor.cli import _print as out

if TYPE_CHECKING:
    from lossfloor.datasets import Dataset
    from lossfloor.floors.pairwise import PairwiseFloors

EPILOG = """[bold]Examples[/bold]

lossfloor pairwise digits --l2 1

lossfloor pairwise fashion-mnist --n-per-class 1000 --l2 2.5 --plot pairs.png"""


def command(
    data: opt.DataArgument,
    n_per_class: opt.NPerClass = None,
    split: opt.Split = "train",
    data_dir: opt.DataDir = None,
    label: opt.Label = None,
    l2: Annotated[str | None, opt.adversary_option("--l2", "EPS", "Euclidean distance of at most EPS.")] = None,
    l1: Annotated[str | None, opt.adversary_option("--l1", "EPS", "Sum of absolute changes of at most EPS.")] = None,
    linf: Annotated[str | None, opt.adversary_option("--linf", "EPS", "Change of each feature of at most EPS.")] = None,
    lp: Annotated[
        tuple[str, str] | None,
        opt.adversary_option("--lp", "P EPS", "Norm of order P >= 1, at most EPS."),
    ] = None,
    adversary: adv.Name = None,
    param: adv.Parameters = None,
    adversary_json: adv.JsonFile = None,
    unit: opt.Unit = None,
    loss: Annotated[str, opt.output_option("--loss", "NAME", "Loss to show; cross-entropy by default.")] = "log",
    csv: Annotated[Path | None, opt.output_option("--csv", "FILE", "Write a CSV table with one row per pair.")] = None,
    plot: Annotated[Path | None, opt.output_option("--plot", "FILE", "Draw a heat map (.png, .svg or .pdf).")] = None,
    dark: Annotated[
        bool, typer.Option("--dark", help="Draw light lines on a dark background.", rich_help_panel="Output")
    ] = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compute the exact floor of every two classes, and the resulting bound for all classes."""
    norms = adv.norm_configs(l2=l2, l1=l1, linf=linf, lp=lp)
    description = adv.described(norms, adversary, param, adversary_json, None)
    description.make()  # what is wrong with it is told before the data is read
    chosen = lf.losses.CrossEntropy() if loss == "log" else lf.losses.resolve(loss)
    if plot is not None:
        from lossfloor.reporting.plots import picture_format

        picture_format(plot)
    opt.check_outputs(csv=csv, plot=plot)
    examples = opt.DataOptions(data, None, n_per_class, split, data_dir, label, unit).load()
    with out.progress_bars(quiet=quiet) as progress:
        result = lf.pairwise_floors(examples.X, examples.y, description.make(examples.unit), progress=progress)
    if csv is not None:
        result.to_csv(csv)
    if plot is not None:
        from lossfloor.reporting.plots import save_figure

        save_figure(result.plot(loss=chosen, dark=dark), plot)
    if json:
        values = result.summary()
        values["unit"] = out.unit_json(examples.unit)
        values["data"] = out.data_json(examples)
        out.print_json(values)
    else:
        _print(result, examples, chosen, repr(description.make(examples.unit)))


def _print(result: PairwiseFloors, data: Dataset, loss: Any, adversary: str) -> None:
    name = loss.label
    out.print_fields(
        f"Smallest robust {name} of any classifier of two classes (mean over their examples)",
        {"data": out.show_data(data), "adversary": adversary, "unit": out.show_unit(data.unit)},
    )
    labels = [str(label) for label in result.classes.tolist()]
    digits = 2 if len(labels) > 8 else 4  # as many as fit a terminal
    rows = [
        [label, *("" if i == j else f"{value:.{digits}f}" for j, value in enumerate(row))]
        for i, (label, row) in enumerate(zip(labels, result.matrix(loss).tolist(), strict=True))
    ]
    out.print_table(["", *labels], rows)
    pairs = ", ".join(f"{first} and {second}" for (first, second), _ in result.best_pairs(loss)) or "none"
    typer.echo(f"All classes together: at least {out.at_least(result.lower_bound(loss))}, from the pairs {pairs}.")
    typer.echo("`lossfloor floor --all-classes` gives better bounds.")
