"""Measure everything in this folder and write one table, as JSON and as Markdown.

python benchmarks/run.py [--only PART ...] [--runs N] [--limit SECONDS]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import graphs
import growth
import solvers
import whole
from common import machine

RESULTS = Path(__file__).parent / "results"


def parts(runs: int, limit: float) -> dict[str, Any]:
    def figure2() -> Iterator[dict[str, Any]]:
        table = [*growth.rows(), *growth.cvxopt(limit)]
        growth.picture(table, RESULTS / "figure2.png")
        yield from table

    return {
        "graphs": lambda: graphs.rows(runs=runs),
        "competitors": graphs.competitors,
        "whole": lambda: whole.rows(runs=runs),
        "memory": whole.memory,
        "solvers": solvers.rows,
        "convex": solvers.convex,
        "paper": whole.paper_route,
        "large": whole.large,
        "figure2": figure2,
    }


def as_markdown(kept: dict[str, Any]) -> str:
    """Write a table for each machine that parts were measured on."""
    lines = ["# Measured ratios", "", "Smaller is faster. Made by `make bench`."]
    left = list(kept["parts"])
    while left:
        about = kept["machines"][left[0]]
        # The load differs from part to part; what else is the same makes one machine.
        same = [name for name in left if {**kept["machines"][name], "load": 0} == {**about, "load": 0}]
        left = [name for name in left if name not in same]
        lines += ["", f"## {', '.join(same)}", ""]
        lines += [f"- {name}: {value}" for name, value in about.items()]
        lines += _table([row for name in same for row in kept["parts"][name]])
    return "\n".join(lines) + "\n"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "",
        "| what | eps | against | ratio (min to max) | ours, s | other, s | MB | runs | checked |",
        "|" + " --- |" * 9,
    ]
    for row in rows:
        spread = f" ({row['ratio_min']:.3g} to {row['ratio_max']:.3g})" if "ratio_min" in row else ""
        ratio = f"{row['ratio']:.3g}{spread}" if row.get("ratio") is not None else "-"
        name = row["what"] + (f", n = {row['n']}" if "n" in row else "")
        cells = [
            name,
            row.get("eps", "-"),
            row.get("against", "-"),
            ratio,
            _short(row.get("seconds")),
            _short(row.get("other_seconds")),
            _short(row.get("megabytes")),
            str(row.get("runs", "-")),
            row.get("checked", "-"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _short(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    known = parts(5, 600.0)
    parser.add_argument("--only", nargs="+", choices=known, default=list(known))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which CVXOPT is stopped")
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    table = RESULTS / "table.json"
    kept: dict[str, Any] = json.loads(table.read_text()) if table.exists() else {"machines": {}, "parts": {}}
    for name in options.only:
        rows, about = [], machine()
        for row in parts(options.runs, options.limit)[name]():
            print(json.dumps(row), flush=True)
            rows.append(row)
        kept["parts"][name] = rows
        kept["machines"][name] = about
        table.write_text(json.dumps(kept, indent=1) + "\n")
        (RESULTS / "table.md").write_text(as_markdown(kept))


if __name__ == "__main__":
    main()
