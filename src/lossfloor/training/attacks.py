r"""Attacks: a fast one for training, and a strong one for measuring.

Only a *maximum* measures a robust loss: the largest loss of each example over all attacks, restarts and steps.  Every
attack bounds the robust loss from below.

For two classes, cross-entropy is :math:`\log(1 + e^m)` of the margin m, the logit of the other class less that of the
true one.  The margin has the same maximum, and a gradient that does not vanish where the model is sure.  Steps are long
at first and decrease linearly from 2 eps to zero.

Rounding.  With u the unit roundoff of the inputs' type and d the number of features, the length of a change is computed
with a relative error of at most (d/2 + 4) u, scaling it back adds 3 u, and adding it to the input rounds each feature
by at most u, since results are in [0, 1].  Points are therefore put within ``eps (1 - (d/2 + 8) u) - sqrt(d) u`` (l2),
or ``eps (1 - 2 u) - 2 u`` (linf), which keeps them within eps in exact arithmetic.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossfloor._checks import must, one_of
from lossfloor._types import Progress
from lossfloor.exceptions import MissingDependencyError

NORMS = ("l2", "linf")

#: Steps from below towards the nearest point of ball and cube.
_PROJECTIONS = 1


@dataclasses.dataclass(frozen=True)
class Threat:
    """What an attack may do to an input: move it by at most eps, and stay in [0, 1].

    Parameters
    ----------
    norm : {"l2", "linf"}
    eps : float
        At least 0, in units of the inputs, which are in [0, 1].

    Raises
    ------
    ValueError
        If `norm` is unknown, or `eps` negative or not finite.

    Examples
    --------
    >>> import torch
    >>> Threat("l2", 0.5).project(torch.tensor([[0.5, 1.0]]), torch.tensor([[3.0, 1.0]]))
    tensor([[1.0000, 1.0000]])
    """

    norm: str
    eps: float

    def __post_init__(self) -> None:
        one_of("norm", self.norm, NORMS)
        if not (math.isfinite(self.eps) and self.eps >= 0):
            raise ValueError(must("eps", "finite and at least 0", self.eps))

    def scaled(self, share: float) -> Threat:
        """Return the threat with a share of its eps."""
        return Threat(self.norm, self.eps * share)

    def _radius(self, x: Tensor) -> float:
        """Return the distance at which rounded points surely are within eps; see the top of the module."""
        unit = torch.finfo(x.dtype).eps / 2
        if self.norm == "linf":
            return max(0.0, self.eps * (1 - 2 * unit) - 2 * unit)
        d = x[0].numel()
        return max(0.0, self.eps * (1 - (d / 2 + 8) * unit) - math.sqrt(d) * unit)

    def project(self, x: Tensor, z: Tensor) -> Tensor:
        """Bring points into the ball around x and into [0, 1].

        For l2, the nearest point of both sets is ``clip(x + s (z - x))`` with the s at which its distance from x is
        eps.  A step from below comes close to that s (since x is in [0, 1], the
        distance grows no faster than s); attacks gain nothing from more.

        Parameters
        ----------
        x, z : Tensor, shape (n, ...)
            Inputs in [0, 1], and points.

        Returns
        -------
        Tensor, shape (n, ...)
        """
        radius = self._radius(x)
        if self.norm == "linf":
            near: Tensor = torch.minimum(torch.maximum(z, x - radius), x + radius)
            return near.clamp(0.0, 1.0)
        tiny = torch.finfo(x.dtype).tiny
        whole = z - x
        share = (radius / _lengths(whole).clamp_min(tiny)).clamp(max=1.0)
        change = (x + whole * share).clamp(0.0, 1.0) - x
        for _ in range(_PROJECTIONS):
            share = (share * (radius / _lengths(change).clamp_min(tiny))).clamp(max=1.0)
            change = (x + whole * share).clamp(0.0, 1.0) - x
        # Rounding may have gone too far; what is drawn towards x stays in [0, 1].
        safe = (radius / _lengths(change).clamp_min(tiny)).clamp(max=1.0)
        inside: Tensor = (x + change * safe).clamp(0.0, 1.0)
        return inside

    def start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return random points to start from: anywhere in the cube, or at any distance in a random direction."""
        if self.norm == "linf":
            return self.project(x, x + self.eps * (2 * _random(torch.rand, x, generator) - 1))
        direction = _random(torch.randn, x, generator)
        reach = self.eps * torch.rand(len(x), generator=generator, dtype=x.dtype).to(x.device).view(_column(x))
        return self.project(x, x + direction * (reach / _lengths(direction)))

    def ascend(self, z: Tensor, gradient: Tensor, length: float, generator: torch.Generator) -> Tensor:
        """Take a step of a length along the steepest ascent in this norm; in a random direction where it is flat."""
        if self.norm == "linf":
            return z + length * gradient.sign()
        lengths = _lengths(gradient)
        # A gradient of zero, or so small that its square underflows, has no direction.
        flat = (lengths <= torch.finfo(z.dtype).tiny).flatten()
        if flat.any():
            gradient = torch.where(flat.view(_column(z)), _random(torch.randn, z, generator), gradient)
            lengths = _lengths(gradient)
        return z + gradient * (length / lengths)


