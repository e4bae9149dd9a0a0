"""Floors of every two classes beside floors computed one by one, and the bounds that follow beside brute force."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.hypergraphs import all_conflicts, discs_meet, smallest_loss
from typer.testing import CliRunner

import lossfloor as lf
from lossfloor.adversaries import Adversary
from lossfloor.cli.app import app
from lossfloor.floors.pairwise import one_vs_rest_bound


def plane(seed: int, n: int, k: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)), np.concatenate([np.arange(k), rng.integers(0, k, n - k)])


@pytest.mark.parametrize(
    "adversary",
    [lf.L2(0.6), lf.Linf(0.3), lf.L1(0.7), lf.L2(np.linspace(0.1, 0.9, 40).round(3)), lf.Box(lower=0.2, upper=0.5)],
    ids=["l2", "linf", "l1", "radii", "box"],
)
def test_every_pair_is_what_it_is_alone(adversary: Adversary) -> None:
    X, y = plane(0, 40, 4)
    weight = np.random.default_rng(1).integers(1, 5, 40)
    found = lf.pairwise_floors(X, y, adversary, sample_weight=weight)
    assert set(found.floors) == set(itertools.combinations(range(4), 2))
    for i, j in found.floors:
        both = (y == i) | (y == j)
        own = lf.L2([adversary.eps[v] for v in np.flatnonzero(both)]) if len(adversary.eps) > 1 else adversary
        alone = lf.floor(X[both], y[both], own, sample_weight=weight[both])
        assert isinstance(alone, lf.Floor)
        for loss in ("cross-entropy", "zero-one", "brier"):
            assert found.floor(j, i).loss(loss) == alone.loss(loss)
            assert found.matrix(loss)[i, j] == found.matrix(loss)[j, i] == alone.loss(loss)
        assert found.floor(i, j).n_edges == alone.n_edges


class HalfOpen(lf.Linf):
    """Leaves every conflict open in which the second example stands at an odd place."""

    def conflicts(self, XA: Any, XB: Any, *, index_a: Any = None, index_b: Any = None) -> Any:
        for rows in super().conflicts(XA, XB, index_a=index_a, index_b=index_b):
            odd = np.zeros_like(rows.bits)
            for place in np.flatnonzero(index_b % 2):
                odd[:, place // 64] |= np.uint64(1) << np.uint64(place % 64)
            yield rows._replace(bits=rows.bits & ~odd, undecided=rows.bits & odd)


def test_open_pairs_leave_bounds() -> None:
    X, y = plane(7, 40, 3)
    found = lf.pairwise_floors(X, y, HalfOpen(0.4))
    every = lf.pairwise_floors(X, y, lf.Linf(0.4))
    assert found.summary()["status"] == "bounds"
    for pair, one in found.floors.items():
        assert one.cross_entropy < one.upper.cross_entropy == every.floors[pair].cross_entropy


@pytest.mark.parametrize("seed", range(6))
def test_bounds_for_all_classes_hold(seed: int) -> None:
    X, y = plane(seed, 15, 4)
    conflicts = all_conflicts(y, lambda row: discs_meet(X[list(row)], np.full(len(row), 0.8)))
    found = lf.pairwise_floors(X, y, lf.L2(0.8))
    for loss in ("cross_entropy", "zero_one", "brier"):
        truth = smallest_loss(np.ones(15), conflicts, loss)
        matrix = found.matrix(loss)
        assert found.lower_bound(loss) <= truth + 1e-7
        # The best of the three ways to pair four classes.
        gain = lambda i, j: matrix[i, j] * ((y == i) | (y == j)).mean()  # noqa: B023, E731
        ways = [gain(0, 1) + gain(2, 3), gain(0, 2) + gain(1, 3), gain(0, 3) + gain(1, 2)]
        assert found.lower_bound(loss) == pytest.approx(max(ways), abs=1e-12)
        assert max(one_vs_rest_bound(X, y, lf.L2(0.8), loss=loss).values()) <= truth + 1e-7


def test_two_classes_have_one_pair() -> None:
    X, y = plane(3, 20, 2)
    found = lf.pairwise_floors(X, y, lf.L2(0.5))
    assert found.lower_bound() == pytest.approx(found.floor(0, 1).cross_entropy)
    assert max(one_vs_rest_bound(X, y, lf.L2(0.5)).values()) == found.floor(0, 1).cross_entropy


def test_more_classes_than_all_ways_are_tried_for() -> None:
    X, y = plane(4, 60, 18)
    found = lf.pairwise_floors(X, y, lf.L2(0.3))
    pairs = [label for pair, _ in found.best_pairs() for label in pair]
    assert len(pairs) == len(set(pairs))
    assert 0 < found.lower_bound() <= lf.floor(X, y, lf.L2(0.3)).upper.cross_entropy


def test_text_and_tables() -> None:
    X, y = plane(5, 30, 3)
    found = lf.pairwise_floors(X, np.array(["<b>", "x", "y"])[y], lf.L2(0.6))
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<b>" not in found._repr_html_()
    assert len(found.to_frame()) == 3
    assert repr(found).startswith("PairwiseFloors(3 classes")
    assert found.hardest(1)[0][1] == found.matrix().max()


def test_what_is_wrong_is_told() -> None:
    X, y = plane(6, 12, 3)
    with pytest.raises(TypeError, match="'adversary' must be an adversary"):
        lf.pairwise_floors(X, y, 0.5)  # type: ignore[arg-type]
    found = lf.pairwise_floors(X, y, lf.L2(0.5))
    with pytest.raises(ValueError, match="'second' must be different from the first class"):
        found.floor(1, 1)
    with pytest.raises(ValueError, match="'first' must be one of the classes"):
        found.floor(7, 1)
    with pytest.raises(ValueError, match="unknown loss"):
        one_vs_rest_bound(X, y, lf.L2(0.5), loss="entropy")


def test_the_command(tmp_path: Path) -> None:
    picture, table = tmp_path / "pairs.png", tmp_path / "pairs.csv"
    arguments = ["pairwise", "digits", "--n-per-class", "40", "--l2", "1"]
    shown = CliRunner().invoke(app, [*arguments, "--plot", str(picture), "--csv", str(table)])
    assert shown.exit_code == 0, shown.output
    assert "All classes together: at least" in shown.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 45
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    data = lf.load("digits", n_per_class=40)
    found = lf.pairwise_floors(data.X, data.y, lf.L2(1, unit=data.unit))
    assert told["cross_entropy"] == found.matrix().tolist()
    assert float(rows[0]["cross_entropy"]) == found.matrix()[0, 1]
