r"""The adversary's optimal mixed strategy and the data it generates: an attack that needs no model.

The flow that proves a floor says what the adversary has to do.  In a block with weights a and b of the two classes,
example u of the first class sends :math:`z_{uv}` to the examples v that it conflicts with, and these sum to
:math:`w_u b / g`; example v takes :math:`z_{uv}` from them, and these sum to :math:`w_v a / g`, with g = gcd(a, b).
Let u go to a point shared with v with the probability :math:`z_{uv} / \sum_v z_{uv}`, and v to the same point with
:math:`z_{uv} / \sum_u z_{uv}`.

**Theorem.**  On the perturbed data, no function has an expected loss below the floor.

*Proof.*  On the point of the pair (u, v) lies the weight :math:`z_{uv} g / b` of the first class and
:math:`z_{uv} g / a` of the second: a share of :math:`a / (a + b) = \pi` of the first, so whatever a function answers
there costs at least :math:`H(\pi)` a unit of weight.  Summed over the pairs of the block, that is ``p(block) H(pi)``,
and summed over the blocks it is the floor.  Where points of several pairs coincide, one answer serves them all, which
can only cost more.  (And it costs no more, since a classifier reaches the floor on every point that the adversary may
choose.)
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lossfloor import exact
from lossfloor._checks import must
from lossfloor.adversaries import Adversary
from lossfloor.adversaries.base import BallOfGauge
from lossfloor.attacks.perturbed import PerturbedData, gathered

if TYPE_CHECKING:
    from lossfloor.certificates import Certificate

Positions = npt.NDArray[np.intp]

#: Features of pairs that are worked on together.
_ENTRIES_AT_ONCE = 1 << 22


def moves(certificate: Certificate) -> sparse.csr_array:
    """Return the probability with which each example moves towards each example of the other class.

    Parameters
    ----------
    certificate : Certificate
        With the flow of a solved floor.

    Returns
    -------
    csr_array of float64, shape (n, n)
        Rows sum to one; a row is empty where the example stays, because its block is of one class.
    """
    n = len(certificate.codes)
    first, second, _ = _shares(certificate)
    left, right = certificate.flow_edges.astype(np.intp).T
    entries = (np.concatenate([first, second]), (np.concatenate([left, right]), np.concatenate([right, left])))
    return sparse.csr_array(sparse.coo_array(entries, shape=(n, n)))


def _shares(
    certificate: Certificate,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return for each edge with flow the share of its first and of its second example, and the weight of both.

    Every number is the double next to the exact one.  The third array, shape (k, 2), is the weight that the pair has in
    each class, as a share of all weight.
    """
    c = certificate
    total = int(c.weight.sum())
    block = c.block[c.flow_edges[:, 0]]
    rows = zip(
        c.flow_high.tolist(),
        c.flow_low.tolist(),
        c.a[block].tolist(),
        c.b[block].tolist(),
        c.weight[c.flow_edges].tolist(),
        strict=True,
    )
    shares: list[tuple[float, float, float, float]] = []
    for high, low, a, b, (w_u, w_v) in rows:
        flow = ((high << 64) + low) * int(np.gcd(a, b))
        shares.append((flow / (w_u * b), flow / (w_v * a), flow / (b * total), flow / (a * total)))
    table = np.array(shares, dtype=np.float64).reshape(-1, 4)
    return table[:, 0], table[:, 1], table[:, 2:]


class Trials(NamedTuple):
    """Where a model may be attacked; `Attack.trials` makes them.

    Attributes
    ----------
    examples : ndarray of intp, shape (m,)
        Who may be moved there.
    points : ndarray, shape (m, ...)
    skipped : ndarray of intp, shape (k, 2)
        Pairs of examples in conflict whose common point no double can hold.
    """

    examples: Positions
    points: npt.NDArray[Any]
    skipped: Positions


