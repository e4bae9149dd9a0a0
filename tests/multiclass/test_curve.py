"""Curves of more than two classes beside floors that begin from nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import lossfloor as lf
from lossfloor.cli.app import app
from lossfloor.multiclass import MulticlassCurve

EPS = [0.3, 0.5, 0.7, 0.9, 1.1]


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 2)), np.concatenate([np.arange(5), rng.integers(0, 5, 55)])


def test_each_budget_agrees_with_a_floor_from_nothing(data: tuple[Any, Any]) -> None:
    curve = lf.curve(*data, lf.L2, eps=EPS)
    assert isinstance(curve, MulticlassCurve)
    for loss in ("cross-entropy", "zero-one"):
        assert (np.diff(curve.lower(loss)) >= 0).all()
        assert (curve.upper(loss) - curve.lower(loss) <= 1e-4 + 1e-12).all()
        for i, eps in enumerate(EPS):
            low, high = lf.floor(*data, lf.L2(eps)).bounds(loss)
            assert max(low, curve.lower(loss)[i]) <= min(high, curve.upper(loss)[i])


def test_conflicts_of_smaller_budgets_are_taken_over(data: tuple[Any, Any]) -> None:
    """With what the budget before found, fewer searches are needed than from nothing."""
    curve = lf.curve(*data, lf.L2, eps=[0.899, 0.9])
    alone = lf.floor(*data, lf.L2(0.9)).solution("cross-entropy")
    assert curve.floors[1].solution("cross-entropy").rounds < alone.rounds


def test_tables_and_text(data: tuple[Any, Any], tmp_path: Path) -> None:
    curve = lf.curve(*data, lf.Linf, eps=EPS[:3], gap=0.01)
    curve.to_csv(tmp_path / "curve.csv")
    with (tmp_path / "curve.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["cross_entropy_lower"]) for row in rows] == curve.lower().tolist()
    assert len(curve.to_frame()) == len(curve) == 3
    assert repr(curve).startswith("MulticlassCurve(3 budgets from 0.3 to 0.7")
    assert curve.plot().get_xlabel() == "eps (linf, unit 1)"
    assert curve.summary()["n_edges"] == curve.n_edges.tolist()


def test_the_command(tmp_path: Path) -> None:
    arguments = ["curve", "digits", "--n-per-class", "30", "--all-classes", "--l2", "--eps", "0.6", "--eps", "0.9"]
    shown = CliRunner().invoke(app, [*arguments, "--plot", str(tmp_path / "curve.png")])
    assert shown.exit_code == 0, shown.output
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert f"{told['cross_entropy_lower'][1]:.5f} to {told['cross_entropy_upper'][1]:.5f}" in shown.output
    wrong = CliRunner().invoke(app, [*arguments, "--at", "cross-entropy=0.1"])
    assert wrong.exit_code == 2
    assert "--all-classes does not go with --at" in wrong.output
