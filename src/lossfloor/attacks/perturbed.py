"""Perturbed data: a weighted data set that an adversary can bring about, and the smallest loss that it leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from lossfloor import losses

Positions = npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True)
class PerturbedData:
    """A weighted data set: the whole distribution of the perturbed data, a row for each example and place it goes to.

    Attributes
    ----------
    points : ndarray, shape (m, ...)
        The perturbed examples; those that meet have the same point.
    labels : ndarray, shape (m,)
        The labels, which perturbing does not change.
    weights : ndarray of float64, shape (m,)
        Positive, with sum one: weight of the example times the probability that it goes there.
    index : ndarray of intp, shape (m,), ascending
        Which example was perturbed.
    partner : ndarray of intp, shape (m,)
        The example of the other class that can be moved there too, or for more classes the number of the common point;
        -1 where the example stays.
    """

    points: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    weights: npt.NDArray[np.float64]
    index: Positions
    partner: Positions

    def __len__(self) -> int:
        return len(self.labels)

    def bayes_risk(self, loss: Any = "cross-entropy") -> float:
        """Return the smallest expected loss of any function on this data, from the points and labels alone.

        Equal points are put together, and the best answer on each is found from the weights of the classes there.
        For two classes it is the floor; it is computed from what the data set holds, without the solution.

        Parameters
        ----------
        loss : Loss, str or callable, default "cross-entropy"
            As for `Floor.loss`; for more than two classes a loss with a `Loss.risk_of_many`, such as cross-entropy, 0-1
            or Brier loss.

        Returns
        -------
        float
            Weighted mean over the examples.

        Raises
        ------
        ValueError
            If there are more than two classes and the Bayes risk of the loss is known for two only.

        Examples
        --------
        >>> import lossfloor as lf
        >>> floor = lf.floor([[0.0], [1.0], [5.0]], ["a", "b", "b"], lf.L1(0.5))
        >>> floor.attack().expected().bayes_risk("brier"), floor.brier
        (0.16666666666666666, 0.16666666666666666)
        """
        numbers: dict[Hashable, int] = {}
        place = np.array([numbers.setdefault(_key(point), len(numbers)) for point in self.points], dtype=np.intp)
        classes, codes = np.unique(self.labels, return_inverse=True)
        weights: npt.NDArray[np.float64] = np.stack(
            [np.bincount(place, self.weights * (codes == c), len(numbers)) for c in range(len(classes))]
        ).astype(np.float64)
        return float(losses.resolve(loss).risk_of_many(weights).sum())


def _key(point: Any) -> Hashable:
    """Return something equal for equal points."""
    if not isinstance(point, np.ndarray):
        key: Hashable = point
        return key
    return (point + 0).tobytes() if point.dtype.kind == "f" else _hashable(point)  # -0.0 + 0 is 0.0


def _hashable(point: npt.NDArray[Any]) -> Hashable:
    return tuple(point.ravel().tolist()) if point.dtype == object else point.tobytes()


def gathered(points: list[Any], data: Any) -> npt.NDArray[Any]:
    """Put points together: a matrix of numbers where the data is one, else an array of objects."""
    shape = data.shape[1:] if isinstance(data, np.ndarray) and data.ndim > 1 else None
    if shape is not None and all(isinstance(point, np.ndarray) and point.shape == shape for point in points):
        return np.stack(points)
    objects = np.empty(len(points), dtype=object)
    for i, point in enumerate(points):
        objects[i] = point
    return objects
