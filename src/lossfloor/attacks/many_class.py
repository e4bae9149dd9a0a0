r"""The adversary's best mixed strategy for more than two classes, and the data that it makes.

The dual solution of a loss has a weight :math:`z_e` on each conflict e.  Example v goes to the common point of e with
the probability :math:`z_e / s_v`, where :math:`s_v` is the sum of z over its conflicts: at the optimum, the weights of
the classes that meet at the point of e are then such that the probabilities q are the best answer there (for the 0-1
loss, an example with :math:`s_v < w_v` stays where it is with the rest of its weight).

For any z, the result is a distribution the adversary can produce; so the smallest expected loss on it,
`PerturbedData.bayes_risk`, is a lower bound for every classifier, seen by looking at points and labels alone.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.adversaries import Adversary
from lossfloor.attacks.perturbed import PerturbedData, gathered
from lossfloor.attacks.two_class import ball_points, shape_of_rows, stay_point
from lossfloor.solvers.many.dual import Dual

Positions = npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Labels and weights of examples.

    Attributes
    ----------
    classes : ndarray, shape (k,)
    codes : ndarray of int32, shape (n,)
        Position of each example's label in `classes`.
    weight : ndarray of int64, shape (n,)
    """

    classes: npt.NDArray[Any]
    codes: npt.NDArray[np.int32]
    weight: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)


