"""The population floor: from both sides, by sampling, and in the cases that are known."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, special
from support.mixtures import FAMILIES, SHAPES, Mixture, random_covariance, random_mixture

import lossfloor as lf
from lossfloor.adversaries import Box, Hamming
from lossfloor.losses import Brier, Costs, CrossEntropy, Spherical, ZeroOne
from lossfloor.populations.gaussian import Covariance, GaussianFloor, gaussian_floor

Array = npt.NDArray[np.float64]
CASES = [(family, shape) for family in FAMILIES for shape in SHAPES]


def solved(mixture: Mixture) -> GaussianFloor:
    return gaussian_floor(mixture.mean, mixture.covariance, mixture.adversary, mixture.prior)


# By sampling.


def seen_by_sampling(family: str, shape: str, seed: int) -> tuple[Mixture, GaussianFloor]:
    """Draw mixtures until errors are frequent enough to be met in a sample, and better than guessing.

    Nearly all of the loss is that of examples about the boundary.  Where they are rarer than one in all draws,
    the mean of what is drawn says nothing, and its spread is no measure of how far it is off.
    """
    for k in range(20):
        mixture = random_mixture(family, shape, seed + 100 * k)
        floor = solved(mixture)
        if floor.separation > 0.0 and floor.zero_one > 1e-4:
            return mixture, floor
    raise AssertionError("no such mixture")


def sampled_losses(mixture: Mixture, floor: GaussianFloor, n: int, seed: int) -> dict[str, tuple[float, float]]:
    """Mean losses of the optimal classifier, with standard errors: at the worst move of all, and at the shift."""
    rng = np.random.default_rng(seed)
    reach = mixture.support(floor.coef)
    parts = []
    for _ in range(0, n, 10**6):
        X, y, X_adversarial = floor.sample(min(n, 10**6), rng)
        worst = y * (X @ floor.coef + floor.intercept) - reach
        shifted = y * (X_adversarial @ floor.coef + floor.intercept)
        losses = np.array([np.logaddexp(0.0, -worst), np.logaddexp(0.0, -shifted), worst <= 0, shifted <= 0])
        parts.append((losses.mean(axis=1), np.square(losses).mean(axis=1)))
    means, squares = np.mean(parts, axis=0)
    errors = np.sqrt((squares - means**2) / n)
    names = ("worst", "shifted", "worst error", "shifted error")
    return {name: (float(mean), float(error)) for name, mean, error in zip(names, means, errors, strict=True)}


def check_by_sampling(family: str, shape: str, n: int, seed: int) -> dict[str, float]:
    mixture, floor = seen_by_sampling(family, shape, seed)
    losses = sampled_losses(mixture, floor, n, seed)
    expected = {"worst": floor.cross_entropy, "shifted": floor.cross_entropy}
    expected |= {"worst error": floor.zero_one, "shifted error": floor.zero_one}
    off = {name: abs(mean - expected[name]) / error for name, (mean, error) in losses.items()}
    assert max(off.values()) < 4.0, off
    return off


@pytest.mark.parametrize(("family", "shape"), CASES)
def test_monte_carlo(family: str, shape: str) -> None:
    check_by_sampling(family, shape, n=100_000, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "shape"), CASES)
def test_monte_carlo_with_ten_million_draws(family: str, shape: str) -> None:
    off = check_by_sampling(family, shape, n=10**7, seed=2)
    print(f"{family}, {shape}: standard errors off {', '.join(f'{v:.2f}' for v in off.values())}")


# From both sides, with integrals that owe nothing to the project.

NODES, WEIGHTS = special.roots_hermitenorm(180)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def linear_loss(mixture: Mixture, coef: Array, intercept: float) -> float:
    """Robust cross-entropy of a linear classifier: its margin is normal, and the adversary takes h(coef) off."""
    spread = float(np.sqrt(coef @ mixture.matrix @ coef))
    centre, reach = float(coef @ mixture.mean), mixture.support(coef)
    first = np.logaddexp(0.0, -(centre + intercept - reach + spread * NODES)) @ WEIGHTS
    second = np.logaddexp(0.0, -(centre - intercept - reach + spread * NODES)) @ WEIGHTS
    return float(mixture.prior * first + (1.0 - mixture.prior) * second)


def best_linear_loss(mixture: Mixture, starts: int) -> float:
    """Minimise over all linear classifiers of the plane, from random starts."""
    rng = np.random.default_rng(7)

    def value(theta: Array) -> float:
        return linear_loss(mixture, theta[:2], float(theta[2]))

    best = np.inf
    for _ in range(starts):
        found = optimize.minimize(
            value, rng.normal(size=3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-13, "maxiter": 4000}
        )
        best = min(best, float(found.fun))
    return best


def bayes_loss_of_shifted(mixture: Mixture, z: Array) -> float:
    """Bayes cross-entropy after a translation, by the trapezoid rule in the plane: no reduction to a line."""
    half = mixture.mean - z
    axes, variances = np.linalg.eigh(mixture.matrix)[::-1]
    grid = np.linspace(-9.0, 9.0, 451)
    u, v = np.meshgrid(grid, grid)
    centre = np.abs(axes.T @ half)  # a rotated frame in which the noise is independent
    sides = [np.sqrt(variances[i]) + 0.0 for i in range(2)]
    x = [u * (sides[0] + centre[0] / 9), v * (sides[1] + centre[1] / 9)]
    logs = [
        np.log(share) + sum(-((x[i] - sign * centre[i]) ** 2) / (2 * variances[i]) for i in range(2))
        for share, sign in ((mixture.prior, 1), (1 - mixture.prior, -1))
    ]
    total = np.logaddexp(*logs)
    losses = np.exp(logs[0]) * (total - logs[0]) + np.exp(logs[1]) * (total - logs[1])
    return float(losses.sum() / np.exp(total).sum())


TIGHT = [family for family in FAMILIES if family != "frozen and free"]  # whose support function is infinite


@pytest.mark.parametrize("family", TIGHT)
def test_no_linear_classifier_is_better_and_no_shift_proves_more(family: str) -> None:
    mixture = random_mixture(family, "full", seed=3, d=2)
    floor = solved(mixture)
    upper = best_linear_loss(mixture, starts=2)
    lower = bayes_loss_of_shifted(mixture, floor.shift)
    assert upper == pytest.approx(floor.cross_entropy, abs=1e-6)
    assert lower == pytest.approx(floor.cross_entropy, abs=1e-9)
    # The classifier reaches it ...
    assert linear_loss(mixture, floor.coef, floor.intercept) == pytest.approx(floor.cross_entropy, abs=1e-9)
    # ... and other translations within the set prove less.
    rng = np.random.default_rng(4)
    for _ in range(3):
        other = floor.shift * rng.uniform(-1, 1)
        assert bayes_loss_of_shifted(mixture, other) <= floor.cross_entropy + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("family", TIGHT)
@pytest.mark.parametrize("shape", SHAPES)
def test_both_sides_meet_from_many_starts(family: str, shape: str) -> None:
    for seed in range(3):
        mixture = random_mixture(family, shape, seed=10 + seed, d=2)
        floor = solved(mixture)
        upper = best_linear_loss(mixture, starts=6)
        lower = bayes_loss_of_shifted(mixture, floor.shift)
        print(
            f"{family}, {shape}: upper - floor {upper - floor.cross_entropy:.1e}, floor - lower "
            f"{floor.cross_entropy - lower:.1e}"
        )
        assert upper == pytest.approx(floor.cross_entropy, abs=1e-6)
        assert lower == pytest.approx(floor.cross_entropy, abs=1e-9)


@pytest.mark.parametrize(("family", "shape"), CASES)
def test_what_is_proved(family: str, shape: str) -> None:
    mixture = random_mixture(family, shape, seed=5)
    floor = solved(mixture)
    assert 0 <= floor.separation - floor.separation_lower <= 1e-10 * max(1.0, floor.separation)
    half = mixture.mean - floor.shift
    distance = np.sqrt(half @ np.linalg.solve(mixture.matrix, half))
    assert floor.separation == pytest.approx(distance, rel=1e-12, abs=1e-14)
    lower, upper = floor.bounds()
    assert lower == floor.cross_entropy
    assert lower <= upper <= lower + 1e-9


# Known cases.


@pytest.mark.parametrize(("family", "shape"), CASES)
def test_error_of_equal_priors(family: str, shape: str) -> None:
    mixture = dataclasses.replace(random_mixture(family, shape, seed=6), prior=0.5)
    floor = solved(mixture)
    assert floor.zero_one == pytest.approx(special.ndtr(-floor.separation), rel=1e-12)


@pytest.mark.parametrize("make", [lf.L1, lf.L2, lf.Linf, lambda eps: lf.Lp(1.5, eps), lambda eps: Box(0, 0, eps=eps)])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_budget_is_the_bayes_risk(make: Callable[[float], Any], shape: str) -> None:
    mixture = random_mixture("l2", shape, seed=7, d=2)
    floor = gaussian_floor(mixture.mean, mixture.covariance, make(0), mixture.prior)
    assert np.array_equal(floor.shift, [0.0, 0.0])
    assert floor.separation == pytest.approx(
        np.sqrt(mixture.mean @ np.linalg.solve(mixture.matrix, mixture.mean)), rel=1e-14
    )
    assert floor.cross_entropy == pytest.approx(bayes_loss_of_shifted(mixture, np.zeros(2)), abs=1e-10)
    # Linear discriminant analysis, whose Bayes rule is S^-1 (mu - (-mu)).
    assert np.allclose(floor.coef, 2 * np.linalg.solve(mixture.matrix, mixture.mean), rtol=1e-12)


@pytest.mark.parametrize("prior", [0.5, 0.3, 0.1, 1e-6, 1 - 1e-6])
@pytest.mark.parametrize(
    ("mean", "adversary"),
    [
        ([0.0, 0.0], lf.L2(0)),
        ([3.0, 4.0], lf.L2(5)),
        ([0.1, -0.2], lf.Linf(0.2)),
        ([0.25, 0.5], lf.L1(0.75)),
        ([0.1, 0.1], lf.Lp(3, 0.2)),
        ([0.5, -0.25], Box([0.5, 0.25], [0.5, 0.25])),
        ([0.01, 0.02], lf.populations.gaussian.ConvexSet(project=lambda z: np.clip(z, -1, 1))),
        ([0.01, 0.02], lf.populations.gaussian.ConvexSet(support_point=np.sign)),
    ],
)
def test_a_mean_within_reach_is_guessing(mean: list[float], adversary: Any, prior: float) -> None:
    for covariance in (2.0, [1.0, 3.0], [[1.0, 0.5], [0.5, 2.0]]):
        floor = gaussian_floor(mean, covariance, adversary, prior)
        assert floor.separation == 0.0
        assert floor.cross_entropy == float(CrossEntropy().bayes_risk(prior))  # exactly
        assert floor.zero_one == min(prior, 1 - prior)
        assert floor.brier == float(Brier().bayes_risk(prior))
        assert np.array_equal(floor.coef, [0.0, 0.0])
        assert np.allclose(floor.classifier().predict_proba([[9.0, -9.0]])[0, 1], prior, rtol=1e-12)


def test_the_classes_may_be_swapped() -> None:
    mixture = random_mixture("l3", "full", seed=8)
    floor = solved(mixture)
    swapped = gaussian_floor(-mixture.mean, mixture.covariance, mixture.adversary, 1 - mixture.prior)
    assert swapped.cross_entropy == pytest.approx(floor.cross_entropy, rel=1e-12)
    assert np.allclose(swapped.shift, -floor.shift, rtol=1e-12)


def test_two_means_are_a_shifted_origin() -> None:
    mixture = random_mixture("l2", "full", seed=9)
    origin = np.linspace(-3, 5, len(mixture.mean))
    floor = solved(mixture)
    moved = gaussian_floor(
        origin + mixture.mean,
        mixture.covariance,
        mixture.adversary,
        mixture.prior,
        second_mean=origin - mixture.mean,
    )
    assert moved.separation == pytest.approx(floor.separation, rel=1e-12)
    X = np.random.default_rng(0).normal(size=(20, len(origin)))
    scores = moved.classifier().decision_function(X + origin)
    assert np.allclose(scores, floor.classifier().decision_function(X), atol=1e-10)


def test_losses_are_those_of_the_line() -> None:
    # After the shift the problem is N(+1, 1) against N(-1, 1): Bayes risks by the trapezoid rule.
    floor = gaussian_floor([2.0], 1.0, lf.L2(1), prior=0.3)
    u = np.linspace(-12, 12, 20001)
    a, b = 0.3 * np.exp(-((u - 1) ** 2) / 2), 0.7 * np.exp(-((u + 1) ** 2) / 2)
    for loss in (CrossEntropy(), Brier(), Spherical(), Costs("brier", 3, 1), Costs("zero-one", 2, 5)):
        risk = loss.bayes_risk(a / (a + b)) * (a + b)
        expected = risk.sum() * (u[1] - u[0]) / np.sqrt(2 * np.pi)
        # A loss with a corner costs the trapezoid rule digits.
        assert floor.loss(loss) == pytest.approx(expected, rel=1e-6 if "zero" in loss.name else 1e-12), loss
    assert floor.loss(lambda q: (1 - q) ** 2) == pytest.approx(floor.brier, abs=1e-11)
    assert floor.loss("zero-one") == floor.loss(ZeroOne) == floor.zero_one
    assert floor.loss(lambda q: 1 - q) == pytest.approx(floor.zero_one, abs=1e-11)


@pytest.mark.parametrize("family", [lf.L1, lf.L2, lf.Linf])
def test_more_budget_more_loss(family: Any) -> None:
    mixture = random_mixture("l2", "full", seed=11, d=4)
    losses = [
        gaussian_floor(mixture.mean, mixture.covariance, family(eps), 0.4).cross_entropy for eps in np.linspace(0, 2, 9)
    ]
    assert losses == sorted(losses)


# Covariances.


def test_the_same_covariance_in_every_form() -> None:
    rng = np.random.default_rng(0)
    variances = rng.uniform(0.5, 2, size=3)
    mean = rng.normal(size=3)
    forms = [variances, np.diag(variances), Covariance.from_factor(np.diag(np.sqrt(variances)))]
    values = [gaussian_floor(mean, form, lf.Lp(1.5, 0.3)).separation for form in forms]
    assert np.allclose(values, values[0], rtol=1e-12)
    same = [gaussian_floor(mean, form, lf.L1(0.3)).separation for form in (2.0, [2.0] * 3, 2 * np.eye(3))]
    assert np.allclose(same, same[0], rtol=1e-13)


def test_a_factor_of_any_shape() -> None:
    factor = np.random.default_rng(1).normal(size=(3, 7))
    covariance = Covariance.from_factor(factor)
    assert np.allclose(covariance.matrix, factor @ factor.T, rtol=1e-12)
    by_matrix = gaussian_floor([1.0, 2.0, 3.0], factor @ factor.T, lf.L2(0.5))
    assert gaussian_floor([1.0, 2.0, 3.0], covariance, lf.L2(0.5)).separation == pytest.approx(
        by_matrix.separation, rel=1e-12
    )


ONES = np.ones((2, 2))


@pytest.mark.parametrize(
    ("covariance", "error", "message"),
    [
        (ONES, ValueError, "singular matrix: its eigenvalues are .* drop the features"),
        ([[1.0, 2.0], [2.0, 1.0]], ValueError, "indefinite matrix: its eigenvalues are -1 to 3"),
        ([[1.0, 0.0], [0.0, 0.0]], ValueError, "positive variances, got 0.0 for feature 1"),
        ([1.0, -1.0], ValueError, "positive variances, got -1.0"),
        (0.0, ValueError, "positive variances, got 0.0"),
        ([[1.0, 0.5], [0.4, 1.0]], ValueError, "must be symmetric, got entries that differ by 0.1"),
        ([1.0, 2.0, 3.0], ValueError, r"shape \(2,\) or \(2, 2\), got 'shape \(3,\)'"),
        ([1.0, np.nan], ValueError, "free of NaN and infinity"),
        ([[1.0], [1.0, 2.0]], ValueError, "rows of equal length"),
        ("wide", TypeError, "made of real numbers"),
        (Covariance.read(1.0, 3), ValueError, "of 2 features, got 3"),
    ],
)
def test_covariances_that_are_none(covariance: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gaussian_floor([1.0, 2.0], covariance, lf.L2(1))


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        ([[1.0], [1.0]], "of full rank 2, got a matrix whose singular values are 0 to"),
        (ONES, "of full rank 2"),
        ([1.0, 2.0], r"of shape \(d, k\)"),
        ([[np.inf]], "free of NaN and infinity"),
    ],
)
def test_factors_that_are_none(factor: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Covariance.from_factor(factor)


# Other arguments.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"mean": [[1.0, 2.0]]}, ValueError, "'mean' must be an array of shape"),
        ({"mean": []}, ValueError, "'mean' must be an array of shape"),
        ({"mean": [np.inf, 0.0]}, ValueError, "'mean' must be free of NaN"),
        ({"second_mean": [1.0]}, ValueError, "'second_mean' must be of shape"),
        ({"mean": [1e200, 0.0]}, ValueError, r"to 1e\+100 standard deviations of the noise, got 1e\+200"),
        ({"mean": [1e308, 0.0], "covariance": 1e-320}, ValueError, "standard deviations of the noise, got inf"),
        ({"covariance": 1e-300}, ValueError, "standard deviations of the noise, got 2.236067"),
        ({"mean": [1e-160, 0.0]}, ValueError, "standard deviations of the noise, got 1e-160"),
        ({"prior": 0}, ValueError, "'prior' must be between 0 and 1"),
        ({"prior": 1.0}, ValueError, "'prior' must be between 0 and 1"),
        ({"prior": float("nan")}, ValueError, "'prior' must be finite"),
        ({"prior": None}, TypeError, "'prior' must be a number"),
        ({"adversary": 0.5}, TypeError, "'adversary' must be one that may add the same convex set"),
        ({"adversary": Hamming(1)}, TypeError, "'adversary' must be one that may add the same convex set"),
        ({"adversary": lf.L2([0.1, 0.2])}, ValueError, "'eps' must be one number or 3 of them"),
        ({"adversary": Box(0, 1)}, ValueError, "symmetric: as far down as up"),
        ({"adversary": Box([1, 2, 3], [1, 2, 3])}, ValueError, "'lower'"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    valid: dict[str, Any] = {"mean": [1.0, 2.0], "covariance": 1.0, "adversary": lf.L2(1)}
    with pytest.raises(error, match=message):
        gaussian_floor(**(valid | arguments))


# The result.


def test_result_is_a_frozen_value_with_a_short_name() -> None:
    floor = gaussian_floor([1.0, 2.0], 1.0, lf.Linf(1))
    assert repr(floor) == "GaussianFloor(cross_entropy=0.356316 nats, zero_one=0.158655; separation 1, 2 features)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        floor.prior = 0.1  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        floor.shift[0] = 7.0
    assert pickle.loads(pickle.dumps(floor)).cross_entropy == floor.cross_entropy  # noqa: S301
    summary = json.loads(json.dumps(floor.summary()))
    assert summary["cross_entropy"] == floor.cross_entropy
    assert summary["shift"] == [1.0, 1.0]


def test_arguments_are_not_changed_or_kept() -> None:
    mean = np.array([1.0, 2.0])
    floor = gaussian_floor(mean, np.eye(2), lf.L2(0.5))
    before = floor.coef.copy()
    mean[0] = 9.0
    assert floor.mean[0] == 1.0
    assert np.array_equal(floor.coef, before)


def test_classifier_is_one_of_scikit_learn() -> None:
    from sklearn.base import clone, is_classifier
    from sklearn.metrics import log_loss
    from sklearn.utils.validation import check_is_fitted

    floor = gaussian_floor([1.0, 0.5], [[1.0, 0.3], [0.3, 2.0]], lf.L2(0.4), prior=0.7)
    model = floor.classifier()
    check_is_fitted(model)
    assert is_classifier(model)
    clone(model)
    X, y, X_adversarial = floor.sample(200_000, random_state=3)
    assert log_loss(y, model.predict_proba(X_adversarial)) == pytest.approx(floor.cross_entropy, abs=0.005)
    assert np.mean(model.predict(X_adversarial) != y) == pytest.approx(floor.zero_one, abs=0.005)
    odds = X @ floor.coef + floor.intercept
    assert np.allclose(model.predict_proba(X)[:, 1], special.expit(odds), atol=1e-12)
    assert np.array_equal(model.classes_, [-1, 1])


def test_samples_are_of_the_population() -> None:
    covariance = random_covariance(np.random.default_rng(5), 3, "full")
    floor = gaussian_floor([1.0, 2.0, 3.0], covariance, lf.L1(0.5), 0.2, second_mean=[0.0, 0.0, 1.0])
    X, y, X_adversarial = floor.sample(200_000, random_state=0)
    assert X.shape == X_adversarial.shape == (200_000, 3)
    assert np.mean(y == 1) == pytest.approx(0.2, abs=0.01)
    assert np.allclose(X[y == 1].mean(axis=0), [1, 2, 3], atol=0.05)
    assert np.allclose(X[y == -1].mean(axis=0), [0, 0, 1], atol=0.05)
    assert np.allclose(np.cov(X[y == -1].T), covariance, atol=0.05)
    moves = X_adversarial - X
    assert np.allclose(moves[y == 1], -floor.shift)
    assert np.allclose(moves[y == -1], floor.shift)
    assert lf.L1("0.5001").contains(X[:100], X_adversarial[:100]).all()


def test_samples_repeat_with_the_seed() -> None:
    floor = gaussian_floor([1.0], 1.0, lf.L2(0.5))
    first, again = floor.sample(10, random_state=4), floor.sample(10, random_state=4)
    assert np.array_equal(first.X, again.X)
    rng = np.random.default_rng(4)
    assert np.array_equal(floor.sample(10, rng).X, first.X)
    assert not np.array_equal(floor.sample(10, rng).X, first.X)
    for n, error in ((0, ValueError), (2.5, TypeError)):
        with pytest.raises(error, match="'n' must be"):
            floor.sample(n)  # type: ignore[arg-type]
