"""Losses as the first-order method and the bounds need them: a function of each probability, weighted and summed."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import numpy.typing as npt

from lossfloor import losses
from lossfloor._checks import must

Doubles = npt.NDArray[np.float64]

#: Relative allowance for the roundings of sums and products of losses and weights.
_ROUNDING = 2.0**-40
#: Cells of a table are halved until a change of slope in them matters less than this share of the loss.
_TABLE_ERROR = 1e-7
_TABLE_CELLS = 1 << 14
_TABLE_HALVINGS = 40


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
        if not self.loss.convex or self.loss.depends_on_class:
            raise ValueError(must("loss", "convex where there are more than two classes", self.loss))

    @functools.cached_property
    def in_core(self) -> str | tuple[Doubles, Doubles, float]:
        """The name by which the core knows the loss, or a table of its slopes."""
        return self.loss.core_name or self._table()

    def _table(self) -> tuple[Doubles, Doubles, float]:
        """Return slopes of secants at the middles of cells, which are small where the slope changes fast.

        The table guides the first-order method and proves nothing: `minimum` and `upper` ask the loss itself.
        """
        nodes = np.unique(np.concatenate([np.geomspace(1e-9, 1.0, 256), np.linspace(0.0, 1.0, 513)[1:]]))
        for _ in range(_TABLE_HALVINGS):
            values = self.loss(nodes)
            width, slopes = np.diff(nodes), np.diff(values) / np.diff(nodes)
            bend = np.abs(np.diff(slopes))
            error = width * (np.append(bend, 0.0) + np.insert(bend, 0, 0.0))
            scale = np.abs(values[:-1] - self.at_one) + abs(float(self.loss(0.5)) - self.at_one)
            coarse = (error > _TABLE_ERROR * scale) & (width > 2.0**-45)
            if not coarse.any() or len(nodes) + np.count_nonzero(coarse) > _TABLE_CELLS:
                break
            nodes = np.sort(np.concatenate([nodes, (nodes[:-1] + 0.5 * width)[coarse]]))
        values = self.loss(nodes)
        middles = 0.5 * (nodes[:-1] + nodes[1:])
        slopes = np.minimum(np.maximum.accumulate(np.diff(values) / np.diff(nodes)), 0.0)
        table = np.append(middles, 1.0), np.maximum(np.append(slopes, slopes[-1]), -1e300)
        return table[0], np.ascontiguousarray(table[1]), self.at_one

    @functools.cached_property
    def at_one(self) -> float:
        """The loss of a certain answer."""
        return float(self.loss(1.0))

    def value(self, weight: Doubles, q: Doubles) -> float:
        """Return the sum of ``weight l(q)``."""
        return float(np.dot(weight, self.loss(np.clip(q, 0.0, 1.0))))

    def upper(self, weight: Doubles, q: Doubles) -> float:
        """Return the sum of ``weight l(q)``, rounded upwards, whatever the sign of the loss."""
        values = self.loss(np.clip(q, 0.0, 1.0))
        if not np.isfinite(values).all():
            return math.inf
        return float(np.dot(weight, values)) + _ROUNDING * float(np.dot(weight, np.abs(values)))

    def best(self, weight: Doubles, s: Doubles) -> Doubles:
        """Return where ``weight l(q) + s q`` is least over [0, 1], or nearly so."""
        return losses.tilted_minimum(self.loss, s / weight)[1]

    def minimum(self, weight: Doubles, s: Doubles) -> Doubles:
        """Return a number not above the minimum of ``weight l(q) + s q`` over [0, 1], for each example.

        Between two points a convex function lies above the secants through the points to their left and right,
        prolonged.  No derivative is used: beside a kink a difference quotient is no tangent.
        """
        least: Doubles = weight * losses.tilted_minimum(self.loss, s / weight)[0]
        return least - _ROUNDING * (np.abs(least) + weight * abs(self.at_one))
