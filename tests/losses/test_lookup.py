"""What a user may pass as a loss."""

from __future__ import annotations

from typing import Any

import pytest
from support.loss_cases import CLOSED, Array

from lossfloor.losses import Brier, Convex, Costs, CrossEntropy, Loss, Spherical, ZeroOne, resolve


@pytest.mark.parametrize(
    ("given_loss", "loss"),
    [
        ("cross-entropy", CrossEntropy()),
        ("cross_entropy", CrossEntropy()),
        ("zero-one", ZeroOne()),
        ("zero_one", ZeroOne()),
        ("brier", Brier()),
        ("spherical", Spherical()),
        (Spherical, Spherical()),
        (Costs("brier", 1, 2), Costs(Brier(), 1, 2)),
    ],
)
def test_resolve(given_loss: Any, loss: Loss) -> None:
    assert resolve(given_loss) == loss


@pytest.mark.parametrize("loss", CLOSED, ids=repr)
def test_every_name_is_resolved(loss: Loss) -> None:
    assert resolve(loss.name) == loss
    assert resolve(loss) is loss


def test_resolve_wraps_callables() -> None:
    def my_loss(q: Array) -> Array:
        return 1 - q

    loss = resolve(my_loss)
    assert isinstance(loss, Convex)
    assert loss.function is my_loss
    assert loss.name == "my_loss"


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        ("crossentropy", ValueError, "unknown loss 'crossentropy'; did you mean 'cross-entropy'?"),
        ("xyz", ValueError, "unknown loss 'xyz'. Known: brier, cross-entropy, spherical, zero-one"),
        (3, TypeError, "'loss' must be a Loss"),
        (None, TypeError, "'loss' must be a Loss"),
        (Costs, TypeError, "'loss' must be an instance of Costs"),
        (Convex, TypeError, "'loss' must be an instance of Convex"),
        (lambda q: q, ValueError, "'function' must be decreasing"),
    ],
)
def test_resolve_refuses(loss: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("?", r"\?")):
        resolve(loss)
