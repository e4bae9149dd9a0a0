"""
Names with typing errors
========================

Is a name that of a module of Python's standard library or that of something built in?  Whoever knows Python knows
that, until names are mistyped: the adversary makes up to k typing errors (a character inserted, left out or replaced).
"""

import builtins
import sys

import lossfloor as lf
from lossfloor.adversaries import EditDistance

modules = sorted(name for name in sys.stdlib_module_names if not name.startswith("_"))
others = sorted(name for name in dir(builtins) if not name.startswith("_"))
X = modules + others
y = ["module"] * len(modules) + ["built in"] * len(others)

for k in range(5):
    floor = lf.floor(X, y, EditDistance(k))
    print(f"{k} errors: {floor.n_edges:5} pairs can be confused, at least {100 * floor.zero_one:.1f} % errors")

# Some names that one typing error each makes equal.
one = EditDistance(1)
floor = lf.floor(X, y, one)
for u, v in floor.certificate.flow_edges[:8]:
    print(f"{X[u]} -> {one.meet([X[u], X[v]])} <- {X[v]}")

# Short names are easier to mistake.  One error for every five characters is a budget of each name's own.
floor = lf.floor(X, y, EditDistance([len(name) // 5 for name in X]))
print(f"One error for every five characters: at least {100 * floor.zero_one:.1f} % errors")
floor.verify()
