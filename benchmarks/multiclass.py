"""More than two classes: how long the bounds take to meet, and the peer's route of listing all conflicts first.

python benchmarks/multiclass.py [--only rows all peer]

Fashion-MNIST, ten classes, the first n training images of each, l2, pixels in [0, 1].  Writes
`results/multiclass.json` and `results/multiclass.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import machine

import lossfloor as lf

RESULTS = Path(__file__).parent / "results"

#: n, eps, and for each loss what an earlier sketch gave (pairs only, all degrees) and its seconds, on one core of
#: another machine; None where it did not end.
KNOWN: list[tuple[int, str, dict[str, tuple[Any, Any, Any]]]] = [
    (500, "2.0", {"zero_one": (0.05360, 0.05437, 0.7), "cross_entropy": (0.08532, 0.08913, 0.3)}),
    (500, "2.5", {"zero_one": (0.17980, 0.18269, 1.2), "cross_entropy": (0.29808, 0.32295, 1.0)}),
    (500, "3.0", {"zero_one": (0.32830, 0.34802, 4.0), "cross_entropy": (0.49572, 0.60340, 1.4)}),
    (500, "3.5", {"zero_one": (0.41760, 0.47337, 11.0), "cross_entropy": (0.59535, 0.85033, 35.0)}),
    (500, "4.0", {"zero_one": (0.45430, 0.5614, 29.0), "cross_entropy": (0.6400, None, None)}),
    (1000, "3.0", {"zero_one": (0.34265, 0.36873, 92.0), "cross_entropy": (0.51637, 0.64803, 113.0)}),
    (2000, "2.5", {"zero_one": (None, 0.23229, 38.0), "cross_entropy": (0.36814, 0.41810, 29.0)}),
    (2000, "3.0", {"zero_one": (None, 0.38492, 74.0), "cross_entropy": (0.53018, None, None)}),
    (6000, "2.0", {"zero_one": (None, 0.11350, 9.0), "cross_entropy": (0.19459, 0.20504, 12.0)}),
    (6000, "2.5", {"zero_one": (0.24912, 0.26008, 83.0), "cross_entropy": (None, None, None)}),
]
#: The gap that is asked for where 1e-4 takes many minutes; and the one that the sketch stopped at, in a row of its own.
COARSER = {(500, "4.0", "cross_entropy"): 1e-2, (6000, "2.5", "cross_entropy"): 1e-2}
SKETCH_STOPPED = {(500, "4.0", "zero_one"): 6e-4}
#: Seconds after which a loss is left as it is, and below which the median of five runs counts.
LIMIT, SHORT = 300.0, 2.0


def images(n: int) -> tuple[Any, Any]:
    data = lf.load("fashion-mnist", n_per_class=n)
    return data.X, data.y


def rows() -> Iterator[dict[str, Any]]:
    """Every instance: the graph, then each loss with pairs only and with all degrees, each from nothing."""
    for n, eps, losses in KNOWN:
        X, y = images(n)
        for degree in (None, 2):
            asked = [(name, COARSER.get((n, eps, name), 1e-4)) for name in losses]
            if degree is None:
                asked += [(name, SKETCH_STOPPED[n, eps, name]) for name in losses if (n, eps, name) in SKETCH_STOPPED]
            for name, gap in asked:
                pairs, every, sketch = losses[name]
                seconds: list[float] = []
                while not seconds or (seconds[0] < SHORT and len(seconds) < 5):
                    floor = lf.floor(X, y, lf.L2(eps, unit=255), max_degree=degree, gap=gap, time_limit=LIMIT)
                    assert isinstance(floor, lf.MulticlassFloor)
                    seconds.append(floor.solution(name).seconds)
                found = floor.solution(name)
                upper = found.upper if degree is None else found.relaxed
                known = every if degree is None else pairs
                # Two intervals around one truth: ours, and the sketch's of 1e-4 or where it stopped.
                width = SKETCH_STOPPED.get((n, eps, name), 1e-4)
                checked = known is None or found.lower - width <= known <= upper + width
                assert checked, (n, eps, name, degree, found.lower, upper, known)
                row = {
                    "n": n,
                    "eps": eps,
                    "loss": name,
                    "degrees": "all" if degree is None else "pairs only",
                    "gap_asked": gap,
                    "lower": found.lower,
                    "upper": upper,
                    "gap": upper - found.lower,
                    "seconds": statistics.median(seconds),
                    "runs": len(seconds),
                    "graph_seconds": floor.seconds["graph"],
                    "rounds": found.rounds,
                    "complete": found.complete,
                    "known": known,
                }
                if degree is None and sketch is not None and gap == SKETCH_STOPPED.get((n, eps, name), gap):
                    row["sketch_seconds"], row["times_faster"] = sketch, sketch / statistics.median(seconds)
                yield row


def whole() -> Iterator[dict[str, Any]]:
    """All 60 000 images by the command, from the files to the printed bounds, with its peak memory."""
    for eps, gap in (("2.0", "1e-4"), ("2.5", "1e-4"), ("2.6", "1e-2"), ("2.7", "1e-2"), ("2.8", "1e-2")):
        command = [str(Path(sys.executable).parent / "lossfloor"), "floor", "fashion-mnist", "--all-classes"]
        command += ["--l2", eps, "--gap", gap, "--time-limit", "600", "--json"]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            told = json.load(process.stdout)
            _, _, usage = os.wait4(process.pid, 0)
        seconds, kilobytes = time.perf_counter() - began, usage.ru_maxrss
        yield {
            "what": "all 60 000 images, from the files to the printed bounds",
            "eps": eps,
            "gap_asked": gap,
            "seconds": seconds,
            "peak_gib": kilobytes / 2**20,
            **{f"{name}_lower": told[name] for name in ("cross_entropy", "zero_one")},
            **{f"{name}_upper": told["upper"][name] for name in ("cross_entropy", "zero_one")},
            "stages": told["seconds"],
            "complete": told["complete"],
        }


PEER = """
import json, resource, sys, time
import numpy as np
n, eps, degree, loss, limit = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
resource.setrlimit(resource.RLIMIT_AS, (int(limit * 2**30),) * 2)
sys.path.insert(0, sys.argv[6])
import multiclass
print(json.dumps(multiclass.peer_bound(n, eps, degree, loss)))
"""


def peer_bound(n: int, eps: str, degree: int, loss: str) -> dict[str, Any]:
    """List all conflicts of up to `degree` examples, then hand them to HiGHS or Clarabel.

    Who meets is decided by our core, which is faster than what the peer does; only listing and solving are its own.
    """
    from scipy import optimize, sparse

    X, y = images(n)
    began = time.perf_counter()
    floor = lf.floor(X, y, lf.L2(eps, unit=255))
    graph, meeting = floor._graph, floor._meeting  # the graph is not what is compared
    from lossfloor.solvers.many.separation import Separator

    graph_seconds = time.perf_counter() - began
    began = time.perf_counter()
    core = Separator(graph, meeting, 1)._core
    count = len(graph)
    beside = np.zeros((count, count), dtype=bool)
    beside[np.repeat(np.arange(count), graph.degrees), graph.targets] = True
    cliques = np.argwhere(np.triu(beside)).astype(np.int32)
    every = [cliques]
    for size in range(3, degree + 1):
        larger = []
        for part in np.array_split(cliques, max(1, len(cliques) // 200_000)):
            shared = beside[part[:, 0]]
            for column in part[:, 1:].T:
                shared = shared & beside[column]
            shared[np.arange(count)[None, :] <= part[:, -1:]] = False
            row, last = np.nonzero(shared)
            some = np.column_stack([part[row], last]).astype(np.int32)
            offsets = np.arange(0, size * len(some) + 1, size, dtype=np.int64)
            verdict = core.witness(offsets, np.ascontiguousarray(some.ravel()))[3]
            larger.append(some[verdict == 2])
        cliques = np.concatenate(larger)
        every.append(cliques)
    m = sum(map(len, every))
    entries = np.concatenate([some.ravel() for some in every])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([np.full(len(s), s.shape[1]) for s in every]))])
    matrix = sparse.csr_matrix((np.ones(len(entries)), entries, offsets), shape=(m, count))
    listed = time.perf_counter() - began
    if loss == "zero_one":
        answer = optimize.linprog(-np.ones(count), A_ub=matrix, b_ub=np.ones(m), bounds=(0, 1), method="highs")
        value = 1 + answer.fun / count
    else:
        import cvxpy as cp

        q = cp.Variable(count)
        alive = np.flatnonzero(graph.degrees > 0)
        problem = cp.Problem(cp.Minimize(-cp.sum(cp.log(q[alive])) / count), [q <= 1, matrix @ q <= 1])
        problem.solve(solver=cp.CLARABEL)
        value = float(problem.value)
    seconds = time.perf_counter() - began
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "conflicts": m,
        "list_seconds": listed,
        "seconds": seconds,
        "graph_seconds": graph_seconds,
        "value": value,
        "peak_gib": kilobytes / 2**20,
    }


#: For the peer's route: n, eps, losses, degrees.
LISTED: list[tuple[int, str, tuple[str, ...], tuple[int, ...]]] = [
    *((500, eps, ("zero_one", "cross_entropy"), (3, 4)) for eps in ("2.0", "2.5", "3.0", "3.5")),
    (1000, "3.0", ("zero_one", "cross_entropy"), (3,)),
    (2000, "3.0", ("zero_one",), (3,)),
]


def peer(
    memory_gib: float = 12.0, limit: float = 600.0, instances: Sequence[tuple[Any, ...]] = LISTED
) -> Iterator[dict[str, Any]]:
    here = str(Path(__file__).parent)
    for n, eps, losses, degrees in instances:
        X, y = images(n)
        floor = lf.floor(X, y, lf.L2(eps, unit=255))
        assert isinstance(floor, lf.MulticlassFloor)
        for loss in losses:
            ours = floor.solution(loss)
            for degree in degrees:
                row: dict[str, Any] = {"n": n, "eps": eps, "loss": loss, "degree": degree}
                row |= {"ours_lower": ours.lower, "ours_upper": ours.upper, "ours_seconds": ours.seconds}
                arguments = [sys.executable, "-c", PEER, str(n), eps, str(degree), loss, str(memory_gib), here]
                try:
                    done = subprocess.run(arguments, capture_output=True, text=True, timeout=limit)
                except subprocess.TimeoutExpired:
                    yield row | {"ended": f"not within {limit:g} s"}
                    continue
                if done.returncode == 0:
                    found = json.loads(done.stdout.splitlines()[-1])
                    assert found["value"] <= ours.upper + 1e-6, (row, found)
                    yield row | found | {"ended": "yes"}
                else:
                    last = done.stderr.strip().splitlines()[-1:] or ["killed"]
                    yield row | {"ended": f"no: {last[0][:60]} (limit {memory_gib:g} GiB)"}


def as_markdown(about: dict[str, Any], parts: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        "# More than two classes",
        "",
        "Fashion-MNIST, ten classes, l2. Made by `python benchmarks/multiclass.py` on:",
    ]
    lines += ["", *(f"- {name}: {value}" for name, value in about.items()), ""]
    titles = {
        "rows": "Bounds that meet (seconds without the graph; the sketch: one core of another machine)",
        "all": "All 60 000 images",
        "peer": "All conflicts up to a degree listed first, then HiGHS (0-1) or Clarabel (cross-entropy)",
    }
    for part, table in parts.items():
        lines += [f"## {titles[part]}", ""]
        columns = list(dict.fromkeys(name for row in table for name in row if name != "stages"))
        lines += ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
        for row in table:
            cells = [row.get(name) for name in columns]
            shown = ["-" if c is None else f"{c:.6g}" if isinstance(c, float) else str(c) for c in cells]
            lines.append("| " + " | ".join(shown) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parts = {"rows": rows, "all": whole, "peer": peer}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    options = parser.parse_args()
    table = RESULTS / "multiclass.json"
    kept: dict[str, Any] = json.loads(table.read_text()) if table.exists() else {"machine": {}, "parts": {}}
    kept["machine"] = machine()
    for name in options.only:
        found = []
        for row in parts[name]():
            print(json.dumps(row), flush=True)
            found.append(row)
        kept["parts"][name] = found
        table.write_text(json.dumps(kept, indent=1) + "\n")
        (RESULTS / "multiclass.md").write_text(as_markdown(kept["machine"], kept["parts"]))


if __name__ == "__main__":
    main()
