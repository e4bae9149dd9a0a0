r"""The lower bound that a dual solution proves, in exact arithmetic but for logarithms, which are rounded downwards.

For weights :math:`z_e \ge 0` on conflicts that are really there, with :math:`s_v` the sum of z over the conflicts of v,

.. math:: \sum_v w_v \, l(q_v) \;\ge\; \sum_v \min_{0 \le q \le 1} (w_v \, l(q) + s_v \, q) \;-\; \sum_e z_e

for every q that satisfies the conflicts.  z is rounded to whole multiples of a power of two, so that sums are exact.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._types import Doubles, Integers, Vertices
from lossfloor.conflicts.many_class import CommonPointRule, squared_radii
from lossfloor.graphs import ClassGraph
from lossfloor.losses.base import sum_downwards
from lossfloor.solvers.many.constraints import Constraints
from lossfloor.solvers.many.separable import SeparableLoss
from lossfloor.solvers.many.separation import Separator

#: Weights of witnesses are whole numbers that sum to about one of these, the first that does: balls that meet in one
#: point only need its weights exactly, which are often small fractions.
_WITNESS_UNITS = (1 << 10, 1 << 20, 1 << 30, *range(3, 65))
#: Conflicts whose witnesses are checked in one go.
_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True)
class Dual:
    """Weights on conflicts, exactly, and how their members are seen to meet.

    Attributes
    ----------
    rows : Constraints
    z : ndarray of int64, shape (len(rows),)
        Positive; the weights are ``z * 2.0**-bits``, in units of the weights of the examples.
    bits : int
    witness : ndarray of int32, beside ``rows.members``
        For three and more Euclidean balls: their mean with these weights is in all of them.  Else zero.
    """

    rows: Constraints
    z: Integers
    bits: int
    witness: npt.NDArray[np.int32]

    def kept(self, which: npt.NDArray[np.bool_]) -> Dual:
        """Return the weights of some conflicts."""
        witness = self.witness[np.repeat(which, self.rows.degrees)]
        return Dual(self.rows.kept(which), self.z[which], self.bits, witness)

    def sums(self, n: int) -> Integers:
        """Return for each example the sum of z over its conflicts, exactly, in units of ``2**-bits``."""
        sums = np.zeros(n, dtype=np.int64)
        np.add.at(sums, self.rows.members, np.repeat(self.z, self.rows.degrees))
        return sums


def rounded(rows: Constraints, z: Doubles, witness: npt.NDArray[np.int32]) -> Dual:
    """Round weights down to whole numbers of a unit that is as fine as 62 bits allow."""
    largest = float((z * rows.degrees).sum()) if len(z) else 1.0
    bits = 61 - math.frexp(max(largest, 1e-300))[1]
    whole = np.floor(np.ldexp(z, bits)).astype(np.int64)
    return Dual(rows, whole, bits, witness).kept(whole > 0)


def lower_bound(dual: Dual, weight: Integers, loss: SeparableLoss) -> Fraction:
    """Return a number that is not above the loss of any classifier, in total.

    Parameters
    ----------
    dual : Dual
    weight : ndarray of int64, shape (n,)
    loss : SeparableLoss

    Returns
    -------
    Fraction
        Exact if `Loss.sum_of_tilted_minima` is, as for 0-1 and Brier loss; otherwise rounded downwards.
    """
    unit = exact.power_of_two(-dual.bits)
    sums = dual.sums(len(weight))
    paid: Fraction = sum(dual.z.tolist()) * unit
    touched = sums > 0
    gained = _gained(sums[touched], weight[touched], dual.bits, loss)
    # An example without weight on its conflicts may be answered with certainty.
    free: Fraction = Fraction(loss.at_one) * sum(weight[~touched].tolist())
    return gained + free - paid


def _gained(sums: Integers, weight: Integers, bits: int, loss: SeparableLoss) -> Fraction:
    """Return a number not above the sum of ``min w l(q) + s q``, where s is in units of ``2**-bits``."""
    scale = max(bits, 0)  # both as whole numbers in the finer of the two units
    slopes = [s << (scale - bits) for s in sums.tolist()]
    closed = loss.loss.sum_of_tilted_minima([w << scale for w in weight.tolist()], slopes)
    if closed is not None:
        return closed * exact.power_of_two(-scale)
    with np.errstate(over="ignore"):
        s = np.ldexp(sums.astype(np.float64), -bits)
    return sum_downwards(loss.minimum(weight.astype(np.float64), s))


def prove(
    rows: Constraints, weights: Doubles, data: npt.NDArray[Any], radii: list[Fraction]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int32]]:
    """Check witnesses of three and more Euclidean balls exactly, and round their weights to whole numbers.

    Parameters
    ----------
    rows : Constraints
    weights : ndarray of float64, beside ``rows.members``
        Not negative; the mean of the examples with them is in all of the balls, or nearly so.
    data : ndarray, shape (n, d)
    radii : list of n Fraction
        Squared radii.

    Returns
    -------
    proved : ndarray of bool, shape (len(rows),)
        Two balls need no witness.
    witness : ndarray of int32, beside ``rows.members``
    """
    proved = rows.degrees == 2
    witness = np.zeros(len(rows.members), dtype=np.int32)
    for degree in sorted(set(rows.degrees.tolist()) - {2}):
        which = np.flatnonzero(rows.degrees == degree)
        places = rows.offsets[which][:, None] + np.arange(degree)
        members = rows.members[places]
        for unit in _WITNESS_UNITS:
            t = np.rint(weights[places] * unit).astype(np.int64)
            t[t.sum(axis=1) == 0, 0] = 1
            inside = np.concatenate(
                [
                    _all_inside(data, members[k : k + _AT_ONCE], t[k : k + _AT_ONCE], radii)
                    for k in range(0, len(members), _AT_ONCE)
                ]
            )
            proved[which[inside]] = True
            witness[places[inside]] = t[inside]
            which, places, members = which[~inside], places[~inside], members[~inside]
            if len(which) == 0:
                break
    return proved, witness


def _all_inside(data: npt.NDArray[Any], members: Vertices, t: Integers, radii: list[Fraction]) -> npt.NDArray[np.bool_]:
    """Tell for rows of members, with their weights, whether `_inside` holds: for small whole numbers all at once."""
    k, d = members.shape[1], data.shape[1]
    total = t.sum(axis=1)
    small = data.dtype.kind in "iu" and data.dtype.itemsize <= 2
    # Differences are below 2^17, so that inner products are whole doubles, and sums of four products fit int64.
    if not small or d >= 2**18 or 4 * int(total.max(initial=0)) ** 2 * d * _spread(data) ** 2 >= 2**62:
        rows = zip(members, t, strict=True)
        return np.array([_inside(data[line], steps, [radii[v] for v in line.tolist()]) for line, steps in rows], bool)
    moved = data[members].astype(np.float64)
    moved -= moved[:, :1].copy()
    gram = (moved @ moved.transpose(0, 2, 1)).astype(np.int64)
    pulls = np.einsum("rij,rj->ri", gram, t)
    spread = np.einsum("ri,ri->r", pulls, t)
    squares = (total * total)[:, None] * np.einsum("rii->ri", gram)
    # Few radii differ, and few totals do.
    asked = [radii[v] for v in members.ravel().tolist()]
    of_object = {id(radius): radius for radius in asked}
    keys = np.stack([[id(radius) for radius in asked], np.repeat(total, k)])
    different, which = np.unique(keys, axis=1, return_inverse=True)
    limits = [min(math.floor(of_object[one] * whole * whole), 2**62) for one, whole in different.T.tolist()]
    allowed = np.array(limits, dtype=np.int64)[which.ravel()].reshape(-1, k)
    within: npt.NDArray[np.bool_] = np.all(squares - 2 * total[:, None] * pulls + spread[:, None] <= allowed, axis=1)
    return within


def _spread(data: npt.NDArray[Any]) -> int:
    """Return the largest difference of any two values of the type of the data."""
    info = np.iinfo(data.dtype)
    return int(info.max) - int(info.min)


def _inside(points: npt.NDArray[Any], steps: Integers, radii: list[Fraction]) -> bool:
    """Decide exactly whether the mean of some points with whole weights is within all their squared radii.

    With the sum T of the weights t and the inner products G of the points (less the first of them),
    ``T^2 |x_i - c|^2 = T^2 G_ii - 2 T sum_j t_j G_ij + sum_jl t_j t_l G_jl``.
    """
    gram, exponent = _gram(points)
    t = [int(step) for step in steps]
    total = sum(t)
    pulls = [sum(a * b for a, b in zip(row, t, strict=True)) for row in gram]
    spread = sum(a * b for a, b in zip(pulls, t, strict=True))
    unit, square = exact.power_of_two(2 * exponent), total * total
    return all(
        (square * gram[i][i] - 2 * total * pulls[i] + spread) * unit.numerator * radius.denominator
        <= radius.numerator * square * unit.denominator
        for i, radius in enumerate(radii)
    )


def _gram(points: npt.NDArray[Any]) -> tuple[list[list[int]], int]:
    """Return the inner products of points less the first of them, exactly, in units of ``2**(2 * exponent)``."""
    if points.dtype.kind in "iu" and points.dtype.itemsize <= 2 and points.shape[1] < 2**29:
        moved = points.astype(np.int64) - points[0].astype(np.int64)
        gram: list[list[int]] = (moved @ moved.T).tolist()
        return gram, 0
    whole, exponent = exact.integer_rows(points)
    first = whole[0]
    steps = [[a - b for a, b in zip(row, first, strict=True)] for row in whole]
    return [[sum(a * b for a, b in zip(u, v, strict=True)) for v in steps] for u in steps], exponent


def proved(graph: ClassGraph, rule: CommonPointRule, rows: Constraints, z: Doubles) -> Dual:
    """Keep the weights of the conflicts whose members are seen to have a common point, and round them down."""
    witness = np.zeros(len(rows.members), dtype=np.int32)
    ball = rule.adversary.norm_ball
    if ball is not None and rule.kind == "balls" and len(rows):
        weights = Separator(graph, rule, 1).witness(rows)
        seen, witness = prove(rows, weights, rule.data, squared_radii(ball, len(graph)))
        witness = witness[np.repeat(seen, rows.degrees)]
        rows, z = rows.kept(seen), z[seen]
    return rounded(rows, z, witness)
