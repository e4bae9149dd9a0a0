"""Every solve of many classes ends, and says why; small instances end where the bounds meet."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

import lossfloor as lf
from lossfloor.losses import Brier, Convex, CrossEntropy, ZeroOne, tilted_minimum
from lossfloor.solvers.many import cutting_planes
from lossfloor.solvers.many.separable import SeparableLoss

Lines = list[tuple[float, float]]


def largest_of(lines: Lines) -> Any:
    """Return the largest of some lines, given by slope and offset, as a function of q."""
    return lambda q: np.max([slope * np.asarray(q, dtype=np.float64) + offset for slope, offset in lines], axis=0)


def smallest_mean(n: int, rows: list[tuple[int, ...]], lines: Lines) -> float:
    """Solve for a loss that is the largest of some lines, as a linear program in q and the losses."""
    matrix, right = [], []
    for row in rows:
        line = np.zeros(2 * n)
        line[list(row)] = 1
        matrix.append(line)
        right.append(1.0)
    for v in range(n):
        for slope, offset in lines:
            line = np.zeros(2 * n)
            line[v], line[n + v] = slope, -1
            matrix.append(line)
            right.append(-offset)
    cost = np.concatenate([np.zeros(n), np.full(n, 1 / n)])
    bounds = [(0, 1)] * n + [(None, None)] * n
    return float(linprog(cost, A_ub=np.array(matrix), b_ub=right, bounds=bounds, method="highs").fun)


@pytest.mark.parametrize("loss", ["cross-entropy", "zero-one", "brier"])
@pytest.mark.parametrize(
    ("x", "y", "adversary"),
    [
        ([3.0, 0.0, 4.0, 3.0, 1.0], [0, 1, 2, 0, 0], lf.L2(0.5)),  # went round for ever, 1.066e-4 apart
        ([0.0, 1.0, 9.0], [0, 1, 2], lf.Linf(1)),
        ([0.0, 0.0, 0.0, 0.0], [0, 1, 2, 3], lf.L2(1)),
    ],
    ids=["five", "three", "one place"],
)
def test_small_instances_meet(x: list[float], y: list[int], adversary: Any, loss: str) -> None:
    solution = lf.floor(np.array(x)[:, None], y, adversary).solution(loss)
    assert solution.why == ""
    assert solution.complete
    assert 0 <= solution.upper - solution.lower <= 1e-4


@pytest.mark.parametrize(
    "lines",
    [
        [(-1.0, 0.3), (0.0, 0.0)],  # flat where the first-order method begins: pairs were found again and again
        [(-1.0, 0.9), (0.0, 0.0)],  # given up after three rounds, 1.2e-3 apart
        [(-1e6, 0.0)],
        [(-1e-6, 0.0)],
        [(0.0, 7.0)],
    ],
    ids=["plateau", "kink", "steep", "gentle", "constant"],
)
def test_callables_meet(lines: Lines) -> None:
    floor: Any = lf.floor([[0.0], [1.0], [9.0]], [0, 1, 2], lf.Linf(1))
    low, high = floor.bounds(largest_of(lines))
    assert low <= smallest_mean(3, [(0, 1)], lines) + 1e-9 * max(1.0, abs(lines[0][0]))
    assert low <= high <= low + 1e-4
    assert floor.solution(largest_of(lines)).why == ""


def test_a_callable_with_costs_meets() -> None:
    floor = lf.floor([[0.0], [1.0], [9.0]], [0, 1, 2], lf.Linf(1))
    low, high = floor.bounds(lambda q: 1 / q, costs={0: 1, 1: 3, 2: 1})
    truth = ((1 + 3**0.5) ** 2 + 1) / 3  # 1 / q + 3 / (1 - q) is least at q = 1 / (1 + sqrt(3))
    assert low <= truth <= high <= low + 1e-4


@pytest.mark.parametrize("steep", [1.0, 1000.0, 1e6])
@pytest.mark.parametrize("at", [Fraction(1, 3), Fraction(1, 2), Fraction(3, 10)])
def test_no_bound_is_wrong_beside_a_kink(at: Fraction, steep: float) -> None:
    """A difference quotient beside a kink is no tangent: 20 of 20 such lower bounds were above the truth."""
    lines = [(-steep, steep * float(at) + 0.0667), (-0.1, 0.1 * float(at) + 0.0667)]
    low, high = lf.floor([[0, 0], [1, 0], [0, 1]], [0, 1, 2], lf.L2(1)).bounds(largest_of(lines))
    truth = smallest_mean(3, [(0, 1, 2)], lines)
    assert low <= truth + 1e-12 * steep
    assert high >= truth - 1e-12 * steep
    assert high - low <= 1e-4


@pytest.mark.parametrize("slope", [-1e6, -3.0])
@pytest.mark.parametrize("shift", [0.0, -0.5, -100.0, 5.0])
def test_the_upper_bound_of_a_negative_loss_is_one(slope: float, shift: float) -> None:
    low, high = lf.floor([[0.0], [1.0], [9.0]], [0, 1, 2], lf.Linf(1)).bounds(lambda q: slope * q + shift)
    truth = (slope * 2) / 3 + shift  # q is a half, a half and one
    assert low <= truth <= high


def random_line(seed: int) -> tuple[Any, Any, float, list[tuple[int, ...]]]:
    """Points of three classes on a line: balls share a point when every two do."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 10))
    x = rng.integers(0, 7, n).astype(float)
    y = np.concatenate([np.arange(3), rng.integers(0, 3, n - 3)])
    radius = float(rng.choice([0.5, 1.0, 1.5]))
    pairs = [(u, v) for u in range(n) for v in range(u + 1, n) if y[u] != y[v] and abs(x[u] - x[v]) <= 2 * radius]
    known = set(pairs)
    triples = [(u, v, w) for u, v in pairs for w in range(v + 1, n) if {(u, w), (v, w)} <= known]
    return x[:, None], y, radius, pairs + triples


