"""The nearest point of a ball of an l_p norm in which each feature has a budget of its own.

With ``A = L^-1 diag(scales)`` and ``a = L^-1 mu`` the problem is to minimise ``||a - A y||`` over ``||y||_p <= 1``.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import linalg

from lossfloor.populations.gaussian.covariance import Covariance, FloatArray
from lossfloor.populations.gaussian.least_squares import accelerated, bounded, full, in_round, separable
from lossfloor.populations.gaussian.sets import NormSet, norm
from lossfloor.populations.gaussian.shift import Shift, judge


def in_ball(mean: FloatArray, covariance: Covariance, moves: NormSet) -> Iterator[Shift]:
    """Yield answers, better and better or by one route after the other."""
    if np.isinf(moves.scales).any():
        yield from _without_free(mean, covariance, moves)
        return
    ball = _Ball(mean, covariance, moves)
    moving, scales = ball.moving, moves.scales
    if not moving.any():
        yield judge(np.zeros(len(mean)), mean, covariance, moves, "no budget")
    elif not covariance.is_diagonal:
        yield from _in_full(ball)
    elif moves.order == np.inf:
        yield judge(np.clip(mean, -scales, scales), mean, covariance, moves, "clip")
    else:
        deviations = covariance.factor[moving]
        y = separable(ball.budgets / deviations, mean[moving] / deviations, moves.order)
        yield ball.shift(y, "separable")


@dataclasses.dataclass(frozen=True, eq=False)
class _Ball:
    """A ball in terms of the y of its features that have a budget."""

    mean: FloatArray
    covariance: Covariance
    moves: NormSet

    @functools.cached_property
    def moving(self) -> npt.NDArray[np.bool_]:
        """Which features have a budget."""
        return np.asarray(self.moves.scales > 0)

    @functools.cached_property
    def budgets(self) -> FloatArray:
        """The budgets of those."""
        return self.moves.scales[self.moving]

    def point(self, y: FloatArray) -> FloatArray:
        """Return the point of the ball that y stands for."""
        z = np.zeros(len(self.mean))
        z[self.moving] = self.budgets * y
        return z

    def shift(self, y: FloatArray, route: str) -> Shift:
        """Shrink y into the unit ball and bound delta by it."""
        order = self.moves.order
        y = y / max(1.0, norm(y, order))

        def normal(w: FloatArray) -> FloatArray:
            w = w.copy()
            w[self.moving] = _normal(y, self.budgets * w[self.moving], order) / self.budgets
            return w

        return judge(self.point(y), self.mean, self.covariance, self.moves, route, normal)


def _in_full(ball: _Ball) -> Iterator[Shift]:
    """Yield answers for a covariance that is not diagonal."""
    mean, covariance, order = ball.mean, ball.covariance, ball.moves.order
    image = covariance.whiten(np.diag(ball.moves.scales)[:, ball.moving])
    # Libraries have absolute tolerances, so the size is taken out: by a power of two, which rounds nothing.
    size = 2.0 ** int(np.frexp(np.abs(image).max())[1])
    image, target = image / size, covariance.whiten(mean) / size
    if order == 2.0:
        yield ball.shift(in_round(image, target), "singular values")
        return
    gram, pull = image.T @ image, image.T @ target

    def slope(y: FloatArray) -> FloatArray:
        # A'(a - A y), from the difference of mu and z: in whitened units both may be large.
        return ball.budgets * covariance.pull_back(covariance.whiten(mean - ball.point(y)))[ball.moving] / size**2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a route warns, the certificate decides
        try:
            y, route = full(image, target, gram, pull, slope, order)
        except linalg.LinAlgError:
            y, route = np.zeros(len(pull)), "none"
    yield ball.shift(y, route)
    if order == np.inf:  # guesses may go in circles; this cannot
        yield ball.shift(bounded(image, target), "bounded least squares")
    ones = np.ones(len(pull))
    for y, _ in accelerated(gram, pull, lambda x: x if norm(x, order) <= 1.0 else separable(ones, x, order)):
        yield ball.shift(y, "projected gradients")


def _without_free(mean: FloatArray, covariance: Covariance, moves: NormSet) -> Iterator[Shift]:
    """Leave out features that may be moved at will: no classifier can rely on them, so their weight is zero."""
    free = np.isinf(moves.scales)
    kept = ~free
    if not kept.any():
        yield Shift(mean.copy(), 0.0, 0.0, "all free")
        return
    if covariance.is_diagonal:
        inner = Covariance.read(covariance.factor[kept] ** 2, int(kept.sum()))
    else:
        inner = Covariance.from_factor(covariance.factor[kept])
    part = dataclasses.replace(moves, scales=moves.scales[kept])
    for found in in_ball(mean[kept], inner, part):
        z = mean.copy()
        z[kept] = found.shift
        # The free features follow the others: mu - z is S w with a w that is zero on them.
        w = inner.pull_back(inner.whiten(mean[kept] - found.shift))
        if not covariance.is_diagonal:
            z[free] -= covariance.factor[free] @ (covariance.factor[kept].T @ w)
        yield dataclasses.replace(found, shift=z, upper=float(np.linalg.norm(covariance.whiten(mean - z))))


def _normal(y: FloatArray, near: FloatArray, order: float) -> FloatArray:
    """Return the normal of the unit sphere at y that is near to a given vector."""
    if order == np.inf:
        return np.where(np.abs(y) < 1.0, 0.0, near)
    if order == 1.0:
        return np.where(y != 0, np.copysign(np.max(np.abs(near)), y), near)
    with np.errstate(under="ignore"):
        return np.copysign(np.abs(y) ** (order - 1.0), y)
