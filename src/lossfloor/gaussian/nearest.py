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

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

from lossfloor._checks import must
from lossfloor.exceptions import LossfloorError
from lossfloor.gaussian.covariance import Covariance, FloatArray
from lossfloor.gaussian.sets import (
    CommonSet,
    ConvexSet,
    EllipsoidSet,
    NormSet,
    SupportedSet,
    SymmetricSet,
    conjugate,
    norm,
)

#: The gap between the bounds of delta that an answer may have, relative to delta where that is above 1.
TOLERANCE = 1e-10

#: What sets given by functions are followed to, if it goes: the shift errs by the root of what delta errs by.
_GOAL = 1e-13
#: Corners without any progress after which they stop.
_PATIENCE = 40
#: Rounds over the parts of an intersection, and how many of them are looked back at.
_ROUNDS, _MEMORY = 1000, 8

_EPS = float(np.finfo(np.float64).eps)
_NEVER = 1e-300  # an absolute tolerance that is never met first

#: How well the functions of a set have to agree with each other.
_AGREE = 1e-8
_ODD = "the projection onto a symmetric set, which maps -z to minus what it maps z to"
_EVEN = "the support function of a symmetric set, which is the same at w and -w"
_HOMOGENEOUS = "the support function of a set, which is twice as large at 2 w as at w"


class ConvergenceError(LossfloorError):
    """No shift could be proved to be the nearest within the tolerance."""


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
            _agree("project", _ODD, moves.project(-mean), -mean)
        return Shift(mean.copy(), 0.0, 0.0, "inside")
    best: Shift | None = None
    for found in _candidates(mean, covariance, moves):
        if best is None or found.upper - found.lower < best.upper - best.lower:
            best = found
        if best.upper - best.lower <= TOLERANCE * max(1.0, best.upper):
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
        yield from _in_ball(mean, covariance, moves)
    elif isinstance(moves, EllipsoidSet):
        z = moves.factor @ _in_round(covariance.whiten(moves.factor), covariance.whiten(mean))
        yield _judge(z, mean, covariance, moves, "singular values")
    elif isinstance(moves, CommonSet):
        yield _in_common(mean, covariance, moves)
    elif isinstance(moves, ConvexSet) and moves.projects:
        yield from _by_projection(mean, covariance, moves)
    elif isinstance(moves, ConvexSet):
        yield from _by_support(mean, covariance, moves)
    else:
        raise TypeError(must("adversary", "a ball, an ellipsoid, an intersection of these or a ConvexSet", moves))


