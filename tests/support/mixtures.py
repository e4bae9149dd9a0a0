"""Random Gaussian mixtures with adversaries of every family, and what is known of them without the project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

import lossfloor as lf
from lossfloor.adversaries import Box, Ellipsoid, Intersection, WeightedLp
from lossfloor.populations.gaussian import ConvexSet

Array = npt.NDArray[np.float64]
Support = Callable[[Array], float]


@dataclass(frozen=True)
class Mixture:
    """The arguments of `gaussian_floor`, and the support function of the adversary's set."""

    mean: Array
    covariance: Any
    adversary: Any
    prior: float
    support: Support

    @property
    def matrix(self) -> Array:
        shape = np.ndim(self.covariance)
        d = len(self.mean)
        return self.covariance if shape == 2 else np.eye(d) * self.covariance


def _norm_ball(make: Callable[[float], Any], dual: float) -> Callable[[Any, int], tuple[Any, Support]]:
    def family(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
        eps = float(rng.uniform(0.2, 0.8))
        return make(eps), lambda w: eps * float(np.linalg.norm(w, dual))

    return family


def _weighted(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
    costs = rng.uniform(0.5, 2.0, size=d)
    return WeightedLp(1.5, costs, 0.5), lambda w: 0.5 * float(np.linalg.norm(w / costs, 3))


def _frozen_and_free(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
    costs = np.append(rng.uniform(0.5, 2.0, size=d - 1), np.inf)
    costs[0] = 0.0

    def support(w: Array) -> float:
        return np.inf if abs(w[0]) > 1e-9 * np.abs(w).max() else 0.5 * float(np.linalg.norm(w[1:] / costs[1:]))

    return WeightedLp(2, costs, 0.5), support


def _ellipsoid(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
    root = rng.normal(size=(d, d)) + 2.0 * np.eye(d)
    matrix = root.T @ root
    return Ellipsoid(matrix, 1.5), lambda w: 1.5 * float(np.sqrt(w @ np.linalg.solve(matrix, w)))


def _box(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
    budgets = rng.uniform(0.0, 0.8, size=d)
    return Box(budgets, budgets), lambda w: float(np.abs(budgets * w).sum())


def _unit(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
    return lf.Linf("8/255", unit=10), lambda w: 80 / 255 * float(np.abs(w).sum())


class Capsule:
    """All points within `radius` of the segment from ``-axis`` to ``+axis``."""

    def __init__(self, rng: np.random.Generator, d: int) -> None:
        self.axis, self.radius = rng.normal(size=d) * 0.4, 0.3

    def project(self, z: Array) -> Array:
        spine = np.clip(z @ self.axis / (self.axis @ self.axis), -1.0, 1.0) * self.axis
        away = float(np.linalg.norm(z - spine))
        return z if away <= self.radius else spine + (z - spine) * (self.radius / away)

    def support(self, w: Array) -> float:
        return float(np.abs(w @ self.axis) + self.radius * np.linalg.norm(w))


def _projection(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
    capsule = Capsule(rng, d)
    return ConvexSet(project=capsule.project), capsule.support


def _support_value(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
    capsule = Capsule(rng, d)
    return ConvexSet(support=capsule.support), capsule.support


def _support_point(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
    edges = rng.normal(size=(d, d + 2)) * 0.2  # a zonotope
    point = ConvexSet(support_point=lambda w: edges @ np.sign(edges.T @ w))
    return point, lambda w: float(np.abs(edges.T @ w).sum())


def _within_both(rng: np.random.Generator, d: int) -> tuple[Any, Support]:
    """At most 0.3 in each feature and 0.4 in all: the best move for w is ``clip(t w, -0.3, 0.3)`` of norm 0.4."""

    def support(w: Array) -> float:
        def move(t: float) -> Array:
            return np.clip(t * w, -0.3, 0.3)

        largest = 0.3 / np.abs(w).min()
        if np.linalg.norm(move(largest)) <= 0.4:
            return float(w @ move(largest))
        return float(w @ move(optimize.brentq(lambda t: np.linalg.norm(move(t)) - 0.4, 0.0, largest, xtol=1e-15)))

    return Intersection(lf.L2("0.4"), lf.Linf("0.3")), support


FAMILIES: dict[str, Callable[[Any, int], tuple[Any, Support]]] = {
    "l1": _norm_ball(lf.L1, np.inf),
    "l2": _norm_ball(lf.L2, 2),
    "linf": _norm_ball(lf.Linf, 1),
    "l1.5": _norm_ball(lambda eps: lf.Lp(1.5, eps), 3),
    "l3": _norm_ball(lambda eps: lf.Lp(3, eps), 1.5),
    "unit": _unit,
    "weighted": _weighted,
    "frozen and free": _frozen_and_free,
    "ellipsoid": _ellipsoid,
    "box": _box,
    "projection": _projection,
    "support value": _support_value,
    "support point": _support_point,
    "within both": _within_both,
}
SHAPES = ("number", "diagonal", "full")


def random_covariance(rng: np.random.Generator, d: int, shape: str) -> Any:
    if shape == "number":
        return float(rng.uniform(0.3, 2.0))
    if shape == "diagonal":
        return rng.uniform(0.1, 2.0, size=d)
    root = rng.normal(size=(d, d + 1))
    return root @ root.T / d + 0.1 * np.eye(d)


def random_mixture(family: str, shape: str, seed: int, d: int | None = None) -> Mixture:
    """Make a mixture whose means are some standard deviations apart."""
    rng = np.random.default_rng([seed, sorted(FAMILIES).index(family), SHAPES.index(shape)])
    d = int(rng.integers(2, 6)) if d is None else d
    adversary, support = FAMILIES[family](rng, d)
    return Mixture(
        mean=rng.normal(size=d),
        covariance=random_covariance(rng, d, shape),
        adversary=adversary,
        prior=float(rng.uniform(0.1, 0.9)),
        support=support,
    )
