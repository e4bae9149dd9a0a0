"""Which reader is for which name or file, and the one way in."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from lossfloor._checks import must, one_of, unknown
from lossfloor.exceptions import DatasetNotFoundError

from . import bundled, cifar, idx, image_folder, npz, tables, well_known
from ._dataset import Dataset, as_unit
from ._plugin import SPLITS, Examples, Format, NamedSet, Request, natural_unit, wrong_label_argument
from ._selection import as_classes, as_count, select

# A new format or a new set is one entry here.  The first format that accepts a path reads it, so the one that
# takes any folder stands last.
FORMATS: tuple[Format, ...] = (
    idx.FORMAT,
    npz.FORMAT,
    tables.CSV,
    tables.PARQUET,
    cifar.FORMAT,
    image_folder.FORMAT,
)
NAMED_SETS: tuple[NamedSet, ...] = (*bundled.SETS, *well_known.SETS)


class Available(NamedTuple):
    """A data set that is known by name, and whether it can be loaded here."""

    description: str
    found: bool
    path: str | None
    """Where it was found."""


def available(*, data_dir: str | os.PathLike[str] | None = None) -> dict[str, Available]:
    """List the data sets that are known by name.

    Parameters
    ----------
    data_dir : path, optional
        Where to look for them, as in `load`.

    Returns
    -------
    dict of str to Available
        Per name: a one-line description, whether the data set is on this machine, and where.

    Examples
    --------
    >>> from lossfloor.datasets import available
    >>> available()["iris"].description
    '150 flowers with 4 measures, 3 classes; comes with scikit-learn'
    >>> available()["iris"].found
    True
    """
    folder = _as_folder(data_dir)
    found = {named.name: (named.description, named.find(folder)) for named in NAMED_SETS}
    return {
        name: Available(description, path is not None, None if path is None else str(path))
        for name, (description, path) in found.items()
    }


def load(
    name_or_path: str | os.PathLike[str],
    *,
    classes: object = None,
    n_per_class: int | None = None,
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    label: str | int | None = None,
    unit: int | float | str | Fraction | None = None,
) -> Dataset:
    """Load a data set by name, or from a file or folder.

    Nothing is downloaded, and no example is rescaled or reordered.

    Parameters
    ----------
    name_or_path : str or path
        A name that `available` lists (case, "-" and "_" do not matter), or the path of a file or folder:

        - IDX: a file of images that has its labels beside it, or a folder with the files of MNIST; also .gz;
        - ``.npz`` with arrays X and y, or x_train, y_train, x_test and y_test;
        - ``.csv`` and ``.parquet`` with a column of labels (parquet needs pyarrow);
        - CIFAR-10 and CIFAR-100, binary or python version, as a folder, an archive or a single batch;
        - a folder with one subfolder of images per class.

        A built-in name takes precedence over a file of that name; write ``./digits`` for the file.
    classes : sequence of labels or class names, optional
        Which classes to keep, such as ``(3, 7)``, ``("3", "7")`` or ``("Dress", "Sneaker")``; all by default.
    n_per_class : int, optional
        How many examples per class to keep: the first in file order; all by default.
    split : {"train", "test", "all"}, default "train"
        Which split to load; "all" is "train" followed by "test".  An undivided data set, or a single
        file, is returned whole for "train" and "all".
    data_dir : path, optional
        Folder of a named data set: the folder of its files, or a root with torchvision's layout
        (``FashionMNIST/raw``, ``MNIST/raw``, ``cifar-10-batches-py``).  If given, no other folder is searched.  By
        default these roots are tried: ``$LOSSFLOOR_DATA``, ``./data``, ``~/.cache/lossfloor``, and
        ``/usr/share/datasets``, where Debian's package dataset-fashion-mnist puts its files.
    label : str or int, optional
        For tables: name or position of the column of labels.  By default the column that is called label,
        target, class or y, otherwise the last.  For CIFAR-100: "fine" (default) or "coarse".
    unit : number, optional
        How many data units make one unit of eps.  By default 255 for images of bytes, so that eps is in
        pixels of [0, 1]; 16 for digits; otherwise 1.

    Returns
    -------
    Dataset
        ``X`` of shape (n, ...) in the dtype of the file, C-contiguous; ``y`` of shape (n,), int64 or strings.
        Colours are the last axis.

    Raises
    ------
    DatasetNotFoundError
        If the path does not exist, or a named data set is not on this machine; the message says where it
        was searched for and how to get it.
    MissingDependencyError
        If reading the file needs a package that is not installed.
    ValueError
        If a name, class or split is unknown, a class has too few examples, or the file is damaged or hostile.
    TypeError
        If an argument is of the wrong kind.

    Examples
    --------
    >>> from lossfloor.datasets import load
    >>> load("digits", classes=(3, 8), n_per_class=100)
    <Dataset digits: X (200, 8, 8) uint8, y {3: 100, 8: 100}, unit 16>
    >>> load("iris", classes=("setosa", "virginica"))
    <Dataset iris: X (100, 4) float64, y {0 (setosa): 50, 2 (virginica): 50}, unit 1>
    """
    wanted, count = as_classes(classes), as_count(n_per_class)
    if label is not None and (isinstance(label, bool) or not isinstance(label, (str, int))):
        raise TypeError(must("label", "the name or the position of a column", label))
    request = Request(split=one_of("split", split, SPLITS), label=label)
    chosen_unit = None if unit is None else as_unit(unit)

    name, examples = _open(name_or_path, _as_folder(data_dir), request)
    rows, class_names = select(examples, wanted, count)
    X = examples.read(rows)
    return Dataset(
        X=X,
        y=examples.y[rows],
        class_names=class_names,
        unit=next(value for value in (chosen_unit, examples.unit, natural_unit(X)) if value is not None),
        name=name,
        source=examples.source,
    )


def _open(name_or_path: str | os.PathLike[str], data_dir: Path | None, request: Request) -> tuple[str, Examples]:
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise TypeError(must("name_or_path", "the name of a data set or the path of a file", name_or_path))
    if not os.fspath(name_or_path):
        raise ValueError(must("name_or_path", "not empty", name_or_path))
    by_key = {_key(named.name): named for named in NAMED_SETS}
    named = by_key.get(_key(name_or_path)) if isinstance(name_or_path, str) else None
    if named is not None:
        if request.label is not None and not named.takes_label:
            raise wrong_label_argument(request, named.name)
        return named.name, named.read(data_dir, request)

    path = Path(name_or_path).expanduser()
    if not path.exists():
        raise _missing(name_or_path)
    if data_dir is not None:
        raise ValueError(must("data_dir", "left out where a path is given", str(data_dir)))
    reader = next((reader for reader in FORMATS if reader.accepts(path)), None)
    if reader is None:
        known = "; ".join(f"{reader.name} ({reader.description})" for reader in FORMATS)
        raise ValueError(f"{path} is not in a supported format: {known}")
    if request.label is not None and not reader.takes_label:
        raise wrong_label_argument(request, str(path))
    examples = reader.read(path, request)
    return path.absolute().name, replace(examples, source=f"{examples.source} ({reader.name})")


def _key(name: str) -> str:
    return name.strip().casefold().replace("-", "").replace("_", "").replace(" ", "")


def _missing(name_or_path: str | os.PathLike[str]) -> Exception:
    """Distinguish a path that does not exist from an unknown name."""
    text = os.fspath(name_or_path)
    looks_like_path = os.sep in text or text.startswith(("~", ".")) or Path(text).suffix != ""
    if looks_like_path or not isinstance(name_or_path, str):
        return DatasetNotFoundError(f"{text} does not exist")
    message = unknown("data set", text, [named.name for named in NAMED_SETS])
    return ValueError(f"{message} There is no file or folder of that name either.")


def _as_folder(data_dir: str | os.PathLike[str] | None) -> Path | None:
    if data_dir is None:
        return None
    if not isinstance(data_dir, (str, os.PathLike)):
        raise TypeError(must("data_dir", "the path of a folder", data_dir))
    return Path(data_dir).expanduser()
