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
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core, exact
from lossfloor.distances.routes import exponent_of, gamma

_U32 = 2.0**-24
_SAFETY = 1.01
_SAMPLE = 192
#: Dimensions to choose from; the basis is made for the last.
DIMENSIONS = (16, 32, 48, 64)
#: Costs of a pair in products of the dense kernel: the comparison of the filter, and a feature of an open pair.
_COST_OF_COMPARISON = 18.0
_COST_OF_FEATURE = {np.dtype(np.int16): 1.6, np.dtype(np.float32): 4.0, np.dtype(np.float64): 5.0}

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class _Side:
    """One side of the pairs."""

    rows: npt.NDArray[Any]
    coordinates: SingleArray
    squares: FloatArray
    kept: FloatArray  # kept[i, j]: squared length of the first DIMENSIONS[j] coordinates


class ProjectionFilter:
    """Examples with their projections, ready for any threshold.

    Parameters
    ----------
    left, right : ndarray, shape (n, d) and (m, d), of one dtype
        int16 (with squared distances below 2**31), float32 or float64.
    threads : int
    portable : bool
        Leave wider instructions of the processor unused.
    """

    def __init__(self, left: npt.NDArray[Any], right: npt.NDArray[Any], *, threads: int, portable: bool) -> None:
        self.threads = threads
        self._portable = portable
        d = left.shape[1]
        self._whole = left.dtype == np.int16
        self._exponent = 0 if self._whole else -exponent_of(left, right)
        scale = math.ldexp(1.0, self._exponent)
        # Directions from few examples do nearly as well, and must not cost more than they save.
        parts = [_some(side, min(256, max(96, len(side) // 16))) for side in (left, right)]
        sample = np.concatenate(parts).astype(np.float64) * scale
        # Whole numbers come centred, and stay whole so that rounding them to single precision changes nothing.
        centre = np.zeros(d) if self._whole else sample.mean(axis=0)
        basis = _principal_directions(sample - centre, min(DIMENSIONS[-1], d))
        self._dimensions = [k for k in DIMENSIONS if k <= basis.shape[1]] or [basis.shape[1]]
        gram = basis.T.astype(np.float64) @ basis.astype(np.float64)
        delta = float(np.linalg.norm(gram - np.eye(len(gram)))) + d * len(gram) * 2.0**-50
        self._error = _SAFETY * (math.sqrt(len(gram)) * gamma(d + 8, _U32) * (1 + delta) + delta)
        kappa = 0.0 if self._whole else _U32 + 2.0**-52
        self._conversion = 2 * kappa * (2 + kappa)
        self._left = self._side(left, centre, scale, basis)
        self._right = self._side(right, centre, scale, basis)

    @property
    def scale(self) -> Fraction:
        """Projections are of the data times this power of two."""
        return Fraction(2) ** self._exponent

    def _side(self, rows: npt.NDArray[Any], centre: FloatArray, scale: float, basis: SingleArray) -> _Side:
        coordinates, squares = _core.project(rows, centre, scale, basis, self.threads, self._portable)
        parts, begin = [], 0
        for k in self._dimensions:
            piece = coordinates[:, begin:k]
            parts.append(np.einsum("ij,ij->i", piece, piece, dtype=np.float64))
            begin = k
        return _Side(rows, coordinates, squares, np.cumsum(np.stack(parts, axis=1), axis=1))

    def plan(self, radii: FilterRadii) -> Plan:
        """Choose the number of dimensions by the share of a sample of pairs that each leaves open."""
        d = self._left.rows.shape[1]
        per_feature = _COST_OF_FEATURE[self._left.rows.dtype]
        rows = np.linspace(0, len(self._left.rows) - 1, min(_SAMPLE, len(self._left.rows))).astype(np.intp)
        columns = np.linspace(0, len(self._right.rows) - 1, min(_SAMPLE, len(self._right.rows))).astype(np.intp)
        plans = []
        for place, k in enumerate(self._dimensions):
            left = self._arrays(self._left, radii.left, radii, place, rows)
            right = self._arrays(self._right, radii.right, radii, place, columns)
            signal = left[0] @ right[0].T - (left[1][:, None] + right[1][None, :])
            share = float(np.mean(np.abs(signal) <= left[2][:, None] * right[2][None, :] + radii.tolerance(self)))
            plans.append(Plan(place, k, share, k + _COST_OF_COMPARISON + share * per_feature * d))
        return min(plans, key=lambda plan: plan.cost)

    def _arrays(
        self, side: _Side, own: FloatArray, radii: FilterRadii, place: int, chosen: Any = slice(None)
    ) -> tuple[SingleArray, SingleArray, SingleArray]:
        """Return coordinates, offsets h and rests q of some rows of one side."""
        k = self._dimensions[place]
        coordinates = side.coordinates[chosen, :k]
        squares, kept = side.squares[chosen], side.kept[chosen, place]
        if radii.shared is None:
            own = own[chosen]
            coordinates = np.concatenate([coordinates, own[:, None].astype(np.float32)], axis=1)
            offset, sizes = (squares - own**2) / 2, squares + own**2
        else:
            offset, sizes = (squares - radii.shared**2 / 2) / 2, squares
        e = self._error
        product_error = _SAFETY * (gamma(k + 9, _U32) + 2 * e + e * e + 4 * _U32)
        rest = np.maximum(squares - kept, 0) + (2 * e + 2 * e * e + 8 * _U32) * squares + product_error * sizes
        return (
            np.ascontiguousarray(coordinates),
            offset.astype(np.float32),
            (np.sqrt(rest) * (1 + 4 * _U32)).astype(np.float32),
        )

    def prepare(self, radii: FilterRadii, plan: Plan) -> PreparedFilter:
        """Make everything ready for one sweep."""
        left = self._arrays(self._left, radii.left, radii, plan.place)
        right = self._arrays(self._right, radii.right, radii, plan.place)
        kinds: dict[Any, Any] = {
            np.int16: _core.FilterI16,
            np.float32: _core.FilterF32,
            np.float64: _core.FilterF64,
        }
        strips = kinds[self._right.rows.dtype.type](self._right.rows, *right, self._portable)
        return PreparedFilter(self._left.rows, left, strips, float(np.float32(radii.tolerance(self) * (1 + 4 * _U32))))

    def sizes(self) -> tuple[float, float]:
        """Return the largest squared length on each side."""
        return float(self._left.squares.max()), float(self._right.squares.max())

    @property
    def conversion(self) -> float:
        """What rounding to single precision does to squared distances, relative to the sum of squared lengths."""
        return self._conversion


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

    def tolerance(self, owner: ProjectionFilter) -> float:
        """Return the bound on the rounding of h and of the sums."""
        first, second = owner.sizes()
        largest = first + second + self.largest**2
        return 8 * _U32 * largest + owner.conversion * (first + second) + 2.0**-120


@dataclasses.dataclass(frozen=True)
class Plan:
    """A number of dimensions, the share of pairs it is expected to leave open, and the expected cost of a pair."""

    place: int
    dimensions: int
    open_share: float
    cost: float


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


def _some(rows: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """Return up to `count` rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.intp)]


def _principal_directions(sample: FloatArray, count: int) -> SingleArray:
    """Return orthonormal columns near the leading principal directions, by one step of subspace iteration.

    Any orthonormal basis gives right answers; this one leaves few pairs open.  The start is the sample itself, so that
    no chance is involved.
    """
    start = _some(sample, count + 8)
    spanned, _ = np.linalg.qr(sample.T @ (sample @ start.T))
    _, rotation = np.linalg.eigh((inner := sample @ spanned).T @ inner)
    basis = spanned @ rotation[:, ::-1]
    missing = count - basis.shape[1]
    if missing > 0:  # fewer examples than dimensions asked for: fewer will do
        count = basis.shape[1]
    return np.ascontiguousarray(basis[:, :count].astype(np.float32))
