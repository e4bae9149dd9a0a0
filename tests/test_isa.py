"""The instruction set that the environment chooses: equal answers with each, and errors that name what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lossfloor import _core

PROGRAM = ("-c", "from lossfloor.cli import main; main()")

ANSWERS = """
import hashlib, json
import numpy as np
import lossfloor as lf
from lossfloor import _core

rng = np.random.default_rng(5)
y = np.repeat([0, 1, 2], 70)
points = rng.integers(0, 256, (210, 83)).astype(np.uint8)
points[70:] = points[:70][rng.integers(0, 70, 140)] ^ rng.integers(0, 32, (140, 83)).astype(np.uint8)
answers = {}
for dtype in ("uint8", "int16", "float32", "float64"):
    X = points.astype(dtype)
    norms = {"l1": lf.L1(400, unit=1), "l2": lf.L2(60, unit=1), "linf": lf.Linf(14, unit=1)}
    for name, norm in norms.items():
        two = lf.floor(X[y < 2], y[y < 2], norm)
        proof = two.certificate
        arrays = (two.correct_probability, two.posterior, proof.block, proof.a, proof.b, proof.flow_edges)
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in arrays)).hexdigest()
        answers[f"{dtype} {name}"] = [two.n_edges, two.cross_entropy, digest]
answers["curve"] = lf.curve(points[y < 2], y[y < 2], lf.L2, eps=[20, 40, 60, 80]).cross_entropy.tolist()
many = lf.floor(points, y, lf.L2(60, unit=1))
answers["many"] = [*many.bounds("cross-entropy"), many.n_edges]
print(json.dumps([_core.isa_in_use(), answers]))
"""


def run(*arguments: str, isa: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "LOSSFLOOR_ISA"}
    if isa is not None:
        environment["LOSSFLOOR_ISA"] = isa
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_every_instruction_set_gives_the_same_bits() -> None:
    answers = {}
    for isa in _core.available_isas():
        done = run("-c", ANSWERS, isa=isa)
        assert done.returncode == 0, done.stderr
        used, answers[isa] = json.loads(done.stdout)
        assert used == isa
    first = answers["portable"]
    assert all(0 < first[name][0] < 70 * 70 for name in first if " " in name)
    assert all(other == first for other in answers.values())


@pytest.mark.parametrize("isa", [None, ""])
def test_the_widest_is_the_default(isa: str | None) -> None:
    done = run("-c", "from lossfloor import _core; print(_core.isa_in_use(), _core.kernel_name())", isa=isa)
    assert done.stdout.split() == [_core.available_isas()[-1]] * 2


def test_a_call_may_ask_for_less_but_not_for_more() -> None:
    code = "from lossfloor import _core; print(*(_core.kernel_name(isa) for isa in ('portable', 'avx2', 'avx512')))"
    assert run("-c", code, isa="portable").stdout.split() == ["portable"] * 3
    assert run("-c", code, isa=None).stdout.split()[0] == "portable"


@pytest.mark.parametrize("wanted", ["sse", "AVX2", "avx2 ", "neon"])
def test_an_unknown_instruction_set_is_an_error(wanted: str) -> None:
    code = "import numpy as np, lossfloor as lf\nlf.floor(np.eye(4), [0, 0, 1, 1], lf.L2(1))"
    done = run("-c", code, isa=wanted)
    assert done.returncode == 1
    message = done.stderr.strip().splitlines()[-1]
    listed = ", ".join(_core.available_isas())
    expected = "LOSSFLOOR_ISA must be portable, avx2 or avx512, and available on this processor"
    assert message == f"ValueError: {expected} ({listed}), got '{wanted}'"


def test_an_unavailable_instruction_set_is_an_error() -> None:
    expected = r"LOSSFLOOR_ISA must be .* available on this processor \(portable, avx2\), got 'avx512'$"
    with pytest.raises(ValueError, match=expected):
        _core.chosen_isa("avx512", ["portable", "avx2"])
    assert _core.chosen_isa("avx2", ["portable", "avx2"]) == "avx2"


def test_info_says_which_is_used() -> None:
    done = run(*PROGRAM, "info", isa="portable")
    assert "portable; available: " + ", ".join(_core.available_isas()) in done.stdout
    values = json.loads(run(*PROGRAM, "info", "--json", isa="portable").stdout)
    assert values["isa"] == {"used": "portable", "available": _core.available_isas()}
    assert set(values["kernels"].values()) == {"portable"}


def test_info_reports_an_unknown_one() -> None:
    done = run(*PROGRAM, "info", isa="sse")
    assert done.returncode == 2
    assert "LOSSFLOOR_ISA must be portable, avx2 or avx512" in done.stderr
    assert "Traceback" not in done.stderr
