"""Which pairs of examples are within a distance of each other, decided exactly and without a matrix of distances."""

from lossfloor.distances.exact_pairs import paired_within
from lossfloor.distances.rows import Rows
from lossfloor.distances.sweep import PairSweep, Radii, thread_count

__all__ = ["PairSweep", "Radii", "Rows", "paired_within", "thread_count"]
