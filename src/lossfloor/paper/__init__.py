"""The figures of the paper, computed again: Bhagoji, Cullina, Sehwag, Mittal, ICML 2021."""

from __future__ import annotations

from lossfloor.paper.fig3 import Figure3, Panel, figure3

__all__ = ["Figure3", "Panel", "figure3"]
