"""The floor of two classes: the smallest robust loss of any classifier, and everything read off its solution."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor import certificates, conflicts, losses, solvers
from lossfloor._checks import must
from lossfloor._files import read_arrays
from lossfloor._types import Progress
from lossfloor.adversaries import Adversary, from_config
from lossfloor.attacks.two_class import Attack, moves
from lossfloor.floors.about import About
from lossfloor.floors.problem import Problem
from lossfloor.floors.result import BaseFloor, check_min_correct, read_degrees, read_seconds
from lossfloor.graphs import ConflictGraph
from lossfloor.reporting.numbers import short_bounds
from lossfloor.weights import IntegerWeights

if TYPE_CHECKING:
    from scipy import sparse


class Floor(BaseFloor):
    """The smallest robust loss of any classifier on some data against some adversary; `floor` makes one.

    One solution answers every loss: it is a partition of the examples into blocks, each with a *conflict posterior*,
    the share of the first class in its weight, and a loss is a sum over the blocks.

    Attributes
    ----------
    classes : ndarray, shape (2,)
        The labels; posteriors refer to the first.
    n_examples, n_edges, n_isolated : int
        Number of examples, of conflicts, and of examples without conflicts.
    weights_exact : bool
        Whether the integer weights are exactly proportional to the given weights.
    seconds : dict
        Wall-clock seconds per stage.

    Examples
    --------
    >>> import lossfloor as lf
    >>> result = lf.floor([[0.0], [1.0], [5.0]], ["a", "b", "b"], lf.L1(0.5))
    >>> result
    Floor(cross_entropy=0.462098 nats, zero_one=0.333333, exact; 3 examples, 1 conflict, 2 blocks)
    >>> result.correct_probability
    array([0.5, 0.5, 1. ])
    """

    FORMAT = "lossfloor-floor-1"

    def __init__(
        self,
        about: About,
        *,
        blocks: solvers.Blocks,
        block: npt.NDArray[np.int32],
        flow_edges: npt.NDArray[np.int32],
        upper: Floor | None = None,
        undecided: bool = False,
    ) -> None:
        super().__init__(about)
        self._blocks = blocks
        self._block = block
        self._flow_edges = flow_edges
        self._upper = upper
        self._undecided = undecided  # whether pairs that could not be decided count as conflicts
        self._known: dict[str, float] = {}

    # The losses.

    @property
    def status(self) -> str:
        """How the numbers are proved.

        "exact" : the optimum itself, by exact arithmetic.
        "bounds" : for some pairs of examples it is undecided whether they conflict.  The losses of this floor are then
        those without these conflicts, which no classifier can go below; those of `upper` are with them, and some
        classifier reaches them.
        """
        return "exact" if self._upper is None else "bounds"

    @property
    def lower(self) -> Floor:
        """The floor of the certain conflicts: this floor itself."""
        return self

    @property
    def upper(self) -> Floor:
        """The floor with undecided pairs counted as conflicts; this floor itself unless `status` is "bounds"."""
        return self if self._upper is None else self._upper

    @property
    def reached(self) -> Floor:
        """The floor that some classifier reaches: the upper one."""
        return self.upper

    def _lower_bound(self, loss: losses.Loss, costs: Mapping[Any, Fraction] | None) -> float:
        if costs is None and not isinstance(loss, losses.Convex):
            if repr(loss) not in self._known:
                self._known[repr(loss)] = self._value(loss)
            return self._known[repr(loss)]
        return self._value(loss if costs is None else losses.Costs(loss, *costs.values()))

    def _upper_bound(self, loss: losses.Loss, costs: Mapping[Any, Fraction] | None) -> float:
        return self.upper._lower_bound(loss, costs)

    def _value(self, loss: losses.Loss) -> float:
        exact = self._exact_loss(loss)
        if exact is not None:
            return float(exact)
        risks = loss.block_risk(self._blocks.a.astype(np.float64), self._blocks.b.astype(np.float64))
        return math.fsum(risks.tolist()) / self._total

    def exact_loss(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> Fraction | None:
        """Return the floor of a loss as an exact rational, or None if it is irrational (cross-entropy).

        Examples
        --------
        >>> import lossfloor as lf
        >>> lf.floor([[0], [1], [9]], [0, 1, 1], lf.L2(1)).exact_loss("brier")
        Fraction(1, 6)
        """
        chosen, factors = losses.resolve(loss), self._costs(costs)
        return self._exact_loss(chosen if factors is None else losses.Costs(chosen, *factors.values()))

    def _exact_loss(self, loss: losses.Loss) -> Fraction | None:
        total = Fraction(0)
        for a, b in zip(self._blocks.a.tolist(), self._blocks.b.tolist(), strict=True):
            part = loss.exact_bayes_risk(a, b)
            if part is None:
                return None
            total += part
        return total / self._total

    @property
    def _total(self) -> int:
        return int(self._blocks.a.sum()) + int(self._blocks.b.sum())

    # The examples.

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self._blocks)

    @property
    def blocks(self) -> solvers.Blocks:
        """The blocks in ascending order of their posterior, with the flow that proves them."""
        return self._blocks

    @property
    def block(self) -> npt.NDArray[np.int32]:
        """Block of each example, shape (n,)."""
        return self._block

    @property
    def posterior(self) -> npt.NDArray[np.float64]:
        """Conflict posterior of each example, shape (n,).

        The probability of ``classes[0]`` that an optimal classifier for any proper loss assigns under the worst move:
        the share of that class in the weight of the example's block.
        """
        return self._blocks.posterior[self._block]

    @property
    def correct_probability(self) -> npt.NDArray[np.float64]:
        """Probability q that an optimal classifier keeps on each example's true class, shape (n,).

        Optimal for every proper loss (cross-entropy, Brier, spherical).  The q of two examples in conflict sum to at
        most one.
        """
        own = np.where(self._codes == 0, self._blocks.a[self._block], self._blocks.b[self._block])
        probability: npt.NDArray[np.float64] = own / (self._blocks.a + self._blocks.b)[self._block]
        return probability

    def soft_labels(self, min_correct: float = 0.0) -> npt.NDArray[np.float64]:
        """Return the class probabilities that achieve the floor, as labels to train on.

        Parameters
        ----------
        min_correct : float, default 0
            Minimum probability of each example's own class, in [0, 1].

        Returns
        -------
        ndarray of float64, shape (n, 2)
            Rows sum to one; columns are in the order of `classes`.

        Raises
        ------
        ValueError
            If `min_correct` is not in [0, 1].
        """
        check_min_correct(min_correct)
        own = np.maximum(self.correct_probability, min_correct)
        labels = np.empty((self.n_examples, 2))
        rows = np.arange(self.n_examples)
        labels[rows, self._codes] = own
        labels[rows, 1 - self._codes] = 1.0 - own
        return labels

    def _own_columns(self) -> dict[str, npt.NDArray[Any]]:
        return {"block": self._block, "posterior": self.posterior}

    # The proof.

    @property
    def certificate(self) -> certificates.Certificate:
        """What proves the floor, for `lossfloor.certificates.check`."""
        return certificates.Certificate(
            classes=self.classes,
            codes=self._codes,
            weight=self._weight,
            block=self._block,
            a=self._blocks.a,
            b=self._blocks.b,
            flow_edges=self._flow_edges,
            flow_high=self._blocks.flow_high,
            flow_low=self._blocks.flow_low,
            adversary=self._adversary,
        )

    def verify(self, X: Any = None, y: Any = None, *, adversary: Adversary | None = None) -> certificates.Verification:
        """Check the floor independently: in exact arithmetic, without code of the solver or the kernels.

        Parameters
        ----------
        X, y : array_like, optional
            The data.  Required after `load`; by default the data from which the floor was computed.
        adversary : Adversary, optional
            Required after `load` if its matrix or functions are not stored in the file (`Precomputed`,
            `CustomAdversary`, `FiniteSets`); must be the adversary of this floor.

        Returns
        -------
        Verification

        Raises
        ------
        CertificateError
            If the floor is not proved for this data.
        ValueError
            If the data are required but not given.

        Notes
        -----
        For balls of l_p norms and given matrices, the checker decides conflicts itself.  For other adversaries it
        calls `Adversary.conflict` for each pair: slow, and it trusts that definition.  If `status` is
        "bounds", the lower bounds are verified; ``floor.upper.verify()`` verifies the upper ones.
        """
        X, y, adversary = self._given_for_proof(X, y, adversary)
        matrix = None if adversary is None else adversary.matrix
        decide = None
        if not certificates.decides(self._adversary):
            decide = self._pair_test(adversary or from_config(self._adversary), X)
        return certificates.check(self.certificate, X, y, matrix=matrix, decide=decide)

    def _pair_test(self, adversary: Adversary, X: Any) -> Callable[[int, int], bool]:
        """Return the adversary's own slow test of two examples, pairs that it leaves undecided counted as they were."""
        data = adversary.as_data(X, self.n_examples)

        def decide(u: int, v: int) -> bool:
            conflict = adversary.conflict(data[u], data[v], index=np.array([u, v], dtype=np.intp))
            return self._undecided if conflict is None else conflict

        return decide

    # The adversary's side.

    @functools.cached_property
    def strategy(self) -> sparse.csr_array:
        """The adversary's optimal mixed strategy: the probability with which each example moves towards each other one.

        A sparse matrix of float64, shape (n, n).  Row i has the probabilities with which example i moves to a point
        shared with each example of the other class; they sum to one.  It is empty where example i stays, because no
        example of the other class is in its block.
        """
        return moves(self.certificate)

    def attack(self, X: Any = None, *, adversary: Adversary | None = None) -> Attack:
        """Return the attack no classifier can beat; it generates perturbed data from the strategy.

        Parameters
        ----------
        X : array_like, optional
            The data.  Required after `load`; by default the data from which the floor was computed.
        adversary : Adversary, optional
            Required after `load` if its functions are not stored in the file.

        Returns
        -------
        Attack

        Raises
        ------
        TypeError
            If the adversary does not know the points (`Precomputed`).
        ValueError
            If the data are required but not given, or `adversary` is not that of this floor.

        Examples
        --------
        >>> import lossfloor as lf
        >>> result = lf.floor([[0.0], [1.0], [5.0]], ["a", "b", "b"], lf.L1(0.5))
        >>> result.attack().sample(random_state=0).tolist()
        [[0.5], [0.5], [5.0]]
        """
        return Attack(self.certificate, *self._given_for_attack(X, adversary))

    # In and out.

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        counts = np.array([self._blocks.n_flows, self._blocks.n_searches], dtype=np.int64)
        arrays = {**self.certificate.arrays(), **self._common_arrays(), "counts": counts}
        if self._upper is not None:
            arrays |= {f"upper_{name}": part for name, part in self._upper._arrays().items()}
        return arrays

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Floor:
        """Read a floor written by `save`.  Loading proves nothing: call `verify` with the data.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it has another format or is damaged.
        CertificateError
            If a part of the certificate is missing.
        """
        arrays = read_arrays(path, cls.FORMAT)
        upper = {name.removeprefix("upper_"): part for name, part in arrays.items() if name.startswith("upper_")}
        return cls._from_arrays(arrays, None if not upper else cls._from_arrays(upper, None, undecided=True))

    @classmethod
    def _from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], upper: Floor | None, *, undecided: bool = False
    ) -> Floor:
        c = certificates.Certificate.from_arrays(arrays)
        certificates.check_shapes(c)
        degrees, counts = read_degrees(arrays, len(c.codes)), arrays.get("counts")
        if counts is None or counts.dtype != np.int64 or counts.shape != (2,):
            raise ValueError(must("path", "a floor with the counts of its solver", "a file without"))
        left, right = np.flatnonzero(c.codes == 0), np.flatnonzero(c.codes == 1)
        place = np.empty(len(c.codes), dtype=np.int32)
        place[left] = np.arange(len(left))
        place[right] = np.arange(len(right))
        blocks = solvers.Blocks(
            left_block=c.block[left],
            right_block=c.block[right],
            a=c.a,
            b=c.b,
            flow_edges=place[c.flow_edges],
            flow_high=c.flow_high,
            flow_low=c.flow_low,
            n_flows=int(counts[0]),
            n_searches=int(counts[1]),
        )
        exactly = bool(arrays["weights_exact"]) if "weights_exact" in arrays else True
        about = About(c.classes, c.codes, IntegerWeights(c.weight, exactly), degrees, c.adversary, read_seconds(arrays))
        return cls(about, blocks=blocks, block=c.block, flow_edges=c.flow_edges, upper=upper, undecided=undecided)

    def _own_summary(self) -> dict[str, Any]:
        upper = {} if self._upper is None else {"upper": self._upper.main_losses()}
        return {"n_blocks": self.n_blocks, **upper}

    def _own_fields(self) -> dict[str, str]:
        n_first, n_second = self.n_per_class
        share = 100 * self.n_edges / (n_first * n_second)
        undecided = self.upper.n_edges - self.n_edges
        more = f", {undecided} more undecided" if undecided else ""
        return {
            "proof": f"{self.status}, {self.n_blocks} block{'s' * (self.n_blocks != 1)}",
            "conflicts": f"{self.n_edges} ({share:.3g}% of the pairs){more}",
        }

    def remarks(self) -> list[str]:
        """Return what a user may have overlooked, worded."""
        n_first, n_second = self.n_per_class
        if self.n_edges < n_first * n_second:
            return []
        unit = self._adversary.get("unit")
        asked = "" if unit is None else f"; is one unit of eps really {unit} in the data? (--unit)"
        return [f"every example conflicts with all of the other class, so no classifier beats guessing{asked}"]

    def __repr__(self) -> str:
        conflicts_word = "conflict" if self.n_edges == 1 else "conflicts"
        entropy, error = (short_bounds(self.bounds(name)) for name in ("cross_entropy", "zero_one"))
        return (
            f"Floor(cross_entropy={entropy} nats, zero_one={error}, {self.status}; "
            f"{self.n_examples} examples, {self.n_edges} {conflicts_word}, {self.n_blocks} blocks)"
        )

    def _own_html_fields(self) -> dict[str, str]:
        return {"Conflicts": str(self.n_edges), "Blocks": str(self.n_blocks)}


