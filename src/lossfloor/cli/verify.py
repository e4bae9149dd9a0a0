"""``lossfloor verify``: check the proof of a saved result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

import lossfloor as lf
from lossfloor import exact
from lossfloor.cli import _adversary as adv
from lossfloor.cli import _options as opt
from lossfloor.cli import _output as out
from lossfloor.cli._errors import UsageError
from lossfloor.exceptions import CertificateError

if TYPE_CHECKING:
    from lossfloor.adversaries import Adversary
    from lossfloor.certificates import Verification
    from lossfloor.datasets import Dataset

EPILOG = """[bold]Example[/bold]

lossfloor floor digits --classes 3 8 --l2 1 --save result.npz

lossfloor verify result.npz --data digits --classes 3 8

lossfloor verify result.npz --data digits --classes 3 8 --matrix distances.npz"""


def command(
    result: Annotated[
        Path,
        typer.Argument(metavar="RESULT", help="A file written by `lossfloor floor --save`.", show_default=False),
    ],
    data: Annotated[
        str,
        typer.Option("--data", metavar="DATA", help="The data set, as for the command floor.", rich_help_panel="Data"),
    ],
    classes: opt.Classes = None,
    n_per_class: opt.NPerClass = None,
    split: opt.Split = "train",
    data_dir: opt.DataDir = None,
    label: opt.Label = None,
    matrix: adv.Matrix = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Check the proof of a saved result against the data, independently of how it was found.

    The adversary and the unit come from the file. Everything is checked in exact arithmetic, without
    the solver and its kernels. Exit status 1 if the result is not proved.
    """
    if not result.is_file():
        raise UsageError(f"{result} does not exist")
    given = None if matrix is None else adv.read_matrix(matrix)
    options = opt.DataOptions(data, classes, n_per_class, split, data_dir, label)
    if _is_multiclass(result):
        _verify_multiclass(result, options.load(), given, json, quiet)
        return
    examples = options.load_two_classes()
    try:
        proved = _check(result, examples, given, quiet)
    except CertificateError as error:
        if json:
            out.print_json({"status": "rejected", "reason": str(error), "data": out.data_json(examples)})
        raise
    if json:
        out.print_json(_as_json(proved, examples))
    else:
        _print(result, proved, examples)


def _is_multiclass(path: Path) -> bool:
    from lossfloor._files import format_of
    from lossfloor.multiclass import FORMAT

    return format_of(path) == FORMAT


def _verify_multiclass(path: Path, data: Dataset, matrix: Any, json: bool, quiet: bool) -> None:
    """Check the lower bounds of a result of more than two classes, and print what was proved."""
    try:
        loaded = lf.MulticlassFloor.load(path)
        adversary = _from_matrix(loaded.adversary, matrix)
        with out.working("checking the proof", quiet=quiet):
            proved = {name: loaded.verify(data.X, data.y, loss=name, adversary=adversary) for name in loaded.solved}
    except UsageError:
        raise
    except (ValueError, TypeError, CertificateError) as error:
        reason = f"{path} is rejected: {error}"
        if json:
            out.print_json({"status": "rejected", "reason": reason, "data": out.data_json(data)})
        raise CertificateError(reason) from error
    if json:
        out.print_json(
            {
                "status": "proved",
                **{name: exact.bracket(found.lower)[0] for name, found in proved.items()},
                "adversary": loaded.adversary,
                "n_examples": loaded.n_examples,
                "n_conflicts": {name: found.n_conflicts for name, found in proved.items()},
                "data": out.data_json(data),
            }
        )
        return
    out.print_fields(
        f"{path} is proved: no classifier has a loss below",
        {name.replace("_", "-"): out.at_least(found.lower) for name, found in proved.items()},
        {"data": out.show_data(data), "adversary": _show(loaded.adversary)},
    )
    rows = [[name.replace("_", "-"), str(found.n_conflicts), str(found.n_larger)] for name, found in proved.items()]
    out.print_table(["checked for", "conflicts", "of three or more"], rows)