def _judge(
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


# Balls.  With A = L^-1 diag(scales) and a = L^-1 mu the problem is: minimise ||a - A y|| over ||y||_p <= 1.


def _in_ball(mean: FloatArray, covariance: Covariance, moves: NormSet) -> Iterator[Shift]:
    scales, order = moves.scales, moves.order
    if np.isinf(scales).any():
        yield from _without_free(mean, covariance, moves)
        return
    moving = scales > 0
    budgets = scales[moving]

    def place(y: FloatArray) -> FloatArray:
        z = np.zeros(len(mean))
        z[moving] = budgets * y
        return z

    def judge(y: FloatArray, route: str) -> Shift:
        y = y / max(1.0, norm(y, order))

        def normal(w: FloatArray) -> FloatArray:
            w = w.copy()
            w[moving] = _normal(y, budgets * w[moving], order) / budgets
            return w

        return _judge(place(y), mean, covariance, moves, route, normal)

    if not moving.any():
        yield _judge(np.zeros(len(mean)), mean, covariance, moves, "no budget")
        return
    if covariance.is_diagonal:
        if order == np.inf:
            yield _judge(np.clip(mean, -scales, scales), mean, covariance, moves, "clip")
            return
        deviations = covariance.factor[moving]
        yield judge(_separable(budgets / deviations, mean[moving] / deviations, order), "separable")
        return
    image = covariance.whiten(np.diag(scales)[:, moving])
    # Libraries have absolute tolerances, so the size is taken out: by a power of two, which rounds nothing.
    size = 2.0 ** int(np.frexp(np.abs(image).max())[1])
    image, target = image / size, covariance.whiten(mean) / size
    if order == 2.0:
        yield judge(_in_round(image, target), "singular values")
        return
    gram, pull = image.T @ image, image.T @ target

    def slope(y: FloatArray) -> FloatArray:
        # A'(a - A y), from the difference of mu and z: in whitened units both may be large.
        return budgets * covariance.pull_back(covariance.whiten(mean - place(y)))[moving] / size**2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a route warns, the certificate decides
        try:
            y, route = _directly(image, target, gram, pull, slope, order)
        except linalg.LinAlgError:
            y, route = np.zeros(len(pull)), "none"
    yield judge(y, route)
    if order == np.inf:  # guesses may go in circles; this cannot
        yield judge(optimize.lsq_linear(image, target, (-1.0, 1.0), "bvls", tol=_EPS).x, "bounded least squares")
    ones = np.ones(len(pull))
    for y, _ in _accelerated(gram, pull, lambda x: x if norm(x, order) <= 1.0 else _separable(ones, x, order)):
        yield judge(y, "projected gradients")


def _directly(
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


def _without_free(mean: FloatArray, covariance: Covariance, moves: NormSet) -> Iterator[Shift]:
    """Leave out features that may be moved at will: nobody can rely on them, so their weight is zero."""
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
    for found in _in_ball(mean[kept], inner, part):
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


def _separable(slopes: FloatArray, target: FloatArray, order: float) -> FloatArray:
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


def _in_round(image: FloatArray, target: FloatArray) -> FloatArray:
    """Minimise ``||target - image y||`` over ``||y||_2 <= 1``."""
    left, singular, right = linalg.svd(image, full_matrices=False)
    y: FloatArray = right.T @ _on_sphere(singular, left.T @ target)
    return y / max(1.0, float(np.linalg.norm(y)))


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


# Intersections.


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


# Sets given by functions.


def _accelerated(
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


def _by_projection(mean: FloatArray, covariance: Covariance, moves: ConvexSet) -> Iterator[Shift]:
    near = moves.project(mean)
    for z in (mean, *float(np.linalg.norm(mean)) * np.eye(len(mean))):
        _agree("project", _ODD, moves.project(-z), -moves.project(z))
    _agree("project", "a projection, which leaves its own values where they are", near, moves.project(near))
    metric = covariance.whiten(np.eye(len(mean)))
    hessian = metric.T @ metric
    extent = float(np.linalg.norm(metric @ mean))
    best, proof = Shift(np.zeros(len(mean)), 0.0, np.inf, ""), (mean, mean)
    for z, downhill in _accelerated(hessian, hessian @ mean, moves.project):
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
        if upper - lower < best.upper - best.lower:
            best, proof = Shift(z, lower, upper, "projected gradients"), (touch, normal)
        elif best.upper - best.lower <= TOLERANCE * max(1.0, best.upper):
            break
        if upper - lower <= _GOAL * max(1.0, upper):
            break
    touch, normal = proof
    _check_normal(touch, normal, moves)
    for z in (best.shift, touch + normal):
        _agree("project", _ODD, moves.project(-z), -moves.project(z))
    if moves.supports:
        size = float(np.linalg.norm(touch))
        value = _checked_support(moves, normal, size)
        what = "the support function of the set that 'project' goes to"
        _agree(moves.support_name, what, value, normal @ touch, size * float(np.linalg.norm(normal)))
    yield best


def _check_normal(touch: FloatArray, normal: FloatArray, moves: ConvexSet) -> None:
    """Check that no point of the set around `touch` lies farther along its normal."""
    size = float(np.linalg.norm(touch))
    for step in 0.1 * size * np.vstack([np.eye(len(touch)), -np.eye(len(touch))]):
        other = moves.project(touch + step)
        _agree("project", _ODD, moves.project(-touch - step), -other, size)
        if float(normal @ (other - touch)) > 1e-8 * size * float(np.linalg.norm(normal)):
            found = f"one that goes to {touch.tolist()} and {other.tolist()}, where the normals contradict each other"
            raise ValueError(f"'project' must be the Euclidean projection onto a convex set, got {found}")


def _by_support(mean: FloatArray, covariance: Covariance, moves: ConvexSet) -> Iterator[Shift]:
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
        better = upper - lower < best.upper - best.lower
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
    _agree(moves.support_name, _EVEN, value, moves.support(-w), scale)
    _agree(moves.support_name, _HOMOGENEOUS, 2 * value, moves.support(2 * w), 2 * scale)
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
            _agree("support_point", "a point that reaches the support function", value, w @ corner, scale)
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


def _agree(name: str, what: str, one: FloatArray | float, other: FloatArray | float, scale: float = 0.0) -> None:
    """Check that the functions of a set say what those of such a set must, relative to a scale or what is larger."""
    first, second = np.asarray(one), np.asarray(other)
    largest = max(float(np.max(np.abs(first))), float(np.max(np.abs(second))), scale)
    if np.max(np.abs(first - second)) > _AGREE * largest:
        raise ValueError(must(name, what, f"{first.tolist()} and {second.tolist()}, which should be equal"))
