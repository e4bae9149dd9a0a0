"""The families of adversaries by name, and adversaries made from configurations."""

from __future__ import annotations

from typing import Any

from lossfloor._checks import must, unknown
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
from lossfloor.adversaries.norms import L1, L2, Linf, Lp
from lossfloor.adversaries.precomputed import Precomputed
from lossfloor.adversaries.sparse_linf import SparseLinf
from lossfloor.adversaries.substitution import Substitution
from lossfloor.adversaries.weighted import WeightedLp

__all__ = [
    "FAMILIES",
    "L1",
    "L2",
    "Box",
    "Clipped",
    "CustomAdversary",
    "EditDistance",
    "Ellipsoid",
    "FiniteSets",
    "Geometric",
    "Hamming",
    "Intersection",
    "Linf",
    "Lp",
    "Precomputed",
    "SparseLinf",
    "Substitution",
    "Union",
    "WeightedLp",
    "from_config",
]

#: How deeply unions, intersections and the like may be nested in a configuration.
_MOST_LAYERS = 16

#: The families that a configuration can name.
FAMILIES: dict[str, type[Adversary]] = {
    family.name: family
    for family in (
        L1,
        L2,
        Linf,
        Lp,
        WeightedLp,
        Ellipsoid,
        Box,
        Hamming,
        SparseLinf,
        EditDistance,
        Substitution,
        FiniteSets,
        Geometric,
        Union,
        Intersection,
        Clipped,
        CustomAdversary,
        Precomputed,
    )
}


def from_config(config: Any) -> Adversary:
    """Make the adversary that `Adversary.config` described.

    Parameters
    ----------
    config : dict
        With the key "name" and the arguments of the family.

    Returns
    -------
    Adversary

    Raises
    ------
    TypeError, ValueError
        If the name is unknown, an argument is missing, superfluous or invalid, or the adversary cannot be made from a
        configuration alone (`Precomputed`, `CustomAdversary`, `FiniteSets` with a function).

    Examples
    --------
    >>> from_config({"name": "l2", "eps": "23/5", "unit": "255"})
    L2(eps=4.6, unit=255)
    >>> from_config({"name": "union", "members": [{"name": "l2", "eps": 1}, {"name": "linf", "eps": "1/2"}]})
    Union(L2(eps=1, unit=1), Linf(eps=0.5, unit=1))
    """
    return _made(config, _MOST_LAYERS)


def _made(config: Any, layers: int) -> Adversary:
    """Make an adversary, its parts first, which may be nested in so many layers."""
    if not isinstance(config, dict) or not isinstance(config.get("name"), str):
        raise ValueError(must("config", "a mapping with a name", config))
    if layers == 0:
        raise ValueError(must("config", f"adversaries nested at most {_MOST_LAYERS} deep", "deeper nesting"))
    arguments = dict(config)
    name = arguments.pop("name")
    if name not in FAMILIES:
        raise ValueError(unknown("adversary", name, FAMILIES))
    family = FAMILIES[name]
    for key in family.part_keys:
        inside = arguments.get(key)
        if isinstance(inside, list):
            arguments[key] = [_made(part, layers - 1) for part in inside]
        elif inside:
            arguments[key] = _made(inside, layers - 1)
    return family.from_config(arguments)
