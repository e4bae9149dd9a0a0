"""The independent checker: whether a claimed floor is proved by its certificate and the data.

This module shares no code with the solver or the kernels.  It needs no max-flow: the certificate carries the flow, and
checking takes sums of integers and a look at the conflicts.

What is checked, and why it suffices.  Let block i have weights a_i (first class) and b_i (second class), summed from
the examples, and posterior a_i / (a_i + b_i).

1. Flow.  Inside each block, integer flows on conflicts; each example of the first class with weight w sends
   ``w b_i / g`` and each of the second takes ``w a_i / g``, with ``g = gcd(a_i, b_i)``.  By weak duality no classifier
   has a smaller loss on the block than a classifier that keeps the posterior on all of it (Lemma 2 of the paper).
2. Feasibility.  No example of a higher block conflicts with an example of the second class in a lower block.  Then
   some classifier reaches the posteriors of all blocks at once (Lemma 1 of the paper).

So the floor is not above (1) and not below (2) what the blocks say, for every loss at once.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lossfloor import exact
from lossfloor._validation import as_points
from lossfloor.exceptions import CertificateError

_ROWS_AT_ONCE = 2048
_PAIRS_AT_ONCE = 1024
_MOST_EXAMPLES = 2**31


@dataclasses.dataclass(frozen=True)
class Certificate:
    """Everything that proves a floor, beside the data.

    Attributes
    ----------
    classes : ndarray, shape (2,)
        The labels of the first and of the second class.
    codes : ndarray of int8, shape (n,)
        0 for examples of the first class, 1 for the second.
    weight : ndarray of int64, shape (n,)
        Positive integer weights.
    block : ndarray of int32, shape (n,)
        Block of each example; blocks ascend in their posterior.
    a, b : ndarray of int64, shape (n_blocks,)
        Weight of the first and of the second class in each block.
    flow_edges : ndarray of int32, shape (k, 2)
        Positions of two examples in conflict, one of the first class and one of the second.
    flow_high, flow_low : ndarray of int64 and uint64, shape (k,)
        The flow between them, ``flow_high * 2**64 + flow_low``.
    adversary : mapping
        Configuration of the adversary (see the documentation of result files).
    """

    classes: npt.NDArray[Any]
    codes: npt.NDArray[np.int8]
    weight: npt.NDArray[np.int64]
    block: npt.NDArray[np.int32]
    a: npt.NDArray[np.int64]
    b: npt.NDArray[np.int64]
    flow_edges: npt.NDArray[np.int32]
    flow_high: npt.NDArray[np.int64]
    flow_low: npt.NDArray[np.uint64]
    adversary: Mapping[str, Any]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the parts as arrays that an .npz file can hold."""
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        parts["adversary"] = np.array(json.dumps(self.adversary, sort_keys=True))
        return parts

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Certificate:
        """Gather the parts of a certificate from the arrays of a file.

        Raises
        ------
        CertificateError
            If a part is missing or of the wrong kind.
        """
        kinds = {
            "codes": np.int8,
            "weight": np.int64,
            "block": np.int32,
            "a": np.int64,
            "b": np.int64,
            "flow_edges": np.int32,
            "flow_high": np.int64,
            "flow_low": np.uint64,
        }
        for name in [*kinds, "classes", "adversary"]:
            if name not in arrays:
                raise CertificateError(f"the certificate has no part {name!r}")
            if name in kinds and arrays[name].dtype != kinds[name]:
                raise CertificateError(f"{name!r} must be {np.dtype(kinds[name])}, is {arrays[name].dtype}")
        try:
            adversary = json.loads(str(arrays["adversary"][()]))
        except (json.JSONDecodeError, RecursionError):
            raise CertificateError("the description of the adversary is not JSON") from None
        if not isinstance(adversary, dict):
            raise CertificateError("the description of the adversary is no JSON object")
        return cls(classes=arrays["classes"], adversary=adversary, **{name: arrays[name] for name in kinds})


