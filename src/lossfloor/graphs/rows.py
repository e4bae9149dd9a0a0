"""Rows of a conflict graph: which examples some successive ones conflict with, as bits or as lists."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lossfloor import _core

#: Targets row by row, and how many there are in each.
Lists = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]


class BitRows(NamedTuple):
    """Which right-hand examples some successive left-hand examples conflict with, one bit per pair.

    Attributes
    ----------
    start, stop : int
        The left-hand examples, by their position in XA, that the rows are about.
    bits : ndarray of uint64, shape (stop - start, ceil(m / 64))
        Bit c of word w of a row tells of right-hand example 64 w + c; bits beyond the last example are zero.
    undecided : ndarray of uint64 of the same shape, optional
        Pairs that could not be decided; a pair whose bit is set in neither surely does not conflict.
    """

    start: int
    stop: int
    bits: npt.NDArray[np.uint64]
    undecided: npt.NDArray[np.uint64] | None = None


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
    undecided : (targets, counts), optional
        The same two arrays for the pairs that could not be decided.
    """

    start: int
    stop: int
    targets: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    undecided: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None = None


ConflictRows = BitRows | ListRows


def lists_of(piece: ConflictRows) -> list[Lists]:
    """Return the sure conflicts of some rows as targets and counts, followed by the undecided ones if there are any."""
    if isinstance(piece, BitRows):
        lists = [_core.set_bits(piece.bits)]
        if piece.undecided is not None and piece.undecided.any():
            lists.append(_core.set_bits(piece.undecided))
        return lists
    lists = [(piece.targets, piece.counts)]
    if piece.undecided is not None and len(piece.undecided[0]):
        lists.append(piece.undecided)
    return lists


def decided(rows: ConflictRows) -> tuple[ConflictRows, ConflictRows]:
    """Split rows into the sure conflicts and the undecided pairs."""
    if isinstance(rows, BitRows) and rows.undecided is not None:
        undecided: ConflictRows = BitRows(rows.start, rows.stop, rows.undecided)
    else:
        targets, counts = np.empty(0, dtype=np.int32), np.zeros(rows.stop - rows.start, dtype=np.int64)
        if isinstance(rows, ListRows) and rows.undecided is not None:
            targets, counts = rows.undecided
        undecided = ListRows(rows.start, rows.stop, targets, counts)
    return rows._replace(undecided=None), undecided
