"""Robust training in PyTorch: attacks, losses on hard and soft labels, a loop that survives kill -9.

Models take inputs in [0, 1] and return logits; eps is in the same units.  Needs the extra ``torch``.

>>> import torch
>>> from lossfloor.training import MLP, RobustLoss, Threat
>>> model = MLP((4,), hidden=(8,))
>>> loss = RobustLoss(Threat("l2", 0.1), steps=2)
>>> loss(model, torch.rand(3, 4), torch.tensor([0, 1, 1])).shape
torch.Size([])
"""

from __future__ import annotations

from lossfloor.exceptions import MissingDependencyError

try:
    import torch as _torch  # noqa: F401
except ImportError:
    raise MissingDependencyError("lossfloor.training needs PyTorch: pip install 'lossfloor[torch]'") from None

from lossfloor.training.architectures import ARCHITECTURES, MLP, ResNet18, StridedCNN, WideResNet, build
from lossfloor.training.attacks import Threat, WorstCase, losses_at, perturb, worst_case
from lossfloor.training.checkpoints import load_model
from lossfloor.training.data import SoftLabelDataset, as_device, as_inputs
from lossfloor.training.loop import History, Settings, fit
from lossfloor.training.losses import RobustLoss, adversarial_training, soft_cross_entropy, trades
from lossfloor.training.targets import paper_rule

__all__ = [
    "ARCHITECTURES",
    "MLP",
    "History",
    "ResNet18",
    "RobustLoss",
    "Settings",
    "SoftLabelDataset",
    "StridedCNN",
    "Threat",
    "WideResNet",
    "WorstCase",
    "adversarial_training",
    "as_device",
    "as_inputs",
    "build",
    "fit",
    "load_model",
    "losses_at",
    "paper_rule",
    "perturb",
    "soft_cross_entropy",
    "trades",
    "worst_case",
]
