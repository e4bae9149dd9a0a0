"""Time against the number of examples and against eps (the paper's Figure 2), beside CVXOPT stopped at a limit."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import enlarged, fashion, in_fresh_process, seconds_of
from solvers import _graph, _ours

import lossfloor as lf
from lossfloor.conflicts import build

SIZES = (250, 500, 1000, 2000, 4000, 6000, 12_500, 25_000, 50_000)
#: Examples a class for CVXOPT against n, and for all against eps.
CVXOPT_SIZES = (100, 200, 400, 800, 1200, 1600, 2000, 3000)
FEW = 800
BUDGETS = ("3.0", "3.5", "4.0", "4.5", "5.0", "5.5", "6.0", "6.5", "7.0")


def rows(runs: int = 3) -> Iterator[dict[str, Any]]:
    for n in SIZES:
        own_runs = runs if n <= 6000 else 1
        X, y, unit = fashion(n) if n <= 6000 else enlarged(n)
        adversary = lf.L2("5.0", unit)
        seconds = [
            seconds_of(lambda X=X, y=y, adversary=adversary: lf.floor(X, y, adversary))[0] for _ in range(own_runs)
        ]
        graph = build(adversary, adversary.as_data(X, len(y)), np.searchsorted([3, 7], y))
        solving = [seconds_of(lambda graph=graph: _ours(graph))[0] for _ in range(own_runs)]
        yield {
            "what": "growth with n",
            "n": n,
            "eps": "5.0",
            "seconds": statistics.median(seconds),
            "solve_seconds": statistics.median(solving),
            "runs": own_runs,
        }
    for eps in BUDGETS:
        graph, _ = _graph(FEW, eps)
        X, y, unit = fashion(FEW)
        seconds = [
            seconds_of(lambda X=X, y=y, unit=unit, eps=eps: lf.floor(X, y, lf.L2(eps, unit)))[0] for _ in range(runs)
        ]
        solving = [seconds_of(lambda graph=graph: _ours(graph))[0] for _ in range(runs)]
        yield {
            "what": "growth with eps",
            "n": FEW,
            "eps": eps,
            "seconds": statistics.median(seconds),
            "solve_seconds": statistics.median(solving),
            "runs": runs,
        }


def cvxopt(limit: float, sizes: Sequence[int] = CVXOPT_SIZES) -> Iterator[dict[str, Any]]:
    """CVXOPT in a process of its own, stopped at `limit` seconds; larger sizes are not tried once one was stopped.

    Beside it our solve of the same graph, the best of five.
    """
    for n in sizes:
        row = _beside_cvxopt(n, "5.0", limit)
        yield {"what": "solve, growth with n", **row}
        if row["other_seconds"] is None:
            break
    for eps in BUDGETS:
        yield {"what": "solve, growth with eps", **_beside_cvxopt(FEW, eps, limit)}


def _beside_cvxopt(n: int, eps: str, limit: float) -> dict[str, Any]:
    code = (
        "from solvers import _graph, cvxopt_route\n"
        f"dense = _graph({n}, '{eps}')[1]; before = after = 0; began = time.perf_counter()\n"
        "value = cvxopt_route(dense); seconds = time.perf_counter() - began"
    )
    graph, _ = _graph(n, eps)
    own = min(seconds_of(lambda: _ours(graph))[0] for _ in range(5))
    row = {"n": n, "eps": eps, "against": "CVXOPT", "seconds": own, "runs": 1}
    try:
        theirs = in_fresh_process(code, timeout=limit)
    except subprocess.TimeoutExpired:
        return row | {"other_seconds": None, "checked": f"CVXOPT was stopped at {limit:g} s"}
    assert abs(theirs["value"] - _ours(graph)) < 1e-5, (n, eps, theirs)
    return row | {
        "other_seconds": theirs["seconds"],
        "ratio": own / theirs["seconds"],
        "checked": "cross-entropy to 1e-5",
    }


def picture(table: list[dict[str, Any]], path: Path) -> None:
    """Draw the table as the paper's Figure 2 does: logarithmic seconds against n and against eps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    by_n, by_eps = figure.subplots(1, 2)
    for axis, over, key in ((by_n, "n", "n"), (by_eps, "eps", "eps")):
        own = [row for row in table if row["what"] == f"growth with {over}"]
        theirs = [row for row in table if row["what"] == f"solve, growth with {over}" and row["other_seconds"]]
        for name, part, seconds, marker in (
            ("lossfloor, data to answer", own, "seconds", "o"),
            ("CVXOPT, solve only", theirs, "other_seconds", "^"),
            ("lossfloor, solve only", own, "solve_seconds", "s"),
        ):
            axis.plot([float(row[key]) for row in part], [row[seconds] for row in part], marker=marker, label=name)
    by_n.set(xscale="log", yscale="log", xlabel="examples a class", ylabel="seconds", title="eps = 5.0")
    by_eps.set(yscale="log", xlabel="eps (l2, pixels in [0, 1])", title=f"{FEW} examples a class")
    for axis in (by_n, by_eps):
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=120)
