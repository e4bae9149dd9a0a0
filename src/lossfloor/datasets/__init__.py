"""Data sets: a name or a file goes in, a :class:`Dataset` comes out.

``load`` reads IDX, ``.npz``, ``.csv``, ``.parquet``, a folder of images a class and CIFAR's archives, and
finds the well-known sets by name where they lie on this machine. Nothing is downloaded, rescaled or executed.
"""

from __future__ import annotations

from ._dataset import Dataset
from .registry import available, load

__all__ = ["Dataset", "available", "load"]
