"""Figure 4: the robust cross-entropy of trained networks beside the floor."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from lossfloor._files import write_whole
from lossfloor._validation import must
from lossfloor.paper.robust_runs import METHODS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _FAINT = "#222222", "#8a8a8a"
_LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#785ef0", "#56b4e9", "#e69f00", "#2b6b2b")


@dataclass(frozen=True)
class Cell:
    """The runs of one network, method and eps, put together.

    Attributes
    ----------
    model, method, eps : str
    seeds : int
        How many runs there are.
    floor, zero_one_floor : float
        Of the training data, exact.
    train, test, train_zero_one, test_zero_one : float
        Means over the seeds; the first two are robust cross-entropies in nats.
    train_half, test_half : float or None
        Half the length of the 95 % confidence interval of the mean (Student's t), if there are two seeds or more.
    gradient : float
        The mean of the robust cross-entropy on the training data by the gradient attack alone.
    """

    model: str
    method: str
    eps: str
    seeds: int
    floor: float
    zero_one_floor: float
    train: float
    train_half: float | None
    test: float
    test_half: float | None
    train_zero_one: float
    test_zero_one: float
    gradient: float


@dataclass(frozen=True)
class Figure4:
    """The results of robust training; `figure4` makes one.

    Attributes
    ----------
    cells : tuple of Cell
    published : list of dict
        What the paper gives, with keys method, eps, train and test.
    """

    cells: tuple[Cell, ...]
    published: list[dict[str, Any]]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each cell."""
        return [dict(vars(cell)) for cell in self.cells]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `rows` as a table (written whole or not at all)."""
        rows = self.rows()
        lines = [
            ",".join(rows[0]),
            *(",".join("" if value is None else str(value) for value in row.values()) for row in rows),
        ]
        text = "\n".join(lines) + "\n"
        write_whole(path, lambda stream: stream.write(text.encode()))

    def plot(self) -> Figure:
        """Draw a panel for each network; `lossfloor.plotting.save_figure` writes it."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        models = list(dict.fromkeys(cell.model for cell in self.cells))
        figure = Figure(figsize=(1.5 + 5.0 * len(models), 4.4), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        floors = sorted({(float(cell.eps), cell.floor) for cell in self.cells})
        methods = [name for name in METHODS if any(cell.method == name for cell in self.cells)]
        for model, ax in zip(models, figure.subplots(1, len(models), squeeze=False, sharey=True)[0], strict=True):
            ax.plot(*zip(*floors, strict=True), color=_INK, linewidth=1.8, linestyle="--", marker="_", label="floor")
            for i, method in enumerate(methods):
                cells = sorted(
                    (float(cell.eps), cell.train, cell.train_half or 0.0)
                    for cell in self.cells
                    if (cell.model, cell.method) == (model, method)
                )
                if not cells:
                    continue
                eps, mean, half = (list(column) for column in zip(*cells, strict=True))
                apart = 0.012 * (i - len(methods) / 2)  # so that marks at one eps do not hide each other
                ax.errorbar(
                    [value + apart for value in eps],
                    mean,
                    yerr=half,
                    color=_LINES[i % len(_LINES)],
                    linewidth=1.2,
                    marker="os^Dv"[i // len(_LINES) + i % 2 * 2],
                    markersize=4,
                    capsize=2,
                    label=METHODS[method].words,
                )
            ax.axhline(math.log(2), color=_FAINT, linewidth=1, linestyle=":")
            ax.set_title(f"Fashion-MNIST, 3 against 7: {model}", fontsize="medium")
            ax.set_xlabel("eps (l2)")
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(axis="y", color=_FAINT, alpha=0.25, linewidth=0.8)
        figure.axes[0].set_ylabel("robust cross-entropy on the training data (nats)")
        figure.axes[0].set_ylim(bottom=0)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside right center")
        return figure


def figure4(results: Sequence[dict[str, Any]]) -> Figure4:
    """Put the results of runs together.

    Parameters
    ----------
    results : sequence of dict
        As `lossfloor.paper.robust_runs.read` returns them.

    Returns
    -------
    Figure4

    Raises
    ------
    ValueError
        If there is no result.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Section 4.3, Figure 4 and Table 1.
    """
    if not results:
        raise ValueError(must("results", "at least one finished run", results))
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault((result["model"], result["method"], result["eps"]), []).append(result)
    known = list(METHODS)
    order = sorted(groups, key=lambda key: (key[0], float(key[2]), known.index(key[1]) if key[1] in known else 99))
    return Figure4(tuple(_cell(*key, groups[key]) for key in order), published()["rows"])


def _cell(model: str, method: str, eps: str, runs: list[dict[str, Any]]) -> Cell:
    def mean(part: str, key: str) -> float:
        return float(np.mean([run[part][key] for run in runs]))

    def half(part: str) -> float | None:
        if len(runs) < 2:
            return None
        from scipy import stats

        values = [run[part]["cross_entropy"] for run in runs]
        return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))

    return Cell(
        model=model,
        method=method,
        eps=eps,
        seeds=len(runs),
        floor=mean("train", "unavoidable"),
        zero_one_floor=mean("train", "zero_one_floor"),
        train=mean("train", "cross_entropy"),
        train_half=half("train"),
        test=mean("test", "cross_entropy"),
        test_half=half("test"),
        train_zero_one=mean("train", "zero_one"),
        test_zero_one=mean("test", "zero_one"),
        gradient=mean("train", "gradient_attack_cross_entropy"),
    )


def published() -> dict[str, Any]:
    """Return the numbers that the paper gives, with the keys source, data and rows.

    Examples
    --------
    >>> published()["rows"][0]
    {'method': 'hard', 'eps': '4.6', 'train': 0.349, 'test': 0.348}
    """
    text = resources.files("lossfloor.paper").joinpath("published.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
