"""The gallery: short, and it runs."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lossfloor.cli.app import app

EXAMPLE = Path(__file__).parents[2] / "examples" / "training" / "soft_labels_plain_pytorch.py"


def test_soft_labels_in_plain_pytorch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) <= 40
    assert "import lossfloor" not in text
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"^lossfloor (.+)$", text, flags=re.MULTILINE)
    done = CliRunner().invoke(app, shlex.split(command))
    assert done.exit_code == 0, done.output
    assert (np.load(tmp_path / "soft.npz")["soft_labels"].max(axis=1) < 1).sum() > 10  # not hard labels by another name
    runpy.run_path(str(EXAMPLE))
    (errors,) = re.findall(r"robust errors (\d+)", capsys.readouterr().out)
    assert 0 < int(errors) < 100
