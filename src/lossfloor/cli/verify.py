"""``lossfloor verify``: check the proof of a saved result."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lossfloor as lf
from lossfloor import certificates, exact
from lossfloor.cli import _adversary_options as adv
from lossfloor.cli import _data_options as opt
from lossfloor.cli import _print as out
from lossfloor.cli._errors import UsageError
from lossfloor.exceptions import CertificateError
from lossfloor.reporting.numbers import show_number

if TYPE_CHECKING:
    from lossfloor.datasets import Dataset

    _Stored = certificates.StoredFloor | certificates.StoredBounds

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
    examples = options.load()
    try:
        stored = _read(result)
        if isinstance(stored, certificates.StoredFloor):
            options.of_two_classes(examples)
        _check_matrix(stored.adversary, given)
        with out.working("checking the proof", quiet=quiet):
            proof = _check(result, stored, examples, given)
    except CertificateError as error:
        if json:
            out.print_json({"status": "rejected", "reason": str(error), "data": out.data_json(examples)})
        raise
    if json:
        out.print_json(_as_json(proof, examples))
    else:
        _print(result, proof, examples)


def _read(path: Path) -> _Stored:
    try:
        return certificates.read(path)
    except (ValueError, TypeError, CertificateError) as error:
        raise CertificateError(f"{path} is rejected: {error}") from error


def _check(path: Path, stored: _Stored, data: Dataset, matrix: Any) -> certificates.Proof:
    try:
        tests = _Tests(stored.adversary, data.X, len(data.y)) if certificates.needs_tests(stored) else None
        return stored.verify(data.X, data.y, matrix=matrix, tests=tests)
    except (ValueError, TypeError, CertificateError) as error:
        # The data has been read, so it is the file that is wrong.
        raise CertificateError(f"{path} is rejected: {error}") from error


def _check_matrix(config: dict[str, Any], matrix: Any) -> None:
    """Check that a matrix is given where one is needed."""
    name = config.get("name")
    if name == "custom":
        raise UsageError("a result against a CustomAdversary can be verified in Python only, with its functions")
    if name != "precomputed" and matrix is not None:
        raise UsageError(f"--matrix goes with a result against a precomputed adversary, got one against {name!r}")
    if name == "precomputed" and matrix is None:
        raise UsageError("this result is for a precomputed adversary: give its matrix with --matrix FILE")


class _Tests:
    """The tests of an adversary that the checker does not decide by itself; loads the adversaries."""

    def __init__(self, config: dict[str, Any], X: Any, n: int) -> None:
        from lossfloor.adversaries import from_config
        from lossfloor.conflicts.many_class import meeting_test

        self._adversary = from_config(config)
        self._data = self._adversary.as_data(X, n)
        self._meets = meeting_test(self._adversary, X, n)

    def conflict(self, u: int, v: int, *, undecided: bool) -> bool:
        import numpy as np

        found = self._adversary.conflict(self._data[u], self._data[v], index=np.array([u, v], dtype=np.intp))
        return undecided if found is None else found

    def meet(self, members: list[int]) -> bool:
        return bool(self._meets(members))


def _as_json(proof: certificates.Proof, data: Dataset) -> dict[str, Any]:
    # A lower bound that is a fraction is rounded down, so that it stays one.
    lower = {name: exact.bracket(Fraction(low))[0] for name, (low, _) in proof.losses.items()}
    upper = {name: float(high) for name, (_, high) in proof.losses.items() if high is not None}
    return {
        "status": "proved",
        **lower,
        **({"upper": upper} if upper else {}),
        "adversary": proof.adversary,
        "n_examples": proof.n_examples,
        **proof.counts,
        "data": out.data_json(data),
    }


def _print(path: Path, proof: certificates.Proof, data: Dataset) -> None:
    losses = {}
    for name, (low, high) in proof.losses.items():
        loss = lf.losses.resolve(name)
        shown = out.bounds((float(low), float(low if high is None else high)))
        losses[loss.label] = f"{out.at_least(low) if isinstance(low, Fraction) else shown} {loss.unit}".rstrip()
    fractions = any(isinstance(low, Fraction) for low, _ in proof.losses.values())
    title = f"{path} is proved" + (": no classifier can have a smaller loss than" if fractions else "")
    out.print_fields(title, losses, {"data": out.show_data(data), "adversary": _show(proof.adversary)})
    out.print_table(["checked", "count", "result"], proof.steps)


#: Families of norms as Python names them.
_NORMS = {"l1": "L1", "l2": "L2", "linf": "Linf", "lp": "Lp"}


def _show(config: dict[str, Any]) -> str:
    """Show an adversary by its configuration alone: to make it would load what is not needed."""
    name = str(config.get("name"))
    order = ("p", "eps", "unit")  # as Python shows norms
    keys = [key for key in order if key in config]
    keys += [key for key in config if key not in (*order, "name", "sha256")]
    values = [f"{key}={_short(config[key])}" for key in keys]
    return f"{_NORMS.get(name, name)}({', '.join(values)})"


def _short(value: Any) -> str:
    try:
        return show_number(Fraction(value))
    except (TypeError, ValueError, ArithmeticError):
        text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
