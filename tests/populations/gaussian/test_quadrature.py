"""The integral on the line, against sums of many digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from lossfloor.losses import Brier, Convex, Costs, CrossEntropy, Loss, Spherical, ZeroOne
from lossfloor.populations.gaussian import IntegrationError
from lossfloor.populations.gaussian.mixture import smallest_loss

SEPARATIONS = [1e-8, 1e-4, 0.1, 1.0, 3.0, 10.0, 25.0, 37.0, 38.0, 40.0]
PRIORS = [0.5, 0.3, 1e-3, 1e-6, 1 - 1e-6]
RISKS: dict[str, tuple[Loss, Callable[[Any, Any], Any]]] = {
    "cross-entropy": (CrossEntropy(), lambda a, b: a * mp.log1p(b / a) + b * mp.log1p(a / b)),
    "brier": (Brier(), lambda a, b: a * b / (a + b)),
    "spherical": (Spherical(), lambda a, b: 2 * a * b / (a + b + mp.sqrt(a * a + b * b))),
    "costs": (Costs("brier", 1, 50), lambda a, b: a * 50 * b / (a + 50 * b)),
}


def by_many_digits(risk: Callable[[Any, Any], Any], separation: float, prior: float) -> Any:
    """The trapezoid rule, whose error for a function as smooth as this is far below the digits kept."""
    with mp.workdps(25):
        delta, p, q = mp.mpf(separation), mp.mpf(prior), 1 - mp.mpf(prior)
        crossing = -mp.log(p / q) / (2 * delta)
        peak = max(min(crossing, delta), -delta)
        step = min(mp.mpf(1), 1 / delta) / 5
        n = int((11 + 2 * delta if delta < 2 else 75 / delta) / step)
        points = [peak + k * step for k in range(-n, n + 1)]
        return step * mp.fsum(risk(p * mp.npdf(u - delta), q * mp.npdf(u + delta)) for u in points)


@pytest.mark.parametrize("separation", SEPARATIONS)
@pytest.mark.parametrize("prior", PRIORS)
def test_cross_entropy_in_the_whole_range(separation: float, prior: float) -> None:
    loss, risk = RISKS["cross-entropy"]
    expected = by_many_digits(risk, separation, prior)
    # Below 1e-308 doubles have fewer digits, and at delta = 40 the floor is 1e-349.
    assert abs(smallest_loss(loss, separation, prior) - expected) <= 1e-10 * expected + 1e-310


@pytest.mark.parametrize("name", ["brier", "spherical", "costs"])
@pytest.mark.parametrize(("separation", "prior"), [(1e-8, 0.5), (0.1, 1e-6), (1, 0.3), (3, 1e-3), (10, 0.5)])
def test_other_losses(name: str, separation: float, prior: float) -> None:
    loss, risk = RISKS[name]
    expected = by_many_digits(risk, separation, prior)
    assert abs(smallest_loss(loss, separation, prior) - expected) <= 1e-10 * expected


@pytest.mark.slow
@pytest.mark.parametrize("name", RISKS)
@pytest.mark.parametrize("separation", [1e-8, 1e-7, 1e-5, 1e-3, 0.03, 0.3, 0.7, 1.5, 2, 5, 7, 15, 20, 30, 36, 38, 40])
def test_a_finer_grid_of_the_range(name: str, separation: float) -> None:
    loss, risk = RISKS[name]
    worst = 0.0
    for prior in (1e-6, 1e-5, 1e-4, 0.01, 0.1, 0.5, 0.8, 0.99, 0.9999, 1 - 1e-6):
        expected = by_many_digits(risk, separation, prior)
        error = abs(smallest_loss(loss, separation, prior) - expected)
        assert error <= 1e-10 * expected + 1e-310
        if expected > 1e-300:
            worst = max(worst, float(error / expected))
    print(f"{name}, delta = {separation}: relative error at most {worst:.1e}")


@pytest.mark.parametrize("separation", SEPARATIONS)
def test_error_with_equal_priors_is_a_normal_tail(separation: float) -> None:
    with mp.workdps(30):
        expected = mp.ncdf(-mp.mpf(separation))
    assert abs(smallest_loss(ZeroOne(), separation, 0.5) - expected) <= 1e-12 * expected + 1e-310


@pytest.mark.parametrize("separation", [1e-8, 0.1, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("costs", [(1, 1), (1, 3), (1000, 1)])
def test_costly_errors_have_a_closed_form(separation: float, prior: float, costs: tuple[int, int]) -> None:
    odds = np.log(prior * costs[0]) - np.log((1 - prior) * costs[1])
    tails = special.ndtr([-separation - odds / (2 * separation), -separation + odds / (2 * separation)])
    expected = prior * costs[0] * tails[0] + (1 - prior) * costs[1] * tails[1]
    assert smallest_loss(Costs(ZeroOne(), *costs), separation, prior) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("separation", [1e-8, 1.0, 5.0, 40.0])
@pytest.mark.parametrize("prior", [0.5, 1e-6])
def test_any_convex_function(separation: float, prior: float) -> None:
    error = smallest_loss(ZeroOne(), separation, prior)
    overlap = 2 * np.sqrt(prior * (1 - prior)) * np.exp(-(separation**2) / 2)
    for function, expected, size in (
        (lambda q: 1 / q, 1 + overlap, 2),  # H(pi) = 1 + 2 sqrt(pi (1 - pi))
        (lambda q: 5 - q, 4 + error, 5),
        (lambda q: 1e6 * (1 - q), 1e6 * error, 1e6),
        (lambda q: np.maximum(0, 0.75 - q), error / 2, 1),
        (lambda q: np.maximum(0, 0.4 - q), 0.0, 1),
    ):
        assert abs(smallest_loss(Convex(function), separation, prior) - expected) <= 1e-10 * size


@pytest.mark.parametrize("separation", [0.4, 1.0, 1.75, 2.5, 2.55, 3.05, 3.775])
def test_corners_do_not_hide_between_nodes(separation: float) -> None:
    # H(pi) = min(pi, 1 - pi, 1/4) has corners where the odds are 3.  The separations were found by search: with them
    # a corner is so near the end of an interval that one adaptive integration misses it.
    loss = Convex(lambda q: np.maximum(1 - 1.5 * q, 0.5 - 0.5 * q))
    for prior in (0.5, 0.2):
        low, high = ((sign * np.log(3) - np.log(prior / (1 - prior))) / (2 * separation) for sign in (-1, 1))
        first, second = special.ndtr([[low - separation, high - separation], [low + separation, high + separation]])
        between = prior * (first[1] - first[0]) + (1 - prior) * (second[1] - second[0])
        expected = prior * first[0] + (1 - prior) * special.ndtr(-high - separation) + between / 4
        assert abs(smallest_loss(loss, separation, prior) - expected) <= 2.5e-11


@settings(max_examples=40)
@given(
    st.floats(-8, 1.6).map(lambda x: 10**x),
    st.floats(1e-6, 1 - 1e-6),
    st.sampled_from([CrossEntropy(), Brier(), Spherical(), ZeroOne()]),
)
def test_more_separation_less_loss(separation: float, prior: float, loss: Loss) -> None:
    here, farther = (smallest_loss(loss, delta, prior) for delta in (separation, 1.01 * separation))
    guessing = smallest_loss(loss, 0.0, prior)
    assert 0 <= farther <= here * (1 + 1e-12)
    assert here <= guessing * (1 + 1e-12)
    mirrored = smallest_loss(loss, separation, 1 - prior)
    assert mirrored == pytest.approx(here, rel=1e-8)  # 1 - prior is rounded


def test_a_loss_that_cannot_be_integrated_is_told() -> None:
    class Rough(Brier):
        def _risk(self, a: Any, b: Any) -> Any:
            return super()._risk(a, b) * (1 + 0.01 * np.sin(1e15 * a))

    with pytest.raises(IntegrationError, match="which is too large"):
        smallest_loss(Rough(), 1.0, 0.5)
