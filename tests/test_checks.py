"""Wrong arguments: one at a time from a valid call, found before any work, named in the message."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import lossfloor as lf
from lossfloor import conflicts
from lossfloor._checks import as_fraction, as_labels, as_points, must, one_of, unknown


def good() -> dict[str, Any]:
    return {
        "X": np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]]),
        "y": np.array([0, 1, 1]),
        "adversary": lf.L2(1),
        "sample_weight": [1, 2, 3],
    }


def bad_entry(value: float) -> np.ndarray:
    X = good()["X"].copy()
    X[1, 0] = value
    return X


CASES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"X": bad_entry(math.nan)}, ValueError, "'X' must be free of NaN and infinity, got nan in row 1, column 0"),
    ({"X": bad_entry(math.inf)}, ValueError, "'X' must be free of NaN and infinity, got inf in row 1, column 0"),
    ({"X": bad_entry(-math.inf)}, ValueError, "'X' must be free of NaN and infinity, got -inf"),
    ({"X": bad_entry(math.nan).astype(np.float32)}, ValueError, "'X' must be free of NaN and infinity"),
    ({"X": np.zeros((2, 2))}, ValueError, "'X' must be of 3 examples, one per label, got '2 examples'"),
    ({"X": np.zeros(3)}, ValueError, r"'X' must be an array of shape \(n, d\)"),
    ({"X": 5}, ValueError, r"'X' must be an array of shape \(n, d\)"),
    ({"X": np.zeros((0, 2))}, ValueError, "'X' must be an array with at least one example and one feature"),
    ({"X": np.zeros((3, 0))}, ValueError, "'X' must be an array with at least one example and one feature"),
    ({"X": np.zeros((3, 2, 0))}, ValueError, "'X' must be an array with at least one example and one feature"),
    ({"X": np.zeros((3, 2), dtype=complex)}, TypeError, "'X' must be an array of integers, float32 or float64"),
    ({"X": [["a"], ["b"], ["c"]]}, TypeError, "'X' must be an array of integers, float32 or float64"),
    ({"X": np.zeros((3, 2), dtype=object)}, TypeError, "'X' must be an array of integers, float32 or float64"),
    ({"X": np.zeros((3, 2), dtype=np.longdouble)}, TypeError, "'X' must be an array of integers, float32 or"),
    ({"X": None}, TypeError, "'X' must be an array of integers, float32 or float64"),
    ({"y": np.array([0, 1])}, ValueError, "'X' must be of 2 examples, one per label, got '3 examples'"),
    ({"y": np.array([[0, 1, 1]])}, ValueError, r"'y' must be an array of shape \(n,\)"),
    ({"y": 1}, ValueError, r"'y' must be an array of shape \(n,\)"),
    ({"y": []}, ValueError, "'y' must be"),
    ({"y": [1, 1, 1]}, ValueError, r"'y' must be of at least two classes, got 'one class only: \[1\]'"),
    ({"y": [0.5, 1, 1]}, ValueError, "'y' must be made of class labels"),
    ({"y": [0, 1, math.nan]}, ValueError, "'y' must be made of class labels"),
    ({"y": [0, None, 1]}, TypeError, "'y' must be of one kind"),
    ({"y": np.array(["a", 1, "a"], dtype=object)}, TypeError, "'y' must be of one kind"),
    ({"y": [b"a", b"b", b"a"]}, TypeError, "'y' must be an array of integers, strings or booleans"),
    ({"y": [1j, 2, 2]}, TypeError, "'y' must be an array of integers, strings or booleans"),
    ({"adversary": 1.0}, TypeError, "'adversary' must be an adversary"),
    ({"adversary": None}, TypeError, "'adversary' must be an adversary"),
    ({"adversary": lf.L2}, TypeError, "'adversary' must be an adversary"),
    ({"adversary": "l2"}, TypeError, "'adversary' must be an adversary"),
    ({"adversary": lf.L2([1, 2])}, ValueError, "'eps' must be one number or 3 of them, one per example"),
    ({"adversary": lf.L2([1, 2, 3, 4])}, ValueError, "'eps' must be one number or 3 of them, one per example"),
    ({"adversary": lf.Precomputed(conflicts=np.eye(2))}, ValueError, "'conflicts' must be 3 x 3, one row per example"),
    (
        {"adversary": lf.Precomputed(distances=np.zeros((3, 3)), eps=[1, 2])},
        ValueError,
        "'eps' must be one number or 3 of them",
    ),
    ({"sample_weight": [1, 2]}, ValueError, r"'sample_weight' must be of shape \(3,\)"),
    ({"sample_weight": [1, 2, 0]}, ValueError, "'sample_weight' must be positive and finite, got 0 at position 2"),
    ({"sample_weight": [1, -2, 1]}, ValueError, "'sample_weight' must be positive and finite, got -2 at position 1"),
    ({"sample_weight": [1, math.nan, 1]}, ValueError, "'sample_weight' must be positive and finite, got nan"),
    ({"sample_weight": "abc"}, ValueError, "'sample_weight' must be"),
    ({"sample_weight": ["a", "b", "c"]}, TypeError, "'sample_weight' must be an array of numbers"),
]


@pytest.mark.parametrize(("change", "error", "message"), CASES)
def test_one_wrong_argument_of_floor(
    change: dict[str, Any], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("work began before the arguments were checked")

    for name in ("build", "build_bounds"):
        monkeypatch.setattr(conflicts, name, work)
    with pytest.raises(error, match=message):
        lf.floor(**{**good(), **change})


def test_the_good_call_is_good() -> None:
    assert lf.floor(**good()).n_examples == 3


@pytest.mark.parametrize("make", [lf.L1, lf.L2, lf.Linf, lambda eps, **unit: lf.Lp(3, eps, **unit)])
@pytest.mark.parametrize(
    ("eps", "error", "message"),
    [
        (-1, ValueError, "'eps' must be at least 0, got -1"),
        (-1e-300, ValueError, "'eps' must be at least 0"),
        (math.nan, ValueError, "'eps' must be finite, got nan"),
        (math.inf, ValueError, "'eps' must be finite, got inf"),
        (None, TypeError, "'eps' must be a number"),
        (True, TypeError, "'eps' must be a number, got True"),
        (1j, TypeError, "'eps' must be a number"),
        ("a lot", ValueError, "'eps' must be a number, got 'a lot'"),
        ("nan", ValueError, "'eps' must be a number, got 'nan'"),
        ("1/0", ValueError, "'eps' must be a number, got '1/0'"),
        ({}, TypeError, "'eps' must be a number"),
        ([], ValueError, "'eps' must be one number or an array"),
        (np.zeros((2, 2)), ValueError, "'eps' must be one number or an array"),
        (np.zeros(0), ValueError, "'eps' must be one number or an array"),
        ([1, -2], ValueError, "'eps' must be at least 0, got -2"),
        ([-2], ValueError, "'eps' must be at least 0, got -2"),
        ([1, math.nan], ValueError, "'eps' must be finite, got nan"),
        ([1, "x"], ValueError, "'eps' must be a number, got 'x'"),
        ([1, [2]], TypeError, "'eps' must be a number"),
        ([1, None], TypeError, "'eps' must be a number, got None"),
        (np.array([True, False]), TypeError, "'eps' must be a number"),
    ],
)
def test_one_wrong_eps(make: Any, eps: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(eps)
    with pytest.raises(error, match=message):
        lf.Precomputed(distances=np.zeros((2, 2)), eps=eps) if eps is not None else make(eps)


@pytest.mark.parametrize(
    ("unit", "error", "message"),
    [
        (0, ValueError, "'unit' must be positive, got 0"),
        (-255, ValueError, "'unit' must be positive, got -255"),
        (math.nan, ValueError, "'unit' must be finite"),
        (math.inf, ValueError, "'unit' must be finite"),
        ("pixels", ValueError, "'unit' must be a number"),
        (None, TypeError, "'unit' must be a number"),
        (True, TypeError, "'unit' must be a number"),
        ([255], TypeError, "'unit' must be a number"),
        ({}, TypeError, "'unit' must be a number"),
    ],
)
def test_one_wrong_unit(unit: Any, error: type[Exception], message: str) -> None:
    for make in (lf.L1, lf.L2, lf.Linf):
        with pytest.raises(error, match=message):
            make(1, unit=unit)
    with pytest.raises(error, match=message):
        lf.Lp(3, 1, unit=unit)


@pytest.mark.parametrize(
    ("p", "error", "message"),
    [
        (0.5, ValueError, "'p' must be at least 1"),
        (0, ValueError, "'p' must be at least 1"),
        (-2, ValueError, "'p' must be at least 1"),
        (-math.inf, ValueError, "'p' must be finite"),
        (math.nan, ValueError, "'p' must be finite"),
        ("two", ValueError, "'p' must be a number"),
        (None, TypeError, "'p' must be a number"),
        (True, TypeError, "'p' must be a number"),
        ([2], TypeError, "'p' must be a number"),
    ],
)
def test_one_wrong_order(p: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lf.Lp(p, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "give exactly one of 'distances' and 'conflicts'"),
        ({"distances": np.eye(2), "conflicts": np.eye(2)}, TypeError, "give exactly one of"),
        ({"distances": np.eye(2)}, TypeError, "'distances' needs 'eps'"),
        ({"conflicts": np.eye(2), "eps": 1}, TypeError, "'eps' goes with 'distances'"),
        ({"conflicts": np.ones((2, 3))}, ValueError, "'conflicts' must be a square matrix, n x n, got"),
        ({"conflicts": np.ones(4)}, ValueError, "'conflicts' must be a square matrix"),
        ({"conflicts": 1}, ValueError, "'conflicts' must be a square matrix"),
        ({"conflicts": np.ones((2, 2, 2))}, ValueError, "'conflicts' must be a square matrix"),
        ({"conflicts": sparse.csr_array((2, 3))}, ValueError, "'conflicts' must be a square matrix"),
        ({"conflicts": [["a", "b"], ["c", "d"]]}, TypeError, "'conflicts' must be a matrix of real numbers"),
        ({"conflicts": np.eye(2) * 1j}, TypeError, "'conflicts' must be a matrix of real numbers"),
        ({"conflicts": np.eye(2, dtype=object)}, TypeError, "'conflicts' must be a matrix of real numbers"),
        ({"conflicts": np.eye(2, dtype=np.longdouble)}, TypeError, "'conflicts' must be a matrix of real numbers"),
        ({"distances": np.ones((2, 3)), "eps": 1}, ValueError, "'distances' must be a square matrix"),
        ({"distances": np.eye(2) * 1j, "eps": 1}, TypeError, "'distances' must be a matrix of real numbers"),
    ],
)
def test_one_wrong_argument_of_precomputed(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lf.Precomputed(**arguments)


# The checks themselves.


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        ([3, 7, 3], [3, 7], [0, 1, 0]),
        ([7, 3, 3], [3, 7], [1, 0, 0]),
        ([True, False], [False, True], [1, 0]),
        (["dog", "cat"], ["cat", "dog"], [1, 0]),
        (np.array(["dog", "cat"], dtype=object), ["cat", "dog"], [1, 0]),
        ([2.0, 1.0], [1, 2], [1, 0]),
        (np.array([200, 100], dtype=np.uint8), [100, 200], [1, 0]),
        (["b", "a", "c"], ["a", "b", "c"], [1, 0, 2]),
    ],
)
def test_labels(y: Any, classes: list[Any], codes: list[int]) -> None:
    found_classes, found_codes = as_labels("y", y)
    assert found_classes.tolist() == classes
    assert found_codes.tolist() == codes


@pytest.mark.parametrize(
    ("X", "expected", "dtype"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]], np.int64),
        ([[True], [False]], [[1], [0]], np.uint8),
        (np.array([[0.5], [1.5]], dtype=np.float16), [[0.5], [1.5]], np.float32),
        (np.arange(8, dtype=np.uint8).reshape(2, 2, 2), [[0, 1, 2, 3], [4, 5, 6, 7]], np.uint8),
        (np.arange(4.0).reshape(2, 2).T, [[0, 2], [1, 3]], np.float64),
        (np.array([[1, 2], [3, 4]], dtype=">i4"), [[1, 2], [3, 4]], np.int32),
        (np.array([[1, 2], [3, 4]], dtype=">f8"), [[1, 2], [3, 4]], np.float64),
    ],
)
def test_points(X: Any, expected: list[list[float]], dtype: type) -> None:
    points = as_points("X", X)
    assert points.tolist() == expected
    assert points.flags.c_contiguous
    assert points.dtype == dtype
    y = np.arange(len(points)) % 2
    lf.floor(X, y, lf.L2(1)).verify()


def test_words() -> None:
    assert must("eps", "positive", -1) == "'eps' must be positive, got -1"
    assert len(must("X", "short", "x" * 1000)) < 120
    assert unknown("loss", "brie", ["brier", "log"]) == "unknown loss 'brie'; did you mean 'brier'? Known: brier, log."
    assert unknown("loss", "zzz", ["brier", "log"]) == "unknown loss 'zzz'. Known: brier, log."
    assert one_of("how", "a", ["a", "b"]) == "a"
    with pytest.raises(ValueError, match="unknown how 'c'"):
        one_of("how", "c", ["a", "b"])
    with pytest.raises(TypeError, match="'eps' must be a number"):
        as_fraction("eps", object())
