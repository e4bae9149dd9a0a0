"""A short turn of the random trials; `make soak` takes longer ones."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_short_turn_of_the_random_trials_finds_nothing() -> None:
    command = [sys.executable, str(Path(__file__).with_name("trials.py")), "--seconds", "60", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "; 0 wrong" in done.stdout
