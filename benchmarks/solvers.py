"""The solver on given graphs, beside the paper's route, OR-Tools' max-flow, CVXOPT and Clarabel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from common import fashion, ratio, scipy_route, seconds_of

from lossfloor import L2
from lossfloor.conflicts import build
from lossfloor.losses import CrossEntropy
from lossfloor.solvers import solve


def _graph(n_per_class: int, eps: str) -> tuple[Any, np.ndarray]:
    X, y, unit = fashion(n_per_class)
    codes = np.searchsorted(np.unique(y), y)
    adversary = L2(eps, unit)
    graph = build(adversary, adversary.as_data(X, len(codes)), codes)
    return graph, graph.to_csr().toarray()


def _ours(graph: Any) -> float:
    blocks = solve(graph, np.ones(graph.n_left, np.int64), np.ones(graph.n_right, np.int64))
    risks = CrossEntropy().block_risk(blocks.a.astype(float), blocks.b.astype(float))
    return float(risks.sum() / (graph.n_left + graph.n_right))


def rows(n_per_class: int = 5000, eps: str = "5.0", runs: int = 3) -> Iterator[dict[str, Any]]:
    graph, dense = _graph(n_per_class, eps)
    timed = ratio(lambda: _ours(graph), lambda: scipy_route(dense)[0], runs)
    ours, theirs = timed.pop("answers")
    assert abs(ours - theirs) < 1e-9, (ours, theirs)
    yield {
        "what": f"solve, {n_per_class} a class",
        "eps": eps,
        "against": "SciPy max-flow, the paper's route",
        "checked": "cross-entropy to 1e-9",
        **timed,
    }
    timed = ratio(lambda: _ours(graph), lambda: ortools_route(dense), runs)
    ours, theirs = timed.pop("answers")
    assert abs(ours - theirs) < 1e-9, (ours, theirs)
    yield {
        "what": f"solve, {n_per_class} a class",
        "eps": eps,
        "against": "OR-Tools max-flow, same recursion",
        "checked": "cross-entropy to 1e-9",
        **timed,
    }


def ortools_route(conflicts: np.ndarray) -> float:
    """Solve by the same recursion with OR-Tools' max-flow."""
    from ortools.graph.python import max_flow

    total = 0.0
    todo = [(np.arange(conflicts.shape[0]), np.arange(conflicts.shape[1]))]
    while todo:
        left, right = todo.pop()
        a, b = len(left), len(right)
        if a == 0 or b == 0:
            continue
        rows_, columns = np.nonzero(conflicts[np.ix_(left, right)])
        source, sink = a + b, a + b + 1
        solver = max_flow.SimpleMaxFlow()
        tails = np.concatenate([np.full(a, source), rows_, a + np.arange(b)]).astype(np.int32)
        heads = np.concatenate([np.arange(a), a + columns, np.full(b, sink)]).astype(np.int32)
        capacity = np.concatenate([np.full(a, b), np.full(len(rows_), a * b), np.full(b, a)]).astype(np.int64)
        solver.add_arcs_with_capacity(tails, heads, capacity)
        if solver.solve(source, sink) != solver.OPTIMAL:
            raise RuntimeError("OR-Tools did not solve")
        if solver.optimal_flow() == a * b:
            total += a * np.log1p(b / a) + b * np.log1p(a / b)
            continue
        reached = np.zeros(a + b + 2, dtype=bool)
        reached[np.array(solver.get_source_side_min_cut())] = True
        upper_left, upper_right = reached[:a], reached[a : a + b]
        todo.append((left[upper_left], right[upper_right]))
        todo.append((left[~upper_left], right[~upper_right]))
    return total / sum(conflicts.shape)


def convex(sizes: tuple[int, ...] = (100, 200, 400), eps: str = "5.0") -> Iterator[dict[str, Any]]:
    """CVXOPT's and Clarabel's general solvers on the same graphs; each runs once, as they take minutes."""
    for n in sizes:
        graph, dense = _graph(n, eps)
        for name, route in (
            ("CVXOPT, nonlinear interior point", cvxopt_route),
            ("Clarabel, exponential cones", clarabel_route),
        ):
            seconds, theirs = seconds_of(lambda dense=dense, route=route: route(dense))
            own = min(seconds_of(lambda graph=graph: _ours(graph))[0] for _ in range(5))
            ours = _ours(graph)
            assert abs(ours - theirs) < 1e-5, (name, ours, theirs)
            yield {
                "what": f"solve, {n} a class",
                "eps": eps,
                "against": name,
                "ratio": own / seconds,
                "seconds": own,
                "other_seconds": seconds,
                "runs": 1,
                "checked": "cross-entropy to 1e-5",
            }


def cvxopt_route(conflicts: np.ndarray) -> float:
    """Minimise the cross-entropy over the polytope by CVXOPT's solver for nonlinear convex programs."""
    from cvxopt import matrix, solvers, spdiag, spmatrix

    n, m = conflicts.shape
    rows_, columns = np.nonzero(conflicts)
    k, size = len(rows_), n + m
    at = np.concatenate([np.arange(k), np.arange(k), k + np.arange(size)])
    where = np.concatenate([rows_, n + columns, np.arange(size)])
    G = spmatrix(1.0, at.tolist(), where.tolist(), (k + size, size))
    h = matrix(1.0, (k + size, 1))

    def objective(x: Any = None, z: Any = None) -> Any:
        if x is None:
            return 0, matrix(0.4, (size, 1))
        if min(x) <= 0:
            return None
        values = np.array(x).ravel()
        f = -np.log(values).sum()
        gradient = matrix(-1.0 / values).T
        if z is None:
            return f, gradient
        return f, gradient, z[0] * spdiag(matrix(1.0 / values**2))

    solvers.options.update(show_progress=False, abstol=1e-8, reltol=1e-8, feastol=1e-8)
    return float(solvers.cp(objective, G=G, h=h)["primal objective"]) / size


def clarabel_route(conflicts: np.ndarray) -> float:
    """The same through cvxpy and Clarabel."""
    import cvxpy as cp

    n, m = conflicts.shape
    rows_, columns = np.nonzero(conflicts)
    q = cp.Variable(n + m)
    problem = cp.Problem(cp.Minimize(-cp.sum(cp.log(q)) / (n + m)), [q <= 1, q[rows_] + q[n + columns] <= 1])
    problem.solve(solver=cp.CLARABEL)
    return float(problem.value)
