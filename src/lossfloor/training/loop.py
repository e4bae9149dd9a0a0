"""The training loop: eps warm-up, a learning rate that rises and falls, and checkpoints that lose at most an epoch."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossfloor._checks import must, one_of
from lossfloor._types import Progress
from lossfloor.reporting.tables import write_rows
from lossfloor.training import checkpoints
from lossfloor.training.data import SoftLabelDataset, as_device
from lossfloor.training.losses import RobustLoss

#: One row for each epoch.
History = list[dict[str, float]]

OPTIMISERS = ("adam", "sgd")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How `fit` trains.

    Parameters
    ----------
    epochs : int, default 12
    batch_size : int, default 100
    learning_rate : float, default 2e-3
        The highest one: it rises over the first fifth of the training and falls to zero as a cosine.
    optimiser : {"adam", "sgd"}, default "adam"
        "sgd" has a momentum of 0.9.
    weight_decay : float, default 0
    warmup : float, default 3
        Epochs over which eps rises from zero to its value.
    average : float, default 0
        Above zero, the weights at the end are a running mean of those of all steps with this decay, such as 0.999.
    seed : int, default 0
        Of the order of the examples and of the attacks.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    epochs: int = 12
    batch_size: int = 100
    learning_rate: float = 2e-3
    optimiser: str = "adam"
    weight_decay: float = 0.0
    warmup: float = 3.0
    average: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("optimiser", self.optimiser, OPTIMISERS)
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(must(name, f"a whole number of at least {least}", value))
        for name in ("learning_rate", "weight_decay", "warmup", "average"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise ValueError(must(name, "finite and at least 0", value))
        if self.learning_rate == 0:
            raise ValueError(must("learning_rate", "positive", self.learning_rate))
        if self.average >= 1:
            raise ValueError(must("average", "below 1", self.average))


def fit(
    model: nn.Module,
    data: SoftLabelDataset,
    loss: RobustLoss,
    settings: Settings | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    architecture: Mapping[str, Any] | None = None,
    log: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> History:
    """Train a model in place.

    Parameters
    ----------
    model : torch.nn.Module
        From inputs in [0, 1] to logits.  Moved to `device`.
    data : SoftLabelDataset
    loss : RobustLoss
        Its eps is warmed up and its generator reseeded in each epoch.
    settings : Settings, optional
    checkpoint : path, optional
        Written after each epoch.  If it exists, training resumes from it, and ends bit-for-bit as if it had not
        been interrupted (on a CPU with the same number of threads).
    architecture : mapping, optional
        With the keys name, shape and options; kept in the checkpoint so that `load_model` can rebuild the network.
    log : path, optional
        A CSV table with one row per epoch, rewritten after each epoch.
    device : str or torch.device, default "cpu"
    progress : callable, optional
        Called with (stage, done, total), in batches.

    Returns
    -------
    list of dict
        For each epoch: epoch, loss (mean over its batches), seconds, learning_rate, eps_share.

    Raises
    ------
    ValueError
        If the checkpoint belongs to another run, the loss is not finite, or the device is not available.

    Examples
    --------
    >>> import torch
    >>> from lossfloor.training import MLP, Threat
    >>> X, y = torch.rand(20, 2), torch.arange(20) % 2
    >>> model, loss = MLP((2,), hidden=(4,)), RobustLoss(Threat("linf", 0.1))
    >>> rows = fit(model, SoftLabelDataset((X, y)), loss, Settings(epochs=2))
    >>> [row["epoch"] for row in rows]
    [1, 2]
    """
    settings = settings or Settings()
    device = as_device(device)
    model.to(device)
    optimiser = _optimiser(model, settings)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    run = _run_of(settings, loss, data)
    history: History = []
    if checkpoint is not None and Path(checkpoint).exists():
        held = checkpoints.load(checkpoint)
        if held.get("run") != run:
            raise ValueError(must("checkpoint", "one of this run", f"{os.fspath(checkpoint)}, of another one"))
        model.load_state_dict(held["training_weights"])
        optimiser.load_state_dict(held["optimiser"])
        average = {name: value.to(device) for name, value in held["average"].items()}
        history = held["history"]
        loss.load_state(held.get("loss", {}))
    else:
        loss.load_state({})  # it may have been used before
    for epoch in range(len(history), settings.epochs):
        began = time.perf_counter()
        mean, last = _epoch(model, data, loss, settings, optimiser, average, epoch, device, progress)
        history.append({"epoch": epoch + 1, "loss": mean, **last, "seconds": time.perf_counter() - began})
        if checkpoint is not None:
            checkpoints.save(
                checkpoint,
                {
                    "run": run,
                    "architecture": None if architecture is None else dict(architecture),
                    "weights": average if settings.average else model.state_dict(),
                    "training_weights": model.state_dict(),
                    "average": average,
                    "optimiser": optimiser.state_dict(),
                    "history": history,
                    "loss": loss.state(),
                },
            )
        if log is not None:
            write_rows(log, history)
    if settings.average:
        model.load_state_dict(average)
    return history


def _optimiser(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "adam":
        return torch.optim.Adam(model.parameters(), lr=rate, weight_decay=decay)
    return torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay, momentum=0.9)


def _run_of(settings: Settings, loss: RobustLoss, data: SoftLabelDataset) -> dict[str, Any]:
    """Return what distinguishes runs."""
    return {
        **dataclasses.asdict(settings),
        "loss": loss.describe(),
        "data": data.fingerprint(),
    }


def _epoch(
    model: nn.Module,
    data: SoftLabelDataset,
    loss: RobustLoss,
    settings: Settings,
    optimiser: torch.optim.Optimizer,
    average: dict[str, Tensor],
    epoch: int,
    device: torch.device,
    progress: Progress | None,
) -> tuple[float, dict[str, float]]:
    """Train for an epoch; everything random in it is drawn from the seed and the number of the epoch."""
    seeds = np.random.SeedSequence([settings.seed, epoch]).generate_state(3, np.uint64) >> np.uint64(1)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(int(seeds[0])))
    loss.generator.manual_seed(int(seeds[1]))
    batches = math.ceil(len(data) / settings.batch_size)
    total = torch.zeros((), dtype=torch.float64)
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(seeds[2]))  # for models that draw, such as those with dropout
        for i in range(batches):
            done = epoch + i / batches
            loss.progress = done / settings.epochs
            loss.share = min(1.0, done / settings.warmup) if settings.warmup else 1.0
            rate = settings.learning_rate * _rise_and_fall((done + 1 / batches) / settings.epochs)
            for group in optimiser.param_groups:
                group["lr"] = rate
            index = order[i * settings.batch_size : (i + 1) * settings.batch_size]
            x, labels, soft = (part.to(device) for part in data.batch(index))
            value = loss(model, x, labels, None if data.hard else soft, index)
            optimiser.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if settings.average:
                # A short memory at first, so that the mean does not drag the untrained weights along.
                step = epoch * batches + i
                _average(average, model, min(settings.average, (1 + step) / (10 + step)))
            total += value.detach().double().cpu() * len(index)
            if progress is not None:
                progress("training", epoch * batches + i + 1, settings.epochs * batches)
    mean = float(total) / len(data)
    if not math.isfinite(mean):
        raise ValueError(must("loss", "finite", mean) + f" in epoch {epoch + 1}; try a smaller learning rate")
    return mean, {"learning_rate": rate, "eps_share": loss.share}


def _rise_and_fall(done: float) -> float:
    rise = 0.2
    return done / rise if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))


@torch.no_grad()
def _average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)
