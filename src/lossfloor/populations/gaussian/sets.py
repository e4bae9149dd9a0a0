"""Closed convex symmetric sets: where an adversary may move the points of a Gaussian mixture.

An adversary moves x to ``x + z`` with z in a set K that is convex, closed and symmetric (``-K = K``), the
same K for every x.  What the floor needs of K is its support function ``h(w) = max {w'z : z in K}`` and the
point of K next to the mean.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import linalg

from lossfloor._checks import must
from lossfloor.adversaries import Intersection
from lossfloor.adversaries.geometry import bodies
from lossfloor.adversaries.geometry.bodies import ConvexAdversary
from lossfloor.populations.gaussian.covariance import FloatArray, real_array


class SymmetricSet(abc.ABC):
    """A closed convex set K with ``-K = K``."""

    @abc.abstractmethod
    def contains(self, z: FloatArray) -> bool:
        """Return whether z is known to lie in K."""


class SupportedSet(SymmetricSet):
    """One whose support function can be computed."""

    @abc.abstractmethod
    def support(self, w: FloatArray) -> float:
        """Return ``max {w'z : z in K}``."""


@dataclass(frozen=True, eq=False)
class NormSet(SupportedSet):
    """``{scales * y : ||y||_p <= 1}``: a ball of an l_p norm in which each feature has a budget of its own.

    Attributes
    ----------
    order : float
        p, from 1 to infinity.
    scales : ndarray of float64, shape (d,)
        Budgets in units of the data: 0 freezes a feature, infinity sets it free.
    member : callable
        Decides exactly whether a point, shape (d,), lies in the set.
    """

    order: float
    scales: FloatArray
    member: Callable[[FloatArray], bool]

    def support(self, w: FloatArray) -> float:
        """Return ``||scales * w||_q`` with ``1/p + 1/q = 1``."""
        with np.errstate(invalid="ignore"):
            budgets = np.where(w == 0, 0.0, self.scales * w)
        return norm(budgets, conjugate(self.order))

    def contains(self, z: FloatArray) -> bool:
        """Decide exactly whether z lies in K."""
        return self.member(z)

    def gauge(self, z: FloatArray) -> float:
        """Return the smallest r with z in r K, about; frozen features are passed over."""
        return norm(np.divide(z, self.scales, out=np.zeros_like(z), where=self.scales > 0), self.order)


@dataclass(frozen=True, eq=False)
class EllipsoidSet(SupportedSet):
    """``{F y : ||y||_2 <= 1}``.

    Attributes
    ----------
    factor : ndarray of float64, shape (d, d)
        F, in units of the data.
    member : callable
        Decides exactly whether a point, shape (d,), lies in the set.
    """

    factor: FloatArray
    member: Callable[[FloatArray], bool]

    def support(self, w: FloatArray) -> float:
        """Return ``||F'w||_2``."""
        return float(np.linalg.norm(self.factor.T @ w))

    def contains(self, z: FloatArray) -> bool:
        """Decide exactly whether z lies in K."""
        return self.member(z)

    def gauge(self, z: FloatArray) -> float:
        """Return the smallest r with z in r K, about."""
        return float(np.linalg.norm(linalg.solve(self.factor, z)))


@dataclass(frozen=True, eq=False)
class CommonSet(SymmetricSet):
    """What balls and ellipsoids have in common.

    Attributes
    ----------
    parts : tuple of NormSet and EllipsoidSet
        At least two.
    """

    parts: tuple[NormSet | EllipsoidSet, ...]

    def contains(self, z: FloatArray) -> bool:
        """Decide exactly whether z lies in every part."""
        return all(part.contains(z) for part in self.parts)


class ConvexSet(SupportedSet):
    """Any closed convex symmetric set, given by what can be computed of it.

    Parameters
    ----------
    project : callable, optional
        Maps z, shape (d,), to the nearest point of K in Euclidean distance, shape (d,).
    support : callable, optional
        Maps w, shape (d,), to the number ``h(w) = max {w'z : z in K}``.
    support_point : callable, optional
        Maps w, shape (d,), to a point of K that reaches ``h(w)``.  If neither this nor `project` is given,
        such points are got by differentiating `support` numerically.

    Raises
    ------
    TypeError
        If none is given, or one is not callable.

    Notes
    -----
    The functions are checked wherever a solution uses them, and along the axes: that the set is symmetric, that the
    support function is positively homogeneous, and that no point found lies beyond it.  What contradicts this is a
    ValueError of `lossfloor.gaussian_floor`.

    A projection converges at a rate that depends on the condition of the covariance, and suits high
    dimensions.  The other two suit some tens of features.  What rests on a numerical derivative is certified
    only as far as that derivative is right, to about ``1e-11`` of the size of the set.

    Examples
    --------
    >>> import numpy as np
    >>> disc = ConvexSet(project=lambda z: z / max(1.0, np.linalg.norm(z)))
    >>> disc.contains(np.array([0.6, 0.7])), disc.contains(np.array([0.6, 0.9]))
    (True, False)
    """

    def __init__(
        self,
        *,
        project: Callable[[FloatArray], Any] | None = None,
        support: Callable[[FloatArray], Any] | None = None,
        support_point: Callable[[FloatArray], Any] | None = None,
    ) -> None:
        given = {"project": project, "support": support, "support_point": support_point}
        for name, function in given.items():
            if function is not None and not callable(function):
                raise TypeError(must(name, "callable", function))
        if all(function is None for function in given.values()):
            raise TypeError("a ConvexSet needs 'project', 'support' or 'support_point'")
        self._project = project
        self._support = support
        self._support_point = support_point

    def __repr__(self) -> str:
        parts = {"project": self._project, "support": self._support, "support_point": self._support_point}
        return f"ConvexSet({', '.join(f'{name}=...' for name, part in parts.items() if part is not None)})"

    @property
    def projects(self) -> bool:
        """Whether there is a projection."""
        return self._project is not None

    @property
    def gives_points(self) -> bool:
        """Whether points that reach the support function are given, not got by differentiating."""
        return self._support_point is not None

    @property
    def support_name(self) -> str:
        """The argument that the support function comes from."""
        return "support_point" if self._support is None else "support"

    @property
    def supports(self) -> bool:
        """Whether there is a support function or a point that reaches it."""
        return self._support is not None or self._support_point is not None

    def project(self, z: FloatArray) -> FloatArray:
        """Return the point of K next to z in Euclidean distance."""
        if self._project is None:
            raise TypeError(f"{self!r} has no projection")
        return _point("project", self._project(z.copy()), z)

    def support(self, w: FloatArray) -> float:
        """Return ``max {w'z : z in K}``."""
        if self._support is None:
            return float(w @ self.support_point(w))
        value = real_array("support", self._support(w.copy()))
        if value.size != 1 or value.item() < 0:
            raise ValueError(must("support", "a function that returns a number that is at least 0", value.tolist()))
        return float(value.item())

    def support_point(self, w: FloatArray, attempt: int = 0) -> FloatArray:
        """Return a point of K that reaches ``max {w'z : z in K}``, or all but reaches it.

        Where there are several and they are found by differentiating, `attempt` decides which one comes.
        """
        if self._support_point is not None:
            return _point("support_point", self._support_point(w.copy()), w)
        if self._support is None:
            raise TypeError(f"{self!r} has no support function")
        return _gradient(self.support, w, attempt)

    def contains(self, z: FloatArray) -> bool:
        """Return whether the projection leaves z where it is; without a projection, nothing is known."""
        return self.projects and bool(np.array_equal(self.project(z), z))


@functools.singledispatch
def symmetric_set(adversary: object, dimension: int) -> SymmetricSet:
    """Return the set K that an adversary may add to every point; ``symmetric_set.register`` adds families.

    Parameters
    ----------
    adversary : ConvexAdversary, Intersection or SymmetricSet
        `L1`, `L2`, `Linf`, `Lp`, `WeightedLp`, `Ellipsoid` or `Box` with the same budget for all points, an
        `Intersection` of these, or a `ConvexSet`.
    dimension : int
        Number of features.

    Returns
    -------
    SymmetricSet

    Raises
    ------
    TypeError
        If the neighbourhoods are not known to be ``x + K`` with one convex K.
    ValueError
        If K is not symmetric, examples have budgets of their own, or the number of features differs.
    """
    families = "an l_p ball, an ellipsoid, a box, an intersection of these or a ConvexSet"
    raise TypeError(must("adversary", f"one that may add the same convex set to all: {families}", adversary))


@symmetric_set.register
def _(adversary: SymmetricSet, dimension: int) -> SymmetricSet:
    return adversary


@symmetric_set.register
def _(adversary: ConvexAdversary, dimension: int) -> SymmetricSet:
    try:
        for n in (2, 3):  # budgets that suit both belong to no examples in particular
            adversary.as_data(np.zeros((n, dimension)), n)
    except ValueError as error:
        what = f"one with the same budgets for all points of {dimension} features"
        raise ValueError(must("adversary", what, adversary) + f" ({error})") from None
    body = adversary.body(np.zeros(dimension), 0)

    def member(z: FloatArray) -> bool:
        return body.has([Fraction(value) for value in z.tolist()])

    if isinstance(body, bodies.AxisBox):
        if any(low != -high for low, high in zip(body.low, body.high, strict=True)):
            raise ValueError(must("adversary", "a box that is symmetric: as far down as up", adversary))
        return NormSet(np.inf, np.array([float(high) for high in body.high]), member)
    if isinstance(body, bodies.Ball):
        radius = float(body.radius)
        costs = np.ones(dimension) if body.costs is None else np.array([float(cost) for cost in body.costs])
        with np.errstate(divide="ignore"):
            return NormSet(float(body.order), np.where(costs > 0, radius / costs, np.inf), member)
    if isinstance(body, bodies.Ellipse):
        # {z : z' M z <= radius^2} is the image of a ball under R^-1, where M = R'R.
        root = linalg.cholesky((body.matrix + body.matrix.T) / 2)
        return EllipsoidSet(float(body.radius) * linalg.solve_triangular(root, np.eye(dimension)), member)
    raise TypeError(must("adversary", "a ball, an ellipsoid or a box", adversary))


@symmetric_set.register
def _(adversary: Intersection, dimension: int) -> SymmetricSet:
    parts: list[NormSet | EllipsoidSet] = []
    for member in adversary.members:
        found = symmetric_set(member, dimension)
        if isinstance(found, CommonSet):
            parts += found.parts
        elif isinstance(found, NormSet | EllipsoidSet):
            parts.append(found)
        else:
            raise TypeError(must("adversary", "an intersection of balls, ellipsoids and boxes", adversary))
    return parts[0] if len(parts) == 1 else CommonSet(tuple(parts))


def norm(x: FloatArray, order: float) -> float:
    """Return the l_p norm of a vector, without overflow or underflow on the way."""
    largest = float(np.max(np.abs(x), initial=0.0))
    if order == np.inf or largest == 0.0:
        return largest
    with np.errstate(under="ignore"):
        return largest * float(np.sum((np.abs(x) / largest) ** order) ** (1.0 / order))


def conjugate(order: float) -> float:
    """Return q with ``1/p + 1/q = 1``."""
    if order == 1.0:
        return float(np.inf)
    return 1.0 if order == np.inf else order / (order - 1.0)


def _point(name: str, value: Any, like: FloatArray) -> FloatArray:
    point = real_array(name, value)
    if point.shape != like.shape:
        raise ValueError(must(name, f"a function that returns an array of shape {like.shape}", f"shape {point.shape}"))
    return point


# Numerical derivatives of support functions.  That of a smooth set is smooth, that of a polytope linear around almost
# every w; but the shortest vector often lies on a crease, where the nearest points of the set form an edge or a face.

#: Steps of differences relative to w, and how well two of them must agree.
_STEPS = 0.5 ** np.arange(6.0, 16.0, 2.0)
_AGREE = 1e-9
#: How far beside a crease derivatives are taken, to be extrapolated to none; steps there are a 64th of that.
_BESIDE = 0.5 ** np.arange(6.0, 11.0)
_SIDES = 20


def _gradient(function: Callable[[FloatArray], float], w: FloatArray, seed: int) -> FloatArray:
    """Differentiate a support function at w; on a crease, as seen from a side drawn by lot."""
    where = w / float(np.linalg.norm(w))
    slopes = np.array([_differences(function, where, step) for step in _STEPS])
    apart = np.max(np.abs(np.diff(slopes, axis=0)), axis=1)
    best = int(np.argmin(apart))
    slope: FloatArray = slopes[best]
    return slope if apart[best] <= _AGREE * np.max(np.abs(slope)) else _one_sided(function, where, seed)


def _one_sided(function: Callable[[FloatArray], float], w: FloatArray, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    for _ in range(_SIDES):
        side = rng.standard_normal(len(w))
        side /= np.linalg.norm(side)
        slopes = [_differences(function, w + beside * side, beside / 64) for beside in _BESIDE]
        fine, coarse = _to_zero(_BESIDE, slopes), _to_zero(_BESIDE[:-1], slopes[:-1])
        # A step that still reaches across another crease does so at every distance: a smaller one tells.
        inner = _differences(function, w + _BESIDE[-1] * side, _BESIDE[-1] / 256)
        apart = max(np.max(np.abs(fine - coarse)), np.max(np.abs(slopes[-1] - inner)))
        if apart <= 10 * _AGREE * np.max(np.abs(fine)):
            return fine
    raise ValueError("'support' could not be differentiated accurately; give 'support_point' or 'project' too")


def _to_zero(nodes: FloatArray, values: list[FloatArray]) -> FloatArray:
    """Extrapolate to zero by the polynomial through all nodes (Lagrange)."""
    total = np.zeros_like(values[0])
    for i, value in enumerate(values):
        others = np.delete(nodes, i)
        total += value * np.prod(others / (others - nodes[i]))
    return total


def _differences(function: Callable[[FloatArray], float], w: FloatArray, step: float) -> FloatArray:
    """Fourth-order central differences."""
    slope = np.empty(len(w))
    for i in range(len(w)):
        near, far = np.zeros(len(w)), np.zeros(len(w))
        near[i], far[i] = step, 2.0 * step
        by_near = function(w + near) - function(w - near)
        slope[i] = (8.0 * by_near - (function(w + far) - function(w - far))) / (12.0 * step)
    # h is homogeneous, so its gradient satisfies w'g = h(w) exactly.
    return slope + (function(w) - w @ slope) / (w @ w) * w
