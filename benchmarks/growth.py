"""Time against the number of examples and against eps (the paper's Figure 2), beside CVXOPT stopped at a limit."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import enlarged, fashion, in_fresh_process, seconds_of
from solvers import _graph, _ours

import lossfloor as lf
from lossfloor.conflicts import build

SIZES = (250, 500, 1000, 2000, 4000, 6000, 12_500, 25_000, 50_000)
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
        graph, _ = _graph(2000, eps)
        X, y, unit = fashion(2000)
        seconds = [
            seconds_of(lambda X=X, y=y, unit=unit, eps=eps: lf.floor(X, y, lf.L2(eps, unit)))[0] for _ in range(runs)
        ]
        solving = [seconds_of(lambda graph=graph: _ours(graph))[0] for _ in range(runs)]
        yield {
            "what": "growth with eps",
            "n": 2000,
            "eps": eps,
            "seconds": statistics.median(seconds),
            "solve_seconds": statistics.median(solving),
            "runs": runs,
        }


def cvxopt(
    limit: float, sizes: tuple[int, ...] = (100, 200, 400, 800, 1200, 1600, 2000, 3000)
) -> Iterator[dict[str, Any]]:
    """CVXOPT in a process of its own, stopped at `limit` seconds; larger sizes are not tried once one was stopped."""
    import subprocess

    for n in sizes:
        code = (
            "from solvers import _graph, cvxopt_route\n"
            f"dense = _graph({n}, '5.0')[1]; before = after = 0; began = time.perf_counter()\n"
            "cvxopt_route(dense); seconds = time.perf_counter() - began"
        )
        try:
            seconds = in_fresh_process(code, timeout=limit)["seconds"]
        except subprocess.TimeoutExpired:
            yield {"what": "CVXOPT", "n": n, "eps": "5.0", "seconds": None, "stopped_at": limit, "runs": 1}
            return
        yield {"what": "CVXOPT", "n": n, "eps": "5.0", "seconds": seconds, "runs": 1}


def picture(table: list[dict[str, Any]], path: Path) -> None:
    """Draw the table as the paper's Figure 2 does: logarithmic seconds against n and against eps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    by_n, by_eps = figure.subplots(1, 2)
    for name, kind, x in (("lossfloor, data to answer", "growth with n", "n"), ("CVXOPT, solve only", "CVXOPT", "n")):
        part = [row for row in table if row["what"] == kind and row["seconds"] is not None]
        by_n.plot([row[x] for row in part], [row["seconds"] for row in part], marker="o", label=name)
    part = [row for row in table if row["what"] == "growth with n"]
    by_n.plot(
        [row["n"] for row in part], [row["solve_seconds"] for row in part], marker="s", label="lossfloor, solve only"
    )
    by_n.set(xscale="log", yscale="log", xlabel="examples a class", ylabel="seconds", title="eps = 5.0")
    part = [row for row in table if row["what"] == "growth with eps"]
    eps = np.array([float(row["eps"]) for row in part])
    by_eps.plot(eps, [row["seconds"] for row in part], marker="o", label="lossfloor, data to answer")
    by_eps.plot(eps, [row["solve_seconds"] for row in part], marker="s", label="lossfloor, solve only")
    by_eps.set(yscale="log", xlabel="eps (l2, pixels in [0, 1])", title="2000 examples a class")
    for axis in (by_n, by_eps):
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=120)
