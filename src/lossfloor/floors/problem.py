"""What a floor is asked of: examples, labels, weights and an adversary, checked once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from lossfloor._checks import as_labels, must
from lossfloor._types import Integers, Positions
from lossfloor.adversaries import Adversary
from lossfloor.floors.about import About, Source
from lossfloor.weights import IntegerWeights, as_integers


@dataclasses.dataclass(frozen=True)
class Problem:
    """Examples, labels, weights and an adversary.

    Attributes
    ----------
    classes : ndarray, shape (k,)
        The labels.
    codes : ndarray of intp, shape (n,)
        Position of each example's label in `classes`.
    weights : IntegerWeights
    adversary : Adversary
    data : object
        The examples as ``adversary.as_data`` returned them.
    X, y : object
        As the user gave them; None if nobody will ask for them again.
    """

    classes: npt.NDArray[Any]
    codes: Positions
    weights: IntegerWeights
    adversary: Adversary
    data: Any = None
    X: Any = None
    y: Any = None

    @classmethod
    def read(cls, X: Any, y: Any, adversary: Adversary, sample_weight: Any) -> Problem:
        """Check the arguments of `lossfloor.floor`.

        Raises
        ------
        TypeError, ValueError
            If one is not what it must be; the message names it.
        """
        if not isinstance(adversary, Adversary):
            raise TypeError(must("adversary", "an adversary, such as lossfloor.L2(0.5)", adversary))
        classes, codes = as_labels("y", y)
        data = adversary.as_data(X, len(codes))
        return cls(classes, codes, as_integers(sample_weight, len(codes)), adversary, data, X, y)

    @property
    def source(self) -> Source | None:
        """The data as the user gave them, and the adversary, for `verify` and `attack`."""
        return None if self.y is None else (self.X, self.y, self.adversary)

    def about(self, codes: npt.NDArray[Any], degrees: Integers, seconds: Mapping[str, float]) -> About:
        """Return what a floor of this problem is about, with codes of the type that it stores."""
        config = self.adversary.config()
        return About(self.classes, codes, self.weights, degrees, config, seconds, self.source)

    def against(self, adversary: Adversary) -> Problem:
        """Return the same examples against another adversary."""
        return dataclasses.replace(self, adversary=adversary, data=adversary.as_data(self.X, len(self.codes)))

    def with_labels(self, y: Any) -> Problem:
        """Return the same examples with other labels."""
        classes, codes = as_labels("y", y)
        return dataclasses.replace(self, classes=classes, codes=codes, y=y)
