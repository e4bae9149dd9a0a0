"""The independent checker for more than two classes: whether a claimed lower bound is proved.

Let z be weights of at least 0 on conflicts, sets of examples whose neighbourhoods share a point, and s_v the sum of z
over those of example v.  At the common point of a conflict a classifier divides its probability, so that the
probabilities q that it keeps on the true classes of the members sum to at most one.  Hence, for its loss l,

    sum w_v l(q_v)  >=  sum w_v l(q_v) + sum_e z_e (sum_{v in e} q_v - 1)  >=  sum_v min_q (w_v l(q) + s_v q) - sum z.

So a bound is proved by looking at two things: that every conflict with weight is one, and the sum.
"""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._validation import as_points
from lossfloor.certificates.conflicts import NormConflicts, conflict_test
from lossfloor.certificates.two_class import check_labels, read_adversary
from lossfloor.exceptions import CertificateError

#: The losses whose bounds are checked.
MULTICLASS_LOSSES = ("cross_entropy", "zero_one", "brier")

_MOST_EXAMPLES = 2**31
_MOST_BITS = 4096
#: Digits of logarithms.
_DIGITS = 40


@dataclasses.dataclass(frozen=True)
class MulticlassCertificate:
    """Everything that proves a lower bound for more than two classes, beside the data.

    Attributes
    ----------
    classes : ndarray, shape (k,)
        The labels.
    codes : ndarray of int32, shape (n,)
        Position of each example's label in `classes`.
    weight : ndarray of int64, shape (n,)
        Positive integer weights.
    loss : str
        One of `MULTICLASS_LOSSES`.
    offsets : ndarray of int64, shape (m + 1,)
    members : ndarray of int32
        ``members[offsets[e]:offsets[e + 1]]`` are the examples of a conflict, ascending.
    witness : ndarray of int32, beside `members`
        For three and more Euclidean balls: whole weights, with which the mean of the examples lies in all the balls.
    z : ndarray of int64, shape (m,)
        Positive: the weight of a conflict is ``z * 2**-bits``, in units of the weights of the examples.
    bits : int
    adversary : mapping
        Configuration of the adversary (see the documentation of result files).
    """

    classes: npt.NDArray[Any]
    codes: npt.NDArray[np.int32]
    weight: npt.NDArray[np.int64]
    loss: str
    offsets: npt.NDArray[np.int64]
    members: npt.NDArray[np.int32]
    witness: npt.NDArray[np.int32]
    z: npt.NDArray[np.int64]
    bits: int
    adversary: Mapping[str, Any]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], loss: str) -> MulticlassCertificate:
        """Gather the parts of the certificate of a loss from the arrays of a file.

        Raises
        ------
        CertificateError
            If a part is missing or of the wrong kind.
        """
        common = {"codes": np.int32, "weight": np.int64}
        own = {"offsets": np.int64, "members": np.int32, "witness": np.int32, "z": np.int64}
        kinds = {**common, **{f"{loss}_{name}": kind for name, kind in own.items()}}
        for name in [*kinds, f"{loss}_bits", "classes", "adversary"]:
            if name not in arrays:
                raise CertificateError(f"the certificate has no part {name!r}")
            if name in kinds and (arrays[name].dtype != kinds[name] or arrays[name].ndim != 1):
                raise CertificateError(f"{name!r} must be a row of {np.dtype(kinds[name])}, is {arrays[name].dtype}")
        bits = arrays[f"{loss}_bits"]
        if bits.shape != () or bits.dtype.kind not in "iu":
            raise CertificateError(f"'{loss}_bits' must be a whole number")
        found = cls(
            classes=arrays["classes"],
            adversary=read_adversary(arrays["adversary"]),
            loss=loss,
            bits=int(bits),
            **{name: arrays[name] for name in common},
            **{name: arrays[f"{loss}_{name}"] for name in own},
        )
        _check_shapes(found)
        return found


@dataclasses.dataclass(frozen=True)
class MulticlassVerification:
    """What a successful check has established.

    Attributes
    ----------
    loss : str
    lower : Fraction
        The proved lower bound of the loss, mean over the weighted examples: the exact value of the dual solution for
        0-1 and Brier loss, rounded downwards for cross-entropy.
    n_examples : int
    n_conflicts : int
        Conflicts that carry weight, each decided again from the data.
    n_larger : int
        How many of them are of three examples and more.
    """

    loss: str
    lower: Fraction
    n_examples: int
    n_conflicts: int
    n_larger: int


