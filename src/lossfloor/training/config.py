"""A whole training run described by a file (TOML), for ``lossfloor train``."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lossfloor._checks import as_fraction, must, one_of, unknown
from lossfloor.adversaries import L2, Linf
from lossfloor.datasets import Dataset, load
from lossfloor.floors import Floor, two_class_floor
from lossfloor.training.architectures import ARCHITECTURES, build
from lossfloor.training.attacks import NORMS, Threat
from lossfloor.training.data import SoftLabelDataset, as_inputs
from lossfloor.training.loop import History, Settings, fit
from lossfloor.training.losses import METHODS, RobustLoss
from lossfloor.training.targets import paper_rule

#: Bytes of a file above which it is not read.
_MOST_BYTES = 1 << 20

LABELS = ("hard", "optimal", "clipped", "paper")

_DATA = ("name", "classes", "n_per_class", "split", "data_dir", "label", "unit")
_ATTACK = ("norm", "eps", "steps")
_TRAINING = ("method", "beta", "labels", "min_correct", "device", "threads")
_OUTPUT = ("checkpoint", "log")


@dataclasses.dataclass(frozen=True)
class Config:
    """What `read` found in a file.

    Attributes
    ----------
    data : dict
        Arguments of `lossfloor.load`, its first one as "name".
    norm, eps, steps
        Of the attack; eps as it is written.
    architecture : str
    options : dict
        Of the architecture.
    method, beta
        As for `RobustLoss`.
    labels : {"hard", "optimal", "clipped", "paper"}
    min_correct : float
        Of clipped labels.
    settings : Settings
    device : str
    threads : int
        Of PyTorch, on a CPU.
    checkpoint, log : Path
    """

    data: dict[str, Any]
    norm: str
    eps: str
    steps: int
    architecture: str
    options: dict[str, Any]
    method: str
    beta: float
    labels: str
    min_correct: float
    settings: Settings
    device: str
    threads: int
    checkpoint: Path
    log: Path


def read(path: str | os.PathLike[str]) -> Config:
    """Read the description of a training run.

    Parameters
    ----------
    path : path
        A TOML file with the tables data, attack, model, training and output.  Paths in it are relative to the file.

    Returns
    -------
    Config

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If it is not TOML, a table or key is unknown or missing, or a value is invalid.
    """
    source = Path(path)
    if source.stat().st_size > _MOST_BYTES:
        raise ValueError(must("path", f"a file of at most {_MOST_BYTES} bytes", f"{source.stat().st_size} bytes"))
    try:
        content = tomllib.loads(source.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(must("path", "a TOML file", f"{source} ({error})")) from None
    settings_keys = tuple(field.name for field in dataclasses.fields(Settings))
    _known("table", content, ("data", "attack", "model", "training", "output"))
    tables = {name: _table(content, name) for name in ("data", "attack", "model", "training", "output")}
    _known("key in [data]", tables["data"], _DATA)
    _known("key in [attack]", tables["attack"], _ATTACK)
    _known("key in [training]", tables["training"], (*_TRAINING, *settings_keys))
    _known("key in [output]", tables["output"], _OUTPUT)
    training, attack, model = tables["training"], tables["attack"], dict(tables["model"])
    for table, key in (("data", "name"), ("attack", "eps"), ("model", "architecture")):
        if key not in tables[table]:
            raise ValueError(must(f"{table}.{key}", "given", None))
    name = one_of("architecture", str(model.pop("architecture")), tuple(ARCHITECTURES))
    _number("steps", attack.get("steps", 10), int, 1)
    _number("threads", training.get("threads", 1), int, 1)
    min_correct = _number("min_correct", training.get("min_correct", 0.6), float, 0)
    if min_correct > 1:
        raise ValueError(must("min_correct", "between 0 and 1", min_correct))
    eps = str(attack["eps"])
    as_fraction("eps", eps)
    folder = source.parent
    return Config(
        data=dict(tables["data"]),
        norm=one_of("norm", str(attack.get("norm", "l2")), NORMS),
        eps=eps,
        steps=attack.get("steps", 10),
        architecture=name,
        options=model,
        method=one_of("method", str(training.get("method", "madry")), METHODS),
        beta=_number("beta", training.get("beta", 6.0), float, 0),
        labels=one_of("labels", str(training.get("labels", "hard")), LABELS),
        min_correct=min_correct,
        settings=Settings(**{key: training[key] for key in settings_keys if key in training}),
        device=str(training.get("device", "cpu")),
        threads=training.get("threads", 1),
        checkpoint=folder / str(tables["output"].get("checkpoint", f"{source.stem}.pt")),
        log=folder / str(tables["output"].get("log", f"{source.stem}.csv")),
    )


def _table(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise TypeError(must(name, "a table", table))
    return table


def _known(kind: str, given: Iterable[str], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise ValueError(unknown(kind, name, known))


def _number(name: str, value: Any, kind: type, least: float) -> Any:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        raise TypeError(must(name, "a whole number" if kind is int else "a number", value))
    if value < least:
        raise ValueError(must(name, f"at least {least}", value))
    return value


@dataclasses.dataclass(frozen=True)
class Trained:
    """What `train` made.

    Attributes
    ----------
    model : torch.nn.Module
    history : list of dict
        As `fit` returns it.
    data : Dataset
    floor : Floor or None
        None for hard labels, which need none.
    """

    model: nn.Module
    history: History
    data: Dataset
    floor: Floor | None


def floor_of(config: Config, data: Dataset) -> Floor:
    """Return the floor of the training data against the attack of a run."""
    return two_class_floor(data.X, data.y, {"l2": L2, "linf": Linf}[config.norm](config.eps, unit=data.unit))


def train(config: Config, *, progress: Callable[..., None] | None = None) -> Trained:
    """Train as described by a file; resume from its checkpoint if it exists.

    Parameters
    ----------
    config : Config
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    Trained

    Raises
    ------
    TypeError, ValueError
        If data and settings do not fit together.
    """
    arguments = dict(config.data)
    data = load(arguments.pop("name"), **arguments)
    classes, codes = np.unique(data.y, return_inverse=True)
    if len(classes) != 2:
        raise ValueError(must("data.classes", "two classes", f"{len(classes)} classes: {classes.tolist()[:10]}"))
    bound = None if config.labels == "hard" else floor_of(config, data)
    soft = None
    if bound is not None:
        optimal = bound.soft_labels(config.min_correct if config.labels == "clipped" else 0.0)
        soft = paper_rule(optimal, codes) if config.labels == "paper" else optimal
    inputs = as_inputs(data.X, unit=data.unit)
    shape = list(inputs.shape[1:])
    model = build(config.architecture, shape, seed=config.settings.seed, **config.options)
    threat = Threat(config.norm, float(as_fraction("eps", config.eps)))
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        history = fit(
            model,
            SoftLabelDataset((inputs, codes.astype(np.int64)), soft),
            RobustLoss(threat, config.method, beta=config.beta, steps=config.steps),
            config.settings,
            checkpoint=config.checkpoint,
            architecture={"name": config.architecture, "shape": shape, "options": config.options},
            log=config.log,
            device=config.device,
            progress=progress,
        )
    finally:
        torch.set_num_threads(before)
    return Trained(model, history, data, bound)
