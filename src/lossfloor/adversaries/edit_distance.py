"""Strings and sequences of tokens, changed by at most k insertions, deletions and substitutions."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.adversaries.base import Adversary, Index, check_count
from lossfloor.adversaries.geometry import deciding, few_changes
from lossfloor.adversaries.geometry.sequences import Sentence, as_sentences, like
from lossfloor.distances.sweep import thread_count
from lossfloor.exceptions import MissingDependencyError
from lossfloor.graphs.rows import ConflictRows


class EditDistance(Adversary):
    """Inserts, deletes or replaces at most `k` characters of a string, or tokens of a sequence.

    Parameters
    ----------
    k : int or array_like of shape (n,)
        Number of edits, common or one per example; at least 0.

    Raises
    ------
    TypeError, ValueError
        If `k` is negative or not a whole number.

    Notes
    -----
    Two examples conflict exactly when their Levenshtein distance is at most ``k_u + k_v``: it cannot be more
    by the triangle inequality, and a shortest path of edits from u to v can be cut after k_u steps, at a
    string that both reach. Characters are Unicode code points.  Finding all conflicts needs RapidFuzz:
    ``pip install 'lossfloor[strings]'``.

    Examples
    --------
    >>> adversary = EditDistance(1)
    >>> adversary.contains(["kitten", "kitten"], ["sitten", "sitting"])
    array([ True, False])
    >>> adversary.meet(["kitten", "sittin"])
    'kittin'
    """

    name: ClassVar[str] = "edit-distance"
    budgets: ClassVar[tuple[str, ...]] = ("k",)

    def __init__(self, k: Any) -> None:
        self.k = few_changes.as_counts("k", k)

    def __repr__(self) -> str:
        return f"EditDistance(k={few_changes.show_counts(self.k)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EditDistance) and self.k == other.k

    def __hash__(self) -> int:
        return hash((self.name, self.k))

    def config(self) -> dict[str, Any]:
        """Return the name and the budgets."""
        return {"name": self.name, "k": few_changes.config_counts(self.k)}

    def as_data(self, X: Any, n: int) -> npt.NDArray[np.object_]:
        """Check that X holds `n` strings, or `n` sequences of hashable tokens.

        Parameters
        ----------
        X : sequence or array_like, shape (n,)
        n : int

        Returns
        -------
        ndarray of object, shape (n,)
            Strings, or tuples of tokens.
        """
        sentences = as_sentences("X", X)
        if len(sentences) != n:
            raise ValueError(must("X", f"of {n} examples, one per label", f"{len(sentences)} examples"))
        check_count("k", self.k, n)
        return sentences

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``Z[i]`` is at most k edits from ``X[i]``.

        Parameters
        ----------
        X, Z : sequence, shape (n,)
        index : ndarray of intp, shape (n,), optional
            Positions of X in the data set; required if each example has its own budget.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        sentences, others = as_sentences("X", X), as_sentences("Z", Z)
        if len(sentences) != len(others):
            raise ValueError(must("Z", f"of {len(sentences)} examples, like X", f"{len(others)}"))
        budgets = few_changes.pick_counts(self.k, index, len(sentences))
        triples = zip(sentences, others, budgets, strict=True)
        return np.array([edit_distance(x, z, k) <= k for x, z, k in triples], dtype=np.bool_)

    def conflict(self, a: Sentence, b: Sentence, *, index: Index | None = None) -> bool:
        """Return whether two examples are at most as far apart as both together may be edited."""
        limit = sum(few_changes.pick_counts(self.k, index, 2))
        return edit_distance(a, b, limit) <= limit

    def meet(self, points: Any, *, index: Index | None = None) -> Sentence | None:
        """Return a sequence that two examples may both be edited to, about half-way between them.

        Parameters
        ----------
        points : sequence, shape (2,)
        index : ndarray of intp, shape (2,), optional

        Returns
        -------
        str, tuple or None
            None if they do not conflict.

        Raises
        ------
        ValueError
            If there are not two examples.
        """
        sentences = as_sentences("points", points)
        if len(sentences) != 2:
            raise ValueError(must("points", "two examples", f"{len(sentences)}"))
        a, b = sentences
        first, second = few_changes.pick_counts(self.k, index, 2)
        path = _path(a, b)
        if len(path) > first + second:
            return None
        steps = min(first, max(len(path) // 2, len(path) - second))
        tokens: list[Hashable] = list(a)
        # From the end to the beginning, so that the places before an edit stay where they are.
        for place, kind, token in path[len(path) - steps :][::-1]:
            if kind == "insert":
                tokens.insert(place, token)
            elif kind == "delete":
                del tokens[place]
            else:
                tokens[place] = token
        return like(a, tokens)

    def conflicts(
        self,
        XA: npt.NDArray[np.object_],
        XB: npt.NDArray[np.object_],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Iterator[ConflictRows]:
        """Yield the pairs at most ``k_a + k_b`` edits apart.

        Raises
        ------
        MissingDependencyError
            If RapidFuzz is not installed.
        """
        try:
            from rapidfuzz import process
            from rapidfuzz.distance import Levenshtein
        except ImportError:
            raise MissingDependencyError(
                "conflicts under EditDistance need RapidFuzz: pip install 'lossfloor[strings]'"
            ) from None
        left = np.array(few_changes.pick_counts(self.k, index_a, len(XA)), dtype=np.int64)
        right = np.array(few_changes.pick_counts(self.k, index_b, len(XB)), dtype=np.int64)
        rows, columns = _as_strings(XA, XB)
        longest = max(map(len, (*rows, *columns)))
        cutoff = min(int(left.max() + right.max()), longest)
        for start, stop in deciding.row_pieces(len(XA), len(XB)):
            distances = process.cdist(
                rows[start:stop],
                columns,
                scorer=Levenshtein.distance,
                score_cutoff=cutoff,
                dtype=np.int32,
                workers=thread_count(),
            )
            yield deciding.bit_rows(start, distances <= left[start:stop, None] + right[None, :])

    def critical_eps(
        self,
        XA: npt.NDArray[np.object_],
        XB: npt.NDArray[np.object_],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return for each pair the smallest k at which it conflicts if both examples have it.

        Returns
        -------
        ndarray of float64, shape (n, m)
            Half the distance, rounded up to a whole number; no rounding otherwise.
        """
        distances = deciding.critical_matrix(len(XA), len(XB), lambda i, j: float(edit_distance(XA[i], XB[j])))
        return np.ceil(distances / 2)


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable], limit: int | None = None) -> int:
    """Return the Levenshtein distance of two sequences, in plain Python.

    Parameters
    ----------
    a, b : sequence
    limit : int, optional
        Stop at a larger number as soon as the distance is known to exceed this.

    Returns
    -------
    int

    Examples
    --------
    >>> edit_distance("kitten", "sitting")
    3
    """
    if limit is not None and abs(len(a) - len(b)) > limit:
        return limit + 1
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            best = diagonal if x == y else 1 + min(diagonal, row[j], row[j - 1])
            diagonal, row[j] = row[j], best
        if limit is not None and min(row) > limit:
            return limit + 1
    return row[-1]


