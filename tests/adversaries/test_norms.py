"""Balls of the l_p norms as adversaries: how their budgets are read, and whom they let collide."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.brute_force import AllPairs, unpack

import lossfloor as lf
from lossfloor.adversaries import BitRows, from_config
from lossfloor.adversaries.norms import NormBall

ORDERS = {"l1": Fraction(1), "l2": Fraction(2), "linf": None, "l3": Fraction(3), "l1.5": Fraction(3, 2)}
MAKE: dict[str, Callable[..., NormBall]] = {
    "l1": lf.L1,
    "l2": lf.L2,
    "linf": lf.Linf,
    "l3": lambda eps, unit=1: lf.Lp(3, eps, unit=unit),
    "l1.5": lambda eps, unit=1: lf.Lp(1.5, eps, unit=unit),
}


@pytest.mark.parametrize(
    ("eps", "expected"),
    [
        (4.6, Fraction(46, 10)),
        (0.1, Fraction(1, 10)),
        (np.float64(4.6), Fraction(46, 10)),
        (np.float32(4.6), Fraction(46, 10)),
        (np.float16(0.1), Fraction(1, 10)),
        (np.array(4.6), Fraction(46, 10)),
        (1e-7, Fraction(1, 10**7)),
        (5e-324, Fraction(5, 10**324)),
        (3, Fraction(3)),
        (np.uint8(200), Fraction(200)),
        (0, Fraction(0)),
        (-0.0, Fraction(0)),
        ("8/255", Fraction(8, 255)),
        ("4.6", Fraction(46, 10)),
        ("1e-3", Fraction(1, 1000)),
        (Fraction(1, 3), Fraction(1, 3)),
        ([4.6], Fraction(46, 10)),
    ],
)
def test_an_eps_is_the_decimal_that_was_written(eps: Any, expected: Fraction) -> None:
    assert lf.L2(eps).eps == (expected,)
    if expected > 0 and not isinstance(eps, (list, np.ndarray)):
        assert lf.L2(1, unit=eps).unit == expected


@pytest.mark.parametrize(
    "eps",
    [
        [0.1, 0.2, 0.3],
        (0.1, 0.2, 0.3),
        ["0.1", "1/5", 0.3],
        np.array([0.1, 0.2, 0.3]),
        np.array([0.1, 0.2, 0.3], dtype=np.float32),
        np.array([Fraction(1, 10), 0.2, "0.3"], dtype=object),
        pd.Series([0.1, 0.2, 0.3]),
    ],
    ids=lambda eps: type(eps).__name__,
)
def test_an_eps_for_each_example(eps: Any) -> None:
    assert lf.Linf(eps).eps == (Fraction(1, 10), Fraction(1, 5), Fraction(3, 10))


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_conflicts_of_a_part_of_the_data(kind: str, dtype: type) -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 20, (90, 3)).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        X += rng.random((90, 3)).astype(dtype)
    left, right = np.arange(0, 90, 9), np.setdiff1d(np.arange(90), np.arange(0, 90, 9))
    pairs = AllPairs(ORDERS[kind], X[left], X[right])
    for eps in ("5/2", [str(Fraction(int(k), 7)) for k in rng.integers(0, 40, 90)]):
        adversary = MAKE[kind](eps, unit="3/2")
        of = [Fraction(eps)] * 90 if isinstance(eps, str) else [Fraction(value) for value in eps]
        data = adversary.as_data(X, 90)
        pieces = list(adversary.conflicts(data[left], data[right], index_a=left, index_b=right))
        assert all(isinstance(piece, BitRows) for piece in pieces)
        found = np.concatenate([unpack(piece.bits, len(right)) for piece in pieces])
        expected = pairs.within(lambda i, j, of=of: Fraction(3, 2) * (of[left[i]] + of[right[j]]))
        assert (found == expected).all()
        assert 0 < np.count_nonzero(found) < found.size


@pytest.mark.parametrize("kind", MAKE)
def test_contains_is_exact(kind: str) -> None:
    rng = np.random.default_rng(1)
    X, Z = rng.random((30, 4)), rng.random((30, 4))
    pairs = AllPairs(ORDERS[kind], X, Z)
    for factor in (1 + Fraction(1, 10**25), 1 - Fraction(1, 10**25)):
        for i in range(30):
            adversary = MAKE[kind](pairs.near(i, i) * factor / 10, unit=10)
            assert adversary.contains(X[i : i + 1], Z[i : i + 1]).tolist() == [factor > 1]
    own = MAKE[kind]([pairs.near(i, i) * (1 + Fraction(i % 2 * 2 - 1, 10**20)) for i in range(30)])
    assert own.contains(X, Z).tolist() == [i % 2 == 1 for i in range(30)]
    index = np.array([3, 4, 7])
    assert own.contains(X[index], Z[index], index=index).tolist() == [True, False, True]


def test_contains_takes_examples_of_any_shape() -> None:
    images = np.zeros((2, 4, 4), dtype=np.uint8)
    moved = images.copy()
    moved[0, 0, 0], moved[1] = 8, 3
    assert lf.Linf("8/255", unit=255).contains(images, moved).tolist() == [True, True]
    assert lf.L1("9/255", unit=255).contains(images, moved).tolist() == [True, False]
    with pytest.raises(ValueError, match="'Z' must be of shape"):
        lf.L1(1).contains(images, moved[:1])


@pytest.mark.parametrize("kind", MAKE)
def test_two_examples_meet_exactly_where_they_conflict(kind: str) -> None:
    rng = np.random.default_rng(2)
    X = rng.integers(0, 9, (40, 3)).astype(float)
    eps = [str(Fraction(int(k), 5)) for k in rng.integers(1, 20, 40)]
    adversary = MAKE[kind](eps)
    n_met = 0
    for _ in range(60):
        index = rng.choice(40, size=2, replace=False)
        pair, reach = AllPairs(ORDERS[kind], X[index[:1]], X[index[1:]]), sum(Fraction(eps[i]) for i in index)
        expected = pair.at_most(0, 0, reach)
        try:
            point = adversary.meet(X[index], index=index)
        except ArithmeticError:  # balls that only touch may do so in a point, such as 1/5, that no double is
            assert expected
            assert not pair.at_most(0, 0, reach * (1 - Fraction(1, 10**12)))
            continue
        assert (point is not None) == expected == adversary.conflict(X[index[0]], X[index[1]], index=index)
        if point is not None:
            n_met += 1
            order = np.inf if ORDERS[kind] is None else float(ORDERS[kind])
            for i in index:
                assert (
                    np.linalg.norm(np.asarray(point, dtype=float) - X[i], ord=order) <= float(Fraction(eps[i])) + 1e-12
                )
    assert 5 < n_met < 55


def test_budgets_of_a_part_of_the_data_need_its_positions() -> None:
    adversary = lf.L2([1, 2, 3])
    X = np.zeros((2, 1))
    with pytest.raises(ValueError, match="'index' must be given"):
        adversary.contains(X, X)
    with pytest.raises(ValueError, match="'index' must be given"):
        list(adversary.conflicts(X[:1], X[1:]))
    assert adversary.contains(X, X, index=np.array([0, 2])).tolist() == [True, True]


def test_the_unit_scales_eps_and_nothing_else() -> None:
    X = np.array([[0], [255]], dtype=np.uint8)
    for eps, conflict in [(0.5, True), (0.4999999999999999, False)]:
        assert lf.floor(X, [0, 1], lf.L2(eps, unit=255)).n_edges == conflict
        assert lf.floor(X / 255, [0, 1], lf.L2(eps)).n_edges == conflict
    assert lf.L2([0.5, 1], unit=255).thresholds([Fraction(1, 10)]) == [51]


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("eps", [4.6, "1/3", [0.1, 2, "1/7"]])
@pytest.mark.parametrize("unit", [1, 255, "1/3"])
def test_a_configuration_makes_the_same_again(kind: str, eps: Any, unit: Any) -> None:
    adversary = MAKE[kind](eps, unit=unit)
    config = json.loads(json.dumps(adversary.config()))
    again = from_config(config)
    assert again == adversary
    assert hash(again) == hash(adversary)
    assert type(again) is type(adversary)
    assert repr(again) == repr(adversary)
    assert again != MAKE[kind](eps, unit=7)
    assert again != MAKE[kind](9, unit=unit)


def test_texts() -> None:
    assert repr(lf.L2(4.6, unit=255)) == "L2(eps=4.6, unit=255)"
    assert repr(lf.Linf("8/255")) == "Linf(eps=8/255, unit=1)"
    assert repr(lf.Lp(1.5, [1, 2])) == "Lp(p=1.5, eps=<2 from 1 to 2>, unit=1)"
    assert repr(lf.Lp(float("inf"), 1)) == "Lp(p=inf, eps=1, unit=1)"


def test_a_norm_under_another_name() -> None:
    rng = np.random.default_rng(3)
    X, y = rng.integers(0, 12, (60, 2)), rng.integers(0, 2, 60)
    for p, adversary in [(1, lf.L1), (2, lf.L2), (2.0, lf.L2), (float("inf"), lf.Linf), ("inf", lf.Linf)]:
        one, two = lf.floor(X, y, lf.Lp(p, 1.5)), lf.floor(X, y, adversary(1.5))
        assert one.degrees.tolist() == two.degrees.tolist()
        assert one.verify().zero_one == two.verify().zero_one
        assert lf.Lp(p, 1.5) != adversary(1.5)


def test_norms_of_growing_order_conflict_more() -> None:
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(60, 5)), rng.integers(0, 2, 60)
    orders = [1, "101/100", 1.5, 2, 3, 10, 600, float("inf")]
    counts = [lf.floor(X, y, lf.Lp(p, 0.7)).n_edges for p in orders]
    assert counts == sorted(counts)
    assert counts[0] < counts[3] < counts[-1]
    assert counts[-2] == counts[-1]


def test_norms_of_any_order_on_the_largest_integers() -> None:
    large = np.random.default_rng(5).integers(2**60, 2**60 + 9, (10, 2))
    for p in (3, "601/3"):
        lf.floor(large, np.arange(10) % 2, lf.Lp(p, 2)).verify()


def test_an_adversary_with_conflicts_of_its_own_gets_arrays() -> None:
    """The built-in one may be handed places in the data instead; a subclass from outside does not know of that."""
    seen = []

    class Watched(lf.L2):
        def conflicts(self, XA: Any, XB: Any, **index: Any) -> Any:
            seen.extend([type(XA), type(XB)])
            return super().conflicts(XA, XB, **index)

    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 255, (40, 9)).astype(np.uint8), np.arange(40) % 2
    assert lf.L2.takes_rows
    assert lf.floor(X, y, Watched(200)).cross_entropy == lf.floor(X, y, lf.L2(200)).cross_entropy > 0
    assert seen == [np.ndarray, np.ndarray]
