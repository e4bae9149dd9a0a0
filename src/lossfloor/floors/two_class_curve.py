"""Floors over a grid of budgets, and the smallest budget at which a loss is reached."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core
from lossfloor._checks import as_fraction, must
from lossfloor._types import Progress
from lossfloor.adversaries import Adversary, NormBall
from lossfloor.distances import PairSweep, Radii, thread_count
from lossfloor.floors.curve_result import BaseCurve
from lossfloor.floors.problem import Problem
from lossfloor.floors.two_class import Floor, find_floor, solve_graphs
from lossfloor.graphs import BitRows, ConflictGraph, assemble

#: Pairs whose levels are kept in memory (a byte each); above, every budget makes its own pass over the pairs.
_MOST_PAIRS_AT_ONCE = 1 << 31
#: Budgets of one pass, as a level is a byte.
_MOST_LEVELS = 255
#: Graphs made in one pass over the levels of all pairs: as bits they take together as much memory as the levels.
_GRAPHS_AT_ONCE = 8
#: Pairs in a bracket below which their distances are sorted exactly.
_FEW_PAIRS = 4096
#: Largest double.
_LARGEST = math.nextafter(math.inf, 0.0)

#: A pair of examples and the key of its distance, as `PairSweep.nearest` returns them.
_Nearest = tuple[int, int, Fraction]


@dataclasses.dataclass(frozen=True)
class _Family:
    """Balls of one norm whose radius is the budget itself, in one pass over the pairs: what is known between points."""

    problem: Problem
    make: Callable[[Fraction], Adversary]
    sweep: PairSweep
    unit: Fraction

    def threshold(self, eps: Fraction) -> Fraction:
        """Distance up to which two examples that may each move by `eps` conflict."""
        return 2 * self.unit * eps

    def solve(self, graph: ConflictGraph, eps: Fraction) -> Floor:
        return solve_graphs(dataclasses.replace(self.problem, adversary=self.make(eps)), graph)


class Curve(BaseCurve):
    """Floors over ascending budgets; `curve` makes one.

    Attributes
    ----------
    eps : ndarray of float64, shape (k,)
        The budgets.
    floors : tuple of Floor, length k
        The floor at each.
    separation : float
        Half the smallest distance between examples of different classes, in units of eps: below it no two examples
        conflict and every floor is 0.  NaN if the curve was made with a function, whose adversaries are known at the
        budgets of the curve only.
    seconds : dict
        Wall-clock seconds: "pairs" for the pass over all pairs, "solve" for all solutions together; empty if each
        budget had a pass of its own.

    Examples
    --------
    >>> import lossfloor as lf
    >>> result = lf.curve([[0.0], [1.0], [5.0]], [0, 1, 1], lf.L2, eps=[0, 0.5, 2])
    >>> result.zero_one
    array([0.        , 0.33333333, 0.33333333])
    >>> result.separation
    0.5
    >>> result.eps_at(cross_entropy=0.1)
    0.5
    """

    def __init__(
        self,
        adversaries: tuple[Adversary, ...],
        eps: tuple[Fraction, ...],
        floors: tuple[Floor, ...],
        separation: float,
        seconds: dict[str, float],
        family: _Family | None,
    ) -> None:
        super().__init__(eps, floors, adversaries)
        self.floors: tuple[Floor, ...] = floors
        self.separation = separation
        self.seconds = seconds
        self._family = family

    def __repr__(self) -> str:
        return (
            f"Curve({len(self)} budgets from {self.eps[0]:g} to {self.eps[-1]:g}, cross_entropy from "
            f"{self.cross_entropy[0]:.6g} to {self.cross_entropy[-1]:.6g} nats, separation {self.separation:.6g})"
        )

    @property
    def n_blocks(self) -> npt.NDArray[np.int64]:
        """Number of blocks at each budget, shape (k,)."""
        return np.array([one.n_blocks for one in self.floors], dtype=np.int64)

    def lower(self, loss: Any = "cross-entropy", *, costs: Any = None) -> npt.NDArray[np.float64]:
        """Return the proved lower bound of a loss at each budget, shape (k,): the floor itself if exact."""
        return np.array([one.bounds(loss, costs=costs)[0] for one in self.floors])

    def upper(self, loss: Any = "cross-entropy", *, costs: Any = None) -> npt.NDArray[np.float64]:
        """Return at each budget a loss that some classifier reaches, shape (k,): the floor itself if exact."""
        return np.array([one.bounds(loss, costs=costs)[1] for one in self.floors])

    def eps_at(
        self,
        *,
        cross_entropy: float | None = None,
        zero_one: float | None = None,
        brier: float | None = None,
        loss: Any = None,
        value: float | None = None,
    ) -> float | None:
        """Return the smallest budget at which a floor reaches a value.

        Give one of `cross_entropy`, `zero_one`, `brier`, or `loss` together with `value`.

        Parameters
        ----------
        cross_entropy, zero_one, brier : float, optional
            The value to reach.
        loss : Loss, str or callable, optional
            Any loss that `Floor.loss` takes.
        value : float, optional
            The value that `loss` has to reach.

        Returns
        -------
        float or None
            A floor changes only where a pair of examples starts to conflict.  This is the budget of the pair at which
            the value is first reached, rounded up to a float at which it *is* reached; None if the largest budget of
            the curve does not reach it.

        Raises
        ------
        TypeError, ValueError
            If not exactly one value is given, it is not positive, or the curve was made with a function.
        """
        chosen = {"cross-entropy": cross_entropy, "zero-one": zero_one, "brier": brier}
        given: list[tuple[Any, float]] = [(name, wanted) for name, wanted in chosen.items() if wanted is not None]
        if loss is not None:
            if value is None:
                raise TypeError("'loss' needs 'value', the value to reach")
            given.append((loss, value))
        if len(given) != 1:
            raise TypeError("give exactly one of 'cross_entropy', 'zero_one', 'brier' and 'loss'")
        measure, target = given[0]
        if not 0 < target < math.inf:
            raise ValueError(must("value", "a positive number", target))
        if self._family is None:
            raise TypeError("eps_at needs a family of norm balls, L1, L2, Linf or Lp, not a function that makes them")

        def reached(one: Floor) -> bool:
            return one.loss(measure) >= target

        first = next((i for i, one in enumerate(self.floors) if reached(one)), None)
        if first is None:
            return None
        lower = self._eps[first - 1] if first > 0 else None
        return _first_eps(self._family, lower, self._eps[first], reached)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `to_frame` has, by the names of its columns."""
        return {
            "eps": self.eps,
            "cross_entropy": self.cross_entropy,
            "zero_one": self.zero_one,
            "brier": self.brier,
            "n_edges": self.n_edges,
            "n_blocks": self.n_blocks,
        }

    def _own_summary(self) -> dict[str, Any]:
        known = {} if self.status == "exact" else {"upper": {name: self.upper(name).tolist() for name in self.SHOWN}}
        return {
            "separation": None if math.isnan(self.separation) else self.separation,
            **known,
            "seconds": self.seconds,
        }