class _Proved(NamedTuple):
    """A checked result: what it is about, and what the check established."""

    adversary: dict[str, Any]
    lower: Verification
    upper: Verification | None


def _check(path: Path, data: Dataset, matrix: Any, quiet: bool) -> _Proved:
    try:
        loaded = lf.Floor.load(path)
        config = loaded.summary()["adversary"]
        adversary = _from_matrix(config, matrix)
        with out.working("checking the proof", quiet=quiet):
            lower = loaded.verify(data.X, data.y, adversary=adversary)
            bounded = loaded.status == "bounds"
            upper = loaded.upper.verify(data.X, data.y, adversary=adversary) if bounded else None
            return _Proved(config, lower, upper)
    except UsageError:
        raise
    except (ValueError, TypeError) as error:
        # The data has been read, so it is the file that is wrong.
        raise CertificateError(f"{path} is rejected: {error}") from error
    except CertificateError as error:
        raise CertificateError(f"{path} is rejected: {error}") from error


def _from_matrix(config: dict[str, Any], matrix: Any) -> Adversary | None:
    """Return the adversary if a matrix is needed to make it."""
    from lossfloor.adversaries import CustomAdversary, Precomputed

    name = config.get("name")
    if name == CustomAdversary.name:
        raise UsageError("a result against a CustomAdversary can be verified in Python only, with its functions")
    if name != Precomputed.name:
        if matrix is not None:
            raise UsageError(f"--matrix goes with a result against a precomputed adversary, got one against {name!r}")
        return None
    if matrix is None:
        raise UsageError("this result is for a precomputed adversary: give its matrix with --matrix FILE")
    if config.get("matrix") == "conflicts":
        return Precomputed(conflicts=matrix)
    return Precomputed(distances=matrix, eps=config.get("eps"))


def _losses(verification: Verification) -> dict[str, float]:
    return {
        "cross_entropy": verification.cross_entropy,
        "zero_one": float(verification.zero_one),
        "brier": float(verification.brier),
    }


def _as_json(proved: _Proved, data: Dataset) -> dict[str, Any]:
    lower = proved.lower
    return {
        "status": "proved",
        **_losses(lower),
        **({} if proved.upper is None else {"upper": _losses(proved.upper)}),
        "adversary": proved.adversary,
        "n_examples": lower.n_examples,
        "n_blocks": lower.n_blocks,
        "n_flow_conflicts": lower.n_flow_conflicts,
        "n_pairs_excluded": lower.n_pairs_excluded,
        "data": out.data_json(data),
    }


def _print(path: Path, proved: _Proved, data: Dataset) -> None:
    lower, upper = proved.lower, proved.upper or proved.lower
    ends = {name: (value, _losses(upper)[name]) for name, value in _losses(lower).items()}
    out.print_fields(
        f"{path} is proved",
        {
            "cross-entropy": f"{out.bounds(ends['cross_entropy'])} nats",
            "0-1 loss": out.bounds(ends["zero_one"]),
            "Brier loss": out.bounds(ends["brier"]),
        },
        {"data": out.show_data(data), "adversary": _show(proved.adversary)},
    )
    rows = [
        ["labels", lower.n_examples, "match the data"],
        ["blocks", lower.n_blocks, "weights add up, posteriors increase"],
        ["conflicts that carry flow", lower.n_flow_conflicts, "do conflict, flow is as required"],
        ["pairs that must not conflict", lower.n_pairs_excluded, "do not"],
    ]
    out.print_table(["checked", "count", "result"], [[str(cell) for cell in row] for row in rows])


def _show(config: dict[str, Any]) -> str:
    from lossfloor.adversaries import Precomputed, from_config

    if config["name"] != Precomputed.name:
        return repr(from_config(config))
    budget = f", eps={config['eps']}" if "eps" in config else ""
    return f"Precomputed({config['matrix']}{budget})"
