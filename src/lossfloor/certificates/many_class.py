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
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import exact
from lossfloor._checks import as_points
from lossfloor.certificates.conflicts import NormConflicts, conflict_test
from lossfloor.certificates.two_class import check_labels, read_adversary
from lossfloor.exceptions import CertificateError

#: The losses whose bounds are checked.
MULTICLASS_LOSSES = ("cross_entropy", "zero_one", "brier")

_MOST_EXAMPLES = 2**31
_MOST_BITS = 4096
#: Digits of logarithms.
_DIGITS = 40
#: Features that are looked at together, in double precision.
_FEATURES_AT_ONCE = 2**20
_KINDS = {
    "codes": np.int32,
    "weight": np.int64,
    "offsets": np.int64,
    "members": np.int32,
    "witness": np.int32,
    "z": np.int64,
}


@dataclasses.dataclass(frozen=True)
class MulticlassCertificate:
    """Everything that proves a lower bound for more than two classes, beside the data.

    Attributes
    ----------
    classes : ndarray, shape (k,)
        The labels, each once.
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
        keys = {name: name if name in ("codes", "weight") else f"{loss}_{name}" for name in [*_KINDS, "bits"]}
        for key in [*keys.values(), "classes", "adversary"]:
            if key not in arrays:
                raise CertificateError(f"the certificate has no part {key!r}")
        bits = arrays[keys.pop("bits")]
        if bits.shape != () or bits.dtype.kind not in "iu":
            raise CertificateError(f"'{loss}_bits' must be a whole number")
        found = cls(
            classes=arrays["classes"],
            adversary=read_adversary(arrays["adversary"]),
            loss=loss,
            bits=int(bits),
            **{name: arrays[key] for name, key in keys.items()},
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
    if c.loss not in MULTICLASS_LOSSES:
        raise CertificateError(f"the loss must be one of {', '.join(MULTICLASS_LOSSES)}, is {c.loss!r}")
    for name, kind in _KINDS.items():
        part = getattr(c, name)
        if part.dtype != kind or part.ndim != 1:
            raise CertificateError(f"{name!r} must be a row of {np.dtype(kind)}, is {part.dtype} of shape {part.shape}")
    n, m = len(c.codes), len(c.z)
    if c.classes.ndim != 1 or len(c.classes) < 2 or not 0 < n < _MOST_EXAMPLES:
        raise CertificateError("the certificate must have two classes or more and a code for each example")
    # Were a label there twice, its examples could pass for two classes, and be said to conflict.
    if c.classes.dtype.kind not in "biuU" or len(np.unique(c.classes)) != len(c.classes):
        raise CertificateError("classes must be integers, booleans or strings, each label once")
    if c.codes.min() < 0 or c.codes.max() >= len(c.classes):
        raise CertificateError(f"codes must be between 0 and {len(c.classes) - 1}")
    if c.weight.shape != (n,) or c.weight.min() <= 0:
        raise CertificateError("weights must be positive, one for each example")
    if c.offsets.shape != (m + 1,) or c.offsets[0] != 0 or c.offsets[-1] != len(c.members):
        raise CertificateError("offsets must go from 0 to the number of members, one more than there are conflicts")
    # The range first: differences of numbers beyond it could wrap around.
    if c.offsets.min() < 0 or c.offsets.max() > len(c.members) or (m and np.diff(c.offsets).min() < 2):
        raise CertificateError("every conflict must have two members or more")
    if c.witness.shape != c.members.shape or (len(c.witness) and c.witness.min() < 0):
        raise CertificateError("witnesses must be weights of at least 0, one beside each member")
    if m and c.z.min() <= 0:
        raise CertificateError("weights of conflicts must be positive")
    if len(c.members) and (c.members.min() < 0 or c.members.max() >= n):
        raise CertificateError(f"members must be examples 0 to {n - 1}")
    if not isinstance(c.bits, int):  # one of NumPy's could overflow
        raise CertificateError(f"bits must be an int, are {c.bits!r}")
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
    degrees = np.diff(c.offsets)
    if name == "linf":  # boxes share a point if every two of them do (Helly)
        us, vs = _all_pairs(c)
        larger = np.empty(0, dtype=np.intp)
    else:
        pairs = c.offsets[:-1][degrees == 2]
        us, vs = c.members[pairs], c.members[pairs + 1]
        larger = np.flatnonzero(degrees > 2)
    found = conflicts.of_pairs(us.astype(np.intp), vs.astype(np.intp))
    if not found.all():
        e = int(np.flatnonzero(~found)[0])
        raise CertificateError(f"examples {us[e]} and {vs[e]} carry weight but do not conflict")
    if len(larger) and name == "precomputed":
        raise CertificateError("a matrix tells which pairs conflict, and nothing of larger conflicts")
    if name == "l2" and isinstance(conflicts, NormConflicts):
        balls = _Balls(conflicts, X)
        for e in larger[~balls.surely_hold(c)[larger]].tolist():
            part = slice(c.offsets[e], c.offsets[e + 1])
            members = c.members[part].tolist()
            if not balls.hold(members, c.witness[part].tolist()):
                raise CertificateError(f"the examples {members} carry weight, but their witness is not a common point")
        return
    if len(larger) and meets is None:
        raise CertificateError(f"conflicts of three and more against {name!r} are decided by the adversary: give it")
    for e in larger.tolist():
        members = c.members[c.offsets[e] : c.offsets[e + 1]].tolist()
        if meets is not None and not meets(members):
            raise CertificateError(f"the examples {members} carry weight, but the adversary finds no common point")


def _by_degree(c: MulticlassCertificate) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]]:
    """Yield the conflicts of each degree, and where their members stand."""
    degrees = np.diff(c.offsets)
    for degree in np.unique(degrees).tolist():
        which = np.flatnonzero(degrees == degree)
        yield which, c.offsets[which][:, None] + np.arange(degree)


def _all_pairs(c: MulticlassCertificate) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return every two members of every conflict."""
    us, vs = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int32)]
    for _, places in _by_degree(c):
        table = c.members[places]
        for i in range(table.shape[1]):
            for j in range(i):
                us.append(table[:, j])
                vs.append(table[:, i])
    return np.concatenate(us), np.concatenate(vs)


