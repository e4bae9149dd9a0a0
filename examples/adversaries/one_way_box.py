"""
Ink can be added, but not removed
=================================

An adversary with a pen: every pixel of a handwritten digit may become darker by at most eps, and none may become
lighter.  Much the same holds for programs, to which calls can be added, and for transactions, which can be made
larger.  It is a `Box` with nothing to spend downwards, and a weaker adversary than one who may do both.
"""

import numpy as np

import lossfloor as lf
from lossfloor.adversaries import Box

data = lf.load("digits", classes=(3, 8))
print("  eps   pen only   pen and eraser   (smallest share of errors of any classifier)")
for eps in (0.25, 0.5, 0.625, 0.75, 0.875, 1.0):
    pen = lf.floor(data.X, data.y, Box(lower=0, upper=1, eps=eps, unit=data.unit))
    both = lf.floor(data.X, data.y, lf.Linf(eps, unit=data.unit))
    print(f"{eps:5}   {100 * pen.zero_one:6.1f} %   {100 * both.zero_one:12.1f} %")

# With ink only in the left half of the picture.
left = np.zeros(data.X.shape[1:])
left[:, : left.shape[1] // 2] = np.inf
floor = lf.floor(data.X, data.y, Box(lower=0, upper=left.ravel(), unit=data.unit))
print(f"Any amount of ink, in the left half: {100 * floor.zero_one:.1f} %")
floor.verify()
