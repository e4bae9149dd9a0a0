"""Who conflicts, by the definition of each family alone: points tried one by one, exact sums, a linear program.

Nothing here uses the code of the adversaries but their budgets as they have read them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import ndimage, optimize

#: Tells for two positions whether the examples there conflict.
Oracle = Callable[[Any, Any, int, int], bool]


def rationals(x: Any) -> list[Fraction]:
    return [Fraction(value) for value in np.asarray(x).tolist()]


def budget(values: Sequence[Any], i: int) -> Any:
    return values[i] if len(values) > 1 else values[0]


def reach(adversary: Any, i: int, j: int) -> Fraction:
    return Fraction(budget(adversary.eps, i) + budget(adversary.eps, j))


def steps(X: Any, i: int, j: int) -> list[Fraction]:
    return [abs(x - y) for x, y in zip(rationals(X[i]), rationals(X[j]), strict=True)]


def l1(adversary: Any, X: Any, i: int, j: int) -> bool:
    return sum(steps(X, i, j)) <= reach(adversary, i, j)


def l2(adversary: Any, X: Any, i: int, j: int) -> bool:
    return sum(step**2 for step in steps(X, i, j)) <= reach(adversary, i, j) ** 2


def linf(adversary: Any, X: Any, i: int, j: int) -> bool:
    return max(steps(X, i, j)) <= reach(adversary, i, j)


def clear(difference: float) -> bool:
    """Tell whether a number in floating point is at most zero, which must be beyond doubt."""
    assert abs(difference) > 1e-9
    return difference < 0


def l_one_and_a_half(adversary: Any, X: Any, i: int, j: int) -> bool:
    return clear(float((np.abs(X[i] - X[j]) ** 1.5).sum() ** (2 / 3)) - float(reach(adversary, i, j)))


def weighted(adversary: Any, X: Any, i: int, j: int) -> bool:
    costs = (1, Fraction(3, 10), 0)
    return sum((c * s) ** 2 for c, s in zip(costs, steps(X, i, j), strict=True)) <= reach(adversary, i, j) ** 2


def ellipsoid(adversary: Any, X: Any, i: int, j: int) -> bool:
    step = [x - y for x, y in zip(rationals(X[i]), rationals(X[j]), strict=True)]
    rows = [rationals(row) for row in adversary.matrix]
    form = sum(a * m * b for a, row in zip(step, rows, strict=True) for m, b in zip(row, step, strict=True))
    return form <= reach(adversary, i, j) ** 2


def box(adversary: Any, X: Any, i: int, j: int) -> bool:
    lower, upper = (0, 1, Fraction(1, 4)), (1, 0, None)

    def ends(k: int) -> Iterator[tuple[Fraction, Fraction | None]]:
        eps = budget(adversary.eps, k)
        for x, down, up in zip(rationals(X[k]), lower, upper, strict=True):
            yield x - down * eps, None if up is None else x + up * eps

    return all(
        (high_b is None or low_a <= high_b) and (high_a is None or low_b <= high_a)
        for (low_a, high_a), (low_b, high_b) in zip(ends(i), ends(j), strict=True)
    )


def hamming(adversary: Any, X: Any, i: int, j: int) -> bool:
    """Every row between two examples is tried."""
    rows = itertools.product(*zip(X[i].tolist(), X[j].tolist(), strict=True))
    return any(all(changes(X[k].tolist(), row) <= budget(adversary.k, k) for k in (i, j)) for row in rows)


def changes(x: Sequence[Any], z: Sequence[Any]) -> int:
    return sum(a != b for a, b in zip(x, z, strict=True))


def sparse_linf(adversary: Any, X: Any, i: int, j: int) -> bool:
    """If there is a common point there is one of values of the examples and ends of intervals around them."""
    sides = [(rationals(X[k]), budget(adversary.eps, k), budget(adversary.k, k)) for k in (i, j)]
    choices = [{value for x, r, _ in sides for value in (x[f], x[f] - r, x[f] + r)} for f in range(len(X[i]))]

    def allowed(z: tuple[Fraction, ...]) -> bool:
        return all(changes(x, z) <= k and all(abs(a - b) <= r for a, b in zip(x, z, strict=True)) for x, r, k in sides)

    return any(allowed(z) for z in itertools.product(*choices))


def edits(word: str, k: int) -> set[str]:
    found = last = {word}
    for _ in range(k):
        last = {
            new
            for old in last
            for at in range(len(old) + 1)
            for new in (
                *(old[:at] + letter + old[at:] for letter in "abcd"),
                old[:at] + old[at + 1 :],
                *(old[:at] + letter + old[at + 1 :] for letter in "abcd" if at < len(old)),
            )
        }
        found = found | last
    return found


def edit_distance(adversary: Any, X: Any, i: int, j: int) -> bool:
    return not edits(X[i], budget(adversary.k, i)).isdisjoint(edits(X[j], budget(adversary.k, j)))


def substitution(adversary: Any, X: Any, i: int, j: int) -> bool:
    synonyms = {"a": "abc", "b": "bd", "c": "ca", "d": "de"}

    def sentences(k: int) -> set[tuple[Hashable, ...]]:
        every = itertools.product(*(synonyms[token] for token in X[k]))
        return {z for z in every if changes(X[k], z) <= budget(adversary.k, k)}

    return not sentences(i).isdisjoint(sentences(j))


def finite_sets(adversary: Any, X: Any, i: int, j: int) -> bool:
    return any(a and b for a, b in zip(X[i].tolist(), X[j].tolist(), strict=True))


def geometric(adversary: Any, X: Any, i: int, j: int) -> bool:
    def images(k: int) -> set[bytes]:
        shift = budget(adversary.shifts, k)
        found = set()
        for turned in (X[k], np.rot90(X[k], -1, axes=(1, 0))):
            for move in itertools.product(range(-shift, shift + 1), repeat=2):
                found.add(ndimage.shift(turned, move, order=0, mode="constant").tobytes())
        return found

    return not images(i).isdisjoint(images(j))


def union(adversary: Any, X: Any, i: int, j: int) -> bool:
    """A ball and a ball, a box and a box, or a ball and a box: what the box leaves of the steps."""
    ball, cube = adversary.members
    if l2(ball, X, i, j) or linf(cube, X, i, j):
        return True
    for a, b in ((i, j), (j, i)):
        left = (max(step - budget(cube.eps, b), Fraction(0)) for step in steps(X, i, j))
        if sum(gap**2 for gap in left) <= budget(ball.eps, a) ** 2:
            return True
    return False


def intersection(adversary: Any, X: Any, i: int, j: int) -> bool:
    """The least scale of the budgets at which a linear program has a point, against 1."""
    total, largest = (float(member.eps[0]) for member in adversary.members)
    d = X.shape[1]
    # Unknown: z, the absolute steps from either example, and the scale, which is minimised.
    rows, limits = [], []
    for side, k in enumerate((i, j)):
        at = d * (1 + side)
        for f in range(d):
            for sign in (1.0, -1.0):
                row = np.zeros(3 * d + 1)
                row[f], row[at + f] = sign, -1.0
                rows.append(row)
                limits.append(sign * X[k][f])
            row = np.zeros(3 * d + 1)
            row[at + f], row[-1] = 1.0, -largest
            rows.append(row)
            limits.append(0.0)
        row = np.zeros(3 * d + 1)
        row[at : at + d], row[-1] = 1.0, -total
        rows.append(row)
        limits.append(0.0)
    cost = np.eye(3 * d + 1)[-1]
    bounds = [(None, None)] * d + [(0, None)] * (2 * d + 1)
    return clear(optimize.linprog(cost, A_ub=np.array(rows), b_ub=limits, bounds=bounds).fun - 1)


def clipped(adversary: Any, X: Any, i: int, j: int) -> bool:
    """Points of the segment between two examples are tried; they are within the limits, and one of them is deepest."""
    ball = adversary.adversary
    share = np.linspace(0, 1, 4001)[:, None]
    points = (1 - share) * X[i] + share * X[j]
    assert ((points >= 0) & (points <= 5)).all()
    excess = [np.linalg.norm(points - X[k], axis=1) - float(budget(ball.eps, k)) for k in (i, j)]
    deepest = float(np.maximum(*excess).min())
    assert abs(deepest) > 2e-3  # further than half a step
    return deepest < 0


def custom(adversary: Any, X: Any, i: int, j: int) -> bool:
    return clear(float(np.abs(X[i] - X[j]).max()) - 2)


def precomputed(adversary: Any, X: Any, i: int, j: int) -> bool:
    return Fraction(adversary.matrix[i, j]) <= reach(adversary, i, j)


ORACLES: dict[str, Oracle] = {
    "l1": l1,
    "l2": l2,
    "linf": linf,
    "lp": l_one_and_a_half,
    "weighted-lp": weighted,
    "ellipsoid": ellipsoid,
    "box": box,
    "hamming": hamming,
    "sparse-linf": sparse_linf,
    "edit-distance": edit_distance,
    "substitution": substitution,
    "finite-sets": finite_sets,
    "geometric": geometric,
    "union": union,
    "intersection": intersection,
    "clipped": clipped,
    "custom": custom,
    "precomputed": precomputed,
}
