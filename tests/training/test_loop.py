"""The loop: it learns, writes its log, and goes on after kill -9 as if nothing had been."""

from __future__ import annotations

import csv
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lossfloor.training import MLP, RobustLoss, Settings, SoftLabelDataset, Threat, fit, load_model, worst_case
from lossfloor.training.beyond_paper import KeptPoints
from lossfloor.training.checkpoints import load

THREAT = Threat("l2", 0.1)


def easy(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two classes that are 0.4 apart in one of two features."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 2, generator=generator), torch.arange(n) % 2
    x[:, 0] = 0.3 * x[:, 0] + 0.7 * y
    return x, y


def small(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MLP((2,), hidden=(16,))


@pytest.mark.parametrize("method", ["madry", "trades"])
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_it_learns_to_be_robust(method: str, optimiser: str) -> None:
    x, y = easy()
    model = small()
    settings = Settings(
        epochs=25, batch_size=20, learning_rate={"adam": 2e-2, "sgd": 5e-2}[optimiser], optimiser=optimiser
    )
    history = fit(model, SoftLabelDataset((x, y)), RobustLoss(THREAT, method, beta=1.0, steps=4), settings)
    assert len(history) == 25
    found = worst_case(model, x, y, THREAT, steps=20)
    assert found.zero_one == 0
    assert found.cross_entropy < 0.25


def test_soft_labels_are_what_is_learnt() -> None:
    x, y = easy()
    soft = np.full((60, 2), 0.2)
    soft[np.arange(60), y] = 0.8
    model = small()
    fit(model, SoftLabelDataset((x, y), soft), RobustLoss(THREAT, steps=3), Settings(epochs=40, learning_rate=2e-2))
    found = worst_case(model, x, y, THREAT, steps=20)
    assert np.exp(-found.loss).mean() == pytest.approx(0.8, abs=0.04)


def test_the_log_has_a_row_for_each_epoch(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    settings = Settings(epochs=4, batch_size=25, warmup=2, learning_rate=1e-3)
    history = fit(
        small(),
        SoftLabelDataset(easy()),
        RobustLoss(THREAT, steps=1),
        settings,
        log=tmp_path / "log.csv",
        progress=lambda *args: told.append(args),
    )
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [{key: float(value) for key, value in row.items()} for row in rows] == history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert [row["eps_share"] for row in history] == pytest.approx([1 / 3, 5 / 6, 1, 1])
    assert max(row["learning_rate"] for row in history) <= 1e-3
    assert told[-1] == ("training", 12, 12)
    assert len(told) == 12


def test_runs_are_the_same_by_seed_and_leave_global_states_alone() -> None:
    data = SoftLabelDataset(easy())
    before = torch.get_rng_state()

    def trained(seed: int) -> list[torch.Tensor]:
        model = small()
        fit(model, data, RobustLoss(THREAT, steps=2), Settings(epochs=2, batch_size=20, seed=seed))
        return list(model.parameters())

    one, two, other = trained(1), trained(1), trained(2)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_averaged_weights_are_a_mean_of_those_on_the_way() -> None:
    seen = []

    class Watching(RobustLoss):
        def __call__(self, model: nn.Module, *args: torch.Tensor | None, **kwargs: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            seen.append(next(model.parameters()).detach().clone())
            return super().__call__(model, *args, **kwargs)  # type: ignore[arg-type]

    model = small()
    settings = Settings(epochs=1, batch_size=20, average=0.5, learning_rate=1e-2)
    fit(model, SoftLabelDataset(easy()), Watching(THREAT, steps=1), settings)
    plain = small()
    fit(plain, SoftLabelDataset(easy()), RobustLoss(THREAT, steps=1), dataclasses.replace(settings, average=0.0))
    expected = seen[0]
    for step, weights in enumerate([*seen[1:], next(plain.parameters())]):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weights
    assert torch.allclose(next(model.parameters()), expected, atol=1e-7)


# Interruptions

# With everything that has a state of its own: batch normalisation, dropout, averaging, and a generator of attacks.
PROGRAM = """
import sys, torch
from torch import nn
from lossfloor.training import RobustLoss, Settings, SoftLabelDataset, Threat, fit
torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 2))
x, y = torch.rand(400, 8), torch.arange(400) % 2
torch.manual_seed(int(sys.argv[2]))  # the global state of another process does not matter
folder = sys.argv[1]
fit(model, SoftLabelDataset((x, y)), RobustLoss(Threat("linf", 0.1), steps=4),
    Settings(epochs=12, batch_size=20, average=0.9), checkpoint=f"{folder}/run.pt", log=f"{folder}/run.csv")
torch.save(model.state_dict(), f"{folder}/final.pt")
"""


def start(folder: Path, salt: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), str(salt)])


def test_after_kill_9_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    assert start(whole, 1).wait() == 0
    kills = 0
    for epochs in (2, 5):
        process = start(broken, 10 + epochs)
        while process.poll() is None:
            if (broken / "run.csv").exists() and len((broken / "run.csv").read_text().splitlines()) > epochs:
                os.kill(process.pid, signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
            time.sleep(0.002)
    assert kills == 2
    held = len(load(broken / "run.pt")["history"])
    assert 5 <= held < 12
    assert start(broken, 99).wait() == 0
    one, two = (torch.load(folder / "final.pt", weights_only=True) for folder in (whole, broken))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    rows = [[line.split(",")[:4] for line in (f / "run.csv").read_text().splitlines()] for f in (whole, broken)]
    assert rows[0] == rows[1]


def test_a_finished_run_is_not_made_again(tmp_path: Path) -> None:
    data, settings = SoftLabelDataset(easy()), Settings(epochs=2)
    one, two = small(), small(9)
    history = fit(one, data, RobustLoss(THREAT, steps=1), settings, checkpoint=tmp_path / "run.pt")
    assert fit(two, data, RobustLoss(THREAT, steps=1), settings, checkpoint=tmp_path / "run.pt") == history
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("what", ["settings", "loss", "data"])
def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, what: str) -> None:
    path, data = tmp_path / "run.pt", SoftLabelDataset(easy())
    fit(small(), data, RobustLoss(THREAT, steps=1), Settings(epochs=1), checkpoint=path)
    other = {
        "settings": (data, RobustLoss(THREAT, steps=1), Settings(epochs=1, seed=1)),
        "loss": (data, RobustLoss(Threat("l2", 0.2), steps=1), Settings(epochs=1)),
        "data": (SoftLabelDataset(easy(40)), RobustLoss(THREAT, steps=1), Settings(epochs=1)),
    }[what]
    with pytest.raises(ValueError, match="'checkpoint' must be one of this run"):
        fit(small(), *other, checkpoint=path)


def test_the_checkpoint_holds_the_averaged_model(tmp_path: Path) -> None:
    model = small()
    fit(
        model,
        SoftLabelDataset(easy()),
        RobustLoss(THREAT, steps=1),
        Settings(epochs=2, average=0.9),
        checkpoint=tmp_path / "run.pt",
        architecture={"name": "mlp", "shape": [2], "options": {"hidden": [16]}},
    )
    again = load_model(tmp_path / "run.pt")
    x = easy()[0]
    assert torch.equal(again(x), model(x))


def test_a_loss_that_is_not_finite_is_told() -> None:
    model = small()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="'loss' must be finite, got nan in epoch 1"):
        fit(model, SoftLabelDataset(easy()), RobustLoss(THREAT, steps=1), Settings(epochs=1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 0),
        ("seed", -1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1.0),
        ("warmup", -1.0),
        ("average", 1.0),
        ("optimiser", "lion"),
    ],
)
def test_settings_that_are_none(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_what_a_loss_keeps_is_part_of_the_checkpoint(tmp_path: Path) -> None:
    """Stopped between two epochs and begun again, kept attack points end in the same bits."""

    def train(epochs: int, checkpoint: Path) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        X, y = torch.rand(24, 3, generator=generator), torch.arange(24) % 2
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            model = MLP((3,), hidden=(6,))
        loss = KeptPoints(Threat("l2", 0.2), 24)
        settings = Settings(epochs=4, batch_size=8, warmup=1)
        stopped = False

        def stop(stage: str, done: int, total: int) -> None:
            if epochs < 4 and done > epochs * total // 4:
                raise KeyboardInterrupt

        try:
            fit(model, SoftLabelDataset((X, y)), loss, settings, checkpoint=checkpoint, progress=stop)
        except KeyboardInterrupt:
            stopped = True
        assert stopped == (epochs < 4)
        return model.state_dict()

    whole = train(4, tmp_path / "whole.pt")
    train(2, tmp_path / "broken.pt")
    assert 1 <= len(load(tmp_path / "broken.pt")["history"]) < 4
    again = train(4, tmp_path / "broken.pt")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_what_a_loss_kept_of_another_run_is_forgotten() -> None:
    X, y = torch.rand(24, 3, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 2
    loss = KeptPoints(Threat("l2", 0.2), 24)

    def train() -> dict[str, torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            model = MLP((3,), hidden=(6,))
        fit(model, SoftLabelDataset((X, y)), loss, Settings(epochs=2, batch_size=8, warmup=1))
        return model.state_dict()

    first, second = train(), train()
    assert all(torch.equal(first[name], second[name]) for name in first)
