"""The data set that every reader returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_fraction, must

_CLASSES_SHOWN = 6


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Examples, their classes, and the unit in which an eps is given.

    Parameters
    ----------
    X : ndarray, shape (n, ...)
        The examples as the file has them, in its dtype; not rescaled.
    y : ndarray, shape (n,)
        Label of each example: integers or strings.
    class_names : mapping of label to str
        A readable name for each label.
    unit : int, Fraction, float or str, default 1
        How many data units make one unit of eps.  255 for byte images, so that eps refers to pixels in
        [0, 1].  A float is read as its decimal representation.
    name : str
        What the data set is called.
    source : str
        Where the examples came from, for people.

    Raises
    ------
    ValueError
        If `X` and `y` differ in length, or `unit` is not positive.
    TypeError
        If `unit` is not a number.

    Examples
    --------
    >>> import numpy as np
    >>> Dataset(np.zeros((3, 2), np.uint8), np.array([0, 1, 1]), {0: "cat", 1: "dog"}, name="pets")
    <Dataset pets: X (3, 2) uint8, y {0 (cat): 1, 1 (dog): 2}, unit 1>
    """

    X: npt.NDArray[Any]
    y: npt.NDArray[Any]
    class_names: Mapping[int | str, str]
    unit: int | Fraction = 1
    name: str = "unnamed"
    source: str = "memory"

    def __post_init__(self) -> None:
        if self.y.shape != self.X.shape[:1]:
            raise ValueError(must("y", f"of shape ({len(self.X)},), one label per example", f"shape {self.y.shape}"))
        object.__setattr__(self, "unit", as_unit(self.unit))

    @property
    def counts(self) -> dict[int | str, int]:
        """How many examples there are of each label, by label."""
        labels, counts = np.unique(self.y, return_counts=True)
        return dict(zip(labels.tolist(), counts.tolist(), strict=True))

    def __repr__(self) -> str:
        classes = [
            f"{describe(label, self.class_names)}: {count}"
            for label, count in list(self.counts.items())[:_CLASSES_SHOWN]
        ]
        if len(self.counts) > _CLASSES_SHOWN:
            classes.append(f"... {len(self.counts)} classes")
        return f"<Dataset {self.name}: X {self.X.shape} {self.X.dtype}, y {{{', '.join(classes)}}}, unit {self.unit}>"


def describe(label: int | str, class_names: Mapping[int | str, str]) -> str:
    """Word a label for people: ``3 (Dress)``, or ``3`` where it has no name of its own."""
    name = class_names.get(label, str(label))
    return str(label) if name == str(label) else f"{label} ({name})"


def as_unit(value: object) -> int | Fraction:
    """Check a unit: a positive number, kept as the decimal that prints it."""
    unit = as_fraction("unit", value)
    if unit <= 0:
        raise ValueError(must("unit", "positive", value))
    return unit.numerator if unit.denominator == 1 else unit
