"""Train on the soft labels of the floor in plain PyTorch.  Before, in a shell:

lossfloor floor digits --classes 3 8 --l2 0.8 --soft-labels soft.npz --min-correct 0.6
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

EPS, STEPS = 0.8, 10
file = np.load("soft.npz")
soft = torch.from_numpy(file["soft_labels"]).float()  # columns in the order of file["classes"]

X, y = load_digits(return_X_y=True)
chosen = np.isin(y, file["classes"])
assert np.array_equal(y[chosen], file["labels"])  # the same examples in the same order
x = torch.from_numpy(X[chosen] / 16).float()
label = torch.from_numpy((y[chosen] == file["classes"][1]).astype(int))

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 2))
optimiser = torch.optim.Adam(model.parameters(), 5e-3)
for epoch in range(300):
    eps = EPS * min(1, epoch / 100)  # warm-up
    z = x.clone()
    for step in range(STEPS):  # the attack goes against the true label, in steps that shrink from 2 eps to 0
        z.requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(model(z), label, reduction="sum"), z)
        z = z.detach() + 2 * eps * (1 - step / STEPS) * torch.nn.functional.normalize(gradient)
        change = z.clamp(0, 1) - x
        z = x + change * (eps / change.norm(dim=1, keepdim=True).clamp_min(1e-9)).clamp(max=1)
    loss = cross_entropy(model(z), soft)  # the only line that soft labels change
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
print(f"robust loss on the soft labels {loss.item():.3f}; robust errors {(model(z).argmax(1) != label).sum().item()}")
