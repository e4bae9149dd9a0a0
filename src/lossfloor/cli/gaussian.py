"""``lossfloor gaussian``: the floor of a population of two normal distributions."""

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
    import numpy as np
    import numpy.typing as npt

    from lossfloor.populations.gaussian import GaussianFloor

EPILOG = """[bold]Examples[/bold]

lossfloor gaussian --mean 1,0.5 --covariance 1,2 --l2 0.4

lossfloor gaussian --mean 1,0.5 --covariance '1,0.3;0.3,2' --linf 0.2 --prior 0.25 --json

lossfloor gaussian --mean mean.csv --covariance covariance.npy --box 0.1,0.2 --sample 1000 --save sample.npz"""

SAMPLE_FORMAT = "lossfloor-gaussian-sample-1"
_POPULATION = "Population"


def _population_option(flag: str, metavar: str, what: str, *, given: bool = False) -> Any:
    return typer.Option(flag, metavar=metavar, help=what, rich_help_panel=_POPULATION, show_default=given)


def command(
    mean: Annotated[
        str,
        _population_option(
            "--mean", "NUMBERS", "Mean of the first class: 1,0.5 or a file (.npy without objects, .csv, .txt)."
        ),
    ],
    covariance: Annotated[
        str,
        _population_option(
            "--covariance",
            "NUMBERS",
            "Common covariance: a number, a diagonal such as 1,2, a matrix such as 1,0.3;0.3,2, or a file.",
        ),
    ],
    second_mean: Annotated[
        str | None,
        _population_option("--second-mean", "NUMBERS", "Mean of the second class; minus the first by default."),
    ] = None,
    prior: Annotated[str, _population_option("--prior", "P", "Probability of the first class.", given=True)] = "0.5",
    l2: Annotated[str | None, opt.adversary_option("--l2", "EPS", "Euclidean distance of at most EPS.")] = None,
    l1: Annotated[str | None, opt.adversary_option("--l1", "EPS", "Sum of absolute changes of at most EPS.")] = None,
    linf: Annotated[str | None, opt.adversary_option("--linf", "EPS", "Change of each feature of at most EPS.")] = None,
    lp: Annotated[
        tuple[str, str] | None,
        opt.adversary_option("--lp", "P EPS", "Norm of order P >= 1, at most EPS."),
    ] = None,
    box: Annotated[
        str | None,
        opt.adversary_option("--box", "NUMBERS", "Largest change per feature, one budget each."),
    ] = None,
    ellipsoid: Annotated[
        tuple[str, str] | None,
        opt.adversary_option(
            "--ellipsoid", "MATRIX EPS", "Any z with a Mahalanobis norm sqrt(z' MATRIX z) of at most EPS."
        ),
    ] = None,
    unit: Annotated[
        str, opt.adversary_option("--unit", "U", "How many data units make one unit of eps; 1 by default.")
    ] = "1",
    loss: Annotated[
        list[str] | None,
        opt.output_option("--loss", "NAME", "Another loss to show, such as spherical; can be repeated."),
    ] = None,
    sample: Annotated[
        int | None, opt.output_option("--sample", "N", "Draw N examples with their worst moves; requires --save.")
    ] = None,
    seed: Annotated[int, opt.output_option("--seed", "SEED", "Seed of the sample; 0 by default.")] = 0,
    save: Annotated[
        Path | None, opt.output_option("--save", "FILE", "Where to write the sample (.npz: X, y, X_adversarial).")
    ] = None,
    json: opt.Json = False,
) -> None:
    """Compute the smallest robust loss of any classifier on two normal distributions with a common covariance.

    No data are needed: this is the floor of the population itself, which the floors of samples approach from below.
    """
    from lossfloor.populations.gaussian import gaussian_floor

    if (sample is None) != (save is None):
        raise UsageError("--sample and --save go together")
    if seed < 0:
        raise UsageError(f"--seed must be at least 0, got {seed}")
    opt.check_outputs(save=save)
    losses = [lf.losses.resolve(name) for name in loss or []]
    adversary = _adversary(l1=l1, l2=l2, linf=linf, lp=lp, box=box, ellipsoid=ellipsoid, unit=unit)
    result = gaussian_floor(
        _numbers("--mean", mean),
        _covariance(covariance),
        adversary,
        prior,
        second_mean=None if second_mean is None else _numbers("--second-mean", second_mean),
    )
    more = {chosen.name: result.loss(chosen) for chosen in losses}
    if save is not None and sample is not None:
        _save_sample(save, result, sample, seed)
    if json:
        out.print_json(result.summary() | ({"losses": more} if more else {}))
    else:
        _print(result, more)


