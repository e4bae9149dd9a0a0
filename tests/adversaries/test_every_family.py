"""What holds for every family of adversaries: parametrised over all of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.family_oracles import ORACLES
from support.neighbourhoods import check_pairs, conflicts_of, unpacked

import lossfloor as lf
from lossfloor import certificates
from lossfloor.adversaries import (
    FAMILIES,
    L1,
    L2,
    Adversary,
    Box,
    Clipped,
    CustomAdversary,
    EditDistance,
    Ellipsoid,
    FiniteSets,
    Geometric,
    Hamming,
    Intersection,
    Linf,
    Lp,
    Precomputed,
    SparseLinf,
    Substitution,
    Union,
    WeightedLp,
    from_config,
)
from lossfloor.exceptions import CertificateError

N = 24
LEFT = 11
MATRIX = [[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.5]]
SYNONYMS = {"a": ["b", "c"], "b": ["d"], "c": ["a"], "d": ["e"]}


def near(x: Any, z: Any) -> bool:
    return bool(abs(x - z).max() <= 1)


def between(x: Any, y: Any) -> Any:
    middle = (x + y) / 2
    return middle if near(x, middle) and near(y, middle) else None


def _points(rng: np.random.Generator) -> Any:
    return rng.integers(0, 6, (N, 3))


def _floats(rng: np.random.Generator) -> Any:
    return rng.random((N, 3)) * 5


def _categories(rng: np.random.Generator) -> Any:
    return np.array([["red", 1, None], ["blue", 2, ("x",)], ["green", 3, "y"]], dtype=object)[
        rng.integers(0, 3, (N, 4)), rng.integers(0, 3, (N, 4))
    ]


def _strings(rng: np.random.Generator) -> Any:
    return ["".join(rng.choice(list("abcd"), rng.integers(0, 5))) for _ in range(N)]


def _outcomes(rng: np.random.Generator) -> Any:
    matrix = rng.random((N, 12)) < 0.1
    matrix[:, 0] |= ~matrix.any(axis=1)
    return matrix


def _images(rng: np.random.Generator) -> Any:
    images = np.zeros((N, 5, 5), dtype=np.uint8)
    for image in images:
        image[tuple(rng.integers(1, 4, 2))] = rng.integers(1, 3)
    return images


def _budgets(rng: np.random.Generator) -> Any:
    return rng.integers(1, 12, N) / 8


def _counts(rng: np.random.Generator) -> Any:
    return rng.integers(0, 3, N)


@dataclasses.dataclass(frozen=True)
class Example:
    """A family, the data that it takes, and how to scale its budget."""

    make: Callable[[np.random.Generator, float], Adversary]
    data: Callable[[np.random.Generator], Any]
    scales: tuple[float, ...] = (0, 0.5, 1, 2)


#: Budgets are drawn by the generator and multiplied by the scale.
EXAMPLES: dict[str, Example] = {
    "l1": Example(lambda rng, s: L1(s * _budgets(rng)), _floats),
    "l2": Example(lambda rng, s: L2(s * _budgets(rng)), _points),
    "linf": Example(lambda rng, s: Linf(s * _budgets(rng)), _floats),
    "lp": Example(lambda rng, s: Lp(1.5, s * _budgets(rng)), _floats),
    "weighted-lp": Example(lambda rng, s: WeightedLp(2, [1, 0.3, 0], s * _budgets(rng)), _floats),
    "ellipsoid": Example(lambda rng, s: Ellipsoid(MATRIX, s * _budgets(rng)), _floats),
    "box": Example(lambda rng, s: Box([0, 1, 0.25], [1, 0, np.inf], eps=s * _budgets(rng)), _floats),
    "hamming": Example(lambda rng, s: Hamming((s * _counts(rng)).astype(int)), _categories, (0, 1, 2)),
    "sparse-linf": Example(lambda rng, s: SparseLinf(_counts(rng), s * 2 * _budgets(rng)), _points),
    "edit-distance": Example(lambda rng, s: EditDistance((s * _counts(rng)).astype(int)), _strings, (0, 1, 2)),
    "substitution": Example(lambda rng, s: Substitution(SYNONYMS, (s * _counts(rng)).astype(int)), _strings, (0, 1, 2)),
    "finite-sets": Example(lambda rng, s: FiniteSets(), _outcomes, (1,)),
    "geometric": Example(lambda rng, s: Geometric([0, 90], (s * _counts(rng)).astype(int)), _images, (0, 1, 2)),
    "union": Example(lambda rng, s: Union(L2(s * _budgets(rng)), Linf(s * 0.5 * _budgets(rng))), _floats),
    "intersection": Example(lambda rng, s: Intersection(L1(s), Linf(s / 2)), _floats),
    "clipped": Example(lambda rng, s: Clipped(L2(s * _budgets(rng)), 0, 5), _floats),
    "custom": Example(lambda rng, s: CustomAdversary(contains=near, meet=between), _floats, (1,)),
    "precomputed": Example(lambda rng, s: _precomputed(rng, s), _points),
}


def _precomputed(rng: np.random.Generator, scale: float) -> Precomputed:
    distances = np.abs(np.subtract.outer(*[np.linspace(0, 5, N)] * 2))
    return Precomputed(distances=distances, eps=scale * _budgets(rng))


def drawn(name: str, scale: float, seed: int = 0) -> tuple[Adversary, Any]:
    """Return the adversary and the data of a family; the same budgets and data whatever the scale."""
    example = EXAMPLES[name]
    rng = np.random.default_rng([seed, len(name)])
    X = example.data(rng)
    return example.make(rng, scale), X


def test_every_registered_family_is_here() -> None:
    assert set(EXAMPLES) == set(ORACLES) == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", range(2))
def test_conflicts_are_those_of_brute_force(name: str, seed: int) -> None:
    adversary, X = drawn(name, 1, seed)
    sure, undecided = conflicts_of(adversary, adversary.as_data(X, N), LEFT)
    expected = [[ORACLES[name](adversary, X, i, j) for j in range(LEFT, N)] for i in range(LEFT)]
    np.testing.assert_array_equal(sure, expected)
    assert not undecided.any()
    assert 0 < np.count_nonzero(expected) < sure.size


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"precomputed"}))
@pytest.mark.parametrize("seed", range(2))
def test_a_point_is_shared_exactly_where_there_is_a_conflict(name: str, seed: int) -> None:
    adversary, X = drawn(name, 1, seed)
    sure, undecided = check_pairs(adversary, X, LEFT)
    assert sure.any()
    assert not undecided.any()


OF_NUMBERS = [name for name, example in EXAMPLES.items() if example.data in (_points, _floats)]


@pytest.mark.parametrize("name", [name for name in OF_NUMBERS if name not in ("custom", "precomputed")])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_a_shared_point_is_of_the_type_of_the_data(name: str, dtype: Any) -> None:
    adversary, X = drawn(name, 1)
    unit = 1 if dtype == np.float32 else 1000  # numbers lie densely enough for every conflict that is not a tie
    config = _in_unit(adversary.config(), unit)
    X = (X * unit).astype(dtype)
    adversary = from_config(config)
    data = adversary.as_data(X, N)
    sure, _ = conflicts_of(adversary, data, LEFT)
    met = 0
    for i, j in np.argwhere(sure).tolist():
        index = np.array([i, LEFT + j])
        point = adversary.meet(data[index], index=index)
        assert adversary.contains(data[index], np.stack([point, point]), index=index).all()
        met += point.dtype == dtype
    assert met >= 0.9 * sure.sum() > 0


def _in_unit(config: dict[str, Any], unit: int) -> dict[str, Any]:
    """Write the same adversary for data that have been multiplied by a unit."""
    changed = {**config, **({"unit": unit} if "unit" in config else {})}
    if "members" in config:
        changed["members"] = [_in_unit(member, unit) for member in config["members"]]
    if "adversary" in config:
        changed |= {"adversary": _in_unit(config["adversary"], unit), "low": 0, "high": 5 * unit}
    return changed


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if len(example.scales) > 1])
def test_conflicts_only_grow_with_the_budget(name: str) -> None:
    before = None
    for scale in EXAMPLES[name].scales:
        adversary, X = drawn(name, scale)
        sure, _ = conflicts_of(adversary, adversary.as_data(X, N), LEFT)
        assert before is None or not (before & ~sure).any()
        before = sure
    assert sure.any()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_floor_is_that_of_the_same_graph_given_as_a_matrix(name: str) -> None:
    adversary, X = drawn(name, 1)
    y = np.arange(N) >= LEFT
    sure, _ = conflicts_of(adversary, adversary.as_data(X, N), LEFT)
    matrix = np.zeros((N, N), dtype=bool)
    matrix[:LEFT, LEFT:] = sure
    matrix |= matrix.T
    weight = np.random.default_rng(5).integers(1, 5, N)
    floor = lf.floor(X, y, adversary, sample_weight=weight)
    other = lf.floor(None, y, Precomputed(conflicts=matrix), sample_weight=weight)
    assert floor.status == "exact"
    assert floor.upper is floor.lower is floor
    assert floor.exact_loss("brier") == other.exact_loss("brier")
    assert floor.bounds("cross-entropy") == (other.cross_entropy, other.cross_entropy)
    np.testing.assert_array_equal(floor.correct_probability, other.correct_probability)


@pytest.mark.parametrize("name", EXAMPLES)
def test_order_of_the_examples_does_not_matter(name: str) -> None:
    adversary, X = drawn(name, 1)
    data = adversary.as_data(X, N)
    left, right = np.arange(LEFT), np.arange(LEFT, N)
    rng = np.random.default_rng(3)
    new_left, new_right = rng.permutation(left), rng.permutation(right)
    sure, _ = conflicts_of(adversary, data, LEFT)
    rows = adversary.conflicts(data[new_left], data[new_right], index_a=new_left, index_b=new_right)
    shuffled = np.concatenate([unpacked(part, N - LEFT)[0] for part in rows])
    np.testing.assert_array_equal(shuffled, sure[new_left][:, new_right - LEFT])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_certificate_is_checked_by_the_definition_of_the_adversary(name: str) -> None:
    adversary, X = drawn(name, 1)
    y = np.arange(N) >= LEFT
    floor = lf.floor(X, y, adversary)
    verified = floor.verify()
    assert verified.zero_one == floor.exact_loss("zero-one")
    assert verified.n_pairs_excluded > 0


@pytest.mark.parametrize("name", [name for name in EXAMPLES if not certificates.decides({"name": name})])
@pytest.mark.parametrize(("answer", "message"), [(False, "carry flow but do not conflict"), (True, "conflict, but")])
def test_a_floor_against_another_adversary_is_refused(name: str, answer: bool, message: str) -> None:
    adversary, X = drawn(name, 1)
    y = np.arange(N) >= LEFT
    floor = lf.floor(X, y, adversary)
    with pytest.raises(CertificateError, match=message):
        certificates.check(floor.certificate, X, y, decide=lambda u, v: answer)
    with pytest.raises(CertificateError, match="decided by the adversary: give it"):
        certificates.check(floor.certificate, X, y)
    with pytest.raises(CertificateError, match="not one against"):
        floor.verify(adversary=L2(3))


DESCRIBED = [name for name in EXAMPLES if name not in ("custom", "precomputed")]


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_configuration_makes_the_same_adversary_again(name: str) -> None:
    adversary, X = drawn(name, 1)
    config = adversary.config()
    assert config["name"] == name == type(adversary).name
    again = from_config(json.loads(json.dumps(config)))
    assert again.config() == json.loads(json.dumps(config))
    assert repr(again) == repr(adversary)
    first, second = (conflicts_of(a, a.as_data(X, N), LEFT) for a in (adversary, again))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_saved_floor_is_verified_without_its_adversary(name: str, tmp_path: Any) -> None:
    adversary, X = drawn(name, 1)
    y = np.arange(N) >= LEFT
    floor = lf.floor(X, y, adversary)
    floor.save(tmp_path / "floor.npz")
    again = lf.Floor.load(tmp_path / "floor.npz")
    assert again.verify(X, y).zero_one == floor.exact_loss("zero-one")
    assert again.zero_one == floor.zero_one


@pytest.mark.parametrize("name", ["custom", "precomputed"])
def test_what_no_configuration_can_hold_is_asked_for(name: str, tmp_path: Any) -> None:
    adversary, X = drawn(name, 1)
    with pytest.raises(ValueError, match="cannot be recreated from its name"):
        from_config(adversary.config())
    y = np.arange(N) >= LEFT
    floor = lf.floor(X, y, adversary)
    floor.save(tmp_path / "floor.npz")
    again = lf.Floor.load(tmp_path / "floor.npz")
    assert again.verify(X, y, adversary=adversary).zero_one == floor.exact_loss("zero-one")
    assert name in again._repr_html_()


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"precomputed", "custom", "finite-sets", "intersection"}))
def test_one_budget_for_all_is_that_budget_for_each(name: str) -> None:
    shared, each = {
        "l1": (L1(1), L1([1] * N)),
        "l2": (L2(1), L2([1] * N)),
        "linf": (Linf(1), Linf([1] * N)),
        "lp": (Lp(3, 1), Lp(3, [1] * N)),
        "weighted-lp": (WeightedLp(1, [1, 2, np.inf], 3), WeightedLp(1, [1, 2, np.inf], [3] * N)),
        "ellipsoid": (Ellipsoid(MATRIX, 1), Ellipsoid(MATRIX, [1] * N)),
        "box": (Box(1, [0, 1, 2]), Box(np.ones((N, 3)), np.tile([0, 1, 2], (N, 1)), eps=[1] * N)),
        "hamming": (Hamming(1), Hamming([1] * N)),
        "sparse-linf": (SparseLinf(2, 1), SparseLinf([2] * N, [1] * N)),
        "edit-distance": (EditDistance(1), EditDistance([1] * N)),
        "substitution": (Substitution(SYNONYMS, 1), Substitution(SYNONYMS, [1] * N)),
        "geometric": (Geometric(0, 1), Geometric(0, [1] * N)),
        "union": (Union(L1(1), Linf(0.7)), Union(L1([1] * N), Linf([0.7] * N))),
        "clipped": (Clipped(L1(1), -1, 9), Clipped(L1([1] * N), -1, 9)),
    }[name]
    X = EXAMPLES[name].data(np.random.default_rng(8))
    first, second = (conflicts_of(a, a.as_data(X, N), LEFT)[0] for a in (shared, each))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"custom", "finite-sets", "intersection"}))
def test_as_many_budgets_as_examples(name: str) -> None:
    adversary, X = drawn(name, 1)
    with pytest.raises(ValueError, match=r"must be .*(examples|24|x)"):
        adversary.as_data(X[:-1] if name != "precomputed" else X, N - 1)


@pytest.mark.parametrize("name", ["box", "l2", "ellipsoid", "hamming", "sparse-linf", "edit-distance", "geometric"])
def test_budgets_of_single_examples_need_their_positions(name: str) -> None:
    adversary, X = drawn(name, 1)
    data = adversary.as_data(X, N)
    with pytest.raises(ValueError, match="'index' must be given"):
        adversary.meet(data[:2])


CRITICAL = {
    "l1": (lambda e: L1(e), _floats),
    "l2": (lambda e: L2(e, unit=3), _points),
    "linf": (lambda e: Linf(e), _floats),
    "lp": (lambda e: Lp(2.5, e), _floats),
    "weighted-lp": (lambda e: WeightedLp(1, [1, 0.1, 0], e), _floats),
    "weighted-lp, frozen": (lambda e: WeightedLp(3, [1, np.inf, 2], e, unit=2), _points),
    "ellipsoid": (lambda e: Ellipsoid(MATRIX, e), _floats),
    "box": (lambda e: Box([0, 1, "1/3"], [1, 0, 1], eps=e), _floats),
    "sparse-linf": (lambda e: SparseLinf(2, e), _floats),
    "clipped": (lambda e: Clipped(Linf(e), 0, 5), _floats),
}


@pytest.mark.parametrize("name", CRITICAL)
def test_the_critical_budget_is_the_least_that_makes_a_conflict(name: str) -> None:
    make, data = CRITICAL[name]
    X = data(np.random.default_rng(4))[:8]
    X[7] = X[0]
    adversary = make(1.0)
    critical = adversary.critical_eps(X[:4], X[4:])
    assert critical.dtype == np.float64
    assert critical[0, 3] == 0
    for i, j in np.ndindex(4, 4):
        if np.isinf(critical[i, j]):
            assert not make(1e6).conflict(X[i], X[4 + j])
            continue
        assert make(critical[i, j]).conflict(X[i], X[4 + j])
        if critical[i, j] > 0:
            assert not make(np.nextafter(critical[i, j], 0)).conflict(X[i], X[4 + j])
    assert np.isfinite(critical).any()


WHOLE = {
    "hamming": (lambda k: Hamming(k), _categories),
    "edit-distance": (lambda k: EditDistance(k), _strings),
    "substitution": (lambda k: Substitution({c: list("abcd") for c in "abc"}, k), _strings),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_critical_count_is_the_least_that_makes_a_conflict(name: str) -> None:
    make, data = WHOLE[name]
    X = make(1).as_data(data(np.random.default_rng(4)), N)
    critical = make(1).critical_eps(X[:4], X[4:])
    for i, j in np.ndindex(*critical.shape):
        if np.isinf(critical[i, j]):
            assert not make(100).conflict(X[i], X[4 + j])
            continue
        k = int(critical[i, j])
        assert k == critical[i, j]
        assert make(k).conflict(X[i], X[4 + j])
        assert k == 0 or not make(k - 1).conflict(X[i], X[4 + j])
    assert np.isfinite(critical).any()


@pytest.mark.parametrize("name", ["finite-sets", "geometric", "union", "intersection", "custom", "precomputed"])
def test_families_without_a_radius_say_so(name: str) -> None:
    adversary, X = drawn(name, 1)
    data = adversary.as_data(X, N)
    with pytest.raises(TypeError, match="no budget to vary"):
        adversary.critical_eps(data[:2], data[2:4])


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ("l2", ValueError, "'config' must be a mapping with a name"),
        ({"eps": 1}, ValueError, "'config' must be a mapping with a name"),
        ({"name": "haming", "k": 1}, ValueError, "did you mean 'hamming'"),
        ({"name": "hamming"}, ValueError, "hamming needs 'k'"),
        ({"name": "ellipsoid"}, ValueError, "ellipsoid needs 'matrix' and 'eps'"),
        ({"name": "l2", "eps": 1, "unita": 2}, ValueError, "unknown parameter of l2 'unita'; did you mean 'unit'"),
        ({"name": "lp", "p": "1e9", "eps": 1}, ValueError, "'p' must be a quotient of whole numbers up to 10000"),
        ({"name": "lp", "p": "1.00001", "eps": 1}, ValueError, "'p' must be a quotient of whole numbers up to 10000"),
        ({"name": "hamming", "k": 2**31}, ValueError, "'k' must be below"),
        ({"name": "substitution", "synonyms": [["a"]]}, ValueError, "'synonyms' must be a mapping, or a list of pairs"),
        ({"name": "substitution", "synonyms": {"a": [[]]}}, TypeError, "'synonyms' must be made of hashable tokens"),
        ({"name": "union", "members": {}}, ValueError, "list of members"),
        ({"name": "union", "members": []}, ValueError, "at least one adversary"),
        ({"name": "clipped", "low": 0}, ValueError, "adversary, low and high"),
        ({"name": "finite-sets", "outcomes": "f"}, ValueError, "give its function"),
    ],
)
def test_configurations_that_describe_nothing(config: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_config(config)


def test_a_configuration_nested_without_end() -> None:
    config: dict[str, Any] = {"name": "l2", "eps": 1}
    for _ in range(5000):
        config = {"name": "union", "members": [config]}
    with pytest.raises(ValueError, match="nested at most 16 deep"):
        from_config(config)


def test_synonyms_of_numbers_outlive_json() -> None:
    adversary = Substitution({1: [2], 3: [4, 5]}, 1)
    again = from_config(json.loads(json.dumps(adversary.config())))
    assert again == adversary
    assert again.meet([[1, 9, 3], [2, 9, 3]]) == (2, 9, 3)
