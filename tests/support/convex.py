"""The floor of a loss by a general convex solver: cvxpy with Clarabel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
from scipy import sparse

from support.graphs import Case

#: Losses as cvxpy writes them, each convex and decreasing in q.
LOSSES: dict[str, Callable[[Any], Any]] = {
    "log": lambda q: -cp.log(q),
    "brier": lambda q: cp.square(1 - q),
    "reciprocal": cp.inv_pos,
    "zero_one": lambda q: 1 - q,
    "root": lambda q: -cp.sqrt(q),
    "hinge": lambda q: cp.pos(0.75 - q),
}
#: The same as functions of an array.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "log": lambda q: -np.log(q),
    "brier": lambda q: (1 - q) ** 2,
    "reciprocal": lambda q: 1 / q,
    "zero_one": lambda q: 1 - q,
    "root": lambda q: -np.sqrt(q),
    "hinge": lambda q: np.maximum(0, 0.75 - q),
}


def floor(case: Case, loss: str, costs: tuple[float, float] = (1.0, 1.0)) -> float:
    """Minimise the mean loss over the q that no conflict forbids."""
    n = case.n_left + case.n_right
    p = np.array(case.left_weight + case.right_weight, dtype=np.float64) / case.total
    p *= np.repeat(costs, [case.n_left, case.n_right])
    q = cp.Variable(n)
    limits = [q <= 1, q >= 0]
    if case.edges:
        ends = np.array(case.edges) + np.array([0, case.n_left])
        k = len(ends)
        rows = np.repeat(np.arange(k), 2)
        limits.append(sparse.csr_array((np.ones(2 * k), (rows, ends.ravel())), shape=(k, n)) @ q <= 1)
    problem = cp.Problem(cp.Minimize(p @ LOSSES[loss](q)), limits)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    if problem.status != cp.OPTIMAL:
        raise RuntimeError(f"Clarabel says {problem.status}")
    return float(problem.value)
