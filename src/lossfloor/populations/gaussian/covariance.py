"""The covariance that both classes share: checked, and ready to whiten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

from lossfloor._checks import must

FloatArray = npt.NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False, repr=False)
class Covariance:
    """A positive definite matrix ``S = L L'``, kept as its lower triangular factor or the diagonal of that.

    `Covariance.read` makes one from a number, a diagonal or a matrix, `Covariance.from_factor` from any F
    with ``S = F F'``.

    Attributes
    ----------
    factor : ndarray of float64, shape (d, d) or (d,)
        L; of a diagonal matrix only the diagonal.

    Examples
    --------
    >>> Covariance.read([4.0, 9.0], dimension=2).whiten(np.array([2.0, 6.0]))
    array([1., 2.])
    """

    factor: FloatArray

    @classmethod
    def read(cls, covariance: Any, dimension: int) -> Covariance:
        """Read what a user hands in for a covariance.

        Parameters
        ----------
        covariance : float, array_like of shape (d,) or (d, d), or Covariance
            A number times the identity, a diagonal of variances, or a symmetric matrix.
        dimension : int
            d, the number of features.

        Returns
        -------
        Covariance

        Raises
        ------
        TypeError
            If the entries are not real numbers.
        ValueError
            If the shape is wrong, or the matrix is not finite, not symmetric, singular or indefinite.

        Examples
        --------
        >>> Covariance.read([[1.0, 2.0], [2.0, 1.0]], dimension=2)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: 'covariance' must be positive definite, got an indefinite matrix: its eigenvalues are ...
        """
        if isinstance(covariance, cls):
            if covariance.dimension != dimension:
                raise ValueError(must("covariance", f"of {dimension} features", covariance.dimension))
            return covariance
        values = real_array("covariance", covariance)
        if values.ndim == 0:
            values = np.full(dimension, values[()])
        if values.shape == (dimension,):
            return cls._of_diagonal(values)
        if values.shape == (dimension, dimension):
            return cls._of_matrix(values)
        shapes = f"a number or an array of shape ({dimension},) or ({dimension}, {dimension})"
        raise ValueError(must("covariance", shapes, f"shape {values.shape}"))

    @classmethod
    def from_factor(cls, factor: Any) -> Covariance:
        """Make the covariance ``F F'``.

        Parameters
        ----------
        factor : array_like, shape (d, k) with k >= d
            F: triangular or not, for instance centred data divided by ``sqrt(n)``, transposed.

        Returns
        -------
        Covariance

        Raises
        ------
        TypeError, ValueError
            If F is no finite real matrix, or its rank is less than d.

        Examples
        --------
        >>> Covariance.from_factor([[1.0, 1.0], [0.0, 2.0]]).matrix
        array([[2., 2.],
               [2., 4.]])
        """
        values = real_array("factor", factor)
        if values.ndim != 2 or 0 in values.shape:
            raise ValueError(must("factor", "a matrix of shape (d, k)", f"shape {values.shape}"))
        d, k = values.shape
        singular = linalg.svdvals(values)
        if k < d or singular[-1] <= max(d, k) * _EPS * singular[0]:
            smallest = 0.0 if k < d else singular[-1]
            found = f"a matrix whose singular values are {smallest:.6g} to {singular[0]:.6g}"
            raise ValueError(_singular("factor", f"of full rank {d}", found))
        lower = linalg.qr(values.T, mode="r")[0][:d].T  # F' = Q R, so F F' = R' R
        return cls(_frozen(np.tril(lower * np.where(np.diag(lower) < 0, -1.0, 1.0))))

    @classmethod
    def _of_diagonal(cls, variances: FloatArray) -> Covariance:
        low = int(np.argmin(variances))
        if variances[low] < 0:
            raise ValueError(must("covariance", "made of positive variances", float(variances[low])))
        if variances[low] == 0:
            raise ValueError(_singular("covariance", "made of positive variances", f"0.0 for feature {low}"))
        return cls(_frozen(np.sqrt(variances)))

    @classmethod
    def _of_matrix(cls, matrix: FloatArray) -> Covariance:
        skew = float(np.max(np.abs(matrix - matrix.T)))
        if skew > 1e-12 * float(np.max(np.abs(matrix))):
            raise ValueError(
                f"'covariance' must be symmetric, got entries that differ by {skew:.6g} from their mirror images"
            )
        if not np.any(matrix - np.diag(np.diag(matrix))):
            return cls._of_diagonal(np.diag(matrix).copy())
        matrix = (matrix + matrix.T) / 2
        values = linalg.eigvalsh(matrix)
        margin = len(matrix) * _EPS * max(abs(values[0]), abs(values[-1]))
        if values[0] <= margin:
            eigenvalues = f"its eigenvalues are {values[0]:.6g} to {values[-1]:.6g}"
            if values[0] < -margin:
                raise ValueError(f"'covariance' must be positive definite, got an indefinite matrix: {eigenvalues}")
            raise ValueError(_singular("covariance", "positive definite", f"a singular matrix: {eigenvalues}"))
        return cls(_frozen(linalg.cholesky(matrix, lower=True)))

    @property
    def dimension(self) -> int:
        """Number of features."""
        return len(self.factor)

    @property
    def is_diagonal(self) -> bool:
        """Whether only the diagonal is kept."""
        return self.factor.ndim == 1

    @property
    def matrix(self) -> FloatArray:
        """S itself, shape (d, d)."""
        if self.is_diagonal:
            return np.diag(self.factor**2)
        return self.factor @ self.factor.T

    def whiten(self, x: FloatArray) -> FloatArray:
        """Return ``L^-1 x`` for a vector, or for each column of a matrix."""
        if self.is_diagonal:
            return (x.T / self.factor).T
        solved: FloatArray = linalg.solve_triangular(self.factor, x, lower=True)
        return solved

    def pull_back(self, v: FloatArray) -> FloatArray:
        """Return ``L'^-1 v``: the normal in the space of the data that v is in the whitened one."""
        if self.is_diagonal:
            return (v.T / self.factor).T
        solved: FloatArray = linalg.solve_triangular(self.factor, v, lower=True, trans="T")
        return solved

    def color(self, g: FloatArray) -> FloatArray:
        """Return ``L g`` for each row g of a matrix: noise of covariance S from standard noise."""
        return g * self.factor if self.is_diagonal else g @ self.factor.T

    def deviation(self, w: FloatArray) -> float:
        """Return ``sqrt(w' S w)``, the standard deviation of ``w'x``."""
        return float(np.linalg.norm(self.factor * w if self.is_diagonal else self.factor.T @ w))

    def __repr__(self) -> str:
        return f"Covariance(<{'diagonal' if self.is_diagonal else 'full'}, {self.dimension} features>)"


def real_array(name: str, values: Any) -> FloatArray:
    """Read an array of finite real numbers as float64.

    Raises
    ------
    TypeError, ValueError
        If an entry is no real number, NaN or infinite.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(must(name, "an array (its rows of equal length)", values)) from None
    if array.dtype.kind not in "iuf":
        raise TypeError(must(name, "made of real numbers", values))
    array = array.astype(np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(must(name, "free of NaN and infinity", float(array[~np.isfinite(array)][0])))
    return array


def _frozen(array: FloatArray) -> FloatArray:
    array.setflags(write=False)
    return array


def _singular(name: str, what: str, found: str) -> str:
    why = "noise that leaves a direction out has no density there; drop the features that depend on others"
    return f"{name!r} must be {what}, got {found} ({why})"
