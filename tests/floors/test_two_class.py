"""The floor of data sets: every loss against a convex solver, what must not matter, and odd input."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from support import convex, slow_optprob
from support.graphs import Case, random_case, random_cases

import lossfloor as lf
from lossfloor import losses


def floor_of(case: Case, **options: Any) -> lf.Floor:
    weights = np.concatenate(case.weights)
    return lf.floor(None, case.labels, lf.Precomputed(conflicts=case.matrix()), sample_weight=weights, **options)


def small_data(rng: np.random.Generator, n: int = 40, d: int = 2, top: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Points on a small grid, so that ties and equal points are common; both classes occur."""
    return rng.integers(0, top, (n, d)), np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])


# The losses.


@pytest.mark.parametrize("name", convex.LOSSES)
def test_every_convex_loss_is_that_of_a_convex_solver(name: str) -> None:
    for case in random_cases(11, 12, most_weight=20):
        expected = convex.floor(case, name)
        assert floor_of(case).loss(convex.FUNCTIONS[name]) == pytest.approx(expected, rel=1e-8, abs=1e-8), case


@pytest.mark.parametrize("costs", [(1, 1), (1, 7), (2.5, 0.5)])
@pytest.mark.parametrize("name", ["log", "brier", "zero_one", "reciprocal"])
def test_losses_with_costs_are_those_of_a_convex_solver(name: str, costs: tuple[float, float]) -> None:
    for case in random_cases(12, 5, most_weight=20):
        expected = convex.floor(case, name, costs)
        result = floor_of(case).loss(convex.FUNCTIONS[name], costs=dict(enumerate(costs)))
        assert result == pytest.approx(expected, rel=1e-8, abs=1e-8), case


def test_named_losses_are_what_their_functions_are() -> None:
    for case in random_cases(13, 30):
        result = floor_of(case)
        assert result.cross_entropy == result.loss("cross_entropy") == result.loss(losses.CrossEntropy())
        assert result.cross_entropy == pytest.approx(result.loss(lambda q: -np.log(q)), rel=1e-12, abs=1e-14)
        assert result.brier == pytest.approx(result.loss(lambda q: (1 - q) ** 2), rel=1e-12, abs=1e-14)
        assert result.zero_one == pytest.approx(result.loss(lambda q: 1 - q), rel=1e-12, abs=1e-14)


def test_the_losses_of_the_blocks_in_fractions() -> None:
    for case in random_cases(14, 40):
        pairs = slow_optprob.solve(case)[2]
        result = floor_of(case)
        zero_one = Fraction(sum(min(a, b) for a, b in pairs), case.total)
        brier = sum(Fraction(a * b, a + b) for a, b in pairs) / case.total
        entropy = math.fsum(-w * math.log(w / (a + b)) for a, b in pairs for w in (a, b) if w) / case.total
        assert result.exact_loss("zero_one") == zero_one
        assert result.exact_loss("brier") == brier
        assert (result.zero_one, result.brier) == (float(zero_one), float(brier))
        assert result.cross_entropy == pytest.approx(entropy, rel=1e-12, abs=1e-15)
        assert (result.exact_loss("cross_entropy") is None) == (result.cross_entropy > 0)


@pytest.mark.parametrize("loss", [losses.CrossEntropy(), losses.Brier(), losses.Spherical()])
def test_a_proper_loss_is_reached_at_the_correct_probabilities_and_nowhere_beaten(loss: losses.Loss) -> None:
    rng = np.random.default_rng(15)
    for case in random_cases(15, 25):
        result = floor_of(case)
        q = result.correct_probability
        p = np.concatenate(case.weights) / case.total
        value = result.loss(loss)
        assert math.fsum(p * loss(q)) == pytest.approx(value, rel=1e-12, abs=1e-14)
        u, v = np.nonzero(case.matrix())
        assert (q[u] + q[v] <= 1 + 1e-15).all()
        for _ in range(20):
            other = np.clip(q + rng.normal(scale=rng.choice([1e-3, 0.1, 1.0]), size=len(q)), 0, 1)
            for i in rng.permutation(len(q)):  # pull down what conflicts would not allow
                other[i] = min(other[i], 1 - other[v[u == i]].max(initial=0))
            assert math.fsum(p * loss(other)) >= value - 1e-12


