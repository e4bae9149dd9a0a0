"""Some examples of a data set by their places in it, so that no copy of them is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import _core


class Rows:
    """What the array ``data[places]`` would be, as far as `PairSweep` asks; that array is made where it must be.

    Parameters
    ----------
    data : ndarray, shape (N, d)
    places : ndarray of intp, shape (n,)

    Examples
    --------
    >>> rows = Rows(np.arange(6).reshape(3, 2), np.array([0, 2]))
    >>> len(rows), rows[1]
    (2, array([4, 5]))
    """

    def __init__(self, data: npt.NDArray[Any], places: npt.NDArray[np.intp]) -> None:
        self.data = data
        self.places = np.ascontiguousarray(places)
        self.shape = (len(places), *data.shape[1:])
        self.dtype = data.dtype

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, key: Any) -> Any:
        return self.data[self.places[key]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self.data[self.places], dtype=dtype)

    def part(self, start: int, stop: int) -> Rows:
        """Return some of the examples, without a copy."""
        return Rows(self.data, self.places[start:stop])


def pairs_of(start: int, bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Return the pairs (left, right) of set bits."""
    targets, counts = _core.set_bits(bits)
    rows = np.repeat(np.arange(start, start + len(counts)), counts)
    return np.stack([rows, targets.astype(np.intp)], axis=1)


def set_bits(bits: npt.NDArray[np.uint64], pairs: npt.NDArray[np.uint32]) -> None:
    """Set the bits of some pairs (row, column)."""
    rows, columns = pairs[:, 0].astype(np.intp), pairs[:, 1].astype(np.uint64)
    np.bitwise_or.at(
        bits, (rows, (columns // np.uint64(64)).astype(np.intp)), np.uint64(1) << (columns % np.uint64(64))
    )
