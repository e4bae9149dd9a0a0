"""The search for conflicts against all of them, listed."""

import itertools
from typing import Any

import numpy as np
import pytest
from support.hypergraphs import all_conflicts
from support.isas import ISAS

import lossfloor as lf
from lossfloor.conflicts.many_class import NO
from lossfloor.solvers.many.separation import UNLIMITED, Separator


def instance(seed: int, adversary: Any, classes: int = 5, n: int = 50) -> tuple[Any, Any, Any]:
    """Make a graph with conflicts of all degrees, and q with ties."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 90, (n, 3)).astype(np.uint8)
    y = np.arange(n) % classes
    floor: Any = lf.floor(X, y, adversary)
    return floor._solver._graph, floor._solver._rule, np.round(rng.uniform(0.1, 0.9, n), 1 + seed % 3)


def most_by_list(graph: Any, meeting: Any, q: Any, degree: int) -> Any:
    """Return for each vertex the largest sum of q over a conflict with it, of all conflicts."""
    beside = [set(graph.targets[graph.offsets[v] : graph.offsets[v + 1]].tolist()) for v in range(len(graph))]

    def meets(row: Any) -> bool:
        together = all(row[-1] in beside[u] for u in row[:-1])
        return together and (len(row) == 2 or meeting.ask(np.array(row, dtype=np.int32)) != NO)

    most = np.zeros(len(graph))
    for row in map(list, all_conflicts(graph.codes, meets, degree)):
        most[row] = np.maximum(most[row], q[row].sum())
    return most


@pytest.mark.parametrize("degree", [2, 3, 5])
@pytest.mark.parametrize("adversary", [lf.L2(19), lf.Linf(15), lf.L1(33)], ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_a_complete_search_finds_the_largest_sums(seed: int, adversary: Any, degree: int) -> None:
    graph, meeting, q = instance(seed, adversary)
    assert graph.degrees.mean() > 5
    expected = most_by_list(graph, meeting, q, degree)
    found = Separator(graph, meeting, 2).search(q, 1.0, max_degree=degree)
    assert found.unfinished == 0
    assert (found.most >= expected - 1e-12).all()
    assert found.most.max() == pytest.approx(expected.max(), abs=1e-12)
    assert found.rows.sums(q)[0] == pytest.approx(expected.max(), abs=1e-12)
    assert (found.rows.sums(q) > 1).all()
    for e in range(len(found.rows)):
        members = found.rows.members[found.rows.offsets[e] : found.rows.offsets[e + 1]]
        assert len(set(graph.codes[members])) == len(members) <= degree
        for pair in itertools.combinations(members.tolist(), 2):
            assert pair[1] in graph.targets[graph.offsets[pair[0]] : graph.offsets[pair[0] + 1]]


@pytest.mark.parametrize("seed", range(3))
def test_a_search_above_the_largest_sum_finds_nothing_and_one_below_it_does(seed: int) -> None:
    graph, meeting, q = instance(seed, lf.L2(19))
    most = float(most_by_list(graph, meeting, q, 5).max())
    separator = Separator(graph, meeting, 2)
    beyond = separator.search(q, most + 1e-9, max_degree=5)
    assert len(beyond.rows) == 0
    assert (beyond.most == most + 1e-9).all()
    below = separator.search(q, most - 1e-9, max_degree=5)
    assert len(below.rows) > 0
    assert below.rows.sums(q).min() == pytest.approx(most, abs=1e-12)


@pytest.mark.parametrize("budget", [3, 60, UNLIMITED])
def test_a_search_is_the_same_with_every_instruction_set_and_its_bounds_hold(budget: int) -> None:
    graph, meeting, q = instance(1, lf.L2(24), classes=6, n=150)
    separator = Separator(graph, meeting, 1)
    alive = np.ones(len(graph), dtype=np.uint8)
    best = separator.search(q, 1.0, max_degree=6).most
    assert best.max() > 1.5
    results = []
    for isa in ISAS:
        cut, most, steps, unfinished = separator._core.separate(
            q, alive, 1.0, 6, 8, 20, UNLIMITED, budget, 0.0, 1, isa=isa
        )
        assert (unfinished > 0) == (budget < 60)
        assert (most >= best - 1e-12).all()
        results.append((*(part.tobytes() for part in cut), most.tobytes(), steps, unfinished))
    assert results[0] == results[1] == results[2]


def test_many_threads_find_what_one_does() -> None:
    graph, meeting, q = instance(2, lf.L2(24), classes=6, n=150)
    one, four = (Separator(graph, meeting, threads).search(q, 1.0, max_degree=6) for threads in (1, 4))
    assert np.array_equal(one.most, four.most)
    assert np.array_equal(one.rows.members, four.rows.members)
