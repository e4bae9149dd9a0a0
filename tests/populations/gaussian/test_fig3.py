"""Figure 3: the construction, the numbers and the files."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossfloor as lf
from lossfloor.paper import Figure3, figure3
from lossfloor.populations.gaussian import gaussian_floor
from lossfloor.reporting.plots import save_figure


@pytest.fixture(scope="module")
def figure() -> Figure3:
    return figure3([2, 100], [50, 400], repeats=3, points=9, seed=4)


def test_the_construction_is_that_of_the_paper(figure: Figure3) -> None:
    for panel in figure.panels:
        assert panel.variances.min() > 0
        assert panel.variances.max() < 1
        assert np.allclose(panel.mean, 2 * panel.variances / math.sqrt(panel.dimension))
        assert panel.eps[0] == 0
    assert [panel.dimension for panel in figure.panels] == [2, 100]


def test_the_numbers_are_floors(figure: Figure3) -> None:
    panel = figure.panels[0]
    for i in (0, 3, 8):
        whole = gaussian_floor(panel.mean, panel.variances, lf.L2(panel.eps[i]))
        assert panel.population[i] == whole.cross_entropy
        X, y, _ = whole.sample(400, np.random.default_rng([4, 2, 400, 1]))
        assert panel.samples[400][1, i] == lf.floor(X, y, lf.L2(panel.eps[i])).cross_entropy


def test_samples_are_below_the_population_and_more_so_in_high_dimension(figure: Figure3) -> None:
    low, high = figure.panels
    for panel in figure.panels:
        small, large = panel.samples[50].mean(axis=0), panel.samples[400].mean(axis=0)
        assert np.all(small <= panel.population + 0.01)
        assert large.mean() > small.mean()
        assert panel.population[-1] == pytest.approx(math.log(2), abs=1e-12)
    gaps = [(panel.population - panel.samples[400].mean(axis=0)).max() for panel in (low, high)]
    assert gaps[0] < 0.4 < 0.69 < gaps[1]


def test_the_table(figure: Figure3, tmp_path: Path) -> None:
    path = tmp_path / "fig3.csv"
    figure.to_csv(path)
    with path.open(newline="") as stream:
        rows: list[dict[str, Any]] = list(csv.DictReader(stream))
    assert len(rows) == 2 * 2 * 9
    first = rows[10]  # d = 2, n = 400, the second eps
    floors = figure.panels[0].samples[400][:, 1]
    assert (first["seed"], first["dimension"], first["n"], first["repeats"]) == ("4", "2", "400", "3")
    assert float(first["mean"]) == floors.mean()
    assert (float(first["lowest"]), float(first["highest"])) == (floors.min(), floors.max())
    assert float(first["population"]) == figure.panels[0].population[1]


def test_the_picture(figure: Figure3, tmp_path: Path) -> None:
    drawn = figure.plot()
    assert [ax.get_title() for ax in drawn.axes] == ["d = 2", "d = 100"]
    assert "seed 4" in drawn.get_suptitle()
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["50 examples", "400 examples", "population"]
    lines = {line.get_label(): line for line in drawn.axes[1].lines}
    assert np.array_equal(lines["population"].get_data(), figure.panels[1].line)
    assert np.array_equal(lines["50 examples"].get_ydata(), figure.panels[1].samples[50].mean(axis=0))
    save_figure(drawn, tmp_path / "fig3.svg")
    assert (tmp_path / "fig3.svg").stat().st_size > 1000


def test_the_line_of_the_population_goes_through_its_floors(figure: Figure3) -> None:
    for panel in figure.panels:
        assert panel.line.shape == (2, 4 * 8 + 1)
        assert np.array_equal(panel.line[0, ::4], [float(eps) for eps in panel.eps])
        assert np.array_equal(panel.line[1, ::4], panel.population)


def test_the_seed_decides(figure: Figure3) -> None:
    again = figure3([2], [50], repeats=3, points=9, seed=4)
    assert np.array_equal(again.panels[0].samples[50], figure.panels[0].samples[50])
    other = figure3([2], [50], repeats=3, points=9, seed=5)
    assert not np.array_equal(other.panels[0].variances, figure.panels[0].variances)


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    figure3([1, 2], [20], repeats=2, points=2, progress=lambda *values: told.append(values))
    assert told == [("samples", done, 4) for done in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dimensions": []}, ValueError, "'dimensions' must be at least one number"),
        ({"dimensions": [0]}, ValueError, "'dimensions' must be at least 1, got 0"),
        ({"sizes": [5]}, ValueError, "'sizes' must be at least 20"),
        ({"sizes": [20.5]}, TypeError, "'sizes' must be made of whole numbers"),
        ({"repeats": 0}, ValueError, "'repeats' must be at least 1"),
        ({"points": 1}, ValueError, "'points' must be at least 2"),
        ({"seed": -1}, ValueError, "'seed' must be at least 0"),
        ({"constant": 0}, ValueError, "'constant' must be positive"),
        ({"constant": "far"}, ValueError, "'constant' must be a number"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        figure3(**arguments)
