"""A union of adversaries: each example may be moved as any one of them allows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_points, must
from lossfloor.adversaries.base import Adversary, Index
from lossfloor.adversaries.combined import mixed_pairs
from lossfloor.adversaries.finite_sets import as_objects
from lossfloor.adversaries.geometry.bodies import ConvexAdversary
from lossfloor.graphs.rows import ConflictRows


class Union(Adversary):
    """Moves an example as any one of several adversaries allows, such as within an l2 or an linf ball.

    Parameters
    ----------
    *members : Adversary
        At least one; all must accept the same data.

    Raises
    ------
    TypeError, ValueError
        If a member is not an adversary, or there are no members.

    Notes
    -----
    Two examples conflict exactly when some neighbourhood of the one and some of the other share a point, so
    all pairs of members are tested, mixed ones too.  These are decided exactly for boxes (`Linf`, `Box`,
    `WeightedLp` of the maximum norm) with each other and with balls of `L1`, `L2`, `Lp` and `WeightedLp`: the
    point of a box nearest to the centre of a ball is found by clipping.  Other mixed convex pairs (an l1 ball
    and an l2 ball, an ellipsoid and anything else) are decided by a point that exact tests accept or by a
    proof of emptiness; where neither is found, the pair is undecided, and the floor has bounds.  Mixed pairs
    with an adversary whose neighbourhoods are not convex conflict surely only if one example can be moved to
    the other.

    Examples
    --------
    >>> from lossfloor.adversaries import L2, Linf
    >>> either = Union(L2(1), Linf(0.75))
    >>> either
    Union(L2(eps=1, unit=1), Linf(eps=0.75, unit=1))
    >>> either.contains([[0, 0], [0, 0]], [[0.7, 0.7], [0.8, 0.8]])
    array([ True, False])
    """

    name: ClassVar[str] = "union"
    budgets: ClassVar[tuple[str, ...]] = ()
    part_keys: ClassVar[tuple[str, ...]] = ("members",)

    def __init__(self, *members: Adversary) -> None:
        self.members = checked_members(members)

    def __repr__(self) -> str:
        return f"Union({', '.join(map(repr, self.members))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Union) and self.members == other.members

    def __hash__(self) -> int:
        return hash((self.name, self.members))

    def config(self) -> dict[str, Any]:
        """Return the name and the configurations of the members."""
        return {"name": self.name, "members": [member.config() for member in self.members]}

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Union:
        """Make the adversary of its members."""
        return cls(*listed_members(arguments))

    @property
    def parts(self) -> tuple[Adversary, ...]:
        """The members."""
        return self.members

    @property
    def is_monotone(self) -> bool:
        """Whether all members are."""
        return all(member.is_monotone for member in self.members)

    def as_data(self, X: Any, n: int) -> Any:
        """Check the examples with each member, all of which must take them in the same form.

        Raises
        ------
        TypeError, ValueError
            If a member does not take them, or the members take different things.
        """
        return common_data(self.members, X, n)

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether any member may move ``X[i]`` to ``Z[i]``."""
        answers = [member.contains(X, Z, index=index) for member in self.members]
        return np.asarray(np.logical_or.reduce(answers))

    def conflict(self, a: Any, b: Any, *, index: Index | None = None) -> bool | None:
        """Decide one pair by all pairs of members; None if some are undecided and none is a conflict."""
        first, second = (0, 1) if index is None else (int(index[0]), int(index[1]))
        answers = [
            mixed_pairs.pair(left, right, a, b, (first, second))
            for left, right in itertools.product(self.members, repeat=2)
        ]
        return True if True in answers else (None if None in answers else False)

    def meet(self, points: Any, *, index: Index | None = None) -> Any | None:
        """Return a point that every example may be moved to by some member.

        Parameters
        ----------
        points : array_like of k examples
            Two or a few more: members are tried in every combination.
        index : ndarray of intp, shape (k,), optional

        Returns
        -------
        object or None
            As the members' `meet`.

        Raises
        ------
        ArithmeticError
            If no combination has such a point among doubles and one of them may have one.
        """
        data = some_examples(self.members, points)
        positions = np.arange(len(data), dtype=np.intp) if index is None else index
        failure: ArithmeticError | None = None
        choices = sorted(
            itertools.product(self.members, repeat=len(data)), key=lambda choice: len(set(map(id, choice)))
        )
        for choice in choices:
            try:
                point = self._meet_by(choice, data, positions, index)
            except ArithmeticError as error:
                failure = error
                continue
            if point is not None:
                return point
        if failure is not None:
            raise failure
        return None

    def _meet_by(self, choice: tuple[Adversary, ...], data: Any, positions: Index, index: Index | None) -> Any | None:
        """Find a point for one combination: the i-th example is moved by the i-th adversary."""
        if all(member is choice[0] for member in choice):
            return choice[0].meet(data, index=index)
        convex = [member for member in choice if isinstance(member, ConvexAdversary)]
        if len(convex) == len(choice):
            bodies = [
                member.body(x, int(position)) for member, x, position in zip(convex, data, positions, strict=True)
            ]
            return mixed_pairs.meeting_point(bodies, data)
        for x in data:
            if all(
                member.contains(mixed_pairs.one(y), mixed_pairs.one(x), index=np.array([position]))[0]
                for member, y, position in zip(choice, data, positions, strict=True)
            ):
                return x
        for i, j in itertools.combinations(range(len(data)), 2):
            places = int(positions[i]), int(positions[j])
            if mixed_pairs.pair(choice[i], choice[j], data[i], data[j], places) is False:
                return None
        raise ArithmeticError("could not decide whether these neighbourhoods share a point")

    def conflicts(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Yield the pairs that conflict for some pair of members, and the undecided pairs."""
        n, m = len(XA), len(XB)
        index_a = np.arange(n, dtype=np.intp) if index_a is None else index_a
        index_b = np.arange(m, dtype=np.intp) if index_b is None else index_b
        sure, undecided = np.zeros((n, m), dtype=np.bool_), np.zeros((n, m), dtype=np.bool_)
        for left, right in itertools.product(self.members, repeat=2):
            for piece in mixed_pairs.pieces_of(left, right, XA, XB, index_a, index_b):
                rows = slice(piece.start, piece.start + len(piece.sure))
                sure[rows] |= piece.sure
                undecided[rows] |= piece.undecided
        yield mixed_pairs.Piece(0, sure, undecided & ~sure).rows()


def checked_members(members: tuple[Any, ...]) -> tuple[Adversary, ...]:
    """Check that there are adversaries, and only adversaries."""
    if not members:
        raise ValueError(must("members", "at least one adversary", "none"))
    for member in members:
        if not isinstance(member, Adversary):
            raise TypeError(must("members", "adversaries, such as lossfloor.L2(0.5)", member))
    return tuple(members)


def listed_members(arguments: dict[str, Any]) -> list[Any]:
    """Return the members among the arguments of a configuration, which must have nothing else."""
    if set(arguments) != {"members"} or not isinstance(arguments["members"], list):
        raise ValueError(must("config", "a mapping with a name and a list of members", sorted(arguments)))
    return list(arguments["members"])


def common_data(members: tuple[Adversary, ...], X: Any, n: int) -> Any:
    """Return the data in the form that all members take.

    Raises
    ------
    ValueError
        If they take different forms.
    """
    forms = [member.as_data(X, n) for member in members]
    first = forms[0]
    for member, form in zip(members[1:], forms[1:], strict=True):
        if not (type(form) is type(first) and form.shape == first.shape and form.dtype == first.dtype):
            raise ValueError(must("members", f"adversaries that take the same data as {members[0]!r}", member))
    return first


def some_examples(members: tuple[Adversary, ...], points: Any) -> Any:
    """Return a few examples as an array, in the form that the members take."""
    if any(isinstance(member, ConvexAdversary) for member in members):
        return as_points("points", points)
    if isinstance(points, np.ndarray):
        return points
    if all(isinstance(point, (str, tuple)) for point in points):
        return as_objects("points", points)
    return np.asarray(points)
