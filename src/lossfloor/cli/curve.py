"""``lossfloor curve``: the floor over a grid of eps."""

from __future__ import annotations

import json as jsonlib
import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lossfloor as lf
from lossfloor.cli import _adversary_options as adv
from lossfloor.cli import _data_options as opt
from lossfloor.cli import _print as out
from lossfloor.cli._errors import UsageError

if TYPE_CHECKING:
    from lossfloor.datasets import Dataset
    from lossfloor.floors.curve_result import BaseCurve

EPILOG = """[bold]Examples[/bold]

lossfloor curve digits --classes 3 8 --l2 --eps-to 2 --plot curve.png

lossfloor curve fashion-mnist --classes 3 7 --n-per-class 5000 --l2 --eps-to 8 --points 41 --csv curve.csv

lossfloor curve digits --classes 3 8 --linf --eps 0.1 --eps 0.2 --at cross_entropy=0.1 --json

lossfloor curve digits --classes 3 8 --adversary box --param lower=0 --param upper=1 --eps-to 1 --points 5"""

#: Losses that a curve has by itself; others are computed when asked for.
_OWN = ("cross_entropy", "zero_one", "brier")
_NORMS = ("l1", "l2", "linf", "lp")


def command(
    data: opt.DataArgument,
    classes: opt.Classes = None,
    all_classes: Annotated[
        bool,
        typer.Option("--all-classes", help="Use all classes of the data: two bounds per eps.", rich_help_panel="Data"),
    ] = False,
    n_per_class: opt.NPerClass = None,
    split: opt.Split = "train",
    data_dir: opt.DataDir = None,
    label: opt.Label = None,
    l2: Annotated[bool, opt.adversary_option("--l2", None, "Euclidean distance.")] = False,
    l1: Annotated[bool, opt.adversary_option("--l1", None, "Sum of absolute changes.")] = False,
    linf: Annotated[bool, opt.adversary_option("--linf", None, "Largest absolute change of any feature.")] = False,
    lp: Annotated[str | None, opt.adversary_option("--lp", "P", "The norm of order P >= 1.")] = None,
    adversary: adv.Name = None,
    param: adv.Parameters = None,
    adversary_json: adv.JsonFile = None,
    matrix: adv.Matrix = None,
    eps_from: Annotated[
        str | None, opt.adversary_option("--eps-from", "EPS", "Smallest eps of an even grid; 0 by default.")
    ] = None,
    eps_to: Annotated[str | None, opt.adversary_option("--eps-to", "EPS", "Largest eps of an even grid.")] = None,
    points: Annotated[
        int | None, opt.adversary_option("--points", "N", "Number of grid points; 41 by default.")
    ] = None,
    eps: Annotated[
        list[str] | None,
        opt.adversary_option("--eps", "EPS", "A single eps instead of a grid; can be repeated."),
    ] = None,
    unit: opt.Unit = None,
    time_limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit",
            metavar="S",
            help="Stop after S seconds for the whole curve.",
            rich_help_panel="More than two classes",
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        opt.output_option(
            "--at",
            "LOSS=VALUE",
            "Report the exact eps, within the grid, at which a loss is reached; can be repeated.",
        ),
    ] = None,
    csv: Annotated[Path | None, opt.output_option("--csv", "FILE", "Write the curve as a CSV table.")] = None,
    plot: Annotated[Path | None, opt.output_option("--plot", "FILE", "Draw the curve (.png, .svg or .pdf).")] = None,
    dark: Annotated[
        bool, typer.Option("--dark", help="Draw light lines on a dark background.", rich_help_panel="Output")
    ] = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compute the floor over a grid of eps; for norms the distances are computed only once.

    Each eps is exact: a grid from 0 to 8 with 41 points contains 4.6, not the nearest binary number. For any other
    adversary, leave out the budget to vary (eps, k or shifts), also in its members.
    """
    from lossfloor._checks import as_positive
    from lossfloor.floors import curve

    norms = adv.norm_configs(l2=l2, l1=l1, linf=linf, lp=lp)
    description = adv.described(norms, adversary, param, adversary_json, matrix)
    if description.n_budgets == 0:
        raise UsageError("a curve varies the budget of the adversary: leave out its eps, k or shifts")
    grid = _grid(eps, eps_from, eps_to, points)
    one = description.with_budget(grid[-1]).make()  # what is wrong with it is told before the data is read
    targets = _targets(at)
    if targets and one.norm_ball is None:
        raise UsageError("--at needs one of --l2, --l1, --linf and --lp")
    _check_plot(plot, dark)
    opt.check_outputs(csv=csv, plot=plot)
    options = opt.DataOptions(data, classes, n_per_class, split, data_dir, label, unit)
    if time_limit is not None and not all_classes:
        raise UsageError("--time-limit goes with --all-classes")
    if all_classes and (classes is not None or targets):
        raise UsageError(f"--all-classes does not go with {'--at' if targets else '--classes'}")
    limits: dict[str, Any] = {} if time_limit is None else {"time_limit": as_positive("time_limit", time_limit)}
    examples = options.load() if all_classes else options.load_two_classes(", or take all with --all-classes")
    with out.progress_bars(quiet=quiet) as progress:
        result = curve(
            examples.X, examples.y, eps=grid, progress=progress, **_family(description, examples, grid), **limits
        )
        reached = {name: _eps_at(result, name, value) for name, value in targets.items()}
    if csv is not None:
        result.to_csv(csv)
    if plot is not None:
        from lossfloor.reporting.plots import plot_curve, save_figure

        save_figure(plot_curve(result, dark=dark), plot)
    if json:
        out.print_json(_as_json(result, examples, description, targets, reached))
    else:
        _print(result, examples, description, targets, reached)


def _family(description: adv.Description, data: Dataset, grid: list[Fraction]) -> dict[str, Any]:
    """Return what makes the adversary of each eps, as `curve` takes it: a norm by its class, others by a function."""
    ball = description.with_budget(grid[-1]).make(data.unit).norm_ball
    if ball is None:
        return {"family": lambda eps: description.with_budget(eps).make(data.unit)}
    return {"family": type(ball), "unit": ball.unit, **ball.family_arguments}


def _grid(eps: list[str] | None, eps_from: str | None, eps_to: str | None, points: int | None) -> list[Fraction]:
    from lossfloor._checks import as_fraction

    if eps:
        if eps_from is not None or eps_to is not None or points is not None:
            raise UsageError("--eps lists every eps: leave out --eps-from, --eps-to and --points")
        grid = sorted({as_fraction("--eps", value) for value in eps})
    else:
        if eps_to is None:
            raise UsageError("give the values of eps: either --eps-to (with --eps-from and --points) or --eps")
        low = as_fraction("--eps-from", "0" if eps_from is None else eps_from)
        high = as_fraction("--eps-to", eps_to)
        count = 41 if points is None else points
        if count < 2:
            raise UsageError(f"--points must be at least 2, got {count}")
        if high <= low:
            raise UsageError(f"--eps-to must be greater than --eps-from, got {eps_to}")
        grid = [low + (high - low) * i / (count - 1) for i in range(count)]
    if grid[0] < 0:
        raise UsageError(f"every eps must be at least 0, got {float(grid[0])}")
    return grid


def _targets(given: list[str] | None) -> dict[str, Fraction]:
    from lossfloor._checks import as_fraction

    targets = {}
    for name, value in opt.pairs_of("--at", given or []).items():
        targets[lf.losses.resolve(name).name] = as_fraction("--at", value)
    return targets


def _check_plot(plot: Path | None, dark: bool) -> None:
    if plot is None:
        if dark:
            raise UsageError("--dark goes with --plot")
        return
    from lossfloor.reporting.plots import picture_format

    picture_format(plot)


def _eps_at(result: BaseCurve, name: str, value: Fraction) -> float | None:
    if name in _OWN:
        return result.eps_at(**{name: float(value)})
    return result.eps_at(loss=name, value=float(value))


def _as_json(
    result: BaseCurve,
    data: Dataset,
    description: adv.Description,
    targets: dict[str, Fraction],
    reached: dict[str, float | None],
) -> dict[str, Any]:
    values: dict[str, Any] = _with_adversary(result.summary(), description)
    values["unit"] = out.unit_json(data.unit)
    values["data"] = out.data_json(data)
    if targets:
        values["at"] = [{"loss": name, "value": float(value), "eps": reached[name]} for name, value in targets.items()]
    return values


def _with_adversary(values: dict[str, Any], description: adv.Description) -> dict[str, Any]:
    """Put the adversary as the options describe it: the budgets left open are those of each point."""
    if values["adversary"]["name"] not in _NORMS:
        values["adversary"] = description.config
        values.pop("adversaries", None)
    return values


def _print(
    result: BaseCurve,
    data: Dataset,
    description: adv.Description,
    targets: dict[str, Fraction],
    reached: dict[str, float | None],
) -> None:
    known = not math.isnan(result.separation)
    bounded = result.status == "bounds"
    out.print_fields(
        "Bounds of the smallest robust loss any classifier could achieve, over eps"
        if bounded
        else "Smallest robust loss any classifier could achieve, over eps",
        {
            "data": out.show_data(data),
            "adversary": _show(description),
            **({"unit": out.show_unit(data.unit)} if description.has_unit else {}),
            **(
                {"separation": f"{out.number(result.separation)} (for any smaller eps the floor is 0)"} if known else {}
            ),
            **({"proof": "bounds"} if bounded else {}),
        },
    )
    losses = [lf.losses.resolve(name).label_with_unit for name in result.SHOWN]
    out.print_table(["eps", "conflicts", *losses], result.rows())
    for text in result.remarks():
        typer.echo(text)
    for name, value in targets.items():
        where = reached[name]
        told = (
            f"is reached at eps {out.number(where)}"
            if where is not None
            else f"is not reached up to eps {result.eps[-1]:g}"
        )
        typer.echo(f"{name.replace('_', '-')} {float(value):g} {told}")


def _show(description: adv.Description) -> str:
    """Print an adversary without its budget."""
    config = description.config
    families = {"l1": "L1", "l2": "L2", "linf": "Linf", "lp": f"Lp(p={config.get('p')})"}
    return families.get(config["name"]) or jsonlib.dumps(config)
