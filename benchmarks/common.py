"""What the benchmarks share: data, interleaved timing, the scipy route of the paper."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lossfloor as lf


def fashion(n_per_class: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return Fashion-MNIST 3 against 7 as flat uint8 rows, the labels, and the unit."""
    data = lf.load("fashion-mnist", classes=(3, 7), n_per_class=n_per_class)
    return data.X.reshape(len(data.X), -1), data.y, int(data.unit)


def enlarged(n_per_class: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return more examples than there are: the 6000 images a class drawn again, each with noise of 6 grey levels."""
    X, y, unit = fashion(6000)
    rng = np.random.default_rng(0)

    def more(images: np.ndarray) -> np.ndarray:
        out = np.empty((n_per_class, images.shape[1]), np.uint8)
        for start in range(0, n_per_class, 1000):
            part = images[rng.integers(0, len(images), min(1000, n_per_class - start))].astype(np.int16)
            part += rng.integers(-6, 7, part.shape, dtype=np.int16)
            out[start : start + 1000] = np.clip(part, 0, 255)
        return out

    return np.concatenate([more(X[y == 3]), more(X[y == 7])]), np.repeat([3, 7], n_per_class), unit


def yardstick(A: np.ndarray, B: np.ndarray) -> Callable[[], Any]:
    """Return one float32 matrix product of the shape of the instance."""
    left, right = A.astype(np.float32), B.astype(np.float32)
    return lambda: left @ right.T


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], runs: int = 5) -> dict[str, Any]:
    """Time two calls in turn; return the median of the ratios, the median seconds, and both answers."""
    ours(), theirs()
    ratios, a_seconds, b_seconds = [], [], []
    for _ in range(runs):
        # The threads of a BLAS wait for more work on their cores for a while, which is no part of the next call.
        time.sleep(0.1)
        b, their_answer = seconds_of(theirs)
        time.sleep(0.1)
        a, our_answer = seconds_of(ours)
        ratios.append(a / b)
        a_seconds.append(a)
        b_seconds.append(b)
    return {
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "seconds": statistics.median(a_seconds),
        "other_seconds": statistics.median(b_seconds),
        "runs": runs,
        "answers": (our_answer, their_answer),
    }


def machine() -> dict[str, Any]:
    """Describe the machine that the figures belong to."""
    model = platform.processor()
    try:
        with open("/proc/cpuinfo") as lines:
            model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = {name: __import__(name).__version__ for name in ("numpy", "scipy", "sklearn")}
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "kernels": _kernels(),
        "blas": _blas(),
        "load": os.getloadavg()[0],
        **versions,
    }


def _blas() -> str:
    """Name the library behind numpy's products and the processor that its kernels are for: what G is measured with."""
    from threadpoolctl import threadpool_info

    np.ones((2, 2), np.float32) @ np.ones((2, 2), np.float32)
    found = next(one for one in threadpool_info() if one["user_api"] == "blas" and "numpy" in one["filepath"])
    name, threads = f"{found['internal_api']} {found['version']}", found["num_threads"]
    return f"{name}, {found.get('architecture', '?')} kernels, {threads} threads"


def _kernels() -> str:
    from lossfloor import _core

    return str(_core.StripsI16("l2", np.zeros((1, 1), dtype=np.int16)).kernel)


def in_fresh_process(code: str, timeout: float | None = None) -> dict[str, float]:
    """Run code in a new interpreter; return wall seconds, the rise of peak memory above `baseline()`, and `value`."""
    # What counts is the rise from where the data are loaded and the code has run once on few examples, so that the
    # program itself is in memory. Linux can forget the peak so far; what was freed is given back to it first.
    prelude = """
import ctypes, gc, time
def status(key):
    return int(next(line for line in open("/proc/self/status") if line.startswith(key)).split()[1]) / 1024
def baseline():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    open("/proc/self/clear_refs", "w").write("5")
    return status("VmRSS")
def peak():
    return status("VmHWM")
"""
    script = prelude + "value = 0.0\n" + code + "\nprint(seconds, after - before, value)"
    command = [sys.executable, "-c", script]
    here = Path(__file__).parent
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=here, timeout=timeout)
    seconds, megabytes, value = map(float, result.stdout.split()[-3:])
    return {"seconds": seconds, "megabytes": megabytes, "value": value}


def scipy_route(conflicts: np.ndarray, *, dense: bool = False) -> tuple[float, int]:
    """Solve as the paper describes: recursive max-flow by SciPy.

    Parameters
    ----------
    conflicts : ndarray of bool, shape (n, m)
    dense : bool
        Make each network as a dense matrix of capacities first, as the paper does; without it, edge by edge.

    Returns
    -------
    cross_entropy : float
        Nats, mean over the examples.
    n_flows : int
    """
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    make = _dense_network if dense else _sparse_network
    total, n_flows = 0.0, 0
    todo = [(np.arange(conflicts.shape[0]), np.arange(conflicts.shape[1]))]
    while todo:
        left, right = todo.pop()
        a, b = len(left), len(right)
        if a == 0 or b == 0:
            continue
        n_flows += 1
        source, sink = a + b, a + b + 1
        network = make(conflicts[np.ix_(left, right)])
        flow = maximum_flow(network, source, sink, method="dinic")
        if flow.flow_value == a * b:
            total += a * np.log1p(b / a) + b * np.log1p(a / b)
            continue
        residual = network - flow.flow
        residual.data[residual.data < 0] = 0
        residual.eliminate_zeros()
        reached = np.zeros(a + b + 2, dtype=bool)
        reached[breadth_first_order(residual, source, return_predecessors=False)] = True
        upper_left, upper_right = reached[:a], reached[a : a + b]
        todo.append((left[upper_left], right[upper_right]))
        todo.append((left[~upper_left], right[~upper_right]))
    return total / sum(conflicts.shape), n_flows


def _sparse_network(edges: np.ndarray) -> Any:
    from scipy import sparse

    a, b = edges.shape
    rows, columns = np.nonzero(edges)
    source, sink = a + b, a + b + 1
    tails = np.concatenate([np.full(a, source), rows, a + np.arange(b)])
    heads = np.concatenate([np.arange(a), a + columns, np.full(b, sink)])
    capacity = np.concatenate([np.full(a, b), np.full(len(rows), a * b), np.full(b, a)]).astype(np.int32)
    return sparse.csr_matrix((capacity, (tails, heads)), shape=(a + b + 2, a + b + 2))


def _dense_network(edges: np.ndarray) -> Any:
    from scipy import sparse

    a, b = edges.shape
    capacity = np.zeros((a + b + 2, a + b + 2), dtype=np.int32)  # the smallest type that SciPy's max-flow takes
    capacity[:a, a : a + b] = edges * np.int32(a * b)
    capacity[a + b, :a] = b
    capacity[a : a + b, a + b + 1] = a
    return sparse.csr_matrix(capacity)
