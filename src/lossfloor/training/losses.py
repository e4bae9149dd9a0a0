"""Robust losses to train on: adversarial training and TRADES, with hard or soft labels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossfloor._checks import must, one_of
from lossfloor.training.attacks import Threat, evaluating, perturb

METHODS = ("madry", "trades")


def soft_cross_entropy(logits: Tensor, labels: Tensor, soft: Tensor | None = None) -> Tensor:
    """Return the cross-entropy of each example with its label, or with a distribution over the classes.

    Parameters
    ----------
    logits : Tensor, shape (n, classes)
    labels : Tensor of int64, shape (n,)
    soft : Tensor, shape (n, classes), optional
        Takes the place of the labels.

    Returns
    -------
    Tensor, shape (n,)
    """
    if soft is None:
        return F.cross_entropy(logits, labels, reduction="none")
    return -(soft.to(logits.dtype) * F.log_softmax(logits, dim=1)).sum(dim=1)


class RobustLoss:
    """The loss of a batch under attack, to call ``backward`` on: it takes the place of a criterion.

    With "madry" each example is attacked, and the loss is the cross-entropy where it ends.  With "trades" the loss is
    the cross-entropy of the clean examples and beta times the divergence KL(p(x) || p(z)) from the point z that an
    attack on this divergence finds.  A soft label takes the place of the label in the cross-entropy; the attack goes
    on against the true class, as it does in the theory of the floor.

    Parameters
    ----------
    threat : Threat
    method : {"madry", "trades"}, default "madry"
    beta : float, default 6
        Weight of the divergence in TRADES.
    steps : int, default 10
        Steps of the attack.
    seed : int, default 0
        Of the random starts; each call draws on.

    Attributes
    ----------
    share : float
        The share of eps that the attack uses, 1 unless a loop warms it up.
    progress : float
        How much of the training is done, from 0 to 1, if a loop says so.

    Raises
    ------
    ValueError
        If `method` is unknown, `beta` not positive or `steps` below 1.

    Notes
    -----
    The model is attacked in evaluation and asked for its loss in the mode that it is in, so that statistics of batch
    normalisation come from what it is trained on.

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018.
    Zhang, Yu, Jiao, Xing, El Ghaoui, Jordan, "Theoretically Principled Trade-off between Robustness and Accuracy",
    ICML 2019.

    Examples
    --------
    >>> import torch
    >>> model, x = torch.nn.Linear(2, 2), torch.rand(5, 2)
    >>> labels = torch.tensor([0, 1, 0, 1, 1])
    >>> soft = torch.full((5, 2), 0.5)
    >>> RobustLoss(Threat("linf", 0.1))(model, x, labels, soft).backward()
    """

    def __init__(
        self, threat: Threat, method: str = "madry", *, beta: float = 6.0, steps: int = 10, seed: int = 0
    ) -> None:
        self.method = one_of("method", method, METHODS)
        if not (math.isfinite(beta) and beta > 0):
            raise ValueError(must("beta", "positive", beta))
        if steps < 1:
            raise ValueError(must("steps", "at least 1", steps))
        self.threat, self.beta, self.steps = threat, float(beta), steps
        self.generator = torch.Generator().manual_seed(seed)
        self.share = 1.0
        self.progress = 0.0

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        labels: Tensor,
        soft: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss of a batch.

        Parameters
        ----------
        model : torch.nn.Module
        x : Tensor, shape (n, ...)
            Inputs in [0, 1].
        labels : Tensor of int64, shape (n,)
        soft : Tensor, shape (n, classes), optional
        index : Tensor of int64, shape (n,), optional
            Positions of the examples in the data set, for losses that keep per-example state; unused here.

        Returns
        -------
        Tensor
            A number with its gradient.
        """
        if self.method == "madry":
            return self.at(model, self.attack(model, x, labels), labels, soft)
        with torch.no_grad():
            clean = F.log_softmax(_evaluated(model, x), dim=1)
        z = self.attack(model, x, labels, clean)
        logits = model(torch.cat([x, z]))  # together: batch normalisation sees both
        there = F.log_softmax(logits[len(x) :], dim=1)
        near = F.log_softmax(logits[: len(x)], dim=1)
        divergence = (near.exp() * (near - there)).sum(dim=1).mean()
        return soft_cross_entropy(logits[: len(x)], labels, soft).mean() + self.beta * divergence

    def describe(self) -> dict[str, Any]:
        """Return what distinguishes this loss from others, as a checkpoint holds it."""
        return {
            "name": type(self).__name__,
            "method": self.method,
            "beta": self.beta,
            "steps": self.steps,
            "norm": self.threat.norm,
            "eps": self.threat.eps,
        }

    def state(self) -> dict[str, Tensor]:
        """Return what the loss remembers from epoch to epoch, for checkpoints; nothing here."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        if state:
            raise ValueError(must("state", "empty, as this loss remembers nothing", sorted(state)))

    def attack(self, model: nn.Module, x: Tensor, labels: Tensor, clean: Tensor | None = None) -> Tensor:
        """Return perturbed inputs: against the labels, or away from the log-probabilities `clean`."""
        objective = None
        if clean is not None:
            reference = clean

            def objective(logits: Tensor) -> Tensor:
                return (reference.exp() * (reference - F.log_softmax(logits, dim=1))).sum(dim=1)

        return perturb(
            model,
            x,
            labels,
            self.threat.scaled(self.share),
            steps=self.steps,
            generator=self.generator,
            objective=objective,
        )

    def at(self, model: nn.Module, z: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
        """Return the mean cross-entropy at given points."""
        return soft_cross_entropy(model(z), labels, soft).mean()


def _evaluated(model: nn.Module, x: Tensor) -> Tensor:
    with evaluating(model):
        logits: Tensor = model(x)
    return logits


def adversarial_training(threat: Threat, *, steps: int = 10, seed: int = 0) -> RobustLoss:
    """Return the loss of adversarial training (Madry et al.); soft labels are given with each batch."""
    return RobustLoss(threat, "madry", steps=steps, seed=seed)


def trades(threat: Threat, *, beta: float = 6.0, steps: int = 10, seed: int = 0) -> RobustLoss:
    """Return the loss of TRADES (Zhang et al.)."""
    return RobustLoss(threat, "trades", beta=beta, steps=steps, seed=seed)
