"""The floor: the smallest robust loss any classifier could achieve, and everything derived from its solution."""

from __future__ import annotations

import functools
import html
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor import certificates, conflicts, losses, multiclass, solvers
from lossfloor._files import read_arrays, write_arrays
from lossfloor._validation import as_count, as_fraction, as_labels, as_positive, must
from lossfloor.adversaries import Adversary, Precomputed, from_config
from lossfloor.exceptions import CertificateError, MissingDependencyError
from lossfloor.strategy import Attack, moves
from lossfloor.weights import IntegerWeights, as_integers

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

_FORMAT = "lossfloor-floor-1"

#: Called as work goes on: name of the stage ("conflicts", "blocks"), how much is done, how much there is.
Progress = Callable[[str, int, int], None]


class Floor:
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

    def __init__(
        self,
        *,
        classes: npt.NDArray[Any],
        codes: npt.NDArray[np.int8],
        weights: IntegerWeights,
        blocks: solvers.Blocks,
        block: npt.NDArray[np.int32],
        flow_edges: npt.NDArray[np.int32],
        degrees: npt.NDArray[np.int64],
        adversary: Mapping[str, Any],
        seconds: Mapping[str, float],
        data: tuple[Any, Any, Adversary] | None = None,
        upper: Floor | None = None,
        open_conflict: bool = False,
    ) -> None:
        self.classes = classes
        self.seconds = dict(seconds)
        self.weights_exact = weights.exact
        self._codes = codes
        self._weight = weights.values
        self._blocks = blocks
        self._block = block
        self._flow_edges = flow_edges
        self._degrees = degrees
        self._adversary = dict(adversary)
        self._data = data
        self._upper = upper
        self._open_conflict = open_conflict

    # The losses.

    @property
    def status(self) -> str:
        """How the numbers are proved.

        "exact" : the optimum itself, by exact arithmetic.
        "bounds" : some pairs of examples remained undecided.  The losses of this floor are then
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

    def bounds(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> tuple[float, float]:
        """Return proved lower and upper bounds on the smallest robust loss; equal if exact.

        Parameters
        ----------
        loss, costs
            As for `loss`.

        Examples
        --------
        >>> import lossfloor as lf
        >>> lf.floor([[0.0], [1.0]], [0, 1], lf.L2(1)).bounds("zero-one")
        (0.5, 0.5)
        """
        return self.loss(loss, costs=costs), self.upper.loss(loss, costs=costs)

    @functools.cached_property
    def cross_entropy(self) -> float:
        """Smallest robust cross-entropy in nats, mean over the weighted examples."""
        return self.loss(losses.CrossEntropy())

    @functools.cached_property
    def zero_one(self) -> float:
        """Smallest robust 0-1 loss (error) of any classifier, randomised or not, weighted mean over the examples."""
        return self.loss(losses.ZeroOne())

    @functools.cached_property
    def brier(self) -> float:
        """Smallest robust Brier loss ``(1 - q)**2``, mean over the weighted examples."""
        return self.loss(losses.Brier())

    def loss(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> float:
        """Return the floor of any loss, without solving again.

        Parameters
        ----------
        loss : Loss, str or callable
            A loss of `lossfloor.losses`, its name, or any convex decreasing function of the probability q that a
            classifier keeps on the true class (a vectorised function on [0, 1], finite above 0).
        costs : mapping, optional
            A positive cost per class label that multiplies the loss of its examples.

        Returns
        -------
        float
            Weighted mean over the examples.

        Raises
        ------
        TypeError, ValueError
            If the loss is unknown, increasing or not convex, or `costs` does not list both classes.

        Examples
        --------
        >>> import lossfloor as lf
        >>> result = lf.floor([[0.0], [1.0]], [0, 1], lf.L2(1))
        >>> round(result.loss("spherical"), 12)
        0.292893218813
        >>> round(result.loss(lambda q: (1 - q) ** 3), 9)
        0.125
        >>> result.loss("zero-one", costs={0: 1, 1: 3})
        0.5
        """
        chosen = losses.resolve(loss)
        if costs is not None:
            chosen = losses.Costs(chosen, *self._costs(costs))
        exact = self._exact_loss(chosen)
        if exact is not None:
            return float(exact)
        risks = chosen.block_risk(self._blocks.a.astype(np.float64), self._blocks.b.astype(np.float64))
        return math.fsum(risks.tolist()) / self._total

    def exact_loss(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> Fraction | None:
        """Return the floor of a loss as an exact rational, or None if it is irrational (cross-entropy).

        Examples
        --------
        >>> import lossfloor as lf
        >>> lf.floor([[0], [1], [9]], [0, 1, 1], lf.L2(1)).exact_loss("brier")
        Fraction(1, 6)
        """
        chosen = losses.resolve(loss)
        return self._exact_loss(chosen if costs is None else losses.Costs(chosen, *self._costs(costs)))

    def _exact_loss(self, loss: losses.Loss) -> Fraction | None:
        total = Fraction(0)
        for a, b in zip(self._blocks.a.tolist(), self._blocks.b.tolist(), strict=True):
            part = loss.exact_bayes_risk(a, b)
            if part is None:
                return None
            total += part
        return total / self._total

    def _costs(self, costs: Mapping[Any, Any]) -> tuple[Any, Any]:
        known = {self.plain(label): label for label in self.classes}
        if set(costs) != set(known):
            raise ValueError(must("costs", f"a cost for each of the classes {sorted(known)}", dict(costs)))
        for label, cost in costs.items():
            if as_fraction("costs", cost) <= 0:
                raise ValueError(must("costs", "positive", cost) + f" for class {label!r}")
        first, second = known
        return costs[first], costs[second]

    @staticmethod
    def plain(label: Any) -> Any:
        """Return a label as a plain Python object."""
        return label.item() if isinstance(label, np.generic) else label

    # What it says of each example.

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        return len(self._codes)

    @property
    def n_edges(self) -> int:
        """Number of conflicts."""
        return int(self._degrees.sum()) // 2

    @property
    def n_isolated(self) -> int:
        """Number of examples without conflict."""
        return int(np.count_nonzero(self._degrees == 0))

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self._blocks)

    @property
    def _total(self) -> int:
        return int(self._blocks.a.sum()) + int(self._blocks.b.sum())

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

    @property
    def degrees(self) -> npt.NDArray[np.int64]:
        """Number of conflicts of each example, shape (n,)."""
        return self._degrees

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
        if not 0 <= min_correct <= 1:
            raise ValueError(must("min_correct", "between 0 and 1", min_correct))
        own = np.maximum(self.correct_probability, min_correct)
        labels = np.empty((self.n_examples, 2))
        rows = np.arange(self.n_examples)
        labels[rows, self._codes] = own
        labels[rows, 1 - self._codes] = 1.0 - own
        return labels

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row for each example.

        Returns
        -------
        pandas.DataFrame
            Columns label, weight (integer), conflicts, block, posterior, correct_probability.

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
                "label": self.classes[self._codes.astype(np.intp)],
                "weight": self._weight,
                "conflicts": self._degrees,
                "block": self._block,
                "posterior": self.posterior,
                "correct_probability": self.correct_probability,
            }
        )

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
        by_matrix = self._adversary.get("name") == Precomputed.name
        if self._data is None and (y is None or (X is None and not by_matrix)):
            raise ValueError(must("X", "given together with y, since this floor was read from a file", X))
        known = self._data or (None, None, None)
        X = known[0] if X is None else X
        y = known[1] if y is None else y
        adversary = adversary or known[2]
        if adversary is not None and _but_digest(adversary.config()) != _but_digest(self._adversary):
            raise CertificateError(f"this floor is not one against {adversary!r}")
        matrix = adversary.matrix if isinstance(adversary, Precomputed) else None
        decide = None
        if not certificates.decides(self._adversary):
            decide = self._pair_test(adversary or from_config(self._adversary), X)
        return certificates.check(self.certificate, X, y, matrix=matrix, decide=decide)

    def _pair_test(self, adversary: Adversary, X: Any) -> Callable[[int, int], bool]:
        """Return the adversary's own slow test of two examples, pairs that it leaves open counted as they were."""
        data = adversary.as_data(X, self.n_examples)

        def decide(u: int, v: int) -> bool:
            conflict = adversary.conflict(data[u], data[v], index=np.array([u, v], dtype=np.intp))
            return self._open_conflict if conflict is None else conflict

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
            The data.  Needed after `load`; otherwise the data that the floor was made from is taken.
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
        if self._data is None and X is None:
            raise ValueError(must("X", "given, since this floor was read from a file", X))
        if self._data is not None:
            X = self._data[0] if X is None else X
            adversary = adversary or self._data[2]
        adversary = adversary or from_config(self._adversary)
        if _but_digest(adversary.config()) != _but_digest(self._adversary):
            raise ValueError(must("adversary", "that of this floor", adversary))
        return Attack(self.certificate, X, adversary)

    # In and out.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the floor with its certificate to an .npz file (without pickles; completely or not at all).

        The arrays are those of the certificate, with ``degrees``, ``weights_exact`` and ``seconds``; if there are
        bounds, those of the upper floor with ``upper_`` before their names.  The data is not part of the file.
        """
        arrays = self._arrays()
        if self._upper is not None:
            arrays |= {f"upper_{name}": part for name, part in self._upper._arrays().items()}
        write_arrays(path, _FORMAT, **arrays)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        arrays = self.certificate.arrays()
        arrays["degrees"] = self._degrees
        arrays["weights_exact"] = np.array(self.weights_exact)
        arrays["seconds"] = np.array(json.dumps(self.seconds))
        arrays["counts"] = np.array([self._blocks.n_flows, self._blocks.n_searches], dtype=np.int64)
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
        arrays = read_arrays(path, _FORMAT)
        upper = {name.removeprefix("upper_"): part for name, part in arrays.items() if name.startswith("upper_")}
        return cls._from_arrays(arrays, None if not upper else cls._from_arrays(upper, None, open_conflict=True))

    @classmethod
    def _from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], upper: Floor | None, *, open_conflict: bool = False
    ) -> Floor:
        c = certificates.Certificate.from_arrays(arrays)
        certificates.check_shapes(c)
        degrees, counts = arrays.get("degrees"), arrays.get("counts")
        if degrees is None or degrees.dtype != np.int64 or degrees.shape != c.codes.shape:
            raise ValueError(must("path", "a floor with the number of conflicts of each example", "a file without"))
        if counts is None or counts.dtype != np.int64 or counts.shape != (2,):
            raise ValueError(must("path", "a floor with the counts of its solver", "a file without"))
        seconds = json.loads(str(arrays["seconds"][()])) if "seconds" in arrays else {}
        if not isinstance(seconds, dict):
            raise ValueError(must("path", "a floor with the seconds of each stage", "a file with something else"))
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
        return cls(
            classes=c.classes,
            codes=c.codes,
            weights=IntegerWeights(c.weight, bool(arrays["weights_exact"]) if "weights_exact" in arrays else True),
            blocks=blocks,
            block=c.block,
            flow_edges=c.flow_edges,
            degrees=degrees,
            adversary=c.adversary,
            seconds=seconds,
            upper=upper,
            open_conflict=open_conflict,
        )

    def main_losses(self) -> dict[str, float]:
        """Return the cross-entropy, the 0-1 loss and the Brier loss by their names."""
        return {"cross_entropy": self.cross_entropy, "zero_one": self.zero_one, "brier": self.brier}

    def summary(self) -> dict[str, Any]:
        """Return the main results as JSON can hold them (the keys of ``lossfloor floor --json``).

        If `status` is "bounds", the key "upper" holds the upper bounds of the losses.
        """
        return {
            "status": self.status,
            **self.main_losses(),
            **({} if self._upper is None else {"upper": self._upper.main_losses()}),
            "classes": [self.plain(label) for label in self.classes],
            "n_examples": self.n_examples,
            "n_per_class": [int(np.count_nonzero(self._codes == code)) for code in (0, 1)],
            "n_edges": self.n_edges,
            "n_isolated": self.n_isolated,
            "n_blocks": self.n_blocks,
            "weights_exact": self.weights_exact,
            "adversary": self._adversary,
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        conflicts_word = "conflict" if self.n_edges == 1 else "conflicts"
        entropy, error = self._range("cross_entropy"), self._range("zero_one")
        return (
            f"Floor(cross_entropy={entropy} nats, zero_one={error}, {self.status}; "
            f"{self.n_examples} examples, {self.n_edges} {conflicts_word}, {self.n_blocks} blocks)"
        )

    def _range(self, name: str) -> str:
        """Print a loss, or the bounds of it."""
        ends = [getattr(side, name) for side in (self, self._upper) if side is not None]
        return " to ".join(f"{end:.6g}" for end in ends)

    def _repr_html_(self) -> str:
        rows = {
            "Cross-entropy": f"{self._range('cross_entropy')} nats",
            "0-1 loss": self._range("zero_one"),
            "Brier loss": self._range("brier"),
            "Proof": self.status,
            "Examples": f"{self.n_examples} ({self.n_isolated} without conflict)",
            "Conflicts": str(self.n_edges),
            "Blocks": str(self.n_blocks),
            "Classes": ", ".join(str(label) for label in self.classes),
            "Adversary": repr(self._adversary_text()),
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table><caption>Smallest robust loss of any classifier</caption>{cells}</table>"

    def _adversary_text(self) -> Any:
        if self._data is not None:
            return self._data[2]
        try:
            return from_config(self._adversary)
        except ValueError:  # made of a matrix or a function
            return self._adversary


def _but_digest(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the digest of a matrix: it may come in another type, and its entries are checked one by one."""
    return {key: value for key, value in config.items() if key != "sha256"}


