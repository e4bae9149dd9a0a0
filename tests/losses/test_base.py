"""What every loss has in common: shapes, checks of arguments, and one order that solves every loss."""

from __future__ import annotations

import dataclasses
import math
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from support.loss_cases import CLOSED, WITH_COSTS, Array

from lossfloor.losses import Brier, Convex, Costs, CrossEntropy, Loss, Spherical, ZeroOne


@pytest.mark.parametrize("loss", CLOSED, ids=repr)
def test_a_block_of_no_weight_costs_nothing(loss: Loss) -> None:
    assert loss.block_risk(0, 0) == 0
    assert loss.exact_bayes_risk(0, 0) == 0
    assert Convex(lambda q: 1 / q).block_risk(0, 0) == 0


def test_shapes_are_kept() -> None:
    for loss in [CrossEntropy(), Costs("brier", 1, 2), Convex(lambda q: 1 - q)]:
        for shape in [(), (0,), (3,), (2, 0), (2, 3)]:
            pi = np.full(shape, 0.3)
            for answer in [
                loss.bayes_risk(pi),
                loss.minimizer(pi),
                loss.block_risk(pi, pi),
                loss(pi, second=np.zeros(shape, dtype=bool)),
                loss.gradient(pi, second=np.zeros(shape, dtype=bool)),
            ]:
                assert isinstance(answer, np.ndarray)
                assert answer.shape == shape
                assert answer.dtype == np.float64


def test_arguments_are_not_written_to() -> None:
    pi = np.array([0.7, 0.2])
    for loss in [Brier(), ZeroOne(), Convex(lambda q: np.subtract(1, q, out=q))]:
        answer = loss.minimizer(pi)
        answer[:] = 0
        loss(pi)
        loss.bayes_risk(pi)
        np.testing.assert_array_equal(pi, [0.7, 0.2])


def test_exact_values_take_numpy_integers() -> None:
    value = Brier().exact_bayes_risk(np.int64(2**62), np.int64(2**62))  # type: ignore[arg-type]
    assert value == 2**61


def isotonic_blocks(a: Array, b: Array) -> list[tuple[float, float]]:
    """Pool adjacent violators on a chain: the posteriors of the blocks rise."""
    blocks: list[tuple[float, float]] = []
    for weights in zip(a.tolist(), b.tolist(), strict=True):
        blocks.append(weights)
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            upper, lower = blocks.pop(), blocks.pop()
            blocks.append((lower[0] + upper[0], lower[1] + upper[1]))
    return blocks


@pytest.mark.parametrize(
    "loss", [*CLOSED, Costs(Spherical(), 3, 1), Costs(ZeroOne(), 1, 4), Convex(lambda q: 1 / q)], ids=repr
)
def test_the_same_blocks_solve_every_loss(loss: Loss) -> None:
    # Minimise over t_1 <= ... <= t_n by dynamic programming on a grid of t, knowing nothing of blocks.
    rng = np.random.default_rng(11)
    grid = np.linspace(0, 1, 1201)
    first, second = loss(grid, second=np.array(False)), loss(1 - grid, second=np.array(True))
    for _ in range(20):
        a, b = rng.integers(0, 5, size=(2, 7)).astype(float)
        b[a + b == 0] = 1
        best = np.zeros(grid.size)
        for weight_a, weight_b in zip(a, b, strict=True):
            cost = (weight_a * first if weight_a else 0) + (weight_b * second if weight_b else 0)
            best = np.minimum.accumulate(best + cost)
        blocks = np.array(isotonic_blocks(a, b))
        floor = float(loss.block_risk(blocks[:, 0], blocks[:, 1]).sum())
        assert floor <= best[-1] * (1 + 1e-12) + 1e-12
        assert floor == pytest.approx(best[-1], abs=2e-4)


@pytest.mark.parametrize("method", ["__call__", "gradient", "bayes_risk", "minimizer"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (1.0000001, ValueError, r"in \[0, 1\], got 1.0000001"),
        ([0.5, -1e-9], ValueError, r"in \[0, 1\], got -1e-09"),
        ([math.nan], ValueError, r"in \[0, 1\], got nan"),
        ("0.5", TypeError, "made of real numbers"),
        ([True], TypeError, "made of real numbers"),
        ([0.5j], TypeError, "made of real numbers"),
        ([None], TypeError, "made of real numbers"),
        ([[0.5], [0.5, 0.1]], ValueError, "rows of equal length"),
    ],
)
def test_wrong_probabilities(method: str, value: Any, error: type[Exception], message: str) -> None:
    name = "pi" if method in ("bayes_risk", "minimizer") else "q"
    for loss in [CrossEntropy(), Convex(lambda q: 1 - q)]:
        with pytest.raises(error, match=f"'{name}' must be .*{message}"):
            getattr(loss, method)(value)


