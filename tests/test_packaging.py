"""What is shipped: versions that agree, true stubs, quick imports, walls between modules, a whole wheel."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import lossfloor as lf

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "lossfloor"


def run_python(code: str, *, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Names and versions


def test_versions_agree() -> None:
    assert importlib.metadata.version("lossfloor") == lf.__version__
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert released[0] == lf.__version__


def test_every_public_name_is_there_and_documented() -> None:
    assert sorted(set(lf.__all__)) == sorted(lf.__all__)
    for name in lf.__all__:
        assert getattr(lf, name).__doc__, name
    assert set(lf.__all__) <= set(dir(lf))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'flor'"):
        lf.flor  # noqa: B018


def test_the_stub_is_that_of_the_extension(tmp_path: Path) -> None:
    made = tmp_path / "_core.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "lossfloor._core", "-o", str(made)]
    subprocess.run(command, check=True)
    lines, expected = (
        [line for line in path.read_text().splitlines() if line] for path in (PACKAGE / "_core.pyi", made)
    )
    assert lines == expected, "make it anew, as CONTRIBUTING.md says"


# What is imported when


@pytest.mark.parametrize("module", ["lossfloor", "lossfloor.floors", "lossfloor.reporting.plots", "lossfloor.cli.app"])
def test_heavy_packages_are_imported_only_when_used(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = set(run_python(code).split())
    assert loaded.isdisjoint({"torch", "matplotlib", "matplotlib.pyplot", "sklearn", "pandas", "pyarrow"})


def test_a_floor_from_the_command_line_needs_no_heavy_package() -> None:
    # scikit-learn is looked for, to read its file of digits, but not imported.
    code = (
        "import sys\n"
        "for name in ('torch', 'matplotlib', 'sklearn.base', 'pandas', 'scipy.optimize', 'scipy.spatial'):\n"
        "    sys.modules[name] = None\n"
        "from lossfloor.cli.app import app\n"
        "app(['floor', 'digits', '--classes', '3', '8', '--l2', '1', '--json'])\n"
    )
    assert '"status": "exact"' in run_python(code)


def test_the_import_is_quick() -> None:
    code = "import time; began = time.process_time(); import lossfloor; print(time.process_time() - began)"
    assert float(run_python(code)) < 0.5


# The independence of the checker


def test_the_checker_works_without_what_it_checks(tmp_path: Path) -> None:
    data = lf.load("digits", classes=(3, 8), n_per_class=30)
    result = lf.floor(data.X, data.y, lf.L2(1.2, unit=16))
    assert result.n_blocks > 2
    result.save(tmp_path / "result.npz")
    code = (
        "import sys\n"
        "for name in ('_core', 'adversaries', 'conflicts', 'distances', 'floors', 'solvers'):\n"
        "    sys.modules['lossfloor.' + name] = None\n"
        "import os, numpy as np\n"
        "from lossfloor import certificates, load\n"
        "data = load('digits', classes=(3, 8), n_per_class=30)\n"
        "with np.load(os.environ['RESULT']) as arrays:\n"
        "    certificate = certificates.Certificate.from_arrays(arrays)\n"
        "print(certificates.check(certificate, data.X, data.y).cross_entropy)\n"
    )
    proved = float(run_python(code, environment={"RESULT": str(tmp_path / "result.npz")}))
    assert proved == pytest.approx(result.cross_entropy, rel=1e-14)


def _modules_that_the_checker_is_made_of() -> list[str]:
    """Follow the imports of the checker inside the package."""
    found, waiting = [], ["certificates"]
    while waiting:
        name = waiting.pop()
        found.append(name)
        folder = PACKAGE / name
        for path in sorted(folder.glob("**/*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]:
            waiting += [one for one in _imports(path) if one not in [*found, *waiting]]
    return sorted(found)


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "lossfloor":
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lossfloor."):
            names.append(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            names += [alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("lossfloor")]
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: a relative import"
    return names


def test_the_checker_is_made_of_these_modules_only() -> None:
    # import-linter sees neither the extension, which is no Python module, nor names taken off the package.
    assert _modules_that_the_checker_is_made_of() == ["_checks", "_files", "certificates", "exact", "exceptions"]


# The wheel


@pytest.mark.slow
def test_the_wheel_is_whole_and_works(tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
            *(
                "--config-settings",
                f"build-dir={tmp_path / 'build'}",
                "--wheel-dir",
                str(tmp_path),
                str(ROOT),
            ),
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("lossfloor-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    sources = {path.relative_to(ROOT / "src").as_posix() for path in PACKAGE.rglob("*.py")}
    assert sources | {"lossfloor/py.typed", "lossfloor/_core.pyi"} <= set(names)
    assert [name for name in names if re.fullmatch(r"lossfloor/_core\..*(so|pyd)", name)]
    assert all(name.startswith(("lossfloor/", "lossfloor-")) for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path / 'installed')!r})\n"
        "sys.meta_path[:] = [finder for finder in sys.meta_path if 'skbc' not in type(finder).__module__]\n"
        "import lossfloor, lossfloor._core\n"
        "assert lossfloor.__file__.startswith(sys.path[0]), lossfloor.__file__\n"
        "assert lossfloor._core.__file__.startswith(sys.path[0]), lossfloor._core.__file__\n"
        "print(lossfloor.floor([[0.0], [1.0]], [0, 1], lossfloor.L2(0.5)).zero_one)\n"
    )
    assert run_python(code) == "0.5\n"
