"""Floors over a grid of budgets, and the budget at which a loss is first reached."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import math
import os
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
from lossfloor.adversaries import Adversary, BitRows, Lp, NormBall
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


@dataclasses.dataclass(frozen=True)
class _Problem:
    """What all points of a curve share."""

    X: Any
    y: Any
    data: Any
    classes: npt.NDArray[Any]
    codes: npt.NDArray[np.intp]
    weights: IntegerWeights
    make: Callable[[Fraction], Adversary]
    sweep: PairSweep | None
    unit: Fraction

    def threshold(self, eps: Fraction) -> Fraction:
        """Distance up to which two examples that may each move by `eps` conflict."""
        return 2 * self.unit * eps

    def solve(self, graph: conflicts.ConflictGraph, eps: Fraction, progress: Progress | None = None) -> Floor:
        adversary = self.make(eps)
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
        conflict and every floor is 0.  NaN for adversaries that are not norm balls.
    seconds : dict
        Wall-clock seconds: "pairs" for the pass over all pairs, "solve" for all solutions together.

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
        problem: _Problem,
        eps: tuple[Fraction, ...],
        floors: tuple[Floor, ...],
        separation: float,
        seconds: dict[str, float],
    ) -> None:
        self._problem = problem
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
            If not exactly one value is given, it is not positive, or the adversary is no norm ball.
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

        def reached(one: Floor) -> bool:
            return one.loss(measure) >= target

        first = next((i for i, one in enumerate(self.floors) if reached(one)), None)
        if first is None:
            return None
        lower = self._eps[first - 1] if first > 0 else None
        return _first_eps(self._problem, lower, self._eps[first], reached)

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
        """Return the curve as JSON can hold it; with the key "upper" where pairs of examples stayed open."""
        bounds = any(one.status == "bounds" for one in self.floors)
        upper = {name: [one.upper.loss(name) for one in self.floors] for name in ("cross_entropy", "zero_one", "brier")}
        config = self._problem.make(self._eps[-1]).config()
        config.pop("eps", None)
        return {
            "status": "bounds" if bounds else "exact",
            "adversary": config,
            "classes": [Floor.plain(label) for label in self._problem.classes],
            "n_examples": len(self._problem.codes),
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
    progress: Progress | None = None,
) -> Curve | multiclass.MulticlassCurve:
    """Compute the floors of a whole grid of budgets with one pass over the pairs of examples.

    Of more than two classes, each budget has a pass of its own, and takes over the conflicts that smaller ones found.

    Parameters
    ----------
    X : array_like, shape (n, ...)
    y : array_like, shape (n,)
        Labels of two classes or more.
    family : type or callable
        `L1`, `L2`, `Linf` or `Lp`; or a function that makes an adversary of a budget (then every budget makes its own
        pass, and `Curve.eps_at` is not to be had).
    eps : array_like, shape (k,)
        Budgets, non-negative, read as the decimals that print them; sorted, each kept once.
    unit : number, default 1
        How many units of the data make one unit of eps.
    p : number, optional
        Order of the norm, for `Lp` only.
    sample_weight : array_like, shape (n,), optional
        Positive weights.
    gap : float, default 1e-4
        More than two classes: the difference of the bounds that is good enough; positive.
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
    make = _maker(family, unit, p)
    classes, codes = as_labels("y", y)
    gap = as_positive("gap", gap)
    ball = make(grid[-1])
    if not isinstance(ball, Adversary):
        raise TypeError(must("family", "a class of adversaries, such as lossfloor.L2", family))
    data = ball.as_data(X, len(codes))
    weights = as_integers(sample_weight, len(codes))
    if len(classes) > 2:
        return multiclass.multiclass_curve(X, y, classes, codes, weights, make, grid, gap=gap, progress=progress)
    if not isinstance(ball, NormBall):
        floors = tuple(
            two_class_floor(X, y, make(value), sample_weight=sample_weight, progress=_one_of(progress, i, len(grid)))
            for i, value in enumerate(grid)
        )
        return Curve(_Problem(X, y, data, classes, codes, weights, make, None, Fraction(1)), grid, floors, math.nan, {})
    left, right = np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)
    sweep = ball.sweep(data[left], data[right])
    problem = _Problem(X, y, data, classes, codes, weights, make, sweep, ball.unit)
    floors, nearest, seconds = _floors(problem, sweep, grid, progress)
    separation = sweep.distance_of_key(nearest) / float(2 * ball.unit)
    return Curve(problem, grid, floors, separation, seconds)


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
    return tuple(grid)


