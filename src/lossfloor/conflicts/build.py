"""Building a conflict graph from data and an adversary, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core
from lossfloor.adversaries import Adversary, ListRows
from lossfloor.conflicts.graph import ConflictGraph, prefers_lists

#: Called as work goes on: name of the stage, how much is done, how much there is.
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
    """
    left, right = np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)
    pieces: list[npt.NDArray[np.uint64] | _Lists] = []
    n_edges = 0
    for rows in adversary.conflicts(data[left], data[right], index_a=left, index_b=right):
        if isinstance(rows, ListRows):
            count = len(rows.targets)
            pieces.append((rows.targets, rows.counts))
        else:
            count = int(np.bitwise_count(rows.bits).sum(dtype=np.int64))
            # Each piece waits in its smaller form, so that a huge sparse graph never exists as bits.
            few = prefers_lists(count, rows.stop - rows.start, len(right))
            pieces.append(_core.set_bits(rows.bits) if few else rows.bits)
        n_edges += count
        if progress is not None:
            progress("conflicts", rows.stop, len(left))
    if prefers_lists(n_edges, len(left), len(right)):
        lists = [piece if isinstance(piece, tuple) else _core.set_bits(piece) for piece in pieces]
        offsets = np.concatenate([[0], *(counts for _, counts in lists)]).cumsum(dtype=np.int64)
        targets = np.concatenate([targets for targets, _ in lists])
        return ConflictGraph.from_lists(offsets, targets, len(right))
    words = (len(right) + 63) // 64
    parts = [piece if not isinstance(piece, tuple) else _as_bits(*piece, words) for piece in pieces]
    return ConflictGraph.from_bits(parts[0] if len(parts) == 1 else np.concatenate(parts), len(right))


def _as_bits(
    targets: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], words: int
) -> npt.NDArray[np.uint64]:
    bits = np.zeros((len(counts), words), dtype=np.uint64)
    rows = np.repeat(np.arange(len(counts)), counts)
    np.bitwise_or.at(bits, (rows, targets >> 6), np.uint64(1) << (targets & 63).astype(np.uint64))
    return bits
