"""What is asked of a solve."""

from __future__ import annotations

import dataclasses
import math
import time


@dataclasses.dataclass(frozen=True)
class Goal:
    """When the bounds of a loss are good enough, or their search is given up.

    Attributes
    ----------
    gap : float
        Difference of the bounds that is good enough: mean over all examples, or in total where that is said.
    max_degree : int or None
        Number of examples up to which conflicts are looked at for the lower bound.
    deadline : float or None
        On `time.monotonic`.
    """

    gap: float
    max_degree: int | None = None
    deadline: float | None = None

    def seconds_left(self) -> float:
        """Return how much time there is; infinity if there is no deadline."""
        return math.inf if self.deadline is None else self.deadline - time.monotonic()
