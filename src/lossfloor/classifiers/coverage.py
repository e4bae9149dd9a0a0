"""Which training example covers a point first: has it in its neighbourhood, and binds most of those that do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor.adversaries import Adversary
from lossfloor.adversaries.base import BallOfGauge
from lossfloor.attacks.two_class import pieces
from lossfloor.distances import PairSweep, Radii

Doubles = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True)
class Side:
    """The training examples of one class, those that bind most first.

    Attributes
    ----------
    data : object
        The examples, as the adversary takes them.
    index : ndarray of intp
        Their positions in the training data.
    posterior : ndarray of float64
        Descending where `free` is 0, ascending where it is 1.
    free : float
        What the end of the interval is where none of them covers a point.
    """

    data: Any
    index: Positions
    posterior: Doubles
    free: float

    @classmethod
    def of(cls, data: Any, members: npt.NDArray[np.bool_], posterior: Doubles, free: float) -> Side:
        """Select the members of a class from all training examples and their posteriors."""
        positions = np.flatnonzero(members)
        order = posterior if free else -posterior
        index = positions[np.argsort(order[positions], kind="stable")]
        return cls(data[index], index, posterior[index], free)

    def end(self, first: Positions) -> Doubles:
        """Return the end of the interval that the first example covering a point sets (-1 for none)."""
        return np.where(first >= 0, self.posterior[first], self.free)

    def part(self, chosen: Positions) -> Side:
        """Return some of the examples, in the same order."""
        return Side(self.data[chosen], self.index[chosen], self.posterior[chosen], self.free)


def radii_of(ball: BallOfGauge, index: Positions) -> tuple[Fraction, ...]:
    """Return the radii of examples by their positions, one each, in units of the data."""
    radii = ball.radii(len(index), index)
    return radii if len(radii) == len(index) else radii * len(index)


def first_cover(adversary: Adversary, side: Side, points: Any) -> Positions:
    """Return for each point the first example of a side whose neighbourhood has it, -1 for none."""
    norm_ball = adversary.norm_ball
    if norm_ball is not None:
        radii = norm_ball.radii(len(side.index), side.index)
        return first_within(norm_ball.order, points, side, (Fraction(0),), radii)
    ball = adversary.gauge_ball
    if ball is not None:
        return _first_cover_by_gauges(ball, side, points)
    found = np.full(len(points), -1, dtype=np.intp)
    m = len(side.index)
    for i, z in enumerate(points):
        copies = np.broadcast_to(z, (m, *z.shape)) if isinstance(z, np.ndarray) else [z] * m
        covering = adversary.contains(side.data, copies, index=side.index)
        if covering.any():
            found[i] = covering.argmax()
    return found


def _first_cover_by_gauges(ball: BallOfGauge, side: Side, points: npt.NDArray[Any]) -> Positions:
    radii = radii_of(ball, side.index)
    brackets = np.array([exact.bracket(radius) for radius in radii])
    found = []
    for piece in pieces(len(points), len(radii)):
        low, high = ball.gauges(points[piece], side.data)
        covering = high <= brackets[:, 0]
        for i, j in np.argwhere(~covering & ~(low > brackets[:, 1])).tolist():
            covering[i, j] = ball.within(side.data[j], points[piece.start + i], radii[j])
        found.append(np.where(covering.any(axis=1), covering.argmax(axis=1), -1).astype(np.intp))
    return np.concatenate(found)


def first_within(
    order: exact.Order, points: npt.NDArray[Any], side: Side, left: Sequence[Fraction], right: Sequence[Fraction]
) -> Positions:
    """Return for each point the first example of a side within the sum of their radii, -1 for none."""
    radii = Radii(tuple(left), tuple(right))
    data = side.data
    if points.dtype.kind == "f" and data.dtype.kind in "iu" and 2 * data.dtype.itemsize <= points.dtype.itemsize:
        data = data.astype(points.dtype)  # without rounding; the sweep is faster on one dtype
    swept = PairSweep(order, points, data).within(radii)
    return np.concatenate([first_bits(bits) for _, _, bits in swept])


def first_bits(bits: npt.NDArray[np.uint64]) -> Positions:
    """Return the position of the first bit that is set in each row, -1 where none is."""
    word = (bits != 0).argmax(axis=1)
    value = bits[np.arange(len(bits)), word]
    lowest = value & (~value + np.uint64(1))
    return np.where(value != 0, 64 * word + np.bitwise_count(lowest - np.uint64(1)), -1).astype(np.intp)