def test_an_optimal_zero_one_classifier_is_deterministic() -> None:
    # Thresholding the posterior at one half keeps every example wholly or not at all.
    for case in random_cases(16, 40):
        result = floor_of(case)
        kept = np.where(case.labels == 0, result.posterior > 0.5, result.posterior <= 0.5)
        p = np.concatenate(case.weights) / case.total
        assert 1 - math.fsum(p[kept]) == pytest.approx(result.zero_one, abs=1e-12)
        u, v = np.nonzero(case.matrix())
        assert not (kept[u] & kept[v]).any()


# What must not matter.


@pytest.mark.parametrize("seed", range(5))
def test_a_larger_eps_never_lowers_a_loss(seed: int) -> None:
    X, y = small_data(np.random.default_rng(seed))
    for adversary in (lf.L1, lf.L2, lf.Linf):
        floors = [lf.floor(X, y, adversary(eps)) for eps in (0, 0.5, 0.7, 1, 1.5, 2, 3, 5, 9, 20)]
        for name in ("cross_entropy", "zero_one", "brier", "spherical", lambda q: 1 / q):
            values = [result.loss(name) for result in floors]
            assert values == sorted(values)
        assert [result.n_edges for result in floors] == sorted(result.n_edges for result in floors)
        counts = np.bincount(y)
        assert floors[-1].zero_one == counts.min() / counts.sum()  # everything conflicts


def data_sets() -> st.SearchStrategy[tuple[list[int], list[int], list[int]]]:
    """Points on a line, labels of both classes, weights."""

    def with_n(n: int) -> st.SearchStrategy[tuple[list[int], list[int], list[int]]]:
        return st.tuples(
            st.lists(st.integers(0, 12), min_size=n, max_size=n),
            st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2).map(lambda rest: [0, 1, *rest]),
            st.lists(st.integers(1, 9), min_size=n, max_size=n),
        )

    return st.integers(2, 12).flatmap(with_n)


EPS = st.sampled_from([0, 0.5, 1, 1.5, 2.5, 4])


def on_line(points: list[int], labels: list[Any], weights: list[int], eps: Any) -> lf.Floor:
    return lf.floor(np.array(points)[:, None], labels, lf.L2(eps), sample_weight=np.array(weights))


@given(data_sets(), EPS)
def test_data_on_a_line_is_solved_as_the_paper_does(data: tuple[list[int], list[int], list[int]], eps: float) -> None:
    points, labels, weights = data
    left, right = ([i for i, label in enumerate(labels) if label == side] for side in (0, 1))
    edges = [
        (i, j)
        for (i, u), (j, v) in itertools.product(enumerate(left), enumerate(right))
        if abs(points[u] - points[v]) <= 2 * eps
    ]
    case = Case(len(left), len(right), edges, [weights[i] for i in left], [weights[i] for i in right])
    left_block, right_block, pairs = slow_optprob.solve(case)
    result = on_line(points, labels, weights, eps)
    assert result.n_edges == len(edges)
    assert result.block[left].tolist() == left_block
    assert result.block[right].tolist() == right_block
    common = math.gcd(*weights)  # floors count in the largest unit
    assert [a * common for a in result.blocks.a.tolist()] == [a for a, _ in pairs]
    assert result.verify().n_blocks == len(pairs)


@given(data_sets(), EPS, st.data())
def test_the_order_of_the_examples_does_not_matter(
    data: tuple[list[int], list[int], list[int]], eps: float, draw: st.DataObject
) -> None:
    points, labels, weights = data
    order = draw.draw(st.permutations(range(len(points))))
    before = on_line(points, labels, weights, eps)
    after = on_line(*([part[i] for i in order] for part in data), eps)
    assert after.cross_entropy == before.cross_entropy
    assert after.blocks.a.tolist() == before.blocks.a.tolist()
    assert after.block.tolist() == before.block[order].tolist()


