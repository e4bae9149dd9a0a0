"""Images that are rotated and shifted."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lossfloor._checks import as_fraction, as_points, must
from lossfloor.adversaries.base import Adversary, Index, check_count
from lossfloor.adversaries.finite_sets import from_lists, shared_outcomes
from lossfloor.adversaries.geometry import few_changes
from lossfloor.graphs.rows import ConflictRows
from lossfloor.reporting.numbers import show_number


class Geometric(Adversary):
    """Rotates an image by one of several angles, then shifts it by whole pixels.

    Parameters
    ----------
    rotations : sequence of number, default (0,)
        Angles in degrees, counter-clockwise.
    shifts : int or array_like of shape (n,), default 0
        Largest shift in pixels, up, down, left and right, common or one per example.
    shape : tuple of int, optional
        Height and width of an image, with the number of channels behind them if there are several; required if
        examples are given as flat rows.
    decimals : int, default 6
        For float images: number of decimals to which outcomes are rounded before they are compared.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.

    Notes
    -----
    Rotation interpolates linearly between the four nearest pixels, in double precision, around the centre of
    the image; what comes in from outside is zero.  Outcomes are then rounded: to whole numbers for images of
    integers, halves to the even number, else to `decimals` decimals.  The neighbourhood is the finite set of
    these rounded images, and two examples conflict exactly when their sets share one (all pixels equal; sets
    are matched by SHA-256).

    An outcome is an image of the dtype of the data.  The image itself is an outcome if 0 is among the
    rotations (floats: rounded to `decimals`).

    Examples
    --------
    >>> import numpy as np
    >>> adversary = Geometric(shifts=1)
    >>> adversary
    Geometric(rotations=[0], shifts=1)
    >>> image = np.array([[[0, 1], [0, 2]]], dtype=np.uint8)
    >>> adversary.contains(image, [[[1, 0], [2, 0]]])
    array([ True])
    """

    name: ClassVar[str] = "geometric"
    budgets: ClassVar[tuple[str, ...]] = ("shifts",)

    def __init__(self, rotations: Any = (0,), shifts: Any = 0, *, shape: Any = None, decimals: int = 6) -> None:
        several = isinstance(rotations, Iterable) and not isinstance(rotations, (str, Mapping))
        angles = list(rotations) if several else [rotations]
        self.rotations = tuple(dict.fromkeys(as_fraction("rotations", angle) for angle in angles))
        if not self.rotations:
            raise ValueError(must("rotations", "at least one angle", "none"))
        self.shifts = few_changes.as_counts("shifts", shifts)
        self.shape = None if shape is None else _as_shape(shape)
        if as_fraction("decimals", decimals) not in range(16):
            raise ValueError(must("decimals", "a whole number from 0 to 15", decimals))
        self.decimals = int(decimals)
        self._limits: tuple[float, float] | None = None

    def within(self, low: float, high: float) -> Geometric:
        """Return the same adversary without the outcomes that have a pixel outside ``low <= z <= high``."""
        limited = Geometric(self.rotations, self.shifts, shape=self.shape, decimals=self.decimals)
        limited._limits = low, high
        return limited

    def __repr__(self) -> str:
        angles = ", ".join(show_number(angle) for angle in self.rotations)
        return f"Geometric(rotations=[{angles}], shifts={few_changes.show_counts(self.shifts)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometric) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash((self.name, self.rotations, self.shifts, self.shape, self.decimals))

    def config(self) -> dict[str, Any]:
        """Return the name and the arguments."""
        return {
            "name": self.name,
            "rotations": [str(angle) for angle in self.rotations],
            "shifts": few_changes.config_counts(self.shifts),
            "shape": None if self.shape is None else list(self.shape),
            "decimals": self.decimals,
        }

    def as_data(self, X: Any, n: int) -> npt.NDArray[Any]:
        """Check that X holds `n` images.

        Parameters
        ----------
        X : array_like, shape (n, height, width) or (n, height, width, channels), or (n, d) if `shape` is
        given n : int

        Returns
        -------
        ndarray, shape (n, height, width) or (n, height, width, channels)
        """
        images = self._as_images("X", X)
        if len(images) != n:
            raise ValueError(must("X", f"of {n} examples, one per label", f"{len(images)} examples"))
        check_count("shifts", self.shifts, n)
        shifts = few_changes.pick_counts(self.shifts, None, n)
        for i, (image, shift) in enumerate(zip(images, shifts, strict=True)):
            if next(self.outcomes(image, shift), None) is None:
                raise ValueError(must("X", "images with an outcome inside the limits", f"none for example {i}"))
        return images

    def _as_images(self, name: str, X: Any) -> npt.NDArray[Any]:
        given = np.asarray(X)
        flat = as_points(name, given)
        shape = given.shape[1:] if self.shape is None else self.shape
        if len(shape) not in (2, 3):
            raise ValueError(
                must(
                    name,
                    "images of shape (height, width), or flat with 'shape' given",
                    f"shape {given.shape}",
                )
            )
        if flat.shape[1] != int(np.prod(shape)):
            raise ValueError(must(name, f"images of shape {shape}", f"shape {given.shape}"))
        return flat.reshape(len(flat), *shape)

    def outcomes(self, image: npt.NDArray[Any], shift: int) -> Iterator[npt.NDArray[Any]]:
        """Yield the images that an image may become, some of them possibly several times.

        Parameters
        ----------
        image : ndarray, shape (height, width) or (height, width, channels)
        shift : int
            Largest shift in pixels.
        """
        for angle in self.rotations:
            turned = self._rounded(_turned(image, float(angle)), image.dtype)
            # Beyond the size of the image every shift leaves the same, nothing.
            ways = (range(-min(shift, side), min(shift, side) + 1) for side in image.shape[:2])
            for down, right in itertools.product(*ways):
                outcome = _shifted(turned, down, right)
                if self._limits is None or (outcome.min() >= self._limits[0] and outcome.max() <= self._limits[1]):
                    yield outcome

    def _rounded(self, image: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            whole: npt.NDArray[Any] = np.clip(np.rint(image), info.min, info.max).astype(dtype)
            return whole
        rounded: npt.NDArray[Any] = np.round(image, self.decimals).astype(dtype)
        rounded[rounded == 0] = 0  # a negative zero equals a positive one, but not in its bytes
        return rounded

    def contains(self, X: Any, Z: Any, *, index: Index | None = None) -> npt.NDArray[np.bool_]:
        """Return for each i whether ``Z[i]`` is one of the outcomes of ``X[i]``.

        Parameters
        ----------
        X, Z : array_like of images
        index : ndarray of intp, shape (n,), optional
            Positions of the rows of X in the data set; required if each example has its own shift.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        images, others = self._as_images("X", X), self._as_images("Z", Z)
        if images.shape != others.shape:
            raise ValueError(must("Z", f"of shape {images.shape}, like X", f"shape {others.shape}"))
        shifts = few_changes.pick_counts(self.shifts, index, len(images))
        return np.array(
            [
                any(np.array_equal(outcome, z) for outcome in self.outcomes(x, shift))
                for x, z, shift in zip(images, others, shifts, strict=True)
            ],
            dtype=np.bool_,
        )

    def conflict(self, a: npt.NDArray[Any], b: npt.NDArray[Any], *, index: Index | None = None) -> bool:
        """Return whether two images share an outcome, pixel by pixel."""
        return self.meet(np.stack([a, b]), index=index) is not None

    def meet(self, points: Any, *, index: Index | None = None) -> npt.NDArray[Any] | None:
        """Return an image that all the examples given may become, of their dtype, or None.

        Parameters
        ----------
        points : array_like of k images
        index : ndarray of intp, shape (k,), optional

        Returns
        -------
        ndarray, shape (height, width) or (height, width, channels), or None
        """
        images = self._as_images("points", points)
        shifts = few_changes.pick_counts(self.shifts, index, len(images))
        sets = [
            {outcome.tobytes() for outcome in self.outcomes(x, shift)}
            for x, shift in zip(images[1:], shifts[1:], strict=True)
        ]
        for outcome in self.outcomes(images[0], shifts[0]):
            if all(outcome.tobytes() in others for others in sets):
                return outcome
        return None

    def conflicts(
        self,
        XA: npt.NDArray[Any],
        XB: npt.NDArray[Any],
        *,
        index_a: Index | None = None,
        index_b: Index | None = None,
    ) -> Iterator[ConflictRows]:
        """Yield the pairs that share an outcome."""
        numbers: dict[bytes, int] = {}
        sides = []
        for images, index in ((XA, index_a), (XB, index_b)):
            shifts = few_changes.pick_counts(self.shifts, index, len(images))
            rows = []
            for image, shift in zip(images, shifts, strict=True):
                digests = dict.fromkeys(hashlib.sha256(o.tobytes()).digest() for o in self.outcomes(image, shift))
                rows.append([numbers.setdefault(digest, len(numbers)) for digest in digests])
            sides.append(rows)
        yield from shared_outcomes(*(from_lists(rows, len(numbers)) for rows in sides))