class MulticlassAttack:
    """An attack that no classifier of these classes can beat; `MulticlassFloor.attack` makes one.

    Attributes
    ----------
    conflicts : list of ndarray of intp
        The examples that are moved to a common point, for each such point.
    index, point : ndarray of intp, shape (m,)
        Row by row an example and the point that it may be moved to, a position in `conflicts`; -1 where it stays.
    probability : ndarray of float64, shape (m,)
        With which it is; they sum to one for each example.

    Examples
    --------
    >>> import lossfloor as lf
    >>> X = [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]
    >>> floor = lf.floor(X, ["a", "b", "c", "c"], lf.L2(1))
    >>> attack = floor.attack()
    >>> attack.sample(random_state=0)
    array([[0., 0.],
           [0., 0.],
           [0., 0.],
           [9., 9.]])
    >>> round(attack.expected().bayes_risk(), 4), round(floor.cross_entropy, 4)
    (0.824, 0.824)
    """

    def __init__(self, dual: Dual, examples: Labelled, X: Any, adversary: Adversary, *, may_stay: bool) -> None:
        if not adversary.knows_points:
            raise TypeError(
                must("adversary", "one that knows points", f"{adversary!r}, which knows only who conflicts")
            )
        self._dual = dual
        self._examples = examples
        self._adversary = adversary
        self._data = adversary.as_data(X, len(examples))
        self._shape = shape_of_rows(X, self._data)
        offsets = dual.rows.offsets
        self.conflicts = [dual.rows.members[a:b].astype(np.intp) for a, b in itertools.pairwise(offsets.tolist())]
        self.index, self.point, self.probability = _moves(dual, examples.weight, may_stay)
        self._staying: Positions = np.unique(self.index[self.point < 0])

    def __repr__(self) -> str:
        staying = int(np.count_nonzero(self.point[self.probability == 1] < 0))
        return (
            f"MulticlassAttack({len(self._examples)} examples, {staying} of them stay, "
            f"{len(self.conflicts)} common points)"
        )

    @functools.cached_property
    def _points(self) -> npt.NDArray[Any]:
        """The common points, and behind them those of the examples that stay, of one dtype."""
        met: list[Any] = [None] * len(self.conflicts)
        ball = self._adversary.gauge_ball
        if ball is not None:
            pairs = [e for e, members in enumerate(self.conflicts) if len(members) == 2]
            if pairs:
                table = np.stack([self.conflicts[e] for e in pairs])
                for e, point in zip(pairs, ball_points(ball, self._data, table), strict=True):
                    met[e] = point
        met = [self._meet(e) if point is None else point for e, point in enumerate(met)]
        everything = gathered([*met, *self._stays()], self._data)
        rows = self.point >= 0
        if ball is None or everything.dtype != self._data.dtype:
            rows = np.ones_like(rows)  # else those that stay are where they were
        if not rows.any():
            return everything
        index = self.index[rows]
        inside = self._adversary.contains(
            self._data[index], everything[self._places(self.point[rows], index)], index=index
        )
        if not inside.all():
            example = int(index[np.argmin(inside)])
            raise ArithmeticError(f"example {example}: no common point was found that doubles can hold")
        return everything

    def _stays(self) -> list[Any]:
        """Return where the examples are that stay: balls hold their centres, other neighbourhoods are asked."""
        if self._adversary.gauge_ball is not None:
            return list(self._data[self._staying])
        return [stay_point(self._adversary, self._data, i) for i in self._staying.tolist()]

    def _meet(self, e: int) -> Any:
        """Return the common point of a conflict."""
        members = self.conflicts[e]
        if self._adversary.norm_ball is not None and self._adversary.norm_ball.order == 2 and len(members) > 2:
            part = slice(self._dual.rows.offsets[e], self._dual.rows.offsets[e + 1])
            weights = self._dual.witness[part].astype(np.float64)
            if weights.sum() > 0:
                point = (weights / weights.sum()) @ self._data[members].astype(np.float64)
                copies = np.broadcast_to(point, (len(members), len(point)))
                if self._adversary.contains(self._data[members], copies, index=members).all():
                    return point
        try:
            found = self._adversary.meet(self._data[members], index=members)
        except ArithmeticError as error:
            raise ArithmeticError(f"examples {members.tolist()}: {error}") from None
        if found is None:
            raise ArithmeticError(
                f"examples {members.tolist()}: {type(self._adversary).__name__} finds no common point"
            )
        return found

    def _places(self, points: npt.NDArray[np.intp], index: Positions) -> Positions:
        """Return the positions in `_points` of where examples go."""
        behind = len(self.conflicts) + np.searchsorted(self._staying, index)
        return np.where(points >= 0, points, behind)

    def _at(self, points: npt.NDArray[np.intp], index: Positions) -> npt.NDArray[Any]:
        """Return where examples go, by the numbers of points."""
        found = self._points[self._places(points, index)]
        return found if self._shape is None else found.reshape(len(found), *self._shape)

    def sample(self, random_state: Any = None) -> npt.NDArray[Any]:
        """Draw perturbed data: each example is moved once, at random according to the strategy.

        Parameters
        ----------
        random_state : int, RandomState or None
            As everywhere in scikit-learn.

        Returns
        -------
        ndarray, shape (n, ...)
            Like X, in the order of the examples.

        Raises
        ------
        ArithmeticError
            If the neighbourhoods of some examples share a point, but none was found that doubles represent exactly.
        """
        from sklearn.utils import check_random_state

        n = len(self._examples)
        begin = np.searchsorted(self.index, np.arange(n))
        end = np.append(begin[1:], len(self.index))
        sums = np.concatenate([[0.0], np.cumsum(self.probability)])
        goal = sums[begin] + check_random_state(random_state).random_sample(n) * (sums[end] - sums[begin])
        entry = np.clip(np.searchsorted(sums, goal, side="right") - 1, begin, end - 1)
        return self._at(self.point[entry], np.arange(n))

    def expected(self) -> PerturbedData:
        """Return the full distribution from which `sample` draws, as a weighted data set.

        Its `PerturbedData.bayes_risk` is a lower bound of the loss of every classifier, near that of the floor.

        Raises
        ------
        ArithmeticError
            As for `sample`.
        """
        weight = self._examples.weight / int(self._examples.weight.sum())
        return PerturbedData(
            points=self._at(self.point, self.index),
            labels=self._examples.classes[self._examples.codes[self.index]],
            weights=weight[self.index] * self.probability,
            index=self.index,
            partner=self.point,
        )


def _moves(
    dual: Dual, weight: npt.NDArray[np.int64], may_stay: bool
) -> tuple[Positions, npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return the target and probability of each move, in the order of the examples."""
    n = len(weight)
    z = np.ldexp(dual.z.astype(np.float64), -dual.bits)
    flow = np.repeat(z, dual.rows.degrees)
    sums = np.bincount(dual.rows.members, flow, n)
    whole = np.maximum(sums, weight) if may_stay else np.where(sums > 0, sums, 1.0)
    probability = flow / whole[dual.rows.members]
    stays = np.maximum(1.0 - np.bincount(dual.rows.members, probability, n), 0.0)
    staying = np.flatnonzero(stays > 1e-12)
    index = np.concatenate([dual.rows.members.astype(np.intp), staying])
    point = np.concatenate([np.repeat(np.arange(len(z)), dual.rows.degrees), np.full(len(staying), -1)])
    shares = np.concatenate([probability, stays[staying]])
    order = np.lexsort((point, index))
    index, point, shares = index[order], point[order], shares[order]
    return index, point, shares / np.bincount(index, shares, n)[index]
