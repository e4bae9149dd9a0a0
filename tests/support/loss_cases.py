"""Losses, posteriors and minima that the tests of losses share."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import optimize

from lossfloor.losses import Brier, Costs, CrossEntropy, Loss, Spherical, ZeroOne

Array = npt.NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
EDGES = [0.0, 5e-324, 1e-300, 1e-17, 1e-9, 0.5, 1 - 1e-9, 1 - 1e-16, 1.0]
CLOSED = [CrossEntropy(), ZeroOne(), Brier(), Spherical()]
WITH_COSTS = [Costs(loss, first, second) for loss in CLOSED for first, second in [(1, 1), (5, 2), ("1/7", 30)]]


def many_posteriors(n: int = 200) -> Array:
    rng = np.random.default_rng(20210)
    tiny = 10.0 ** rng.uniform(-15, 0, size=n // 2)
    return np.concatenate([EDGES, rng.random(n), tiny, 1 - tiny])


def expected(loss: Loss, pi: Array, t: Array) -> Array:
    """Expected loss at t, with 0 * inf = 0."""
    first = np.broadcast_to(loss(t, second=np.array(False)), np.broadcast_shapes(pi.shape, t.shape))
    second = loss(1 - t, second=np.array(True))
    with np.errstate(invalid="ignore"):
        return np.where(pi > 0, pi * first, 0.0) + np.where(pi < 1, (1 - pi) * second, 0.0)


def numeric_minimum(loss: Loss, pi: float) -> float:
    """Minimum over a dense grid, polished by ever finer grids and by scipy."""
    ends = np.logspace(-18, -3, 301)
    grid = np.unique(np.concatenate([np.linspace(0, 1, 2001), ends, 1 - ends]))
    low, high = 0.0, 1.0
    best = math.inf
    for _ in range(10):
        values = expected(loss, np.array(pi), grid)
        at = int(np.argmin(values))
        best = min(best, float(values[at]))
        low, high = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, grid.size - 1)])
        grid = np.linspace(low, high, 101)

    def at_point(t: float) -> float:
        return float(expected(loss, np.array(pi), np.array(t)))

    return min(best, float(optimize.minimize_scalar(at_point, bounds=(low, high), method="bounded").fun))
