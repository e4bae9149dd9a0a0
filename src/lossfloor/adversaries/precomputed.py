"""An adversary given by a matrix: the distances between examples, or the conflicts themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lossfloor import exact
from lossfloor._checks import must
from lossfloor.adversaries.base import Adversary, Index, as_budgets, check_count, pick, show_budgets
from lossfloor.graphs.rows import BitRows, ConflictRows, ListRows

#: Entries of a dense matrix that are looked at together.
_ENTRIES_AT_ONCE = 1 << 24
#: Budgets are cut off here where they are compared in double precision, so that two of them have a sum.
_LARGEST_BUDGET = Fraction(2) ** 1000


class Precomputed(Adversary):
    """Examples conflict as given by a matrix.

    Parameters
    ----------
    distances : array_like or sparse matrix, shape (n, n), optional
        Distances between examples, taken as the stored numbers.  Absent entries of a sparse matrix
        are farther than any budget; an explicit zero is the distance 0.
    conflicts : array_like or sparse matrix, shape (n, n), optional
        Non-zero where two examples conflict.
    eps : number or array_like of shape (n,), optional
        Budget, with `distances` only: i and j conflict when ``distances[i, j] <= eps_i + eps_j``.

    Raises
    ------
    TypeError, ValueError
        If not exactly one matrix is given, it is not square, or `eps` is missing or superfluous.  When the
        matrix is used: if an entry between classes is NaN or negative, or differs from its mirror image.

    Notes
    -----
    Only entries between examples of different classes are read.

    Examples
    --------
    >>> import numpy as np
    >>> Precomputed(distances=np.array([[0, 3], [3, 0]]), eps=1.5)
    Precomputed(distances=<2 x 2>, eps=1.5)
    """

    name: ClassVar[str] = "precomputed"
    budgets: ClassVar[tuple[str, ...]] = ("eps",)
    knows_points: ClassVar[bool] = False

    def __init__(self, *, distances: Any = None, conflicts: Any = None, eps: Any = None) -> None:
        if (distances is None) == (conflicts is None):
            raise TypeError("give exactly one of 'distances' and 'conflicts'")
        if conflicts is not None and eps is not None:
            raise TypeError("'eps' goes with 'distances'; 'conflicts' already defines the conflicts")
        if distances is not None and eps is None:
            raise TypeError("'distances' needs 'eps', the budget to compare with")
        self._what = "conflicts" if distances is None else "distances"
        self.matrix = self._checked(conflicts if distances is None else distances)
        self.eps = None if eps is None else as_budgets("eps", eps)

    def _checked(self, matrix: Any) -> Any:
        is_sparse = sparse.issparse(matrix)
        if is_sparse:
            checked: Any = sparse.csr_array(matrix)
            if not checked.has_canonical_format:
                checked.sum_duplicates()
        else:
            checked = np.asarray(matrix)
        if checked.ndim != 2 or checked.shape[0] != checked.shape[1]:
            raise ValueError(must(self._what, "a square matrix, n x n", f"shape {checked.shape}"))
        if checked.dtype.kind not in "biuf" or checked.dtype.itemsize > 8:
            raise TypeError(must(self._what, "a matrix of real numbers of at most 64 bits", checked.dtype))
        return checked

    def __repr__(self) -> str:
        size = " x ".join(str(side) for side in self.matrix.shape)
        budget = "" if self.eps is None else f", eps={show_budgets(self.eps)}"
        return f"Precomputed({self._what}=<{size}>{budget})"

    def config(self) -> dict[str, Any]:
        """Return the budget and a digest of the matrix; the matrix itself must be supplied again."""
        digest = hashlib.sha256()
        parts = [self.matrix]
        is_sparse = sparse.issparse(self.matrix)
        if is_sparse:
            parts = [
                self.matrix.data,
                self.matrix.indices.astype(np.int64),
                self.matrix.indptr.astype(np.int64),
            ]
        for part in parts:
            digest.update(f"{part.dtype.str} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        config: dict[str, Any] = {"name": self.name, "matrix": self._what, "sha256": digest.hexdigest()}
        if self.eps is not None:
            config["eps"] = str(self.eps[0]) if len(self.eps) == 1 else [str(value) for value in self.eps]
        return config

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Precomputed:
        """Raise: the matrix is not part of a configuration."""
        raise ValueError("a Precomputed adversary cannot be recreated from its name: give its matrix")

    def as_data(self, X: Any, n: int) -> Index:
        """Return the positions of the examples; X itself is ignored and may be None."""
        if self.matrix.shape[0] != n:
            raise ValueError(
                must(self._what, f"{n} x {n}, one row per example", " x ".join(map(str, self.matrix.shape)))
            )
        if self.eps is not None:
            check_count("eps", self.eps, n)
        return np.arange(n, dtype=np.intp)

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Raise: a matrix knows nothing of points that are not examples."""
        raise TypeError("a Precomputed adversary knows which examples conflict, but no points")

    def meet(self, points: Any, *, index: Index | None = None) -> None:
        """Raise: a matrix knows nothing of points that are not examples."""
        raise TypeError("a Precomputed adversary knows which examples conflict, but no points")

    def conflict(self, a: Any, b: Any, *, index: Index | None = None) -> bool:
        """Return whether the examples at positions a and b conflict."""
        rows = next(self.conflicts(np.array([a], dtype=np.intp), np.array([b], dtype=np.intp)))
        return len(rows.targets) > 0 if isinstance(rows, ListRows) else bool(rows.bits.any())

    def conflicts(
        self, XA: Index, XB: Index, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Yield the conflicts between examples at positions XA and at positions XB."""
        if sparse.issparse(self.matrix):
            yield self._sparse_rows(XA, XB)
            return
        step = max(1, _ENTRIES_AT_ONCE // len(XB))
        words = (len(XB) + 63) // 64
        for start in range(0, len(XA), step):
            rows = XA[start : start + step]
            entries = self.matrix[np.ix_(rows, XB)]
            row, column = np.broadcast_arrays(rows[:, None], XB[None, :])
            padded = np.zeros((len(rows), words * 64), dtype=np.bool_)
            padded[:, : len(XB)] = self._conflicting(entries, self.matrix[np.ix_(XB, rows)].T, row, column)
            bits = np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64, copy=False)
            yield BitRows(start, start + len(rows), np.ascontiguousarray(bits))

    def _sparse_rows(self, XA: Index, XB: Index) -> ListRows:
        def part(rows: Index, columns: Index) -> Any:
            chosen = sparse.csr_array(self.matrix[rows][:, columns])
            if self.eps is None:
                chosen.eliminate_zeros()
            return chosen

        there = part(XA, XB)
        back = sparse.csr_array(part(XB, XA).T)
        for side in (there, back):
            side.sort_indices()
        row = np.repeat(np.arange(len(XA)), np.diff(there.indptr))
        if not (np.array_equal(there.indptr, back.indptr) and np.array_equal(there.indices, back.indices)):
            marks = [
                sparse.csr_array((np.ones(m.nnz, np.int8), m.indices, m.indptr), shape=m.shape) for m in (there, back)
            ]
            lonely = sparse.coo_array(marks[0] - marks[1])
            lonely.eliminate_zeros()
            i, j = XA[lonely.coords[0][0]], XB[lonely.coords[1][0]]
            raise ValueError(f"{self._what!r} must be symmetric between classes, got one of ({i}, {j}) and ({j}, {i})")
        flags = self._conflicting(there.data, back.data, XA[row], XB[there.indices])
        counts = np.bincount(row[flags], minlength=len(XA)).astype(np.int64)
        return ListRows(0, len(XA), there.indices[flags].astype(np.int32), counts)

    def _conflicting(
        self, entries: npt.NDArray[Any], mirrored: npt.NDArray[Any], rows: Index, columns: Index
    ) -> npt.NDArray[np.bool_]:
        """Check entries of the matrix and return which of them are conflicts."""
        what = "free of NaN" if self.eps is None else "free of NaN and negative numbers"
        for values, at_row, at_column in ((entries, rows, columns), (mirrored, columns, rows)):
            wrong = values != values if self.eps is None else ~(values >= 0)
            if wrong.any():
                where = tuple(np.argwhere(wrong)[0])
                raise ValueError(
                    must(self._what, what, values[where].item()) + f" at ({at_row[where]}, {at_column[where]})"
                )
        wrong = (entries != 0) != (mirrored != 0) if self.eps is None else entries != mirrored
        if wrong.any():
            where = tuple(np.argwhere(wrong)[0])
            place = f" at ({rows[where]}, {columns[where]}), mirrored {mirrored[where].item()}"
            raise ValueError(must(self._what, "symmetric between classes", entries[where].item()) + place)
        return np.asarray(entries != 0) if self.eps is None else self._at_most(entries, rows, columns)

    def _at_most(self, entries: npt.NDArray[Any], rows: Index, columns: Index) -> npt.NDArray[np.bool_]:
        """Compare distances with the budgets of their pairs, exactly."""
        if self.eps is None:
            raise TypeError("conflicts have no budget")
        if len(self.eps) == 1:
            threshold = 2 * self.eps[0]
            if entries.dtype.kind in "iub":
                return np.asarray(entries <= min(threshold.numerator // threshold.denominator, 2**64))
            # A double is at most a rational exactly when it is at most the largest double below that.
            return np.asarray(entries.astype(np.float64) <= exact.bracket(threshold)[0])
        budgets = np.array([float(min(value, _LARGEST_BUDGET)) for value in self.eps])
        limits = budgets[rows] + budgets[columns]
        numbers = entries.astype(np.float64)
        answer = np.asarray(numbers <= limits)
        close = np.abs(numbers - limits) <= 2.0**-48 * limits + 2.0**-1060
        close |= np.isfinite(numbers) & (limits >= float(_LARGEST_BUDGET))
        for where in map(tuple, np.argwhere(close)):
            pair = pick(self.eps, np.array([rows[where], columns[where]]), 2)
            answer[where] = exact.fraction_of(entries[where]) <= pair[0] + pair[1]
        return answer
