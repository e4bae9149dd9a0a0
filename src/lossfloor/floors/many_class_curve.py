"""Bounds for many classes over a grid of budgets; each one takes over the conflicts that the one before found."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._types import Doubles, Progress
from lossfloor.adversaries import Adversary
from lossfloor.floors.curve_result import BaseCurve
from lossfloor.floors.loss_bounds import Limits
from lossfloor.floors.many_class import MulticlassFloor, find_bounds
from lossfloor.floors.problem import Problem

#: The losses that a curve is solved for.
SOLVED = ("cross_entropy", "zero_one")


class MulticlassCurve(BaseCurve):
    """Bounds of the smallest robust loss of any classifier over budgets; `lossfloor.curve` makes one.

    Where the adversary of a budget is known to be able to do all that the one before can, a lower bound of the one
    before holds for it too, and an upper bound of it for the one before: each number is the best of these.  That is
    known of adversaries of the library that differ in their budgets only, none of which shrinks.  Of others nothing is
    assumed, and each number is that of its budget alone.

    Attributes
    ----------
    eps : ndarray of float64, shape (k,)
    floors : tuple of MulticlassFloor, length k

    Examples
    --------
    >>> import lossfloor as lf
    >>> X = [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    >>> lf.curve(X, ["a", "b", "c"], lf.L2, eps=[0.5, 0.8, 1]).lower("zero-one").round(3)
    array([0.   , 0.333, 0.667])
    """

    SHOWN = SOLVED
    DECIMALS = (5, 5)

    def __init__(
        self, eps: Sequence[Fraction], floors: Sequence[MulticlassFloor], adversaries: Sequence[Adversary]
    ) -> None:
        super().__init__(eps, floors, adversaries)
        self._grows = [other.is_at_least(one) for one, other in itertools.pairwise(adversaries)]

    def __repr__(self) -> str:
        low, high = self.lower(), self.upper()
        return (
            f"MulticlassCurve({len(self)} budgets from {self.eps[0]:g} to {self.eps[-1]:g}, cross_entropy from "
            f"{low[0]:.6g} to {low[-1]:.6g} nats, bounds at most {float((high - low).max()):.2g} apart)"
        )

    @property
    def status(self) -> str:
        """How the numbers are proved: always "bounds"."""
        return "bounds"

    def lower(self, loss: Any = "cross-entropy", *, costs: Any = None) -> Doubles:
        """Return the proved lower bound of a loss at each budget, shape (k,)."""
        found = np.array([one.bounds(loss, costs=costs)[0] for one in self.floors])
        for i, grows in enumerate(self._grows):
            if grows:
                found[i + 1] = max(found[i], found[i + 1])
        return found

    def upper(self, loss: Any = "cross-entropy", *, costs: Any = None) -> Doubles:
        """Return the upper bound of a loss at each budget, shape (k,)."""
        found = np.array([one.bounds(loss, costs=costs)[1] for one in self.floors])
        for i in reversed(range(len(self._grows))):
            if self._grows[i]:
                found[i] = min(found[i], found[i + 1])
        return found

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """Whether the bounds of cross-entropy and 0-1 loss met within the gap at each budget, shape (k,)."""
        return np.array([all(one.solution(name).complete for name in SOLVED) for one in self.floors], dtype=np.bool_)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `to_frame` has, by the names of its columns."""
        found: dict[str, npt.NDArray[Any]] = {"eps": self.eps}
        for name in SOLVED:
            found |= {f"{name}_lower": self.lower(name), f"{name}_upper": self.upper(name)}
        return {**found, "n_edges": self.n_edges}

    def remarks(self) -> list[str]:
        """Return what a user has to know besides, worded."""
        apart = [f"{eps:g}" for eps, met in zip(self.eps, self.complete, strict=True) if not met]
        return [f"The bounds did not meet within the gap at eps {', '.join(apart)}."] if apart else []

    def _own_summary(self) -> dict[str, Any]:
        return {"complete": self.complete.tolist()}


def find_curve_bounds(
    problem: Problem,
    adversaries: Sequence[Adversary],
    eps: Sequence[Fraction],
    limits: Limits,
    *,
    progress: Progress | None = None,
) -> MulticlassCurve:
    """Solve a grid of budgets in ascending order; what `lossfloor.curve` does after its checks.

    Parameters
    ----------
    problem : Problem
    adversaries : sequence of Adversary
        That of each budget.
    eps : sequence of Fraction
        Ascending.
    limits : Limits
        Its time is that of the whole curve: each budget gets an even share of what is left, each loss half of that.
    progress : callable, optional
        Called with ("budgets", done, total).

    Returns
    -------
    MulticlassCurve
    """
    end = None if limits.time_limit is None else time.monotonic() + limits.time_limit
    floors: list[MulticlassFloor] = []
    for i, adversary in enumerate(adversaries):
        start = floors[-1] if floors and adversary.is_at_least(adversaries[i - 1]) else None
        share = None
        if end is not None:
            share = max(0.0, end - time.monotonic()) / (len(SOLVED) * (len(adversaries) - i))
        one = find_bounds(problem.against(adversary), limits.within(share), start=start)
        for name in SOLVED:
            one.solution(name)
        floors.append(one)
        if progress is not None:
            progress("budgets", i + 1, len(adversaries))
    return MulticlassCurve(eps, floors, adversaries)
