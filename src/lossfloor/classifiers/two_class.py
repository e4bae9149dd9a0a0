r"""The classifier that achieves the floor, as a scikit-learn estimator.

Let :math:`\pi(u)` be the conflict posterior of training example u (the probability of the first class), and

.. math:: \mathrm{low}(z) = \max \{\pi(u) : u \in A, z \in N(u)\}, \qquad
          \mathrm{up}(z) = \min \{\pi(v) : v \in B, z \in N(v)\},

0 and 1 where none covers z.  Examples u and v that both cover z conflict, so :math:`\pi(u) \le \pi(v)` and the
interval is never empty.  A classifier with :math:`\mathrm{low} \le h \le \mathrm{up}` keeps on every training example,
wherever it is moved, at least the probability that the floor allows it: it reaches the floor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils import Tags
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from lossfloor import losses
from lossfloor._checks import must
from lossfloor.adversaries import Adversary
from lossfloor.classifiers import nearness
from lossfloor.classifiers._base import FloorEstimator, as_adversary, rows_of
from lossfloor.classifiers.coverage import Doubles, Positions, Side, first_cover
from lossfloor.classifiers.new_examples import NewExamples, candidates, first_around, first_met
from lossfloor.floors import two_class_floor


class FloorClassifier(FloorEstimator):
    r"""The classifier whose robust loss on the training data is the floor: no classifier has a smaller one.

    The probability of the first class at any point z may be anything in an interval that the training examples
    covering z allow: those whose neighbourhood has z in it.  It runs from the largest posterior among those of the
    first class (0 if there is none) to the smallest posterior among those of the second class (1 if there is none).

    Parameters
    ----------
    adversary : Adversary, optional
        The adversary, such as ``lossfloor.L2(4.6, unit=255)``; with a budget of its own for
        each training example if necessary.  None means no moves, ``lossfloor.L2(0)``.
    choice : {"middle", "lower", "upper", "nearest"}, default "middle"
        The probability in the interval [low, up]: an end, ``(low + up) / 2``, or
        ``low + (up - low) * b / (a + b)`` with a and b the distances from the nearest training example of the first and
        of the second class (the middle if both are 0).  "nearest" needs an adversary that measures distances
        (`L2`, `L1`, `Linf`, `Lp`, `WeightedLp`, `Ellipsoid`).  All four are equally good on the training data; they
        differ most on points that no training example covers, where the interval is [0, 1].

    Attributes
    ----------
    classes_ : ndarray, shape (2,)
        The labels.
    floor_ : Floor
        The floor of the training data.
    n_features_in_ : int
        Number of features, where examples have any.
    adversary_ : Adversary
        The adversary in use.

    Notes
    -----
    Coverage of a point is decided exactly, as by `Adversary.contains`: a point that an attack moved to the very edge
    of a neighbourhood counts as covered.  Balls of l_p norms are compared in batches by the kernels that build the
    conflict graph; other adversaries are asked row by row.

    If some pairs of examples remain undecided (`Floor.status` is "bounds"), the posteriors are those of
    ``floor_.upper``, and the robust loss on the training data is at most its loss.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Lemma 1.

    Examples
    --------
    >>> import lossfloor as lf
    >>> classifier = FloorClassifier(lf.L1(1)).fit([[0], [1], [9]], [0, 1, 1])
    >>> classifier.predict_proba([[0.5], [9.5], [50]])
    array([[0.5, 0.5],
           [0. , 1. ],
           [0.5, 0.5]])
    >>> classifier.robust_loss(loss="brier"), classifier.floor_.brier
    ((0.16666666666666666, 0.16666666666666666), 0.16666666666666666)
    """

    CHOICES: ClassVar[tuple[str, ...]] = ("lower", "upper", "middle", "nearest")

    def __init__(self, adversary: Adversary | None = None, choice: str = "middle") -> None:
        self.adversary = adversary
        self.choice = choice

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve the floor of the training data.

        Parameters
        ----------
        X : array_like, shape (n, ...)
            Examples, as the adversary takes them; nothing is rescaled.
        y : array_like, shape (n,)
            Labels of two classes.
        sample_weight : array_like, shape (n,), optional
            Weights of the examples, at least 0.  Those of weight 0 are left out.

        Returns
        -------
        FloorClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is invalid; the message names it.
        """
        self.adversary_ = self._check_parameters()
        X, y, weights = self._training_data(X, y, sample_weight)
        self.classes_ = np.unique(y)
        self.floor_ = two_class_floor(X, y, self.adversary_, sample_weight=weights)
        data = self.adversary_.as_data(X, len(y))
        second = y == self.classes_[1]
        posterior = self.floor_.upper.posterior
        self._sides = (Side.of(data, ~second, posterior, 0.0), Side.of(data, second, posterior, 1.0))
        return self

    def _check_parameters(self) -> Adversary:
        adversary = super()._check_parameters()
        if self.choice == "nearest" and adversary.gauge_ball is None:
            raise ValueError(must("choice", "another than 'nearest' where no distance is defined", self.choice))
        return adversary

    def _check_targets(self, y: npt.NDArray[Any]) -> None:
        super()._check_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")

    def predict_interval(self, X: Any) -> tuple[Doubles, Doubles]:
        """Return the interval of probabilities of ``classes_[0]`` that an optimal classifier may choose at each point.

        Parameters
        ----------
        X : array_like, shape (m, ...)
            Any points, not only training examples.

        Returns
        -------
        low, up : ndarray of float64, shape (m,)
            ``low <= up``; 0 and 1 where no training example covers the point.

        Examples
        --------
        >>> import lossfloor as lf
        >>> FloorClassifier(lf.L1(1)).fit([[0], [1], [9]], [0, 1, 1]).predict_interval([[-1], [1], [3], [9]])
        (array([0.5, 0.5, 0. , 0. ]), array([1. , 0.5, 1. , 0. ]))
        """
        points = self._points(X)
        first, second = self._ends(points)
        return first, second

    def _ends(self, points: Any) -> list[Doubles]:
        return [side.end(first_cover(self.adversary_, side, points)) for side in self._sides]

    def predict_proba(self, X: Any) -> Doubles:
        """Return the probabilities of the two classes at each point.

        Parameters
        ----------
        X : array_like, shape (m, ...)
            Any points, not only training examples.

        Returns
        -------
        ndarray of float64, shape (m, 2)
            Columns in the order of `classes_`.
        """
        points = self._points(X)
        low, up = self._ends(points)
        probability = self._chosen(low, up, lambda rows: nearness.share(self.adversary_, self._sides, points[rows]))
        return np.stack([probability, 1.0 - probability], axis=1)

    def _chosen(self, low: Doubles, up: Doubles, share: Callable[[Positions], Doubles]) -> Doubles:
        """Choose in the interval; monotone in both ends and in the share, asked for where there is a choice."""
        if self.choice == "lower":
            return low
        if self.choice == "upper":
            return up
        if self.choice == "middle":
            return (low + up) / 2
        chosen, rows = low.copy(), np.flatnonzero(low < up)
        if len(rows):
            chosen[rows] = np.clip(low[rows] + (up[rows] - low[rows]) * share(rows), low[rows], up[rows])
        return chosen

    # The loss under attack.

    def robust_loss(
        self, X: Any = None, y: Any = None, loss: Any = "cross-entropy", *, adversary: Adversary | None = None
    ) -> tuple[float, float]:
        r"""Bound the loss of this classifier when every example is moved to where it hurts most.

        Parameters
        ----------
        X, y : array_like, shape (m, ...) and (m,), optional
            New examples and their labels.  By default the training data, with its weights.
        loss : Loss, str or callable, default "cross-entropy"
            As for `Floor.loss`: a function of the probability kept on the true class.  "zero-one" is the error of a
            classifier that draws its answer from its probabilities.
        adversary : Adversary, optional
            Adversary for the new examples, with the same norm as in training; required if each training example had a
            budget of its own.

        Returns
        -------
        lower, upper : float
            Bounds of the mean loss.  On the training data they are the same number, the floor for every strictly proper
            loss; if the floor has bounds only, they are these.

        Raises
        ------
        TypeError, ValueError
            If an argument is invalid.

        Notes
        -----
        On the training data the worst probability kept on an example is its `Floor.correct_probability`, whatever the
        choice in the interval: it cannot be less by the definition of the interval, and if it were more anywhere, the
        classifier would beat the floor.

        A new example x of the first class may be moved to any z in N(x).  There

        - ``up(z)`` is at least the smallest posterior of all training examples of the second class whose neighbourhoods
          meet N(x), since no other example can cover any z;
        - ``low(z)`` is at least the largest posterior of those of the first class whose balls hold all of N(x) (for
          balls of l_p norms and a shared radius of the new examples; otherwise 0 is taken);
        - with "nearest", the share ``b / (a + b)`` is at least that with a and b changed by the radius for the worse.

        That bounds the probability kept on x from below, hence the loss from above.  It is bounded from below by
        trying points of N(x): x itself, and points shared with the training example of the other class that binds most
        among those that can meet it, half-way and as far as x may go.  Examples of the second class are treated alike,
        with the roles exchanged.  The upper bound is infinite for cross-entropy if some new example may, for all this
        knows, be moved to a point where the choice gives its class the probability 0.
        """
        check_is_fitted(self)
        chosen = losses.resolve(loss)
        if X is None and y is None:
            return self._training_loss(chosen)
        if X is None or y is None:
            raise ValueError(must("y" if y is None else "X", "given together with the other", None))
        moving = self._mover(adversary)
        points = self._points(X)
        if not self._takes_vectors:
            points = moving.as_data(points, len(points))
        labels = np.asarray(y)
        if labels.shape != (len(points),):
            raise ValueError(must("y", f"of shape ({len(points)},), one label per example", f"shape {labels.shape}"))
        strange = ~np.isin(labels, self.classes_)
        if strange.any():
            raise ValueError(must("y", f"made of {self.classes_.tolist()}", labels[strange][0]))
        second = labels == self.classes_[1]
        worst, tried = np.empty(len(points)), np.empty(len(points))
        for code, of_class in enumerate((~second, second)):
            positions = np.flatnonzero(of_class)
            if len(positions):
                worst[positions], tried[positions] = self._kept(
                    NewExamples(moving, rows_of(points, positions), positions), code
                )
        return float(chosen(tried, second).mean()), float(chosen(worst, second).mean())

    def _training_loss(self, loss: losses.Loss) -> tuple[float, float]:
        found = self.floor_
        second = found.upper.certificate.codes == 1
        weights = found.certificate.weight / int(found.certificate.weight.sum())
        kept = loss(found.upper.correct_probability, second)
        upper = float((weights * kept).sum())
        return (upper if found.status == "exact" else found.loss(loss)), upper

    def _mover(self, adversary: Adversary | None) -> Adversary:
        """Return who moves new examples."""
        trained = self.adversary_
        if adversary is None:
            if len(getattr(trained, "eps", (0,))) > 1:
                raise ValueError(must("adversary", "given, since each training example had a budget of its own", None))
            return trained
        ball, other = trained.norm_ball, as_adversary(adversary).norm_ball
        alike = ball is not None and other is not None and (ball.order, ball.unit) == (other.order, other.unit)
        if not alike and adversary != trained:
            raise ValueError(must("adversary", f"of the same norm and unit as {trained!r}", adversary))
        return adversary

    def _kept(self, new: NewExamples, code: int) -> tuple[Doubles, Doubles]:
        """Bound the probability kept on new examples of one class: from below, and by points that were tried."""
        own, other = self._sides[code], self._sides[1 - code]
        binding = first_met(self.adversary_, other, new)
        ends = [own.end(first_around(self.adversary_, own, new)), other.end(binding)]
        low, up = (ends[0], np.maximum(*ends)) if code == 0 else (np.minimum(*ends), ends[0])

        def share(rows: Positions) -> Doubles:
            return nearness.worst_share(self.adversary_, self._sides, new.some(rows), code)

        probability = self._chosen(low, up, share)
        worst = probability if code == 0 else 1.0 - probability
        if self.choice == "nearest":
            worst = np.maximum(worst - 1e-12, 0.0)  # for the rounding of the shares
        tried = np.ones(len(worst))
        for rows, points in candidates(self.adversary_, new, other, binding):
            if len(rows):
                tried[rows] = np.minimum(tried[rows], self.predict_proba(points)[:, code])
        return worst, np.maximum(tried, worst)
