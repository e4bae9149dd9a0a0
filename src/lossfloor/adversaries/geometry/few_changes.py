"""Adversaries that may change at most k features: which example of a pair changes which feature.

Let an example u be allowed k_u changes and v be allowed k_v, and let each feature have a set of values that u
can give it and one that v can.  A common point takes in each feature either the value of u (v changes it), or
that of v (u changes it), or a third one (both change it).  Where u and v differ, call the feature

- *hard* if only a third value is in both sets: one change of each,
- *for u* if u can take the value of v, but v not that of u: one change of u; *for v* the other way round,
- *easy* if both can: one change of either.

Changing more never helps.  With h, f_u, f_v and e of these, the easy ones can be shared out, s to u and e
- s to v, exactly when ``h + f_u + s <= k_u`` and ``h + f_v + e - s <= k_v`` for some s from 0 to e, which is
  to say when

    h + f_u <= k_u,   h + f_v <= k_v,   2 h + f_u + f_v + e <= k_u + k_v,

and no feature is impossible (no common value at all).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.adversaries.base import Index, as_budgets
from lossfloor.adversaries.geometry.deciding import Flags, row_pieces


class Ways(NamedTuple):
    """How pairs can be brought together in one feature.

    Attributes
    ----------
    differ : ndarray of bool
        The values are different.
    by_left, by_right : ndarray of bool
        The left example can take the value of the right one; the right one that of the left.
    together : ndarray of bool
        Some value can be taken by both.
    """

    differ: Flags
    by_left: Flags
    by_right: Flags
    together: Flags


class Tally(NamedTuple):
    """Changes that are needed: of the left example, of the right one, and of either."""

    left: int
    right: int
    either: int

    def suffices(self, k_left: int, k_right: int) -> bool:
        """Return whether budgets of changes allow them."""
        return (
            self.left <= k_left and self.right <= k_right and self.left + self.right + self.either <= k_left + k_right
        )

    def least(self) -> int:
        """Return the least budget that suffices if both examples have it."""
        total = self.left + self.right + self.either
        return max(self.left, self.right, -(-total // 2))


def as_counts(name: str, k: Any) -> tuple[int, ...]:
    """Read one number of changes, or one for each example: whole numbers of at least 0."""
    budgets = as_budgets(name, k)
    for budget in budgets:
        if budget.denominator != 1:
            raise ValueError(must(name, "a whole number", float(budget)))
        if budget >= 2**31:
            raise ValueError(must(name, "below 2**31", budget.numerator))
    return tuple(budget.numerator for budget in budgets)


def pick_counts(counts: tuple[int, ...], index: Index | None, count: int) -> list[int]:
    """Return the budgets of `count` examples."""
    if len(counts) == 1:
        return list(counts) * count
    if index is None:
        if len(counts) != count:
            raise ValueError(must("index", "given, since each example has its own budget", None))
        return list(counts)
    return [counts[i] for i in index.tolist()]


def show_counts(counts: tuple[int, ...]) -> str:
    """Print budgets shortly."""
    if len(counts) == 1:
        return str(counts[0])
    return f"<{len(counts)} from {min(counts)} to {max(counts)}>"


def config_counts(counts: tuple[int, ...]) -> int | list[int]:
    """Return budgets as JSON can hold them."""
    return counts[0] if len(counts) == 1 else list(counts)


class Feature(NamedTuple):
    """One feature of all examples, as numbers of distinct kinds and the ways of each two kinds.

    Attributes
    ----------
    left, right : ndarray of intp, shape (n,) and (m,)
        The kind of each example: two of one kind behave alike.
    n_left, n_right : int
        How many kinds there are.
    ways : callable
        The ways of kinds, given as two index arrays that broadcast against each other.
    """

    left: Index
    right: Index
    n_left: int
    n_right: int
    ways: Callable[[Index, Index], Ways]


#: Tables of ways up to this size are made once and looked up.
_LARGEST_TABLE = 1 << 16
#: The tally of a pair is one number: changes of the left example, of the right one, of either, impossible
#: features.
_RIGHT, _EITHER, _IMPOSSIBLE = 20, 40, 60


def within_changes(
    k_left: list[int], k_right: list[int], d: int, feature: Callable[[int], Feature]
) -> Iterator[tuple[int, int, Flags]]:
    """Yield, some rows at a time, which pairs can be brought together within their budgets of changes.

    Parameters
    ----------
    k_left, k_right : list of int
        Changes that each left and each right example may make.
    d : int
        Number of features, below 2**19.
    feature : callable
        ``feature(j)`` describes feature j.
    """
    n, m = len(k_left), len(k_right)
    most_left, most_right = (np.minimum(side, d).astype(np.uint64) for side in (k_left, k_right))
    mask = np.uint64((1 << _RIGHT) - 1)
    for start, stop in row_pieces(n, m):
        tally = np.zeros((stop - start, m), dtype=np.uint64)
        pairs: tuple[Index, Index] | None = None
        for j in range(d):
            f = feature(j)
            left = f.left[start:stop]
            if f.n_left * f.n_right <= _LARGEST_TABLE:
                table = _packed(f.ways(np.arange(f.n_left)[:, None], np.arange(f.n_right)[None, :]))
                tally += table[left[pairs[0]], f.right[pairs[1]]] if pairs else table[:, f.right][left]
            else:
                tally += _packed(
                    f.ways(left[pairs[0]], f.right[pairs[1]]) if pairs else f.ways(left[:, None], f.right[None, :])
                )
            if j % 8 != 7 and j != d - 1:
                continue  # there is room for so many impossible features
            at_row, at_column = pairs or (np.arange(stop - start)[:, None], np.arange(m)[None, :])
            a, b = most_left[start:stop][at_row], most_right[at_column]
            by_left, by_right = tally & mask, tally >> np.uint64(_RIGHT) & mask
            either = tally >> np.uint64(_EITHER)  # an impossible feature makes it larger than any budget
            alive = (by_left <= a) & (by_right <= b) & (by_left + by_right + either <= a + b)
            if pairs is None and 4 * np.count_nonzero(alive) <= alive.size:
                at = np.nonzero(alive)
                pairs = at[0], at[1]
                tally = tally[alive]
            elif pairs is not None:
                pairs = pairs[0][alive], pairs[1][alive]
                tally = tally[alive]
            if tally.size == 0:
                break
        if pairs is not None:
            alive = np.zeros((stop - start, m), dtype=np.bool_)
            alive[pairs] = True
        yield start, stop, alive


def _packed(ways: Ways) -> npt.NDArray[np.uint64]:
    differ, by_left, by_right, together = ways
    tally = (differ & ~by_right).astype(np.uint64)
    tally += (differ & ~by_left).astype(np.uint64) << np.uint64(_RIGHT)
    tally += (differ & by_left & by_right).astype(np.uint64) << np.uint64(_EITHER)
    tally += (~together).astype(np.uint64) << np.uint64(_IMPOSSIBLE)
    return tally


def share_out(ways: list[str], k_left: int, k_right: int) -> list[str] | None:
    """Return which example changes each feature of a pair.

    Parameters
    ----------
    ways : list of str
        For each feature "same", "left", "right" (only that example can), "either", "both" or "none".
    k_left, k_right : int

    Returns
    -------
    list of str, or None
        "same", "left", "right" or "both" for each feature; None if the budgets do not allow it.
    """
    tally = count(ways)
    if tally is None or not tally.suffices(k_left, k_right):
        return None
    to_left = k_left - tally.left
    chosen = []
    for way in ways:
        if way == "either":
            chosen.append("left" if to_left > 0 else "right")
            to_left -= 1
        else:
            chosen.append(way)
    return chosen


def count(ways: list[str]) -> Tally | None:
    """Count the changes that a pair needs; None if some feature is impossible."""
    if "none" in ways:
        return None
    both = ways.count("both")
    return Tally(both + ways.count("left"), both + ways.count("right"), ways.count("either"))
