"""Some sixty answers of the public face, as numbers and digests: what a change of the house must not change.

    python tests/support/golden_cases.py > tests/golden/answers.json

Two classes, curves, attacks and Gaussian floors have to agree bit for bit.  Of many classes the bounds have to overlap
and to be as near to each other as was asked, and the certificates have to verify.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import lossfloor as lf

Answers = dict[str, Any]


def digest(value: Any) -> str:
    """Return a digest of an array: its type, its shape and its bytes, or those of its entries in words."""
    array = np.asarray(value)
    content = json.dumps(array.tolist(), default=str).encode() if array.dtype == object else array.tobytes()
    return hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode() + content).hexdigest()[:16]


def two_class(floor: Any) -> Answers:
    """Describe a floor of two classes and its proof."""
    proof = floor.certificate
    return {
        "status": floor.status,
        "losses": [floor.cross_entropy, floor.zero_one, floor.brier, floor.loss("spherical")],
        "costs": floor.loss("zero-one", costs={label: i + 1 for i, label in enumerate(floor.classes.tolist())}),
        "callable": floor.loss(lambda q: 1 / q),
        "counts": [floor.n_examples, floor.n_edges, floor.n_isolated, floor.n_blocks],
        "arrays": {name: digest(getattr(floor, name)) for name in ("correct_probability", "posterior", "degrees")}
        | {name: digest(getattr(proof, name)) for name in ("block", "a", "b", "flow_edges", "codes", "weight")}
        | {"soft": digest(floor.soft_labels(min_correct=0.6))},
        "adversary": json.dumps(floor.summary()["adversary"], sort_keys=True),
        "verified": floor.verify().cross_entropy,
    }


def many_class(floor: Any) -> Answers:
    """Describe a floor of many classes."""
    answer: Answers = {"bounds": {}}
    for name in ("cross-entropy", "zero-one", "brier"):
        answer["bounds"][name] = [*floor.bounds(name), float(floor.verify(loss=name).lower)]
    answer["counts"] = [floor.n_examples, floor.n_edges, floor.n_isolated]
    answer["arrays"] = {"degrees": digest(floor.degrees), "codes": digest(floor.codes)}
    answer["adversary"] = json.dumps(floor.summary()["adversary"], sort_keys=True)
    return answer


def attacked(floor: Any) -> Answers:
    """Describe the attack of a floor of two classes."""
    attack = floor.attack()
    expected, drawn = attack.expected(), attack.sample(random_state=3)
    return {
        "bayes risk": expected.bayes_risk("cross-entropy"),
        "expected": [digest(getattr(expected, field.name)) for field in dataclasses.fields(expected)],
        "drawn": digest(drawn),
    }


def points(seed: int, n: int, d: int, dtype: str = "int64", k: int = 2) -> tuple[Any, Any]:
    """Draw points and labels."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    if dtype.startswith("float"):
        return rng.normal(size=(n, d)).astype(dtype), y
    top = 200 if dtype == "uint8" else 12
    return rng.integers(0, top, (n, d)).astype(dtype), y


def images() -> tuple[Any, Any]:
    """Two of scikit-learn's digits."""
    data = lf.load("digits", classes=(3, 8))
    return data.X, data.y


