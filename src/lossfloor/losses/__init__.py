r"""Losses, and the smallest loss that any classifier can have on a block of the solution.

A *loss* ``l(q)`` is a decreasing function of the probability ``q`` that a classifier keeps on the true class.
The solver of two classes returns blocks.  A block in which the first class weighs ``a`` and the second ``b`` has the
conflict posterior ``pi = a / (a + b)`` and costs, per unit of its weight,

.. math:: H(\pi) = \min_{0 \le t \le 1} \; \pi \, l(t) + (1 - \pi) \, l(1 - t).

The minimum is reached at ``t = g(pi)``: first-class examples of the block keep ``q = t``, second-class examples keep
``q = 1 - t``.  `Loss.bayes_risk` is ``H`` and `Loss.minimizer` is ``g``.

Why the same blocks serve every loss.  Set ``t = q`` on the first class and ``t = 1 - q`` on the second.  Then every
conflict says ``t_u <= t_v``, and the loss is minimised over an order.  For every threshold ``c`` at once, the level set
``{pi > c}`` of the blocks solves the problem in which a first-class example with ``t <= c`` costs ``1 - c`` and a
second-class example with ``t > c`` costs ``c``.

- A *convex* loss is minimised by an isotonic regression, whose level sets are cuts of this kind.
- A *proper* loss, one with ``g(pi) = pi``, is a mixture of these threshold problems (Schervish, 1989), so ``t = pi``
  solves all of its parts.  It need not be convex in ``q``.

Everything the package knows about a loss is written in its class: its values, its Bayes risk for two classes and for
more, its minimum plus a linear term, its name in the core, its label and its unit.  A new loss that is known by name is
one class in `lossfloor.losses.named`.

References
----------
A. N. Bhagoji, D. Cullina, V. Sehwag, P. Mittal, "Lower Bounds on Cross-Entropy Loss in the Presence of
Test-time Adversaries", ICML 2021.

M. J. Schervish, "A General Method for Comparing Probability Assessors", Annals of Statistics 17(4), 1989.
"""

from lossfloor.losses import named
from lossfloor.losses.base import Loss
from lossfloor.losses.convex import Convex
from lossfloor.losses.convex import tilted_minimum as tilted_minimum
from lossfloor.losses.costs import Costs
from lossfloor.losses.lookup import resolve
from lossfloor.losses.named import *  # noqa: F403 (a new loss is exported by its own file)

__all__ = ["Convex", "Costs", "Loss", "resolve"]
__all__ += named.__all__
