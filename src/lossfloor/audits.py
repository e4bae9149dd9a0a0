r"""How far a model is from the floor: how much of its robust loss is unavoidable, and how much is its own.

**Below the floor means that the attack failed, never that the model won.**  An attack finds *a* loss of an example, and
its worst loss is at least that.  The floor is below the worst losses of every function.  So a measured loss
below the floor is not the worst one.

The same holds for parts of the data, where it reveals more about an attack:

- *In each block.*  The proof of the floor sends weight inside of blocks only, so the share of each block in the floor
  is a bound for the examples of that block by itself.
- *In each pair in conflict.*  At a point that both may be moved to, the two probabilities of being right sum to one.
  If the worst ones that were measured sum to more, the attack missed that point for one of the two at least.
"""

from __future__ import annotations

import functools
import math
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_labels, must, one_of
from lossfloor.adversaries import from_config
from lossfloor.exceptions import WeakAttackWarning
from lossfloor.floors import Floor
from lossfloor.reporting.tables import as_frame, html_fields, write_csv

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from lossfloor.adversaries.base import BallOfNorm

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: By how much a measured loss may be below what is proved before it is called so: models compute in single precision.
TOLERANCE = 1e-6

#: What `attack` may be: steps, restarts, and whether APGD joins in.
STRENGTHS: dict[str, tuple[int, int, bool]] = {
    "fast": (20, 1, False),
    "strong": (40, 2, False),
    "strongest": (100, 5, True),
}


