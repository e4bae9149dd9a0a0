"""The checker of lower bounds for more than two classes: what it proves, and what it rejects."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from support.hypergraphs import all_conflicts, smallest_loss

import lossfloor as lf
from lossfloor.certificates import MulticlassCertificate, check_multiclass
from lossfloor.exceptions import CertificateError

LOSSES = ("cross_entropy", "zero_one", "brier")
TRIANGLE = np.array([[-10, 0], [10, 0], [0, 10]], dtype=np.int16)


def by_hand(loss: str = "zero_one", **changes: Any) -> MulticlassCertificate:
    """Three balls of radius 10 that touch in the origin: a third for each is the best."""
    z = {"zero_one": 1.0, "cross_entropy": 3.0, "brier": 4 / 3}[loss]
    parts: dict[str, Any] = {
        "classes": np.array(["a", "b", "c"]),
        "codes": np.array([0, 1, 2], dtype=np.int32),
        "weight": np.ones(3, dtype=np.int64),
        "loss": loss,
        "offsets": np.array([0, 3], dtype=np.int64),
        "members": np.array([0, 1, 2], dtype=np.int32),
        "witness": np.array([1, 1, 0], dtype=np.int32),
        "z": np.array([int(z * 2**40)], dtype=np.int64),
        "bits": 40,
        "adversary": {"name": "l2", "eps": "10", "unit": "1"},
    }
    return MulticlassCertificate(**{**parts, **changes})


@pytest.mark.parametrize(("loss", "truth"), [("zero_one", 2 / 3), ("cross_entropy", math.log(3)), ("brier", 4 / 9)])
def test_three_balls_that_touch(loss: str, truth: float) -> None:
    found = check_multiclass(by_hand(loss), TRIANGLE, ["a", "b", "c"])
    assert float(found.lower) == pytest.approx(truth, abs=1e-11)
    assert (found.n_conflicts, found.n_larger) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "spherical"}, "the loss must be one of"),
        ({"witness": np.array([2, 1, 0], dtype=np.int32)}, "their witness is not a common point"),
        ({"witness": np.zeros(3, dtype=np.int32)}, "their witness is not a common point"),
        ({"witness": np.array([-1, 2, 0], dtype=np.int32)}, "witnesses must be weights of at least 0"),
        ({"witness": np.array([1, 1], dtype=np.int32)}, "witnesses must be weights of at least 0"),
        ({"adversary": {"name": "l2", "eps": "9999999/1000000", "unit": "1"}}, "not a common point"),
        ({"adversary": {"name": "l1", "eps": "10", "unit": "1"}}, "are decided by the adversary"),
        ({"members": np.array([0, 1, 1], dtype=np.int32)}, "must ascend"),
        ({"members": np.array([0, 1, 3], dtype=np.int32)}, "members must be examples 0 to 2"),
        ({"codes": np.array([0, 1, 1], dtype=np.int32)}, "example 2 has the label"),
        ({"codes": np.array([0, 1, 3], dtype=np.int32)}, "codes must be between 0 and 2"),
        ({"z": np.array([0], dtype=np.int64)}, "weights of conflicts must be positive"),
        ({"z": np.array([1, 1], dtype=np.int64)}, "offsets must go from 0"),
        ({"offsets": np.array([0, 1, 3]), "z": np.array([1, 1])}, "two members or more"),
        ({"weight": np.array([1, 0, 1])}, "weights must be positive"),
        ({"bits": 10**9}, "bits must be between"),
        ({"bits": np.int64(40)}, "bits must be an int"),
        ({"classes": np.array(["a"])}, "two classes or more"),
        ({"classes": np.array([1.0, 2.0, 3.0])}, "classes must be integers, booleans or strings"),
        ({"z": np.array([math.nan])}, "'z' must be a row of int64, is float64"),
        ({"weight": np.array([1, 1, 1], dtype=np.uint64)}, "'weight' must be a row of int64, is uint64"),
        ({"members": np.array([[0, 1, 2]], dtype=np.int32)}, "'members' must be a row of int32"),
        # Differences of at least 2, if they wrap around.
        ({"offsets": np.array([0, 2**63 - 1, -2, 3]), "z": np.array([1, 1, 1])}, "two members or more"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_one_change_at_a_time_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        check_multiclass(dataclasses.replace(by_hand(), **changes), TRIANGLE, ["a", "b", "c"])


def test_two_of_one_class_do_not_conflict() -> None:
    two = by_hand(classes=np.array(["a", "b"]), codes=np.array([0, 1, 1], dtype=np.int32))
    with pytest.raises(CertificateError, match=r"two of the examples \[0, 1, 2\] are of one class"):
        check_multiclass(two, TRIANGLE, ["a", "b", "b"])


def test_a_class_listed_twice_makes_no_conflict() -> None:
    """Three examples of one class, numbered as if of three: nothing keeps a classifier from a loss of 0."""
    claim = by_hand(classes=np.array(["a", "a", "a"]))
    with pytest.raises(CertificateError, match="each label once"):
        check_multiclass(claim, TRIANGLE, ["a", "a", "a"])


def test_a_weight_beyond_reason_proves_less_not_more() -> None:
    """Whatever z is, the sum is a bound: one that is too large makes it worse, even beyond 64 bits in total."""
    n = 6
    many = by_hand(
        classes=np.array(["a", "b"]),
        codes=np.array([0, 1] * 3, dtype=np.int32),
        weight=np.full(n, 2**60, dtype=np.int64),
        offsets=np.arange(0, 2 * n - 1, 2, dtype=np.int64)[:4],
        members=np.array([0, 1, 2, 3, 4, 5], dtype=np.int32),
        witness=np.zeros(6, dtype=np.int32),
        z=np.full(3, 2**62, dtype=np.int64),
        bits=0,
    )
    found = check_multiclass(many, np.zeros((n, 2), dtype=np.int16), ["a", "b"] * 3)
    assert found.lower == -1  # min(s, w) = w for all, less three times 4 w, over 6 w


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("adversary", [lf.L2, lf.Linf, lf.L1])
def test_bounds_of_floors_are_proved(dtype: Any, adversary: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, (40, 3)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        X += rng.random(X.shape).astype(dtype)
    y = np.concatenate([np.arange(4), rng.integers(0, 4, 36)])
    floor = lf.floor(X, y, adversary(18), sample_weight=rng.integers(1, 4, 40))
    for loss in LOSSES:
        proved = floor.verify(loss=loss)
        assert proved.n_larger > 0
        assert floor.loss(loss) <= float(proved.lower) + 1e-13
        assert float(proved.lower) <= floor.bounds(loss)[1]


def test_the_sum_of_logarithms_is_below_the_true_one() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 2)), np.concatenate([np.arange(5), rng.integers(0, 5, 55)])
    floor = lf.floor(X, y, lf.L2(0.8))
    c = floor.certificate()
    proved = floor.verify()
    mpmath.mp.dps = 60
    s = [mpmath.mpf(0)] * 60
    for e in range(len(c.z)):
        for v in c.members[c.offsets[e] : c.offsets[e + 1]]:
            s[v] += mpmath.mpf(int(c.z[e])) * mpmath.mpf(2) ** -c.bits
    total = sum(1 + mpmath.log(one) if one > 1 else one for one in s)
    total -= sum(mpmath.mpf(int(one)) for one in c.z) * mpmath.mpf(2) ** -c.bits
    below = mpmath.mpf(proved.lower.numerator) / proved.lower.denominator
    assert below <= total / 60
    assert total / 60 - below < mpmath.mpf(10) ** -30


def test_a_single_logarithm_is_rounded_downwards() -> None:
    mpmath.mp.dps = 60
    for eighths in range(9, 60):
        found = check_multiclass(
            by_hand("cross_entropy", z=np.array([eighths]), bits=3), TRIANGLE, ["a", "b", "c"]
        ).lower
        s = mpmath.mpf(eighths) / 8
        truth = 1 + mpmath.log(s) - s / 3
        assert truth - mpmath.mpf(10) ** -37 <= mpmath.mpf(found.numerator) / found.denominator <= truth


def test_exactness_at_the_edge() -> None:
    """Doubles one step apart: the triangle just meets, or just does not."""
    y = ["a", "b", "c"]
    X = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    claim = by_hand(adversary={"name": "l2", "eps": "1", "unit": "1"})
    assert check_multiclass(claim, X, y).lower == pytest.approx(2 / 3)
    X[2, 1] = math.nextafter(1.0, 2.0)
    with pytest.raises(CertificateError, match="not a common point"):
        check_multiclass(claim, X, y)


@pytest.mark.parametrize(
    ("dtype", "centre", "spread"),
    [(kind, centre, 1.0) for kind in (np.float64, np.float32, np.int64) for centre in (0.0, 10.0)]
    + [(np.float64, 1e6, 1.0), (np.float64, 0.0, 1e-170), (np.float64, 0.0, 1e160)],
)
def test_rounding_proves_nothing(dtype: Any, centre: float, spread: float) -> None:
    """Radii just above and just below the exact distance, by far less than a double can tell."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        k, scale = int(rng.integers(3, 6)), 2**55 if dtype is np.int64 else 1
        X = ((centre + rng.normal(size=(k, 4)) * spread) * scale).astype(dtype)
        t = rng.integers(1, 2**31 - 1, k).astype(np.int32)
        rows = [[Fraction(x) for x in row] for row in X.tolist()]
        mean = [
            sum(w * x for w, x in zip(t.tolist(), column, strict=True)) / sum(t.tolist())
            for column in zip(*rows, strict=True)
        ]
        square = max(sum((x - m) ** 2 for x, m in zip(row, mean, strict=True)) for row in rows)
        unit = Fraction(2) ** (round(math.log2(spread * scale)) - 100)
        steps = math.isqrt(math.floor(square / unit**2))
        assert (steps * unit) ** 2 < square < ((steps + 1) * unit) ** 2
        below, above = (
            by_hand(
                classes=np.arange(k),
                codes=np.arange(k, dtype=np.int32),
                weight=np.ones(k, dtype=np.int64),
                offsets=np.array([0, k]),
                members=np.arange(k, dtype=np.int32),
                witness=t,
                adversary={"name": "l2", "eps": str(radius), "unit": "1"},
            )
            for radius in (steps * unit, (steps + 1) * unit)
        )
        check_multiclass(above, X, np.arange(k))
        with pytest.raises(CertificateError, match="not a common point"):
            check_multiclass(below, X, np.arange(k))