def _column(x: Tensor) -> tuple[int, ...]:
    return (-1, *([1] * (x.ndim - 1)))


def _lengths(x: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return lengths.view(_column(x))


def _random(draw: Callable[..., Tensor], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw on the CPU, so that every device gets the same numbers."""
    return draw(like.shape, generator=generator, dtype=like.dtype).to(like.device)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every part of a model into evaluation, and afterwards back into the mode that it was in."""
    modes = [(part, part.training) for part in model.modules()]
    for part, _ in modes:
        part.training = False  # and not model.eval(), which programs of torch.export refuse
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the largest logit of another class less that of the true class, shape (n,)."""
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -math.inf)
    return others.amax(dim=1) - own


def _objective(logits: Tensor, labels: Tensor) -> Tensor:
    """Return what an attack on cross-entropy climbs, shape (n,)."""
    if logits.shape[1] == 2:
        return margins(logits, labels)
    return F.cross_entropy(logits, labels, reduction="none")


def perturb(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    threat: Threat,
    *,
    steps: int = 10,
    generator: torch.Generator | None = None,
    objective: Callable[[Tensor], Tensor] | None = None,
    start: Tensor | None = None,
    first: float = 1.0,
) -> Tensor:
    """Attack a batch fast, to train on what comes out.

    The model is in evaluation meanwhile.  Its gradients and modes, and the global random state, stay as they were.

    Parameters
    ----------
    model : torch.nn.Module
        From inputs in [0, 1] to logits.
    x : Tensor, shape (n, ...)
        Inputs in [0, 1].
    labels : Tensor of int64, shape (n,)
        True classes: the attack makes them unlikely.
    threat : Threat
    steps : int, default 10
        From 2 eps, falling linearly to zero.
    generator : torch.Generator, optional
        A generator of the CPU for the random start; one with seed 0 by default.
    objective : callable, optional
        From logits to what the attack climbs, shape (n,); by default the margin (two classes) or cross-entropy.
    start : Tensor, shape (n, ...), optional
        Points to begin at instead of random ones; they are brought into reach first.
    first : float, default 1
        Share of 2 eps that the first step has.

    Returns
    -------
    Tensor, shape (n, ...)
        Points within eps of x in exact arithmetic, and in [0, 1].
    """
    generator = generator or torch.Generator().manual_seed(0)
    climb = objective or (lambda logits: _objective(logits, labels))
    with evaluating(model):
        z = threat.start(x, generator) if start is None else threat.project(x, start)
        for step in range(steps):
            z, _ = _climb(model, x, z, threat, climb, first * (1 - step / steps), generator)
    return z


def _climb(
    model: nn.Module,
    x: Tensor,
    z: Tensor,
    threat: Threat,
    objective: Callable[[Tensor], Tensor],
    share: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Take one step of 2 eps times a share; return the new points, and the logits of the old ones."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        logits = model(z)
        # Only the gradient with respect to the points is made, so those of the parameters stay untouched.
        (gradient,) = torch.autograd.grad(objective(logits).sum(), z)
    moved = threat.ascend(z.detach(), gradient, 2 * threat.eps * share, generator)
    return threat.project(x, moved), logits.detach()


@dataclasses.dataclass(frozen=True, eq=False)
class WorstCase:
    """The worst that attacks found for each example; a robust loss is at least this.

    Attributes
    ----------
    loss : ndarray of float64, shape (n,)
        Cross-entropy in nats, the largest over attacks, restarts and steps.
    wrong : ndarray of bool, shape (n,)
        Whether another class was as likely as the true one somewhere.
    points : Tensor, shape (n, ...)
        Where the loss is largest.
    clean_loss : ndarray of float64, shape (n,)
        Cross-entropy without attack.
    """

    loss: np.ndarray[Any, np.dtype[np.float64]]
    wrong: np.ndarray[Any, np.dtype[np.bool_]]
    points: Tensor
    clean_loss: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def cross_entropy(self) -> float:
        """Mean of `loss`."""
        return float(self.loss.mean())

    @property
    def zero_one(self) -> float:
        """Share of examples that the attack made wrong."""
        return float(self.wrong.mean())


def worst_case(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    threat: Threat,
    *,
    steps: int = 40,
    restarts: int = 2,
    apgd: bool = False,
    candidates: Tensor | None = None,
    batch_size: int = 500,
    seed: int = 0,
    progress: Progress | None = None,
) -> WorstCase:
    """Attack as strongly as possible, and keep the largest loss seen for each example.

    The input itself counts, and so does every step of every restart: the first starts at the input, the others at
    random.  The model is in evaluation mode; its gradients and modes, and the global random state, stay as they
    were.

    Parameters
    ----------
    model : torch.nn.Module
        From inputs in [0, 1] to logits, shape (n, classes).
    x : Tensor, shape (n, ...)
        Inputs in [0, 1].
    labels : Tensor of int64, shape (n,)
    threat : Threat
    steps, restarts : int, default 40 and 2
    apgd : bool, default False
        Attack with APGD of pyautoattack too (extra ``attacks``): 100 steps, 5 restarts, best loss.
    candidates : Tensor, shape (n, k, ...), optional
        Additional points to try for each example; points outside the ball are projected into it.
    batch_size : int, default 500
    seed : int, default 0
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    WorstCase

    Raises
    ------
    TypeError, ValueError
        If the inputs are not floats in [0, 1], or the model returns something else than finite logits.
    MissingDependencyError
        If APGD is requested and pyautoattack is not installed.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(1, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0], [-1.0]]))
    >>> found = worst_case(model, torch.tensor([[0.5]]), torch.tensor([0]), Threat("linf", 0.25), steps=5)
    >>> round(float(found.points), 3), round(found.cross_entropy, 4)
    (0.25, 0.4741)
    """
    check_inputs(x)
    check_labels(labels, len(x))
    generator = torch.Generator().manual_seed(seed)
    parts = []
    with evaluating(model):
        for begin in range(0, len(x), batch_size):
            some = slice(begin, begin + batch_size)
            more = None if candidates is None else candidates[some]
            found = _Best(model, x[some], labels[some])
            _strong(model, x[some], labels[some], threat, steps, restarts, generator, found)
            for k in range(0 if more is None else more.shape[1]):
                found.look(threat.project(x[some], more[:, k]))  # type: ignore[index]
            if apgd:
                found.look(threat.project(x[some], _apgd(model, x[some], labels[some], threat, seed)))
            parts.append(found)
            if progress is not None:
                progress("attack", min(len(x), begin + batch_size), len(x))
    return WorstCase(
        loss=np.concatenate([part.loss.cpu().numpy() for part in parts]),
        wrong=np.concatenate([part.wrong.cpu().numpy() for part in parts]),
        points=torch.cat([part.points for part in parts]),
        clean_loss=np.concatenate([part.clean.cpu().numpy() for part in parts]),
    )


def losses_at(
    model: nn.Module, points: Tensor, labels: Tensor, *, batch_size: int = 500
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the cross-entropy at given points, in nats, without any attack.

    Parameters
    ----------
    model : torch.nn.Module
    points : Tensor, shape (n, ...)
    labels : Tensor of int64, shape (n,)
    batch_size : int, default 500

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    check_inputs(points)
    check_labels(labels, len(points))
    with evaluating(model):
        pieces = [slice(begin, begin + batch_size) for begin in range(0, len(points), batch_size)]
        return np.concatenate([_Best(model, points[some], labels[some]).clean.numpy() for some in pieces])


class _Best:
    """The points of the largest loss so far in a batch."""

    def __init__(self, model: nn.Module, x: Tensor, labels: Tensor) -> None:
        self._model, self._labels = model, labels
        self.points = x
        with torch.no_grad():
            logits = model(x)
        if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < 2:
            raise ValueError(must("model", "a module that returns logits of shape (n, classes)", tuple(logits.shape)))
        self.loss, self.wrong = self._losses(logits)
        self.clean = self.loss

    def _losses(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        if not torch.isfinite(logits).all():
            raise ValueError(must("model", "a module that returns finite logits", "NaN or infinity"))
        # On the CPU: not every device knows double precision.
        logits, labels = logits.detach().cpu().double(), self._labels.cpu()
        return F.cross_entropy(logits, labels, reduction="none"), margins(logits, labels) >= 0

    def take(self, points: Tensor, logits: Tensor) -> None:
        """Keep what is worse than before."""
        loss, wrong = self._losses(logits)
        more = loss > self.loss
        self.loss = torch.where(more, loss, self.loss)
        self.wrong = self.wrong | wrong
        self.points = torch.where(more.to(points.device).view(_column(points)), points, self.points)

    def look(self, points: Tensor) -> None:
        with torch.no_grad():
            self.take(points, self._model(points))


def _strong(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    threat: Threat,
    steps: int,
    restarts: int,
    generator: torch.Generator,
    best: _Best,
) -> None:
    for restart in range(restarts):
        z = x if restart == 0 else threat.start(x, generator)
        for step in range(steps):
            before = z
            z, logits = _climb(
                model, x, z, threat, lambda logits: _objective(logits, labels), 1 - step / steps, generator
            )
            best.take(before, logits)
        best.look(z)


def _apgd(model: nn.Module, x: Tensor, labels: Tensor, threat: Threat, seed: int) -> Tensor:
    """Attack with APGD on cross-entropy; pyautoattack draws from global generators, which are put back."""
    try:
        from pyautoattack.autopgd_base import APGDAttack
    except ImportError:
        raise MissingDependencyError("apgd needs pyautoattack: pip install 'lossfloor[attacks]'") from None
    devices = [x.device] if x.device.type == "cuda" else []
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  # it draws from the old generator
    try:
        with torch.random.fork_rng(devices=devices):
            attack = APGDAttack(
                model, n_iter=100, norm={"l2": "L2", "linf": "Linf"}[threat.norm], n_restarts=5, eps=threat.eps,
                seed=seed, loss="ce", device=x.device,
            )  # fmt: skip
            points: Tensor = attack.perturb(x, labels, best_loss=True)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
    return points.detach()


def check_inputs(x: Tensor) -> None:
    """Check that inputs are floats in [0, 1]."""
    if not x.is_floating_point():
        raise TypeError(must("x", "a tensor of floats", x.dtype))
    if len(x) == 0:
        raise ValueError(must("x", "at least one example", f"shape {tuple(x.shape)}"))
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(must("x", "in [0, 1]", f"values from {low:g} to {high:g}"))


def check_labels(labels: Tensor, n: int) -> None:
    """Check that labels are class numbers."""
    if labels.dtype != torch.int64:
        raise TypeError(must("labels", "a tensor of int64", labels.dtype))
    if labels.shape != (n,):
        raise ValueError(must("labels", f"of shape ({n},)", f"shape {tuple(labels.shape)}"))
