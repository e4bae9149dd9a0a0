from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from lossfloor.losses import Brier, Convex, Costs, CrossEntropy, Loss, Spherical, ZeroOne, resolve

Array = npt.NDArray[np.float64]
Function = Callable[[Any], Any]

EPS = float(np.finfo(np.float64).eps)
EDGES = [0.0, 5e-324, 1e-300, 1e-17, 1e-9, 0.5, 1 - 1e-9, 1 - 1e-16, 1.0]
CLOSED = [CrossEntropy(), ZeroOne(), Brier(), Spherical()]
WITH_COSTS = [Costs(loss, first, second) for loss in CLOSED for first, second in [(1, 1), (5, 2), ("1/7", 30)]]
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


def many_posteriors(n: int = 200) -> Array:
    rng = np.random.default_rng(20210)
    tiny = 10.0 ** rng.uniform(-15, 0, size=n // 2)
    return np.concatenate([EDGES, rng.random(n), tiny, 1 - tiny])


def expected(loss: Loss, pi: Array, t: Array) -> Array:
    """Expected loss at t, with 0 * inf = 0."""
    first = np.broadcast_to(loss(t, second=np.array(False)), np.broadcast_shapes(pi.shape, t.shape))
    second = loss(1 - t, second=np.array(True))
    with np.errstate(invalid="ignore"):
        return np.where(pi > 0, pi * first, 0.0) + np.where(pi < 1, (1 - pi) * second, 0.0)


def numeric_minimum(loss: Loss, pi: float) -> float:
    """Minimum over a dense grid, polished by ever finer grids and by scipy."""
    ends = np.logspace(-18, -3, 301)
    grid = np.unique(np.concatenate([np.linspace(0, 1, 2001), ends, 1 - ends]))
    low, high = 0.0, 1.0
    best = math.inf
    for _ in range(10):
        values = expected(loss, np.array(pi), grid)
        at = int(np.argmin(values))
        best = min(best, float(values[at]))
        low, high = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, grid.size - 1)])
        grid = np.linspace(low, high, 101)

    def at_point(t: float) -> float:
        return float(expected(loss, np.array(pi), np.array(t)))

    return min(best, float(optimize.minimize_scalar(at_point, bounds=(low, high), method="bounded").fun))


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


# ---------------------------------------------------------------------------------------------- closed forms


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


@pytest.mark.parametrize("loss", CLOSED, ids=repr)
def test_a_block_of_no_weight_costs_nothing(loss: Loss) -> None:
    assert loss.block_risk(0, 0) == 0
    assert loss.exact_bayes_risk(0, 0) == 0
    assert Convex(lambda q: 1 / q).block_risk(0, 0) == 0


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


# -------------------------------------------------------------------------------------------------- gradients


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


# ------------------------------------------------------------------------------------------------------ exact


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


def test_exact_values_take_numpy_integers() -> None:
    value = Brier().exact_bayes_risk(np.int64(2**62), np.int64(2**62))  # type: ignore[arg-type]
    assert value == 2**61


# ------------------------------------------------------------------------------------------------------ costs


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


# ----------------------------------------------------------------------------------------------- any callable


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


def test_convex_with_costs() -> None:
    loss = Costs(lambda q: 1 / q, 4, 9)
    pi = np.linspace(0, 1, 101)
    truth = (np.sqrt(4 * pi) + np.sqrt(9 * (1 - pi))) ** 2
    risk = loss.bayes_risk(pi)
    assert np.all(risk <= truth * (1 + 4 * EPS))
    np.testing.assert_allclose(risk, truth, rtol=1e-12)


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
    monkeypatch.setattr("lossfloor.losses._DEPTHS", 5)
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


# ------------------------------------------------------------------- one order, every loss: what blocks mean


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


# ------------------------------------------------------------------------------------------- names and values


@pytest.mark.parametrize(
    ("given_loss", "loss"),
    [
        ("cross-entropy", CrossEntropy()),
        ("cross_entropy", CrossEntropy()),
        ("zero-one", ZeroOne()),
        ("zero_one", ZeroOne()),
        ("brier", Brier()),
        ("spherical", Spherical()),
        (Spherical, Spherical()),
        (Costs("brier", 1, 2), Costs(Brier(), 1, 2)),
    ],
)
def test_resolve(given_loss: Any, loss: Loss) -> None:
    assert resolve(given_loss) == loss


@pytest.mark.parametrize("loss", CLOSED, ids=repr)
def test_every_name_is_resolved(loss: Loss) -> None:
    assert resolve(loss.name) == loss
    assert resolve(loss) is loss


def test_resolve_wraps_callables() -> None:
    def my_loss(q: Array) -> Array:
        return 1 - q

    loss = resolve(my_loss)
    assert isinstance(loss, Convex)
    assert loss.function is my_loss
    assert loss.name == "my_loss"


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        ("crossentropy", ValueError, "unknown loss 'crossentropy'; did you mean 'cross-entropy'?"),
        ("xyz", ValueError, "unknown loss 'xyz'. Known: brier, cross-entropy, spherical, zero-one"),
        (3, TypeError, "'loss' must be a Loss"),
        (None, TypeError, "'loss' must be a Loss"),
        (Costs, TypeError, "'loss' must be an instance of Costs"),
        (Convex, TypeError, "'loss' must be an instance of Convex"),
        (lambda q: q, ValueError, "'function' must be decreasing"),
    ],
)
def test_resolve_refuses(loss: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("?", r"\?")):
        resolve(loss)


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


# ---------------------------------------------------------------------------------------------- bad arguments


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
