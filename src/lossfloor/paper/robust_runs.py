"""The runs behind Figure 4 and Table 1: train a network robustly, attack it strongly, compare it with the floor.

Each finished run is a small JSON file, and a run whose file is there is not made again; an unfinished one goes on from
its last epoch.  So the work can be done in pieces, stopped at any moment, and added to.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_fraction, must, unknown
from lossfloor._files import write_whole
from lossfloor._types import Progress
from lossfloor.adversaries import L2
from lossfloor.audits import audit
from lossfloor.datasets import Dataset, load
from lossfloor.exceptions import LossfloorError
from lossfloor.floors import Floor, two_class_floor

if TYPE_CHECKING:
    from lossfloor.training import RobustLoss, Threat

FORMAT = "lossfloor-robust-run-1"
#: Of Figure 4 and Table 1.
EPS = ("4.6", "4.0", "5.0", "3.6")
CLASSES = (3, 7)


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
        "madry", "trades", or one of the losses of `lossfloor.training.closing`.
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


@dataclasses.dataclass(frozen=True)
class Run:
    """What distinguishes a run from others.

    Attributes
    ----------
    model : str
        A name in `lossfloor.training.ARCHITECTURES`.
    method : str
        A name in `METHODS`.
    eps : str
        As it is written, in units of pixels in [0, 1], l2.
    seed : int
        Of weights, order and attacks.
    n_per_class, epochs : int
    """

    model: str
    method: str
    eps: str
    seed: int
    n_per_class: int = 5000
    epochs: int = 12

    @property
    def name(self) -> str:
        """Name of its file, without ending."""
        size = "" if (self.n_per_class, self.epochs) == (5000, 12) else f"-n{self.n_per_class}-epochs{self.epochs}"
        return f"{self.model}-eps{self.eps}-{self.method}-seed{self.seed}{size}"


def plan(
    *,
    models: Sequence[str] = ("mlp", "cnn"),
    methods: Sequence[str] = tuple(METHODS),
    eps: Sequence[str] = EPS,
    seeds: int = 3,
    n_per_class: int = 5000,
    epochs: int = 12,
) -> list[Run]:
    """Return all runs, most informative first: every method at the first eps, then more seeds, then more eps.

    Examples
    --------
    >>> [run.name for run in plan(models=["mlp"], methods=["hard"], eps=["4.6", "5.0"], seeds=2)]
    ['mlp-eps4.6-hard-seed0', 'mlp-eps4.6-hard-seed1', 'mlp-eps5.0-hard-seed0', 'mlp-eps5.0-hard-seed1']
    """
    for method in methods:
        if method not in METHODS:
            raise ValueError(unknown("method", method, METHODS))
    for name, value in (("seeds", seeds), ("n_per_class", n_per_class), ("epochs", epochs)):
        if value < 1:
            raise ValueError(must(name, "at least 1", value))
    for budget in eps:
        if as_fraction("eps", budget) <= 0:
            raise ValueError(must("eps", "positive", budget))
    return [
        Run(model, method, budget, seed, n_per_class, epochs)
        for budget in eps
        for model in models
        for seed in range(seeds)
        for method in methods
    ]


def make(
    runs: Iterable[Run],
    results: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    device: str = "cpu",
    attack: str = "strong",
    data_dir: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> int:
    """Make the runs that have no result yet, one after the other.

    Parameters
    ----------
    runs : iterable of Run
    results : path
        Folder of the results; created if necessary.
    seconds : float, optional
        After which no run is begun any more.
    device : str, default "cpu"
        On a CPU, one thread is used.
    attack : str, default "strong"
        As for `lossfloor.audit`.
    data_dir : path, optional
        Where Fashion-MNIST is, as for `lossfloor.load`.
    say : callable, optional
        Called with a line for each run.
    progress : callable, optional

    Returns
    -------
    int
        Number of runs completed.
    """
    folder = Path(results)
    (folder / "unfinished").mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    made = 0
    for run in runs:
        if seconds is not None and time.monotonic() - began >= seconds:
            break
        path = folder / f"{run.name}.json"
        if path.exists():
            continue
        checkpoint = folder / "unfinished" / f"{run.name}.pt"
        found = _made(run, checkpoint, device, attack, data_dir, progress)
        text = json.dumps(found, indent=1, allow_nan=False) + "\n"
        write_whole(path, lambda stream, text=text: stream.write(text.encode()))
        checkpoint.unlink(missing_ok=True)
        made += 1
        if say is not None:
            train, test = found["train"], found["test"]
            say(
                f"{run.name}: train {train['cross_entropy']:.4f} (floor {train['unavoidable']:.4f}), "
                f"test {test['cross_entropy']:.4f}, {sum(found['seconds'].values()):.0f} s"
            )
    return made


def read(results: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the results in a folder, in the order of their names.

    Raises
    ------
    ValueError
        If a file there is no result of a run.
    """
    found = []
    for path in sorted(Path(results).glob("*.json")):
        try:
            result = json.loads(path.read_text())
        except ValueError:
            result = None
        if not isinstance(result, dict) or result.get("format") != FORMAT:
            raise ValueError(must("results", f"a folder of results of the format {FORMAT}", str(path)))
        found.append(result)
    return found


