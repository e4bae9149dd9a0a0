"""Any convex callable as a loss: proved bounds, checks, and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.loss_cases import EPS, Array, expected, many_posteriors, numeric_minimum

from lossfloor.losses import Brier, Convex, CrossEntropy, Spherical, ZeroOne

Function = Callable[[Any], Any]

# Convex decreasing functions, and H in closed form.
CONVEX: dict[str, tuple[Function, Callable[[Array], Array]]] = {
    "log": (lambda q: -np.log(q), CrossEntropy().bayes_risk),
    "scalar log": (lambda q: -math.log(q), CrossEntropy().bayes_risk),
    "log of quotient": (lambda q: np.log(1 / q), CrossEntropy().bayes_risk),
    "reciprocal": (lambda q: 1 / q, lambda pi: (np.sqrt(pi) + np.sqrt(1 - pi)) ** 2),
    "minus root": (lambda q: -np.sqrt(q), lambda pi: -np.hypot(pi, 1 - pi)),
    "square": (lambda q: (1 - q) ** 2, Brier().bayes_risk),
    "square, expanded": (lambda q: 1 - 2 * q + q * q, Brier().bayes_risk),
    "linear": (lambda q: 1 - q, ZeroOne().bayes_risk),
    "linear, large": (lambda q: 1e9 * (3 - q), lambda pi: 1e9 * (2 + np.minimum(pi, 1 - pi))),
    "linear, tiny": (lambda q: 1e-9 * (1 - q), lambda pi: 1e-9 * np.minimum(pi, 1 - pi)),
    "constant": (lambda q: 0 * q + 3, lambda pi: np.full(pi.shape, 3.0)),
    "hinge, free": (lambda q: np.maximum(0, 0.4 - q), np.zeros_like),
    "hinge, met": (lambda q: max(0.0, 1 - 2 * q), np.zeros_like),
    "hinge, missed": (lambda q: np.maximum(0, 0.75 - q), lambda pi: 0.5 * np.minimum(pi, 1 - pi)),
    "hinge on thirds": (lambda q: np.maximum(0, 1 - 1.5 * q), lambda pi: 0.5 * np.minimum(pi, 1 - pi)),
    "integers": (lambda q: np.where(q < 1, 1, 1), np.ones_like),
}


def test_gradient_of_a_callable() -> None:
    q = np.array([1e-6, 1e-3, 0.1, 0.5, 0.9, 1 - 1e-6, 1.0])
    np.testing.assert_allclose(Convex(lambda q: -np.log(q)).gradient(q), -1 / q, rtol=2e-9)
    np.testing.assert_allclose(Convex(lambda q: 1 / q).gradient(q), -1 / q**2, rtol=2e-9)
    np.testing.assert_allclose(Convex(lambda q: (1 - q) ** 2).gradient(q[1:]), 2 * (q[1:] - 1), rtol=0, atol=1e-7)
    np.testing.assert_allclose(Convex(lambda q: 1 - q).gradient([0.0, 0.5, 1.0]), -1, rtol=1e-7)
    np.testing.assert_array_equal(Convex(lambda q: 1 / q).gradient([0.0, 5e-324, 1e-300]), -np.inf)
    assert Convex(lambda q: -math.log(q)).gradient(5e-324) == -np.inf


def test_gradient_where_a_callable_becomes_infinite() -> None:
    barrier = Convex(lambda q: np.where(q < 0.001, np.inf, 1 - q))
    np.testing.assert_array_equal(barrier.gradient([0.0, 0.0005, 0.001]), -np.inf)


def test_gradient_of_a_callable_is_never_positive() -> None:
    # The parabola through the last three points has its lowest point before 1.
    hinge = Convex(lambda q: np.maximum(0, 1 - 2.0**-17 - q))
    assert hinge.gradient(1.0) == 0


def test_gradient_of_a_callable_at_a_kink_is_a_subgradient() -> None:
    hinge = Convex(lambda q: np.maximum(0, 0.6 - q))
    slopes = hinge.gradient([0.3, 0.6, 0.9])
    assert slopes[0] == pytest.approx(-1, rel=1e-9)
    assert -1 <= slopes[1] <= 0
    assert slopes[2] == 0


@pytest.mark.parametrize("case", CONVEX)
def test_convex_agrees_with_closed_forms_from_below(case: str) -> None:
    function, closed_form = CONVEX[case]
    pi = many_posteriors()
    loss = Convex(function)
    risk = loss.bayes_risk(pi)
    truth = closed_form(pi)
    assert np.all(risk >= loss(1.0) * (1 - 2 * EPS * np.sign(loss(1.0))))
    assert np.all(risk <= truth + 2 * EPS * np.abs(truth) + 1e-300)
    np.testing.assert_allclose(risk, truth, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CONVEX)
def test_convex_is_exactly_the_loss_at_one_without_conflict(case: str) -> None:
    function, _ = CONVEX[case]
    loss = Convex(function)
    np.testing.assert_array_equal(loss.bayes_risk([0, 1]), loss([1, 1]))
    np.testing.assert_array_equal(loss.minimizer([0, 1]), [0, 1])


@pytest.mark.parametrize("case", CONVEX)
def test_convex_minimizer_reaches_the_risk_and_never_decreases(case: str) -> None:
    loss = Convex(CONVEX[case][0])
    pi = np.sort(np.concatenate([many_posteriors(), np.random.default_rng(5).uniform(0.3, 0.3 + 1e-7, 500)]))
    t = loss.minimizer(pi[::-1])[::-1]
    np.testing.assert_allclose(expected(loss, pi, t), loss.bayes_risk(pi), rtol=1e-12, atol=1e-12)
    assert np.all(np.diff(t) >= 0)


@pytest.mark.parametrize(
    "function",
    [
        lambda q: np.exp(-3 * q),
        lambda q: q**-8.0,
        lambda q: np.logaddexp(0, -20 * (q - 0.5)),
        lambda q: -np.log(q) + np.maximum(0, 0.31 - q) * 1e6,
        lambda q: np.maximum(0, 1 - 1e9 * q) + 0.01 * (1 - q),
        lambda q: (1 - q) ** 1.01,
        lambda q: np.maximum.reduce([1 - 3 * q, 0.5 - q, 0.1 - 0.1 * q]),
        lambda q: -(q**0.01),
        lambda q: np.sqrt(1 + (1 - q) ** 2) - 1,
        lambda q: np.where(q < 0.001, np.inf, 1 - q),
    ],
)
def test_convex_is_never_above_a_dense_grid_and_close_to_its_minimum(function: Function) -> None:
    loss = Convex(function)
    pi = np.concatenate(
        [np.linspace(0.001, 0.999, 31), [1.5502996480744077e-12, 1.9077105914841404e-09, 1e-5, 1 - 1e-5]]
    )
    risk = loss.bayes_risk(pi)
    grid = np.unique(
        np.concatenate([np.linspace(0, 1, 4097), np.logspace(-16, -3, 500), 1 - np.logspace(-16, -3, 500)])
    )
    for p, value in zip(pi.tolist(), risk.tolist(), strict=True):
        values = expected(loss, np.array(p), grid)
        assert value <= values.min() * (1 + 2 * EPS)
        numeric = numeric_minimum(loss, p)
        assert value == pytest.approx(numeric, rel=1e-11, abs=1e-11)


@given(
    kinks=st.lists(st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=1000), min_size=1, max_size=5),
    slopes=st.lists(st.integers(1, 1000), min_size=5, max_size=5),
    a=st.integers(1, 10**6),
    b=st.integers(1, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_convex_against_exact_piecewise_linear_minima(kinks: list[Fraction], slopes: list[int], a: int, b: int) -> None:
    # The minimum of a piecewise linear function lies at a kink or an end: an oracle in fractions.
    pairs = list(zip(kinks, slopes, strict=False))

    def exact(q: Fraction) -> Fraction:
        return sum((slope * max(Fraction(0), kink - q) for kink, slope in pairs), Fraction(0))

    loss = Convex(lambda q: sum(slope * np.maximum(0.0, float(kink) - q) for kink, slope in pairs))
    candidates = [Fraction(0), Fraction(1), *kinks, *(1 - kink for kink in kinks)]
    truth = float(min(a * exact(t) + b * exact(1 - t) for t in candidates))
    found = float(loss.block_risk(a, b))
    scale = (a + b) * sum(slope for _, slope in pairs)
    assert found <= truth + 1e-16 * scale
    assert found >= truth - 1e-12 * scale


def test_convex_scales_with_the_loss() -> None:
    pi = many_posteriors()
    for scale in [2.0**-60, 2.0**60]:
        scaled = Convex(lambda q, scale=scale: scale / q)
        np.testing.assert_array_equal(scaled.bayes_risk(pi), scale * Convex(lambda q: 1 / q).bayes_risk(pi))


def test_convex_of_many_blocks_and_of_one_agree() -> None:
    pi = np.random.default_rng(3).random(5000)
    loss = Convex(lambda q: 1 / q)
    risk = loss.bayes_risk(pi)
    for at in [0, 4095, 4096, 4999]:
        assert float(loss.bayes_risk(pi[at])) == pytest.approx(float(risk[at]), rel=1e-12)


def test_convex_with_weights_whose_quotient_underflows() -> None:
    assert Convex(lambda q: 1 / q).block_risk([1e-300, 2], [1e300, 0]).tolist() == [1e300, 2]


def test_a_scalar_function_is_called_with_numbers_and_may_raise_at_zero() -> None:
    def reciprocal(q: float) -> float:
        return 1.0 / float(q)

    def piecewise(q: float) -> float:
        return 1 - q if q < 0.5 else 0.5 * (1.5 - q)

    loss = Convex(reciprocal)
    assert loss(0.0) == np.inf
    np.testing.assert_array_equal(loss([0.5, 1]), [2, 1])
    assert Convex(piecewise).bayes_risk(0.5) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda q: q, "decreasing on .* at q = "),
        (lambda q: 1 - q + 1e-6 * np.sin(100 * q), "convex on .* at q = "),
        (lambda q: np.where(q > 0.7, 1.0, 2 - q), "convex on .* at q = 0.699"),
        (lambda q: np.where(q > 0, 1 - q, 0.0), "decreasing on .* above 0.0 at q = 0.0"),
        (lambda q: 1 - q**2, "convex on "),
        (Spherical(), "convex on "),
        (lambda q: np.minimum(-np.log(q), 3.0), "convex on "),
        (lambda q: -np.log(np.maximum(q, 1e-7)), "convex on "),  # decreasing, and truncated at the grid's end
        (lambda q: (1 - q.astype(np.float32)) ** 2, "convex on |decreasing on "),
        (lambda q: np.where(q == 0.5, np.nan, 1 - q), "free of NaN and -inf, got nan at q = 0.5"),
        (lambda q: np.where(q == 1, -np.inf, 1 - q), "free of NaN and -inf, got -inf at q = 1.0"),
        (lambda q: np.where(q < 0.25, np.inf, 1 - q), r"finite on \(0, 1\], got inf at q = 0.00"),
        (lambda q: -np.log(1 - q), "finite|decreasing"),
        (lambda q: np.array(["high"] * len(q)), "one that returns real numbers"),
        (lambda q: "high", "one that returns real numbers"),
        (lambda q: None, "one that returns real numbers"),
        (lambda q: (1 - q) * 1j, "one that returns real numbers"),
        (lambda q: q < 0.5, "one that returns real numbers"),
        (lambda q: 1.0, r"shape of its argument, \(\d+,\), got 'shape \(\)'"),
        (lambda q: np.outer(1 - q, 1 - q), "shape of its argument"),
        (lambda q: (1 - q)[:-1], "shape of its argument"),
        (lambda q: [1.0, [2.0]], "an array of shape"),
        (lambda: 1.0, "one that takes an array of numbers"),
        (lambda q: math.log(q - 0.5), "one that takes an array .* at q = "),
    ],
)
def test_callables_that_are_refused(function: Function, message: str) -> None:
    with pytest.raises(ValueError, match=f"'function' must be .*({message})"):
        Convex(function)


def test_what_the_grid_missed_is_refused_by_the_search() -> None:
    # A bump narrower than the grid, next to the minimum.
    def bumpy(q: Array) -> Array:
        return (1 - q) ** 2 + 0.01 * np.exp(-(((q - 0.3005) / 1e-4) ** 2))

    loss = Convex(bumpy)
    with pytest.raises(ValueError, match="'function' must be convex"):
        loss.bayes_risk(0.3005)


def test_a_search_that_ends_too_early_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossfloor.losses.bracket._DEPTHS", 5)
    with pytest.raises(ValueError, match="'function' must be convex and right to a few units of rounding, got"):
        Convex(lambda q: -np.log(q)).bayes_risk([0.3, 0.4])


def test_nan_outside_the_grid_is_refused_when_met() -> None:
    loss = Convex(lambda q: np.where(q == 0.3, np.nan, 1 - q))
    with pytest.raises(ValueError, match=r"free of NaN and -inf, got nan at q = 0\.3"):
        loss([0.2, 0.3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((3,), "'function' must be callable"), ((lambda q: 1 - q, 3), "'name' must be a string")],
)
def test_wrong_arguments_of_convex(arguments: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Convex(*arguments)
