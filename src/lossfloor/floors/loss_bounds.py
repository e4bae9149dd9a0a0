"""The bounds of one loss of many classes: solving them, what follows from them, and how files have them."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import certificates, losses
from lossfloor._checks import as_count, as_positive
from lossfloor._types import Doubles, Integers, Progress
from lossfloor.conflicts.many_class import CommonPointRule
from lossfloor.exceptions import CertificateError
from lossfloor.graphs import ClassGraph
from lossfloor.solvers.many import dual
from lossfloor.solvers.many.components import solve
from lossfloor.solvers.many.constraints import Constraints
from lossfloor.solvers.many.separable import SeparableLoss
from lossfloor.solvers.many.solution import Goal

_ROUNDED = "double precision brings the bounds no closer"


@dataclasses.dataclass(frozen=True)
class Limits:
    """When the bounds of a loss are good enough, or their search is given up.

    Attributes
    ----------
    gap : float
        Difference of the bounds that is good enough, mean over the examples.
    time_limit : float or None
        Seconds for each loss.
    max_degree : int or None
        Number of examples up to which conflicts are looked at for the lower bound.
    """

    gap: float = 1e-4
    time_limit: float | None = None
    max_degree: int | None = None

    def within(self, time_limit: float | None) -> Limits:
        """Return the same with another time limit."""
        return dataclasses.replace(self, time_limit=time_limit)


@dataclasses.dataclass(frozen=True)
class LossBounds:
    """What is proved about one loss; `MulticlassFloor.solution` returns one.

    Attributes
    ----------
    loss : Loss
    lower, upper : float
        Bounds of the smallest robust loss, weighted mean over the examples.
    relaxed : float
        Upper bound of the problem restricted to conflicts of up to `max_degree` examples; the upper bound if there
        is no `max_degree`.
    correct_probability : ndarray of float64, shape (n,)
        Probabilities that a classifier can keep on the true classes; their loss is the upper bound.
    dual : Dual
        The weights on conflicts that prove the lower bound.
    why : str
        Why the solve ended before the bounds met within the gap that was asked for; empty if they met.
    rounds : int
        Number of searches for violated conflicts.
    seconds : float
    """

    loss: losses.Loss
    lower: float
    upper: float
    relaxed: float
    correct_probability: Doubles
    dual: dual.Dual
    why: str
    rounds: int
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether the bounds met within the gap that was asked for."""
        return not self.why

    @property
    def gap(self) -> float:
        """Difference of the bounds."""
        return self.upper - self.lower


class LossSolver:
    """Solves losses over the conflicts of many classes, each with the conflicts that the ones before found.

    Parameters
    ----------
    graph : ClassGraph
    rule : CommonPointRule
    weight : ndarray of int64, shape (n,)
    limits : Limits
    pools : mapping
        Conflicts that are known, by the loss that they were found for.
    progress : callable, optional
    """

    def __init__(
        self,
        graph: ClassGraph,
        rule: CommonPointRule,
        weight: Integers,
        limits: Limits,
        pools: Mapping[str, Constraints],
        progress: Progress | None,
    ) -> None:
        self._graph = graph
        self._rule = rule
        self._weight = weight
        self._limits = limits
        self._progress = progress
        self.pools = dict(pools)

    def solve(self, loss: losses.Loss, factors: Integers | None) -> LossBounds:
        """Bound a loss, with costs of the classes as whole numbers and behind them what 1 has become."""
        separable = SeparableLoss(loss)
        began = time.perf_counter()
        weight, unit = self._weight, int(self._weight.sum())
        if factors is not None:
            weight, unit = weight * factors[self._graph.codes], unit * int(factors[-1])
        limit = self._limits.time_limit
        goal = Goal(
            gap=self._limits.gap * unit / int(weight.sum()),
            max_degree=self._limits.max_degree,
            deadline=None if limit is None else time.monotonic() + float(limit),
        )
        found = solve(
            self._graph,
            self._rule,
            weight.astype(np.float64),
            separable,
            goal,
            start=self._known_rows(),
            progress=self._report,
        )
        proof = dual.proved(self._graph, self._rule, found.rows, found.z)
        lower = dual.lower_bound(proof, weight, separable) / unit
        upper = separable.upper(weight.astype(np.float64), found.q) / unit
        self.pools[repr(loss)] = found.pool
        lower_float = float(lower)
        if Fraction(lower_float) > lower:
            lower_float = math.nextafter(lower_float, -math.inf)
        if self._graph.n_edges == 0:
            lower_float = upper = float(lower)
        why = found.why
        relaxed = min(found.relaxed / unit, upper)
        if not why and relaxed - lower_float > self._limits.gap:
            lost = int(np.count_nonzero(found.z > 0)) - len(proof.z)
            why = f"{lost} conflicts were found whose common point could not be proved" if lost > 0 else _ROUNDED
        return LossBounds(
            loss=loss,
            lower=lower_float,
            upper=upper,
            relaxed=relaxed,
            correct_probability=found.q,
            dual=proof,
            why=why,
            rounds=found.rounds,
            seconds=time.perf_counter() - began,
        )

    def _known_rows(self) -> Constraints | None:
        rows = Constraints.none()
        for some in self.pools.values():
            rows = rows + some
        return rows if len(rows) else None

    def _report(self, share: float) -> None:
        if self._progress is not None:
            self._progress("bounds", round(1000 * share), 1000)


