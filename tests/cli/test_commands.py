"""The command line: what it prints, what it writes, and how it takes mistakes."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import lossfloor as lf
from lossfloor.cli.app import app
from lossfloor.reporting import numbers

DIGITS = ["digits", "--classes", "3", "8"]
SMALL = [*DIGITS, "--n-per-class", "40"]
PROGRAM = [sys.executable, "-c", "from lossfloor.cli import main; main()"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run_well(*arguments: str | Path) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def run_json(*arguments: str | Path) -> dict[str, Any]:
    result = run_well(*arguments, "--json")
    assert result.stderr == ""
    values: dict[str, Any] = json.loads(result.stdout)
    return values


@pytest.fixture(scope="module")
def digits() -> lf.Dataset:
    return lf.load("digits", classes=(3, 8), n_per_class=40)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "result.npz"
    run_well("floor", *SMALL, "--l2", "1", "--save", path)
    return path


# floor


def test_floor_json_is_the_summary_with_unit_and_data(digits: lf.Dataset) -> None:
    values = run_json("floor", *SMALL, "--l2", "1")
    expected = lf.floor(digits.X, digits.y, lf.L2(1, unit=16)).summary()
    assert set(values) == {*expected, "unit", "data"}
    assert set(values.pop("seconds")) == set(expected.pop("seconds"))
    assert values.pop("unit") == 16
    data = values.pop("data")
    assert data["name"] == "digits"
    assert data["class_names"] == ["3", "8"]
    assert data["shape"] == [80, 8, 8]
    assert data["dtype"] == "uint8"
    assert values == expected


@pytest.mark.parametrize(
    ("options", "adversary"),
    [
        (["--l1", "21/4"], lf.L1("21/4", unit=16)),
        (["--l2", "0.9"], lf.L2(0.9, unit=16)),
        (["--linf", "7/16"], lf.Linf("7/16", unit=16)),
        (["--lp", "3", "0.7"], lf.Lp(3, 0.7, unit=16)),
        (["--lp", "inf", "0.4"], lf.Lp(float("inf"), 0.4, unit=16)),
        (["--l2", "14.4", "--unit", "1"], lf.L2(14.4)),
    ],
)
def test_floor_against_each_adversary(digits: lf.Dataset, options: list[str], adversary: lf.Adversary) -> None:
    values = run_json("floor", *SMALL, *options)
    expected = lf.floor(digits.X, digits.y, adversary)
    assert values["cross_entropy"] == expected.cross_entropy
    assert values["n_edges"] == expected.n_edges > 0
    assert values["adversary"] == adversary.config()


def test_floor_with_more_losses_and_costs(digits: lf.Dataset) -> None:
    values = run_json("floor", *SMALL, "--l2", "1", "--loss", "spherical", "--loss", "zero-one", "--cost", "8=5/2")
    expected = lf.floor(digits.X, digits.y, lf.L2(1, unit=16))
    costs = {3: 1, 8: 2.5}
    assert values["losses"] == {
        "spherical": expected.loss("spherical", costs=costs),
        "zero_one": expected.loss("zero-one", costs=costs),
    }
    assert values["costs"] == {"3": "1", "8": "5/2"}
    assert values["zero_one"] == expected.zero_one


def test_costs_without_losses_apply_to_the_usual_three(digits: lf.Dataset) -> None:
    values = run_json("floor", *SMALL, "--l2", "1", "--cost", "3=2", "--cost", "8=2")
    assert values["losses"] == {
        name: pytest.approx(2 * values[name], rel=1e-12) for name in ("cross_entropy", "zero_one", "brier")
    }


def test_costs_go_by_names_of_classes_too() -> None:
    iris = ["iris", "--classes", "1", "2", "--l2", "0.3", "--loss", "zero-one"]
    assert run_json("floor", *iris, "--cost", "VIRGINICA=3")["costs"] == {"1": "1", "2": "3"}


def test_floor_tells_people_losses_unit_and_adversary() -> None:
    text = run_well("floor", *DIGITS, "--l2", "1", "--loss", "spherical", "--cost", "3=5").stdout
    lines = {line.strip() for line in text.splitlines()}
    assert "cross-entropy                0.325079978 nats" in lines
    assert "0-1 loss                     0.156862745" in lines
    assert "spherical, costs 3: 5, 8: 1  0.215569776" in lines
    assert "unit                         16 (an eps of 1 is 16 in the data)" in lines
    assert "adversary                    L2(eps=1, unit=16)" in lines
    assert "data                         digits: 183 of class 3, 174 of class 8" in lines
    assert "conflicts                    586 (1.84% of the pairs)" in lines
    assert "no conflict                  146 examples" in lines


def test_the_order_of_the_classes_does_not_matter() -> None:
    there, back = (run_json("floor", "digits", "--classes", *pair, "--l2", "1") for pair in ("38", "83"))
    for values in (there, back):
        del values["seconds"]
    assert there == back


def test_save_writes_what_load_reads(saved: Path, digits: lf.Dataset) -> None:
    loaded = lf.Floor.load(saved)
    assert loaded.cross_entropy == lf.floor(digits.X, digits.y, lf.L2(1, unit=16)).cross_entropy
    assert loaded.verify(digits.X, digits.y).n_examples == 80


@pytest.mark.parametrize(("options", "least"), [([], 0.0), (["--min-correct", "0.6"], 0.6)])
def test_soft_labels(tmp_path: Path, digits: lf.Dataset, options: list[str], least: float) -> None:
    path = tmp_path / "soft.npz"
    run_well("floor", *SMALL, "--l2", "1", "--soft-labels", path, *options)
    expected = lf.floor(digits.X, digits.y, lf.L2(1, unit=16)).soft_labels(least)
    with np.load(path) as arrays:
        assert sorted(arrays) == ["classes", "format", "labels", "min_correct", "soft_labels"]
        assert str(arrays["format"]) == "lossfloor-soft-labels-1"
        assert np.array_equal(arrays["soft_labels"], expected)
        assert np.array_equal(arrays["labels"], digits.y)
        assert arrays["classes"].tolist() == [3, 8]
        assert arrays["min_correct"] == least


def test_a_remark_when_everything_conflicts() -> None:
    result = run_well("floor", *SMALL, "--l2", "8", "--json")
    assert "every example conflicts" in result.stderr
    assert "one unit of eps really 16" in result.stderr
    assert json.loads(result.stdout)["zero_one"] == 0.5
    assert run_well("floor", *SMALL, "--l2", "8", "--quiet").stderr == ""


def test_tables_with_a_column_of_labels(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("sick,a,b\nyes,0,0\nno,1,0\nno,9,9\n")
    values = run_json("floor", table, "--label", "sick", "--l1", "0.5")
    assert values["classes"] == ["no", "yes"]
    assert values["n_edges"] == 1
    assert values["unit"] == 1


def test_nothing_from_a_file_steers_the_terminal(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("label,a\n\x1b[31mred,0\n[bold]b,1\n")
    for arguments in (["floor", table, "--l2", "1"], ["info", table]):
        text = run_well(*arguments).stdout
        assert "\x1b" not in text
        assert "[31mred" in text
        assert "[bold]b" in text


# verify


def test_verify_tells_what_was_decided_again(saved: Path, digits: lf.Dataset) -> None:
    expected = lf.floor(digits.X, digits.y, lf.L2(1, unit=16)).verify()
    text = run_well("verify", saved, "--data", *SMALL).stdout
    assert f"{saved} is proved" in text
    assert "adversary      L2(eps=1, unit=16)" in text
    assert str(expected.n_pairs_excluded) in text
    values = run_json("verify", saved, "--data", *SMALL)
    assert values["status"] == "proved"
    assert values["cross_entropy"] == expected.cross_entropy
    assert values["zero_one"] == float(expected.zero_one)
    assert values["n_flow_conflicts"] == expected.n_flow_conflicts
    assert values["adversary"] == {"name": "l2", "eps": "1", "unit": "16"}


def rejected(path: Path, *options: str) -> str:
    result = run("verify", path, "--data", *SMALL, *options)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("lossfloor: ")
    assert result.stderr.count("\n") == 1
    assert "rejected" in result.stderr
    return result.stderr


@pytest.mark.parametrize("part", ["flow_low", "weight", "block", "a", "codes", "flow_edges"])
def test_verify_rejects_a_changed_part(saved: Path, part: str) -> None:
    with np.load(saved) as arrays:
        parts = dict(arrays)
    parts[part].flat[0] += 1
    with saved.open("wb") as stream:
        np.savez(stream, **parts)
    rejected(saved)


def test_verify_rejects_another_eps(saved: Path) -> None:
    with np.load(saved) as arrays:
        parts = dict(arrays)
    for eps, reason in (("1/2", "do not conflict"), ("3/2", "conflict, but the posterior")):
        config = {**json.loads(str(parts["adversary"])), "eps": eps}
        with saved.open("wb") as stream:
            np.savez(stream, **{**parts, "adversary": np.array(json.dumps(config))})
        assert reason in rejected(saved)


def test_verify_rejects_other_data(saved: Path) -> None:
    result = run("verify", saved, "--data", "digits", "--classes", "3", "9", "--n-per-class", "40", "--json")
    assert result.exit_code == 1
    values = json.loads(result.stdout)
    assert values["status"] == "rejected"
    assert values["reason"] in result.stderr


@pytest.mark.parametrize("kind", ["text", "empty", "cut", "other"])
def test_verify_rejects_what_is_no_result(saved: Path, kind: str) -> None:
    if kind == "other":
        run_well("floor", *SMALL, "--l2", "1", "--soft-labels", saved)
    else:
        whole = saved.read_bytes()
        saved.write_bytes({"text": b"hello", "empty": b"", "cut": whole[: len(whole) // 2]}[kind])
    rejected(saved)


def test_verify_survives_damaged_files(tmp_path: Path) -> None:
    table, path = tmp_path / "table.csv", tmp_path / "result.npz"
    table.write_text("a,label\n0,x\n1,y\n2,x\n9,y\n")
    run_well("floor", table, "--l2", "1", "--save", path)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    statuses = []
    for _ in range(80):
        damaged = bytearray(whole)
        for place in random.integers(len(whole), size=random.integers(1, 9)):
            damaged[place] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        result = run("verify", path, "--data", table)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        statuses.append(result.exit_code)
    assert statuses.count(1) > 40
    assert set(statuses) <= {0, 1}  # some bytes of the file say nothing


# curve


def test_curve_json(digits: lf.Dataset) -> None:
    values = run_json("curve", *SMALL, "--l2", "--eps-from", "0.5", "--eps-to", "1.1", "--points", "4")
    assert values["eps"] == [0.5, 0.7, 0.9, 1.1]
    for eps, cross_entropy, zero_one, brier, n_edges in zip(
        values["eps"],
        values["cross_entropy"],
        values["zero_one"],
        values["brier"],
        values["n_edges"],
        strict=True,
    ):
        expected = lf.floor(digits.X, digits.y, lf.L2(eps, unit=16))
        assert cross_entropy == pytest.approx(expected.cross_entropy, abs=1e-12)
        assert zero_one == pytest.approx(expected.zero_one, abs=1e-12)
        assert brier == pytest.approx(expected.brier, abs=1e-12)
        assert n_edges == expected.n_edges
    assert values["unit"] == 16
    assert values["data"]["name"] == "digits"


@pytest.mark.parametrize(
    ("options", "family"),
    [(["--l1"], lf.L1), (["--l2"], lf.L2), (["--linf"], lf.Linf), (["--lp", "1"], lf.L1)],
)
def test_curve_in_each_norm(digits: lf.Dataset, options: list[str], family: Any) -> None:
    values = run_json("curve", *SMALL, *options, "--eps", "0.4", "--eps", "1/4", "--eps", "0.4")
    assert values["eps"] == [0.25, 0.4]
    expected = [lf.floor(digits.X, digits.y, family(eps, unit=16)).n_edges for eps in ("1/4", "2/5")]
    assert values["n_edges"] == expected


def test_curve_tells_where_a_loss_is_reached(digits: lf.Dataset) -> None:
    grid = [*SMALL, "--l2", "--eps", "0", "--eps", "1", "--eps", "1.2"]
    losses = run_json("curve", *grid)["cross_entropy"]
    assert losses[1] < 0.2 < losses[2]
    targets = ["--at", "cross-entropy=0.2", "--at", "spherical=0.01", "--at", "zero_one=0.49"]
    at = run_json("curve", *grid, *targets)["at"]
    assert [(one["loss"], one["value"]) for one in at] == [
        ("cross_entropy", 0.2),
        ("spherical", 0.01),
        ("zero_one", 0.49),
    ]
    assert at[2]["eps"] is None
    for one, below in ((at[0], 1.0), (at[1], 0.0)):
        assert below < one["eps"] < 1.2
        here, before = (
            lf.floor(digits.X, digits.y, lf.L2(eps, unit=16)).loss(one["loss"])
            for eps in (one["eps"], one["eps"] * (1 - 1e-9))
        )
        assert before < one["value"] <= here
    text = run_well("curve", *grid, *targets).stdout
    assert f"cross-entropy 0.2 is reached at eps {at[0]['eps']:.9g}" in text
    assert "zero-one 0.49 is not reached up to eps 1.2" in text
    assert "unit        16" in text


def test_curve_writes_table_and_picture(tmp_path: Path) -> None:
    table, picture = tmp_path / "curve.csv", tmp_path / "curve.png"
    run_well("curve", *SMALL, "--l2", "--eps-to", "2", "--points", "3", "--csv", table, "--plot", picture, "--dark")
    assert len(table.read_text().splitlines()) == 4
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.csv", "curve.png"]


# info


def test_info_tells_what_is_here() -> None:
    text = run_well("info").stdout
    assert text.startswith(f"lossfloor {lf.__version__}\n")
    assert "digits" in text
    values = run_json("info")
    assert values["version"] == lf.__version__
    assert values["datasets"]["digits"]["found"] is True
    assert set(values["kernels"]) == {"uint8", "int16", "float32", "float64"}
    assert values["threads"] >= 1


def test_info_looks_where_it_is_told(tmp_path: Path) -> None:
    assert run_json("info", "--data-dir", tmp_path)["datasets"]["fashion-mnist"]["found"] is False


def test_info_describes_a_data_set() -> None:
    text = run_well("info", "digits").stdout
    assert "unit          16" in text or "unit            16" in text
    values = run_json("info", *DIGITS)
    assert values["counts"] == {"3": 183, "8": 174}
    assert values["unit"] == 16
    sides = [lf.load("digits", classes=(digit,)).X.reshape(-1, 64) for digit in (3, 8)]
    for norm, ball in {"l1": lf.L1(0), "l2": lf.L2(0), "linf": lf.Linf(0)}.items():
        assert values["routes"][norm] == ball.sweep(*sides).description


# Mistakes


MISTAKES = {
    "unknown set": (["floor", "digit", "--l2", "1"], "did you mean 'digits'"),
    "missing file": (["floor", "nothing.csv", "--l2", "1"], "nothing.csv does not exist"),
    "set that is not here": (["floor", "mnist", "--data-dir", ".", "--l2", "1"], "not on this machine"),
    "folder that is not there": (["floor", "mnist", "--data-dir", "none", "--l2", "1"], "'data_dir'"),
    "too many classes": (["floor", "digits", "--l2", "1"], "choose two with --classes"),
    "unknown class": (["floor", "digits", "--classes", "3", "x", "--l2", "1"], "made of known classes"),
    "the same class twice": (["floor", "digits", "--classes", "3", "3", "--l2", "1"], "twice"),
    "too few examples": (["floor", *DIGITS, "--n-per-class", "999", "--l2", "1"], "at most 183"),
    "no examples": (["floor", *DIGITS, "--n-per-class", "0", "--l2", "1"], "positive integer"),
    "unknown split": (["floor", *DIGITS, "--split", "tset", "--l2", "1"], "did you mean 'test'"),
    "no label column": (["floor", *DIGITS, "--label", "y", "--l2", "1"], "'label'"),
    "no norm": (
        ["floor", *DIGITS],
        "exactly one of --l2, --l1, --linf, --lp, --adversary and --adversary-json, got none",
    ),
    "two norms": (["floor", *DIGITS, "--l2", "1", "--l1", "1"], "got --l2 and --l1"),
    "negative eps": (["floor", *DIGITS, "--l2", "-1"], "at least 0, got -1"),
    "eps no number": (["floor", *DIGITS, "--l2", "one"], "must be a number, got 'one'"),
    "eps NaN": (["floor", *DIGITS, "--l2", "nan"], "must be a number, got 'nan'"),
    "eps infinite": (["floor", *DIGITS, "--linf", "inf"], "must be a number, got 'inf'"),
    "eps by nothing": (["floor", *DIGITS, "--linf", "8/0"], "must be a number, got '8/0'"),
    "no norm below 1": (["floor", *DIGITS, "--lp", "0.5", "1"], "it is not a norm"),
    "unit zero": (["floor", *DIGITS, "--l2", "1", "--unit", "0"], "'unit' must be positive"),
    "unit no number": (["floor", *DIGITS, "--l2", "1", "--unit", "pixel"], "'unit' must be a number"),
    "unknown loss": (["floor", *DIGITS, "--l2", "1", "--loss", "brierr"], "did you mean 'brier'"),
    "cost without value": (["floor", *DIGITS, "--l2", "1", "--cost", "3"], "NAME=VALUE"),
    "cost of nobody": (["floor", *DIGITS, "--l2", "1", "--cost", "4=1"], "one of the classes 3 and 8"),
    "cost twice": (["floor", *DIGITS, "--l2", "1", "--cost", "3=1", "--cost", "3=2"], "twice"),
    "cost zero": (
        ["floor", *DIGITS, "--l2", "1", "--cost", "3=0"],
        "--cost must be positive, got 0 for class 3",
    ),
    "min-correct alone": (["floor", *DIGITS, "--l2", "1", "--min-correct", "0.5"], "--soft-labels"),
    "min-correct too large": (
        ["floor", *DIGITS, "--l2", "1", "--soft-labels", "s.npz", "--min-correct", "1.5"],
        "between 0 and 1",
    ),
    "save into nowhere": (["floor", *DIGITS, "--l2", "1", "--save", "none/r.npz"], "a folder that exists"),
    "save onto a folder": (["floor", *DIGITS, "--l2", "1", "--save", "."], "got the folder"),
    "one file for two": (
        ["floor", *DIGITS, "--l2", "1", "--save", "r.npz", "--soft-labels", "./r.npz"],
        "different files",
    ),
    "verify nothing": (["verify", "none.npz", "--data", *DIGITS], "none.npz does not exist"),
    "curve without eps": (["curve", *DIGITS, "--l2"], "--eps-to"),
    "curve without norm": (["curve", *DIGITS, "--eps", "1"], "exactly one"),
    "curve with two norms": (["curve", *DIGITS, "--l2", "--lp", "3", "--eps", "1"], "got --l2 and --lp"),
    "curve with a bad order": (["curve", *DIGITS, "--lp", "0", "--eps", "1"], "it is not a norm"),
    "grid and list": (["curve", *DIGITS, "--l2", "--eps", "1", "--eps-to", "2"], "leave out"),
    "grid backwards": (
        ["curve", *DIGITS, "--l2", "--eps-from", "2", "--eps-to", "1"],
        "greater than --eps-from",
    ),
    "grid of one": (["curve", *DIGITS, "--l2", "--eps-to", "1", "--points", "1"], "at least 2"),
    "grid of letters": (["curve", *DIGITS, "--l2", "--eps-to", "x"], "'--eps-to' must be a number"),
    "negative eps in a list": (["curve", *DIGITS, "--l2", "--eps", "-1"], "at least 0"),
    "curve at an unknown loss": (["curve", *DIGITS, "--l2", "--eps", "1", "--at", "bier=1"], "did you mean"),
    "curve at no value": (["curve", *DIGITS, "--l2", "--eps", "1", "--at", "brier"], "NAME=VALUE"),
    "curve at no number": (["curve", *DIGITS, "--l2", "--eps", "1", "--at", "brier=x"], "must be a number"),
    "picture of unknown kind": (
        ["curve", *DIGITS, "--l2", "--eps", "1", "--plot", "c.gif"],
        "Known: pdf, png, svg",
    ),
    "picture of no kind": (["curve", *DIGITS, "--l2", "--eps", "1", "--plot", "curve"], "ends in"),
    "dark without picture": (["curve", *DIGITS, "--l2", "--eps", "1", "--dark"], "--plot"),
    "table into nowhere": (
        ["curve", *DIGITS, "--l2", "--eps", "1", "--csv", "none/c.csv"],
        "a folder that exists",
    ),
    "info of nothing": (["info", "digit"], "did you mean 'digits'"),
}


@pytest.mark.parametrize(("arguments", "told"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_and_nothing_is_written(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert told in result.stderr
    assert result.stderr.startswith("lossfloor: ")
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["flor"],
        ["floor"],
        ["floor", *DIGITS, "--l2"],
        ["floor", "digits", "--classes", "3", "--l2", "1"],
        ["floor", *DIGITS, "--l2", "1", "--n-per-class", "many"],
        ["floor", *DIGITS, "--l3", "1"],
        ["verify", "result.npz"],
        ["curve", *DIGITS, "--l2", "1"],
    ],
)
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert "Error" in result.stderr
    assert "Traceback" not in result.output


# What cannot be helped


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.replace", full)
    result = run("floor", *SMALL, "--l2", "1", "--save", tmp_path / "r.npz")
    assert result.exit_code == 1
    assert result.stderr == f"lossfloor: {os.strerror(errno.ENOSPC)}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_told_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1")
    result = run("floor", path, "--l2", "1")
    assert result.exit_code == 1
    assert "pip install 'lossfloor[parquet]'" in result.stderr


def test_want_of_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("lossfloor.floors.floor", greedy)
    result = run("floor", *SMALL, "--l2", "1")
    assert result.exit_code == 1
    assert result.stderr == "lossfloor: not enough memory.\n"


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr("lossfloor.floors.floor", wrong)
    assert isinstance(run("floor", *SMALL, "--l2", "1").exception, AssertionError)


# The program as a process


def test_ctrl_c_ends_with_a_line_and_130() -> None:
    code = (
        "import signal, sys, time, lossfloor.floors\n"
        # A shell starts what runs in the background with Ctrl-C ignored, and children inherit that.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def endless(*_, **__):\n"
        "    print('working', flush=True)\n"
        "    while True: time.sleep(0.01)\n"
        "lossfloor.floors.floor = endless\n"
        "from lossfloor.cli import main\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "floor", *SMALL, "--l2", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()  # or leaving the block would wait for ever
    assert process.returncode == 130
    assert err == "lossfloor: interrupted\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = subprocess.run([*PROGRAM, "info"], stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == ""


def test_bars_go_to_the_terminal_and_json_stays_clean() -> None:
    terminal, slave = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        try:
            done = subprocess.run(
                [*PROGRAM, "floor", *SMALL, "--l2", "1", "--json"],
                stdout=subprocess.PIPE,
                stderr=slave,
                check=True,
                env={**os.environ, "TERM": "xterm"},
            )
        finally:
            os.close(slave)
        seen = b""
        try:
            while piece := screen.read(4096):
                seen += piece
        except OSError:  # the other end of the terminal is closed
            pass
    assert json.loads(done.stdout)["status"] == "exact"
    assert b"solving" in seen


def test_the_program_starts_quickly() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*PROGRAM, "floor", *DIGITS, "--l2", "1"], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, since the machine may be busy with other things.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0


def test_version_and_help() -> None:
    assert run_well("--version").stdout == f"lossfloor {lf.__version__}\n"
    assert "floor" in run_well("--help").stdout
    for command in ("floor", "curve", "verify", "info"):
        assert "lossfloor " + command in run_well(command, "-h").stdout


# The documentation


def _documented() -> set[str]:
    """Names in backquotes in the first column of a table of keys or arrays."""
    text = (Path(__file__).parents[2] / "docs" / "result-files.md").read_text()
    families = re.search(r"^\| `name` \| other keys \|\n(\|.*\n)+", text, flags=re.MULTILINE)
    assert families is not None
    text = text.replace(families.group(), "")
    cells = re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_verify_needs_the_two_classes_of_the_result(tmp_path: Path) -> None:
    saved = tmp_path / "result.npz"
    run_well("floor", *SMALL, "--l2", "1", "--save", saved)
    refused = run("verify", saved, "--data", "digits")
    assert refused.exit_code == 2
    assert "choose two with --classes" in refused.stderr


def test_every_key_is_documented(tmp_path: Path) -> None:
    saved, soft = tmp_path / "result.npz", tmp_path / "soft.npz"
    more = ["--loss", "brier", "--cost", "3=2", "--save", saved, "--soft-labels", soft]
    keys = set(run_json("floor", *SMALL, "--l2", "1", *more))
    keys |= set(run_json("verify", saved, "--data", *SMALL))
    keys |= set(run_json("curve", *SMALL, "--l2", "--eps", "1", "--at", "brier=0.1"))
    many = ["--all-classes", "--max-degree", "2", "--save", tmp_path / "many.npz"]
    keys |= set(run_json("floor", "digits", "--n-per-class", "10", "--l2", "1", *many))
    for path in (saved, soft, tmp_path / "many.npz"):
        with np.load(path) as arrays:
            keys |= {re.sub("^(cross_entropy|zero_one)_", "LOSS_", name) for name in arrays}
    # A rejected proof has the first, floors with bounds the second (see test_adversaries.py), curves of functions
    # the third.
    assert keys | {"reason", "upper", "adversaries"} == _documented()


@pytest.mark.parametrize(
    "value", [Fraction(1, 3), Fraction(2, 3), Fraction(1, 7 * 10**9), 0.1, 0.30000000000000004, 0.0, 1.5]
)
def test_printed_bounds_are_bounds(value: float | Fraction) -> None:
    low, high = Fraction(numbers.at_least(value)), Fraction(numbers.at_most(value))
    assert low <= Fraction(value) <= high
    assert high - low <= Fraction(value) / 10**8
    assert numbers.bounds((float(value), float(value) + 1)).startswith(numbers.at_least(float(value)))


def test_an_upper_bound_may_be_infinite() -> None:
    assert numbers.bounds((0.25, float("inf"))) == "0.25 to inf"
