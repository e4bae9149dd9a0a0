r"""The classifier of any number of classes whose robust loss reaches the upper bound of the floor.

Let q be probabilities that satisfy every conflict (`MulticlassFloor.correct_probability`).  At a point z, class c gets

.. math:: h_c(z) = \max \{q_v : v \text{ of class } c, \; z \in N(v)\},

zero where none of its examples covers z.  The examples that reach these maxima all cover z, so they are in conflict and
their q sum to at most one; what is left of one is divided among the classes as one likes.  Hence a training example,
wherever it is moved, keeps at least its q.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lossfloor._checks import as_points, must, one_of
from lossfloor.adversaries import L2, Adversary, Precomputed
from lossfloor.adversaries.bodies import ConvexAdversary
from lossfloor.classifiers.two_class import Doubles, Side, first_cover, flat, with_weight
from lossfloor.floors import Floor, floor

CHOICES = ("even", "largest")


class MulticlassFloorClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    r"""The classifier of any number of classes whose robust loss on the training data is the upper bound of the floor.

    Parameters
    ----------
    adversary : Adversary, optional
        Who may move each example where, such as ``lossfloor.L2(2.5, unit=255)``; with a budget of its own for each
        training example if necessary.  None means no moves, ``lossfloor.L2(0)``.
    loss : Loss or str, default "cross-entropy"
        The loss whose upper bound it achieves.
    choice : {"even", "largest"}, default "even"
        How to distribute the probability the training examples leave free at a point: equally, or to the class that
        already has most there (equally where no class has any).  Both are equally good on the training data.
    gap : float, default 1e-4
    time_limit : float, optional
        As for `lossfloor.floor`.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
        The labels.
    floor_ : Floor or MulticlassFloor
        Of the training data.
    n_features_in_ : int
        Number of features, where examples have any.
    adversary_ : Adversary
        The adversary in use.

    See Also
    --------
    FloorClassifier : for two classes, with the whole interval of optimal answers and bounds on new data.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Lemma 1, here for conflicts of any number of examples.

    Examples
    --------
    >>> import lossfloor as lf
    >>> X = [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]
    >>> classifier = MulticlassFloorClassifier(lf.L2(1)).fit(X, ["a", "b", "c", "c"])
    >>> classifier.predict_proba([[0.0, 0.0], [9.0, 9.5]]).round(3)
    array([[0.333, 0.333, 0.333],
           [0.   , 0.   , 1.   ]])
    """

    def __init__(
        self,
        adversary: Adversary | None = None,
        loss: Any = "cross-entropy",
        choice: str = "even",
        gap: float = 1e-4,
        time_limit: float | None = None,
    ) -> None:
        self.adversary = adversary
        self.loss = loss
        self.choice = choice
        self.gap = gap
        self.time_limit = time_limit

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve the floor of the training data.

        Parameters
        ----------
        X : array_like, shape (n, ...)
            Examples, as the adversary takes them; nothing is rescaled.
        y : array_like, shape (n,)
            Labels of two classes or more.
        sample_weight : array_like, shape (n,), optional
            Positive weights.

        Returns
        -------
        MulticlassFloorClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what it must be; the message names it.
        """
        one_of("choice", self.choice, CHOICES)
        self.adversary_ = L2(0) if self.adversary is None else self.adversary
        if not isinstance(self.adversary_, Adversary):
            raise TypeError(must("adversary", "an adversary, such as lossfloor.L2(0.5)", self.adversary))
        if isinstance(self.adversary_, Precomputed):
            raise TypeError(must("adversary", "one that knows points", f"{self.adversary_!r}, which knows none"))
        if isinstance(self.adversary_, ConvexAdversary):
            X, y = validate_data(self, flat(X), y)
        check_classification_targets(y)
        X, y, weights = with_weight(X, np.asarray(y), sample_weight)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(must("y", "of at least two classes", "one class"))
        self.floor_ = floor(X, y, self.adversary_, sample_weight=weights, gap=self.gap, time_limit=self.time_limit)
        if isinstance(self.floor_, Floor):
            q = self.floor_.upper.correct_probability
        else:
            q = self.floor_.solution(self.loss).correct_probability
        data = self.adversary_.as_data(X, len(y))
        self._sides = []
        for label in self.classes_:
            index = np.flatnonzero(y == label)
            index = index[np.argsort(-q[index], kind="stable")]
            self._sides.append(Side(data[index], index, q[index], 0.0))
        return self

    def predict_proba(self, X: Any) -> Doubles:
        """Return the probabilities of the classes at each point.

        Parameters
        ----------
        X : array_like, shape (m, ...)
            Points, wherever they come from.

        Returns
        -------
        ndarray of float64, shape (m, k)
            Columns in the order of `classes_`; rows sum to one.
        """
        check_is_fitted(self)
        one_of("choice", self.choice, CHOICES)
        points: Any
        if isinstance(self.adversary_, ConvexAdversary):
            points = as_points("X", validate_data(self, flat(X), reset=False))
        else:
            points = X if hasattr(X, "__len__") else list(X)
        kept = np.stack([side.end(first_cover(self.adversary_, side, points)) for side in self._sides], axis=1)
        free = np.maximum(1.0 - kept.sum(axis=1), 0.0)
        if self.choice == "largest":
            share = (kept == kept.max(axis=1, keepdims=True)).astype(np.float64)
        else:
            share = np.ones_like(kept)
        answer: Doubles = kept + free[:, None] * share / share.sum(axis=1, keepdims=True)
        return answer

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
