"""An adversary defined by two functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.adversaries.base import Adversary, Index
from lossfloor.adversaries.finite_sets import as_objects
from lossfloor.adversaries.geometry import deciding
from lossfloor.graphs.rows import ConflictRows


class CustomAdversary(Adversary):
    """Moves examples as defined by two functions.

    Parameters
    ----------
    contains : callable
        ``contains(x, z)`` returns whether x may be moved to z.
    meet : callable
        ``meet(x, y)`` returns a point that both x and y may be moved to, or None if there is none.  It raises
        `ArithmeticError` for a pair that it cannot decide; the pair is then undecided.
    name : str, optional
        Title shown to users and stored in result files.

    Raises
    ------
    TypeError
        If one of them cannot be called.

    Notes
    -----
    `meet` is called for every pair of examples.  A point that it returns is checked with `contains`,
    but None is trusted.  Examples may be any objects and may carry their own budgets.

    Examples
    --------
    >>> import math
    >>> def may_become(x, z):
    ...     return z % x == 0
    >>> def common(x, y):
    ...     return math.lcm(x, y) if x * y < 100 else None
    >>> adversary = CustomAdversary(contains=may_become, meet=common)
    >>> adversary.meet([4, 6])
    12
    >>> adversary.contains([4, 4], [8, 9])
    array([ True, False])
    """

    name: ClassVar[str] = "custom"

    def __init__(
        self, *, contains: Callable[[Any, Any], Any], meet: Callable[[Any, Any], Any], name: str | None = None
    ) -> None:
        for argument, function in (("contains", contains), ("meet", meet)):
            if not callable(function):
                raise TypeError(must(argument, "a function of two points", function))
        self._contains = contains
        self._meet = meet
        self.title = name or getattr(meet, "__qualname__", type(meet).__name__)

    def __repr__(self) -> str:
        return f"CustomAdversary({self.title})"

    def config(self) -> dict[str, Any]:
        """Return the name; the functions have to be given again."""
        return {"name": self.name, "title": self.title}

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> CustomAdversary:
        """Raise: functions are not part of a configuration."""
        raise ValueError("a CustomAdversary cannot be recreated from its name: give its functions")

    def as_data(self, X: Any, n: int) -> npt.NDArray[Any]:
        """Take any sequence of `n` examples: arrays as they are, others as an array of objects."""
        data = X if isinstance(X, np.ndarray) and X.ndim > 0 else as_objects("X", X)
        if len(data) != n:
            raise ValueError(must("X", f"of {n} examples, one per label", f"{len(data)} examples"))
        return data

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Ask for each i whether ``X[i]`` may be moved to ``Z[i]``."""
        if len(X) != len(Z):
            raise ValueError(must("Z", f"of {len(X)} points, like X", f"{len(Z)}"))
        return np.array([bool(self._contains(x, z)) for x, z in zip(X, Z, strict=True)], dtype=np.bool_)

    def meet(self, points: Any, *, index: Index | None = None) -> Any | None:
        """Ask for a common point of two examples and check it.

        Raises
        ------
        ValueError
            If there are not two examples, or the point does not suit both.
        ArithmeticError
            If the function cannot decide the pair.
        """
        if len(points) != 2:
            raise ValueError(must("points", "two examples", f"{len(points)}"))
        x, y = points
        point = self._meet(x, y)
        if point is None:
            return None
        for example in (x, y):
            if not self._contains(example, point):
                raise ValueError(
                    must("meet", "a function whose points 'contains' accepts", f"{point!r} for {example!r}")
                )
        return point

    def conflict(self, a: Any, b: Any, *, index: Index | None = None) -> bool | None:
        """Return whether two examples meet; None if the function cannot decide it."""
        try:
            return self.meet((a, b)) is not None
        except ArithmeticError:
            return None

    def conflicts(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Ask for every pair, some rows at a time."""
        m = len(XB)
        for start, stop in deciding.row_pieces(len(XA), m, 2048):
            answers = np.array([[_CODES[self.conflict(a, b)] for b in XB] for a in XA[start:stop]], dtype=np.int8)
            yield deciding.bit_rows(start, answers == 1, answers == -1)


_CODES = {True: 1, False: 0, None: -1}
