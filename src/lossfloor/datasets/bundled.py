"""The small sets that come with scikit-learn.

Their files are read from its folder without importing it, which would take longer than all the rest of a run
on them.  Should a version of scikit-learn keep them elsewhere, its own loaders are used.
"""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ._plugin import Array, Examples, NamedSet, Request, must_not_ask_for_test

_DIGITS_UNIT = 16
"""The pixels of digits count the dots that are set in a square of 4 x 4."""


def _folder() -> Path | None:
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "datasets" / "data"


def _read(name: str, file: str, loader: str, _: Path | None, request: Request) -> Examples:
    must_not_ask_for_test(request, repr(name))
    folder = _folder()
    if folder is None or not (folder / file).is_file():
        X, y, names = _from_scikit_learn(loader)
    elif name == "digits":
        table = np.loadtxt(folder / file, delimiter=",")
        X, y, names = table[:, :-1], table[:, -1], [str(digit) for digit in range(10)]
    else:
        X, y, names = _read_csv(folder / file)
    examples = Examples(
        y=y.astype(np.int64),
        read=lambda rows: X[rows],
        source=f"{name}, as it comes with scikit-learn",
        class_names=dict(enumerate(names)),
    )
    if name != "digits":
        return examples
    return replace(examples, read=lambda rows: X[rows].reshape(-1, 8, 8).astype(np.uint8), unit=_DIGITS_UNIT)


def _read_csv(path: Path) -> tuple[Array, Array, list[str]]:
    # The first row says how many examples and features there are, and then what the classes are called.
    with path.open(newline="", encoding="utf-8") as stream:
        _, _, *names = next(csv.reader(stream))
        table = np.loadtxt(stream, delimiter=",")
    return table[:, :-1], table[:, -1], names


def _from_scikit_learn(loader: str) -> tuple[Array, Array, list[str]]:
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, loader)()
    return bunch.data, bunch.target, [str(name) for name in bunch.target_names]


def _bundled(name: str, file: str, loader: str, description: str) -> NamedSet:
    read: Callable[[Path | None, Request], Examples] = partial(_read, name, file, loader)
    return NamedSet(name, f"{description}; comes with scikit-learn", read, lambda _: _folder())


SETS = (
    _bundled("digits", "digits.csv.gz", "load_digits", "1797 handwritten digits of 8 x 8 pixels, 10 classes"),
    _bundled("iris", "iris.csv", "load_iris", "150 flowers with 4 measures, 3 classes"),
    _bundled("wine", "wine_data.csv", "load_wine", "178 wines with 13 measures, 3 classes"),
    _bundled("breast-cancer", "breast_cancer.csv", "load_breast_cancer", "569 tumours with 30 measures, 2 classes"),
)