class _Balls:
    """Whether a mean of centres lies in all of their balls."""

    def __init__(self, conflicts: NormConflicts, X: Any) -> None:
        self._points = as_points("X", X)
        self._squares = [radius * radius for radius in conflicts.radii]
        self._radii = np.array([exact.bracket(radius)[0] for radius in conflicts.radii])

    def surely_hold(self, c: MulticlassCertificate) -> npt.NDArray[np.bool_]:
        """Tell for each conflict whether double precision proves that its witness is in all balls.

        With u = 2^-53 and M the largest entry of k centres, each feature of their mean is right to (k + 4) u M with
        the rounding of 64-bit integers, and that of a step from a centre to the mean to (k + 7) u M; a sum of d
        squares is right to (d + 1) u of it.  The bounds below are about twice that.  What underflows is beyond 2^-500.
        """
        sure = np.zeros(len(c.z), dtype=np.bool_)
        u, d = 2.0**-53, self._points.shape[1]
        for which, places in _by_degree(c):
            k = places.shape[1]
            at_once = max(1, _FEATURES_AT_ONCE // (k * d))
            for start in range(0, len(which) if k > 2 else 0, at_once):
                piece = places[start : start + at_once]
                members, t = c.members[piece], c.witness[piece].astype(np.float64)
                # Nothing that overflows or is divided by zero passes the comparison.
                with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
                    points = self._points[members].astype(np.float64)
                    largest = np.maximum(points.max(axis=(1, 2)), -points.min(axis=(1, 2)))
                    points -= np.einsum("ek,ekd->ed", t, points)[:, None] / t.sum(axis=1)[:, None, None]
                    distances = np.sqrt(np.einsum("ekd,ekd->ek", points, points)) * (1 + 4 * (d + 16) * u)
                    distances += d**0.5 * (2 * (k + 8) * u * largest[:, None] + 2.0**-500)
                    sure[which[start : start + at_once]] = np.all(distances <= self._radii[members], axis=1)
        return sure

    def hold(self, members: list[int], weights: list[int]) -> bool:
        """Decide exactly whether ``sum t_i x_i / sum t_i`` is at most r_i from every x_i.

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
