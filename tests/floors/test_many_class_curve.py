"""Curves of more than two classes beside floors that begin from nothing."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import lossfloor as lf
from lossfloor.adversaries import Adversary
from lossfloor.cli.app import app
from lossfloor.floors import MulticlassCurve

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


def three_on_a_line() -> tuple[list[list[float]], list[int]]:
    return [[0.0], [2.0], [4.0], [100.0]], [0, 1, 2, 0]


def test_nothing_is_taken_over_from_an_adversary_that_can_do_more() -> None:
    """A radius that falls: what the first budget proves is wrong for the others."""
    X, y = three_on_a_line()
    curve = lf.curve(X, y, lambda eps: lf.L2(3 - eps), eps=[0, 1.5, 2.5])
    for loss in ("cross-entropy", "zero-one"):
        lower, upper = curve.lower(loss), curve.upper(loss)
        assert lower[2] == upper[2] == 0.0
        assert lower[0] > 0.49
        for i, radius in enumerate([3, 1.5]):
            low, high = lf.floor(X, y, lf.L2(radius)).bounds(loss)
            assert max(low, lower[i]) <= min(high, upper[i]) + 1e-12


def test_radii_of_their_own_that_change_places() -> None:
    """One example's radius grows as another one's falls: neither adversary can do all that the other can."""
    X, y = three_on_a_line()
    curve = lf.curve(X, y, lambda eps: lf.L2([2 - 2 * eps, 0, 2 * eps, 0]), eps=[0, 1])
    assert curve.n_edges.tolist() == [1, 1]
    assert [floor.degrees.tolist() for floor in curve.floors] == [[1, 1, 0, 0], [0, 1, 1, 0]]
    assert curve.lower("zero-one") == pytest.approx([0.25, 0.25], abs=1.001e-4)
    assert curve.upper("zero-one") == pytest.approx([0.25, 0.25], abs=1.001e-4)
    assert set(curve.floors[1].pools["ZeroOne()"].members.tolist()) == {1, 2}


ADVERSARIES: list[tuple[Callable[[Any], Adversary], Any, Any]] = [
    (lf.L2, 1, 2),
    (lambda e: lf.Lp(3, e), 1, "3/2"),
    (lambda e: lf.L1([1, e, 2]), 1, 2),
    (lambda e: lf.WeightedLp(2, [1, 2], e), 1, 2),
    (lambda e: lf.Box(0, 1, eps=e), 1, 2),
    (lf.Hamming, 1, 2),
    (lf.EditDistance, 9, 10),
    (lambda e: lf.SparseLinf(2, e), 1, 2),
    (lambda e: lf.Geometric(shifts=e), 1, 2),
    (lambda e: lf.Union(lf.L2(e), lf.Intersection(lf.L1(e), lf.Linf(1))), 1, 2),
    (lambda e: lf.Clipped(lf.L2(e), 0, 9), 1, 2),
    (lambda e: lf.Precomputed(distances=np.eye(3), eps=e), 1, 2),
]


@pytest.mark.parametrize(("make", "less", "more"), ADVERSARIES)
def test_which_is_at_least_the_other(make: Callable[[Any], Adversary], less: Any, more: Any) -> None:
    assert make(more).is_at_least(make(less))
    assert make(less).is_at_least(make(less))
    assert not make(less).is_at_least(make(more))


class Contrary(lf.L2):
    """Means the opposite by a radius."""

    def __init__(self, eps: Any, unit: Any = 1) -> None:
        super().__init__(9 - eps, unit)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lf.L2(1), lf.Linf(2)),
        (lf.L2(1), lf.L2(2, unit="1/3")),
        (lf.Lp(2, 1), lf.Lp(3, 1)),
        (lf.L1([1, 2, 3]), lf.L1([2, 3, 1])),
        (lf.L1([1, 2, 3]), lf.L1([1, 2, 3, 4])),
        (lf.L1(3), lf.L1([3, 4, 2])),
        (lf.Box(0, 1), lf.Box(1, 0)),
        (lf.SparseLinf(2, 1), lf.SparseLinf(1, 2)),
        (lf.Union(lf.L2(1), lf.L1(2)), lf.Union(lf.L2(2), lf.L1(1))),
        (lf.Union(lf.L2(1), lf.L1(1)), lf.Union(lf.L2(1))),
        (lf.Clipped(lf.L2(1), 0, 9), lf.Clipped(lf.L2(1), 0, 8)),
        (lf.Precomputed(distances=np.eye(3), eps=1), lf.Precomputed(distances=np.eye(3) + 1, eps=1)),
        (lf.FiniteSets(lambda x: [x]), lf.FiniteSets(lambda x: [x, 0])),
        (Contrary(1), Contrary(2)),
        (lf.Union(Contrary(8), lf.L2(1)), lf.Union(Contrary(7), lf.L2(1))),
    ],
)
def test_who_is_not_known_to(one: Adversary, other: Adversary) -> None:
    assert not other.is_at_least(one)


def test_functions_of_the_same_name_are_not_taken_for_the_same() -> None:
    def custom(reach: int) -> lf.CustomAdversary:
        def meet(x: Any, y: Any) -> Any:
            return (x + y) // 2 if abs(x - y) < 2 * reach else None

        return lf.CustomAdversary(contains=lambda x, z: abs(x - z) <= reach, meet=meet)

    assert custom(1).config() == custom(2).config()
    assert not custom(1).is_at_least(custom(2))


def test_a_time_limit_is_one_for_the_whole_curve() -> None:
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(400, 3)), np.r_[np.arange(8), rng.integers(0, 8, 392)]
    began = time.monotonic()
    curve = lf.curve(X, y, lf.L2, eps=[Fraction(k, 4) for k in range(1, 6)], gap=1e-9, time_limit=1)
    assert time.monotonic() - began < 8  # finding conflicts, and what a step takes, comes on top
    assert not curve.complete.all()
    assert curve.summary()["complete"] == curve.complete.tolist()
    assert (np.isfinite(curve.lower()) & np.isfinite(curve.upper()) & (curve.lower() <= curve.upper())).all()
    best = lf.floor(X, y, lf.L2(Fraction(1, 2)), gap=1e-3).bounds("cross-entropy")
    assert curve.lower()[1] <= best[1]
    assert curve.upper()[1] >= best[0]


def test_a_time_limit_that_is_over_at_once_leaves_bounds_that_hold(data: tuple[Any, Any]) -> None:
    curve = lf.curve(*data, lf.L2, eps=EPS, time_limit=1e-9)
    whole = lf.curve(*data, lf.L2, eps=EPS)
    for loss in ("cross-entropy", "zero-one"):
        assert (curve.lower(loss) <= whole.upper(loss) + 1e-12).all()
        assert (curve.upper(loss) >= whole.lower(loss) - 1e-12).all()


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
    # What is printed is rounded outwards.
    low = np.floor(told["cross_entropy_lower"][1] * 1e5) / 1e5
    high = np.ceil(told["cross_entropy_upper"][1] * 1e5) / 1e5
    assert f"{low:.5f} to {high:.5f}" in shown.output
    wrong = CliRunner().invoke(app, [*arguments, "--at", "cross-entropy=0.1"])
    assert wrong.exit_code == 2
    assert "--all-classes does not go with --at" in wrong.output


def test_the_command_with_a_time_limit() -> None:
    arguments = ["curve", "digits", "--n-per-class", "30", "--l2", "--eps", "0.2", "--eps", "1.5"]
    limited = [*arguments, "--all-classes", "--time-limit", "0.001"]
    told = json.loads(CliRunner().invoke(app, [*limited, "--json"]).output)
    assert told["complete"] == [True, False]
    assert "did not meet within the gap at eps 1.5." in CliRunner().invoke(app, limited).output
    for extra, message in (
        (["--classes", "3", "8", "--time-limit", "1"], "--time-limit goes with --all-classes"),
        (["--all-classes", "--time-limit", "0"], "'time_limit' must be positive"),
    ):
        wrong = CliRunner().invoke(app, [*arguments, *extra])
        assert wrong.exit_code == 2
        assert message in " ".join(wrong.output.split())


def test_the_command_leaves_out_every_budget_that_it_varies(tmp_path: Path) -> None:
    """The JSON of a union had the last budget in its members, as if it were that of all points."""
    path = tmp_path / "union.json"
    path.write_text(json.dumps({"name": "union", "members": [{"name": "l2"}, {"name": "linf"}]}))
    arguments = ["curve", "digits", "--n-per-class", "5", "--adversary-json", str(path), "--eps", "0.2", "--eps", "0.3"]
    for classes in (["--all-classes"], ["--classes", "3", "8"]):
        told = json.loads(CliRunner().invoke(app, [*arguments, *classes, "--json"]).output)
        assert told["adversary"] == {"name": "union", "members": [{"name": "l2"}, {"name": "linf"}]}
        assert "adversaries" not in told
