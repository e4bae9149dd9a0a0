"""Files that version 0.1.0 saved still load and verify, by the library and by the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossfloor as lf

FILES = Path(__file__).parents[1] / "data" / "format-1"


def digits() -> tuple[Any, Any]:
    data = lf.load("digits", classes=(3, 8))
    return data.X, data.y


def points(seed: int, n: int, shape: tuple[int, int], k: int) -> tuple[Any, Any]:
    return np.random.default_rng(seed).integers(0, n, shape), np.arange(shape[0]) % k


def test_two_classes() -> None:
    floor = lf.Floor.load(FILES / "two-classes.npz")
    assert floor.status == "exact"
    again = lf.floor(*digits(), lf.L2(1, unit=16))
    assert floor.cross_entropy == again.cross_entropy
    assert floor.verify(*digits()).zero_one == again.exact_loss("zero-one")


def test_bounds() -> None:
    X, y = points(4, 5, (24, 3), 2)
    floor = lf.Floor.load(FILES / "bounds.npz")
    assert floor.status == "bounds"
    again = lf.floor(X.astype(float), y, lf.Union(lf.SparseLinf(1, 1), lf.Linf(0)))
    for loss in ("cross-entropy", "zero-one", "brier"):
        assert floor.bounds(loss) == again.bounds(loss)
    assert floor.bounds("zero-one")[0] < floor.bounds("zero-one")[1]
    floor.verify(X.astype(float), y)
    floor.upper.verify(X.astype(float), y)


@pytest.mark.parametrize("loss", ["cross-entropy", "zero-one", "brier"])
def test_many_classes(loss: str) -> None:
    X, y = points(5, 9, (40, 2), 4)
    floor = lf.MulticlassFloor.load(FILES / "many-classes.npz")
    low, high = floor.bounds(loss)
    assert low <= float(floor.verify(X, y, loss=loss).lower) * (1 + 1e-12)
    again: Any = lf.floor(X, y, lf.L2(1))
    assert max(low, again.bounds(loss)[0]) <= min(high, again.bounds(loss)[1])