class Audit:
    """A model's robust loss compared with the floor; `audit` returns one.

    Attributes
    ----------
    floor : Floor
    loss : ndarray of float64, shape (n,)
        Worst cross-entropy that was measured for each example, in nats.
    gradient_loss : float or None
        Mean loss by the gradient attack alone, if a model was attacked: without the points of the optimal attack.
    n_skipped : int
        Pairs in conflict at whose common point a model could not be tried, since no double can hold it.
    wrong : ndarray of bool, shape (n,)
        Whether the true class is not the more probable one at some point that was tried.

    Examples
    --------
    >>> import lossfloor as lf
    >>> floor = lf.floor([[0.0], [1.0], [5.0]], [0, 1, 1], lf.L2(0.5))
    >>> result = lf.audit(floor, probabilities=[0.4, 0.5, 0.8])
    >>> result
    Audit(cross_entropy=0.61086 nats = floor 0.462098 + model 0.148762; zero_one=0.666667, floor 0.333333)
    >>> result.gap_per_example.round(3)
    array([0.223, 0.   , 0.223])
    """

    def __init__(
        self, floor: Floor, loss: Doubles, wrong: Flags, *, gradient_loss: float | None = None, n_skipped: int = 0
    ) -> None:
        self.floor = floor
        self.loss = loss
        self.wrong = wrong
        self.gradient_loss = gradient_loss
        self.n_skipped = n_skipped

    # In total.

    @functools.cached_property
    def _weight(self) -> Doubles:
        weight = self.floor.certificate.weight.astype(np.float64)
        return np.asarray(weight / weight.sum())

    @property
    def cross_entropy(self) -> float:
        """Measured robust cross-entropy in nats, weighted mean over the examples."""
        return self._mean(self.loss)

    @property
    def zero_one(self) -> float:
        """Measured robust 0-1 loss: weight of the examples that the attack made wrong."""
        return self._mean(self.wrong)

    @property
    def unavoidable(self) -> float:
        """The part of the cross-entropy that no classifier avoids: the floor."""
        return self.floor.cross_entropy

    @property
    def gap(self) -> float:
        """The model's own part of the cross-entropy: the part above the floor."""
        return self.cross_entropy - self.unavoidable

    @property
    def below_floor(self) -> bool:
        """Whether a measured loss is below the proved floor: then the attack failed."""
        measured = [self.cross_entropy] if self.gradient_loss is None else [self.cross_entropy, self.gradient_loss]
        return min(measured) < self.unavoidable - TOLERANCE or self.zero_one < self.floor.zero_one - TOLERANCE

    def _mean(self, values: npt.NDArray[Any]) -> float:
        return math.fsum((self._weight * values).tolist())

    # For each example.

    @property
    def probability(self) -> Doubles:
        """Worst probability of the true class that was measured, shape (n,)."""
        return np.exp(-self.loss)

    @functools.cached_property
    def unavoidable_per_example(self) -> Doubles:
        """Loss of an optimal classifier on each example, shape (n,): minus the log of the probability it keeps."""
        return np.maximum(0.0, -np.log(self.floor.correct_probability))

    @property
    def gap_per_example(self) -> Doubles:
        """Measured loss less that of an optimal classifier, shape (n,).

        Single values may be negative without any error: a model may favour one example at the cost of another.  Their
        weighted mean is `gap`.
        """
        return np.asarray(self.loss - self.unavoidable_per_example)

    @property
    def lost_without_need(self) -> Flags:
        """Examples that the model gets wrong, though the optimal classifiers keep them right, shape (n,)."""
        return np.asarray(self.wrong & (self.floor.correct_probability > 0.5))

    @functools.cached_property
    def won_impossibly(self) -> Flags:
        """Examples in pairs whose measured probabilities sum to more than one, shape (n,): a sign of a weak attack.

        No function can keep them at a point that both examples of a pair may be moved to.  The pairs are those that the
        proof of the floor uses.
        """
        flagged = np.zeros(self.floor.n_examples, dtype=np.bool_)
        pairs = self.floor.certificate.flow_edges
        if len(pairs):
            probability = self.probability
            flagged[pairs[probability[pairs[:, 0]] + probability[pairs[:, 1]] > 1 + TOLERANCE].ravel()] = True
        return flagged

    @functools.cached_property
    def in_failed_block(self) -> Flags:
        """Examples of blocks whose measured mean loss is below that block's own floor, shape (n,)."""
        block, count = self.floor.block, self.floor.n_blocks
        weight = np.bincount(block, self._weight, count)
        measured = np.bincount(block, self._weight * self.loss, count)
        needed = np.bincount(block, self._weight * self.unavoidable_per_example, count)
        return np.asarray((measured < needed - TOLERANCE * weight)[block])

    @property
    def weak_attack(self) -> bool:
        """Whether anything proves that the attack was too weak."""
        return self.below_floor or bool(self.won_impossibly.any()) or bool(self.in_failed_block.any())

    # To look at.

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return all per-example results by name, shape (n,) each; see `to_frame`."""
        certificate = self.floor.certificate
        return {
            "label": certificate.classes[certificate.codes.astype(np.intp)],
            "weight": self._weight,
            "loss": self.loss,
            "unavoidable": self.unavoidable_per_example,
            "gap": self.gap_per_example,
            "probability": self.probability,
            "correct_probability": self.floor.correct_probability,
            "wrong": self.wrong,
            "lost_without_need": self.lost_without_need,
            "won_impossibly": self.won_impossibly,
            "in_failed_block": self.in_failed_block,
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per example.

        Returns
        -------
        pandas.DataFrame
            Columns label, weight, loss, unavoidable, gap, probability, correct_probability (of the optimal
            classifiers), wrong, lost_without_need, won_impossibly, in_failed_block.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        return as_frame(self.columns())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `columns` as a CSV table with one row per example (completely or not at all)."""
        write_csv(path, self.columns())

    def summary(self) -> dict[str, Any]:
        """Return the main results in a form JSON can represent; an infinite loss is None."""
        return {
            "cross_entropy": _finite(self.cross_entropy),
            "unavoidable": self.unavoidable,
            "gap": _finite(self.gap),
            "zero_one": self.zero_one,
            "zero_one_floor": self.floor.zero_one,
            "gradient_attack_cross_entropy": None if self.gradient_loss is None else _finite(self.gradient_loss),
            "n_examples": self.floor.n_examples,
            "n_skipped": self.n_skipped,
            "lost_without_need": int(self.lost_without_need.sum()),
            "won_impossibly": int(self.won_impossibly.sum()),
            "in_failed_block": int(self.in_failed_block.sum()),
            "below_floor": self.below_floor,
            "weak_attack": self.weak_attack,
            "floor_status": self.floor.status,
        }

    def __repr__(self) -> str:
        return (
            f"Audit(cross_entropy={self.cross_entropy:.6g} nats = floor {self.unavoidable:.6g} + model {self.gap:.6g}; "
            f"zero_one={self.zero_one:.6g}, floor {self.floor.zero_one:.6g})"
        )

    def rows(self) -> dict[str, str]:
        """Return the main results as readable text."""
        n = self.floor.n_examples
        share = f" ({100 * self.unavoidable / self.cross_entropy:.1f} %)" if 0 < self.cross_entropy < math.inf else ""
        rows = {
            "Robust cross-entropy": f"{self.cross_entropy:.6g} nats, measured",
            "unavoidable": f"{self.unavoidable:.6g}{share}",
            "the model's own": f"{self.gap:.6g}",
            "Robust 0-1 loss": f"{self.zero_one:.6g}, floor {self.floor.zero_one:.6g}",
            "Lost without need": f"{int(self.lost_without_need.sum())} of {n} examples",
        }
        if self.gradient_loss is not None:
            rows["By gradients alone"] = f"{self.gradient_loss:.6g} nats"
        if self.n_skipped:
            rows["Points left out"] = f"{self.n_skipped} that no double can hold"
        rows["Verdict on the attack"] = self.verdict()
        return rows

    def verdict(self) -> str:
        """Return a verdict on the attack."""
        if self.below_floor:
            return _BELOW
        pairs, blocks = int(self.won_impossibly.sum()), int(self.in_failed_block.sum())
        if pairs or blocks:
            return (
                f"too weak in places: {pairs} examples are in pairs no function can get right, {blocks} in blocks "
                "below their own floor; the true robust loss is larger"
            )
        return "no sign that it was too weak (the true robust loss may still be larger)"

    def _repr_html_(self) -> str:
        return html_fields("A model against the floor", self.rows())