def check_multiclass(
    certificate: MulticlassCertificate,
    X: Any,
    y: Any,
    *,
    matrix: Any = None,
    meets: Callable[[list[int]], bool] | None = None,
) -> MulticlassVerification:
    """Check a lower bound for more than two classes against the data.

    Parameters
    ----------
    certificate : MulticlassCertificate
    X : array_like, shape (n, ...)
        The examples; not looked at if the conflicts are given by `matrix`.
    y : array_like, shape (n,)
        The labels.
    matrix : array_like or sparse matrix, shape (n, n), optional
        The distances or conflicts, for a ``Precomputed`` adversary; it proves conflicts of two examples only.
    meets : callable, optional
        ``meets(members)`` tells whether the neighbourhoods of some examples share a point, for adversaries that this
        module does not decide: all but balls of l2 and maximum norms, and pairs of balls of any l_p norm.  What it
        says is believed: it is the definition of the adversary.

    Returns
    -------
    MulticlassVerification

    Raises
    ------
    CertificateError
        If anything does not hold; the message says what.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Lemma 2, which is weak duality, here for conflicts of any number of examples.
    """
    c = certificate
    _check_shapes(c)
    check_labels(c.classes, c.codes, y)
    _check_members(c)
    _check_conflicts(c, X, matrix, meets)
    total = sum(c.weight.tolist())
    return MulticlassVerification(
        loss=c.loss,
        lower=_bound(c) / total,
        n_examples=len(c.codes),
        n_conflicts=len(c.z),
        n_larger=int(np.count_nonzero(np.diff(c.offsets) > 2)),
    )


def _check_shapes(c: MulticlassCertificate) -> None:
    """Check that the parts fit together, which needs no data."""
    n, m = len(c.codes), len(c.z)
    if c.loss not in MULTICLASS_LOSSES:
        raise CertificateError(f"the loss must be one of {', '.join(MULTICLASS_LOSSES)}, is {c.loss!r}")
    if c.classes.ndim != 1 or len(c.classes) < 2 or not 0 < n < _MOST_EXAMPLES:
        raise CertificateError("the certificate must have two classes or more and a code for each example")
    if c.codes.min() < 0 or c.codes.max() >= len(c.classes):
        raise CertificateError(f"codes must be between 0 and {len(c.classes) - 1}")
    if c.weight.shape != (n,) or c.weight.min() <= 0:
        raise CertificateError("weights must be positive, one for each example")
    if c.offsets.shape != (m + 1,) or c.offsets[0] != 0 or c.offsets[-1] != len(c.members):
        raise CertificateError("offsets must go from 0 to the number of members, one more than there are conflicts")
    if m and np.diff(c.offsets).min() < 2:
        raise CertificateError("every conflict must have two members or more")
    if c.witness.shape != c.members.shape or (len(c.witness) and c.witness.min() < 0):
        raise CertificateError("witnesses must be weights of at least 0, one beside each member")
    if m and c.z.min() <= 0:
        raise CertificateError("weights of conflicts must be positive")
    if len(c.members) and (c.members.min() < 0 or c.members.max() >= n):
        raise CertificateError(f"members must be examples 0 to {n - 1}")
    if not -_MOST_BITS <= c.bits <= _MOST_BITS:
        raise CertificateError(f"bits must be between {-_MOST_BITS} and {_MOST_BITS}, are {c.bits}")


def _check_members(c: MulticlassCertificate) -> None:
    inside = np.ones(len(c.members), dtype=np.bool_)
    inside[c.offsets[:-1]] = False
    if np.any(np.diff(c.members.astype(np.int64), prepend=-1)[inside] <= 0):
        raise CertificateError("the members of a conflict must ascend")
    rows = np.repeat(np.arange(len(c.z)), np.diff(c.offsets))
    of_class = np.sort(rows * len(c.classes) + c.codes[c.members])
    twice = np.flatnonzero(np.diff(of_class) == 0)
    if len(twice):
        row = int(of_class[twice[0]]) // len(c.classes)
        members = c.members[c.offsets[row] : c.offsets[row + 1]].tolist()
        raise CertificateError(f"two of the examples {members} are of one class, they do not conflict")


def _check_conflicts(c: MulticlassCertificate, X: Any, matrix: Any, meets: Callable[[list[int]], bool] | None) -> None:
    """Decide again whether the members of each conflict share a point."""
    name, n = c.adversary.get("name"), len(c.codes)
    decide = None if meets is None else (lambda u, v: meets([u, v]))
    conflicts = conflict_test(c.adversary, n, X, matrix, decide)
    if name == "linf":  # boxes share a point if every two of them do (Helly)
        us, vs = _all_pairs(c)
        larger: Sequence[int] = []
    else:
        degrees = np.diff(c.offsets)
        pairs = c.offsets[:-1][degrees == 2]
        us, vs = c.members[pairs], c.members[pairs + 1]
        larger = np.flatnonzero(degrees > 2).tolist()
    found = conflicts.of_pairs(us.astype(np.intp), vs.astype(np.intp))
    if not found.all():
        e = int(np.flatnonzero(~found)[0])
        raise CertificateError(f"examples {us[e]} and {vs[e]} carry weight but do not conflict")
    if larger and name == "precomputed":
        raise CertificateError("a matrix tells which pairs conflict, and nothing of larger conflicts")
    balls = _Balls(conflicts, X) if name == "l2" and isinstance(conflicts, NormConflicts) else None
    for e in larger:
        part = slice(c.offsets[e], c.offsets[e + 1])
        members = c.members[part].tolist()
        if balls is not None:
            inside = balls.hold(members, c.witness[part].tolist())
        elif meets is None:
            raise CertificateError(
                f"conflicts of three and more against {name!r} are decided by the adversary: give it"
            )
        else:
            inside = meets(members)
        if not inside:
            raise CertificateError(f"the examples {members} carry weight, but their witness is not a common point")


