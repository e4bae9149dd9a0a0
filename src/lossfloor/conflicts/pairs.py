"""Finding the conflict graphs of every two of many classes, in one sweep for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lossfloor._types import Positions
from lossfloor.adversaries import Adversary
from lossfloor.conflicts.sweep import sweep
from lossfloor.graphs import ConflictGraph, ListRows, assemble, lists_of


def build_pairs(
    adversary: Adversary,
    data: Any,
    left: Positions,
    others: Sequence[Positions],
) -> Iterator[tuple[int, ConflictGraph, ConflictGraph | None]]:
    """Yield the graph of a class with each of some others, from one sweep: which, the sure conflicts, the possible."""
    right = np.concatenate(list(others))
    bounds = np.concatenate([[0], np.cumsum([len(some) for some in others])])
    sure: list[list[ListRows]] = [[] for _ in others]
    open_rows: list[list[ListRows]] = [[] for _ in others]
    for piece in sweep(adversary, data, left, right):
        lists = lists_of(piece)
        for rows, kept in zip(lists, (sure, open_rows), strict=False):
            targets, counts = rows
            of_row = np.repeat(np.arange(len(counts)), counts)
            for j in range(len(others)):
                inside = (targets >= bounds[j]) & (targets < bounds[j + 1])
                own = np.bincount(of_row[inside], minlength=len(counts))
                kept[j].append(ListRows(piece.start, piece.stop, (targets[inside] - bounds[j]).astype(np.int32), own))
        if len(lists) < 2:
            for j in range(len(others)):
                none = np.zeros(piece.stop - piece.start, dtype=np.int64)
                open_rows[j].append(ListRows(piece.start, piece.stop, np.empty(0, dtype=np.int32), none))
    for j, some in enumerate(others):
        graph = assemble(sure[j], len(left), len(some))
        wider = assemble(open_rows[j], len(left), len(some))
        yield j, graph, graph | wider if wider.n_edges else None
