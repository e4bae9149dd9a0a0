"""`make quick` leaves out what it says, and nothing is left out anywhere else."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from quick import LONG, PACKAGES, Blocker, Needs

ROOT = Path(__file__).parents[2]

# Writes why `make quick` leaves out each test that is collected, or null.
LIST = """
import json, sys
import pytest

class Lister:
    def pytest_collection_finish(self, session):
        from quick import Needs, roots_of
        needs = Needs(roots_of(session.config))
        tests = [(item.nodeid, getattr(item, "originalname", item.name), needs.why_not(item)) for item in session.items]
        with open(sys.argv[1], "w") as stream:
            json.dump(tests, stream)

sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *sys.argv[2:]], plugins=[Lister()]))
"""


def collected(folder: Path, *options: str) -> dict[str, tuple[str, str | None]]:
    """Return the name of each test that is collected, and why it does not belong to `make quick`."""
    written = folder / "tests.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-c", LIST, str(written), *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return {test: (name, why) for test, name, why in json.loads(written.read_text())}


def test_quick_takes_every_test_but_those_it_has_a_reason_to_leave_out(tmp_path: Path) -> None:
    every, quick = collected(tmp_path), collected(tmp_path, "--quick")
    assert list(quick) == [test for test, (_, why) in every.items() if why is None]
    assert len(quick) > len(every) / 2
    assert [test for test in every if " at 0x" in test] == [], "the name of a test is the same in every run"
    # Each package is missed by some test, and each name stands for a test that would not be left out otherwise.
    reasons = {why for _, why in every.values() if why}
    assert {package for package in PACKAGES if any(package in why for why in reasons)} >= {"cvxpy", "pyarrow", "torch"}
    assert {name for name, why in every.values() if why == "long"} == set(LONG)
    assert len(LONG) == len(set(LONG))


def test_only_quick_does_without_large_packages() -> None:
    pinned = {
        name: set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / name).read_text(), flags=re.MULTILINE))
        for name in ("quick.txt", "dev.txt")
    }
    assert not pinned["quick.txt"] & pinned["dev.txt"]
    assert set(PACKAGES) <= pinned["dev.txt"]


def test_nothing_is_skipped_but_for_the_processor() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute | ast.Name):
                name = node.attr if isinstance(node, ast.Attribute) else node.id
                assert name not in ("importorskip", "skip", "xfail", "collect_ignore", "skipTest"), (path, node.lineno)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "skipif":
                (reason,) = (word.value for word in node.keywords if word.arg == "reason")
                assert "processor" in ast.literal_eval(reason), (path, node.lineno)


def test_blocked_packages_cannot_be_imported() -> None:
    code = "import quick, sys; sys.meta_path.insert(0, quick.Blocker()); import torch.nn"
    folder = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": folder},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModuleNotFoundError: No module named 'torch' in `pytest --quick`" in done.stderr
    assert Blocker().find_spec("torchvision") is None


# Which files need what


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch", {"torch"}),
        ("import torch.nn.functional as F, os", {"torch"}),
        ("from torch.nn import functional", {"torch"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", set()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\nelse:\n    import cvxpy", {"cvxpy"}),
        ("try:\n    import torch\nexcept ImportError:\n    import cvxpy", {"torch", "cvxpy"}),
        ("with open('x'):\n    import torch", {"torch"}),
        ("class A:\n    import torch", {"torch"}),
        ("class A:\n    def f(self):\n        import torch", set()),
        ("import direct", {"torch"}),
        ("from direct import x", {"torch"}),
        ("from house import room", {"cvxpy"}),
        ("from house.room import x", {"cvxpy"}),
        ("import house", set()),
        ("from house import other", {"cvxpy"}),
        ("from lazy import f", set()),
        ("from circle import x", {"torch"}),
        ("import torchvision, unknown", set()),
    ],
)
def test_imports_are_followed(source: str, expected: set[str], tmp_path: Path) -> None:
    files = {
        "direct.py": "import torch",
        "house/__init__.py": "",
        "house/room.py": "import cvxpy",
        "house/other.py": "from . import room\nfrom .room import x",
        "lazy.py": "def f():\n    import torch",
        "circle.py": "import again",
        "again.py": "import circle, direct",
        "test_it.py": source,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert Needs([tmp_path]).of_path(tmp_path / "test_it.py") == expected


def test_a_folder_needs_what_its_conftest_needs(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import torch")
    assert Needs([tmp_path]).of_path(tmp_path) == {"torch"}


def test_a_module_needs_what_its_package_needs(tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "__init__.py").write_text("import torch")
    (tmp_path / "house" / "room.py").write_text("")
    assert Needs([tmp_path]).of_path(tmp_path / "house" / "room.py") == {"torch"}