@dataclasses.dataclass(frozen=True)
class Verification:
    """What a successful check has established.

    Attributes
    ----------
    n_examples, n_blocks : int
    n_flow_conflicts : int
        Conflicts that carry flow, each decided again from the data.
    n_pairs_excluded : int
        Pairs of examples that must not conflict, each decided again from the data.
    cross_entropy : float
        The proved floor in nats, mean over the weighted examples, summed here from the blocks.
    zero_one, brier : Fraction
        The proved floors of these losses, exact.
    """

    n_examples: int
    n_blocks: int
    n_flow_conflicts: int
    n_pairs_excluded: int
    cross_entropy: float
    zero_one: Fraction
    brier: Fraction


def check(
    certificate: Certificate,
    X: Any,
    y: Any,
    *,
    matrix: Any = None,
    decide: Callable[[int, int], bool] | None = None,
) -> Verification:
    """Check a certificate against the data, in exact arithmetic.

    Parameters
    ----------
    certificate : Certificate
    X : array_like, shape (n, ...)
        The examples; not looked at if the conflicts are given by `matrix`.
    y : array_like, shape (n,)
        The labels.
    matrix : array_like or sparse matrix, shape (n, n), optional
        The distances or conflicts, for a ``Precomputed`` adversary.
    decide : callable, optional
        ``decide(u, v)`` tells whether the examples at two positions conflict, for adversaries that `decides` does not
        name.  What it says is believed: it is the definition of the adversary.  It is asked pair by pair, without any
        short cut, so this takes time for more than some thousand examples.

    Returns
    -------
    Verification

    Raises
    ------
    CertificateError
        If anything does not hold; the message says what.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Lemmas 1 and 2.
    """
    check_shapes(certificate)
    _check_labels(certificate, y)
    _check_block_weights(certificate)
    _check_flow(certificate)
    conflicts = _conflict_test(certificate, X, matrix, decide)
    edges = certificate.flow_edges
    carried = conflicts.of_pairs(edges[:, 0], edges[:, 1])
    if not carried.all():
        u, v = edges[np.flatnonzero(~carried)[0]].tolist()
        raise CertificateError(f"examples {u} and {v} carry flow but do not conflict")
    n_excluded = _check_order(certificate, conflicts)
    pairs = list(zip(certificate.a.tolist(), certificate.b.tolist(), strict=True))
    total = sum(a + b for a, b in pairs)  # in integers of any size
    return Verification(
        n_examples=len(certificate.codes),
        n_blocks=len(certificate.a),
        n_flow_conflicts=len(edges),
        n_pairs_excluded=n_excluded,
        cross_entropy=math.fsum(_entropy_weight(a, b) for a, b in pairs) / total,
        zero_one=Fraction(sum(min(a, b) for a, b in pairs), total),
        brier=sum((Fraction(a * b, a + b) for a, b in pairs), Fraction(0)) / total,
    )


def _entropy_weight(a: int, b: int) -> float:
    """Return (a + b) times the entropy of a : b in nats."""
    if a == 0 or b == 0:
        return 0.0
    return a * math.log1p(b / a) + b * math.log1p(a / b)


def check_shapes(c: Certificate) -> None:
    """Check that the parts fit together, which needs no data.

    Raises
    ------
    CertificateError
        If they do not.
    """
    n, k = len(c.codes), len(c.a)
    if c.classes.shape != (2,) or c.codes.shape != (n,) or not 0 < n < _MOST_EXAMPLES:
        raise CertificateError("the certificate must have two classes and a code for each example")
    for name, shape in {"weight": (n,), "block": (n,), "a": (k,), "b": (k,)}.items():
        if getattr(c, name).shape != shape:
            raise CertificateError(f"{name!r} must have shape {shape}, has {getattr(c, name).shape}")
    flows = len(c.flow_high)
    if c.flow_edges.shape != (flows, 2) or c.flow_low.shape != (flows,) or c.flow_high.shape != (flows,):
        raise CertificateError("the parts of the flow must have one entry for each edge")
    if not np.isin(c.codes, (0, 1)).all():
        raise CertificateError("codes must be 0 or 1")
    if c.weight.min() <= 0:
        raise CertificateError("weights must be positive")
    if k == 0 or c.block.min() < 0 or c.block.max() >= k:
        raise CertificateError(f"blocks must be numbered from 0 to {k - 1}")
    if flows and (c.flow_edges.min() < 0 or c.flow_edges.max() >= n):
        raise CertificateError(f"flow edges must join examples 0 to {n - 1}")


