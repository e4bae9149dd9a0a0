"""All pairs against thresholds: every route, kernel and scale against brute force in whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.brute_force import AllPairs, Order, unpack
from support.isas import ISAS

from lossfloor import _core
from lossfloor.distances import PairSweep, Radii, Rows, paired_within, sweep
from lossfloor.distances.rounding import ByteRounding

#: The most instructions that kernels may use; a processor that lacks some of them takes those that it has.
Points = npt.NDArray[Any]
Generator = np.random.Generator

ORDERS: dict[str, Order] = {
    "l1": Fraction(1),
    "l2": Fraction(2),
    "linf": None,
    "l4/3": Fraction(4, 3),
    "l1.5": Fraction(3, 2),
    "l3": Fraction(3),
    "l10": Fraction(10),
}


def random_mixture(rng: Generator, n: int, d: int) -> Points:
    """Entries of wildly different size."""
    return rng.choice([0, 1e-300, 1e-20, 1.0, 1e8, 1e300], (n, d)) * rng.normal(size=(n, d))


def one_far(rng: Generator, n: int, d: int) -> Points:
    """One example that dwarfs the others."""
    points = rng.random((n, d))
    points[n // 2] *= 1e200
    return points


DATA: dict[str, Callable[[Generator, int, int], Points]] = {
    "uint8": lambda rng, n, d: rng.integers(0, 256, (n, d)).astype(np.uint8),
    "uint8 ties": lambda rng, n, d: rng.integers(0, 4, (n, d)).astype(np.uint8),
    "uint8 extremes": lambda rng, n, d: rng.choice(np.array([0, 255], dtype=np.uint8), (n, d)),
    "int8": lambda rng, n, d: rng.integers(-128, 128, (n, d)).astype(np.int8),
    "int16": lambda rng, n, d: rng.integers(-(2**15), 2**15, (n, d)).astype(np.int16),
    "int16 small": lambda rng, n, d: rng.integers(-100, 100, (n, d)).astype(np.int16),
    "uint16": lambda rng, n, d: rng.integers(0, 2**16, (n, d)).astype(np.uint16),
    "int32": lambda rng, n, d: rng.integers(-(2**31), 2**31, (n, d)).astype(np.int32),
    "int64": lambda rng, n, d: rng.integers(-1000, 1000, (n, d)),
    "int64 offset": lambda rng, n, d: 10**12 + rng.integers(0, 90, (n, d)),
    "int64 middling": lambda rng, n, d: rng.integers(-(2**40), 2**40, (n, d)),
    "int64 at 2^53": lambda rng, n, d: 2**53 + rng.integers(-9, 9, (n, d)),
    "int64 large": lambda rng, n, d: rng.integers(-(2**62), 2**62, (n, d)),
    "int64 large offset": lambda rng, n, d: 2**62 + rng.integers(0, 50, (n, d)),
    "int64 at its end": lambda rng, n, d: np.int64(-(2**63)) + rng.integers(0, 50, (n, d)),
    "uint64 at its end": lambda rng, n, d: np.uint64(2**64 - 60) + rng.integers(0, 50, (n, d)).astype(np.uint64),
    "float32": lambda rng, n, d: rng.random((n, d)).astype(np.float32),
    "float32 whole": lambda rng, n, d: rng.integers(0, 256, (n, d)).astype(np.float32),
    "float32 offset": lambda rng, n, d: (1e5 + rng.random((n, d))).astype(np.float32),
    "float32 huge": lambda rng, n, d: (rng.normal(size=(n, d)) * 1e37).astype(np.float32),
    "float32 denormal": lambda rng, n, d: (rng.integers(0, 50, (n, d)) * 2.0**-149).astype(np.float32),
    "float64": lambda rng, n, d: rng.random((n, d)),
    "float64 decimals": lambda rng, n, d: np.round(rng.random((n, d)), 1),
    "float64 whole": lambda rng, n, d: rng.integers(-500, 500, (n, d)).astype(np.float64),
    "float64 offset": lambda rng, n, d: 1e8 + rng.random((n, d)),
    "float64 clusters": lambda rng, n, d: rng.integers(0, 2, (n, 1)) * 1e8 + rng.random((n, d)),
    "float64 large": lambda rng, n, d: rng.normal(size=(n, d)) * 1e200,
    "float64 huge": lambda rng, n, d: rng.normal(size=(n, d)) * 1e300,
    "float64 small": lambda rng, n, d: rng.random((n, d)) * 1e-100,
    "float64 tiny": lambda rng, n, d: rng.random((n, d)) * 1e-300,
    "float64 denormal": lambda rng, n, d: rng.integers(0, 50, (n, d)) * 5e-324,
    "float64 mixture": random_mixture,
    "float64 one far": one_far,
}


def within(order: Order, left: Points, right: Points, radii: Radii, **options: Any) -> npt.NDArray[np.bool_]:
    """Put the pieces together, and insist that they follow each other."""
    parts, last = [], 0
    for start, stop, bits in PairSweep(order, left, right, **options).within(radii):
        assert start == last < stop
        assert bits.shape == (stop - start, (len(right) + 63) // 64)
        parts.append(unpack(bits, len(right)))
        last = stop
    assert last == len(left)
    return np.concatenate(parts)


def levels(order: Order, left: Points, right: Points, thresholds: list[Fraction], **options: Any) -> Points:
    parts, last = [], 0
    for start, stop, part in PairSweep(order, left, right, **options).levels(thresholds):
        assert start == last < stop
        assert part.shape == (stop - start, len(right))
        parts.append(part)
        last = stop
    assert last == len(left)
    return np.concatenate(parts)


def assert_right(order: Order, left: Points, right: Points, pairs: AllPairs, radii: Radii) -> None:
    expected = pairs.within(radii.of_pair)
    for isa in ISAS:
        found = within(order, left, right, radii, isa=isa)
        assert np.array_equal(found, expected), np.argwhere(found != expected)[:5]


def split(rng: Generator, threshold: Fraction, count: int) -> tuple[Fraction, ...]:
    """Radii from nothing to the whole threshold."""
    return tuple(threshold * Fraction(int(part), 97) for part in rng.integers(0, 98, count))


def thresholds_at(rng: Generator, pairs: AllPairs, n: int, m: int) -> list[Fraction]:
    """The distance of some pair, rationals next to it on both sides, and others."""
    near = pairs.near(int(rng.integers(n)), int(rng.integers(m)))
    return [near, near * (1 + Fraction(1, 2**60)), near * (1 - Fraction(1, 2**60)), near * Fraction(2, 3), Fraction(0)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", DATA)
def test_every_pair_of_every_kind_of_data(kind: str, order: str) -> None:
    rng = np.random.default_rng(0)
    n, m, d = 5, 66, 4
    left, right = DATA[kind](rng, n, d), DATA[kind](rng, m, d)
    right[3] = left[2]  # a distance of zero
    p = ORDERS[order]
    pairs = AllPairs(p, left, right)
    for threshold in thresholds_at(rng, pairs, n, m):
        assert_right(p, left, right, pairs, Radii((threshold / 3,), (threshold * 2 / 3,)))
    # Radii of their own on one side, and on both.
    threshold = pairs.near(0, 0)
    assert_right(p, left, right, pairs, Radii(split(rng, threshold, n), (threshold / 2,)))
    assert_right(p, left, right, pairs, Radii(split(rng, threshold, n), split(rng, threshold, m)))
    # Radii of their own of which every left example meets one right example exactly.
    own = split(rng, pairs.near(0, 0), n)
    assert_right(
        p, left, right, pairs, Radii(own, tuple(max(pairs.near(j % n, j) - own[j % n], Fraction(0)) for j in range(m)))
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", DATA)
def test_levels_of_every_kind_of_data(kind: str, order: str) -> None:
    rng = np.random.default_rng(1)
    n, m, d = 3, 66, 4
    left, right = DATA[kind](rng, n, d), DATA[kind](rng, m, d)
    right[3] = left[2]
    p = ORDERS[order]
    pairs = AllPairs(p, left, right)
    near = [threshold for _ in range(3) for threshold in thresholds_at(rng, pairs, n, m)]
    for thresholds in (sorted(near), sorted(set(near)), [near[0]], [Fraction(0)], [near[0] * 10**9]):
        expected = pairs.levels(thresholds)
        for isa in ISAS:
            found = levels(p, left, right, thresholds, isa=isa)
            assert np.array_equal(found, expected), np.argwhere(found != expected)[:5]


@pytest.mark.parametrize("order", ["l1", "l2", "linf", "l1.5", "l3"])
@pytest.mark.parametrize("kind", ["uint8 ties", "int64", "float32", "float64"])
@pytest.mark.parametrize(
    ("n", "m", "d"),
    [(1, 1, 1), (1, 64, 1), (2, 63, 2), (3, 65, 1), (48, 1, 15), (49, 3, 16), (5, 128, 17), (100, 2, 33), (2, 129, 65)],
)
def test_sizes_that_do_not_fill_blocks_and_words(n: int, m: int, d: int, kind: str, order: str) -> None:
    rng = np.random.default_rng(n + m + d)
    left, right = DATA[kind](rng, n, d), DATA[kind](rng, m, d)
    p = ORDERS[order]
    pairs = AllPairs(p, left, right)
    threshold = pairs.near(n - 1, m - 1)
    assert_right(p, left, right, pairs, Radii((threshold / 2,), (threshold / 2,)))
    assert_right(p, left, right, pairs, Radii(split(rng, threshold, n), split(rng, threshold, m)))
    thresholds = sorted({threshold * Fraction(k, 4) for k in range(6)})
    for isa in ISAS:
        assert np.array_equal(levels(p, left, right, thresholds, isa=isa), pairs.levels(thresholds))


@pytest.mark.parametrize("order", ["l1", "l2", "linf", "l1.5", "l3"])
@pytest.mark.parametrize("kind", ["uint8", "uint8 extremes", "int16", "int64", "float32", "float64", "float64 offset"])
def test_many_features(kind: str, order: str) -> None:
    rng = np.random.default_rng(2)
    n, m, d = 3, 66, 1100
    left, right = DATA[kind](rng, n, d), DATA[kind](rng, m, d)
    p = ORDERS[order]
    pairs = AllPairs(p, left, right)
    for threshold in thresholds_at(rng, pairs, n, m)[:3]:
        assert_right(p, left, right, pairs, Radii((threshold / 2,), (threshold / 2,)))
    own = split(rng, threshold, n), split(rng, threshold, m)
    assert_right(p, left, right, pairs, Radii(*own))
    thresholds = sorted(threshold * Fraction(k, 100) for k in range(90, 110))
    assert np.array_equal(levels(p, left, right, thresholds), pairs.levels(thresholds))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 2.0**300, 2.0**-300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pairs_placed_within_ulps_of_the_threshold(dtype: type, scale: float, order: str) -> None:
    if dtype is np.float32 and not 1e-30 < scale < 1e30:
        scale = 2.0**100 if scale > 1 else 2.0**-100
    rng = np.random.default_rng(3)
    p, n, d = ORDERS[order], 12, 3
    radius = float(dtype(0.75 * scale))
    left = (rng.normal(size=(n, d)) * scale).astype(dtype)
    steps = rng.normal(size=(n, d))
    steps /= np.linalg.norm(steps, ord=np.inf if p is None else float(p), axis=1)[:, None]
    met = (left.astype(np.float64) + radius * steps).astype(dtype)
    nudged = []
    for ulps in range(-4, 5):
        near = met.copy()
        for _ in range(abs(ulps)):
            near[:, 0] = np.nextafter(near[:, 0], dtype(np.inf if ulps > 0 else -np.inf))
        nudged.append(near)
    right = np.concatenate(nudged)
    pairs = AllPairs(p, left, right)
    threshold = Fraction(radius)
    inside = pairs.within(lambda i, j: threshold)
    own = [inside[j % n, j] for j in range(len(right))]
    assert 0 < np.count_nonzero(own) < len(own)  # some on each side
    assert_right(p, left, right, pairs, Radii((threshold / 2,), (threshold / 2,)))
    parts = tuple(threshold * Fraction(k + 1, n + 2) for k in range(n))
    assert_right(p, left, right, pairs, Radii(parts, tuple(threshold - parts[j % n] for j in range(len(right)))))
    thresholds = sorted(threshold + Fraction(k) * Fraction(radius) / 2**54 for k in range(-8, 9))
    assert np.array_equal(levels(p, left, right, thresholds), pairs.levels(thresholds))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64])
def test_ties_of_whole_numbers_are_conflicts(dtype: type) -> None:
    left = np.zeros((1, 2), dtype=dtype)
    right = np.array([[3, 4], [5, 0], [4, 4], [0, 0], [7, 0], [2, 5]], dtype=dtype)
    expected = {
        "l1": [False, True, False, True, False, False],
        "l2": [True, True, False, True, False, False],
        "linf": [True, True, True, True, False, True],
    }
    for order, inside in expected.items():
        for radius in ((Fraction(5, 2),), (Fraction(2),)):
            radii = Radii(radius, (5 - radius[0],))
            assert within(ORDERS[order], left, right, radii).tolist() == [inside]
            below = Radii(radius, (5 - radius[0] - Fraction(1, 10**30),))
            assert not within(ORDERS[order], left, right, below)[0, 1]
    # (1 + 1) sqrt(1) = 2 at p = 3/2 for a distance of 2^(2/3); (4, 4) has 16 = 2 * 8 = (2^(8/3))^(3/2).
    eight = np.full(
        (1, 8), 2, dtype=dtype
    )  # eight steps of 2 at p = 3/2: 8 * 2^1.5 = 8^1.5, a tie of irrational numbers
    for radius, inside in [(Fraction(8), True), (8 - Fraction(1, 10**40), False)]:
        found = within(Fraction(3, 2), np.zeros((1, 8), dtype=dtype), eight, Radii((radius / 2,), (radius / 2,)))
        assert found.tolist() == [[inside]]


@pytest.mark.parametrize(
    ("kind", "order", "dtype", "exact_keys"),
    [
        ("uint8", "l2", np.int16, True),
        ("int16 small", "l2", np.int16, True),
        ("float32 whole", "l2", np.int16, True),
        ("int16", "l2", np.float64, True),
        ("int64 offset", "l2", np.int16, True),
        ("int64 middling", "l2", np.float32, False),
        ("float32", "l2", np.float32, False),
        ("float64", "l2", np.float32, False),
        ("uint8", "l1", np.uint8, True),
        ("uint8", "linf", np.uint8, True),
        ("int64 offset", "linf", np.uint8, True),
        ("int16", "linf", np.float64, True),
        ("int16", "l3", np.float64, True),
        ("uint8", "l1.5", np.float64, False),
        ("float32", "l1", np.float32, False),
        ("float32", "linf", np.float32, False),
        ("float64", "linf", np.float64, False),
    ],
)
def test_the_tests_above_take_every_route(kind: str, order: str, dtype: type, exact_keys: bool) -> None:
    rng = np.random.default_rng(0)
    route = PairSweep(ORDERS[order], DATA[kind](rng, 9, 5), DATA[kind](rng, 70, 5), isa="avx2").route
    assert (route.dtype, route.exact_keys) == (dtype, exact_keys), route.name


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("uint8", np.uint8), ("float32 whole", np.uint8), ("int64 offset", np.uint8), ("int16", np.float64)],
)
def test_products_of_bytes_where_the_processor_has_them(kind: str, dtype: type) -> None:
    rng = np.random.default_rng(0)
    route = PairSweep(ORDERS["l2"], DATA[kind](rng, 9, 5), DATA[kind](rng, 70, 5)).route
    assert route.dtype == (dtype if _core.multiplies_bytes() or dtype != np.uint8 else np.int16), route.name


# The projection filter of Euclidean distances.


def near_a_plane(rng: Generator, n: int, d: int, noise: float) -> Points:
    basis = np.random.default_rng(99).normal(size=(3, d))
    return rng.normal(size=(n, 3)) @ basis + noise * rng.normal(size=(n, d))


FILTERED: dict[str, Callable[[Generator, int, int], Points]] = {
    "uint8": lambda rng, n, d: np.clip(128 + 20 * near_a_plane(rng, n, d, 0.2), 0, 255).astype(np.uint8),
    "uint8 flat": lambda rng, n, d: np.repeat(rng.integers(0, 256, (n, 2)), d // 2, axis=1).astype(np.uint8),
    "int16": lambda rng, n, d: (300 * near_a_plane(rng, n, d, 0.1)).astype(np.int16),
    "float32": lambda rng, n, d: near_a_plane(rng, n, d, 0.05).astype(np.float32),
    "float32 offset": lambda rng, n, d: (1e4 + near_a_plane(rng, n, d, 0.05)).astype(np.float32),
    "float64": lambda rng, n, d: near_a_plane(rng, n, d, 0.05),
    "float64 flat": lambda rng, n, d: np.repeat(rng.random((n, 2)), d // 2, axis=1),
    "float64 offset": lambda rng, n, d: 1e8 + near_a_plane(rng, n, d, 0.05),
    "float64 small": lambda rng, n, d: 2.0**-90 * near_a_plane(rng, n, d, 0.0),
    "float64 large": lambda rng, n, d: 2.0**90 * near_a_plane(rng, n, d, 0.0),
    "float64 one far": lambda rng, n, d: near_a_plane(rng, n, d, 0.0) * np.where(np.arange(n)[:, None] == 1, 1e9, 1),
}


def with_distances(
    make: Callable[[Generator, int, int], Points], rng: Generator, n: int, m: int, p: Fraction = Fraction(2)
) -> tuple[Points, Points, AllPairs, list[Fraction], tuple[int, ...]]:
    """Make examples of 100 features, a few of them on both sides; with their distances in order, and places there."""
    left, right = make(rng, n, 100), make(rng, m, 100)
    right[:5] = left[:5]
    pairs = AllPairs(p, left, right)
    ordered = sorted(pairs.near(i, j) for i in range(n) for j in range(m))
    return left, right, pairs, ordered, (5, n * m // 20, n * m // 3, -1)


@pytest.mark.parametrize("kind", FILTERED)
def test_the_projection_filter(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_LEAST_WORK_TO_FILTER", 0)
    monkeypatch.setattr(sweep, "_HOPELESS", 1e9)
    rng, p, n, m = np.random.default_rng(4), Fraction(2), 30, 70
    left, right, pairs, ordered, places = with_distances(FILTERED[kind], rng, n, m)
    used = PairSweep(p, left, right)
    for place in places:
        for factor in (1, 1 + Fraction(1, 2**60), 1 - Fraction(1, 2**60)):
            threshold = ordered[place] * factor
            assert_right(p, left, right, pairs, Radii((threshold / 3,), (threshold * 2 / 3,)))
        assert_right(p, left, right, pairs, Radii(split(rng, threshold, n), split(rng, threshold, m)))
    assert_right(p, left, right, pairs, Radii((Fraction(0),), (Fraction(0),)))
    list(used.within(Radii((ordered[5] / 2,), (ordered[5] / 2,))))
    assert used.plan is not None  # the filter was considered


def test_the_projection_filter_changes_nothing_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    n, m, d = 1500, 1600, 200
    for kind in ("uint8", "float32", "float64"):
        left, right = FILTERED[kind](rng, n, d), FILTERED[kind](rng, m, d)
        filtered = PairSweep(Fraction(2), left, right)
        radius = Fraction(float(np.linalg.norm(left[0].astype(float) - right[0].astype(float)))) / 4
        for radii in (Radii((radius,), (radius,)), Radii(split(rng, radius, n), split(rng, radius, m))):
            with monkeypatch.context() as dense_only:
                dense_only.setattr(sweep, "_LEAST_WORK_TO_FILTER", 10**30)
                expected = within(Fraction(2), left, right, radii)
            found = np.concatenate([unpack(bits, m) for _, _, bits in filtered.within(radii)])
            assert filtered.plan is not None
            assert filtered.plan.cost < d  # it was used
            assert 0 < np.count_nonzero(expected) < expected.size
            assert np.array_equal(found, expected)
            apart = PairSweep(Fraction(2), Rows(left, np.arange(n)), Rows(right, np.arange(m)))
            assert np.array_equal(np.concatenate([unpack(bits, m) for _, _, bits in apart.within(radii)]), expected)


ROUNDED: dict[str, Callable[[Generator, int, int], Points]] = {
    "float32": lambda rng, n, d: rng.random((n, d), dtype=np.float32),
    "float32 pixels": lambda rng, n, d: (rng.integers(0, 256, (n, d)) / 255).astype(np.float32),
    "float32 constant": lambda rng, n, d: np.full((n, d), 0.1, dtype=np.float32),
    "float32 offset": lambda rng, n, d: (1e4 + rng.random((n, d))).astype(np.float32),
    "float64": lambda rng, n, d: rng.normal(size=(n, d)),
    "float64 ties": lambda rng, n, d: rng.integers(0, 3, (n, d)) / 2,
    "float64 one far": lambda rng, n, d: rng.random((n, d)) * np.where(np.arange(n)[:, None] == 1, 1e9, 1),
    "float64 small": lambda rng, n, d: 2.0**-90 * rng.random((n, d)),
    "float64 large": lambda rng, n, d: 2.0**90 * rng.random((n, d)),
    "float64 tiny beside one": lambda rng, n, d: np.where(np.arange(d) == 0, 1.0, 1e-170 * rng.random((n, d))),
}


@pytest.mark.parametrize("order", ["l1", "l2"])
@pytest.mark.parametrize("kind", ROUNDED)
def test_rounding_to_bytes(kind: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_LEAST_WORK_TO_FILTER", 0)
    monkeypatch.setattr(ByteRounding, "cost", lambda *_: 0.0)
    p = ORDERS[order]
    left, right, pairs, ordered, places = with_distances(ROUNDED[kind], np.random.default_rng(9), 30, 70, p)
    assert (PairSweep(p, left, right)._rounding is not None) == (order == "l1" or _core.multiplies_bytes())
    for place in places:
        for factor in (1, 1 + Fraction(1, 2**60), 1 - Fraction(1, 2**60), Fraction(1, 10**30), 1000):
            threshold = ordered[place] * factor
            assert_right(p, left, right, pairs, Radii((threshold / 3,), (threshold * 2 / 3,)))
    assert_right(p, left, right, pairs, Radii((Fraction(0),), (Fraction(0),)))


@pytest.mark.parametrize("order", [1, 2] if _core.multiplies_bytes() else [1])
def test_data_on_a_grid_of_bytes_leave_next_to_nothing_open(order: int) -> None:
    rng = np.random.default_rng(10)
    left, right = ((rng.integers(0, 256, (n, 80)) / 255).astype(np.float32) for n in (50, 130))
    left[0, :2], right[0, :2] = 0, 1
    prepared = ByteRounding(order, left, right, threads=1, isa="avx512").prepare(Fraction(3))
    assert abs(prepared.inner - 765**order) <= prepared.outer - prepared.inner + 1 <= 5


# What must not matter.


@pytest.mark.parametrize("kind", ["float32", "float32 offset", "float64"])
def test_products_of_rows_of_several_chunks(kind: str) -> None:
    rng = np.random.default_rng(12)
    n, m, d = 7, 70, 1700
    left, right = ROUNDED[kind](rng, n, d), ROUNDED[kind](rng, m, d)
    right[:60] = left[0] + rng.choice([-1e-3, 1e-3], (60, d))  # many pairs at nearly the same distance
    p = Fraction(2)
    pairs = AllPairs(p, left, right)
    ordered = sorted(pairs.near(i, j) for i in range(n) for j in range(m))
    for place in (10, 30, 59, 65, -1):
        for factor in (
            1,
            1 + Fraction(1, 2**60),
            1 - Fraction(1, 2**60),
            1 + Fraction(1, 10**6),
            1 - Fraction(1, 10**6),
        ):
            assert_right(p, left, right, pairs, Radii((ordered[place] * factor,), (Fraction(0),)))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("order", ["l1", "l2", "linf", "l1.5"])
@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "float64"])
def test_examples_by_their_places_are_as_good_as_copies(kind: str, order: str, isa: str) -> None:
    rng = np.random.default_rng(11)
    data = DATA[kind](rng, 150, 7)
    left, right = rng.permutation(150)[:40], np.sort(rng.permutation(150)[:100])
    p = ORDERS[order]
    threshold = AllPairs(p, data[left], data[right]).near(3, 5)
    copies = PairSweep(p, data[left], data[right], isa=isa)
    places = PairSweep(p, Rows(data, left), Rows(data, right), isa=isa)
    for radii in (Radii((threshold,), (Fraction(0),)), Radii(split(rng, threshold, 40), split(rng, threshold, 100))):
        for one, other in zip(copies.within(radii), places.within(radii), strict=True):
            assert np.array_equal(one[2], other[2])
    for one, other in zip(copies.levels([threshold]), places.levels([threshold]), strict=True):
        assert np.array_equal(one[2], other[2])
    assert copies.nearest() == places.nearest()


def test_places_beyond_the_data_are_refused() -> None:
    data = np.zeros((3, 4), dtype=np.uint8)
    for place in (-1, 3):
        with pytest.raises(ValueError, match="places must be rows"):
            _core.StripsU8("l2", data, 2.0, None, "avx512", np.array([0, place]))
        with pytest.raises(ValueError, match="places must be rows"):
            _core.bytes_within(data, data, 1, 1, "avx512", None, np.array([0, place]))


@pytest.mark.skipif(not _core.multiplies_bytes(), reason="only for processors that multiply bytes")
@pytest.mark.parametrize("m", [1, 64, 1023, 1024, 1025, 2049, 2111])
@pytest.mark.parametrize("apart", [False, True])
def test_a_single_sweep_takes_the_right_examples_in_pieces(m: int, apart: bool) -> None:
    rng = np.random.default_rng(m)
    left, right = (rng.integers(0, 256, (size, 7), dtype=np.uint8) for size in (61, m))
    keys = np.square(left[:, None].astype(int) - right[None]).sum(axis=2)
    limit = int(keys[5, m // 2])
    if apart:
        places = rng.permutation(m + 9)[:m]
        data = np.zeros((m + 9, 7), dtype=np.uint8)
        data[places] = right
        bits = _core.bytes_within(left, data, limit, 2, "avx512", None, places)
    else:
        bits = _core.bytes_within(left, right, limit, 2)
    assert np.array_equal(unpack(bits, m), keys <= limit)
    strips = _core.StripsU8("l2", right)
    assert np.array_equal(bits, strips.within(left, limit, 2))
    with pytest.raises(ValueError, match="features of right"):
        _core.bytes_within(left[:, :6].copy(), right, limit, 2)


@pytest.mark.parametrize("order", ["l1", "l2", "linf", "l1.5", "l3"])
@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "float64", "float64 offset"])
def test_threads_and_pieces_do_not_matter(kind: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    n, m, d = 300, 130, 20
    left, right = DATA[kind](rng, n, d), DATA[kind](rng, m, d)
    p = ORDERS[order]
    threshold = AllPairs(p, left[:1], right[:1]).near(0, 0)
    shared = Radii((threshold / 2,), (threshold / 2,))
    own = Radii(split(rng, threshold, n), split(rng, threshold, m))
    thresholds = sorted(threshold * Fraction(k, 8) for k in range(12))
    monkeypatch.setenv("LOSSFLOOR_NUM_THREADS", "1")
    expected = [within(p, left, right, shared), within(p, left, right, own), levels(p, left, right, thresholds)]
    assert len(list(PairSweep(p, left, right).within(shared))) == 1
    for threads, work, at_once in [("1", 1, 7), ("2", 1, 4096), ("3", 10**12, 7), ("8", 1, 1)]:
        monkeypatch.setenv("LOSSFLOOR_NUM_THREADS", threads)
        monkeypatch.setattr(sweep, "_WORK_PER_CALL", work)
        monkeypatch.setattr(sweep, "_PAIRS_AT_ONCE", at_once)
        if work == 1:
            assert len(list(PairSweep(p, left, right).within(shared))) > 1
        found = [within(p, left, right, shared), within(p, left, right, own), levels(p, left, right, thresholds)]
        for one, two in zip(found, expected, strict=True):
            assert np.array_equal(one, two)


def test_giving_up_single_precision_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Data far from the origin of their spread: single precision leaves nearly every pair open.
    rng = np.random.default_rng(7)
    left, right = DATA["float64 clusters"](rng, 60, 3), DATA["float64 clusters"](rng, 70, 3)
    p = Fraction(2)
    pairs = AllPairs(p, left, right)
    threshold = pairs.near(0, 0)
    radii = Radii((threshold / 2,), (threshold / 2,))
    for most in (0.0, 2.0):  # at once, never
        monkeypatch.setattr(sweep, "_MOST_DOUBTFUL", most)
        assert_right(p, left, right, pairs, radii)
        assert np.array_equal(
            levels(p, left, right, [threshold / 2, threshold]), pairs.levels([threshold / 2, threshold])
        )


@pytest.mark.parametrize(("text", "count"), [("1", 1), ("7", 7)])
def test_the_number_of_threads_is_read(text: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSFLOOR_NUM_THREADS", text)
    assert sweep.thread_count() == count


@pytest.mark.parametrize("text", ["", "0", "-1", "many", "1.5"])
def test_a_number_of_threads_that_is_none_is_left_aside(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOSSFLOOR_NUM_THREADS", raising=False)
    usual = sweep.thread_count()
    assert usual >= 1
    monkeypatch.setenv("LOSSFLOOR_NUM_THREADS", text)
    assert sweep.thread_count() == usual


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["uint8", "int64 large", "float64", "float64 tiny"])
def test_rows_paired_one_by_one(kind: str, order: str) -> None:
    rng = np.random.default_rng(8)
    a, b = DATA[kind](rng, 6, 4), DATA[kind](rng, 6, 4)
    p = ORDERS[order]
    pairs = AllPairs(p, a, b)
    for factor in (1 - Fraction(1, 2**70), 1 + Fraction(1, 2**70)):
        radii = [pairs.near(i, i) * factor for i in range(6)]
        expected = [pairs.at_most(i, i, radii[i]) for i in range(6)]
        assert expected == [factor > 1] * 6
        assert paired_within(p, a, b, radii.__getitem__).tolist() == expected