def test_fractions_are_real_numbers() -> None:
    assert Brier().bayes_risk(Fraction(1, 4)) == 3 / 16  # type: ignore[arg-type]
    np.testing.assert_array_equal(ZeroOne().block_risk([10**30, 1], [Fraction(1, 2), 3]), [0.5, 1])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, -1], [1, 1], "'a' must be finite and not negative, got -1.0"),
        ([1, 1], [1, math.inf], "'b' must be finite and not negative, got inf"),
        ([math.nan], [1], "'a' must be finite and not negative, got nan"),
        ([1, 2], [1], r"'b' must be of the shape of 'a', \(2,\), got 'shape \(1,\)'"),
    ],
)
def test_wrong_weights(a: Any, b: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CrossEntropy().block_risk(a, b)


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        (-1, 1, ValueError, "'a' must be not negative, got -1"),
        (1, 1.0, TypeError, "'b' must be an integer, got 1.0"),
        (1, "2", TypeError, "'b' must be an integer, got '2'"),
    ],
)
def test_wrong_exact_weights(a: Any, b: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Brier().exact_bayes_risk(a, b)


@pytest.mark.parametrize(
    ("second", "error", "message"),
    [
        ([0, 1], TypeError, "'second' must be made of booleans"),
        ([True] * 3, ValueError, "'second' must be of the shape"),
    ],
)
def test_wrong_sides(second: Any, error: type[Exception], message: str) -> None:
    for loss in [Brier(), Costs(Brier(), 1, 2)]:
        with pytest.raises(error, match=message):
            loss([0.5, 0.5], second=second)


def test_losses_are_values() -> None:
    def function(q: Array) -> Array:
        return 1 - q

    assert CrossEntropy() == CrossEntropy() != Brier()
    assert Costs("brier", 0.5, 1) == Costs(Brier(), Fraction(1, 2), 1) != Costs(Brier(), 1, 1)
    assert Convex(function) == Convex(function) != Convex(function, name="other")
    assert len({CrossEntropy(), CrossEntropy(), Brier(), Costs("brier", 1, 1), Convex(function)}) == 4
    with pytest.raises(dataclasses.FrozenInstanceError):
        Costs("brier", 1, 1).first = Fraction(2)  # type: ignore[misc]
    for loss in WITH_COSTS:
        assert pickle.loads(pickle.dumps(loss)) == loss  # noqa: S301


def test_names_and_reprs() -> None:
    assert [loss.name for loss in CLOSED] == ["cross_entropy", "zero_one", "brier", "spherical"]
    assert repr(CrossEntropy()) == "CrossEntropy()"
    costs = Costs(ZeroOne(), 0.5, "1/3")
    assert repr(costs) == "Costs(ZeroOne(), first=1/2, second=1/3)"
    assert costs.name == "zero_one (costs 1/2:1/3)"
    assert Convex(lambda q: 1 - q).name == "convex"
    assert repr(Convex(lambda q: 1 - q, name="margin")) == "Convex(margin)"


def test_labels_and_units() -> None:
    assert [loss.label for loss in CLOSED] == ["cross-entropy", "0-1 loss", "Brier loss", "spherical"]
    assert [loss.unit for loss in CLOSED] == ["nats", "", "", ""]
    assert CrossEntropy().label_with_unit == "cross-entropy (nats)"
    assert ZeroOne().label_with_unit == "0-1 loss"
    assert Costs("zero-one", 1, 2).label_with_unit == "zero-one (costs 1:2)"
    assert Convex(lambda q: 1 - q, name="my_loss").label_with_unit == "my-loss"


@pytest.mark.parametrize("loss", [*CLOSED, Costs("brier", 2, 1), Convex(lambda q: 1 / q)], ids=repr)
def test_the_risk_of_many_classes_is_that_of_blocks_for_two(loss: Loss) -> None:
    a, b = np.random.default_rng(10).random((2, 20))
    np.testing.assert_array_equal(loss.risk_of_many([a, b]), loss.block_risk(a, b))


@pytest.mark.parametrize("loss", [Spherical(), Costs("brier", 2, 1), Convex(lambda q: 1 / q)], ids=repr)
def test_what_is_not_known_of_many_classes(loss: Loss) -> None:
    with pytest.raises(ValueError, match="'loss' must be one whose Bayes risk is known for more than two classes, got"):
        loss.risk_of_many(np.ones((3, 2)))
    assert loss.sum_of_tilted_minima([1, 2], [3, 1]) is None
    assert loss.core_name is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], r"'weights' must be of shape \(k, m\), got 'shape \(3,\)'"),
        (np.zeros((0, 3)), r"'weights' must be of shape \(k, m\)"),
        ([[1], [-1], [0]], "'weights' must be finite and not negative, got -1"),
    ],
)
def test_wrong_weights_of_many_classes(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CrossEntropy().risk_of_many(weights)
