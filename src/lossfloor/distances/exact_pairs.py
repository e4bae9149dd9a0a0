"""Single pairs of examples under an l_p norm, in exact arithmetic: who is near, and how far."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor.distances import routes
from lossfloor.exact import Order

#: Examples that are looked at in one go.
_ROWS_AT_ONCE = 1 << 12


class ExactPairs:
    """Pairs of left and right examples, decided one by one.

    Parameters
    ----------
    order : Fraction or None
        p of the norm, at least 1; None is the maximum norm.
    left, right : ndarray or Rows, shape (n, d) and (m, d)
        Integers, float32 or float64, without NaN and infinity.
    """

    def __init__(self, order: Order, left: Any, right: Any) -> None:
        self.order = order
        self.left = left
        self.right = right

    def at_most(self, i: int, j: int, radius: Fraction) -> bool:
        """Tell whether left example `i` and right example `j` are at most `radius` apart, in exact arithmetic."""
        steps, exponent = exact.differences(self.left[i], self.right[j])
        return exact.norm_at_most(steps, exponent, self.order, radius)

    @functools.cached_property
    def _key_exponent(self) -> int:
        """Keys of powers count in ``2**_key_exponent``: 0, or where powers are long what makes all entries whole."""
        if self._keys_are_distances or (self.order is not None and self.order <= 16):
            return 0
        return min(_least_exponent(self.left), _least_exponent(self.right))

    @property
    def _keys_are_distances(self) -> bool:
        """Tell whether keys are no powers of distances."""
        return self.order is None or self.order == 1 or self.order.denominator > 1

    def key(self, i: int, j: int) -> Fraction:
        """Return a number that grows with the distance of a pair.

        The distance itself for l1 and linf, its p-th power for an integer p, both exact; beyond 16 in a power of two
        of this sweep, which `distance_of_key` knows.  For other p the distance, rounded: what it is above the largest
        difference of a feature is right to a relative 2**-120.
        """
        steps, exponent = exact.differences(self.left[i], self.right[j])
        if self.order is None or self._keys_are_distances:
            return exact.norm_near(steps, exponent, self.order)
        unit, p = self._key_exponent, self.order.numerator
        if unit != 0:
            up, down = max(0, exponent - unit), max(0, unit - exponent)  # the latter takes off zeros only
            steps, exponent = [step << up >> down for step in steps], 0
        return Fraction(sum(step**p for step in steps)) * exact.power_of_two(exponent) ** p

    def distance_of_key(self, key: Fraction) -> float:
        """Return the distance that belongs to a key as the nearest double; infinity if it is beyond all doubles."""
        if self.order is None or self._keys_are_distances:
            return exact.nearest_double(key)
        return exact.nearest_root(key, self.order.numerator, exact.power_of_two(self._key_exponent))

    def radius_at_least(self, key: Fraction) -> Fraction:
        """Return a rational radius that reaches pairs of this key, and hardly farther."""
        if self.order is None or self._keys_are_distances:
            if self.order is None or self.order == 1:
                return key
            return exact.shortened(key * (1 + Fraction(1, 2**100)))  # it is rounded
        return exact.root_at_least(key, self.order) * exact.power_of_two(self._key_exponent)


def _least_exponent(side: npt.NDArray[Any]) -> int:
    """Return an e of which all entries are known to be whole multiples of ``2**e``."""
    if side.dtype.kind != "f":
        return 0
    least = 1100  # beyond all doubles
    for start in range(0, len(side), _ROWS_AT_ONCE):
        piece = side[start : start + _ROWS_AT_ONCE].astype(np.float64)
        least = min(least, int(np.frexp(piece)[1].min(initial=least, where=piece != 0)))
    return least - 53


def distance_bounds(
    order: Order, a: npt.NDArray[Any], b: npt.NDArray[Any], shift: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Bound the l_p distances of ``a[i]`` and ``b[i]``, times ``2**-shift``, in double precision.

    Parameters
    ----------
    order : Fraction or None
    a, b : ndarray, shape (n, d)
    shift : int
        At least 0, and such that no difference is above 2**961 when it is scaled.

    Returns
    -------
    low, high : ndarray of float64, shape (n,)

    Notes
    -----
    The distance is ``m s^(1/p)``, where m is the largest step and s, the sum of the p-th powers of the steps in
    proportion to m, lies between 1 and d, so that no power overflows and those that underflow do not matter: together
    they are below d 2^-1074.  Roundings (u = 2^-53): 3 in each proportion, hence 3 p in its power, which costs 8 more,
    and 1 if p is no double (``y |log y| < 1`` for y <= 1); d in the sum; a p-th of all that in the root, which costs 8
    more and log d / p for its exponent; 2 for m.  That is below 20 + 3 d / p.  Entries lose 2^-1075 at most when they
    are scaled, whole numbers of 2^53 and more 2^-53 of themselves when they become doubles, and by the triangle
    inequality distances lose no more than entries together.
    """
    d = a.shape[1]
    left, right = (np.ldexp(side.astype(np.float64), -shift) for side in (a, b))
    with np.errstate(under="ignore"):
        steps = np.abs(left - right)
        largest = steps.max(axis=1)
        if order is None:
            norms, roundings = largest, 4.0
        elif order == 1:
            norms, roundings = steps.sum(axis=1), d + 4.0
        else:
            p = float(order)
            steps /= np.where(largest > 0, largest, 1.0)[:, None]
            sums = np.einsum("ij,ij->i", steps, steps) if order == 2 else (steps**p).sum(axis=1)
            norms, roundings = largest * (np.sqrt(sums) if order == 2 else sums ** (1 / p)), 20 + 3 * d / p
        lost = np.zeros(len(a))
        for side, values in ((a, left), (b, right)):
            if side.dtype.kind in "iu" and side.dtype.itemsize == 8:
                sizes = np.abs(values).max(axis=1)
                lost += np.where(sizes >= math.ldexp(1.0, 53 - shift), d * sizes * 2.0**-52, 0.0)
        if shift > 0:
            lost += d * 2.0**-1070
        relative = 1.01 * routes.gamma(roundings, 2.0**-53)
        # What is below all normal doubles is rounded by more than a part of itself: hence one double further.
        low = np.nextafter(norms * (1 - relative) - lost, -np.inf)
        return low, np.nextafter(norms * (1 + relative) + lost, np.inf)


def paired_within(
    order: Order,
    a: npt.NDArray[Any],
    b: npt.NDArray[Any],
    radius_of: Callable[[int], Fraction],
) -> npt.NDArray[np.bool_]:
    """Tell row by row whether ``a[i]`` and ``b[i]`` are at most ``radius_of(i)`` apart, exactly.

    Parameters
    ----------
    order : Fraction or None
    a, b : ndarray, shape (n, d)
    radius_of : callable
        The radius of row i.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    answer = np.empty(len(a), dtype=np.bool_)
    for i in range(len(a)):
        steps, exponent = exact.differences(a[i], b[i])
        answer[i] = exact.norm_at_most(steps, exponent, order, radius_of(i))
    return answer
