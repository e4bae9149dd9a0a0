"""The smallest robust loss that any classifier can have on your data, with a proof.

>>> import lossfloor as lf
>>> lf.floor([[0.0], [1.0]], ["cat", "dog"], lf.L2(0.5)).cross_entropy
0.6931471805599453
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossfloor import losses
    from lossfloor.adversaries import (
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
    )
    from lossfloor.attacks import Attack, PerturbedData
    from lossfloor.audits import Audit, audit
    from lossfloor.classifiers import FloorClassifier, MulticlassFloorClassifier
    from lossfloor.datasets import Dataset, load
    from lossfloor.exceptions import CertificateError, DatasetNotFoundError, LossfloorError, WeakAttackWarning
    from lossfloor.floors import Curve, Floor, MulticlassFloor, PairwiseFloors, curve, floor, pairwise_floors
    from lossfloor.graphs import ConflictGraph
    from lossfloor.populations.gaussian import GaussianFloor, gaussian_floor

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L2",
    "Adversary",
    "Attack",
    "Audit",
    "Box",
    "CertificateError",
    "Clipped",
    "ConflictGraph",
    "Curve",
    "CustomAdversary",
    "Dataset",
    "DatasetNotFoundError",
    "EditDistance",
    "Ellipsoid",
    "FiniteSets",
    "Floor",
    "FloorClassifier",
    "GaussianFloor",
    "Geometric",
    "Hamming",
    "Intersection",
    "Linf",
    "LossfloorError",
    "Lp",
    "MulticlassFloor",
    "MulticlassFloorClassifier",
    "PairwiseFloors",
    "PerturbedData",
    "Precomputed",
    "SparseLinf",
    "Substitution",
    "Union",
    "WeakAttackWarning",
    "WeightedLp",
    "audit",
    "curve",
    "floor",
    "gaussian_floor",
    "load",
    "losses",
    "pairwise_floors",
]

# The modules that the public names come from.  A module is imported when one of its names is first used, so that
# `import lossfloor` is quick and nobody pays for what they do not use.
_HOMES = {
    "attacks": ["Attack", "PerturbedData"],
    "audits": ["Audit", "audit"],
    "classifiers": ["FloorClassifier", "MulticlassFloorClassifier"],
    "datasets": ["Dataset", "load"],
    "exceptions": ["CertificateError", "DatasetNotFoundError", "LossfloorError", "WeakAttackWarning"],
    "floors": ["Curve", "Floor", "MulticlassFloor", "PairwiseFloors", "curve", "floor", "pairwise_floors"],
    "graphs": ["ConflictGraph"],
    "populations.gaussian": ["GaussianFloor", "gaussian_floor"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "losses":
        return importlib.import_module("lossfloor.losses")
    if name in __all__:  # whatever has no other home is an adversary
        return getattr(importlib.import_module(f"lossfloor.{_HOME_OF.get(name, 'adversaries')}"), name)
    raise AttributeError(f"module 'lossfloor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