def _all_pairs(c: MulticlassCertificate) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return every two members of every conflict."""
    us, vs = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int32)]
    degrees = np.diff(c.offsets)
    for degree in sorted(set(degrees.tolist())):
        table = c.members[c.offsets[:-1][degrees == degree][:, None] + np.arange(degree)]
        for i in range(degree):
            for j in range(i):
                us.append(table[:, j])
                vs.append(table[:, i])
    return np.concatenate(us), np.concatenate(vs)


class _Balls:
    """Whether a mean of centres lies in all of their balls, in exact arithmetic."""

    def __init__(self, conflicts: NormConflicts, X: Any) -> None:
        self._points = as_points("X", X)
        self._squares = [radius * radius for radius in conflicts.radii]

    def hold(self, members: list[int], weights: list[int]) -> bool:
        """Tell whether ``sum t_i x_i / sum t_i`` is at most r_i from every x_i.

        With T the sum of the weights and c the mean, ``T (x_i - c)`` is a sum of whole multiples of the features.
        """
        total = sum(weights)
        if total <= 0:
            return False
        points = self._points[members]
        if points.dtype.kind in "iu" and points.dtype.itemsize <= 2 and total < 2**31 and points.shape[1] < 2**14:
            # Steps are below 2^48; as two digits of 24 bits, sums of their products fit 64 bits.
            whole = points.astype(np.int64)
            steps = total * whole - np.array(weights, dtype=np.int64) @ whole
            high, low = np.divmod(np.abs(steps), 2**24)
            sums = [(int(a @ a) << 48) + (int(a @ b) << 25) + int(b @ b) for a, b in zip(high, low, strict=True)]
            scale = Fraction(1)
        else:
            rows, exponent = exact.integer_rows(points)
            middle = [sum(t * x for t, x in zip(weights, column, strict=True)) for column in zip(*rows, strict=True)]
            sums = [sum((total * x - m) ** 2 for x, m in zip(row, middle, strict=True)) for row in rows]
            scale = exact.power_of_two(2 * exponent)
        return all(s * scale <= self._squares[v] * total * total for s, v in zip(sums, members, strict=True))


def _bound(c: MulticlassCertificate) -> Fraction:
    """Return the sum that proves the bound, in units of the weights."""
    sums = [0] * len(c.codes)
    for e, z in enumerate(c.z.tolist()):
        for v in c.members[c.offsets[e] : c.offsets[e + 1]].tolist():
            sums[v] += z
    unit = exact.power_of_two(-c.bits)
    paid: Fraction = sum(c.z.tolist()) * unit
    gained = Fraction(0)
    if c.loss == "cross_entropy":
        return _entropy_sum(sums, c.weight.tolist(), unit) - paid
    plain = 0
    square: dict[int, int] = {}  # in units of z, by weight, so that there are few quotients to add
    for s, w in zip(sums, c.weight.tolist(), strict=True):
        limit = w if c.loss == "zero_one" else 2 * w
        if s * unit >= limit:
            gained += w
            continue
        plain += s
        if c.loss == "brier":
            square[w] = square.get(w, 0) + s * s
    gained += plain * unit - sum((Fraction(value, 4 * w) for w, value in square.items()), Fraction(0)) * unit * unit
    return gained - paid


def _entropy_sum(sums: list[int], weights: list[int], unit: Fraction) -> Fraction:
    """Return the sum of ``s`` where s <= w, else ``w + w log(s / w)``, rounded downwards.

    `decimal` rounds each operation, the logarithm included, correctly in the direction that is asked for.
    """
    down = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_FLOOR, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
    plain, logs = Fraction(0), decimal.Decimal(0)
    known: dict[tuple[int, int], decimal.Decimal] = {}
    below = 0
    for s, w in zip(sums, weights, strict=True):
        if s * unit <= w:
            below += s
            continue
        plain += w
        if (s, w) not in known:
            ratio = s * unit / w
            quotient = down.divide(decimal.Decimal(ratio.numerator), decimal.Decimal(ratio.denominator))
            # `ln` rounds to the nearest whatever the context says: a step down is below the true logarithm.
            logarithm = down.next_minus(down.ln(quotient))
            known[s, w] = down.multiply(decimal.Decimal(w), max(logarithm, decimal.Decimal(0)))
        logs = down.add(logs, known[s, w])
    return plain + below * unit + Fraction(logs)
