"""Types that many modules share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

#: Called during the work: name of the stage, amount done, total amount.
Progress = Callable[[str, int, int], None]

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
#: Numbers of examples, as the core takes them.
Vertices = npt.NDArray[np.int32]
#: Positions in an array.
Positions = npt.NDArray[np.intp]
