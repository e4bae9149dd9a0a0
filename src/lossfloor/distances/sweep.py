"""All pairs of two sets of examples against thresholds: fast where rounding cannot matter, exact where it can."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core, exact
from lossfloor.distances import routes
from lossfloor.distances.exact_pairs import ExactPairs, distance_bounds
from lossfloor.distances.filter import (
    DIMENSIONS,
    FilterRadii,
    Plan,
    PreparedFilter,
    ProjectionFilter,
    rough_cost,
    spaced,
)
from lossfloor.distances.rounding import ByteRounding, PreparedRounding
from lossfloor.distances.rows import Rows, pairs_of, set_bits
from lossfloor.exact import Order

Bits = npt.NDArray[np.uint64]
Levels = npt.NDArray[np.uint8]

#: Products or differences of features that one call to the core may make: a fraction of a second.
_WORK_PER_CALL = 30_000_000_000
#: Products of features below which the set-up of the projection filter does not pay.
_LEAST_WORK_TO_FILTER = 400_000_000
#: A route that leaves more of the pairs open than this is given up for a more precise one.
_MOST_DOUBTFUL = 0.02
#: Measured: what a feature of the dense kernel costs with AVX-512 and VNNI, in the units of the filter's costs.
_WIDE_DENSE_COST = 0.55
#: Measured: what the projection of a row costs that the plan of the filter does not yet know, in the same units.
_PROJECTION_COST = 80_000.0
#: Measured: a rough estimate this far above the cost of another way rules the filter out without a plan of it.
_HOPELESS = 1.7
#: Pairs that are decided in one go in double precision.
_PAIRS_AT_ONCE = 4096


def thread_count() -> int:
    """Return how many threads the kernels use: ``LOSSFLOOR_NUM_THREADS``, or one for each core of this process."""
    wanted = os.environ.get("LOSSFLOOR_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class Radii:
    """How far each left and each right example may be moved, in units of the data.

    A pair conflicts when its distance is at most ``left[i] + right[j]``.  A tuple of length one stands for a radius
    that all examples of that side share.
    """

    left: tuple[Fraction, ...]
    right: tuple[Fraction, ...]

    @property
    def shared(self) -> Fraction | None:
        """The threshold of every pair, if there is only one."""
        return self.left[0] + self.right[0] if len(self.left) == len(self.right) == 1 else None

    def of_pair(self, i: int, j: int) -> Fraction:
        """Return the threshold of one pair."""
        return self.left[i if len(self.left) > 1 else 0] + self.right[j if len(self.right) > 1 else 0]


class PairSweep(ExactPairs):
    """All pairs of left and right examples under one l_p norm.

    Parameters
    ----------
    order : Fraction or None
        p of the norm, at least 1; None is the maximum norm.
    left, right : ndarray or Rows, shape (n, d) and (m, d)
        Integers, float32 or float64, without NaN and infinity.
    isa : str, default "avx512"
        The most instructions of the processor that kernels may use (for tests): "portable", "avx2" or "avx512".

    Notes
    -----
    Every answer is exact: a fast pass decides the pairs that its rounding bound allows (see
    `lossfloor.distances.routes`), double precision most of the rest, and rational arithmetic what is left.
    """

    def __init__(
        self, order: Order, left: npt.NDArray[Any] | Rows, right: npt.NDArray[Any] | Rows, *, isa: str = routes.BEST
    ) -> None:
        if not routes.looks_for_rows(order, left, right, isa):
            left, right = np.asarray(left), np.asarray(right)
        super().__init__(order, left, right)
        self._isa = isa
        #: What the projection filter planned at its last use.
        self.plan: Plan | None = None
        self._use(routes.choose(order, left, right, isa=isa))

    def _use(self, route: routes.Route) -> None:
        self.route = route
        self._strips_made: routes.Strips | None = None

    @property
    def _strips(self) -> routes.Strips:
        """The right examples as the dense kernel reads them; made when it is first needed."""
        if self._strips_made is None:
            order = 1.0 if self.order is None else float(self.order)
            self._strips_made = self.route.strips(order, thread_count(), self._isa)
        return self._strips_made

    @property
    def description(self) -> str:
        """How the distances are computed, for people."""
        if self._can_filter():
            return f"projection to {DIMENSIONS[0]} to {DIMENSIONS[-1]} dimensions first, then {self.route.name}"
        return ("rounding to bytes first, then " if self._rounding is not None else "") + self.route.name

    def _is_large(self) -> bool:
        """Tell whether there is enough work for a first pass to pay."""
        n, m = self.shape
        return n * m * int(self.left.shape[1]) >= _LEAST_WORK_TO_FILTER

    def _can_filter(self) -> bool:
        """Tell whether the projection filter can pay: Euclidean distances, many pairs, many features."""
        return self.order == 2 and self._is_large() and self.left.shape[1] >= DIMENSIONS[-1]

    def _float_sides(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], int] | None:
        """Return floats as they came and the exponent of the largest, if it is moderate."""
        left, right = self.left, self.right
        if left.dtype != right.dtype or left.dtype not in (np.float32, np.float64):
            return None
        centring = self.route.centring
        exponent = routes.exponent_of(left, right) if centring is None else centring.exponent
        return (left, right, exponent) if exponent in range(-100, 100) else None

    def _filter_sides(self) -> tuple[Any, Any, int] | None:
        """Return what a filter would be made of, if one can pay."""
        if not self._can_filter():
            return None
        whole = self.route.dtype in (np.uint8, np.int16)
        return (self.route.left, self.route.right, 0) if whole else self._float_sides()

    @functools.cached_property
    def _filter(self) -> ProjectionFilter | None:
        sides = self._filter_sides()
        return None if sides is None else ProjectionFilter(*sides, threads=thread_count(), isa=self._isa)

    @functools.cached_property
    def _rounding(self) -> ByteRounding | None:
        d = self.left.shape[1]
        if self.order == 2:
            order, ranking = 2, None
            can = self._can_filter() and self.route.centring is not None and routes.multiplies_bytes(d, self._isa)
        else:
            order, ranking = 1, self.route.ranking
            can = self.order == 1 and self._is_large() and not self.route.exact_keys and 255 * d < 2**31
        sides = self._float_sides() if can else None
        if sides is None:
            return None
        return ByteRounding(order, *sides[:2], ranking, threads=thread_count(), isa=self._isa)

    def _prepared_sums(self, radii: Radii) -> PreparedRounding | None:
        """Return the rounding made ready for l1, if it is expected to beat the dense kernel."""
        if radii.shared is None or self._rounding is None:
            return None
        cheaper = self._rounding.cost(radii.shared) < self.left.shape[1]
        return self._rounding.prepare(radii.shared) if cheaper else None

    def _prepared(self, radii: Radii) -> PreparedFilter | PreparedRounding | None:
        """Return the filter or the rounding made ready for these radii, if one is expected to beat the dense kernel."""
        if self.order != 2:
            return self._prepared_sums(radii)
        sides = self._filter_sides()
        if sides is None:
            return None
        chosen = self._filter_radii(radii, Fraction(2) ** -sides[2])
        if chosen.largest > 2.0**50:  # beyond all distances, and its square has no place in single precision
            return None
        n, m = self.shape
        shared = radii.shared
        wide = self.route.dtype == np.uint8 and _core.multiplies_bytes(self._isa)
        dense = self.left.shape[1] * (_WIDE_DENSE_COST if wide else 1.0)
        rounding = self._rounding
        rounded = math.inf if rounding is None or shared is None else rounding.cost(shared)
        self.plan = plan = None
        if rough_cost(*sides, chosen) < _HOPELESS * min(dense, rounded) and self._filter is not None:
            self.plan = plan = self._filter.plan(chosen)
        planned = math.inf if plan is None else plan.cost + _PROJECTION_COST * (1 / n + 1 / m)
        if rounding is not None and shared is not None and rounded < min(dense, planned):
            return rounding.prepare(shared)
        if plan is None or plan.cost >= dense or self._filter is None:
            return None
        return self._filter.prepare(chosen, plan)

    def _filter_radii(self, radii: Radii, scale: Fraction) -> FilterRadii:
        left = _as_doubles(radii.left, scale, 0, len(self.left), len(self.left))
        right = _as_doubles(radii.right, scale, 0, len(self.right), len(self.right))
        return FilterRadii.of(radii.shared, left, right, scale)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of left and of right examples."""
        return len(self.left), len(self.right)

    @property
    def words(self) -> int:
        """Words of 64 bits in a row of packed answers."""
        return (len(self.right) + 63) // 64

    def _chunks(self) -> Iterator[tuple[int, int]]:
        """Cut the rows into pieces that take a fraction of a second each, so that Ctrl-C and progress get through."""
        n, m = self.shape
        rows = int(_WORK_PER_CALL // max(1, m * self.left.shape[1])) // 48 * 48
        rows = max(96, min(rows, 48 * 1024))
        for start in range(0, n, rows):
            yield start, min(n, start + rows)

    def within(self, radii: Radii) -> Iterator[tuple[int, int, Bits]]:
        """Yield for successive rows who is within the threshold of whom.

        Yields
        ------
        start, stop : int
            The rows (left examples) that this piece is about.
        bits : ndarray of uint64, shape (stop - start, words)
            Bit c of word w of a row tells of right example 64 w + c; bits beyond the last example are zero.
        """
        prepared = self._prepared(radii)
        for start, stop in self._chunks():
            if prepared is not None:
                bits, doubtful = self._filtered(prepared, start, stop, radii)
                set_bits(bits, doubtful[self._decide(start, doubtful, radii)])
                yield start, stop, bits
                continue
            bits, doubtful = self._within(start, stop, radii)
            if self._too_doubtful(len(doubtful), stop - start):
                bits, doubtful = self._within(start, stop, radii)
            set_bits(bits, doubtful[self._decide(start, doubtful, radii)])
            yield start, stop, bits

    def _within(self, start: int, stop: int, radii: Radii) -> tuple[Bits, npt.NDArray[np.uint32]]:
        route, threads = self.route, thread_count()
        rows = route.rows(start, stop, threads)
        shared = radii.shared
        if shared is not None and route.metric == "linf" and rows.dtype == np.uint8:
            # Distances of bytes are bytes: a limit of 255 lets all pairs in.
            limit = min(math.floor(shared), 255)
            return _core.largest_within(rows, route.right, limit, threads, self._isa), _NO_PAIRS
        if shared is not None:
            if route.exact_keys:
                limit = min(self._whole_key(shared), 2**62)
                if rows.dtype in (np.uint8, np.int16):
                    data, at = _data_and_places(rows)
                    if route.metric == "l2" and rows.dtype == np.uint8 and len(rows) == len(self.left):
                        # Nobody else needs the strips: a piece of them at a time will do.
                        right, places = _data_and_places(route.right)
                        return _core.bytes_within(data, right, limit, threads, self._isa, at, places), _NO_PAIRS
                    return self._strips.within(data, limit, threads, at), _NO_PAIRS  # type: ignore[union-attr]
                # Keys are whole numbers: a threshold half-way between two of them is as good as the true one.
                middle = float(min(limit, 2**53)) + 0.5
                lower = upper = middle
            else:
                lower, upper = self._key_bracket(shared * route.scale)
            return self._strips.within_bracket(rows, route.relative, route.absolute, lower, upper, threads)
        left = _as_doubles(radii.left, route.scale, start, stop, len(self.left))
        right = _as_doubles(radii.right, route.scale, 0, len(self.right), len(self.right))
        # Radii below all normal doubles are rounded by up to 2^-1074.
        absolute = route.absolute + 2.0**-1060
        slack = routes.roundings_of_power(self.order) * 2.0**-48
        return self._strips.within_radii(np.asarray(rows), route.relative, absolute, left, right, slack, threads)

    def _filtered(
        self, prepared: PreparedFilter | PreparedRounding, start: int, stop: int, radii: Radii
    ) -> tuple[Bits, npt.NDArray[np.uint32]]:
        threads = thread_count()
        whole = prepared.rows.dtype.kind in "iu"
        # Keys of open pairs are sums of squares of differences: d + 4 roundings, in double precision.
        relative = 0.0 if whole else 1.01 * routes.gamma(self.left.shape[1] + 4, 2.0**-53)
        shared = radii.shared
        if isinstance(prepared, PreparedRounding):
            assert shared is not None
            return prepared.within_bracket(start, stop, relative, *self._key_bracket(shared), threads)
        arguments = prepared.arguments(start, stop)
        if shared is None:
            left = _as_doubles(radii.left, Fraction(1), start, stop, len(self.left))
            right = _as_doubles(radii.right, Fraction(1), 0, len(self.right), len(self.right))
            bits, doubtful, _ = prepared.strips.within_radii(*arguments, relative, left, right, 2.0**-46, threads)
            return bits, doubtful
        if whole:
            limit = min(math.floor(shared**2), 2**62)
            bits, _ = prepared.strips.within(*arguments, limit, threads)
            return bits, _NO_PAIRS
        bits, doubtful, _ = prepared.strips.within_bracket(*arguments, relative, *self._key_bracket(shared), threads)
        return bits, doubtful

    def _whole_key(self, radius: Fraction) -> int:
        """Turn a threshold of distances into one of keys that are whole numbers."""
        power = 1 if self.order is None else self.order.numerator
        return math.floor((radius * self.route.scale) ** power)

    def _key_bracket(self, radius: Fraction) -> tuple[float, float]:
        """Turn a threshold of distances into a bracket of that of keys."""
        return exact.bracket(radius) if self.order is None else exact.power_bracket(radius, self.order)

    def _too_doubtful(self, count: int, rows: int) -> bool:
        """Change to a more precise route when the present one leaves too much open; tell whether that was done."""
        if self.route.dtype != np.float32 or self.order != 2:
            return False
        if count <= max(1000, _MOST_DOUBTFUL * rows * len(self.right)):
            return False
        self._use(routes.choose(self.order, self.left, self.right, precise=True, isa=self._isa))
        return True

    def _decide(self, start: int, pairs: npt.NDArray[np.uint32], radii: Radii) -> npt.NDArray[np.bool_]:
        """Decide the pairs that a fast pass left open: in double precision, then in rationals."""
        answer = np.zeros(len(pairs), dtype=np.bool_)
        for begin in range(0, len(pairs), _PAIRS_AT_ONCE):
            piece = pairs[begin : begin + _PAIRS_AT_ONCE]
            lefts, rights = piece[:, 0].astype(np.intp) + start, piece[:, 1].astype(np.intp)
            low, high = self._bounds(lefts, rights)
            lower, upper = self._pair_thresholds(lefts, rights, radii)
            answer[begin : begin + len(piece)] = high <= lower
            for k in np.flatnonzero(~((high <= lower) | (low > upper))).tolist():
                i, j = int(lefts[k]), int(rights[k])
                answer[begin + k] = self.at_most(i, j, radii.of_pair(i, j))
        return answer

    def _pair_thresholds(
        self, lefts: npt.NDArray[np.intp], rights: npt.NDArray[np.intp], radii: Radii
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Bound the thresholds of some pairs as `_bounds` counts: one for each, or one for all."""
        if radii.shared is not None:
            bounds = [self._threshold_bounds(radii.shared)]
        else:
            pairs = zip(lefts.tolist(), rights.tolist(), strict=True)
            bounds = [self._threshold_bounds(radii.of_pair(i, j)) for i, j in pairs]
        both = np.array(bounds, dtype=np.float64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def _threshold_bounds(self, threshold: Fraction) -> tuple[float, float]:
        """Bound a threshold as `_bounds` counts."""
        if self.route.exact_keys:
            return self._key_bracket(threshold)
        return exact.bracket(threshold * exact.power_of_two(-self._shift))

    @functools.cached_property
    def _shift(self) -> int:
        """Distances times ``2**-shift`` do not overflow."""
        return max(0, routes.exponent_of(self.left, self.right) - 960)

    def _bounds(
        self, lefts: npt.NDArray[np.intp], rights: npt.NDArray[np.intp]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Bound some pairs from the differences of their features: keys that are whole numbers, else distances."""
        a, b = self.left[lefts], self.right[rights]
        if not self.route.exact_keys:
            return distance_bounds(self.order, a, b, self._shift)
        # Whole numbers, and sums of their powers, below 2^53.
        steps = np.abs(a.astype(np.int64) - b.astype(np.int64))
        keys = steps.max(axis=1) if self.order is None else (steps**self.order.numerator).sum(axis=1)
        return keys.astype(np.float64), keys.astype(np.float64)

    def nearest(self) -> tuple[int, int, Fraction]:
        """Find a pair at the smallest distance.

        Returns
        -------
        i, j : int
            Positions of the left and of the right example; of several pairs at the smallest distance the first.
        key : Fraction
            See `key`.

        Notes
        -----
        A pruned search: among some of the pairs that are left the nearest is found exactly, and a pass over all pairs
        leaves those that are not farther, until few are left.  Passes with almost no pair in reach are quick.
        """
        n, m = self.shape
        pairs = np.stack(np.meshgrid(spaced(n, 64), spaced(m, 64), indexing="ij"), axis=-1).reshape(-1, 2)
        while True:
            _, _, key = self.nearest_of(pairs)
            radius = self.radius_at_least(key)
            pairs = np.concatenate(
                [pairs_of(start, bits) for start, _, bits in self.within(Radii((radius,), (Fraction(0),)))]
            )
            some = pairs[spaced(len(pairs), _PAIRS_AT_ONCE)]
            # Few pairs, or many at what may well be the smallest distance: look at all of them.
            if len(some) == len(pairs) or self.nearest_of(some)[2] == key:
                return self.nearest_of(pairs)
            pairs = some

    def _bounds_in_pieces(self, pairs: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        pieces = [
            self._bounds(piece[:, 0], piece[:, 1])
            for piece in np.array_split(pairs, max(1, -(-len(pairs) // _PAIRS_AT_ONCE)))
        ]
        return np.concatenate([low for low, _ in pieces]), np.concatenate([high for _, high in pieces])

    def nearest_of(self, pairs: npt.NDArray[np.intp]) -> tuple[int, int, Fraction]:
        """Find the nearest of some pairs, shape (k, 2) with k > 0, in ascending order; see `nearest`."""
        low, high = self._bounds_in_pieces(pairs)
        candidates = pairs[low <= high.min()]
        if self.route.exact_keys:
            candidates = candidates[:1]  # the others have the same key
        keyed = [(self.key(i, j), i, j) for i, j in candidates.tolist()]
        key, i, j = min(keyed)
        return i, j, key

    def levels(self, thresholds: Sequence[Fraction]) -> Iterator[tuple[int, int, Levels]]:
        """Yield for successive rows the place of each distance among ascending thresholds.

        Parameters
        ----------
        thresholds : sequence of Fraction
            1 to 255 distances, ascending.

        Yields
        ------
        start, stop : int
            The rows that this piece is about.
        levels : ndarray of uint8, shape (stop - start, m)
            How many of the thresholds are smaller than the distance: the pair is within ``thresholds[level]`` and
            all later ones.
        """
        for start, stop in self._chunks():
            levels, doubtful = self._levels(start, stop, thresholds)
            if self._too_doubtful(len(doubtful), stop - start):
                levels, doubtful = self._levels(start, stop, thresholds)
            self._decide_levels(start, levels, doubtful, thresholds)
            yield start, stop, levels

    def _decide_levels(
        self, start: int, levels: Levels, pairs: npt.NDArray[np.uint32], thresholds: Sequence[Fraction]
    ) -> None:
        """Decide the levels that a fast pass left open: in double precision, then in rationals."""
        lower, upper = np.array([self._threshold_bounds(threshold) for threshold in thresholds]).T
        for begin in range(0, len(pairs), _PAIRS_AT_ONCE):
            rows, columns = pairs[begin : begin + _PAIRS_AT_ONCE].astype(np.intp).T
            low, high = self._bounds(rows + start, columns)
            least = np.searchsorted(upper, low)  # so many thresholds are surely below the distance
            most = np.searchsorted(lower, high)  # all later ones are surely not
            levels[rows, columns] = least
            for k in np.flatnonzero(least < most).tolist():
                i, j = int(rows[k]), int(columns[k])
                within = functools.partial(self.at_most, start + i, j)
                levels[i, j] = bisect.bisect_left(thresholds, True, lo=int(least[k]), hi=int(most[k]), key=within)

    def _levels(self, start: int, stop: int, thresholds: Sequence[Fraction]) -> tuple[Levels, npt.NDArray[np.uint32]]:
        route, strips, threads = self.route, self._strips, thread_count()
        rows = np.asarray(route.rows(start, stop, threads))
        if route.exact_keys:
            limits = [self._whole_key(threshold) for threshold in thresholds]
            if rows.dtype in (np.uint8, np.int16):
                whole = np.array([min(limit, 2**31 - 1) for limit in limits], dtype=np.int32)
                return strips.levels(rows, whole, threads), _NO_PAIRS  # type: ignore[union-attr]
            pairs = [(float(min(limit, 2**53)) + 0.5,) * 2 for limit in limits]
        else:
            pairs = [self._key_bracket(threshold * route.scale) for threshold in thresholds]
        return strips.levels_bracket(rows, route.relative, route.absolute, np.array(pairs, dtype=np.float64), threads)


_NO_PAIRS = np.empty((0, 2), dtype=np.uint32)


def _data_and_places(rows: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    return (rows.data, rows.places) if isinstance(rows, Rows) else (rows, None)


def _as_doubles(
    radii: tuple[Fraction, ...], scale: Fraction, start: int, stop: int, count: int
) -> npt.NDArray[np.float64]:
    if len(radii) == 1:
        return np.full(stop - start, _finite(radii[0] * scale))
    if len(radii) != count:
        raise ValueError(f"expected {count} radii, got {len(radii)}")
    return np.array([_finite(radius * scale) for radius in radii[start:stop]])


def _finite(value: Fraction) -> float:
    """Round to a double; a radius beyond them all is as good as one beyond all data (below 2^962, see the routes)."""
    return float(min(value, Fraction(2) ** 1000))
