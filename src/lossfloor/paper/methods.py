"""The ways to train that Figure 4 and Table 1 compare: the paper's and some beyond it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lossfloor.datasets import Dataset
from lossfloor.floors import Floor

if TYPE_CHECKING:
    from lossfloor.training import RobustLoss, Threat


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to train.

    Attributes
    ----------
    words : str
        For people.
    min_correct : float, "paper", or None
        How the optimal soft labels are clipped; None for hard labels.
    loss : str, default "madry"
        "madry", "trades", or one of the losses of `lossfloor.training.beyond_paper`.
    options : dict
        Of the loss.
    average : float, default 0
        As for `lossfloor.training.Settings`.
    warmup : float, default 0.25
        Share of the training over which eps rises from zero.
    batch_size : int, default 100
    longer : float, default 1
        How many times the epochs of the others it takes.
    beyond : bool, default False
        Whether the paper does not have it.
    """

    words: str
    min_correct: float | str | None = None
    loss: str = "madry"
    options: dict[str, float] = dataclasses.field(default_factory=dict)
    average: float = 0.0
    warmup: float = 0.25
    batch_size: int = 100
    longer: float = 1.0
    beyond: bool = False


METHODS: dict[str, Method] = {
    "hard": Method("hard labels"),
    "clipped-paper": Method("soft labels, the paper's rule", "paper"),
    "average": Method("hard labels, averaged weights", average=0.999, beyond=True),
    "kept-points": Method(
        "hard labels, kept attack points, 36 epochs for 12",
        loss="kept",
        options={"steps": 2},
        longer=3.0,
        beyond=True,
    ),
    "small-batches": Method("hard labels, batches of 25", batch_size=25, beyond=True),
    "more-epochs": Method("hard labels, 5 steps, 22 epochs for 12", options={"steps": 5}, longer=11 / 6, beyond=True),
    "optimal": Method("optimal soft labels", 0.0),
    "trades-1": Method("TRADES, beta 1", loss="trades", options={"beta": 1.0}),
    "capped": Method("hard labels, no pull below the floor", 0.0, loss="capped", beyond=True),
    "clipped-0.6": Method("soft labels, at least 0.6", 0.6),
    "slow": Method("hard labels, eps rises over two thirds", warmup=2 / 3, beyond=True),
    "interval": Method("distillation from the optimal classifier", loss="interval", beyond=True),
    "points": Method("hard labels, with the optimal attack's points", loss="points", beyond=True),
    "trades-6": Method("TRADES, beta 6", loss="trades", options={"beta": 6.0}),
    "clipped-0.8": Method("soft labels, at least 0.8", 0.8),
    "annealed": Method("labels from hard to soft (0.6)", 0.0, loss="annealed", beyond=True),
    "long": Method("hard labels, 36 epochs for 12", longer=3.0, beyond=True),
}


def soft_labels(method: Method, bound: Floor) -> npt.NDArray[np.float64] | None:
    """Return the labels that a method trains on, the floor's clipped ones; None for hard labels."""
    from lossfloor.training import paper_rule

    if method.min_correct is None:
        return None
    if isinstance(method.min_correct, str):
        return paper_rule(bound.soft_labels(), bound.certificate.codes)
    return bound.soft_labels(method.min_correct)


def training_loss(method: Method, threat: Threat, bound: Floor, data: Dataset) -> RobustLoss:
    """Make the loss that a method trains with."""
    from lossfloor.training import RobustLoss, as_inputs, beyond_paper

    if method.loss == "kept":
        return beyond_paper.KeptPoints(threat, len(data.y), **method.options)  # type: ignore[arg-type]
    if method.loss in ("madry", "trades"):
        return RobustLoss(threat, method.loss, **method.options)  # type: ignore[arg-type]
    if method.loss == "points":
        moved = bound.attack(data.X).expected()
        return beyond_paper.OptimalPoints(threat, as_inputs(moved.points, unit=data.unit), moved.index, moved.weights)
    if method.loss == "interval":
        import torch

        codes = torch.from_numpy(bound.certificate.codes.astype(np.int64))
        return beyond_paper.IntervalTargets(threat, as_inputs(data.X, unit=data.unit), codes, bound.posterior)
    losses: dict[str, type[RobustLoss]] = {"capped": beyond_paper.CappedLoss, "annealed": beyond_paper.AnnealedClipping}
    return losses[method.loss](threat, **method.options)  # type: ignore[arg-type]
