"""The face of a curve: floors over ascending budgets, of two classes or of many."""

from __future__ import annotations

import abc
import json
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._types import Doubles, Integers
from lossfloor.adversaries import Adversary
from lossfloor.floors.result import BaseFloor
from lossfloor.reporting.numbers import bounds_in_table, short_bounds
from lossfloor.reporting.tables import as_frame, html_table, write_csv

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class BaseCurve(abc.ABC):
    """What the curves of two classes and of many have in common.

    Attributes
    ----------
    eps : ndarray of float64, shape (k,)
        The budgets, ascending.
    floors : tuple of Floor or MulticlassFloor, length k
        The floor at each.
    separation : float
        Half the smallest distance between examples of different classes, in units of eps; NaN if it is not known.
    """

    #: The losses that printers show, and with how many decimals.
    SHOWN: ClassVar[tuple[str, ...]] = ("cross_entropy", "zero_one", "brier")
    DECIMALS: ClassVar[tuple[int, ...]] = (9, 6, 6)

    floors: tuple[Any, ...]
    separation: float = float("nan")

    def __init__(self, eps: Sequence[Fraction], floors: Sequence[BaseFloor], adversaries: Sequence[Adversary]) -> None:
        self.eps = np.array([float(value) for value in eps])
        self.floors = tuple(floors)
        self._eps = tuple(eps)
        self._adversaries = tuple(adversaries)

    def __len__(self) -> int:
        return len(self.floors)

    def floor(self, i: int) -> Any:
        """Return the floor at the i-th budget."""
        return self.floors[i]

    @property
    def status(self) -> str:
        """How the numbers are proved: "exact" if every floor is, else "bounds"."""
        return "bounds" if any(one.status == "bounds" for one in self.floors) else "exact"

    @abc.abstractmethod
    def lower(self, loss: Any = "cross-entropy", *, costs: Any = None) -> Doubles:
        """Return the proved lower bound of a loss at each budget, shape (k,)."""

    @abc.abstractmethod
    def upper(self, loss: Any = "cross-entropy", *, costs: Any = None) -> Doubles:
        """Return the upper bound of a loss at each budget, shape (k,)."""

    def loss(self, loss: Any, *, costs: Any = None) -> Doubles:
        """Return the floor of any loss at each budget, shape (k,): a lower bound if `status` is "bounds"."""
        return self.lower(loss, costs=costs)

    @property
    def cross_entropy(self) -> Doubles:
        """Floor of the cross-entropy in nats at each budget, shape (k,)."""
        return self.lower("cross-entropy")

    @property
    def zero_one(self) -> Doubles:
        """Floor of the 0-1 loss at each budget, shape (k,)."""
        return self.lower("zero-one")

    @property
    def brier(self) -> Doubles:
        """Floor of the Brier loss at each budget, shape (k,)."""
        return self.lower("brier")

    @property
    def n_edges(self) -> Integers:
        """Number of pairs of examples in conflict at each budget, shape (k,)."""
        return np.array([one.n_edges for one in self.floors], dtype=np.int64)

    def eps_at(
        self,
        *,
        cross_entropy: float | None = None,
        zero_one: float | None = None,
        brier: float | None = None,
        loss: Any = None,
        value: float | None = None,
    ) -> float | None:
        """Return the smallest budget at which a floor reaches a value; known for norms and two classes only.

        Raises
        ------
        TypeError
            For other curves.
        """
        raise TypeError("eps_at needs two classes and a family of norm balls: L1, L2, Linf or Lp")

    @abc.abstractmethod
    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `to_frame` has, by the names of its columns."""

    def to_frame(self) -> pd.DataFrame:
        """Return `columns` as a table with a row for each budget.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        return as_frame(self.columns())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `columns` as a table with a row for each budget (written whole or not at all)."""
        write_csv(path, self.columns())

    def rows(self) -> list[list[str]]:
        """Return what printers show of each budget: eps, pairs in conflict, and the losses of `SHOWN`."""
        ends = [
            (self.lower(name).tolist(), self.upper(name).tolist(), digits)
            for name, digits in zip(self.SHOWN, self.DECIMALS, strict=True)
        ]
        return [
            [f"{eps:g}", str(n_edges), *(bounds_in_table((low[i], high[i]), digits) for low, high, digits in ends)]
            for i, (eps, n_edges) in enumerate(zip(self.eps, self.n_edges.tolist(), strict=True))
        ]

    def remarks(self) -> list[str]:
        """Return what a user has to know besides, worded."""
        return []

    @abc.abstractmethod
    def _own_summary(self) -> dict[str, Any]:
        """Return what `summary` has for this kind of curve alone."""

    def summary(self) -> dict[str, Any]:
        """Return the curve in a form JSON can represent (the keys of ``lossfloor curve --json``).

        It has the key "adversaries", what is special about that of each budget, where they differ in more than a radius
        that is the budget.
        """
        return {
            "status": self.status,
            **described(self._adversaries, self._eps),
            "classes": self.floors[0].labels(),
            "n_examples": self.floors[0].n_examples,
            **{name: column.tolist() for name, column in self.columns().items()},
            **self._own_summary(),
        }

    def to_json(self) -> str:
        """Return `summary` as a JSON text."""
        return json.dumps(self.summary())

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the curve; see `lossfloor.reporting.plots.plot_curve`."""
        from lossfloor.reporting.plots import plot_curve

        return plot_curve(self, ax, **options)

    def _repr_html_(self) -> str:
        head = ["eps", "pairs in conflict", *(name.replace("_", "-") for name in self.SHOWN)]
        ends = [(self.lower(name).tolist(), self.upper(name).tolist()) for name in self.SHOWN]
        rows = [
            [f"{eps:g}", str(n_edges), *(short_bounds((low[i], high[i])) for low, high in ends)]
            for i, (eps, n_edges) in enumerate(zip(self.eps, self.n_edges.tolist(), strict=True))
        ]
        return html_table("Smallest robust loss of any classifier", head, rows)


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
