"""Examples that are sequences: strings, or lists of tokens."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must

#: One example: a string, or a tuple of tokens.
Sentence = str | tuple[Hashable, ...]


def as_sentences(name: str, X: Any) -> npt.NDArray[np.object_]:
    """Check a list of strings, or of sequences of hashable tokens.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    X : sequence, shape (n,), or array_like of shape (n, length)

    Returns
    -------
    ndarray of object, shape (n,)
        Strings as they are, other sequences as tuples.

    Raises
    ------
    TypeError, ValueError
        If there is no example, strings and other sequences are mixed, or a token cannot be hashed.
    """
    if isinstance(X, (str, bytes)) or not (isinstance(X, Sequence) or hasattr(X, "__array__")):
        raise TypeError(must(name, "a list of strings or of sequences of tokens", X))
    examples = X if isinstance(X, Sequence) else np.asarray(X).tolist()
    if len(examples) == 0:
        raise ValueError(must(name, "at least one example", "none"))
    sentences = np.empty(len(examples), dtype=object)
    for i, example in enumerate(examples):
        sentences[i] = _as_sentence(name, example)
    if len({isinstance(sentence, str) for sentence in sentences}) > 1:
        raise TypeError(must(name, "strings throughout or sequences of tokens throughout", "both"))
    return sentences


def _as_sentence(name: str, example: Any) -> Sentence:
    if isinstance(example, str):
        return str(example)
    if isinstance(example, bytes) or not (isinstance(example, (Sequence, np.ndarray))):
        raise TypeError(must(name, "a list of strings or of sequences of tokens", example))
    tokens = tuple(example.tolist() if isinstance(example, np.ndarray) else example)
    try:
        hash(tokens)
    except TypeError:
        raise TypeError(must(name, "made of hashable tokens", example)) from None
    return tokens


def like(sentence: Sentence, tokens: Sequence[Hashable]) -> Sentence:
    """Return tokens in the form of a sentence: joined to a string if it is one."""
    return "".join(str(token) for token in tokens) if isinstance(sentence, str) else tuple(tokens)
