"""Few changed features, and finite sets: against all outcomes listed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, sparse
from support.neighbourhoods import check_pairs, conflicts_of

from lossfloor.adversaries import CustomAdversary, FiniteSets, Geometric, Hamming, SparseLinf
from lossfloor.adversaries.geometry import few_changes

N, LEFT = 24, 11


def shared(sets: list[set[Any]]) -> Any:
    return np.array([[not sets[i].isdisjoint(sets[j]) for j in range(LEFT, N)] for i in range(LEFT)])


# Hamming.


@pytest.mark.parametrize("kind", ["uint8", "float64", "letters", "objects", "booleans"])
@pytest.mark.parametrize("seed", range(2))
def test_rows_within_k_changes(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2 if kind == "booleans" else 3, (N, 4))
    X = {
        "uint8": codes.astype(np.uint8),
        "float64": codes / 7,
        "letters": np.array(list("abc"))[codes],
        "objects": np.array(["a", (1, 2), None], dtype=object)[codes],
        "booleans": codes == 1,
    }[kind]
    k = rng.integers(0, 3, N)
    sure, _ = check_pairs(Hamming(k), X, LEFT)
    rows = list(itertools.product(range(3), repeat=4))
    sets = [
        {row for row in rows if sum(a != b for a, b in zip(row, x, strict=True)) <= k[i]} for i, x in enumerate(codes)
    ]
    np.testing.assert_array_equal(sure, shared(sets))
    assert Hamming(2).meet(X[:2]).dtype == X.dtype


def test_many_values_are_compared_one_by_one() -> None:
    rng = np.random.default_rng(0)
    few = rng.integers(0, 3, (N, 6))
    many = few * 10_000 + rng.integers(0, 2, (N, 1))  # as different as before, or more
    wide = np.concatenate([few, rng.permutation(N)[:, None] * np.ones((1, 300), dtype=int)], axis=1)
    for k in (1, 2, 3):
        expected = np.count_nonzero(many[:LEFT, None] != many[None, LEFT:], axis=2) <= 2 * k
        np.testing.assert_array_equal(conflicts_of(Hamming(k), many, LEFT)[0], expected)
        expected = np.count_nonzero(wide[:LEFT, None] != wide[None, LEFT:], axis=2) <= 2 * (k + 150)
        np.testing.assert_array_equal(conflicts_of(Hamming(k + 150), wide, LEFT)[0], expected)


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_several_examples_reach(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, (N, 5))
    rows = np.array(list(itertools.product(range(3), repeat=5)))
    found = []
    for _ in range(40):
        k = rng.integers(0, 4, N)
        chosen = rng.choice(N, 3, replace=False)
        point = Hamming(k).meet(X[chosen], index=chosen)
        exists = np.all([(rows != X[i]).sum(axis=1) <= k[i] for i in chosen], axis=0).any()
        assert (point is not None) == exists
        found.append(exists)
        if point is not None:
            assert Hamming(k).contains(X[chosen], np.stack([point] * 3), index=chosen).all()
    assert 0 < sum(found) < 40


def test_mixed_tables_keep_their_kinds() -> None:
    X = [["red", 1], ["blue", 2], ["red", 2]]
    data = Hamming(1).as_data(X, 3)
    assert data.dtype == object
    assert data[0, 1] == 1
    assert Hamming(1).meet(X[:2]).tolist() == ["blue", 1]


# At most k features by at most eps each.


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64])
@pytest.mark.parametrize("seed", range(4))
def test_few_features_by_little(dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 4, (N, 3)).astype(dtype)
    if dtype != np.int64:
        X = X / dtype(2)
    k = rng.integers(0, 4, N) if seed % 2 else np.full(N, 2)
    eps = rng.integers(0, 5, N) / 4 if seed < 3 else np.full(N, 0.75)
    sure, _ = check_pairs(SparseLinf(k, eps, unit=2), X, LEFT)
    # All ends of intervals are on this grid, so that boxes that share a point share one of it.
    grid = np.array(list(itertools.product(np.arange(-2, 6.01, 0.5), repeat=3)))
    sets = [
        set(np.flatnonzero((np.abs(grid - x).max(axis=1) <= 2 * eps[i]) & ((grid != x).sum(axis=1) <= k[i])).tolist())
        for i, x in enumerate(X)
    ]
    np.testing.assert_array_equal(sure, shared(sets))


def test_many_features_and_many_kinds() -> None:
    rng = np.random.default_rng(1)
    X = np.concatenate([(rng.random((N, 60)) < 0.1) * rng.random((N, 60)), rng.random((N, 5)) * 0.1], axis=1)
    adversary = SparseLinf(rng.integers(4, 12, N), rng.random(N).round(2))
    sure, _ = check_pairs(adversary, X, LEFT)
    assert 0 < sure.mean() < 1


def test_large_tables_of_ways_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    X = rng.integers(0, 4, (N, 30))
    adversary = SparseLinf(rng.integers(9, 18, N), rng.integers(0, 4, N))
    expected = conflicts_of(adversary, X, LEFT)[0]
    monkeypatch.setattr(few_changes, "_LARGEST_TABLE", 0)
    np.testing.assert_array_equal(conflicts_of(adversary, X, LEFT)[0], expected)
    assert 0 < expected.mean() < 1


def test_all_features_by_eps_is_the_maximum_norm() -> None:
    from lossfloor.adversaries import Linf

    X = np.random.default_rng(5).random((N, 3))
    for eps in (0.1, 0.3):
        first, second = (conflicts_of(a, X, LEFT)[0] for a in (Linf(eps), SparseLinf(3, eps)))
        np.testing.assert_array_equal(first, second)


def test_any_step_of_k_features_is_hamming() -> None:
    X = np.random.default_rng(5).integers(0, 3, (N, 5))
    for k in (1, 2):
        first, second = (conflicts_of(a, X, LEFT)[0] for a in (Hamming(k), SparseLinf(k, 9)))
        np.testing.assert_array_equal(first, second)


# Finite sets.


@pytest.mark.parametrize("form", ["dense", "csr", "coo", "callable"])
def test_examples_that_share_an_outcome(form: str) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.random((N, 30)) < 0.08
    matrix[:, 0] |= ~matrix.any(axis=1)
    sets = [set(np.flatnonzero(row).tolist()) for row in matrix]
    X: Any = matrix
    adversary = FiniteSets()
    if form == "csr":
        X = sparse.csr_matrix(matrix * 2.5)
    elif form == "coo":
        X = sparse.coo_array(matrix.astype(np.int64))
    elif form == "callable":
        X, adversary = [frozenset(members) for members in sets], FiniteSets(lambda example: example)
    data = adversary.as_data(X, N)
    sure, _ = conflicts_of(adversary, data, LEFT)
    np.testing.assert_array_equal(sure, shared(sets))
    for i in range(LEFT):
        for j in range(LEFT, N):
            point = adversary.meet(data[[i, j]])
            assert (point is not None) == sure[i, j - LEFT] == adversary.conflict(data[i], data[j])
            assert point is None or adversary.contains(data[[i, j]], [point, point]).all()
    assert adversary.meet(data[[0, 1, 2]]) == next(iter(sets[0] & sets[1] & sets[2]), None)


def test_outcomes_are_multiplied_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from lossfloor.adversaries import finite_sets

    matrix = np.random.default_rng(0).random((N, 5)) < 0.6
    matrix[:, 0] |= ~matrix.any(axis=1)
    data = FiniteSets().as_data(matrix, N)
    expected = conflicts_of(FiniteSets(), data, LEFT)[0]
    monkeypatch.setattr(finite_sets, "_MEETINGS_AT_ONCE", 40)
    assert len(list(FiniteSets().conflicts(data[np.arange(LEFT)], data[np.arange(LEFT, N)]))) > 3
    np.testing.assert_array_equal(conflicts_of(FiniteSets(), data, LEFT)[0], expected)


def test_an_example_need_not_be_an_outcome() -> None:
    adversary = FiniteSets(lambda x: [x + 1])
    assert adversary.contains([1, 1], [2, 1]).tolist() == [True, False]


# Images.


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [(), (2,)])
def test_turned_and_shifted_images_against_a_list(dtype: Any, channels: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    X = np.zeros((N, 5, 5, *channels), dtype=dtype)
    for image in X:
        image[tuple(rng.integers(1, 4, 2))] = rng.integers(1, 3)
    angles, shifts = (0, 90, 30), rng.integers(0, 2, N)
    sets = []
    for image, shift in zip(X, shifts, strict=True):
        outcomes = set()
        for angle in angles:
            turned = image.astype(float)
            if angle:
                turned = ndimage.rotate(turned, angle, axes=(1, 0), reshape=False, order=1, mode="grid-constant")
            turned = np.rint(turned).astype(dtype) if dtype == np.uint8 else turned.round(3).astype(dtype) + dtype(0)
            for down, right in itertools.product(range(-shift, shift + 1), repeat=2):
                moved = np.pad(turned, [(1, 1), (1, 1), *([(0, 0)] * len(channels))])
                moved = moved[1 - down : 6 - down, 1 - right : 6 - right]
                outcomes.add(moved.tobytes())
        sets.append(outcomes)
    adversary = Geometric(angles, shifts, decimals=3)
    sure, _ = check_pairs(adversary, X, LEFT)
    np.testing.assert_array_equal(sure, shared(sets))
    assert 0 < sure.mean() < 1
    flat = Geometric(angles, shifts, decimals=3, shape=(5, 5, *channels))
    rows = flat.as_data(X.reshape(N, -1), N)
    np.testing.assert_array_equal(conflicts_of(flat, rows, LEFT)[0], sure)


def test_a_shift_beyond_the_image_leaves_nothing() -> None:
    image = np.ones((1, 2, 2))
    assert Geometric(shifts=2).contains(image, np.zeros((1, 2, 2))).all()
    assert not Geometric(shifts=1).contains(image, np.zeros((1, 2, 2))).any()


def test_the_largest_shift_takes_no_longer_than_the_size_of_the_image() -> None:
    images = np.arange(48, dtype=np.uint8).reshape(2, 4, 6)
    assert len(list(Geometric(0, 2**31 - 1).outcomes(images[0], 2**31 - 1))) == 9 * 13
    assert not Geometric(0, 2**31 - 1).meet(images).any()


def test_a_negative_zero_is_zero() -> None:
    images = np.array([[[-0.0, 1.0]], [[0.0, 1.0]], [[-1e-9, 1.0]]])
    assert conflicts_of(Geometric(), images, 1)[0].all()


# Custom.


def test_a_function_that_cannot_decide() -> None:
    def meet(x: int, y: int) -> int | None:
        if x + y > 10:
            raise ArithmeticError
        return x if x == y else None

    adversary = CustomAdversary(contains=lambda x, z: x == z, meet=meet, name="equal")
    data = adversary.as_data([1, 9, 1, 9], 4)
    sure, undecided = conflicts_of(adversary, data, 2)
    assert sure.tolist() == [[True, False], [False, False]]
    assert undecided.tolist() == [[False, False], [False, True]]
    assert repr(adversary) == "CustomAdversary(equal)"


def test_a_function_whose_points_are_outside() -> None:
    adversary = CustomAdversary(contains=lambda x, z: x == z, meet=lambda x, y: x)
    assert adversary.meet([1, 1]) == 1
    with pytest.raises(ValueError, match="'meet' must be a function whose points 'contains' accepts, got '1 for 2'"):
        adversary.meet([1, 2])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Hamming(1.5), ValueError, "'k' must be a whole number"),
        (lambda: Hamming([1, -1]), ValueError, "'k' must be at least 0"),
        (
            lambda: Hamming(1).as_data([["a", "b"], ["a"]], 2),
            ValueError,
            "'X' must be a table whose rows have one length",
        ),
        (lambda: Hamming(1).as_data([[1.0, np.nan]], 1), ValueError, "free of NaN .* in row 0, column 1"),
        (lambda: Hamming(1).as_data([1, 2], 2), ValueError, "'X' must be a table of shape"),
        (lambda: Hamming(1).as_data(np.array([[[], 1]], dtype=object), 1), TypeError, "hashable|objects"),
        (lambda: Hamming(1).contains([[1]], [[1, 2]]), ValueError, "'Z' must be of shape"),
        (lambda: SparseLinf(1, 1).meet([[1]] * 3), ValueError, "'points' must be two examples"),
        (lambda: SparseLinf(1, 1, unit=-1), ValueError, "'unit' must be positive"),
        (lambda: FiniteSets(3), TypeError, "'outcomes' must be a function"),
        (lambda: FiniteSets().as_data([[1, 0], [0, 0]], 2), ValueError, "at least one outcome.*example 1"),
        (lambda: FiniteSets(lambda x: []).as_data([1], 1), ValueError, "at least one outcome.*example 0"),
        (lambda: FiniteSets().as_data([["a"]], 1), TypeError, "'X' must be a matrix of numbers"),
        (lambda: FiniteSets(lambda x: [x]).as_data("abc", 3), TypeError, "'X' must be a sequence of examples"),
        (lambda: Geometric([]), ValueError, "'rotations' must be at least one angle"),
        (lambda: Geometric(shape=(3,)), ValueError, "'shape' must be height and width"),
        (lambda: Geometric(decimals=20), ValueError, "'decimals' must be a whole number from 0 to 15"),
        (lambda: Geometric().as_data([[1, 2]], 1), ValueError, "'X' must be images of shape"),
        (lambda: Geometric(shape=(2, 2)).as_data([[1, 2]], 1), ValueError, "'X' must be images of shape"),
        (lambda: Geometric(shifts=0.5), ValueError, "'shifts' must be a whole number"),
        (lambda: CustomAdversary(contains=1, meet=max), TypeError, "'contains' must be a function"),
        (lambda: CustomAdversary(contains=max, meet=max).meet([1]), ValueError, "'points' must be two examples"),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
