"""The checker of proofs: it accepts what is proved, and nothing else, from whatever file it comes."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import subprocess
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from support.brute_force import AllPairs
from support.graphs import Case, random_case

import lossfloor as lf
from lossfloor import certificates
from lossfloor.certificates import Certificate, check

Mutation = Callable[[Certificate, np.random.Generator], Certificate | None]


@dataclasses.dataclass(frozen=True)
class Problem:
    """A floor with several blocks, and what it is checked against."""

    floor: lf.Floor
    X: Any
    y: Any
    matrix: Any = None

    def check(self, certificate: Certificate) -> certificates.Verification:
        return check(certificate, self.X, self.y, matrix=self.matrix)


def grid(rng: np.random.Generator, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Points on a grid, the first class more often on the right."""
    X = rng.integers(0, 14, (n, 2))
    return X, np.where(rng.random(n) < 0.2 + 0.6 * X[:, 0] / 14, "apple", "pear")


def problem(kind: str, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    X, y = grid(rng)
    if kind == "matrix":
        case = random_case(rng, largest=30)
        while len(case.edges) < 20:
            case = random_case(rng, largest=30)
        C = case.matrix()
        weights = np.concatenate(case.weights)
        return Problem(
            lf.floor(None, case.labels, lf.Precomputed(conflicts=C), sample_weight=weights), None, case.labels, C
        )
    if kind == "sparse distances":
        D = np.abs(X[:, None] - X[None]).sum(axis=2)
        near = sparse.csr_array(np.where(D <= 5, D + 1, 0))  # the matrix holds no explicit zero
        return Problem(lf.floor(None, y, lf.Precomputed(distances=near, eps=1.5)), None, y, near)
    if kind == "huge weights":
        weights = rng.integers(2**50, 2**55, len(y))
        return Problem(lf.floor(X, y, lf.L2(1), sample_weight=weights), X, y)
    adversary = {
        "l2": lf.L2(1),
        "l1": lf.L1("3/2"),
        "linf": lf.Linf(rng.integers(0, 9, len(y)) / 8),
        "l3": lf.Lp(3, 1.1),
        "l1.5": lf.Lp(1.5, 1),
    }[kind]
    return Problem(lf.floor(X, y, adversary, sample_weight=rng.integers(1, 5, len(y))), X, y)


KINDS = ["l2", "l1", "linf", "l3", "l1.5", "matrix", "sparse distances", "huge weights"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_what_the_solver_says_is_accepted(kind: str, seed: int) -> None:
    case = problem(kind, seed)
    verification = case.check(case.floor.certificate)
    assert verification.n_blocks == case.floor.n_blocks
    assert verification.n_examples == case.floor.n_examples
    assert verification.n_flow_conflicts == len(case.floor.blocks.flow_edges)
    assert verification.zero_one == case.floor.exact_loss("zero_one")
    assert verification.brier == case.floor.exact_loss("brier")
    assert verification.cross_entropy == pytest.approx(case.floor.cross_entropy, rel=1e-14)
    assert case.floor.verify() == verification
    if kind not in ("matrix",):
        assert case.floor.n_blocks > 3  # else the mutations below say little


# Every mutation must be rejected.


def amounts(c: Certificate) -> list[int]:
    return [(high << 64) + low for high, low in zip(c.flow_high.tolist(), c.flow_low.tolist(), strict=True)]


def with_flow(c: Certificate, edges: Any, flow: list[int]) -> Certificate:
    return dataclasses.replace(
        c,
        flow_edges=np.array(edges, dtype=np.int32).reshape(-1, 2),
        flow_high=np.array([amount >> 64 for amount in flow], dtype=np.int64),
        flow_low=np.array([amount % 2**64 for amount in flow], dtype=np.uint64),
    )


def with_blocks(c: Certificate, block: np.ndarray) -> Certificate:
    """Put examples into other blocks, with the weights of the blocks as they then are, in ascending order."""
    kept, block = np.unique(block, return_inverse=True)
    sums = np.zeros((len(kept), 2), dtype=object)
    for place, code, weight in zip(block.tolist(), c.codes.tolist(), c.weight.tolist(), strict=True):
        sums[place, code] += weight
    order = sorted(range(len(kept)), key=lambda i: Fraction(sums[i, 0], sums[i, 0] + sums[i, 1]))
    rank = np.argsort(order)
    return dataclasses.replace(
        c,
        block=rank[block].astype(np.int32),
        a=sums[order, 0].astype(np.int64),
        b=sums[order, 1].astype(np.int64),
    )


def some_flow(c: Certificate, rng: np.random.Generator) -> int | None:
    return int(rng.integers(len(c.flow_edges))) if len(c.flow_edges) else None


def one_more(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    k = some_flow(c, rng)
    if k is None:
        return None
    flow = amounts(c)
    flow[k] += 1
    return with_flow(c, c.flow_edges, flow)


def one_less(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    k = some_flow(c, rng)
    if k is None:
        return None
    flow = amounts(c)
    flow[k] -= 1
    return with_flow(c, c.flow_edges, flow)


def much_more(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    k = some_flow(c, rng)
    if k is None:
        return None
    high = c.flow_high.copy()
    high[k] += 1
    return dataclasses.replace(c, flow_high=high)


def doubled_flow(c: Certificate, _: np.random.Generator) -> Certificate | None:
    return with_flow(c, c.flow_edges, [2 * amount for amount in amounts(c)]) if len(c.flow_edges) else None


def moved_flow(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    """Let a flow end at another example of the second class."""
    k = some_flow(c, rng)
    others = np.flatnonzero(c.codes == 1)
    if k is None or len(others) < 2:
        return None
    edges = c.flow_edges.copy()
    edges[k, 1] = rng.choice(others[others != edges[k, 1]])
    return dataclasses.replace(c, flow_edges=edges)


def swapped_ends(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    """Exchange the ends of two flows of one block and one amount: all sums stay, the conflicts do not."""
    flow, block = amounts(c), c.block[c.flow_edges[:, 0]] if len(c.flow_edges) else np.zeros(0)
    carried = {tuple(edge) for edge in c.flow_edges.tolist()}
    for i in rng.permutation(len(flow)):
        for j in rng.permutation(len(flow)):
            (u, v), (s, t) = c.flow_edges[i].tolist(), c.flow_edges[j].tolist()
            if block[i] == block[j] and flow[i] == flow[j] and u != s and v != t and (u, t) not in carried:
                edges = c.flow_edges.copy()
                edges[i, 1], edges[j, 1] = t, v
                return dataclasses.replace(c, flow_edges=edges)
    return None


def dropped_flow(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    k = some_flow(c, rng)
    if k is None:
        return None
    keep = np.arange(len(c.flow_edges)) != k
    return dataclasses.replace(c, flow_edges=c.flow_edges[keep], flow_high=c.flow_high[keep], flow_low=c.flow_low[keep])


def added_flow(c: Certificate, rng: np.random.Generator) -> Certificate:
    edge = [rng.choice(np.flatnonzero(c.codes == 0)), rng.choice(np.flatnonzero(c.codes == 1))]
    return with_flow(c, [*c.flow_edges.tolist(), edge], [*amounts(c), int(rng.integers(1, 100))])


def empty_flow(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    k = some_flow(c, rng)
    return None if k is None else with_flow(c, [*c.flow_edges.tolist(), c.flow_edges[k]], [*amounts(c), 0])


def negative_flow(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    """All sums are as they were."""
    k = some_flow(c, rng)
    if k is None:
        return None
    flow = amounts(c)
    flow[k] += 5
    return with_flow(c, [*c.flow_edges.tolist(), c.flow_edges[k]], [*flow, -5])


def backward_flow(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    k = some_flow(c, rng)
    if k is None:
        return None
    edges = c.flow_edges.copy()
    edges[k] = edges[k, ::-1]
    return dataclasses.replace(c, flow_edges=edges)


def block_weight(c: Certificate, rng: np.random.Generator) -> Certificate:
    a = c.a.copy()
    a[rng.integers(len(a))] += 1
    return dataclasses.replace(c, a=a)


def doubled_blocks(c: Certificate, _: np.random.Generator) -> Certificate:
    return dataclasses.replace(c, a=2 * c.a, b=2 * c.b)


def exchanged_sums(c: Certificate, _: np.random.Generator) -> Certificate | None:
    return None if c.a.tolist() == c.b.tolist() else dataclasses.replace(c, a=c.b, b=c.a)


def backward_blocks(c: Certificate, _: np.random.Generator) -> Certificate | None:
    if len(c.a) < 2:
        return None
    return dataclasses.replace(c, a=c.a[::-1], b=c.b[::-1], block=(len(c.a) - 1 - c.block).astype(np.int32))


def merged_blocks(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    if len(c.a) < 2:
        return None
    k = rng.integers(len(c.a) - 1)
    return with_blocks(c, np.where(c.block == k + 1, k, c.block))


def split_block(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    """Take one example out of a block that has others."""
    shared = np.flatnonzero((np.bincount(c.block)[c.block] > 1) & (c.a * c.b > 0)[c.block])
    if len(shared) == 0:
        return None
    block = c.block.copy()
    block[rng.choice(shared)] = len(c.a)
    return with_blocks(c, block)


def cut_block(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    """Number the examples of one class of a block as a block of their own."""
    shared = np.flatnonzero(c.a * c.b > 0)
    if len(shared) == 0:
        return None
    block = c.block.copy()
    block[(block == rng.choice(shared)) & (c.codes == rng.integers(2))] = len(c.a)
    return with_blocks(c, block)


def moved_example(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    if len(c.a) < 2:
        return None
    block = c.block.copy()
    i = rng.integers(len(block))
    block[i] = rng.choice([k for k in range(len(c.a)) if k != block[i]])
    return with_blocks(c, block)


def added_block(c: Certificate, _: np.random.Generator) -> Certificate:
    return dataclasses.replace(c, a=np.append(c.a, 0), b=np.append(c.b, 0))


def heavier_example(c: Certificate, rng: np.random.Generator) -> Certificate:
    weight = c.weight.copy()
    weight[rng.integers(len(weight))] += 1
    return dataclasses.replace(c, weight=weight)


def weightless_example(c: Certificate, rng: np.random.Generator) -> Certificate:
    weight = c.weight.copy()
    weight[rng.integers(len(weight))] = rng.choice([0, -1])
    return dataclasses.replace(c, weight=weight)


def swapped_codes(c: Certificate, _: np.random.Generator) -> Certificate:
    return dataclasses.replace(c, codes=1 - c.codes)


def swapped_sides(c: Certificate, _: np.random.Generator) -> Certificate:
    """The other class first, everything turned around but the names."""
    return dataclasses.replace(
        c,
        codes=1 - c.codes,
        a=c.b[::-1],
        b=c.a[::-1],
        block=(len(c.a) - 1 - c.block).astype(np.int32),
        flow_edges=c.flow_edges[:, ::-1],
    )


def swapped_classes(c: Certificate, _: np.random.Generator) -> Certificate:
    return dataclasses.replace(c, classes=c.classes[::-1])


def swapped_code(c: Certificate, rng: np.random.Generator) -> Certificate:
    codes = c.codes.copy()
    codes[rng.integers(len(codes))] ^= 1
    return dataclasses.replace(c, codes=codes)


def third_code(c: Certificate, rng: np.random.Generator) -> Certificate:
    codes = c.codes.copy()
    codes[rng.integers(len(codes))] = rng.choice([2, -1])
    return dataclasses.replace(c, codes=codes)


def unknown_block(c: Certificate, rng: np.random.Generator) -> Certificate:
    block = c.block.copy()
    block[rng.integers(len(block))] = rng.choice([-1, len(c.a)])
    return dataclasses.replace(c, block=block)


def unknown_example(c: Certificate, rng: np.random.Generator) -> Certificate | None:
    k = some_flow(c, rng)
    if k is None:
        return None
    edges = c.flow_edges.copy()
    edges[k, rng.integers(2)] = rng.choice([-1, len(c.codes)])
    return dataclasses.replace(c, flow_edges=edges)


def all_apart(c: Certificate, _: np.random.Generator) -> Certificate | None:
    """Claim that there is no conflict at all."""
    if not len(c.flow_edges):
        return None
    return with_flow(with_blocks(c, 1 - c.codes.astype(int)), [], [])


def all_together(c: Certificate, _: np.random.Generator) -> Certificate | None:
    return None if len(c.a) == 1 else with_blocks(c, np.zeros(len(c.codes), dtype=int))


MUTATIONS: list[Mutation] = [
    one_more,
    one_less,
    much_more,
    doubled_flow,
    moved_flow,
    dropped_flow,
    added_flow,
    empty_flow,
    negative_flow,
    backward_flow,
    block_weight,
    doubled_blocks,
    exchanged_sums,
    backward_blocks,
    merged_blocks,
    split_block,
    cut_block,
    moved_example,
    added_block,
    heavier_example,
    weightless_example,
    swapped_codes,
    swapped_sides,
    swapped_classes,
    swapped_code,
    third_code,
    unknown_block,
    unknown_example,
    all_apart,
    all_together,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_mutated_certificate_is_rejected(mutate: Mutation, kind: str) -> None:
    rng = np.random.default_rng(1)
    n_tried = 0
    for seed in range(3):
        case = problem(kind, seed)
        for _ in range(3):
            mutated = mutate(case.floor.certificate, rng)
            if mutated is not None:
                n_tried += 1
                with pytest.raises(lf.CertificateError):
                    case.check(mutated)
    assert n_tried > 0


@pytest.mark.parametrize(
    "name", ["codes", "weight", "block", "a", "b", "flow_edges", "flow_high", "flow_low", "classes"]
)
@pytest.mark.parametrize("kind", ["l2", "matrix"])
def test_truncated_and_lengthened_parts_are_rejected(kind: str, name: str) -> None:
    case = problem(kind)
    certificate = case.floor.certificate
    part = getattr(certificate, name)
    for changed in (part[:-1], part[:0], np.concatenate([part, part[-1:]]), part[None], part[..., None]):
        with pytest.raises(lf.CertificateError):
            case.check(dataclasses.replace(certificate, **{name: changed}))


def test_flow_off_the_conflicts_is_rejected_though_all_sums_are_right() -> None:
    rng = np.random.default_rng(2)
    n_tried = 0
    for seed in range(40):
        X, y = grid(np.random.default_rng(seed), n=60)
        result = lf.floor(X, y, lf.L2(0.5))
        mutated = swapped_ends(result.certificate, rng)
        if mutated is None:
            continue
        pairs = AllPairs(Fraction(2), X, X)
        if all(pairs.at_most(u, v, Fraction(1)) for u, v in mutated.flow_edges.tolist()):
            assert check(mutated, X, y).zero_one == result.exact_loss("zero_one")  # another proof of the same
            continue
        n_tried += 1
        with pytest.raises(lf.CertificateError, match="carry flow but do not conflict"):
            check(mutated, X, y)
    assert n_tried > 3


def test_parts_of_equal_posterior_must_be_one_block() -> None:
    # Two pairs, far from each other: a proof may not count them as two blocks, for blocks are canonical.
    result = lf.floor([[0], [1], [50], [51]], [0, 1, 0, 1], lf.L2(1))
    assert result.n_blocks == 1
    certificate = with_blocks(result.certificate, np.array([0, 0, 1, 1]))
    with pytest.raises(lf.CertificateError, match="do not ascend"):
        check(certificate, [[0], [1], [50], [51]], [0, 1, 0, 1])


def truth(case: Problem) -> tuple[list[int], list[int], list[int], list[int]]:
    return parts_of(case.floor.certificate)


def parts_of(c: Certificate) -> tuple[list[int], list[int], list[int], list[int]]:
    return c.block.tolist(), c.a.tolist(), c.b.tolist(), c.weight.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_accepted_is_the_solution(kind: str) -> None:
    # Several mutations at once, of which one may undo the other.
    rng = np.random.default_rng(3)
    for seed in range(4):
        case = problem(kind, seed)
        for _ in range(60):
            certificate: Certificate | None = case.floor.certificate
            for mutate in rng.choice(MUTATIONS, size=2):  # type: ignore[arg-type]
                # What an earlier mutation left may be too odd to mutate again.
                with contextlib.suppress(ValueError, IndexError, ZeroDivisionError, KeyError):
                    certificate = mutate(certificate, rng) or certificate
            try:
                case.check(certificate)
            except lf.CertificateError:
                continue
            assert parts_of(certificate) == truth(case)


# Other data.


@pytest.mark.parametrize("kind", ["l2", "l1", "linf", "l3"])
def test_a_certificate_of_other_data_is_rejected(kind: str) -> None:
    case = problem(kind)
    certificate = case.floor.certificate
    rng = np.random.default_rng(4)
    for other in (np.zeros_like(case.X), case.X * 3, rng.permutation(case.X), case.X[::-1]):
        with pytest.raises(lf.CertificateError):
            check(certificate, other, case.y)
    for other in (case.X[:-1], np.concatenate([case.X, case.X[:1]])):
        with pytest.raises(lf.CertificateError, match="examples"):
            check(certificate, other, case.y)
    for other in (np.where(case.X > 3, np.nan, case.X), np.array([["a"] * 2] * len(case.X)), None):
        with pytest.raises(lf.CertificateError, match="'X' must be"):
            check(certificate, other, case.y)


def test_a_certificate_of_other_labels_is_rejected() -> None:
    case = problem("l2")
    certificate = case.floor.certificate
    rng = np.random.default_rng(5)
    flipped = case.y.copy()
    flipped[7] = "apple" if flipped[7] == "pear" else "pear"
    for other in (rng.permutation(case.y), flipped, np.where(case.y == "apple", "pear", "apple"), case.y.astype("U3")):
        with pytest.raises(lf.CertificateError, match="has the label"):
            check(certificate, case.X, other)
    for other in (case.y[:-1], np.append(case.y, "pear"), case.y[:, None]):
        with pytest.raises(lf.CertificateError, match="labels"):
            check(certificate, case.X, other)
    for other in (np.zeros(len(case.y), dtype=int), np.ones(len(case.y)), case.y == "apple"):
        with pytest.raises(lf.CertificateError):
            check(certificate, case.X, other)
    check(certificate, case.X.tolist(), case.y.tolist())
    check(certificate, case.X, case.y.astype(object))


def test_moving_one_example_that_matters_is_noticed() -> None:
    case = problem("l2")
    truth_of_moved = 0
    for i in range(len(case.X)):
        moved = case.X.copy()
        moved[i] += 1000
        same = parts_of(lf.floor(moved, case.y, lf.L2(1), sample_weight=case.floor.certificate.weight).certificate)
        if same == truth(case):
            continue
        truth_of_moved += 1
        with pytest.raises(lf.CertificateError):
            check(case.floor.certificate, moved, case.y)
    assert truth_of_moved > 10


def test_every_conflict_is_added_and_dropped_in_turn() -> None:
    # One entry of the matrix at a time.  A certificate may be accepted exactly if the blocks are still the solution.
    rng = np.random.default_rng(6)
    n_accepted = n_rejected = 0
    for _ in range(8):
        case = random_case(rng, largest=7)
        weights = np.concatenate(case.weights)
        C = case.matrix()
        certificate = lf.floor(None, case.labels, lf.Precomputed(conflicts=C), sample_weight=weights).certificate
        carried = {tuple(edge) for edge in certificate.flow_edges.tolist()}
        for u in range(case.n_left):
            for v in range(case.n_left, case.n_left + case.n_right):
                other = C.copy()
                other[u, v] = other[v, u] = not C[u, v]
                solution = lf.floor(None, case.labels, lf.Precomputed(conflicts=other), sample_weight=weights)
                same = parts_of(solution.certificate) == parts_of(certificate)
                try:
                    check(certificate, None, case.labels, matrix=other)
                except lf.CertificateError:
                    n_rejected += 1
                    # Dropping a conflict that carries flow takes this proof away, if not the solution.
                    assert not same or (u, v) in carried
                else:
                    n_accepted += 1
                    assert same
    assert n_accepted > 30
    assert n_rejected > 30


@pytest.mark.parametrize("adversary", [lf.L1, lf.L2, lf.Linf, lambda eps: lf.Lp(3, eps), lambda eps: lf.Lp(2.5, eps)])
def test_a_certificate_of_another_eps_is_accepted_only_where_the_solution_is_the_same(
    adversary: Callable[[Any], lf.adversaries.NormBall],
) -> None:
    X, y = grid(np.random.default_rng(7))
    floors = {eps: lf.floor(X, y, adversary(eps)) for eps in ("0", "1/3", "1/2", "3/4", "1", "5/4", "3/2", "2", "4")}
    n_rejected = 0
    for result in floors.values():
        for eps, other in floors.items():
            certificate = dataclasses.replace(result.certificate, adversary=adversary(eps).config())
            try:
                check(certificate, X, y)
            except lf.CertificateError:
                n_rejected += 1
            else:
                assert parts_of(certificate) == parts_of(other.certificate)
            if result.n_edges == other.n_edges:
                check(certificate, X, y)  # the same conflicts
    assert n_rejected > 30


def test_a_certificate_of_a_slightly_smaller_eps_is_rejected_at_a_tie() -> None:
    X, y = np.array([[0, 0], [3, 4]]), [0, 1]
    apart, together = lf.floor(X, y, lf.L2("2.4999999999999999999")), lf.floor(X, y, lf.L2(2.5))
    assert (apart.n_edges, together.n_edges) == (0, 1)
    with pytest.raises(lf.CertificateError, match="the posterior of the first is higher"):
        check(dataclasses.replace(apart.certificate, adversary=lf.L2(2.5).config()), X, y)
    with pytest.raises(lf.CertificateError, match="carry flow but do not conflict"):
        check(dataclasses.replace(together.certificate, adversary=apart.certificate.adversary), X, y)


DATA: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "uint8": lambda rng, d: rng.integers(0, 256, (14, d)).astype(np.uint8),
    "int64 near its end": lambda rng, d: np.int64(-(2**63)) + rng.integers(0, 50, (14, d)),
    "uint64 near its end": lambda rng, d: np.uint64(2**64 - 60) + rng.integers(0, 50, (14, d)).astype(np.uint64),
    "float32": lambda rng, d: rng.random((14, d)).astype(np.float32),
    "float64": lambda rng, d: rng.random((14, d)),
    "offset": lambda rng, d: 1e8 + rng.random((14, d)),
    "huge": lambda rng, d: rng.normal(size=(14, d)) * 1e300,
    "large": lambda rng, d: rng.normal(size=(14, d)) * 1e200,
    "one far": lambda rng, d: np.where(np.arange(14)[:, None] == 3, 1e200, rng.random((14, d))),
    "small": lambda rng, d: rng.random((14, d)) * 1e-100,
    "tiny": lambda rng, d: rng.random((14, d)) * 1e-300,
    "denormal": lambda rng, d: rng.integers(0, 10**6, (14, d)) * 5e-324,
}
ORDERS = {
    "l1": Fraction(1),
    "l4/3": Fraction(4, 3),
    "l2": Fraction(2),
    "l3": Fraction(3),
    "l50": Fraction(50),
    "l200": Fraction(200),
    "linf": None,
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", DATA)
def test_the_nearest_pair_is_seen_at_any_scale(kind: str, order: str) -> None:
    # A claim that nothing conflicts is true just below the smallest distance, and false just above it.
    rng = np.random.default_rng(8)
    for d in (1, 3):
        X = DATA[kind](rng, d)
        y = np.arange(14) % 2
        pairs = AllPairs(ORDERS[order], X[y == 0], X[y == 1])
        nearest = min(pairs.near(i, j) for i in range(7) for j in range(7))
        claim = Certificate(
            classes=np.array([0, 1]),
            codes=y.astype(np.int8),
            weight=np.ones(14, dtype=np.int64),
            block=(1 - y).astype(np.int32),
            a=np.array([0, 7]),
            b=np.array([7, 0]),
            flow_edges=np.zeros((0, 2), dtype=np.int32),
            flow_high=np.zeros(0, dtype=np.int64),
            flow_low=np.zeros(0, dtype=np.uint64),
            adversary={"name": "lp", "p": "inf" if order == "linf" else str(ORDERS[order]), "unit": "1"},
        )
        for factor, true in [(1 - Fraction(1, 2**60), True), (1 + Fraction(1, 2**60), False)]:
            for eps in (str(nearest * factor / 2), [str(nearest * factor / 2)] * 14):
                claimed = dataclasses.replace(claim, adversary={**claim.adversary, "eps": eps})
                if true and nearest > 0:
                    assert check(claimed, X, y).zero_one == 0
                elif not true:
                    with pytest.raises(lf.CertificateError, match="the posterior of the first is higher"):
                        check(claimed, X, y)


def test_sums_beyond_64_bits() -> None:
    # No solver makes such weights, but a file may hold them.
    large = 2**62
    certificate = Certificate(
        classes=np.array([0, 1]),
        codes=np.array([1, 0, 1, 0, 1, 0], dtype=np.int8),
        weight=np.array([large, large // 2, large, large, large, large]),
        block=np.array([0, 1, 1, 2, 2, 3], dtype=np.int32),
        a=np.array([0, large // 2, large, large]),
        b=np.array([large, large, large, 0]),
        flow_edges=np.array([[1, 2], [3, 4]], dtype=np.int32),
        flow_high=np.array([0, 0]),
        flow_low=np.array([large, large], dtype=np.uint64),
        adversary=lf.L2(0.5).config(),
    )
    verification = check(certificate, [[-9], [0], [1], [20], [21], [40]], [1, 0, 1, 0, 1, 0])
    assert verification.zero_one == Fraction(3, 11)
    assert verification.brier == (Fraction(1, 3) + Fraction(1, 2)) * 2 / 11
    assert 0 < verification.cross_entropy < 0.7


# Adversaries and matrices that cannot be.


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"name": "l7", "eps": "1", "unit": "1"},
        {"name": ["l2"], "eps": "1", "unit": "1"},
        {"name": "l2", "eps": "1"},
        {"name": "l2", "unit": "1"},
        {"name": "l2", "eps": "1", "unit": "0"},
        {"name": "l2", "eps": "1", "unit": "-1"},
        {"name": "l2", "eps": "1", "unit": "1/0"},
        {"name": "l2", "eps": "-1", "unit": "1"},
        {"name": "l2", "eps": "one", "unit": "1"},
        {"name": "l2", "eps": "1/0", "unit": "1"},
        {"name": "l2", "eps": "nan", "unit": "1"},
        {"name": "l2", "eps": "inf", "unit": "1"},
        {"name": "l2", "eps": None, "unit": "1"},
        {"name": "l2", "eps": 1, "unit": "1"},
        {"name": "l2", "eps": 0.1, "unit": "1"},
        {"name": "l2", "eps": "1e999999999", "unit": "1"},
        {"name": "l2", "eps": "1", "unit": "1e-999999999"},
        {"name": "l2", "eps": [], "unit": "1"},
        {"name": "l2", "eps": ["1", "1", "1"], "unit": "1"},
        {"name": "l2", "eps": ["1", "-1"], "unit": "1"},
        {"name": "lp", "eps": "1", "unit": "1"},
        {"name": "lp", "p": "1/2", "eps": "1", "unit": "1"},
        {"name": "lp", "p": "two", "eps": "1", "unit": "1"},
        {"name": "lp", "p": "1e999999999", "eps": "1", "unit": "1"},
        {"name": "lp", "p": "1000000000", "eps": "1", "unit": "1"},
    ],
    ids=str,
)
def test_an_adversary_that_cannot_be_is_rejected(config: dict[str, Any]) -> None:
    certificate = lf.floor([[0], [5]], [0, 1], lf.L2(1)).certificate
    with pytest.raises(lf.CertificateError):
        check(dataclasses.replace(certificate, adversary=config), [[0], [5]], [0, 1])


def test_a_matrix_is_needed_and_must_fit() -> None:
    case = problem("matrix")
    certificate = case.floor.certificate
    n = len(case.y)
    with pytest.raises(lf.CertificateError, match="give it again"):
        check(certificate, None, case.y)
    for wrong in (case.matrix[:-1], case.matrix[:, :-1], np.zeros((n + 1, n + 1)), sparse.csr_array((n, n + 1))):
        with pytest.raises(lf.CertificateError, match="the matrix must be"):
            check(certificate, None, case.y, matrix=wrong)
    for same in (case.matrix.astype(float), sparse.csr_array(case.matrix), sparse.coo_array(case.matrix)):
        assert check(certificate, None, case.y, matrix=same) == case.floor.verify()


def test_explicit_zeros_and_absent_entries_of_sparse_matrices() -> None:
    # Of conflicts a stored zero is none; of distances it is the distance 0, and what is absent is far.
    ends = (np.array([0, 1, 0, 2, 2, 0]), np.array([1, 0, 2, 0, 3, 1]))
    y = [0, 1, 1, 0]
    stored = sparse.csr_array((np.array([0.0, 0, 1, 1]), (ends[0][:4], ends[1][:4])), shape=(4, 4))
    conflicts = lf.floor(None, y, lf.Precomputed(conflicts=stored))
    assert conflicts.n_edges == 1
    assert conflicts.verify().zero_one == Fraction(1, 4)
    distances = lf.floor(None, y, lf.Precomputed(distances=stored, eps=0))
    assert distances.n_edges == 1
    assert distances.degrees.tolist() == [1, 1, 0, 0]
    distances.verify()
    with pytest.raises(lf.CertificateError):
        check(distances.certificate, None, y, matrix=stored.toarray())  # there every absent entry is a zero


# The checker stands alone.


def test_the_checker_needs_neither_solver_nor_extension(tmp_path: Path) -> None:
    case = problem("l2")
    case.floor.save(tmp_path / "floor.npz")
    np.savez(tmp_path / "data.npz", X=case.X, y=case.y)
    script = textwrap.dedent(
        """
        import sys
        for name in ("_core", "solvers", "conflicts", "adversaries", "distances", "floors"):
            sys.modules["lossfloor." + name] = None
        import numpy as np
        from lossfloor import certificates
        from lossfloor._files import read_arrays
        certificate = certificates.Certificate.from_arrays(read_arrays("floor.npz", "lossfloor-floor-1"))
        data = np.load("data.npz")
        print(certificates.check(certificate, data["X"], data["y"]).zero_one)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(case.floor.exact_loss("zero_one"))


# Hostile and damaged files.


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The arrays of a saved floor, by name, as bytes of .npy files."""
    path = tmp_path_factory.mktemp("saved") / "floor.npz"
    problem("l2").floor.save(path)
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), **options)
    return stream.getvalue()


def header(descr: str, shape: str, data: bytes = b"") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def write(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_the_members_by_themselves_are_a_floor(tmp_path: Path, members: dict[str, bytes]) -> None:
    # Else the tests below might be about something else.
    case = problem("l2")
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = write(tmp_path / "floor.npz", members, compression)
        assert lf.Floor.load(path).verify(case.X, case.y) == case.floor.verify()


class Bomb:
    """Unpickling it would be noticed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_explode, ())


def _explode() -> None:
    raise RuntimeError("a pickle was read")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.npy", npy(np.array([Bomb()], dtype=object), allow_pickle=True)),
        ("evil.npy", npy(np.array([Bomb()], dtype=object), allow_pickle=True)),
        ("a.npy", header("'|O'", "(3,)", b"\x80\x04K\x01.")),
        ("a.npy", header("[('x', '|O')]", "(3,)")),
        ("a.npy", header("'<i8'", "(1000000000000,)")),
        ("a.npy", header("'<i8'", "(4611686018427387904, 4)")),
        ("a.npy", header("'<i8'", "(-1,)")),
        ("a.npy", header("'<U1000000000'", "()")),
        ("a.npy", header("'<i8'", "(3,)", b"short")),
        ("a.npy", header("'<i8'", "3")),
        ("a.npy", header("'<i8'", "(3, 'x')")),
        ("a.npy", header("'nonsense'", "(3,)")),
        ("a.npy", header("'<i8'", "(3,")),
        ("a.npy", header("'<i8'", "__import__('os').getcwd()")),
        ("a.npy", b""),
        ("a.npy", b"\x93NUMPY"),
        ("a.npy", b"\x93NUMPY\x09\x00v\x00"),
        ("a.npy", b"not an array"),
        ("a.npy", npy(np.array([1.5, 2.5]))),
        ("a.npy", npy(np.array([1, 2], dtype=np.int32))),
        ("a.npy", npy(np.array(["x", "y"]))),
        ("weight.npy", npy(np.ones(40))),
        ("codes.npy", npy(np.zeros(40, dtype=np.int64))),
        ("codes.npy", npy(np.zeros(0, dtype=np.int8))),
        ("block.npy", npy(np.full(40, 2**31 - 1, dtype=np.int32))),
        ("flow_edges.npy", npy(np.full((3, 2), -1, dtype=np.int32))),
        ("flow_edges.npy", npy(np.zeros(6, dtype=np.int32))),
        ("classes.npy", npy(np.array(["x"]))),
        ("classes.npy", npy(np.array("x"))),
        ("degrees.npy", npy(np.zeros(3, dtype=np.int64))),
        ("counts.npy", npy(np.zeros(3, dtype=np.int64))),
        ("seconds.npy", npy(np.array("no json"))),
        ("seconds.npy", npy(np.array("[1, 2]"))),
        ("seconds.npy", npy(np.array([1, 2]))),
        ("adversary.npy", npy(np.array("no json"))),
        ("adversary.npy", npy(np.array("[1, 2]"))),
        ("adversary.npy", npy(np.array("[" * 100_000))),
        ("adversary.npy", npy(np.array(3))),
        ("format.npy", npy(np.array("lossfloor-conflicts-1"))),
        ("format.npy", npy(np.array(["lossfloor-floor-1"]))),
        ("format.npy", npy(np.array(b"lossfloor-floor-1"))),
        ("format.npy", npy(np.array(1))),
    ],
)
def test_a_hostile_member_is_refused(tmp_path: Path, members: dict[str, bytes], name: str, data: bytes) -> None:
    path = write(tmp_path / "floor.npz", {**members, name: data})
    with pytest.raises((ValueError, lf.CertificateError)):
        lf.Floor.load(path)


@pytest.mark.parametrize(
    "name",
    [
        "classes",
        "codes",
        "weight",
        "block",
        "a",
        "b",
        "flow_edges",
        "flow_high",
        "flow_low",
        "adversary",
        "degrees",
        "counts",
        "format",
    ],
)
def test_a_member_that_is_missing_is_noticed(tmp_path: Path, members: dict[str, bytes], name: str) -> None:
    path = write(tmp_path / "floor.npz", {key: data for key, data in members.items() if key != f"{name}.npy"})
    with pytest.raises((ValueError, lf.CertificateError)):
        lf.Floor.load(path)


def test_a_member_that_claims_more_than_it_holds_takes_no_memory(tmp_path: Path, members: dict[str, bytes]) -> None:
    # Both the header of the array and the directory of the zip file lie: 32 GB are claimed.
    claimed = 2**35
    path = write(tmp_path / "floor.npz", {**members, "zz.npy": header("'|u1'", f"({claimed},)", bytes(64))})
    raw = bytearray(path.read_bytes())
    place = raw.rindex(b"PK\x01\x02")  # the last entry of the directory
    extra = b"\x01\x00\x08\x00" + claimed.to_bytes(8, "little")  # its true size stands in an extra field
    raw[place + 24 : place + 28] = b"\xff" * 4
    raw[place + 30 : place + 32] = len(extra).to_bytes(2, "little")
    end_of_name = place + 46 + len("zz.npy")
    raw[end_of_name:end_of_name] = extra
    tail = raw.rindex(b"PK\x05\x06")
    size = int.from_bytes(raw[tail + 12 : tail + 16], "little") + len(extra)
    raw[tail + 12 : tail + 16] = size.to_bytes(4, "little")
    path.write_bytes(bytes(raw))
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[-1].file_size == claimed
    with pytest.raises(ValueError, match="holds what it claims"):
        lf.Floor.load(path)


def test_files_that_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lf.Floor.load(tmp_path / "nothing.npz")
    with pytest.raises(IsADirectoryError):
        lf.Floor.load(tmp_path)
    path = tmp_path / "file.npz"
    for content in (b"", b"PK", b"PK\x03\x04", b"hello" * 100, npy(np.zeros(3))):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="'path' must be a file of the format lossfloor-floor-1"):
            lf.Floor.load(path)
    np.savez(path, X=np.zeros(3))
    with pytest.raises(ValueError, match="which is something else"):
        lf.Floor.load(path)
    lf.ConflictGraph.from_edges([], n_left=1, n_right=1).save(path)
    with pytest.raises(ValueError, match="which is lossfloor-conflicts-1"):
        lf.Floor.load(path)
    write(path, {"format.npy": npy(np.array("lossfloor-floor-1"))})
    with pytest.raises(lf.CertificateError, match="no part"):
        lf.Floor.load(path)
    write(path, {"format.npy": npy(np.array("lossfloor-floor-1"))}, zipfile.ZIP_LZMA)
    with pytest.raises(ValueError, match="holds what it claims"):
        lf.Floor.load(path)


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[tuple[Problem, bytes, Path]]:
    case = problem("l2")
    path = tmp_path / "floor.npz"
    case.floor.save(path)
    with warnings.catch_warnings():
        # Python and NumPy warn of odd headers, and then go on to raise.
        warnings.simplefilter("ignore")
        yield case, path.read_bytes(), path


def accepted(case: Problem, path: Path) -> bool:
    """Load and verify; anything but the two errors, and any other result, is a failure."""
    try:
        result = lf.Floor.load(path)
        verification = result.verify(case.X, case.y)
    except (ValueError, lf.CertificateError):
        return False
    assert verification == case.floor.verify()
    assert parts_of(result.certificate) == truth(case)
    return True


def test_files_with_damaged_bytes(saved: tuple[Problem, bytes, Path]) -> None:
    case, raw, path = saved
    rng = np.random.default_rng(9)
    outcomes = []
    for _ in range(400):
        damaged = bytearray(raw)
        first, last = sorted(rng.integers(len(raw), size=2).tolist())
        kind = rng.integers(4)
        if kind == 0:
            damaged[first] = rng.integers(256)
        elif kind == 1:
            damaged[first : first + 4] = rng.bytes(4)
        elif kind == 2:
            del damaged[first:last]
        else:
            del damaged[first:]
        path.write_bytes(bytes(damaged))
        outcomes.append(accepted(case, path))
    assert outcomes.count(False) > 300  # some bytes, such as dates, say nothing


def test_arrays_with_damaged_bytes(saved: tuple[Problem, bytes, Path], members: dict[str, bytes]) -> None:
    # The checksums of the zip file are right here, so that the damage reaches the arrays.
    case, _, path = saved
    rng = np.random.default_rng(10)
    outcomes = []
    for _ in range(400):
        name = rng.choice(list(members))
        damaged = bytearray(members[name])
        place = rng.integers(len(damaged))
        if rng.random() < 0.5:
            damaged[place] = rng.integers(256)
        else:
            damaged[place : place + 3] = rng.integers(32, 127, 3, dtype=np.uint8).tobytes()
        write(path, {**members, name: bytes(damaged)})
        outcomes.append(accepted(case, path))
    assert outcomes.count(False) > 300


def test_a_certificate_goes_through_arrays(members: dict[str, bytes]) -> None:
    certificate = problem("l2").floor.certificate
    arrays = certificate.arrays()
    again = Certificate.from_arrays(arrays)
    for field in dataclasses.fields(Certificate):
        one, two = getattr(certificate, field.name), getattr(again, field.name)
        assert np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two
    assert json.loads(str(arrays["adversary"])) == certificate.adversary
    assert {f"{name}.npy" for name in arrays} <= set(members)


def test_the_case_of_the_helpers_is_a_problem_too() -> None:
    # A complete bipartite graph with one example each: the smallest proof.
    case = Case(1, 1, [(0, 0)], [3], [5])
    result = lf.floor(None, case.labels, lf.Precomputed(conflicts=case.matrix()), sample_weight=[3, 5])
    assert result.blocks.flow() == [15]
    assert result.verify().zero_one == Fraction(3, 8)


def test_a_label_that_stands_for_both_classes_is_rejected() -> None:
    """Two equal examples of one class do not conflict, whatever codes a certificate gives them."""
    honest = lf.floor([[0.0], [0.0]], ["a", "b"], lf.L2(1)).certificate
    forged = dataclasses.replace(honest, classes=np.array(["a", "a"]))
    with pytest.raises(lf.CertificateError, match="two different labels"):
        check(forged, [[0.0], [0.0]], ["a", "a"])


def test_an_adversary_with_an_endless_number_is_not_json() -> None:
    arrays = lf.floor([[0.0], [1.0]], ["a", "b"], lf.L2(1)).certificate.arrays()
    arrays["adversary"] = np.array('{"eps": ' + "9" * 5000 + "}")
    with pytest.raises(lf.CertificateError, match="is not JSON"):
        Certificate.from_arrays(arrays)
