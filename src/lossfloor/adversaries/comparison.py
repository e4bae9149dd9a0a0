"""Whether one adversary is known to be able to do all that another one can."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lossfloor.adversaries import FAMILIES, Adversary, Clipped, CustomAdversary, FiniteSets, Intersection, Union

#: What budgets are called in configurations.
_BUDGETS = ("eps", "k", "shifts")


def can_do_no_less(one: Adversary, other: Adversary) -> bool:
    """Tell whether it is known that the second adversary can do all that the first one can.

    It is if both are of one family of the library and differ in their budgets only, none of which is smaller for the
    second, and if so it is of every adversary that they are made of.
    """
    if type(one) is not type(other) or FAMILIES.get(one.name) is not type(one) or isinstance(one, CustomAdversary):
        return False
    if isinstance(one, FiniteSets) and isinstance(other, FiniteSets) and one.outcomes is not other.outcomes:
        return False
    inside = [_inside(one), _inside(other)]
    if len(inside[0]) != len(inside[1]) or not all(map(can_do_no_less, *inside)):
        return False
    first, second = one.config(), other.config()
    if first.keys() != second.keys():
        return False
    return all(
        key in ("members", "adversary") or value == second[key] or (key in _BUDGETS and _at_most(value, second[key]))
        for key, value in first.items()
    )


def _inside(adversary: Adversary) -> tuple[Adversary, ...]:
    """Return the adversaries that one is made of."""
    if isinstance(adversary, Union | Intersection):
        return tuple(adversary.members)
    return (adversary.adversary,) if isinstance(adversary, Clipped) else ()


def _at_most(one: Any, other: Any) -> bool:
    """Compare budgets as configurations hold them: a number, or one for each example."""
    first, second = (value if isinstance(value, list) else [value] for value in (one, other))
    if 1 not in (len(first), len(second)) and len(first) != len(second):
        return False
    count = max(len(first), len(second))
    pairs = zip(first * (count // len(first)), second * (count // len(second)), strict=True)
    return all(Fraction(a) <= Fraction(b) for a, b in pairs)
