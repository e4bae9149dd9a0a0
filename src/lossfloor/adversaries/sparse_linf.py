"""At most k features, each changed by at most eps."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_fraction, as_points, must
from lossfloor.adversaries.base import Adversary, Index, as_budgets, check_count, pick, show_budgets
from lossfloor.adversaries.geometry import common_points, deciding, few_changes
from lossfloor.adversaries.geometry.deciding import fractions
from lossfloor.adversaries.geometry.gauge_balls import Matrix, paired_points
from lossfloor.graphs.rows import ConflictRows
from lossfloor.reporting.numbers import show_number


class SparseLinf(Adversary):
    """Changes at most `k` features, each by at most `eps`.

    Parameters
    ----------
    k : int or array_like of shape (n,)
        Number of features that may change, common or one per example; at least 0.
    eps : number or array_like of shape (n,)
        Largest change of a feature, common or one per example; at least 0, read as its decimal
        representation.
    unit : number, default 1
        How many data units make one unit of `eps`.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.

    Notes
    -----
    Let d be the difference of two examples u and v in a feature in which they differ.  Both of them have to
    change it if ``max(eps_u, eps_v) < d <= eps_u + eps_v``, one of them can do it alone if d is at most its
    eps, and beyond the sum it is impossible.  They conflict exactly when no feature is impossible and the
    changes can be shared out: those that both make and those that only u can make are at most k_u, likewise
    for v, and all changes together (what both make counted twice) are at most k_u + k_v.

    Examples
    --------
    >>> adversary = SparseLinf(1, eps=0.5)
    >>> adversary
    SparseLinf(k=1, eps=0.5, unit=1)
    >>> adversary.contains([[0, 0], [0, 0]], [[0.5, 0], [0.5, 0.1]])
    array([ True, False])
    """

    name: ClassVar[str] = "sparse-linf"
    budgets: ClassVar[tuple[str, ...]] = ("eps", "k")

    def __init__(self, k: Any, eps: Any, unit: Any = 1) -> None:
        self.k = few_changes.as_counts("k", k)
        self.eps = as_budgets("eps", eps)
        self.unit = as_fraction("unit", unit)
        if self.unit <= 0:
            raise ValueError(must("unit", "positive", unit))

    def __repr__(self) -> str:
        budgets = f"k={few_changes.show_counts(self.k)}, eps={show_budgets(self.eps)}"
        return f"SparseLinf({budgets}, unit={show_number(self.unit)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SparseLinf) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash((self.name, self.k, self.eps, self.unit))

    @property
    def is_monotone(self) -> bool:
        """Always: a step towards the example changes no more features, and none by more."""
        return True

    def config(self) -> dict[str, Any]:
        """Return the name, the budgets and the unit."""
        eps = [str(value) for value in self.eps]
        return {
            "name": self.name,
            "k": few_changes.config_counts(self.k),
            "eps": eps[0] if len(eps) == 1 else eps,
            "unit": str(self.unit),
        }

    def as_data(self, X: Any, n: int) -> npt.NDArray[Any]:
        """Check that X is a matrix of finite numbers with `n` rows, shape (n, ...); return it as (n, d)."""
        points = as_points("X", X)
        if len(points) != n:
            raise ValueError(must("X", f"of {n} examples, one per label", f"{len(points)} examples"))
        check_count("k", self.k, n)
        check_count("eps", self.eps, n)
        return points

    def _radii(self, count: int, index: Index | None) -> list[Fraction]:
        radii = [self.unit * value for value in pick(self.eps, index, count)]
        return radii * count if len(radii) == 1 else radii

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``X[i]`` may be moved to ``Z[i]``, exactly.

        Parameters
        ----------
        X, Z : array_like, shape (n, ...)
        index : ndarray of intp, shape (n,), optional
            Positions of the rows of X in the data set; required if examples have their own budgets.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        centres, points = paired_points(X, Z)
        radii, counts = self._radii(len(centres), index), few_changes.pick_counts(self.k, index, len(centres))
        answer = np.empty(len(centres), dtype=np.bool_)
        for i, (x, z) in enumerate(zip(centres, points, strict=True)):
            steps = [abs(a - b) for a, b in zip(fractions(x), fractions(z), strict=True) if a != b]
            answer[i] = len(steps) <= counts[i] and max(steps, default=Fraction(0)) <= radii[i]
        return answer

    def conflict(self, a: npt.NDArray[Any], b: npt.NDArray[Any], *, index: Index | None = None) -> bool:
        """Decide exactly whether two examples conflict."""
        radii, counts = self._radii(2, index), few_changes.pick_counts(self.k, index, 2)
        tally = few_changes.count(_ways(a, b, *radii))
        return tally is not None and tally.suffices(*counts)

    def meet(self, points: Any, *, index: Index | None = None) -> npt.NDArray[Any] | None:
        """Return a point that two examples may both be moved to.

        Parameters
        ----------
        points : array_like, shape (2, ...)
        index : ndarray of intp, shape (2,), optional

        Returns
        -------
        ndarray, shape (d,), or None
            Of the dtype of the examples if it has such a point, else of float64; None if they do not
            conflict.

        Raises
        ------
        ValueError
            If there are not two examples.
        ArithmeticError
            If they share points, but none whose coordinates are doubles.
        """
        pair = as_points("points", points)
        if len(pair) != 2:
            raise ValueError(must("points", "two examples", f"{len(pair)}"))
        a, b = pair
        radii, counts = self._radii(2, index), few_changes.pick_counts(self.k, index, 2)
        chosen = few_changes.share_out(_ways(a, b, *radii), *counts)
        if chosen is None:
            return None
        intervals = []
        for x, y, way in zip(fractions(a), fractions(b), chosen, strict=True):
            if way == "both":
                intervals.append(
                    (max(x - radii[0], y - radii[1], min(x, y)), min(x + radii[0], y + radii[1], max(x, y)))
                )
            else:
                value = y if way == "left" else x
                intervals.append((value, value))
        wishes = [(x + y) / 2 for x, y in zip(fractions(a), fractions(b), strict=True)]
        return common_points.in_intervals(intervals, wishes, pair.dtype)

    def conflicts(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Iterator[ConflictRows]:
        """Yield the pairs whose changes can be shared out, decided exactly.

        The values of a feature and the ends of the intervals around them are replaced by their ranks, which
        is where rationals are compared.
        """
        d = XA.shape[1]
        sides = [(XA, self._radii(len(XA), index_a)), (XB, self._radii(len(XB), index_b))]
        shifts = list(dict.fromkeys([Fraction(0), *(s * r for _, radii in sides for r in set(radii) for s in (-1, 1))]))
        place = {shift: k for k, shift in enumerate(shifts)}
        codes = [
            [np.array([place[sign * radius] for radius in radii], dtype=np.intp) for sign in (-1, 0, 1)]
            for _, radii in sides
        ]
        features = []
        for j in range(d):
            ends = deciding.Ends(shifts)
            for (X, _), signed in zip(sides, codes, strict=True):
                for code in signed:
                    ends.add(X[:, j], code)
            features.append(_feature(ends.ranks()))
        k_left = few_changes.pick_counts(self.k, index_a, len(XA))
        k_right = few_changes.pick_counts(self.k, index_b, len(XB))
        for start, _, flags in few_changes.within_changes(k_left, k_right, d, features.__getitem__):
            yield deciding.bit_rows(start, flags)

    def critical_eps(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Matrix:
        """Return for each pair the smallest double at which it conflicts if both examples have it as `eps`.

        Parameters
        ----------
        XA, XB : ndarray, shape (n, d) and (m, d)
            Of moderate size: each pair is decided in rational arithmetic.
        index_a, index_b : ndarray of intp, optional
            Positions in the data set; needed if `k` is one number for each example.

        Returns
        -------
        ndarray of float64, shape (n, m)
            Rounded up to the least double whose decimal suffices; infinity where more features differ than
            the two examples can change together.
        """
        k_left = few_changes.pick_counts(self.k, index_a, len(XA))
        k_right = few_changes.pick_counts(self.k, index_b, len(XB))

        def of_pair(i: int, j: int) -> float:
            steps = [abs(x - y) for x, y in zip(fractions(XA[i]), fractions(XB[j]), strict=True) if x != y]
            # Features that differ by more than eps are changed by both: so many changes are to spare for
            # them.
            spare = min(k_left[i], k_right[j], k_left[i] + k_right[j] - len(steps))
            if spare < 0:
                return float("inf")
            steps.sort(reverse=True)
            needed = max([steps[0] / 2, *steps[spare : spare + 1]]) if steps else Fraction(0)
            needed /= self.unit
            return deciding.least_double(float(needed), lambda eps: eps >= needed)

        return deciding.critical_matrix(len(XA), len(XB), of_pair)


def _feature(ranks: list[npt.NDArray[np.int64]]) -> few_changes.Feature:
    """Describe a feature by the ranks of low ends, values and high ends, of left and right examples."""
    kinds, numbers = [], []
    for part in (ranks[:3], ranks[3:]):
        distinct, number = np.unique(np.stack(part, axis=1), axis=0, return_inverse=True)
        kinds.append(distinct.T)
        numbers.append(number.reshape(-1))

    def ways(left: Index, right: Index) -> few_changes.Ways:
        low_a, a, high_a = (part[left] for part in kinds[0])
        low_b, b, high_b = (part[right] for part in kinds[1])
        return few_changes.Ways(
            differ=a != b,
            by_left=(low_a <= b) & (b <= high_a),
            by_right=(low_b <= a) & (a <= high_b),
            together=(low_a <= high_b) & (low_b <= high_a),
        )

    return few_changes.Feature(numbers[0], numbers[1], kinds[0].shape[1], kinds[1].shape[1], ways)


def _ways(a: npt.NDArray[Any], b: npt.NDArray[Any], eps_a: Fraction, eps_b: Fraction) -> list[str]:
    """Return for each feature which example can bring the two together in it."""
    ways = []
    for x, y in zip(fractions(a), fractions(b), strict=True):
        step = abs(x - y)
        if step == 0:
            ways.append("same")
        elif step <= min(eps_a, eps_b):
            ways.append("either")
        elif step <= eps_a:
            ways.append("left")
        elif step <= eps_b:
            ways.append("right")
        else:
            ways.append("both" if step <= eps_a + eps_b else "none")
    return ways
