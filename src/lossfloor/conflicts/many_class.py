"""Finding the conflict graph of many classes, and what decides whether more than two neighbourhoods share a point."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core
from lossfloor._types import Positions, Progress, Vertices
from lossfloor.adversaries import Adversary
from lossfloor.adversaries.base import BallOfNorm
from lossfloor.conflicts.sweep import sweep
from lossfloor.distances import thread_count
from lossfloor.graphs import ClassGraph, lists_of
from lossfloor.graphs.multipartite import class_graph

#: Verdicts of the core on a clique.
NO, UNDECIDED, YES = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class CommonPointRule:
    """How it is told whether three and more neighbourhoods share a point.

    Attributes
    ----------
    kind : {"pairs", "balls", "unknown", "asking"}
        What `Adversary.meets_by` says of the examples.
    adversary : Adversary
    data : object
        The examples as ``adversary.as_data`` returned them.
    index : ndarray of intp, optional
        Positions in the data of the examples that are asked about, if they are some of them only.
    """

    kind: str
    adversary: Adversary
    data: Any
    index: Positions | None = None

    @classmethod
    def of(cls, adversary: Adversary, data: Any) -> CommonPointRule:
        """Return the rule of an adversary for some examples."""
        return cls(adversary.meets_by(data), adversary, data)

    def of_part(self, vertices: Positions) -> CommonPointRule:
        """Return the same for a graph of some of the examples."""
        return dataclasses.replace(self, index=vertices if self.index is None else self.index[vertices])

    def ask(self, members: Vertices) -> int:
        """Return whether the neighbourhoods of some examples share a point."""
        if self.kind == "unknown":
            return UNDECIDED
        index = members.astype(np.intp) if self.index is None else self.index[members]
        try:
            return NO if self.adversary.meet(self.data[index], index=index) is None else YES
        except (ArithmeticError, ValueError):  # undecided, or not made for more than two
            return UNDECIDED


def build(
    adversary: Adversary,
    data: Any,
    codes: Positions,
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
    undecided = []
    done = 0
    for code in range(n_classes - 1):
        left, right = np.flatnonzero(codes == code), np.flatnonzero(codes > code)
        for piece in sweep(adversary, data, left, right):
            for is_undecided, (targets, counts) in enumerate(lists_of(piece)):
                rows.append(np.repeat(left[piece.start : piece.stop], counts).astype(np.int32))
                columns.append(right[targets].astype(np.int32))
                undecided.append(np.full(len(targets), bool(is_undecided)))
            if progress is not None:
                progress("conflicts", done + piece.stop, len(codes))
        done += len(left)
    if progress is not None:
        progress("conflicts", len(codes), len(codes))
    graph = class_graph(codes, n_classes, np.concatenate(rows), np.concatenate(columns), np.concatenate(undecided))
    ball = adversary.norm_ball
    if ball is None or adversary.meets_by(data) != "balls":
        return graph
    return _with_squares(graph, ball, data)


def _with_squares(graph: ClassGraph, ball: BallOfNorm, data: npt.NDArray[Any]) -> ClassGraph:
    """Add the squared distances of all conflicts.

    Whole numbers below 2^26 have exact ones in double precision; others are right to d + 2 roundings.
    """
    rows = data
    if data.dtype not in (np.uint8, np.int16, np.float32, np.float64):
        rows = data.astype(np.float64)
    n = len(data)
    radii = [radius * radius for radius in ball.radii(n, np.arange(n))]
    squares = np.array([float(radius) for radius in radii], dtype=np.float64)
    return dataclasses.replace(
        graph,
        squares=_core.pair_squares(np.ascontiguousarray(rows), graph.offsets, graph.targets, thread_count()),
        radii=np.ascontiguousarray(np.broadcast_to(squares, (n,))),
        slack=64 * (data.shape[1] + 16) * 2.0**-53,
    )


def squared_radii(ball: BallOfNorm, n: int) -> list[Fraction]:
    """Return the squared radius of each example in units of the data, exactly."""
    radii = ball.radii(n, np.arange(n))
    squares = [radius * radius for radius in radii]
    return squares if len(squares) == n else squares * n


def meeting_test(adversary: Adversary, X: Any, n: int) -> Any:
    """Return the adversary's own test whether the neighbourhoods of some examples share a point."""
    rule = CommonPointRule.of(adversary, adversary.as_data(X, n))

    def meets(members: list[int]) -> bool:
        index = np.array(members, dtype=np.intp)
        if len(members) == 2:
            return adversary.conflict(rule.data[members[0]], rule.data[members[1]], index=index) is True
        if rule.kind == "pairs":
            return all(meets([u, v]) for i, u in enumerate(members) for v in members[:i])
        return adversary.meet(rule.data[index], index=index) is not None

    return meets
