"""Ellipsoids: how far an example may be moved depends on the direction."""

from __future__ import annotations

import dataclasses
import functools
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._checks import must
from lossfloor.adversaries.base import Index
from lossfloor.adversaries.geometry.bodies import Body, Ellipse, quadratic_form
from lossfloor.adversaries.geometry.deciding import U, fractions
from lossfloor.adversaries.geometry.gauge_balls import GaugeBall, Matrix, float_margin
from lossfloor.adversaries.norms import unscaled
from lossfloor.distances.routes import gamma


class Ellipsoid(GaugeBall):
    r"""Moves x to z at a Mahalanobis distance :math:`\sqrt{(z - x)^\top M (z - x)}` of at most `eps`.

    Parameters
    ----------
    matrix : array_like of shape (d, d)
        M, symmetric and positive definite, such as the inverse of a covariance matrix.  Its entries are taken
        as the numbers that are stored.
    eps : number or array_like of shape (n,)
        Budget, common or one per example; at least 0, read as its decimal representation.
    unit : number, default 1
        How many data units make one unit of `eps`.

    Raises
    ------
    TypeError, ValueError
        If M is not square, not symmetric, or not positive definite beyond doubt of rounding; or `eps` or
        `unit` is invalid.

    Notes
    -----
    The distance is a norm, so two examples conflict exactly when it is at most the sum of their budgets.  A
    matrix that is symmetric up to rounding only, as `numpy.linalg.inv` gives it, stands for its symmetric
    part: the quadratic form is the same.

    Examples
    --------
    >>> adversary = Ellipsoid([[1, 0], [0, 0.25]], eps=1)
    >>> adversary
    Ellipsoid(matrix=<2 x 2>, eps=1, unit=1)
    >>> adversary.contains([[0, 0], [0, 0]], [[0, 2], [2, 0]])
    array([ True, False])
    """

    name: ClassVar[str] = "ellipsoid"
    budgets: ClassVar[tuple[str, ...]] = ("eps",)

    def __init__(self, matrix: Any, eps: Any, unit: Any = 1) -> None:
        super().__init__(eps, unit)
        self.matrix = _checked(matrix)
        self._factor = _certain_factor(self.matrix)

    def _details(self) -> list[str]:
        return [f"matrix=<{len(self.matrix)} x {len(self.matrix)}>"]

    def config(self) -> dict[str, Any]:
        """Return the name, the matrix, the budgets and the unit."""
        return {**super().config(), "matrix": self.matrix.tolist()}

    def as_data(self, X: Any, n: int) -> npt.NDArray[Any]:
        """Check that X is a matrix of finite numbers with `n` rows and as many features as the matrix."""
        points = super().as_data(X, n)
        if points.shape[1] != len(self.matrix):
            raise ValueError(
                must("X", f"of {len(self.matrix)} features, like the matrix", f"{points.shape[1]} features")
            )
        return points

    def within(self, a: npt.NDArray[Any], b: npt.NDArray[Any], radius: Fraction) -> bool:
        """Decide exactly whether two points, shape (d,), are at most `radius` apart, in data units."""
        steps = [x - y for x, y in zip(fractions(a), fractions(b), strict=True)]
        return radius >= 0 and quadratic_form(self.matrix, steps) <= radius**2

    def gauge(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Fraction:
        """Return the distance of two points, shape (d,), to 30 digits."""
        steps = [x - y for x, y in zip(fractions(a), fractions(b), strict=True)]
        return exact.power_near(quadratic_form(self.matrix, steps), Fraction(1, 2))

    def gauges(self, XA: npt.NDArray[Any], XB: npt.NDArray[Any]) -> tuple[Matrix, Matrix]:
        """Bound the distances of all pairs from below and above, in data units, shape (n, m) each.

        With L the computed Cholesky factor, ``|L L' - M| <= gamma_{d+1} |L| |L|'`` entry by entry (Higham,
        Accuracy and Stability of Numerical Algorithms, theorem 10.3), so the squared distance of x and y is
        off by at most gamma_{d+1} s^2, where ``s = |L'| |x - y|`` is at most the sum of ``e = ||L|' |x -
        c||`` over both.  The same e bounds the rounding of the products with L, and that of the squared
        distances of these.

        All this is done with features scaled by powers of two, those that make the diagonal of M about 1 and then the
        largest entry at most 1, so that nothing overflows.  What underflows is below ``d^2 2^-1060`` in the squares,
        and in an entry one more error of conversion; by the triangle inequality such errors move a distance by no
        more than their own lengths.
        """
        d, (root, exponents) = len(self.matrix), (self._factor.root, self._factor.exponents)
        doubles = [side.astype(np.float64) for side in (XA, XB)]
        largest = np.maximum(*(np.abs(side).max(axis=0) for side in doubles))
        sizes_of_features = (np.frexp(largest)[1] - exponents)[largest > 0]
        exponent = int(sizes_of_features.max(initial=-5000)) if len(sizes_of_features) else 0
        sides = [np.ldexp(side, -exponents - exponent) for side in doubles]
        moved = np.ldexp(max(float_margin(XA), float_margin(XB)), -exponents - exponent) + 2.0**-1070
        middle = (sides[0].mean(axis=0) + sides[1].mean(axis=0)) / 2
        with np.errstate(under="ignore"):
            sides = [side - middle for side in sides]
            images = [side @ root for side in sides]
            sizes = [np.sqrt(np.square((np.abs(side) + moved) @ np.abs(root)).sum(axis=1)) for side in sides]
            both = sizes[0][:, None] + sizes[1][None, :]
            squares = np.square(images[0]).sum(axis=1)[:, None] + np.square(images[1]).sum(axis=1)[None, :]
            squared = squares - 2 * (images[0] @ images[1].T)
            # (d + 1) for the factor, 2 (d + 2) for both images, 2 (d + 8) for the squares and products, on s^2
            # each, and twice that to be safe.
            margin = 2 * (5 * d + 40) * U * np.square(both) + d * d * 2.0**-1060
            reach = 2.02 * float(np.sqrt(np.square(moved @ np.abs(root)).sum()))
            low = np.sqrt(np.maximum(squared - margin, 0.0)) * (1 - 4 * U) - reach
            high = np.sqrt(np.maximum(squared, 0.0) + margin) * (1 + 4 * U) + reach
        return unscaled(low, high, exponent)

    def reach(self, X: npt.NDArray[Any], index: Index) -> tuple[Matrix, Matrix]:
        """Return boxes around the neighbourhoods, rounded outwards, shape (n, d) each."""
        radii = np.array([exact.bracket(radius)[1] for radius in self.radii(len(X), index)])[:, None]
        middle = X.astype(np.float64)
        with np.errstate(over="ignore"):
            steps = radii * self._factor.half_widths * (1 + 1e-6)
            margin = 1e-12 * np.abs(middle) + float_margin(X) + 2.0**-1060
            return middle - steps - margin, middle + steps + margin

    def _body_of(self, x: npt.NDArray[Any], radius: Fraction) -> Body:
        return Ellipse(fractions(x), self.matrix, self._factor.half_widths, radius)

    def _gram(self, centres: npt.NDArray[Any]) -> list[list[Fraction]]:
        rows, exponent = exact.integer_rows(centres)
        entries, power = exact.integer_rows(self.matrix)
        unit = exact.power_of_two(2 * exponent + power - 1)
        images = [[sum(m * x for m, x in zip(line, row, strict=True)) for line in entries] for row in rows]
        products = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in images] for a in rows]
        # Twice the symmetric part, halved by the unit.
        k = range(len(rows))
        return [[(products[i][j] + products[j][i]) * unit for j in k] for i in k]