def families() -> dict[str, tuple[Any, Any]]:
    """One adversary per family, and data for it."""
    rng = np.random.default_rng(11)
    floats = rng.random((40, 3)) * 5
    small = rng.integers(0, 6, (40, 3))
    words = ["".join(rng.choice(list("abcd"), rng.integers(1, 5))) for _ in range(40)]
    colours = np.array([["red", 1, None], ["blue", 2, "x"]], dtype=object)
    table = colours[rng.integers(0, 2, (40, 4)), rng.integers(0, 3, (40, 4))]
    sets = rng.random((40, 12)) < 0.15
    sets[:, 0] |= ~sets.any(axis=1)
    pictures = rng.integers(0, 2, (40, 5, 5)).astype(np.uint8)
    distances = np.abs(floats[:, None] - floats[None]).sum(axis=2)
    return {
        "weighted-lp": (lf.WeightedLp(2, [1, 0.3, 0], 0.5), floats),
        "lp": (lf.Lp(1.5, 0.7), floats),
        "lp 3": (lf.Lp(3, "0.7"), small),
        "ellipsoid": (lf.Ellipsoid([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.5]], 0.8), floats),
        "box": (lf.Box([0, 1, 0.25], [1, 0, np.inf], eps=0.5), floats),
        "hamming": (lf.Hamming(1), table),
        "sparse-linf": (lf.SparseLinf(1, 1.5), small),
        "edit-distance": (lf.EditDistance(1), words),
        "substitution": (lf.Substitution({"a": ["b", "c"], "b": ["d"]}, 1), words),
        "finite-sets": (lf.FiniteSets(), sets),
        "geometric": (lf.Geometric([0, 90], 1), pictures),
        "union": (lf.Union(lf.L2(0.4), lf.Linf(0.3)), floats),
        "intersection": (lf.Intersection(lf.L2(0.8), lf.Linf(0.5)), floats),
        "clipped": (lf.Clipped(lf.L2(0.8), 0, 5), floats),
        "precomputed": (lf.Precomputed(distances=distances, eps=0.6), np.zeros((40, 1))),
        "radii": (lf.L2(rng.integers(1, 9, 40) / 8), floats),
    }


def of_norms() -> dict[str, Callable[[], Answers]]:
    """Balls of norms: types of data, weights, degenerate ones."""
    cases: dict[str, Callable[[], Answers]] = {}
    for dtype in ("uint8", "int16", "int64", "float32", "float64"):
        for norm, eps in ((lf.L1, 3), (lf.L2, 1.25), (lf.Linf, 1)):
            scale = 20 if dtype == "uint8" else 0.5 if dtype.startswith("float") else 1
            X, y = points(1, 150, 4, dtype)
            # An array and not an amount: bytes need no unit then.
            adversary = norm(eps * scale, unit=1) if dtype == "uint8" else norm(eps * scale)
            cases[f"{norm.__name__} {dtype}"] = lambda X=X, y=y, adversary=adversary: two_class(
                lf.floor(X, y, adversary)
            )
    X, y = points(2, 130, 2)
    weight = np.random.default_rng(0).integers(1, 2**40, 130)
    same = np.zeros((50, 2))
    cases |= {
        "weights": lambda: two_class(lf.floor(X, y, lf.L2(1), sample_weight=weight)),
        "fractional weights": lambda: two_class(lf.floor(X, y, lf.L2(1), sample_weight=weight / 2.0**41)),
        "words as labels": lambda: two_class(lf.floor(X, np.array(["cat", "dog"])[y], lf.Linf(1))),
        "eps 0": lambda: two_class(lf.floor(X, y, lf.L2(0))),
        "all in conflict": lambda: two_class(lf.floor(X, y, lf.L2(99))),
        "all the same": lambda: two_class(lf.floor(same, np.arange(50) % 2, lf.L2(0))),
        "two examples": lambda: two_class(lf.floor([[0.0], [1.0]], ["b", "a"], lf.L2(0.5))),
        "digits": lambda: two_class(lf.floor(*images(), lf.L2(1, unit=16))),
        "digits linf": lambda: two_class(lf.floor(*images(), lf.Linf(0.4, unit=16))),
        "attack": lambda: attacked(lf.floor(X, y, lf.L2(1))),
        "attack linf": lambda: attacked(lf.floor(*points(3, 80, 3, "float64"), lf.Linf(0.4))),
        "classifier": lambda: {
            "probabilities": digest(lf.FloorClassifier(lf.L2(1)).fit(X, y).predict_proba(X + 0.25)),
        },
    }
    return cases


