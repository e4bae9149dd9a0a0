"""Conflict graphs: which examples of one class share a reachable point with which of the other."""

from lossfloor.conflicts.build import build, build_bounds, gather, lists_of
from lossfloor.conflicts.graph import ConflictGraph

__all__ = ["ConflictGraph", "build", "build_bounds", "gather", "lists_of"]
