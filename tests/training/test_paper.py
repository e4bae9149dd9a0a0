"""Figure 4 and Table 1: runs that can be stopped, and what is made of their results."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from typer.testing import CliRunner

from lossfloor.cli.app import app
from lossfloor.paper import figure4, table1
from lossfloor.paper import runs as robust_runs
from lossfloor.paper.fig4 import published
from lossfloor.paper.methods import METHODS
from lossfloor.training import ARCHITECTURES

TINY = {"models": ["mlp"], "eps": ["3.6"], "n_per_class": 15, "epochs": 1}


def result(
    method: str = "hard", eps: str = "4.6", seed: int = 0, train: float = 0.45, test: float = 0.46
) -> dict[str, Any]:
    return {
        "format": robust_runs.FORMAT,
        "model": "mlp",
        "method": method,
        "eps": eps,
        "seed": seed,
        "n_per_class": 5000,
        "epochs": 12,
        "train": {
            "cross_entropy": train,
            "unavoidable": 0.3,
            "zero_one": 0.2,
            "zero_one_floor": 0.1,
            "gradient_attack_cross_entropy": train,
        },
        "test": {"cross_entropy": test, "zero_one": 0.21},
    }


def test_the_plan_has_what_tells_most_first() -> None:
    runs = robust_runs.plan(models=["mlp", "cnn"], seeds=2)
    assert len(runs) == len({run.name for run in runs}) == 4 * 2 * 2 * len(METHODS)
    first = runs[: len(METHODS)]
    assert {run.method for run in first} == set(METHODS)
    assert {(run.eps, run.seed, run.model) for run in first} == {("4.6", 0, "mlp")}
    assert [run.eps for run in runs[:: 4 * len(METHODS)]] == ["4.6", "4.0", "5.0", "3.6"]
    assert set(ARCHITECTURES) >= {run.model for run in runs}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["hrd"]}, "unknown method 'hrd'; did you mean 'hard'?"),
        ({"eps": ["-1"]}, "'eps' must be positive"),
        ({"seeds": 0}, "'seeds' must be at least 1"),
        ({"epochs": 0}, "'epochs' must be at least 1"),
    ],
)
def test_a_plan_that_is_none(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        robust_runs.plan(**arguments)


@pytest.mark.slow
def test_every_method_runs(tmp_path: Path) -> None:
    runs = robust_runs.plan(**TINY, seeds=1)
    assert robust_runs.make(runs, tmp_path, attack="fast") == len(METHODS)
    for found in robust_runs.read(tmp_path):
        assert found["train"]["cross_entropy"] >= found["train"]["unavoidable"]
        assert found["test"]["cross_entropy"] > 0
    assert len(figure4(robust_runs.read(tmp_path)).cells) == len(METHODS)


def test_runs_are_made_once_and_in_pieces(tmp_path: Path) -> None:
    runs = robust_runs.plan(**TINY, methods=["hard", "optimal"], seeds=1)
    said: list[str] = []
    assert robust_runs.make(runs, tmp_path, attack="fast", seconds=0) == 0
    assert robust_runs.make(runs[:1], tmp_path, attack="fast", say=said.append) == 1
    before = (tmp_path / f"{runs[0].name}.json").read_bytes()
    assert robust_runs.make(runs, tmp_path, attack="fast", say=said.append) == 1
    assert robust_runs.make(runs, tmp_path, attack="fast") == 0
    assert (tmp_path / f"{runs[0].name}.json").read_bytes() == before
    assert [line.split(":")[0] for line in said] == [run.name for run in runs]
    assert not list((tmp_path / "unfinished").iterdir())


def test_the_command_trains_a_resnet18(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's network, whole, on a handful of images: what a GPU does at full size."""
    load = robust_runs.load
    monkeypatch.setattr(robust_runs, "load", lambda *name, **options: load(*name, **{**options, "n_per_class": 2}))
    monkeypatch.chdir(tmp_path)
    options = "--model resnet18 --method hard --eps 4.6 --seeds 1 --n-per-class 2 --epochs 1 --attack fast --quiet"
    done = CliRunner().invoke(app, ["paper", "fig4", "--results", "runs", *options.split()])
    assert done.exit_code == 0, done.output
    (found,) = robust_runs.read(tmp_path / "runs")
    assert (found["model"], found["train"]["n_examples"]) == ("resnet18", 4)
    assert found["train"]["cross_entropy"] >= found["train"]["unavoidable"]
    assert math.isfinite(found["test"]["cross_entropy"])