def of_curves() -> dict[str, Callable[[], Answers]]:
    """Curves, pairs of classes and Gaussian floors."""

    def curve(X: Any, y: Any, maker: Any, **options: Any) -> Answers:
        found = lf.curve(X, y, maker, **options)
        losses = {name: getattr(found, name).tolist() for name in ("cross_entropy", "zero_one", "brier", "n_edges")}
        at = None if maker is lf.Hamming else found.eps_at(zero_one=0.1)
        return losses | {"separation": found.separation, "eps at": at}

    def pairwise(X: Any, y: Any, adversary: Any) -> Answers:
        found = lf.pairwise_floors(X, y, adversary)
        losses = {name: found.matrix(name).tolist() for name in ("cross-entropy", "zero-one")}
        return losses | {"lower": found.lower_bound(), "hardest": str(found.hardest())}

    def gaussian(floor: Any) -> Answers:
        losses = [floor.cross_entropy, floor.zero_one, floor.brier]
        return {"losses": losses, "summary": json.dumps(floor.summary(), sort_keys=True, default=str)}

    X, y = points(4, 90, 3)
    F, z = points(5, 90, 3, "float64")
    many, classes = points(6, 60, 2, "float64", k=4)
    grid = [0, 0.5, 1, 1.5, 2, 3]
    full = [[1.0, 0.3], [0.3, 0.5]]
    return {
        "curve l2": lambda: curve(X, y, lf.L2, eps=grid),
        "curve l1 floats": lambda: curve(F, z, lf.L1, eps=grid),
        "curve linf digits": lambda: curve(*images(), lf.Linf, eps=[0, 0.1, 0.3, 0.5], unit=16),
        "curve hamming": lambda: curve(X, y, lf.Hamming, eps=[0, 1, 2]),
        "pairwise": lambda: pairwise(many, classes, lf.L2(0.4)),
        "gaussian l2": lambda: gaussian(lf.gaussian_floor([1, 0.5], [1, 2], lf.L2(0.3))),
        "gaussian linf": lambda: gaussian(lf.gaussian_floor([1, 0.5], full, lf.Linf(0.3), prior=0.3)),
        "gaussian l1": lambda: gaussian(lf.gaussian_floor([1, 0.5], full, lf.L1(0.3))),
    }


def of_many_classes() -> dict[str, Callable[[], Answers]]:
    """More than two classes."""
    cases: dict[str, Callable[[], Answers]] = {}
    for name, k, adversary, dtype in (
        ("many l2", 4, lf.L2(0.5), "float64"),
        ("many linf", 5, lf.Linf(0.4), "float32"),
        ("many l1", 3, lf.L1(0.5), "float64"),
        ("many l2 integers", 6, lf.L2(1.5), "int64"),
    ):
        X, y = points(7, 70, 2, dtype, k)
        cases[name] = lambda X=X, y=y, adversary=adversary: many_class(lf.floor(X, y, adversary))
    X, y = points(8, 60, 2, "int64", 4)
    weight = np.random.default_rng(1).integers(1, 9, 60)
    cases["many weights"] = lambda: many_class(lf.floor(X, y, lf.L2(1), sample_weight=weight))
    digits = lf.load("digits")
    part = slice(0, 300)
    cases["many digits"] = lambda: many_class(lf.floor(digits.X[part], digits.y[part], lf.L2(1, unit=digits.unit)))
    return cases


def all_cases() -> dict[str, Callable[[], Answers]]:
    """Return every case by its name."""
    cases = of_norms() | of_curves() | of_many_classes()
    y = np.random.default_rng(9).integers(0, 2, 40)
    for name, (adversary, X) in families().items():
        cases[name] = lambda X=X, adversary=adversary: two_class(lf.floor(X, y, adversary))
    return cases


if __name__ == "__main__":
    json.dump({name: case() for name, case in all_cases().items()}, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
