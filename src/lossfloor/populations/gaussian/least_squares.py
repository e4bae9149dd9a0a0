"""Least squares, ``||a - A y||``, over the unit ball of an l_p norm and over sets with a projection.

What suits the matrix and the order: a diagonal separates into one equation for each feature and a multiplier that they
share; l2 does so in the axes of a singular value decomposition.  With a full matrix, l1 is scikit-learn's LARS path,
followed to the radius; the maximum norm is a primal-dual active-set method, which is exact once the right features lie
on their bounds; orders between are Newton's method of SciPy on the smooth one of the primal and the dual problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import linalg, optimize

from lossfloor.populations.gaussian.covariance import FloatArray
from lossfloor.populations.gaussian.sets import conjugate, norm

_EPS = float(np.finfo(np.float64).eps)
_NEVER = 1e-300  # an absolute tolerance that is never met first


def separable(slopes: FloatArray, target: FloatArray, order: float) -> FloatArray:
    """Minimise ``sum (target - slopes * y)^2`` over ``||y||_p <= 1``."""
    unbound: FloatArray = target / slopes
    if order == np.inf:
        return np.clip(unbound, -1.0, 1.0)
    if norm(unbound, order) <= 1.0:
        return unbound
    if order == 2.0:
        return _on_sphere(slopes, target)
    size = _thresholded(slopes, np.abs(target)) if order == 1.0 else _powered(slopes, np.abs(target), order)
    return np.copysign(size, target)


def _on_sphere(slopes: FloatArray, target: FloatArray) -> FloatArray:
    """Separate l2: ``y = slopes * target / (slopes^2 + lambda)``, lambda the root of ``||y|| = 1``."""

    def at(multiplier: float) -> FloatArray:
        y: FloatArray = slopes * target / (slopes**2 + multiplier)
        return y

    def excess(multiplier: float) -> float:
        return 1.0 / float(np.linalg.norm(at(multiplier))) - 1.0  # nearly linear in the multiplier

    # ||y|| <= ||slopes * target|| / lambda
    highest = float(np.linalg.norm(slopes * target))
    if highest == 0.0 or excess(0.0) >= 0.0:
        return at(0.0)
    return at(_root(excess, 0.0, highest))


def _thresholded(slopes: FloatArray, target: FloatArray) -> FloatArray:
    """Separate l1: ``y = max(0, slopes * target - lambda) / slopes^2``, lambda from the sorted corners."""
    corners = slopes * target
    descending = np.argsort(-corners)
    sorted_corners, weights = corners[descending], slopes[descending] ** -2.0
    multipliers = (np.cumsum(sorted_corners * weights) - 1.0) / np.cumsum(weights)
    multipliers[0] = min(multipliers[0], np.nextafter(sorted_corners[0], 0.0))  # far away the 1 is lost in rounding
    last = int(np.flatnonzero(sorted_corners > multipliers)[-1])
    y: FloatArray = np.maximum(0.0, corners - multipliers[last]) / slopes**2
    return y


def _powered(slopes: FloatArray, target: FloatArray, order: float) -> FloatArray:
    """Separate l_p, 1 < p < inf: ``slopes^2 y + lambda y^(p-1) = slopes * target`` for each feature."""
    steep = max(order - 1.0, 1.0 / (order - 1.0))
    right = slopes * target
    squares = slopes**2

    def at(log_multiplier: float) -> FloatArray:
        # In t = y (p >= 2) or t = y^(p-1) (p < 2) each equation is flat * t + bent * t^steep = right, convex
        # and increasing, and Newton's method from above comes down to its root.
        multiplier = np.full(right.shape, np.exp(log_multiplier))
        flat, bent = (squares, multiplier) if order >= 2.0 else (multiplier, squares)
        t = np.minimum(right / flat, (right / bent) ** (1.0 / steep))
        for _ in range(100):
            power = t ** (steep - 1.0)
            step = np.maximum(0.0, (flat + bent * power) * t - right) / (flat + steep * bent * power)
            t = np.maximum(0.0, t - step)
            if np.all(step <= 2 * _EPS * t):
                break
        return t if order >= 2.0 else t**steep

    with np.errstate(under="ignore", over="ignore"):
        highest = float(np.log(norm(right, conjugate(order)))) + 1.0  # beyond the bound of Hoelder and its rounding
        lowest = highest - 2.0
        while norm(at(lowest), order) <= 1.0:
            lowest -= 2.0 * (highest - lowest)
            if lowest < highest - 600.0:  # the target lies on the sphere, but for rounding
                return target / slopes
        return at(_root(lambda x: -float(np.log(norm(at(x), order))), lowest, highest))


def in_round(image: FloatArray, target: FloatArray) -> FloatArray:
    """Minimise ``||target - image y||`` over ``||y||_2 <= 1``."""
    left, singular, right = linalg.svd(image, full_matrices=False)
    y: FloatArray = right.T @ _on_sphere(singular, left.T @ target)
    return y / max(1.0, float(np.linalg.norm(y)))


def full(
    image: FloatArray,
    target: FloatArray,
    gram: FloatArray,
    pull: FloatArray,
    slope: Callable[[FloatArray], FloatArray],
    order: float,
) -> tuple[FloatArray, str]:
    """Minimise ``||a - A y||`` over ``||y||_p <= 1`` for a full covariance by the route that suits p."""
    if order == np.inf:
        return _active_set(gram, slope), "active set"
    y: FloatArray = linalg.solve(gram, pull, assume_a="pos")
    if norm(y, order) <= 1.0:  # features without a budget keep the mean outside
        return y, "unbound"
    if order == 1.0:
        return _lars(gram, pull, slope), "LARS"
    if order > 2.0:
        return _penalised_newton(gram, pull, order), "Newton, primal"
    return _dual_newton(image, target, order), "Newton, dual"


def bounded(image: FloatArray, target: FloatArray) -> FloatArray:
    """Minimise ``||target - image y||`` over ``|y| <= 1`` by SciPy: as an active set does, a hundred times slower."""
    y: FloatArray = optimize.lsq_linear(image, target, (-1.0, 1.0), "bvls", tol=_EPS).x
    return y


def _active_set(gram: FloatArray, slope: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Minimise ``||a - A y||`` over ``|y| <= 1`` by guessing which features lie on their bounds."""
    side = np.zeros(len(gram))
    y = np.zeros(len(gram))
    settled = 0
    for _ in range(100):
        free = side == 0
        y = np.where(free, y, side)
        if free.any():
            y[free] += linalg.solve(gram[np.ix_(free, free)], slope(y)[free], assume_a="pos")
        stays = np.where(slope(y) * side >= 0, side, 0.0)
        after = np.where(free & (np.abs(y) > 1.0), np.sign(y), stays)
        settled = settled + 1 if np.array_equal(after, side) else 0
        if settled == 3:  # twice more than needed: each time takes rounding off
            break
        side = after
    return np.clip(y, -1.0, 1.0)


