"""What the floors of samples say of the floor of the population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import lossfloor as lf
from lossfloor.populations.gaussian import GaussianFloor, gaussian_floor

Array = npt.NDArray[np.float64]


def population(adversary: Any) -> GaussianFloor:
    return gaussian_floor([0.9, 0.4], [0.6, 0.3], adversary, prior=0.4)


def sample_floors(whole: GaussianFloor, sizes: Sequence[int], seeds: int, loss: str) -> Array:
    """Floors of samples, shape (sizes, seeds)."""
    rows = []
    for n in sizes:
        samples = [whole.sample(n, random_state=np.random.default_rng([n, seed])) for seed in range(seeds)]
        rows.append([lf.floor(X, y, whole.adversary).loss(loss) for X, y, _ in samples])
    return np.array(rows)


def check_tends(floors: Array, limit: float) -> None:
    means = floors.mean(axis=1)
    errors = floors.std(axis=1, ddof=1) / np.sqrt(floors.shape[1])
    # In the mean a sample's floor is not above the population's, and grows with the sample ...
    assert np.all(means <= limit + 3 * errors)
    assert np.all(np.diff(means) > -2 * np.hypot(errors[1:], errors[:-1]))
    # ... towards the population's floor.
    gaps = limit - means
    assert gaps[-1] < gaps[0] / 2


@pytest.mark.parametrize("loss", ["cross-entropy", "zero-one", "brier"])
@pytest.mark.parametrize("adversary", [lf.L2("0.3"), lf.Linf("0.25"), lf.L1("0.3")])
def test_sample_floors_grow_towards_the_population_floor(adversary: Any, loss: str) -> None:
    whole = population(adversary)
    floors = sample_floors(whole, [100, 500, 2000], seeds=12, loss=loss)
    check_tends(floors, whole.loss(loss))


@pytest.mark.slow
@pytest.mark.parametrize("adversary", [lf.L2("0.3"), lf.Linf("0.25")])
def test_up_to_twenty_thousand_examples(adversary: Any) -> None:
    whole = population(adversary)
    sizes = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]
    floors = sample_floors(whole, sizes, seeds=12, loss="cross-entropy")
    print(f"{adversary}: population floor {whole.cross_entropy:.5f}")
    for n, row in zip(sizes, floors, strict=True):
        half = 2.201 * row.std(ddof=1) / np.sqrt(len(row))  # Student, 11 degrees of freedom
        print(f"n = {n:6d}: {row.mean():.5f} +- {half:.5f} (95 %), gap {whole.cross_entropy - row.mean():.5f}")
    check_tends(floors, whole.cross_entropy)
    assert np.all(np.diff(floors.mean(axis=1)) > 0)
    assert whole.cross_entropy - floors[-1].mean() < 0.05 * whole.cross_entropy


def test_a_lower_bound_of_the_population_from_one_sample() -> None:
    # Changing one example changes a sample's 0-1 floor by 1/n at most, so that McDiarmid's inequality applies.
    whole = population(lf.L2("0.3"))
    n, level = 500, 0.1
    floors = sample_floors(whole, [n], seeds=40, loss="zero-one")[0]
    bounds = floors - np.sqrt(np.log(1 / level) / (2 * n))
    assert np.mean(bounds <= whole.zero_one) >= 1 - level


def test_in_high_dimension_a_small_sample_says_nothing() -> None:
    rng = np.random.default_rng(0)
    variances = rng.random(100)
    whole = gaussian_floor(2 * variances / 10, variances, lf.L2(1))
    X, y, _ = whole.sample(1000, random_state=1)
    assert whole.cross_entropy > 0.6
    assert lf.floor(X, y, lf.L2(1)).cross_entropy == 0.0
