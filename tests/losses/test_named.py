"""The named losses beside high precision, brute force, and textbook formulas."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.loss_cases import CLOSED, EDGES, EPS, WITH_COSTS, expected, many_posteriors, numeric_minimum

from lossfloor.losses import Brier, Convex, Costs, CrossEntropy, Loss, Spherical, ZeroOne


def decimal_risk(loss: Loss, a: Decimal, b: Decimal) -> Decimal:
    """The closed forms of H, times a + b, as the textbook writes them, in sixty or more digits."""
    total = a + b
    if isinstance(loss, CrossEntropy):
        return sum((x * (total / x).ln() for x in (a, b) if x > 0), Decimal(0))
    if isinstance(loss, ZeroOne):
        return min(a, b)
    if isinstance(loss, Brier):
        return a * b / total
    assert isinstance(loss, Spherical)
    return total - (a * a + b * b).sqrt()


@pytest.mark.parametrize("loss", CLOSED, ids=repr)
def test_bayes_risk_agrees_with_high_precision_to_a_few_ulp(loss: Loss) -> None:
    pi = many_posteriors()
    risk = loss.bayes_risk(pi)
    with localcontext() as context:
        for value, p in zip(risk.tolist(), pi.tolist(), strict=True):
            context.prec = 1400 if 0 < p < 1e-20 else 80  # or p would vanish beside 1
            truth = float(decimal_risk(loss, Decimal(p), 1 - Decimal(p)))
            assert value == pytest.approx(truth, rel=4 * EPS, abs=5e-324), p
    assert risk.dtype == np.float64
    assert risk[0] == 0.0
    assert risk[EDGES.index(1.0)] == 0.0


@pytest.mark.parametrize("loss", CLOSED, ids=repr)
@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 10**18),
        (10**18 + 1, 7),
        (3, 4),
        (2**62, 2**62 + 1),
        (10**60, 9 * 10**59),
        (2**100, 3),
        (0, 5),
        (5, 0),
    ],
)
def test_block_risk_keeps_its_relative_accuracy(loss: Loss, a: int, b: int) -> None:
    with localcontext() as context:
        context.prec = 80
        truth = float(decimal_risk(loss, Decimal(a), Decimal(b)))
    assert float(loss.block_risk(a, b)) == pytest.approx(truth, rel=4 * EPS, abs=0)


@pytest.mark.parametrize("loss", [*CLOSED, *WITH_COSTS], ids=repr)
def test_bayes_risk_is_the_minimum(loss: Loss) -> None:
    for pi in [0.0, 1e-300, 1e-16, 1e-6, 0.03, 0.3, 0.5, 0.72, 0.999, 1 - 1e-16, 1.0]:
        numeric = numeric_minimum(loss, pi)
        assert float(loss.bayes_risk(pi)) == pytest.approx(numeric, rel=1e-9, abs=1e-14), pi


@pytest.mark.parametrize("loss", [*CLOSED, *WITH_COSTS], ids=repr)
def test_minimizer_reaches_the_bayes_risk(loss: Loss) -> None:
    pi = np.concatenate([np.linspace(0, 1, 501), [1e-300, 1e-12, 1 - 1e-16]])
    t = loss.minimizer(pi)
    np.testing.assert_allclose(expected(loss, pi, t), loss.bayes_risk(pi), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("loss", [CrossEntropy(), Brier(), Spherical()], ids=repr)
def test_proper_losses_answer_the_posterior(loss: Loss) -> None:
    pi = many_posteriors()
    assert loss.proper
    np.testing.assert_array_equal(loss.minimizer(pi), pi)


def test_zero_one_answers_the_larger_class_and_the_first_on_a_tie() -> None:
    below = np.nextafter(0.5, 0)
    np.testing.assert_array_equal(ZeroOne().minimizer([0, below, 0.5, 0.7, 1]), [0, 0, 1, 1, 1])
    assert not ZeroOne().proper


def test_losses_at_given_probabilities() -> None:
    q = np.array([0.0, 0.25, 0.5, 1.0])
    np.testing.assert_array_equal(CrossEntropy()(q), [np.inf, math.log(4), math.log(2), 0])
    assert not np.signbit(CrossEntropy()(1.0))
    np.testing.assert_array_equal(ZeroOne()(q), [1, 0.75, 0.5, 0])
    np.testing.assert_array_equal(Brier()(q), [1, 0.5625, 0.25, 0])
    np.testing.assert_allclose(Spherical()(q), [1, 1 - 1 / math.sqrt(10), 1 - math.sqrt(0.5), 0], rtol=4 * EPS)
    # 1 - q / norm would be 0 here.
    assert float(Spherical()(1 - 2.0**-40)) == pytest.approx(2.0**-81, rel=1e-11, abs=0)


@pytest.mark.parametrize("loss", CLOSED, ids=repr)
def test_convexity_is_told_truly(loss: Loss) -> None:
    q = np.linspace(0.001, 1, 1000)
    assert loss.convex == bool(np.all(np.diff(loss(q), 2) >= -1e-14))
    assert np.all(np.diff(loss(q)) <= 0)


@pytest.mark.parametrize("loss", [*CLOSED, Costs(CrossEntropy(), 3, 3)], ids=repr)
def test_gradient_agrees_with_differences(loss: Loss) -> None:
    q = np.linspace(0.02, 0.98, 97)
    h = 1e-5
    np.testing.assert_allclose(loss.gradient(q), (loss(q + h) - loss(q - h)) / (2 * h), rtol=1e-6, atol=1e-9)


def test_gradient_at_the_ends() -> None:
    np.testing.assert_array_equal(CrossEntropy().gradient([0, 1]), [-np.inf, -1])
    np.testing.assert_array_equal(ZeroOne().gradient([0, 1]), [-1, -1])
    np.testing.assert_array_equal(Brier().gradient([0, 1]), [-2, 0])
    np.testing.assert_array_equal(Spherical().gradient([0, 1]), [-1, 0])


@given(a=st.integers(0, 10**30), b=st.integers(0, 10**30))
@settings(max_examples=50, deadline=None)
def test_exact_values_are_those_of_the_formula(a: int, b: int) -> None:
    assert ZeroOne().exact_bayes_risk(a, b) == min(a, b)
    assert Brier().exact_bayes_risk(a, b) == (Fraction(a * b, a + b) if a + b else 0)
    costs = Costs(Brier(), "2/3", 0.1)
    first, second = Fraction(2 * a, 3), Fraction(b, 10)
    assert costs.exact_bayes_risk(a, b) == (first * second / (first + second) if a + b else 0)
    assert Costs("zero-one", 7, Fraction(1, 3)).exact_bayes_risk(a, b) == min(Fraction(7 * a), Fraction(b, 3))


@given(a=st.integers(0, 2**60), b=st.integers(0, 2**60))
@settings(max_examples=50, deadline=None)
def test_exact_and_float_values_agree(a: int, b: int) -> None:
    for loss in [ZeroOne(), Brier(), Costs(Brier(), "2/3", 0.1), Costs(Costs(ZeroOne(), 3, 1), 0.7, 5)]:
        exact = loss.exact_bayes_risk(a, b)
        assert exact is not None
        assert float(loss.block_risk(a, b)) == pytest.approx(float(exact), rel=8 * EPS, abs=0)


def test_exact_values_of_irrational_losses() -> None:
    assert CrossEntropy().exact_bayes_risk(1, 1) is None
    assert CrossEntropy().exact_bayes_risk(0, 3) == 0
    assert CrossEntropy().exact_bayes_risk(3, 0) == 0
    assert Spherical().exact_bayes_risk(3, 4) == 2
    assert Spherical().exact_bayes_risk(1, 1) is None
    assert Spherical().exact_bayes_risk(0, 9) == 0
    assert Costs(Spherical(), "3/7", 1).exact_bayes_risk(7, 4) == 2
    assert Costs(CrossEntropy(), 2, 1).exact_bayes_risk(1, 2) is None
    assert Convex(lambda q: 1 - q).exact_bayes_risk(1, 2) is None


@pytest.mark.parametrize("loss", [CrossEntropy(), ZeroOne(), Brier()], ids=repr)
def test_tilted_minima_are_the_smallest_values(loss: Loss) -> None:
    rng = np.random.default_rng(8)
    weights, slopes = (rng.integers(1, 1000, 200).tolist() for _ in range(2))
    grid = np.linspace(0, 1, 20_001)
    best = sum(float((w * loss(grid) + s * grid).min()) for w, s in zip(weights, slopes, strict=True))
    found = loss.sum_of_tilted_minima(weights, slopes)
    assert found is not None
    assert float(found) <= best
    assert float(found) == pytest.approx(best, rel=1e-6)


def test_tilted_minima_are_exact_or_rounded_downwards() -> None:
    # s <= w, w < s < 2 w, and 2 w <= s; equal weights and large ones.
    weights, slopes = [7, 7, 7, 2**20 + 1, 3], [3, 10, 20, 2**20 + 2**19, 6]
    assert ZeroOne().sum_of_tilted_minima(weights, slopes) == 3 + 7 + 7 + 2**20 + 1 + 3
    brier = [s - Fraction(s * s, 4 * w) if s < 2 * w else Fraction(w) for w, s in zip(weights, slopes, strict=True)]
    assert Brier().sum_of_tilted_minima(weights, slopes) == sum(brier)
    with localcontext() as context:
        context.prec = 60
        terms = [w * (1 + (Decimal(s) / w).ln()) if s > w else Decimal(s) for w, s in zip(weights, slopes, strict=True)]
        short = Fraction(sum(terms)) - CrossEntropy().sum_of_tilted_minima(weights, slopes)
    assert 0 < short < Fraction(1, 10**8)
    assert CrossEntropy().sum_of_tilted_minima([5, 5], [5, 2]) == 7


@pytest.mark.parametrize("loss", [CrossEntropy(), ZeroOne(), Brier()], ids=repr)
def test_tilted_minima_scale_with_their_unit(loss: Loss) -> None:
    weights, slopes = [7, 1, 12], [3, 10, 13]
    found = loss.sum_of_tilted_minima(weights, slopes)
    assert found is not None
    assert loss.sum_of_tilted_minima([w << 40 for w in weights], [s << 40 for s in slopes]) == found * 2**40


@pytest.mark.parametrize("loss", [CrossEntropy(), ZeroOne(), Brier()], ids=repr)
def test_a_class_without_weight_changes_no_risk(loss: Loss) -> None:
    a, b = np.random.default_rng(9).random((2, 50))
    a[:3], b[2:5] = 0, 0
    np.testing.assert_allclose(loss.risk_of_many([a, 0 * a, b]), loss.block_risk(a, b), rtol=0, atol=4 * EPS)


@pytest.mark.parametrize("excess", [1, 2, 1000, 2**20, 2**39, 2**45])
@pytest.mark.parametrize("weight", [1, 3, 2**40 + 1, 2**40 - 1, 2**52 + 1])
def test_the_tilted_minimum_of_the_cross_entropy_is_rounded_down(weight: int, excess: int) -> None:
    """Where s / w is near 1, the logarithm of the rounded quotient was too large by up to w 2^-53."""
    with localcontext(prec=60):
        slope = Decimal(weight + excess)
        truth = weight + weight * (slope / weight).ln()
        found = CrossEntropy().sum_of_tilted_minima([weight], [weight + excess])
        exact = Decimal(found.numerator) / Decimal(found.denominator)
        assert exact <= truth
        assert truth - exact <= truth * Decimal("1e-14")
