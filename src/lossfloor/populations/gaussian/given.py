"""The nearest point of a set that is given by functions: its projection, or its support function.

The functions are checked wherever the answer rests on them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import optimize

from lossfloor._checks import must
from lossfloor.populations.gaussian.covariance import Covariance, FloatArray
from lossfloor.populations.gaussian.least_squares import accelerated
from lossfloor.populations.gaussian.sets import ConvexSet
from lossfloor.populations.gaussian.shift import Shift

#: What sets given by functions are followed to, if it goes: the shift errs by the root of what delta errs by.
_GOAL = 1e-13
#: Corners without any progress after which they stop.
_PATIENCE = 40

_EPS = float(np.finfo(np.float64).eps)

#: How well the functions of a set have to agree with each other.
_AGREE = 1e-8
#: What a projection must be.
ODD = "the projection onto a symmetric set, which maps -z to minus what it maps z to"
_EVEN = "the support function of a symmetric set, which is the same at w and -w"
_HOMOGENEOUS = "the support function of a set, which is twice as large at 2 w as at w"


def by_projection(mean: FloatArray, covariance: Covariance, moves: ConvexSet) -> Iterator[Shift]:
    """Accelerated projected gradients: yield the nearest point, with a normal of the set as proof."""
    near = moves.project(mean)
    for z in (mean, *float(np.linalg.norm(mean)) * np.eye(len(mean))):
        agree("project", ODD, moves.project(-z), -moves.project(z))
    agree("project", "a projection, which leaves its own values where they are", near, moves.project(near))
    metric = covariance.whiten(np.eye(len(mean)))
    hessian = metric.T @ metric
    extent = float(np.linalg.norm(metric @ mean))
    best, proof = Shift(np.zeros(len(mean)), 0.0, np.inf, ""), (mean, mean)
    for z, downhill in accelerated(hessian, hessian @ mean, moves.project):
        upper = float(np.linalg.norm(covariance.whiten(mean - z)))
        if upper <= 8 * _EPS * extent:  # what the rounding of a projection leaves
            yield Shift(mean.copy(), 0.0, 0.0, "projected gradients")
            return
        # What a projection takes off is a normal of the set where it ends: its maximum over the set is there, which
        # makes it a proof.  It is taken over a distance like that of z, since over a short one it would be rounding.
        size = float(np.linalg.norm(downhill))
        aim = z + downhill * (float(np.linalg.norm(z)) / size if size > 0.0 else 1.0)
        touch = moves.project(aim)
        normal = aim - touch
        deviation = covariance.deviation(normal)
        lower = float(normal @ (mean - touch)) / deviation if deviation > 0.0 else 0.0
        lower = min(max(0.0, lower), upper)
        if upper - lower < best.gap:
            best, proof = Shift(z, lower, upper, "projected gradients"), (touch, normal)
        elif best.is_settled:
            break
        if upper - lower <= _GOAL * max(1.0, upper):
            break
    touch, normal = proof
    _check_normal(touch, normal, moves)
    for z in (best.shift, touch + normal):
        agree("project", ODD, moves.project(-z), -moves.project(z))
    if moves.supports:
        size = float(np.linalg.norm(touch))
        value = _checked_support(moves, normal, size)
        what = "the support function of the set that 'project' goes to"
        agree(moves.support_name, what, value, normal @ touch, size * float(np.linalg.norm(normal)))
    yield best


def _check_normal(touch: FloatArray, normal: FloatArray, moves: ConvexSet) -> None:
    """Check that no point of the set around `touch` lies farther along its normal."""
    size = float(np.linalg.norm(touch))
    for step in 0.1 * size * np.vstack([np.eye(len(touch)), -np.eye(len(touch))]):
        other = moves.project(touch + step)
        agree("project", ODD, moves.project(-touch - step), -other, size)
        if float(normal @ (other - touch)) > 1e-8 * size * float(np.linalg.norm(normal)):
            found = f"one that goes to {touch.tolist()} and {other.tolist()}, where the normals contradict each other"
            raise ValueError(f"'project' must be the Euclidean projection onto a convex set, got {found}")


def by_support(mean: FloatArray, covariance: Covariance, moves: ConvexSet) -> Iterator[Shift]:
    """Fully corrective Frank-Wolfe: a polytope inside the set grows a corner where its nearest point looks."""
    target = covariance.whiten(mean)
    corners = np.zeros((0, len(mean)))
    residual, z = target, np.zeros(len(mean))
    extent = float(np.linalg.norm(target))
    best = Shift(z, 0.0, extent, "support")
    asked = _Asked(moves)
    idle = 0
    while idle < _PATIENCE:
        upper = float(np.linalg.norm(residual))
        if upper <= 8 * _EPS * extent:  # what the rounding of the corners leaves
            best = Shift(mean.copy(), 0.0, 0.0, "support")
            break
        w = covariance.pull_back(residual / upper)
        value, corner = asked.ask(w, attempt=idle)
        lower = max(best.lower, float(w @ mean) - value)
        if lower > upper + 1e-8 * (1.0 + extent):
            raise ValueError(
                f"'support' must be the support function of a convex set, got one that keeps the mean at least "
                f"{lower!r} away from the set and a point of the set at {upper!r}"
            )
        better = upper - lower < best.gap
        idle = 0 if better else idle + 1
        if better:
            best = Shift(z, min(lower, upper), upper, "support")
        if upper - lower <= _GOAL * max(1.0, upper):
            break
        corners = np.vstack([corners, corner])
        # The point nearest to the origin in a convex hull, as non-negative least squares (Lawson and Hanson).
        distances = target[:, None] - covariance.whiten(corners.T)
        system = np.vstack([distances, np.ones(len(corners))])
        weights, _ = optimize.nnls(system, np.append(np.zeros(len(mean)), 1.0))
        kept = weights > 0
        corners, weights = corners[kept], weights[kept] / weights.sum()
        z = weights @ corners
        residual = covariance.whiten(mean - z)
        extent = max(extent, float(np.abs(distances).max()))
    asked.check()
    yield best


def _checked_support(moves: ConvexSet, w: FloatArray, size: float) -> float:
    """Return the support function at w, where it has to be that of a symmetric set; `size` is about that of the set."""
    value, scale = moves.support(w), size * float(np.linalg.norm(w))
    agree(moves.support_name, _EVEN, value, moves.support(-w), scale)
    agree(moves.support_name, _HOMOGENEOUS, 2 * value, moves.support(2 * w), 2 * scale)
    return value


class _Asked:
    """What a support function said in the directions that a solution rests on, checked against each other."""

    def __init__(self, moves: ConvexSet) -> None:
        self._moves = moves
        self._answers: list[tuple[FloatArray, float, FloatArray]] = []
        self._size = 0.0

    def ask(self, w: FloatArray, attempt: int) -> tuple[float, FloatArray]:
        """Return the support function at w and a corner that reaches it."""
        corner = self._moves.support_point(w, attempt=attempt)
        self._size = max(self._size, float(np.linalg.norm(corner)))
        if not self._answers:
            for axis in np.eye(len(w)):
                _checked_support(self._moves, axis, self._size)
        value = _checked_support(self._moves, w, self._size)
        if self._moves.gives_points:  # what is got by differentiating beside a crease all but reaches it
            scale = self._size * float(np.linalg.norm(w))
            agree("support_point", "a point that reaches the support function", value, w @ corner, scale)
        self._answers.append((w, value, corner))
        return value, corner

    def check(self) -> None:
        """Check that no corner, nor its mirror image, lies beyond what the function said of any direction."""
        if not self._answers:
            return
        directions, values, corners = (np.array(part) for part in zip(*self._answers, strict=True))
        excess = np.abs(directions @ corners.T) - values[:, None]
        sizes = np.linalg.norm(directions, axis=1)[:, None] * np.maximum(np.linalg.norm(corners, axis=1), self._size)
        beyond = excess > 10 * _AGREE * sizes
        if beyond.any():
            i, j = np.argwhere(beyond)[0].tolist()
            found = f"{values[i].item()!r} at {directions[i].tolist()}; {corners[j].tolist()} or its mirror is beyond"
            raise ValueError(must(self._moves.support_name, "the support function of a symmetric convex set", found))


def agree(name: str, what: str, one: FloatArray | float, other: FloatArray | float, scale: float = 0.0) -> None:
    """Check that the functions of a set say what those of such a set must, relative to a scale or what is larger."""
    first, second = np.asarray(one), np.asarray(other)
    largest = max(float(np.max(np.abs(first))), float(np.max(np.abs(second))), scale)
    if np.max(np.abs(first - second)) > _AGREE * largest:
        raise ValueError(must(name, what, f"{first.tolist()} and {second.tolist()}, which should be equal"))