def _path(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, str, Hashable]]:
    """Return a shortest list of edits that turn a into b: place in a, kind and token, places ascending."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, start=1):
        above, row = rows[-1], [i]
        for j, y in enumerate(b, start=1):
            row.append(above[j - 1] if x == y else 1 + min(above[j - 1], above[j], row[-1]))
        rows.append(row)
    path: list[tuple[int, str, Hashable]] = []
    i, j = len(a), len(b)
    while i or j:
        here = rows[i][j]
        if i and j and a[i - 1] == b[j - 1] and here == rows[i - 1][j - 1]:
            i, j = i - 1, j - 1
        elif i and j and here == rows[i - 1][j - 1] + 1:
            i, j = i - 1, j - 1
            path.append((i, "replace", b[j]))
        elif i and here == rows[i - 1][j] + 1:
            i -= 1
            path.append((i, "delete", None))
        else:
            j -= 1
            path.append((i, "insert", b[j]))
    return path[::-1]


def _as_strings(XA: npt.NDArray[np.object_], XB: npt.NDArray[np.object_]) -> tuple[list[str], list[str]]:
    """Write sequences of tokens as strings, with a character for each distinct token."""
    if isinstance(XA[0], str):
        return XA.tolist(), XB.tolist()
    numbers: dict[Hashable, str] = {}

    def character(token: Hashable) -> str:
        if token not in numbers:
            number = len(numbers)
            # Surrogates are no characters.
            numbers[token] = chr(number if number < 0xD800 else number + 0x800)
        return numbers[token]

    left, right = (["".join(map(character, sentence)) for sentence in side] for side in (XA, XB))
    return left, right
