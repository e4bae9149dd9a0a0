"""Adversaries: where each example may be moved, and which examples conflict."""

from lossfloor.adversaries import registry
from lossfloor.adversaries.base import Adversary
from lossfloor.adversaries.norms import NormBall
from lossfloor.adversaries.registry import *  # noqa: F403  # every family, so that a new one is named there alone
from lossfloor.graphs import BitRows, ConflictRows, ListRows

__all__ = ["Adversary", "BitRows", "ConflictRows", "ListRows", "NormBall"]
__all__ += registry.__all__