def _checked(matrix: Any) -> npt.NDArray[np.float64]:
    try:
        given = np.asarray(matrix)
    except ValueError:  # rows of several lengths
        raise ValueError(must("matrix", "square, d x d", matrix)) from None
    if given.dtype.kind not in "iuf":
        raise TypeError(must("matrix", "a matrix of real numbers", given.dtype))
    M = np.array(given, dtype=np.float64)
    if M.ndim != 2 or M.shape[0] != M.shape[1] or M.size == 0:
        raise ValueError(must("matrix", "square, d x d", f"shape {M.shape}"))
    if not np.isfinite(M).all():
        raise ValueError(must("matrix", "free of NaN and infinity", "an entry that is not finite"))
    scale = np.sqrt(np.abs(np.diag(M)))
    with np.errstate(over="ignore"):
        different = np.abs(M - M.T) > 1e-8 * np.outer(scale, scale)
    if np.any(different):
        raise ValueError(must("matrix", "symmetric", "entries that differ from their mirror images"))
    return M


@dataclasses.dataclass(frozen=True)
class _Factor:
    """A matrix that is proved to be positive definite, as the products of a factor.

    Attributes
    ----------
    root : ndarray, shape (d, d)
        The lower Cholesky factor, computed, of the symmetric part of ``M[i, j] 2**(exponents[i] + exponents[j])``.
    exponents : ndarray of int, shape (d,)
    least : float
        No eigenvalue of that scaled matrix is below this.
    """

    root: npt.NDArray[np.float64]
    exponents: npt.NDArray[np.intp]
    scaled: npt.NDArray[np.float64]
    least: float

    @functools.cached_property
    def half_widths(self) -> npt.NDArray[np.float64]:
        """How far the ellipsoid of radius 1 reaches along each axis, rounded upwards: the root of diag(M^-1).

        With X a computed inverse of the scaled matrix A and ``R = I - A X``, ``A^-1 = X + A^-1 R``: a diagonal
        entry is at most that of X and |A^-1| times the length of a column of R, where |A^-1| is at most |X| / (1 -
        |R|) if |R| < 1, and in any case at most the inverse of the least eigenvalue.
        """
        A, d = self.scaled, len(self.scaled)
        X = np.linalg.inv(A)
        roundings = gamma(d + 8, U) * (np.eye(d) + np.abs(A) @ np.abs(X))  # of R, and of the entries of A
        lengths = np.sqrt(np.square(np.abs(np.eye(d) - A @ X) + roundings).sum(axis=0))
        rest = float(np.sqrt(np.square(lengths).sum()))
        norm = 1 / self.least
        if rest < 0.5:
            norm = min(norm, float(np.sqrt(np.square(X).sum())) / (1 - 1.01 * rest))
        diagonal = np.minimum(np.diag(X) + 1.01 * norm * lengths, norm)
        widths: npt.NDArray[np.float64] = np.ldexp(np.sqrt(diagonal * (1 + 1e-9)), self.exponents)
        return widths


