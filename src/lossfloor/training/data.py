"""Training data: a data set whose examples carry their soft label and index."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lossfloor._checks import as_fraction, must


def as_inputs(X: Any, *, unit: Any = 1) -> Tensor:
    """Turn examples into what a network takes: float32 in [0, 1], images with channels first.

    Parameters
    ----------
    X : array_like, shape (n, d), (n, height, width) or (n, height, width, channels)
        Features, or images as `lossfloor.load` gives them.  A float tensor of four axes is taken to have its channels
        first already.
    unit : number, default 1
        By what to divide: 255 for images of bytes.

    Returns
    -------
    Tensor of float32, shape (n, d) or (n, channels, height, width)

    Raises
    ------
    ValueError
        If `unit` is not positive, or the result is not in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> as_inputs(np.full((2, 28, 28), 255, np.uint8), unit=255).shape
    torch.Size([2, 1, 28, 28])
    """
    scale = float(as_fraction("unit", unit))
    if scale <= 0:
        raise ValueError(must("unit", "positive", unit))
    if isinstance(X, Tensor) and X.is_floating_point() and X.ndim == 4:
        x = X.float() / scale
    else:
        # In double precision first, so that k / 255 is the float32 nearest to it.
        x = torch.from_numpy(np.asarray(X, dtype=np.float64) / scale).float()
        if x.ndim == 3:
            x = x[:, None]
        elif x.ndim == 4:
            x = x.permute(0, 3, 1, 2).contiguous()
        elif x.ndim != 2:
            raise ValueError(must("X", "of 2, 3 or 4 axes", f"shape {tuple(x.shape)}"))
    if len(x) == 0 or not (float(x.min()) >= 0 and float(x.max()) <= 1):
        got = f"values from {float(x.min()):g} to {float(x.max()):g}" if len(x) else "no example"
        raise ValueError(must("X", "in [0, 1] once divided by its unit", got))
    return x


def as_device(name: Any) -> torch.device:
    """Return a device that PyTorch can use here.

    Raises
    ------
    ValueError
        If it cannot.

    Examples
    --------
    >>> as_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (AssertionError, NotImplementedError, RuntimeError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(must("device", "one that PyTorch can use here", name) + f" ({first})") from None
    return device


class SoftLabelDataset(Dataset[tuple[Tensor, Tensor, Tensor, int]]):
    """A map-style data set of ``(x, label, soft label, index)``, for `torch.utils.data.DataLoader` or `fit`.

    Parameters
    ----------
    data : tuple of (X, y), or map-style Dataset of (x, label)
        X a tensor or array, shape (n, ...), in [0, 1]; y integers from 0 on, shape (n,).
    soft_labels : array_like, shape (n, classes), optional
        As `Floor.soft_labels` returns them, columns in the order of the labels; hard labels by default.
    classes : int, default 2
        Number of classes, for hard labels.

    Raises
    ------
    TypeError, ValueError
        If lengths differ, labels are no integers from 0 to ``classes - 1``, or soft labels are no probabilities.

    Examples
    --------
    >>> import torch
    >>> data = SoftLabelDataset((torch.zeros(2, 3), [0, 1]), [[0.75, 0.25], [0.25, 0.75]])
    >>> x, label, soft, index = data[1]
    >>> int(label), soft.tolist(), index
    (1, [0.25, 0.75], 1)
    """

    def __init__(self, data: Any, soft_labels: Any = None, *, classes: int = 2) -> None:
        self._inputs: Tensor | None = None
        self._source: Any = data
        if isinstance(data, tuple):
            X, y = data
            self._inputs = X if isinstance(X, Tensor) else torch.from_numpy(np.asarray(X)).float()
            n = len(self._inputs)
        else:
            n = len(data)
            y = [int(data[i][1]) for i in range(n)]
        labels = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
        if labels.dtype.kind not in "iu" or labels.shape != (n,):
            raise ValueError(
                must("data", f"examples with {n} whole numbers as labels", f"{labels.dtype} of shape {labels.shape}")
            )
        if soft_labels is not None:
            soft = np.array(soft_labels, dtype=np.float64)
            if soft.ndim != 2 or len(soft) != n:
                raise ValueError(must("soft_labels", f"of shape ({n}, classes)", f"shape {soft.shape}"))
            if not (soft.min() >= 0 and np.allclose(soft.sum(axis=1), 1.0, rtol=0, atol=1e-6)):
                raise ValueError(must("soft_labels", "rows of probabilities that sum to one", "something else"))
            classes = soft.shape[1]
        if n and not (labels.min() >= 0 and labels.max() < classes):
            raise ValueError(must("data", f"labels from 0 to {classes - 1}", f"{labels.min()} to {labels.max()}"))
        self.labels = torch.from_numpy(labels.astype(np.int64))
        self.hard = soft_labels is None
        hot = np.eye(classes)[labels] if soft_labels is None else soft
        self.soft_labels = torch.from_numpy(hot.astype(np.float32))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, int]:
        return self._input(index), self.labels[index], self.soft_labels[index], index

    def _input(self, index: int) -> Tensor:
        if self._inputs is not None:
            return self._inputs[index]
        return torch.as_tensor(self._source[index][0], dtype=torch.float32)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs, labels and soft labels of some examples."""
        whole = self._inputs
        x = torch.stack([self._input(i) for i in index.tolist()]) if whole is None else whole[index]
        return x, self.labels[index], self.soft_labels[index]

    def fingerprint(self) -> str:
        """Return a digest of labels and soft labels, and of the inputs where they are in memory."""
        digest = hashlib.sha256()
        for part in (self._inputs, self.labels, self.soft_labels):
            if part is not None:
                digest.update(repr((tuple(part.shape), part.dtype)).encode())
                digest.update(np.ascontiguousarray(part.detach().cpu().numpy()).data)
        return digest.hexdigest()
