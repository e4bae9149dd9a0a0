"""Random trials of the public face against independent oracles: linear programs, fractions, other doors.

    python tests/soak/trials.py --seconds 600 --seed 1 [--only graphs many ...]

Trials run in child processes, so that a crash or a solve that does not end is a result as well.  Every mismatch
prints what repeats it: ``python tests/soak/trials.py --kind many --one SEED``.  The exit status is 1 if there was any.
"""

from __future__ import annotations

import argparse
import itertools
import math
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

import lossfloor as lf

Rows = set[tuple[int, ...]]
Random = np.random.Generator


# Oracles.


def packing(n: int, conflicts: Rows, weight: Any) -> float:
    """Return the 0-1 floor: one less the largest weighted mean of q with q(e) <= 1 on each conflict."""
    rows = list(conflicts)
    if not rows:
        return 0.0
    index = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    ones = np.ones(len(index))
    matrix = sparse.csr_array((ones, (index, np.concatenate([list(row) for row in rows]))), (len(rows), n))
    solved = linprog(-weight, A_ub=matrix, b_ub=np.ones(len(rows)), bounds=[(0, 1)] * n, method="highs")
    return 1 + float(solved.fun) / float(weight.sum())


def piecewise(n: int, conflicts: Rows, lines: list[tuple[float, float]]) -> float:
    """Return the smallest mean of the largest of some lines in q."""
    entries = [(k, v, 1.0) for k, row in enumerate(conflicts) for v in row]
    right = [1.0] * len(conflicts)
    for v, (slope, offset) in itertools.product(range(n), lines):
        entries += [(len(right), v, slope), (len(right), n + v, -1.0)]
        right.append(-offset)
    i, j, x = zip(*entries, strict=True)
    matrix = sparse.csr_array((x, (i, j)), (len(right), 2 * n))
    cost = np.concatenate([np.zeros(n), np.full(n, 1 / n)])
    bounds = [(0, 1)] * n + [(None, None)] * n
    return float(linprog(cost, A_ub=matrix, b_ub=right, bounds=bounds, method="highs").fun)


def cliques(pairs: Rows, n: int) -> Rows:
    """Return all sets of two and more that are pairwise in `pairs`."""
    found, level = set(pairs), set(pairs)
    while level:
        level = {(*e, v) for e in level for v in range(e[-1] + 1, n) if all((u, v) in pairs for u in e)}
        found |= level
    return found


# Kinds of trials.  Each takes a generator and raises where something is wrong.


def graphs(rng: Random) -> None:
    """Two classes, any graph and weights: the 0-1 floor by a linear program, any order of the examples."""
    sizes = rng.integers(1, 131, 2) if rng.random() < 0.5 else rng.choice([62, 63, 64, 65, 66, 127, 128, 129], 2)
    a, b = sizes.tolist()
    adjacency = rng.random((a, b)) < rng.choice([0.01, 0.03, 0.1, 0.5, 1.0])
    whole = np.zeros((a + b, a + b), dtype=bool)
    whole[:a, a:], whole[a:, :a] = adjacency, adjacency.T
    weight = rng.integers(1, rng.choice([2, 5, 1000, 2**52]), a + b)
    y = np.concatenate([np.zeros(a, int), np.ones(b, int)])
    X = np.zeros((a + b, 1))
    floor = lf.floor(X, y, lf.Precomputed(conflicts=whole), sample_weight=weight)
    want = packing(a + b, {(u, a + v) for u, v in np.argwhere(adjacency).tolist()}, weight.astype(float))
    check(abs(floor.zero_one - want) < 1e-8, floor.zero_one, want)
    floor.verify()
    order = rng.permutation(a + b)
    moved = lf.Precomputed(conflicts=whole[np.ix_(order, order)])
    again = lf.floor(X, y[order], moved, sample_weight=weight[order])
    check(again.cross_entropy == floor.cross_entropy, "another order", again.cross_entropy, floor.cross_entropy)
    check(np.array_equal(again.correct_probability, floor.correct_probability[order]), "another order: q")


