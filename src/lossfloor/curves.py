"""Floors over a grid of budgets, and the budget at which a loss is first reached."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import math
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core, conflicts, multiclass
from lossfloor._files import write_whole
from lossfloor._validation import as_fraction, as_labels, as_positive, must
from lossfloor.adversaries import L1, L2, Adversary, BitRows, Linf, Lp, NormBall
from lossfloor.distances import PairSweep, Radii, thread_count
from lossfloor.exceptions import MissingDependencyError
from lossfloor.floors import Floor, Progress, solve_floor, two_class_floor
from lossfloor.weights import IntegerWeights, as_integers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Pairs whose levels are kept in memory (a byte each); above, every budget makes its own pass over the pairs.
_MOST_PAIRS_AT_ONCE = 1 << 31
#: Budgets of one pass, as a level is a byte.
_MOST_LEVELS = 255
#: Graphs made in one pass over the levels of all pairs: as bits they take together as much memory as the levels.
_GRAPHS_AT_ONCE = 8
#: Pairs in a bracket below which their distances are sorted exactly.
_FEW_PAIRS = 4096


#: Families of balls whose radius is the budget that they are made with.
_NORMS = (L1, L2, Linf, Lp)
#: Largest double.
_LARGEST = math.nextafter(math.inf, 0.0)

#: A pair of examples and the key of its distance, as `PairSweep.nearest` returns them.
_Nearest = tuple[int, int, Fraction]


@dataclasses.dataclass(frozen=True)
class _Problem:
    """What all points of a curve share."""

    X: Any
    y: Any
    classes: npt.NDArray[Any]
    codes: npt.NDArray[np.intp]
    weights: IntegerWeights

    def solve(self, graph: conflicts.ConflictGraph, adversary: Adversary, progress: Progress | None = None) -> Floor:
        return solve_floor(
            graph,
            self.classes,
            self.codes,
            self.weights,
            adversary,
            data=(self.X, self.y, adversary),
            seconds={},
            progress=progress,
        )


@dataclasses.dataclass(frozen=True)
class _Family:
    """Balls of one norm whose radius is the budget itself, in one pass over the pairs: what is known between points."""

    problem: _Problem
    make: Callable[[Fraction], Adversary]
    sweep: PairSweep
    unit: Fraction

    def threshold(self, eps: Fraction) -> Fraction:
        """Distance up to which two examples that may each move by `eps` conflict."""
        return 2 * self.unit * eps

    def solve(self, graph: conflicts.ConflictGraph, eps: Fraction) -> Floor:
        return self.problem.solve(graph, self.make(eps))


class Curve:
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
        self._adversaries = adversaries
        self._family = family
        self._eps = eps
        self.eps = np.array([float(value) for value in eps])
        self.floors = floors
        self.separation = separation
        self.seconds = seconds

    def __len__(self) -> int:
        return len(self.floors)

    def __repr__(self) -> str:
        return (
            f"Curve({len(self)} budgets from {self.eps[0]:g} to {self.eps[-1]:g}, cross_entropy from "
            f"{self.cross_entropy[0]:.6g} to {self.cross_entropy[-1]:.6g} nats, separation {self.separation:.6g})"
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("eps", "cross-entropy", "0-1", "Brier", "conflicts"))
        rows = zip(self.eps, self.cross_entropy, self.zero_one, self.brier, self.n_edges, strict=True)
        body = "".join(
            f"<tr><td>{e:g}</td><td>{c:.6g}</td><td>{z:.6g}</td><td>{b:.6g}</td><td>{n}</td></tr>"
            for e, c, z, b, n in rows
        )
        return f"<table><caption>Smallest robust loss of any classifier</caption><tr>{head}</tr>{body}</table>"

    @property
    def cross_entropy(self) -> npt.NDArray[np.float64]:
        """Floor of the cross-entropy in nats at each budget, shape (k,)."""
        return np.array([one.cross_entropy for one in self.floors])

    @property
    def zero_one(self) -> npt.NDArray[np.float64]:
        """Floor of the 0-1 loss at each budget, shape (k,)."""
        return np.array([one.zero_one for one in self.floors])

    @property
    def brier(self) -> npt.NDArray[np.float64]:
        """Floor of the Brier loss at each budget, shape (k,)."""
        return np.array([one.brier for one in self.floors])

    @property
    def n_edges(self) -> npt.NDArray[np.int64]:
        """Number of conflicts at each budget, shape (k,)."""
        return np.array([one.n_edges for one in self.floors], dtype=np.int64)

    @property
    def n_blocks(self) -> npt.NDArray[np.int64]:
        """Number of blocks at each budget, shape (k,)."""
        return np.array([one.n_blocks for one in self.floors], dtype=np.int64)

    def loss(self, loss: Any, *, costs: Any = None) -> npt.NDArray[np.float64]:
        """Return the floor of any loss at each budget, shape (k,); see `Floor.loss`."""
        return np.array([one.loss(loss, costs=costs) for one in self.floors])

    def floor(self, i: int) -> Floor:
        """Return the floor at the i-th budget."""
        return self.floors[i]

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
            A floor jumps only where a pair of examples begins to conflict.  This is the budget of the pair at which
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
                raise TypeError("'loss' needs 'value', what it has to reach")
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

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row for each budget.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingDependencyError("to_frame needs pandas: pip install 'lossfloor[frames]'") from None
        return pd.DataFrame(self._columns())

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "eps": self.eps,
            "cross_entropy": self.cross_entropy,
            "zero_one": self.zero_one,
            "brier": self.brier,
            "n_edges": self.n_edges,
            "n_blocks": self.n_blocks,
        }

    def summary(self) -> dict[str, Any]:
        """Return the curve as JSON can hold it.

        It has the key "upper" where pairs of examples stayed open, and "adversaries", what is special about that of
        each budget, where they differ in more than a radius that is the budget.
        """
        bounds = any(one.status == "bounds" for one in self.floors)
        upper = {name: [one.upper.loss(name) for one in self.floors] for name in ("cross_entropy", "zero_one", "brier")}
        return {
            "status": "bounds" if bounds else "exact",
            **multiclass.described(self._adversaries, self._eps),
            "classes": [Floor.plain(label) for label in self.floors[0].classes],
            "n_examples": self.floors[0].n_examples,
            "separation": None if math.isnan(self.separation) else self.separation,
            **{name: column.tolist() for name, column in self._columns().items()},
            **({"upper": upper} if bounds else {}),
            "seconds": self.seconds,
        }

    def to_json(self) -> str:
        """Return `summary` as a JSON text."""
        return json.dumps(self.summary())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table with a row for each budget (written whole or not at all)."""
        columns = self._columns()
        lines = [",".join(columns)]
        lines += [
            ",".join(repr(value) for value in row) for row in zip(*(c.tolist() for c in columns.values()), strict=True)
        ]
        text = "\n".join(lines) + "\n"
        write_whole(path, lambda stream: stream.write(text.encode()))

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the curve; see `lossfloor.plotting.plot_curve`."""
        from lossfloor.plotting import plot_curve

        return plot_curve(self, ax, **options)


def curve(
    X: Any,
    y: Any,
    family: Any,
    *,
    eps: Any,
    unit: Any = 1,
    p: Any = None,
    sample_weight: Any = None,
    gap: float = 1e-4,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Curve | multiclass.MulticlassCurve:
    """Compute the floors of a whole grid of budgets: each is that of `lossfloor.floor`, exactly.

    Balls of one norm take one pass over the pairs of examples for all budgets, other adversaries one pass each.  With
    more than two classes each budget has a pass of its own, and takes over the conflicts that smaller ones found.

    Parameters
    ----------
    X : array_like, shape (n, ...)
    y : array_like, shape (n,)
        Labels of two classes or more.
    family : type or callable
        `L1`, `L2`, `Linf` or `Lp`; or a function that makes an adversary of a budget, a Fraction.  What it makes is
        taken as it is: the adversaries may be of any kind, and a larger budget need not let them do more.  It is called
        once for each budget, so `Curve.eps_at` and the separation are not to be had.
    eps : array_like, shape (k,)
        Budgets, non-negative, read as the decimals that print them; sorted, each kept once.
    unit : number, default 1
        How many units of the data make one unit of eps.  A function has to take care of this itself.
    p : number, optional
        Order of the norm, for `Lp` only.
    sample_weight : array_like, shape (n,), optional
        Positive weights.
    gap : float, default 1e-4
        More than two classes: the difference of the bounds that is good enough; positive.
    time_limit : float, optional
        More than two classes: seconds for the whole curve; positive.  What is left is divided evenly among the budgets
        still to be solved; where it does not suffice, the bounds found by then are returned.
    progress : callable, optional
        Called with (stage, done, in all) as the work goes on.

    Returns
    -------
    Curve or MulticlassCurve
        Of two classes, or of more.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the message names it.

    Examples
    --------
    >>> import lossfloor as lf
    >>> lf.curve([[0], [4]], ["a", "b"], lf.Linf, eps=[1, 2, 3]).cross_entropy
    array([0.        , 0.69314718, 0.69314718])
    """
    grid = _grid(eps)
    make, named = _maker(family, unit, p)
    classes, codes = as_labels("y", y)
    gap = as_positive("gap", gap)
    time_limit = None if time_limit is None else as_positive("time_limit", time_limit)
    adversaries = tuple(_made(make, family, value) for value in grid)
    data = adversaries[-1].as_data(X, len(codes))
    weights = as_integers(sample_weight, len(codes))
    if len(classes) > 2:
        return multiclass.multiclass_curve(
            X, y, classes, codes, weights, adversaries, grid, gap=gap, time_limit=time_limit, progress=progress
        )
    balls = _balls_of_one_norm(adversaries)
    if balls is None:
        floors = tuple(
            two_class_floor(X, y, one, sample_weight=sample_weight, progress=_one_of(progress, i, len(grid)))
            for i, one in enumerate(adversaries)
        )
        return Curve(adversaries, grid, floors, math.nan, {}, None)
    sweep = balls[0].sweep(data[codes == 0], data[codes == 1])
    problem = _Problem(X, y, classes, codes, weights)
    floors, nearest, seconds = _floors(problem, sweep, balls, progress)
    if not named:
        return Curve(adversaries, grid, floors, math.nan, seconds, None)
    known = _Family(problem, make, sweep, balls[0].unit)
    separation = _separation(known, sweep.nearest() if nearest is None else nearest)
    return Curve(adversaries, grid, floors, separation, seconds, known)


def _made(make: Callable[[Fraction], Adversary], family: Any, eps: Fraction) -> Adversary:
    """Make the adversary of a budget."""
    adversary = make(eps)
    if not isinstance(adversary, Adversary):
        raise TypeError(must("family", "a class of adversaries, such as lossfloor.L2", family))
    return adversary


def _balls_of_one_norm(adversaries: Sequence[Adversary]) -> list[NormBall] | None:
    """Return the adversaries if one pass over the pairs serves all: balls of one norm, one radius for all examples.

    Classes that inherit from those of the norms are passed over, as they may mean anything by a radius.
    """
    balls = [one for one in adversaries if isinstance(one, NormBall) and type(one) in _NORMS and len(one.eps) == 1]
    one_norm = len(balls) == len(adversaries) and len({ball.order for ball in balls}) == 1
    return balls if one_norm else None


def _one_of(progress: Progress | None, i: int, count: int) -> Progress | None:
    if progress is None:
        return None
    return lambda stage, done, total: progress(f"{stage} {i + 1}/{count}", done, total)


def _grid(eps: Any) -> tuple[Fraction, ...]:
    values = np.asarray(eps) if not isinstance(eps, Sequence) or isinstance(eps, str) else eps
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise ValueError(must("eps", "a list of budgets, shape (k,)", f"shape {values.shape}"))
    grid = sorted({as_fraction("eps", value) for value in values})
    if not grid:
        raise ValueError(must("eps", "a list with at least one budget", "an empty one"))
    if grid[0] < 0:
        raise ValueError(must("eps", "at least 0", float(grid[0])))
    if grid[-1] > Fraction(_LARGEST):
        raise ValueError(must("eps", f"at most {_LARGEST:g}", "more"))
    return tuple(grid)


def _maker(family: Any, unit: Any, p: Any) -> tuple[Callable[[Fraction], Adversary], bool]:
    """Return what makes an adversary of a budget, and whether it is a norm ball whose radius is that budget."""
    if isinstance(family, type) and issubclass(family, Lp):
        if p is None:
            raise TypeError("'p', the order of the norm, is needed with Lp")
        return (lambda eps: family(p, eps, unit)), family in _NORMS
    if p is not None:
        raise TypeError("'p' goes with Lp only")
    if isinstance(family, type) and issubclass(family, NormBall):
        return (lambda eps: family(eps, unit)), family in _NORMS
    if not callable(family) or isinstance(family, Adversary):
        raise TypeError(must("family", "a class of adversaries, such as lossfloor.L2", family))
    return family, False


def _floors(
    problem: _Problem, sweep: PairSweep, balls: Sequence[NormBall], progress: Progress | None
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
    problem: _Problem, balls: Sequence[NormBall], jobs: Iterator[tuple[int, conflicts.ConflictGraph]]
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
                waiting.append((i, pool.submit(problem.solve, graph, balls[i], watch)))
                if len(waiting) > workers:  # no more graphs in memory than are being solved
                    first, future = waiting.pop(0)
                    yield first, future.result()
            for first, future in waiting:
                yield first, future.result()
        except BaseException:
            cancelled.set()
            raise


def _graph_within(sweep: PairSweep, threshold: Fraction) -> conflicts.ConflictGraph:
    radii = Radii((threshold,), (Fraction(0),))
    return conflicts.gather((BitRows(*rows) for rows in sweep.within(radii)), *sweep.shape)


def _levels(
    sweep: PairSweep, thresholds: Sequence[Fraction], progress: Progress | None = None
) -> npt.NDArray[np.uint8]:
    levels = np.empty(sweep.shape, dtype=np.uint8)
    for start, stop, part in sweep.levels(thresholds):
        levels[start:stop] = part
        if progress is not None:
            progress("pairs", stop, len(levels))
    return levels


def _graphs_of_levels(levels: npt.NDArray[np.uint8], stop: int, start: int = 0) -> Iterator[conflicts.ConflictGraph]:
    """Make the graph of the pairs up to each level from `start` to before `stop`."""
    n = len(levels)
    for first in range(start, stop, _GRAPHS_AT_ONCE):
        count = min(_GRAPHS_AT_ONCE, stop - first)
        bits = _core.pack_levels(levels, first, count, thread_count())
        for k in range(count):
            yield conflicts.gather([BitRows(0, n, bits[k * n : (k + 1) * n])], *levels.shape)


def _graph_of_level(levels: npt.NDArray[np.uint8], level: int) -> conflicts.ConflictGraph:
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
