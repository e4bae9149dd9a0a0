"""Amounts per feature, or per feature and example: costs and one-way budgets."""

from __future__ import annotations

import math
from collections.abc import Hashable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_fraction, must
from lossfloor.adversaries.base import Index
from lossfloor.reporting.numbers import show_number

Amount = Fraction | float
"""A rational, or infinity."""


class FeatureTable:
    """Non-negative numbers, possibly infinite: one for all features, one per feature, or one per feature and example.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    values : number, or array_like of shape (d,) or (n, d)
        Read as their decimal representations; strings such as "1/3" and "inf" are taken too.

    Attributes
    ----------
    distinct : list of Fraction or inf
        The distinct numbers.
    codes : ndarray of intp, shape (), (d,) or (n, d)
        Place of each number among them.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a number, is NaN or negative, or the shape is wrong.
    """

    def __init__(self, name: str, values: Any) -> None:
        self.name = name
        entries = np.asarray(values, dtype=object)
        if entries.ndim > 2 or 0 in entries.shape:
            raise ValueError(must(name, "one number or an array of shape (d,) or (n, d)", f"shape {entries.shape}"))
        if isinstance(values, np.ndarray) and values.dtype == np.float32:
            # A float32 would become a double with its many decimals; its own decimal is meant.
            entries = np.array([str(number) for number in values.ravel()], dtype=object).reshape(values.shape)
        known: dict[Any, int] = {}
        self.distinct: list[Amount] = []
        places: dict[Amount, int] = {}
        codes = np.empty(entries.size, dtype=np.intp)
        for k, entry in enumerate(entries.ravel().tolist()):
            if not isinstance(entry, Hashable):
                raise TypeError(must(name, "a number, or a table of numbers", entry))
            key = (type(entry), entry)
            if key not in known:
                amount = _amount(name, entry)
                if amount not in places:
                    places[amount] = len(self.distinct)
                    self.distinct.append(amount)
                known[key] = places[amount]
            codes[k] = known[key]
        self.codes: npt.NDArray[np.intp] = codes.reshape(entries.shape)

    def check(self, n: int, d: int) -> None:
        """Check that the numbers suit `n` examples of `d` features."""
        if self.codes.shape not in ((), (d,), (n, d)):
            shape = f"shape {self.codes.shape}"
            raise ValueError(must(self.name, f"one number or an array of shape ({d},) or ({n}, {d})", shape))

    def rows(self, count: int, d: int, index: Index | None) -> npt.NDArray[np.intp]:
        """Return the codes of `count` examples, shape (count, d)."""
        codes = self.codes
        if codes.ndim == 2:
            if index is not None:
                codes = codes[index]
            elif len(codes) != count:
                raise ValueError(must("index", "given, since each example has its own budgets", None))
        return np.broadcast_to(codes, (count, d))

    def amounts(self, codes: npt.NDArray[np.intp]) -> list[Amount]:
        """Return the numbers behind a row of codes."""
        return [self.distinct[code] for code in codes.tolist()]

    def config(self) -> Any:
        """Return the numbers as strings, nested as they were given."""
        texts = np.array([str(amount) for amount in self.distinct], dtype=object)
        return texts[self.codes].tolist() if self.codes.ndim else texts[self.codes]

    def __repr__(self) -> str:
        if self.codes.ndim == 0:
            return show_amount(self.distinct[0])
        if self.codes.ndim == 1 and self.codes.size <= 8:
            return "[" + ", ".join(show_amount(amount) for amount in self.amounts(self.codes)) + "]"
        low, high = min(self.distinct), max(self.distinct)
        size = " x ".join(str(side) for side in self.codes.shape)
        return f"<{size} from {show_amount(low)} to {show_amount(high)}>"


def show_amount(amount: Amount) -> str:
    """Print a rational shortly, or "inf"."""
    return show_number(amount) if isinstance(amount, Fraction) else "inf"


def _amount(name: str, entry: Any) -> Amount:
    if isinstance(entry, str) and entry.strip().lower() in ("inf", "+inf", "infinity"):
        return math.inf
    if isinstance(entry, (float, np.floating)) and entry == math.inf:
        return math.inf
    amount = as_fraction(name, entry)
    if amount < 0:
        raise ValueError(must(name, "at least 0", float(amount)))
    return amount
