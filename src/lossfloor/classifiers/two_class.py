r"""The classifier that achieves the floor, as a scikit-learn estimator.

Let :math:`\pi(u)` be the conflict posterior of training example u (the probability of the first class), and

.. math:: \mathrm{low}(z) = \max \{\pi(u) : u \in A, z \in N(u)\}, \qquad
          \mathrm{up}(z) = \min \{\pi(v) : v \in B, z \in N(v)\},

0 and 1 where none covers z.  Examples u and v that both cover z conflict, so :math:`\pi(u) \le \pi(v)` and the
interval is never empty.  A classifier with :math:`\mathrm{low} \le h \le \mathrm{up}` keeps on every training example,
wherever it is moved, at least the probability that the floor allows it: it reaches the floor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from lossfloor import exact, losses
from lossfloor._checks import as_points, must, one_of
from lossfloor.adversaries import L2, Adversary, BitRows, ConflictRows, NormBall, Precomputed
from lossfloor.adversaries.bodies import ConvexAdversary
from lossfloor.adversaries.gauges import GaugeBall
from lossfloor.attacks.two_class import between, pieces
from lossfloor.distances import PairSweep, Radii
from lossfloor.floors import two_class_floor

Doubles = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]

#: Examples that may be the nearest to a point, on average, up to which each is looked at by itself.
_MOST_CANDIDATES = 32

CHOICES = ("lower", "upper", "middle", "nearest")


@dataclasses.dataclass(frozen=True)
class Side:
    """The training examples of one class, those that bind most first.

    Attributes
    ----------
    data : object
        The examples, as the adversary takes them.
    index : ndarray of intp
        Their positions in the training data.
    posterior : ndarray of float64
        Descending for the first class, ascending for the second.
    free : float
        What the end of the interval is where none of them covers a point.
    """

    data: Any
    index: Positions
    posterior: Doubles
    free: float

    def end(self, first: Positions) -> Doubles:
        """Return the end of the interval that the first example covering a point sets (-1 for none)."""
        return np.where(first >= 0, self.posterior[first], self.free)


class FloorClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
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
            If an argument is not what it must be; the message names it.
        """
        self.adversary_ = self._adversary()
        X, y = self._training_data(X, y)
        X, y, weights = with_weight(X, y, sample_weight)
        self.classes_ = np.unique(y)
        self.floor_ = two_class_floor(X, y, self.adversary_, sample_weight=weights)
        data = self.adversary_.as_data(X, len(y))
        second = y == self.classes_[1]
        posterior = self.floor_.upper.posterior
        sides = []
        for members, order, free in ((~second, -posterior, 0.0), (second, posterior, 1.0)):
            positions = np.flatnonzero(members)
            index = positions[np.argsort(order[positions], kind="stable")]
            sides.append(Side(data[index], index, posterior[index], free))
        self._sides = tuple(sides)
        return self

    def _adversary(self) -> Adversary:
        one_of("choice", self.choice, CHOICES)
        if self.adversary is None:
            return L2(0)
        if not isinstance(self.adversary, Adversary):
            raise TypeError(must("adversary", "an adversary, such as lossfloor.L2(0.5)", self.adversary))
        if isinstance(self.adversary, Precomputed):
            raise TypeError(must("adversary", "one that knows points", f"{self.adversary!r}, which knows none"))
        if self.choice == "nearest" and not isinstance(self.adversary, GaugeBall):
            raise ValueError(must("choice", "another than 'nearest' where no distance is defined", self.choice))
        return self.adversary

    def _training_data(self, X: Any, y: Any) -> tuple[Any, npt.NDArray[Any]]:
        """Check the data: by scikit-learn's rules where examples are rows of numbers, else the adversary does."""
        if isinstance(self.adversary_, ConvexAdversary):
            X, y = validate_data(self, flat(X), y)
        else:
            y = np.asarray(y)
            if isinstance(X, np.ndarray) and X.ndim == 2:
                self.n_features_in_ = X.shape[1]
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        return X, y

    def _points(self, X: Any) -> Any:
        """Check points to be classified."""
        check_is_fitted(self)
        one_of("choice", self.choice, CHOICES)  # it may have been set anew since fitting
        if isinstance(self.adversary_, ConvexAdversary):
            return as_points("X", validate_data(self, flat(X), reset=False))
        return X if hasattr(X, "__len__") else list(X)

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
            Points, wherever they come from.

        Returns
        -------
        ndarray of float64, shape (m, 2)
            Columns in the order of `classes_`.
        """
        points = self._points(X)
        low, up = self._ends(points)
        probability = self._chosen(low, up, lambda rows: self._nearness(points[rows]))
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

    def _nearness(self, points: npt.NDArray[Any]) -> Doubles:
        """Return ``b / (a + b)`` with the distances of the nearest examples of either class."""
        a, b = self._nearest(points)
        both = a + b
        return np.where(both > 0, b / np.where(both > 0, both, 1.0), 0.5)

    def _nearest(self, points: npt.NDArray[Any]) -> list[Doubles]:
        """Return the distance from the nearest training example of each class, in units of the data, rounded."""
        ball = self.adversary_
        if not isinstance(ball, GaugeBall):
            raise TypeError(must("adversary", "one that measures distances", ball))
        if isinstance(ball, NormBall) and ball.order == 2:
            return [_least_distances(points, side.data) for side in self._sides]
        return [
            np.concatenate(
                [ball.gauges(points[piece], side.data)[1].min(axis=1) for piece in pieces(len(points), len(side.data))]
            )
            for side in self._sides
        ]

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the more probable class at each point, the first one where they are equally probable.

        Parameters
        ----------
        X : array_like, shape (m, ...)

        Returns
        -------
        ndarray, shape (m,)
        """
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

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
            If an argument is not what it must be.

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
        if not isinstance(moving, ConvexAdversary):
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
                worst[positions], tried[positions] = self._kept(_New(moving, _rows(points, positions), positions), code)
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
        alike = (
            isinstance(adversary, NormBall)
            and isinstance(trained, NormBall)
            and (adversary.order == trained.order and adversary.unit == trained.unit)
        )
        if not alike and adversary != trained:
            raise ValueError(must("adversary", f"of the same norm and unit as {trained!r}", adversary))
        return adversary

    def _kept(self, new: _New, code: int) -> tuple[Doubles, Doubles]:
        """Bound the probability kept on new examples of one class: from below, and by points that were tried."""
        own, other = self._sides[code], self._sides[1 - code]
        binding = _first_met(self.adversary_, other, new)
        ends = [own.end(_first_around(self.adversary_, own, new)), other.end(binding)]
        low, up = (ends[0], np.maximum(*ends)) if code == 0 else (np.minimum(*ends), ends[0])

        def share(rows: Positions) -> Doubles:
            return self._worst_nearness(new.some(rows), code)

        probability = self._chosen(low, up, share)
        worst = probability if code == 0 else 1.0 - probability
        if self.choice == "nearest":
            worst = np.maximum(worst - 1e-12, 0.0)  # for the rounding of the shares
        tried = np.ones(len(worst))
        for rows, candidates in self._candidates(new, other, binding):
            if len(rows):
                tried[rows] = np.minimum(tried[rows], self.predict_proba(candidates)[:, code])
        return worst, np.maximum(tried, worst)

    def _worst_nearness(self, new: _New, code: int) -> Doubles:
        """Bound the share of "nearest" over all points that examples may be moved to, for the worse of the class."""
        a, b = self._nearest(new.data)
        radius = np.array([float(value) for value in new.radii()])
        # Far above the rounding of the distances, which for l2 may go by products.
        largest = max(
            float(np.abs(part.astype(np.float64)).max()) for part in (new.data, *(s.data for s in self._sides))
        )
        slack = 1e-5 * largest * new.data.shape[1] ** 0.5 + radius * 1e-9
        reach = radius + slack
        sign = 1.0 if code == 0 else -1.0
        a, b = np.maximum(a + sign * reach, 0.0), np.maximum(b - sign * reach, 0.0)
        both = a + b
        return np.where(both > 0, b / np.where(both > 0, both, 1.0), 0.0 if code == 0 else 1.0)

    def _candidates(self, new: _New, other: Side, binding: Positions) -> Iterator[tuple[Positions, Any]]:
        """Yield points of the neighbourhoods of some new examples: (which examples, points)."""
        everyone = np.arange(len(binding))
        met = np.flatnonzero(binding >= 0)
        if not isinstance(self.adversary_, GaugeBall):
            if isinstance(new.data, np.ndarray):
                still = np.flatnonzero(new.mover.contains(new.data, new.data))
                yield still, new.data[still]
            for i in met.tolist():
                point = _meeting(new.mover, new.data[i], other.data[binding[i]])
                if point is not None:
                    yield np.array([i]), _one(point)
            return
        yield everyone, new.data
        ball, goals = self.adversary_, binding[met]
        starts, ends = new.data[met], other.data[goals]
        radii, others = [new.radii()[i] for i in met.tolist()], _radii(ball, other, goals)
        double = np.dtype(np.float64)
        points, inside = between(ball, starts, ends, radii, others, double)
        yield met[inside], points[inside]
        gauges = [ball.gauges(starts[i : i + 1], ends[i : i + 1])[1][0, 0] for i in range(len(met))]
        farthest = np.array(
            [min(1.0, float(r) / g) if g > 0 else 0.0 for r, g in zip(radii, gauges, strict=True)], dtype=np.float64
        )
        points, inside = between(ball, starts, ends, radii, others, double, shares=farthest * (1 - 1e-12))
        yield met[inside], points[inside]


