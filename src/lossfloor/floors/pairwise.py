r"""Floors of every two classes, and what they imply for all classes together.

Two bounds for k classes follow from floors of two, without a conflict of three examples (``docs/multiclass.md`` has the
proofs).  Whatever a classifier of k classes does, on the examples of two classes it is no better than a classifier of
these two; so the floors of disjoint pairs of classes add up, weighted by the share of their examples.  And if all
classes but one are merged, a loss can only fall; so each floor of one class against the rest is a bound.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor import losses
from lossfloor._checks import must
from lossfloor._types import Positions, Progress
from lossfloor.adversaries import Adversary
from lossfloor.conflicts import build_pairs
from lossfloor.floors.problem import Problem
from lossfloor.floors.two_class import Floor, find_floor, solve_graphs
from lossfloor.graphs import ConflictGraph
from lossfloor.reporting.tables import as_frame, html_table, write_csv
from lossfloor.weights import IntegerWeights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Classes up to which the best disjoint pairs are found among all sets of pairs.
_MOST_TO_MATCH = 16


@dataclasses.dataclass(frozen=True)
class PairwiseFloors:
    """Floors of every two classes of a data set; `pairwise_floors` makes one.

    Attributes
    ----------
    classes : ndarray, shape (k,)
        The labels.
    weights : ndarray of int64, shape (k,)
        Weight of the examples of each class.
    floors : dict
        The `Floor` of each pair of classes, by their positions (i, j), i < j.
    seconds : float
        Total wall-clock time.

    Examples
    --------
    >>> import lossfloor as lf
    >>> found = lf.pairwise_floors([[0.0], [1.0], [1.5], [9.0]], ["a", "b", "c", "c"], lf.L2(0.5))
    >>> found.matrix("zero-one").round(3)
    array([[0.   , 0.5  , 0.   ],
           [0.5  , 0.   , 0.333],
           [0.   , 0.333, 0.   ]])
    >>> found.lower_bound("zero-one")
    0.25
    """

    classes: npt.NDArray[Any]
    weights: npt.NDArray[np.int64]
    floors: Mapping[tuple[int, int], Floor]
    seconds: float

    def floor(self, first: Any, second: Any) -> Floor:
        """Return the floor of two classes, given by their labels in either order.

        Raises
        ------
        ValueError
            If a label is not known, or both are the same.
        """
        places = []
        for name, label in (("first", first), ("second", second)):
            place = np.flatnonzero(self.classes == label)
            if len(place) != 1:
                raise ValueError(must(name, f"one of the classes {self.classes.tolist()}", label))
            places.append(int(place[0]))
        if places[0] == places[1]:
            raise ValueError(must("second", "different from the first class", second))
        return self.floors[min(places), max(places)]

    def matrix(self, loss: Any = "cross-entropy") -> npt.NDArray[np.float64]:
        """Return the floor of every two classes, mean over the examples of the two.

        Parameters
        ----------
        loss : Loss, str or callable
            As for `Floor.loss`.

        Returns
        -------
        ndarray of float64, shape (k, k)
            Symmetric; zero on the diagonal.  Lower bounds if some pairs of examples remain undecided.
        """
        chosen = losses.resolve(loss)
        table = np.zeros((len(self.classes), len(self.classes)))
        for (i, j), one in self.floors.items():
            table[i, j] = table[j, i] = one.loss(chosen)
        return table

    def lower_bound(self, loss: Any = "cross-entropy") -> float:
        """Return a lower bound for all classes together: the floors of the best disjoint pairs of classes.

        Parameters
        ----------
        loss : Loss, str or callable

        Returns
        -------
        float
            Weighted mean over all examples.  `lossfloor.floor` gives better ones, at more cost.
        """
        return sum(share for _, share in self.best_pairs(loss))

    def best_pairs(self, loss: Any = "cross-entropy") -> list[tuple[tuple[Any, Any], float]]:
        """Return the disjoint pairs of classes with the largest total floor, and each one's share of the mean loss.

        For up to 16 classes all pairings are compared; for more, the pair that adds most is chosen repeatedly.
        """
        table = self.matrix(loss)
        gains = table * (self.weights[:, None] + self.weights[None, :]) / int(self.weights.sum())
        k = len(self.classes)
        chosen = _matching(gains) if k <= _MOST_TO_MATCH else _greedy(gains)
        return [((self.classes[i].item(), self.classes[j].item()), float(gains[i, j])) for i, j in chosen]

    def hardest(self, count: int = 5, loss: Any = "cross-entropy") -> list[tuple[tuple[Any, Any], float]]:
        """Return the pairs of classes with the largest floors, the largest first."""
        table = self.matrix(loss)
        order = sorted(self.floors, key=lambda pair: (-table[pair], pair))
        return [((self.classes[i].item(), self.classes[j].item()), float(table[i, j])) for i, j in order[:count]]

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per pair of classes.

        Returns
        -------
        pandas.DataFrame
            Columns first, second, n_examples, n_edges, cross_entropy, zero_one, brier.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        return as_frame(self.columns())

    def columns(self) -> dict[str, list[Any]]:
        """Return what `to_frame` has, by the names of its columns."""
        rows = self.rows()
        return {name: [row[name] for row in rows] for name in rows[0]}

    def rows(self) -> list[dict[str, Any]]:
        """Return what `to_frame` has as a list of dictionaries."""
        return [
            {
                "first": self.classes[i].item(),
                "second": self.classes[j].item(),
                "n_examples": one.n_examples,
                "n_edges": one.n_edges,
                **one.main_losses(),
            }
            for (i, j), one in self.floors.items()
        ]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `columns` as a table with a row for each pair of classes (written whole or not at all)."""
        write_csv(path, self.columns())

    def summary(self) -> dict[str, Any]:
        """Return the results as JSON can hold them (the keys of ``lossfloor pairwise --json``)."""
        bounds = any(one.status == "bounds" for one in self.floors.values())
        return {
            "status": "bounds" if bounds else "exact",
            "classes": self.classes.tolist(),
            "cross_entropy": self.matrix("cross-entropy").tolist(),
            "zero_one": self.matrix("zero-one").tolist(),
            "lower_bound": {name: self.lower_bound(name) for name in ("cross_entropy", "zero_one")},
            "seconds": self.seconds,
        }

    def plot(self, ax: Axes | None = None, *, loss: Any = "cross-entropy", dark: bool = False) -> Axes:
        """Draw the matrix as a heat map; see `lossfloor.reporting.plots.plot_matrix`."""
        from lossfloor.reporting.plots import plot_matrix

        chosen = losses.resolve(loss)
        return plot_matrix(self.matrix(chosen), [str(label) for label in self.classes], chosen, ax, dark=dark)

    def __repr__(self) -> str:
        return (
            f"PairwiseFloors({len(self.classes)} classes, cross_entropy of all together at least "
            f"{self.lower_bound():.6g} nats, zero_one at least {self.lower_bound('zero-one'):.6g})"
        )

    def _repr_html_(self) -> str:
        labels = [str(label) for label in self.classes]
        rows = [[label, *(f"{value:.4f}" for value in row)] for label, row in zip(labels, self.matrix(), strict=True)]
        caption = "Smallest robust cross-entropy (nats) of every two classes"
        return html_table(caption, ["", *labels], rows, row_heads=True)