def _check_labels(c: Certificate, y: Any) -> None:
    labels = np.asarray(y)
    if labels.shape != c.codes.shape:
        raise CertificateError(f"the data has {labels.shape} labels, the certificate {c.codes.shape}")
    if labels.dtype == object:
        labels = labels.astype(str)
    expected = c.classes[c.codes.astype(np.intp)]
    different = np.flatnonzero(labels != expected)
    if len(different):
        i = int(different[0])
        raise CertificateError(f"example {i} has the label {labels[i]!r}, the certificate says {expected[i]!r}")


def _check_block_weights(c: Certificate) -> None:
    sums = [[0] * len(c.a), [0] * len(c.a)]
    for code, block, weight in zip(c.codes.tolist(), c.block.tolist(), c.weight.tolist(), strict=True):
        sums[code][block] += weight
    if sums[0] != c.a.tolist() or sums[1] != c.b.tolist():
        raise CertificateError("the weights of the blocks are not the sums over their examples")
    pairs = list(zip(*sums, strict=True))
    if any(a + b == 0 for a, b in pairs):
        raise CertificateError("a block is empty")
    for (a, b), (next_a, next_b) in itertools.pairwise(pairs):
        if a * next_b >= next_a * b:
            raise CertificateError("the posteriors of the blocks do not ascend")