def test_another_file_among_the_results_is_told(tmp_path: Path) -> None:
    for text in ("{}", "[1]", "no json"):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match="'results' must be a folder of results"):
            robust_runs.read(tmp_path)


def test_cells_are_means_with_intervals() -> None:
    values = [0.44, 0.45, 0.49]
    figure = figure4([result(seed=i, train=value) for i, value in enumerate(values)] + [result("optimal")])
    one, two = figure.cells
    assert (one.method, two.method) == ("hard", "optimal")
    assert one.train == pytest.approx(0.46)
    low, high = stats.t.interval(0.95, 2, loc=0.46, scale=stats.sem(values))
    assert one.train_half == pytest.approx((high - low) / 2)
    assert one.test_half == 0
    assert (two.seeds, two.train_half) == (1, None)
    with pytest.raises(ValueError, match="at least one finished run"):
        figure4([])


def test_the_picture_and_its_table(tmp_path: Path) -> None:
    figure = figure4([result(method, eps) for method in ("hard", "optimal") for eps in ("4.0", "4.6")])
    labels = [text.get_text() for text in figure.plot().legends[0].get_texts()]
    assert labels == ["floor", "hard labels", "optimal soft labels"]
    figure.to_csv(tmp_path / "fig4.csv")
    lines = (tmp_path / "fig4.csv").read_text().splitlines()
    assert lines[0].startswith("model,method,eps,seeds,floor")
    assert len(lines) == 5


def test_table_1_has_the_published_numbers_beside_ours() -> None:
    rows = table1(figure4([result(eps="4.6"), result(eps="4.0")]))
    ours = [row for row in rows if row["model"] == "mlp"]
    assert [(row["eps"], row["train"], row["test"]) for row in ours] == [("4.6", 0.45, 0.46)]
    paper = {(row["model"], row["method"], row["eps"]): row["train"] for row in rows}
    assert paper["paper, resnet18", "hard", "4.6"] == 0.349
    assert paper["paper, resnet18", "clipped-paper", "5.0"] == 0.419
    assert paper["paper, floor", "floor", "4.6"] == 0.305
    assert paper["floor", "floor", "4.6"] == 0.3
    assert {line["method"] for line in published()["rows"]} - {"floor"} <= set(METHODS)


def test_the_commands_show_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "runs"
    results.mkdir()
    for i, train in enumerate((0.44, 0.46)):
        (results / f"{i}.json").write_text(json.dumps(result(seed=i, train=train)))
    (results / "small.json").write_text(json.dumps({**result(), "n_per_class": 10}))
    runner = CliRunner()
    shown = runner.invoke(app, ["paper", "fig4", "--results", "runs", "--limit-minutes", "0", "--json"])
    assert shown.exit_code == 0, shown.output
    rows = json.loads(shown.stdout)["rows"]
    assert [(row["seeds"], row["train"]) for row in rows] == [(2, pytest.approx(0.45))]
    assert (tmp_path / "fig4.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "fig4.csv").exists()
    text = runner.invoke(app, ["paper", "fig4", "--results", "runs", "--limit-minutes", "0"]).stdout
    half = stats.t.ppf(0.975, 1) * 0.02 / math.sqrt(2) / math.sqrt(2)
    assert f"0.4500 ±{half:.3f}" in text
    table = runner.invoke(app, ["paper", "table1", "--results", "runs", "--limit-minutes", "0"])
    assert table.exit_code == 0, table.output
    assert "paper, resnet18" in table.stdout
    nothing = runner.invoke(app, ["paper", "table1", "--results", "none", "--limit-minutes", "0"])
    assert nothing.exit_code == 2
    assert "at least one finished run" in nothing.stderr
