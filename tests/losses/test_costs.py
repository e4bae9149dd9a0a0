"""Losses whose classes cost differently."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.loss_cases import CLOSED, EPS

from lossfloor.losses import Brier, Costs, CrossEntropy, Loss, ZeroOne


@pytest.mark.parametrize("loss", CLOSED, ids=repr)
def test_costs_multiply_the_loss_of_each_class(loss: Loss) -> None:
    costs = Costs(loss, 5, "1/4")
    q = np.array([0.1, 0.9, 0.4])
    second = np.array([True, False, True])
    factor = np.where(second, 0.25, 5.0)
    np.testing.assert_array_equal(costs(q, second), factor * loss(q))
    np.testing.assert_array_equal(costs.gradient(q, second), factor * loss.gradient(q))


def test_costs_that_are_equal_scale_the_loss() -> None:
    pi = np.linspace(0, 1, 11)
    twice = Costs(Brier(), 2, 2)
    np.testing.assert_allclose(twice.bayes_risk(pi), 2 * Brier().bayes_risk(pi), rtol=4 * EPS)
    np.testing.assert_allclose(twice.minimizer(pi), pi, rtol=4 * EPS)
    np.testing.assert_array_equal(twice([0.5, 1.0]), [0.5, 0])
    assert twice.proper
    assert not Costs(Brier(), 2, 1).proper


def test_costs_keep_relative_accuracy_at_extreme_posteriors() -> None:
    # H(1 - x) with costs 1 and 1e10 is H of weights 1 and 1e10 x; 1 - pi' would have lost six digits.
    x = 1 - np.float64(1 - 1e-16)
    risk = Costs(Brier(), 1, 10**10).bayes_risk(1 - x)
    first, second = 1 - Fraction(float(x)), Fraction(float(x)) * 10**10
    assert float(risk) == pytest.approx(float(first * second / (first + second)), rel=4 * EPS, abs=0)


@given(
    first=st.fractions(Fraction(1, 1000), 1000),
    second=st.fractions(Fraction(1, 1000), 1000),
    pi=st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
@settings(max_examples=50, deadline=None)
def test_minimizers_with_costs_never_decrease(first: Fraction, second: Fraction, pi: list[float]) -> None:
    close = [np.nextafter(p, 1.0) for p in pi]
    for loss in [CrossEntropy(), ZeroOne()]:
        t = Costs(loss, first, second).minimizer(np.sort([*pi, *close]))
        assert np.all(np.diff(t) >= 0)


def test_costs_ask_which_class() -> None:
    with pytest.raises(TypeError, match="'second' must be given"):
        Costs(Brier(), 1, 2)([0.5])
    with pytest.raises(TypeError, match="'second' must be given"):
        Costs(Brier(), 1, 2).gradient([0.5])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Brier(), 0, 1), ValueError, "'first' must be greater than 0"),
        ((Brier(), 1, -2), ValueError, "'second' must be greater than 0"),
        ((Brier(), 1, math.inf), ValueError, "'second' must be finite"),
        ((Brier(), 10**400, 1), ValueError, "'first' must be .* float's size"),
        ((Brier(), 1, Fraction(1, 10**400)), ValueError, "'second' must be .* float's size"),
        ((Brier(), "much", 1), ValueError, "'first' must be a number"),
        ((Brier(), True, 1), TypeError, "'first' must be a number"),
        ((3, 1, 1), TypeError, "'loss' must be"),
    ],
)
def test_wrong_costs(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Costs(*arguments)


def test_convex_with_costs() -> None:
    loss = Costs(lambda q: 1 / q, 4, 9)
    pi = np.linspace(0, 1, 101)
    truth = (np.sqrt(4 * pi) + np.sqrt(9 * (1 - pi))) ** 2
    risk = loss.bayes_risk(pi)
    assert np.all(risk <= truth * (1 + 4 * EPS))
    np.testing.assert_allclose(risk, truth, rtol=1e-12)
