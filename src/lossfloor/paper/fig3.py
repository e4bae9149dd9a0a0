"""Figure 3: the floor of a Gaussian population beside the floors of samples of it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_fraction, must
from lossfloor._types import Progress
from lossfloor.adversaries import L2
from lossfloor.floors import curve
from lossfloor.populations.gaussian import gaussian_floor
from lossfloor.reporting.tables import write_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

_INK, _FAINT = "#222222", "#666666"
#: From few examples to many: one hue that gets darker, so that the order shows in grey and to the colour-blind too.
_FEW, _MANY = np.array([0.55, 0.76, 0.90]), np.array([0.03, 0.25, 0.50])
#: How much finer than the samples' the grid of the population is.
_FINER = 4


@dataclass(frozen=True, eq=False)
class Panel:
    """The curves of one dimension.

    Attributes
    ----------
    mean, variances : ndarray of float64, shape (d,)
        Of the first class; the second has the mean ``-mean``.
    eps : tuple of Fraction, length k
        Budgets of the l2 adversary.
    population : ndarray of float64, shape (k,)
        Floor of the cross-entropy of the population, in nats.
    samples : dict of int to ndarray of float64, shape (repeats, k)
        Floors of samples by their number of examples.
    line : ndarray of float64, shape (2, m)
        The population's floor over a finer grid, to be drawn: eps, and floors.
    """

    mean: FloatArray
    variances: FloatArray
    eps: tuple[Fraction, ...]
    population: FloatArray
    samples: dict[int, FloatArray]
    line: FloatArray

    @property
    def dimension(self) -> int:
        """Number of features."""
        return len(self.mean)


@dataclass(frozen=True, eq=False)
class Figure3:
    """What `figure3` computed.

    Attributes
    ----------
    panels : tuple of Panel
        One for each dimension.
    constant : float
        C, which sets the means apart.
    seed : int
        What variances and samples were drawn from.
    """

    panels: tuple[Panel, ...]
    constant: float
    seed: int

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each dimension, size of sample and eps."""
        return [
            {
                "seed": self.seed,
                "constant": self.constant,
                "dimension": panel.dimension,
                "eps": float(eps),
                "population": float(panel.population[i]),
                "n": n,
                "repeats": len(floors),
                "mean": float(floors[:, i].mean()),
                "lowest": float(floors[:, i].min()),
                "highest": float(floors[:, i].max()),
            }
            for panel in self.panels
            for n, floors in panel.samples.items()
            for i, eps in enumerate(panel.eps)
        ]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `rows` as a table (written whole or not at all)."""
        write_rows(path, self.rows())

    def plot(self) -> Figure:
        """Draw a panel for each dimension; `lossfloor.reporting.plots.save_figure` writes it."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        count = len(self.panels)
        figure = Figure(figsize=(1.0 + 3.0 * count, 3.7), dpi=200, layout=ConstrainedLayoutEngine(wspace=0.06))
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, count, squeeze=False, sharey=True)[0]
        for panel, ax in zip(self.panels, axes, strict=True):
            eps = [float(value) for value in panel.eps]
            ax.axhline(math.log(2), color=_FAINT, linewidth=0.8, linestyle=":")
            for share, (n, floors) in zip(np.linspace(0, 1, len(panel.samples)), panel.samples.items(), strict=True):
                color = tuple((1 - share) * _FEW + share * _MANY)
                ax.fill_between(eps, floors.min(axis=0), floors.max(axis=0), color=color, alpha=0.3, linewidth=0)
                ax.plot(eps, floors.mean(axis=0), color=color, linewidth=1.6, label=f"{n:,} examples")
            ax.plot(*panel.line, color=_INK, linewidth=1.6, linestyle=(0, (4, 1.5)), label="population")
            ax.set_title(f"d = {panel.dimension}", fontsize="medium")
            ax.set_xlabel("eps (l2)")
            ax.set_xlim(0, eps[-1])
            ax.set_ylim(0, 1.08 * math.log(2))
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(axis="y", color=_FAINT, alpha=0.2, linewidth=0.6)
        axes[0].set_ylabel("smallest robust cross-entropy (nats)")
        axes[-1].annotate(
            "log 2: chance",
            (0.98, math.log(2)),
            (0, 2),
            ("axes fraction", "data"),
            "offset points",
            color=_FAINT,
            fontsize="x-small",
            ha="right",
        )
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=8, frameon=False)
        repeats = max(len(floors) for panel in self.panels for floors in panel.samples.values())
        figure.suptitle(
            f"Floors of samples (line: mean of {repeats}, band: their range) and of the population; "
            f"C = {self.constant:g}, seed {self.seed}",
            fontsize="small",
            color=_FAINT,
        )
        return figure


