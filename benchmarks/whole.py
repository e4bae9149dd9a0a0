"""`lossfloor.floor` and `lossfloor.curve` from data to answer: time and memory."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from common import fashion, in_fresh_process, ratio, yardstick

import lossfloor as lf


def rows(runs: int = 5) -> Iterator[dict[str, Any]]:
    for n, eps in ((5000, "5.0"), (6000, "5.0"), (6000, "4.0")):
        X, y, unit = fashion(n)
        G = yardstick(X[y == 3], X[y == 7])
        timed = ratio(lambda X=X, y=y, eps=eps, unit=unit: lf.floor(X, y, lf.L2(eps, unit)), G, runs)
        floor = timed.pop("answers")[0]
        floor.verify()
        yield {
            "what": f"floor, {n} a class",
            "eps": eps,
            "against": "G",
            "checked": "certificate verified",
            "cross_entropy": floor.cross_entropy,
            **timed,
        }
    X, y, unit = fashion(6000)
    G = yardstick(X[y == 3], X[y == 7])
    grid = [k / 5 for k in range(41)]
    timed = ratio(lambda: lf.curve(X, y, lf.L2, eps=grid, unit=unit), G, runs)
    curve = timed.pop("answers")[0]
    for i in (20, 23, 25):
        assert curve.cross_entropy[i] == lf.floor(X, y, lf.L2(grid[i], unit)).cross_entropy
    yield {
        "what": "curve of 41 budgets from 0 to 8, 6000 a class",
        "eps": "0 to 8",
        "against": "G",
        "checked": "three points solved alone",
        **timed,
    }


OURS = "import lossfloor as lf\ndef run(X, y, unit, eps): return lf.floor(X, y, lf.L2(eps, unit)).cross_entropy"
PAPER = """
from common import scipy_route
from scipy.spatial.distance import cdist
def run(X, y, unit, eps):
    return scipy_route(cdist(X[y == 3] / unit, X[y == 7] / unit) <= 2 * float(eps), dense=True)[0]
"""


def _measured(route: str, n: int, eps: str, runs: int = 5) -> dict[str, Any]:
    """Run a route in processes of their own; return the medians."""
    code = (
        f"{route}\nfrom common import fashion\nrun(*fashion(800), '{eps}')\n"
        f"X, y, unit = fashion({n}); before = baseline(); began = time.perf_counter()\n"
        f"value = run(X, y, unit, '{eps}'); seconds = time.perf_counter() - began; after = peak()"
    )
    figures = [in_fresh_process(code) for _ in range(runs)]
    return {key: statistics.median(figure[key] for figure in figures) for key in figures[0]} | {"runs": runs}


def memory() -> Iterator[dict[str, Any]]:
    """Peak memory beyond the data, each in a process of its own."""
    for n, eps in ((5000, "5.0"), (6000, "5.0")):
        figure = _measured(OURS, n, eps)
        yield {
            "what": f"peak memory of floor beyond the data, {n} a class",
            "eps": eps,
            "against": "-",
            "megabytes": figure["megabytes"],
            "seconds": figure["seconds"],
            "runs": figure["runs"],
            "checked": "-",
        }


def paper_route(n: int = 5000, eps: str = "5.0") -> Iterator[dict[str, Any]]:
    """The route of the paper from data to answer (cdist, dense capacities, max-flow), once, with its memory."""
    theirs = _measured(PAPER, n, eps, runs=1)
    ours = _measured(OURS, n, eps)
    assert abs(ours["value"] - theirs["value"]) < 1e-9
    yield {
        "what": f"floor from data to answer, {n} a class",
        "eps": eps,
        "against": "the paper's route",
        "ratio": ours["seconds"] / theirs["seconds"],
        "seconds": ours["seconds"],
        "other_seconds": theirs["seconds"],
        "memory_ratio": theirs["megabytes"] / max(ours["megabytes"], 1.0),
        "megabytes": ours["megabytes"],
        "other_megabytes": theirs["megabytes"],
        "runs": ours["runs"],
        "checked": "cross-entropy to 1e-9",
    }


def large(n: int = 50_000, eps: str = "4.0") -> Iterator[dict[str, Any]]:
    """50 000 against 50 000, in a process of its own; G from a fifth of the rows, so that it does not take minutes."""
    code = (
        "from common import enlarged; import lossfloor as lf, lossfloor.floors, numpy as np, gc\n"
        f"X, y, unit = enlarged({n}); n = {n}\n"
        "A, B = X[:n].astype(np.float32), X[n:].astype(np.float32); C = np.empty((1000, n), np.float32)\n"
        "np.matmul(A[:1000], B.T, out=C); began = time.perf_counter()\n"
        "for i in range(0, n // 5, 1000): np.matmul(A[i : i + 1000], B.T, out=C)\n"
        "value = 5 * (time.perf_counter() - began); del A, B, C; gc.collect()\n"
        "before = baseline(); began = time.perf_counter()\n"
        f"f = lf.floor(X, y, lf.L2('{eps}', unit)); f.cross_entropy; seconds = time.perf_counter() - began\n"
        "after = peak(); f.verify()"
    )
    figure = in_fresh_process(code)
    yield {
        "what": f"floor, {n} a class (real images with noise of 6 grey levels)",
        "eps": eps,
        "against": "G (from a fifth of its rows)",
        "ratio": figure["seconds"] / figure["value"],
        "seconds": figure["seconds"],
        "other_seconds": figure["value"],
        "megabytes": figure["megabytes"],
        "runs": 1,
        "checked": "certificate verified",
    }