_BELOW = (
    "too weak: a measured loss is below the proved floor, which means that the attack failed, never that the model won"
)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def audit(
    floor: Floor,
    *,
    losses: Any = None,
    probabilities: Any = None,
    model: Any = None,
    X: Any = None,
    y: Any = None,
    attack: str = "strong",
    device: Any = "cpu",
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Audit:
    """Compare a model's robust loss with the floor: how much is unavoidable, and how much is the model's own.

    Give one of `losses`, `probabilities` and `model`.

    Parameters
    ----------
    floor : Floor
        Of the same examples, in the same order.
    losses : array_like, shape (n,), optional
        Worst cross-entropy of each example under attack, in nats, at least 0; may be infinite.  It must be the maximum
        over attacks, restarts and steps: suites that keep the original point of examples which they cannot flip, or
        which are wrong from the start, give far too little.
    probabilities : array_like, shape (n,), optional
        Worst probability of the true class, in [0, 1], instead of the losses.
    model : torch.nn.Module, optional
        From inputs in [0, 1] to logits, one for each class in the order of ``floor.classes``.  It is attacked; needs
        the extra ``torch``, and an l2 or linf ball of one radius as the floor's adversary.
    X, y : array_like, optional
        The data of the floor, needed to attack.  X is divided by the adversary's unit; images get their channels first
        (see `lossfloor.training.as_inputs`).
    attack : {"fast", "strong", "strongest"}, default "strong"
        20 steps; 40 steps and a restart; 100 steps, 4 restarts and APGD (extra ``attacks``).  The points of the optimal
        attack of the floor are tried besides, but for those that no double can hold (`Audit.n_skipped`).
    device : str or torch.device, default "cpu"
        Device for the attack; the model must already be on it.
    seed : int, default 0
        Seed of the random starts.
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    Audit

    Warns
    -----
    WeakAttackWarning
        If a measured loss is below the proved floor.  That means that the attack failed, never that the model won.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it.
    MissingDependencyError
        If a model is given and PyTorch is not installed.

    Examples
    --------
    >>> import lossfloor as lf
    >>> floor = lf.floor([[0.0], [1.0], [5.0]], [0, 1, 1], lf.L2(0.5))
    >>> lf.audit(floor, losses=[0.7, 0.9, 0.1]).gap > 0
    True
    """
    if not isinstance(floor, Floor):
        raise TypeError(must("floor", "a Floor, as lossfloor.floor returns it", floor))
    given = {"losses": losses, "probabilities": probabilities, "model": model}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise ValueError(must("losses", "given alone, or probabilities, or model", " and ".join(names) or "none"))
    if model is not None:
        result = _attacked(floor, model, X, y, attack, device, seed, progress)
    else:
        if losses is not None:
            loss = _measured("losses", losses, floor.n_examples, math.inf)
        else:
            with np.errstate(divide="ignore"):
                loss = 0.0 - np.log(_measured("probabilities", probabilities, floor.n_examples, 1.0))
        result = Audit(floor, loss, loss >= math.log(2))
    if result.below_floor:
        warnings.warn(
            f"measured {min(result.cross_entropy, result.gradient_loss or math.inf):.6g} nats and "
            f"{result.zero_one:.6g} errors, floor {result.unavoidable:.6g} and {floor.zero_one:.6g}: the attack is "
            f"{_BELOW}",
            WeakAttackWarning,
            stacklevel=2,
        )
    return result


def _measured(name: str, values: Any, n: int, most: float) -> Doubles:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(must(name, "an array of numbers", values)) from None
    if array.shape != (n,):
        raise ValueError(must(name, f"of shape ({n},), one number for each example of the floor", array.shape))
    if not ((array >= 0) & (array <= most)).all():
        bad = array[~((array >= 0) & (array <= most))][0]
        raise ValueError(must(name, "at least 0" if most == math.inf else f"between 0 and {most:g}", float(bad)))
    return array


def _attacked(
    floor: Floor,
    model: Any,
    X: Any,
    y: Any,
    attack: str,
    device: Any,
    seed: int,
    progress: Callable[[str, int, int], None] | None,
) -> Audit:
    import lossfloor.training as tr  # says which extra is missing, so it goes before torch itself

    steps, restarts, apgd = STRENGTHS[one_of("attack", attack, tuple(STRENGTHS))]
    ball = _ball(floor)
    if X is None or y is None:
        raise ValueError(must("X", "given together with y, to attack the model on it", X if X is None else y))
    import torch

    classes, codes = as_labels("y", y, floor.n_examples)
    if not np.array_equal(classes, floor.classes) or not np.array_equal(codes, floor.certificate.codes):
        raise ValueError(must("y", "the labels of the floor, in their order", "others"))
    unit = ball.unit
    device = tr.as_device(device)
    inputs = tr.as_inputs(X, unit=unit).to(device)
    labels = torch.from_numpy(codes.astype(np.int64)).to(device)
    threat = tr.Threat("linf" if ball.order is None else "l2", float(ball.eps[0]))
    found = tr.worst_case(
        model, inputs, labels, threat, steps=steps, restarts=restarts, apgd=apgd, seed=seed, progress=progress
    )
    loss, wrong = found.loss.copy(), found.wrong.copy()
    gradient_loss = math.fsum((floor.certificate.weight * loss).tolist()) / int(floor.certificate.weight.sum())
    trials = floor.attack(X).trials()
    if len(trials.examples):
        points = tr.as_inputs(trials.points, unit=unit).to(device)
        there = tr.losses_at(model, points, labels[torch.from_numpy(trials.examples).to(device)])
        np.maximum.at(loss, trials.examples, there)
        np.logical_or.at(wrong, trials.examples, there >= math.log(2))
    return Audit(floor, loss, wrong, gradient_loss=gradient_loss, n_skipped=len(trials.skipped))


def _ball(floor: Floor) -> BallOfNorm:
    """Return the adversary of a floor that the attacks here are made for."""
    try:
        ball = from_config(floor.certificate.adversary).norm_ball
    except ValueError:  # made of a matrix or a function
        ball = None
    if ball is not None and ball.order in (2, None) and len(ball.eps) == 1:
        return ball
    raise ValueError(must("floor", "against an l2 or linf ball of one radius", floor.certificate.adversary))
