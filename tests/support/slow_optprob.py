"""OptProb of the paper in plain Python and fractions: the slow reference that the core must agree with.

Nothing is shared with the package: the paper's recursion, a textbook max-flow, and no shortcut.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

from support.graphs import Case

Partition = tuple[list[int], list[int], list[tuple[int, int]]]


def solve(case: Case) -> Partition:
    """Return the block of each left and of each right vertex, and (a, b) of each block, by ascending a / (a + b)."""
    left_p = [Fraction(w, case.total) for w in case.left_weight]
    right_p = [Fraction(w, case.total) for w in case.right_weight]
    todo = [(list(range(case.n_left)), list(range(case.n_right)))]
    settled: list[tuple[Fraction, list[int], list[int]]] = []
    while todo:
        left, right = todo.pop()
        if not left and not right:
            continue
        a, b = sum((left_p[u] for u in left), Fraction(0)), sum((right_p[v] for v in right), Fraction(0))
        inside = (set(left), set(right))
        edges = [(u, v) for u, v in case.edges if u in inside[0] and v in inside[1]]
        supply = {u: left_p[u] * b for u in left}
        room = {v: right_p[v] * a for v in right}
        high_left, high_right, complete = _max_flow(supply, room, edges)
        if complete:
            settled.append((a / (a + b), left, right))
        else:
            todo.append((sorted(high_left), sorted(high_right)))
            todo.append(([u for u in left if u not in high_left], [v for v in right if v not in high_right]))
    posteriors = sorted({posterior for posterior, _, _ in settled})
    left_block, right_block = [0] * case.n_left, [0] * case.n_right
    pairs = [[0, 0] for _ in posteriors]
    for posterior, left, right in settled:
        block = posteriors.index(posterior)
        for u in left:
            left_block[u] = block
            pairs[block][0] += case.left_weight[u]
        for v in right:
            right_block[v] = block
            pairs[block][1] += case.right_weight[v]
    return left_block, right_block, [(a, b) for a, b in pairs]


def _max_flow(
    supply: dict[int, Fraction], room: dict[int, Fraction], edges: list[tuple[int, int]]
) -> tuple[set[int], set[int], bool]:
    """Push along shortest paths until none is left; return what the rest of the supply reaches."""
    supply, room = dict(supply), dict(room)
    out: dict[int, list[int]] = {u: [] for u in supply}
    flow: dict[tuple[int, int], Fraction] = {}
    carried_by: dict[int, set[int]] = {v: set() for v in room}
    for u, v in edges:
        out[u].append(v)
        flow[u, v] = Fraction(0)
    while True:
        came_left: dict[int, int | None] = {u: None for u, left_over in supply.items() if left_over > 0}
        came_right: dict[int, int] = {}
        queue, sink = deque(came_left), None
        while queue and sink is None:
            u = queue.popleft()
            for v in out[u]:
                if v in came_right:
                    continue
                came_right[v] = u
                if room[v] > 0:
                    sink = v
                    break
                for w in carried_by[v]:
                    if w not in came_left:
                        came_left[w] = v
                        queue.append(w)
        if sink is None:
            return set(came_left), set(came_right), all(left_over == 0 for left_over in supply.values())
        path = []
        v: int | None = sink
        while v is not None:
            path.append((came_right[v], v))
            v = came_left[came_right[v]]
        source = path[-1][0]
        back = [(path[i][0], path[i + 1][1]) for i in range(len(path) - 1)]
        amount = min(supply[source], room[sink], *(flow[edge] for edge in back))
        for u, w in path:
            flow[u, w] += amount
            carried_by[w].add(u)
        for u, w in back:
            flow[u, w] -= amount
            if flow[u, w] == 0:
                carried_by[w].discard(u)
        supply[source] -= amount
        room[sink] -= amount
