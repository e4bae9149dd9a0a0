"""Checks of user input, made before any work starts, and a single wording for their errors.

Every error says which argument, what it must be, and what it was: ``'eps' must be ..., got ...``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt


def must(name: str, what: str, got: object) -> str:
    """Word an error: ``'name' must be <what>, got <got>``."""
    text = repr(got)
    return f"{name!r} must be {what}, got {text if len(text) <= 80 else text[:77] + '...'}"


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Word the error for an unknown name, and suggest the closest known one."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return (
        f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}."
        if hint
        else (f"unknown {kind} {name!r}. Known: {', '.join(names)}.")
    )


def as_fraction(name: str, value: object) -> Fraction:
    """Read a number as its decimal representation.

    A float is read as its shortest decimal, so 4.6 is 46/10 and not the binary number next to it.  That is what
    decides ties as the writer of the number meant them.

    Parameters
    ----------
    name : str
        Name of the argument, for the error.
    value : int, float, str, Fraction or numpy scalar
        A finite number.

    Returns
    -------
    Fraction

    Raises
    ------
    TypeError
        If `value` is not a number.
    ValueError
        If it is not finite, or a string that does not spell a number.

    Examples
    --------
    >>> as_fraction("eps", 4.6)
    Fraction(23, 5)
    >>> as_fraction("eps", "1/3")
    Fraction(1, 3)
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(must(name, "a number", value))
    if isinstance(value, (int, np.integer)):
        return Fraction(int(value))
    if isinstance(value, (float, np.floating)):
        if not np.isfinite(value):
            raise ValueError(must(name, "finite", value))
        # str of a numpy scalar is the shortest decimal in its own precision: float32(4.6) is 4.6 too.
        return Fraction(str(value))
    if isinstance(value, str):
        exponent = re.search(r"[eE]([+-]?[0-9]+)$", value.strip())
        if len(value) > 1000 or (exponent is not None and abs(int(exponent[1])) > 1000):
            raise ValueError(must(name, "a number of moderate size", value))
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError):
            raise ValueError(must(name, "a number", value)) from None
    raise TypeError(must(name, "a number", value))


def as_points(name: str, X: Any) -> npt.NDArray[Any]:
    """Check a matrix of examples and flatten each to one row.

    Parameters
    ----------
    name : str
        Name of the argument, for the error.
    X : array_like, shape (n, ...)
        Integers or floats; each example may have any shape (an image, say).

    Returns
    -------
    ndarray, shape (n, d), C-contiguous, of an integer dtype, float32 or float64

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If there is no example or no feature, or an entry is NaN or infinite.
    """
    array = np.asarray(X)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if array.dtype == np.float16:
        array = array.astype(np.float32)  # exact
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not (np.issubdtype(array.dtype, np.integer) or array.dtype in (np.float32, np.float64)):
        raise TypeError(must(name, "an array of integers, float32 or float64", array.dtype))
    if array.ndim < 2:
        raise ValueError(must(name, "an array of shape (n, d) with one example per row", f"shape {array.shape}"))
    if array.shape[0] == 0 or 0 in array.shape[1:]:
        raise ValueError(must(name, "an array with at least one example and one feature", f"shape {array.shape}"))
    array = np.ascontiguousarray(array.reshape(array.shape[0], -1))
    if np.issubdtype(array.dtype, np.floating):
        finite = np.isfinite(array)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise ValueError(
                must(name, "free of NaN and infinity", array[row, column].item()) + f" in row {row}, column {column}"
            )
    return array


def as_labels(name: str, y: Any, n: int | None = None) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Check labels and number the classes.

    Parameters
    ----------
    name : str
        Name of the argument, for the error.
    y : array_like, shape (n,)
        Integers, strings or booleans; one label per example.
    n : int, optional
        How many labels there must be.

    Returns
    -------
    classes : ndarray, shape (n_classes,)
        The distinct labels, sorted.
    codes : ndarray of intp, shape (n,)
        Position of each label in `classes`.

    Raises
    ------
    TypeError
        If a label is not an integer, string or boolean.
    ValueError
        If the shape is wrong or there are fewer than two classes.
    """
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise ValueError(must(name, "an array of shape (n,)", f"shape {labels.shape}"))
    if n is not None and labels.shape[0] != n:
        raise ValueError(must(name, f"of length {n}, one label per example", f"length {labels.shape[0]}"))
    if np.issubdtype(labels.dtype, np.floating):
        if not np.all(np.isfinite(labels)) or not np.all(labels == np.floor(labels)):
            raise ValueError(must(name, "made of class labels (integers, strings or booleans)", "fractional numbers"))
        labels = labels.astype(np.int64)
    if labels.dtype == object:
        kinds = {type(label) for label in labels.tolist()}
        if kinds != {str}:
            raise TypeError(
                must(
                    name,
                    "of one kind (integers, strings or booleans)",
                    sorted(kind.__name__ for kind in kinds),
                )
            )
        labels = labels.astype(str)
    if labels.dtype.kind not in "iubU":
        raise TypeError(must(name, "an array of integers, strings or booleans", labels.dtype))
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(must(name, "of at least two classes", f"one class only: {classes.tolist()}"))
    return classes, codes


def as_positive(name: str, value: object) -> float:
    """Check a positive finite number."""
    number = float(as_fraction(name, value))
    if number <= 0:
        raise ValueError(must(name, "positive", value))
    return number


def as_count(name: str, value: object, least: int) -> int:
    """Check a whole number of at least `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(must(name, "a whole number", value))
    if value < least:
        raise ValueError(must(name, f"at least {least}", value))
    return int(value)


def one_of(name: str, value: str, known: Sequence[str]) -> str:
    """Check that a word is one of the known words."""
    if value not in known:
        raise ValueError(unknown(name, str(value), known))
    return value