def line(rng: Random, most: int) -> tuple[Any, Any, float, int, Rows]:
    """Draw points on a line: balls share a point when every two do, so conflicts are cliques."""
    k = int(rng.integers(3, 6))
    n = int(rng.integers(k, most))
    x = rng.integers(0, max(7, n // 2), n).astype(float)
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    radius = float(rng.choice([0.5, 1.0, 1.5]))
    near = np.abs(x[:, None] - x) <= 2 * radius
    pairs = {(u, v) for u, v in itertools.combinations(range(n), 2) if y[u] != y[v] and near[u, v]}
    return x[:, None], y, radius, n, cliques(pairs, n)


def many(rng: Random) -> None:
    """Three and more classes, default settings: every named loss meets, the 0-1 loss as a linear program has it."""
    x, y, radius, n, conflicts = line(rng, int(rng.choice([13, 13, 13, 60])))
    weight = rng.integers(1, 5, n)
    norm = [lf.L2, lf.L1, lf.Linf][int(rng.integers(3))] if n < 13 else lf.Linf
    floor: Any = lf.floor(x, y, norm(radius), sample_weight=weight)
    want = packing(n, conflicts, weight.astype(float))
    for name in ("zero-one", "brier", "cross-entropy"):
        solution = floor.solution(name)
        low, high = solution.lower, solution.upper
        check(low <= high * (1 + 1e-12) + 1e-15 and high - low <= 1.001e-4, name, low, high, solution.why)
        check(name != "zero-one" or low - 1e-9 <= want <= high + 1e-9, low, want, high)
        q = solution.correct_probability
        check(all(math.fsum(q[list(e)]) <= 1 for e in conflicts), name, "no probabilities")
    floor.verify(loss="zero-one")
    floor.verify()


def larger(rng: Random) -> None:
    """Some hundred examples of many classes in a few dimensions: every named loss ends, and meets."""
    k, d = int(rng.integers(3, 8)), int(rng.integers(1, 6))
    n = int(rng.choice([60, 150, 250, 300]))
    X = rng.normal(size=(n, d)) if rng.random() < 0.5 else rng.integers(0, 9, (n, d))
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    scale = (1.0 if X.dtype.kind == "f" else 2.0) * d**0.5 / (n / 20) ** (1 / max(d, 2))
    eps = round(float(rng.uniform(0.1, 0.6)) * scale, 3)
    norm = [lf.L2, lf.Linf][int(rng.integers(2))]
    floor: Any = lf.floor(X, y, norm(eps))
    for name in ("cross-entropy", "zero-one", "brier"):
        solution = floor.solution(name)
        apart = solution.upper - solution.lower
        check(-1e-15 <= apart <= 1e-4, name, solution.lower, solution.upper, solution.why)
    check(float(floor.verify().lower) >= floor.cross_entropy * (1 - 1e-12), "verified below what was said")


def callables(rng: Random) -> None:
    """Hinges, kinks, plateaus, steep, shifted and negative losses: bounds hold beside a linear program, and meet."""
    x, y, radius, n, conflicts = line(rng, 13)
    slopes = -np.sort(rng.choice([0.0, 0.1, 0.5, 1.0, 3.0, 1000.0, 1e6], int(rng.integers(1, 4)), replace=False))
    offsets = rng.choice([1 / 3, 1 / 2, 0.2, 0.9, 1.0], len(slopes)) * -slopes + rng.choice([0.0, 0.0, -0.5, -100.0])
    lines = list(zip(slopes.tolist(), offsets.tolist(), strict=True))

    def loss(q: Any) -> Any:
        return np.max([slope * np.asarray(q, dtype=float) + offset for slope, offset in lines], axis=0)

    solution = lf.floor(x, y, lf.L2(radius), time_limit=20).solution(loss)  # type: ignore[union-attr]
    want = piecewise(n, conflicts, lines)
    size = max(1.0, float(abs(slopes).max()), float(abs(offsets).max()))
    slack = size * (1e-9 if size <= 1000 else 1e-7)  # what the linear program is good to
    low, high = solution.lower, solution.upper
    check(low - slack <= want <= high + slack, low, want, high, lines)
    check(high - low <= 1e-4, low, high, solution.why, lines)


def norms(rng: Random) -> None:
    """Pairs at thresholds of every norm, at any scale, in fractions."""
    d, n = int(rng.integers(1, 4)), 8
    exponent = int(rng.choice([-1000, -900, -60, -20, 0, 0, 0, 20, 300, 900]))
    x: Any = rng.integers(-4, 5, (n, d)).astype(float) if rng.random() < 0.5 else rng.normal(size=(n, d))
    x = x.astype(np.int64) if rng.random() < 0.5 else x * 2.0**exponent
    y = np.arange(n) % 2
    p = rng.choice([1, 2, 3, 4, 7, 13, 50, 100, 200, 300, 0])  # 0 is infinity

    def within(i: int, j: int, eps: Fraction) -> bool:
        gap = [abs(Fraction(s.item()) - Fraction(t.item())) for s, t in zip(x[i], x[j], strict=True)]
        return bool(max(gap) <= 2 * eps if p == 0 else sum(t ** int(p) for t in gap) <= (2 * eps) ** int(p))

    u, v = 2 * int(rng.integers(0, 4)), 2 * int(rng.integers(0, 4)) + 1
    widest = max(abs(Fraction(s.item()) - Fraction(t.item())) for s, t in zip(x[u], x[v], strict=True))
    eps = widest / 2 * Fraction(int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 2])))
    eps = max(eps + int(rng.choice([-1, 0, 1])) * eps / 2**60, Fraction(0))
    makers: dict[int, Callable[[Fraction], Any]] = {1: lf.L1, 2: lf.L2, 0: lf.Linf}
    adversary = makers.get(int(p), lambda e: lf.Lp(p=int(p), eps=e))(eps)
    want = sum(within(i, j, eps) for i in range(0, n, 2) for j in range(1, n, 2))
    got = lf.floor(x, y, adversary).n_edges
    check(got == want, int(p), got, want, exponent, str(eps)[:40])


