"""The runs behind Figure 4 and Table 1: train a network robustly, attack it strongly, compare it with the floor.

Each finished run is a small JSON file, and a run whose file exists is skipped; an unfinished one resumes from its last
epoch.  So the work can be split, stopped at any moment, and extended.
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

from lossfloor._checks import as_fraction, must, unknown
from lossfloor._files import write_whole
from lossfloor._types import Progress
from lossfloor.adversaries import L2
from lossfloor.audits import STRENGTHS, audit
from lossfloor.datasets import Dataset, load
from lossfloor.exceptions import LossfloorError
from lossfloor.floors import Floor, two_class_floor
from lossfloor.paper.methods import METHODS, soft_labels, training_loss

if TYPE_CHECKING:
    from torch import nn

    from lossfloor.training import Threat, WorstCase
    from lossfloor.training.loop import History

FORMAT = "lossfloor-robust-run-1"
#: Of Figure 4 and Table 1.
EPS = ("4.6", "4.0", "5.0", "3.6")
CLASSES = (3, 7)


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
        No run starts after this time.
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
    threat = tr.Threat("l2", float(as_fraction("eps", run.eps)))
    with _one_thread(device):
        model, history = _trained(run, data, bound, threat, checkpoint, device, progress)
        began = time.perf_counter()
        result = audit(
            bound, model=model, X=data.X, y=data.y, attack=attack, device=device, seed=run.seed, progress=progress
        )
        if result.below_floor and result.gradient_loss is not None and result.cross_entropy < result.unavoidable - 1e-6:
            raise LossfloorError(f"{run.name}: {result.verdict()}")
        worst = _tested(run, model, threat, attack, folder, device, progress)
        attack_seconds = time.perf_counter() - began
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
        "seconds": {
            "train": round(sum(row["seconds"] for row in history), 1),
            "attack": round(attack_seconds, 1),
        },
    }


def _trained(
    run: Run,
    data: Dataset,
    bound: Floor,
    threat: Threat,
    checkpoint: Path,
    device: str,
    progress: Progress | None,
) -> tuple[nn.Module, History]:
    """Train the network of a run; an unfinished training resumes from its checkpoint."""
    import torch

    import lossfloor.training as tr

    method = METHODS[run.method]
    x, labels = tr.as_inputs(data.X, unit=data.unit), torch.from_numpy(bound.certificate.codes.astype(np.int64))
    shape = list(x.shape[1:])
    model = tr.build(run.model, shape, seed=run.seed)
    epochs = round(method.longer * run.epochs)
    history = tr.fit(
        model,
        tr.SoftLabelDataset((x, labels), soft_labels(method, bound)),
        training_loss(method, threat, bound, data),
        tr.Settings(
            epochs=epochs,
            batch_size=method.batch_size,
            warmup=method.warmup * epochs,
            average=method.average,
            seed=run.seed,
        ),
        checkpoint=checkpoint,
        architecture={"name": run.model, "shape": shape, "options": {}},
        device=device,
        progress=progress,
    )
    return model, history


def _tested(
    run: Run,
    model: nn.Module,
    threat: Threat,
    attack: str,
    data_dir: str | None,
    device: str,
    progress: Progress | None,
) -> WorstCase:
    """Attack a trained network on the test images."""
    import torch

    import lossfloor.training as tr

    new = load("fashion-mnist", classes=CLASSES, split="test", data_dir=data_dir)
    steps, restarts, apgd = STRENGTHS[attack]
    return tr.worst_case(
        model,
        tr.as_inputs(new.X, unit=new.unit).to(device),
        torch.from_numpy((new.y == CLASSES[1]).astype(np.int64)).to(device),
        threat,
        steps=steps,
        restarts=restarts,
        apgd=apgd,
        seed=run.seed,
        progress=progress,
    )


@functools.lru_cache(maxsize=1)
def _floor_of(n_per_class: int, eps: str, data_dir: str | None) -> tuple[Dataset, Floor]:
    data = load("fashion-mnist", classes=CLASSES, n_per_class=n_per_class, data_dir=data_dir)
    return data, two_class_floor(data.X, data.y, L2(eps, unit=data.unit))


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
