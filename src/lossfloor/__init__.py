"""The smallest robust loss that any classifier can have on your data, with a proof.

>>> import lossfloor as lf
>>> lf.floor([[0.0], [1.0]], ["cat", "dog"], lf.L2(0.5)).cross_entropy
0.6931471805599453
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossfloor import losses
    from lossfloor.adversaries import L1, L2, Adversary, Linf, Lp, Precomputed
    from lossfloor.conflicts import ConflictGraph
    from lossfloor.curves import Curve, curve
    from lossfloor.datasets import Dataset, load
    from lossfloor.exceptions import CertificateError, DatasetNotFoundError, LossfloorError
    from lossfloor.floors import Floor, floor

__version__ = "0.1.0"

# Each public name and the module that it comes from.  Modules are imported when a name is first used, so that
# `import lossfloor` is quick and nobody pays for what they do not use.
_HOMES = {
    "L1": "lossfloor.adversaries",
    "L2": "lossfloor.adversaries",
    "Adversary": "lossfloor.adversaries",
    "CertificateError": "lossfloor.exceptions",
    "ConflictGraph": "lossfloor.conflicts",
    "Dataset": "lossfloor.datasets",
    "Curve": "lossfloor.curves",
    "DatasetNotFoundError": "lossfloor.exceptions",
    "Floor": "lossfloor.floors",
    "Linf": "lossfloor.adversaries",
    "LossfloorError": "lossfloor.exceptions",
    "Lp": "lossfloor.adversaries",
    "Precomputed": "lossfloor.adversaries",
    "curve": "lossfloor.curves",
    "floor": "lossfloor.floors",
    "load": "lossfloor.datasets",
}

__all__ = [
    "L1",
    "L2",
    "Adversary",
    "CertificateError",
    "ConflictGraph",
    "Curve",
    "Dataset",
    "DatasetNotFoundError",
    "Floor",
    "Linf",
    "LossfloorError",
    "Lp",
    "Precomputed",
    "curve",
    "floor",
    "load",
    "losses",
]


def __getattr__(name: str) -> Any:
    if name == "losses":
        return importlib.import_module("lossfloor.losses")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lossfloor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
