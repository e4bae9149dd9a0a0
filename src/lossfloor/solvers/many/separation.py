"""Finding violated constraints: conflicts whose probabilities sum to too much."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core
from lossfloor._types import Doubles, Integers, Vertices
from lossfloor.conflicts.many_class import NO, UNDECIDED, YES, CommonPointRule
from lossfloor.graphs import ClassGraph
from lossfloor.solvers.many.constraints import Constraints

#: A number of steps or of cliques that is never reached.
UNLIMITED = 2**60


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes
    ----------
    rows : Constraints
        Conflicts whose sum is above the limit, the largest first.
    most : ndarray of float64, shape (n,)
        For each example, what no conflict with it can exceed (at least the limit).
    unfinished : int
        Number of examples whose search ended early; `most` holds all the same.
    """

    rows: Constraints
    most: Doubles
    unfinished: int


class Separator:
    """Finds conflicts whose probabilities sum to too much, by branch and bound over cliques.

    Parameters
    ----------
    graph : ClassGraph
    rule : CommonPointRule
        How it is told whether three and more neighbourhoods share a point.
    threads : int
    """

    def __init__(self, graph: ClassGraph, rule: CommonPointRule, threads: int) -> None:
        self._graph = graph
        self._threads = threads
        self._alive = (graph.degrees > 0).astype(np.uint8)
        self._undecided = graph.undecided_pairs()
        self._rule = rule
        self._core: Any = _core.Hypergraph(
            graph.codes,
            graph.n_classes,
            graph.offsets,
            graph.targets,
            graph.squares,
            graph.radii,
            graph.slack,
            rule.ask if rule.kind in ("asking", "unknown") else None,
        )

    def search(
        self,
        q: Doubles,
        above: float,
        *,
        max_degree: int,
        per_root: int = 8,
        per_vertex: int = 20,
        enough: int = UNLIMITED,
        budget: int = UNLIMITED,
        seconds: float = 0.0,
    ) -> Found:
        """Look for conflicts of up to `max_degree` examples whose q sum to more than `above`.

        Parameters
        ----------
        q : ndarray of float64, shape (n,)
        above : float
        max_degree : int
        per_root, per_vertex : int
            How many of them are returned at most, by their example of largest q and by any example.
        enough : int
            After so many for a root, its other branches are left with a bound.
        budget : int
            Steps in each branch (a root and a second example), after which it is left with a bound.
        seconds : float
            After which everything is left with a bound; 0 for no limit.

        Returns
        -------
        Found
        """
        cut, most, _, unfinished = self._core.separate(
            q, self._alive, above, max_degree, per_root, per_vertex, enough, budget, seconds, self._threads
        )
        return Found(self._rows(*cut), most, unfinished)

    def witness(self, rows: Constraints) -> Doubles:
        """Return weights beside the members of conflicts: for Euclidean balls, the mean with them is a common point."""
        weights: Doubles = self._core.witness(rows.offsets, rows.members)[2]
        return weights

    def decide(self, members: Vertices) -> Constraints:
        """Decide which of some cliques are conflicts.

        Parameters
        ----------
        members : ndarray of int32, shape (m, degree)
            In each row a clique, ascending.

        Returns
        -------
        Constraints
            Those that are, surely or undecided.
        """
        count, degree = members.shape
        offsets = np.arange(count + 1, dtype=np.int64) * degree
        return self._rows(*self._core.witness(offsets, np.ascontiguousarray(members.ravel())))

    def _rows(self, offsets: Integers, members: Vertices, _: Doubles, verdict: npt.NDArray[np.int8]) -> Constraints:
        if self._rule.kind == "balls":
            verdict = self._decided(offsets, members, verdict)
        rows = Constraints(offsets, members, verdict == YES).kept(verdict != NO)
        return (
            rows
            if len(self._undecided) == 0
            else dataclasses.replace(rows, sure=rows.sure & ~self._has_undecided(rows))
        )

    def _decided(self, offsets: Integers, members: Vertices, verdict: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Decide exactly what double precision left undecided, as where three balls touch in one point."""
        verdict = verdict.copy()
        for e in np.flatnonzero(verdict == UNDECIDED).tolist():
            verdict[e] = self._rule.ask(members[offsets[e] : offsets[e + 1]])
        return verdict

    def _has_undecided(self, rows: Constraints) -> npt.NDArray[np.bool_]:
        """Tell which rows have two members whose conflict is undecided."""
        answer = np.zeros(len(rows), dtype=np.bool_)
        n = len(self._graph)
        for degree in np.unique(rows.degrees).tolist():
            which = np.flatnonzero(rows.degrees == degree)
            members = rows.members[rows.offsets[which][:, None] + np.arange(degree)].astype(np.int64)
            for i in range(degree):
                for j in range(i + 1, degree):
                    answer[which] |= np.isin(members[:, i] * n + members[:, j], self._undecided)
        return answer
