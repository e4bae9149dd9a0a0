"""Tools for deciding pairs: packed answers, exact order of ends, decisions by bounds, critical budgets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._checks import must
from lossfloor.adversaries.base import Index
from lossfloor.graphs.rows import BitRows

Flags = npt.NDArray[np.bool_]

#: Pairs of examples that are decided together.
_PAIRS_AT_ONCE = 1 << 21
#: Below this share of the pairs of a piece, the remaining ones are listed and tested one by one.
_FEW = 1 / 32

_LARGEST = float(np.finfo(np.float64).max)

#: Unit of rounding of double precision.
U = 2.0**-53


def pack(flags: Flags) -> npt.NDArray[np.uint64]:
    """Pack a boolean matrix, shape (n, m), to bits, shape (n, ceil(m / 64))."""
    padded = np.zeros((flags.shape[0], -(-flags.shape[1] // 64) * 64), dtype=np.bool_)
    padded[:, : flags.shape[1]] = flags
    bits = np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64, copy=False)
    return np.ascontiguousarray(bits)


def unpack(bits: npt.NDArray[np.uint64], m: int) -> Flags:
    """Reverse `pack` for `m` columns."""
    octets = np.ascontiguousarray(bits).astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(octets, axis=1, count=m, bitorder="little").astype(np.bool_)


def bit_rows(start: int, flags: Flags, undecided: Flags | None = None) -> BitRows:
    """Make the rows from `start` on of a boolean matrix a piece of `conflicts`."""
    undecided_bits = None if undecided is None or not undecided.any() else pack(undecided)
    return BitRows(start, start + len(flags), pack(flags), undecided_bits)


def row_pieces(n: int, m: int, width: int = 1) -> Iterator[tuple[int, int]]:
    """Cut `n` rows of `m` pairs into pieces of bounded memory, with `width` numbers for each pair."""
    rows = max(1, _PAIRS_AT_ONCE // max(1, m * width))
    for start in range(0, n, rows):
        yield start, min(n, start + rows)


def decide(
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    limit_low: npt.NDArray[np.float64],
    limit_high: npt.NDArray[np.float64],
    exactly: Callable[[int, int], bool],
) -> Flags:
    """Decide which distances are at most their limits, from bounds on both and an exact test for the rest.

    Parameters
    ----------
    low, high : ndarray, shape (n, m)
        Bounds of the distances; NaN counts as unknown.
    limit_low, limit_high : ndarray, broadcastable to (n, m)
        Bounds of the limits.
    exactly : callable
        Decides the pair (i, j).
    """
    flags = np.asarray(high <= limit_low)
    undecided = ~flags & ~(low > limit_high)
    for i, j in np.argwhere(undecided).tolist():
        flags[i, j] = exactly(i, j)
    return flags


def double_bounds(values: Sequence[Fraction]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the doubles next below and next above each of some rationals."""
    known = {value: exact.bracket(value) for value in set(values)}
    pairs = np.array([known[value] for value in values], dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def sum_bounds(
    left: Sequence[Fraction], right: Sequence[Fraction]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Bound the sums of the radii of all pairs; a side of length one is shared.  Shapes (n or 1, m or 1)."""
    (low_a, high_a), (low_b, high_b) = double_bounds(left), double_bounds(right)
    with np.errstate(over="ignore"):
        low, high = low_a[:, None] + low_b[None, :], high_a[:, None] + high_b[None, :]
        return np.minimum(low, _LARGEST) * (1 - 2 * U), high * (1 + 2 * U)


def fractions(row: npt.NDArray[Any]) -> list[Fraction]:
    """Return the exact values of a row of numbers."""
    return [Fraction(value) for value in row.tolist()]


class Ends:
    """Ends of intervals ``x + shift`` of one feature, compared exactly by their ranks.

    Parameters
    ----------
    table : sequence of Fraction, inf or -inf
        The distinct shifts.
    """

    def __init__(self, table: Sequence[Fraction | float]) -> None:
        self._table = table
        self._groups: list[tuple[npt.NDArray[Any], npt.NDArray[np.intp]]] = []

    def add(self, values: npt.NDArray[Any], codes: npt.NDArray[np.intp] | int) -> None:
        """Add the ends ``values[i] + table[codes[i]]``."""
        self._groups.append((values, np.broadcast_to(np.asarray(codes, dtype=np.intp), values.shape)))

    def ranks(self) -> list[npt.NDArray[np.int64]]:
        """Return for each group numbers that compare as its ends do, equal exactly where those are equal."""
        whole = self._integers()
        if whole is not None:
            return whole
        sizes = [len(values) for values, _ in self._groups]
        all_values = np.concatenate([values for values, _ in self._groups])
        codes = np.concatenate([codes for _, codes in self._groups])
        _, places = np.unique(all_values, return_inverse=True)
        _, first, inverse = np.unique(places * len(self._table) + codes, return_index=True, return_inverse=True)
        ranks = self._rank(all_values[first], codes[first])[inverse]
        return np.split(ranks, np.cumsum(sizes)[:-1])

    def _integers(self) -> list[npt.NDArray[np.int64]] | None:
        """Return the ends as whole numbers over a common denominator, where those are small enough."""
        finite = [shift for shift in self._table if isinstance(shift, Fraction)]
        denominator = math.lcm(*(shift.denominator for shift in finite))
        largest = max((abs(shift) for shift in finite), default=Fraction(0))
        if any(values.dtype.kind not in "iu" for values, _ in self._groups):
            return None
        extent = max(max(abs(int(v.min())), abs(int(v.max()))) for v, _ in self._groups if len(v))
        if denominator * (extent + largest) >= 2**61:
            return None
        beyond = 2**62
        shifts = np.array(
            [
                int(shift * denominator) if isinstance(shift, Fraction) else int(math.copysign(beyond, shift))
                for shift in self._table
            ],
            dtype=np.int64,
        )
        endless = np.abs(shifts) == beyond
        return [
            np.where(endless[codes], shifts[codes], values.astype(np.int64) * denominator + shifts[codes])
            for values, codes in self._groups
        ]

    def _rank(self, values: npt.NDArray[Any], codes: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
        # A quarter of everything, so that no sum of doubles overflows.
        numbers = np.array([_quarter(shift) for shift in self._table])[codes]
        quarters = values.astype(np.float64) / 4
        sizes = np.abs(quarters) + np.where(np.isfinite(numbers), np.abs(numbers), 0.0)
        near = quarters + numbers
        # Converting the value, the shift and adding: a relative error of 2^-53 each, and some to spare.
        margin = 8 * U * float(sizes.max(initial=0.0)) + 2.0**-1070
        order = np.argsort(near, kind="stable")
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.diff(near[order]) > 2 * margin  # inf - inf is NaN: not apart, hence equal below
        ranks = np.empty(len(order), dtype=np.int64)
        step = len(order) + 1
        begins = np.flatnonzero(np.concatenate([[True], apart]))
        for number, (begin, end) in enumerate(zip(begins, [*begins[1:], len(order)], strict=True)):
            cluster = order[begin:end]
            if end - begin == 1 or not np.isfinite(near[cluster[0]]):
                ranks[cluster] = number * step
                continue
            ends = [Fraction(values[i].item()) + self._finite(codes[i]) for i in cluster]
            place = {value: k for k, value in enumerate(sorted(set(ends)))}
            ranks[cluster] = [number * step + place[value] for value in ends]
        return ranks

    def _finite(self, code: int) -> Fraction:
        shift = self._table[code]
        if not isinstance(shift, Fraction):
            raise ValueError(must("shift", "finite", shift))
        return shift


def _quarter(shift: Fraction | float) -> float:
    """Round a quarter of a shift to a double; one beyond the largest double stays beyond all data."""
    if not isinstance(shift, Fraction):
        return shift
    return float(min(max(shift / 4, Fraction(-(10**308))), Fraction(10**308)))


def all_features(n: int, m: int, d: int, feature: Callable[[Any, Any, int], Flags]) -> Iterator[tuple[int, int, Flags]]:
    """Yield, some rows at a time, which pairs pass a test in every feature.

    Parameters
    ----------
    n, m, d : int
        Number of left and right examples and of features.
    feature : callable
        ``feature(rows, columns, j)`` tests pairs in feature j: `rows` and `columns` are index arrays or
        slices that broadcast against each other.
    """
    ranking = _selective_features(n, m, d, feature)
    for start, stop in row_pieces(n, m):
        flags = np.ones((stop - start, m), dtype=np.bool_)
        few = _FEW * flags.size
        pairs: tuple[Index, Index] | None = None
        rows = np.arange(start, stop, dtype=np.intp)[:, None]
        columns = np.arange(m, dtype=np.intp)[None, :]
        for j in ranking:
            if pairs is None:
                flags &= feature(rows, columns, j)
                if np.count_nonzero(flags) <= few:
                    at_row, at_column = np.nonzero(flags)
                    pairs = at_row, at_column
                continue
            kept = feature(pairs[0] + start, pairs[1], j)
            pairs = pairs[0][kept], pairs[1][kept]
            if len(pairs[0]) == 0:
                break
        if pairs is not None:
            flags[:] = False
            flags[pairs] = True
        yield start, stop, flags


def _selective_features(n: int, m: int, d: int, feature: Callable[[Any, Any, int], Flags]) -> list[int]:
    """Order the features so that those which few pairs pass come first."""
    rows = np.unique(np.linspace(0, n - 1, min(n, 48)).astype(np.intp))[:, None]
    columns = np.unique(np.linspace(0, m - 1, min(m, 48)).astype(np.intp))[None, :]
    passing = [int(np.count_nonzero(feature(rows, columns, j))) for j in range(d)]
    ranking: list[int] = np.argsort(passing, kind="stable").tolist()
    return ranking


def least_double(estimate: float, conflicting: Callable[[Fraction], bool]) -> float:
    """Return the least double, read as its decimal representation, from which on a monotone test holds.

    Parameters
    ----------
    estimate : float
        A number near the answer, at least 0.
    conflicting : callable
        False below some number and true from it on.
    """

    def holds(number: float) -> bool:
        return conflicting(Fraction(repr(number)))

    step = 1
    low = high = min(max(estimate, 0.0), _LARGEST)
    while not holds(high):
        if high >= _LARGEST:
            return math.inf
        low, high = high, min(high + step * math.ulp(high), _LARGEST)
        step *= 2
    step = 1
    while low > 0 and holds(low):
        low, high = max(low - step * math.ulp(low), 0.0), low
        step *= 2
    if low == high or holds(low):
        return low
    while (between := low + (high - low) / 2) not in (low, high):
        low, high = (low, between) if holds(between) else (between, high)
    return high


def critical_matrix(n: int, m: int, of_pair: Callable[[int, int], float]) -> npt.NDArray[np.float64]:
    """Fill a matrix pair by pair."""
    answer = np.empty((n, m), dtype=np.float64)
    for i in range(n):
        for j in range(m):
            answer[i, j] = of_pair(i, j)
    return answer
