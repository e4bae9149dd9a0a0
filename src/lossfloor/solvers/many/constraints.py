"""Linear constraints: conflicts of two and more examples, whose probabilities sum to at most one."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from lossfloor._types import Doubles, Integers, Vertices


@dataclasses.dataclass(frozen=True)
class Constraints:
    """Some conflicts, the members of each ascending.

    Attributes
    ----------
    offsets : ndarray of int64, shape (m + 1,)
    members : ndarray of int32
        ``members[offsets[e]:offsets[e + 1]]`` conflict all together.
    sure : ndarray of bool, shape (m,)
        Whether their neighbourhoods surely share a point.
    """

    offsets: Integers
    members: Vertices
    sure: npt.NDArray[np.bool_]

    @classmethod
    def none(cls) -> Constraints:
        """Return no rows."""
        return cls(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.bool_))

    def __len__(self) -> int:
        return len(self.sure)

    @property
    def degrees(self) -> Integers:
        """Number of members of each."""
        return np.diff(self.offsets)

    def sums(self, q: Doubles) -> Doubles:
        """Return the sum of q over each row."""
        return np.add.reduceat(q[self.members], self.offsets[:-1]) if len(self) else np.zeros(0)

    def column_sums(self, z: Doubles, n: int) -> Doubles:
        """Return for each of n examples the sum of z over the rows that it is in."""
        return np.bincount(self.members, np.repeat(z, self.degrees), n).astype(np.float64)

    def labels(self, of_example: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return for each row the label of its first example."""
        return of_example[self.members[self.offsets[:-1]]]

    def kept(self, which: npt.NDArray[np.bool_]) -> Constraints:
        """Return some of the rows."""
        degrees = self.degrees
        offsets = np.concatenate([[0], np.cumsum(degrees[which])]).astype(np.int64)
        return Constraints(offsets, self.members[np.repeat(which, degrees)], self.sure[which])

    def renamed(self, names: npt.NDArray[np.intp]) -> Constraints:
        """Return the rows with other numbers for the examples, which ascend as the old ones do."""
        return dataclasses.replace(self, members=names[self.members].astype(np.int32))

    def __add__(self, other: Constraints) -> Constraints:
        return Constraints(
            np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]),
            np.concatenate([self.members, other.members]),
            np.concatenate([self.sure, other.sure]),
        )
