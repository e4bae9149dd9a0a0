"""Lower bounds from dual solutions: witnesses of conflicts, many at once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lossfloor.solvers.many import dual


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("unit", [3, 7, 1 << 10, 1 << 20, 1 << 30])
def test_witnesses_checked_together_and_one_by_one(dtype: type, shared: bool, unit: int) -> None:
    rng = np.random.default_rng(3)
    data = rng.integers(-100, 100, (40, 9)).astype(dtype) if dtype != np.uint8 else rng.integers(0, 200, (40, 9), dtype)
    radii = [Fraction(40_000)] * 40 if shared else [Fraction(int(r), 3) for r in rng.integers(9_000, 110_000, 40)]
    answers = []
    for size in (3, 5):
        members = np.array([rng.permutation(40)[:size] for _ in range(60)], dtype=np.int32)
        t = np.rint(rng.dirichlet(np.ones(size), 60) * unit).astype(np.int64)
        # Of the first rows the mean is exactly on the border of the first ball.
        for row in range(10):
            steps, total = t[row], int(t[row].sum())
            points = data[members[row]].astype(object)
            off = sum(int(s) * p for s, p in zip(steps, points, strict=True)) - total * points[0]
            if not shared:
                radii[members[row, 0]] = sum((Fraction(x) ** 2 for x in off), Fraction(0)) / total**2
        found = dual._all_inside(data, members, t, radii)
        expected = [
            dual._inside(data[line], steps, [radii[v] for v in line]) for line, steps in zip(members, t, strict=True)
        ]
        assert found.tolist() == expected
        answers += expected
    assert 0 < sum(answers) < len(answers)