def _matching(gains: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the disjoint pairs with the largest sum: the best way to pair each set of classes, from smaller ones."""

    @functools.cache
    def best(left: int) -> tuple[float, tuple[tuple[int, int], ...]]:
        if left == 0:
            return 0.0, ()
        i = (left & -left).bit_length() - 1
        rest = left & ~(1 << i)
        found = best(rest)
        for j in range(i + 1, len(gains)):
            if rest >> j & 1 and gains[i, j] > 0:
                value, pairs = best(rest & ~(1 << j))
                if value + gains[i, j] > found[0]:
                    found = value + gains[i, j], ((i, j), *pairs)
        return found

    return list(best((1 << len(gains)) - 1)[1])


def _greedy(gains: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return disjoint pairs, the one that adds most first."""
    left, found = np.triu(gains, 1), []
    while left.max(initial=0.0) > 0:
        i, j = (int(place) for place in np.unravel_index(left.argmax(), left.shape))
        found.append((i, j))
        left[[i, j], :] = left[:, [i, j]] = 0.0
    return found


def pairwise_floors(
    X: Any, y: Any, adversary: Adversary, *, sample_weight: Any = None, progress: Progress | None = None
) -> PairwiseFloors:
    """Compute the floor of every two classes of a data set, in one pass over it.

    Parameters
    ----------
    X : array_like, shape (n, ...)
        Examples, as the adversary takes them; nothing is rescaled.
    y : array_like, shape (n,)
        Labels of two or more classes.
    adversary : Adversary
        The adversary, such as ``lossfloor.L2(2.5, unit=255)``.
    sample_weight : array_like, shape (n,), optional
        Positive weights, as for `lossfloor.floor`.
    progress : callable, optional
        Called with ("pairs of classes", done, total).

    Returns
    -------
    PairwiseFloors

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Theorem 1 for two classes; for more, ``docs/multiclass.md``.
    """
    problem = Problem.read(X, y, adversary, sample_weight)
    classes, codes, weights = problem.classes, problem.codes, problem.weights
    began = time.perf_counter()
    positions = [np.flatnonzero(codes == code) for code in range(len(classes))]
    floors: dict[tuple[int, int], Floor] = {}
    for i, left in enumerate(positions[:-1]):
        for j, sure, possible in build_pairs(adversary, problem.data, left, positions[i + 1 :]):
            floors[i, i + 1 + j] = _solved(problem, i, i + 1 + j, left, positions[i + 1 + j], sure, possible)
            if progress is not None:
                progress("pairs of classes", len(floors), len(classes) * (len(classes) - 1) // 2)
    of_class = np.array([int(weights.values[some].sum()) for some in positions], dtype=np.int64)
    return PairwiseFloors(classes, of_class, floors, time.perf_counter() - began)


def _solved(
    problem: Problem,
    i: int,
    j: int,
    left: Positions,
    right: Positions,
    sure: ConflictGraph,
    possible: ConflictGraph | None,
) -> Floor:
    """Solve the graph of the i-th and the j-th class, whose examples are at `left` and `right`."""
    both = np.concatenate([left, right])
    pair = Problem(
        classes=problem.classes[[i, j]],
        codes=np.repeat(np.array([0, 1], dtype=np.intp), [len(left), len(right)]),
        weights=IntegerWeights(problem.weights.values[both], problem.weights.exact),
        adversary=problem.adversary,
    )
    return solve_graphs(pair, sure, possible)


def one_vs_rest_bound(
    X: Any,
    y: Any,
    adversary: Adversary,
    *,
    loss: Any = "cross-entropy",
    sample_weight: Any = None,
    progress: Progress | None = None,
) -> dict[Any, float]:
    """Compute for each class the floor of that class against all others merged: lower bounds for all classes.

    Parameters
    ----------
    X, y, adversary, sample_weight
        As for `pairwise_floors`.
    loss : Loss, str or callable, default "cross-entropy"
        As for `Floor.loss`.
    progress : callable, optional
        Called with ("classes", done, in all).

    Returns
    -------
    dict
        The bound by the label of the class, mean over all weighted examples.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it.

    Examples
    --------
    >>> import lossfloor as lf
    >>> from lossfloor.floors.pairwise import one_vs_rest_bound
    >>> one_vs_rest_bound([[0.0], [1.0], [1.5], [9.0]], ["a", "b", "c", "c"], lf.L2(0.5), loss="zero-one")
    {'a': 0.25, 'b': 0.25, 'c': 0.25}
    """
    chosen = losses.resolve(loss)
    problem = Problem.read(X, y, adversary, sample_weight)
    found = {}
    for code, label in enumerate(problem.classes.tolist()):
        one = find_floor(problem.with_labels((problem.codes == code).astype(np.int64)))
        found[label] = one.loss(chosen)
        if progress is not None:
            progress("classes", code + 1, len(problem.classes))
    return found
