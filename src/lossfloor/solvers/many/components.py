"""Solving component by component: twins merged, small components together, large ones with all threads."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lossfloor._types import Doubles
from lossfloor.conflicts.many_class import CommonPointRule
from lossfloor.distances import thread_count
from lossfloor.graphs import ClassGraph
from lossfloor.solvers.many.constraints import Constraints
from lossfloor.solvers.many.cutting_planes import CuttingPlanes
from lossfloor.solvers.many.separable import SeparableLoss
from lossfloor.solvers.many.solution import LEAST_COMPONENT, Goal, Solution


def solve(
    graph: ClassGraph,
    rule: CommonPointRule,
    weight: Doubles,
    loss: SeparableLoss,
    goal: Goal,
    *,
    start: Constraints | None = None,
    progress: Callable[[float], None] | None = None,
) -> Solution:
    """Bound the smallest loss over all conflicts of a graph.

    Parameters
    ----------
    graph : ClassGraph
    rule : CommonPointRule
    weight : ndarray of float64, shape (n,)
        Positive weights of the examples.
    loss : SeparableLoss
    goal : Goal
    start : Constraints, optional
        Conflicts of this graph that are known already.
    progress : callable, optional
        Called with the share of the work that is done, a guess.

    Returns
    -------
    Solution
    """
    twin = graph.twins() if rule.kind in ("balls", "pairs") else np.arange(len(graph))
    alive = (graph.degrees > 0) & (twin == np.arange(len(graph)))
    parts = _parts(graph.components()[0], alive)
    conflicted = float(weight[graph.degrees > 0].sum())
    inner = dataclasses.replace(goal, gap=goal.gap * float(weight.sum()))
    report = _Report(progress, [len(part) for part in parts])
    merged = np.bincount(twin, weight, len(graph)).astype(np.float64)

    def one(i: int, threads: int) -> Solution:
        vertices = parts[i]
        inside = graph.subgraph(vertices), rule.of_part(vertices)
        solve_part = CuttingPlanes(*inside, merged[vertices], loss, threads, report.of(i))
        of_part = dataclasses.replace(inner, gap=inner.gap * float(merged[vertices].sum()) / conflicted)
        return solve_part.solve(of_part, None if start is None else _inside(start, vertices, len(graph)))

    q = np.ones(len(graph))
    relaxed = float(weight[graph.degrees == 0].sum()) * loss.at_one
    rows, pool, z = Constraints.none(), Constraints.none(), [np.zeros(0)]
    solutions = _in_parallel(one, [len(part) for part in parts])
    for vertices, part in zip(parts, solutions, strict=True):
        q[vertices] = part.q
        rows, pool = rows + part.rows.renamed(vertices), pool + part.pool.renamed(vertices)
        z.append(part.z)
        relaxed += part.relaxed
    rows, weights = _among_twins(rows, np.concatenate(z), twin, weight)
    return Solution(
        q=q[twin],
        rows=rows,
        z=weights,
        relaxed=relaxed,
        pool=pool,
        rounds=max((part.rounds for part in solutions), default=0),
        why="; ".join(dict.fromkeys(part.why for part in solutions if part.why)),
    )


def _among_twins(
    rows: Constraints, z: Doubles, twin: npt.NDArray[np.intp], weight: Doubles
) -> tuple[Constraints, Doubles]:
    """Divide the weights on conflicts of examples among all twins of them, in proportion to their weights.

    A conflict of several examples with twins becomes a few conflicts: [0, 1] is cut where the shares of the twins of
    any member end, and in each piece every member is one of its twins.
    """
    twins: dict[int, list[int]] = {}
    for v, first in enumerate(twin.tolist()):
        twins.setdefault(first, []).append(v)
    several = {first: group for first, group in twins.items() if len(group) > 1}
    if not several or len(rows) == 0:
        return rows, z
    touched = np.add.reduceat(np.isin(rows.members, list(several)), rows.offsets[:-1], dtype=np.int64) > 0
    untouched, kept = rows.kept(~touched), z[~touched]
    rows, z = rows.kept(touched), z[touched]
    ends = {first: np.cumsum(weight[group]) / weight[group].sum() for first, group in several.items()}
    members: list[list[int]] = []
    shares: list[float] = []
    sure: list[bool] = []
    for e in range(len(rows)):
        row = rows.members[rows.offsets[e] : rows.offsets[e + 1]].tolist()
        cuts = np.unique(np.concatenate([[0.0, 1.0], *(ends[v][:-1] for v in row if v in ends)]))
        for low, high in itertools.pairwise(cuts.tolist()):
            middle = (low + high) / 2
            members.append(
                sorted(several[v][int(np.searchsorted(ends[v], middle))] if v in several else v for v in row)
            )
            shares.append(float(z[e]) * (high - low))
            sure.append(bool(rows.sure[e]))
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in members])]).astype(np.int64)
    flat = np.array([v for row in members for v in row], dtype=np.int32)
    return untouched + Constraints(offsets, flat, np.array(sure, dtype=np.bool_)), np.concatenate([kept, shares])


def _parts(labels: npt.NDArray[np.int32], alive: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.intp]]:
    """Return the large components, the largest first, and all small ones together."""
    sizes = np.bincount(labels[alive], minlength=int(labels.max()) + 1)
    large = [np.flatnonzero(alive & (labels == c)) for c in np.flatnonzero(sizes >= LEAST_COMPONENT).tolist()]
    small = np.flatnonzero(alive & (sizes[labels] < LEAST_COMPONENT))
    parts = sorted(large, key=len, reverse=True)
    return [*parts, small] if len(small) else parts


def _inside(rows: Constraints, vertices: npt.NDArray[np.intp], n: int) -> Constraints:
    """Return the rows that lie among some examples, by their new numbers."""
    place = np.full(n, -1, dtype=np.int32)
    place[vertices] = np.arange(len(vertices), dtype=np.int32)
    if len(rows) == 0:
        return rows
    kept = rows.kept(np.minimum.reduceat(place[rows.members], rows.offsets[:-1]) >= 0)
    return dataclasses.replace(kept, members=place[kept.members])


def _in_parallel(one: Callable[[int, int], Solution], sizes: Sequence[int]) -> list[Solution]:
    """Solve the parts side by side; if one of them is most of the work, one after the other with all threads each."""
    threads, parts = thread_count(), range(len(sizes))
    if threads < 2 or 2 * max(sizes, default=0) >= sum(sizes):
        return [one(i, threads) for i in parts]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda i: one(i, 1), parts))


class _Report:
    """Puts what the parts have done together."""

    def __init__(self, progress: Callable[[float], None] | None, sizes: Sequence[int]) -> None:
        self._progress = progress
        self._sizes = sizes
        self._done = [0.0] * len(sizes)

    def of(self, i: int) -> Callable[[float], None]:
        """Return what part i calls with its own share."""

        def report(share: float) -> None:
            self._done[i] = max(self._done[i], share * self._sizes[i])
            if self._progress is not None:
                self._progress(sum(self._done) / sum(self._sizes))

        return report
