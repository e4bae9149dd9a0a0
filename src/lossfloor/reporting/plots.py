"""Pictures of results, drawn without a display; matplotlib is imported only when something is drawn."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lossfloor._checks import must, one_of
from lossfloor._files import write_whole
from lossfloor.losses import Loss, resolve

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class DrawableCurve(Protocol):
    """What `plot_curve` asks of a curve; see `lossfloor.Curve`."""

    eps: npt.NDArray[np.float64]
    separation: float

    def loss(self, loss: Any, /) -> npt.NDArray[np.float64]:
        """Return the loss at each budget."""

    def summary(self) -> dict[str, Any]:
        """Return what there is to say, with the adversary."""


#: What `save_figure` writes, by the ending of the file.
FORMATS = ("pdf", "png", "svg")


@dataclasses.dataclass(frozen=True)
class _Theme:
    """Colours that are told apart by people with any colour vision (after Okabe and Ito)."""

    paper: str
    ink: str
    faint: str
    lines: tuple[str, ...]


_LIGHT = _Theme("#ffffff", "#222222", "#6b6b6b", ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#785ef0"))
_DARK = _Theme("#16181d", "#e8e8e8", "#9aa0aa", ("#56b4e9", "#e69f00", "#2fc29b", "#e39cc4", "#a394f7"))


def plot_curve(
    curve: DrawableCurve,
    ax: Axes | None = None,
    *,
    losses: Sequence[Any] = ("cross_entropy", "zero_one"),
    dark: bool = False,
) -> Axes:
    """Draw floors over eps.

    Parameters
    ----------
    curve : Curve or MulticlassCurve
        What `lossfloor.curve` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure of its own, which pyplot does not know and no window shows.
    losses : sequence of str, Loss or callable
        The losses to draw, as `Floor.loss` takes them.
    dark : bool, default False
        Light lines for a dark background.

    Returns
    -------
    matplotlib.axes.Axes
        Its ``figure`` can be saved with `save_figure`.

    Raises
    ------
    TypeError, ValueError
        If `losses` is empty or contains an unknown loss.

    Examples
    --------
    >>> import lossfloor as lf
    >>> data = lf.load("digits", classes=(3, 8), n_per_class=50)
    >>> curve = lf.curve(data.X, data.y, lf.L2, eps=[0, 0.5, 1], unit=data.unit)
    >>> plot_curve(curve).get_xlabel()
    'eps (l2, unit 16)'
    """
    chosen = [resolve(loss) for loss in ([losses] if isinstance(losses, str) else losses)]
    if not chosen:
        raise ValueError(must("losses", "at least one loss", losses))
    theme = _DARK if dark else _LIGHT
    if ax is None:
        ax = _new_axes(theme)
    for i, loss in enumerate(chosen):
        color = theme.lines[i % len(theme.lines)]
        label = loss.label_with_unit
        marker = "o" if len(curve.eps) <= 60 else None
        ax.plot(curve.eps, curve.loss(loss), color=color, label=label, linewidth=1.8, marker=marker, markersize=3)
    ax.set_ylim(bottom=0)
    low, high = ax.get_xlim()
    if low <= curve.separation <= high:
        ax.axvline(curve.separation, color=theme.faint, linewidth=1, linestyle=(0, (4, 3)))
        ax.annotate(
            f"separation {curve.separation:.3g}",
            (curve.separation, 0.5),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="center",
            color=theme.faint,
            fontsize="small",
        )
    adversary = curve.summary()["adversary"]
    unit = f", unit {adversary['unit']}" if "unit" in adversary else ""
    ax.set_xlabel(f"eps ({adversary['name']}{unit})")
    ax.set_ylabel("smallest robust loss of any classifier")
    ax.legend(facecolor=theme.paper, edgecolor="none", labelcolor=theme.ink)
    return ax


def plot_matrix(
    matrix: npt.NDArray[np.float64],
    labels: Sequence[str],
    loss: Loss,
    ax: Axes | None = None,
    *,
    dark: bool = False,
) -> Axes:
    """Draw the floors of every two classes as a heat map with its numbers.

    Parameters
    ----------
    matrix : ndarray of float64, shape (k, k)
        Symmetric; what `PairwiseFloors.matrix` returned.
    labels : sequence of k str
    loss : Loss
        Whose floors they are.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure of its own.
    dark : bool, default False
        For a dark background.

    Returns
    -------
    matplotlib.axes.Axes
    """
    theme = _DARK if dark else _LIGHT
    k = len(labels)
    if ax is None:
        ax = _new_axes(theme, (2.2 + 0.55 * k, 1.6 + 0.5 * k))
    shown = np.ma.masked_array(matrix, np.eye(k, dtype=np.bool_))
    image = ax.imshow(shown, cmap="cividis", vmin=0)
    top = float(matrix.max()) or 1.0
    for i in range(k):
        for j in range(k):
            if i != j:
                color = "#ffffff" if matrix[i, j] < 0.6 * top else "#000000"
                ax.text(j, i, f"{matrix[i, j]:.2f}", ha="center", va="center", color=color, fontsize="x-small")
    turned = max(map(len, labels)) > 3
    ax.set_xticks(range(k), labels, rotation=45 if turned else 0, ha="right" if turned else "center")
    ax.set_yticks(range(k), labels)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("class")
    ax.set_ylabel("class")
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85)
    bar.set_label(f"smallest robust {loss.label_with_unit}", color=theme.ink)
    bar.ax.tick_params(colors=theme.ink)
    bar.outline.set_visible(False)
    return ax


def _new_axes(theme: _Theme, size: tuple[float, float] = (6.4, 4.0)) -> Axes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor=theme.paper)
    FigureCanvasAgg(figure)
    ax = figure.add_subplot(facecolor=theme.paper)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(theme.faint)
    ax.tick_params(colors=theme.ink)
    ax.xaxis.label.set_color(theme.ink)
    ax.yaxis.label.set_color(theme.ink)
    ax.grid(axis="y", color=theme.faint, alpha=0.25, linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def save_figure(figure: Figure | Axes, path: str | os.PathLike[str]) -> None:
    """Write a picture, whole or not at all.

    Parameters
    ----------
    figure : matplotlib figure or axes
        An axes stands for the figure that it is part of.
    path : path
        Ends in .png, .svg or .pdf, which chooses the format.

    Raises
    ------
    ValueError
        If the ending is another one.
    OSError
        If the file cannot be written.
    """
    kind = picture_format(path)
    whole: Any = getattr(figure, "figure", None) or figure
    import matplotlib as mpl

    # Without a date, and with names that are not drawn by lot, the same picture is the same file.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with mpl.rc_context({"svg.hashsalt": "lossfloor"}):
        write_whole(path, lambda stream: whole.savefig(stream, format=kind, metadata=metadata))


def picture_format(path: str | os.PathLike[str]) -> str:
    """Return the format that the ending of a path chooses.

    Raises
    ------
    ValueError
        If it is none of `FORMATS`.

    Examples
    --------
    >>> picture_format("curve.PNG")
    'png'
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if not ending:
        raise ValueError(must("path", f"a file that ends in .{', .'.join(FORMATS)}", os.fspath(path)))
    return one_of("format of pictures", ending, FORMATS)
