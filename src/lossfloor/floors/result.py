"""The face of a floor: what those of two classes and of many have in common, and what callers may ask of either.

A caller that prints, saves, verifies or draws a floor asks this face and never which kind it is.
"""

from __future__ import annotations

import abc
import json
import os
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor import losses
from lossfloor._checks import as_fraction, must
from lossfloor._files import write_arrays
from lossfloor._types import Doubles, Integers
from lossfloor.adversaries import Adversary, from_config
from lossfloor.exceptions import CertificateError
from lossfloor.floors.about import About
from lossfloor.reporting.numbers import short_bounds
from lossfloor.reporting.tables import as_frame, html_fields

if TYPE_CHECKING:
    import pandas as pd


#: The format of files of soft labels.
_SOFT_LABELS_FORMAT = "lossfloor-soft-labels-1"


class BaseFloor(abc.ABC):
    """What the floors of two classes and of many have in common.

    Attributes
    ----------
    classes : ndarray, shape (k,)
        The labels.
    weights_exact : bool
        Whether the integer weights are exactly proportional to the given weights.
    seconds : dict
        Wall-clock seconds per stage.
    """

    #: The format of files, and its version.
    FORMAT: ClassVar[str]
    #: The losses that printers show.
    SHOWN: ClassVar[tuple[str, ...]] = ("cross_entropy", "zero_one", "brier")

    def __init__(self, about: About) -> None:
        self.classes = about.classes
        self.seconds = dict(about.seconds)
        self.weights_exact = about.weights.exact
        self._codes = about.codes
        self._weight = about.weights.values
        self._degrees = about.degrees
        self._adversary = dict(about.adversary)
        self._source = about.source

    # The losses.

    @property
    @abc.abstractmethod
    def status(self) -> str:
        """How the numbers are proved: "exact" or "bounds"."""

    @property
    @abc.abstractmethod
    def upper(self) -> Any:
        """The upper bounds, with the same named losses."""

    @abc.abstractmethod
    def _lower_bound(self, loss: losses.Loss, costs: Mapping[Any, Fraction] | None) -> float:
        """Return the proved lower bound of a loss."""

    @abc.abstractmethod
    def _upper_bound(self, loss: losses.Loss, costs: Mapping[Any, Fraction] | None) -> float:
        """Return a loss that some classifier reaches."""

    def loss(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> float:
        """Return the proved lower bound of any loss: the smallest loss itself if `status` is "exact".

        Parameters
        ----------
        loss : Loss, str or callable
            A loss of `lossfloor.losses`, its name, or any convex decreasing function of the probability q that a
            classifier keeps on the true class (a vectorised function on [0, 1], finite above 0).  For more than two
            classes it has to be convex.
        costs : mapping, optional
            A positive cost per class label that multiplies the loss of its examples.

        Returns
        -------
        float
            Weighted mean over the examples.

        Raises
        ------
        TypeError, ValueError
            If the loss is unknown, increasing or not convex, or `costs` does not list every class.

        Examples
        --------
        >>> import lossfloor as lf
        >>> result = lf.floor([[0.0], [1.0]], [0, 1], lf.L2(1))
        >>> round(result.loss("spherical"), 12)
        0.292893218813
        >>> round(result.loss(lambda q: (1 - q) ** 3), 9)
        0.125
        >>> result.loss("zero-one", costs={0: 1, 1: 3})
        0.5
        """
        return self._lower_bound(losses.resolve(loss), self._costs(costs))

    def bounds(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> tuple[float, float]:
        """Return proved lower and upper bounds on the smallest robust loss; equal if exact.

        Parameters
        ----------
        loss, costs
            As for `loss`.

        Examples
        --------
        >>> import lossfloor as lf
        >>> lf.floor([[0.0], [1.0]], [0, 1], lf.L2(1)).bounds("zero-one")
        (0.5, 0.5)
        """
        chosen, factors = losses.resolve(loss), self._costs(costs)
        return self._lower_bound(chosen, factors), self._upper_bound(chosen, factors)

    @property
    def cross_entropy(self) -> float:
        """Smallest robust cross-entropy in nats, mean over the weighted examples: a proved lower bound of it."""
        return self.loss(losses.CrossEntropy())

    @property
    def zero_one(self) -> float:
        """Smallest robust 0-1 loss (error) of a randomised classifier, likewise."""
        return self.loss(losses.ZeroOne())

    @property
    def brier(self) -> float:
        """Smallest robust Brier loss ``(1 - q)**2``, likewise."""
        return self.loss(losses.Brier())

    def main_losses(self) -> dict[str, float]:
        """Return the cross-entropy, the 0-1 loss and the Brier loss by their names."""
        return {"cross_entropy": self.cross_entropy, "zero_one": self.zero_one, "brier": self.brier}

    def _costs(self, costs: Mapping[Any, Any] | None) -> dict[Any, Fraction] | None:
        """Check costs of the classes; return them in the order of the classes."""
        if costs is None:
            return None
        known = self.labels()
        if set(costs) != set(known):
            raise ValueError(must("costs", f"a cost for each of the classes {known}", dict(costs)))
        values = {label: as_fraction("costs", costs[label]) for label in known}
        for label, value in values.items():
            if value <= 0:
                raise ValueError(must("costs", "positive", costs[label]) + f" for class {label!r}")
        return values

    # The examples.

    def labels(self) -> list[Any]:
        """Return the labels of the classes as plain Python objects."""
        return [plain(label) for label in self.classes]

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        return len(self._codes)

    @property
    def n_edges(self) -> int:
        """Number of pairs of examples in conflict."""
        return int(self._degrees.sum()) // 2

    @property
    def n_isolated(self) -> int:
        """Number of examples without conflicts."""
        return int(np.count_nonzero(self._degrees == 0))

    @property
    def n_per_class(self) -> list[int]:
        """Number of examples of each class, in the order of `classes`."""
        counts: list[int] = np.bincount(self._codes, minlength=len(self.classes)).tolist()
        return counts

    @property
    def degrees(self) -> Integers:
        """Number of examples that each one conflicts with, shape (n,)."""
        return self._degrees

    @property
    def codes(self) -> npt.NDArray[Any]:
        """Position of each example's label in `classes`, shape (n,)."""
        return self._codes

    @property
    def weight(self) -> Integers:
        """Integer weight of each example, shape (n,)."""
        return self._weight

    @property
    def adversary(self) -> dict[str, Any]:
        """Configuration of the adversary."""
        return dict(self._adversary)

    @property
    @abc.abstractmethod
    def correct_probability(self) -> Doubles:
        """Probability q that some classifier keeps on each example's true class, shape (n,)."""

    @abc.abstractmethod
    def soft_labels(self, min_correct: float = 0.0) -> Doubles:
        """Return class probabilities to train on, shape (n, k)."""

    @property
    def reached(self) -> BaseFloor:
        """The floor whose soft labels some classifier achieves: this one, or its upper one where that differs."""
        return self

    def save_soft_labels(self, path: str | os.PathLike[str], y: Any, *, min_correct: float = 0.0) -> None:
        """Write the soft labels that some classifier achieves to an .npz file, beside the labels.

        Parameters
        ----------
        path : str or path-like
        y : array_like, shape (n,)
            The labels.
        min_correct : float, default 0
            As for `soft_labels`.

        Raises
        ------
        ValueError
            If `min_correct` is not in [0, 1].
        OSError
            If the file cannot be written; then nothing is.
        """
        write_arrays(
            path,
            _SOFT_LABELS_FORMAT,
            soft_labels=self.reached.soft_labels(min_correct),
            classes=self.classes,
            labels=np.asarray(y),
            min_correct=np.array(min_correct),
        )

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `to_frame` has, by the names of its columns."""
        return {
            "label": self.classes[self._codes.astype(np.intp)],
            "weight": self._weight,
            "conflicts": self._degrees,
            **self._own_columns(),
            "correct_probability": self.correct_probability,
        }

    def _own_columns(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per example.

        Returns
        -------
        pandas.DataFrame
            Columns label, weight (integer), conflicts, correct_probability; for two classes block and posterior too.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        return as_frame(self.columns())

    # The data it was made from, or the same given again.

    def _given_for_proof(self, X: Any, y: Any, adversary: Adversary | None) -> tuple[Any, Any, Adversary | None]:
        """Return the data for `verify`, and the adversary where one is at hand."""
        by_matrix = self._adversary.get("name") == "precomputed"
        if self._source is None and (y is None or (X is None and not by_matrix)):
            raise ValueError(must("X", "given together with y, since this floor was read from a file", X))
        known = self._source or (None, None, None)
        adversary = adversary or known[2]
        if adversary is not None and not self._is_against(adversary):
            raise CertificateError(f"this floor is not one against {adversary!r}")
        return known[0] if X is None else X, known[1] if y is None else y, adversary

    def _given_for_attack(self, X: Any, adversary: Adversary | None) -> tuple[Any, Adversary]:
        """Return the data and the adversary for `attack`."""
        if self._source is None and X is None:
            raise ValueError(must("X", "given, since this floor was read from a file", X))
        known = self._source or (None, None, None)
        adversary = adversary or known[2] or from_config(self._adversary)
        if not self._is_against(adversary):
            raise ValueError(must("adversary", "that of this floor", adversary))
        return known[0] if X is None else X, adversary

    def _is_against(self, adversary: Adversary) -> bool:
        """Return whether an adversary is that of this floor.

        The digest of a matrix does not count: it may come in another type, and its entries are checked one by one.
        """
        configs = (adversary.config(), self._adversary)
        first, second = ({key: value for key, value in config.items() if key != "sha256"} for config in configs)
        return first == second

    # Out.

    @abc.abstractmethod
    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a file has of this floor alone."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the floor with its proof to an .npz file (no pickles; written whole or not at all).

        The data is not part of the file.  Of more than two classes, the cross-entropy and the 0-1 loss are solved if
        they have not been, and of other losses the Brier loss is written if it has.

        Raises
        ------
        OSError
            If it cannot be written; then nothing is.
        """
        write_arrays(path, self.FORMAT, **self._arrays())

    def _common_arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "degrees": self._degrees,
            "weights_exact": np.array(self.weights_exact),
            "seconds": np.array(json.dumps(self.seconds)),
        }

    @abc.abstractmethod
    def _own_summary(self) -> dict[str, Any]:
        """Return what `summary` has for this kind of floor alone; it may replace what all have."""

    def summary(self) -> dict[str, Any]:
        """Return the main results in a form JSON can represent (the keys of ``lossfloor floor --json``).

        If `status` is "bounds", the key "upper" holds the upper bounds of the losses.  Of more than two classes, the
        cross-entropy and the 0-1 loss are solved if they have not been.
        """
        return {
            "status": self.status,
            **{name: self.loss(name) for name in self.SHOWN},
            "classes": self.labels(),
            "n_examples": self.n_examples,
            "n_per_class": self.n_per_class,
            "n_edges": self.n_edges,
            "n_isolated": self.n_isolated,
            "weights_exact": self.weights_exact,
            "adversary": self._adversary,
            "seconds": self.seconds,
            **self._own_summary(),
        }

    def shown_losses(self) -> dict[str, tuple[float, float]]:
        """Return the bounds of the losses that printers show, by their names."""
        return {name: self.bounds(name) for name in self.SHOWN}

    def fields(self) -> dict[str, str]:
        """Return what else a printer shows, worded, by its name: the proof first."""
        times = ", ".join(f"{stage.replace('_', '-')} {value:.2f} s" for stage, value in self._times().items())
        return {**self._own_fields(), "no conflict": f"{self.n_isolated} examples", "time": times}

    @abc.abstractmethod
    def _own_fields(self) -> dict[str, str]:
        """Return the fields that tell of the proof and of the conflicts; "proof" is the first."""

    def _times(self) -> Mapping[str, float]:
        """Return the seconds that each stage took."""
        return self.seconds

    def remarks(self) -> list[str]:
        """Return what a user may have overlooked, worded."""
        return []

    def _repr_html_(self) -> str:
        shown = {name: losses.resolve(name) for name in self.SHOWN}
        fields = {loss.label: short_bounds(self.bounds(loss)) + f" {loss.unit}".rstrip() for loss in shown.values()}
        fields |= {"Proof": self.status, "Examples": f"{self.n_examples} ({self.n_isolated} without conflict)"}
        fields |= self._own_html_fields()
        fields["Classes"] = ", ".join(str(label) for label in self.classes)
        fields["Adversary"] = str(self._adversary_shown())
        return html_fields("Smallest robust loss of any classifier", fields)

    def _own_html_fields(self) -> dict[str, str]:
        return {"Pairs in conflict": str(self.n_edges)}

    def _adversary_shown(self) -> Any:
        if self._source is not None:
            return self._source[2]
        try:
            return from_config(self._adversary)
        except ValueError:  # made of a matrix or a function
            return self._adversary


class UpperBounds:
    """The upper bounds of a floor: losses that some classifier reaches.

    Attributes
    ----------
    cross_entropy, zero_one, brier : float
    """

    def __init__(self, floor: BaseFloor) -> None:
        self._floor = floor

    @property
    def cross_entropy(self) -> float:
        """Upper bound of the smallest robust cross-entropy, in nats."""
        return self.loss(losses.CrossEntropy())

    @property
    def zero_one(self) -> float:
        """Upper bound of the smallest robust 0-1 loss of a randomised classifier."""
        return self.loss(losses.ZeroOne())

    @property
    def brier(self) -> float:
        """Upper bound of the smallest robust Brier loss ``(1 - q)**2``."""
        return self.loss(losses.Brier())

    def loss(self, loss: Any, *, costs: Mapping[Any, Any] | None = None) -> float:
        """Return the upper bound of any convex loss."""
        return self._floor.bounds(loss, costs=costs)[1]


def plain(label: Any) -> Any:
    """Return a label as a plain Python object."""
    return label.item() if isinstance(label, np.generic) else label


def read_seconds(arrays: Mapping[str, npt.NDArray[Any]], name: str = "seconds") -> dict[str, Any]:
    """Read a JSON object that a file has, such as the seconds of each stage.

    Raises
    ------
    ValueError
        If it is something else.
    """
    try:
        values = json.loads(str(arrays[name][()])) if name in arrays else {}
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ValueError(must("path", f"a floor with its {name}", "a file with something else"))
    return values


def read_degrees(arrays: Mapping[str, npt.NDArray[Any]], n: int) -> Integers:
    """Read the number of conflicts of each example.

    Raises
    ------
    ValueError
        If a file has none for each of n examples.
    """
    degrees = arrays.get("degrees")
    if degrees is None or degrees.dtype != np.int64 or degrees.shape != (n,):
        raise ValueError(must("path", "a floor with the number of conflicts of each example", "a file without"))
    return degrees


def check_min_correct(min_correct: float) -> None:
    """Check the least probability of the own class in soft labels."""
    if not 0 <= min_correct <= 1:
        raise ValueError(must("min_correct", "between 0 and 1", min_correct))