@given(data_sets(), EPS)
def test_the_names_of_the_classes_do_not_matter(data: tuple[list[int], list[int], list[int]], eps: float) -> None:
    points, labels, weights = data
    before = on_line(points, labels, weights, eps)
    after = on_line(points, [1 - label for label in labels], weights, eps)
    assert after.cross_entropy == pytest.approx(before.cross_entropy, rel=1e-15)
    assert after.exact_loss("brier") == before.exact_loss("brier")
    assert after.exact_loss("zero_one") == before.exact_loss("zero_one")
    assert after.correct_probability.tolist() == before.correct_probability.tolist()
    assert (after.block == before.n_blocks - 1 - before.block).all()
    words = on_line(points, [("dog", "cat")[label] for label in labels], weights, eps)
    assert words.classes.tolist() == ["cat", "dog"]
    assert words.correct_probability.tolist() == before.correct_probability.tolist()


@given(data_sets(), EPS, st.integers(2, 4))
def test_duplicates_of_the_whole_data_set_do_not_matter(
    data: tuple[list[int], list[int], list[int]], eps: float, times: int
) -> None:
    before = on_line(*data, eps)
    after = on_line(*(part * times for part in data), eps)
    assert after.cross_entropy == pytest.approx(before.cross_entropy, rel=1e-15)
    assert after.exact_loss("brier") == before.exact_loss("brier")
    assert after.block.tolist() == before.block.tolist() * times


@given(data_sets(), EPS)
def test_a_weight_of_k_equals_k_copies(data: tuple[list[int], list[int], list[int]], eps: float) -> None:
    points, labels, weights = data
    copies = [list(np.repeat(part, weights)) for part in (points, labels)]
    before = on_line(*data, eps)
    after = on_line(*copies, [1] * sum(weights), eps)
    assert after.exact_loss("brier") == before.exact_loss("brier")
    assert after.block.tolist() == np.repeat(before.block, weights).tolist()
    after.verify()


@given(data_sets(), EPS)
def test_merging_equal_examples_does_not_matter(data: tuple[list[int], list[int], list[int]], eps: float) -> None:
    merged: dict[tuple[int, int], int] = {}
    for point, label, weight in zip(*data, strict=True):
        merged[point, label] = merged.get((point, label), 0) + weight
    places, labels = (list(part) for part in zip(*merged, strict=True))
    before = on_line(*data, eps)
    after = on_line(places, labels, list(merged.values()), eps)
    assert after.exact_loss("brier") == before.exact_loss("brier")
    assert after.n_blocks == before.n_blocks
    of = {key: block for key, block in zip(merged, after.block.tolist(), strict=True)}
    assert before.block.tolist() == [of[point, label] for point, label in zip(data[0], data[1], strict=True)]


@given(data_sets(), EPS)
@settings(max_examples=40)
def test_weights_may_be_scaled_by_anything(data: tuple[list[int], list[int], list[int]], eps: float) -> None:
    points, labels, weights = data
    before = on_line(*data, eps)
    for scale in (3, 0.25, 0.1, 1e-30, 1e30):
        after = on_line(points, labels, [w * scale for w in weights], eps)
        assert after.block.tolist() == before.block.tolist()
        assert after.brier == pytest.approx(before.brier, rel=1e-10)
        assert after.verify().n_blocks == before.n_blocks


@pytest.mark.parametrize("seed", range(3))
def test_moving_all_of_the_data_does_not_matter(seed: int) -> None:
    X, y = small_data(np.random.default_rng(seed), n=60, d=3)
    expected = lf.floor(X, y, lf.L2(1.5))
    for moved, eps, unit in [
        (X + 1000, 1.5, 1),
        (-X, 1.5, 1),
        (X[:, ::-1], 1.5, 1),
        (X * 255, 1.5, 255),
        (X.astype(np.float32), 1.5, 1),
        (X * 0.125, "3/16", 1),
        (X.astype(np.uint8).reshape(60, 3, 1, 1), 1.5, 1),
    ]:
        result = lf.floor(moved, y, lf.L2(eps, unit=unit))
        assert result.block.tolist() == expected.block.tolist()
        assert result.n_edges == expected.n_edges


