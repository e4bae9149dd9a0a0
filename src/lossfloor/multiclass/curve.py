"""Bounds for more than two classes over a grid of budgets; each takes over the conflicts that the one before found."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor import losses
from lossfloor._files import write_whole
from lossfloor.adversaries import (
    FAMILIES,
    Adversary,
    Clipped,
    CustomAdversary,
    FiniteSets,
    Intersection,
    Union,
)
from lossfloor.exceptions import MissingDependencyError
from lossfloor.multiclass.floor import MulticlassFloor, multiclass_floor
from lossfloor.multiclass.graph import Progress
from lossfloor.weights import IntegerWeights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: The losses that a curve is solved for.
SOLVED = ("cross_entropy", "zero_one")
#: What budgets are called in configurations.
_BUDGETS = ("eps", "k", "shifts")


class MulticlassCurve:
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

    def __init__(
        self, eps: Sequence[Fraction], floors: Sequence[MulticlassFloor], adversaries: Sequence[Adversary]
    ) -> None:
        self.eps = np.array([float(value) for value in eps])
        self.floors = tuple(floors)
        self._eps = tuple(eps)
        self._adversaries = tuple(adversaries)
        self._grows = [can_do_no_less(one, other) for one, other in itertools.pairwise(adversaries)]

    def __len__(self) -> int:
        return len(self.floors)

    def __repr__(self) -> str:
        low, high = self.lower(), self.upper()
        return (
            f"MulticlassCurve({len(self)} budgets from {self.eps[0]:g} to {self.eps[-1]:g}, cross_entropy from "
            f"{low[0]:.6g} to {low[-1]:.6g} nats, bounds at most {float((high - low).max()):.2g} apart)"
        )

    def lower(self, loss: Any = "cross-entropy") -> npt.NDArray[np.float64]:
        """Return the proved lower bound of a loss at each budget, shape (k,)."""
        found = np.array([one.bounds(loss)[0] for one in self.floors])
        for i, grows in enumerate(self._grows):
            if grows:
                found[i + 1] = max(found[i], found[i + 1])
        return found

    def upper(self, loss: Any = "cross-entropy") -> npt.NDArray[np.float64]:
        """Return at each budget a loss that some classifier reaches, shape (k,)."""
        found = np.array([one.bounds(loss)[1] for one in self.floors])
        for i in reversed(range(len(self._grows))):
            if self._grows[i]:
                found[i] = min(found[i], found[i + 1])
        return found

    def loss(self, loss: Any) -> npt.NDArray[np.float64]:
        """Return the lower bound of a loss at each budget, like `Curve.loss`."""
        return self.lower(loss)

    @property
    def n_edges(self) -> npt.NDArray[np.int64]:
        """Number of pairs of examples in conflict at each budget, shape (k,)."""
        return np.array([one.n_edges for one in self.floors], dtype=np.int64)

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """Whether the bounds of cross-entropy and 0-1 loss met within the gap at each budget, shape (k,)."""
        return np.array([all(one.solution(name).complete for name in SOLVED) for one in self.floors], dtype=np.bool_)

    @property
    def separation(self) -> float:
        """Not known here: NaN."""
        return float("nan")

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `to_frame` has by the names of its columns."""
        found: dict[str, npt.NDArray[Any]] = {"eps": self.eps}
        for name in SOLVED:
            found |= {f"{name}_lower": self.lower(name), f"{name}_upper": self.upper(name)}
        return {**found, "n_edges": self.n_edges}

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row for each budget.

        Returns
        -------
        pandas.DataFrame
            Columns eps, cross_entropy_lower, cross_entropy_upper, zero_one_lower, zero_one_upper, n_edges.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingDependencyError("to_frame needs pandas: pip install 'lossfloor[frames]'") from None
        return pd.DataFrame(self.columns())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `to_frame` as a table (written whole or not at all)."""
        columns = self.columns()
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        text = "\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)]) + "\n"
        write_whole(path, lambda stream: stream.write(text.encode()))

    def summary(self) -> dict[str, Any]:
        """Return the curve as JSON can hold it; with the key "adversaries" as in `Curve.summary`."""
        return {
            "status": "bounds",
            **described(self._adversaries, self._eps),
            "complete": self.complete.tolist(),
            **{name: column.tolist() for name, column in self.columns().items()},
        }

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the lower bounds; see `lossfloor.plotting.plot_curve`."""
        from lossfloor.plotting import plot_curve

        return plot_curve(self, ax, **options)


