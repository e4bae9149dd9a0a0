"""Conflict graphs as ratios to one float32 matrix product, and beside scikit-learn, SciPy and faiss."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from common import fashion, ratio, yardstick

from lossfloor import L1, L2, Linf
from lossfloor.conflicts import build

#: Exact conflict counts at 5000 examples a class, known from brute force in integers.
KNOWN_COUNTS = {"3.0": 12748, "3.6": 131437, "4.0": 419374, "4.6": 1714368, "5.0": 3503695, "5.6": 7614428}


def rows(n_per_class: int = 6000, runs: int = 5) -> Iterator[dict[str, Any]]:
    X, y, unit = fashion(n_per_class)
    codes = np.searchsorted(np.unique(y), y)
    A, B = X[codes == 0], X[codes == 1]
    G = yardstick(A, B)
    for eps in ("2.0", "3.0", "3.6", "4.0", "4.6", "5.0", "5.6", "6.0", "6.5", "7.0", "8.0"):
        yield _row("l2, uint8", eps, L2(eps, unit), X, codes, G, runs, _exact_l2(A, B, Fraction(eps) * unit))
    Xf = (X / np.float32(255)).astype(np.float32)
    for eps in ("3.0", "4.0", "5.0", "6.0", "7.0"):
        yield _row("l2, float32", eps, L2(eps), Xf, codes, G, runs, None)
    for eps in ("20", "40", "60", "80"):
        yield _row("l1, uint8", eps, L1(eps, unit), X, codes, G, runs, _cdist(A, B, "cityblock", Fraction(eps) * unit))
    for eps in ("0.1", "0.2", "0.3", "0.4"):  # radius of the pair 0.2 to 0.8
        check = _cdist(A, B, "chebyshev", Fraction(eps) * unit)
        yield _row("linf, uint8", eps, Linf(eps, unit), X, codes, G, runs, check)
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


def _exact_l2(A: np.ndarray, B: np.ndarray, eps: Fraction) -> np.ndarray:
    a, b = A.astype(np.float64) - 128, B.astype(np.float64) - 128  # integers below 2^53: exact
    keys = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * (a @ b.T)
    return keys <= int((2 * eps) ** 2)


def _cdist(A: np.ndarray, B: np.ndarray, metric: str, eps: Fraction) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(A, B, metric) <= int(2 * eps)


def competitors(n_per_class: int = 3000, runs: int = 3) -> Iterator[dict[str, Any]]:
    """Never slower than what people use today: scikit-learn's pairwise routines and faiss's range search."""
    X, y, unit = fashion(n_per_class)
    codes = np.searchsorted(np.unique(y), y)
    A, B = X[codes == 0], X[codes == 1]
    Af, Bf = A.astype(np.float32), B.astype(np.float32)
    from sklearn.metrics import pairwise_distances_chunked

    def sklearn(metric: str, threshold: float) -> np.ndarray:
        parts = pairwise_distances_chunked(Af, Bf, metric=metric, reduce_func=lambda D, _: threshold >= D, n_jobs=1)
        return np.concatenate(list(parts))

    def faiss(metric: str, threshold: float) -> int:
        import faiss as library

        kinds = {"euclidean": library.METRIC_L2, "cityblock": library.METRIC_L1, "chebyshev": library.METRIC_Linf}
        index = library.IndexFlat(Bf.shape[1], kinds[metric])
        index.add(Bf)
        limits, _, _ = index.range_search(Af, threshold**2 if metric == "euclidean" else threshold)
        return int(limits[-1])

    for family, metric, eps in (
        (L2, "euclidean", "3.0"),
        (L2, "euclidean", "5.0"),
        (L1, "cityblock", "40"),
        (Linf, "chebyshev", "0.3"),
    ):
        adversary = family(eps, unit)
        threshold = float(2 * Fraction(eps) * unit)
        data = adversary.as_data(X, len(codes))
        for name, theirs in (("scikit-learn pairwise", sklearn), ("faiss range_search", faiss)):
            if name.startswith("faiss"):
                try:
                    import faiss as _  # noqa: F401
                except ImportError:
                    continue
            # Half a unit beyond an integer threshold: their rounding must not decide.
            timed = ratio(
                lambda adversary=adversary, data=data: build(adversary, data, codes),
                lambda theirs=theirs, metric=metric, threshold=threshold: theirs(metric, threshold + 1e-3),
                runs,
            )
            graph, other = timed.pop("answers")
            count = int(other) if np.isscalar(other) else int(np.count_nonzero(other))
            agree = (
                "same count" if count == graph.n_edges else f"{count - graph.n_edges:+d} conflicts by their rounding"
            )
            yield {
                "what": f"graph, {adversary.name}, uint8",
                "eps": eps,
                "against": name,
                "conflicts": graph.n_edges,
                "checked": agree,
                **timed,
            }
