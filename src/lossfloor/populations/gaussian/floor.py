"""The floor of a population of two normal distributions, against an adversary who may add any z of a set K."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lossfloor import losses
from lossfloor._checks import as_fraction, must
from lossfloor.populations.gaussian.covariance import Covariance, FloatArray, real_array
from lossfloor.populations.gaussian.mixture import log_odds, smallest_loss
from lossfloor.populations.gaussian.nearest import nearest_shift
from lossfloor.populations.gaussian.sets import SymmetricSet, norm, symmetric_set

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


class GaussianSample(NamedTuple):
    """Examples drawn from a population.

    Attributes
    ----------
    X : ndarray of float64, shape (n, d)
        Examples as nature draws them.
    y : ndarray of int8, shape (n,)
        1 for the first class, -1 for the second.
    X_adversarial : ndarray of float64, shape (n, d)
        The same examples after the worst move: the first class shifted by ``-shift``, the second by
        ``+shift``.
    """

    X: FloatArray
    y: npt.NDArray[np.int8]
    X_adversarial: FloatArray


@dataclass(frozen=True, eq=False, repr=False)
class GaussianFloor:
    """The smallest robust loss of any classifier on a Gaussian mixture; `gaussian_floor` makes one.

    Attributes
    ----------
    mean, second_mean : ndarray of float64, shape (d,)
        Means of the classes 1 and -1.
    covariance : Covariance
        Of both classes.
    prior : float
        Probability of the class 1.
    adversary : object
        As given.
    shift : ndarray of float64, shape (d,)
        z*: the worst move takes every example of the class 1 by ``-shift`` and of the class -1 by ``+shift``.
    separation : float
        delta, half the distance of the means after that move, in standard deviations of the noise between them.
    separation_lower : float
        A proved lower bound of delta.  That of `separation` from above is proved by `shift`.
    route : str
        How the shift was found.

    Examples
    --------
    >>> import lossfloor as lf
    >>> result = gaussian_floor([1.0, 2.0], 1.0, lf.Linf(1))
    >>> result
    GaussianFloor(cross_entropy=0.356316 nats, zero_one=0.158655; separation 1, 2 features)
    >>> result.shift, result.coef, result.intercept
    (array([1., 1.]), array([0., 2.]), 0.0)
    """

    mean: FloatArray
    second_mean: FloatArray
    covariance: Covariance
    prior: float
    adversary: Any
    shift: FloatArray
    separation: float
    separation_lower: float
    route: str

    # The losses.

    @functools.cached_property
    def cross_entropy(self) -> float:
        """Smallest robust cross-entropy in nats."""
        return self.loss(losses.CrossEntropy())

    @functools.cached_property
    def zero_one(self) -> float:
        """Smallest robust 0-1 loss (error); with equal priors ``Phi(-separation)``."""
        return self.loss(losses.ZeroOne())

    @functools.cached_property
    def brier(self) -> float:
        """Smallest robust Brier loss ``(1 - q)**2``."""
        return self.loss(losses.Brier())

    def loss(self, loss: Any) -> float:
        """Return the floor of any loss.

        Parameters
        ----------
        loss : Loss, str or callable
            A loss of `lossfloor.losses`, its name, or any convex decreasing function of the probability that
            a classifier keeps on the true class.  In `lossfloor.losses.Costs` the first class is 1.

        Returns
        -------
        float
            Right to 1e-10 of itself, given `separation`; for a callable, to 1e-10 of its value at chance if
            that is larger.

        Raises
        ------
        TypeError, ValueError
            If the loss is not known, increases or is not convex.

        Examples
        --------
        >>> import lossfloor as lf
        >>> result = gaussian_floor([2.0], 1.0, lf.L2(1))
        >>> round(result.loss("spherical"), 10)
        0.1250885211
        >>> round(result.loss(lambda q: 1 / q), 10)  # 1 + exp(-1 / 2)
        1.6065306597
        """
        return smallest_loss(losses.resolve(loss), self.separation, self.prior)

    def bounds(self, loss: Any = "cross-entropy") -> tuple[float, float]:
        """Return proved bounds: no classifier has less than the first, a linear classifier reaches the second.

        The first is `loss`, and belongs to `shift`; the second belongs to `separation_lower`.

        Parameters
        ----------
        loss : Loss, str or callable
            As for `loss`.

        Returns
        -------
        tuple of float
        """
        chosen = losses.resolve(loss)
        lower = self.loss(chosen)
        return lower, max(lower, smallest_loss(chosen, self.separation_lower, self.prior))

    # The classifier that reaches it.

    @functools.cached_property
    def coef(self) -> FloatArray:
        """``2 S^-1 (mu - z*)``, shape (d,): the optimal log-odds of the class 1 are ``coef'x + intercept``."""
        half = (self.mean - self.second_mean) / 2
        coef = 2.0 * self.covariance.pull_back(self.covariance.whiten(half - self.shift))
        coef.setflags(write=False)
        return coef

    @functools.cached_property
    def intercept(self) -> float:
        """Log-odds of the prior, less ``w'c`` where c is the point midway between the means."""
        return log_odds(self.prior) - float(self.coef @ (self.mean + self.second_mean)) / 2

    def classifier(self) -> LogisticRegression:
        """Return the optimal classifier as one of scikit-learn's.

        It is best for every proper loss at once, against the adversary and after the worst move alike.

        Returns
        -------
        LogisticRegression
            As if fitted: ``predict``, ``predict_proba`` and ``decision_function`` work; the classes are -1
            and 1.

        Examples
        --------
        >>> import lossfloor as lf
        >>> model = gaussian_floor([1.0, 2.0], 1.0, lf.Linf(1)).classifier()
        >>> model.predict([[-5.0, 1.0], [5.0, -1.0]])
        array([ 1, -1])
        """
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression()
        model.classes_ = np.array([-1, 1])
        model.coef_ = self.coef[None].copy()
        model.intercept_ = np.array([self.intercept])
        model.n_features_in_ = len(self.coef)
        model.n_iter_ = np.array([0], dtype=np.int32)
        return model

    # Data.

    def sample(self, n: int, random_state: Any = None) -> GaussianSample:
        """Draw examples from the population, with their worst moves.

        Parameters
        ----------
        n : int
            How many; the class of each is drawn too.
        random_state : None, int or numpy.random.Generator
            Seed, or the generator to use.

        Returns
        -------
        GaussianSample
            ``X, y, X_adversarial``.

        Raises
        ------
        TypeError, ValueError
            If `n` is no positive integer, or the seed not what it must be.

        Examples
        --------
        >>> import lossfloor as lf
        >>> X, y, X_adversarial = gaussian_floor([1.0, 2.0], 1.0, lf.Linf(1)).sample(5, random_state=0)
        >>> (X_adversarial - X)[y == 1][0]
        array([-1., -1.])
        """
        try:
            count = operator.index(n)
        except TypeError:
            raise TypeError(must("n", "an integer", n)) from None
        if count < 1:
            raise ValueError(must("n", "at least 1", n))
        rng = np.random.default_rng(random_state)
        y = np.where(rng.random(count) < self.prior, 1, -1).astype(np.int8)
        noise = self.covariance.color(rng.standard_normal((count, len(self.mean))))
        X = np.where(y[:, None] > 0, self.mean, self.second_mean) + noise
        return GaussianSample(X, y, X - y[:, None] * self.shift)

    def summary(self) -> dict[str, Any]:
        """Return the main results in a form JSON can represent (the keys of ``lossfloor gaussian --json``)."""
        return {
            "cross_entropy": self.cross_entropy,
            "zero_one": self.zero_one,
            "brier": self.brier,
            "separation": self.separation,
            "separation_lower": self.separation_lower,
            "prior": self.prior,
            "n_features": len(self.mean),
            "shift": self.shift.tolist(),
            "coef": self.coef.tolist(),
            "intercept": self.intercept,
            "adversary": repr(self.adversary) if isinstance(self.adversary, SymmetricSet) else self.adversary.config(),
            "route": self.route,
        }

    def __repr__(self) -> str:
        features = f"{len(self.mean)} feature{'s' * (len(self.mean) != 1)}"
        return (
            f"GaussianFloor(cross_entropy={self.cross_entropy:.6g} nats, zero_one={self.zero_one:.6g}; "
            f"separation {self.separation:.6g}, {features})"
        )


