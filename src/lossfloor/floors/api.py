"""The doors: `floor`, `curve`, `pairwise_floors`.  Arguments are checked here once, and two classes or many chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lossfloor._checks import as_count, as_fraction, as_positive, must
from lossfloor._types import Progress
from lossfloor.adversaries import Adversary, Lp, NormBall
from lossfloor.floors.loss_bounds import Limits
from lossfloor.floors.many_class import MulticlassFloor, find_bounds
from lossfloor.floors.many_class_curve import MulticlassCurve, find_curve_bounds
from lossfloor.floors.problem import Problem
from lossfloor.floors.two_class import Floor, find_floor
from lossfloor.floors.two_class_curve import Curve, find_curve

#: Largest double.
_LARGEST = math.nextafter(math.inf, 0.0)


def floor(
    X: Any,
    y: Any,
    adversary: Adversary,
    *,
    sample_weight: Any = None,
    gap: float = 1e-4,
    time_limit: float | None = None,
    max_degree: int | None = None,
    progress: Progress | None = None,
) -> Floor | MulticlassFloor:
    r"""Compute the smallest robust loss any classifier could achieve.

    .. math:: \min_h \; \sum_v p_v \sup_{z \in N(x_v)} \ell(h(z)_{y_v})

    over all functions h.  Two classes: exactly, for every loss at once.  More classes: proved lower and upper bounds
    that meet within `gap`; each loss is solved when it is first requested.

    Parameters
    ----------
    X : array_like, shape (n, ...)
        Examples: integers or floats, as the adversary accepts them.  Nothing is rescaled: the adversary's `unit` says
        what one unit of eps is in the data.
    y : array_like, shape (n,)
        Labels of two or more classes: integers, strings or booleans.
    adversary : Adversary
        The adversary, such as ``lossfloor.L2(4.6, unit=255)``.
    sample_weight : array_like, shape (n,), optional
        Positive weights.  Rationals of small denominator are scaled to integers exactly, others are rounded at 2**-40
        of the largest (`Floor.weights_exact` reports which).
    gap : float, default 1e-4
        More than two classes: difference of the bounds (mean over the examples) at which to stop; positive.
    time_limit : float, optional
        More than two classes: seconds per loss, after which the bounds found so far are returned; positive.
    max_degree : int, optional
        More than two classes: largest size of the conflicts used for the lower bound, at least 2.  Smaller is
        faster but gives a weaker bound.
    progress : callable, optional
        Called with (stage, done, total) during the work.

    Returns
    -------
    Floor or MulticlassFloor
        For two classes, or for more.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Theorem 1.

    Examples
    --------
    >>> import lossfloor as lf
    >>> lf.floor([[0], [3], [10]], [0, 1, 1], lf.L2(1.5)).zero_one
    0.3333333333333333
    """
    problem = Problem.read(X, y, adversary, sample_weight)
    limits = Limits(
        gap=as_positive("gap", gap),
        time_limit=None if time_limit is None else as_positive("time_limit", time_limit),
        max_degree=None if max_degree is None else as_count("max_degree", max_degree, 2),
    )
    if len(problem.classes) == 2:
        return find_floor(problem, progress=progress)
    return find_bounds(problem, limits, progress=progress)


def two_class_floor(
    X: Any, y: Any, adversary: Adversary, *, sample_weight: Any = None, progress: Progress | None = None
) -> Floor:
    """Like `floor`, for exactly two classes; arguments and errors are the same."""
    return find_floor(Problem.read(X, y, adversary, sample_weight), progress=progress)


def curve(
    X: Any,
    y: Any,
    family: Any,
    *,
    eps: Any,
    unit: Any = 1,
    p: Any = None,
    sample_weight: Any = None,
    gap: float = 1e-4,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Curve | MulticlassCurve:
    """Compute the floors of a whole grid of budgets: each is that of `lossfloor.floor`, exactly.

    Balls of one norm need one pass over the pairs of examples for all budgets, other adversaries one pass each.  With
    more than two classes each budget has a pass of its own, and takes over the conflicts that smaller ones found.

    Parameters
    ----------
    X : array_like, shape (n, ...)
    y : array_like, shape (n,)
        Labels of two or more classes.
    family : type or callable
        `L1`, `L2`, `Linf` or `Lp`; or a function that makes an adversary of a budget, a Fraction.  What it makes is
        taken as it is: the adversaries may be of any kind, and a larger budget need not let them do more.  It is called
        once per budget, so `Curve.eps_at` and the separation are not available.
    eps : array_like, shape (k,)
        Non-negative budgets, read as their decimal representations; sorted, duplicates removed.
    unit : number, default 1
        How many data units make one unit of eps.  A function has to take care of this itself.
    p : number, optional
        Order of the norm, for `Lp` only.
    sample_weight : array_like, shape (n,), optional
        Positive weights.
    gap : float, default 1e-4
        More than two classes: difference of the bounds at which to stop; positive.
    time_limit : float, optional
        More than two classes: seconds for the whole curve; positive.  What is left is divided evenly among the budgets
        still to be solved; where it does not suffice, the bounds found by then are returned.
    progress : callable, optional
        Called with (stage, done, total) during the work.

    Returns
    -------
    Curve or MulticlassCurve
        For two classes, or for more.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the message names it.

    Examples
    --------
    >>> import lossfloor as lf
    >>> lf.curve([[0], [4]], ["a", "b"], lf.Linf, eps=[1, 2, 3]).cross_entropy
    array([0.        , 0.69314718, 0.69314718])
    """
    grid = _grid(eps)
    make, named = _maker(family, unit, p)
    limits = Limits(
        gap=as_positive("gap", gap),
        time_limit=None if time_limit is None else as_positive("time_limit", time_limit),
    )
    adversaries = tuple(_made(make, family, value) for value in grid)
    problem = Problem.read(X, y, adversaries[-1], sample_weight)
    if len(problem.classes) > 2:
        return find_curve_bounds(problem, adversaries, grid, limits, progress=progress)
    return find_curve(problem, adversaries, grid, make if named else None, progress=progress)


def _made(make: Callable[[Fraction], Adversary], family: Any, eps: Fraction) -> Adversary:
    """Make the adversary of a budget."""
    adversary = make(eps)
    if not isinstance(adversary, Adversary):
        raise TypeError(must("family", "a class of adversaries, such as lossfloor.L2", family))
    return adversary


def _grid(eps: Any) -> tuple[Fraction, ...]:
    values = np.asarray(eps) if not isinstance(eps, Sequence) or isinstance(eps, str) else eps
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise ValueError(must("eps", "a list of budgets, shape (k,)", f"shape {values.shape}"))
    grid = sorted({as_fraction("eps", value) for value in values})
    if not grid:
        raise ValueError(must("eps", "a list with at least one budget", "an empty one"))
    if grid[0] < 0:
        raise ValueError(must("eps", "at least 0", float(grid[0])))
    if grid[-1] > Fraction(_LARGEST):
        raise ValueError(must("eps", f"at most {_LARGEST:g}", "more"))
    return tuple(grid)


def _maker(family: Any, unit: Any, p: Any) -> tuple[Callable[[Fraction], Adversary], bool]:
    """Return what makes an adversary of a budget, and whether it is a norm ball whose radius is that budget."""
    if isinstance(family, type) and issubclass(family, Lp):
        if p is None:
            raise TypeError("'p', the order of the norm, is needed with Lp")
        return (lambda eps: family(p, eps, unit)), bool(family.budgets)
    if p is not None:
        raise TypeError("'p' goes with Lp only")
    if isinstance(family, type) and issubclass(family, NormBall):
        return (lambda eps: family(eps, unit)), bool(family.budgets)
    if not callable(family):
        raise TypeError(must("family", "a class of adversaries, such as lossfloor.L2", family))
    if as_fraction("unit", unit) != 1:
        raise TypeError("'unit' goes with L1, L2, Linf and Lp only: a function has to give its adversaries their unit")
    return family, False
