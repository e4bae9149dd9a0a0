"""Losses whose two classes cost differently."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lossfloor._checks import as_fraction, must
from lossfloor.losses.base import BoolArray, FloatArray, Loss
from lossfloor.losses.lookup import resolve

_SMALLEST = math.ulp(0.0)
_BELOW_ONE = math.nextafter(1.0, 0.0)


@dataclass(frozen=True, init=False, repr=False)
class Costs(Loss):
    r"""A loss multiplied by `first` on the first class and by `second` on the second.

    With costs :math:`c_A, c_B`, a block with weights ``a`` and ``b`` costs as much as a block with weights
    :math:`c_A a` and :math:`c_B b` does without costs.  Hence

    .. math:: H(\pi) = (\pi c_A + (1 - \pi) c_B) \, H_l(\pi'), \qquad
              \pi' = \frac{\pi c_A}{\pi c_A + (1 - \pi) c_B}, \qquad g(\pi) = g_l(\pi').

    Since :math:`\pi'` grows with :math:`\pi`, the blocks are the same as without costs.

    Parameters
    ----------
    loss : Loss, str or callable
        The loss of both classes before costs; see `resolve`.
    first, second : int, float, str or Fraction
        Costs of the first and of the second class, greater than 0.  A float is read as the decimal that it prints as.

    Raises
    ------
    TypeError
        If a cost is not a number, or `loss` is not a loss.
    ValueError
        If a cost is not positive, or too large or small for a float.

    Examples
    --------
    >>> loss = Costs("zero-one", first=5, second=1)
    >>> loss
    Costs(ZeroOne(), first=5, second=1)
    >>> loss.bayes_risk([0.1, 0.5])
    array([0.5, 0.5])
    >>> loss([0.2, 0.2], second=[False, True])
    array([4. , 0.8])
    """

    loss: Loss
    first: Fraction
    second: Fraction

    depends_on_class = True

    def __init__(
        self,
        loss: Loss | type[Loss] | str | Callable[..., Any],
        first: float | str | Fraction,
        second: float | str | Fraction,
    ) -> None:
        object.__setattr__(self, "loss", resolve(loss))
        object.__setattr__(self, "first", _cost("first", first))
        object.__setattr__(self, "second", _cost("second", second))

    @property
    def name(self) -> str:
        """Name of the loss with its costs, as in ``"brier (costs 2:1)"``."""
        return f"{self.loss.name} (costs {self.first}:{self.second})"

    @property
    def proper(self) -> bool:
        """Whether ``g(pi) = pi``, which is not so with unequal costs."""
        return self.loss.proper and self.first == self.second

    @property
    def convex(self) -> bool:
        """Whether the loss is convex in ``q``."""
        return self.loss.convex

    def __repr__(self) -> str:
        return f"Costs({self.loss!r}, first={self.first}, second={self.second})"

    def _loss(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return self._factor(second) * self.loss._loss(q, second)

    def _gradient(self, q: FloatArray, second: BoolArray | None) -> FloatArray:
        return self._factor(second) * self.loss._gradient(q, second)

    def _risk(self, a: FloatArray, b: FloatArray) -> FloatArray:
        return self.loss._risk(float(self.first) * a, float(self.second) * b)

    def _minimizer(self, pi: FloatArray) -> FloatArray:
        # 1 / (1 + b / a) and not a / (a + b): each rounding keeps the order, so g never decreases.
        with np.errstate(divide="ignore", over="ignore"):
            odds_against = float(self.second) * (1.0 - pi) / (float(self.first) * pi)
        posterior = 1.0 / (1.0 + odds_against)
        # A possible class must not become impossible by rounding: that could make the loss infinite.
        mixed = (pi > 0) & (pi < 1)
        posterior[mixed] = np.clip(posterior[mixed], _SMALLEST, _BELOW_ONE)
        return self.loss._minimizer(posterior)

    def _exact(self, a: Fraction, b: Fraction) -> Fraction | None:
        return self.loss._exact(self.first * a, self.second * b)

    def _factor(self, second: BoolArray | None) -> FloatArray:
        if second is None:
            if self.first != self.second:
                raise TypeError(
                    must("second", "given (which entries are of the second class) for a loss with costs", None)
                )
            return np.asarray(float(self.first))
        return np.where(second, float(self.second), float(self.first))


def _cost(name: str, value: float | str | Fraction) -> Fraction:
    """Read a cost: positive, and neither 0 nor infinite as a float."""
    cost = as_fraction(name, value)
    try:
        as_float = float(cost)
    except OverflowError:
        as_float = math.inf
    if not 0.0 < as_float < math.inf:
        raise ValueError(must(name, "greater than 0 and of a float's size", value))
    return cost