def test_an_eps_for_each_example_that_is_the_same_is_that_eps() -> None:
    X, y = small_data(np.random.default_rng(8), n=50)
    for adversary in (lf.L1, lf.L2, lf.Linf):
        one, each = lf.floor(X, y, adversary(1.5)), lf.floor(X, y, adversary(np.full(50, 1.5)))
        assert each.block.tolist() == one.block.tolist()
        assert each.degrees.tolist() == one.degrees.tolist()
        each.verify()


def test_threads_and_pieces_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    from lossfloor.distances import sweep

    rng = np.random.default_rng(9)
    X = np.round(rng.normal(size=(700, 5)), 2)
    y = rng.integers(0, 2, 700)
    expected = lf.floor(X, y, lf.L2(0.5))
    for threads, work in [("1", 1), ("3", 1), ("5", 10**12)]:
        monkeypatch.setenv("LOSSFLOOR_NUM_THREADS", threads)
        monkeypatch.setattr(sweep, "_WORK_PER_CALL", work)
        result = lf.floor(X, y, lf.L2(0.5))
        assert result.degrees.tolist() == expected.degrees.tolist()
        assert result.blocks.flow_edges.tolist() == expected.blocks.flow_edges.tolist()
        assert result.blocks.flow() == expected.blocks.flow()


# Degenerate and large input.


def test_no_conflicts() -> None:
    result = lf.floor([[0, 0], [5, 5], [9, 0]], ["b", "a", "b"], lf.L2(1))
    assert (result.cross_entropy, result.zero_one, result.brier) == (0, 0, 0)
    assert result.correct_probability.tolist() == [1, 1, 1]
    assert result.posterior.tolist() == [0, 1, 0]
    assert (result.n_edges, result.n_isolated, result.n_blocks) == (0, 3, 2)
    assert result.verify().cross_entropy == 0


@pytest.mark.parametrize(("n_first", "n_second"), [(1, 1), (1, 300), (300, 1), (150, 150)])
def test_everything_conflicts(n_first: int, n_second: int) -> None:
    n = n_first + n_second
    y = np.repeat([7, 9], [n_first, n_second])
    result = lf.floor(np.arange(n)[:, None], y, lf.L2(n))
    a, b = n_first / n, n_second / n
    assert result.n_edges == n_first * n_second
    assert result.n_blocks == 1
    assert result.cross_entropy == pytest.approx(-a * math.log(a) - b * math.log(b), rel=1e-14)
    assert result.zero_one == min(a, b)
    assert result.brier == pytest.approx(a * b, rel=1e-15)
    result.verify()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("adversary", [lf.L1, lf.L2, lf.Linf, lambda eps: lf.Lp(1.5, eps)])
def test_without_moves_only_equal_examples_of_two_classes_conflict(
    adversary: Callable[[int], lf.Adversary], dtype: type
) -> None:
    X = np.array([[1, 2], [1, 2], [1, 2], [3, 4], [5, 6]], dtype=dtype)
    result = lf.floor(X, [0, 0, 1, 0, 1], adversary(0))
    assert result.n_edges == 2
    assert result.exact_loss("zero_one") == Fraction(1, 5)
    assert result.correct_probability.tolist() == [2 / 3, 2 / 3, 1 / 3, 1, 1]
    result.verify()


def test_one_example_a_class() -> None:
    assert lf.floor([[0.0], [1.0]], [0, 1], lf.L2(0.5)).cross_entropy == math.log(2)
    assert lf.floor([[0.0], [1.0]], [0, 1], lf.L2(0.4999999999999999)).cross_entropy == 0


