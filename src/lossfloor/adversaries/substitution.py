"""Sequences of tokens, each of which may become one of its synonyms."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.adversaries.base import Adversary, Index, check_count
from lossfloor.adversaries.geometry import deciding, few_changes
from lossfloor.adversaries.geometry.sequences import Sentence, as_sentences, like
from lossfloor.graphs.rows import ConflictRows


class Substitution(Adversary):
    """Replaces tokens by their synonyms, in at most `k` places; the length stays.

    Parameters
    ----------
    synonyms : mapping
        From a token to the tokens that it may become.  Every token may also stay; tokens that are not in the
        mapping have to.
    k : int or array_like of shape (n,), optional
        Number of places that may be changed, common or one per example; as many as there are by default.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.

    Notes
    -----
    An example is a sequence of hashable tokens; a string counts as the sequence of its characters, so texts
    have to be cut into words first.  The mapping is used as it is: that a may become b does not mean that b
    may become a.

    Two examples conflict exactly when they have the same length, the sets of a place intersect wherever they
    differ, and the changes can be shared out (as for `SparseLinf`): places where only u can take the token of
    v count for u, where both have to meet at a third token for both, and all together they are at most k_u +
    k_v.

    Examples
    --------
    >>> adversary = Substitution({"film": ["movie", "picture"], "good": ["fine"]})
    >>> adversary
    Substitution(<2 tokens>)
    >>> adversary.meet([["a", "good", "film"], ["a", "fine", "movie"]])
    ('a', 'fine', 'movie')
    """

    name: ClassVar[str] = "substitution"
    budgets: ClassVar[tuple[str, ...]] = ("k",)

    def __init__(self, synonyms: Mapping[Hashable, Iterable[Hashable]], k: Any = None) -> None:
        if not isinstance(synonyms, Mapping):
            raise TypeError(must("synonyms", "a mapping from a token to the tokens it may become", synonyms))
        self.synonyms: dict[Hashable, frozenset[Hashable]] = {}
        for token, others in synonyms.items():
            if isinstance(others, (str, bytes)) or not isinstance(others, Iterable):
                raise TypeError(must("synonyms", f"a mapping to collections of tokens, for {token!r} too", others))
            try:
                self.synonyms[token] = frozenset(others) | {token}
            except TypeError:
                raise TypeError(must("synonyms", f"made of hashable tokens, for {token!r} too", others)) from None
        self.k = None if k is None else few_changes.as_counts("k", k)

    def __repr__(self) -> str:
        budget = "" if self.k is None else f", k={few_changes.show_counts(self.k)}"
        return f"Substitution(<{len(self.synonyms)} tokens>{budget})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Substitution) and (self.synonyms, self.k) == (other.synonyms, other.k)

    def __hash__(self) -> int:
        return hash((self.name, self.k, len(self.synonyms)))

    def config(self) -> dict[str, Any]:
        """Return the name, the synonyms and the budgets; JSON can hold them if the tokens are strings or numbers.

        The synonyms are a mapping if all tokens that have some are strings, as the keys of JSON have to be, else a list
        of pairs.
        """
        lists = {token: sorted(others - {token}, key=repr) for token, others in self.synonyms.items()}
        words = all(isinstance(token, str) for token in lists)
        config: dict[str, Any] = {
            "name": self.name,
            "synonyms": lists if words else [[token, others] for token, others in lists.items()],
        }
        if self.k is not None:
            config["k"] = few_changes.config_counts(self.k)
        return config

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Adversary:
        """Make the adversary from what `config` returned, less the name; the synonyms may be a list of pairs."""
        synonyms = arguments.get("synonyms")
        if isinstance(synonyms, list):
            try:
                arguments = {**arguments, "synonyms": {token: others for token, others in synonyms}}
            except (TypeError, ValueError):
                raise ValueError(must("synonyms", "a mapping, or a list of pairs [token, tokens]", synonyms)) from None
        return super().from_config(arguments)

    def as_data(self, X: Any, n: int) -> npt.NDArray[np.object_]:
        """Check that X holds `n` sequences of hashable tokens.

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
        if self.k is not None:
            check_count("k", self.k, n)
        if isinstance(sentences[0], str):
            for token in set().union(*self.synonyms.values()) if self.synonyms else ():
                if not (isinstance(token, str) and len(token) == 1):
                    raise ValueError(must("synonyms", "single characters for examples that are strings", token))
        return sentences

    def outcomes(self, token: Hashable) -> frozenset[Hashable]:
        """Return the tokens that a token may become, itself among them."""
        return self.synonyms.get(token) or frozenset([token])

    def _counts(self, sentences: npt.NDArray[np.object_], index: Index | None) -> list[int]:
        if self.k is None:
            return [len(sentence) for sentence in sentences]
        return few_changes.pick_counts(self.k, index, len(sentences))

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``X[i]`` may be changed to ``Z[i]``.

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
        answer = np.zeros(len(sentences), dtype=np.bool_)
        for i, (x, z, k) in enumerate(zip(sentences, others, self._counts(sentences, index), strict=True)):
            if len(x) == len(z):
                changed = [(a, b) for a, b in zip(x, z, strict=True) if a != b]
                answer[i] = len(changed) <= k and all(b in self.outcomes(a) for a, b in changed)
        return answer

    def _ways(self, a: Sentence, b: Sentence) -> list[str]:
        if len(a) != len(b):
            return ["none"]
        return [self._way(x, y) for x, y in zip(a, b, strict=True)]

    def _way(self, x: Hashable, y: Hashable) -> str:
        """Return which example can bring two tokens together."""
        if x == y:
            return "same"
        of_x, of_y = self.outcomes(x), self.outcomes(y)
        if y in of_x:
            return "either" if x in of_y else "left"
        if x in of_y:
            return "right"
        return "none" if of_x.isdisjoint(of_y) else "both"

    def conflict(self, a: Sentence, b: Sentence, *, index: Index | None = None) -> bool:
        """Return whether two examples conflict."""
        tally = few_changes.count(self._ways(a, b))
        return tally is not None and tally.suffices(*self._counts(_pair(a, b), index))

    def meet(self, points: Any, *, index: Index | None = None) -> Sentence | None:
        """Return a sequence that two examples may both be changed to.

        Parameters
        ----------
        points : sequence, shape (2,)
        index : ndarray of intp, shape (2,), optional

        Returns
        -------
        str, tuple or None
            None if they do not conflict.  Of several common synonyms the first by their `repr` is taken.

        Raises
        ------
        ValueError
            If there are not two examples.
        """
        sentences = as_sentences("points", points)
        if len(sentences) != 2:
            raise ValueError(must("points", "two examples", f"{len(sentences)}"))
        a, b = sentences
        chosen = few_changes.share_out(self._ways(a, b), *self._counts(sentences, index))
        if chosen is None:
            return None
        tokens = []
        for x, y, way in zip(a, b, chosen, strict=True):
            if way == "both":
                tokens.append(min(self.outcomes(x) & self.outcomes(y), key=repr))
            else:
                tokens.append(y if way == "left" else x)
        return like(a, tokens)

    def conflicts(
        self,
        XA: npt.NDArray[np.object_],
        XB: npt.NDArray[np.object_],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Iterator[ConflictRows]:
        """Yield the pairs that conflict; examples of each length are compared place by place."""
        k_left, k_right = np.array(self._counts(XA, index_a)), np.array(self._counts(XB, index_b))
        lengths_a, lengths_b = (np.array([len(sentence) for sentence in side]) for side in (XA, XB))
        flags_of: dict[int, npt.NDArray[np.bool_]] = {}
        columns_of = {length: np.flatnonzero(lengths_b == length) for length in np.unique(lengths_b).tolist()}
        rows_of = {length: np.flatnonzero(lengths_a == length) for length in np.unique(lengths_a).tolist()}
        for length, rows in rows_of.items():
            if length not in columns_of:
                continue
            columns = columns_of[length]
            flags = np.zeros((len(rows), len(columns)), dtype=np.bool_)
            features = [self._feature(XA[rows], XB[columns], place) for place in range(length)]
            if length == 0:
                flags[:] = True
            else:
                budgets = k_left[rows].tolist(), k_right[columns].tolist()
                for start, stop, part in few_changes.within_changes(*budgets, length, features.__getitem__):
                    flags[start:stop] = part
            flags_of[length] = flags
        place = np.empty(len(XA), dtype=np.intp)
        for rows in rows_of.values():
            place[rows] = np.arange(len(rows))
        for start, stop in deciding.row_pieces(len(XA), len(XB)):
            piece = np.zeros((stop - start, len(XB)), dtype=np.bool_)
            for i in range(start, stop):
                length = int(lengths_a[i])
                if length in flags_of:
                    piece[i - start, columns_of[length]] = flags_of[length][place[i]]
            yield deciding.bit_rows(start, piece)

    def _feature(self, XA: npt.NDArray[np.object_], XB: npt.NDArray[np.object_], place: int) -> few_changes.Feature:
        """Describe one place: the tokens that stand there, and how each two of them can be brought together."""
        kinds: list[dict[Hashable, int]] = [{}, {}]
        numbers = [
            np.array([known.setdefault(sentence[place], len(known)) for sentence in side], dtype=np.intp)
            for known, side in zip(kinds, (XA, XB), strict=True)
        ]
        left, right = (list(known) for known in kinds)
        ways = np.array([[_WAYS[self._way(x, y)] for y in right] for x in left], dtype=np.bool_)

        def look_up(rows: Index, columns: Index) -> few_changes.Ways:
            found = ways[rows, columns]
            return few_changes.Ways(found[..., 0], found[..., 1], found[..., 2], found[..., 3])

        return few_changes.Feature(numbers[0], numbers[1], len(left), len(right), look_up)

    def critical_eps(
        self,
        XA: npt.NDArray[np.object_],
        XB: npt.NDArray[np.object_],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return for each pair the least k that makes it conflict when both examples have it; inf if none.

        Returns
        -------
        ndarray of float64, shape (n, m)
            Whole numbers, without rounding.
        """

        def of_pair(i: int, j: int) -> float:
            tally = few_changes.count(self._ways(XA[i], XB[j]))
            return float("inf") if tally is None else float(tally.least())

        return deciding.critical_matrix(len(XA), len(XB), of_pair)


#: differ, by_left, by_right, together
_WAYS = {
    "same": (False, True, True, True),
    "left": (True, True, False, True),
    "right": (True, False, True, True),
    "either": (True, True, True, True),
    "both": (True, False, False, True),
    "none": (True, False, False, False),
}


def _pair(a: Sentence, b: Sentence) -> npt.NDArray[np.object_]:
    pair = np.empty(2, dtype=object)
    pair[0], pair[1] = a, b
    return pair
