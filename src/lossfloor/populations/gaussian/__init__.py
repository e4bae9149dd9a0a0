"""The floor of a population that is a mixture of two normal distributions."""

from __future__ import annotations

from lossfloor.populations.gaussian.covariance import Covariance
from lossfloor.populations.gaussian.floor import GaussianFloor, GaussianSample, gaussian_floor
from lossfloor.populations.gaussian.mixture import IntegrationError
from lossfloor.populations.gaussian.nearest import ConvergenceError
from lossfloor.populations.gaussian.sets import ConvexSet, SymmetricSet, symmetric_set

__all__ = [
    "ConvergenceError",
    "ConvexSet",
    "Covariance",
    "GaussianFloor",
    "GaussianSample",
    "IntegrationError",
    "SymmetricSet",
    "gaussian_floor",
    "symmetric_set",
]
