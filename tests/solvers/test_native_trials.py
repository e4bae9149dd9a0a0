"""Cases that broke the solver of two classes, and a turn of the random trials in native/tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import scipy_route
from support.graphs import Case
from support.proofs import assert_proved, partition_of

import lossfloor as lf
from lossfloor.solvers import solve

DATA = Path(__file__).parents[1] / "data"
ROOT = Path(__file__).parents[2]


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


# The same solver as a program of its own, under the sanitizers: what `make sanitize` runs at length.


@pytest.fixture(scope="module")
def trials() -> Path:
    tools, folder = Path(sys.executable).parent, ROOT / "build" / "sanitize"
    options = ["BUILD_TYPE=Debug", f"MAKE_PROGRAM={tools / 'ninja'}"]
    parts = ["PYTHON=OFF", "NATIVE_TESTS=ON", "SANITIZE=ON"]
    defined = [f"-DCMAKE_{option}" for option in options] + [f"-DLOSSFLOOR_{part}" for part in parts]
    for arguments in (["-S", ROOT, "-B", folder, "-G", "Ninja", *defined], ["--build", folder]):
        done = subprocess.run([tools / "cmake", *arguments], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "solver_trials"


def output_of(program: Path, *arguments: str | Path) -> str:
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_random_graphs_pass_the_sanitizers(trials: Path) -> None:
    assert "1000 graphs, " in output_of(trials, "--first", "123456789", "--count", "1000")


@pytest.mark.slow
def test_a_graph_with_empty_entries_passes_the_sanitizers(overflow: Case, trials: Path, tmp_path: Path) -> None:
    rows = [(overflow.n_left, overflow.n_right), overflow.left_weight, overflow.right_weight, *overflow.edges]
    path = tmp_path / "case.txt"
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    assert "198 conflicts" in output_of(trials, "--case", path)


@pytest.mark.slow
def test_a_case_that_is_none_is_refused(trials: Path, tmp_path: Path) -> None:
    path = tmp_path / "case.txt"
    for text in ("", "1 1  1", "1 1  1 1  0 1"):
        path.write_text(text)
        done = subprocess.run([trials, "--case", path], check=False, capture_output=True, text=True)
        assert done.returncode == 1
        assert "a case has" in done.stderr or "a case begins" in done.stderr or "a conflict is" in done.stderr
