"""
Categories that can be tampered with
====================================

Measurements of breast tumours, each written as "low", "medium" or "high", as such tables often are.  The adversary may
overwrite any k of the thirty entries of a row, with anything.  How many entries must be protected before a classifier
can be trusted at all?
"""

import numpy as np

import lossfloor as lf
from lossfloor.adversaries import Hamming

data = lf.load("breast-cancer")
low, high = np.quantile(data.X, [1 / 3, 2 / 3], axis=0)
X = np.where(low >= data.X, "low", np.where(high >= data.X, "medium", "high"))

for k in range(8):
    floor = lf.floor(X, data.y, Hamming(k))
    print(f"{k} entries of 30: any classifier is wrong on at least {100 * floor.zero_one:.1f} % of the tumours")

# Who meets where: a tumour of each class and a row that both can be turned into.
floor = lf.floor(X, data.y, Hamming(5))
u, v = floor.certificate.flow_edges[0]
row = Hamming(5).meet(X[[u, v]])
print(f"\nExample {u} ({data.class_names[data.y[u]]}) and example {v} ({data.class_names[data.y[v]]}) can both become")
print("the same row, by", (row != X[u]).sum(), "and", (row != X[v]).sum(), "changes.")
floor.verify()
