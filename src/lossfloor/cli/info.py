"""``lossfloor info``: what is installed, which data are available, and how they would be processed."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lossfloor as lf
from lossfloor.cli import _data_options as opt
from lossfloor.cli import _print as out

if TYPE_CHECKING:
    from lossfloor.datasets import Dataset

EPILOG = """[bold]Examples[/bold]

lossfloor info

lossfloor info fashion-mnist --classes 3 7"""


def command(
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help="A data set to describe, as for the command floor.", show_default=False),
    ] = None,
    classes: opt.Classes = None,
    n_per_class: opt.NPerClass = None,
    split: opt.Split = "train",
    data_dir: opt.DataDir = None,
    label: opt.Label = None,
    unit: opt.Unit = None,
    json: opt.Json = False,
) -> None:
    """Show what is installed and which data sets are available, or describe one of them."""
    if data is None:
        _tell_installation(data_dir, json)
    else:
        _tell_data(opt.DataOptions(data, classes, n_per_class, split, data_dir, label, unit).load(), json)


def _tell_installation(data_dir: Path | None, json: bool) -> None:
    from lossfloor import _core
    from lossfloor.datasets import available
    from lossfloor.distances.sweep import thread_count

    kernels, sets = _kernels(), available(data_dir=data_dir)
    used, usable = _core.isa_in_use(), _core.available_isas()
    if json:
        out.print_json(
            {
                "version": lf.__version__,
                "python": platform.python_version(),
                "machine": platform.machine(),
                "isa": {"used": used, "available": usable},
                "kernels": kernels,
                "threads": thread_count(),
                "datasets": {name: known._asdict() for name, known in sets.items()},
            }
        )
        return
    out.print_fields(
        f"lossfloor {lf.__version__}",
        {
            "Python": platform.python_version(),
            "machine": platform.machine(),
            "instructions": f"{used}; available: {', '.join(usable)} (LOSSFLOOR_ISA)",
            "kernels": ", ".join(f"{dtype}: {kernel}" for dtype, kernel in kernels.items()),
            "threads": f"{thread_count()} (LOSSFLOOR_NUM_THREADS)",
        },
    )
    rows = [[name, "yes" if known.found else "no", known.description] for name, known in sets.items()]
    out.print_table(["data set", "available", "description"], rows)


def _kernels() -> dict[str, str]:
    """Return the kernel that this processor gets, by the type of the data."""
    import numpy as np

    from lossfloor import _core

    def one(dtype: type[np.generic]) -> Any:
        return np.zeros((1, 1), dtype)

    return {
        "uint8": _core.StripsU8("l1", one(np.uint8)).kernel,
        "int16": _core.StripsI16("l2", one(np.int16)).kernel,
        "float32": _core.StripsF32("l2", one(np.float32)).kernel,
        "float64": _core.StripsF64("l2", one(np.float64)).kernel,
    }


def _tell_data(data: Dataset, json: bool) -> None:
    routes = _routes(data)
    if json:
        values = {**out.data_json(data), "unit": out.unit_json(data.unit)}
        values["counts"] = {str(label): count for label, count in data.counts.items()}
        out.print_json({**values, "routes": routes})
        return
    out.print_fields(
        data.name,
        {
            "source": data.source,
            "examples": f"{len(data.X)}, each of shape {data.X.shape[1:]}, {data.X.dtype}",
            "values": f"from {data.X.min()} to {data.X.max()}",
            "unit": out.show_unit(data.unit),
        },
        {f"{norm} distances": route for norm, route in routes.items()},
    )
    rows = [[out.show_class(label, data), str(count)] for label, count in data.counts.items()]
    out.print_table(["class", "examples"], rows)


def _routes(data: Dataset) -> dict[str, str]:
    """Return how the distances of the first two classes would be computed, by norm."""
    import numpy as np

    labels = list(data.counts)
    if len(labels) < 2:
        return {}
    balls = {"l2": lf.L2(0), "l1": lf.L1(0), "linf": lf.Linf(0)}
    routes = {}
    for norm, ball in balls.items():
        points = ball.as_data(data.X, len(data.X))
        left, right = (points[np.flatnonzero(data.y == label)] for label in labels[:2])
        routes[norm] = ball.sweep(left, right).description
    return routes