def find_curve(
    problem: Problem,
    adversaries: tuple[Adversary, ...],
    grid: tuple[Fraction, ...],
    make: Callable[[Fraction], Adversary] | None,
    *,
    progress: Progress | None = None,
) -> Curve:
    """Solve a grid of budgets for two classes; what `lossfloor.curve` does after its checks.

    Parameters
    ----------
    problem : Problem
    adversaries : tuple of Adversary
        That of each budget.
    grid : tuple of Fraction
        The budgets, ascending.
    make : callable or None
        What makes a norm ball whose radius is the budget; None if the adversaries are known at these budgets only.
    progress : callable, optional

    Returns
    -------
    Curve
    """
    balls = _balls_of_one_norm(adversaries)
    if balls is None:
        floors = tuple(
            find_floor(problem.against(one), progress=_one_of(progress, i, len(grid)))
            for i, one in enumerate(adversaries)
        )
        return Curve(adversaries, grid, floors, math.nan, {}, None)
    codes = problem.codes
    sweep = balls[0].sweep(problem.data[codes == 0], problem.data[codes == 1])
    floors, nearest, seconds = _floors(problem, sweep, balls, progress)
    if make is None or any(ball.eps != (eps,) for ball, eps in zip(balls, grid, strict=True)):
        return Curve(adversaries, grid, floors, math.nan, seconds, None)
    known = _Family(problem, make, sweep, balls[0].unit)
    separation = _separation(known, sweep.nearest() if nearest is None else nearest)
    return Curve(adversaries, grid, floors, separation, seconds, known)


