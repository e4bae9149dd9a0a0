"""The route of the paper: OptProb by the max-flow of SciPy, block by block."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from support.graphs import Case

Partition = tuple[list[int], list[int], list[tuple[int, int]]]


def solve(case: Case) -> Partition:
    """Return blocks as `slow_optprob.solve` does.  SciPy's capacities are 32 bits: weights must be small."""
    if sum(case.left_weight) * sum(case.right_weight) >= 2**31:
        raise ValueError("the weights are too large for SciPy's max-flow")
    a, b = case.weights
    csr = sparse.csr_array(
        (np.ones(len(case.edges), dtype=np.int32), tuple(zip(*case.edges, strict=True)) if case.edges else ([], [])),
        shape=(case.n_left, case.n_right),
    )
    todo = [(np.arange(case.n_left), np.arange(case.n_right))]
    settled: list[tuple[Fraction, np.ndarray, np.ndarray]] = []
    while todo:
        left, right = todo.pop()
        if len(left) + len(right) == 0:
            continue
        total_a, total_b = int(a[left].sum()), int(b[right].sum())
        n, m = len(left), len(right)
        source, sink = n + m, n + m + 1
        inside = sparse.coo_array(csr[left][:, right])
        u, v = inside.coords
        capacity = np.concatenate([np.full(len(u), 2**31 - 1), a[left] * total_b, b[right] * total_a])
        tails = np.concatenate([u, np.full(n, source), n + np.arange(m)])
        heads = np.concatenate([n + v, np.arange(n), np.full(m, sink)])
        network = sparse.csr_matrix((capacity.astype(np.int32), (tails, heads)), shape=(n + m + 2,) * 2)
        result = csgraph.maximum_flow(network, source, sink)
        if result.flow_value == total_a * total_b:
            settled.append((Fraction(total_a, total_a + total_b), left, right))
            continue
        residual = sparse.csr_matrix(network - result.flow)
        residual.eliminate_zeros()
        reached = np.zeros(n + m + 2, dtype=np.bool_)
        reached[csgraph.breadth_first_order(residual, source, return_predecessors=False)] = True
        todo.append((left[reached[:n]], right[reached[n : n + m]]))
        todo.append((left[~reached[:n]], right[~reached[n : n + m]]))
    posteriors = sorted({posterior for posterior, _, _ in settled})
    left_block, right_block = np.zeros(case.n_left, dtype=int), np.zeros(case.n_right, dtype=int)
    for posterior, left, right in settled:
        left_block[left] = right_block[right] = posteriors.index(posterior)
    k = range(len(posteriors))
    pairs = [(int(a[left_block == i].sum()), int(b[right_block == i].sum())) for i in k]
    return left_block.tolist(), right_block.tolist(), pairs