def _as_shape(shape: Any) -> tuple[int, ...]:
    sides = tuple(shape) if isinstance(shape, (Sequence, np.ndarray)) and not isinstance(shape, str) else ()
    whole = all(isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in sides)
    if len(sides) not in (2, 3) or not whole or min(sides) < 1:
        raise ValueError(must("shape", "height and width, and channels if there are several", shape))
    return tuple(int(side) for side in sides)


def _turned(image: npt.NDArray[Any], degrees: float) -> npt.NDArray[np.float64]:
    from scipy import ndimage

    pixels = image.astype(np.float64)
    if degrees % 360 == 0:
        return pixels
    turned: npt.NDArray[np.float64] = ndimage.rotate(
        pixels, degrees, axes=(1, 0), reshape=False, order=1, mode="grid-constant", cval=0.0
    )
    return turned


def _shifted(image: npt.NDArray[Any], down: int, right: int) -> npt.NDArray[Any]:
    """Move an image by whole pixels; what comes in is zero."""
    height, width = image.shape[:2]
    moved = np.zeros_like(image)
    if abs(down) >= height or abs(right) >= width:
        return moved
    rows = slice(max(down, 0), height + min(down, 0))
    columns = slice(max(right, 0), width + min(right, 0))
    old_rows = slice(max(-down, 0), height + min(-down, 0))
    old_columns = slice(max(-right, 0), width + min(-right, 0))
    moved[rows, columns] = image[old_rows, old_columns]
    return moved