def soft_labels(solution: LossBounds, codes: npt.NDArray[Any], n_classes: int, min_correct: float) -> Doubles:
    """Return what the classifier of a solution answers under the adversary's best moves; see `MulticlassFloor`."""
    q, rows, z = solution.correct_probability, solution.dual.rows, solution.dual.z.astype(np.float64)
    n, k = len(codes), n_classes
    # In each conflict, an example goes there with the probability z / sum of z, and finds the others' q.
    shares = np.repeat(z, rows.degrees)
    others = np.zeros((n, k))
    for degree in np.unique(rows.degrees).tolist():
        which = np.flatnonzero(rows.degrees == degree)
        places = rows.offsets[which][:, None] + np.arange(degree)
        members = rows.members[places]
        for i in range(degree):
            for j in range(degree):
                if i != j:
                    met = shares[places[:, i]] * q[members[:, j]]
                    np.add.at(others, (members[:, i], codes[members[:, j]]), met)
    own = np.maximum(q, min_correct)
    everyone = np.arange(n)
    others[everyone, codes] = 0.0
    sums = others.sum(axis=1)
    alone = sums == 0
    others[alone] = 1.0
    others[everyone, codes] = 0.0
    labels = others * ((1.0 - own) / np.where(alone, k - 1, sums))[:, None]
    labels[everyone, codes] = own
    return labels


def arrays_of(found: LossBounds) -> dict[str, npt.NDArray[Any]]:
    """Return what a file has about a loss: nothing if there is no checker for it."""
    name = found.loss.name
    if name not in certificates.MULTICLASS_LOSSES:
        return {}
    return {
        f"{name}_offsets": found.dual.rows.offsets,
        f"{name}_members": found.dual.rows.members,
        f"{name}_witness": found.dual.witness,
        f"{name}_z": found.dual.z,
        f"{name}_bits": np.array(found.dual.bits),
        f"{name}_q": found.correct_probability,
        f"{name}_bounds": np.array([found.lower, found.upper, found.relaxed, found.seconds]),
        f"{name}_counts": np.array([found.rounds, found.complete], dtype=np.int64),
        f"{name}_why": np.array(found.why),
    }


def limits_of(values: Mapping[str, Any]) -> Limits:
    """Read the limits that a file has, which are checked as those of a caller are."""
    gap, time_limit, max_degree = (values.get(name) for name in ("gap", "time_limit", "max_degree"))
    return Limits(
        gap=as_positive("gap", 1e-4 if gap is None else gap),
        time_limit=None if time_limit is None else as_positive("time_limit", time_limit),
        max_degree=None if max_degree is None else as_count("max_degree", max_degree, 2),
    )


def solution_of(loss: losses.Loss, arrays: Mapping[str, npt.NDArray[Any]]) -> LossBounds:
    """Read what a file has about one loss."""
    certificate = certificates.MulticlassCertificate.from_arrays(arrays, loss.name)
    try:
        q, ends, counts = (arrays[f"{loss.name}_{part}"] for part in ("q", "bounds", "counts"))
    except KeyError as error:
        raise CertificateError(f"the file has no part {error}") from None
    if q.shape != certificate.codes.shape or q.dtype != np.float64 or not ((q >= 0) & (q <= 1)).all():
        raise CertificateError(f"'{loss.name}_q' must be a probability for each example")
    if ends.shape != (4,) or ends.dtype != np.float64 or counts.shape != (2,):
        raise CertificateError(f"'{loss.name}_bounds' must be four numbers")
    rows = Constraints(certificate.offsets, certificate.members, np.ones(len(certificate.z), dtype=np.bool_))
    lower, upper, relaxed, seconds = ends.tolist()
    return LossBounds(
        loss=loss,
        lower=lower,
        upper=upper,
        relaxed=relaxed,
        correct_probability=q,
        dual=dual.Dual(rows, certificate.z, certificate.bits, certificate.witness),
        why="" if counts[1] else _why_of(loss, arrays),
        rounds=int(counts[0]),
        seconds=seconds,
    )


def _why_of(loss: losses.Loss, arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Read why a solve ended early; files of the first versions do not say."""
    return str(arrays[f"{loss.name}_why"]) if f"{loss.name}_why" in arrays else "the file does not say why"