def gaussian_floor(
    mean: Any, covariance: Any, adversary: Any, prior: Any = 0.5, *, second_mean: Any = None
) -> GaussianFloor:
    r"""Compute the smallest robust loss of any classifier on a mixture of two normal distributions.

    .. math:: \min_h \; p \, E_{x \sim N(\mu_1, S)} \sup_{z \in K} \ell(h(x + z)_1)
              + (1 - p) \, E_{x \sim N(\mu_2, S)} \sup_{z \in K} \ell(h(x + z)_{-1})

    over all functions h whatever.

    Parameters
    ----------
    mean : array_like, shape (d,)
        Mean of the first class, whose label is 1.
    covariance : float, array_like of shape (d,) or (d, d), or Covariance
        S, of both classes: a number times the identity, a diagonal, a matrix, or
        ``lossfloor.populations.gaussian.Covariance.from_factor(F)`` for ``S = F F'``.  Positive definite.
    adversary : Adversary or SymmetricSet
        Adds any z of a closed convex symmetric set K to an example: `L1`, `L2`, `Linf`, `Lp`,
        `WeightedLp`, `Ellipsoid` or a `Box` that is symmetric, with one eps, in units of the data as its
        `unit` says; an `Intersection` of these; or a `lossfloor.populations.gaussian.ConvexSet`.
    prior : float, default 0.5
        Probability of the first class, in (0, 1).
    second_mean : array_like, shape (d,), optional
        Mean of the second class, whose label is -1; ``-mean`` by default.

    Returns
    -------
    GaussianFloor

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be: the covariance singular or indefinite, the adversary without a
        symmetric convex set, one eps for each example, shapes that do not fit, means 1e100 standard deviations
        apart.
    ConvergenceError
        If the separation could not be proved to 1e-10.

    Notes
    -----
    Let mu be half of the difference of the means, z* the point of K next to mu in the norm of ``S^-1``, and
    delta their distance.  Moving the classes towards each other by z* leaves two normal distributions 2 delta
    apart, on which no classifier is better than the Bayes classifier; and the linear classifier with log-odds
    ``2 (mu - z*)' S^-1 x + log(p / (1 - p))``, origin midway between the means, loses no more than that whatever
    the adversary does.  So both sides meet, for every loss and prior at once.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time
    Adversaries", ICML 2021, Lemma 3 and Theorem 2, with the sign of the log-odds corrected and the prior put
    in.

    Examples
    --------
    >>> import lossfloor as lf
    >>> gaussian_floor([3.0, 0.0], [1.0, 4.0], lf.L2(1)).separation
    2.0
    >>> gaussian_floor([3.0], 1.0, lf.L2(3), prior=0.25).cross_entropy  # the adversary makes both classes one
    0.5623351446188083
    """
    first = _mean("mean", mean)
    second = -first if second_mean is None else _mean("second_mean", second_mean)
    if second.shape != first.shape:
        raise ValueError(must("second_mean", f"of shape {first.shape}, like the mean", f"shape {second.shape}"))
    shared = Covariance.read(covariance, len(first))
    share = float(as_fraction("prior", prior))
    if not 0.0 < share < 1.0:
        raise ValueError(must("prior", "between 0 and 1, both excluded", prior))
    moves = symmetric_set(adversary, len(first))
    half = first / 2 - second / 2
    _check_range(half, shared)
    found = nearest_shift(half, shared, moves)
    for array in (first, second, found.shift):
        array.setflags(write=False)
    return GaussianFloor(
        mean=first,
        second_mean=second,
        covariance=shared,
        prior=share,
        adversary=adversary,
        shift=found.shift,
        separation=found.upper,
        separation_lower=found.lower,
        route=found.route,
    )


def _check_range(half: FloatArray, covariance: Covariance) -> None:
    """Refuse means at a distance whose square is no double."""
    with np.errstate(over="ignore", under="ignore"):
        whitened = covariance.whiten(half)
    distance = norm(whitened, 2.0) if np.isfinite(whitened).all() else np.inf
    if distance != 0.0 and not 1e-100 <= distance <= 1e100:
        what = "such that half the distance of the means is 0 or from 1e-100 to 1e+100 standard deviations of the noise"
        raise ValueError(must("mean", what, distance))


def _mean(name: str, values: Any) -> FloatArray:
    mean = np.atleast_1d(real_array(name, values)).copy()
    if mean.ndim != 1 or mean.size == 0:
        raise ValueError(must(name, "an array of shape (d,)", f"shape {mean.shape}"))
    return mean