def _made(
    run: Run,
    checkpoint: Path,
    device: str,
    attack: str,
    data_dir: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> dict[str, Any]:
    import lossfloor.training as tr  # says which extra is missing, so it goes before torch itself

    folder = None if data_dir is None else os.fspath(data_dir)
    import torch

    data, bound = _floor_of(run.n_per_class, run.eps, folder)
    method = METHODS[run.method]
    x, labels = tr.as_inputs(data.X, unit=data.unit), torch.from_numpy(bound.certificate.codes.astype(np.int64))
    shape = list(x.shape[1:])
    model = tr.build(run.model, shape, seed=run.seed)
    threat = tr.Threat("l2", float(as_fraction("eps", run.eps)))
    epochs = round(method.longer * run.epochs)
    settings = tr.Settings(
        epochs=epochs,
        batch_size=method.batch_size,
        warmup=method.warmup * epochs,
        average=method.average,
        seed=run.seed,
    )
    seconds = {}
    with _one_thread(device):
        began = time.perf_counter()
        history = tr.fit(
            model,
            tr.SoftLabelDataset((x, labels), _soft_labels(method, bound)),
            _loss(method, threat, bound, data),
            settings,
            checkpoint=checkpoint,
            architecture={"name": run.model, "shape": shape, "options": {}},
            device=device,
            progress=progress,
        )
        seconds["train"] = sum(row["seconds"] for row in history)
        began = time.perf_counter()
        result = audit(
            bound, model=model, X=data.X, y=data.y, attack=attack, device=device, seed=run.seed, progress=progress
        )
        if result.below_floor and result.gradient_loss is not None and result.cross_entropy < result.unavoidable - 1e-6:
            raise LossfloorError(f"{run.name}: {result.verdict()}")
        new = load("fashion-mnist", classes=CLASSES, split="test", data_dir=folder)
        there = torch.from_numpy((new.y == CLASSES[1]).astype(np.int64)).to(device)
        steps, restarts, apgd = _strength(attack)
        worst = tr.worst_case(
            model,
            tr.as_inputs(new.X, unit=new.unit).to(device),
            there,
            threat,
            steps=steps,
            restarts=restarts,
            apgd=apgd,
            seed=run.seed,
            progress=progress,
        )
        seconds["attack"] = time.perf_counter() - began
    return {
        "format": FORMAT,
        **dataclasses.asdict(run),
        "attack": attack,
        "device": device,
        "torch": torch.__version__,
        "train": result.summary(),
        "test": {
            "cross_entropy": worst.cross_entropy,
            "zero_one": worst.zero_one,
            "clean_cross_entropy": float(worst.clean_loss.mean()),
        },
        "last_training_loss": history[-1]["loss"],
        "seconds": {stage: round(value, 1) for stage, value in seconds.items()},
    }


def _strength(attack: str) -> tuple[int, int, bool]:
    from lossfloor.audits import STRENGTHS

    return STRENGTHS[attack]


@functools.lru_cache(maxsize=1)
def _floor_of(n_per_class: int, eps: str, data_dir: str | None) -> tuple[Dataset, Floor]:
    data = load("fashion-mnist", classes=CLASSES, n_per_class=n_per_class, data_dir=data_dir)
    return data, two_class_floor(data.X, data.y, L2(eps, unit=data.unit))


def _soft_labels(method: Method, bound: Floor) -> npt.NDArray[np.float64] | None:
    from lossfloor.training import paper_rule

    if method.min_correct is None:
        return None
    if isinstance(method.min_correct, str):
        return paper_rule(bound.soft_labels(), bound.certificate.codes)
    return bound.soft_labels(method.min_correct)


def _loss(method: Method, threat: Threat, bound: Floor, data: Dataset) -> RobustLoss:
    from lossfloor.training import RobustLoss, as_inputs, closing

    if method.loss == "kept":
        return closing.KeptPoints(threat, len(data.y), **method.options)  # type: ignore[arg-type]
    if method.loss in ("madry", "trades"):
        return RobustLoss(threat, method.loss, **method.options)  # type: ignore[arg-type]
    if method.loss == "points":
        moved = bound.attack(data.X).expected()
        return closing.OptimalPoints(threat, as_inputs(moved.points, unit=data.unit), moved.index, moved.weights)
    if method.loss == "interval":
        import torch

        codes = torch.from_numpy(bound.certificate.codes.astype(np.int64))
        return closing.IntervalTargets(threat, as_inputs(data.X, unit=data.unit), codes, bound.posterior)
    losses: dict[str, type[RobustLoss]] = {"capped": closing.CappedLoss, "annealed": closing.AnnealedClipping}
    return losses[method.loss](threat, **method.options)  # type: ignore[arg-type]


@contextmanager
def _one_thread(device: str) -> Iterator[None]:
    """Use one thread on a CPU: small networks gain nothing from more, and results stay the same bits."""
    import torch

    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