def _maker(family: Any, unit: Any, p: Any) -> Callable[[Fraction], Adversary]:
    if isinstance(family, type) and issubclass(family, Lp):
        if p is None:
            raise TypeError("'p', the order of the norm, is needed with Lp")
        return lambda eps: family(p, eps, unit)
    if p is not None:
        raise TypeError("'p' goes with Lp only")
    if isinstance(family, type) and issubclass(family, NormBall):
        return lambda eps: family(eps, unit)
    if not callable(family) or isinstance(family, Adversary):
        raise TypeError(must("family", "a class of adversaries, such as lossfloor.L2", family))
    made: Callable[[Fraction], Adversary] = family
    return made


def _floors(
    problem: _Problem, sweep: PairSweep, grid: tuple[Fraction, ...], progress: Progress | None
) -> tuple[tuple[Floor, ...], Fraction, dict[str, float]]:
    """Solve all budgets, several at a time as each takes one thread; return the key of the nearest pair too."""
    thresholds = [problem.threshold(value) for value in grid]
    n, m = sweep.shape
    seconds = {"pairs": 0.0, "solve": 0.0}
    floors: list[Floor] = []
    nearest: Fraction | None = None
    for begin in range(0, len(grid), _MOST_LEVELS):
        part = slice(begin, begin + _MOST_LEVELS)
        began = time.perf_counter()
        if n * m <= _MOST_PAIRS_AT_ONCE:
            levels = _levels(sweep, thresholds[part], progress)
            nearest = _nearest_by_level(sweep, levels, len(thresholds[part])) if nearest is None else nearest
            graphs = _graphs_of_levels(levels, len(thresholds[part]))
        else:
            graphs = (_graph_within(sweep, threshold) for threshold in thresholds[part])
        solving = time.perf_counter()
        for one in _solve_all(problem, graphs, grid[part]):
            floors.append(one)
            if progress is not None:
                progress("budgets", len(floors), len(grid))
        seconds["pairs"] += solving - began
        seconds["solve"] += time.perf_counter() - solving
    return tuple(floors), sweep.nearest()[2] if nearest is None else nearest, seconds


def _nearest_by_level(sweep: PairSweep, levels: npt.NDArray[np.uint8], n_levels: int) -> Fraction | None:
    """Return the smallest key, if the pass over all pairs has already left few pairs to look at."""
    least = levels.min()
    if least == n_levels:
        return None  # beyond the grid
    pairs = np.argwhere(levels == least)
    return sweep.nearest_of(pairs)[2] if len(pairs) <= _FEW_PAIRS else None


def _solve_all(
    problem: _Problem, graphs: Iterator[conflicts.ConflictGraph], grid: tuple[Fraction, ...]
) -> Iterator[Floor]:
    cancelled = threading.Event()

    def watch(_stage: str, _done: int, _total: int) -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt

    workers = thread_count()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting: list[concurrent.futures.Future[Floor]] = []
        try:
            for value, graph in zip(grid, graphs, strict=True):
                waiting.append(pool.submit(problem.solve, graph, value, watch))
                if len(waiting) > workers:  # no more graphs in memory than are being solved
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()
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


def _first_eps(problem: _Problem, lower: Fraction | None, upper: Fraction, reached: Callable[[Floor], bool]) -> float:
    """Find the first budget in (lower, upper] whose floor is `reached`; `lower` None means [0, upper].

    The bracket is cut by passes over the pairs until few distances are left in it; those are sorted exactly, and the
    one at which the floor is first reached is found by bisection, since floors ascend with the budget.
    """
    sweep = problem.sweep
    if sweep is None:
        raise TypeError("eps_at needs an adversary that is a norm ball")
    if lower is None:
        if upper == 0 or reached(problem.solve(_graph_within(sweep, Fraction(0)), Fraction(0))):
            return 0.0
        lower = Fraction(0)
    while True:
        step = (upper - lower) / (_MOST_LEVELS - 1)
        grid = [lower + step * k for k in range(_MOST_LEVELS)]
        levels = _levels(sweep, [problem.threshold(value) for value in grid])

        def solved(level: int, levels: Any = levels, grid: Any = grid) -> bool:
            return reached(problem.solve(_graph_of_level(levels, level), grid[level]))

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
        return reached(problem.solve(base.with_edges(added), upper))

    key = keys[_bisect(0, len(keys) - 1, solved_with)]
    eps = sweep.distance_of_key(key) / float(2 * problem.unit)
    pair = next((i, j) for one, i, j in keyed if one == key)
    eps = math.nextafter(math.nextafter(eps, 0.0), 0.0)
    while not sweep.at_most(*pair, problem.threshold(as_fraction("eps", eps))):
        eps = math.nextafter(eps, math.inf)
    return eps


def _bisect(first: int, last: int, holds: Callable[[int], bool]) -> int:
    """Return the smallest number from `first` to `last` for which `holds`, knowing that it holds for `last`."""
    while first < last:
        middle = (first + last) // 2
        if holds(middle):
            last = middle
        else:
            first = middle + 1
    return first
