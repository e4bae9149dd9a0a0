"""The worked examples run, and prove what they print."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "adversaries"


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("categorical_hamming.py", "5 entries of 30: any classifier is wrong on at least 7.6 %"),
        ("strings_edit_distance.py", "0 errors:     0 pairs can be confused"),
        ("one_way_box.py", "  0.5      0.3 %           48.7 %"),
    ],
)
def test_an_example_runs(name: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / name))
    assert printed in capsys.readouterr().out


@pytest.mark.slow
def test_no_model_is_below_the_floor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["attack_and_classifier.py", "--n-per-class", "600"])
    runpy.run_path(str(EXAMPLES.parent / "attack_and_classifier.py"), run_name="__main__")
    text = capsys.readouterr().out
    found = re.search(r"Bayes risk of the perturbed data: ([0-9.]+), floor ([0-9.]+) nats", text)
    assert found is not None
    floor = float(found[2])
    assert found[1] == found[2]
    assert floor > 0.05
    losses = {}
    for name in ("logistic regression", "50 nearest neighbours", "gradient boosting", "the optimal classifier"):
        exact, drawn, error = map(float, re.search(rf"{name} +([0-9.]+) +([0-9.]+) \(([0-9.]+)\)", text).groups())
        losses[name] = exact
        assert abs(drawn - exact) < 4 * error + 1e-3
    assert losses.pop("the optimal classifier") == pytest.approx(floor, abs=1e-6)
    assert min(losses.values()) > floor
