"""Strings and tokens: against all sequences that can be reached."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein
from support.neighbourhoods import check_pairs, conflicts_of

from lossfloor.adversaries import EditDistance, Substitution
from lossfloor.adversaries.edit_distance import edit_distance
from lossfloor.adversaries.geometry import deciding
from lossfloor.exceptions import MissingDependencyError

N, LEFT = 24, 11


def words(rng: np.random.Generator, letters: str, longest: int) -> list[str]:
    return ["".join(rng.choice(list(letters), rng.integers(0, longest + 1))) for _ in range(N)]


def shared(sets: list[set[Any]]) -> Any:
    return np.array([[not sets[i].isdisjoint(sets[j]) for j in range(LEFT, N)] for i in range(LEFT)])


def edited(word: str, k: int, letters: str) -> set[str]:
    reached = {word}
    for _ in range(k):
        for w in list(reached):
            places = range(len(w) + 1)
            reached |= {w[:i] + c + w[i:] for i in places for c in letters}
            reached |= {w[:i] + w[i + 1 :] for i in places}
            reached |= {w[:i] + c + w[i + 1 :] for i in places for c in letters}
    return reached


@pytest.mark.parametrize(
    "form", [str, tuple, lambda word: [ord(c) - 98 for c in word], lambda word: np.array(list(word))]
)
@pytest.mark.parametrize("seed", range(2))
def test_edits_against_all_strings(form: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = words(rng, "ab", 5)
    k = rng.integers(0, 4, N)
    sure, _ = check_pairs(EditDistance(k), [form(word) for word in plain], LEFT)
    sets = [edited(word, int(budget), "ab") for word, budget in zip(plain, k, strict=True)]
    np.testing.assert_array_equal(sure, shared(sets))
    assert 0 < sure.mean() < 1


def test_tokens_of_equal_hash_are_different() -> None:
    """In CPython hash(-1) == hash(-2)."""
    data = EditDistance(0).as_data([[-1], [-2], [-1]], 3)
    assert conflicts_of(EditDistance(0), data, 1)[0].tolist() == [[False, True]]


def test_edit_distance_against_rapidfuzz() -> None:
    rng = np.random.default_rng(1)
    for a, b in itertools.product(words(rng, "abc", 9), repeat=2):
        distance = Levenshtein.distance(a, b)
        assert edit_distance(a, b) == distance
        limit = int(rng.integers(0, 9))
        assert min(edit_distance(a, b, limit), limit + 1) == min(distance, limit + 1)


def test_rows_are_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    data = EditDistance(1).as_data(words(np.random.default_rng(0), "ab", 5), N)
    expected = conflicts_of(EditDistance(1), data, LEFT)[0]
    monkeypatch.setattr(deciding, "_PAIRS_AT_ONCE", 40)
    np.testing.assert_array_equal(conflicts_of(EditDistance(1), data, LEFT)[0], expected)


def test_without_rapidfuzz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    data = EditDistance(1).as_data(["a", "b"], 2)
    assert EditDistance(1).meet(data) == "a"
    with pytest.raises(MissingDependencyError, match=r"pip install 'lossfloor\[strings\]'"):
        next(EditDistance(1).conflicts(data[:1], data[1:]))


@pytest.mark.parametrize("form", [str, tuple])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("limited", [False, True])
def test_synonyms_against_all_sentences(form: Any, seed: int, limited: bool) -> None:
    rng = np.random.default_rng(seed)
    plain = words(rng, "abcd", 3)
    synonyms = {c: set(rng.choice(list("abcdef"), rng.integers(0, 4))) for c in "abcd"}
    k = rng.integers(0, 4, N) if limited else None
    sure, _ = check_pairs(Substitution(synonyms, k), [form(word) for word in plain], LEFT)

    def reached(i: int) -> set[str]:
        word = plain[i]
        all_of_them = itertools.product(*({c} | synonyms[c] for c in word))
        return {
            "".join(z) for z in all_of_them if k is None or sum(a != b for a, b in zip(z, word, strict=True)) <= k[i]
        }

    np.testing.assert_array_equal(sure, shared([reached(i) for i in range(N)]))
    assert 0 < sure.mean() < 1


def test_sentences_of_words() -> None:
    adversary = Substitution({"good": ["fine", "great"], "fine": ["nice"], "film": ["movie"]}, k=1)
    sentences = [text.split() for text in ("a good film", "a great movie", "a nice film", "a good film indeed")]
    data = adversary.as_data(sentences, 4)
    assert conflicts_of(adversary, data, 1)[0].tolist() == [[False, False, False]]
    loose = Substitution(adversary.synonyms)
    assert conflicts_of(loose, data, 1)[0].tolist() == [[True, False, False]]
    assert loose.meet(data[:2]) == ("a", "great", "movie")
    assert loose.critical_eps(data[:1], data[1:]).tolist() == [[2, np.inf, np.inf]]
    assert Substitution({}).contains([["a"]], [["a"]]).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EditDistance("two"), ValueError, "'k' must be a number"),
        (lambda: EditDistance(1).as_data("abc", 3), TypeError, "'X' must be a list of strings"),
        (lambda: EditDistance(1).as_data([], 0), ValueError, "'X' must be at least one example"),
        (lambda: EditDistance(1).as_data(["a", ("b",)], 2), TypeError, "strings throughout"),
        (lambda: EditDistance(1).as_data([1, 2], 2), TypeError, "'X' must be a list of strings"),
        (lambda: EditDistance(1).as_data([[["a"]]], 1), TypeError, "'X' must be made of hashable tokens"),
        (lambda: EditDistance(1).meet(["a"]), ValueError, "'points' must be two examples"),
        (lambda: EditDistance(1).contains(["a"], ["a", "b"]), ValueError, "'Z' must be of 1 examples"),
        (lambda: Substitution(["a"]), TypeError, "'synonyms' must be a mapping"),
        (lambda: Substitution({"a": "bc"}), TypeError, "'synonyms' must be a mapping to collections of tokens"),
        (lambda: Substitution({"a": ["bc"]}).as_data(["a"], 1), ValueError, "'synonyms' must be single characters"),
        (lambda: Substitution({}, k=-1), ValueError, "'k' must be at least 0"),
        (lambda: Substitution({}).meet(["a", "b", "c"]), ValueError, "'points' must be two examples"),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
