"""What is asked of a solve, and what it found."""

from __future__ import annotations

import dataclasses
import math
import time

from lossfloor._types import Doubles
from lossfloor.solvers.many.constraints import Constraints

#: Components of the graph with fewer examples are solved together, and as linear programs where the bounds do not meet.
LEAST_COMPONENT = 256


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


@dataclasses.dataclass(frozen=True)
class Solution:
    """What is known of one loss.

    Attributes
    ----------
    q : ndarray of float64, shape (n,)
        Probabilities that satisfy every conflict: a classifier reaches them.
    rows : Constraints
        Sure conflicts that carry weight in the dual solution.
    z : ndarray of float64, shape (len(rows),)
        Their weights, in units of the weights of the examples.
    relaxed : float
        The loss over the conflicts of up to `max_degree` examples is at most this (total, not mean).
    pool : Constraints
        Conflicts worth keeping for a similar problem.
    rounds : int
    why : str
        Why it ended before the bounds met within the gap; empty if they met.
    """

    q: Doubles
    rows: Constraints
    z: Doubles
    relaxed: float
    pool: Constraints
    rounds: int
    why: str