@pytest.mark.parametrize("seed", range(40))
def test_random_instances_of_three_classes_meet(seed: int) -> None:
    X, y, radius, conflicts = random_line(seed)
    floor: Any = lf.floor(X, y, lf.L2(radius))
    for loss in ("cross-entropy", "zero-one", "brier"):
        solution = floor.solution(loss)
        assert solution.why == ""
        assert solution.upper - solution.lower <= 1e-4
    truth = smallest_mean(len(y), conflicts, [(-1.0, 1.0)])
    low, high = floor.bounds("zero-one")
    assert low - 1e-9 <= truth <= high + 1e-9


@pytest.mark.parametrize("seed", range(30))
def test_random_callables_of_three_classes_are_bracketed(seed: int) -> None:
    X, y, radius, conflicts = random_line(seed)
    rng = np.random.default_rng(1000 + seed)
    slopes = -np.sort(rng.choice([0.0, 0.1, 0.5, 1.0, 3.0, 1000.0], int(rng.integers(2, 4)), replace=False))
    offsets = rng.choice([1 / 3, 1 / 2, 0.2, 0.9, 1.0], len(slopes)) * -slopes + rng.choice([0.0, 0.0, -0.5])
    lines = list(zip(slopes.tolist(), offsets.tolist(), strict=True))
    floor: Any = lf.floor(X, y, lf.L2(radius))
    solution = floor.solution(largest_of(lines))
    truth = smallest_mean(len(y), conflicts, lines)
    slack = 1e-9 * max(1.0, float(abs(slopes).max()))
    assert solution.lower - slack <= truth <= solution.upper + slack
    assert solution.why == ""
    assert solution.upper - solution.lower <= 1e-4


def test_small_components_are_polished_where_the_first_order_method_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting_planes, "_STALLED_ROUNDS", 0)  # gives up at once
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(60, 2)) * 2, np.arange(60) % 4
    polished: Any = lf.floor(X, y, lf.L2(0.9), gap=1e-7)
    monkeypatch.undo()
    usual: Any = lf.floor(X, y, lf.L2(0.9))
    for loss in ("cross-entropy", "zero-one", "brier", lambda q: 1 / q):
        low, high = polished.bounds(loss)
        assert polished.solution(loss).why == ""
        assert high - low <= 1e-7
        others = usual.bounds(loss)
        assert max(low, others[0]) <= min(high, others[1])
    assert float(polished.verify().lower) >= polished.cross_entropy


