"""Numbers as text: lower bounds are rounded down and upper bounds up, so that what is shown is proved, too."""

from __future__ import annotations

import decimal
import math
from fractions import Fraction


def number(value: float) -> str:
    """Show a loss."""
    return f"{value:.9g}"


def at_least(bound: float | Fraction) -> str:
    """Show a lower bound, rounded down."""
    return _rounded(bound, decimal.ROUND_FLOOR)


def at_most(bound: float | Fraction) -> str:
    """Show an upper bound, rounded up."""
    return _rounded(bound, decimal.ROUND_CEILING)


def _rounded(bound: float | Fraction, rounding: str) -> str:
    if isinstance(bound, float) and not math.isfinite(bound):
        return number(bound)
    exact = Fraction(bound)
    context = decimal.Context(prec=9, rounding=rounding)
    return f"{context.divide(decimal.Decimal(exact.numerator), decimal.Decimal(exact.denominator)).normalize():.9g}"


def bounds(ends: tuple[float, float]) -> str:
    """Show a loss, or its bounds."""
    return number(ends[0]) if ends[0] == ends[1] else f"{at_least(ends[0])} to {at_most(ends[1])}"


def bounds_in_table(ends: tuple[float, float], digits: int) -> str:
    """Show a loss with a fixed number of decimals, or its bounds, rounded outwards."""
    if ends[0] == ends[1] or not all(map(math.isfinite, ends)):
        return " to ".join(dict.fromkeys(f"{end:.{digits}f}" for end in ends))
    low = Fraction(math.floor(Fraction(ends[0]) * 10**digits), 10**digits)
    high = Fraction(math.ceil(Fraction(ends[1]) * 10**digits), 10**digits)
    return f"{float(low):.{digits}f} to {float(high):.{digits}f}"


def short_bounds(ends: tuple[float, float]) -> str:
    """Show a loss, or its bounds, with six digits."""
    return " to ".join(f"{end:.6g}" for end in dict.fromkeys(ends))


def show_number(value: Fraction) -> str:
    """Print a rational as a decimal where that is exact, else as a quotient."""
    if value.denominator == 1:
        return str(value.numerator)
    decimal = repr(float(value))
    return decimal if Fraction(decimal) == value else str(value)