def test_weights_of_very_different_size() -> None:
    result = lf.floor([[0], [1], [2]], [0, 1, 0], lf.L2(0.5), sample_weight=[10**18, 1, 1])
    assert result.exact_loss("zero_one") == Fraction(1, 10**18 + 2)
    assert result.weights_exact
    result.verify()
    with pytest.raises(ValueError, match=r"'sample_weight' must be at least 2\*\*-41 of the largest"):
        lf.floor([[0], [1], [2]], [0, 1, 0], lf.L2(0.5), sample_weight=[1e20, math.pi, 1e-20])


def test_few_against_many() -> None:
    rng = np.random.default_rng(10)
    X = rng.integers(0, 1000, (20_001, 1))
    y = np.zeros(20_001, dtype=int)
    y[::5000] = 1
    result = lf.floor(X, y, lf.L1(3))
    heavy = sorted({int(x) for x in X[y == 1, 0]})
    assert np.count_nonzero(y) == 5
    assert result.n_edges == sum(int(np.sum(np.abs(X[y == 0, 0] - x) <= 6)) for x in X[y == 1, 0])
    assert result.n_isolated == int(np.sum([min(abs(int(x) - h) for h in heavy) > 6 for x in X[y == 0, 0]]))
    result.verify()


def test_data_on_a_line_by_hand() -> None:
    # 0 meets 1, 1 meets 2, 5 is alone: 1 and 2 of the second class share the one of the first.
    result = lf.floor([[0], [1], [2], [5]], [1, 0, 1, 1], lf.L2(0.5))
    assert result.posterior.tolist() == [1 / 3, 1 / 3, 1 / 3, 0]
    assert result.correct_probability.tolist() == [2 / 3, 1 / 3, 2 / 3, 1]
    assert result.degrees.tolist() == [1, 2, 1, 0]
    assert result.exact_loss("brier") == Fraction(1, 6)


def test_a_million_examples_almost_all_without_conflict() -> None:
    n = 1_000_000
    y = np.arange(n) % 2
    pairs = np.array([(2 * k, 2 * k + 1) for k in range(1000)])
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    C = sparse.csr_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n))
    began = time.perf_counter()
    result = lf.floor(None, y, lf.Precomputed(conflicts=C))
    assert time.perf_counter() - began < 30
    assert (result.n_edges, result.n_isolated, result.n_blocks) == (1000, n - 2000, 3)
    assert result.exact_loss("zero_one") == Fraction(1000, n)
    assert result.cross_entropy == pytest.approx(2000 * math.log(2) / n, rel=1e-14)


# The result object.


@pytest.fixture
def example() -> lf.Floor:
    return lf.floor(
        [[0], [1], [2], [3], [9]], ["cat", "dog", "dog", "cat", "dog"], lf.L2(0.5), sample_weight=[1, 2, 1, 1, 0.5]
    )


def test_what_it_says_of_each_example(example: lf.Floor) -> None:
    assert example.classes.tolist() == ["cat", "dog"]
    assert example.status == "exact"
    assert example.weights_exact
    assert example.n_examples == 5
    assert example.n_edges == 2  # 0-1 and 2-3
    assert example.n_isolated == 1
    assert example.degrees.tolist() == [1, 1, 1, 1, 0]
    assert example.block.tolist() == [1, 1, 2, 2, 0]
    assert example.posterior == pytest.approx([1 / 3, 1 / 3, 1 / 2, 1 / 2, 0])
    assert example.correct_probability == pytest.approx([1 / 3, 2 / 3, 1 / 2, 1 / 2, 1])
    assert example.blocks.a.tolist() == [0, 2, 2]
    assert example.blocks.b.tolist() == [1, 4, 2]


def test_soft_labels(example: lf.Floor) -> None:
    labels = example.soft_labels()
    assert labels.sum(axis=1) == pytest.approx(np.ones(5))
    assert labels[:, 0] == pytest.approx(example.posterior)
    raised = example.soft_labels(min_correct=0.6)
    assert raised == pytest.approx(np.array([[0.6, 0.4], [1 / 3, 2 / 3], [0.4, 0.6], [0.6, 0.4], [0, 1]]))
    assert example.soft_labels(1.0).tolist() == [[1, 0], [0, 1], [0, 1], [1, 0], [0, 1]]
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="'min_correct' must be between 0 and 1"):
            example.soft_labels(wrong)