def floor(
    X: Any,
    y: Any,
    adversary: Adversary,
    *,
    sample_weight: Any = None,
    gap: float = 1e-4,
    time_limit: float | None = None,
    max_degree: int | None = None,
    progress: Progress | None = None,
) -> Floor | multiclass.MulticlassFloor:
    r"""Compute the smallest robust loss any classifier could achieve.

    .. math:: \min_h \; \sum_v p_v \sup_{z \in N(x_v)} \ell(h(z)_{y_v})

    over all functions h.  Two classes: exactly, for every loss at once.  More classes: proved lower and upper bounds
    that meet within `gap`; each loss is solved when it is first requested.

    Parameters
    ----------
    X : array_like, shape (n, ...)
        Examples: integers or floats, as the adversary accepts them.  Nothing is rescaled: the adversary's `unit` says
        what one unit of eps is in the data.
    y : array_like, shape (n,)
        Labels of two classes or more: integers, strings or booleans.
    adversary : Adversary
        Who may move each example where, such as ``lossfloor.L2(4.6, unit=255)``.
    sample_weight : array_like, shape (n,), optional
        Positive weights.  Rationals of small denominator are scaled to integers exactly, others are rounded at 2**-40
        of the largest (`Floor.weights_exact` reports which).
    gap : float, default 1e-4
        More than two classes: difference of the bounds (mean over the examples) at which to stop; positive.
    time_limit : float, optional
        More than two classes: seconds per loss, after which the bounds found so far are returned; positive.
    max_degree : int, optional
        More than two classes: largest size of the conflicts used for the lower bound, at least 2.  Smaller is
        faster but gives a weaker bound.
    progress : callable, optional
        Called with (stage, done, in all) as the work goes on.

    Returns
    -------
    Floor or MulticlassFloor
        Of two classes, or of more.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the message names it.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Theorem 1.

    Examples
    --------
    >>> import lossfloor as lf
    >>> lf.floor([[0], [3], [10]], [0, 1, 1], lf.L2(1.5)).zero_one
    0.3333333333333333
    """
    if not isinstance(adversary, Adversary):
        raise TypeError(must("adversary", "an adversary, such as lossfloor.L2(0.5)", adversary))
    classes, codes = as_labels("y", y)
    gap = as_positive("gap", gap)
    time_limit = None if time_limit is None else as_positive("time_limit", time_limit)
    if max_degree is not None:
        max_degree = as_count("max_degree", max_degree, 2)
    if len(classes) == 2:
        return two_class_floor(X, y, adversary, sample_weight=sample_weight, progress=progress)
    data = adversary.as_data(X, len(codes))
    weights = as_integers(sample_weight, len(codes))
    return multiclass.multiclass_floor(
        X,
        y,
        classes,
        codes,
        data,
        weights,
        adversary,
        gap=gap,
        time_limit=time_limit,
        max_degree=max_degree,
        progress=progress,
    )


