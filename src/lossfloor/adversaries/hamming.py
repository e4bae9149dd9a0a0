"""At most k features, each changed to any value."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.adversaries.base import Adversary, Index, check_count
from lossfloor.adversaries.geometry import deciding, few_changes
from lossfloor.distances import PairSweep, Radii
from lossfloor.graphs.rows import BitRows, ConflictRows

#: Columns that the indicator form of the data may have; with more, features are compared one by one.
_MOST_INDICATORS = 4096


class Hamming(Adversary):
    """Changes at most `k` features, each to any value.

    Parameters
    ----------
    k : int or array_like of shape (n,)
        Number of features that may change, common or one per example; at least 0.

    Raises
    ------
    TypeError, ValueError
        If `k` is negative or not a whole number.

    Notes
    -----
    Two examples conflict exactly when they differ in at most ``k_u + k_v`` features: each of these has to be
    changed by one of them, and if there are no more, u takes the value of v in k_u of them and v that of u in
    the rest.

    Examples are rows of numbers, strings or any other hashable values, equality being that of Python.

    Examples
    --------
    >>> adversary = Hamming(1)
    >>> adversary
    Hamming(k=1)
    >>> adversary.contains([["red", 4], ["red", 4]], [["blue", 4], ["blue", 5]])
    array([ True, False])
    """

    name: ClassVar[str] = "hamming"
    budgets: ClassVar[tuple[str, ...]] = ("k",)

    def __init__(self, k: Any) -> None:
        self.k = few_changes.as_counts("k", k)

    def __repr__(self) -> str:
        return f"Hamming(k={few_changes.show_counts(self.k)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hamming) and self.k == other.k

    def __hash__(self) -> int:
        return hash((self.name, self.k))

    @property
    def is_monotone(self) -> bool:
        """Always: a feature changed to another value is still one changed feature."""
        return True

    def config(self) -> dict[str, Any]:
        """Return the name and the budgets."""
        return {"name": self.name, "k": few_changes.config_counts(self.k)}

    def as_data(self, X: Any, n: int) -> npt.NDArray[Any]:
        """Check that X is a table with `n` rows.

        Parameters
        ----------
        X : array_like or data frame, shape (n, ...)
            Numbers, strings or other hashable values; NaN is refused, since it does not equal itself.
        n : int

        Returns
        -------
        ndarray, shape (n, d)
            Of the dtype given, or of objects for values of several kinds.
        """
        table = as_table("X", X)
        if len(table) != n:
            raise ValueError(must("X", f"of {n} examples, one per label", f"{len(table)} examples"))
        check_count("k", self.k, n)
        return table

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``X[i]`` and ``Z[i]`` differ in at most k features.

        Parameters
        ----------
        X, Z : array_like, shape (n, ...)
        index : ndarray of intp, shape (n,), optional
            Positions of the rows of X in the data set; required if each example has its own budget.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        centres, points = as_table("X", X), as_table("Z", Z)
        if centres.shape != points.shape:
            raise ValueError(must("Z", f"of shape {centres.shape}, like X", f"shape {points.shape}"))
        changed = np.count_nonzero(_different(centres, points), axis=1)
        return np.asarray(changed <= few_changes.pick_counts(self.k, index, len(centres)))

    def conflict(self, a: npt.NDArray[Any], b: npt.NDArray[Any], *, index: Index | None = None) -> bool:
        """Return whether two examples differ in at most as many features as both together may change."""
        differing = sum(x != y for x, y in zip(a.tolist(), b.tolist(), strict=True))
        return int(differing) <= sum(few_changes.pick_counts(self.k, index, 2))

    def meet(self, points: Any, *, index: Index | None = None) -> npt.NDArray[Any] | None:
        """Return a row that all the examples given may be moved to.

        Parameters
        ----------
        points : array_like, shape (k, ...)
            Two examples, or a few more: the search for more takes time exponential in their budgets.
        index : ndarray of intp, shape (k,), optional

        Returns
        -------
        ndarray, shape (d,), or None
            Of the dtype of the examples, made of their values; None if there is no such row.

        References
        ----------
        Gramm, Niedermeier, Rossmanith, "Fixed-parameter algorithms for Closest String and related problems",
        Algorithmica 37, 2003: the search for more than two.
        """
        rows = as_table("points", points)
        budgets = few_changes.pick_counts(self.k, index, len(rows))
        return _closest(rows[0].copy(), budgets[0], rows, budgets)

    def conflicts(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Iterator[ConflictRows]:
        """Yield the pairs that differ in at most ``k_a + k_b`` features.

        Values are replaced by their numbers.  If these are few, each becomes an indicator, which makes twice
        the number of differing features an l1 distance of small integers.
        """
        left, right = (
            few_changes.pick_counts(self.k, index_a, len(XA)),
            few_changes.pick_counts(self.k, index_b, len(XB)),
        )
        codes = _encoded(np.concatenate([XA, XB]))
        sizes = codes.max(axis=0) + 1
        if int(sizes.sum()) <= _MOST_INDICATORS:
            marks = _indicators(codes, sizes)
            shared = len(set(left)) == 1 and len(set(right)) == 1
            radii = [tuple(Fraction(2 * k) for k in (side[:1] if shared else side)) for side in (left, right)]
            sweep = PairSweep(Fraction(1), marks[: len(XA)], marks[len(XA) :])
            for start, stop, bits in sweep.within(Radii(radii[0], radii[1])):
                yield BitRows(start, stop, bits)
            return
        a, b = codes[: len(XA)], codes[len(XA) :]
        limits = np.array(right, dtype=np.int64)[None, :] + np.array(left, dtype=np.int64)[:, None]
        for start, stop in deciding.row_pieces(len(XA), len(XB)):
            differing = np.zeros((stop - start, len(XB)), dtype=np.int32)
            for j in range(codes.shape[1]):
                differing += a[start:stop, j, None] != b[None, :, j]
            yield deciding.bit_rows(start, differing <= limits[start:stop])

    def critical_eps(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return for each pair the smallest k at which it conflicts if both examples have it.

        Returns
        -------
        ndarray of float64, shape (n, m)
            Half the number of differing features, rounded up to a whole number; no rounding otherwise.
        """
        different = deciding.critical_matrix(
            len(XA), len(XB), lambda i, j: float(np.count_nonzero(_different(XA[i : i + 1], XB[j : j + 1])))
        )
        return np.ceil(different / 2)


