"""An intersection of adversaries: each example may be moved only where all of them allow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must
from lossfloor.adversaries.base import Adversary, Index
from lossfloor.adversaries.combined import mixed_pairs
from lossfloor.adversaries.combined.union import checked_members, common_data, listed_members, some_examples
from lossfloor.adversaries.geometry import common_points
from lossfloor.adversaries.geometry.bodies import Body, ConvexAdversary, common_point
from lossfloor.adversaries.geometry.deciding import fractions
from lossfloor.adversaries.geometry.gauge_balls import GaugeBall
from lossfloor.graphs.rows import ConflictRows


class Intersection(Adversary):
    """Moves an example only where every one of several adversaries allows it.

    Parameters
    ----------
    *members : Adversary
        At least one; they take the same data, and each lets every example stay where it is.

    Raises
    ------
    TypeError, ValueError
        If a member is not an adversary, or there are no members; when the data are read, if a member does not let an
        example stay.

    Notes
    -----
    That two examples conflict for every member is necessary, but not sufficient: the points where they meet
    may be different ones.  Whether it is decided exactly depends on the members:

    - Balls of norms (`L1`, `L2`, `Linf`, `Lp`, `WeightedLp`, `Ellipsoid`) whose radius all examples share:
      exact, and the same as for every member, since the point half-way between two examples lies in all the
      balls.
    - Boxes along the axes (`Linf`, `Box`, `WeightedLp` of the maximum norm): exact, since intervals that meet
      two by two share a number.
    - Other convex members: by a point that exact tests accept or a proof of emptiness; if neither is found,
      the pair is undecided.
    - Members that are not convex: surely only if a point where they meet for one member suits all; else
      undecided, if no member excludes it.  (At most k features by at most eps each is `SparseLinf`, which is
      exact.)

    Examples
    --------
    >>> from lossfloor.adversaries import L2, Linf
    >>> both = Intersection(L2(1), Linf(0.75))
    >>> both.contains([[0, 0], [0, 0]], [[0.7, 0.7], [0.8, 0]])
    array([ True, False])
    """

    name: ClassVar[str] = "intersection"
    budgets: ClassVar[tuple[str, ...]] = ()
    part_keys: ClassVar[tuple[str, ...]] = ("members",)

    def __init__(self, *members: Adversary) -> None:
        self.members = checked_members(members)

    def __repr__(self) -> str:
        return f"Intersection({', '.join(map(repr, self.members))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Intersection) and self.members == other.members

    def __hash__(self) -> int:
        return hash((self.name, self.members))

    def config(self) -> dict[str, Any]:
        """Return the name and the configurations of the members."""
        return {"name": self.name, "members": [member.config() for member in self.members]}

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Intersection:
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

    @property
    def _shared_balls(self) -> bool:
        """Whether all members are balls of norms of one radius each."""
        return all(isinstance(member, GaugeBall) and len(member.eps) == 1 for member in self.members)

    @property
    def _boxes(self) -> bool:
        return all(mixed_pairs.is_box(member) for member in self.members)

    def as_data(self, X: Any, n: int) -> Any:
        """Check the examples with each member, which must take them in the same form and let them stay.

        Raises
        ------
        TypeError, ValueError
            If a member does not take them or not let one stay, or the members take different things.
        """
        data = common_data(self.members, X, n)
        positions = np.arange(n, dtype=np.intp)
        for member in self.members:
            if isinstance(member, ConvexAdversary):
                continue  # every one of these lets an example stay
            moved = np.flatnonzero(~member.contains(data, data, index=positions))
            if len(moved):
                raise ValueError(
                    must(
                        "members",
                        "adversaries that let every example stay",
                        f"{member!r}, which moves example {moved[0]}",
                    )
                )
        return data

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether every member may move ``X[i]`` to ``Z[i]``."""
        answers = [member.contains(X, Z, index=index) for member in self.members]
        return np.asarray(np.logical_and.reduce(answers))

    def conflict(self, a: Any, b: Any, *, index: Index | None = None) -> bool | None:
        """Decide one pair; None if it is undecided."""
        positions = (0, 1) if index is None else (int(index[0]), int(index[1]))
        for left, right in itertools.product(self.members, repeat=2):
            if (left is right or self._boxes) and mixed_pairs.pair(left, right, a, b, positions) is False:
                return False
        if self._shared_balls or self._boxes or len(self.members) == 1:
            return True
        return self._decide(a, b, positions)

    def _decide(self, a: Any, b: Any, positions: tuple[int, int]) -> bool | None:
        """Decide a pair that no member excludes, where there is no test for all pairs."""
        bodies = self._bodies((a, b), positions)
        if bodies is None:
            return True if self._meet_of_members(a, b, positions) is not None else None
        for share in (Fraction(1, 2), *_shares(bodies)):
            ends = zip(bodies[0].centre, bodies[-1].centre, strict=True)
            point = [x + share * (y - x) for x, y in ends]
            if all(body.has(point) for body in bodies):
                return True
        found = common_point(bodies)
        return found if isinstance(found, bool) or found is None else True

    def _bodies(self, points: Any, positions: Any) -> list[Body] | None:
        """Return the bodies of all members around all points, or None if some member is not convex."""
        convex = [member for member in self.members if isinstance(member, ConvexAdversary)]
        if len(convex) < len(self.members):
            return None
        return [
            member.body(x, int(position)) for x, position in zip(points, positions, strict=True) for member in convex
        ]

    def _meet_of_members(self, a: Any, b: Any, positions: tuple[int, int]) -> Any | None:
        """Return a point where two examples meet for one member and that suits all, or None."""
        index = np.array(positions, dtype=np.intp)
        both = np.concatenate([mixed_pairs.one(a), mixed_pairs.one(b)])
        for member in self.members:
            try:
                point = member.meet(both, index=index)
            except ArithmeticError:
                continue
            for candidate in (point, a, b):
                if candidate is not None and self._suits(candidate, both, index):
                    return candidate
        return None

    def _suits(self, point: Any, examples: Any, index: Index) -> bool:
        targets = np.concatenate([mixed_pairs.one(point)] * len(examples))
        return bool(self.contains(examples, targets, index=index).all())

    def meet(self, points: Any, *, index: Index | None = None) -> Any | None:
        """Return a point that every example may be moved to.

        Parameters
        ----------
        points : array_like of k examples
            Two, or a few more if all members are convex.
        index : ndarray of intp, shape (k,), optional

        Returns
        -------
        object or None
            None if there is no such point.

        Raises
        ------
        ArithmeticError
            If there is or may be one, but none was found among doubles.
        """
        data = some_examples(self.members, points)
        positions = np.arange(len(data), dtype=np.intp) if index is None else index
        bodies = self._bodies(data, positions)
        if bodies is None:
            if len(data) != 2:
                raise ValueError(must("points", "two examples, since a member is not convex", f"{len(data)}"))
            point = self._meet_of_members(data[0], data[1], (int(positions[0]), int(positions[1])))
            if point is None and self.conflict(data[0], data[1], index=positions) is not False:
                raise ArithmeticError("could not decide whether these neighbourhoods share a point")
            return point
        if self._boxes:
            return mixed_pairs.meeting_point(bodies, data)
        if len(data) == 2:
            if self.conflict(data[0], data[1], index=positions) is False:
                return None
            shares = [Fraction(1, 2), *_shares(bodies)]
            half = len(self.members)

            def inside(point: npt.NDArray[Any]) -> tuple[bool, bool]:
                exact = fractions(point)
                return all(body.has(exact) for body in bodies[:half]), all(body.has(exact) for body in bodies[half:])

            for share in shares:
                try:
                    return common_points.on_segment(data[0], data[1], (float(share), float(share)), share, inside)
                except ArithmeticError:
                    continue
        return mixed_pairs.meeting_point(bodies, data)

    def conflicts(
        self, XA: Any, XB: Any, *, index_a: Index | None = None, index_b: Index | None = None
    ) -> Iterator[ConflictRows]:
        """Yield the pairs that conflict, and the undecided ones."""
        n, m = len(XA), len(XB)
        index_a = np.arange(n, dtype=np.intp) if index_a is None else index_a
        index_b = np.arange(m, dtype=np.intp) if index_b is None else index_b
        sure, not_excluded = np.ones((n, m), dtype=np.bool_), np.ones((n, m), dtype=np.bool_)
        for left, right in itertools.product(self.members, repeat=2):
            if left is not right and not self._boxes:
                continue
            for piece in mixed_pairs.pieces_of(left, right, XA, XB, index_a, index_b):
                rows = slice(piece.start, piece.start + len(piece.sure))
                sure[rows] &= piece.sure
                not_excluded[rows] &= piece.sure | piece.undecided
        if not (self._shared_balls or self._boxes or len(self.members) == 1):
            sure[:] = False
            for i, j in np.argwhere(not_excluded).tolist():
                decided = self._decide(XA[i], XB[j], (int(index_a[i]), int(index_b[j])))
                sure[i, j], not_excluded[i, j] = decided is True, decided is not False
        yield mixed_pairs.Piece(0, sure, not_excluded & ~sure).rows()


def _shares(bodies: list[Body]) -> list[Fraction]:
    """Return a share of the way between two examples that lies about in the middle of all bodies, if any."""
    half = len(bodies) // 2
    low, high = 0.0, 1.0
    a, b = bodies[0].near, bodies[-1].near
    for k, body in enumerate(bodies):
        start, goal = (a, b) if k < half else (b, a)
        reach = _reach(body, start, goal)
        low, high = (low, min(high, reach)) if k < half else (max(low, 1 - reach), high)
    return [Fraction((low + high) / 2)] if low <= high else []


def _reach(body: Body, start: npt.NDArray[np.float64], goal: npt.NDArray[np.float64]) -> float:
    """Return about which share of the way from its centre to a point stays in a body."""
    inside, outside = 0.0, 1.0
    if body.outside(goal, 0.0)[0] == 0:
        return 1.0
    for _ in range(50):
        middle = (inside + outside) / 2
        if body.outside(start + middle * (goal - start), 0.0)[0] == 0:
            inside = middle
        else:
            outside = middle
    return inside
