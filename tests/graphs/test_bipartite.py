"""The conflict graph: every way to make one, what it says of itself, and its files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csgraph

import lossfloor as lf
from lossfloor import ConflictGraph, conflicts
from lossfloor.adversaries import BitRows, ListRows
from lossfloor.graphs.bipartite import prefers_lists

SIZES = [(1, 1), (1, 64), (7, 65), (64, 1), (12, 128), (3, 0), (0, 3), (0, 0)]


def random_matrix(n_left: int, n_right: int, density: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n_left, n_right)) < density


def pack(matrix: np.ndarray) -> np.ndarray:
    """Bits, one by one."""
    bits = np.zeros((matrix.shape[0], (matrix.shape[1] + 63) // 64), dtype=np.uint64)
    for u, v in np.argwhere(matrix).tolist():
        bits[u, v // 64] |= np.uint64(1) << np.uint64(v % 64)
    return bits


def lists_of(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = matrix.sum(axis=1)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), np.nonzero(matrix)[1].astype(np.int32)


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("n_left", "n_right"), SIZES)
def test_every_way_makes_the_same_graph(n_left: int, n_right: int, density: float) -> None:
    matrix = random_matrix(n_left, n_right, density)
    edges = np.argwhere(matrix)
    shuffled = np.random.default_rng(1).permutation(np.concatenate([edges, edges[:3]]))  # some of them twice
    graphs = [
        ConflictGraph.from_bits(pack(matrix), n_right),
        ConflictGraph.from_lists(*lists_of(matrix), n_right),
        ConflictGraph.from_edges(edges, n_left=n_left, n_right=n_right),
        ConflictGraph.from_edges(shuffled.tolist(), n_left=n_left, n_right=n_right),
        ConflictGraph.from_edges(shuffled.astype(np.uint32), n_left=n_left, n_right=n_right),
        ConflictGraph.from_matrix(matrix),
        ConflictGraph.from_matrix(matrix * -2.5),
        ConflictGraph.from_matrix(sparse.csr_array(matrix)),
        ConflictGraph.from_matrix(sparse.coo_array(matrix.astype(float))),
    ]
    graphs += [graph.as_bits() for graph in graphs] + [graph.as_lists() for graph in graphs]
    for graph in graphs:
        assert graph == graphs[0]
        assert (graph.n_left, graph.n_right, graph.n_edges) == (n_left, n_right, len(edges))
        assert graph.edges().tolist() == edges.tolist()
        assert (graph.to_csr().toarray() == matrix).all()
        assert graph.left_degrees.tolist() == matrix.sum(axis=1).tolist()
        assert graph.right_degrees.tolist() == matrix.sum(axis=0).tolist()
        assert graph.density == (len(edges) / matrix.size if matrix.size else 0)
        assert graph.n_isolated == np.sum(~matrix.any(axis=1)) + np.sum(~matrix.any(axis=0))
        assert (graph.bits is None) == (graph.storage == "lists")
        assert (graph.lists is None) == (graph.storage == "bits")
        if graph.bits is not None:
            assert (graph.bits == pack(matrix)).all()
            assert graph.nbytes == graph.bits.nbytes
        else:
            assert graph.lists is not None
            assert [part.tolist() for part in graph.lists] == [part.tolist() for part in lists_of(matrix)]
            assert graph.nbytes == sum(part.nbytes for part in graph.lists)
            assert [part.dtype for part in graph.lists] == [np.int64, np.int32]


@pytest.mark.parametrize("density", [0.0, 0.03, 0.2])
@pytest.mark.parametrize(("n_left", "n_right"), SIZES)
def test_components_are_those_of_scipy(n_left: int, n_right: int, density: float) -> None:
    matrix = random_matrix(n_left, n_right, density, seed=2)
    n = n_left + n_right
    whole = np.zeros((n, n), dtype=bool)
    whole[:n_left, n_left:] = matrix
    count, expected = csgraph.connected_components(whole, directed=False) if n else (0, np.zeros(0))
    graph = ConflictGraph.from_matrix(matrix)
    for stored in (graph.as_bits(), graph.as_lists()):
        left, right, found = stored.components()
        assert found == count
        labels = np.concatenate([left, right])
        assert len(set(zip(labels.tolist(), expected.tolist(), strict=True))) == count  # the same up to names
        firsts = [labels.tolist().index(label) for label in range(count)]
        assert firsts == sorted(firsts)  # numbered by first appearance


def test_equality() -> None:
    matrix = random_matrix(6, 70, 0.3)
    graph = ConflictGraph.from_matrix(matrix)
    flipped = matrix.copy()
    flipped[2, 67] ^= True
    moved = matrix[::-1]
    for other in (flipped, moved, matrix[:-1], matrix[:, :-1]):
        assert graph != ConflictGraph.from_matrix(other)
    assert graph == ConflictGraph.from_matrix(matrix)
    assert graph != "graph"
    with pytest.raises(TypeError):
        hash(graph)


def test_the_union_of_two_graphs() -> None:
    one, two = random_matrix(9, 70, 0.1, seed=3), random_matrix(9, 70, 0.1, seed=4)
    graphs = [ConflictGraph.from_matrix(matrix) for matrix in (one, two)]
    expected = ConflictGraph.from_matrix(one | two)
    assert graphs[0].as_bits() | graphs[1].as_bits() == expected
    assert graphs[0].as_lists() | graphs[1].as_lists() == expected
    assert graphs[0].as_bits() | graphs[1].as_lists() == expected


def test_added_edges() -> None:
    matrix = random_matrix(9, 70, 0.1)
    more = np.array([[0, 0], [8, 69], [4, 64], [4, 64]])
    expected = matrix.copy()
    expected[tuple(more.T)] = True
    graph = ConflictGraph.from_matrix(matrix)
    for stored in (graph.as_bits(), graph.as_lists()):
        assert stored.with_edges(more) == ConflictGraph.from_matrix(expected)
        assert stored == ConflictGraph.from_matrix(matrix)  # itself unchanged


def test_the_smaller_storage_is_chosen() -> None:
    assert ConflictGraph.from_matrix(random_matrix(100, 100, 0.3)).storage == "bits"
    sparse_graph = ConflictGraph.from_edges([(0, 0)], n_left=100, n_right=100)
    assert sparse_graph.storage == "lists"
    assert sparse_graph.nbytes < sparse_graph.as_bits().nbytes
    assert prefers_lists(156, 100, 100)
    assert not prefers_lists(157, 100, 100)


def test_text() -> None:
    graph = ConflictGraph.from_edges([(0, 0), (1, 2)], n_left=2, n_right=4)
    assert repr(graph) == "ConflictGraph(2 x 4, 2 conflicts, density 25%, bits, 16 bytes)"


def test_the_graph_keeps_its_own_order_of_rows() -> None:
    # A view that is not contiguous must not be misread.
    bits = pack(random_matrix(8, 130, 0.3))
    assert (
        ConflictGraph.from_bits(bits[::2], 130).edges() == ConflictGraph.from_bits(bits[::2].copy(), 130).edges()
    ).all()


# Built from data.


@pytest.mark.parametrize("eps", [0, 1, 2, 3, 30])
def test_a_graph_built_from_data(eps: int) -> None:
    rng = np.random.default_rng(5)
    X = rng.integers(0, 30, (400, 2))
    codes = rng.integers(0, 2, 400)
    left, right = X[codes == 0], X[codes == 1]
    distances = np.abs(left[:, None] - right[None]).sum(axis=2)
    calls: list[tuple[str, int, int]] = []
    graph = conflicts.build(lf.L1(eps), X, codes, progress=lambda *call: calls.append(call))
    assert graph == ConflictGraph.from_matrix(distances <= 2 * eps)
    assert graph.storage == ("lists" if prefers_lists(graph.n_edges, graph.n_left, graph.n_right) else "bits")
    assert calls[-1] == ("conflicts", graph.n_left, graph.n_left)


@pytest.mark.parametrize(
    "densities",
    [
        (0.0, 0.9, 0.0),
        (0.9, 0.001, 0.9),
        (0.001, 0.001, 0.001),
        (0.5, 0.5, 0.5),
        (0.05, 0.001, 0.001),
        (0.01, 0.05, 0.9),
    ],
)
@pytest.mark.parametrize("kinds", ["bits", "lists", "mixed"])
def test_pieces_of_either_kind_are_put_together(kinds: str, densities: tuple[float, ...]) -> None:
    pieces = [
        random_matrix(rows, 200, density, seed=rows) for rows, density in zip((50, 60, 70), densities, strict=True)
    ]

    class Pieces(lf.Precomputed):
        def __init__(self) -> None:
            super().__init__(conflicts=np.zeros((380, 380)))

        def conflicts(self, XA: Any, XB: Any, **_: Any) -> Any:
            start = 0
            for place, piece in enumerate(pieces):
                stop = start + len(piece)
                if kinds == "bits" or (kinds == "mixed" and place % 2):
                    yield BitRows(start, stop, pack(piece))
                else:
                    yield ListRows(start, stop, lists_of(piece)[1], piece.sum(axis=1).astype(np.int64))
                start = stop

    graph = conflicts.build(Pieces(), np.arange(380), np.repeat([0, 1], [180, 200]))
    assert graph == ConflictGraph.from_matrix(np.concatenate(pieces))


# Wrong arguments.


def good_bits() -> dict[str, Any]:
    return {"bits": np.array([[1], [6]], dtype=np.uint64), "n_right": 3}


def good_lists() -> dict[str, Any]:
    return {"offsets": np.array([0, 1, 3]), "targets": np.array([0, 1, 2], dtype=np.int32), "n_right": 3}


def good_edges() -> dict[str, Any]:
    return {"edges": [(0, 0), (1, 2)], "n_left": 2, "n_right": 3}


def good_matrix() -> dict[str, Any]:
    return {"matrix": [[1, 0, 0], [0, 1, 1]]}


WAYS: dict[str, Callable[[], dict[str, Any]]] = {
    "from_bits": good_bits,
    "from_lists": good_lists,
    "from_edges": good_edges,
    "from_matrix": good_matrix,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_good_arguments_are_good(way: str) -> None:
    graph = getattr(ConflictGraph, way)(**WAYS[way]())
    assert (graph.n_left, graph.n_right) == (2, 3)


@pytest.mark.parametrize(
    ("way", "change", "error", "message"),
    [
        ("from_bits", {"bits": np.zeros(2, dtype=np.uint64)}, ValueError, "'bits' must be uint64 of shape"),
        ("from_bits", {"bits": np.zeros((2, 2), dtype=np.uint64)}, ValueError, "'bits' must be uint64 of shape"),
        ("from_bits", {"bits": np.zeros((2, 1), dtype=np.int64)}, ValueError, "'bits' must be uint64 of shape"),
        ("from_bits", {"bits": [[1], [6]]}, ValueError, "'bits' must be uint64 of shape"),
        ("from_bits", {"bits": np.array([[1], [8]], dtype=np.uint64)}, ValueError, "'bits' must be zero beyond"),
        ("from_bits", {"n_right": 2}, ValueError, "'bits' must be zero beyond"),
        ("from_bits", {"n_right": 65}, ValueError, "'bits' must be uint64 of shape"),
        ("from_bits", {"n_right": -1}, ValueError, "'n_right' must be at least 0"),
        ("from_bits", {"n_right": 3.0}, TypeError, "'n_right' must be a whole number"),
        ("from_lists", {"offsets": np.array([1, 1, 3])}, ValueError, "'offsets' must be from 0"),
        ("from_lists", {"offsets": np.array([0, 1, 2])}, ValueError, "'offsets' must be from 0"),
        ("from_lists", {"offsets": np.array([0, 1, 4])}, ValueError, "'offsets' must be from 0"),
        ("from_lists", {"offsets": np.array([0, 5, 3])}, ValueError, "'offsets' must be ascending"),
        ("from_lists", {"offsets": np.array([0, -1, 3])}, ValueError, "'offsets' must be ascending"),
        ("from_lists", {"offsets": np.array([[0, 1, 3]])}, ValueError, "'offsets' must be from 0"),
        ("from_lists", {"offsets": np.zeros(0, dtype=int)}, ValueError, "'offsets' must be from 0"),
        ("from_lists", {"offsets": np.array([0, 1.5, 3])}, TypeError, "'offsets' must be an array of integers"),
        ("from_lists", {"targets": np.array([0, 1, 3])}, ValueError, "'targets' must be between 0 and 2"),
        ("from_lists", {"targets": np.array([-1, 1, 2])}, ValueError, "'targets' must be between 0 and 2"),
        ("from_lists", {"targets": np.array([0, 1, 2**32 + 2])}, ValueError, "'targets' must be between 0 and 2"),
        ("from_lists", {"targets": np.array([0, 2, 1])}, ValueError, "'targets' must be ascending in each list"),
        ("from_lists", {"targets": np.array([0, 1, 1])}, ValueError, "'targets' must be ascending in each list"),
        ("from_lists", {"targets": np.array([0.0, 1.0, 2.0])}, TypeError, "'targets' must be an array of integers"),
        ("from_lists", {"targets": np.array([[0, 1, 2]])}, ValueError, "'targets' must be an array of shape"),
        ("from_lists", {"n_right": 2}, ValueError, "'targets' must be between 0 and 1"),
        ("from_lists", {"n_right": 2**31}, ValueError, "'n_right' must be at least 0 and below"),
        ("from_edges", {"edges": [(0, 3)]}, ValueError, r"'edges' must be pairs below \(2, 3\)"),
        ("from_edges", {"edges": [(2, 0)]}, ValueError, r"'edges' must be pairs below \(2, 3\)"),
        ("from_edges", {"edges": [(0, -1)]}, ValueError, r"'edges' must be pairs below \(2, 3\)"),
        ("from_edges", {"edges": [0, 1]}, ValueError, r"'edges' must be an array of shape \(k, 2\)"),
        ("from_edges", {"edges": [(0, 0, 1), (1, 1, 1)]}, ValueError, r"'edges' must be an array of shape \(k, 2\)"),
        ("from_edges", {"edges": [(0.5, 1)]}, TypeError, "'edges' must be an array of integers"),
        ("from_edges", {"edges": [("a", "b")]}, TypeError, "'edges' must be an array of integers"),
        ("from_edges", {"edges": np.array([[2**63, 0]], dtype=np.uint64)}, ValueError, "'edges' must be below"),
        ("from_edges", {"n_left": -1}, ValueError, "'n_left' must be at least 0"),
        ("from_edges", {"n_left": 1}, ValueError, r"'edges' must be pairs below \(1, 3\)"),
        ("from_edges", {"n_right": None}, TypeError, "'n_right' must be a whole number"),
        ("from_edges", {"n_right": True}, TypeError, "'n_right' must be a whole number"),
        ("from_matrix", {"matrix": [1, 0, 1]}, ValueError, "'matrix' must be of shape"),
        ("from_matrix", {"matrix": np.zeros((2, 2, 2))}, ValueError, "'matrix' must be of shape"),
        ("from_matrix", {"matrix": 1}, ValueError, "'matrix' must be of shape"),
        ("from_matrix", {"matrix": [[np.nan, 0]]}, ValueError, "'matrix' must be free of NaN"),
        ("from_matrix", {"matrix": sparse.csr_array([[np.nan, 0]])}, ValueError, "'matrix' must be free of NaN"),
    ],
)
def test_one_wrong_argument(way: str, change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        getattr(ConflictGraph, way)(**{**WAYS[way](), **change})


def test_it_is_not_made_by_its_constructor() -> None:
    with pytest.raises(TypeError, match="from_bits, from_lists, from_edges, from_matrix or load"):
        ConflictGraph()


# Files.


@pytest.mark.parametrize(("n_left", "n_right"), SIZES)
@pytest.mark.parametrize("storage", ["bits", "lists"])
def test_save_and_load(tmp_path: Path, storage: str, n_left: int, n_right: int) -> None:
    graph = ConflictGraph.from_matrix(random_matrix(n_left, n_right, 0.3))
    graph = graph.as_bits() if storage == "bits" else graph.as_lists()
    graph.save(tmp_path / "graph.npz")
    again = ConflictGraph.load(tmp_path / "graph.npz")
    assert again == graph
    assert again.storage == storage
    assert [file.name for file in tmp_path.iterdir()] == ["graph.npz"]


@pytest.mark.parametrize(
    "change",
    [
        {"size": None},
        {"size": np.array([6, 129])},
        {"size": np.array([7, 70])},
        {"size": np.array([-6, 70])},
        {"size": np.array([6.0, 70.0])},
        {"size": np.array([6])},
        {"bits": None},
        {"bits": np.zeros((6, 2))},
        {"bits": np.zeros((6, 3), dtype=np.uint64)},
        {"bits": np.full((6, 2), 2**64 - 1, dtype=np.uint64)},
        {"bits": None, "offsets": np.zeros(7, dtype=np.int64)},
        {"bits": None, "offsets": np.zeros(7, dtype=np.int64), "targets": np.zeros(3, dtype=np.int32)},
        {"bits": None, "offsets": np.arange(7), "targets": np.full(6, 70, dtype=np.int32)},
        {"format": np.array("lossfloor-floor-1")},
        {"format": None},
    ],
)
def test_files_of_no_graph(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "graph.npz"
    arrays: dict[str, Any] = {
        "format": np.array("lossfloor-conflicts-1"),
        "size": np.array([6, 70]),
        "bits": pack(random_matrix(6, 70, 0.5)),
    }
    np.savez(path, **arrays)
    assert ConflictGraph.load(path).n_right == 70
    np.savez(path, **{name: array for name, array in {**arrays, **change}.items() if array is not None})
    with pytest.raises(ValueError, match="must be"):
        ConflictGraph.load(path)


def test_files_that_are_something_else(tmp_path: Path) -> None:
    path = tmp_path / "graph.npz"
    with pytest.raises(FileNotFoundError):
        ConflictGraph.load(path)
    path.write_bytes(b"not a zip file")
    with pytest.raises(ValueError, match="'path' must be a file of the format lossfloor-conflicts-1"):
        ConflictGraph.load(path)
    ConflictGraph.from_matrix(random_matrix(60, 70, 0.5)).save(path)
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="'path' must be a file of the format lossfloor-conflicts-1"):
            ConflictGraph.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bits.npy", b"\x93NUMPY\x01\x00")
    with pytest.raises(ValueError, match="must be"):
        ConflictGraph.load(path)
