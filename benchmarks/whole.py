"""`lossfloor.floor` and `lossfloor.curve` from data to answer: time and memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from common import fashion, in_fresh_process, ratio, scipy_route, yardstick

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


def memory() -> Iterator[dict[str, Any]]:
    """Peak memory beyond the data, each in a process of its own."""
    for n, eps in ((5000, "5.0"), (6000, "5.0")):
        figure = in_fresh_process(
            "from common import fashion; import lossfloor as lf; import lossfloor.floors\n"
            f"X, y, unit = fashion({n}); before = baseline(); began = time.perf_counter()\n"
            f"lf.floor(X, y, lf.L2('{eps}', unit)).cross_entropy; seconds = time.perf_counter() - began; after = peak()"
        )
        yield {
            "what": f"peak memory of floor beyond the data, {n} a class",
            "eps": eps,
            "against": "-",
            "megabytes": figure["megabytes"],
            "seconds": figure["seconds"],
            "runs": 1,
            "checked": "-",
        }


def paper_route(n: int = 5000, eps: str = "5.0") -> Iterator[dict[str, Any]]:
    """The route of the paper from data to answer (cdist, dense capacities, max-flow), once, with its memory."""
    theirs = in_fresh_process(
        "from common import fashion, scipy_route; from scipy.spatial.distance import cdist; import numpy as np\n"
        f"X, y, unit = fashion({n}); before = baseline(); began = time.perf_counter()\n"
        f"value = scipy_route(cdist(X[y == 3] / 255, X[y == 7] / 255) <= 2 * {eps})[0]\n"
        "seconds = time.perf_counter() - began; after = peak()"
    )
    ours = in_fresh_process(
        "from common import fashion; import lossfloor as lf; import lossfloor.floors\n"
        f"X, y, unit = fashion({n}); before = baseline(); began = time.perf_counter()\n"
        f"lf.floor(X, y, lf.L2('{eps}', unit)).cross_entropy; seconds = time.perf_counter() - began; after = peak()"
    )
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
        "runs": 1,
        "checked": "see the row of the solver",
    }


def large(n: int = 50_000, eps: str = "4.0") -> Iterator[dict[str, Any]]:
    """50 000 against 50 000: the 6000 images a class of Fashion-MNIST, drawn again and again with noise on each."""
    code = (
        "from common import fashion; import lossfloor as lf, lossfloor.floors, numpy as np\n"
        f"X, y, unit = fashion(6000); rng = np.random.default_rng(0); n = {n}\n"
        "def more(P):\n"
        "    rows = rng.integers(0, len(P), n); out = P[rows].astype(np.int16)\n"
        "    out += rng.integers(-6, 7, out.shape, dtype=np.int16); return np.clip(out, 0, 255).astype(np.uint8)\n"
        "X = np.concatenate([more(X[y == 3]), more(X[y == 7])]); y = np.repeat([3, 7], n)\n"
        "A, B = X[:n].astype(np.float32), X[n:].astype(np.float32); C = np.empty((500, n), np.float32)\n"
        "t = time.perf_counter()\n"
        "for i in range(0, 10000, 500): np.matmul(A[i:i+500], B.T, out=C)\n"
        "G = (time.perf_counter() - t) * n / 10000; del A, B, C\n"
        "import gc; gc.collect(); now = int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20\n"
        "open('/proc/self/clear_refs', 'w').write('5'); began = time.perf_counter()\n"
        f"f = lf.floor(X, y, lf.L2('{eps}', unit)); taken = time.perf_counter() - began\n"
        "top = [l for l in open('/proc/self/status') if l.startswith('VmHWM')][0].split()[1]\n"
        "seconds = taken / G; before = now; after = int(top) / 1024; print(f, G, taken)"
    )
    figure = in_fresh_process(code)
    yield {
        "what": f"floor, {n} a class (real images with noise of 6 grey levels)",
        "eps": eps,
        "against": "G (from a fifth of it, in strips)",
        "ratio": figure["seconds"],
        "megabytes": figure["megabytes"],
        "runs": 1,
        "checked": "-",
    }


def paper_value(n: int = 1000) -> float:
    """The cross-entropy by the paper's route on a small instance, for a check by hand."""
    X, y, _ = fashion(n)
    from scipy.spatial.distance import cdist

    return scipy_route(cdist(X[y == 3] / 255, X[y == 7] / 255) <= np.float64(10.0))[0]