def _balls_of_one_norm(adversaries: Sequence[Adversary]) -> list[NormBall] | None:
    """Return the adversaries if one pass over the pairs serves all: balls of one norm, one radius for all examples.

    Classes that promise nothing of their budgets are passed over, as they may mean anything by a radius.
    """
    balls = [one for one in adversaries if isinstance(one, NormBall) and one.budgets and len(one.eps) == 1]
    one_norm = len(balls) == len(adversaries) and len({ball.order for ball in balls}) == 1
    return balls if one_norm else None


def _one_of(progress: Progress | None, i: int, count: int) -> Progress | None:
    if progress is None:
        return None
    return lambda stage, done, total: progress(f"{stage} {i + 1}/{count}", done, total)


def _floors(
    problem: Problem, sweep: PairSweep, balls: Sequence[NormBall], progress: Progress | None
) -> tuple[tuple[Floor, ...], _Nearest | None, dict[str, float]]:
    """Solve all balls, several at a time as each takes one thread; return the nearest pair too, if it was found."""
    users: dict[Fraction, list[int]] = {}  # which balls have which threshold, by their own radii
    for i, ball in enumerate(balls):
        users.setdefault(2 * ball.unit * ball.eps[0], []).append(i)
    thresholds = sorted(users)
    n, m = sweep.shape
    seconds = {"pairs": 0.0, "solve": 0.0}
    floors: dict[int, Floor] = {}
    nearest: _Nearest | None = None
    for begin in range(0, len(thresholds), _MOST_LEVELS):
        part = thresholds[begin : begin + _MOST_LEVELS]
        began = time.perf_counter()
        if n * m <= _MOST_PAIRS_AT_ONCE:
            levels = _levels(sweep, part, progress)
            nearest = _nearest_by_level(sweep, levels, len(part)) if nearest is None else nearest
            graphs = _graphs_of_levels(levels, len(part))
        else:
            graphs = (_graph_within(sweep, threshold) for threshold in part)
        solving = time.perf_counter()
        jobs = ((i, graph) for threshold, graph in zip(part, graphs, strict=True) for i in users[threshold])
        for i, one in _solve_all(problem, balls, jobs):
            floors[i] = one
            if progress is not None:
                progress("budgets", len(floors), len(balls))
        seconds["pairs"] += solving - began
        seconds["solve"] += time.perf_counter() - solving
    return tuple(floors[i] for i in range(len(balls))), nearest, seconds


def _nearest_by_level(sweep: PairSweep, levels: npt.NDArray[np.uint8], n_levels: int) -> _Nearest | None:
    """Return the nearest pair, if the pass over all pairs has already left few to look at."""
    least = levels.min()
    if least == n_levels:
        return None  # beyond the grid
    pairs = np.argwhere(levels == least)
    return sweep.nearest_of(pairs) if len(pairs) <= _FEW_PAIRS else None


def _solve_all(
    problem: Problem, balls: Sequence[NormBall], jobs: Iterator[tuple[int, ConflictGraph]]
) -> Iterator[tuple[int, Floor]]:
    """Solve graphs, each against the ball of its number."""
    cancelled = threading.Event()

    def watch(_stage: str, _done: int, _total: int) -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt

    workers = thread_count()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting: list[tuple[int, concurrent.futures.Future[Floor]]] = []
        try:
            for i, graph in jobs:
                one = dataclasses.replace(problem, adversary=balls[i])
                waiting.append((i, pool.submit(solve_graphs, one, graph, progress=watch)))
                if len(waiting) > workers:  # no more graphs in memory than are being solved
                    first, future = waiting.pop(0)
                    yield first, future.result()
            for first, future in waiting:
                yield first, future.result()
        except BaseException:
            cancelled.set()
            raise


def _graph_within(sweep: PairSweep, threshold: Fraction) -> ConflictGraph:
    radii = Radii((threshold,), (Fraction(0),))
    return assemble((BitRows(*rows) for rows in sweep.within(radii)), *sweep.shape)


def _levels(
    sweep: PairSweep, thresholds: Sequence[Fraction], progress: Progress | None = None
) -> npt.NDArray[np.uint8]:
    levels = np.empty(sweep.shape, dtype=np.uint8)
    for start, stop, part in sweep.levels(thresholds):
        levels[start:stop] = part
        if progress is not None:
            progress("pairs", stop, len(levels))
    return levels


