"""More than two classes by brute force: every conflict listed, the loss by a general convex solver."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import cvxpy as cp
import numpy as np
import numpy.typing as npt

Meets = Callable[[Sequence[int]], bool]


def all_conflicts(codes: npt.NDArray[Any], meets: Meets, max_degree: int | None = None) -> list[tuple[int, ...]]:
    """Return every set of examples of different classes that `meets`, pairs first."""
    most = len(np.unique(codes)) if max_degree is None else max_degree
    found: list[tuple[int, ...]] = []
    last: list[tuple[int, ...]] = [(v,) for v in range(len(codes))]
    for _ in range(1, most):
        last = [
            (*row, v)
            for row in last
            for v in range(row[-1] + 1, len(codes))
            if codes[v] not in codes[list(row)] and meets((*row, v))
        ]
        found += last
    return found


def smallest_loss(weight: npt.NDArray[Any], rows: list[tuple[int, ...]], loss: str) -> float:
    """Return the smallest mean loss over the polytope of some conflicts."""
    q = cp.Variable(len(weight))
    constraints = [q >= 0, q <= 1, *(cp.sum(q[list(row)]) <= 1 for row in rows)]
    terms = {"cross_entropy": -cp.log(q), "zero_one": 1 - q, "brier": cp.square(1 - q), "reciprocal": cp.inv_pos(q)}
    objective = cp.sum(cp.multiply(weight / weight.sum(), terms[loss]))
    problem = cp.Problem(cp.Minimize(objective), constraints)
    problem.solve(solver=cp.CLARABEL)
    return float(problem.value)


def discs_meet(points: npt.NDArray[np.float64], radii: npt.NDArray[np.float64]) -> bool:
    """Tell whether discs of the plane share a point: a centre, or a point where two of their circles cross."""
    candidates = list(points)
    for i, j in itertools.combinations(range(len(points)), 2):
        a, b, r, s = points[i], points[j], radii[i], radii[j]
        way = b - a
        distance = float(np.hypot(*way))
        if distance == 0 or not abs(r - s) <= distance <= r + s:
            continue
        along = (distance**2 + r**2 - s**2) / (2 * distance)
        across = np.sqrt(max(r**2 - along**2, 0.0))
        foot = a + way / distance * along
        normal = np.array([-way[1], way[0]]) / distance
        candidates += [foot + across * normal, foot - across * normal]
    return any(np.all(np.hypot(*(points - point).T) <= radii * (1 + 1e-9)) for point in candidates)
