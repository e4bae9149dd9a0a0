"""The floor of more than two classes: two proved bounds per loss, solved when the loss is first requested."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import os
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor import certificates, losses
from lossfloor._files import read_arrays, write_arrays
from lossfloor._validation import as_fraction, must
from lossfloor.adversaries import Adversary, NormBall, Precomputed, from_config
from lossfloor.exceptions import CertificateError, MissingDependencyError
from lossfloor.multiclass import dual, solve
from lossfloor.multiclass.attack import MulticlassAttack
from lossfloor.multiclass.cliques import Rows, Separator
from lossfloor.multiclass.graph import ClassGraph, Doubles, Ints, Meeting, Progress, build, squared_radii
from lossfloor.multiclass.separable import SeparableLoss
from lossfloor.weights import IntegerWeights

if TYPE_CHECKING:
    import pandas as pd

#: The name of the format of files.
FORMAT = "lossfloor-multiclass-floor-1"
_ROUNDED = "double precision brings the bounds no closer"


@dataclasses.dataclass(frozen=True)
class LossBounds:
    """What is proved about one loss; `MulticlassFloor.solution` returns one.

    Attributes
    ----------
    loss : Loss
    lower, upper : float
        Bounds of the smallest robust loss, mean over the weighted examples.
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


class UpperBounds:
    """The upper bounds of a `MulticlassFloor`: losses that some classifier achieves.

    Attributes
    ----------
    cross_entropy, zero_one, brier : float
    """

    def __init__(self, floor: MulticlassFloor) -> None:
        self._floor = floor

    @property
    def cross_entropy(self) -> float:
        """Upper bound of the smallest robust cross-entropy, in nats."""
        return self.loss(losses.CrossEntropy())

    @property
    def zero_one(self) -> float:
        """Upper bound of the smallest robust 0-1 loss of a randomised classifier."""
        return self.loss(losses.ZeroOne())

    @property
    def brier(self) -> float:
        """Upper bound of the smallest robust Brier loss ``(1 - q)**2``."""
        return self.loss(losses.Brier())

    def loss(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> float:
        """Return the upper bound of any convex loss."""
        return self._floor.bounds(loss, costs=costs)[1]


class MulticlassFloor:
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
        Whether the integer weights are exactly in proportion to those given.
    seconds : dict
        Wall-clock seconds that each stage took.

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

    def __init__(
        self,
        *,
        classes: npt.NDArray[Any],
        codes: npt.NDArray[np.int32],
        weights: IntegerWeights,
        degrees: Ints,
        adversary: Mapping[str, Any],
        seconds: Mapping[str, float],
        limits: Mapping[str, Any],
        solved: Mapping[str, LossBounds] | None = None,
        source: tuple[Any, Any, Adversary] | None = None,
        graph: ClassGraph | None = None,
        meeting: Meeting | None = None,
        start: Mapping[str, Rows] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.classes = classes
        self.seconds = dict(seconds)
        self.weights_exact = weights.exact
        self.max_degree: int | None = limits.get("max_degree")
        self._codes = codes
        self._weight = weights.values
        self._degrees = degrees
        self._adversary = dict(adversary)
        self._limits = dict(limits)
        self._solved = dict(solved or {})
        self._source = source
        self._graph = graph
        self._meeting = meeting
        self._pools = dict(start or {})
        self._progress = progress

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

    @property
    def cross_entropy(self) -> float:
        """Lower bound of the smallest robust cross-entropy in nats, mean over the weighted examples."""
        return self.loss(losses.CrossEntropy())

    @property
    def zero_one(self) -> float:
        """Lower bound of the smallest robust 0-1 loss of a randomised classifier, mean over the weighted examples."""
        return self.loss(losses.ZeroOne())

    @property
    def brier(self) -> float:
        """Lower bound of the smallest robust Brier loss ``(1 - q)**2``, mean over the weighted examples."""
        return self.loss(losses.Brier())

    def loss(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> float:
        """Return the proved lower bound of a loss.

        Parameters
        ----------
        loss : Loss, str or callable
            A convex loss of `lossfloor.losses`, its name, or any convex decreasing function of the probability q that
            a classifier keeps on the true class (a vectorised function on [0, 1], finite above 0).
        costs : mapping, optional
            A positive cost for each class label, by which the loss of its examples is multiplied.

        Returns
        -------
        float
            Mean over the weighted examples.

        Raises
        ------
        TypeError, ValueError
            If the loss is unknown, increasing or not convex, or `costs` does not list every class.
        """
        return self.bounds(loss, costs=costs)[0]

    def bounds(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> tuple[float, float]:
        """Return a proved lower and upper bound of the smallest robust loss; arguments as for `loss`."""
        found = self.solution(loss, costs=costs)
        return found.lower, found.upper

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
        chosen = losses.resolve(loss)
        factors = self._factors(costs)
        key = repr(chosen) if factors is None else f"{chosen!r} costs {factors.tolist()}"
        if isinstance(chosen, losses.Convex):
            key += f" {id(chosen.function)}"
        if key not in self._solved:
            self._solved[key] = self._solve(chosen, factors)
        return self._solved[key]

    def _factors(self, costs: Mapping[Any, Any] | None) -> Ints | None:
        """Return the costs of the classes as integers in the same proportion."""
        if costs is None:
            return None
        known = [self._plain(label) for label in self.classes]
        if set(costs) != set(known):
            raise ValueError(must("costs", f"a cost for each of the classes {known}", dict(costs)))
        values = [as_fraction("costs", costs[label]) for label in known]
        for label, value in zip(known, values, strict=True):
            if value <= 0:
                raise ValueError(must("costs", "positive", costs[label]) + f" for class {label!r}")
        common = math.lcm(*(value.denominator for value in values))
        whole = [int(value * common) for value in values]
        if max(whole) * int(self._weight.sum()) >= 2**62:
            raise ValueError(must("costs", "quotients of small whole numbers", dict(costs)))
        return np.array([*whole, common], dtype=np.int64)

    def _solve(self, loss: losses.Loss, factors: Ints | None) -> LossBounds:
        separable = SeparableLoss(loss)
        if self._graph is None or self._meeting is None:
            raise ValueError(must("loss", "one of those in the file", loss) + ": compute the floor again for others")
        began = time.perf_counter()
        weight, unit = self._weight, int(self._weight.sum())
        if factors is not None:
            weight, unit = weight * factors[self._codes], unit * int(factors[-1])
        limit = self._limits.get("time_limit")
        limits = solve.Limits(
            gap=float(self._limits["gap"]) * unit / int(weight.sum()),
            max_degree=self.max_degree,
            deadline=None if limit is None else time.monotonic() + float(limit),
        )
        found = solve.solve(
            self._graph,
            self._meeting,
            weight.astype(np.float64),
            separable,
            limits,
            start=self._known_rows(),
            progress=self._report,
        )
        proof = _proved(self._graph, self._meeting, found)
        lower = dual.lower_bound(proof, weight, separable) / unit
        upper = separable.upper(weight.astype(np.float64), found.q) / unit
        self._pools[repr(loss)] = found.pool
        lower_float = float(lower)
        if Fraction(lower_float) > lower:
            lower_float = math.nextafter(lower_float, -math.inf)
        if self.n_edges == 0:
            lower_float = upper = float(lower)
        why = found.why
        relaxed = min(found.relaxed / unit, upper)
        if not why and relaxed - lower_float > float(self._limits["gap"]):
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

    @property
    def pools(self) -> dict[str, Rows]:
        """Conflicts that were found for each loss so far, worth trying against a stronger adversary."""
        return dict(self._pools)

    def _known_rows(self) -> Rows | None:
        rows = Rows.none()
        for some in self._pools.values():
            rows = rows + some
        return rows if len(rows) else None

    def _report(self, share: float) -> None:
        if self._progress is not None:
            self._progress("bounds", round(1000 * share), 1000)

    # What it says of each example.

    @staticmethod
    def _plain(label: Any) -> Any:
        return label.item() if isinstance(label, np.generic) else label

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        return len(self._codes)

    @property
    def n_edges(self) -> int:
        """Number of pairs of examples in conflict, including undecided pairs."""
        return int(self._degrees.sum()) // 2

    @property
    def n_isolated(self) -> int:
        """Number of examples without conflict."""
        return int(np.count_nonzero(self._degrees == 0))

    @property
    def degrees(self) -> Ints:
        """Number of other examples that each conflicts with, shape (n,)."""
        return self._degrees

    @property
    def adversary(self) -> dict[str, Any]:
        """Configuration of the adversary."""
        return dict(self._adversary)

    @property
    def solved(self) -> list[str]:
        """Names of the losses that have been solved, or read from a file."""
        return [found.loss.name for found in self._solved.values()]

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """Position of each example's label in `classes`, shape (n,)."""
        return self._codes

    @property
    def weight(self) -> Ints:
        """Integer weight of each example, shape (n,)."""
        return self._weight

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
            Raise the probability of each example's own class to at least this, in [0, 1].
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
        if not 0 <= min_correct <= 1:
            raise ValueError(must("min_correct", "between 0 and 1", min_correct))
        solution = self.solution(loss)
        q, rows, z = solution.correct_probability, solution.dual.rows, solution.dual.z.astype(np.float64)
        n, k = self.n_examples, len(self.classes)
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
                        np.add.at(others, (members[:, i], self._codes[members[:, j]]), met)
        own = np.maximum(q, min_correct)
        everyone = np.arange(n)
        others[everyone, self._codes] = 0.0
        sums = others.sum(axis=1)
        alone = sums == 0
        others[alone] = 1.0
        others[everyone, self._codes] = 0.0
        labels = others * ((1.0 - own) / np.where(alone, k - 1, sums))[:, None]
        labels[everyone, self._codes] = own
        return labels

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

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row for each example.

        Returns
        -------
        pandas.DataFrame
            Columns label, weight (integer), conflicts, correct_probability (for cross-entropy).

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingDependencyError("to_frame needs pandas: pip install 'lossfloor[frames]'") from None
        return pd.DataFrame(
            {
                "label": self.classes[self._codes],
                "weight": self._weight,
                "conflicts": self._degrees,
                "correct_probability": self.correct_probability,
            }
        )

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
            The data.  Needed after `load`; otherwise the data that the floor was made from is taken.
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
            If the data is needed and not given.
        """
        by_matrix = self._adversary.get("name") == Precomputed.name
        if self._source is None and (y is None or (X is None and not by_matrix)):
            raise ValueError(must("X", "given together with y, since this floor was read from a file", X))
        known = self._source or (None, None, None)
        X, y = known[0] if X is None else X, known[1] if y is None else y
        adversary = adversary or known[2]
        if adversary is not None and _but_digest(adversary.config()) != _but_digest(self._adversary):
            raise CertificateError(f"this floor is not one against {adversary!r}")
        matrix = adversary.matrix if isinstance(adversary, Precomputed) else None
        meets = None
        if matrix is None:
            meets = _meeting_test(adversary or from_config(self._adversary), X, self.n_examples)
        return certificates.check_multiclass(self.certificate(loss), X, y, matrix=matrix, meets=meets)

    # The adversary's side.

    def attack(
        self, X: Any = None, *, loss: Any = "cross-entropy", adversary: Adversary | None = None
    ) -> MulticlassAttack:
        """Return the attack that plays the adversary's optimal mixed strategy for a loss; it generates perturbed data.

        Parameters
        ----------
        X : array_like, optional
            The data.  Needed after `load`; otherwise the data that the floor was made from is taken.
        loss : Loss, str or callable, default "cross-entropy"
        adversary : Adversary, optional
            Needed after `load` for one whose functions are not part of a file.

        Returns
        -------
        MulticlassAttack

        Raises
        ------
        TypeError
            If the adversary knows no points (`Precomputed`).
        ValueError
            If the data is needed and not given, or `adversary` is not that of this floor.
        """
        if self._source is None and X is None:
            raise ValueError(must("X", "given, since this floor was read from a file", X))
        if self._source is not None:
            X, adversary = self._source[0] if X is None else X, adversary or self._source[2]
        adversary = adversary or from_config(self._adversary)
        if _but_digest(adversary.config()) != _but_digest(self._adversary):
            raise ValueError(must("adversary", "that of this floor", adversary))
        return MulticlassAttack(self, losses.resolve(loss), X, adversary)

    # In and out.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what has been solved to an .npz file: cross-entropy, 0-1 and Brier loss, with their certificates.

        The file does not contain the data.  Losses not yet requested are not solved for the file, except
        cross-entropy and 0-1 loss are.

        Raises
        ------
        OSError
            If it cannot be written; then nothing is.
        """
        self.solution("cross-entropy")
        self.solution("zero-one")
        arrays: dict[str, npt.NDArray[Any]] = {
            "classes": self.classes,
            "codes": self._codes,
            "weight": self._weight,
            "degrees": self._degrees,
            "adversary": np.array(json.dumps(self._adversary, sort_keys=True)),
            "weights_exact": np.array(self.weights_exact),
            "seconds": np.array(json.dumps(self.seconds)),
            "limits": np.array(json.dumps(self._limits)),
        }
        for found in self._solved.values():
            name = found.loss.name
            if name not in certificates.MULTICLASS_LOSSES or repr(found.loss) not in self._solved:
                continue
            arrays |= {
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
        write_arrays(path, FORMAT, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MulticlassFloor:
        """Read a floor that `save` wrote.  Nothing is proved by reading: call `verify` with the data.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is something else or damaged.
        CertificateError
            If a part of a certificate is missing or of the wrong kind.
        """
        arrays = read_arrays(path, FORMAT)
        solved = {}
        for loss in (losses.CrossEntropy(), losses.ZeroOne(), losses.Brier()):
            if f"{loss.name}_z" in arrays:
                solved[repr(loss)] = _solution_of(loss, arrays)
        common = certificates.MulticlassCertificate.from_arrays(arrays, losses.CrossEntropy().name)
        try:
            degrees = arrays["degrees"]
            seconds, limits = (json.loads(str(arrays[name][()])) for name in ("seconds", "limits"))
            exactly = bool(arrays["weights_exact"][()])
        except (KeyError, ValueError, RecursionError):
            raise ValueError(must("path", "a floor with degrees, limits and seconds", "a file without")) from None
        if degrees.dtype != np.int64 or degrees.shape != common.codes.shape:
            raise ValueError(must("path", "a floor with the number of conflicts of each example", "a file without"))
        if not isinstance(seconds, dict) or not isinstance(limits, dict):
            raise ValueError(must("path", "a floor with the seconds of each stage", "a file with something else"))
        return cls(
            classes=common.classes,
            codes=common.codes,
            weights=IntegerWeights(common.weight, exactly),
            degrees=degrees,
            adversary=common.adversary,
            seconds=seconds,
            limits=limits,
            solved=solved,
        )

    def summary(self) -> dict[str, Any]:
        """Return the main results as JSON can hold them (the keys of ``lossfloor floor --json``).

        Cross-entropy and 0-1 loss are solved if they have not been.
        """
        named = {"cross_entropy": self.solution("cross-entropy"), "zero_one": self.solution("zero-one")}
        return {
            "status": self.status,
            **{name: found.lower for name, found in named.items()},
            "upper": {name: found.upper for name, found in named.items()},
            **({} if self.max_degree is None else {"relaxed": {name: one.relaxed for name, one in named.items()}}),
            "complete": all(found.complete for found in named.values()),
            "why": {name: found.why for name, found in named.items() if found.why},
            "max_degree": self.max_degree,
            "classes": [self._plain(label) for label in self.classes],
            "n_examples": self.n_examples,
            "n_per_class": np.bincount(self._codes, minlength=len(self.classes)).tolist(),
            "n_edges": self.n_edges,
            "n_isolated": self.n_isolated,
            "n_conflicts": {
                name: dict(zip(*_counts(found.dual.rows.degrees), strict=True)) for name, found in named.items()
            },
            "weights_exact": self.weights_exact,
            "adversary": self._adversary,
            "seconds": {**self.seconds, **{name: found.seconds for name, found in named.items()}},
        }

    def __repr__(self) -> str:
        known = [
            f"{found.loss.name}={_range(found)}" + " nats" * isinstance(found.loss, losses.CrossEntropy)
            for found in self._solved.values()
        ]
        word = "pair" if self.n_edges == 1 else "pairs"
        return (
            f"MulticlassFloor({', '.join(known) or 'nothing solved yet'}; {len(self.classes)} classes, "
            f"{self.n_examples} examples, {self.n_edges} {word} in conflict)"
        )

    def _repr_html_(self) -> str:
        rows = {
            "Cross-entropy": f"{_range(self.solution('cross-entropy'))} nats",
            "0-1 loss": _range(self.solution("zero-one")),
            "Proof": self.status,
            "Examples": f"{self.n_examples} ({self.n_isolated} without conflict)",
            "Pairs in conflict": str(self.n_edges),
            "Classes": ", ".join(str(label) for label in self.classes),
            "Adversary": str(self._source[2] if self._source else self._adversary),
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table><caption>Smallest robust loss of any classifier</caption>{cells}</table>"


def _range(found: LossBounds) -> str:
    if found.lower == found.upper:
        return f"{found.lower:.6g}"
    return f"{found.lower:.6g} to {found.upper:.6g}"


def _counts(degrees: Ints) -> tuple[list[str], list[int]]:
    """Return how many conflicts there are of each degree."""
    values, counts = np.unique(degrees, return_counts=True)
    return [str(value) for value in values.tolist()], counts.tolist()


def _but_digest(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the digest of a matrix: it may come in another type, and its entries are checked one by one."""
    return {key: value for key, value in config.items() if key != "sha256"}


def _solution_of(loss: losses.Loss, arrays: Mapping[str, npt.NDArray[Any]]) -> LossBounds:
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
    rows = Rows(certificate.offsets, certificate.members, np.ones(len(certificate.z), dtype=np.bool_))
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


def _proved(graph: ClassGraph, meeting: Meeting, found: solve.Solution) -> dual.Dual:
    """Keep the weights of the conflicts whose members are seen to meet."""
    rows, z = found.rows, found.z
    witness = np.zeros(len(rows.members), dtype=np.int32)
    if isinstance(meeting.adversary, NormBall) and meeting.kind == "balls" and len(rows):
        weights = Separator(graph, meeting, 1).witness(rows)
        seen, witness = dual.prove(rows, weights, meeting.data, squared_radii(meeting.adversary, len(graph)))
        witness = witness[np.repeat(seen, rows.degrees)]
        rows, z = rows.kept(seen), z[seen]
    return dual.rounded(rows, z, witness)


def _meeting_test(adversary: Adversary, X: Any, n: int) -> Any:
    """Return the adversary's own test whether the neighbourhoods of some examples share a point."""
    meeting = Meeting.of(adversary, adversary.as_data(X, n))

    def meets(members: list[int]) -> bool:
        index = np.array(members, dtype=np.intp)
        if len(members) == 2:
            return adversary.conflict(meeting.data[members[0]], meeting.data[members[1]], index=index) is True
        if meeting.kind == "cliques":
            return all(meets([u, v]) for i, u in enumerate(members) for v in members[:i])
        return adversary.meet(meeting.data[index], index=index) is not None

    return meets


def multiclass_floor(
    X: Any,
    y: Any,
    classes: npt.NDArray[Any],
    codes: npt.NDArray[np.intp],
    data: Any,
    weights: IntegerWeights,
    adversary: Adversary,
    *,
    gap: float,
    time_limit: float | None = None,
    max_degree: int | None = None,
    start: MulticlassFloor | None = None,
    progress: Progress | None = None,
) -> MulticlassFloor:
    """Find the conflicts of data of more than two classes; what `lossfloor.floor` does after its checks.

    Parameters
    ----------
    X, y : array_like
        As the user gave them, for `MulticlassFloor.verify`.
    classes : ndarray, shape (k,)
    codes : ndarray of intp, shape (n,)
        Class of each example.
    data : object
        The examples as ``adversary.as_data`` returned them.
    weights : IntegerWeights
    adversary : Adversary
    gap, time_limit, max_degree
        As for `lossfloor.floor`.
    start : MulticlassFloor, optional
        Of the same examples against an adversary that can do less: its conflicts are conflicts here, too.
    progress : callable, optional

    Returns
    -------
    MulticlassFloor
    """
    began = time.perf_counter()
    graph = build(adversary, data, codes, len(classes), progress=progress)
    return MulticlassFloor(
        classes=classes,
        codes=graph.codes,
        weights=weights,
        degrees=graph.degrees,
        adversary=adversary.config(),
        seconds={"graph": time.perf_counter() - began},
        limits={"gap": gap, "time_limit": time_limit, "max_degree": max_degree},
        source=(X, y, adversary),
        graph=graph,
        meeting=Meeting.of(adversary, data),
        start=None if start is None else start.pools,
        progress=progress,
    )
