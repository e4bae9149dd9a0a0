"""The conflict graph of many classes: the pairs of examples in conflict, as lists in both directions."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lossfloor._types import Doubles, Integers, Vertices


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
    undecided : ndarray of bool, shape (m,), or None
        Which of them are undecided; None if none are.
    squares : ndarray of float64, shape (m,), or None
        Squared distances, in units of the data, where conflicts of more than two are those of Euclidean balls.
    radii : ndarray of float64, shape (n,), or None
        Squared radii, likewise.
    slack : float
        Relative error (times 64) within which the squares are known.
    """

    codes: Vertices
    n_classes: int
    offsets: Integers
    targets: Vertices
    undecided: npt.NDArray[np.bool_] | None = None
    squares: Doubles | None = None
    radii: Doubles | None = None
    slack: float = 0.0

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def degrees(self) -> Integers:
        """Number of conflicts of each example, undecided ones included."""
        return np.diff(self.offsets)

    @property
    def n_edges(self) -> int:
        """Number of conflicts, undecided ones included."""
        return len(self.targets) // 2

    @property
    def n_undecided(self) -> int:
        """Number of undecided conflicts."""
        return 0 if self.undecided is None else int(np.count_nonzero(self.undecided)) // 2

    def undecided_pairs(self) -> Integers:
        """Return the undecided pairs u < v, as sorted numbers ``u * n + v``."""
        if self.undecided is None:
            return np.empty(0, dtype=np.int64)
        left = np.repeat(np.arange(len(self)), self.degrees)[self.undecided]
        right = self.targets[self.undecided].astype(np.int64)
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
            undecided=None if self.undecided is None else self.undecided[entries],
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


def class_graph(
    codes: npt.NDArray[np.intp],
    n_classes: int,
    rows: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    is_undecided: npt.NDArray[np.bool_],
) -> ClassGraph:
    """Make the graph of some pairs of examples, each given once.

    Parameters
    ----------
    codes : ndarray of intp, shape (n,)
    n_classes : int
    rows, columns : ndarray of int32, shape (m,)
        The examples of each pair.
    is_undecided : ndarray of bool, shape (m,)
        Which pairs are undecided.
    """
    n = len(codes)
    # The positions of the pairs, from one on, in a matrix and its transpose: CSR sorts each row.
    numbers = np.arange(1, len(rows) + 1)
    half = sparse.csr_array((numbers, (rows, columns)), shape=(n, n))
    both = sparse.csr_array(half + half.T)
    both.sort_indices()
    undecided = is_undecided[both.data - 1] if is_undecided.any() else None
    return ClassGraph(
        codes=codes.astype(np.int32),
        n_classes=n_classes,
        offsets=both.indptr.astype(np.int64),
        targets=both.indices.astype(np.int32),
        undecided=undecided,
    )