def test_to_frame(example: lf.Floor) -> None:
    frame = example.to_frame()
    assert list(frame.columns) == ["label", "weight", "conflicts", "block", "posterior", "correct_probability"]
    assert frame["label"].tolist() == ["cat", "dog", "dog", "cat", "dog"]
    assert frame["weight"].tolist() == [2, 4, 2, 2, 1]
    assert frame["conflicts"].tolist() == example.degrees.tolist()
    assert frame["block"].tolist() == example.block.tolist()
    assert frame["posterior"].tolist() == example.posterior.tolist()
    assert frame["correct_probability"].tolist() == example.correct_probability.tolist()


def test_to_frame_names_the_extra_if_pandas_is_missing(example: lf.Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"lossfloor\[frames\]"):
        example.to_frame()


def test_summary_is_json(example: lf.Floor) -> None:
    summary = json.loads(json.dumps(example.summary()))
    assert summary["classes"] == ["cat", "dog"]
    assert summary["n_per_class"] == [2, 3]
    assert summary["adversary"] == {"name": "l2", "eps": "1/2", "unit": "1"}
    assert summary["zero_one"] == example.zero_one
    assert (summary["n_edges"], summary["n_blocks"], summary["n_examples"]) == (2, 3, 5)


def test_texts(example: lf.Floor) -> None:
    assert repr(example) == (
        f"Floor(cross_entropy={example.cross_entropy:.6g} nats, zero_one={example.zero_one:.6g}, exact; "
        "5 examples, 2 conflicts, 3 blocks)"
    )
    html = example._repr_html_()
    assert "Smallest robust loss" in html
    assert "L2(eps=0.5, unit=1)" in html
    hostile = lf.floor([[0], [1]], ["<script>", "b"], lf.L2(1))._repr_html_()
    assert "<script>" not in hostile
    assert "&lt;script&gt;" in hostile


def test_costs_must_name_both_classes(example: lf.Floor) -> None:
    for wrong in ({}, {"cat": 1}, {"cat": 1, "cow": 2}, {"cat": 1, "dog": 2, "cow": 3}):
        with pytest.raises(ValueError, match="'costs' must be a cost for each of the classes"):
            example.loss("brier", costs=wrong)
    with pytest.raises(ValueError, match="'costs' must be positive, got 0 for class 'cat'"):
        example.loss("brier", costs={"cat": 0, "dog": 1})


def test_rounded_weights_are_confessed() -> None:
    result = lf.floor([[0], [1]], [0, 1], lf.L2(1), sample_weight=[math.pi, math.e])
    assert not result.weights_exact
    assert result.zero_one == pytest.approx(math.e / (math.pi + math.e), rel=1e-11)
    assert not result.summary()["weights_exact"]


def test_progress_tells_of_both_stages() -> None:
    X, y = small_data(np.random.default_rng(17), n=300)
    calls: list[tuple[str, int, int]] = []
    lf.floor(X, y, lf.L2(1), progress=lambda *call: calls.append(call))
    assert [stage for stage, _ in itertools.groupby(calls, key=lambda call: call[0])] == ["conflicts", "blocks"]
    for _, group in itertools.groupby(calls, key=lambda call: call[0]):
        done, total = zip(*((done, total) for _, done, total in group), strict=True)
        assert list(done) == sorted(done)
        assert done[-1] == total[-1]
        assert len(set(total)) == 1


# Files.