@pytest.mark.parametrize("limit", [None, 2])
def test_polished_bounds_hold_with_a_limited_degree(monkeypatch: pytest.MonkeyPatch, limit: int | None) -> None:
    monkeypatch.setattr(cutting_planes, "_STALLED_ROUNDS", 0)
    X = [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    solution = lf.floor(X, ["a", "b", "c"], lf.L2(1), max_degree=limit, gap=1e-6).solution("zero-one")
    assert solution.lower == pytest.approx(2 / 3 if limit is None else 1 / 2, abs=1e-6)
    assert solution.relaxed == pytest.approx(solution.lower, abs=1e-6)
    assert solution.upper == pytest.approx(2 / 3, abs=1e-6)
    assert solution.why == ""


def test_it_says_that_the_time_was_over() -> None:
    rng = np.random.default_rng(0)
    floor: Any = lf.floor(rng.normal(size=(900, 6)), np.arange(900) % 6, lf.L2(1.2), time_limit=1e-3)
    began = time.monotonic()
    solution = floor.solution()
    assert time.monotonic() - began < 20
    assert solution.why == "the time limit was reached"
    assert not solution.complete
    assert solution.lower <= solution.upper
    assert floor.summary()["why"]["cross_entropy"] == solution.why


def test_it_says_that_conflicts_are_open() -> None:
    ones = ~np.eye(3, dtype=bool)
    floor: Any = lf.floor(np.zeros((3, 1)), [0, 1, 2], lf.Precomputed(conflicts=ones))
    solution = floor.solution("zero-one")
    assert solution.lower == pytest.approx(0.5, abs=1e-6)
    assert solution.upper == pytest.approx(2 / 3, abs=1e-6)
    assert solution.why == "it stayed open whether some examples conflict"


def test_why_is_kept_in_files(tmp_path: Any) -> None:
    ones = ~np.eye(3, dtype=bool)
    floor: Any = lf.floor(np.zeros((3, 1)), [0, 1, 2], lf.Precomputed(conflicts=ones))
    floor.save(tmp_path / "floor.npz")
    again = lf.MulticlassFloor.load(tmp_path / "floor.npz")
    assert again.solution("zero-one").why == floor.solution("zero-one").why != ""


@pytest.mark.parametrize("seed", range(3))
def test_three_touching_balls_of_different_radii_are_proved(seed: int) -> None:
    """Balls on a line that share one point only: its weights are thirds, no sums of powers of a half."""
    X = np.array([[0], [3], [1 + 2 * seed]])
    radii = [Fraction(1), Fraction(2), Fraction(2 * seed)]
    solution = lf.floor(X, [0, 1, 2], lf.L2(radii)).solution("zero-one")
    assert solution.why == ""
    assert solution.lower == pytest.approx(2 / 3, abs=1e-4)


@pytest.mark.parametrize(
    ("loss", "exact"),
    [
        (CrossEntropy(), lambda s: np.where(s > 1, 1 + np.log(np.maximum(s, 1)), s)),
        (ZeroOne(), lambda s: np.minimum(s, 1)),
        (Brier(), lambda s: np.where(s < 2, s - s * s / 4, 1)),
        (Convex(lambda q: 1 / q), lambda s: np.where(s > 1, 2 * np.sqrt(np.maximum(s, 1)), 1 + s)),
        (Convex(lambda q: np.maximum(1000 * (0.5 - q), 0)), lambda s: np.minimum(s / 2, 500)),
    ],
    ids=["cross-entropy", "0-1", "Brier", "1/q", "steep"],
)
def test_tilted_minima_are_below_the_truth_and_near_it(loss: Any, exact: Any) -> None:
    s = np.concatenate([[0, 1e-9, 0.5, 1, 2, 1000, 1e6], np.random.default_rng(0).exponential(1, 2000)])
    lower, point = tilted_minimum(loss, s)
    truth = exact(s)
    assert (lower <= truth + 4e-16 * (1 + truth)).all()
    assert (lower >= truth - 1e-11 * (1 + s)).all()
    assert loss(point) + s * point == pytest.approx(truth, rel=1e-9, abs=1e-9)


def test_the_table_of_a_callable_follows_a_kink() -> None:
    function = largest_of([(-1000.0, 1000 / 3), (-0.1, 0.1 / 3)])
    nodes, slopes, at_one = SeparableLoss(Convex(function)).in_core  # type: ignore[misc]
    assert nodes[-1] == 1
    assert (np.diff(nodes) > 0).all()
    assert (np.diff(slopes) >= 0).all()
    assert at_one == function(1.0)
    wide = np.flatnonzero((slopes > -999) & (slopes < -0.2))  # in between there is next to nothing
    assert nodes[wide].size == 0 or np.ptp(nodes[wide]) < 1e-6
