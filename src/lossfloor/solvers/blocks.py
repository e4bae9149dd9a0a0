"""The solution for two classes: a partition into blocks, with the flow that proves it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Blocks of examples that share a conflict posterior, in ascending order of it.

    Attributes
    ----------
    left_block, right_block : ndarray of int32, shape (n_left,) and (n_right,)
        Block of each example of the first and of the second class.
    a, b : ndarray of int64, shape (n_blocks,)
        Weight of the examples of the first and of the second class in each block.
    flow_edges : ndarray of int32, shape (n_flow, 2)
        Conflicts (left, right) that carry flow, ordered.
    flow_high : ndarray of int64, shape (n_flow,)
    flow_low : ndarray of uint64, shape (n_flow,)
        The flow on each is ``flow_high * 2**64 + flow_low``, in units in which each left example of weight w sends
        ``w * b / gcd(a, b)`` and each right one takes ``w * a / gcd(a, b)``.
    n_flows, n_searches : int
        Max-flow problems solved and breadth-first searches made.
    """

    left_block: npt.NDArray[np.int32]
    right_block: npt.NDArray[np.int32]
    a: npt.NDArray[np.int64]
    b: npt.NDArray[np.int64]
    flow_edges: npt.NDArray[np.int32]
    flow_high: npt.NDArray[np.int64]
    flow_low: npt.NDArray[np.uint64]
    n_flows: int = 0
    n_searches: int = 0

    def __len__(self) -> int:
        return len(self.a)

    @property
    def posterior(self) -> npt.NDArray[np.float64]:
        """Conflict posterior a / (a + b) of each block, shape (n_blocks,), ascending."""
        return self.a / (self.a + self.b)

    def flow(self) -> list[int]:
        """Return the flow on each edge as exact integers."""
        return [(h << 64) + low for h, low in zip(self.flow_high.tolist(), self.flow_low.tolist(), strict=True)]

    def flow_units(self) -> npt.NDArray[np.int64]:
        """Return ``gcd(a, b)`` of each block, shape (n_blocks,)."""
        return np.array([math.gcd(x, y) for x, y in zip(self.a.tolist(), self.b.tolist(), strict=True)], dtype=np.int64)
