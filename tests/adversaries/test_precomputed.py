"""Adversaries given by a matrix of distances or conflicts, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from support.brute_force import unpack
from support.graphs import random_cases

import lossfloor as lf
from lossfloor import ConflictGraph, conflicts
from lossfloor.adversaries import ListRows, precomputed

Array = np.ndarray

FORMS: dict[str, Callable[[Array], Any]] = {
    "dense": np.asarray,
    "list": lambda D: D.tolist(),
    "fortran": np.asfortranarray,
    "csr": sparse.csr_array,
    "csc": sparse.csc_array,
    "coo": sparse.coo_array,
    "old matrix": sparse.csr_matrix,
}


def distances(rng: np.random.Generator, n: int = 60) -> Array:
    points = rng.integers(0, 12, (n, 2))
    return np.abs(points[:, None] - points[None]).sum(axis=2)


def codes_of(rng: np.random.Generator, n: int = 60) -> Array:
    return np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])


def built(adversary: lf.Precomputed, codes: Array) -> ConflictGraph:
    return conflicts.build(adversary, adversary.as_data(None, len(codes)), codes)


def expected(inside: Array, codes: Array) -> ConflictGraph:
    return ConflictGraph.from_matrix(inside[np.ix_(codes == 0, codes == 1)])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32, np.float64])
def test_conflicts_in_every_form(form: str, dtype: type) -> None:
    rng = np.random.default_rng(0)
    C = distances(rng) <= 3
    codes = codes_of(rng)
    adversary = lf.Precomputed(conflicts=FORMS[form](C.astype(dtype)))
    assert built(adversary, codes) == expected(C, codes)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64, np.float32, np.float64])
@pytest.mark.parametrize("each", [False, True])
def test_distances_in_every_form(form: str, dtype: type, each: bool) -> None:
    rng = np.random.default_rng(1)
    D = distances(rng) + 1  # an absent entry of a sparse matrix is far, not near
    codes = codes_of(rng)
    eps = rng.integers(0, 9, 60) / 4 if each else 1.5
    adversary = lf.Precomputed(distances=FORMS[form](D.astype(dtype)), eps=eps)
    limit = eps[:, None] + eps[None] if each else 3.0
    assert built(adversary, codes) == expected(limit >= D, codes)


def test_absent_distances_are_far_and_stored_zeros_near() -> None:
    places = (np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1]))
    D = sparse.csr_array((np.array([0.0, 0.0, 5.0, 5.0]), places), shape=(3, 3))
    y = [0, 1, 0]
    assert lf.floor(None, y, lf.Precomputed(distances=D, eps=1)).degrees.tolist() == [1, 1, 0]
    assert lf.floor(None, y, lf.Precomputed(distances=D, eps=2.5)).degrees.tolist() == [1, 2, 1]
    assert lf.floor(None, y, lf.Precomputed(distances=D, eps=0)).degrees.tolist() == [1, 1, 0]
    assert lf.floor(None, y, lf.Precomputed(conflicts=D)).degrees.tolist() == [0, 1, 1]
    assert D.nnz == 4  # what was given is as it was


def test_stored_twice_is_summed() -> None:
    places = (np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    D = sparse.coo_array((np.array([1.0, 2.0, 2.0, 1.0]), places), shape=(2, 2))
    for eps, n_edges in [(1.4, 0), (1.5, 1)]:
        result = lf.floor(None, [0, 1], lf.Precomputed(distances=D, eps=eps))
        assert result.n_edges == n_edges
        result.verify()


@pytest.mark.parametrize("form", ["dense", "csr"])
def test_only_entries_between_classes_are_read(form: str) -> None:
    rng = np.random.default_rng(2)
    D = distances(rng).astype(float) + 1
    codes = codes_of(rng)
    wild = D.copy()
    same = codes[:, None] == codes[None]
    wild[same] = rng.choice([np.nan, np.inf, -1.0, 0.0], size=np.count_nonzero(same))
    adversary = lf.Precomputed(distances=FORMS[form](wild), eps=1.5)
    assert built(adversary, codes) == expected(D <= 3, codes)


@pytest.mark.parametrize("form", ["dense", "csr"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.nan, "'distances' must be free of NaN and negative numbers, got nan"),
        (-1.0, "'distances' must be free of NaN and negative numbers, got -1"),
        (2.5, "'distances' must be symmetric between classes"),
        (np.inf, "'distances' must be symmetric between classes"),
    ],
)
def test_a_wrong_distance_is_named(form: str, bad: float, message: str) -> None:
    D = distances(np.random.default_rng(3), n=20).astype(float) + 1
    codes = np.arange(20) % 2
    for i, j in [(4, 7), (7, 4)]:  # on either side of the diagonal
        wrong = D.copy()
        wrong[i, j] = bad
        with pytest.raises(ValueError, match=message) as error:
            lf.floor(None, codes, lf.Precomputed(distances=FORMS[form](wrong), eps=1))
        assert "4" in str(error.value)
        assert "7" in str(error.value)


@pytest.mark.parametrize("form", ["dense", "csr"])
def test_wrong_conflicts_are_named(form: str) -> None:
    C = (distances(np.random.default_rng(4), n=20) <= 3).astype(float)
    codes = np.arange(20) % 2
    C[4, 7], C[7, 4] = 1, 0
    with pytest.raises(ValueError, match="'conflicts' must be symmetric between classes"):
        lf.floor(None, codes, lf.Precomputed(conflicts=FORMS[form](C)))
    C[4, 7] = C[7, 4] = np.nan
    with pytest.raises(ValueError, match="'conflicts' must be free of NaN, got nan"):
        lf.floor(None, codes, lf.Precomputed(conflicts=FORMS[form](C)))


def test_a_sparse_matrix_must_store_both_halves() -> None:
    D = sparse.csr_array(np.triu(distances(np.random.default_rng(5), n=20) + 1))
    with pytest.raises(ValueError, match="'distances' must be symmetric between classes, got one of"):
        lf.floor(None, np.arange(20) % 2, lf.Precomputed(distances=D, eps=1))


@pytest.mark.parametrize("form", ["dense", "csr"])
@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300, 5e-324, 1e-5])
def test_thresholds_are_exact(form: str, scale: float) -> None:
    # Distances next to the threshold on both sides, for one eps and for two that add up to it.
    rng = np.random.default_rng(6)
    n = 40
    y = np.arange(n) % 2
    middle = scale * 7
    steps = rng.integers(-3, 4, (n, n))
    D = np.full((n, n), middle)
    for k in range(1, 4):
        D = np.where(steps >= k, np.nextafter(D, np.inf), np.where(steps <= -k, np.nextafter(D, 0), D))
    D = np.triu(D) + np.triu(D, 1).T
    D[0, 1] = D[1, 0] = np.inf
    half = Fraction(middle) / 2
    shares = [half * Fraction(int(part), 50) for part in rng.integers(0, 101, n)]
    for eps in (half, half * (1 + Fraction(1, 10**30)), half * (1 - Fraction(1, 10**30)), shares):
        of = [eps] * n if isinstance(eps, Fraction) else eps
        result = lf.floor(None, y, lf.Precomputed(distances=FORMS[form](D), eps=eps))
        exact = [
            [bool(np.isfinite(D[i, j]) and Fraction(float(D[i, j])) <= of[i] + of[j]) for j in range(n)]
            for i in range(n)
        ]
        inside = np.array(exact) & (y[:, None] != y[None])
        assert result.degrees.tolist() == inside.sum(axis=1).tolist()
        result.verify()


@pytest.mark.parametrize("form", ["dense", "csr"])
def test_large_integers_are_compared_as_they_are(form: str) -> None:
    D = np.array([[0, 2**53 + 1], [2**53 + 1, 0]])
    for eps, n_edges in [(2**52, 0), (Fraction(2**53 + 1, 2), 1), ([2**52, 2**52], 0), ([2**52, 2**52 + 1], 1)]:
        result = lf.floor(None, [0, 1], lf.Precomputed(distances=FORMS[form](D), eps=eps))
        assert result.n_edges == n_edges
        result.verify()
    far = np.array([[0, 2**64 - 1], [2**64 - 1, 0]], dtype=np.uint64)
    for eps, n_edges in [(2**62, 0), (2**63, 1), (2**70, 1), ([2**63, 2**63 - 2], 0), ([2**63, 2**63 - 1], 1)]:
        result = lf.floor(None, [0, 1], lf.Precomputed(distances=FORMS[form](far), eps=eps))
        assert result.n_edges == n_edges
        result.verify()


@pytest.mark.parametrize("form", ["dense", "csr"])
@pytest.mark.parametrize("eps", ["1e400", 1e308, [1e308] * 3, ["1e400", 0, "1e400"], [1e300, "1e-400", 1e300]])
def test_budgets_beyond_doubles(form: str, eps: Any) -> None:
    D = np.array([[0.0, 1e308, 5], [1e308, 0, np.inf], [5, np.inf, 0]])
    result = lf.floor(None, [0, 1, 0], lf.Precomputed(distances=FORMS[form](D), eps=eps))
    n_edges = 0 if eps == [1e300, "1e-400", 1e300] else 1
    assert result.degrees.tolist() == [n_edges, n_edges, 0]
    result.verify()


def test_pieces_of_a_dense_matrix_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    D, codes = distances(rng, n=200), codes_of(rng, n=200)
    adversary = lf.Precomputed(distances=D, eps=2)
    whole = built(adversary, codes)
    for entries in (1, 500, 5000):
        monkeypatch.setattr(precomputed, "_ENTRIES_AT_ONCE", entries)
        assert built(adversary, codes) == whole
    index = adversary.as_data(None, 200)
    pieces = list(adversary.conflicts(index[codes == 0], index[codes == 1]))
    assert len(pieces) > 1
    assert not isinstance(pieces[0], ListRows)
    spread = np.concatenate([unpack(piece.bits, np.count_nonzero(codes)) for piece in pieces])
    assert (spread == (D <= 4)[np.ix_(codes == 0, codes == 1)]).all()


def test_the_same_floor_as_from_the_points() -> None:
    rng = np.random.default_rng(8)
    X = rng.integers(0, 12, (80, 2))
    y = codes_of(rng, n=80)
    D = np.abs(X[:, None] - X[None]).sum(axis=2)
    for eps in (0, 0.5, 1, 2.5):
        points = lf.floor(X, y, lf.L1(eps))
        matrix = lf.floor(None, y, lf.Precomputed(distances=D, eps=eps))
        given = lf.floor("anything", y, lf.Precomputed(conflicts=sparse.csr_array(2 * eps >= D)))
        for other in (matrix, given):
            assert other.block.tolist() == points.block.tolist()
            assert other.degrees.tolist() == points.degrees.tolist()
            assert other.blocks.flow() == points.blocks.flow()


def test_interleaved_classes() -> None:
    # Rows of the matrix are examples, whatever their class; the graph is of the two classes.
    rng = np.random.default_rng(9)
    for case in random_cases(9, 20):
        order = rng.permutation(case.n_left + case.n_right)
        C = case.matrix()[np.ix_(order, order)]
        y = case.labels[order]
        weights = np.concatenate(case.weights)[order]
        moved = lf.floor(None, y, lf.Precomputed(conflicts=C), sample_weight=weights)
        straight = lf.floor(
            None, case.labels, lf.Precomputed(conflicts=case.matrix()), sample_weight=np.concatenate(case.weights)
        )
        assert moved.block.tolist() == straight.block[order].tolist()
        moved.verify()


def test_configuration_and_text() -> None:
    D = np.array([[0, 3], [3, 0]])
    adversary = lf.Precomputed(distances=D, eps=1.5)
    config = adversary.config()
    assert {key: config[key] for key in ("name", "matrix", "eps")} == {
        "name": "precomputed",
        "matrix": "distances",
        "eps": "3/2",
    }
    assert repr(adversary) == "Precomputed(distances=<2 x 2>, eps=1.5)"
    assert repr(lf.Precomputed(conflicts=D)) == "Precomputed(conflicts=<2 x 2>)"
    assert lf.Precomputed(distances=D, eps=[1, 2]).config()["eps"] == ["1", "2"]
    assert "eps" not in lf.Precomputed(conflicts=D).config()
    digests = {
        lf.Precomputed(conflicts=matrix).config()["sha256"]
        for matrix in (D, D + 1, D.astype(float), sparse.csr_array(D), np.zeros((3, 3), dtype=int))
    }
    assert len(digests) == 5
    assert lf.Precomputed(conflicts=D.copy()).config() == lf.Precomputed(conflicts=D).config()


def test_it_knows_no_points() -> None:
    adversary = lf.Precomputed(conflicts=np.eye(2))
    with pytest.raises(TypeError, match="knows which examples conflict, but no points"):
        adversary.contains([[0]], [[0]])
    with pytest.raises(TypeError, match="knows which examples conflict, but no points"):
        adversary.meet([[0]])
