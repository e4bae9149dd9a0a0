"""Figure 4: the robust cross-entropy of trained networks against the floor."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from lossfloor._checks import must
from lossfloor.paper.methods import METHODS
from lossfloor.reporting.tables import write_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
        write_rows(path, self.rows())

    def plot(self) -> Figure:
        """Draw methods over eps, a panel for each network, and all methods at the eps that has most of them."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        models = list(dict.fromkeys(cell.model for cell in self.cells))
        figure = Figure(figsize=(5.0 + 4.0 * len(models), 5.6), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        ratios = [*(1.0 for _ in models), 1.1]
        *panels, last = figure.subplots(1, len(models) + 1, squeeze=False, width_ratios=ratios)[0]
        for model, ax in zip(models, panels, strict=True):
            self._draw_over_eps(model, ax)
        panels[0].set_ylabel("robust cross-entropy on the training data (nats)")
        self._draw_one_eps(last)
        handles: dict[str, Any] = {}
        for ax in panels:
            handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        figure.legend(
            list(handles.values()), list(handles), frameon=False, fontsize="small", loc="outside lower center", ncols=3
        )
        return figure

    def _draw_over_eps(self, model: str, ax: Axes) -> None:
        """Draw the methods of one network that have several eps."""
        floors = sorted({(float(cell.eps), cell.floor) for cell in self.cells})
        ax.plot(*zip(*floors, strict=True), color=_INK, linewidth=1.8, linestyle="--", marker="_", label="floor")
        shown = 0
        for method in METHODS:
            cells = sorted(
                (float(cell.eps), cell.train, cell.train_half or 0.0)
                for cell in self.cells
                if (cell.model, cell.method) == (model, method)
            )
            if len(cells) < min(2, len(floors)):
                continue
            eps, mean, half = (list(column) for column in zip(*cells, strict=True))
            ax.errorbar(
                eps,
                mean,
                yerr=half,
                color=_LINES[shown % len(_LINES)],
                linewidth=1.2,
                marker="os^Dv"[shown % 5],
                markersize=4,
                capsize=2,
                label=METHODS[method].words,
            )
            shown += 1
        ax.axhline(math.log(2), color=_FAINT, linewidth=1, linestyle=":")
        ax.set_title(f"Fashion-MNIST, 3 against 7: {model}", fontsize="medium")
        ax.set_xlabel("eps (l2)")
        ax.set_ylim(bottom=0)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color=_FAINT, alpha=0.25, linewidth=0.8)

    def _draw_one_eps(self, ax: Axes) -> None:
        """Draw everything that was tried at one eps, the best first."""
        counts = Counter(cell.eps for cell in self.cells)
        eps = max(counts, key=lambda value: (counts[value], value))
        cells = sorted((cell for cell in self.cells if cell.eps == eps), key=lambda cell: -cell.train)
        several = len({cell.model for cell in cells}) > 1
        for i, cell in enumerate(cells):
            beyond = cell.method in METHODS and METHODS[cell.method].beyond
            color = _LINES[1] if beyond else _LINES[0]
            ax.errorbar(cell.train, i, xerr=cell.train_half or 0.0, color=color, marker="o", markersize=4, capsize=2)
        ax.axvline(cells[0].floor, color=_INK, linewidth=1.8, linestyle="--")
        ax.set_yticks(
            range(len(cells)), [f"{cell.method} ({cell.model})" if several else cell.method for cell in cells]
        )
        ax.tick_params(axis="y", labelsize="small")
        ax.set_title(f"eps {eps}; dashed: floor; orange: beyond the paper", fontsize="medium")
        ax.set_xlabel("robust cross-entropy (nats)")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="x", color=_FAINT, alpha=0.25, linewidth=0.8)


def figure4(results: Sequence[dict[str, Any]]) -> Figure4:
    """Put the results of runs together.

    Parameters
    ----------
    results : sequence of dict
        As `lossfloor.paper.runs.read` returns them.

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