def _graphs_of_levels(levels: npt.NDArray[np.uint8], stop: int, start: int = 0) -> Iterator[ConflictGraph]:
    """Make the graph of the pairs up to each level from `start` to before `stop`."""
    n = len(levels)
    for first in range(start, stop, _GRAPHS_AT_ONCE):
        count = min(_GRAPHS_AT_ONCE, stop - first)
        bits = _core.pack_levels(levels, first, count, thread_count())
        for k in range(count):
            yield assemble([BitRows(0, n, bits[k * n : (k + 1) * n])], *levels.shape)


def _graph_of_level(levels: npt.NDArray[np.uint8], level: int) -> ConflictGraph:
    return next(_graphs_of_levels(levels, level + 1, level))


def _first_eps(family: _Family, lower: Fraction | None, upper: Fraction, reached: Callable[[Floor], bool]) -> float:
    """Find the first budget in (lower, upper] whose floor is `reached`; `lower` None means [0, upper].

    The bracket is cut by passes over the pairs until few distances are left in it; those are sorted exactly, and the
    one at which the floor is first reached is found by bisection, since floors ascend with the budget.
    """
    sweep = family.sweep
    if lower is None:
        if upper == 0 or reached(family.solve(_graph_within(sweep, Fraction(0)), Fraction(0))):
            return 0.0
        lower = Fraction(0)
    while True:
        step = (upper - lower) / (_MOST_LEVELS - 1)
        grid = [lower + step * k for k in range(_MOST_LEVELS)]
        levels = _levels(sweep, [family.threshold(value) for value in grid])

        def solved(level: int, levels: Any = levels, grid: Any = grid) -> bool:
            return reached(family.solve(_graph_of_level(levels, level), grid[level]))

        first = _bisect(1, _MOST_LEVELS - 1, solved)
        inside = np.argwhere(levels == first)
        base = _graph_of_level(levels, first - 1)
        if len(inside) <= _FEW_PAIRS or grid[first] - grid[first - 1] < upper / 10**12:
            break
        lower, upper = grid[first - 1], grid[first]
    keyed = sorted((sweep.key(i, j), i, j) for i, j in inside.tolist())
    keys = sorted({key for key, _, _ in keyed})

    def solved_with(place: int) -> bool:
        added = np.array([(i, j) for key, i, j in keyed if key <= keys[place]], dtype=np.intp)
        return reached(family.solve(base.with_edges(added), upper))

    key = keys[_bisect(0, len(keys) - 1, solved_with)]
    i, j = next((i, j) for one, i, j in keyed if one == key)
    return _least_double(family, (i, j, key), lambda eps: as_fraction("eps", eps))


def _separation(family: _Family, nearest: _Nearest) -> float:
    """Return the double next to the budget from which on the nearest pair conflicts."""
    above = _least_double(family, nearest, Fraction)
    if above in (0.0, math.inf):
        return above
    below = math.nextafter(above, 0.0)
    middle = (Fraction(below) + Fraction(above)) / 2
    return below if family.sweep.at_most(*nearest[:2], family.threshold(middle)) else above


def _least_double(family: _Family, pair: _Nearest, read: Callable[[float], Fraction]) -> float:
    """Return the least double that makes a pair conflict when it is read as a budget.

    Doubles from 0 on are in the order of their bits, read as whole numbers.  The search begins where the distance in
    double precision points to, and does not have to trust it.  It is infinite if no double suffices.
    """

    def conflict(bits: int) -> bool:
        return family.sweep.at_most(*pair[:2], family.threshold(read(_double_of(bits))))

    try:
        guess = family.sweep.distance_of_key(pair[2]) / float(2 * family.unit)
    except (OverflowError, ZeroDivisionError):
        guess = 1.0
    most = _bits_of(_LARGEST)
    high = _bits_of(guess if 0 < guess <= _LARGEST else 1.0)
    step = 1
    while high < most and not conflict(high):
        high, step = min(high + step, most), 2 * step
    if high == most and not conflict(most):
        return math.inf
    low, step = max(high - step, 0), 1
    while low > 0 and conflict(low):
        high, low, step = low, max(low - step, 0), 2 * step
    return _double_of(_bisect(low, high, conflict))


def _bits_of(value: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def _double_of(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


def _bisect(first: int, last: int, holds: Callable[[int], bool]) -> int:
    """Return the smallest number from `first` to `last` for which `holds`, knowing that it holds for `last`."""
    while first < last:
        middle = (first + last) // 2
        if holds(middle):
            last = middle
        else:
            first = middle + 1
    return first