def test_every_two_boxes_of_a_conflict_must_meet() -> None:
    claim = by_hand(adversary={"name": "linf", "eps": "3", "unit": "1"})
    for order in itertools.permutations([0, 5, 7]):  # 0 and 7 do not meet
        X = np.array([[x] for x in order])
        with pytest.raises(CertificateError, match="carry weight but do not conflict"):
            check_multiclass(claim, X, ["a", "b", "c"])
    assert check_multiclass(claim, np.array([[0], [5], [6]]), ["a", "b", "c"]).n_larger == 1


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", range(5))
def test_no_weights_prove_more_than_the_truth(loss: str, seed: int) -> None:
    """Boxes, whose conflicts are seen by hand: the best weights, these changed, and any weights on any conflicts."""
    rng = np.random.default_rng(seed)
    n, k = 12, 4
    X, y = rng.integers(0, 10, (n, 2)), np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    weight = rng.integers(1, 5, n)
    rows = all_conflicts(y, lambda row: all(np.abs(X[u] - X[v]).max() <= 6 for u, v in itertools.combinations(row, 2)))
    truth = smallest_loss(weight, rows, loss)
    best = lf.floor(X, y, lf.Linf(3), sample_weight=weight, gap=1e-6).certificate(loss)
    assert truth - 2e-6 <= check_multiclass(best, X, y).lower <= truth + 1e-7
    for _ in range(100):
        moved = dataclasses.replace(best, z=(best.z * rng.uniform(0.9, 1.1, len(best.z))).astype(np.int64))
        assert check_multiclass(moved, X, y).lower <= truth + 1e-7
        chosen = [rows[e] for e in rng.choice(len(rows), rng.integers(1, len(rows) + 1), replace=False).tolist()]
        claim = by_hand(
            loss,
            classes=np.arange(k),
            codes=y.astype(np.int32),
            weight=weight.astype(np.int64),
            offsets=np.cumsum([0, *map(len, chosen)]),
            members=np.concatenate([np.array(row) for row in chosen]).astype(np.int32),
            witness=np.zeros(sum(map(len, chosen)), dtype=np.int32),
            z=rng.integers(1, 2**40 * 12 // len(chosen), len(chosen)),
            adversary={"name": "linf", "eps": "3", "unit": "1"},
        )
        found = check_multiclass(claim, X, y)
        assert found.n_larger == sum(len(row) > 2 for row in chosen)
        assert found.lower <= truth + 1e-7


def test_other_families_are_asked() -> None:
    asked = []

    def meets(members: list[int]) -> bool:
        asked.append(tuple(members))
        return True

    custom = by_hand(adversary={"name": "custom"})
    assert check_multiclass(custom, TRIANGLE, ["a", "b", "c"], meets=meets).n_larger == 1
    assert asked == [(0, 1, 2)]
    with pytest.raises(CertificateError, match="the adversary finds no common point"):
        check_multiclass(custom, TRIANGLE, ["a", "b", "c"], meets=lambda members: False)


def test_a_matrix_proves_pairs_only() -> None:
    claim = by_hand(adversary={"name": "precomputed", "matrix": "conflicts"})
    with pytest.raises(CertificateError, match="nothing of larger conflicts"):
        check_multiclass(claim, None, ["a", "b", "c"], matrix=~np.eye(3, dtype=bool))
    result = lf.floor(None, [0, 1, 2], lf.Precomputed(conflicts=~np.eye(3, dtype=bool)))
    assert float(result.verify().lower) == pytest.approx(math.log(2), abs=1e-4)


def test_files_bring_everything_back(tmp_path: Path) -> None:
    data = lf.load("digits", n_per_class=40)
    floor = lf.floor(data.X, data.y, lf.L2(0.9, unit=data.unit))
    path = tmp_path / "floor.npz"
    floor.save(path)
    again = lf.MulticlassFloor.load(path)
    assert again.summary() == floor.summary()
    assert again.verify(data.X, data.y).lower == floor.verify().lower
    np.testing.assert_array_equal(again.soft_labels(), floor.soft_labels())
    with pytest.raises(ValueError, match="compute the floor again for others"):
        again.loss("brier")
    with pytest.raises(ValueError, match="'X' must be given together with y"):
        again.verify()
    with pytest.raises(CertificateError, match=r"carry weight but do not conflict|not a common point"):
        again.verify(data.X[::-1].copy(), data.y)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("cross_entropy_z", np.ones(3), "must be a row of int64"),
        ("cross_entropy_members", np.zeros((2, 2), dtype=np.int32), "must be a row of int32"),
        ("cross_entropy_bits", np.array("a"), "must be a whole number"),
        ("cross_entropy_q", np.full(3, 2.0), "must be a probability for each example"),
        ("cross_entropy_bounds", np.zeros(3), "must be four numbers"),
        ("classes", np.zeros(3, dtype=np.int64), "each label once"),
        ("adversary", np.array("[1]"), "no JSON object"),
        ("adversary", np.array("{"), "not JSON"),
        ("degrees", np.zeros(3), "number of conflicts of each example"),
        ("limits", np.array("[]"), "its limits"),
        ("zero_one_offsets", None, "has no part 'zero_one_offsets'"),
        ("seconds", None, "degrees, limits and seconds"),
    ],
)
def test_hostile_files_are_rejected(tmp_path: Path, name: str, value: Any, message: str) -> None:
    path = tmp_path / "floor.npz"
    lf.floor([[0.0], [1.0], [1.5]], [0, 1, 2], lf.L2(0.6)).save(path)
    with np.load(path) as held:
        arrays = dict(held)
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    np.savez_compressed(path, **arrays)
    with pytest.raises((CertificateError, ValueError), match=message):
        lf.MulticlassFloor.load(path)


def test_a_certificate_of_other_losses_is_refused() -> None:
    floor = lf.floor([[0.0], [1.0], [1.5]], [0, 1, 2], lf.L2(0.6))
    with pytest.raises(ValueError, match="'loss' must be one of cross_entropy, zero_one, brier"):
        floor.certificate(lambda q: 1 - q)
    assert dataclasses.is_dataclass(floor.certificate())
