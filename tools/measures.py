"""Measures of the house: import circles, long files, long functions, large classes, tests of types, repeated lines.

    python tools/measures.py [--check]

With --check the exit status is 1 if a measure is above its limit and the place is not listed with a reason below.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "lossfloor"
NATIVE = ROOT / "native"

#: Limits, and the reasons for what is above one of them all the same.
LIMITS = {"python file": 500, "native file": 560, "function body": 50, "class": 350, "adversary tests": 6, "shared": 20}
_HALF_TEXT = "half of it is what users read: docstrings with their errors and examples"
REASONS = {
    "lossfloor.distances.sweep.PairSweep": "the passes, and what each leaves for the next, over the same two sides",
    "lossfloor.floors.result.BaseFloor": _HALF_TEXT,
    "lossfloor.floors.two_class.Floor": _HALF_TEXT,
    "lossfloor.floors.many_class.MulticlassFloor": _HALF_TEXT,
}

#: Adversary classes; whoever asks for one of them by isinstance knows too much.
_BASES = {"Adversary", "NormBall", "GaugeBall"}


def modules() -> dict[str, ast.Module]:
    """Parse every module of the package, by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text())
    return found


def imports(name: str, tree: ast.Module, known: set[str]) -> set[str]:
    """Return the modules of the package that a module imports, those for types included."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= inside or ({node.module} & known)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
    return found - {name}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(v: str) -> None:
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in sorted(graph[v]):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            part = [stack.pop()]
            while part[-1] != v:
                part.append(stack.pop())
            if len(part) > 1:
                found.append(sorted(part))

    for v in sorted(graph):
        if v not in index:
            visit(v)
    return found


def definitions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Yield every function and class with its qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = f"{inside}{node.name}"
            yield name, node
            yield from definitions(node, f"{name}.")
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from definitions(node, inside)


def body_lines(node: ast.FunctionDef) -> int:
    """Count the lines of a body, less its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def adversary_tests(parsed: dict[str, ast.Module]) -> list[str]:
    """List isinstance tests on adversaries outside their room."""
    families = set(_BASES)
    for name, tree in parsed.items():
        if name.startswith("lossfloor.adversaries"):
            families |= {
                node.name
                for node in ast.walk(tree)
                if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") in families for base in node.bases)
            }
    found = []
    for name, tree in parsed.items():
        if name.startswith("lossfloor.adversaries"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                names = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
                if names & families:
                    found.append(f"{name}:{node.lineno}")
    return found


def shared_lines(first: Path, second: Path) -> int:
    """Count the lines of code that stand in both files; docstrings, imports and short lines do not count."""

    def lines(path: Path) -> set[str]:
        text = re.sub(r'""".*?"""', "", path.read_text(), flags=re.S)
        rows = {row.strip() for row in text.splitlines()}
        return {row for row in rows if len(row) > 12 and not row.startswith(("from ", "import ", "#", "@", "def "))}

    return len(lines(first) & lines(second))


#: The head of a function in C++: something that ends in a parenthesis, perhaps qualified, then a brace.
_HEAD = re.compile(
    r"^[ \t]*(?!(?:if|for|while|switch|catch|else|do|namespace|struct|class|enum|return)\b)[\w:<>,&*~\[\] ]+"
    r"\([^;{}]*\)[ \t]*(?:const|override|noexcept|->[\w:<>*& ]+|[ \t])*(?::[^;{}]*(?:\{[^{}]*\}[^;{}]*)*)?\{",
    re.M,
)


def native_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the functions of a C++ file with the lines of their bodies; braces in strings and comments do not count."""
    text = re.sub(r'//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\])\'', lambda m: " " * len(m[0]), path.read_text())
    for head in _HEAD.finditer(text):
        depth, end = 1, head.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        name = re.findall(r"([\w~]+)\s*\(", head[0])
        yield f"{path.relative_to(ROOT)}:{name[0] if name else '?'}", text.count("\n", head.end(), end) - 1


def native_classes(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the classes of a C++ file with their lines."""
    text = re.sub(r"//[^\n]*", lambda m: " " * len(m[0]), path.read_text())
    for head in re.finditer(r"^(?:class|struct) (\w+)[^;{]*\{", text, re.M):
        depth, end = 1, head.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield f"{path.relative_to(ROOT)}:{head[1]}", text.count("\n", head.start(), end)


def lines_of(path: Path) -> tuple[int, str]:
    """Return how many lines a file has, and its place."""
    return len(path.read_text().splitlines()), str(path.relative_to(ROOT))


def measure() -> dict[str, list[tuple[int, str]]]:
    """Return for each measure the values with their places, the largest first."""
    parsed = modules()
    graph = {name: imports(name, tree, set(parsed)) - {"lossfloor"} for name, tree in parsed.items()}
    # The package itself names what is public and imports a room when one of its names is first used.
    graph["lossfloor"] = set()
    natives = sorted(path for ending in ("cpp", "hpp", "inl") for path in NATIVE.rglob(f"*.{ending}"))
    found: dict[str, list[tuple[int, str]]] = {
        "import circles": [(len(part), ", ".join(part)) for part in circles(graph)],
        "python file": [
            (len(path.read_text().splitlines()), str(path.relative_to(ROOT))) for path in PACKAGE.rglob("*.py")
        ],
        "native file": [(len(path.read_text().splitlines()), str(path.relative_to(ROOT))) for path in natives],
        "function body": [],
        "class": [],
        "adversary tests": [(1, place) for place in adversary_tests(parsed)],
    }
    for name, tree in parsed.items():
        for inner, node in definitions(tree):
            if isinstance(node, ast.ClassDef):
                found["class"].append(((node.end_lineno or 0) - node.lineno + 1, f"{name}.{inner}"))
            else:
                found["function body"].append((body_lines(node), f"{name}.{inner}"))
    for path in natives:
        found["function body"] += [(length, place) for place, length in native_functions(path)]
        found["class"] += [(length, place) for place, length in native_classes(path)]
    pair = PACKAGE / "floors" / "two_class.py", PACKAGE / "floors" / "many_class.py"
    found["shared"] = [(shared_lines(*pair), "lines of floors/two_class.py and floors/many_class.py")]
    return {name: sorted(values, key=lambda one: (-one[0], one[1])) for name, values in found.items()}


def main() -> int:
    """Print the measures; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if a measure is above its limit without a reason")
    check = parser.parse_args().check
    found = measure()
    too_much = [f"import circle: {place}" for _, place in found["import circles"]]
    print(f"{'import circles':16} {len(found['import circles'])} (0)")
    for name, limit in LIMITS.items():
        values = found[name]
        total = name == "adversary tests"
        largest = len(values) if total else values[0][0] if values else 0
        print(f"{name:16} {largest} ({limit}){'' if total or not values else '  ' + values[0][1]}")
        above = values[limit:] if total else [one for one in values if one[0] > limit]
        for value, place in above:
            reason = REASONS.get(place)
            print(f"    {value:5} {place}" + (f": {reason}" if reason else ""))
            too_much += [] if reason else [f"{name}: {place}"]
    return int(check and bool(too_much))


if __name__ == "__main__":
    sys.exit(main())
