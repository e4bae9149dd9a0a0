"""Neighbourhoods that are finite sets, listed in a matrix or by a function."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lossfloor._checks import must
from lossfloor.adversaries.base import Adversary, Index
from lossfloor.graphs.rows import ConflictRows, ListRows

#: Pairs of a left and a right example that share an outcome, counted with repetition, that are found
#: together.
_MEETINGS_AT_ONCE = 1 << 24


class FiniteSets(Adversary):
    """Moves an example to one of finitely many outcomes.

    Parameters
    ----------
    outcomes : callable, optional
        Returns the collection of outcomes of an example; outcomes are hashable and compared by ``==``.
        Without it the data is itself a matrix, dense or sparse, of shape (n, m): example i may become outcome
        j where entry (i, j) is not zero.

    Raises
    ------
    TypeError, ValueError
        If `outcomes` cannot be called; when the data are read, if an example has no outcome.

    Notes
    -----
    Two examples conflict exactly when they share an outcome: when the entry of the product of their rows,
    with each other, is not zero.  An example of the matrix form has what budget its row says; the callable
    may read one off the example.  The example itself is an outcome only if it is listed.

    Examples
    --------
    >>> adversary = FiniteSets(lambda word: {word, word.lower()})
    >>> adversary.meet(["Tea", "tea"])
    'tea'
    >>> FiniteSets().meet([[1, 1, 0], [0, 1, 1]])
    1
    """

    name: ClassVar[str] = "finite-sets"
    budgets: ClassVar[tuple[str, ...]] = ()

    def __init__(self, outcomes: Callable[[Any], Iterable[Hashable]] | None = None) -> None:
        if outcomes is not None and not callable(outcomes):
            raise TypeError(must("outcomes", "a function of an example", outcomes))
        self.outcomes = outcomes

    def __repr__(self) -> str:
        if self.outcomes is None:
            return "FiniteSets()"
        return f"FiniteSets({getattr(self.outcomes, '__name__', type(self.outcomes).__name__)})"

    def config(self) -> dict[str, Any]:
        """Return the name, and that of the function, which has to be given again."""
        if self.outcomes is None:
            return {"name": self.name}
        return {
            "name": self.name,
            "outcomes": getattr(self.outcomes, "__qualname__", type(self.outcomes).__name__),
        }

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> FiniteSets:
        """Make the form without a function.

        Raises
        ------
        ValueError
            If there was a function.
        """
        if arguments:
            raise ValueError("a FiniteSets adversary cannot be recreated from its name: give its function")
        return cls()

    def is_at_least(self, other: Adversary) -> bool:
        """Return whether both list outcomes by the same function, or both read them from a matrix."""
        return isinstance(other, FiniteSets) and self.outcomes is other.outcomes and super().is_at_least(other)

    def as_data(self, X: Any, n: int) -> Any:
        """Check the examples and that each has an outcome.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, m); with a function, any sequence of n examples
        n : int

        Returns
        -------
        csr_array of int8, shape (n, m), or ndarray of object, shape (n,)
        """
        if self.outcomes is None:
            table = _as_matrix("X", X)
            size, empty = table.shape[0], np.flatnonzero(np.diff(table.indptr) == 0)
        else:
            table = as_objects("X", X)
            size = len(table)
            empty = np.array([i for i, x in enumerate(table) if not self.of(x)], dtype=np.intp)
        if size != n:
            raise ValueError(must("X", f"of {n} examples, one per label", f"{size} examples"))
        if len(empty):
            raise ValueError(must("X", "examples with at least one outcome", f"none for example {empty[0]}"))
        return table

    def of(self, x: Any) -> list[Hashable]:
        """Return the distinct outcomes of an example, as the function lists them."""
        if self.outcomes is None:
            whole: Any = x if sparse.issparse(x) else np.asarray(x)
            row = _as_matrix("x", whole.reshape(1, -1))
            return list(row.indices.tolist())
        return list(dict.fromkeys(self.outcomes(x)))

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``Z[i]`` is an outcome of ``X[i]``: in the matrix form, a column."""
        examples = _as_matrix("X", X) if self.outcomes is None else as_objects("X", X)
        others = list(Z)
        if examples.shape[0] != len(others):
            raise ValueError(must("Z", f"of {examples.shape[0]} outcomes, one per example", f"{len(others)}"))
        return np.array([z in self.of(x) for x, z in zip(self._each(examples), others, strict=True)], dtype=np.bool_)

    def _each(self, examples: Any) -> list[Any]:
        """Return the examples one by one: rows of a matrix as matrices of one row."""
        return [examples[[i]] for i in range(examples.shape[0])] if self.outcomes is None else list(examples)

    def conflict(self, a: Any, b: Any, *, index: Index | None = None) -> bool:
        """Return whether two examples share an outcome."""
        return not set(self.of(a)).isdisjoint(self.of(b))

    def meet(self, points: Any, *, index: Index | None = None) -> Hashable | None:
        """Return the first outcome of the first example that all the others share, or None."""
        examples = _as_matrix("points", points) if self.outcomes is None else as_objects("points", points)
        lists = [self.of(x) for x in self._each(examples)]
        shared = set(lists[0]).intersection(*lists[1:])
        return next((outcome for outcome in lists[0] if outcome in shared), None)

    def conflicts(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Yield the pairs that share an outcome: where the product of the two matrices is not zero."""
        if self.outcomes is None:
            yield from shared_outcomes(XA, XB)
            return
        numbers: dict[Hashable, int] = {}
        rows = [[[numbers.setdefault(o, len(numbers)) for o in self.of(x)] for x in side] for side in (XA, XB)]
        yield from shared_outcomes(*(from_lists(side, len(numbers)) for side in rows))


def shared_outcomes(A: Any, B: Any) -> Iterator[ListRows]:
    """Yield which rows of two sparse matrices have a non-zero entry in a common column.

    Parameters
    ----------
    A, B : csr_array, shape (n, k) and (m, k)
    """
    n = A.shape[0]
    first = sparse.csr_array((np.ones(A.nnz, dtype=np.int32), A.indices, A.indptr), shape=A.shape)
    second = sparse.csr_array((np.ones(B.nnz, dtype=np.int32), B.indices, B.indptr), shape=B.shape)
    by_outcome = sparse.csr_array(second.T)
    meetings = np.concatenate([[0], np.cumsum(np.diff(by_outcome.indptr)[A.indices], dtype=np.int64)])
    done = 0
    while done < n:
        limit = meetings[A.indptr[done]] + _MEETINGS_AT_ONCE
        stop = int(np.searchsorted(meetings[A.indptr[1:]], limit, side="right"))
        stop = min(n, max(stop, done + 1))
        product = sparse.csr_array(first[done:stop] @ by_outcome)
        product.sort_indices()
        yield ListRows(done, stop, product.indices.astype(np.int32), np.diff(product.indptr).astype(np.int64))
        done = stop


def from_lists(lists: Sequence[Sequence[int]], n_outcomes: int) -> Any:
    """Make a matrix with a row for each list of distinct outcomes."""
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in lists])]).astype(np.int64)
    columns = np.array([outcome for row in lists for outcome in row], dtype=np.int64)
    ones = np.ones(len(columns), dtype=np.int8)
    matrix = sparse.csr_array((ones, columns, offsets), shape=(len(lists), max(n_outcomes, 1)))
    matrix.sort_indices()
    return matrix


def as_objects(name: str, X: Any) -> npt.NDArray[np.object_]:
    """Take any sequence of examples as a one-dimensional array of objects."""
    if isinstance(X, (str, bytes)) or not hasattr(X, "__len__"):
        raise TypeError(must(name, "a sequence of examples", X))
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        return X
    objects = np.empty(len(X), dtype=object)
    for i, x in enumerate(X):
        objects[i] = x
    if len(objects) == 0:
        raise ValueError(must(name, "at least one example", "none"))
    return objects


def _as_matrix(name: str, X: Any) -> Any:
    """Return where a matrix is not zero, as a csr_array of ones."""
    matrix: Any = X if sparse.issparse(X) else np.asarray(X)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(must(name, "a matrix of examples and outcomes", f"shape {matrix.shape}"))
    if matrix.dtype.kind not in "biuf":
        raise TypeError(must(name, "a matrix of numbers", matrix.dtype))
    csr = sparse.csr_array(matrix)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    csr.sort_indices()
    return sparse.csr_array((np.ones(csr.nnz, dtype=np.int8), csr.indices, csr.indptr), shape=csr.shape)
