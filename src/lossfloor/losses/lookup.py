"""From what a user passes as a loss to a `Loss`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lossfloor._checks import must, unknown
from lossfloor.losses.base import Loss
from lossfloor.losses.convex import Convex
from lossfloor.losses.named import NAMED


def resolve(loss: Loss | type[Loss] | str | Callable[..., Any]) -> Loss:
    """Turn what a user passes as a loss into a `Loss`.

    Parameters
    ----------
    loss : Loss, class of a Loss, str or callable
        A loss; the class of one that takes no arguments; a name, such as ``"cross-entropy"``, ``"zero-one"``,
        ``"brier"`` or ``"spherical"`` (an underscore may replace the hyphen); or a convex decreasing function of the
        probability kept on the true class, see `Convex`.

    Returns
    -------
    Loss

    Raises
    ------
    TypeError
        If `loss` is none of these.
    ValueError
        If the name is unknown, or the callable is not convex and decreasing.

    Examples
    --------
    >>> resolve("zero-one")
    ZeroOne()
    >>> resolve(lambda q: 1 - q)
    Convex(convex)
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        found = NAMED.get(loss.replace("_", "-"))
        if found is None:
            raise ValueError(unknown("loss", loss, NAMED))
        return found()
    if isinstance(loss, type) and issubclass(loss, Loss):
        try:
            return loss()
        except TypeError:
            raise TypeError(must("loss", f"an instance of {loss.__name__}, which takes arguments", loss)) from None
    if callable(loss):
        return Convex(loss)
    raise TypeError(must("loss", "a Loss, the name of one or a convex decreasing function", loss))