def multiclass_curve(
    X: Any,
    y: Any,
    classes: npt.NDArray[Any],
    codes: npt.NDArray[np.intp],
    weights: IntegerWeights,
    adversaries: Sequence[Adversary],
    eps: Sequence[Fraction],
    *,
    gap: float,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> MulticlassCurve:
    """Solve a grid of budgets in ascending order; what `lossfloor.curve` does after its checks.

    Parameters
    ----------
    X, y : array_like
    classes : ndarray, shape (k,)
    codes : ndarray of intp, shape (n,)
    weights : IntegerWeights
    adversaries : sequence of Adversary
        That of each budget.
    eps : sequence of Fraction
        Ascending.
    gap : float
        As for `lossfloor.floor`.
    time_limit : float, optional
        Seconds for the whole curve: each budget gets an even share of what is left, each loss half of that.
    progress : callable, optional
        Called with ("budgets", done, in all).

    Returns
    -------
    MulticlassCurve
    """
    end = None if time_limit is None else time.monotonic() + time_limit
    floors: list[MulticlassFloor] = []
    for i, adversary in enumerate(adversaries):
        data = adversary.as_data(X, len(codes))
        start = floors[-1] if floors and can_do_no_less(adversaries[i - 1], adversary) else None
        share = None
        if end is not None:
            share = max(0.0, end - time.monotonic()) / (len(SOLVED) * (len(adversaries) - i))
        one = multiclass_floor(X, y, classes, codes, data, weights, adversary, gap=gap, time_limit=share, start=start)
        for name in SOLVED:
            one.solution(losses.resolve(name))
        floors.append(one)
        if progress is not None:
            progress("budgets", i + 1, len(adversaries))
    return MulticlassCurve(eps, floors, adversaries)


def can_do_no_less(one: Adversary, other: Adversary) -> bool:
    """Tell whether it is known that the second adversary can do all that the first one can.

    It is if both are of one family of the library and differ in their budgets only, none of which is smaller for the
    second, and if so it is of every adversary that they are made of.
    """
    if type(one) is not type(other) or FAMILIES.get(one.name) is not type(one) or isinstance(one, CustomAdversary):
        return False
    if isinstance(one, FiniteSets) and isinstance(other, FiniteSets) and one.outcomes is not other.outcomes:
        return False
    inside = [_inside(one), _inside(other)]
    if len(inside[0]) != len(inside[1]) or not all(map(can_do_no_less, *inside)):
        return False
    first, second = one.config(), other.config()
    if first.keys() != second.keys():
        return False
    return all(
        key in ("members", "adversary") or value == second[key] or (key in _BUDGETS and _at_most(value, second[key]))
        for key, value in first.items()
    )


def _inside(adversary: Adversary) -> tuple[Adversary, ...]:
    """Return the adversaries that one is made of."""
    if isinstance(adversary, Union | Intersection):
        return tuple(adversary.members)
    return (adversary.adversary,) if isinstance(adversary, Clipped) else ()


def _at_most(one: Any, other: Any) -> bool:
    """Compare budgets as configurations hold them: a number, or one for each example."""
    first, second = (value if isinstance(value, list) else [value] for value in (one, other))
    if 1 not in (len(first), len(second)) and len(first) != len(second):
        return False
    count = max(len(first), len(second))
    pairs = zip(first * (count // len(first)), second * (count // len(second)), strict=True)
    return all(Fraction(a) <= Fraction(b) for a, b in pairs)


def described(adversaries: Sequence[Adversary], eps: Sequence[Fraction]) -> dict[str, Any]:
    """Return the adversaries of a curve as JSON can hold them.

    Parameters
    ----------
    adversaries : sequence of Adversary
    eps : sequence of Fraction
        The budget of each.

    Returns
    -------
    dict
        "adversary" is what all have in common.  Where they are special in more than a radius that is the budget, there
        is "adversaries", with what is special about each.
    """
    configs = [one.config() for one in adversaries]
    if all("eps" in config and config["eps"] == str(value) for config, value in zip(configs, eps, strict=True)):
        configs = [{key: value for key, value in config.items() if key != "eps"} for config in configs]
    shared, special = _split(configs)
    names = " or ".join(dict.fromkeys(str(config["name"]) for config in configs))
    told: dict[str, Any] = {"adversary": {"name": names, **shared}}
    return {**told, "adversaries": special} if any(special) else told


def _split(configs: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Part configurations into what they have in common and what is special about each, members one by one."""
    shared: dict[str, Any] = {}
    special: list[dict[str, Any]] = [{} for _ in configs]
    for key in dict.fromkeys(key for config in configs for key in config):
        values: list[Any] = [config.get(key) for config in configs]
        if all(key in config for config in configs) and all(value == values[0] for value in values):
            shared[key] = values[0]
        elif all(isinstance(value, dict) for value in values):
            shared[key], parts = _split(values)
            for own, part in zip(special, parts, strict=True):
                own[key] = part
        elif key == "members" and len({len(value) for value in values}) == 1:
            split = [_split(members) for members in zip(*values, strict=True)]
            shared[key] = [common for common, _ in split]
            for k, own in enumerate(special):
                own[key] = [parts[k] for _, parts in split]
        else:
            for own, config in zip(special, configs, strict=True):
                own.update({key: config[key]} if key in config else {})
    return shared, special
