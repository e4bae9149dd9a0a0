"""Soft labels other than those of `Floor.soft_labels`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor._checks import must


def paper_rule(soft_labels: Any, labels: Any, *, raised: float = 0.6) -> npt.NDArray[np.float64]:
    """Clip soft labels by the paper's rule: the true class gets 0.6 where it has at most 0.5, else what it has.

    Unlike ``Floor.soft_labels(min_correct=0.6)``, a label between 0.5 and 0.6 stays as it is.

    Parameters
    ----------
    soft_labels : array_like, shape (n, 2)
        Probabilities, as `Floor.soft_labels` returns them.
    labels : array_like of int, shape (n,)
        Column of the true class of each example.
    raised : float, default 0.6
        In (0.5, 1].

    Returns
    -------
    ndarray of float64, shape (n, 2)

    Raises
    ------
    ValueError
        If the shapes do not fit, or `raised` is not in (0.5, 1].

    References
    ----------
    Bhagoji, Cullina, Sehwag, Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of Test-time Adversaries",
    ICML 2021, Section 4.3.

    Examples
    --------
    >>> paper_rule([[0.2, 0.8], [0.55, 0.45]], [0, 0])
    array([[0.6 , 0.4 ],
           [0.55, 0.45]])
    """
    soft, codes = np.asarray(soft_labels, dtype=np.float64), np.asarray(labels)
    if soft.ndim != 2 or soft.shape[1] != 2 or codes.shape != soft.shape[:1]:
        raise ValueError(must("soft_labels", "of shape (n, 2) with n labels", f"{soft.shape} and {codes.shape}"))
    if not 0.5 < raised <= 1:
        raise ValueError(must("raised", "above 0.5 and at most 1", raised))
    rows = np.arange(len(codes))
    own = soft[rows, codes]
    own = np.where(own <= 0.5, raised, own)
    clipped = np.empty_like(soft)
    clipped[rows, codes] = own
    clipped[rows, 1 - codes] = 1 - own
    return clipped
