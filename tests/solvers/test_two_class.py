"""The solver of two classes against slow references, and on input that is odd or large."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import convex, scipy_route, slow_optprob
from support.graphs import Case, random_case, random_cases
from support.isas import ISAS
from support.proofs import assert_proved, partition_of

from lossfloor import ConflictGraph, _core, losses
from lossfloor.solvers import Blocks, solve

STORAGES = ["bits", "lists"]


def solved(case: Case, storage: str = "bits") -> Blocks:
    return solve(case.graph(storage), *case.weights)


def floor_of(case: Case, blocks: Blocks, loss: losses.Loss) -> float:
    return math.fsum(loss.block_risk(blocks.a.astype(float), blocks.b.astype(float))) / case.total


# Against the references.


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("seed", range(10))
def test_blocks_are_those_of_the_paper_in_fractions(seed: int, storage: str) -> None:
    for case in random_cases(seed, 40):
        blocks = solved(case, storage)
        assert partition_of(blocks) == slow_optprob.solve(case), case
        assert_proved(case, blocks)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("seed", range(5))
def test_blocks_of_huge_weights_are_those_of_the_paper_in_fractions(seed: int, storage: str) -> None:
    n_wide = 0
    for case in random_cases(100 + seed, 40, huge=True):
        n_wide += sum(case.left_weight) * sum(case.right_weight) >= 2**62
        blocks = solved(case, storage)
        assert partition_of(blocks) == slow_optprob.solve(case), case
        assert_proved(case, blocks)
    assert n_wide > 30  # flows that do not fit 64 bits: the other half of the solver


@pytest.mark.parametrize("seed", range(4))
def test_blocks_of_larger_graphs_are_those_of_the_paper_in_fractions(seed: int) -> None:
    for case in random_cases(200 + seed, 6, largest=45):
        expected = slow_optprob.solve(case)
        for storage in STORAGES:
            blocks = solved(case, storage)
            assert partition_of(blocks) == expected, case
            assert_proved(case, blocks)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("seed", range(4))
def test_blocks_are_those_of_the_max_flow_of_scipy(seed: int, storage: str) -> None:
    for case in random_cases(300 + seed, 25, largest=30, most_weight=300):
        assert partition_of(solved(case, storage)) == scipy_route.solve(case), case


@pytest.mark.parametrize("n_right", [1, 63, 64, 65, 127, 128, 129, 200])
def test_words_of_64_right_vertices_meet_at_the_right_place(n_right: int) -> None:
    rng = np.random.default_rng(n_right)
    for density in (0.01, 0.05, 0.3):
        edges = np.argwhere(rng.random((40, n_right)) < density)
        weights = rng.integers(1, 30, 40).tolist(), rng.integers(1, 30, n_right).tolist()
        case = Case(40, n_right, [(int(u), int(v)) for u, v in edges], *weights)
        expected = scipy_route.solve(case)
        for storage in STORAGES:
            blocks = solved(case, storage)
            assert partition_of(blocks) == expected
            assert_proved(case, blocks)


LOSSES = {
    "log": losses.CrossEntropy(),
    "brier": losses.Brier(),
    "zero_one": losses.ZeroOne(),
    "reciprocal": losses.Convex(lambda q: 1 / q),
}


@pytest.mark.parametrize("name", LOSSES)
def test_floors_are_those_of_a_convex_solver(name: str) -> None:
    for case in random_cases(400, 60, most_weight=20):
        blocks = solved(case)
        assert floor_of(case, blocks, LOSSES[name]) == pytest.approx(convex.floor(case, name), rel=1e-8, abs=1e-8), case


def test_the_slow_reference_is_wrong_if_its_edges_are() -> None:
    # The references would be worth nothing if they agreed with everything.
    case = Case(2, 2, [(0, 0), (1, 1)], [1, 3], [1, 1])
    other = dataclasses.replace(case, edges=[(0, 1), (1, 0)], left_weight=[3, 1])
    assert slow_optprob.solve(case) == ([0, 1], [0, 1], [(1, 1), (3, 1)])
    assert slow_optprob.solve(other) == ([1, 0], [0, 1], [(1, 1), (3, 1)])
    assert slow_optprob.solve(case) != slow_optprob.solve(other)


# What must not matter.


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small graphs, which hypothesis can shrink."""
    n_left, n_right = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    pairs = [(u, v) for u in range(n_left) for v in range(n_right)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True))
    weight = st.one_of(st.integers(1, 6), st.integers(1, 2**57))
    weights = [draw(st.lists(weight, min_size=n, max_size=n)) for n in (n_left, n_right)]
    return Case(n_left, n_right, sorted(edges), *weights)


