"""Table 1: robust cross-entropy on training and test data, the paper's numbers beside ours."""

from __future__ import annotations

from typing import Any

from lossfloor.paper.fig4 import Cell, Figure4
from lossfloor.paper.methods import METHODS

EPS = ("4.6", "5.0")


def table1(figure: Figure4) -> list[dict[str, Any]]:
    """Return the rows of Table 1: the floor, and each network and method at eps 4.6 and 5.0.

    Parameters
    ----------
    figure : Figure4
        As `lossfloor.paper.figure4` made it.

    Returns
    -------
    list of dict
        With the keys model ("floor", "paper, resnet18" and "paper, floor" beside the networks), method, words, eps,
        train, train_half, test, test_half (None where there is none) and seeds.
    """
    rows = [
        _row(
            "paper, floor" if line["method"] == "floor" else "paper, resnet18",
            line["method"],
            line["eps"],
            train=line["train"],
            test=line["test"],
        )
        for line in figure.published
    ]
    rows += [_row("floor", "floor", eps, train=floor) for eps, floor in _floors(figure.cells).items()]
    rows += [
        _row(cell.model, cell.method, cell.eps, cell.train, cell.train_half, cell.test, cell.test_half, cell.seeds)
        for cell in figure.cells
        if cell.eps in EPS
    ]
    return sorted(rows, key=lambda row: row["eps"])


def _floors(cells: tuple[Cell, ...]) -> dict[str, float]:
    return {cell.eps: cell.floor for cell in cells if cell.eps in EPS}


def _row(
    model: str,
    method: str,
    eps: str,
    train: float,
    train_half: float | None = None,
    test: float | None = None,
    test_half: float | None = None,
    seeds: int = 0,
) -> dict[str, Any]:
    return {
        "eps": eps,
        "model": model,
        "method": method,
        "words": METHODS[method].words if method in METHODS else method,
        "train": train,
        "train_half": train_half,
        "test": test,
        "test_half": test_half,
        "seeds": seeds,
    }
