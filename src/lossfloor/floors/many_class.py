"""The floor of many classes: a pair of proved bounds for each loss, solved when it is first asked for."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import certificates, losses
from lossfloor._checks import must
from lossfloor._files import read_arrays
from lossfloor._types import Doubles, Integers, Progress
from lossfloor.adversaries import Adversary, from_config
from lossfloor.attacks.many_class import Labelled, MulticlassAttack
from lossfloor.conflicts.many_class import CommonPointRule, build, meeting_test
from lossfloor.floors.about import About
from lossfloor.floors.loss_bounds import Limits, LossBounds, LossSolver, arrays_of, limits_of, soft_labels, solution_of
from lossfloor.floors.problem import Problem
from lossfloor.floors.result import BaseFloor, UpperBounds, check_min_correct, read_degrees, read_seconds
from lossfloor.reporting.numbers import short_bounds
from lossfloor.solvers.many.constraints import Constraints
from lossfloor.weights import IntegerWeights


class MulticlassFloor(BaseFloor):
    """Bounds of the smallest robust loss of any classifier of more than two classes; `lossfloor.floor` makes one.

    With more than two classes the solution depends on the loss, so each loss is solved when it is first requested.
    `cross_entropy`, `zero_one`, `brier` and `loss` are proved lower bounds, which no classifier can beat;
    `upper` holds the losses that some classifier achieves.

    Attributes
    ----------
    classes : ndarray, shape (k,)
        The labels.
    n_examples, n_edges, n_isolated : int
        Number of examples, of pairs of examples in conflict, and of examples without conflict.
    weights_exact : bool
        Whether the integer weights are exactly proportional to the given weights.
    seconds : dict
        Wall-clock seconds per stage.

    Examples
    --------
    Three examples that can all be moved to 0: the best answer there is a third for each.

    >>> import lossfloor as lf
    >>> result = lf.floor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], ["a", "b", "c"], lf.L2(1))
    >>> low, high = result.bounds("zero-one")
    >>> round(low, 3), round(high, 3)
    (0.667, 0.667)
    >>> result.correct_probability.round(3)
    array([0.333, 0.333, 0.333])
    """

    FORMAT = "lossfloor-multiclass-floor-1"
    SHOWN = ("cross_entropy", "zero_one")

    def __init__(
        self,
        about: About,
        *,
        limits: Limits,
        solved: Mapping[str, LossBounds] | None = None,
        solver: LossSolver | None = None,
    ) -> None:
        super().__init__(about)
        self.max_degree = limits.max_degree
        self._limits = limits
        self._solved = dict(solved or {})
        self._solver = solver

    # The losses.

    @property
    def status(self) -> str:
        """How the numbers are proved: "exact" where nothing conflicts, else "bounds"."""
        return "bounds" if self.n_edges else "exact"

    @property
    def lower(self) -> MulticlassFloor:
        """The proved lower bounds: this floor itself."""
        return self

    @property
    def upper(self) -> UpperBounds:
        """The upper bounds: losses that some classifier reaches."""
        return UpperBounds(self)

    @property
    def gap(self) -> float:
        """Difference of the bounds of the cross-entropy."""
        lower, upper = self.bounds(losses.CrossEntropy())
        return upper - lower

    def _lower_bound(self, loss: losses.Loss, costs: Mapping[Any, Fraction] | None) -> float:
        return self._solution(loss, costs).lower

    def _upper_bound(self, loss: losses.Loss, costs: Mapping[Any, Fraction] | None) -> float:
        return self._solution(loss, costs).upper

    def solution(self, loss: Any = "cross-entropy", *, costs: Mapping[Any, Any] | None = None) -> LossBounds:
        """Return everything that is known about a loss; arguments as for `loss`.

        Returns
        -------
        LossBounds

        Raises
        ------
        ValueError
            As for `loss`; also if this floor was read from a file without this loss.
        """
        return self._solution(losses.resolve(loss), self._costs(costs))

    def _solution(self, loss: losses.Loss, costs: Mapping[Any, Fraction] | None) -> LossBounds:
        factors = None if costs is None else self._factors(costs)
        key = repr(loss) if factors is None else f"{loss!r} costs {factors.tolist()}"
        if isinstance(loss, losses.Convex):
            key += f" {id(loss.function)}"
        if key not in self._solved:
            if self._solver is None:
                raise ValueError(
                    must("loss", "one of those in the file", loss) + ": compute the floor again for others"
                )
            self._solved[key] = self._solver.solve(loss, factors)
        return self._solved[key]

    def _factors(self, costs: Mapping[Any, Fraction]) -> Integers:
        """Return the costs of the classes as integers in the same proportion, and behind them what 1 has become."""
        common = math.lcm(*(value.denominator for value in costs.values()))
        whole = [int(value * common) for value in costs.values()]
        if max(whole) * int(self._weight.sum()) >= 2**62:
            raise ValueError(must("costs", "quotients of small whole numbers", dict(costs)))
        return np.array([*whole, common], dtype=np.int64)

    @property
    def pools(self) -> dict[str, Constraints]:
        """Conflicts that were found for each loss so far, worth trying against a stronger adversary."""
        return {} if self._solver is None else self._solver.pools

    # The examples.

    @property
    def solved(self) -> list[str]:
        """Names of the losses that have been solved, or read from a file."""
        return [found.loss.name for found in self._solved.values()]

    @property
    def correct_probability(self) -> Doubles:
        """Probability q that some classifier keeps on each example's true class, shape (n,).

        Its cross-entropy is the upper bound.  The q of examples whose neighbourhoods share a point sum to at most one.
        """
        return self.solution().correct_probability

    def soft_labels(self, min_correct: float = 0.0, *, loss: Any = "cross-entropy") -> Doubles:
        """Return class probabilities to train on: the optimal classifier's answers under the adversary's optimal moves.

        The own class has q.  The rest goes to the classes of the examples that the adversary mixes it with, as that
        classifier answers at their common points; where no example is moved, to all other classes alike.

        Parameters
        ----------
        min_correct : float, default 0
            Minimum probability of each example's own class, in [0, 1].
        loss : Loss, str or callable, default "cross-entropy"
            Whose solution it is.

        Returns
        -------
        ndarray of float64, shape (n, k)
            Rows sum to one; columns are in the order of `classes`.

        Raises
        ------
        ValueError
            If `min_correct` is not in [0, 1].
        """
        check_min_correct(min_correct)
        return soft_labels(self.solution(loss), self._codes, len(self.classes), min_correct)

    def conflicts(self, loss: Any = "cross-entropy") -> list[tuple[tuple[int, ...], float]]:
        """Return the conflicts that prove the lower bound of a loss, with their weights, the heaviest first.

        Returns
        -------
        list of (tuple of int, float)
            The examples of a conflict, and its share in the dual solution in units of the examples' weights.
        """
        found = self.solution(loss).dual
        order = np.argsort(-found.z, kind="stable").tolist()
        offsets, members = found.rows.offsets, found.rows.members
        return [
            (tuple(members[offsets[e] : offsets[e + 1]].tolist()), math.ldexp(int(found.z[e]), -found.bits))
            for e in order
        ]

    # The proof.

    def certificate(self, loss: Any = "cross-entropy") -> certificates.MulticlassCertificate:
        """Return what proves the lower bound of a loss, for `lossfloor.certificates.check_multiclass`.

        Raises
        ------
        ValueError
            If the checker does not support the loss: it supports cross-entropy, 0-1 and Brier loss.
        """
        chosen = losses.resolve(loss)
        if chosen.name not in certificates.MULTICLASS_LOSSES:
            raise ValueError(must("loss", f"one of {', '.join(certificates.MULTICLASS_LOSSES)}", chosen))
        found = self.solution(chosen).dual
        return certificates.MulticlassCertificate(
            classes=self.classes,
            codes=self._codes,
            weight=self._weight,
            loss=chosen.name,
            offsets=found.rows.offsets,
            members=found.rows.members,
            witness=found.witness,
            z=found.z,
            bits=found.bits,
            adversary=self._adversary,
        )

    def verify(
        self, X: Any = None, y: Any = None, *, loss: Any = "cross-entropy", adversary: Adversary | None = None
    ) -> certificates.MulticlassVerification:
        """Check the lower bound of a loss independently: no code of the solver, exact sums, outward rounding.

        Parameters
        ----------
        X, y : array_like, optional
            The data.  Required after `load`; by default the data from which the floor was computed.
        loss : Loss or str, default "cross-entropy"
            Cross-entropy, 0-1 or Brier loss.
        adversary : Adversary, optional
            Required after `load` if its matrix or functions are not stored in the file.

        Returns
        -------
        MulticlassVerification

        Raises
        ------
        CertificateError
            If the bound is not proved for this data.
        ValueError
            If the data are required but not given.
        """
        X, y, adversary = self._given_for_proof(X, y, adversary)
        matrix = None if adversary is None else adversary.matrix
        meets = None
        if matrix is None:
            meets = meeting_test(adversary or from_config(self._adversary), X, self.n_examples)
        return certificates.check_multiclass(self.certificate(loss), X, y, matrix=matrix, meets=meets)

    # The adversary's side.

    def attack(
        self, X: Any = None, *, loss: Any = "cross-entropy", adversary: Adversary | None = None
    ) -> MulticlassAttack:
        """Return the attack that plays the adversary's optimal mixed strategy for a loss; it generates perturbed data.

        Parameters
        ----------
        X : array_like, optional
            The data.  Required after `load`; by default the data from which the floor was computed.
        loss : Loss, str or callable, default "cross-entropy"
        adversary : Adversary, optional
            Required after `load` if its functions are not stored in the file.

        Returns
        -------
        MulticlassAttack

        Raises
        ------
        TypeError
            If the adversary does not know the points (`Precomputed`).
        ValueError
            If the data are required but not given, or `adversary` is not that of this floor.
        """
        X, adversary = self._given_for_attack(X, adversary)
        chosen = losses.resolve(loss)
        return MulticlassAttack(
            self.solution(chosen).dual,
            Labelled(self.classes, self._codes, self._weight),
            X,
            adversary,
            may_stay=isinstance(chosen, losses.ZeroOne),
        )

    # In and out.

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        self.solution("cross-entropy")
        self.solution("zero-one")
        arrays: dict[str, npt.NDArray[Any]] = {
            "classes": self.classes,
            "codes": self._codes,
            "weight": self._weight,
            "adversary": np.array(json.dumps(self._adversary, sort_keys=True)),
            "limits": np.array(json.dumps(dataclasses.asdict(self._limits))),
            **self._common_arrays(),
        }
        for found in self._solved.values():
            if repr(found.loss) in self._solved:  # without costs
                arrays |= arrays_of(found)
        return arrays

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MulticlassFloor:
        """Read a floor written by `save`.  Loading proves nothing: call `verify` with the data.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it has another format or is damaged.
        CertificateError
            If a part of a certificate is missing or of the wrong kind.
        """
        arrays = read_arrays(path, cls.FORMAT)
        solved = {}
        for loss in (losses.CrossEntropy(), losses.ZeroOne(), losses.Brier()):
            if f"{loss.name}_z" in arrays:
                solved[repr(loss)] = solution_of(loss, arrays)
        common = certificates.MulticlassCertificate.from_arrays(arrays, losses.CrossEntropy().name)
        for name in ("degrees", "weights_exact", "seconds", "limits"):
            if name not in arrays:
                raise ValueError(must("path", "a floor with degrees, limits and seconds", f"a file without {name}"))
        about = About(
            classes=common.classes,
            codes=common.codes,
            weights=IntegerWeights(common.weight, bool(arrays["weights_exact"][()])),
            degrees=read_degrees(arrays, len(common.codes)),
            adversary=common.adversary,
            seconds=read_seconds(arrays),
        )
        return cls(about, limits=limits_of(read_seconds(arrays, "limits")), solved=solved)

    def _own_summary(self) -> dict[str, Any]:
        named = {name: self.solution(name) for name in self.SHOWN}
        limited = {} if self.max_degree is None else {"relaxed": {name: one.relaxed for name, one in named.items()}}
        return {
            "upper": {name: found.upper for name, found in named.items()},
            **limited,
            "complete": all(found.complete for found in named.values()),
            "why": {name: found.why for name, found in named.items() if found.why},
            "max_degree": self.max_degree,
            "n_conflicts": {
                name: dict(zip(*_counts(found.dual.rows.degrees), strict=True)) for name, found in named.items()
            },
            "seconds": dict(self._times()),
        }

    def _times(self) -> Mapping[str, float]:
        return {**self.seconds, **{name: self.solution(name).seconds for name in self.SHOWN}}

    def _own_fields(self) -> dict[str, str]:
        summary = self._own_summary()
        proof = "exact: no conflicts"
        if self.status == "bounds":
            proof = "no classifier is below the first number; some classifier achieves the second"
        if self.max_degree is not None:
            proof += f"; the first uses conflicts of up to {self.max_degree} examples"
        if summary["why"]:
            proof += f"; the bounds did not meet: {'; '.join(dict.fromkeys(summary['why'].values()))}"
        used = ", ".join(f"{count} of {size}" for size, count in summary["n_conflicts"]["cross_entropy"].items())
        return {
            "proof": proof,
            "pairs in conflict": str(self.n_edges),
            "conflicts used": used or "none",
        }

    def __repr__(self) -> str:
        known = [
            f"{found.loss.name}={short_bounds((found.lower, found.upper))}"
            + " nats" * isinstance(found.loss, losses.CrossEntropy)
            for found in self._solved.values()
        ]
        word = "pair" if self.n_edges == 1 else "pairs"
        return (
            f"MulticlassFloor({', '.join(known) or 'nothing solved yet'}; {len(self.classes)} classes, "
            f"{self.n_examples} examples, {self.n_edges} {word} in conflict)"
        )


def _counts(degrees: Integers) -> tuple[list[str], list[int]]:
    """Return how many conflicts there are of each degree."""
    values, counts = np.unique(degrees, return_counts=True)
    return [str(value) for value in values.tolist()], counts.tolist()


def find_bounds(
    problem: Problem,
    limits: Limits,
    *,
    start: MulticlassFloor | None = None,
    progress: Progress | None = None,
) -> MulticlassFloor:
    """Find the conflicts of data of many classes; what `lossfloor.floor` does after its checks.

    Parameters
    ----------
    problem : Problem
    limits : Limits
    start : MulticlassFloor, optional
        Of the same examples against an adversary that can do less: its conflicts are conflicts here, too.
    progress : callable, optional

    Returns
    -------
    MulticlassFloor
    """
    began = time.perf_counter()
    adversary = problem.adversary
    graph = build(adversary, problem.data, problem.codes, len(problem.classes), progress=progress)
    rule = CommonPointRule.of(adversary, problem.data)
    pools = {} if start is None else start.pools
    about = problem.about(graph.codes, graph.degrees, {"graph": time.perf_counter() - began})
    solver = LossSolver(graph, rule, problem.weights.values, limits, pools, progress)
    return MulticlassFloor(about, limits=limits, solver=solver)
