"""Finding the conflict graph of two classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lossfloor._checks import must
from lossfloor._types import Positions, Progress
from lossfloor.adversaries import Adversary
from lossfloor.conflicts.sweep import sweep
from lossfloor.graphs import ConflictGraph, ConflictRows, ListRows, assemble, decided


def build(
    adversary: Adversary,
    data: Any,
    codes: Positions,
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
        If the adversary leaves pairs undecided: see `build_bounds`.
    """
    graph, most = build_bounds(adversary, data, codes, progress=progress)
    if most is not None:
        undecided = f"{most.n_edges - graph.n_edges} undecided pairs"
        raise ValueError(must("adversary", "one that decides every pair of this data", undecided))
    return graph


def build_bounds(
    adversary: Adversary,
    data: Any,
    codes: Positions,
    *,
    progress: Progress | None = None,
) -> tuple[ConflictGraph, ConflictGraph | None]:
    """Find the sure conflicts, and these with the undecided ones added if there are any; arguments as for `build`.

    Returns
    -------
    sure : ConflictGraph
    most : ConflictGraph or None
        The sure conflicts and the undecided ones; None if every pair is decided.
    """
    left, right = np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)
    undecided: list[ConflictRows] = []

    def sure_rows() -> Iterator[ConflictRows]:
        for rows in sweep(adversary, data, left, right):
            sure, rest = decided(rows)
            undecided.append(rest)
            yield sure

    graph = assemble(sure_rows(), len(left), len(right), progress=progress)
    if not any(len(rows.targets) if isinstance(rows, ListRows) else rows.bits.any() for rows in undecided):
        return graph, None
    return graph, graph | assemble(undecided, len(left), len(right))
