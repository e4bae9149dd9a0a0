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
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor.certificates.conflicts import MatrixConflicts, NormConflicts, PairConflicts, conflict_test
from lossfloor.exceptions import CertificateError

_ROWS_AT_ONCE = 2048
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
        adversary = read_adversary(arrays["adversary"])
        return cls(classes=arrays["classes"], adversary=adversary, **{name: arrays[name] for name in kinds})


def read_adversary(text: npt.NDArray[Any]) -> dict[str, Any]:
    """Read the description of an adversary from an array that holds it as JSON."""
    try:
        adversary = json.loads(str(text[()]))
    except (ValueError, RecursionError):  # an error of JSON, or of a number with too many digits
        raise CertificateError("the description of the adversary is not JSON") from None
    if not isinstance(adversary, dict):
        raise CertificateError("the description of the adversary is no JSON object")
    return adversary


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
    check_labels(certificate.classes, certificate.codes, y)
    _check_block_weights(certificate)
    _check_flow(certificate)
    conflicts = conflict_test(certificate.adversary, len(certificate.codes), X, matrix, decide)
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
    # Were they the same, examples of one class could pass for two, and be said to conflict.
    if c.classes.dtype.kind not in "biuU" or c.classes[0] == c.classes[1]:
        raise CertificateError("classes must be two different labels: integers, booleans or strings")
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


def check_labels(classes: npt.NDArray[Any], codes: npt.NDArray[Any], y: Any) -> None:
    """Check that the data has the labels that a certificate speaks of."""
    labels = np.asarray(y)
    if labels.shape != codes.shape:
        raise CertificateError(f"the data has {labels.shape} labels, the certificate {codes.shape}")
    if labels.dtype == object:
        labels = labels.astype(str)
    expected = classes[codes.astype(np.intp)]
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


def _check_order(c: Certificate, conflicts: NormConflicts | MatrixConflicts | PairConflicts) -> int:
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
