"""Cases that broke the solver of two classes, and a turn of the random trials in native/tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy_route
from graphs import Case
from proofs import assert_proved, partition_of

import lossfloor as lf
from lossfloor.solvers import solve

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def overflow() -> Case:
    """A graph whose splits left empty entries between blocks: the solver wrote behind its array of flow."""
    with np.load(DATA / "conflicts_63x65.npz") as stored:
        n, n_left, weight = int(stored["n"]), int(stored["a"]), stored["w"].tolist()
        conflicts = np.unpackbits(stored["C"])[: n * n].reshape(n, n).astype(bool)
    edges = [(int(u), int(v)) for u, v in np.argwhere(conflicts[:n_left, n_left:])]
    return Case(n_left, n - n_left, edges, weight[:n_left], weight[n_left:])


@pytest.mark.parametrize("storage", ["bits", "lists"])
@pytest.mark.parametrize("factor", [1, 2**53])  # flow in 64 bits and in 128
def test_a_graph_with_empty_entries_between_blocks(overflow: Case, storage: str, factor: int) -> None:
    weights = [[factor * w for w in side] for side in (overflow.left_weight, overflow.right_weight)]
    case = Case(overflow.n_left, overflow.n_right, overflow.edges, *weights)
    blocks = solve(case.graph(storage), *case.weights)
    left_block, right_block, pairs = scipy_route.solve(overflow)
    assert partition_of(blocks) == (left_block, right_block, [(factor * a, factor * b) for a, b in pairs])
    assert_proved(case, blocks)


def test_the_floor_of_a_graph_with_empty_entries_between_blocks(overflow: Case) -> None:
    weight = np.concatenate(overflow.weights)
    X = np.zeros((len(weight), 1))
    floor = lf.floor(X, overflow.labels, lf.Precomputed(conflicts=overflow.matrix()), sample_weight=weight)
    assert floor.zero_one == pytest.approx(0.25213675, abs=5e-9)
