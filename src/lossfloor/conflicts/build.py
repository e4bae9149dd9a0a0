"""Building a conflict graph from data and an adversary, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core
from lossfloor._validation import must
from lossfloor.adversaries import Adversary, BitRows, ConflictRows, ListRows
from lossfloor.conflicts.graph import ConflictGraph, prefers_lists
from lossfloor.distances import Rows

#: Called during the work: name of the stage, amount done, total amount.
Progress = Callable[[str, int, int], None]

_Lists = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]


def build(
    adversary: Adversary,
    data: Any,
    codes: npt.NDArray[np.intp],
    *,
    progress: Progress | None = None,
) -> ConflictGraph:
    """Find all conflicts between the examples of two classes.

    Parameters
    ----------
    adversary : Adversary
    data : object
        The examples as ``adversary.as_data`` returned them.
    codes : ndarray of intp, shape (n,)
        0 for the first class, 1 for the second.
    progress : callable, optional
        Called with ("conflicts", rows done, rows in all).

    Returns
    -------
    ConflictGraph
        Left vertices are the examples of the first class, in their order, right ones those of the second.  Dense
        graphs are stored as bits, sparse ones as lists; never is there a matrix of distances.

    Raises
    ------
    ValueError
        If the adversary leaves pairs open: see `build_bounds`.
    """
    graph, wider = build_bounds(adversary, data, codes, progress=progress)
    if wider is not None:
        n_open = wider.n_edges - graph.n_edges
        raise ValueError(must("adversary", "one that decides every pair of this data", f"{n_open} pairs left open"))
    return graph


def build_bounds(
    adversary: Adversary,
    data: Any,
    codes: npt.NDArray[np.intp],
    *,
    progress: Progress | None = None,
) -> tuple[ConflictGraph, ConflictGraph | None]:
    """Find the conflicts that are sure, and all that are possible if some pairs stay open; arguments as for `build`.

    Returns
    -------
    sure : ConflictGraph
    possible : ConflictGraph or None
        The sure conflicts and those that are perhaps there; None if no pair is open.
    """
    left, right = np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)
    perhaps: list[ConflictRows] = []

    def sure_rows() -> Iterator[ConflictRows]:
        for rows in adversary.conflicts(
            _taken(data, left, adversary), _taken(data, right, adversary), index_a=left, index_b=right
        ):
            perhaps.append(_only_perhaps(rows))
            yield rows._replace(perhaps=None)

    graph = gather(sure_rows(), len(left), len(right), progress=progress)
    if not any(len(rows.targets) if isinstance(rows, ListRows) else rows.bits.any() for rows in perhaps):
        return graph, None
    return graph, graph | gather(perhaps, len(left), len(right))


def _taken(data: Any, places: npt.NDArray[np.intp], adversary: Adversary) -> Any:
    """Return some examples, without a copy where that is possible."""
    if isinstance(data, np.ndarray) and len(places) > 0:
        if places[-1] - places[0] == len(places) - 1:
            return data[places[0] : places[-1] + 1]
        if adversary.takes_rows and data.ndim == 2:
            return Rows(data, places)
    return data[places]


def _only_perhaps(rows: ConflictRows) -> ConflictRows:
    """Return the conflicts that are perhaps there as a piece of their own."""
    if isinstance(rows, BitRows) and rows.perhaps is not None:
        return BitRows(rows.start, rows.stop, rows.perhaps)
    targets, counts = np.empty(0, dtype=np.int32), np.zeros(rows.stop - rows.start, dtype=np.int64)
    if isinstance(rows, ListRows) and rows.perhaps is not None:
        targets, counts = rows.perhaps
    return ListRows(rows.start, rows.stop, targets, counts)


def gather(
    pieces: Iterable[ConflictRows], n_left: int, n_right: int, *, progress: Progress | None = None
) -> ConflictGraph:
    """Put the rows of a graph together, in the form that suits their number.

    Parameters
    ----------
    pieces : iterable of BitRows and ListRows
        Successive rows.
    n_left, n_right : int
    progress : callable, optional
        Called with ("conflicts", rows done, rows in all).

    Returns
    -------
    ConflictGraph
    """
    kept: list[tuple[int, int, npt.NDArray[np.uint64] | _Lists]] = []
    bits: npt.NDArray[np.uint64] | None = None
    words = (n_right + 63) // 64
    n_edges = 0
    for rows in pieces:
        if rows.perhaps is not None:
            raise ValueError(must("pieces", "rows that leave no pair open", "pairs that conflict perhaps"))
        if isinstance(rows, ListRows):
            n_edges += len(rows.targets)
            kept.append((rows.start, rows.stop, (rows.targets, rows.counts)))
        else:
            count = _core.count_bits(np.ascontiguousarray(rows.bits))
            n_edges += count
            # Each piece waits in its smaller form, so that a huge sparse graph never exists as bits, and a dense one
            # is never in memory twice.
            piece: npt.NDArray[np.uint64] | _Lists = rows.bits
            if prefers_lists(count, rows.stop - rows.start, n_right):
                piece = _core.set_bits(rows.bits)
            elif not prefers_lists(n_edges, rows.stop, n_right) and rows.stop - rows.start < n_left:
                bits = np.empty((n_left, words), dtype=np.uint64) if bits is None else bits
                piece = bits[rows.start : rows.stop]
                piece[:] = rows.bits
            kept.append((rows.start, rows.stop, piece))
        if progress is not None:
            progress("conflicts", rows.stop, n_left)
    if prefers_lists(n_edges, n_left, n_right):
        lists = [piece if isinstance(piece, tuple) else _core.set_bits(piece) for _, _, piece in kept]
        offsets = np.concatenate([[0], *(counts for _, counts in lists)]).cumsum(dtype=np.int64)
        targets = np.concatenate([targets for targets, _ in lists])
        return ConflictGraph.from_lists(offsets, targets, n_right)
    if len(kept) == 1 and not isinstance(kept[0][2], tuple):
        return ConflictGraph.from_bits(kept[0][2], n_right)
    whole = np.empty((n_left, words), dtype=np.uint64) if bits is None else bits
    while kept:  # giving back each piece that has a place of its own
        start, stop, piece = kept.pop()
        if isinstance(piece, tuple):
            whole[start:stop] = _as_bits(*piece, words)
        elif piece.base is not whole:
            whole[start:stop] = piece
    return ConflictGraph.from_bits(whole, n_right)


def lists_of(piece: ConflictRows) -> list[_Lists]:
    """Return the sure conflicts of some rows as targets and counts, and the open ones behind them if there are any."""
    if isinstance(piece, BitRows):
        lists = [_core.set_bits(piece.bits)]
        if piece.perhaps is not None and piece.perhaps.any():
            lists.append(_core.set_bits(piece.perhaps))
        return lists
    lists = [(piece.targets, piece.counts)]
    if piece.perhaps is not None and len(piece.perhaps[0]):
        lists.append(piece.perhaps)
    return lists


def _as_bits(targets: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], words: int) -> npt.NDArray[np.uint64]:
    bits = np.zeros((len(counts), words), dtype=np.uint64)
    rows = np.repeat(np.arange(len(counts)), counts)
    np.bitwise_or.at(bits, (rows, targets >> 6), np.uint64(1) << (targets & 63).astype(np.uint64))
    return bits
