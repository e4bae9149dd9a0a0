"""Finding conflicts: which examples of different classes can be moved to the same point."""

from lossfloor.conflicts.pairs import build_pairs
from lossfloor.conflicts.two_class import build, build_bounds

__all__ = ["build", "build_bounds", "build_pairs"]
