"""The adversary protocol: where each example may be moved, and which neighbourhoods share a point."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_fraction, must, unknown
from lossfloor.exact import Order
from lossfloor.graphs.rows import ConflictRows
from lossfloor.reporting.numbers import show_number

Index = npt.NDArray[np.intp]


class BallOfGauge(Protocol):
    """What is known of an adversary whose neighbourhoods are balls of a norm or seminorm: distances are measured."""

    def radii(self, count: int, index: Index | None = None) -> tuple[Fraction, ...]:
        """Return the radii of `count` examples in data units (one if it is common to all)."""

    def within(self, a: npt.NDArray[Any], b: npt.NDArray[Any], radius: Fraction) -> bool:
        """Decide exactly whether two points, shape (d,), are at most `radius` apart, in data units."""

    def gauges(
        self, XA: npt.NDArray[Any], XB: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Bound the distances of all pairs from below and above, in data units, shape (n, m) each."""

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``Z[i]`` lies in the ball around ``X[i]``."""

    def meet(self, points: Any, *, index: Index | None = None) -> npt.NDArray[Any] | None:
        """Return a point of the balls around all of `points`, or None if there is none."""


class BallOfNorm(BallOfGauge, Protocol):
    """What is known of an adversary whose neighbourhoods are balls of an l_p norm.

    Attributes
    ----------
    order : Fraction or None
        p of the norm; None is the maximum norm.
    eps : tuple of Fraction
        The radius of all examples, or one per example.
    unit : Fraction
        How many data units make one unit of `eps`.
    """

    order: Order
    eps: tuple[Fraction, ...]
    unit: Fraction

    @property
    def family_arguments(self) -> dict[str, Any]:
        """The arguments that `lossfloor.curve` needs besides the class of the ball, its budgets and its unit."""


class Adversary(abc.ABC):
    """Base class: may move each example x anywhere in its non-empty neighbourhood N(x).

    Methods that take several examples also take their positions in the data set (`index`), which an adversary
    with a budget per example needs to select the right budgets.

    What the rest of the library has to know of an adversary are its traits, so that nothing asks for its class. Each
    has a default for an adversary of which nothing is known but its methods.

    Attributes
    ----------
    name : str
        The name in configurations and on the command line.
    budgets : tuple of str, or None
        Names of the parameters that bound the neighbourhoods: if they grow and nothing else changes, no neighbourhood
        loses a point. Curves vary one of them. A class that sets this promises it; a class derived from that one has
        to promise it again, since it may mean something else by its parameters. None if nothing is promised.
    part_keys : tuple of str
        Keys of `config` under which the configurations of other adversaries stand, one or a list of them; `from_config`
        gets the adversaries themselves there.
    parts : tuple of Adversary
        The adversaries that it is made of.
    knows_points : bool
        Whether it knows the points that examples may be moved to, and not only which examples conflict.
    matrix : object
        The matrix of conflicts or distances that it consists of; None for an adversary that knows points.
    takes_vectors : bool
        Whether the examples are vectors of numbers.
    gauge_ball : BallOfGauge or None
        The adversary itself if its neighbourhoods are balls of a norm or seminorm.
    norm_ball : BallOfNorm or None
        The adversary itself if its neighbourhoods are balls of an l_p norm.
    is_monotone : bool
        Whether a point of a neighbourhood stays in it when any of its coordinates is moved towards the example.
    takes_rows : bool
        Whether `conflicts` takes `lossfloor.distances.Rows` in place of arrays.
    """

    name: ClassVar[str]
    budgets: ClassVar[tuple[str, ...] | None] = None
    part_keys: ClassVar[tuple[str, ...]] = ()
    knows_points: ClassVar[bool] = True
    takes_vectors: ClassVar[bool] = False
    takes_rows: ClassVar[bool] = False
    matrix: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # What a class says of its own methods and parameters need not hold for those of a class derived from it.
        if "conflicts" in vars(cls) and "takes_rows" not in vars(cls):
            cls.takes_rows = False
        if "budgets" not in vars(cls):
            cls.budgets = None

    @property
    def gauge_ball(self) -> BallOfGauge | None:
        """The adversary itself if its neighbourhoods are balls of a norm or seminorm, else None."""
        return None

    @property
    def norm_ball(self) -> BallOfNorm | None:
        """The adversary itself if its neighbourhoods are balls of an l_p norm, else None."""
        return None

    @property
    def is_monotone(self) -> bool:
        """Whether a point of a neighbourhood stays in it when any coordinate is moved towards the example."""
        return False

    @property
    def parts(self) -> tuple[Adversary, ...]:
        """The adversaries that it is made of; none by default."""
        return ()

    def meets_by(self, data: Any) -> str:
        """Return how to decide whether three or more neighbourhoods share a point.

        Parameters
        ----------
        data : object
            Examples as `as_data` returned them.

        Returns
        -------
        {"pairs", "balls", "unknown", "asking"}
            "pairs" : they do if every two of them do, as boxes do by Helly's theorem.
            "balls" : they are Euclidean balls, decided by the squared distances of their centres, which doubles can
            represent for these data.
            "unknown" : it cannot be decided, since only conflicts of pairs are known.
            "asking" : `meet` decides.
        """
        return "asking" if self.knows_points else "unknown"

    def is_at_least(self, other: Adversary) -> bool:
        """Return whether this adversary is known to be able to do all that another one can.

        By default it is if both are of one class, which promises what its `budgets` mean, and differ in budgets only,
        none of which is smaller here; and if the same holds for the `parts` of both.
        """
        if type(self) is not type(other) or self.budgets is None or len(self.parts) != len(other.parts):
            return False
        mine, theirs = self.config(), other.config()
        return (
            mine.keys() == theirs.keys()
            and all(part.is_at_least(its) for part, its in zip(self.parts, other.parts, strict=True))
            and all(
                key in self.part_keys or value == mine[key] or (key in self.budgets and _none_above(value, mine[key]))
                for key, value in theirs.items()
            )
        )

    @abc.abstractmethod
    def as_data(self, X: Any, n: int) -> Any:
        """Check the examples and convert them to the form the other methods expect.

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
            If the examples are invalid for this adversary, or its budgets do not match the examples.
        """

    @abc.abstractmethod
    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``X[i]`` may be moved to ``Z[i]``."""

    @abc.abstractmethod
    def meet(self, points: Any, *, index: Index | None = None) -> Any | None:
        """Return a point to which all of `points` may be moved, or None if there is none."""

    @abc.abstractmethod
    def conflicts(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Yield which examples of XA and XB have neighbourhoods that share a point, some rows at a time."""

    @abc.abstractmethod
    def config(self) -> dict[str, Any]:
        """Return what makes this adversary, in a form JSON can represent; `from_config` reverses it."""

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Adversary:
        """Make the adversary from what `config` returned, less the name.

        Raises
        ------
        TypeError, ValueError
            If a parameter is unknown, missing or invalid.
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
        """Decide a single pair of examples exactly, without the fast passes of `conflicts`.

        Parameters
        ----------
        a, b : object
            Two examples, such as ``as_data(X, n)[i]``.
        index : ndarray of intp, shape (2,), optional
            Their positions in the data set.

        Returns
        -------
        bool or None
            None if the pair is undecided; `conflicts` then lists it as undecided.
        """
        raise TypeError(f"{type(self).__name__} cannot decide a single pair of examples")

    def critical_eps(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the smallest budget at which each pair conflicts if both examples have it; for small inputs.

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
        raise TypeError(f"{type(self).__name__} has no budget to vary")


def as_budgets(name: str, eps: Any) -> tuple[Fraction, ...]:
    """Read one budget, or one for each example.

    Parameters
    ----------
    name : str
        Name of the argument, for errors.
    eps : number, or array_like of shape (n,)
        Non-negative, read as their decimal representations.

    Returns
    -------
    tuple of Fraction
        Of length one if all examples share the budget.

    Raises
    ------
    TypeError, ValueError
        If a budget is negative or not a finite number.
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
        raise ValueError(must(name, f"one number or {n} of them, one per example", f"{len(budgets)} numbers"))


def pick(budgets: tuple[Fraction, ...], index: Index | None, count: int) -> tuple[Fraction, ...]:
    """Return the budgets of some examples, or the one that all share."""
    if len(budgets) == 1:
        return budgets
    if index is None:
        if len(budgets) != count:
            raise ValueError(must("index", "given, since each example has its own budget", None))
        return budgets
    return tuple(budgets[i] for i in index.tolist())


def show_budgets(budgets: tuple[Fraction, ...]) -> str:
    """Print budgets shortly: the number that all share, or the range and the count."""
    if len(budgets) == 1:
        return show_number(budgets[0])
    return f"<{len(budgets)} from {show_number(min(budgets))} to {show_number(max(budgets))}>"


def _none_above(less: Any, more: Any) -> bool:
    """Compare budgets as configurations hold them: one number, or one per example."""
    first, second = (value if isinstance(value, list) else [value] for value in (less, more))
    if 1 not in (len(first), len(second)) and len(first) != len(second):
        return False
    count = max(len(first), len(second))
    pairs = zip(first * (count // len(first)), second * (count // len(second)), strict=True)
    return all(Fraction(a) <= Fraction(b) for a, b in pairs)