def _adversary(
    *,
    l1: str | None,
    l2: str | None,
    linf: str | None,
    lp: tuple[str, str] | None,
    box: str | None,
    ellipsoid: tuple[str, str] | None,
    unit: str,
) -> Any:
    """Make the one adversary that the options describe."""
    norms = {"l1": l1, "l2": l2, "linf": linf, "lp": lp}
    others = [f"--{name}" for name, value in (("box", box), ("ellipsoid", ellipsoid)) if value is not None]
    if not others:
        return adv.one_norm(l2=l2, l1=l1, linf=linf, lp=lp, unit=unit)
    given = [*(f"--{name}" for name, value in norms.items() if value is not None), *others]
    if len(given) > 1:
        raise UsageError(f"give exactly one adversary, got {' and '.join(given)}")
    from lossfloor.adversaries import Box, Ellipsoid

    if box is not None:
        budgets = [part.strip() for part in box.split(",")]
        return Box(budgets, budgets, unit=unit)
    if ellipsoid is None:
        raise UsageError("give an adversary")
    return Ellipsoid(_matrix("--ellipsoid", ellipsoid[0]), ellipsoid[1], unit=unit)


def _covariance(text: str) -> npt.NDArray[np.float64] | float:
    """Read a number, a diagonal or a matrix."""
    values = _matrix("--covariance", text)
    if values.shape == (1, 1):
        return float(values[0, 0])
    return values[0] if len(values) == 1 else values


def _numbers(flag: str, text: str) -> npt.NDArray[np.float64]:
    """Read a vector."""
    values = _matrix(flag, text)
    if 1 not in values.shape:
        raise UsageError(f"{flag} must be one row of numbers, got {values.shape[0]} x {values.shape[1]}")
    return values.ravel()


def _matrix(flag: str, text: str) -> npt.NDArray[np.float64]:
    """Read rows of numbers, from the command line or from a file that it names; a vector is one row."""
    import numpy as np

    path = Path(text)
    try:
        if path.suffix == ".npy":
            # Mapped, a file that claims more than it holds is refused before memory is taken.
            values = np.array(np.load(path, mmap_mode="r", allow_pickle=False), dtype=np.float64)
        elif path.suffix in (".csv", ".txt"):
            values = np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None, ndmin=1)
        else:
            rows = [[float(part) for part in row.split(",")] for row in text.split(";")]
            values = np.array(rows)
    except (ValueError, TypeError, EOFError) as error:
        raise UsageError(f"{flag} must be numbers such as 1,0.5 or a .npy, .csv or .txt file: {error}") from None
    if values.ndim > 2 or values.size == 0:
        raise UsageError(f"{flag} must be a row or a matrix of numbers, got shape {values.shape}")
    return np.atleast_2d(values)


def _save_sample(path: Path, result: GaussianFloor, n: int, seed: int) -> None:
    import numpy as np

    from lossfloor._files import write_arrays

    X, y, X_adversarial = result.sample(n, random_state=seed)
    write_arrays(path, SAMPLE_FORMAT, X=X, y=y, X_adversarial=X_adversarial, seed=np.array(seed))


def _print(result: GaussianFloor, more: dict[str, float]) -> None:
    losses = {
        "cross-entropy": f"{out.number(result.cross_entropy)} nats",
        "0-1 loss": out.number(result.zero_one),
        "Brier loss": out.number(result.brier),
    }
    for name, value in more.items():
        losses[name.replace("_", "-")] = out.number(value)
    lower = result.separation_lower
    features = f"{len(result.mean)} feature{'s' * (len(result.mean) != 1)}"
    out.print_fields(
        "Smallest robust loss any classifier could achieve (expected, over the population)",
        losses,
        {
            "separation": f"{out.number(result.separation)} (proved to be at least {out.number(lower)})",
            "worst move": _show(result.shift, "of either class towards the other"),
            "log-odds": f"{_show(result.coef, 'times the features')}, plus {result.intercept:.6g}",
            "population": f"{features}, first class with probability {result.prior:g}",
            "adversary": repr(result.adversary),
        },
    )


def _show(vector: npt.NDArray[np.float64], what: str) -> str:
    shown = ", ".join(f"{value:.6g}" for value in vector[:6])
    return f"({shown}{', ...' if len(vector) > 6 else ''}) {what}"
