r"""The classifier of any number of classes whose robust loss reaches the upper bound of the floor.

Let q be probabilities that satisfy every conflict (`MulticlassFloor.correct_probability`).  At a point z, class c gets

.. math:: h_c(z) = \max \{q_v : v \text{ of class } c, \; z \in N(v)\},

zero where none of its examples covers z.  The examples that reach these maxima all cover z, so they are in conflict and
their q sum to at most one; what is left of one is divided among the classes as one likes.  Hence a training example,
wherever it is moved, keeps at least its q.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from lossfloor._checks import must
from lossfloor.adversaries import Adversary
from lossfloor.classifiers._base import FloorEstimator
from lossfloor.classifiers.coverage import Doubles, Side, first_cover
from lossfloor.floors import Floor, floor


class MulticlassFloorClassifier(FloorEstimator):
    r"""The classifier of any number of classes whose robust loss on the training data is the upper bound of the floor.

    Parameters
    ----------
    adversary : Adversary, optional
        The adversary, such as ``lossfloor.L2(2.5, unit=255)``; with a budget of its own for each
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

    CHOICES: ClassVar[tuple[str, ...]] = ("even", "largest")

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
            Labels of two or more classes.
        sample_weight : array_like, shape (n,), optional
            Positive weights.

        Returns
        -------
        MulticlassFloorClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is invalid; the message names it.
        """
        self.adversary_ = self._check_parameters()
        X, y, weights = self._training_data(X, y, sample_weight)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(must("y", "of at least two classes", "one class"))
        self.floor_ = floor(X, y, self.adversary_, sample_weight=weights, gap=self.gap, time_limit=self.time_limit)
        if isinstance(self.floor_, Floor):
            q = self.floor_.upper.correct_probability
        else:
            q = self.floor_.solution(self.loss).correct_probability
        data = self.adversary_.as_data(X, len(y))
        self._sides = [Side.of(data, y == label, q, 0.0) for label in self.classes_]
        return self

    def predict_proba(self, X: Any) -> Doubles:
        """Return the probabilities of the classes at each point.

        Parameters
        ----------
        X : array_like, shape (m, ...)
            Any points, not only training examples.

        Returns
        -------
        ndarray of float64, shape (m, k)
            Columns in the order of `classes_`; rows sum to one.
        """
        points = self._points(X)
        kept = np.stack([side.end(first_cover(self.adversary_, side, points)) for side in self._sides], axis=1)
        free = np.maximum(1.0 - kept.sum(axis=1), 0.0)
        if self.choice == "largest":
            share = (kept == kept.max(axis=1, keepdims=True)).astype(np.float64)
        else:
            share = np.ones_like(kept)
        answer: Doubles = kept + free[:, None] * share / share.sum(axis=1, keepdims=True)
        return answer
