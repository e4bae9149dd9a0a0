"""What an adversary is: who may be moved where, and whose neighbourhoods share a point."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_fraction, must, unknown
from lossfloor.graphs.rows import ConflictRows
from lossfloor.reporting.numbers import show_number

if TYPE_CHECKING:
    from lossfloor.adversaries.norms import NormBall

Index = npt.NDArray[np.intp]


class Adversary(abc.ABC):
    """Somebody who may move each example x anywhere in its neighbourhood N(x), which is not empty.

    Methods that take several examples also take their positions in the data set (`index`), which an adversary
    with a budget of its own for each example needs to know whom it is about.
    """

    #: The name in configurations and on the command line.
    name: ClassVar[str]
    #: The matrix of conflicts or distances that it consists of; None for an adversary that knows points.
    matrix: Any = None
    #: Whether it knows the points that examples may be moved to, and not only which examples conflict.
    knows_points: ClassVar[bool] = True
    #: Whether `conflicts` takes `lossfloor.distances.Rows` in place of arrays.
    takes_rows: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Who writes another `conflicts` gets arrays, unless they ask for more.
        if "conflicts" in vars(cls) and "takes_rows" not in vars(cls):
            cls.takes_rows = False

    @property
    def norm_ball(self) -> NormBall | None:
        """The adversary itself if its neighbourhoods are balls of an l_p norm (`order`, `eps`, `radii`), else None."""
        return None

    @abc.abstractmethod
    def as_data(self, X: Any, n: int) -> Any:
        """Check the examples and bring them into the form that the other methods take.

        Parameters
        ----------
        X : object
            The examples as the user gave them.
        n : int
            How many labels there are, hence how many examples there must be.

        Returns
        -------
        object
            Indexable by an array of positions.

        Raises
        ------
        TypeError, ValueError
            If the examples do not suit this adversary, or its budgets not the examples.
        """

    @abc.abstractmethod
    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Tell for each i whether ``X[i]`` may be moved to ``Z[i]``."""

    @abc.abstractmethod
    def meet(self, points: Any, *, index: Index | None = None) -> Any | None:
        """Return a point that every one of `points` may be moved to, or None where there is none."""

    @abc.abstractmethod
    def conflicts(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Yield which examples of XA and XB have neighbourhoods that share a point, some rows at a time."""

    @abc.abstractmethod
    def config(self) -> dict[str, Any]:
        """Return what makes this adversary, as JSON can hold it; `from_config` reverses it."""

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Adversary:
        """Make the adversary from what `config` returned, less the name.

        Raises
        ------
        TypeError, ValueError
            If a parameter is unknown or missing, or not what it must be.
        """
        known = inspect.signature(cls).parameters
        for name in arguments:
            if name not in known:
                raise ValueError(unknown(f"parameter of {cls.name}", name, known))
        missing = [name for name, one in known.items() if one.default is one.empty and name not in arguments]
        if missing:
            raise ValueError(f"{cls.name} needs {' and '.join(map(repr, missing))}")
        return cls(**arguments)

    def conflict(self, a: Any, b: Any, *, index: Index | None = None) -> bool | None:
        """Decide one pair of examples by itself, exactly and without the fast passes of `conflicts`.

        Parameters
        ----------
        a, b : object
            Two examples, such as ``as_data(X, n)[i]``.
        index : ndarray of intp, shape (2,), optional
            Their positions in the data set.

        Returns
        -------
        bool or None
            None if the pair cannot be decided: then `conflicts` calls it a conflict perhaps.
        """
        raise TypeError(f"{type(self).__name__} cannot decide a pair of examples by itself")

    def critical_eps(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the budget from which on each pair conflicts when both examples have it, for small inputs.

        Parameters
        ----------
        XA, XB : object
            Examples as `as_data` returned them, n and m of them.
        index_a, index_b : ndarray of intp, optional
            Their positions in the data set.

        Returns
        -------
        ndarray of float64, shape (n, m)
            The least double that makes the pair conflict when it is given as budget, hence read as the
            decimal that prints it; infinity where no budget does.
        """
        raise TypeError(f"{type(self).__name__} has no budget that could be made larger or smaller")


def as_budgets(name: str, eps: Any) -> tuple[Fraction, ...]:
    """Read one budget, or one for each example.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    eps : number, or array_like of shape (n,)
        Non-negative, read as the decimals that print them.

    Returns
    -------
    tuple of Fraction
        Of length one if all examples share the budget.

    Raises
    ------
    TypeError, ValueError
        If a budget is no finite number or negative.
    """
    if isinstance(eps, np.ndarray) and eps.ndim == 0:
        eps = eps[()]
    if isinstance(eps, (str, Fraction)) or np.isscalar(eps):
        budgets: tuple[Fraction, ...] = (as_fraction(name, eps),)
    elif isinstance(eps, (Sequence, np.ndarray)) or hasattr(eps, "__array__"):
        values = eps if isinstance(eps, Sequence) else np.asarray(eps)
        if isinstance(values, np.ndarray) and values.ndim != 1:
            raise ValueError(must(name, "one number or an array of shape (n,)", f"shape {values.shape}"))
        budgets = tuple(as_fraction(name, value) for value in values)
        if not budgets:
            raise ValueError(must(name, "one number or an array of shape (n,)", "an empty one"))
        if len(budgets) == 1:  # one example: the same thing as one budget for all
            return budgets if budgets[0] >= 0 else as_budgets(name, budgets[0])
    else:
        raise TypeError(must(name, "a number or an array of numbers", eps))
    for budget in budgets:
        if budget < 0:
            raise ValueError(must(name, "at least 0", float(budget)))
    return budgets


def check_count(name: str, budgets: Sequence[object], n: int) -> None:
    """Check that there is one budget, or one for each of `n` examples."""
    if len(budgets) not in (1, n):
        raise ValueError(must(name, f"one number or {n} of them, one an example", f"{len(budgets)} numbers"))


def pick(budgets: tuple[Fraction, ...], index: Index | None, count: int) -> tuple[Fraction, ...]:
    """Return the budgets of some examples, or the one that all share."""
    if len(budgets) == 1:
        return budgets
    if index is None:
        if len(budgets) != count:
            raise ValueError(must("index", "given, since each example has a budget of its own", None))
        return budgets
    return tuple(budgets[i] for i in index.tolist())


def show_budgets(budgets: tuple[Fraction, ...]) -> str:
    """Print budgets shortly: the number that all share, or the range and the count."""
    if len(budgets) == 1:
        return show_number(budgets[0])
    return f"<{len(budgets)} from {show_number(min(budgets))} to {show_number(max(budgets))}>"
