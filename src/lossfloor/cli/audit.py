"""``lossfloor audit``: a model's robust loss against the floor."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lossfloor as lf
from lossfloor.cli import _data_options as opt
from lossfloor.cli import _print as out
from lossfloor.cli._errors import FAILED, UsageError

if TYPE_CHECKING:
    import numpy as np

    from lossfloor.datasets import Dataset

EPILOG = """[bold]Examples[/bold]

lossfloor audit fashion-mnist --classes 3 7 --n-per-class 5000 --l2 4.6 --model run.pt

lossfloor audit digits --classes 3 8 --linf 2/16 --model scripted.pt --attack strongest

lossfloor audit digits --classes 3 8 --l2 1 --losses worst.npy --csv examples.csv

Below the floor means that the attack failed, never that the model won: exit status 1."""

_MODEL = "Model"


def command(
    data: opt.DataArgument,
    classes: opt.Classes = None,
    n_per_class: opt.NPerClass = None,
    split: opt.Split = "train",
    data_dir: opt.DataDir = None,
    label: opt.Label = None,
    l2: Annotated[str | None, opt.adversary_option("--l2", "EPS", "Euclidean distance of at most EPS.")] = None,
    linf: Annotated[str | None, opt.adversary_option("--linf", "EPS", "Change of each feature of at most EPS.")] = None,
    unit: opt.Unit = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help="A checkpoint of lossfloor train, TorchScript, torch.export, or weights with --architecture.",
            rich_help_panel=_MODEL,
            show_default=False,
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            "--architecture",
            metavar="NAME",
            help="Architecture of the weights: mlp, cnn, resnet18 or wideresnet.",
            rich_help_panel=_MODEL,
            show_default=False,
        ),
    ] = None,
    attack: Annotated[
        str,
        typer.Option(
            "--attack",
            metavar="NAME",
            help="Strength of the attack: fast, strong or strongest.",
            rich_help_panel=_MODEL,
        ),
    ] = "strong",
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="cpu, cuda or mps.", rich_help_panel=_MODEL)
    ] = "cpu",
    losses: Annotated[
        Path | None,
        typer.Option(
            "--losses",
            metavar="FILE",
            help="Instead of a model: worst cross-entropy per example (.npy).",
            rich_help_panel=_MODEL,
            show_default=False,
        ),
    ] = None,
    probabilities: Annotated[
        Path | None,
        typer.Option(
            "--probabilities",
            metavar="FILE",
            help="Instead of a model: worst probability of the true class per example (.npy).",
            rich_help_panel=_MODEL,
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None, opt.output_option("--csv", "FILE", "Write a CSV table with one row per example.")
    ] = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Report how much of a model's robust loss is unavoidable and how much is its own."""
    if (l2 is None) == (linf is None):
        raise UsageError("give exactly one of --l2 and --linf")
    sources = {"--model": model, "--losses": losses, "--probabilities": probabilities}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise UsageError(f"give exactly one of {', '.join(sources)}, got {' and '.join(given) or 'none'}")
    if architecture is not None and model is None:
        raise UsageError("--architecture goes with --model")
    opt.check_outputs(csv=csv)
    make = lf.L2 if l2 is not None else lf.Linf
    eps = l2 if l2 is not None else linf
    make(eps)  # a wrong eps is told before any file is read
    examples = opt.DataOptions(data, classes, n_per_class, split, data_dir, label, unit).load_two_classes()
    how: dict[str, Any] = {}
    if model is not None:
        how = {
            "model": _model(model, architecture, examples, device),
            "X": examples.X,
            "y": examples.y,
            "attack": attack,
            "device": device,
        }
    elif losses is not None:
        how = {"losses": _numbers("--losses", losses)}
    elif probabilities is not None:
        how = {"probabilities": _numbers("--probabilities", probabilities)}
    from lossfloor.floors import two_class_floor

    with out.progress_bars(quiet=quiet) as progress, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", lf.WeakAttackWarning)
        floor = two_class_floor(examples.X, examples.y, make(eps, unit=examples.unit), progress=progress)
        result = lf.audit(floor, **how, progress=progress)
    if csv is not None:
        result.to_csv(csv)
    if json:
        out.print_json({**result.summary(), "data": out.data_json(examples), "adversary": floor.summary()["adversary"]})
    else:
        out.print_fields(
            "A model against the floor (mean over the examples)",
            result.rows(),
            {"data": out.show_data(examples), "adversary": repr(make(eps, unit=examples.unit))},
        )
    for warning in told:
        if issubclass(warning.category, lf.WeakAttackWarning):
            out.remark(str(warning.message), quiet=quiet)
    if result.below_floor:
        raise typer.Exit(FAILED)


def _model(path: Path, architecture: str | None, data: Dataset, device: str) -> Any:
    import torch

    from lossfloor.training import as_device, as_inputs, load_model

    where = as_device(device)
    some = as_inputs(data.X[:3], unit=data.unit).to(where)
    shape = tuple(some.shape[1:])
    network = load_model(path, architecture=architecture, shape=shape).to(where)
    for size in (2, 3):  # a program of torch.export may be fixed to one size of batches
        try:
            with torch.no_grad():
                network(some[:size])
        except (RuntimeError, AssertionError, TypeError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise ValueError(
                f"the model in {path} fails on {size} inputs of shape {shape}: {reason}"
                " (it must accept batches of any size)"
            ) from None
    return network


def _numbers(flag: str, path: Path) -> np.ndarray[Any, Any]:
    import numpy as np

    from lossfloor._checks import must

    if zipfile.is_zipfile(path):
        raise ValueError(must(flag, "a file of numbers (.npy)", f"{path} (an archive)"))
    try:
        # Mapped, so that a header which lies about its size takes no memory.
        mapped: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(must(flag, "a file of numbers (.npy)", f"{path} ({error})")) from None
    return mapped
