"""Training changes beyond the paper, which try to close the gap between hard-label training and the floor.

What each of them achieves is measured by ``lossfloor paper fig4``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossfloor._checks import must
from lossfloor.training.attacks import Threat, perturb
from lossfloor.training.losses import RobustLoss, soft_cross_entropy


class AnnealedClipping(RobustLoss):
    """Adversarial training on labels that change from hard to soft during training.

    The probability of the true class is ``max(q, m)`` with m falling linearly from 1 to `floor_at` over the training.

    Parameters
    ----------
    threat : Threat
    floor_at : float, default 0.6
        Where m ends, in [0, 1].
    **options
        Of `RobustLoss`.
    """

    def __init__(self, threat: Threat, *, floor_at: float = 0.6, **options: Any) -> None:
        super().__init__(threat, **options)
        if not 0 <= floor_at <= 1:
            raise ValueError(must("floor_at", "between 0 and 1", floor_at))
        self.floor_at = floor_at

    def describe(self) -> dict[str, Any]:
        """Return what distinguishes this loss from others."""
        return {**super().describe(), "floor_at": self.floor_at}

    def at(self, model: nn.Module, z: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
        """Return the mean cross-entropy with the labels of the moment; `soft` are the optimal ones."""
        if soft is None:
            raise ValueError(must("soft", "given", soft))
        least = 1 - self.progress * (1 - self.floor_at)
        own = soft.gather(1, labels[:, None])
        raised = own.clamp_min(least)
        # What the true class gains, the others lose in proportion.
        others = soft * ((1 - raised) / (1 - own).clamp_min(1e-12))
        return soft_cross_entropy(model(z), labels, others.scatter(1, labels[:, None], raised)).mean()


class CappedLoss(RobustLoss):
    """Adversarial training that leaves examples alone which already reach what the floor allows them.

    An example counts with ``max(cross-entropy, -log q)``, so that only those are pulled whose worst probability is
    below q.  With `strength` below 1, the others keep a share of their pull.

    Parameters
    ----------
    threat : Threat
    strength : float, default 1
        In [0, 1].
    **options
        Of `RobustLoss`.
    """

    def __init__(self, threat: Threat, *, strength: float = 1.0, **options: Any) -> None:
        super().__init__(threat, **options)
        if not 0 <= strength <= 1:
            raise ValueError(must("strength", "between 0 and 1", strength))
        self.strength = strength

    def describe(self) -> dict[str, Any]:
        """Return what distinguishes this loss from others."""
        return {**super().describe(), "strength": self.strength}

    def at(self, model: nn.Module, z: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
        """Return the mean of the capped losses; `soft` are the optimal labels."""
        if soft is None:
            raise ValueError(must("soft", "given", soft))
        losses = F.cross_entropy(model(z), labels, reduction="none")
        allowed = -soft.gather(1, labels[:, None])[:, 0].clamp_min(1e-12).log()
        return (self.strength * torch.maximum(losses, allowed) + (1 - self.strength) * losses).mean()


class OptimalPoints(RobustLoss):
    """Adversarial training with the optimal strategy's points as extra data.

    Beside its worst point, each example is shown at a point drawn from the strategy that no classifier beats, with its
    hard label.

    Parameters
    ----------
    threat : Threat
    points : Tensor, shape (k, ...)
        All points of the strategy, as inputs of the model.
    index : array_like of int, shape (k,)
        Which example each of them is of; every example has one at least.
    weights : array_like, shape (k,)
        Their probabilities, in any scale within an example.
    share : float, default 0.5
        Weight of the extra data, in [0, 1].
    **options
        Of `RobustLoss`.
    """

    def __init__(
        self, threat: Threat, points: Tensor, index: Any, weights: Any, *, share: float = 0.5, **options: Any
    ) -> None:
        super().__init__(threat, **options)
        if not 0 <= share <= 1:
            raise ValueError(must("share", "between 0 and 1", share))
        self.extra_share = share
        index = np.asarray(index)
        order = np.argsort(index, kind="stable")
        self._points = points[torch.from_numpy(order)]
        self._first = np.searchsorted(index[order], np.arange(index.max() + 2))
        if (np.diff(self._first) == 0).any():
            raise ValueError(must("index", "such that every example has a point", "examples without any"))
        self._sums = np.concatenate([[0.0], np.cumsum(np.asarray(weights, dtype=np.float64)[order])])

    def describe(self) -> dict[str, Any]:
        """Return what distinguishes this loss from others."""
        return {**super().describe(), "extra_share": self.extra_share}

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        labels: Tensor,
        soft: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss of a batch, of which the examples `index` are known."""
        if index is None:
            raise ValueError(must("index", "given", index))
        worst = super().__call__(model, x, labels, soft)
        drawn = self._points[self._draw(index.numpy())].to(x.device)
        moved = x + self.share * (drawn - x)  # as far along as eps is
        return (1 - self.extra_share) * worst + self.extra_share * F.cross_entropy(model(moved), labels)

    def _draw(self, index: Any) -> Tensor:
        first, behind = self._first[index], self._first[index + 1]
        u = torch.rand(len(index), generator=self.generator, dtype=torch.float64).numpy()
        goal = self._sums[first] + u * (self._sums[behind] - self._sums[first])
        return torch.from_numpy(np.clip(np.searchsorted(self._sums, goal, side="right") - 1, first, behind - 1))


