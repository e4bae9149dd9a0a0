"""Adversaries: who may be moved where, and which examples conflict."""

from __future__ import annotations

from typing import Any

from lossfloor._validation import must, unknown
from lossfloor.adversaries.base import Adversary, BitRows, ConflictRows, ListRows
from lossfloor.adversaries.norms import L1, L2, Linf, Lp, NormBall
from lossfloor.adversaries.precomputed import Precomputed

__all__ = ["L1", "L2", "Adversary", "BitRows", "ConflictRows", "Linf", "ListRows", "Lp", "NormBall", "Precomputed", "from_config"]

#: The families that a configuration can name.
FAMILIES: dict[str, type[Adversary]] = {family.name: family for family in (L1, L2, Linf, Lp)}


def from_config(config: dict[str, Any]) -> Adversary:
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
    ValueError
        If the name is not known, or the adversary cannot be made from a configuration alone (`Precomputed`).

    Examples
    --------
    >>> from_config({"name": "l2", "eps": "23/5", "unit": "255"})
    L2(eps=4.6, unit=255)
    """
    if not isinstance(config, dict) or not isinstance(config.get("name"), str):
        raise ValueError(must("config", "a mapping with a name", config))
    arguments = dict(config)
    name = arguments.pop("name")
    if name == Precomputed.name:
        raise ValueError("a Precomputed adversary cannot be made again from its name: give its matrix")
    if name not in FAMILIES:
        raise ValueError(unknown("adversary", name, FAMILIES))
    if arguments.get("p") == "inf":
        arguments["p"] = float("inf")
    return FAMILIES[name](**arguments)
