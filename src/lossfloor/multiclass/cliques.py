"""Rows of the linear constraints: conflicts of two and more examples, whose probabilities sum to at most one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core
from lossfloor.multiclass.graph import NO, PERHAPS, YES, ClassGraph, Doubles, Ints, Meeting, Vertices

#: A number of steps or of cliques that is never reached.
UNLIMITED = 2**60


@dataclasses.dataclass(frozen=True)
class Rows:
    """Some conflicts, the members of each ascending.

    Attributes
    ----------
    offsets : ndarray of int64, shape (m + 1,)
    members : ndarray of int32
        ``members[offsets[e]:offsets[e + 1]]`` conflict all together.
    sure : ndarray of bool, shape (m,)
        Whether their neighbourhoods surely share a point.
    """

    offsets: Ints
    members: Vertices
    sure: npt.NDArray[np.bool_]

    @classmethod
    def none(cls) -> Rows:
        """Return no rows."""
        return cls(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.bool_))

    def __len__(self) -> int:
        return len(self.sure)

    @property
    def degrees(self) -> Ints:
        """Number of members of each."""
        return np.diff(self.offsets)

    def sums(self, q: Doubles) -> Doubles:
        """Return the sum of q over each row."""
        return np.add.reduceat(q[self.members], self.offsets[:-1]) if len(self) else np.zeros(0)

    def column_sums(self, z: Doubles, n: int) -> Doubles:
        """Return for each of n examples the sum of z over the rows that it is in."""
        return np.bincount(self.members, np.repeat(z, self.degrees), n).astype(np.float64)

    def labels(self, of_example: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return for each row the label of its first example."""
        return of_example[self.members[self.offsets[:-1]]]

    def kept(self, which: npt.NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        degrees = self.degrees
        offsets = np.concatenate([[0], np.cumsum(degrees[which])]).astype(np.int64)
        return Rows(offsets, self.members[np.repeat(which, degrees)], self.sure[which])

    def renamed(self, names: npt.NDArray[np.intp]) -> Rows:
        """Return the rows with other numbers for the examples, which ascend as the old ones do."""
        return dataclasses.replace(self, members=names[self.members].astype(np.int32))

    def __add__(self, other: Rows) -> Rows:
        return Rows(
            np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]),
            np.concatenate([self.members, other.members]),
            np.concatenate([self.sure, other.sure]),
        )


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes
    ----------
    rows : Rows
        Conflicts whose sum is above the limit, the largest first.
    most : ndarray of float64, shape (n,)
        For each example, what no conflict with it can exceed (at least the limit).
    unfinished : int
        Number of examples whose search ended early; `most` holds all the same.
    """

    rows: Rows
    most: Doubles
    unfinished: int


class Separator:
    """Finds conflicts whose probabilities sum to too much, by branch and bound over cliques.

    Parameters
    ----------
    graph : ClassGraph
    meeting : Meeting
        How it is told whether three and more neighbourhoods share a point.
    threads : int
    """

    def __init__(self, graph: ClassGraph, meeting: Meeting, threads: int) -> None:
        self._graph = graph
        self._threads = threads
        self._alive = (graph.degrees > 0).astype(np.uint8)
        self._open = graph.open_pairs()
        self._meeting = meeting
        self._core: Any = _core.Hypergraph(
            graph.codes,
            graph.n_classes,
            graph.offsets,
            graph.targets,
            graph.squares,
            graph.radii,
            graph.slack,
            meeting.ask if meeting.kind in ("ask", "open") else None,
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

    def witness(self, rows: Rows) -> Doubles:
        """Return weights beside the members of conflicts: for Euclidean balls, the mean with them is a common point."""
        weights: Doubles = self._core.witness(rows.offsets, rows.members)[2]
        return weights

    def decide(self, members: Vertices) -> Rows:
        """Decide which of some cliques are conflicts.

        Parameters
        ----------
        members : ndarray of int32, shape (m, degree)
            In each row a clique, ascending.

        Returns
        -------
        Rows
            Those that are, surely or possibly.
        """
        count, degree = members.shape
        offsets = np.arange(count + 1, dtype=np.int64) * degree
        return self._rows(*self._core.witness(offsets, np.ascontiguousarray(members.ravel())))

    def _rows(self, offsets: Ints, members: Vertices, _: Doubles, verdict: npt.NDArray[np.int8]) -> Rows:
        if self._meeting.kind == "balls":
            verdict = self._decided(offsets, members, verdict)
        rows = Rows(offsets, members, verdict == YES).kept(verdict != NO)
        return rows if len(self._open) == 0 else dataclasses.replace(rows, sure=rows.sure & ~self._has_open(rows))

    def _decided(self, offsets: Ints, members: Vertices, verdict: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Decide exactly what double precision has left open, as where three balls touch in one point."""
        verdict = verdict.copy()
        for e in np.flatnonzero(verdict == PERHAPS).tolist():
            verdict[e] = self._meeting.ask(members[offsets[e] : offsets[e + 1]])
        return verdict

    def _has_open(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Tell which rows have two members of which it stayed open whether they conflict."""
        answer = np.zeros(len(rows), dtype=np.bool_)
        n = len(self._graph)
        for degree in np.unique(rows.degrees).tolist():
            which = np.flatnonzero(rows.degrees == degree)
            members = rows.members[rows.offsets[which][:, None] + np.arange(degree)].astype(np.int64)
            for i in range(degree):
                for j in range(i + 1, degree):
                    answer[which] |= np.isin(members[:, i] * n + members[:, j], self._open)
        return answer
