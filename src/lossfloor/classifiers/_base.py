"""What the classifiers have in common: arguments checked, and the most probable class."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lossfloor._checks import as_points, must, one_of
from lossfloor.adversaries import L2, Adversary
from lossfloor.classifiers.coverage import Doubles, Positions


def as_adversary(adversary: Any) -> Adversary:
    """Check that an argument is an adversary that knows points."""
    if not isinstance(adversary, Adversary):
        raise TypeError(must("adversary", "an adversary, such as lossfloor.L2(0.5)", adversary))
    if not adversary.knows_points:
        raise TypeError(must("adversary", "one that knows points", f"{adversary!r}, which knows none"))
    return adversary


def rows_of(X: Any, positions: Positions) -> Any:
    """Return some of the examples."""
    return X[positions] if hasattr(X, "shape") else [X[i] for i in positions]


class FloorEstimator(ClassifierMixin, BaseEstimator, abc.ABC):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier made of a floor: its parameters `adversary` and `choice`, its data and points are checked here."""

    #: What `choice` may be.
    CHOICES: ClassVar[tuple[str, ...]]

    adversary: Any
    choice: str
    adversary_: Adversary
    classes_: npt.NDArray[Any]

    def _check_parameters(self) -> Adversary:
        """Check `choice` and `adversary` and return the adversary in use."""
        one_of("choice", self.choice, self.CHOICES)
        return L2(0) if self.adversary is None else as_adversary(self.adversary)

    @property
    def _takes_vectors(self) -> bool:
        """Whether examples are rows of numbers, which scikit-learn's rules apply to; else the adversary checks them."""
        return self.adversary_.takes_vectors

    def _training_data(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any] | None]:
        """Check the data and leave out the examples of weight zero."""
        if self._takes_vectors:
            X, y = validate_data(self, _flat(X), y)
        elif isinstance(X, np.ndarray) and X.ndim == 2:
            self.n_features_in_ = X.shape[1]
        y = np.asarray(y)
        self._check_targets(y)
        if sample_weight is None:
            return X, y, None
        weights = np.asarray(sample_weight)
        if weights.shape != np.shape(y):
            raise ValueError(must("sample_weight", f"of shape {np.shape(y)}", f"shape {weights.shape}"))
        kept = np.flatnonzero(weights != 0)
        if len(kept) == 0:
            raise ValueError(must("sample_weight", "above zero for some examples", "weights that are all zero"))
        return (X, y, weights) if len(kept) == len(y) else (rows_of(X, kept), y[kept], weights[kept])

    def _check_targets(self, y: npt.NDArray[Any]) -> None:
        """Check that labels are those of a classification."""
        check_classification_targets(y)

    def _points(self, X: Any) -> Any:
        """Check points to be classified."""
        check_is_fitted(self)
        one_of("choice", self.choice, self.CHOICES)  # it may have been set anew since fitting
        if self._takes_vectors:
            return as_points("X", validate_data(self, _flat(X), reset=False))
        return X if hasattr(X, "__len__") else list(X)

    @abc.abstractmethod
    def predict_proba(self, X: Any) -> Doubles:
        """Return the probabilities of the classes at each point, in the order of `classes_`."""

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class at each point, the first one where several are equally probable.

        Parameters
        ----------
        X : array_like, shape (m, ...)

        Returns
        -------
        ndarray, shape (m,)
        """
        probabilities = self.predict_proba(X)  # complains first if there was no fit
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])


def _flat(X: Any) -> Any:
    """Make each example one row where examples have more than one dimension."""
    return X.reshape(len(X), -1) if isinstance(X, np.ndarray) and X.ndim > 2 and len(X) else X
