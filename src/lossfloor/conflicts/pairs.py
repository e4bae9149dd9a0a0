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
    """Yield the graph of a class with each of some others, from one sweep.

    Yields
    ------
    which : int
    sure : ConflictGraph
    most : ConflictGraph or None
        The sure conflicts and the undecided ones; None if every pair is decided.
    """
    right = np.concatenate(list(others))
    bounds = np.concatenate([[0], np.cumsum([len(some) for some in others])])
    sure: list[list[ListRows]] = [[] for _ in others]
    undecided: list[list[ListRows]] = [[] for _ in others]
    for piece in sweep(adversary, data, left, right):
        lists = lists_of(piece)
        for rows, kept in zip(lists, (sure, undecided), strict=False):
            targets, counts = rows
            of_row = np.repeat(np.arange(len(counts)), counts)
            for j in range(len(others)):
                inside = (targets >= bounds[j]) & (targets < bounds[j + 1])
                own = np.bincount(of_row[inside], minlength=len(counts))
                kept[j].append(ListRows(piece.start, piece.stop, (targets[inside] - bounds[j]).astype(np.int32), own))
        if len(lists) < 2:
            for j in range(len(others)):
                none = np.zeros(piece.stop - piece.start, dtype=np.int64)
                undecided[j].append(ListRows(piece.start, piece.stop, np.empty(0, dtype=np.int32), none))
    for j, some in enumerate(others):
        graph = assemble(sure[j], len(left), len(some))
        more = assemble(undecided[j], len(left), len(some))
        yield j, graph, graph | more if more.n_edges else None
