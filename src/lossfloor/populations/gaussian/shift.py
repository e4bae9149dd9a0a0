"""A point of the set with what it proves of its distance from the mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lossfloor.populations.gaussian.covariance import Covariance, FloatArray
from lossfloor.populations.gaussian.sets import SupportedSet

#: The gap between the bounds of delta that an answer may have, relative to delta where that is above 1.
TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class Shift:
    """The nearest point of the set, with what is proved of its distance.

    Attributes
    ----------
    shift : ndarray of float64, shape (d,)
        z*, a point of the set.
    lower, upper : float
        delta lies between; `upper` is the distance of `shift` itself.
    route : str
        How it was found.
    """

    shift: FloatArray
    lower: float
    upper: float
    route: str

    @property
    def gap(self) -> float:
        """Distance between the bounds."""
        return self.upper - self.lower

    @property
    def is_settled(self) -> bool:
        """Whether the bounds are within `TOLERANCE`."""
        return self.gap <= TOLERANCE * max(1.0, self.upper)


def judge(
    z: FloatArray,
    mean: FloatArray,
    covariance: Covariance,
    moves: SupportedSet,
    route: str,
    normal: Callable[[FloatArray], FloatArray] | None = None,
) -> Shift:
    """Bound delta from both sides by a point of the set.

    With an ill-conditioned covariance ``S^-1 (mu - z)`` is full of rounding, which the support function adds up.
    `normal` turns it into a true normal of the set at z, which proves more.
    """
    residual = covariance.whiten(mean - z)
    upper = float(np.linalg.norm(residual))
    if upper == 0.0:
        return Shift(z, 0.0, 0.0, route)
    w = covariance.pull_back(residual / upper)
    lower = max(0.0, float(w @ mean) - moves.support(w))
    if normal is not None:
        w = normal(w)
        size = covariance.deviation(w)
        if 0.0 < size < np.inf:
            lower = max(lower, (float(w @ mean) - moves.support(w)) / size)
    return Shift(z, min(lower, upper), upper, route)
