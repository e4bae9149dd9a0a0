"""``lossfloor train`` and ``lossfloor audit``, and what they say to mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

import lossfloor as lf
from lossfloor.cli.app import app
from lossfloor.training import as_inputs, build, config, load_model

DIGITS = ["digits", "--classes", "3", "8", "--n-per-class", "30"]
RUN = """
[data]
name = "digits"
classes = [3, 8]
n_per_class = 30

[attack]
eps = "0.9"
steps = 3

[model]
architecture = "mlp"
hidden = [8]

[training]
epochs = 2
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def described(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(RUN)
    return path


# train


def test_train_writes_a_model_that_audit_reads(described: Path) -> None:
    done = run("train", described, "--audit", "fast", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [row["epoch"] for row in told["history"]] == [1, 2]
    assert Path(told["checkpoint"]) == described.with_suffix(".pt")
    assert described.with_suffix(".csv").read_text().startswith("epoch,loss")
    audited = run("audit", *DIGITS, "--l2", "0.9", "--model", told["checkpoint"], "--attack", "fast", "--json")
    assert audited.exit_code == 0, audited.output
    again = json.loads(audited.stdout)
    assert again["cross_entropy"] == pytest.approx(told["audit"]["cross_entropy"], rel=1e-6)
    assert again["adversary"] == {"name": "l2", "eps": "9/10", "unit": "16"}


def test_train_goes_on_from_its_checkpoint(described: Path) -> None:
    assert run("train", described).exit_code == 0
    before = described.with_suffix(".pt").read_bytes()
    shown = run("train", described, "--audit", "fast")
    assert shown.exit_code == 0, shown.output
    assert described.with_suffix(".pt").read_bytes() == before
    assert "the model's own" in shown.stdout


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("optimal", lambda floor: floor.soft_labels()),
        ("clipped", lambda floor: floor.soft_labels(0.7)),
        ("paper", lambda floor: config.paper_rule(floor.soft_labels(), floor.certificate.codes)),
    ],
)
def test_labels_are_what_the_file_says(
    described: Path, labels: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    described.write_text(RUN + f'labels = "{labels}"\nmin_correct = 0.7\nmethod = "trades"\nbeta = 2\n')
    seen = []
    real = config.SoftLabelDataset
    monkeypatch.setattr(config, "SoftLabelDataset", lambda data, soft: seen.append(soft) or real(data, soft))
    trained = config.train(config.read(described))
    assert trained.floor is not None
    assert np.array_equal(seen[0], expected(trained.floor))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[data]", "[dta]", "unknown table 'dta'; did you mean 'data'?"),
        ("epochs = 2", "epoch = 2", r"unknown key in \[training\] 'epoch'; did you mean 'epochs'?"),
        ("epochs = 2", "epochs = 0", "'epochs' must be a whole number of at least 1"),
        ("epochs = 2", 'labels = "soft"', "unknown labels 'soft'"),
        ("epochs = 2", "min_correct = 2", "'min_correct' must be between 0 and 1"),
        ("epochs = 2", 'device = "gpu"', "'device' must be one that PyTorch can use here"),
        ("epochs = 2", "threads = 0", "'threads' must be at least 1"),
        ("steps = 3", "steps = 1.5", "'steps' must be a whole number"),
        ('eps = "0.9"', "", "'attack.eps' must be given"),
        ('eps = "0.9"', 'eps = "much"', "'eps' must be a number"),
        ('"mlp"', '"vgg"', "unknown architecture 'vgg'"),
        ("hidden = [8]", "depth = 3", "options of the architecture 'mlp'"),
        ("classes = [3, 8]", "", "'data.classes' must be two classes"),
        ("[data]", "[data", "'path' must be a TOML file"),
        ("[data]", "data = 3\n[output]", "'data' must be a table"),
    ],
)
def test_mistakes_in_the_file_are_told(described: Path, old: str, new: str, message: str) -> None:
    described.write_text(RUN.replace(old, new))
    done = run("train", described)
    assert done.exit_code == 2
    assert done.stdout == ""
    with pytest.raises((ValueError, TypeError), match=message):
        config.train(config.read(described))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = run("train", tmp_path / "none.toml")
    assert done.exit_code == 1
    assert "No such file" in done.stderr


# audit


def test_audit_of_numbers(tmp_path: Path) -> None:
    data = lf.load("digits", classes=(3, 8), n_per_class=30)
    floor = lf.floor(data.X, data.y, lf.Linf("2/16", unit=16))
    np.save(tmp_path / "p.npy", 0.5 * floor.correct_probability)
    np.save(tmp_path / "l.npy", -np.log(0.5 * floor.correct_probability))
    told = []
    for option, name in (("--probabilities", "p.npy"), ("--losses", "l.npy")):
        done = run("audit", *DIGITS, "--linf", "2/16", option, tmp_path / name, "--csv", tmp_path / "t.csv", "--json")
        assert done.exit_code == 0, done.output
        told.append(json.loads(done.stdout))
        assert told[-1].pop("data")["name"] == "digits"
        assert told[-1].pop("adversary")["name"] == "linf"
    assert told[0] == pytest.approx(told[1])
    assert told[0]["gap"] == pytest.approx(np.log(2))
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 61


