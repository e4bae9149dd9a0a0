"""Files of models: what can be read, and what is refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lossfloor.training import RobustLoss, Settings, SoftLabelDataset, Threat, build, fit, load_model
from lossfloor.training.checkpoints import load, save

X = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> nn.Module:
    return build("cnn", (1, 8, 8), channels=(2, 3), hidden=4).eval()


def test_a_checkpoint_makes_the_model_again(tmp_path: Path) -> None:
    options = {"channels": [2, 3], "hidden": 4}
    model = build("cnn", (1, 8, 8), **options)
    fit(
        model,
        SoftLabelDataset((X, [0, 1, 0, 1, 0])),
        RobustLoss(Threat("linf", 0.1), steps=1),
        Settings(epochs=1),
        checkpoint=tmp_path / "run.pt",
        architecture={"name": "cnn", "shape": [1, 8, 8], "options": options},
    )
    again = load_model(tmp_path / "run.pt")
    assert not again.training
    assert torch.equal(again(X), model(X))


def test_bare_weights_need_their_architecture(tmp_path: Path, model: nn.Module) -> None:
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    again = load_model(path, architecture="cnn", shape=(1, 8, 8), channels=(2, 3), hidden=4)
    assert torch.equal(again(X), model(X))
    with pytest.raises(ValueError, match="'architecture' must be given"):
        load_model(path)
    with pytest.raises(ValueError, match="are not of the architecture cnn"):
        load_model(path, architecture="cnn", shape=(1, 8, 8))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript(tmp_path: Path, model: nn.Module) -> None:
    torch.jit.save(torch.jit.trace(model, X), str(tmp_path / "script.pt"))
    assert torch.equal(load_model(tmp_path / "script.pt")(X), model(X))


def test_an_exported_program(tmp_path: Path, model: nn.Module) -> None:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(model, (X,), dynamic_shapes=({0: batch},))
    torch.export.save(program, str(tmp_path / "program.pt2"))
    assert torch.allclose(load_model(tmp_path / "program.pt2")(X[:3]), model(X[:3]))


class _Evil:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.flag),)


@pytest.mark.parametrize("whole", [True, False])
def test_pickled_code_is_not_run(tmp_path: Path, whole: bool) -> None:
    path, flag = tmp_path / "evil.pt", tmp_path / "ran"
    content = _Evil(flag) if whole else {"format": "lossfloor-training-1", "weights": _Evil(flag)}
    torch.save(content, path)
    for read in (load, load_model):
        with pytest.raises(ValueError, match="'path' must be a file of tensors"):
            read(path)
    path.write_bytes(pickle.dumps(_Evil(flag)))
    with pytest.raises(ValueError, match="'path' must be a file of tensors"):
        load_model(path)
    assert not flag.exists()


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    np.savez(tmp_path / "arrays.pt.npz", a=np.zeros(3))
    for name in ("text.pt", "empty.pt", "arrays.pt.npz"):
        with pytest.raises(ValueError, match="'path' must be a file of tensors"):
            load_model(tmp_path / name)
    torch.save({"format": "other"}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="'path' must be a checkpoint of the format"):
        load(tmp_path / "other.pt")
    save(tmp_path / "nameless.pt", {"architecture": None, "weights": {}})
    with pytest.raises(ValueError, match="a checkpoint that names its architecture"):
        load_model(tmp_path / "nameless.pt")


def test_a_cut_file_is_refused(tmp_path: Path, model: nn.Module) -> None:
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    content = path.read_bytes()
    for length in range(1, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="'path' must be"):
            load_model(path)