def find_floor(problem: Problem, *, progress: Progress | None = None) -> Floor:
    """Find the conflicts of data of two classes and solve them; what `lossfloor.floor` does after its checks.

    Raises
    ------
    ValueError
        If there are not two classes.
    """
    if len(problem.classes) != 2:
        raise ValueError(must("y", "of two classes", f"{len(problem.classes)} classes: {problem.classes.tolist()}"))
    began = time.perf_counter()
    graph, most = conflicts.build_bounds(problem.adversary, problem.data, problem.codes, progress=progress)
    seconds = {"graph": time.perf_counter() - began}
    return solve_graphs(problem, graph, most, seconds=seconds, progress=progress)


def solve_graphs(
    problem: Problem,
    sure: ConflictGraph,
    possible: ConflictGraph | None = None,
    *,
    seconds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Floor:
    """Solve the conflicts of two classes that have been found.

    Parameters
    ----------
    problem : Problem
    sure : ConflictGraph
    possible : ConflictGraph, optional
        The sure conflicts and the undecided ones, if there are any: the floor then has bounds.
    seconds : mapping, optional
        What earlier stages took.
    progress : callable, optional

    Returns
    -------
    Floor
    """
    upper = None if possible is None else _solve(problem, possible, seconds, progress, None, True)
    return _solve(problem, sure, seconds, progress, upper, False)


def _solve(
    problem: Problem,
    graph: ConflictGraph,
    seconds: Mapping[str, float] | None,
    progress: Progress | None,
    upper: Floor | None,
    undecided: bool,
) -> Floor:
    began = time.perf_counter()
    weights, codes = problem.weights, problem.codes
    left, right = np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)
    blocks = solvers.solve(graph, weights.values[left], weights.values[right], progress=progress)
    block = np.empty(len(codes), dtype=np.int32)
    block[left], block[right] = blocks.left_block, blocks.right_block
    degrees = np.empty(len(codes), dtype=np.int64)
    degrees[left], degrees[right] = graph.left_degrees, graph.right_degrees
    flow_edges = np.stack([left[blocks.flow_edges[:, 0]], right[blocks.flow_edges[:, 1]]], axis=1).astype(np.int32)
    took = {**(seconds or {}), "solve": time.perf_counter() - began}
    about = problem.about(codes.astype(np.int8), degrees, took)
    return Floor(about, blocks=blocks, block=block, flow_edges=flow_edges, upper=upper, undecided=undecided)
