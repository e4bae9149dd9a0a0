"""Losses as the first-order method and the bounds need them: a function of each probability, weighted and summed."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from lossfloor import losses
from lossfloor._validation import must

Doubles = npt.NDArray[np.float64]

#: Losses that the core knows by itself.
_IN_CORE = {losses.CrossEntropy: "log", losses.ZeroOne: "linear", losses.Brier: "square"}
_HALVINGS = 60


@dataclasses.dataclass(frozen=True)
class SeparableLoss:
    """A convex decreasing loss of the probability q, for many examples at once.

    Parameters
    ----------
    loss : Loss
        Convex.

    Raises
    ------
    ValueError
        If the loss is not convex: for more than two classes nothing else is solved.
    """

    loss: losses.Loss

    def __post_init__(self) -> None:
        if not self.loss.convex or isinstance(self.loss, losses.Costs):
            raise ValueError(must("loss", "convex where there are more than two classes", self.loss))

    @functools.cached_property
    def in_core(self) -> str | tuple[Doubles, Doubles, float]:
        """The name by which the core knows the loss, or a table of its slopes."""
        if type(self.loss) in _IN_CORE:
            return _IN_CORE[type(self.loss)]
        nodes = np.unique(np.concatenate([np.geomspace(1e-9, 1.0, 2048), np.linspace(0.0, 1.0, 2049)[1:]]))
        slopes = np.minimum(np.maximum.accumulate(self.loss.gradient(nodes)), 0.0)
        return nodes, np.ascontiguousarray(np.maximum(slopes, -1e300)), self.at_one

    @functools.cached_property
    def at_one(self) -> float:
        """The loss of a certain answer."""
        return float(self.loss(1.0))

    def value(self, weight: Doubles, q: Doubles) -> float:
        """Return the sum of ``weight l(q)``."""
        return float(np.dot(weight, self.loss(np.clip(q, 0.0, 1.0))))

    def best(self, weight: Doubles, s: Doubles) -> Doubles:
        """Minimise ``weight l(q) + s q`` over [0, 1], by halving."""
        low, high = np.zeros(len(s)), np.ones(len(s))
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            above = weight * self.loss.gradient(middle) + s > 0
            high = np.where(above, middle, high)
            low = np.where(above, low, middle)
        return np.where(low > 1 - 2.0**-50, 1.0, 0.5 * (low + high))

    def tangent_bound(self, weight: Doubles, s: Doubles) -> Doubles:
        """Bound the minimum of ``weight l(q) + s q`` over [0, 1] from below by a tangent near it.

        A convex loss lies above each of its tangents, so whatever point is taken the bound holds.  The slopes of a
        callable are difference quotients, right to about ten digits: 1e-8 of each is taken off.
        """
        q = np.clip(self.best(weight, s), 1e-300, 1.0)
        value, slope = self.loss(q), self.loss.gradient(q)
        if isinstance(self.loss, losses.Convex):
            value = value - 1e-8 * np.abs(slope)
        # The line w (value + slope (t - q)) + s t is least at an end of [0, 1].
        tilt = weight * slope + s
        bound: Doubles = weight * (value - slope * q) + np.minimum(tilt, 0.0)
        return bound
