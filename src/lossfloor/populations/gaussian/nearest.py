r"""The point of a symmetric convex set that is nearest to the mean, in the metric of the covariance.

.. math:: \delta = \min_{z \in K} \|\mu - z\|_{S^{-1}}
               = \max_{w} \; \frac{w'\mu - h_K(w)}{\sqrt{w' S w}}, \qquad h_K(w) = \max_{z \in K} w'z.

Every z in K proves an upper bound of delta and every w a lower bound.  Whatever route found z, the answer is handed
out only if the w that belongs to it, ``S^-1 (mu - z)``, closes the gap to 1e-10: no route has to be trusted.

Routes.  With a diagonal covariance an l_p ball separates into one equation for each feature and a multiplier that
they share.  An l2 ball or an ellipsoid does so in the axes of a singular value decomposition, whatever the
covariance.  For the other balls with a full covariance: l1 is scikit-learn's LARS path, followed to the radius; the
maximum norm is a primal-dual active-set method, which is exact once the right features lie on their bounds, and where
it goes in circles SciPy's bounded least squares (which gives the same, a hundred times slower); orders between are
Newton's method of SciPy on the smooth one of the two problems above.  Where one of these fails, and for sets that are
given by a projection, accelerated projected gradients; for sets given by their support function, the nearest point of a
growing polytope inside (fully corrective Frank-Wolfe, its small problems solved by SciPy's non-negative least squares).
An intersection is reached by projecting on its parts in turn, each by its own route.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import linalg

from lossfloor._checks import must
from lossfloor.exceptions import LossfloorError
from lossfloor.populations.gaussian.balls import in_ball
from lossfloor.populations.gaussian.covariance import Covariance, FloatArray
from lossfloor.populations.gaussian.given import ODD, agree, by_projection, by_support
from lossfloor.populations.gaussian.least_squares import in_round
from lossfloor.populations.gaussian.sets import CommonSet, ConvexSet, EllipsoidSet, NormSet, SymmetricSet
from lossfloor.populations.gaussian.shift import TOLERANCE, Shift, judge

#: Rounds over the parts of an intersection, and how many of them are looked back at.
_ROUNDS, _MEMORY = 1000, 8


class ConvergenceError(LossfloorError):
    """No shift could be proved to be the nearest within the tolerance."""


def nearest_shift(mean: FloatArray, covariance: Covariance, moves: SymmetricSet) -> Shift:
    """Find the point of `moves` that is nearest to `mean` in the norm ``sqrt(x' S^-1 x)``.

    Parameters
    ----------
    mean : ndarray of float64, shape (d,)
    covariance : Covariance
    moves : SymmetricSet

    Returns
    -------
    Shift
        With ``upper - lower <= 1e-10 max(1, upper)``; exactly zero if the mean lies in the set.

    Raises
    ------
    ConvergenceError
        If that gap is not reached.
    ValueError
        If the functions of a `ConvexSet` contradict each other.
    """
    if moves.contains(mean):
        if isinstance(moves, ConvexSet):
            agree("project", ODD, moves.project(-mean), -mean)
        return Shift(mean.copy(), 0.0, 0.0, "inside")
    best: Shift | None = None
    for found in _candidates(mean, covariance, moves):
        if best is None or found.gap < best.gap:
            best = found
        if best.is_settled:
            return best
    if best is None:
        raise ConvergenceError("no shift was found")
    raise ConvergenceError(
        f"the separation is proved to be between {best.lower!r} and {best.upper!r} only, not to {TOLERANCE:g}; "
        "is the covariance nearly singular, or a function of the set inaccurate?"
    )


def _candidates(mean: FloatArray, covariance: Covariance, moves: SymmetricSet) -> Iterator[Shift]:
    """Yield answers, better and better or by one route after the other."""
    if isinstance(moves, NormSet):
        yield from in_ball(mean, covariance, moves)
    elif isinstance(moves, EllipsoidSet):
        z = moves.factor @ in_round(covariance.whiten(moves.factor), covariance.whiten(mean))
        yield judge(z, mean, covariance, moves, "singular values")
    elif isinstance(moves, CommonSet):
        yield _in_common(mean, covariance, moves)
    elif isinstance(moves, ConvexSet) and moves.projects:
        yield from by_projection(mean, covariance, moves)
    elif isinstance(moves, ConvexSet):
        yield from by_support(mean, covariance, moves)
    else:
        raise TypeError(must("adversary", "a ball, an ellipsoid, an intersection of these or a ConvexSet", moves))


def _in_common(mean: FloatArray, covariance: Covariance, moves: CommonSet) -> Shift:
    """Dykstra's alternating projections in the metric of the covariance, extrapolated by Anderson's method.

    Each part takes a step off the mean, and what all of them leave is z. The steps' normals prove a lower bound that
    grows with each round, since a round is one of coordinate ascent; an extrapolation that lowers it is taken back.
    """
    best = Shift(np.zeros(len(mean)), 0.0, np.inf, "alternating projections")
    kept = steps = np.zeros((len(moves.parts), len(mean)))
    proved = -np.inf
    past: list[tuple[FloatArray, FloatArray]] = []
    for _ in range(_ROUNDS):
        z = mean - steps.sum(axis=0)
        after = steps.copy()
        for k, part in enumerate(moves.parts):
            y = z + after[k]
            z = nearest_shift(y, covariance, part).shift
            after[k] = y - z
        lower, value = _lower_in_common(after, mean, covariance, moves)
        if value < proved - 1e-12 * abs(proved):
            steps, past = kept, []
            continue
        kept, proved = after, value
        z = _within_all(z, moves)
        upper = float(np.linalg.norm(covariance.whiten(mean - z)))
        shift = z if upper < best.upper else best.shift
        lower, upper = max(lower, best.lower), min(upper, best.upper)
        best = Shift(shift, min(lower, upper), upper, best.route)
        if upper - lower <= TOLERANCE / 10 * max(1.0, upper):
            break
        past = [*past[1 - _MEMORY :], (covariance.whiten((after - steps).T).T.ravel(), after)]
        steps = after
        if len(past) > 1:
            changes = np.diff([change for change, _ in past], axis=0)
            weights = linalg.lstsq(changes.T, past[-1][0], cond=1e-10)[0]
            steps = after - np.tensordot(weights, np.diff([end for _, end in past], axis=0), 1)
    return best


def _lower_in_common(
    steps: FloatArray, mean: FloatArray, covariance: Covariance, moves: CommonSet
) -> tuple[float, float]:
    """Return the lower bound of delta that the parts' normals prove, and the dual function that grows."""
    total, reach = np.zeros(len(mean)), 0.0
    for step, part in zip(steps, moves.parts, strict=True):
        normal = covariance.pull_back(covariance.whiten(step))
        if isinstance(part, NormSet):
            normal = np.where(np.isinf(part.scales), 0.0, normal)
        total = total + normal
        reach += part.support(normal)  # on what is common to all, total'z is at most the sum of these
    excess, deviation = float(total @ mean) - reach, covariance.deviation(total)
    return max(0.0, excess / deviation) if deviation > 0.0 else 0.0, excess - deviation**2 / 2


def _within_all(z: FloatArray, moves: CommonSet) -> FloatArray:
    """Shrink a point into all parts."""
    frozen = np.any([part.scales == 0 for part in moves.parts if isinstance(part, NormSet)] or [False], axis=0)
    z = np.where(frozen, 0.0, z)
    return z / max(1.0, *(part.gauge(z) for part in moves.parts))
