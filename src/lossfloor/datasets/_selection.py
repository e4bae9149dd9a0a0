"""Which examples to keep: the first so many of each class asked for, in the order of the file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import numpy as np

from lossfloor._checks import must

from ._dataset import describe
from ._plugin import Examples, Label, Rows

_LABELS_LISTED = 30


def as_classes(classes: object) -> list[Label] | None:
    """Check the shape of the argument `classes`, before any file is opened."""
    if classes is None:
        return None
    if isinstance(classes, (str, bytes, Mapping)) or not isinstance(classes, Iterable):
        raise TypeError(must("classes", "a sequence of labels or class names, such as (3, 7)", classes))
    wanted: list[Label] = []
    for value in classes:
        if isinstance(value, str):
            wanted.append(value.strip())
        elif isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            wanted.append(int(value))
        else:
            raise TypeError(must("classes", "made of integers and class names", value))
    if not wanted:
        raise ValueError(must("classes", "at least one class", classes))
    return wanted


def as_count(n_per_class: object) -> int | None:
    """Check the argument `n_per_class`."""
    if n_per_class is None:
        return None
    if isinstance(n_per_class, bool) or not isinstance(n_per_class, (int, np.integer)):
        raise TypeError(must("n_per_class", "a positive integer", n_per_class))
    if n_per_class < 1:
        raise ValueError(must("n_per_class", "a positive integer", n_per_class))
    return int(n_per_class)


def select(examples: Examples, classes: list[Label] | None, n_per_class: int | None) -> tuple[Rows, dict[Label, str]]:
    """Choose rows, and name the classes that they are of.

    Parameters
    ----------
    examples : Examples
    classes : list of labels or names, or None for all
    n_per_class : int or None
        How many of each class, the first in the order of the file; None for all.

    Returns
    -------
    rows : ndarray of intp, rising
    class_names : dict of label to name, in rising order of labels

    Raises
    ------
    ValueError
        If a class is unknown, asked for twice, or has too few examples.
    """
    labels, codes = np.unique(examples.y, return_inverse=True)
    present: dict[Label, int] = {label: code for code, label in enumerate(labels.tolist())}
    names: dict[Label, str] = {label: str(label) for label in present} | dict(examples.class_names)
    chosen = list(present) if classes is None else _resolve(classes, names)
    kept = []
    for label in chosen:
        rows = np.flatnonzero(codes == present[label]) if label in present else np.empty(0, np.intp)
        if len(rows) == 0:
            raise ValueError(f"there are no examples of class {describe(label, names)} in {examples.source}")
        if n_per_class is not None and len(rows) < n_per_class:
            have = f"at most {len(rows)}, the examples that there are of class {describe(label, names)}"
            raise ValueError(must("n_per_class", have, n_per_class))
        kept.append(rows[:n_per_class])
    return np.sort(np.concatenate(kept)), {label: names[label] for label in present if label in chosen}


def _resolve(classes: list[Label], names: Mapping[Label, str]) -> list[Label]:
    by_text = {str(label): label for label in names}
    by_name = {name.casefold(): label for label, name in reversed(list(names.items()))}
    chosen: list[Label] = []
    for wanted in classes:
        label = by_text.get(str(wanted))
        if label is None and isinstance(wanted, str):
            label = by_name.get(wanted.casefold())
        if label is None:
            raise ValueError(_unknown_class(wanted, names))
        if label in chosen:
            raise ValueError(
                must("classes", f"free of repetitions: class {describe(label, names)} is there twice", classes)
            )
        chosen.append(label)
    return chosen


def _unknown_class(wanted: Label, names: Mapping[Label, str]) -> str:
    known = ", ".join(describe(label, names) for label in list(names)[:_LABELS_LISTED])
    if len(names) > _LABELS_LISTED:
        known += f", ... ({len(names)} in all)"
    near = difflib.get_close_matches(str(wanted), names.values(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near and isinstance(wanted, str) else "."
    return f"{must('classes', 'made of known classes', wanted)}{hint} Known: {known}."
