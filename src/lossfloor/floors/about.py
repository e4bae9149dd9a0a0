"""What a floor is about: labels, weights, conflicts and adversary, of two classes or of many."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from lossfloor._types import Integers
from lossfloor.adversaries import Adversary
from lossfloor.weights import IntegerWeights

#: X and y as the user gave them, and the adversary.
Source = tuple[Any, Any, Adversary]


@dataclasses.dataclass(frozen=True)
class About:
    """What a floor is about.

    Attributes
    ----------
    classes : ndarray, shape (k,)
        The labels.
    codes : ndarray of integers, shape (n,)
        Position of each example's label in `classes`.
    weights : IntegerWeights
    degrees : ndarray of int64, shape (n,)
        Number of examples that each one conflicts with.
    adversary : mapping
        Its configuration.
    seconds : mapping
        What each stage took.
    source : tuple or None
        The data and the adversary, where they are at hand.
    """

    classes: npt.NDArray[Any]
    codes: npt.NDArray[Any]
    weights: IntegerWeights
    degrees: Integers
    adversary: Mapping[str, Any]
    seconds: Mapping[str, float]
    source: Source | None = None
