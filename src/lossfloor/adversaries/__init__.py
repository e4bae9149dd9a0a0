"""Adversaries: who may be moved where, and which examples conflict."""

from __future__ import annotations

from lossfloor.adversaries.base import Adversary
from lossfloor.adversaries.box import Box
from lossfloor.adversaries.combined.clipped import Clipped
from lossfloor.adversaries.combined.intersection import Intersection
from lossfloor.adversaries.combined.union import Union
from lossfloor.adversaries.custom import CustomAdversary
from lossfloor.adversaries.edit_distance import EditDistance
from lossfloor.adversaries.ellipsoid import Ellipsoid
from lossfloor.adversaries.finite_sets import FiniteSets
from lossfloor.adversaries.geometric import Geometric
from lossfloor.adversaries.hamming import Hamming
from lossfloor.adversaries.norms import L1, L2, Linf, Lp, NormBall
from lossfloor.adversaries.precomputed import Precomputed
from lossfloor.adversaries.registry import FAMILIES, from_config
from lossfloor.adversaries.sparse_linf import SparseLinf
from lossfloor.adversaries.substitution import Substitution
from lossfloor.adversaries.weighted import WeightedLp
from lossfloor.graphs import BitRows, ConflictRows, ListRows

__all__ = [
    "FAMILIES",
    "L1",
    "L2",
    "Adversary",
    "BitRows",
    "Box",
    "Clipped",
    "ConflictRows",
    "CustomAdversary",
    "EditDistance",
    "Ellipsoid",
    "FiniteSets",
    "Geometric",
    "Hamming",
    "Intersection",
    "Linf",
    "ListRows",
    "Lp",
    "NormBall",
    "Precomputed",
    "SparseLinf",
    "Substitution",
    "Union",
    "WeightedLp",
    "from_config",
]
