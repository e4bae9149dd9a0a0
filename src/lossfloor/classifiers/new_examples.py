"""New examples under attack: which training examples can bind them, and points that they may be moved to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from lossfloor._checks import must
from lossfloor.adversaries import Adversary, BitRows, ConflictRows
from lossfloor.adversaries.base import BallOfGauge
from lossfloor.attacks.two_class import between
from lossfloor.classifiers.coverage import Positions, Side, first_bits, first_within, radii_of


@dataclasses.dataclass(frozen=True)
class NewExamples:
    """New examples of one class and the adversary that moves them.

    Attributes
    ----------
    mover : Adversary
    data : object
        The examples, as the adversary takes them.
    positions : ndarray of intp
        Where they stand among all new examples.
    """

    mover: Adversary
    data: Any
    positions: Positions

    def some(self, rows: Positions) -> NewExamples:
        """Return some of them."""
        return NewExamples(self.mover, self.data[rows], self.positions[rows])

    def radii(self) -> tuple[Fraction, ...]:
        """Return the radius of each in units of the data."""
        ball = self.mover.gauge_ball
        if ball is None:
            raise TypeError(must("adversary", "a ball of a norm", self.mover))
        return radii_of(ball, self.positions)


def first_met(trained: Adversary, side: Side, new: NewExamples) -> Positions:
    """Return for each new example the first of a side whose neighbourhood can meet its own, -1 for none."""
    ball, mover = trained.norm_ball, new.mover.norm_ball
    if ball is not None and mover is not None:
        left = mover.radii(len(new.positions), new.positions)
        return first_within(ball.order, new.data, side, left, ball.radii(len(side.index), side.index))
    return np.concatenate([_first_possible(rows) for rows in new.mover.conflicts(new.data, side.data)])


def _first_possible(rows: ConflictRows) -> Positions:
    """Return the first example that each row conflicts with, undecided pairs included."""
    if isinstance(rows, BitRows):
        return first_bits(rows.bits if rows.undecided is None else rows.bits | rows.undecided)
    none = np.iinfo(np.intp).max
    found = np.full(rows.stop - rows.start, none, dtype=np.intp)
    for targets, counts in ((rows.targets, rows.counts), *(() if rows.undecided is None else (rows.undecided,))):
        np.minimum.at(found, np.repeat(np.arange(len(counts)), counts), targets)
    return np.where(found == none, -1, found)


def first_around(trained: Adversary, side: Side, new: NewExamples) -> Positions:
    """Return for each new example the first of a side whose neighbourhood is known to hold its own, -1 for none."""
    found = np.full(len(new.positions), -1, dtype=np.intp)
    ball, mover = trained.norm_ball, new.mover.norm_ball
    if ball is None or mover is None or len(mover.eps) > 1:
        return found
    # The ball of radius r around x lies in that of radius R around u if their distance is at most R - r.
    rooms = [radius - new.radii()[0] for radius in radii_of(ball, side.index)]
    large = np.flatnonzero([room >= 0 for room in rooms])
    if len(large):
        part = side.part(large)
        first = first_within(ball.order, new.data, part, (Fraction(0),), [rooms[i] for i in large])
        found = np.where(first >= 0, large[first], -1)
    return found


def candidates(
    trained: Adversary, new: NewExamples, other: Side, binding: Positions
) -> Iterator[tuple[Positions, Any]]:
    """Yield points of the neighbourhoods of some new examples: (which examples, points).

    Parameters
    ----------
    trained : Adversary
        That of the training examples.
    new : NewExamples
    other : Side
        The training examples of the other class.
    binding : ndarray of intp
        For each new example the one of `other` that `first_met` found.
    """
    ball = trained.gauge_ball
    if ball is None:
        yield from _unmoved_and_common(new, other, binding)
    else:
        yield from _unmoved_and_between(ball, new, other, binding)


def _unmoved_and_common(new: NewExamples, other: Side, binding: Positions) -> Iterator[tuple[Positions, Any]]:
    """Yield the examples themselves, if they may stay, and common points by the adversary's `meet`."""
    if isinstance(new.data, np.ndarray):
        still = np.flatnonzero(new.mover.contains(new.data, new.data))
        yield still, new.data[still]
    for i in np.flatnonzero(binding >= 0).tolist():
        point = _common_point(new.mover, new.data[i], other.data[binding[i]])
        if point is not None:
            yield np.array([i]), point[None] if isinstance(point, np.ndarray) else [point]


def _unmoved_and_between(
    ball: BallOfGauge, new: NewExamples, other: Side, binding: Positions
) -> Iterator[tuple[Positions, Any]]:
    """Yield the examples themselves, and points on the way to the training examples that bind them."""
    yield np.arange(len(binding)), new.data
    met = np.flatnonzero(binding >= 0)
    goals = binding[met]
    starts, ends = new.data[met], other.data[goals]
    radii, others = [new.radii()[i] for i in met.tolist()], radii_of(ball, other.index[goals])
    double = np.dtype(np.float64)
    points, inside = between(ball, starts, ends, radii, others, double)
    yield met[inside], points[inside]
    gauges = [ball.gauges(starts[i : i + 1], ends[i : i + 1])[1][0, 0] for i in range(len(met))]
    farthest = np.array(
        [min(1.0, float(r) / g) if g > 0 else 0.0 for r, g in zip(radii, gauges, strict=True)], dtype=np.float64
    )
    points, inside = between(ball, starts, ends, radii, others, double, shares=farthest * (1 - 1e-12))
    yield met[inside], points[inside]


def _common_point(adversary: Adversary, x: Any, v: Any) -> Any | None:
    """Return a point that both examples may be moved to, or None where none was found."""
    both = np.stack([x, v]) if isinstance(x, np.ndarray) and isinstance(v, np.ndarray) else [x, v]
    try:
        return adversary.meet(both)
    except ArithmeticError:
        return None
