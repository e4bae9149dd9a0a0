"""Certificates made by hand from what a solver returned, and a second opinion on their flow."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from lossfloor import certificates
from lossfloor.solvers import Blocks
from support.graphs import Case

Partition = tuple[list[int], list[int], list[tuple[int, int]]]


def partition_of(blocks: Blocks) -> Partition:
    """Blocks in the form of the slow references."""
    pairs = list(zip(blocks.a.tolist(), blocks.b.tolist(), strict=True))
    return blocks.left_block.tolist(), blocks.right_block.tolist(), pairs


def certificate_of(case: Case, blocks: Blocks, **changes: Any) -> certificates.Certificate:
    """The certificate for a data set whose first examples are the left vertices, in order."""
    parts = {
        "classes": np.array([0, 1]),
        "codes": case.labels.astype(np.int8),
        "weight": np.concatenate(case.weights),
        "block": np.concatenate([blocks.left_block, blocks.right_block]),
        "a": blocks.a,
        "b": blocks.b,
        "flow_edges": blocks.flow_edges + np.array([0, case.n_left], dtype=np.int32),
        "flow_high": blocks.flow_high,
        "flow_low": blocks.flow_low,
        "adversary": {"name": "precomputed", "matrix": "conflicts"},
    }
    return certificates.Certificate(**{**parts, **changes})


def assert_proved(case: Case, blocks: Blocks) -> None:
    """Check the optimality conditions by counting; the checker of the package has to agree."""
    conflicts = set(case.edges)
    sent: Counter[int] = Counter()
    taken: Counter[int] = Counter()
    pairs = list(zip(blocks.a.tolist(), blocks.b.tolist(), strict=True))
    units = blocks.flow_units().tolist()
    for (u, v), amount in zip(blocks.flow_edges.tolist(), blocks.flow(), strict=True):
        assert (u, v) in conflicts
        assert amount > 0
        assert blocks.left_block[u] == blocks.right_block[v]
        sent[u] += amount
        taken[v] += amount
    for u, weight in enumerate(case.left_weight):
        block = blocks.left_block[u]
        assert sent[u] * units[block] == weight * pairs[block][1]
    for v, weight in enumerate(case.right_weight):
        block = blocks.right_block[v]
        assert taken[v] * units[block] == weight * pairs[block][0]
    for u, v in case.edges:
        a, b = pairs[blocks.left_block[u]]
        next_a, next_b = pairs[blocks.right_block[v]]
        assert a * (next_a + next_b) <= next_a * (a + b)
    certificates.check(certificate_of(case, blocks), None, case.labels, matrix=case.matrix())