class Attack:
    """The attack that no classifier can beat; `Floor.attack` makes one.

    Each example is moved to a point that some example of the other class can be moved to as well, drawn by the
    strategy that the floor's certificate carries.  No model is attacked: on the data that comes out, the expected loss
    of *every* classifier is at least the floor.

    Attributes
    ----------
    pairs : ndarray of intp, shape (k, 2)
        The examples that are moved to a common point, one of the first class and one of the second.
    strategy : csr_array of float64, shape (n, n)
        Probability with which each example moves towards each other one; see `Floor.strategy`.

    Notes
    -----
    `Adversary.contains`, or bounds that imply it, have confirmed that every point is in the neighbourhoods of both
    examples that may be moved there.  Points are of the dtype of the data if all fit it, else of double precision.

    Examples
    --------
    >>> import lossfloor as lf
    >>> X = [[0.0, 0.0], [2.0, 0.0], [9.0, 9.0]]
    >>> attack = lf.floor(X, [0, 1, 1], lf.L2(1)).attack()
    >>> attack.sample(random_state=0)
    array([[1., 0.],
           [1., 0.],
           [9., 9.]])
    """

    def __init__(self, certificate: Certificate, X: Any, adversary: Adversary) -> None:
        if not adversary.knows_points:
            raise TypeError(
                must("adversary", "one that knows points", f"{adversary!r}, which knows only who conflicts")
            )
        self.strategy = moves(certificate)
        self.pairs: Positions = certificate.flow_edges.astype(np.intp)
        self._adversary = adversary
        self._data = adversary.as_data(X, len(certificate.codes))
        self._certificate = certificate
        self._weights = _shares(certificate)[2]
        self._staying: Positions = np.flatnonzero(np.diff(self.strategy.indptr) == 0)
        self._shape = shape_of_rows(X, self._data)

    def __repr__(self) -> str:
        n = len(self._certificate.codes)
        return f"Attack({n} examples, {len(self._staying)} of them stay, {len(self.pairs)} pairs share a point)"

    @functools.cached_property
    def _points(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """The common points of the pairs, and those of the examples that stay, of one dtype."""
        ball = self._adversary.gauge_ball
        if ball is not None:
            met = ball_points(ball, self._data, self.pairs)
            return met, self._staying_as(met.dtype)
        met_list = [_met(self._adversary, self._data, pair) for pair in self.pairs]
        stay_list = [stay_point(self._adversary, self._data, i) for i in self._staying.tolist()]
        everything = gathered(met_list + stay_list, self._data)
        met, stay = everything[: len(met_list)], everything[len(met_list) :]
        for i, points in ((self.pairs[:, 0], met), (self.pairs[:, 1], met), (self._staying, stay)):
            if len(i):
                inside = self._adversary.contains(self._data[i], points, index=i)
                if not inside.all():
                    raise _no_point(i[[np.argmin(inside)]], "the point found is outside the neighbourhood")
        return met, stay

    def _staying_as(self, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the examples that stay, in another dtype, which may round them."""
        examples = self._data[self._staying]
        points: npt.NDArray[Any] = examples.astype(dtype)
        if dtype != examples.dtype and len(points):
            inside = self._adversary.contains(examples, points, index=self._staying)
            if not inside.all():
                raise _no_point(self._staying[[np.argmin(inside)]], "doubles cannot hold it")
        return points

    def _restored(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return points if self._shape is None else points.reshape(len(points), *self._shape)

    def sample(self, random_state: Any = None) -> npt.NDArray[Any]:
        """Draw perturbed data: each example is moved once, at random according to the strategy.

        Parameters
        ----------
        random_state : int, RandomState or None
            As everywhere in scikit-learn.

        Returns
        -------
        ndarray, shape (n, ...)
            Like X, in the order of the examples; their labels and weights stay what they were.  Examples without
            conflict are left as they are.

        Raises
        ------
        ArithmeticError
            If two neighbourhoods share a point, but no doubles represent one (they touch in a point such as 1/3); the
            message names the two examples.  A slightly larger budget of the adversary gives them room.

        Notes
        -----
        To judge a classifier, train it on one draw and test it on another: one that has seen a draw knows where
        the examples went.  On `expected` nothing is left to chance.
        """
        from sklearn.utils import check_random_state

        n = len(self._certificate.codes)
        places = self._places()
        table = self.strategy
        drawn = check_random_state(random_state).random_sample(n)
        sums = np.concatenate([[0.0], np.cumsum(table.data)])
        begin, end = table.indptr[:-1].astype(np.intp), table.indptr[1:].astype(np.intp)
        goals = sums[begin] + drawn * (sums[end] - sums[begin])
        entry = np.clip(np.searchsorted(sums, goals, side="right") - 1, begin, np.maximum(end - 1, begin))
        moving = begin < end
        met, stay = self._points
        sampled = np.empty((n, *met.shape[1:]), dtype=met.dtype)
        sampled[moving] = met[places[entry[moving]]]
        sampled[self._staying] = stay
        return self._restored(sampled)

    def _places(self) -> Positions:
        """Return for each entry of the strategy the position of its pair in `pairs`."""
        k, n = len(self.pairs), self.strategy.shape[0]
        numbers = np.concatenate([np.arange(1, k + 1)] * 2)  # from one on, as an entry of zero would be none
        rows, columns = np.concatenate([self.pairs, self.pairs[:, ::-1]]).T
        table = sparse.csr_array(sparse.coo_array((numbers, (rows, columns)), shape=(n, n)))
        return np.asarray(table.data - 1, dtype=np.intp)

    def trials(self) -> Trials:
        """Return all points that the strategy moves examples to, to attack a model there.

        Pairs whose common point no double can hold are left out, where `sample` and `expected` raise: a model is judged
        by any points that its inputs may be moved to.  So are examples that stay.

        Returns
        -------
        Trials

        Raises
        ------
        TypeError
            If the adversary is no ball of a norm.
        """
        ball = self._adversary.gauge_ball
        if ball is None:
            raise TypeError(must("adversary", "a ball of a norm", self._adversary))
        points, missing = found_points(ball, self._data, self.pairs)
        kept = np.ones(len(self.pairs), dtype=np.bool_)
        kept[list(missing)] = False
        met = self._restored(points[kept])
        return Trials(self.pairs[kept].T.ravel(), np.concatenate([met, met]), self.pairs[~kept])

    def expected(self) -> PerturbedData:
        """Return the full distribution from which `sample` draws, as a weighted data set.

        Returns
        -------
        PerturbedData
            A row for each example and each partner that it moves towards with positive probability, and one for each
            example that stays.  The loss of a classifier on it, with these weights, is the expectation of its loss over
            all draws, and at least the floor.

        Raises
        ------
        ArithmeticError
            As for `sample`.
        """
        c = self._certificate
        met, stay = self._points
        k = len(self.pairs)
        places = np.concatenate([np.arange(k), np.arange(k), np.arange(k, k + len(stay))])
        index = np.concatenate([self.pairs[:, 0], self.pairs[:, 1], self._staying])
        partner = np.concatenate([self.pairs[:, 1], self.pairs[:, 0], np.full(len(stay), -1)])
        resting = c.weight[self._staying] / int(c.weight.sum())
        weights = np.concatenate([self._weights[:, 0], self._weights[:, 1], resting])
        order = np.lexsort((partner, index))
        labels = c.classes[c.codes[index[order]].astype(np.intp)]
        points = self._restored(np.concatenate([met, stay])[places[order]])
        return PerturbedData(points, labels, weights[order], index[order], partner[order])


def _no_point(examples: Positions, why: str) -> ArithmeticError:
    return ArithmeticError(f"examples {' and '.join(map(str, examples.tolist()))}: {why}")


def shape_of_rows(X: Any, data: Any) -> tuple[int, ...] | None:
    """Return the shape of an example if it counts as a row in an adversary, so that it can get its shape back."""
    if not isinstance(data, np.ndarray) or data.ndim != 2:
        return None  # sequences may be ragged, and have no shape
    shape = np.shape(X)
    return shape[1:] if len(shape) > 2 else None


def stay_point(adversary: Adversary, data: Any, i: int) -> Any:
    """Return an example itself, or any other point of its neighbourhood if it may not stay as it is."""
    only = np.array([i], dtype=np.intp)
    alone = data[only]
    if not sparse.issparse(alone) and adversary.contains(alone, alone, index=only)[0]:
        return alone[0]
    return _met(adversary, data, np.array([i, i], dtype=np.intp))


def ball_points(ball: BallOfGauge, data: npt.NDArray[Any], pairs: Positions) -> npt.NDArray[Any]:
    """Find a common point for each pair of balls, in the dtype of the data if that can hold all of them."""
    points, missing = found_points(ball, data, pairs)
    if missing:
        raise missing[min(missing)]
    return points


def found_points(
    ball: BallOfGauge, data: npt.NDArray[Any], pairs: Positions
) -> tuple[npt.NDArray[Any], dict[int, ArithmeticError]]:
    """Do what `ball_points` does; return besides for which pairs there is no point that doubles can hold, and why."""
    for dtype in [data.dtype, np.dtype(np.float64)]:
        points = np.empty((len(pairs), data.shape[1]), dtype=dtype)
        left_out: list[int] = []
        for piece in pieces(len(pairs), data.shape[1]):
            some = pairs[piece]
            points[piece], fitting = between(
                ball, data[some[:, 0]], data[some[:, 1]], _radii(ball, some[:, 0]), _radii(ball, some[:, 1]), dtype
            )
            left_out += (np.flatnonzero(~fitting) + piece.start).tolist()
            if left_out and dtype != np.float64:
                break
        if not left_out:
            return points, {}
    missing = {}
    for k in left_out:
        try:
            points[k] = _by_meeting(ball, data, pairs[k])
        except ArithmeticError as error:
            missing[k] = error
    return points, missing


def _by_meeting(ball: BallOfGauge, data: npt.NDArray[Any], pair: Positions) -> npt.NDArray[np.float64]:
    """Find the common point of one pair that rounding left out of one of the balls."""
    point: npt.NDArray[np.float64] = _met(ball, data, pair).astype(np.float64)
    if not ball.contains(data[pair], np.stack([point, point]), index=pair).all():
        raise _no_point(pair, "no common point was found that doubles can hold")
    return point


def _met(adversary: Adversary | BallOfGauge, data: Any, pair: Positions) -> Any:
    """Return the common point of two examples that the adversary finds, which it must for a conflict."""
    try:
        point = adversary.meet(data[pair], index=pair)
    except ArithmeticError as error:
        raise _no_point(pair, str(error)) from None
    if point is None:
        raise _no_point(pair, f"{type(adversary).__name__}.meet gives no common point of a conflict")
    return point


def _radii(ball: BallOfGauge, index: Positions) -> Sequence[Fraction]:
    radii = ball.radii(len(index), index)
    return radii if len(radii) == len(index) else radii * len(index)


def pieces(n: int, width: int) -> Iterator[slice]:
    """Cut n rows of some width into pieces of bounded memory."""
    rows = max(1, _ENTRIES_AT_ONCE // max(1, width))
    for start in range(0, n, rows):
        yield slice(start, min(n, start + rows))


def between(
    ball: BallOfGauge,
    A: npt.NDArray[Any],
    B: npt.NDArray[Any],
    radii_a: Sequence[Fraction],
    radii_b: Sequence[Fraction],
    dtype: np.dtype[Any],
    *,
    shares: npt.NDArray[np.float64] | None = None,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Find points on segments that both of their ends may be moved to.

    If two balls of one norm share a point, then also the one that divides the segment between their centres in the
    ratio of the radii.

    Parameters
    ----------
    ball : BallOfGauge
        Whose norm it is.
    A, B : ndarray, shape (k, d)
        Ends of the segments.
    radii_a, radii_b : sequence of k Fraction
        In units of the data.
    dtype : dtype
        Of the points, which are rounded to it.
    shares : ndarray of float64, shape (k,), optional
        How far along the segments to go, instead of the ratio of the radii.

    Returns
    -------
    points : ndarray, shape (k, d)
    inside : ndarray of bool, shape (k,)
        Which of the points surely lie in both balls.
    """
    if shares is None:
        sums = [first + second for first, second in zip(radii_a, radii_b, strict=True)]
        shares = np.array([float(r / s) if s else 0.0 for r, s in zip(radii_a, sums, strict=True)])
    start, end, way = A.astype(np.float64), B.astype(np.float64), shares[:, None]
    points = (1 - way) * start + way * end
    if dtype.kind in "iu":
        np.rint(points, out=points)
    points = np.clip(points, np.minimum(start, end), np.maximum(start, end))
    if dtype.kind == "f":
        points = points.astype(dtype)
    else:
        # The largest int64 is no double: a point that does not fit is none.
        fits = np.all(np.abs(points) <= 2.0**53, axis=1)
        points = np.where(fits[:, None], points, 0.0).astype(dtype)
    inside = in_balls(ball, A, points, radii_a)
    inside[inside] = in_balls(ball, B[inside], points[inside], [radii_b[i] for i in np.flatnonzero(inside).tolist()])
    return points, inside


def in_balls(
    ball: BallOfGauge, centres: npt.NDArray[Any], points: npt.NDArray[Any], radii: Sequence[Fraction]
) -> npt.NDArray[np.bool_]:
    """Tell row by row whether a point is at most a radius from a centre: by bounds, and exactly where they leave doubt.

    Parameters
    ----------
    ball : BallOfGauge
        Whose norm it is.
    centres, points : ndarray, shape (k, d)
    radii : sequence of k Fraction
        In units of the data.

    Returns
    -------
    ndarray of bool, shape (k,)
    """
    brackets = {radius: exact.bracket(radius) for radius in set(radii)}
    answer = np.zeros(len(centres), dtype=np.bool_)
    for i, radius in enumerate(radii):
        low, high = ball.gauges(centres[i : i + 1], points[i : i + 1])
        below, above = brackets[radius]
        if high[0, 0] <= below:
            answer[i] = True
        elif not low[0, 0] > above:
            answer[i] = ball.within(centres[i], points[i], radius)
    return answer
