"""Saved results: what a file claims, and the check of it against the data.

The data, a matrix and, for adversaries that this package does not decide by itself, their own tests are given by the
caller; everything else is read from the file.  No solver is loaded.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Protocol

import numpy.typing as npt

from lossfloor._checks import must
from lossfloor._files import format_of, read_arrays
from lossfloor.certificates.conflicts import decides
from lossfloor.certificates.many_class import MULTICLASS_LOSSES, MulticlassCertificate, check_multiclass
from lossfloor.certificates.two_class import Certificate, Verification, check, check_shapes

#: Formats of files of results.
TWO_CLASS, MANY_CLASS = "lossfloor-floor-1", "lossfloor-multiclass-floor-1"


#: A proved lower bound, and the upper one if there is one.
Ends = tuple[float | Fraction, float | Fraction | None]


class PairsAndMore(Protocol):
    """The tests of an adversary whose conflicts this package does not decide by itself."""

    def conflict(self, u: int, v: int, *, undecided: bool) -> bool:
        """Return whether the examples at two positions conflict; `undecided` is the answer for an undecided pair."""

    def meet(self, members: list[int]) -> bool:
        """Return whether the neighbourhoods of some examples share a point."""


@dataclasses.dataclass(frozen=True)
class Proof:
    """What a successful check has established about a file.

    Attributes
    ----------
    losses : dict
        For each loss the proved lower bound and, if the file proves one, the upper bound.
    adversary : dict
        Configuration of the adversary that the file names.
    n_examples : int
    counts : dict
        How many things of each kind were decided again, as JSON can hold them.
    steps : list of (str, str, str)
        The same worded: what, how many, and with which result.
    """

    losses: dict[str, Ends]
    adversary: dict[str, Any]
    n_examples: int
    counts: dict[str, Any]
    steps: list[tuple[str, str, str]]

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the lower bound of a loss and the upper one, which is the lower one again if the result is exact."""
        lower, upper = self.losses[name]
        return float(lower), float(lower if upper is None else upper)


@dataclasses.dataclass(frozen=True)
class StoredFloor:
    """What a file of two classes claims.

    Attributes
    ----------
    lower : Certificate
    upper : Certificate or None
        With the undecided pairs counted as conflicts; None if there are none.
    """

    lower: Certificate
    upper: Certificate | None

    @property
    def adversary(self) -> dict[str, Any]:
        """Configuration of the adversary."""
        return dict(self.lower.adversary)

    def verify(self, X: Any, y: Any, *, matrix: Any = None, tests: PairsAndMore | None = None) -> Proof:
        """Check both proofs against the data.

        Parameters
        ----------
        X, y : array_like
        matrix : array_like, optional
            For a precomputed adversary.
        tests : PairsAndMore, optional
            For an adversary that `decides` does not know.

        Raises
        ------
        CertificateError
            If something is not proved.
        """
        lower = check(self.lower, X, y, matrix=matrix, decide=_decide(tests, False))
        upper = None if self.upper is None else check(self.upper, X, y, matrix=matrix, decide=_decide(tests, True))
        first, second = _losses(lower), None if upper is None else _losses(upper)
        counts = {
            "n_blocks": lower.n_blocks,
            "n_flow_conflicts": lower.n_flow_conflicts,
            "n_pairs_excluded": lower.n_pairs_excluded,
        }
        steps = [
            ("labels", str(lower.n_examples), "those of the data"),
            ("blocks", str(lower.n_blocks), "weights add up, posteriors ascend"),
            ("conflicts that carry flow", str(lower.n_flow_conflicts), "do conflict, flow is as required"),
            ("pairs that must not conflict", str(lower.n_pairs_excluded), "do not"),
        ]
        ends: dict[str, Ends] = {name: (low, None if second is None else second[name]) for name, low in first.items()}
        return Proof(ends, self.adversary, lower.n_examples, counts, steps)


def _decide(tests: PairsAndMore | None, undecided: bool) -> Callable[[int, int], bool] | None:
    return None if tests is None else lambda u, v: tests.conflict(u, v, undecided=undecided)


def _losses(found: Verification) -> dict[str, float]:
    return {
        "cross_entropy": found.cross_entropy,
        "zero_one": float(found.zero_one),
        "brier": float(found.brier),
    }


@dataclasses.dataclass(frozen=True)
class StoredBounds:
    """What a file of many classes claims: the lower bounds of some losses.

    Attributes
    ----------
    lower : dict of MulticlassCertificate
        By the name of the loss.
    """

    lower: dict[str, MulticlassCertificate]

    @property
    def adversary(self) -> dict[str, Any]:
        """Configuration of the adversary."""
        return dict(next(iter(self.lower.values())).adversary)

    def verify(self, X: Any, y: Any, *, matrix: Any = None, tests: PairsAndMore | None = None) -> Proof:
        """Check every lower bound against the data; arguments as for `StoredFloor.verify`."""
        meets = None if tests is None else tests.meet
        found = {name: check_multiclass(one, X, y, matrix=matrix, meets=meets) for name, one in self.lower.items()}
        steps = [
            (f"conflicts for {name.replace('_', '-')}", str(one.n_conflicts), f"{one.n_larger} of three and more")
            for name, one in found.items()
        ]
        return Proof(
            losses={name: (one.lower, None) for name, one in found.items()},
            adversary=self.adversary,
            n_examples=next(iter(found.values())).n_examples,
            counts={"n_conflicts": {name: one.n_conflicts for name, one in found.items()}},
            steps=steps,
        )


def read(path: str | os.PathLike[str]) -> StoredFloor | StoredBounds:
    """Read what a file of a result claims.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a file of a result, or damaged.
    CertificateError
        If a part of a certificate is missing or of the wrong kind.
    """
    if format_of(path) == MANY_CLASS:
        arrays = read_arrays(path, MANY_CLASS)
        names = [name for name in MULTICLASS_LOSSES if f"{name}_z" in arrays]
        if not names:
            raise ValueError(must("path", "a result with the proof of a loss", "a file without"))
        return StoredBounds({name: MulticlassCertificate.from_arrays(arrays, name) for name in names})
    arrays = read_arrays(path, TWO_CLASS)
    upper = {name.removeprefix("upper_"): part for name, part in arrays.items() if name.startswith("upper_")}
    return StoredFloor(_two_class(arrays), _two_class(upper) if upper else None)


def _two_class(arrays: Mapping[str, npt.NDArray[Any]]) -> Certificate:
    certificate = Certificate.from_arrays(arrays)
    check_shapes(certificate)
    return certificate


def needs_tests(stored: StoredFloor | StoredBounds) -> bool:
    """Return whether the adversary's own tests are needed to check a result against it.

    Norms and matrices are decided here; of more than two examples only Euclidean balls and boxes are.
    """
    if isinstance(stored, StoredBounds):
        return stored.adversary.get("name") not in ("l2", "linf", "precomputed")
    return not decides(stored.adversary)
