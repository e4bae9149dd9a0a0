"""Every family of adversaries by its name on the command line, matrices from files, and hostile descriptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from typer.testing import CliRunner, Result

import lossfloor as lf
from lossfloor import adversaries
from lossfloor.adversaries import FAMILIES
from lossfloor.cli.app import app

N = 20
DOCS = Path(__file__).parents[2] / "docs"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run_json(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def refused(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("lossfloor: ")
    assert result.stderr.count("\n") == 1
    assert not result.stdout
    return result.stderr


def points() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 6, (N, 3))


def images() -> np.ndarray:
    X = np.zeros((N, 5, 5), dtype=np.uint8)
    for image, place in zip(X, np.random.default_rng(1).integers(1, 4, (N, 2)), strict=True):
        image[tuple(place)] = 200
    return X


def outcomes() -> np.ndarray:
    return (np.random.default_rng(2).random((N, 8)) < 0.3) | (np.arange(8) == 0)


def distances() -> np.ndarray:
    X = points()
    return np.abs(X[:, None] - X[None]).sum(axis=2)


DESCRIPTIONS: dict[str, tuple[list[str], Callable[[Any], lf.adversaries.Adversary], Callable[[], np.ndarray]]] = {
    "l1": (["eps=3/2"], lambda unit: lf.L1("3/2", unit), points),
    "l2": (["eps=0.9"], lambda unit: lf.L2(0.9, unit), points),
    "linf": (["eps=[1, 0.5" + ", 1" * (N - 2) + "]"], lambda unit: lf.Linf([1, 0.5] + [1] * (N - 2), unit), points),
    "lp": (["p=3", "eps=1.1"], lambda unit: lf.Lp(3, 1.1, unit), points),
    "weighted-lp": (
        ["p=inf", 'costs=[1, "1/3", Infinity]', "eps=1"],
        lambda unit: adversaries.WeightedLp("inf", [1, "1/3", np.inf], 1, unit),
        points,
    ),
    "ellipsoid": (
        ["matrix=[[1, 0, 0], [0, 0.5, 0], [0, 0, 2]]", "eps=1"],
        lambda unit: adversaries.Ellipsoid(np.diag([1, 0.5, 2]), 1, unit),
        points,
    ),
    "box": (
        ["lower=0", 'upper=[1, "inf", 0.5]', "eps=2"],
        lambda unit: adversaries.Box(0, [1, "inf", 0.5], eps=2, unit=unit),
        points,
    ),
    "hamming": (["k=1"], lambda _: adversaries.Hamming(1), points),
    "sparse-linf": (["k=2", "eps=1"], lambda unit: adversaries.SparseLinf(2, 1, unit), points),
    "edit-distance": (["k=1"], lambda _: adversaries.EditDistance(1), points),
    "substitution": (
        ["synonyms=[[0, [1, 2]], [3, [4]], [5, [4]]]"],
        lambda _: adversaries.Substitution({0: [1, 2], 3: [4], 5: [4]}),
        points,
    ),
    "finite-sets": ([], lambda _: adversaries.FiniteSets(), outcomes),
    "geometric": (["shifts=1", "rotations=[0, 90]"], lambda _: adversaries.Geometric([0, 90], 1), images),
    "union": (
        ['members=[{"name": "l2", "eps": 0.9}, {"name": "linf", "eps": "1/2"}]'],
        lambda unit: adversaries.Union(lf.L2(0.9, unit), lf.Linf("1/2", unit)),
        points,
    ),
    "intersection": (
        ['members=[{"name": "l1", "eps": 2}, {"name": "linf", "eps": 1}]'],
        lambda unit: adversaries.Intersection(lf.L1(2, unit), lf.Linf(1, unit)),
        points,
    ),
    "clipped": (
        ['adversary={"name": "l2", "eps": 0.9}', "low=0", "high=5"],
        lambda unit: adversaries.Clipped(lf.L2(0.9, unit), 0, 5),
        points,
    ),
    "precomputed": (["eps=3/2"], lambda _: lf.Precomputed(distances=distances(), eps="3/2"), points),
}


@pytest.fixture
def table(tmp_path: Path) -> Callable[[np.ndarray], Path]:
    def write(X: np.ndarray) -> Path:
        path = tmp_path / "table.npz"
        np.savez(path, X=X, y=np.arange(N) % 2)
        return path

    return write


def test_every_family_is_here_in_the_help_and_in_the_documentation() -> None:
    assert set(DESCRIPTIONS) == set(FAMILIES) - {"custom"}
    shown = " ".join(run("floor", "--help").stdout.replace("│", " ").split())
    rows = [line for line in (DOCS / "adversaries.md").read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    for name in DESCRIPTIONS:
        assert f"{name}," in shown or f"{name}." in shown
        assert any(f"`{name}`" in row.split("|")[1] for row in rows)


@pytest.mark.parametrize("unit", [1, 2])
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_every_family_by_its_name(name: str, unit: int, table: Any, tmp_path: Path) -> None:
    texts, make, data = DESCRIPTIONS[name]
    X = data()
    path, saved, described = table(X), tmp_path / "result.npz", tmp_path / "adversary.json"
    matrix: list[str | Path] = []
    if name == "precomputed":
        np.save(tmp_path / "matrix.npy", distances())
        matrix = ["--matrix", tmp_path / "matrix.npy"]
    parameters = [part for text in texts for part in ("--param", text)]
    options = ["--unit", str(unit), *matrix]
    values = run_json("floor", path, "--adversary", name, *parameters, *options, "--save", saved)
    expected = lf.floor(X, np.arange(N) % 2, make(unit))
    assert values["n_edges"] == expected.n_edges > 0
    assert values["cross_entropy"] == expected.cross_entropy
    assert values["adversary"] == json.loads(json.dumps(make(unit).config()))
    # Its proof, and the same by a file: of the adversary, and of the whole result.
    proved = run_json("verify", saved, "--data", path, *matrix)
    assert (proved["status"], proved["cross_entropy"]) == ("proved", pytest.approx(values["cross_entropy"], rel=1e-14))
    assert "is proved" in run("verify", saved, "--data", path, *matrix).stdout
    for text in (values, values["adversary"]):
        described.write_text(json.dumps(text))
        again = run_json("floor", path, "--adversary-json", described, *options)
        assert {**again, "seconds": 0} == {**values, "seconds": 0}


def test_bounds_are_told_and_verified(table: Any, tmp_path: Path) -> None:
    X = points()
    saved = tmp_path / "result.npz"
    members = 'members=[{"name": "sparse-linf", "k": 1, "eps": 1}, {"name": "linf", "eps": 0}]'
    options = [table(X), "--adversary", "union", "--param", members]
    values = run_json("floor", *options, "--loss", "spherical", "--save", saved)
    expected = lf.floor(X, np.arange(N) % 2, adversaries.Union(adversaries.SparseLinf(1, 1), lf.Linf(0)))
    assert values["status"] == expected.status == "bounds"
    assert values["upper"] == {
        **expected.upper.main_losses(),
        "losses": {"spherical": expected.upper.loss("spherical")},
    }
    assert values["losses"] == {"spherical": expected.loss("spherical")}
    assert values["zero_one"] < values["upper"]["zero_one"]
    told = f"{expected.zero_one:.9g} to {expected.upper.zero_one:.9g}"
    assert told in run("floor", *options).stdout
    assert told in run("verify", saved, "--data", table(X)).stdout
    proved = run_json("verify", saved, "--data", table(X))
    assert proved["upper"]["zero_one"] == expected.upper.zero_one
    with np.load(saved) as arrays:
        forged = {name: arrays[name] for name in arrays}
    forged["upper_b"] = forged["upper_b"] + 1
    np.savez(saved, **forged)
    result = run("verify", saved, "--data", table(X))
    assert result.exit_code == 1
    assert "rejected" in result.stderr


# Curves.


@pytest.mark.parametrize(
    ("options", "make", "grid"),
    [
        (["--adversary", "l2"], lambda eps: lf.L2(eps, 2), ["0", "0.5", "1"]),
        (["--adversary", "box", "--param", "lower=0", "--param", "upper=1"], None, ["0.5", "1"]),
        (["--adversary", "hamming"], adversaries.Hamming, ["0", "1", "2"]),
        (["--adversary", "sparse-linf", "--param", "k=2"], lambda eps: adversaries.SparseLinf(2, eps, 2), ["0", "1"]),
        (["--adversary", "sparse-linf", "--param", "eps=1"], lambda k: adversaries.SparseLinf(k, 1, 2), ["0", "3"]),
        (
            [
                "--adversary",
                "union",
                "--param",
                'members=[{"name": "sparse-linf", "k": 1, "eps": "1/2"}, {"name": "linf"}]',
            ],
            lambda eps: adversaries.Union(adversaries.SparseLinf(1, 0.5, 2), lf.Linf(eps, 2)),
            ["0", "1/4"],
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, list) and value[0] == "--adversary" else None,
)
def test_a_curve_varies_the_budget_left_out(
    options: list[str], make: Any, grid: list[str], table: Any, monkeypatch: Any
) -> None:
    make = make or (lambda eps: adversaries.Box(0, 1, eps=eps, unit=2))
    X = points()
    eps = [part for value in grid for part in ("--eps", value)]
    arguments = ["curve", table(X), "--unit", "2", *options, *eps]
    values = run_json(*arguments)
    floors = [lf.floor(X, np.arange(N) % 2, make(value)) for value in grid]
    assert values["zero_one"] == [one.zero_one for one in floors]
    assert values["n_edges"] == [one.n_edges for one in floors]
    assert "eps" not in values["adversary"] or "eps=1" in options
    bounded = any(one.status == "bounds" for one in floors)
    assert values["status"] == ("bounds" if bounded else "exact")
    monkeypatch.setenv("COLUMNS", "160")
    text = run(*arguments).stdout
    assert ("proof" in text) == bounded
    if bounded:
        assert values["upper"]["zero_one"] == [one.upper.zero_one for one in floors]
        one = next(one for one in floors if one.zero_one < one.upper.zero_one)
        assert f"{one.zero_one:.6f} to {one.upper.zero_one:.6f}" in " ".join(text.split())


def test_a_curve_over_a_matrix_of_distances(table: Any, tmp_path: Path) -> None:
    sparse.save_npz(tmp_path / "matrix.npz", sparse.csr_array(distances() + 1))
    options = ["--adversary", "precomputed", "--matrix", tmp_path / "matrix.npz", "--eps", "1", "--eps", "2"]
    values = run_json("curve", table(points()), *options)
    y = np.arange(N) % 2
    expected = [lf.floor(None, y, lf.Precomputed(distances=distances() + 1, eps=eps)) for eps in (1, 2)]
    assert values["zero_one"] == [one.zero_one for one in expected]


# Matrices.


def saved_as(form: str, path: Path, D: np.ndarray) -> Path:
    path = path / f"matrix.{'npy' if form == 'npy' else 'npz'}"
    if form == "npy":
        np.save(path, D)
    elif form == "npz":
        np.savez_compressed(path, anything=D)
    elif form == "old csr":
        sparse.save_npz(path, sparse.csr_matrix(D))
    else:
        sparse.save_npz(path, sparse.coo_array(D).asformat(form))
    return path


@pytest.mark.parametrize("form", ["npy", "npz", "csr", "csc", "old csr"])
@pytest.mark.parametrize("kind", ["distances", "conflicts"])
def test_matrices_in_every_form(form: str, kind: str, table: Any, tmp_path: Path) -> None:
    D = distances() + 1
    matrix = saved_as(form, tmp_path, D if kind == "distances" else (D <= 3))
    eps = ["--param", "eps=1.5"] if kind == "distances" else []
    saved, data = tmp_path / "result.npz", table(points())
    values = run_json("floor", data, "--adversary", "precomputed", "--matrix", matrix, *eps, "--save", saved)
    assert values["adversary"]["matrix"] == kind
    assert values["zero_one"] == lf.floor(None, np.arange(N) % 2, lf.Precomputed(conflicts=D <= 3)).zero_one
    proved = run_json("verify", saved, "--data", data, "--matrix", matrix)
    assert proved["zero_one"] == values["zero_one"]
    other = saved_as("csr", tmp_path, np.roll(D if kind == "distances" else (D <= 3), 3))
    result = run("verify", saved, "--data", data, "--matrix", other)
    assert (result.exit_code, "rejected" in result.stderr) == (1, True)
    assert "give its matrix with --matrix" in refused("verify", saved, "--data", data)


def corrupt(path: Path, **change: Any) -> Path:
    with np.load(path) as arrays:
        parts = {name: arrays[name] for name in arrays}
    np.savez(path, **{name: part for name, part in {**parts, **change}.items() if part is not None})
    return path


def text_file(path: Path, content: bytes) -> Path:
    file = path / "matrix.npy"
    file.write_bytes(content)
    return file


def header(shape: str, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def pickled(path: Path) -> Path:
    np.save(path / "matrix.npy", np.array([[print, 1], [1, print]], dtype=object), allow_pickle=True)
    return path / "matrix.npy"


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "none": (lambda p: p / "nothing.npy", "--matrix must be a file"),
    "text": (lambda p: text_file(p, b"1,2\n3,4\n"), "must be a file of arrays"),
    "empty": (lambda p: text_file(p, b""), "must be a"),
    "cut off": (lambda p: text_file(p, header("(20, 20)") + b"\0" * 99), "that holds what it claims"),
    "huge": (lambda p: text_file(p, header("(2000000000, 2000000000)")), "that holds what it claims"),
    "negative": (lambda p: text_file(p, header("(-1, 20)")), "must be"),
    "objects": (pickled, "must be a file of plain arrays"),
    "two arrays": (lambda p: corrupt(saved_as("npz", p, distances()), other=np.eye(2)), "must hold one array"),
    "coo": (lambda p: saved_as("coo", p, distances()), "must be in the form CSR or CSC"),
    "no shape": (lambda p: corrupt(saved_as("csr", p, distances()), shape=None), "is a damaged SciPy matrix"),
    "indices out of range": (
        lambda p: corrupt(saved_as("csr", p, np.eye(N)), indices=np.full(N, 10**6)),
        "is a damaged SciPy matrix",
    ),
    "indptr out of range": (
        lambda p: corrupt(saved_as("csc", p, np.eye(N)), indptr=np.arange(N + 1) * 7),
        "is a damaged SciPy matrix",
    ),
    "indices of fractions": (
        lambda p: corrupt(saved_as("csr", p, np.eye(N)), indices=np.arange(N) / 2),
        "is a damaged SciPy matrix",
    ),
    "huge shape": (
        lambda p: corrupt(saved_as("csr", p, np.eye(N)), shape=np.array([2**60, 2**60])),
        "is a damaged SciPy matrix",
    ),
    "no square": (lambda p: saved_as("npy", p, np.zeros((20, 3))), "'conflicts' must be a square matrix"),
    "words": (lambda p: saved_as("npy", p, np.full((2, 2), "a")), "must be a matrix of real numbers"),
    "too small": (lambda p: saved_as("npy", p, np.eye(3)), "'conflicts' must be 20 x 20"),
    "NaN": (lambda p: saved_as("npy", p, np.full((N, N), np.nan)), "'conflicts' must be free of NaN"),
    "one half": (lambda p: saved_as("csr", p, np.triu(np.ones((N, N)))), "'conflicts' must be symmetric"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_matrix_that_is_none(case: str, table: Any, tmp_path: Path) -> None:
    make, told = HOSTILE[case]
    matrix = make(tmp_path)
    assert told in refused("floor", table(points()), "--adversary", "precomputed", "--matrix", matrix)


# Descriptions.


def described(*parameters: str, name: str = "box") -> list[str]:
    return ["--adversary", name, *(part for text in parameters for part in ("--param", text))]


WRONG: dict[str, tuple[list[str], str]] = {
    "unknown": (described(name="haming"), "unknown adversary 'haming'; did you mean 'hamming'?"),
    "missing": (described("lower=0"), "box needs 'upper'"),
    "superfluous": (described("lower=0", "upper=1", "epsilon=1"), "unknown parameter of box 'epsilon'"),
    "no value": (described("lower"), "--param must be of the form KEY=VALUE"),
    "empty value": (described("lower="), "--param must be of the form KEY=VALUE"),
    "twice": (described("lower=0", "lower=1"), "--param gives 'lower' twice"),
    "name": (described("name=l2"), "--param gives 'name' twice"),
    "bad JSON": (described("lower=[0,", "upper=1"), "--param lower is not JSON"),
    "a word": (described("lower=much", "upper=1"), "'lower' must be a number"),
    "negative": (described("lower=-1", "upper=1"), "'lower' must be at least 0"),
    "NaN": (described("lower=[NaN]", "upper=1"), "'lower' must be finite"),
    "two": ([*described("lower=0", "upper=1"), "--l2", "1"], "got --l2 and --adversary"),
    "parameters of nobody": (["--l2", "1", "--param", "k=1"], "--param goes with --adversary"),
    "a matrix of nobody": (["--l2", "1", "--matrix", "m.npy"], "--matrix goes with --adversary precomputed"),
    "no matrix": (described(name="precomputed"), "needs --matrix FILE"),
    "a matrix by its name": (described("distances=m.npy", name="precomputed"), "unknown parameter of precomputed"),
    "functions": (described(name="custom"), "--adversary custom consists of Python functions"),
    "a function by its name": (described("outcomes=os.system", name="finite-sets"), "give its function"),
    "functions inside": (described('members=[{"name": "custom"}]', name="union"), "give its functions"),
    "another unit": (described("eps=1", "unit=255", name="l2"), "has the unit 255, but the data have 1"),
    "another unit inside": (
        described('members=[{"name": "l2", "eps": 1, "unit": 255}]', name="union"),
        "has the unit 255, but the data have 1",
    ),
    "a huge order": (described("p=1e300", "eps=1", name="lp"), "'p' must be a quotient of whole numbers up to"),
    "a huge number": (described("eps=1e99999999", name="l2"), "'eps' must be a number of moderate size"),
    "a huge count": (described("k=1e300", name="edit-distance"), "'k' must be below"),
    "no angles": (described("rotations=null", name="geometric"), "'rotations' must be a number"),
    "no shape": (described("shape=5", name="geometric"), "'shape' must be height and width"),
    "a shape of words": (described('shape=["a", 2]', name="geometric"), "'shape' must be height and width"),
    "rows of several lengths": (
        described("matrix=[[1, 2], [3]]", "eps=1", name="ellipsoid"),
        "'matrix' must be square",
    ),
    "limits of none": (
        described('adversary={"name": "l2", "eps": 1}', "low={}", "high=1", name="clipped"),
        "'low' must",
    ),
    "costs of none": (described("p=1", "eps=1", "costs={}", name="weighted-lp"), "'costs' must be a number, or a"),
    "a ragged table": (described("lower=[[1, 2, 3], [1]]", "upper=1"), "'lower' must be a number, or a table"),
    "members of none": (described("members=[1]", name="union"), "'config' must be a mapping with a name"),
    "no file": (["--adversary-json", "nowhere.json"], "--adversary-json must be a file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_description_is_told(case: str, table: Any) -> None:
    options, told = WRONG[case]
    assert told in refused("floor", table(points()), *options)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[1]", "must hold an object with the name"),
        (b'{"name": ["l2"]}', "must hold an object with the name"),
        (b'{"name": "l2", "eps": 1, "eps": 2}', "a key comes twice"),
        (b'{"name": "l2", "eps": ' + b"1" * 5000 + b"}", "is not JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"name": "union", "members": [' * 200 + b'{"name": "l2", "eps": 1}' + b"]}" * 200, "nested at most 16 deep"),
        (b'{"name": "l2", "eps": {"a": 1}}', "'eps' must be a number"),
    ],
    ids=["open", "bytes", "list", "name", "twice", "digits", "deep", "members", "kind"],
)
def test_a_hostile_file_is_refused(content: bytes, told: str, table: Any, tmp_path: Path) -> None:
    file = tmp_path / "adversary.json"
    file.write_bytes(content)
    assert told in refused("floor", table(points()), "--adversary-json", file)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (described("lower=0", "upper=1", "eps=1"), "leave out its eps, k or shifts"),
        (described(name="finite-sets"), "leave out its eps, k or shifts"),
        (described(name="sparse-linf"), "sparse-linf has two budgets: set eps or k with --param"),
        ([*described("lower=0", "upper=1"), "--at", "brier=0.1"], "--at needs one of --l2"),
        (described(name="hamming"), "'k' must be a whole number"),
    ],
)
def test_wrong_curves_are_told(options: list[str], told: str, table: Any) -> None:
    assert told in refused("curve", table(points()), *options, "--eps-to", "1", "--points", "2", "--eps-from", "1/2")


def test_what_cannot_be_verified_here(tmp_path: Path, table: Any) -> None:
    X, y = points(), np.arange(N) % 2
    saved = tmp_path / "result.npz"
    custom = adversaries.CustomAdversary(contains=lambda x, z: bool((x == z).all()), meet=lambda x, z: None)
    lf.floor(X, y, custom).save(saved)
    assert "in Python only" in refused("verify", saved, "--data", table(X))
    lf.floor(X, y, lf.L2(1)).save(saved)
    np.save(tmp_path / "m.npy", np.eye(N))
    told = refused("verify", saved, "--data", table(X), "--matrix", tmp_path / "m.npy")
    assert "--matrix goes with a result against a precomputed" in told