def curves(rng: Random) -> None:
    """Curves of a norm and of makers against floors one by one, of two classes and of three."""
    n, k = int(rng.integers(4, 30)), int(rng.choice([2, 2, 3]))
    x = rng.integers(0, 9, (n, 2))
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    grid = sorted((rng.choice(np.arange(0, 25), 4, replace=False) / 4).tolist())
    norm = [lf.L1, lf.L2, lf.Linf][int(rng.integers(3))]
    each = rng.integers(0, 3, n)
    makers: dict[str, Any] = {
        "norm": norm,
        "half": lambda e: norm(e / 2),
        "falling": lambda e: norm(8 - e),
        "each": lambda e: norm(each * e),
        "constant": lambda e: norm(1),
    }
    name = str(rng.choice(list(makers)))
    maker = makers[name]
    curve = lf.curve(x, y, maker, eps=grid)
    for i, e in enumerate(grid):
        floor: Any = lf.floor(x, y, maker(e))
        if k == 2:
            here = float(np.ravel(curve.cross_entropy)[i])
            check(here == floor.cross_entropy, name, e, here, floor.cross_entropy)
        else:
            alone = floor.bounds("cross-entropy")
            low, high = float(curve.lower("cross-entropy")[i]), float(curve.upper("cross-entropy")[i])
            check(low <= alone[1] + 1e-12 and alone[0] <= high + 1e-12, name, e, (low, high), alone)


KINDS: dict[str, Callable[[Random], None]] = {
    "graphs": graphs,
    "many": many,
    "larger": larger,
    "callables": callables,
    "norms": norms,
    "curves": curves,
}
#: Trials in one child process, and the seconds that it may take.
BATCH = {"graphs": 15, "many": 15, "larger": 3, "callables": 10, "norms": 100, "curves": 20}
_LIMIT = 120


def check(holds: bool, *what: object) -> None:
    """Raise if something does not hold."""
    if not holds:
        raise AssertionError(" ".join(str(one) for one in what))


def run_batch(kind: str, seeds: range) -> None:
    """Run some trials in this process."""
    for seed in seeds:
        print(seed, flush=True)
        try:
            KINDS[kind](np.random.default_rng(seed))
        except Exception as error:  # what is wrong is printed, and the trials go on
            print(f"MISMATCH {kind} {seed}: {type(error).__name__} {str(error)[:300]}", flush=True)


def run_child(kind: str, seed: int, count: int) -> tuple[int, list[str]]:
    """Run some trials in another process; return how many began, and what was wrong."""
    command = [sys.executable, __file__, "--kind", kind, "--batch", str(seed), str(count)]
    died = ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
        out = done.stdout
        if done.returncode:
            died = f"exit status {done.returncode} {done.stderr[-300:]}"
    except subprocess.TimeoutExpired as stopped:
        out, died = (stopped.stdout or b"").decode(), f"did not end in {_LIMIT} s"
    seen = [row for row in out.splitlines() if row.isdigit()]
    wrong = [row for row in out.splitlines() if row.startswith("MISMATCH")]
    if died:
        wrong.append(f"MISMATCH {kind} {seen[-1] if seen else seed}: {died}")
    return len(seen), wrong


def soak(seconds: float, seed: int, only: list[str]) -> bool:
    """Run trials until the time is over; print a summary; return whether all held."""
    end, begin = time.monotonic() + seconds, seed
    counts, wrong = dict.fromkeys(only, 0), []
    for kind in itertools.cycle(only):
        if time.monotonic() >= end:
            break
        count, bad = run_child(kind, seed, BATCH[kind])
        counts[kind] += count
        wrong += bad
        for row in bad:
            print(row, flush=True)
        seed += BATCH[kind]
    trials = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"random trials from seed {begin}: {trials}; {len(wrong)} wrong")
    return not wrong


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**30)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--one", type=int, help="run one seed of --kind")
    parser.add_argument("--batch", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        KINDS[args.kind](np.random.default_rng(args.one))
        print("holds")
    elif args.batch:
        run_batch(args.kind, range(args.batch[0], sum(args.batch)))
    else:
        sys.exit(not soak(args.seconds, args.seed, args.only))


if __name__ == "__main__":
    main()