def _check_flow(c: Certificate) -> None:
    sent = [0] * len(c.codes)
    codes, blocks = c.codes.tolist(), c.block.tolist()
    flows = zip(c.flow_edges.tolist(), c.flow_high.tolist(), c.flow_low.tolist(), strict=True)
    for (u, v), high, low in flows:
        amount = high * 2**64 + low
        if amount <= 0:
            raise CertificateError(f"the flow from {u} to {v} is not positive")
        if codes[u] != 0 or codes[v] != 1:
            raise CertificateError(f"the flow from {u} to {v} does not go from the first class to the second")
        if blocks[u] != blocks[v]:
            raise CertificateError(f"the flow from {u} to {v} leaves its block")
        sent[u] += amount
        sent[v] += amount
    units = []
    for a, b in zip(c.a.tolist(), c.b.tolist(), strict=True):
        g = math.gcd(a, b)
        units.append((b // g, a // g))
    for i, (code, block, weight) in enumerate(zip(codes, blocks, c.weight.tolist(), strict=True)):
        due = weight * units[block][code]
        if sent[i] != due:
            raise CertificateError(f"the flow at example {i} is {sent[i]}, must be {due}")


def _check_order(c: Certificate, conflicts: _NormConflicts | _MatrixConflicts | _PairConflicts) -> int:
    """Look for a conflict from a higher block down to a lower one; return the number of pairs looked at."""
    left, right = np.flatnonzero(c.codes == 0), np.flatnonzero(c.codes == 1)
    left = left[np.argsort(-c.block[left], kind="stable")]
    right = right[np.argsort(c.block[right], kind="stable")]
    right_blocks = c.block[right]
    n_pairs = 0
    for start in range(0, len(left), _ROWS_AT_ONCE):
        rows = left[start : start + _ROWS_AT_ONCE]
        below = np.searchsorted(right_blocks, c.block[rows], side="left")  # right examples in lower blocks
        columns = right[: below.max()]
        if len(columns) == 0:
            break
        excluded = np.arange(len(columns))[None, :] < below[:, None]
        n_pairs += int(below.sum())
        found = conflicts.first_of_product(rows, columns, excluded)
        if found is not None:
            raise CertificateError(
                f"examples {found[0]} and {found[1]} conflict, but the posterior of the first is higher: "
                "no classifier reaches both"
            )
    return n_pairs


class _PairConflicts:
    """Conflicts as the adversary defines them, asked for pair by pair."""

    def __init__(self, decide: Callable[[int, int], bool]) -> None:
        self._decide = decide

    def of_pairs(self, us: npt.NDArray[Any], vs: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        pairs = zip(us.tolist(), vs.tolist(), strict=True)
        return np.array([self._decide(u, v) for u, v in pairs], dtype=np.bool_)

    def first_of_product(
        self, rows: npt.NDArray[Any], columns: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]
    ) -> tuple[int, int] | None:
        for i, j in np.argwhere(wanted).tolist():
            if self._decide(int(rows[i]), int(columns[j])):
                return int(rows[i]), int(columns[j])
        return None


class _MatrixConflicts:
    """Conflicts as a matrix of distances or conflicts gives them."""

    def __init__(self, config: Mapping[str, Any], matrix: Any, n: int) -> None:
        if matrix is None:
            raise CertificateError("the conflicts were given by a matrix: give it again to check them")
        if sparse.issparse(matrix):
            self._matrix: Any = sparse.csr_array(matrix, copy=True)
            self._matrix.sum_duplicates()
        else:
            self._matrix = np.asarray(matrix)
        if self._matrix.shape != (n, n):
            raise CertificateError(f"the matrix must be {n} x {n}, is {self._matrix.shape}")
        if self._matrix.dtype.kind not in "biuf":
            raise CertificateError(f"the matrix must hold real numbers, holds {self._matrix.dtype}")
        self._eps = _budgets(config, n) if "eps" in config else None
        # Rounded up, so that comparing with them leaves out no conflict.
        self._coarse_eps = np.array([exact.bracket(eps)[1] for eps in self._eps or ()])

    def of_pairs(self, us: npt.NDArray[Any], vs: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        answer = np.zeros(len(us), dtype=np.bool_)
        for k, (u, v) in enumerate(zip(us.tolist(), vs.tolist(), strict=True)):
            stored, value = self._entry(u, v)
            if self._eps is None:
                answer[k] = stored and value != 0
            elif stored and np.isfinite(value):
                answer[k] = exact.fraction_of(value) <= self._eps[u] + self._eps[v]
        return answer

    def _entry(self, u: int, v: int) -> tuple[bool, Any]:
        if not sparse.issparse(self._matrix):
            return True, self._matrix[u, v]
        matrix: Any = self._matrix
        begin, end = matrix.indptr[u : u + 2]
        at = begin + np.flatnonzero(matrix.indices[begin:end] == v)
        return (len(at) > 0, matrix.data[at[0]] if len(at) else 0)

    def first_of_product(
        self, rows: npt.NDArray[Any], columns: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]
    ) -> tuple[int, int] | None:
        if sparse.issparse(self._matrix):
            part = sparse.coo_array(self._matrix[rows][:, columns])
            i, j = part.coords
            chosen = wanted[i, j]
            us, vs = rows[i[chosen]], columns[j[chosen]]
            if self._eps is not None:
                with np.errstate(over="ignore"):
                    limits = self._coarse_eps[us] + self._coarse_eps[vs]
                    near = part.data[chosen] <= limits * (1 + 2.0**-40)
                us, vs = us[near], vs[near]
        else:
            entries = self._matrix[np.ix_(rows, columns)]
            if self._eps is None:
                i, j = np.nonzero(wanted & (entries != 0))
            else:
                with np.errstate(over="ignore"):
                    limits = self._coarse_eps[rows][:, None] + self._coarse_eps[columns][None, :]
                    i, j = np.nonzero(wanted & (entries <= limits * (1 + 2.0**-40)))
            us, vs = rows[i], columns[j]
        return _first(self.of_pairs(us, vs), us, vs)


class _NormConflicts:
    """Conflicts of balls of an l_p norm: a distance of at most the sum of the radii, decided exactly."""

    def __init__(self, config: Mapping[str, Any], X: Any, n: int) -> None:
        orders: dict[str, exact.Order] = {"l1": Fraction(1), "l2": Fraction(2), "linf": None}
        try:
            if config["name"] == "lp":
                self._order: exact.Order = None if config["p"] == "inf" else _rational(config["p"])
            else:
                self._order = orders[config["name"]]
            unit = _rational(config["unit"])
        except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
            raise CertificateError(f"the adversary cannot be read: {error!r}") from None
        if unit <= 0 or (self._order is not None and self._order < 1):
            raise CertificateError("the adversary must have a positive unit and an order of at least 1")
        if self._order is not None and self._order.numerator > exact.LARGEST_POWER:
            raise CertificateError(f"the order of the norm must be of integers up to {exact.LARGEST_POWER}")
        try:
            self._points = as_points("X", X)
        except (TypeError, ValueError) as error:
            raise CertificateError(str(error)) from None
        if len(self._points) != n:
            raise CertificateError(f"the data has {len(self._points)} examples, the certificate {n}")
        self._radii = [unit * eps for eps in _budgets(config, n)]
        # Powers of distances neither overflow nor vanish when the largest threshold is near 1.
        largest = 2 * max(self._radii) or exact.fraction_of(np.abs(self._points.astype(np.float64)).max())
        self._exponent = largest.numerator.bit_length() - largest.denominator.bit_length()
        scale = exact.power_of_two(-self._exponent)
        self._scaled_radii = np.array([exact.bracket(radius * scale)[1] for radius in self._radii])

    def of_pairs(self, us: npt.NDArray[Any], vs: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        answer = np.zeros(len(us), dtype=np.bool_)
        thresholds: dict[Fraction, tuple[float, float]] = {}
        for start in range(0, len(us), _PAIRS_AT_ONCE):
            piece = slice(start, start + _PAIRS_AT_ONCE)
            keys, error = self._keys(us[piece], vs[piece])
            with np.errstate(invalid="ignore"):  # infinity less infinity leaves its pair open
                low, high = keys - error, keys + error
            for k, (u, v) in enumerate(zip(us[piece].tolist(), vs[piece].tolist(), strict=True)):
                threshold = self._radii[u] + self._radii[v]
                if threshold not in thresholds:
                    power = Fraction(1) if self._order is None else self._order
                    thresholds[threshold] = exact.power_bracket(threshold, power)
                lower, upper = thresholds[threshold]
                if high[k] <= lower:
                    answer[start + k] = True
                elif not low[k] > upper:
                    steps, exponent = exact.differences(self._points[u], self._points[v])
                    answer[start + k] = exact.norm_at_most(steps, exponent, self._order, threshold)
        return answer

    def _keys(
        self, us: npt.NDArray[Any], vs: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Compute distances to the p-th power in double precision, and bound their rounding."""
        power = 1.0 if self._order is None else float(self._order)
        a, b = self._points[us], self._points[vs]
        d = a.shape[1]
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            steps = np.abs(a.astype(np.float64) - b.astype(np.float64))
            keys = steps.max(axis=1) if self._order is None else (steps**power).sum(axis=1)
            # Whole numbers of moderate size have exact differences, and exact sums of small whole powers.
            small = self._points.dtype.kind in "iu" and self._points.dtype.itemsize <= 4
            if small and power in (1.0, 2.0):
                return keys, np.where(keys < 2.0**53, 0.0, np.inf)
            usual = self._points.dtype.kind == "f" or small
            # A rounded exponent counts too: |log| of a double is below 750.
            error = 4 * (d + 512 * power) * 2.0**-53 * keys + d * 2.0**-1060
            return keys, error if usual else np.full(len(keys), np.inf)

    def first_of_product(
        self, rows: npt.NDArray[Any], columns: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]
    ) -> tuple[int, int] | None:
        possible = wanted & self._possible(rows, columns)
        i, j = np.nonzero(possible)
        for start in range(0, len(i), 1024):
            us, vs = rows[i[start : start + 1024]], columns[j[start : start + 1024]]
            found = _first(self.of_pairs(us, vs), us, vs)
            if found is not None:
                return found
        return None

    def _possible(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell which pairs cannot be excluded in double precision; never leaves out a conflict."""
        from scipy.spatial import distance

        u = 2.0**-53
        d = self._points.shape[1]
        power = 1.0 if self._order is None else float(self._order)
        limit = (self._scaled_radii[rows][:, None] + self._scaled_radii[columns][None, :]) * (1 + 4 * u)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            points = (self._points[side].astype(np.float64) for side in (rows, columns))
            left, right = (np.ldexp(side, -self._exponent) for side in points)
            # int64 entries of 2^53 and more are rounded on the way; each by less than u of its size.
            largest = max(float(np.abs(left).max()), float(np.abs(right).max()))
            inexact = self._points.dtype.kind != "f" and np.ldexp(largest, self._exponent) >= 2.0**53
            moved = 4 * d * u * largest if inexact else 0.0
            # What underflows, in the scaling and in the powers, changes the sum of these by less than 16 d 2^-1074.
            moved += 2.0 ** ((math.log2(d) + 4 - 1074) / power)
            if self._order == 2:
                centre = left.mean(axis=0)
                left -= centre
                right -= centre
                squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None, :]
                squared = squares - 2 * (left @ right.T)
                # Product, squares and centring: (d + 8) u of the sum of squares each, and twice that to be safe.
                squared -= 8 * (d + 8) * u * squares
                distances = np.sqrt(np.maximum(squared, 0)) * (1 - 4 * u)
                # Squares that overflow say nothing of a pair.
                distances[~np.isfinite(squared)] = 0.0
            else:
                metric = {Fraction(1): "cityblock", None: "chebyshev"}.get(self._order, "minkowski")
                options = {"p": power} if metric == "minkowski" else {}
                # A rounded exponent counts too: |log| of a double is below 750.
                distances = distance.cdist(left, right, metric, **options) * (1 - 4 * (d + 512) * u)
            # Not (distance > limit): a NaN is possible too.
            return np.asarray(~(distances - moved > limit))


def _rational(text: object) -> Fraction:
    """Read ``"23/5"``; not ``"1e999999999"``, which would never end."""
    if not isinstance(text, str) or re.fullmatch(r"-?[0-9]+(/[0-9]+)?", text) is None:
        raise ValueError(f"{text!r} is no quotient of integers")
    return Fraction(text)


def _budgets(config: Mapping[str, Any], n: int) -> list[Fraction]:
    try:
        eps = config["eps"]
        budgets = [_rational(eps)] * n if isinstance(eps, str) else [_rational(value) for value in eps]
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise CertificateError(f"the budgets of the adversary cannot be read: {error!r}") from None
    if len(budgets) != n or min(budgets) < 0:
        raise CertificateError(f"the adversary must have {n} budgets of at least 0")
    return budgets


def decides(adversary: Mapping[str, Any]) -> bool:
    """Tell whether this module decides the conflicts of an adversary by itself, from its configuration."""
    return adversary.get("name") in ("l1", "l2", "linf", "lp", "precomputed")


def _conflict_test(
    c: Certificate, X: Any, matrix: Any, decide: Callable[[int, int], bool] | None
) -> _NormConflicts | _MatrixConflicts | _PairConflicts:
    if not decides(c.adversary):
        if decide is None:
            raise CertificateError(f"conflicts of {c.adversary.get('name')!r} are decided by the adversary: give it")
        return _PairConflicts(decide)
    if c.adversary["name"] == "precomputed":
        return _MatrixConflicts(c.adversary, matrix, len(c.codes))
    return _NormConflicts(c.adversary, X, len(c.codes))


def _first(flags: npt.NDArray[np.bool_], us: npt.NDArray[Any], vs: npt.NDArray[Any]) -> tuple[int, int] | None:
    where = np.flatnonzero(flags)
    return (int(us[where[0]]), int(vs[where[0]])) if len(where) else None
