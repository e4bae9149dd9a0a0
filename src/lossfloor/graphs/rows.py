"""Rows of a conflict graph: which examples some successive ones conflict with, as bits or as lists."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lossfloor import _core

#: Targets row by row, and how many there are in each.
Lists = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]


class BitRows(NamedTuple):
    """Which right-hand examples some successive left-hand examples conflict with, a bit for each pair.

    Attributes
    ----------
    start, stop : int
        The left-hand examples, by their position in XA, that the rows are about.
    bits : ndarray of uint64, shape (stop - start, ceil(m / 64))
        Bit c of word w of a row tells of right-hand example 64 w + c; bits beyond the last example are zero.
    perhaps : ndarray of uint64 of the same shape, optional
        Pairs that conflict for all that could be decided; a pair whose bit is set in neither surely does not.
    """

    start: int
    stop: int
    bits: npt.NDArray[np.uint64]
    perhaps: npt.NDArray[np.uint64] | None = None


class ListRows(NamedTuple):
    """The same as lists, for conflicts that are few.

    Attributes
    ----------
    start, stop : int
        The left-hand examples, by their position in XA, that the rows are about.
    targets : ndarray of int32
        Right-hand examples in conflict with the first left-hand one, ascending, then those of the second, and
        so on.
    counts : ndarray of int64, shape (stop - start,)
        How many there are for each.
    perhaps : (targets, counts), optional
        The same two arrays for the pairs that conflict for all that could be decided.
    """

    start: int
    stop: int
    targets: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    perhaps: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None = None


ConflictRows = BitRows | ListRows


def lists_of(piece: ConflictRows) -> list[Lists]:
    """Return the sure conflicts of some rows as targets and counts, and the open ones behind them if there are any."""
    if isinstance(piece, BitRows):
        lists = [_core.set_bits(piece.bits)]
        if piece.perhaps is not None and piece.perhaps.any():
            lists.append(_core.set_bits(piece.perhaps))
        return lists
    lists = [(piece.targets, piece.counts)]
    if piece.perhaps is not None and len(piece.perhaps[0]):
        lists.append(piece.perhaps)
    return lists


def decided(rows: ConflictRows) -> tuple[ConflictRows, ConflictRows]:
    """Divide rows into the conflicts that are sure and those that stay undecided."""
    if isinstance(rows, BitRows) and rows.perhaps is not None:
        undecided: ConflictRows = BitRows(rows.start, rows.stop, rows.perhaps)
    else:
        targets, counts = np.empty(0, dtype=np.int32), np.zeros(rows.stop - rows.start, dtype=np.int64)
        if isinstance(rows, ListRows) and rows.perhaps is not None:
            targets, counts = rows.perhaps
        undecided = ListRows(rows.start, rows.stop, targets, counts)
    return rows._replace(perhaps=None), undecided
