"""The worked examples run, and prove what they print."""

from __future__ import annotations

import runpy
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
