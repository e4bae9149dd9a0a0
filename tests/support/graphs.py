"""Random conflict graphs with integer weights, small enough for slow oracles and odd enough to be worth it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lossfloor import ConflictGraph

Pairs = list[tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class Case:
    """A bipartite graph with positive integer weights."""

    n_left: int
    n_right: int
    edges: Pairs
    left_weight: list[int]
    right_weight: list[int]

    @property
    def total(self) -> int:
        return sum(self.left_weight) + sum(self.right_weight)

    @property
    def weights(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return np.array(self.left_weight, dtype=np.int64), np.array(self.right_weight, dtype=np.int64)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Labels of a data set whose first n_left examples are the left vertices."""
        return np.repeat([0, 1], [self.n_left, self.n_right])

    def graph(self, storage: str = "bits") -> ConflictGraph:
        graph = ConflictGraph.from_edges(self.edges, n_left=self.n_left, n_right=self.n_right)
        return graph.as_bits() if storage == "bits" else graph.as_lists()

    def matrix(self) -> npt.NDArray[np.bool_]:
        """The conflicts of that data set, shape (n, n)."""
        n = self.n_left + self.n_right
        matrix = np.zeros((n, n), dtype=np.bool_)
        for u, v in self.edges:
            matrix[u, self.n_left + v] = matrix[self.n_left + v, u] = True
        return matrix


def random_case(
    rng: np.random.Generator, *, largest: int = 14, huge: bool = False, most_weight: int | None = None
) -> Case:
    """Draw a graph: its sizes, its kind, its density and the spread of its weights all vary."""
    n_left, n_right = (int(n) for n in rng.integers(1, largest + 1, size=2))
    if rng.random() < 0.2:  # lopsided
        n_left, n_right = (1, n_right + largest) if rng.random() < 0.5 else (n_left + largest, int(rng.integers(1, 3)))
    kind = rng.choice(["random", "interval", "threshold", "chain", "unions", "twins"])
    edges = _EDGES[kind](rng, n_left, n_right)
    return Case(
        n_left, n_right, sorted(edges), *_random_weights(rng, n_left, n_right, huge=huge, most_weight=most_weight)
    )


def random_cases(seed: int, count: int, **options: int | bool) -> Iterator[Case]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield random_case(rng, **options)  # type: ignore[arg-type]


def _random(rng: np.random.Generator, n_left: int, n_right: int) -> set[tuple[int, int]]:
    density = rng.choice([0.02, 0.1, 0.2, 0.35, 0.6, 0.9, 1.0])
    return {(u, v) for u in range(n_left) for v in range(n_right) if rng.random() < density}


def _interval(rng: np.random.Generator, n_left: int, n_right: int) -> set[tuple[int, int]]:
    """Points on a line in conflict when they are near: what real data looks like."""
    a, b = rng.integers(0, 30, n_left), rng.integers(0, 30, n_right)
    reach = rng.integers(0, 8)
    return {(u, v) for u in range(n_left) for v in range(n_right) if abs(a[u] - b[v]) <= reach}


def _threshold(rng: np.random.Generator, n_left: int, n_right: int) -> set[tuple[int, int]]:
    """Nested neighbourhoods: many blocks."""
    a, b = rng.integers(0, 20, n_left), rng.integers(0, 20, n_right)
    return {(u, v) for u in range(n_left) for v in range(n_right) if a[u] + b[v] <= 18}


def _chain(_: np.random.Generator, n_left: int, n_right: int) -> set[tuple[int, int]]:
    """A path u0 v0 u1 v1 ...: long augmenting paths."""
    forth = {(i, i) for i in range(min(n_left, n_right))}
    return forth | {(i + 1, i) for i in range(min(n_left - 1, n_right))}


def _unions(rng: np.random.Generator, n_left: int, n_right: int) -> set[tuple[int, int]]:
    """Complete pieces, some of equal posterior, which must be merged."""
    a, b = rng.integers(0, 4, n_left), rng.integers(0, 4, n_right)
    return {(u, v) for u in range(n_left) for v in range(n_right) if a[u] == b[v]}


def _twins(rng: np.random.Generator, n_left: int, n_right: int) -> set[tuple[int, int]]:
    """Few distinct neighbourhoods, each of them several times, on both sides."""
    a, b = rng.integers(0, 4, n_left), rng.integers(0, 4, n_right)
    joined = rng.random((4, 4)) < 0.5
    return {(u, v) for u in range(n_left) for v in range(n_right) if joined[a[u], b[v]]}


_EDGES = {
    "random": _random,
    "interval": _interval,
    "threshold": _threshold,
    "chain": _chain,
    "unions": _unions,
    "twins": _twins,
}


def _random_weights(
    rng: np.random.Generator, n_left: int, n_right: int, *, huge: bool, most_weight: int | None
) -> tuple[list[int], list[int]]:
    n = n_left + n_right
    if huge:
        # The sum comes near 2^61, so that weight times weight needs 128 bits; some weights are tiny beside it.
        sizes = rng.integers(1, 2**61 // n, size=n)
        tiny = rng.random(n) < 0.2
        sizes[tiny] = rng.integers(1, 5, size=int(tiny.sum()))
    else:
        kind = rng.choice(["one", "few", "many", "spread"])
        if kind == "one":
            sizes = np.ones(n, dtype=np.int64)
        elif kind == "few":
            sizes = rng.integers(1, 4, size=n)
        elif kind == "many":
            sizes = rng.integers(1, 1000, size=n)
        else:
            sizes = np.exp(rng.uniform(0, 16, size=n)).astype(np.int64)
        if most_weight is not None:
            sizes = np.minimum(sizes, most_weight)
    return sizes[:n_left].tolist(), sizes[n_left:].tolist()
