"""What balls of norms have in common: a radius for each example, one norm for all.

Two closed balls of one norm share a point exactly when the distance of their centres is at most the sum of
their radii: by the triangle inequality it cannot be more, and if it is not more, the point that divides the
segment between the centres in the ratio of the radii lies in both.  Nothing else about the norm is used, so
it may weigh the features, and it may be a seminorm.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._checks import as_fraction, as_points, must
from lossfloor.adversaries.base import Index, as_budgets, check_count, pick, show_budgets
from lossfloor.adversaries.geometry import common_points, deciding
from lossfloor.adversaries.geometry.bodies import AxisBox, Body, ConvexAdversary, common_point
from lossfloor.graphs.rows import ConflictRows
from lossfloor.reporting.numbers import show_number

Matrix = npt.NDArray[np.float64]


class GaugeBall(ConvexAdversary):
    """Moves an example by at most `eps` in some norm.

    Parameters
    ----------
    eps : number or array_like of shape (n,)
        Radius, common or one per example; at least 0.  Read as its decimal representation.
    unit : number, default 1
        How many data units make one unit of `eps`; 255 for pixels stored as 0 to 255 with `eps` in [0,
        1].
    """

    def __init__(self, eps: Any, unit: Any = 1) -> None:
        self.eps = as_budgets("eps", eps)
        self.unit = as_fraction("unit", unit)
        if self.unit <= 0:
            raise ValueError(must("unit", "positive", unit))

    @abc.abstractmethod
    def within(self, a: npt.NDArray[Any], b: npt.NDArray[Any], radius: Fraction) -> bool:
        """Decide exactly whether two points, shape (d,), are at most `radius` apart, in data units."""

    @abc.abstractmethod
    def gauge(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Fraction | None:
        """Return the distance of two points, shape (d,), in data units to 30 digits; None if it is infinite."""

    @abc.abstractmethod
    def gauges(self, XA: npt.NDArray[Any], XB: npt.NDArray[Any]) -> tuple[Matrix, Matrix]:
        """Bound the distances of all pairs from below and above, in data units, shape (n, m) each."""

    def __repr__(self) -> str:
        parts = [*self._details(), f"eps={show_budgets(self.eps)}", f"unit={show_number(self.unit)}"]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _details(self) -> list[str]:
        """Say what the norm is, for people."""
        return []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GaugeBall) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash((self.name, self.eps, self.unit))

    def config(self) -> dict[str, Any]:
        """Return the name, the radii and the unit, rationals as strings."""
        eps = [str(value) for value in self.eps]
        return {"name": self.name, "eps": eps[0] if len(eps) == 1 else eps, "unit": str(self.unit)}

    def as_data(self, X: Any, n: int) -> npt.NDArray[Any]:
        """Check that X is a matrix of finite numbers with `n` rows.

        Parameters
        ----------
        X : array_like, shape (n, ...)
            Integers or floats; an image or any other shape counts as one row.
        n : int

        Returns
        -------
        ndarray, shape (n, d)
        """
        points = as_points("X", X)
        if len(points) != n:
            raise ValueError(must("X", f"of {n} examples, one per label", f"{len(points)} examples"))
        check_count("eps", self.eps, n)
        return points

    @property
    def gauge_ball(self) -> GaugeBall:
        """The ball itself."""
        return self

    def meets_by(self, data: npt.NDArray[Any]) -> str:
        """Return "pairs" on one feature, where balls are intervals, else "asking"."""
        return "pairs" if data.shape[1] == 1 else "asking"

    def radii(self, count: int, index: Index | None = None) -> tuple[Fraction, ...]:
        """Return the radii of `count` examples in data units (one if all share it)."""
        return tuple(self.unit * value for value in pick(self.eps, index, count))

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``Z[i]`` lies in the closed ball around ``X[i]``, exactly.

        Parameters
        ----------
        X, Z : array_like, shape (n, ...)
        index : ndarray of intp, shape (n,), optional
            Positions of the rows of X in the data set; required if each example has its own radius.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        centres, points = paired_points(X, Z)
        radii = self.radii(len(centres), index)
        return np.array(
            [self.within(centres[i], points[i], radii[i if len(radii) > 1 else 0]) for i in range(len(centres))],
            dtype=np.bool_,
        )

    def conflict(self, a: npt.NDArray[Any], b: npt.NDArray[Any], *, index: Index | None = None) -> bool:
        """Decide exactly whether two examples are at most the sum of their radii apart."""
        radii = self.radii(2, index)
        return self.within(a, b, radii[0] + radii[-1])

    def conflicts(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Iterator[ConflictRows]:
        """Yield the pairs at most the sum of their radii apart, equality included, decided exactly."""
        left, right = self.radii(len(XA), index_a), self.radii(len(XB), index_b)
        limits_low, limits_high = deciding.sum_bounds(left, right)
        for start, stop in deciding.row_pieces(len(XA), len(XB)):
            rows = slice(start, stop) if len(left) > 1 else slice(None)

            def exactly(i: int, j: int, start: int = start) -> bool:
                radius = left[start + i if len(left) > 1 else 0] + right[j if len(right) > 1 else 0]
                return self.within(XA[start + i], XB[j], radius)

            low, high = self.gauges(XA[start:stop], XB)
            yield deciding.bit_rows(start, deciding.decide(low, high, limits_low[rows], limits_high[rows], exactly))

    def critical_eps(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Matrix:
        """Return for each pair the smallest double at which it conflicts if both examples have it as radius.

        Parameters
        ----------
        XA, XB : ndarray, shape (n, d) and (m, d)
            Of moderate size: each pair is decided by exact tests.
        index_a, index_b : optional
            Not needed; the examples' own radii play no part.

        Returns
        -------
        ndarray of float64, shape (n, m)
            Half the distance in units of `eps`, rounded up to the least double whose decimal is at least
            that; infinity where no radius suffices.
        """

        def of_pair(i: int, j: int) -> float:
            distance = self.gauge(XA[i], XB[j])
            if distance is None:
                return float("inf")
            return deciding.least_double(
                exact.nearest_double(distance / (2 * self.unit)),
                lambda eps: self.within(XA[i], XB[j], 2 * self.unit * eps),
            )

        return deciding.critical_matrix(len(XA), len(XB), of_pair)

    def meet(self, points: Any, *, index: Index | None = None) -> npt.NDArray[Any] | None:
        """Return a point in the balls of all the examples given.

        Parameters
        ----------
        points : array_like, shape (k, ...)
            Examples, two or a few more.
        index : ndarray of intp, shape (k,), optional
            Their positions in the data set.

        Returns
        -------
        ndarray, shape (d,), or None
            A point that `contains` accepts for each example: of the dtype of the examples if one is found
            among those numbers, else of float64.  None if the balls share no point.

        Raises
        ------
        ArithmeticError
            If the balls share a point, but none was found whose coordinates are doubles (they touch in a
            point such as 1/3); for more than two examples also if it cannot be told whether they share a
            point.

        Notes
        -----
        Two examples: a point of the segment between them, rounded to either side until exact tests accept it.
        More: the deepest point of balls of an inner product by exact linear algebra, of boxes coordinate by
        coordinate; in other norms by a convex search.
        """
        centres = as_points("points", points)
        radii = self.radii(len(centres), index)
        radii = radii * len(centres) if len(radii) == 1 else radii
        if len(centres) == 1:
            alone: npt.NDArray[Any] = centres[0]
            return alone
        bodies = [self._body_of(x, radius) for x, radius in zip(centres, radii, strict=True)]
        boxes = [body for body in bodies if isinstance(body, AxisBox)]
        if boxes:
            return common_points.in_all_intervals(centres, [box.low for box in boxes], [box.high for box in boxes])
        if len(centres) > 2:
            return self._meet_many(centres, radii, bodies)
        a, b = centres
        first, second = radii
        if not self.within(a, b, first + second):
            return None

        def inside(point: npt.NDArray[Any]) -> tuple[bool, bool]:
            return self.within(a, point, first), self.within(b, point, second)

        distance = self.gauge(a, b)
        shares = (0.0, 1.0)
        if distance:
            shares = exact.nearest_double(1 - second / distance), exact.nearest_double(first / distance)
        ratio = first / (first + second) if first + second > 0 else Fraction(1, 2)
        return common_points.on_segment(
            a, b, shares, ratio, inside, lambda dtype: self._between(a, b, (first, second), dtype)
        )

    def _between(
        self, a: npt.NDArray[Any], b: npt.NDArray[Any], radii: tuple[Fraction, Fraction], dtype: np.dtype[Any]
    ) -> npt.NDArray[Any] | None:
        """Return another point to try where the segment has none."""
        return None

    def _meet_many(
        self, centres: npt.NDArray[Any], radii: tuple[Fraction, ...], bodies: list[Body]
    ) -> npt.NDArray[Any] | None:
        """Find a common point of more than two balls."""
        gram = self._gram(centres)
        if gram is not None:
            weights = common_points.deepest_point_of_balls(gram, radii)
            if weights is None:
                return None
            deepest = np.array([float(value) for value in common_points.weighted_point(centres, weights)])
            return self._rounded(deepest, centres, radii)
        found = common_point(bodies)
        if found is False:
            return None
        if not isinstance(found, np.ndarray):
            raise ArithmeticError("could not decide in double precision whether these balls share a point")
        # Between the examples a point is nearer to all of them, in each coordinate.
        between = np.clip(found, centres.min(axis=0), centres.max(axis=0))
        return self._rounded(between, centres, radii)

    def _gram(self, centres: npt.NDArray[Any]) -> list[list[Fraction]] | None:
        """Return the exact inner products of points, or None if the norm does not come from any."""
        return None

    @abc.abstractmethod
    def _body_of(self, x: npt.NDArray[Any], radius: Fraction) -> Body:
        """Return the ball of this norm around x with a radius in data units."""

    def body(self, x: npt.NDArray[Any], position: int) -> Body:
        """Return the neighbourhood of the example x, which stands at `position` in the data set."""
        return self._body_of(x, self.radii(1, np.array([position]))[0])

    def _rounded(
        self, point: npt.NDArray[np.float64], centres: npt.NDArray[Any], radii: tuple[Fraction, ...]
    ) -> npt.NDArray[Any]:
        """Round a common point to the dtype of the examples if all balls still hold it then."""
        for dtype in common_points.dtypes_to_try(centres.dtype):
            cast = (np.rint(point) if dtype.kind in "iu" else point).astype(dtype)
            if all(self.within(x, cast, radius) for x, radius in zip(centres, radii, strict=True)):
                return cast
        raise common_points.unrepresentable()


def paired_points(X: Any, Z: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Check two matrices of examples of equal shape."""
    centres, points = as_points("X", X), as_points("Z", Z)
    if centres.shape != points.shape:
        raise ValueError(must("Z", f"of shape {centres.shape}, like X", f"shape {points.shape}"))
    return centres, points


def float_margin(points: npt.NDArray[Any]) -> float:
    """Bound what converting a set of points to doubles moves an entry by: nothing, but for large integers."""
    if points.dtype.kind in "iu" and points.dtype.itemsize == 8:
        largest = max(abs(int(points.min())), abs(int(points.max())))
        return 0.0 if largest < 2**53 else largest * 2.0**-52
    return 0.0
