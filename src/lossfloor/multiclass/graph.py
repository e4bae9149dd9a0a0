"""Who conflicts with whom among examples of many classes, and what decides whether more than two of them meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lossfloor import _core
from lossfloor._validation import must
from lossfloor.adversaries import Adversary, Box, NormBall, Precomputed
from lossfloor.conflicts import lists_of
from lossfloor.distances import thread_count

#: Called as work goes on: name of the stage, how much is done, how much there is.
Progress = Callable[[str, int, int], None]

Ints = npt.NDArray[np.int64]
Vertices = npt.NDArray[np.int32]
Doubles = npt.NDArray[np.float64]

#: Verdicts of the core on a clique.
NO, PERHAPS, YES = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class ClassGraph:
    """The conflicts between examples of different classes, as lists in both directions.

    Attributes
    ----------
    codes : ndarray of int32, shape (n,)
        Class of each example, from 0 on.
    n_classes : int
    offsets : ndarray of int64, shape (n + 1,)
        The conflicts of v are ``targets[offsets[v]:offsets[v + 1]]``, ascending.
    targets : ndarray of int32, shape (m,)
        Each conflict stands in the lists of both of its examples.
    perhaps : ndarray of bool, shape (m,), or None
        Which of them stayed open; None if none did.
    squares : ndarray of float64, shape (m,), or None
        Squared distances, in units of the data, where conflicts of more than two are those of Euclidean balls.
    radii : ndarray of float64, shape (n,), or None
        Squared radii, likewise.
    slack : float
        Relative error (times 64) within which the squares are known.
    """

    codes: Vertices
    n_classes: int
    offsets: Ints
    targets: Vertices
    perhaps: npt.NDArray[np.bool_] | None = None
    squares: Doubles | None = None
    radii: Doubles | None = None
    slack: float = 0.0

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def degrees(self) -> Ints:
        """Number of conflicts of each example, open ones counted."""
        return np.diff(self.offsets)

    @property
    def n_edges(self) -> int:
        """Number of conflicts, open ones counted."""
        return len(self.targets) // 2

    @property
    def n_open(self) -> int:
        """Number of conflicts that stayed open."""
        return 0 if self.perhaps is None else int(np.count_nonzero(self.perhaps)) // 2

    def open_pairs(self) -> Ints:
        """Return the pairs u < v that stayed open, as sorted numbers ``u * n + v``."""
        if self.perhaps is None:
            return np.empty(0, dtype=np.int64)
        left = np.repeat(np.arange(len(self)), self.degrees)[self.perhaps]
        right = self.targets[self.perhaps].astype(np.int64)
        upper = left < right
        return np.sort(left[upper] * len(self) + right[upper])

    def components(self) -> tuple[npt.NDArray[np.int32], int]:
        """Return the connected component of each example, and how many there are."""
        ones = np.ones(len(self.targets), dtype=np.int8)
        matrix = sparse.csr_array((ones, self.targets, self.offsets), shape=(len(self), len(self)))
        count, labels = sparse.csgraph.connected_components(matrix, directed=False)
        return labels.astype(np.int32), int(count)

    def subgraph(self, vertices: npt.NDArray[np.intp]) -> ClassGraph:
        """Return the graph of some examples, numbered anew in the order given; conflicts with others are left out."""
        place = np.full(len(self), -1, dtype=np.int32)
        place[vertices] = np.arange(len(vertices), dtype=np.int32)
        counts = self.degrees[vertices]
        entries = np.repeat(self.offsets[vertices] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        rows = np.repeat(np.arange(len(vertices)), counts)
        targets = place[self.targets[entries]]
        inside = targets >= 0
        entries, rows, targets = entries[inside], rows[inside], targets[inside]
        if np.any(np.diff(vertices) < 0):  # else the lists are in order
            order = np.lexsort((targets, rows))
            entries, targets = entries[order], targets[order]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(vertices)))]).astype(np.int64)
        return dataclasses.replace(
            self,
            codes=self.codes[vertices],
            offsets=offsets,
            targets=targets,
            perhaps=None if self.perhaps is None else self.perhaps[entries],
            squares=None if self.squares is None else self.squares[entries],
            radii=None if self.radii is None else self.radii[vertices],
        )

    def twins(self) -> npt.NDArray[np.intp]:
        """Return for each example the first one that conflicts in the same way: of its class, with the same others.

        For Euclidean balls that takes the same distances and radius, too: then the two are in conflicts of more than
        two with the same others.  So an optimal solution gives both the same probability.
        """
        first: dict[tuple[int, bytes, bytes, float], int] = {}
        twin = np.arange(len(self))
        for v in range(len(self)):
            part = slice(self.offsets[v], self.offsets[v + 1])
            squares = b"" if self.squares is None else self.squares[part].tobytes()
            radius = 0.0 if self.radii is None else float(self.radii[v])
            twin[v] = first.setdefault((int(self.codes[v]), self.targets[part].tobytes(), squares, radius), v)
        return twin


@dataclasses.dataclass(frozen=True)
class Meeting:
    """How it is told whether three and more neighbourhoods share a point.

    Attributes
    ----------
    kind : {"cliques", "balls", "open", "ask"}
        "cliques": they do if every two do (boxes, by Helly's theorem).  "balls": by the distances of their centres.
        "open": it is not known (`Precomputed`).  "ask": `Adversary.meet` tells.
    adversary : Adversary
    data : object
        The examples as ``adversary.as_data`` returned them.
    index : ndarray of intp, optional
        Positions in the data of the examples that are asked about, if they are some of them only.
    """

    kind: str
    adversary: Adversary
    data: Any
    index: npt.NDArray[np.intp] | None = None

    @classmethod
    def of(cls, adversary: Adversary, data: Any) -> Meeting:
        """Choose what suits an adversary."""
        kind = "ask"
        if isinstance(adversary, Precomputed):
            kind = "open"
        elif isinstance(adversary, Box) or (isinstance(adversary, NormBall) and adversary.order is None):
            kind = "cliques"
        elif isinstance(adversary, NormBall) and adversary.order == 2 and _has_plain_squares(adversary, data):
            kind = "balls"
        return cls(kind, adversary, data)

    def of_part(self, vertices: npt.NDArray[np.intp]) -> Meeting:
        """Return the same for a graph of some of the examples."""
        return dataclasses.replace(self, index=vertices if self.index is None else self.index[vertices])

    def ask(self, members: npt.NDArray[np.int32]) -> int:
        """Tell whether the neighbourhoods of some examples share a point."""
        if self.kind == "open":
            return PERHAPS
        index = members.astype(np.intp) if self.index is None else self.index[members]
        try:
            return NO if self.adversary.meet(self.data[index], index=index) is None else YES
        except (ArithmeticError, ValueError):  # undecided, or not made for more than two
            return PERHAPS


def _has_plain_squares(ball: NormBall, data: npt.NDArray[Any]) -> bool:
    """Tell whether squared distances and radii in double precision neither overflow nor vanish, nor begin rounded."""
    largest = float(np.abs(data.astype(np.float64)).max())
    radii = [float(radius) for radius in set(ball.radii(len(data), np.arange(len(data))))]
    if data.dtype.kind in "iu" and largest > 2.0**50:
        return False
    return min(radii) > 2.0**-100 and max(radii) < 2.0**100 and largest < 2.0**100


def build(
    adversary: Adversary,
    data: Any,
    codes: npt.NDArray[np.intp],
    n_classes: int,
    *,
    progress: Progress | None = None,
) -> ClassGraph:
    """Find all conflicts between examples of different classes, in one sweep for each class against those behind it.

    Parameters
    ----------
    adversary : Adversary
    data : object
        The examples as ``adversary.as_data`` returned them.
    codes : ndarray of intp, shape (n,)
    n_classes : int
    progress : callable, optional
        Called with ("conflicts", examples done, examples in all).

    Returns
    -------
    ClassGraph
    """
    rows: list[npt.NDArray[np.int32]] = []
    columns: list[npt.NDArray[np.int32]] = []
    open_from = []
    done = 0
    for code in range(n_classes - 1):
        left, right = np.flatnonzero(codes == code), np.flatnonzero(codes > code)
        for piece in adversary.conflicts(data[left], data[right], index_a=left, index_b=right):
            for is_open, (targets, counts) in enumerate(lists_of(piece)):
                rows.append(np.repeat(left[piece.start : piece.stop], counts).astype(np.int32))
                columns.append(right[targets].astype(np.int32))
                open_from.append(np.full(len(targets), bool(is_open)))
            if progress is not None:
                progress("conflicts", done + piece.stop, len(codes))
        done += len(left)
    if progress is not None:
        progress("conflicts", len(codes), len(codes))
    graph = _as_lists(codes, n_classes, np.concatenate(rows), np.concatenate(columns), np.concatenate(open_from))
    if Meeting.of(adversary, data).kind != "balls":
        return graph
    return _with_squares(graph, adversary, data)


def _as_lists(
    codes: npt.NDArray[np.intp],
    n_classes: int,
    rows: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    is_open: npt.NDArray[np.bool_],
) -> ClassGraph:
    n = len(codes)
    # The positions of the pairs, from one on, in a matrix and its transpose: CSR sorts each row.
    numbers = np.arange(1, len(rows) + 1)
    half = sparse.csr_array((numbers, (rows, columns)), shape=(n, n))
    both = sparse.csr_array(half + half.T)
    both.sort_indices()
    perhaps = is_open[both.data - 1] if is_open.any() else None
    return ClassGraph(
        codes=codes.astype(np.int32),
        n_classes=n_classes,
        offsets=both.indptr.astype(np.int64),
        targets=both.indices.astype(np.int32),
        perhaps=perhaps,
    )


def _with_squares(graph: ClassGraph, adversary: Adversary, data: npt.NDArray[Any]) -> ClassGraph:
    """Add the squared distances of all conflicts.

    Whole numbers below 2^26 have exact ones in double precision; others are right to d + 2 roundings.
    """
    if not isinstance(adversary, NormBall):
        raise TypeError(must("adversary", "a ball of a norm", adversary))
    rows = data
    if data.dtype not in (np.uint8, np.int16, np.float32, np.float64):
        rows = data.astype(np.float64)
    n = len(data)
    radii = [radius * radius for radius in adversary.radii(n, np.arange(n))]
    squares = np.array([float(radius) for radius in radii], dtype=np.float64)
    return dataclasses.replace(
        graph,
        squares=_core.pair_squares(np.ascontiguousarray(rows), graph.offsets, graph.targets, thread_count()),
        radii=np.ascontiguousarray(np.broadcast_to(squares, (n,))),
        slack=64 * (data.shape[1] + 16) * 2.0**-53,
    )


def squared_radii(adversary: NormBall, n: int) -> list[Fraction]:
    """Return the squared radius of each example in units of the data, exactly."""
    radii = adversary.radii(n, np.arange(n))
    squares = [radius * radius for radius in radii]
    return squares if len(squares) == n else squares * n
