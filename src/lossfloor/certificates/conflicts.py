"""Which examples conflict, decided again from the data, without the kernels that found it first."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lossfloor import exact
from lossfloor._checks import as_points
from lossfloor.exceptions import CertificateError

_PAIRS_AT_ONCE = 1024


class PairConflicts:
    """Conflicts as the adversary defines them, asked for pair by pair."""

    def __init__(self, decide: Callable[[int, int], bool]) -> None:
        self._decide = decide

    def of_pairs(self, us: npt.NDArray[Any], vs: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell for each pair of positions whether the two examples conflict."""
        pairs = zip(us.tolist(), vs.tolist(), strict=True)
        return np.array([self._decide(u, v) for u, v in pairs], dtype=np.bool_)

    def first_of_product(
        self, rows: npt.NDArray[Any], columns: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]
    ) -> tuple[int, int] | None:
        """Return a conflict among the wanted pairs of rows and columns, or None if there is none."""
        for i, j in np.argwhere(wanted).tolist():
            if self._decide(int(rows[i]), int(columns[j])):
                return int(rows[i]), int(columns[j])
        return None


class MatrixConflicts:
    """Conflicts as a matrix of distances or conflicts gives them."""

    def __init__(self, config: Mapping[str, Any], matrix: Any, n: int) -> None:
        if matrix is None:
            raise CertificateError("the conflicts were given by a matrix: give it again to check them")
        if sparse.issparse(matrix):
            self._matrix: Any = sparse.csr_array(matrix, copy=True)
            self._matrix.sum_duplicates()
        else:
            self._matrix = np.asarray(matrix)
        if self._matrix.shape != (n, n):
            raise CertificateError(f"the matrix must be {n} x {n}, is {self._matrix.shape}")
        if self._matrix.dtype.kind not in "biuf":
            raise CertificateError(f"the matrix must hold real numbers, holds {self._matrix.dtype}")
        self._eps = budgets(config, n) if "eps" in config else None
        # Rounded up, so that comparing with them leaves out no conflict.
        self._coarse_eps = np.array([exact.bracket(eps)[1] for eps in self._eps or ()])

    def of_pairs(self, us: npt.NDArray[Any], vs: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell for each pair of positions whether the two examples conflict."""
        answer = np.zeros(len(us), dtype=np.bool_)
        for k, (u, v) in enumerate(zip(us.tolist(), vs.tolist(), strict=True)):
            stored, value = self._entry(u, v)
            if self._eps is None:
                answer[k] = stored and value != 0
            elif stored and np.isfinite(value):
                answer[k] = exact.fraction_of(value) <= self._eps[u] + self._eps[v]
        return answer

    def _entry(self, u: int, v: int) -> tuple[bool, Any]:
        if not sparse.issparse(self._matrix):
            return True, self._matrix[u, v]
        matrix: Any = self._matrix
        begin, end = matrix.indptr[u : u + 2]
        at = begin + np.flatnonzero(matrix.indices[begin:end] == v)
        return (len(at) > 0, matrix.data[at[0]] if len(at) else 0)

    def first_of_product(
        self, rows: npt.NDArray[Any], columns: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]
    ) -> tuple[int, int] | None:
        """Return a conflict among the wanted pairs of rows and columns, or None if there is none."""
        if sparse.issparse(self._matrix):
            part = sparse.coo_array(self._matrix[rows][:, columns])
            i, j = part.coords
            chosen = wanted[i, j]
            us, vs = rows[i[chosen]], columns[j[chosen]]
            if self._eps is not None:
                with np.errstate(over="ignore"):
                    limits = self._coarse_eps[us] + self._coarse_eps[vs]
                    near = part.data[chosen] <= limits * (1 + 2.0**-40)
                us, vs = us[near], vs[near]
        else:
            entries = self._matrix[np.ix_(rows, columns)]
            if self._eps is None:
                i, j = np.nonzero(wanted & (entries != 0))
            else:
                with np.errstate(over="ignore"):
                    limits = self._coarse_eps[rows][:, None] + self._coarse_eps[columns][None, :]
                    i, j = np.nonzero(wanted & (entries <= limits * (1 + 2.0**-40)))
            us, vs = rows[i], columns[j]
        return _first(self.of_pairs(us, vs), us, vs)


class NormConflicts:
    """Conflicts of balls of an l_p norm: a distance of at most the sum of the radii, decided exactly."""

    def __init__(self, config: Mapping[str, Any], X: Any, n: int) -> None:
        orders: dict[str, exact.Order] = {"l1": Fraction(1), "l2": Fraction(2), "linf": None}
        try:
            if config["name"] == "lp":
                self._order: exact.Order = None if config["p"] == "inf" else rational(config["p"])
            else:
                self._order = orders[config["name"]]
            unit = rational(config["unit"])
        except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
            raise CertificateError(f"the adversary cannot be read: {error!r}") from None
        if unit <= 0 or (self._order is not None and self._order < 1):
            raise CertificateError("the adversary must have a positive unit and an order of at least 1")
        if self._order is not None and self._order.numerator > exact.LARGEST_POWER:
            raise CertificateError(f"the order of the norm must be of integers up to {exact.LARGEST_POWER}")
        try:
            self._points = as_points("X", X)
        except (TypeError, ValueError) as error:
            raise CertificateError(str(error)) from None
        if len(self._points) != n:
            raise CertificateError(f"the data has {len(self._points)} examples, the certificate {n}")
        self.radii = [unit * eps for eps in budgets(config, n)]
        # Powers of distances neither overflow nor vanish when the largest threshold is near 1.
        largest = 2 * max(self.radii) or exact.fraction_of(np.abs(self._points.astype(np.float64)).max())
        self._exponent = largest.numerator.bit_length() - largest.denominator.bit_length()
        scale = exact.power_of_two(-self._exponent)
        self._scaled_radii = np.array([exact.bracket(radius * scale)[1] for radius in self.radii])

    def of_pairs(self, us: npt.NDArray[Any], vs: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell for each pair of positions whether the two examples conflict."""
        answer = np.zeros(len(us), dtype=np.bool_)
        thresholds: dict[Fraction, tuple[float, float]] = {}
        for start in range(0, len(us), _PAIRS_AT_ONCE):
            piece = slice(start, start + _PAIRS_AT_ONCE)
            keys, error = self._keys(us[piece], vs[piece])
            with np.errstate(invalid="ignore"):  # infinity less infinity leaves its pair open
                low, high = keys - error, keys + error
            for k, (u, v) in enumerate(zip(us[piece].tolist(), vs[piece].tolist(), strict=True)):
                threshold = self.radii[u] + self.radii[v]
                if threshold not in thresholds:
                    power = Fraction(1) if self._order is None else self._order
                    thresholds[threshold] = exact.power_bracket(threshold, power)
                lower, upper = thresholds[threshold]
                if high[k] <= lower:
                    answer[start + k] = True
                elif not low[k] > upper:
                    steps, exponent = exact.differences(self._points[u], self._points[v])
                    answer[start + k] = exact.norm_at_most(steps, exponent, self._order, threshold)
        return answer

    def _keys(
        self, us: npt.NDArray[Any], vs: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Compute distances to the p-th power in double precision, and bound their rounding."""
        power = 1.0 if self._order is None else float(self._order)
        a, b = self._points[us], self._points[vs]
        d = a.shape[1]
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            steps = np.abs(a.astype(np.float64) - b.astype(np.float64))
            keys = steps.max(axis=1) if self._order is None else (steps**power).sum(axis=1)
            # Whole numbers of moderate size have exact differences, and exact sums of small whole powers.
            small = self._points.dtype.kind in "iu" and self._points.dtype.itemsize <= 4
            if small and power in (1.0, 2.0):
                return keys, np.where(keys < 2.0**53, 0.0, np.inf)
            usual = self._points.dtype.kind == "f" or small
            # A rounded exponent counts too: |log| of a double is below 750.
            error = 4 * (d + 512 * power) * 2.0**-53 * keys + d * 2.0**-1060
            return keys, error if usual else np.full(len(keys), np.inf)

    def first_of_product(
        self, rows: npt.NDArray[Any], columns: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]
    ) -> tuple[int, int] | None:
        """Return a conflict among the wanted pairs of rows and columns, or None if there is none."""
        possible = wanted & self._possible(rows, columns)
        i, j = np.nonzero(possible)
        for start in range(0, len(i), 1024):
            us, vs = rows[i[start : start + 1024]], columns[j[start : start + 1024]]
            found = _first(self.of_pairs(us, vs), us, vs)
            if found is not None:
                return found
        return None

    def _possible(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell which pairs cannot be excluded in double precision; never leaves out a conflict."""
        from scipy.spatial import distance

        u = 2.0**-53
        d = self._points.shape[1]
        power = 1.0 if self._order is None else float(self._order)
        limit = (self._scaled_radii[rows][:, None] + self._scaled_radii[columns][None, :]) * (1 + 4 * u)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            points = (self._points[side].astype(np.float64) for side in (rows, columns))
            left, right = (np.ldexp(side, -self._exponent) for side in points)
            # int64 entries of 2^53 and more are rounded on the way; each by less than u of its size.
            largest = max(float(np.abs(left).max()), float(np.abs(right).max()))
            inexact = self._points.dtype.kind != "f" and np.ldexp(largest, self._exponent) >= 2.0**53
            moved = 4 * d * u * largest if inexact else 0.0
            # What underflows, in the scaling and in the powers, changes the sum of these by less than 16 d 2^-1074.
            moved += 2.0 ** ((math.log2(d) + 4 - 1074) / power)
            if self._order == 2:
                centre = left.mean(axis=0)
                left -= centre
                right -= centre
                squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None, :]
                squared = squares - 2 * (left @ right.T)
                # Product, squares and centring: (d + 8) u of the sum of squares each, and twice that to be safe.
                squared -= 8 * (d + 8) * u * squares
                distances = np.sqrt(np.maximum(squared, 0)) * (1 - 4 * u)
                # Squares that overflow say nothing of a pair.
                distances[~np.isfinite(squared)] = 0.0
            else:
                metric = {Fraction(1): "cityblock", None: "chebyshev"}.get(self._order, "minkowski")
                options = {"p": power} if metric == "minkowski" else {}
                # A rounded exponent counts too: |log| of a double is below 750.
                distances = distance.cdist(left, right, metric, **options) * (1 - 4 * (d + 512) * u)
            # Not (distance > limit): a NaN is possible too.
            return np.asarray(~(distances - moved > limit))


def rational(text: object) -> Fraction:
    """Read ``"23/5"``; not ``"1e999999999"``, which would never end."""
    if not isinstance(text, str) or re.fullmatch(r"-?[0-9]+(/[0-9]+)?", text) is None:
        raise ValueError(f"{text!r} is no quotient of integers")
    return Fraction(text)


def budgets(config: Mapping[str, Any], n: int) -> list[Fraction]:
    """Read the budget of each example from the configuration of an adversary."""
    try:
        eps = config["eps"]
        budgets = [rational(eps)] * n if isinstance(eps, str) else [rational(value) for value in eps]
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise CertificateError(f"the budgets of the adversary cannot be read: {error!r}") from None
    if len(budgets) != n or min(budgets) < 0:
        raise CertificateError(f"the adversary must have {n} budgets of at least 0")
    return budgets


def decides(adversary: Mapping[str, Any]) -> bool:
    """Return whether this module decides the conflicts of an adversary by itself, from its configuration."""
    return adversary.get("name") in ("l1", "l2", "linf", "lp", "precomputed")


def conflict_test(
    adversary: Mapping[str, Any], n: int, X: Any, matrix: Any, decide: Callable[[int, int], bool] | None
) -> NormConflicts | MatrixConflicts | PairConflicts:
    """Return what decides pairs of examples: this module itself, or the adversary."""
    if not decides(adversary):
        if decide is None:
            raise CertificateError(f"conflicts of {adversary.get('name')!r} are decided by the adversary: give it")
        return PairConflicts(decide)
    if adversary["name"] == "precomputed":
        return MatrixConflicts(adversary, matrix, n)
    return NormConflicts(adversary, X, n)


def _first(flags: npt.NDArray[np.bool_], us: npt.NDArray[Any], vs: npt.NDArray[Any]) -> tuple[int, int] | None:
    where = np.flatnonzero(flags)
    return (int(us[where[0]]), int(vs[where[0]])) if len(where) else None
