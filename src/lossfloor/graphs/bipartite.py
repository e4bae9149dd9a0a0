"""The conflict graph of two classes, stored as bits or as lists behind one face."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lossfloor import _core
from lossfloor._checks import must
from lossfloor._files import read_arrays, write_arrays

_FORMAT = "lossfloor-conflicts-1"


def prefers_lists(n_edges: int, n_left: int, n_right: int) -> bool:
    """Return whether a graph of this size is smaller, and faster to solve, as lists than as bits."""
    return n_edges * 64 < n_left * n_right


class ConflictGraph:
    """Which left vertices conflict with which right ones; make one by a ``from_...`` method.

    Attributes
    ----------
    n_left, n_right : int
        Number of examples of the first and of the second class.
    n_edges : int
        Number of conflicts.
    storage : str
        "bits" (a bit for each pair) or "lists" (for each left vertex the right ones that it conflicts with).

    Examples
    --------
    >>> graph = ConflictGraph.from_edges([(0, 0), (0, 1)], n_left=2, n_right=2)
    >>> graph
    ConflictGraph(2 x 2, 2 conflicts, density 50%, bits, 16 bytes)
    >>> graph.left_degrees.tolist()
    [2, 0]
    """

    def __init__(self, *, _token: object = None) -> None:
        if _token is not _TOKEN:
            raise TypeError("make a ConflictGraph by from_bits, from_lists, from_edges, from_matrix or load")
        self.n_left = 0
        self.n_right = 0
        self.n_edges = 0
        self._bits: npt.NDArray[np.uint64] | None = None
        self._lists: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]] | None = None
        self._degrees: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None

    @classmethod
    def from_bits(cls, bits: npt.NDArray[np.uint64], n_right: int) -> ConflictGraph:
        """Make a graph of packed bits.

        Parameters
        ----------
        bits : ndarray of uint64, shape (n_left, ceil(n_right / 64))
            Bit c of word w of row u tells whether u and 64 w + c conflict; bits from `n_right` on are zero.
        n_right : int

        Raises
        ------
        ValueError
            If the shape does not fit, or a bit beyond the last vertex is set.
        """
        _check_count("n_right", n_right)
        bits = np.asarray(bits)
        if bits.ndim != 2 or bits.dtype != np.uint64 or bits.shape[1] != (n_right + 63) // 64:
            raise ValueError(
                must(
                    "bits",
                    f"uint64 of shape (n_left, {(n_right + 63) // 64})",
                    f"{bits.dtype} of shape {bits.shape}",
                )
            )
        if n_right % 64 and np.any(bits[:, -1] >> np.uint64(n_right % 64)):
            raise ValueError(must("bits", "zero beyond the last right vertex", "a set bit there"))
        graph = cls(_token=_TOKEN)
        graph.n_left, graph.n_right = bits.shape[0], n_right
        graph._bits = np.ascontiguousarray(bits)
        graph.n_edges = _core.count_bits(graph._bits)
        return graph

    @classmethod
    def from_lists(cls, offsets: npt.NDArray[np.int64], targets: npt.NDArray[np.int32], n_right: int) -> ConflictGraph:
        """Make a graph of adjacency lists (the arrays of a CSR matrix).

        Parameters
        ----------
        offsets : ndarray of int64, shape (n_left + 1,)
            The conflicts of u are ``targets[offsets[u]:offsets[u + 1]]``.
        targets : ndarray of int32
            Right vertices, ascending in each list, none twice.
        n_right : int

        Raises
        ------
        ValueError
            If the arrays do not describe such lists.
        """
        _check_count("n_right", n_right)
        begins, ends = _as_whole("offsets", offsets), _as_whole("targets", targets)
        if ends.ndim != 1:
            raise ValueError(must("targets", "an array of shape (n_edges,)", f"shape {ends.shape}"))
        if begins.ndim != 1 or len(begins) < 1 or begins[0] != 0 or begins[-1] != len(ends):
            raise ValueError(must("offsets", f"from 0 to {len(ends)}, the number of targets", begins[:3]))
        if np.any(np.diff(begins) < 0):
            raise ValueError(must("offsets", "ascending", "a smaller number behind a larger one"))
        if len(ends) and not (ends.min() >= 0 and ends.max() < n_right):
            raise ValueError(must("targets", f"between 0 and {n_right - 1}", [int(ends.min()), int(ends.max())]))
        inside = np.ones(len(ends), dtype=np.bool_)
        inside[begins[:-1][begins[:-1] < len(ends)]] = False
        if np.any(np.diff(ends, prepend=-1)[inside] <= 0):
            raise ValueError(must("targets", "ascending in each list, none twice", "a list that is not"))
        graph = cls(_token=_TOKEN)
        graph.n_left, graph.n_right = len(begins) - 1, n_right
        graph.n_edges = len(ends)
        graph._lists = (np.ascontiguousarray(begins, dtype=np.int64), np.ascontiguousarray(ends, dtype=np.int32))
        return graph

    @classmethod
    def from_edges(cls, edges: Any, *, n_left: int, n_right: int) -> ConflictGraph:
        """Make a graph from pairs (left, right), in any order; a pair given twice counts once.

        Parameters
        ----------
        edges : array_like of int, shape (k, 2)
        n_left, n_right : int

        Raises
        ------
        TypeError, ValueError
            If the pairs are not whole numbers below the numbers of vertices.
        """
        _check_count("n_left", n_left)
        _check_count("n_right", n_right)
        pairs = _as_whole("edges", edges)
        if pairs.size == 0:
            pairs = pairs.reshape(0, 2)
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ValueError(must("edges", "an array of shape (k, 2)", f"shape {pairs.shape}"))
        if len(pairs) and (pairs.min() < 0 or np.any(pairs.max(axis=0) >= (n_left, n_right))):
            raise ValueError(must("edges", f"pairs below ({n_left}, {n_right})", pairs.max(axis=0).tolist()))
        matrix = sparse.csr_array(
            (np.ones(len(pairs), dtype=np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(n_left, n_right)
        )
        return cls.from_matrix(matrix)

    @classmethod
    def from_matrix(cls, matrix: Any) -> ConflictGraph:
        """Make a graph from a dense or sparse matrix, shape (n_left, n_right), non-zero where two conflict.

        Raises
        ------
        ValueError
            If it is no matrix, or holds a NaN.
        """
        if not sparse.issparse(matrix):
            matrix = np.asarray(matrix)
        if matrix.ndim != 2:
            raise ValueError(must("matrix", "of shape (n_left, n_right)", f"shape {matrix.shape}"))
        csr = sparse.csr_array(matrix)
        if np.any(csr.data != csr.data):
            raise ValueError(must("matrix", "free of NaN", np.nan))
        csr = sparse.csr_array(csr != 0)
        csr.sum_duplicates()
        csr.sort_indices()
        n_left, n_right = csr.shape
        graph = cls.from_lists(csr.indptr.astype(np.int64), csr.indices.astype(np.int32), n_right)
        return graph if prefers_lists(graph.n_edges, n_left, n_right) else graph.as_bits()

    def with_edges(self, edges: npt.NDArray[np.intp]) -> ConflictGraph:
        """Return the graph with some conflicts more, shape (k, 2)."""
        if self._bits is not None:
            return ConflictGraph.from_bits(_with_bits(self._bits, edges), self.n_right)
        every = np.concatenate([self.edges(), edges.astype(np.int64)])
        return ConflictGraph.from_edges(every, n_left=self.n_left, n_right=self.n_right)

    def as_bits(self) -> ConflictGraph:
        """Return the same graph stored as bits."""
        if self._bits is not None:
            return self
        empty = np.zeros((self.n_left, (self.n_right + 63) // 64), dtype=np.uint64)
        return ConflictGraph.from_bits(_with_bits(empty, self.edges()), self.n_right)

    def as_lists(self) -> ConflictGraph:
        """Return the same graph stored as lists."""
        if self._bits is None:
            return self
        targets, counts = _core.set_bits(self._bits)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return ConflictGraph.from_lists(offsets, targets, self.n_right)

    @property
    def storage(self) -> str:
        """How the graph is stored: "bits" or "lists"."""
        return "lists" if self._bits is None else "bits"

    @property
    def bits(self) -> npt.NDArray[np.uint64] | None:
        """The packed bits, or None if the graph is stored as lists."""
        return self._bits

    @property
    def lists(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]] | None:
        """The offsets and targets, or None if the graph is stored as bits."""
        return self._lists

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the conflicts take."""
        if self._bits is not None:
            return self._bits.nbytes
        return sum(part.nbytes for part in self._lists or ())

    @property
    def density(self) -> float:
        """Share of the pairs that conflict."""
        pairs = self.n_left * self.n_right
        return self.n_edges / pairs if pairs else 0.0

    @property
    def left_degrees(self) -> npt.NDArray[np.int64]:
        """Number of conflicts of each left vertex, shape (n_left,)."""
        return self._all_degrees()[0]

    @property
    def right_degrees(self) -> npt.NDArray[np.int64]:
        """Number of conflicts of each right vertex, shape (n_right,)."""
        return self._all_degrees()[1]

    def _all_degrees(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        if self._degrees is None:
            if self._bits is not None:
                self._degrees = _core.degrees_bits(self._bits, self.n_right)
            else:
                offsets, targets = self._expect_lists()
                self._degrees = (
                    np.diff(offsets),
                    np.bincount(targets, minlength=self.n_right).astype(np.int64),
                )
        return self._degrees

    def _expect_lists(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        if self._lists is None:
            raise TypeError("this graph is stored as bits")
        return self._lists

    @property
    def n_isolated(self) -> int:
        """Number of vertices, left and right, without any conflict."""
        return int(np.count_nonzero(self.left_degrees == 0) + np.count_nonzero(self.right_degrees == 0))

    def components(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], int]:
        """Return the connected components, numbered.

        Returns
        -------
        left : ndarray of int32, shape (n_left,)
            Component of each left vertex, numbered by first appearance.
        right : ndarray of int32, shape (n_right,)
        count : int
            Number of components, vertices without conflict included.
        """
        if self._bits is not None:
            left, right, count = _core.components_bits(self._bits, self.n_right)
        else:
            left, right, count = _core.components_lists(*self._expect_lists(), self.n_right)
        return left, right, int(count)

    def edges(self) -> npt.NDArray[np.int64]:
        """Return all conflicts, shape (n_edges, 2), ordered by left vertex and then by right."""
        if self._bits is not None:
            targets, counts = _core.set_bits(self._bits)
        else:
            offsets, targets = self._expect_lists()
            counts = np.diff(offsets)
        rows = np.repeat(np.arange(self.n_left, dtype=np.int64), counts)
        return np.stack([rows, targets.astype(np.int64)], axis=1)

    def to_csr(self) -> Any:
        """Return the graph as a ``scipy.sparse.csr_array`` of bool, shape (n_left, n_right)."""
        offsets, targets = self.as_lists()._expect_lists()
        return sparse.csr_array(
            (np.ones(len(targets), dtype=np.bool_), targets, offsets), shape=(self.n_left, self.n_right)
        )

    def __or__(self, other: ConflictGraph) -> ConflictGraph:
        """Return the graph of the conflicts of either of two graphs on the same vertices."""
        if self.bits is not None and other.bits is not None:
            return ConflictGraph.from_bits(self.bits | other.bits, self.n_right)
        return ConflictGraph.from_matrix(self.to_csr() + other.to_csr())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConflictGraph):
            return NotImplemented
        if (self.n_left, self.n_right, self.n_edges) != (other.n_left, other.n_right, other.n_edges):
            return False
        offsets, targets = self.as_lists()._expect_lists()
        other_offsets, other_targets = other.as_lists()._expect_lists()
        return np.array_equal(offsets, other_offsets) and np.array_equal(targets, other_targets)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"ConflictGraph({self.n_left} x {self.n_right}, {self.n_edges} conflicts, "
            f"density {100 * self.density:.3g}%, {self.storage}, {self.nbytes} bytes)"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the graph to an .npz file (no pickles; written whole or not at all)."""
        size = np.array([self.n_left, self.n_right], dtype=np.int64)
        if self._bits is not None:
            write_arrays(path, _FORMAT, size=size, bits=self._bits)
        else:
            offsets, targets = self._expect_lists()
            write_arrays(path, _FORMAT, size=size, offsets=offsets, targets=targets)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConflictGraph:
        """Read a graph that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is something else, or damaged.
        """
        arrays = read_arrays(path, _FORMAT)
        size = arrays.get("size")
        if size is None or size.shape != (2,) or size.dtype != np.int64 or size.min() < 0:
            raise ValueError(must("path", "a conflict graph", "a file without its size"))
        if "bits" in arrays:
            graph = cls.from_bits(arrays["bits"], int(size[1]))
        elif "offsets" in arrays and "targets" in arrays:
            graph = cls.from_lists(arrays["offsets"], arrays["targets"], int(size[1]))
        else:
            raise ValueError(must("path", "a conflict graph", "a file without conflicts"))
        if graph.n_left != size[0]:
            raise ValueError(must("path", f"a conflict graph of {size[0]} left vertices", graph.n_left))
        return graph


def _check_count(name: str, count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
        raise TypeError(must(name, "a whole number", count))
    if not 0 <= count < 2**31:
        raise ValueError(must(name, "at least 0 and below 2**31", count))


def _as_whole(name: str, values: Any) -> npt.NDArray[Any]:
    """Return whole numbers, int32 as it is and others as int64; an empty list is of any kind."""
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(must(name, "an array of integers", array.dtype))
    if array.dtype == np.uint64 and array.size and array.max() >= 2**63:
        raise ValueError(must(name, "below 2**63", array.max()))
    return array if array.dtype == np.int32 else array.astype(np.int64, copy=False)


def _with_bits(bits: npt.NDArray[np.uint64], edges: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Return a copy of packed bits with those of some pairs set."""
    result = bits.copy()
    rows, columns = edges[:, 0], edges[:, 1]
    np.bitwise_or.at(result, (rows, columns >> 6), np.uint64(1) << (columns & 63).astype(np.uint64))
    return result


_TOKEN = object()
