"""``lossfloor gaussian`` and ``lossfloor paper fig3``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import lossfloor as lf
from lossfloor._files import read_arrays
from lossfloor.adversaries import Box, Ellipsoid
from lossfloor.cli.app import app
from lossfloor.cli.gaussian import SAMPLE_FORMAT
from lossfloor.populations.gaussian import gaussian_floor

MIXTURE = ["gaussian", "--mean", "1,-0.5", "--covariance", "1,0.3;0.3,2"]
MEAN, COVARIANCE = [1.0, -0.5], [[1.0, 0.3], [0.3, 2.0]]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run_json(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    values: dict[str, Any] = json.loads(result.stdout)
    return values


@pytest.mark.parametrize(
    ("options", "adversary"),
    [
        (["--l2", "0.4"], lf.L2("0.4")),
        (["--l1", "1/3"], lf.L1("1/3")),
        (["--linf", "16/255", "--unit", "10"], lf.Linf("16/255", unit=10)),
        (["--lp", "1.5", "0.4"], lf.Lp("1.5", "0.4")),
        (["--lp", "inf", "0.4"], lf.Lp(float("inf"), "0.4")),
        (["--box", "0.1, 0.2"], Box(["0.1", "0.2"], ["0.1", "0.2"])),
        (["--ellipsoid", "1,0;0,4", "0.5"], Ellipsoid([[1, 0], [0, 4]], "0.5")),
    ],
)
def test_the_command_prints_what_the_function_returns(options: list[str], adversary: Any) -> None:
    expected = gaussian_floor(MEAN, COVARIANCE, adversary, "0.3")
    printed = run_json(*MIXTURE, *options, "--prior", "0.3")
    assert printed["cross_entropy"] == expected.cross_entropy
    assert printed["zero_one"] == expected.zero_one
    assert printed["brier"] == expected.brier
    assert printed["separation"] == expected.separation
    assert printed["shift"] == expected.shift.tolist()
    assert printed["coef"] == expected.coef.tolist()
    assert printed["adversary"]["name"] == adversary.name


def test_text(tmp_path: Path) -> None:
    result = run("gaussian", "--mean", "1,2", "--covariance", "1", "--linf", "1", "--loss", "spherical")
    assert result.exit_code == 0
    for part in ("0.35631636 nats", "0.158655254", "separation", "(0, 2) times the features", "spherical"):
        assert part in result.stdout


def test_numbers_from_files(tmp_path: Path) -> None:
    expected = run_json(*MIXTURE, "--l2", "0.4", "--second-mean", "-2,0")
    np.save(tmp_path / "mean.npy", np.array(MEAN))
    np.savetxt(tmp_path / "covariance.csv", COVARIANCE, delimiter=",")
    np.savetxt(tmp_path / "second.txt", [-2.0, 0.0])
    files = ["--mean", tmp_path / "mean.npy", "--covariance", tmp_path / "covariance.csv"]
    got = run_json("gaussian", *files, "--l2", "0.4", "--second-mean", tmp_path / "second.txt")
    assert got == expected


def test_a_sample_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "sample.npz"
    run_json(*MIXTURE, "--l2", "0.4", "--sample", "30", "--seed", "7", "--save", path)
    arrays = read_arrays(path, SAMPLE_FORMAT)
    X, y, X_adversarial = gaussian_floor(MEAN, COVARIANCE, lf.L2("0.4")).sample(30, random_state=7)
    assert np.array_equal(arrays["X"], X)
    assert np.array_equal(arrays["y"], y)
    assert np.array_equal(arrays["X_adversarial"], X_adversarial)
    assert arrays["seed"] == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--l2", "0.4", "--linf", "1"], "give exactly one of"),
        ([], "give exactly one of"),
        (["--l2", "0.4", "--box", "1,1"], "give exactly one adversary, got --l2 and --box"),
        (["--l2", "-1"], "'eps' must be at least 0"),
        (["--box", "1,2,3"], "'lower'"),
        (["--l2", "1", "--prior", "1"], "'prior' must be between 0 and 1"),
        (["--l2", "1", "--sample", "5"], "--sample and --save go together"),
        (["--l2", "1", "--seed", "-1"], "--seed must be at least 0"),
        (["--l2", "1", "--mean", "a,b"], "--mean must be numbers such as 1,0.5"),
        (["--l2", "1", "--mean", "1;2,3"], "--mean must be numbers"),
        (["--l2", "1", "--mean", "1,2;3,4"], "--mean must be one row of numbers, got 2 x 2"),
        (["--l2", "1", "--mean", "none.npy"], "none.npy"),
        (["--l2", "1", "--covariance", "1,1;1,1"], "singular matrix"),
        (["--l2", "1", "--loss", "sphere"], "unknown loss 'sphere'"),
        (["--l2", "1", "--unit", "0"], "'unit' must be positive"),
    ],
)
def test_mistakes_are_told_in_a_line(options: list[str], message: str) -> None:
    result = run(*MIXTURE, *options)
    assert result.exit_code == 2 or "none.npy" in message
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_files_are_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "mean.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    result = run("gaussian", "--mean", path, "--covariance", "1", "--l2", "1")
    assert result.exit_code == 2
    assert "--mean must be numbers" in result.stderr
    np.save(path, np.zeros(2))
    claims = path.read_bytes().replace(b"(2,)", b"(1" + b"0" * 12 + b",)").replace(b" " * 12 + b"\n", b"\n")
    path.write_bytes(claims)  # a terabyte, it says
    assert run("gaussian", "--mean", path, "--covariance", "1", "--l2", "1").exit_code == 2
    path.write_bytes(b"")
    assert run("gaussian", "--mean", path, "--covariance", "1", "--l2", "1").exit_code == 2


FIG3 = ["paper", "fig3", "--dimension", "2", "--size", "40", "--repeats", "2", "--points", "3", "--seed", "3"]


def test_fig3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*FIG3)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "fig3.png").stat().st_size > 1000
    assert (tmp_path / "fig3.csv").read_text().startswith("seed,constant,dimension,eps,population,n,")
    assert "seed     3" in result.stdout
    values = run_json(*FIG3, "--plot", "other.svg", "--csv", "other.csv")
    assert (values["seed"], len(values["rows"])) == (3, 3)
    assert (tmp_path / "other.csv").read_text() == (tmp_path / "fig3.csv").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--plot", "fig3.jpg"], "unknown format of pictures"),
        (["--csv", "no/such/folder.csv"], "--csv must be in a folder that exists"),
        (["--constant", "-1"], "'constant' must be positive"),
        (["--size", "3"], "'sizes' must be at least 20"),
    ],
)
def test_fig3_mistakes(options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*FIG3, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
