"""One sweep: the conflicts of some examples with others, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lossfloor._types import Positions
from lossfloor.adversaries import Adversary
from lossfloor.distances import Rows
from lossfloor.graphs import ConflictRows


def sweep(adversary: Adversary, data: Any, left: Positions, right: Positions) -> Iterator[ConflictRows]:
    """Yield the conflicts of the examples at some positions with those at others.

    Parameters
    ----------
    adversary : Adversary
    data : object
        The examples as ``adversary.as_data`` returned them.
    left, right : ndarray of intp
        Ascending; rows are numbered within `left`, targets within `right`.

    Yields
    ------
    ConflictRows
    """
    yield from adversary.conflicts(
        _select(data, left, adversary), _select(data, right, adversary), index_a=left, index_b=right
    )


def _select(data: Any, places: Positions, adversary: Adversary) -> Any:
    """Return some examples, without a copy where that is possible."""
    if isinstance(data, np.ndarray) and len(places) > 0:
        if places[-1] - places[0] == len(places) - 1:
            return data[places[0] : places[-1] + 1]
        if adversary.takes_rows and data.ndim == 2:
            return Rows(data, places)
    return data[places]
