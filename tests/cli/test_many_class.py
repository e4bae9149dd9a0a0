"""More than two classes on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lossfloor as lf
from lossfloor.cli.app import app

DIGITS = ["digits", "--n-per-class", "40"]


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == status, result.output
    return result.output


def test_floor_of_all_classes_and_its_proof(tmp_path: Path) -> None:
    saved, soft = tmp_path / "floor.npz", tmp_path / "soft.npz"
    shown = run("floor", *DIGITS, "--all-classes", "--l2", "0.9", "--save", str(saved), "--soft-labels", str(soft))
    data = lf.load("digits", n_per_class=40)
    floor = lf.floor(data.X, data.y, lf.L2("0.9", unit=data.unit))
    low, high = floor.bounds("cross-entropy")
    assert f"{low:.9g} to {high:.9g} nats" in shown
    assert "no classifier is below the first number" in shown
    told = json.loads(run("floor", *DIGITS, "--all-classes", "--l2", "0.9", "--json"))
    assert told["cross_entropy"] == low
    assert told["upper"]["zero_one"] == floor.upper.zero_one
    with np.load(soft) as held:
        np.testing.assert_array_equal(held["soft_labels"], floor.soft_labels())
    assert "is proved" in run("verify", str(saved), "--data", *DIGITS)
    proved = json.loads(run("verify", str(saved), "--data", *DIGITS, "--json"))
    assert proved["cross_entropy"] == pytest.approx(low, abs=1e-13)
    assert "is rejected" in run("verify", str(saved), "--data", "digits", "--n-per-class", "39", status=1)


def test_limits_and_losses() -> None:
    told = json.loads(
        run("floor", *DIGITS, "--all-classes", "--l2", "0.9", "--max-degree", "2", "--gap", "0.01", "--json")
    )
    assert told["max_degree"] == 2
    assert told["relaxed"]["cross_entropy"] <= told["upper"]["cross_entropy"]
    shown = run(
        *["floor", *DIGITS, "--all-classes", "--linf", "0.2", "--loss", "brier", "--cost", "3=2", "--time-limit", "60"]
    )
    assert "brier, costs" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--l2", "1"], "or take all with --all-classes"),
        (["--all-classes", "--classes", "3", "8", "--l2", "1"], "give either"),
        (["--classes", "3", "8", "--gap", "0.1", "--l2", "1"], "--gap goes with --all-classes"),
        (["--all-classes", "--l2", "1", "--max-degree", "1"], "'max_degree' must be at least 2, got 1"),
        (["--all-classes", "--l2", "1", "--gap", "none"], "'gap' must be a number, got 'none'"),
        (["--all-classes", "--l2", "1", "--loss", "spherical"], "'loss' must be convex"),
    ],
)
def test_mistakes_are_told_in_a_line(arguments: list[str], message: str) -> None:
    assert message in " ".join(run("floor", *DIGITS, *arguments, status=2).split())