@given(cases())
def test_any_small_graph_is_solved_and_proved(case: Case) -> None:
    expected = slow_optprob.solve(case)
    for storage in STORAGES:
        blocks = solved(case, storage)
        assert partition_of(blocks) == expected
        assert_proved(case, blocks)


@given(cases(), st.randoms(use_true_random=False))
def test_blocks_do_not_depend_on_the_order(case: Case, random: object) -> None:
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    left, right = rng.permutation(case.n_left), rng.permutation(case.n_right)
    moved = Case(
        case.n_left,
        case.n_right,
        sorted((int(left[u]), int(right[v])) for u, v in case.edges),
        [case.left_weight[u] for u in np.argsort(left)],
        [case.right_weight[v] for v in np.argsort(right)],
    )
    before, after = solved(case), solved(moved)
    assert before.a.tolist() == after.a.tolist()
    assert before.b.tolist() == after.b.tolist()
    assert before.left_block.tolist() == after.left_block[left].tolist()
    assert before.right_block.tolist() == after.right_block[right].tolist()


@given(cases())
def test_swapping_the_sides_turns_the_blocks_around(case: Case) -> None:
    turned = Case(case.n_right, case.n_left, sorted((v, u) for u, v in case.edges), case.right_weight, case.left_weight)
    before, after = solved(case), solved(turned)
    last = len(before) - 1
    assert after.a.tolist() == before.b.tolist()[::-1]
    assert after.b.tolist() == before.a.tolist()[::-1]
    assert after.right_block.tolist() == [last - block for block in before.left_block.tolist()]
    assert after.left_block.tolist() == [last - block for block in before.right_block.tolist()]


@given(cases(), st.integers(1, 9))
def test_only_the_proportions_of_the_weights_matter(case: Case, factor: int) -> None:
    heavier = dataclasses.replace(
        case,
        left_weight=[factor * w for w in case.left_weight],
        right_weight=[factor * w for w in case.right_weight],
    )
    before, after = solved(case), solved(heavier)
    assert after.left_block.tolist() == before.left_block.tolist()
    assert after.right_block.tolist() == before.right_block.tolist()
    assert after.a.tolist() == [factor * a for a in before.a.tolist()]


@given(cases().filter(lambda case: case.total < 60))
def test_a_weight_of_k_equals_k_copies(case: Case) -> None:
    left = np.repeat(np.arange(case.n_left), case.left_weight)
    right = np.repeat(np.arange(case.n_right), case.right_weight)
    conflicts = set(case.edges)
    edges = [(i, j) for i, u in enumerate(left) for j, v in enumerate(right) if (u, v) in conflicts]
    copies = Case(len(left), len(right), edges, [1] * len(left), [1] * len(right))
    before, after = solved(case), solved(copies)
    assert after.left_block.tolist() == before.left_block[left].tolist()
    assert after.right_block.tolist() == before.right_block[right].tolist()
    assert after.a.tolist() == before.a.tolist()
    assert after.b.tolist() == before.b.tolist()
    assert_proved(copies, after)


@pytest.mark.parametrize("storage", STORAGES)
def test_the_same_input_gives_the_same_flow(storage: str) -> None:
    case = random_case(np.random.default_rng(7), largest=60)
    first, second = solved(case, storage), solved(case, storage)
    assert first.flow_edges.tolist() == second.flow_edges.tolist()
    assert first.flow() == second.flow()
    order = [tuple(edge) for edge in first.flow_edges.tolist()]
    assert order == sorted(set(order))


@pytest.mark.parametrize("n_right", [1, 65, 511, 512, 513, 1500])
def test_the_flow_is_the_same_with_any_instructions(n_right: int) -> None:
    rng = np.random.default_rng(n_right)
    for density in (0.003, 0.02, 0.3):
        conflicts = rng.random((400, n_right)) < density * rng.random((400, 1)) * rng.random(n_right)
        bits = ConflictGraph.from_matrix(conflicts).as_bits().bits
        weights = rng.integers(1, 9, 400), rng.integers(1, 9, n_right)
        first, *others = (_core.solve_bits(bits, n_right, *weights, isa=isa) for isa in ISAS)
        for other in others:
            assert all(np.array_equal(part, same) for part, same in zip(first, other, strict=True))


