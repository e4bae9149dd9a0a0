"""Putting the rows of a conflict graph together, in the form that suits their number."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from lossfloor import _core
from lossfloor._checks import must
from lossfloor._types import Progress
from lossfloor.graphs.bipartite import ConflictGraph, prefers_lists
from lossfloor.graphs.rows import ConflictRows, ListRows, Lists


def assemble(
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
    kept: list[tuple[int, int, npt.NDArray[np.uint64] | Lists]] = []
    bits: npt.NDArray[np.uint64] | None = None
    words = (n_right + 63) // 64
    n_edges = 0
    for rows in pieces:
        if rows.undecided is not None:
            raise ValueError(must("pieces", "rows without undecided pairs", "undecided pairs"))
        if isinstance(rows, ListRows):
            n_edges += len(rows.targets)
            kept.append((rows.start, rows.stop, (rows.targets, rows.counts)))
        else:
            count = _core.count_bits(np.ascontiguousarray(rows.bits))
            n_edges += count
            # Each piece waits in its smaller form, so that a huge sparse graph never exists as bits, and a dense one
            # is never in memory twice.
            piece: npt.NDArray[np.uint64] | Lists = rows.bits
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


def _as_bits(targets: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], words: int) -> npt.NDArray[np.uint64]:
    bits = np.zeros((len(counts), words), dtype=np.uint64)
    rows = np.repeat(np.arange(len(counts)), counts)
    np.bitwise_or.at(bits, (rows, targets >> 6), np.uint64(1) << (targets & 63).astype(np.uint64))
    return bits
