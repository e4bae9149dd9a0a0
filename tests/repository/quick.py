"""The tests of `make quick`: those that are short and need no package that only `make test` installs.

``pytest --quick`` leaves out the others, whether those packages are installed or not: files that import one of them,
also through modules of ours; tests and doctests that do so themselves; tests that are marked slow; and those that
quick.toml names.  While it runs these packages cannot be imported, so that a test that needs one fails here as it would
without them.  Without the option nothing is left out, and a missing package is an error.
"""

from __future__ import annotations

import ast
import importlib.abc
import sys
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_CHOICE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
#: Modules that cannot be imported in `make quick`.
PACKAGES: tuple[str, ...] = tuple(_CHOICE["packages"])
#: Names of tests that take long.
LONG: tuple[str, ...] = tuple(_CHOICE["long"])


class Blocker(importlib.abc.MetaPathFinder):
    """Lets nobody import a package that `make quick` does without."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in PACKAGES:
            raise ModuleNotFoundError(f"No module named {name!r} in `pytest --quick`", name=name)


class Quick:
    """The plugin that `--quick` registers."""

    def __init__(self, config: pytest.Config) -> None:
        self._needs = Needs(roots_of(config))

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        return True if self._needs.of_path(collection_path) else None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left_out = {item for item in items if self._needs.why_not(item)}
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        packages = ", ".join(PACKAGES)
        terminalreporter.write_line(f"Left out: tests that take long or need {packages}. `make test` runs them.")


def roots_of(config: pytest.Config) -> list[Path]:
    """Return the folders in which modules of ours are found."""
    return [config.rootpath / "src", *config.getini("pythonpath")]


class Needs:
    """What test files and tests need of `PACKAGES`, by the imports in their source."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(roots)

    def of_path(self, path: Path) -> set[str]:
        """Return which packages must be there to collect a file or folder."""
        if path.is_dir():
            path /= "conftest.py"
        return self._of_module(path) if path.suffix == ".py" and path.is_file() else set()

    def why_not(self, item: pytest.Item) -> str | None:
        """Return why `make quick` leaves a test out, or None."""
        if item.get_closest_marker("slow"):
            return "slow"
        if getattr(item, "originalname", item.name) in LONG:
            return "long"
        needed = self._of_place(item.path, item.config.rootpath) | self._of_item(item)
        return f"needs {', '.join(sorted(needed))}" if needed else None

    @cache  # noqa: B019 (one object lives as long as the run)
    def _of_place(self, path: Path, top: Path) -> set[str]:
        """Return what must be there to collect a file, its folders included."""
        folders = [folder for folder in path.parents if folder.is_relative_to(top)]
        return set().union(*map(self.of_path, [path, *folders]))

    def _of_item(self, item: pytest.Item) -> set[str]:
        if isinstance(item, pytest.DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)  # type: ignore[union-attr]
            return self._of_source(item.path, imports(ast.parse(source).body))
        return self._of_functions(item.path).get(getattr(item, "originalname", item.name), set())

    @cache  # noqa: B019
    def _of_functions(self, path: Path) -> dict[str, set[str]]:
        """Return what the functions of a file import themselves, by their names."""
        needed: dict[str, set[str]] = {}
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.FunctionDef):
                needed.setdefault(node.name, set()).update(self._of_source(path, imports(node.body)))
        return needed

    @cache  # noqa: B019
    def _of_module(self, path: Path) -> set[str]:
        """Follow the imports of a module, and of the packages that it lies in, through modules of ours."""
        seen: set[Path] = set()
        packages = [parent / "__init__.py" for parent in path.parents if (parent / "__init__.py").is_file()]
        waiting, needed = [path, *packages], set()
        while waiting:
            if (one := waiting.pop()) not in seen:
                seen.add(one)
                direct, files = self._step(one)
                needed |= direct
                waiting += files
        return needed

    @cache  # noqa: B019
    def _step(self, path: Path) -> tuple[set[str], list[Path]]:
        """Return the packages that a module imports itself, and the modules of ours that it imports."""
        names = list(self._names(path, imports(_parsed(path).body)))
        return {name.partition(".")[0] for name in names} & set(PACKAGES), [f for n in names for f in self._files(n)]

    def _of_source(self, path: Path, found: Iterator[ast.Import | ast.ImportFrom]) -> set[str]:
        names = list(self._names(path, found))
        direct = {name.partition(".")[0] for name in names} & set(PACKAGES)
        return direct.union(*(self._of_module(file) for name in names for file in self._files(name)))

    def _names(self, path: Path, found: Iterator[ast.Import | ast.ImportFrom]) -> Iterator[str]:
        """Yield the full names of what may be modules."""
        for node in found:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
                continue
            package: tuple[str, ...] = ()
            if node.level:
                root = next(root for root in self._roots if path.is_relative_to(root))
                package = path.parents[node.level - 1].relative_to(root).parts
            stem = [*package, *([node.module] if node.module else [])]
            yield from (".".join([*stem, alias.name]) for alias in node.names)

    def _files(self, name: str) -> list[Path]:
        """Return the files of ours that are run when a module is imported: its own, and those of its packages."""
        parts = name.split(".")
        files = []
        for root in self._roots:
            for length in range(1, len(parts) + 1):
                place = root.joinpath(*parts[:length])
                files += [place.with_name(place.name + ".py"), place / "__init__.py"]
        return [file for file in files if file.is_file()]


def imports(body: Sequence[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that are carried out with `body`: not those of functions in it, nor for types only."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from imports(node.orelse)
        else:
            for part in ("body", "handlers", "orelse", "finalbody"):
                yield from imports(getattr(node, part, []))


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def start(config: pytest.Config) -> None:
    """Do what `--quick` asks for."""
    sys.meta_path.insert(0, Blocker())
    config.pluginmanager.register(Quick(config), "quick")