class IntervalTargets(RobustLoss):
    """Distillation from the optimal classifier: at the worst point, the target is what that classifier allows there.

    An optimal classifier gives the first class a probability between ``low(z)``, the largest posterior of its examples
    whose balls hold z, and ``up(z)``, the smallest of the other class.  The target is the point of this interval
    nearest to the hard label.

    Parameters
    ----------
    threat : Threat
        Of the l2 norm.
    X : Tensor, shape (n, ...)
        The training data, inputs of the model.
    labels : Tensor of int64, shape (n,)
    posterior : array_like, shape (n,)
        `Floor.posterior`.
    **options
        Of `RobustLoss`.
    """

    def __init__(self, threat: Threat, X: Tensor, labels: Tensor, posterior: Any, **options: Any) -> None:
        super().__init__(threat, **options)
        if threat.norm != "l2":
            raise ValueError(must("threat", "of the l2 norm", threat))
        self._flat = X.flatten(1)
        self._squares = self._flat.square().sum(dim=1)
        self._first = labels == 0
        self._posterior = torch.as_tensor(np.asarray(posterior), dtype=torch.float32)

    def at(self, model: nn.Module, z: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
        """Return the mean cross-entropy with the nearest allowed targets."""
        target = self._targets(z.detach().cpu(), labels.cpu()).to(z.device)
        return soft_cross_entropy(model(z), labels, torch.stack([target, 1 - target], dim=1)).mean()

    def _targets(self, z: Tensor, labels: Tensor) -> Tensor:
        flat = z.flatten(1)
        squares = flat.square().sum(dim=1)[:, None] + self._squares - 2 * flat @ self._flat.T
        covered = squares <= (self.threat.eps * (1 + 1e-5)) ** 2
        first, pi = self._first, self._posterior
        low = torch.where(covered[:, first], pi[first], 0.0).amax(dim=1)
        up = torch.where(covered[:, ~first], pi[~first], 1.0).amin(dim=1)
        return torch.where(labels == 0, torch.maximum(up, low), low)


class KeptPoints(RobustLoss):
    """Adversarial training whose attacks resume from where they ended in the previous epoch.

    The worst point of an example moves little from one epoch to the next, so a few steps from the last one are worth
    many from a random one; what they save pays for more epochs.

    Parameters
    ----------
    threat : Threat
    count : int
        Number of examples in the data set.
    steps : int, default 3
    first : float, default 0.5
        The first step is this share of 2 eps; the others fall from there.
    **options
        Of `RobustLoss`.

    Notes
    -----
    That an attack may go on from the last epoch's points is used, to attack and train in the same passes, by Zheng,
    Zhang, Gu, Lee, Prakash, "Efficient Adversarial Training with Transferable Adversarial Examples", CVPR 2020.
    """

    def __init__(self, threat: Threat, count: int, *, steps: int = 3, first: float = 0.5, **options: Any) -> None:
        super().__init__(threat, steps=int(steps), **options)
        if count < 1:
            raise ValueError(must("count", "at least 1", count))
        if not 0 < first <= 1:
            raise ValueError(must("first", "above 0 and at most 1", first))
        self.count, self.first = count, first
        self._moves: Tensor | None = None  # of each example, relative to where it is; random starts at first

    def describe(self) -> dict[str, Any]:
        """Return what distinguishes this loss from others."""
        return {**super().describe(), "count": self.count, "first": self.first}

    def state(self) -> dict[str, Tensor]:
        """Return the moves of all examples."""
        return {} if self._moves is None else {"moves": self._moves.clone()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        moves = state.get("moves")
        if moves is not None and len(moves) != self.count:
            raise ValueError(must("state", f"the moves of {self.count} examples", len(moves)))
        self._moves = None if moves is None else moves.clone()

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        labels: Tensor,
        soft: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss of a batch; `index` says which examples it has."""
        if index is None:
            raise ValueError(must("index", "given", index))
        if self._moves is None:
            self._moves = torch.zeros((self.count, *x.shape[1:]), dtype=x.dtype)
        threat = self.threat.scaled(self.share)
        kept = self._moves[index].to(x.device)
        fresh = (kept == 0).flatten(1).all(dim=1)
        start = x + kept
        if fresh.any():
            start[fresh] = threat.start(x[fresh], self.generator)
        z = perturb(
            model,
            x,
            labels,
            threat,
            steps=self.steps,
            generator=self.generator,
            start=start,
            first=self.first,
        )
        self._moves[index] = (z - x).cpu()
        return self.at(model, z, labels, soft)