def figure3(
    dimensions: Sequence[int] = (2, 10, 100),
    sizes: Sequence[int] = (100, 1000, 10_000),
    *,
    constant: Any = 2,
    repeats: int = 5,
    points: int = 41,
    seed: int = 0,
    progress: Progress | None = None,
) -> Figure3:
    r"""Compute floors of the cross-entropy over eps: of Gaussian populations, and of samples of growing size.

    The paper's construction: two classes of equal probability, :math:`N(\pm\mu, S)`, S diagonal with :math:`S_{ii}`
    uniform in (0, 1), :math:`\mu_i = C S_{ii} / \sqrt{d}`, and an l2 adversary.

    Parameters
    ----------
    dimensions : sequence of int
        Numbers of features d.
    sizes : sequence of int
        Numbers of examples in a sample, at least 20 (so that both classes are among them).
    constant : number, default 2
        C; the paper does not give its own.
    repeats : int, default 5
        Samples of each size.
    points : int, default 41
        Budgets eps in each panel, from 0 to where both population and samples are no better than chance.
    seed : int, default 0
        What everything is drawn from.
    progress : callable, optional
        Called with (stage, done, total) during the work.

    Returns
    -------
    Figure3

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Section 4.2 and Figure 3.

    Examples
    --------
    >>> figure = figure3(dimensions=[2], sizes=[50], repeats=2, points=3)
    >>> [float(eps) for eps in figure.panels[0].eps]
    [0.0, 0.5, 1.0]
    >>> figure.panels[0].samples[50].shape
    (2, 3)
    """
    for name, values, least in (("dimensions", dimensions, 1), ("sizes", sizes, 20)):
        if not values:
            raise ValueError(must(name, "at least one number", values))
        for value in values:
            _check_integer(name, value, least)
    for name, value, least in (("repeats", repeats, 1), ("points", points, 2), ("seed", seed, 0)):
        _check_integer(name, value, least)
    apart = float(as_fraction("constant", constant))
    if apart <= 0:
        raise ValueError(must("constant", "positive", constant))
    total = len(dimensions) * len(sizes) * repeats
    done = 0
    panels = []
    for d in dimensions:
        variances = np.random.default_rng([seed, d]).random(d)
        mean = apart * variances / math.sqrt(d)
        budgets = _budgets(mean, variances, points)
        floors = [gaussian_floor(mean, variances, L2(eps)) for eps in budgets]
        samples: dict[int, FloatArray] = {}
        for n in sizes:
            rows = []
            for repeat in range(repeats):
                X, y, _ = floors[0].sample(n, np.random.default_rng([seed, d, n, repeat]))
                rows.append(curve(X, y, L2, eps=budgets).loss("cross-entropy"))
                done += 1
                if progress is not None:
                    progress("samples", done, total)
            samples[n] = np.array(rows)
        population = np.array([floor.cross_entropy for floor in floors])
        panels.append(Panel(mean, variances, budgets, population, samples, _line(mean, variances, budgets)))
    return Figure3(tuple(panels), apart, seed)


def _budgets(mean: FloatArray, variances: FloatArray, points: int) -> tuple[Fraction, ...]:
    """Return a grid of short decimals up to 1.2 times what makes two examples of different classes meet."""
    typical = math.sqrt(2.0 * float(variances.sum()) + 4.0 * float(mean @ mean))
    digits = math.floor(math.log10(typical)) - 1
    top = math.ceil(0.6 * typical / 10.0**digits) * Fraction(10) ** digits
    return tuple(top * i / (points - 1) for i in range(points))


def _line(mean: FloatArray, variances: FloatArray, budgets: tuple[Fraction, ...]) -> FloatArray:
    """Return eps and the population's floors on a grid finer than the budgets."""
    count = _FINER * (len(budgets) - 1)
    eps = [budgets[-1] * i / count for i in range(count + 1)]
    floors = [gaussian_floor(mean, variances, L2(value)).cross_entropy for value in eps]
    return np.array([[float(value) for value in eps], floors])


def _check_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(must(name, "made of whole numbers", value))
    if value < least:
        raise ValueError(must(name, f"at least {least}", value))