def _lars(gram: FloatArray, pull: FloatArray, slope: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Minimise ``||a - A y||`` over ``||y||_1 <= 1``: the lasso at the penalty that fits the radius."""
    from sklearn.linear_model import lars_path_gram

    _, _, path = lars_path_gram(pull, gram, n_samples=1, method="lasso", max_iter=20 * len(pull))
    sizes = np.abs(path).sum(axis=0)
    beyond = np.flatnonzero(sizes > 1.0)
    if beyond.size == 0:  # it stopped early
        return np.asarray(path[:, -1])
    # Between two corners the path is straight and no sign changes.
    after = int(beyond[0])
    share = (1.0 - sizes[after - 1]) / (sizes[after] - sizes[after - 1])
    y = np.asarray((1.0 - share) * path[:, after - 1] + share * path[:, after])
    # Rounding adds up along the path: solve again for the features and signs that it came to.
    used = y != 0
    signs = np.sign(y[used])
    system = np.block([[gram[np.ix_(used, used)], signs[:, None]], [signs[None, :], np.zeros((1, 1))]])
    for _ in range(3):
        y[used] += linalg.solve(system, np.append(slope(y)[used], 1.0 - signs @ y[used]))[:-1]
    return y


def _penalised_newton(gram: FloatArray, pull: FloatArray, order: float) -> FloatArray:
    """Minimise ``y'Gy / 2 - pull'y + lambda sum |y|^p / p`` for p > 2, lambda the root of ``||y||_p = 1``."""
    y = linalg.solve(gram, pull, assume_a="pos")

    def at(log_multiplier: float) -> FloatArray:
        nonlocal y
        multiplier = np.exp(log_multiplier)
        y = _newton(
            lambda y: float(0.5 * y @ gram @ y - pull @ y + multiplier / order * np.sum(np.abs(y) ** order)),
            lambda y: gram @ y - pull + multiplier * np.sign(y) * np.abs(y) ** (order - 1.0),
            lambda y: gram + np.diag(multiplier * (order - 1.0) * np.abs(y) ** (order - 2.0)),
            y / max(1.0, norm(y, order)),
        )
        return y

    highest = float(np.log(norm(pull, conjugate(order))))
    lowest = highest - 1.0
    while norm(at(lowest), order) <= 1.0 and lowest > highest - 300.0:
        lowest -= 2.0 * (highest - lowest)
    while norm(at(highest), order) > 1.0:
        highest += 1.0
    return at(_root(lambda x: -float(np.log(norm(at(x), order))), lowest, highest))


def _dual_newton(image: FloatArray, target: FloatArray, order: float) -> FloatArray:
    """Maximise ``v'target - ||A'v||_q - v'v / 2`` for p < 2, which is smooth since q > 2."""
    q = conjugate(order)

    def parts(v: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        u = image.T @ v
        size = norm(u, q)
        ratio = np.abs(u) / size
        return size, ratio, np.copysign(ratio ** (q - 1.0), u)

    def hessian(v: FloatArray) -> FloatArray:
        size, ratio, slope = parts(v)
        curved = (q - 1.0) / size * (np.diag(ratio ** (q - 2.0)) - np.outer(slope, slope))
        return np.eye(len(v)) + image @ curved @ image.T

    v = _newton(
        lambda v: float(0.5 * v @ v - target @ v) + parts(v)[0],
        lambda v: v - target + image @ parts(v)[2],
        hessian,
        target,
    )
    return parts(v)[2]


def _newton(
    value: Callable[[FloatArray], float],
    gradient: Callable[[FloatArray], FloatArray],
    hessian: Callable[[FloatArray], FloatArray],
    start: FloatArray,
) -> FloatArray:
    """Minimise a smooth strictly convex function to rounding."""
    with np.errstate(under="ignore"):
        tolerance = 1e-9 * float(np.linalg.norm(gradient(np.asarray(start))))
        x: FloatArray = optimize.minimize(
            value,
            start,
            jac=gradient,
            hess=hessian,
            method="trust-exact",
            options={"gtol": tolerance, "maxiter": 500},
        ).x
        for _ in range(3):  # the values cannot tell progress any more, the gradients can
            x = x - linalg.solve(hessian(x), gradient(x), assume_a="pos")
    return x


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=_NEVER, rtol=4 * _EPS, maxiter=1000, disp=False))


def accelerated(
    hessian: FloatArray, pull: FloatArray, project: Callable[[FloatArray], FloatArray]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Minimise ``x'Hx / 2 - pull'x`` over a set by accelerated projected gradients (Nesterov, with restarts).

    Yields x after more and more steps, each with the direction that the function falls in.
    """
    values = linalg.eigvalsh(hessian)
    step = 1.0 / values[-1]
    rate = np.sqrt(max(0.0, values[0]) * step)
    momentum = (1.0 - rate) / (1.0 + rate)
    x = ahead = project(np.zeros(len(pull)))
    steps = 25
    for _ in range(13):
        for _ in range(steps):
            aim = ahead + step * (pull - hessian @ ahead)
            after = project(aim)
            if (ahead - after) @ (after - x) > 0:  # going back: momentum has carried it too far
                ahead = x
                continue
            ahead = after + momentum * (after - x)
            x = after
        yield x, pull - hessian @ x
        ahead = x
        steps = int(1.5 * steps)