def two_class_floor(
    X: Any,
    y: Any,
    adversary: Adversary,
    *,
    sample_weight: Any = None,
    progress: Progress | None = None,
) -> Floor:
    """Like `floor`, for exactly two classes; arguments and errors are the same."""
    if not isinstance(adversary, Adversary):
        raise TypeError(must("adversary", "an adversary, such as lossfloor.L2(0.5)", adversary))
    classes, codes = as_labels("y", y)
    if len(classes) != 2:
        raise ValueError(must("y", "of two classes", f"{len(classes)} classes: {classes.tolist()}"))
    data = adversary.as_data(X, len(codes))
    weights = as_integers(sample_weight, len(codes))
    began = time.perf_counter()
    graph, wider = conflicts.build_bounds(adversary, data, codes, progress=progress)
    built = time.perf_counter()

    def solved(graph: conflicts.ConflictGraph, upper: Floor | None, open_conflict: bool) -> Floor:
        return solve_floor(
            graph,
            classes,
            codes,
            weights,
            adversary,
            data=(X, y, adversary),
            seconds={"graph": built - began},
            progress=progress,
            upper=upper,
            open_conflict=open_conflict,
        )

    return solved(graph, None if wider is None else solved(wider, None, True), False)


def solve_floor(
    graph: conflicts.ConflictGraph,
    classes: npt.NDArray[Any],
    codes: npt.NDArray[np.intp],
    weights: IntegerWeights,
    adversary: Adversary,
    *,
    data: tuple[Any, Any, Adversary] | None,
    seconds: Mapping[str, float],
    progress: Progress | None = None,
    upper: Floor | None = None,
    open_conflict: bool = False,
) -> Floor:
    """Solve an existing conflict graph; shared by `floor` and `lossfloor.curve`.

    Parameters
    ----------
    graph : ConflictGraph
    classes : ndarray, shape (2,)
    codes : ndarray of intp, shape (n,)
        0 or 1, the class of each example.
    weights : IntegerWeights
    adversary : Adversary
    data : tuple or None
        X and y as the user gave them, and the adversary, for `Floor.verify`; None if it gets them again.
    seconds : mapping
        What earlier stages took.
    progress : callable, optional
    upper : Floor, optional
        The floor of all possible conflicts, if some pairs stayed open and `graph` has the sure ones only.
    open_conflict : bool, default False
        Whether `graph` has the pairs that stayed open.

    Returns
    -------
    Floor
    """
    began = time.perf_counter()
    left, right = np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)
    blocks = solvers.solve(graph, weights.values[left], weights.values[right], progress=progress)
    block = np.empty(len(codes), dtype=np.int32)
    block[left], block[right] = blocks.left_block, blocks.right_block
    degrees = np.empty(len(codes), dtype=np.int64)
    degrees[left], degrees[right] = graph.left_degrees, graph.right_degrees
    flow_edges = np.stack([left[blocks.flow_edges[:, 0]], right[blocks.flow_edges[:, 1]]], axis=1).astype(np.int32)
    solved = time.perf_counter()
    return Floor(
        classes=classes,
        codes=codes.astype(np.int8),
        weights=weights,
        blocks=blocks,
        block=block,
        flow_edges=flow_edges,
        degrees=degrees,
        adversary=adversary.config(),
        seconds={**seconds, "solve": solved - began},
        data=data,
        upper=upper,
        open_conflict=open_conflict,
    )
