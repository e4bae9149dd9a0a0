"""Two classes: one solve that answers every loss."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lossfloor import _core
from lossfloor._types import Progress
from lossfloor.graphs import ConflictGraph
from lossfloor.solvers.blocks import Blocks


def solve(
    graph: ConflictGraph,
    left_weight: npt.NDArray[np.int64],
    right_weight: npt.NDArray[np.int64],
    *,
    progress: Progress | None = None,
) -> Blocks:
    """Partition the examples into the blocks that are optimal for every loss.

    With ``t_u = q_u`` on the left and ``t_v = 1 - q_v`` on the right, every conflict says ``t_u <= t_v``: minimising a
    loss is isotonic regression on a bipartite order.  The blocks are found by exact max-flows (the recursion of
    Algorithm 1 of the paper, in integers), and do not depend on the loss nor on the order of the examples.

    Parameters
    ----------
    graph : ConflictGraph
    left_weight, right_weight : ndarray of int64, shape (n_left,) and (n_right,)
        Positive; all of them together sum to less than 2**62.
    progress : callable, optional
        Called with ("blocks", examples settled, examples in all).

    Returns
    -------
    Blocks

    Raises
    ------
    ValueError
        If a weight is not positive or the sum too large.
    KeyboardInterrupt
        On Ctrl-C, within a fraction of a second.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Algorithm 1 and Lemma 5.

    Examples
    --------
    >>> graph = ConflictGraph.from_edges([(0, 0)], n_left=2, n_right=1)
    >>> solve(graph, np.array([1, 1]), np.array([1])).posterior
    array([0.5, 1. ])
    """
    total = graph.n_left + graph.n_right

    def report(settled: int) -> None:
        if progress is not None:
            progress("blocks", min(settled, total), total)

    left_weight = np.ascontiguousarray(left_weight, dtype=np.int64)
    right_weight = np.ascontiguousarray(right_weight, dtype=np.int64)
    callback = None if progress is None else report
    if graph.bits is not None:
        result = _core.solve_bits(graph.bits, graph.n_right, left_weight, right_weight, callback)
    else:
        offsets, targets = graph.as_lists().lists or (np.zeros(1, np.int64), np.zeros(0, np.int32))
        result = _core.solve_lists(offsets, targets, graph.n_right, left_weight, right_weight, callback)
    report(total)
    return Blocks(*result)