@dataclasses.dataclass(frozen=True)
class _New:
    """New examples of one class and who moves them."""

    mover: Adversary
    data: Any
    positions: Positions

    def some(self, rows: Positions) -> _New:
        """Return some of them."""
        return _New(self.mover, self.data[rows], self.positions[rows])

    def radii(self) -> Sequence[Fraction]:
        """Return the radius of each in units of the data."""
        if not isinstance(self.mover, GaugeBall):
            raise TypeError(must("adversary", "a ball of a norm", self.mover))
        radii = self.mover.radii(len(self.positions), self.positions)
        return radii if len(radii) == len(self.positions) else radii * len(self.positions)


def with_weight(
    X: Any, y: npt.NDArray[Any], sample_weight: Any
) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Leave out the examples of weight zero."""
    if sample_weight is None:
        return X, y, None
    weights = np.asarray(sample_weight)
    if weights.shape != np.shape(y):
        raise ValueError(must("sample_weight", f"of shape {np.shape(y)}", f"shape {weights.shape}"))
    kept = np.flatnonzero(weights != 0)
    if len(kept) == 0:
        raise ValueError(must("sample_weight", "above zero for some examples", "weights that are all zero"))
    return (X, y, weights) if len(kept) == len(y) else (_rows(X, kept), y[kept], weights[kept])


def flat(X: Any) -> Any:
    """Make each example one row where examples have more than one dimension."""
    return X.reshape(len(X), -1) if isinstance(X, np.ndarray) and X.ndim > 2 and len(X) else X


def _rows(X: Any, positions: Positions) -> Any:
    return X[positions] if hasattr(X, "shape") else [X[i] for i in positions]


def _one(point: Any) -> Any:
    """Return a sequence with one point in it."""
    return point[None] if isinstance(point, np.ndarray) else [point]


def _meeting(adversary: Adversary, x: Any, v: Any) -> Any | None:
    """Return a common point, or None where none was found."""
    both = np.stack([x, v]) if isinstance(x, np.ndarray) and isinstance(v, np.ndarray) else [x, v]
    try:
        return adversary.meet(both)
    except ArithmeticError:
        return None


def _radii(ball: GaugeBall, side: Side, chosen: Positions | None = None) -> tuple[Fraction, ...]:
    """Return the radii of training examples, one each."""
    index = side.index if chosen is None else side.index[chosen]
    radii = ball.radii(len(index), index)
    return radii if len(radii) == len(index) else radii * len(index)


def _first_bits(bits: npt.NDArray[np.uint64]) -> Positions:
    """Return the position of the first bit that is set in each row, -1 where none is."""
    word = (bits != 0).argmax(axis=1)
    value = bits[np.arange(len(bits)), word]
    lowest = value & (~value + np.uint64(1))
    return np.where(value != 0, 64 * word + np.bitwise_count(lowest - np.uint64(1)), -1).astype(np.intp)


def _first_true(flags: npt.NDArray[np.bool_]) -> Positions:
    return np.where(flags.any(axis=1), flags.argmax(axis=1), -1).astype(np.intp)


def _first_within(
    order: exact.Order, points: npt.NDArray[Any], side: Side, left: Sequence[Fraction], right: Sequence[Fraction]
) -> Positions:
    """Return for each point the first example of a side within the sum of their radii, -1 for none."""
    radii = Radii(tuple(left), tuple(right))
    data = side.data
    if points.dtype.kind == "f" and data.dtype.kind in "iu" and 2 * data.dtype.itemsize <= points.dtype.itemsize:
        data = data.astype(points.dtype)  # without rounding; the sweep is faster on one dtype
    swept = PairSweep(order, points, data).within(radii)
    return np.concatenate([_first_bits(bits) for _, _, bits in swept])


def _least_distances(points: npt.NDArray[Any], data: npt.NDArray[Any]) -> Doubles:
    """Return the Euclidean distance of each point from the nearest of some examples, rounded as doubles are.

    A pass in single precision leaves a few examples that may be the nearest, by a bound of its rounding; their
    distances are computed from differences in double precision.
    """
    x, y = points.astype(np.float64), data.astype(np.float64)
    centre = y.mean(axis=0)
    scale = max(float(np.abs(x - centre).max()), float(np.abs(y - centre).max())) or 1.0
    xs, ys = (((side - centre) / scale).astype(np.float32) for side in (x, y))
    d = x.shape[1]
    xx, yy = (np.einsum("ij,ij->i", side, side) for side in (xs, ys))
    margin = 8 * (d + 16) * 2.0**-24 * (xx + yy.max())  # for the rounding of two sums of d products and of their terms
    answer = np.empty(len(x))
    for piece in pieces(len(x), len(y)):
        squares = xs[piece] @ ys.T
        squares *= -2
        squares += yy
        rows, columns = np.nonzero(squares <= (squares.min(axis=1) + margin[piece])[:, None])
        if len(rows) > _MOST_CANDIDATES * len(squares):  # as many examples are all but equally near
            answer[piece] = pairwise_distances_argmin_min(x[piece], y)[1]
            continue
        least = np.full(len(squares), np.inf)
        for some in pieces(len(rows), d):
            steps = x[piece][rows[some]] - y[columns[some]]
            np.minimum.at(least, rows[some], np.linalg.norm(steps, axis=1))
        answer[piece] = least
    return answer


def first_cover(adversary: Adversary, side: Side, points: Any) -> Positions:
    """Return for each point the first example of a side whose neighbourhood has it, -1 for none."""
    if isinstance(adversary, NormBall):
        radii = adversary.radii(len(side.index), side.index)
        return _first_within(adversary.order, points, side, (Fraction(0),), radii)
    if isinstance(adversary, GaugeBall):
        return _first_cover_by_gauges(adversary, side, points)
    found = np.full(len(points), -1, dtype=np.intp)
    m = len(side.index)
    for i, z in enumerate(points):
        copies = np.broadcast_to(z, (m, *z.shape)) if isinstance(z, np.ndarray) else [z] * m
        covering = adversary.contains(side.data, copies, index=side.index)
        if covering.any():
            found[i] = covering.argmax()
    return found


def _first_cover_by_gauges(ball: GaugeBall, side: Side, points: npt.NDArray[Any]) -> Positions:
    radii = _radii(ball, side)
    brackets = np.array([exact.bracket(radius) for radius in radii])
    found = []
    for piece in pieces(len(points), len(radii)):
        low, high = ball.gauges(points[piece], side.data)
        covering = high <= brackets[:, 0]
        for i, j in np.argwhere(~covering & ~(low > brackets[:, 1])).tolist():
            covering[i, j] = ball.within(side.data[j], points[piece.start + i], radii[j])
        found.append(_first_true(covering))
    return np.concatenate(found)


def _first_met(trained: Adversary, side: Side, new: _New) -> Positions:
    """Return for each new example the first of a side whose neighbourhood can meet its own, -1 for none."""
    if isinstance(trained, NormBall) and isinstance(new.mover, NormBall):
        left = new.mover.radii(len(new.positions), new.positions)
        return _first_within(trained.order, new.data, side, left, trained.radii(len(side.index), side.index))
    return np.concatenate([_first_possible(rows) for rows in new.mover.conflicts(new.data, side.data)])


def _first_possible(rows: ConflictRows) -> Positions:
    """Return the first example that each row conflicts with for all that is known."""
    if isinstance(rows, BitRows):
        return _first_bits(rows.bits if rows.perhaps is None else rows.bits | rows.perhaps)
    none = np.iinfo(np.intp).max
    found = np.full(rows.stop - rows.start, none, dtype=np.intp)
    for targets, counts in ((rows.targets, rows.counts), *(() if rows.perhaps is None else (rows.perhaps,))):
        np.minimum.at(found, np.repeat(np.arange(len(counts)), counts), targets)
    return np.where(found == none, -1, found)


def _first_around(trained: Adversary, side: Side, new: _New) -> Positions:
    """Return for each new example the first of a side whose neighbourhood is known to hold its own, -1 for none."""
    found = np.full(len(new.positions), -1, dtype=np.intp)
    if not (isinstance(trained, NormBall) and isinstance(new.mover, NormBall) and len(new.mover.eps) == 1):
        return found
    # The ball of radius r around x lies in that of radius R around u if their distance is at most R - r.
    rooms = [radius - new.radii()[0] for radius in _radii(trained, side)]
    large = np.flatnonzero([room >= 0 for room in rooms])
    if len(large):
        part = Side(side.data[large], side.index[large], side.posterior[large], side.free)
        first = _first_within(trained.order, new.data, part, (Fraction(0),), [rooms[i] for i in large])
        found = np.where(first >= 0, large[first], -1)
    return found
