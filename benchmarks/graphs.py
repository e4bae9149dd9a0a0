"""Conflict graphs as ratios to one float32 matrix product, and beside scikit-learn, SciPy and faiss."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from common import fashion, ratio, yardstick
from scipy.spatial.distance import cdist

from lossfloor import L1, L2, Linf
from lossfloor.conflicts import build

#: Exact conflict counts at 5000 examples a class, known from brute force in integers.
KNOWN_COUNTS = {"3.0": 12748, "3.6": 131437, "4.0": 419374, "4.6": 1714368, "5.0": 3503695, "5.6": 7614428}


def rows(n_per_class: int = 6000, runs: int = 5) -> Iterator[dict[str, Any]]:
    X, y, unit = fashion(n_per_class)
    codes = np.searchsorted(np.unique(y), y)
    A, B = X[codes == 0], X[codes == 1]
    G = yardstick(A, B)
    squares = _exact_squares(A, B)
    for eps in ("2.0", "3.0", "3.6", "4.0", "4.6", "5.0", "5.6", "6.0", "6.5", "7.0", "8.0"):
        yield _row("l2, uint8", eps, L2(eps, unit), X, codes, G, runs, squares <= int((2 * Fraction(eps) * unit) ** 2))
    del squares
    Xf = (X / np.float32(255)).astype(np.float32)
    for eps in ("3.0", "4.0", "5.0", "6.0", "7.0"):
        yield _row("l2, float32", eps, L2(eps), Xf, codes, G, runs, None)
    for name, family, metric, budgets in (
        ("l1, uint8", L1, "cityblock", ("20", "40", "60", "80", "100", "120")),
        ("linf, uint8", Linf, "chebyshev", ("0.1", "0.2", "0.3", "0.4")),  # radius of the pair 0.2 to 0.8
    ):
        distances = cdist(A, B, metric)
        for eps in budgets:
            expected = distances <= int(2 * Fraction(eps) * unit)
            yield _row(name, eps, family(eps, unit), X, codes, G, runs, expected)
        del distances
    for eps in ("0.2", "0.4"):
        yield _row("linf, float32", eps, Linf(eps), Xf, codes, G, runs, None)


def _row(
    name: str, eps: str, adversary: Any, X: Any, codes: Any, G: Any, runs: int, expected: np.ndarray | None
) -> dict[str, Any]:
    data = adversary.as_data(X, len(codes))
    timed = ratio(lambda: build(adversary, data, codes), G, runs)
    graph = timed.pop("answers")[0]
    if expected is not None:
        found = graph.to_csr().toarray()
        assert np.array_equal(found, expected), f"{name} at eps {eps}: wrong conflicts"
    checked = "brute force, every bit" if expected is not None else "count only"
    return {
        "what": f"graph, {name}",
        "eps": eps,
        "against": "G",
        "conflicts": graph.n_edges,
        "checked": checked,
        **timed,
    }


def _exact_squares(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    a, b = A.astype(np.float64) - 128, B.astype(np.float64) - 128  # integers below 2^53: exact
    return (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * (a @ b.T)


#: What the competitors are tried on: family, scikit-learn's name of the metric, budgets.
TRIED = (
    (L2, "euclidean", ("3.0", "4.0", "5.0", "6.0", "7.0")),
    (L1, "cityblock", ("40", "80", "120")),
    (Linf, "chebyshev", ("0.1", "0.3", "0.4")),
)


def competitors(n_per_class: int = 2000, runs: int = 5) -> Iterator[dict[str, Any]]:
    """Beside the brute force that people use today: two routes of scikit-learn and faiss's range search.

    The competitors get float32, the type that they are fastest on, and both cores.
    """
    X, y, unit = fashion(n_per_class)
    codes = np.searchsorted(np.unique(y), y)
    A, B = X[codes == 0], X[codes == 1]
    Af, Bf = A.astype(np.float32), B.astype(np.float32)
    inputs = {"uint8": (X, unit), "float32": ((X / np.float32(255)).astype(np.float32), 1)}
    routes = (
        ("scikit-learn pairwise_distances_chunked", _sklearn_chunked),
        ("scikit-learn radius_neighbors, brute", _sklearn_radius),
        ("faiss range_search, flat", _faiss),
    )
    for family, metric, budgets in TRIED:
        for eps in budgets:
            for dtype, (data, own_unit) in inputs.items():
                adversary = family(eps, own_unit)
                points = adversary.as_data(data, len(codes))
                for name, theirs in routes:
                    # A little beyond an integer threshold: their rounding must not decide.
                    threshold = float(2 * Fraction(eps) * unit) + 1e-3
                    timed = ratio(
                        lambda adversary=adversary, points=points: build(adversary, points, codes),
                        lambda theirs=theirs, metric=metric, threshold=threshold: theirs(Af, Bf, metric, threshold),
                        runs,
                    )
                    graph, count = timed.pop("answers")
                    difference = count - graph.n_edges
                    yield {
                        "what": f"graph, {adversary.name}, {dtype}, {n_per_class} a class",
                        "eps": eps,
                        "against": name,
                        "conflicts": graph.n_edges,
                        "checked": "same count" if difference == 0 else f"{difference:+d} by rounding",
                        **timed,
                    }


def _sklearn_chunked(A: np.ndarray, B: np.ndarray, metric: str, threshold: float) -> int:
    from sklearn.metrics import pairwise_distances_chunked

    parts = pairwise_distances_chunked(A, B, metric=metric, reduce_func=lambda D, _: threshold >= D, n_jobs=-1)
    return sum(int(np.count_nonzero(part)) for part in parts)


def _sklearn_radius(A: np.ndarray, B: np.ndarray, metric: str, threshold: float) -> int:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(algorithm="brute", metric=metric, n_jobs=-1).fit(B)
    return sum(map(len, index.radius_neighbors(A, threshold, return_distance=False)))


def _faiss(A: np.ndarray, B: np.ndarray, metric: str, threshold: float) -> int:
    import faiss

    kinds = {"euclidean": faiss.METRIC_L2, "cityblock": faiss.METRIC_L1, "chebyshev": faiss.METRIC_Linf}
    index = faiss.IndexFlat(B.shape[1], kinds[metric])
    index.add(B)
    limits, _, _ = index.range_search(A, threshold**2 if metric == "euclidean" else threshold)
    return int(limits[-1])
