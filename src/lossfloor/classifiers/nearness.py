"""The choice "nearest": how near a point is to the training examples of either class."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import pairwise_distances_argmin_min

from lossfloor._checks import must
from lossfloor.adversaries import Adversary
from lossfloor.attacks.two_class import pieces
from lossfloor.classifiers.coverage import Doubles, Side
from lossfloor.classifiers.new_examples import NewExamples

#: Examples that may be the nearest to a point, on average, up to which each is looked at by itself.
_MOST_CANDIDATES = 32


def share(adversary: Adversary, sides: tuple[Side, Side], points: npt.NDArray[Any]) -> Doubles:
    """Return ``b / (a + b)`` with the distances of the nearest examples of either class, 1/2 if both are 0."""
    a, b = (_distances(adversary, side, points) for side in sides)
    return _ratio(a, b, 0.5)


def worst_share(adversary: Adversary, sides: tuple[Side, Side], new: NewExamples, code: int) -> Doubles:
    """Bound that share over all points that new examples may be moved to, for the worse of their class."""
    a, b = (_distances(adversary, side, new.data) for side in sides)
    radius = np.array([float(value) for value in new.radii()])
    # Far above the rounding of the distances, which for l2 may go by products.
    largest = max(float(np.abs(part.astype(np.float64)).max()) for part in (new.data, *(side.data for side in sides)))
    slack = 1e-5 * largest * new.data.shape[1] ** 0.5 + radius * 1e-9
    reach = radius + slack
    sign = 1.0 if code == 0 else -1.0
    a, b = np.maximum(a + sign * reach, 0.0), np.maximum(b - sign * reach, 0.0)
    return _ratio(a, b, 0.0 if code == 0 else 1.0)


def _ratio(a: Doubles, b: Doubles, if_both_are_zero: float) -> Doubles:
    both = a + b
    return np.where(both > 0, b / np.where(both > 0, both, 1.0), if_both_are_zero)


def _distances(adversary: Adversary, side: Side, points: npt.NDArray[Any]) -> Doubles:
    """Return the distance of each point from the nearest example of a side, in units of the data, rounded."""
    if adversary.norm_ball is not None and adversary.norm_ball.order == 2:
        return least_distances(points, side.data)
    ball = adversary.gauge_ball
    if ball is None:
        raise TypeError(must("adversary", "one that measures distances", adversary))
    return np.concatenate(
        [ball.gauges(points[piece], side.data)[1].min(axis=1) for piece in pieces(len(points), len(side.data))]
    )


def least_distances(points: npt.NDArray[Any], data: npt.NDArray[Any]) -> Doubles:
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
