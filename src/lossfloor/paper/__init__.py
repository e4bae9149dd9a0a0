"""The figures of the paper, computed again: Bhagoji, Cullina, Sehwag, Mittal, ICML 2021."""

from __future__ import annotations

from lossfloor.paper.fig3 import Figure3, Panel, figure3
from lossfloor.paper.fig4 import Figure4, figure4
from lossfloor.paper.table1 import table1

__all__ = ["Figure3", "Figure4", "Panel", "figure3", "figure4", "table1"]
