"""``lossfloor floor``: the floor of two classes, or bounds for more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lossfloor as lf
from lossfloor.cli import _adversary_options as adv
from lossfloor.cli import _data_options as opt
from lossfloor.cli import _print as out
from lossfloor.cli._errors import UsageError

if TYPE_CHECKING:
    from lossfloor.adversaries import Adversary
    from lossfloor.datasets import Dataset
    from lossfloor.floors.result import BaseFloor

    _Bounds = dict[lf.losses.Loss, tuple[float, float]]

EPILOG = """[bold]Examples[/bold]

lossfloor floor digits --classes 3 8 --l2 1

lossfloor floor fashion-mnist --classes 3 7 --n-per-class 5000 --l2 4.6 --json

lossfloor floor fashion-mnist --classes Dress Sneaker --linf 8/255 --save result.npz

lossfloor floor fashion-mnist --all-classes --n-per-class 1000 --l2 2.5

lossfloor floor table.csv --label outcome --lp 1.5 0.2 --loss spherical --cost sick=10

lossfloor floor table.csv --label outcome --adversary hamming --param k=2

lossfloor floor digits --classes 3 8 --adversary box --param lower=0 --param upper=1 --param eps=1/2"""


def more_classes(flag: str, metavar: str, what: str) -> Any:
    """Make an option that goes with --all-classes."""
    return typer.Option(flag, metavar=metavar, help=what, rich_help_panel="More than two classes", show_default=False)


def command(
    data: opt.DataArgument,
    classes: opt.Classes = None,
    all_classes: Annotated[
        bool,
        typer.Option(
            "--all-classes",
            help="Use all classes of the data: lower and upper bounds that meet.",
            rich_help_panel="Data",
        ),
    ] = False,
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
    matrix: adv.Matrix = None,
    unit: opt.Unit = None,
    loss: Annotated[
        list[str] | None,
        opt.output_option("--loss", "NAME", "Another loss to show, such as spherical; can be repeated."),
    ] = None,
    cost: Annotated[
        list[str] | None,
        opt.output_option(
            "--cost",
            "CLASS=VALUE",
            "Multiply the loss of a class by VALUE (1 for classes not given), in the losses of --loss or, "
            "without --loss, in cross-entropy, 0-1 and Brier; can be repeated.",
        ),
    ] = None,
    soft_labels: Annotated[
        Path | None,
        opt.output_option("--soft-labels", "FILE", "Write the class probabilities that achieve the floor (.npz)."),
    ] = None,
    min_correct: Annotated[
        float | None,
        opt.output_option("--min-correct", "M", "Raise each example's own class in the soft labels to at least M."),
    ] = None,
    save: Annotated[
        Path | None,
        opt.output_option("--save", "FILE", "Write the result with its proof (.npz), to check with verify."),
    ] = None,
    gap: Annotated[str | None, more_classes("--gap", "G", "Stop when the bounds differ by at most G (1e-4).")] = None,
    time_limit: Annotated[str | None, more_classes("--time-limit", "S", "Stop after S seconds per loss.")] = None,
    max_degree: Annotated[
        int | None, more_classes("--max-degree", "D", "Use conflicts of up to D examples for the lower bound.")
    ] = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compute the smallest robust loss of any classifier, exactly and with a proof.

    With --all-classes, for more than two classes: a proved lower bound and an upper bound some classifier achieves.

    An eps is a number or a quotient, taken exactly as written: 4.6 is 46/10, and 8/255 is allowed.
    """
    norms = adv.norm_configs(l2=l2, l1=l1, linf=linf, lp=lp)
    description = adv.described(norms, adversary, param, adversary_json, matrix)
    description.make()  # what is wrong with it is told before the data is read
    losses = [lf.losses.resolve(name) for name in loss or []]
    if min_correct is not None and soft_labels is None:
        raise UsageError("--min-correct goes with --soft-labels")
    if min_correct is not None and not 0 <= min_correct <= 1:
        raise UsageError(f"--min-correct must be between 0 and 1, got {min_correct}")
    opt.check_outputs(save=save, soft_labels=soft_labels)
    limits = {"gap": gap, "time_limit": time_limit, "max_degree": max_degree}
    limits = {name: value for name, value in limits.items() if value is not None}
    options = opt.DataOptions(data, classes, n_per_class, split, data_dir, label, unit)
    if all_classes and classes is not None:
        raise UsageError("give either --all-classes or --classes, not both")
    if limits and not all_classes:
        raise UsageError(f"--{next(iter(limits)).replace('_', '-')} goes with --all-classes")
    examples = options.load() if all_classes else options.load_two_classes(", or take all with --all-classes")
    costs = _costs(cost, examples)
    if costs and not losses:
        losses = [lf.losses.CrossEntropy(), lf.losses.ZeroOne(), lf.losses.Brier()]
    mover = description.make(examples.unit)
    with out.progress_bars(quiet=quiet) as progress:
        result = lf.floor(examples.X, examples.y, mover, progress=progress, **limits)  # type: ignore[arg-type]
        result.summary()  # solves what is shown while there is a progress bar
        more = {chosen: result.bounds(chosen, costs=costs or None) for chosen in losses}
    if save is not None:
        result.save(save)
    if soft_labels is not None:
        result.save_soft_labels(soft_labels, examples.y, min_correct=0.0 if min_correct is None else min_correct)
    if json:
        out.print_json(_as_json(result, examples, more, costs))
    else:
        _print(result, examples, mover, more, costs, description.has_unit)
    for text in result.remarks():
        out.remark(text, quiet=quiet)