def test_a_graph_that_is_not_copied_is_solved_as_lists_are() -> None:
    rng = np.random.default_rng(0)
    n_left, words = 17_000, 128
    bits = np.bitwise_and.reduce([rng.integers(0, 2**64, (n_left, words), dtype=np.uint64) for _ in range(6)])
    bits[: n_left // 4, words // 8 :] = 0
    graph = ConflictGraph.from_bits(bits, 64 * words)
    weights = rng.integers(1, 4, n_left), rng.integers(1, 4, 64 * words)
    blocks, expected = solve(graph, *weights), solve(graph.as_lists(), *weights)
    assert len(blocks) > 1
    assert partition_of(blocks) == partition_of(expected)


# Degenerate and large input.


def test_without_conflicts_nothing_is_lost() -> None:
    blocks = solve(ConflictGraph.from_edges([], n_left=3, n_right=2), np.array([1, 2, 3]), np.array([4, 5]))
    assert partition_of(blocks) == ([1, 1, 1], [0, 0], [(0, 9), (6, 0)])
    assert len(blocks.flow_edges) == 0


@pytest.mark.parametrize(("n_left", "n_right"), [(1, 1), (1, 50), (50, 1), (37, 64), (64, 37)])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_complete_graph_is_one_block(n_left: int, n_right: int, storage: str) -> None:
    edges = [(u, v) for u in range(n_left) for v in range(n_right)]
    case = Case(n_left, n_right, edges, [1] * n_left, [1] * n_right)
    blocks = solved(case, storage)
    assert partition_of(blocks) == ([0] * n_left, [0] * n_right, [(n_left, n_right)])
    assert_proved(case, blocks)


@pytest.mark.parametrize(("n_left", "n_right"), [(0, 0), (0, 3), (3, 0)])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_side_may_be_empty(n_left: int, n_right: int, storage: str) -> None:
    graph = ConflictGraph.from_edges([], n_left=n_left, n_right=n_right)
    graph = graph.as_bits() if storage == "bits" else graph.as_lists()
    blocks = solve(graph, np.ones(n_left, dtype=np.int64), np.ones(n_right, dtype=np.int64))
    assert blocks.left_block.tolist() == [0] * n_left
    assert blocks.right_block.tolist() == [0] * n_right
    assert blocks.a.tolist() == ([n_left] if n_left or n_right else [])


@pytest.mark.parametrize("storage", STORAGES)
def test_weights_of_very_different_size(storage: str) -> None:
    # A star whose middle weighs next to nothing, and one in which it weighs next to everything.
    for middle, rays in [(1, 2**58), (2**61, 1)]:
        case = Case(1, 5, [(0, v) for v in range(5)], [middle], [rays] * 5)
        blocks = solved(case, storage)
        assert partition_of(blocks) == ([0], [0] * 5, [(middle, 5 * rays)])
        assert_proved(case, blocks)


def test_blocks_of_equal_posterior_are_merged() -> None:
    # Three components, 2 : 1 each, and one of 1 : 1.
    case = Case(4, 4, [(0, 0), (1, 1), (2, 2), (3, 3)], [2, 4, 10, 1], [1, 2, 5, 1])
    blocks = solved(case)
    assert partition_of(blocks) == ([1, 1, 1, 0], [1, 1, 1, 0], [(1, 1), (16, 8)])
    assert_proved(case, blocks)


def test_the_largest_sum_of_weights() -> None:
    case = Case(2, 1, [(0, 0), (1, 0)], [2**60, 2**60], [2**61 - 1])
    assert partition_of(solved(case)) == ([0, 0], [0], [(2**61, 2**61 - 1)])
    with pytest.raises(ValueError, match="sum of all weights"):
        solve(case.graph(), np.array([2**60, 2**60]), np.array([2**61]))
    with pytest.raises(ValueError, match="sum of all weights"):
        solve(case.graph(), np.array([2**62, 2**62]), np.array([2**62]))


@pytest.mark.parametrize("bad", [0, -1, -(2**63)])
def test_weights_must_be_positive(bad: int) -> None:
    graph = ConflictGraph.from_edges([(0, 0)], n_left=2, n_right=1)
    with pytest.raises(ValueError, match="positive"):
        solve(graph, np.array([1, bad]), np.array([1]))
    with pytest.raises(ValueError, match="positive"):
        solve(graph, np.array([1, 1]), np.array([bad]))


def test_there_must_be_a_weight_for_each_vertex() -> None:
    graph = ConflictGraph.from_edges([(0, 0)], n_left=2, n_right=1)
    with pytest.raises(ValueError, match="left_weight"):
        solve(graph, np.array([1]), np.array([1]))
    with pytest.raises(ValueError, match="right_weight"):
        solve(graph, np.array([1, 1]), np.array([1, 1]))


def a_path(n: int, seed: int | None = None) -> np.ndarray:
    """Edges of a path through n + 1 left and n right vertices, which are numbered along it or at random."""
    left, right = np.arange(n + 1), np.arange(n)
    if seed is not None:
        rng = np.random.default_rng(seed)
        left, right = rng.permutation(left), rng.permutation(right)
    return np.concatenate([np.stack([left[:-1], right], axis=1), np.stack([left[1:], right], axis=1)])


def test_a_path_of_200001_vertices_is_one_block() -> None:
    n = 100_000
    graph = ConflictGraph.from_edges(a_path(n), n_left=n + 1, n_right=n)
    assert graph.storage == "lists"
    blocks = solve(graph, np.ones(n + 1, dtype=np.int64), np.ones(n, dtype=np.int64))
    assert blocks.a.tolist() == [n + 1]
    assert blocks.b.tolist() == [n]
    # Left vertex i sends n units: n - i to the right of it, i to the left.
    expected = {(i, i): n - i for i in range(n)} | {(i + 1, i): i + 1 for i in range(n)}
    assert dict(zip(map(tuple, blocks.flow_edges.tolist()), blocks.flow(), strict=True)) == expected


def test_a_path_with_random_weights_is_proved() -> None:
    n = 20_000
    rng = np.random.default_rng(3)
    edges = [(int(u), int(v)) for u, v in a_path(n, seed=4)]
    case = Case(n + 1, n, edges, rng.integers(1, 1000, n + 1).tolist(), rng.integers(1, 1000, n).tolist())
    graph = ConflictGraph.from_edges(case.edges, n_left=n + 1, n_right=n)
    blocks = solve(graph, *case.weights)
    assert len(blocks) > 1000
    sent = np.zeros(n + 1, dtype=object)
    taken = np.zeros(n, dtype=object)
    np.add.at(sent, blocks.flow_edges[:, 0], np.array(blocks.flow(), dtype=object))
    np.add.at(taken, blocks.flow_edges[:, 1], np.array(blocks.flow(), dtype=object))
    units = blocks.flow_units()
    assert (sent == case.weights[0] * (blocks.b // units)[blocks.left_block]).all()
    assert (taken == case.weights[1] * (blocks.a // units)[blocks.right_block]).all()
    u, v = np.array(case.edges).T
    assert (blocks.left_block[u] <= blocks.right_block[v]).all()
    carried = {tuple(edge) for edge in blocks.flow_edges.tolist()}
    assert carried <= set(case.edges)
    posteriors = [Fraction(a, a + b) for a, b in zip(blocks.a.tolist(), blocks.b.tolist(), strict=True)]
    assert posteriors == sorted(set(posteriors))


def test_a_million_isolated_vertices() -> None:
    n = 500_000
    graph = ConflictGraph.from_edges([(7, 3), (8, 3)], n_left=n, n_right=n)
    blocks = solve(graph, np.ones(n, dtype=np.int64), np.ones(n, dtype=np.int64))
    assert blocks.a.tolist() == [0, 2, n - 2]
    assert blocks.b.tolist() == [n - 1, 1, 0]
    assert np.flatnonzero(blocks.left_block == 1).tolist() == [7, 8]
    assert blocks.flow_edges.tolist() == [[7, 3], [8, 3]]


# Long work.


def test_progress_ascends_to_the_number_of_vertices() -> None:
    case = random_case(np.random.default_rng(5), largest=50)
    calls: list[tuple[str, int, int]] = []
    solve(case.graph(), *case.weights, progress=lambda *call: calls.append(call))
    n = case.n_left + case.n_right
    assert calls[-1] == ("blocks", n, n)
    assert all(stage == "blocks" and 0 <= done <= n and total == n for stage, done, total in calls)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


class InterruptedByTestError(Exception):
    pass


@pytest.fixture
def alarm() -> Iterator[None]:
    """Raise InterruptedByTestError in the main thread after 0.3 seconds, as Ctrl-C would raise KeyboardInterrupt."""

    def ring(*_: object) -> None:
        raise InterruptedByTestError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
def test_a_long_solve_can_be_interrupted() -> None:
    # All supply at one end of a long path: minutes of work.
    n = 60_000
    edges = a_path(n, seed=1)
    supply = np.ones(n + 1, dtype=np.int64)
    supply[edges[0, 0]] = n
    graph = ConflictGraph.from_edges(edges, n_left=n + 1, n_right=n)
    began = time.perf_counter()
    with pytest.raises(InterruptedByTestError):
        solve(graph, supply, np.full(n, 2))
    assert time.perf_counter() - began < 10


def test_an_error_in_the_progress_of_a_long_solve_stops_it() -> None:
    n = 60_000
    edges = a_path(n, seed=1)
    supply = np.ones(n + 1, dtype=np.int64)
    supply[edges[0, 0]] = n

    def stop(*_: object) -> None:
        raise InterruptedByTestError

    with pytest.raises(InterruptedByTestError):
        solve(ConflictGraph.from_edges(edges, n_left=n + 1, n_right=n), supply, np.full(n, 2), progress=stop)
