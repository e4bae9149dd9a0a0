"""
One data set, three adversaries
===============================

How fast the floor rises depends on how the adversary measures a move.
Each curve takes one pass over the pairs.
"""

import numpy as np
from matplotlib.figure import Figure

import lossfloor as lf
from lossfloor.reporting.plots import plot_curve, save_figure

data = lf.load("digits", classes=(3, 8))
figure = Figure(figsize=(9.6, 3.2), layout="constrained")
for ax, family, largest in zip(figure.subplots(1, 3), (lf.L1, lf.L2, lf.Linf), (10, 2, 0.6), strict=True):
    curve = lf.curve(data.X, data.y, family, eps=np.linspace(0, largest, 21), unit=data.unit)
    plot_curve(curve, ax)
    ax.set_title(family.name)
    reached = curve.eps_at(cross_entropy=0.1)
    print(f"{family.name}: separation {curve.separation:.3f}, 0.1 nats at eps {reached}")
save_figure(figure, "norms.png")