def _costs(given: list[str] | None, data: Dataset) -> dict[Any, str]:
    """Return the cost of each class by its label; nothing if none was given."""
    from lossfloor._checks import as_fraction

    pairs = opt.pairs_of("--cost", given or [])
    labels = {str(label): label for label in data.counts}
    names = {data.class_names.get(label, str(label)).casefold(): label for label in data.counts}
    costs: dict[Any, str] = {}
    for name, value in pairs.items():
        label = labels.get(name, names.get(name.casefold()))
        if label is None:
            known = " and ".join(out.show_class(known, data) for known in data.counts)
            raise UsageError(f"--cost must name one of the classes {known}, got {name!r}")
        if label in costs:
            raise UsageError(f"--cost names class {out.show_class(label, data)} twice")
        if as_fraction("--cost", value) <= 0:
            raise UsageError(f"--cost must be positive, got {value} for class {out.show_class(label, data)}")
        costs[label] = value
    return {label: costs.get(label, "1") for label in data.counts} if costs else {}


def _as_json(result: BaseFloor, data: Dataset, more: _Bounds, costs: dict[Any, str]) -> dict[str, Any]:
    values = result.summary()
    values["unit"] = out.unit_json(data.unit)
    values["data"] = out.data_json(data)
    if more:
        values["losses"] = {loss.name: lower for loss, (lower, _) in more.items()}
        if "upper" in values:
            values["upper"]["losses"] = {loss.name: upper for loss, (_, upper) in more.items()}
    if costs:
        values["costs"] = {str(label): cost for label, cost in costs.items()}
    return values


def _print(
    result: BaseFloor, data: Dataset, adversary: Adversary, more: _Bounds, costs: dict[Any, str], has_unit: bool
) -> None:
    shown = {lf.losses.resolve(name): ends for name, ends in result.shown_losses().items()}
    losses = {loss.label: f"{out.bounds(ends)} {loss.unit}".rstrip() for loss, ends in shown.items()}
    with_costs = f", costs {', '.join(f'{label}: {cost}' for label, cost in costs.items())}" if costs else ""
    for loss, ends in more.items():
        losses[f"{loss.name.replace('_', '-')}{with_costs}"] = out.bounds(ends)
    fields = result.fields()
    out.print_fields(
        "Smallest robust loss any classifier could achieve (mean over the examples)",
        losses,
        {
            "proof": fields.pop("proof"),
            "data": out.show_data(data),
            "adversary": repr(adversary),
            **({"unit": out.show_unit(data.unit)} if has_unit else {}),
            **fields,
        },
    )
