"""
The digits that nobody can get right
====================================

The floor tells, example by example, what the best classifier can keep.  Where that is less than a half, even
a classifier that knows all the answers gives them up, because the adversary can make them look like others.
"""

from matplotlib.figure import Figure

import lossfloor as lf
from lossfloor.reporting.plots import save_figure

data = lf.load("digits", classes=(3, 8))
floor = lf.floor(data.X, data.y, lf.L2(1, unit=data.unit))
print(floor)
print("proved:", floor.verify().zero_one, "of the examples are lost to any classifier")

hardest = floor.correct_probability.argsort(kind="stable")[:12]
figure = Figure(figsize=(6.4, 2.6), layout="constrained")
for ax, i in zip(figure.subplots(2, 6).flat, hardest, strict=True):
    ax.imshow(data.X[i], cmap="gray_r")
    ax.set_title(f"{data.y[i]}: {floor.correct_probability[i]:.2f}", fontsize="small")
    ax.set_axis_off()
save_figure(figure, "hardest_digits.png")