def as_table(name: str, X: Any) -> npt.NDArray[Any]:
    """Check a table of values of any kind and flatten each example to one row.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    X : array_like or data frame, shape (n, ...)

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If the rows have different lengths, there is no example or feature, or a value is NaN or cannot be
        hashed.
    """
    try:
        table = np.asarray(X)
        if table.dtype.kind in "US" and not hasattr(X, "dtype"):
            table = np.array(X, dtype=object)  # a list of strings and numbers would become strings throughout
    except ValueError:
        raise ValueError(must(name, "a table whose rows have one length", "rows of several lengths")) from None
    if table.dtype.kind not in "biufUSO":
        raise TypeError(must(name, "a table of numbers, strings or objects", table.dtype))
    if table.ndim < 2:
        raise ValueError(must(name, "a table of shape (n, d) with one example per row", f"shape {table.shape}"))
    if 0 in table.shape:
        raise ValueError(must(name, "a table with at least one example and one feature", f"shape {table.shape}"))
    table = table.reshape(len(table), -1)
    if table.dtype.kind in "fO":
        odd = np.asarray(table != table, dtype=np.bool_)
        if odd.any():
            row, column = np.argwhere(odd)[0]
            raise ValueError(
                must(name, "free of NaN (give missing values a name of their own)", table[row, column])
                + f" in row {row}, column {column}"
            )
    if table.dtype == object:
        for value in table.ravel().tolist():
            try:
                hash(value)
            except TypeError:
                raise TypeError(must(name, "made of hashable values", value)) from None
    return table


def _different(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if a.dtype.kind in "iufb" and b.dtype.kind in "iufb" and a.dtype != b.dtype:
        a, b = a.astype(object), b.astype(object)  # a large integer beside a float would be rounded
    return np.asarray(a != b, dtype=np.bool_)


def _encoded(table: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Replace the values of each column by numbers."""
    codes = np.empty(table.shape, dtype=np.int64)
    for j in range(table.shape[1]):
        if table.dtype == object:
            known: dict[Any, int] = {}
            codes[:, j] = [known.setdefault(value, len(known)) for value in table[:, j].tolist()]
        else:
            codes[:, j] = np.unique(table[:, j], return_inverse=True)[1]
    return codes


def _indicators(codes: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Write rows as small integers so that each differing feature adds 2 to the l1 distance."""
    columns = []
    for column, size in zip(codes.T, sizes.tolist(), strict=True):
        if size == 2:
            columns.append((2 * column[:, None]).astype(np.uint8))
        elif size > 2:
            columns.append((column[:, None] == np.arange(size)[None, :]).astype(np.uint8))
    if not columns:
        return np.zeros((len(codes), 1), dtype=np.uint8)
    return np.ascontiguousarray(np.concatenate(columns, axis=1))


def _closest(row: npt.NDArray[Any], left: int, rows: npt.NDArray[Any], budgets: list[int]) -> npt.NDArray[Any] | None:
    """Change at most `left` more features of a row so that no example is farther from it than its budget."""
    for target, budget in zip(rows, budgets, strict=True):
        apart = np.flatnonzero(_different(row[None], target[None])[0])
        if len(apart) <= budget:
            continue
        if len(apart) > budget + left:
            return None
        if len(rows) == 2:
            row[apart[: len(apart) - budget]] = target[apart[: len(apart) - budget]]
            return row
        # One of any budget + 1 features that differ has to be changed to the value of this example.
        for feature in apart[: budget + 1]:
            changed = row.copy()
            changed[feature] = target[feature]
            found = _closest(changed, left - 1, rows, budgets)
            if found is not None:
                return found
        return None
    return row
