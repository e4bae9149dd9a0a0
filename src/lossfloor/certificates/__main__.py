"""``python -m lossfloor.certificates RESULT DATA``: check a saved result without solvers and without the extension.

DATA is an .npz file with the arrays ``X`` and ``y``; for a precomputed adversary ``matrix`` takes the place of X.
"""

from __future__ import annotations

import argparse
import sys

from lossfloor._files import read_plain
from lossfloor.certificates.files import needs_tests, read
from lossfloor.exceptions import CertificateError


def main(arguments: list[str] | None = None) -> int:
    """Check a result; return the exit status: 0 proved, 1 rejected, 2 wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m lossfloor.certificates", description=__doc__)
    parser.add_argument("result", help="a file that `lossfloor floor --save` or `Floor.save` wrote")
    parser.add_argument("data", help="an .npz file with the arrays X and y (or matrix and y)")
    given = parser.parse_args(arguments)
    try:
        data = read_plain(given.data)
    except (OSError, ValueError) as error:
        return _fail(error, 2)
    if "y" not in data or not {"X", "matrix"} & data.keys():
        return _fail(f"{given.data} must have the arrays y and X, or y and matrix; it has {sorted(data)}", 2)
    try:
        stored = read(given.result)
        if needs_tests(stored):
            return _fail(f"{stored.adversary.get('name')!r} has tests of its own: use `lossfloor verify`", 2)
        proof = stored.verify(data.get("X"), data["y"], matrix=data.get("matrix"))
    except FileNotFoundError as error:
        return _fail(error, 2)
    except (CertificateError, ValueError, TypeError) as error:
        return _fail(f"{given.result} is rejected: {error}", 1)
    sys.stdout.write(f"{given.result} is proved\n")
    for name in proof.losses:
        lower, upper = proof.bounds(name)
        sys.stdout.write(f"  {name.replace('_', '-')}  {lower!r}" + ("" if lower == upper else f" to {upper!r}") + "\n")
    return 0


def _fail(reason: object, status: int) -> int:
    sys.stderr.write(f"lossfloor.certificates: {reason}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
