"""The answers of the first version: those of two classes bit for bit, those of many within their gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.golden_cases import all_cases

ANSWERS: dict[str, Any] = json.loads(Path(__file__).with_name("answers.json").read_text())
CASES = all_cases()
GAP = 1e-4


def test_every_answer_has_its_case() -> None:
    assert set(ANSWERS) == set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_answer_is_the_same(name: str) -> None:
    answer = json.loads(json.dumps(CASES[name]()))
    expected = dict(ANSWERS[name])
    bounds = answer.pop("bounds", {})
    for loss, (low, high, proved) in expected.pop("bounds", {}).items():
        new_low, new_high, new_proved = bounds[loss]
        assert max(low, new_low) <= min(high, new_high), loss
        assert new_high - new_low <= GAP, loss
        assert new_low <= new_proved * (1 + 1e-12), loss
        assert proved <= high, loss
    assert answer == expected