def _certain_factor(matrix: npt.NDArray[np.float64]) -> _Factor:
    """Return a Cholesky factor of the matrix, whose being positive definite is proved.

    If the factorisation of ``M - c I`` runs to its end with c above the rounding error that it can make,
    which is at most ``gamma_{d+1} trace(M)``, M is positive definite (Rump, Verification of positive
    definiteness, 2006).  Features are scaled by powers of two first, which changes nothing else.
    """
    d, diagonal = len(matrix), np.diag(matrix)
    if np.any(diagonal <= 0):
        raise ValueError(must("matrix", "positive definite", f"a matrix with {diagonal.min():.3g} on its diagonal"))
    exponents = -np.round(np.log2(diagonal) / 2).astype(np.intp)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scaled = np.ldexp(matrix, exponents[:, None] + exponents[None, :])
        scaled = scaled / 2 + scaled.T / 2
    try:
        if not np.isfinite(scaled).all():  # an entry far above the roots of those of the diagonal
            raise np.linalg.LinAlgError
        shift = 4 * (d + 4) * U * float(np.trace(scaled))
        np.linalg.cholesky(scaled - np.eye(d) * shift)
        root = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        least = float(np.linalg.eigvalsh(matrix / 2 + matrix.T / 2)[0])
        raise ValueError(must("matrix", "positive definite", f"a matrix with the eigenvalue {least:.3g}")) from None
    return _Factor(root, exponents, scaled, shift / 2)
