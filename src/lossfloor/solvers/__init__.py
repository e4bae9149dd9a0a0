"""From a conflict graph to the blocks that every loss is read off."""

from lossfloor.solvers.blocks import Blocks
from lossfloor.solvers.two_class import solve

__all__ = ["Blocks", "solve"]
