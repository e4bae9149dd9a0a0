"""What adversaries say of all pairs, put together, and checks that hold for every family."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor.adversaries import Adversary, BitRows, ConflictRows

Flags = npt.NDArray[np.bool_]


def conflicts_of(adversary: Adversary, data: Any, n_left: int) -> tuple[Flags, Flags]:
    """Return which pairs conflict and which are undecided: the first `n_left` examples against the rest."""
    n = data.shape[0]
    left, right = np.arange(n_left), np.arange(n_left, n)
    sure, undecided = np.zeros((n_left, n - n_left), dtype=bool), np.zeros((n_left, n - n_left), dtype=bool)
    done = 0
    for rows in adversary.conflicts(data[left], data[right], index_a=left, index_b=right):
        assert rows.start == done
        done = rows.stop
        sure[rows.start : rows.stop], undecided[rows.start : rows.stop] = unpacked(rows, n - n_left)
    assert done == n_left
    assert not (sure & undecided).any()
    return sure, undecided


def unpacked(rows: ConflictRows, m: int) -> tuple[Flags, Flags]:
    if isinstance(rows, BitRows):
        parts = (rows.bits, np.zeros_like(rows.bits) if rows.undecided is None else rows.undecided)
        bits = [np.unpackbits(part.astype("<u8").view(np.uint8), axis=1, bitorder="little") for part in parts]
        assert not any(part[:, m:].any() for part in bits)
        return bits[0][:, :m].astype(bool), bits[1][:, :m].astype(bool)
    flags = []
    for lists in ((rows.targets, rows.counts), rows.undecided or (np.empty(0, int), np.zeros(len(rows.counts), int))):
        part = np.zeros((len(rows.counts), m), dtype=bool)
        part[np.repeat(np.arange(len(rows.counts)), lists[1]), lists[0]] = True
        flags.append(part)
    return flags[0], flags[1]


def check_pairs(adversary: Adversary, X: Any, n_left: int, *, unrepresentable: float = 0.0) -> tuple[Flags, Flags]:
    """Check that conflicts, the test of one pair and meet agree, and that contains accepts the points.

    At most the share `unrepresentable` of the conflicts may touch in points that no double represents.
    """
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    data = adversary.as_data(X, n)
    sure, undecided = conflicts_of(adversary, data, n_left)
    missed = 0
    for i in range(n_left):
        for j in range(n_left, n):
            index = np.array([i, j])
            expected = True if sure[i, j - n_left] else (None if undecided[i, j - n_left] else False)
            assert adversary.conflict(data[i], data[j], index=index) is expected
            try:
                point = adversary.meet(data[index], index=index)
            except ArithmeticError:
                missed += 1
                assert expected is not False
                continue
            assert (point is None) == (expected is False)
            if point is not None:
                assert accepted(adversary, data, index, point)
    assert missed <= undecided.sum() + unrepresentable * sure.sum()
    return sure, undecided


def accepted(adversary: Adversary, data: Any, index: npt.NDArray[np.intp], point: Any) -> bool:
    """Tell whether every one of some examples may be moved to a point."""
    points = np.stack([point] * len(index)) if isinstance(point, np.ndarray) else [point] * len(index)
    return bool(np.all(adversary.contains(data[index], points, index=index)))
