"""Distances of floats by way of bytes: examples rounded to a grid decide most pairs, their features the rest.

Each example x is rounded to the nearest point of the grid ``low + step q`` with q a byte for each feature.  Distances
of grid points are ``step K`` for l1 and ``step sqrt(K)`` for l2, with whole numbers K, which the byte kernels compute
exactly and several times as fast as those of floats.  By the triangle inequality the distance of two examples is at
most ``e_x + e_y`` away from that of their grid points, with e the length of what the rounding took.  With E the sum of
the largest e of both sides, a pair is within the threshold t if that distance is at most ``t - E`` and is not if it is
above ``t + E``; what is in between is decided from the features.  Data that lie on a grid anyway, such as pixels
divided by 255, leave next to nothing open; for l2 any data without far outliers leave few pairs open.

The Euclidean e are computed in double precision: an entry of the rest is off by three roundings of at most 255 steps,
hence by less than ``2^-40 step``, and a square of it that underflows is smaller than that, since steps are at least
2^-400.  Those of l1 are at most ``sqrt(d)`` times as large.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core, exact
from lossfloor.distances.filter import spaced

_SAMPLE = 64
_MOST = 2**62  # limits beyond all K
#: Measured costs of a feature, where one of the float kernel that decides all pairs costs 1: of bytes, of an open pair.
_COSTS = {1: (0.1, 4.0), 2: (0.3, 4.0)}


class ByteRounding:
    """Examples on a grid of bytes, ready for any threshold.

    Parameters
    ----------
    order : int
        1 or 2.
    left, right : ndarray, shape (n, d) and (m, d), both float32 or both float64
        With entries of at most 2**100 in size.
    ranking : ndarray of int32, shape (d,), optional
        The features in the order in which differences tell early that a pair is far apart (l1).
    threads : int
    isa : str
        The most instructions that kernels may use.
    """

    def __init__(
        self,
        order: int,
        left: npt.NDArray[Any],
        right: npt.NDArray[Any],
        ranking: npt.NDArray[np.int32] | None = None,
        *,
        threads: int,
        isa: str,
    ) -> None:
        self._order, self._ranking = order, ranking
        self._left, self._right = left, right
        self._threads, self._isa = threads, isa
        low = np.minimum(left.min(axis=0), right.min(axis=0)).astype(np.float64)
        high = np.maximum(left.max(axis=0), right.max(axis=0)).astype(np.float64)
        self._low = low
        self._step = max(float((high - low).max()) / 255, 2.0**-400)  # squares of its parts must not underflow
        self._made: tuple[npt.NDArray[np.uint8], Any, float] | None = None

    def _bytes(self, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], float]:
        """Return rows as bytes, and a bound on the length of what the rounding took from each."""
        made, square = _core.round_to_bytes(rows, self._low, self._step, self._threads)
        d = rows.shape[1]
        error: float = math.sqrt(square) * (1 + (d + 8) * 2.0**-52) + math.sqrt(d) * 2.0**-40 * self._step
        return made, error * math.sqrt(d) * (1 + 2.0**-50) if self._order == 1 else error

    def cost(self, radius: Fraction) -> float:
        """Return the expected cost of a pair, from a sample of pairs; `ProjectionFilter.plan` has the same units."""
        d = self._left.shape[1]
        sides = (self._left, self._right)
        parts = [side[spaced(len(side), _SAMPLE)] for side in sides]
        error = sum(self._bytes(part)[1] for part in parts)
        a, b = (part.astype(np.float64) for part in parts)
        distances = np.array([np.linalg.norm(b - row, ord=self._order, axis=1) for row in a])
        share = float(np.mean(np.abs(distances - exact.nearest_double(radius)) <= error))
        per_byte, per_open = _COSTS[self._order]
        cost: float = d * (per_byte + per_open * share)
        return cost

    def prepare(self, radius: Fraction) -> PreparedRounding:
        """Make everything ready for sweeps with one threshold."""
        if self._made is None:
            left, left_error = self._bytes(self._left)
            right, right_error = self._bytes(self._right)
            kind = _core.RoundedF32 if self._right.dtype == np.float32 else _core.RoundedF64
            strips = kind(f"l{self._order}", self._right, right, self._ranking, self._isa)
            self._made = left, strips, math.nextafter(left_error + right_error, math.inf)
        rows, strips, error = self._made
        step, margin = Fraction(self._step), Fraction(error)
        inner = math.floor(((radius - margin) / step) ** self._order) if radius >= margin else -1
        outer = math.floor(((radius + margin) / step) ** self._order)
        return PreparedRounding(self._left, rows, strips, min(inner, _MOST), min(outer, _MOST))


@dataclasses.dataclass(frozen=True)
class PreparedRounding:
    """Rounded examples made ready for one sweep over all pairs, with the limits of K between which pairs are open."""

    rows: npt.NDArray[Any]
    bytes: npt.NDArray[np.uint8]
    strips: Any
    inner: int
    outer: int

    def within_bracket(
        self, start: int, stop: int, relative: float, lower: float, upper: float, threads: int
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
        """Tell who is within a threshold in [lower, upper] (l2: of squared distances), and which pairs are open."""
        bits, doubtful = self.strips.within_bracket(
            self.rows[start:stop], self.bytes[start:stop], self.inner, self.outer, relative, lower, upper, threads
        )
        return bits, doubtful
