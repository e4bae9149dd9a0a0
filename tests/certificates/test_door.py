"""The checker's own door: saved results are verified without the solvers and without the extension."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossfloor as lf

#: What must not be loaded to verify a result against a norm or a matrix.
FORBIDDEN = (
    "lossfloor._core",
    "lossfloor.adversaries",
    "lossfloor.attacks",
    "lossfloor.conflicts",
    "lossfloor.distances",
    "lossfloor.floors",
    "lossfloor.graphs",
    "lossfloor.solvers",
)
RUN = f"""
import runpy, sys
module, *sys.argv[1:] = sys.argv[1:]
status = 0
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as done:
    status = done.code or 0
loaded = [name for name in sys.modules if name.startswith({FORBIDDEN!r})]
print("LOADED", loaded)
sys.exit(status)
"""


def run(module: str, *arguments: Path | str, status: int = 0) -> str:
    """Run a module in a process of its own, which has to load nothing that is forbidden."""
    command = [sys.executable, "-c", RUN, module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "LOADED []" in done.stdout
    return done.stdout + done.stderr


def saved(folder: Path, k: int = 2) -> tuple[Any, Path, Path]:
    """Save a floor, and its data."""
    rng = np.random.default_rng(k)
    X, y = rng.integers(0, 9, (40, 2)), np.arange(40) % k
    floor: Any = lf.floor(X, y, lf.L2(1))
    floor.save(folder / "result.npz")
    np.savez(folder / "data.npz", X=X, y=y)
    return floor, folder / "result.npz", folder / "data.npz"


@pytest.mark.parametrize("k", [2, 4])
def test_python_m_certificates(tmp_path: Path, k: int) -> None:
    floor, result, data = saved(tmp_path, k)
    shown = run("lossfloor.certificates", result, data)
    assert "is proved" in shown
    assert repr(floor.zero_one)[:8] in shown


@pytest.mark.parametrize("k", [2, 4])
def test_the_verify_command(tmp_path: Path, k: int) -> None:
    _, result, data = saved(tmp_path, k)
    assert "is proved" in run("lossfloor.cli", "verify", result, "--data", data)


def test_a_matrix(tmp_path: Path) -> None:
    conflicts = np.array([[False, True, False], [True, False, False], [False, False, False]])
    lf.floor(np.zeros((3, 1)), [0, 1, 1], lf.Precomputed(conflicts=conflicts)).save(tmp_path / "result.npz")
    np.savez(tmp_path / "data.npz", matrix=conflicts, y=np.array([0, 1, 1]))
    assert "is proved" in run("lossfloor.certificates", tmp_path / "result.npz", tmp_path / "data.npz")


def test_other_data_are_rejected(tmp_path: Path) -> None:
    _, result, data = saved(tmp_path)
    with np.load(data) as arrays:
        np.savez(data, X=arrays["X"][::-1], y=arrays["y"])
    assert "is rejected" in run("lossfloor.certificates", result, data, status=1)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [({"X": np.zeros(3)}, "must have the arrays y and X"), ({"y": np.zeros(3)}, "must have the arrays y and X")],
)
def test_wrong_data_are_a_mistake(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    _, result, data = saved(tmp_path)
    np.savez(data, **arrays)
    assert message in run("lossfloor.certificates", result, data, status=2)


def test_missing_files_are_a_mistake(tmp_path: Path) -> None:
    _, result, data = saved(tmp_path)
    assert "nothing.npz" in run("lossfloor.certificates", tmp_path / "nothing.npz", data, status=2)
    assert "nothing.npz" in run("lossfloor.certificates", result, tmp_path / "nothing.npz", status=2)


def test_adversaries_with_tests_of_their_own_are_named(tmp_path: Path) -> None:
    X, y = np.array([[0, 1], [0, 2], [5, 5]]), np.array([0, 1, 1])
    lf.floor(X, y, lf.Hamming(1)).save(tmp_path / "result.npz")
    np.savez(tmp_path / "data.npz", X=X, y=y)
    shown = run("lossfloor.certificates", tmp_path / "result.npz", tmp_path / "data.npz", status=2)
    assert "'hamming' has tests of its own: use `lossfloor verify`" in shown
