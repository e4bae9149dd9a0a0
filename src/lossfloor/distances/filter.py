"""The projection filter for Euclidean distances: a few dimensions decide most pairs, all features the rest.

Let P have k orthonormal columns and let q be the length of what is left of an example outside their span.  Then

    x . y  =  P'x . P'y  +  (rest of x) . (rest of y),      |(rest of x) . (rest of y)|  <=  q_x q_y,

and a pair is within the threshold t exactly when ``x . y >= h_x + h_y`` with ``h = (|x|^2 - t^2 / 2) / 2``.  So it is
decided once ``P'x . P'y`` is farther than ``q_x q_y`` from ``h_x + h_y``.  If each example has a radius r of its own,
``t^2 = (r_x + r_y)^2`` makes ``h = (|x|^2 - r^2) / 2`` and one more coordinate r.

Rounding (u = 2^-24, the filter runs in single precision):

- Rows are rounded to single precision before the projection: a relative error kappa = u + 2^-52 in each entry, hence at
  most ``2 kappa (2 + kappa) (|x|^2 + |y|^2)`` in the squared distance (0 for integers below 2^24).
- The basis is orthonormal up to ``delta`` (its Gram matrix is compared with the identity), a coordinate is a sum of d
  products: the computed projection is off by at most ``e |x|`` with ``e = sqrt(k) gamma_{d+8} + delta``.
- So the product of two projections is off by ``(gamma_{k+9} + 2 e + e^2) |x| |y|`` and q^2 by
  ``(2 e + 2 e^2) |x|^2``.  By
  Cauchy-Schwarz ``q_x q_y + c |x| |y| <= sqrt(q_x^2 + c |x|^2) sqrt(q_y^2 + c |y|^2)``: the error goes into the q.
- What single precision does to h and to the sums is at most ``8 u`` times the largest sizes involved: the tolerance.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from lossfloor import _core, exact
from lossfloor.distances.routes import gamma

_U32 = 2.0**-24
_SAFETY = 1.01
_SAMPLE = 192
_ROUGH_SAMPLE = 64
#: Dimensions to choose from; the basis is made for the last.
DIMENSIONS = (16, 32, 48, 64)
#: Measured costs, where a feature of the dense kernel that decides all pairs costs 1: a dimension of the filter, its
#: comparison, and a feature of an open pair.  Bytes have AVX-512, of which floats make less.
_COSTS = {
    np.dtype(np.uint8): (3.3, 60.0, 4.1),
    np.dtype(np.int16): (1.0, 18.0, 1.6),
    np.dtype(np.float32): (1.0, 18.0, 4.0),
    np.dtype(np.float64): (1.0, 18.0, 5.0),
}

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class _Side:
    """One side of the pairs."""

    rows: npt.NDArray[Any]
    coordinates: SingleArray
    squares: FloatArray
    kept: FloatArray  # kept[i, j]: squared length of the first 16 (j + 1) coordinates, or of all


class ProjectionFilter:
    """Examples with their projections, ready for any threshold.

    Parameters
    ----------
    left, right : ndarray, shape (n, d) and (m, d), of one dtype
        uint8 or int16 (with squared distances below 2**31), float32 or float64.
    exponent : int
        Every floating-point entry is at most ``2**exponent`` in size; 0 for whole numbers.
    threads : int
    isa : str
        The most instructions that kernels may use.
    """

    def __init__(
        self, left: npt.NDArray[Any], right: npt.NDArray[Any], exponent: int, *, threads: int, isa: str
    ) -> None:
        self.threads = threads
        self._isa = isa
        d = left.shape[1]
        self._whole = left.dtype.kind in "iu"
        self._exponent = -exponent
        scale = math.ldexp(1.0, self._exponent)
        # Directions from few examples do nearly as well, and must not cost more than they save.
        parts = [side[spaced(len(side), min(256, max(96, len(side) // 16)))] for side in (left, right)]
        sample = np.concatenate(parts).astype(np.float64)
        sample *= scale
        # Whole numbers stay whole, so that rounding them to single precision changes nothing; int16 comes centred.
        centre = np.zeros(d) if left.dtype == np.int16 else sample.mean(axis=0)
        if self._whole:
            centre = np.rint(centre)
        with one_blas_thread():
            sample -= centre
            basis = _principal_directions(sample.astype(np.float32), min(DIMENSIONS[-1], d))
            gram = basis.T.astype(np.float64) @ basis.astype(np.float64)
        self._dimensions = [k for k in DIMENSIONS if k <= basis.shape[1]] or [basis.shape[1]]
        delta = float(np.linalg.norm(gram - np.eye(len(gram)))) + d * len(gram) * 2.0**-50
        self._error = _SAFETY * (math.sqrt(len(gram)) * gamma(d + 8, _U32) * (1 + delta) + delta)
        kappa = 0.0 if self._whole else _U32 + 2.0**-52
        self._conversion = 2 * kappa * (2 + kappa)
        self._centre, self._scale, self._basis = centre, scale, basis
        self._left, self._right = left, right

    @property
    def scale(self) -> Fraction:
        """Projections are of the data times this power of two."""
        return Fraction(2) ** self._exponent

    def _side(self, rows: npt.NDArray[Any]) -> _Side:
        return _Side(rows, *_core.project(rows, self._centre, self._scale, self._basis, self.threads, self._isa))

    @functools.cached_property
    def _sides(self) -> tuple[_Side, _Side]:
        return self._side(np.asarray(self._left)), self._side(np.asarray(self._right))

    def plan(self, radii: FilterRadii) -> Plan:
        """Choose the number of dimensions by the share of a sample of pairs that each leaves open."""
        d = self._left.shape[1]
        per_dimension, comparison, per_feature = _COSTS[self._left.dtype]
        rows, columns = (spaced(len(side), _SAMPLE) for side in (self._left, self._right))
        first, second = self._side(self._left[rows]), self._side(self._right[columns])
        if radii.shared is None:
            radii = dataclasses.replace(radii, left=radii.left[rows], right=radii.right[columns])
        tolerance = self._tolerance(radii, first, second)
        plans = []
        with one_blas_thread():
            for place, k in enumerate(self._dimensions):
                left = self._arrays(first, radii.left, radii, place)
                right = self._arrays(second, radii.right, radii, place)
                used = self._columns(radii, place)
                signal = left[0][:, :used] @ right[0][:, :used].T - (left[1][:, None] + right[1][None, :])
                share = float(np.mean(np.abs(signal) <= left[2][:, None] * right[2][None, :] + tolerance))
                plans.append(Plan(place, k, share, k * per_dimension + comparison + share * per_feature * d))
        return min(plans, key=lambda plan: plan.cost)

    def _tolerance(self, radii: FilterRadii, left: _Side, right: _Side) -> float:
        """Return the bound on the rounding of h and of the sums."""
        sizes = float(left.squares.max()) + float(right.squares.max())
        return 8 * _U32 * (sizes + radii.largest**2) + self._conversion * sizes + 2.0**-120

    def _arrays(
        self, side: _Side, own: FloatArray, radii: FilterRadii, place: int
    ) -> tuple[SingleArray, SingleArray, SingleArray]:
        """Return coordinates (of which `_columns` count), offsets h and rests q of one side."""
        k = self._dimensions[place]
        coordinates, squares, kept = side.coordinates, side.squares, side.kept[:, place]
        if radii.shared is None:
            coordinates = np.concatenate([coordinates[:, :k], own[:, None].astype(np.float32)], axis=1)
            offset, sizes = (squares - own**2) / 2, squares + own**2
        else:
            offset, sizes = (squares - radii.shared**2 / 2) / 2, squares
        e = self._error
        product_error = _SAFETY * (gamma(k + 9, _U32) + 2 * e + e * e + 4 * _U32)
        rest = np.maximum(squares - kept, 0) + (2 * e + 2 * e * e + 8 * _U32) * squares + product_error * sizes
        return (
            coordinates,
            offset.astype(np.float32),
            (np.sqrt(rest) * (1 + 4 * _U32)).astype(np.float32),
        )

    def _columns(self, radii: FilterRadii, place: int) -> int:
        """Return how many coordinates there are, that of the radius included where each row has its own."""
        return self._dimensions[place] + (radii.shared is None)

    def prepare(self, radii: FilterRadii, plan: Plan) -> PreparedFilter:
        """Make everything ready for one sweep."""
        first, second = self._sides
        left = self._arrays(first, radii.left, radii, plan.place)
        right = self._arrays(second, radii.right, radii, plan.place)
        kinds: dict[Any, Any] = {
            np.uint8: _core.FilterU8,
            np.int16: _core.FilterI16,
            np.float32: _core.FilterF32,
            np.float64: _core.FilterF64,
        }
        strips = kinds[second.rows.dtype.type](second.rows, *right, self._columns(radii, plan.place), self._isa)
        tolerance = self._tolerance(radii, first, second) * (1 + 4 * _U32)
        return PreparedFilter(first.rows, left, strips, float(np.float32(tolerance)))


@dataclasses.dataclass(frozen=True)
class FilterRadii:
    """Radii in the scale of the projections: one threshold for all pairs, or a radius for each row."""

    shared: float | None
    left: FloatArray
    right: FloatArray

    @classmethod
    def of(cls, shared: Fraction | None, left: FloatArray, right: FloatArray, scale: Fraction) -> FilterRadii:
        """Scale radii, rounding a shared threshold to the next double (the tolerance covers that)."""
        return cls(None if shared is None else exact.bracket(shared * scale)[1], left, right)

    @property
    def largest(self) -> float:
        """The largest threshold of any pair."""
        if self.shared is not None:
            return self.shared
        return float(self.left.max(initial=0)) + float(self.right.max(initial=0))


@dataclasses.dataclass(frozen=True)
class Plan:
    """A number of dimensions, the share of pairs it is expected to leave open, and the expected cost of a pair."""

    place: int
    dimensions: int
    open_share: float
    cost: float


def rough_cost(left: npt.NDArray[Any], right: npt.NDArray[Any], exponent: int, radii: FilterRadii) -> float:
    """Estimate what the filter costs a pair, from few examples and dimensions, before one is made.

    Parameters
    ----------
    left, right, exponent
        As for `ProjectionFilter`.
    radii : FilterRadii

    Returns
    -------
    float
        In the units of `Plan.cost`; on images at most 1.7 times the cost of the best plan where that plan pays.
    """
    k = DIMENSIONS[0]
    per_dimension, comparison, per_feature = _COSTS[left.dtype]
    places = [spaced(len(side), _ROUGH_SAMPLE) for side in (left, right)]
    scale = math.ldexp(1.0, -exponent)
    # In single precision and in place: this is but an estimate, and should take no memory to speak of.
    parts = [
        (side[at] * side.dtype.type(scale)).astype(np.float32) for side, at in zip((left, right), places, strict=True)
    ]
    if radii.shared is None:
        squared: Any = np.square(radii.left[places[0]][:, None] + radii.right[places[1]][None, :])
    else:
        squared = radii.shared**2
    with one_blas_thread():
        sample = np.concatenate([part[::2] for part in parts])
        centre = sample.mean(axis=0)
        for part in (*parts, sample):
            part -= centre
        sizes, directions = np.linalg.eigh(sample @ sample.T)
        leading = np.flatnonzero(sizes > 1e-5 * sizes[-1])[-k:]
        basis = sample.T @ (directions[:, leading] / np.sqrt(sizes[leading]))
        first, second = ((part @ basis, np.einsum("ij,ij->i", part, part)) for part in parts)
        signal = first[0] @ second[0].T - (first[1][:, None] + second[1][None, :] - squared) / 2
    rests = [np.sqrt(np.maximum(squares - np.square(kept).sum(axis=1), 0)) for kept, squares in (first, second)]
    share = float(np.mean(np.abs(signal) <= rests[0][:, None] * rests[1][None, :]))
    cost: float = k * per_dimension + comparison + share * per_feature * left.shape[1]
    return cost


@dataclasses.dataclass(frozen=True)
class PreparedFilter:
    """A filter made ready for one sweep over all pairs."""

    rows: npt.NDArray[Any]
    arrays: tuple[SingleArray, SingleArray, SingleArray]
    strips: Any
    tolerance: float

    def arguments(self, start: int, stop: int) -> tuple[Any, ...]:
        """Return what the core needs to know of some left rows."""
        return (self.rows[start:stop], *(part[start:stop] for part in self.arrays), self.tolerance)


def spaced(length: int, count: int) -> npt.NDArray[np.intp]:
    """Return up to `count` evenly spaced places."""
    return np.linspace(0, length - 1, min(count, length)).astype(np.intp)


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Keep BLAS to one thread: its threads wait for each other by spinning, which on a busy machine takes seconds."""
    limited: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return limited


def _principal_directions(sample: SingleArray, count: int) -> SingleArray:
    """Return orthonormal columns near the leading principal directions, by one step of subspace iteration.

    Any orthonormal basis gives right answers; this one leaves few pairs open.  The start is the sample itself, so that
    no chance is involved.
    """
    start = sample[spaced(len(sample), count + 8)]
    spanned, _ = np.linalg.qr(sample.T @ (sample @ start.T))
    _, rotation = np.linalg.eigh((inner := sample @ spanned).T @ inner)
    basis = spanned @ rotation[:, ::-1]
    missing = count - basis.shape[1]
    if missing > 0:  # fewer examples than dimensions asked for: fewer will do
        count = basis.shape[1]
    return np.ascontiguousarray(basis[:, :count].astype(np.float32))