def test_below_the_floor_ends_in_a_failure(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.zeros(60))
    done = run("audit", *DIGITS, "--l2", "2", "--losses", tmp_path / "l.npy")
    assert done.exit_code == 1
    assert "the attack failed, never that the model won" in done.stderr
    assert "the model's own" in done.stdout


def test_bare_weights(tmp_path: Path) -> None:
    model = build("mlp", (1, 8, 8), seed=3)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    options = ["--l2", "0.5", "--model", tmp_path / "weights.pt", "--attack", "fast"]
    assert run("audit", *DIGITS, *options).exit_code == 2
    assert run("audit", *DIGITS, *options, "--architecture", "mlp").exit_code == 0
    data = lf.load("digits", classes=(3, 8), n_per_class=30)
    x = as_inputs(data.X, unit=16)
    again = load_model(tmp_path / "weights.pt", architecture="mlp", shape=x.shape[1:])
    assert torch.equal(again(x), model(x))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_programs_are_audited_like_the_network_that_they_are_of(tmp_path: Path) -> None:
    model = build("cnn", (1, 8, 8), seed=3).eval()
    x = torch.rand(2, 1, 8, 8)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    torch.jit.save(torch.jit.trace(model, x), str(tmp_path / "script.pt"))
    batch = torch.export.Dim("batch", min=1)
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: batch},)), str(tmp_path / "program.pt2"))
    told = []
    for name, more in (("weights.pt", ["--architecture", "cnn"]), ("script.pt", []), ("program.pt2", [])):
        options = ["--l2", "0.5", "--model", tmp_path / name, "--attack", "fast", "--json", *more]
        done = run("audit", *DIGITS, *options)
        assert done.exit_code == 0, done.output
        told.append(json.loads(done.stdout)["cross_entropy"])
    assert told[1:] == pytest.approx([told[0]] * 2, abs=1e-4)


@pytest.mark.parametrize(
    ("taken", "message"),
    [((2, 1, 8, 8), "fails on 3 inputs of shape (1, 8, 8)"), ((3, 1, 9, 9), "fails on 2 inputs of shape (1, 8, 8)")],
)
def test_a_program_that_does_not_take_the_data_is_told(tmp_path: Path, taken: tuple[int, ...], message: str) -> None:
    program = torch.export.export(build("mlp", taken[1:]).eval(), (torch.rand(taken),))
    torch.export.save(program, str(tmp_path / "program.pt2"))
    done = run("audit", *DIGITS, "--l2", "0.5", "--model", tmp_path / "program.pt2")
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--losses", "l.npy"], "exactly one of --l2 and --linf"),
        (["--l2", "1", "--linf", "1", "--losses", "l.npy"], "exactly one of --l2 and --linf"),
        (["--l2", "1"], "exactly one of --model, --losses, --probabilities, got none"),
        (["--l2", "1", "--losses", "l.npy", "--model", "m.pt"], "got --model and --losses"),
        (["--l2", "1", "--losses", "l.npy", "--architecture", "mlp"], "--architecture goes with --model"),
        (["--l2", "x", "--losses", "l.npy"], "'eps' must be a number"),
        (["--l2", "1", "--losses", "cut.npy"], "'--losses' must be a file of numbers"),
        (["--l2", "1", "--losses", "objects.npy"], "'--losses' must be a file of numbers"),
        (["--l2", "1", "--losses", "archive.npz"], "'--losses' must be a file of numbers"),
        (["--l2", "1", "--losses", "short.npy"], "'losses' must be of shape"),
        (["--l2", "1", "--model", "cut.npy"], "'path' must be a file of tensors"),
    ],
)
def test_mistakes_of_audit_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("short.npy", np.zeros(3))
    np.save("objects.npy", np.array([{}], dtype=object))
    np.savez("archive.npz", a=np.zeros(3))
    Path("cut.npy").write_bytes(Path("short.npy").read_bytes()[:-30])
    done = run("audit", *DIGITS, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


# Without PyTorch


def test_without_pytorch_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import lossfloor as lf\n"
        "floor = lf.floor([[0.0], [1.0]], [0, 1], lf.L2(1))\n"
        "print(lf.audit(floor, losses=[1.0, 1.0]).gap > 0)\n"
        "for call in (lambda: __import__('lossfloor.training'),\n"
        "             lambda: lf.audit(floor, model=object(), X=[[0.0], [1.0]], y=[0, 1])):\n"
        "    try:\n"
        "        call()\n"
        "    except lf.LossfloorError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message = "lossfloor.training needs PyTorch: pip install 'lossfloor[torch]'"
    assert done.stdout.splitlines() == ["True", message, message]