@pytest.mark.parametrize("labels", [[0, 1], [3, 7], ["cat", "dog"], [False, True], ["ä", "β"]])
@pytest.mark.parametrize("seed", range(3))
def test_save_and_load(tmp_path: Path, seed: int, labels: list[Any]) -> None:
    rng = np.random.default_rng(seed)
    X, codes = small_data(rng, n=30)
    y = np.array(labels)[codes]
    eps = rng.integers(1, 9, 30) / 4
    before = lf.floor(X, y, lf.L2(eps, unit="3/2"), sample_weight=rng.integers(1, 2**40, 30))
    before.save(tmp_path / "floor.npz")
    after = lf.Floor.load(tmp_path / "floor.npz")
    assert after.summary() == before.summary()
    assert repr(after) == repr(before)
    for name in ("classes", "block", "posterior", "correct_probability", "degrees"):
        assert getattr(after, name).tolist() == getattr(before, name).tolist()
    for name in ("left_block", "right_block", "a", "b", "flow_edges", "flow_high", "flow_low"):
        assert getattr(after.blocks, name).tolist() == getattr(before.blocks, name).tolist()
    assert after.exact_loss("brier") == before.exact_loss("brier")
    assert after.verify(X, y) == before.verify()
    with pytest.raises(ValueError, match="'X' must be given together with y"):
        after.verify()
    with pytest.raises(lf.CertificateError):
        after.verify(X, y[::-1] if (y[::-1] != y).any() else np.roll(y, 1))
    after.save(tmp_path / "again.npz")
    with np.load(tmp_path / "floor.npz") as one, np.load(tmp_path / "again.npz") as two:
        assert sorted(one) == sorted(two)
        for name in one:
            assert one[name].dtype == two[name].dtype
            assert one[name].tolist() == two[name].tolist()


def test_a_floor_of_a_matrix_is_verified_with_the_matrix(tmp_path: Path) -> None:
    case = random_case(np.random.default_rng(21))
    before = floor_of(case)
    before.save(tmp_path / "floor.npz")
    after = lf.Floor.load(tmp_path / "floor.npz")
    for matrix in (case.matrix(), case.matrix().astype(float), sparse.csr_array(case.matrix())):
        adversary = lf.Precomputed(conflicts=matrix)
        assert after.verify(None, case.labels, adversary=adversary) == before.verify()
    with pytest.raises(lf.CertificateError, match="matrix"):
        after.verify(None, case.labels)
    with pytest.raises(lf.CertificateError, match="not one against Precomputed"):
        # The same matrix read as distances would be another problem.
        after.verify(None, case.labels, adversary=lf.Precomputed(distances=case.matrix(), eps=0))
    with pytest.raises(ValueError, match="'X' must be given together with y"):
        after.verify()


def test_a_floor_is_not_verified_against_another_adversary(tmp_path: Path) -> None:
    before = lf.floor([[0], [1]], [0, 1], lf.L2(1))
    before.save(tmp_path / "floor.npz")
    for result in (before, lf.Floor.load(tmp_path / "floor.npz")):
        result.verify([[0], [1]], [0, 1], adversary=lf.L2(1))
        for other in (lf.L2(2), lf.L1(1), lf.L2(1, unit=2)):
            with pytest.raises(lf.CertificateError, match="not one against"):
                result.verify([[0], [1]], [0, 1], adversary=other)


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "floor.npz"
    lf.floor([[0], [1]], [0, 1], lf.L2(1)).save(path)
    before = path.read_bytes()

    def fail(stream: Any, **_: Any) -> None:
        stream.write(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(KeyboardInterrupt):
        lf.floor([[0], [5]], [0, 1], lf.L2(1)).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["floor.npz"]


def test_a_save_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "floor.npz"
    lf.floor([[0], [1]], [0, 1], lf.L2(1)).save(path)
    before = path.read_bytes()
    script = textwrap.dedent(
        """
        import os, signal, sys
        import numpy as np
        import lossfloor as lf

        def killed(stream, **_):
            stream.write(b"half a file")
            stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        np.savez_compressed = killed
        lf.floor([[0], [5]], [0, 1], lf.L2(1)).save(sys.argv[1])
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    lf.Floor.load(path).verify([[0], [1]], [0, 1])


def test_a_saved_file_may_be_read_by_others_as_any_new_file(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        lf.floor([[0], [1]], [0, 1], lf.L2(1)).save(tmp_path / "floor.npz")
    finally:
        os.umask(mask)
    assert (tmp_path / "floor.npz").stat().st_mode & 0o777 == 0o644
