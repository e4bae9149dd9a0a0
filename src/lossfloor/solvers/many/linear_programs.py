r"""Small graphs, solved as linear programs over all of their conflicts until the bounds meet.

The first-order method of `solve` comes close quickly and may then stall, where two solutions are nearly as good or the
loss has kinks.  For a few hundred examples all conflicts can be listed.  The loss is replaced by the secants between
nodes, which makes the problem a linear program (q is the sum of its segments, which fill in order, as slopes ascend).
Nodes are added around the solution, and around the points where the dual solution has its minima, until the bounds of
the true loss meet: its value at the solution, and what the dual solution proves.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lossfloor._types import Doubles, Vertices
from lossfloor.conflicts.many_class import CommonPointRule
from lossfloor.graphs import ClassGraph
from lossfloor.solvers.many.constraints import Constraints
from lossfloor.solvers.many.separable import SeparableLoss
from lossfloor.solvers.many.separation import Separator
from lossfloor.solvers.many.solution import Goal

#: More conflicts of a component are not listed, and fewer where each is a question to the adversary.
_MOST_LISTED, _MOST_ASKED = 20_000, 3_000
#: Linear programs for one component, and how many in a row may fail to bring the bounds closer by a tenth.
_MOST_PROGRAMS, _PATIENCE = 40, 4
#: Nodes around a point, as shares of a radius that shrinks from program to program.
_AROUND = np.array([-1.0, -0.5, -0.25, -0.125, 0.0, 0.125, 0.25, 0.5, 1.0])
_SHRINK = 0.2
#: Nodes nearer than this have secants made of rounding.
_LEAST_RADIUS, _LEAST_STEP = 2.0**-36, 2.0**-40
#: Tolerances of the linear programs.
_TOLERANCE = 1e-10


@dataclasses.dataclass(frozen=True)
class Polished:
    """What is known of a small graph.

    Attributes
    ----------
    rows : Constraints
        Sure conflicts.
    z : ndarray of float64, shape (len(rows),)
        Their weights.
    lower : float
        What these prove.
    relaxed_q, best_q : ndarray of float64, shape (n,)
        Probabilities that satisfy the conflicts of up to `max_degree` examples, and all conflicts.
    """

    rows: Constraints
    z: Doubles
    lower: float
    relaxed_q: Doubles
    best_q: Doubles


def polish(
    graph: ClassGraph, rule: CommonPointRule, weight: Doubles, loss: SeparableLoss, goal: Goal
) -> Polished | None:
    """Solve a small graph over all of its conflicts.

    Parameters
    ----------
    graph : ClassGraph
    rule : CommonPointRule
    weight : ndarray of float64, shape (n,)
    loss : SeparableLoss
    goal : Goal
        Its gap is in total.

    Returns
    -------
    Polished or None
        None if it has too many conflicts to list, or no linear program could be solved in time.
    """
    most_degree = graph.n_classes if goal.max_degree is None else goal.max_degree
    most = _MOST_ASKED if rule.kind == "asking" else _MOST_LISTED
    listing = list_conflicts(graph, Separator(graph, rule, 1), most_degree, most)
    if listing is None:
        return None
    proof = minimise(listing.sure, weight, loss, goal)
    if proof is None:
        return None
    relaxed = proof
    if len(listing.rows) != len(listing.sure) or not listing.rows.sure.all():
        relaxed = minimise(listing.rows, weight, loss, goal) or proof
    limited = most_degree < graph.n_classes
    best = minimise(listing.every, weight, loss, goal) if limited else relaxed
    return Polished(
        rows=listing.sure,
        z=proof.z,
        lower=proof.lower,
        relaxed_q=feasible_in(listing.rows, relaxed.q),
        best_q=feasible_in(listing.every, (best or proof).q),
    )


@dataclasses.dataclass(frozen=True)
class Listing:
    """All conflicts of a small graph but those that another one implies.

    Attributes
    ----------
    rows : Constraints
        Of at most `max_degree` examples.  None is part of another one that is there.
    sure : Constraints
        Likewise, of those that are surely conflicts.
    every : Constraints
        Of any number of examples.
    """

    rows: Constraints
    sure: Constraints
    every: Constraints


def list_conflicts(graph: ClassGraph, separator: Separator, max_degree: int, most: int) -> Listing | None:
    """List all conflicts of a small graph, degree by degree.

    Parameters
    ----------
    graph : ClassGraph
    separator : Separator
        Of this graph; it decides whether three and more neighbourhoods share a point.
    max_degree : int
    most : int
        Number of cliques to look at, at most.

    Returns
    -------
    Listing or None
        None if there are more.
    """
    n = len(graph)
    beside = np.zeros((n, n), dtype=np.bool_)
    beside[np.repeat(np.arange(n), graph.degrees), graph.targets] = True
    left, right = np.nonzero(np.triu(beside))
    members = np.stack([left, right], axis=1).astype(np.int32)
    levels: list[Constraints] = []
    looked_at = 0
    while len(members):
        looked_at += len(members)
        if looked_at > most:
            return None
        found = separator.decide(members)
        if len(found) == 0:
            break
        levels.append(found)
        members = found.members.reshape(len(found), -1)
        larger = beside[members].all(axis=1) & (np.arange(n) > members[:, -1:])
        which, new = np.nonzero(larger)
        members = np.concatenate([members[which], new[:, None].astype(np.int32)], axis=1)
    limited = levels[: max_degree - 1]
    return Listing(
        rows=_largest(limited),
        sure=_largest([level.kept(level.sure) for level in limited]),
        every=_largest(levels),
    )


def _largest(levels: list[Constraints]) -> Constraints:
    """Leave out the rows of each degree that are part of one of the next degree, where those of its parts that are."""
    rows = Constraints.none()
    inside: set[bytes] = set()
    for level in reversed(levels):
        members = level.members.reshape(len(level), -1) if len(level) else np.zeros((0, 2), np.int32)
        kept = np.array([row.tobytes() not in inside for row in members], dtype=np.bool_)
        rows = level.kept(kept) + rows
        inside = {part for row in members for part in _parts_of(row)}
    return rows


def _parts_of(row: Vertices) -> Iterator[bytes]:
    for i in range(len(row)):
        yield np.delete(row, i).tobytes()


@dataclasses.dataclass(frozen=True)
class Minimum:
    """The best that linear programs found over some rows.

    Attributes
    ----------
    q : ndarray of float64, shape (n,)
        Satisfies the rows.
    z : ndarray of float64, shape (len(rows),)
    upper, lower : float
    """

    q: Doubles
    z: Doubles
    upper: float
    lower: float


def minimise(rows: Constraints, weight: Doubles, loss: SeparableLoss, goal: Goal) -> Minimum | None:
    """Minimise a loss over the polytope of some rows.

    Parameters
    ----------
    rows : Constraints
    weight : ndarray of float64, shape (n,)
    loss : SeparableLoss
    goal : Goal

    Returns
    -------
    Minimum or None
        None if not even one linear program could be solved.
    """
    matrix = sparse.csc_array(
        (np.ones(len(rows.members)), (np.repeat(np.arange(len(rows)), rows.degrees), rows.members)),
        shape=(len(rows), len(weight)),
    )
    nodes = _Nodes(weight, loss)
    best: Minimum | None = None
    idle, radius = 0, 0.25
    for _ in range(_MOST_PROGRAMS):
        seconds = None if goal.deadline is None else max(goal.deadline - time.monotonic(), 0.0)
        solved = None if seconds == 0.0 else _program(matrix, nodes, seconds)
        if solved is None:
            break
        q, z = solved
        sums = rows.column_sums(z, len(weight))
        feasible = feasible_in(rows, q)
        found = Minimum(
            feasible,
            z,
            loss.upper(weight, feasible),
            math.fsum(loss.minimum(weight, sums)) - math.fsum(z),
        )
        before = math.inf if best is None else best.upper - best.lower
        best = found if best is None else _better(best, found)
        missing = best.upper - best.lower
        idle = idle + 1 if missing > 0.9 * before else 0
        if missing <= goal.gap or idle == _PATIENCE:
            break
        nodes.add_around(q, radius)
        nodes.add_around(loss.best(weight, sums), radius)
        radius = max(radius * _SHRINK, _LEAST_RADIUS)
    return best


def feasible_in(rows: Constraints, q: Doubles) -> Doubles:
    """Divide probabilities by the largest sum of a row that they are in, where that is more than one."""
    largest = np.ones(len(q))
    np.maximum.at(largest, rows.members, np.repeat(rows.sums(q), rows.degrees))
    inside = np.zeros(len(q), dtype=np.bool_)
    inside[rows.members] = True
    # A hair less, for the roundings of sums and quotients.
    scaled: Doubles = np.where(inside, q / largest * (1 - 2.0**-45), 1.0)
    return scaled


def _better(a: Minimum, b: Minimum) -> Minimum:
    upper, lower = (a if a.upper <= b.upper else b), (a if a.lower >= b.lower else b)
    return Minimum(upper.q, lower.z, upper.upper, lower.lower)


class _Nodes:
    """The points between which the loss of each example is replaced by secants."""

    def __init__(self, weight: Doubles, loss: SeparableLoss) -> None:
        self.weight, self.loss = weight, loss
        n = len(weight)
        coarse = np.concatenate([np.linspace(0.0, 1.0, 9), [0.01, 0.03, 0.06]])
        # With a loss that is infinite at 0 no optimal q is less than its share of all weights, for cross-entropy.
        self.least = (
            np.zeros(n) if math.isfinite(float(loss.loss(0.0))) else np.maximum(0.1 * weight / weight.sum(), 1e-12)
        )
        self.vertex = np.repeat(np.arange(n), len(coarse) + 1)
        self.point = np.concatenate([np.tile(coarse, (n, 1)), self.least[:, None]], axis=1).ravel()
        self._tidy()

    def add_around(self, centre: Doubles, radius: float) -> None:
        """Add nodes near one point for each example."""
        self.vertex = np.concatenate([self.vertex, np.repeat(np.arange(len(centre)), len(_AROUND))])
        self.point = np.concatenate([self.point, (centre[:, None] + radius * _AROUND).ravel()])
        self._tidy()

    def _tidy(self) -> None:
        self.point = np.clip(self.point, self.least[self.vertex], 1.0)
        order = np.lexsort((self.point, self.vertex))
        vertex, point = self.vertex[order], self.point[order]
        first = np.append(True, np.diff(vertex) > 0)
        last = np.append(np.diff(vertex) > 0, True)  # it is 1
        apart = np.append(True, np.diff(point) >= _LEAST_STEP) & (point <= 1.0 - _LEAST_STEP)
        kept = first | last | apart
        self.vertex, self.point = vertex[kept], point[kept]

    def segments(self) -> tuple[npt.NDArray[np.intp], Doubles, Doubles]:
        """Return the example, the length and the slope of each segment."""
        values = self.loss.loss(self.point)
        inner = self.vertex[1:] == self.vertex[:-1]
        width = np.diff(self.point)
        inner &= width > 0
        slope = np.diff(values)[inner] / width[inner]
        return self.vertex[1:][inner], width[inner], slope


def _program(matrix: sparse.csc_array, nodes: _Nodes, seconds: float | None) -> tuple[Doubles, Doubles] | None:
    """Solve the linear program of the secants; return q and the weights of the rows."""
    from scipy.optimize import linprog  # here, as few floors need it

    vertex, width, slope = nodes.segments()
    cost = nodes.weight[vertex] * slope
    scale = max(float(np.abs(cost).max(initial=0.0)) / 1e4, 1e-300)
    options = {"primal_feasibility_tolerance": _TOLERANCE, "dual_feasibility_tolerance": _TOLERANCE}
    if seconds is not None:
        options["time_limit"] = seconds
    answer = linprog(
        cost / scale,
        A_ub=matrix[:, vertex],
        b_ub=1.0 - matrix @ nodes.least,
        bounds=np.stack([np.zeros(len(width)), width], axis=1),
        method="highs",
        options=options,
    )
    if answer.status != 0 or answer.x is None:
        return None
    q = nodes.least + np.bincount(vertex, answer.x, len(nodes.weight))
    return np.clip(q, 0.0, 1.0), np.maximum(-answer.ineqlin.marginals, 0.0) * scale
