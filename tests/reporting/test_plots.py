"""Pictures: that they show the numbers, need no display, and are written whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import lossfloor as lf
from lossfloor.reporting.plots import picture_format, plot_curve, save_figure

if TYPE_CHECKING:
    from lossfloor.floors.two_class_curve import Curve


@pytest.fixture(scope="module")
def curve() -> Curve:
    data = lf.load("digits", classes=(3, 8), n_per_class=60)
    return lf.curve(data.X, data.y, lf.L2, eps=[0, 0.5, 1, 1.2, 1.5], unit=data.unit)


def line(ax: Any, label: str) -> Any:
    return next(line for line in ax.lines if line.get_label() == label)


def test_the_lines_are_the_losses(curve: Curve) -> None:
    ax = plot_curve(curve, losses=("cross_entropy", "zero-one", "brier", lf.losses.Spherical(), lambda q: 1 - q))
    for label, values in {
        "cross-entropy (nats)": curve.cross_entropy,
        "0-1 loss": curve.zero_one,
        "Brier loss": curve.brier,
        "spherical": curve.loss("spherical"),
        "convex": curve.zero_one,
    }.items():
        assert np.array_equal(line(ax, label).get_xdata(), curve.eps)
        assert np.allclose(line(ax, label).get_ydata(), values, rtol=0, atol=1e-12)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "cross-entropy (nats)",
        "0-1 loss",
        "Brier loss",
        "spherical",
        "convex",
    ]
    assert ax.get_ylim()[0] == 0


def test_one_loss_by_its_name(curve: Curve) -> None:
    assert np.array_equal(line(plot_curve(curve, losses="brier"), "Brier loss").get_ydata(), curve.brier)


def test_the_separation_is_marked(curve: Curve) -> None:
    ax = plot_curve(curve)
    assert [text.get_text() for text in ax.texts] == [f"separation {curve.separation:.3g}"]
    assert any(np.array_equal(line.get_xdata(), [curve.separation] * 2) for line in ax.lines)


def test_a_separation_beyond_the_grid_is_left_out() -> None:
    far = lf.curve([[0.0], [10.0]], [0, 1], lf.L2, eps=[0, 1])
    assert far.separation == 5
    assert len(plot_curve(far).texts) == 0


def test_dark_is_light_on_dark(curve: Curve) -> None:
    for dark in (False, True):
        ax = plot_curve(curve, dark=dark)
        paper = sum(to_rgb(ax.figure.get_facecolor()))
        assert to_rgb(ax.get_facecolor()) == to_rgb(ax.figure.get_facecolor())
        for color in (ax.lines[0].get_color(), ax.xaxis.label.get_color(), ax.texts[0].get_color()):
            assert (sum(to_rgb(color)) > paper) is dark


def test_an_axes_of_the_caller_is_drawn_on(curve: Curve) -> None:
    ax = Figure().add_subplot()
    assert plot_curve(curve, ax) is ax
    assert line(ax, "0-1 loss") is not None


def test_a_curve_draws_itself(curve: Curve) -> None:
    ax = Figure().add_subplot()
    assert curve.plot(ax) is ax
    assert len(curve.plot().lines) == len(ax.lines)


@pytest.mark.parametrize(
    ("losses", "told"), [((), "'losses' must be at least one loss"), (("brierr",), "did you mean 'brier'")]
)
def test_wrong_losses(curve: Curve, losses: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        plot_curve(curve, losses=losses)


@pytest.mark.parametrize(("name", "start"), [("c.png", b"\x89PNG"), ("c.SVG", b"<?xml"), ("c.pdf", b"%PDF")])
def test_save_figure(curve: Curve, tmp_path: Path, name: str, start: bytes) -> None:
    ax = plot_curve(curve)
    save_figure(ax, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    save_figure(ax.figure, str(tmp_path / ("again" + name)))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "again" + name])


@pytest.mark.parametrize("name", ["c.png", "c.pdf", "c.svg"])
def test_the_same_picture_is_the_same_file(curve: Curve, tmp_path: Path, name: str) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        save_figure(plot_curve(curve), tmp_path / folder / name)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(("path", "told"), [("c.gif", "unknown format of pictures 'gif'"), ("c", "ends in .pdf")])
def test_an_unknown_format_is_refused(tmp_path: Path, path: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        picture_format(path)
    with pytest.raises(ValueError, match=told):
        save_figure(Figure(), tmp_path / path)
    assert list(tmp_path.iterdir()) == []


def test_what_fails_leaves_the_old_picture(curve: Curve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.png"
    path.write_bytes(b"old")

    def fail(self: Figure, stream: Any, **_: object) -> None:
        stream.write(b"half a picture")
        raise OSError("no space")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="no space"):
        save_figure(plot_curve(curve), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_display_and_no_pyplot_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['matplotlib.pyplot'] = None\n"
        "import lossfloor as lf\n"
        "from lossfloor.reporting.plots import save_figure\n"
        "ax = lf.curve([[0.0], [1.0]], [0, 1], lf.L2, eps=[0, 1]).plot()\n"
        f"save_figure(ax, {str(tmp_path / 'c.png')!r})\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    subprocess.run([sys.executable, "-c", code], check=True, env={**environment, "MPLBACKEND": "tkagg"})
    assert (tmp_path / "c.png").stat().st_size > 0
