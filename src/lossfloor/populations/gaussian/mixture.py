r"""The smallest expected loss on two normal distributions on a line: an integral.

The classes are N(+delta, 1) with probability p and N(-delta, 1) with probability 1 - p.  Where their densities, times
their probabilities, are a(u) and b(u), the best answer costs ``min_t a l(t) + b l(1 - t)``, which is what
`Loss.block_risk` computes, and the floor is

.. math:: \int \min_t \; a(u) \, l(t) + b(u) \, l(1 - t) \; du .

In this form there are no log-odds that could overflow and no difference of large numbers, whatever delta and p.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import integrate, special

from lossfloor.exceptions import LossfloorError
from lossfloor.losses import Convex, Costs, Loss, ZeroOne
from lossfloor.populations.gaussian.covariance import FloatArray

#: What the integration aims at and what is accepted: relative to the integral for a loss whose Bayes risk has a
#: formula; relative to the Bayes risk at 1/2 as well for one whose Bayes risk is searched for.
_AIM = 1e-12
_ACCEPTED = 1e-10
#: The same in absolute numbers, for integrals among the subnormal doubles, which have fewer digits.
_SMALLEST_AIM, _SMALLEST_ACCEPTED = 1e-312, 1e-310

#: Beyond so many standard deviations from both means a normal density is below 1e-300.
_REACH = 38.0

#: Ranges, relative to the first, over which integrands with corners are integrated again.
_STRETCHES = (1.31, 1.73, 2.29, 3.03)

_LOG_NORMAL = -0.5 * math.log(2.0 * math.pi)


class IntegrationError(LossfloorError):
    """An integral was not reached to the accuracy that is promised."""


def smallest_loss(loss: Loss, separation: float, prior: float) -> float:
    """Return the smallest expected loss on N(+delta, 1) with probability `prior` and N(-delta, 1) otherwise.

    Parameters
    ----------
    loss : Loss
    separation : float
        delta, at least 0.
    prior : float
        Probability of the first class, in (0, 1).

    Returns
    -------
    float
        Right to 1e-10 of itself, or to 1e-310 if that is more, since doubles have fewer digits there; for a
        `Convex` loss, to 1e-10 of the Bayes risk at 1/2 if that is larger.

    Raises
    ------
    IntegrationError
        If that is not reached, which takes a loss that is not right to rounding.

    Examples
    --------
    >>> from lossfloor.losses import CrossEntropy
    >>> smallest_loss(CrossEntropy(), 0.0, 0.5)
    0.6931471805599453
    >>> round(smallest_loss(CrossEntropy(), 1.0, 0.5), 12)
    0.356316360213
    """
    if separation == 0.0:
        return float(loss.bayes_risk(prior))
    if isinstance(loss, ZeroOne):
        return _smallest_error(separation, prior)
    if isinstance(loss, Costs) and isinstance(loss.loss, ZeroOne):
        return _smallest_error(separation, prior, (float(loss.first), float(loss.second)))
    return _integral(loss, separation, prior)


def log_odds(prior: float) -> float:
    """Return ``log(p / (1 - p))``."""
    return math.log(prior) - math.log1p(-prior)


def _smallest_error(separation: float, prior: float, costs: tuple[float, float] = (1.0, 1.0)) -> float:
    """Return the 0-1 loss in closed form: the classes are told apart where their weighted densities are equal."""
    first, second = prior * costs[0], (1.0 - prior) * costs[1]
    threshold = (math.log(first) - math.log(second)) / (2.0 * separation)
    missed = special.ndtr(np.array([-separation - threshold, -separation + threshold]))
    return float(first * missed[0] + second * missed[1])


def _integral(loss: Loss, separation: float, prior: float) -> float:
    log_first, log_second = math.log(prior) + _LOG_NORMAL, math.log1p(-prior) + _LOG_NORMAL
    # Where both weighted densities are equal; beyond the outer mean the smaller one peaks at its own mean.
    crossing = -log_odds(prior) / (2.0 * separation)
    peak = float(np.clip(crossing, -separation, separation))
    width = min(1.0, 1.0 / separation)
    # Whatever the loss of a sure and right answer is, everybody pays it; the rest is an integral around the peak.
    sure = loss.block_risk([1.0, 0.0], [0.0, 1.0])
    base = float(prior * sure[0] + (1.0 - prior) * sure[1])
    absolute = _searched(loss) or bool(sure.any())
    size = abs(float(loss.bayes_risk(0.5))) if absolute else 0.0

    def integrand(points: FloatArray) -> FloatArray:
        # u = peak + width sinh(v) spreads the peak and both tails evenly.
        v = points[:, 0]
        u = peak + width * np.sinh(v)
        with np.errstate(under="ignore"):
            a = np.exp(log_first - 0.5 * (u - separation) ** 2)
            b = np.exp(log_second - 0.5 * (u + separation) ** 2)
            rest: FloatArray = (loss.block_risk(a, b) - sure[0] * a - sure[1] * b) * width * np.cosh(v)
            return rest

    def over(stretch: float) -> tuple[float, float]:
        end = math.asinh(stretch * (2.0 * separation + _REACH) / width)
        least = max(_AIM * size, _SMALLEST_AIM)
        with np.errstate(under="ignore"):
            found = integrate.cubature(
                integrand, [-end], [end], rule="gk21", rtol=_AIM, atol=least, max_subdivisions=500
            )
            return float(found.estimate), float(found.error)

    value, error = over(1.0)
    if _searched(loss):
        value, error = _agreeing([(value, error)], over, 10 * _AIM * max(abs(value), size))
    value += base
    if not error <= max(_ACCEPTED * max(abs(value), size), _SMALLEST_ACCEPTED):
        raise IntegrationError(
            f"the integral of {loss!r} is {value!r} with an error of {error:.2g}, which is too large"
        )
    return value


def _agreeing(
    found: list[tuple[float, float]], over: Callable[[float], tuple[float, float]], tolerance: float
) -> tuple[float, float]:
    """Integrate over other ranges until two agree: a callable may have corners, which hide between nodes."""
    for stretch in _STRETCHES:
        value, error = over(stretch)
        if any(abs(value - other) <= tolerance for other, _ in found):
            return value, error
        found.append((value, error))
    values = [value for value, _ in found]
    return float(np.median(values)), max(values) - min(values)


def _searched(loss: Loss) -> bool:
    """Whether the Bayes risk of a loss is searched for, and so right to an absolute accuracy only."""
    return isinstance(loss, Convex) or (isinstance(loss, Costs) and _searched(loss.loss))
