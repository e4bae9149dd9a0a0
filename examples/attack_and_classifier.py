"""
The attack that nobody beats, and the classifier that reaches the floor
=======================================================================

Fashion-MNIST, dresses (3) against sneakers (7), every image moved by at most 4.6 in Euclidean distance of pixels in
[0, 1].  The adversary's best strategy makes perturbed images without looking at any model.  Models trained on one draw
of them are tested on the whole distribution, so that their loss there has no sampling error, and on a second draw.

    python examples/attack_and_classifier.py                     # 5000 images of each class: some minutes
    python examples/attack_and_classifier.py --n-per-class 500   # a minute
"""

import argparse
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import lossfloor as lf
from lossfloor.classifiers import FloorClassifier

parser = argparse.ArgumentParser(description="Models and the optimal classifier under the optimal attack.")
parser.add_argument("--n-per-class", type=int, default=5000)
parser.add_argument("--eps", default="4.6")
options = parser.parse_args()


def flat(images):
    return np.asarray(images).reshape(len(images), -1)


def kept(model, X, y):
    """Probability that a model gives to the true class."""
    return model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]


def cross_entropy(model, X, y, weights=None):
    """Mean loss and its standard error; a probability of 0 counts as 1e-6, or the mean would be infinite."""
    losses = -np.log(np.maximum(kept(model, X, y), 1e-6))
    return np.average(losses, weights=weights), losses.std() / np.sqrt(len(y))


data = lf.load("fashion-mnist", classes=(3, 7), n_per_class=options.n_per_class)
unseen = lf.load("fashion-mnist", classes=(3, 7), split="test")
adversary = lf.L2(options.eps, unit=data.unit)
best = FloorClassifier(adversary).fit(flat(data.X), data.y)
floor = best.floor_
attack = floor.attack()
print(floor)
print(attack)
everywhere, train, test = attack.expected(), attack.sample(random_state=0), attack.sample(random_state=1)
print(f"Bayes risk of the perturbed data: {everywhere.bayes_risk():.12f}, floor {floor.cross_entropy:.12f} nats")

models = {
    "logistic regression": make_pipeline(MinMaxScaler(), LogisticRegression(C=0.01, max_iter=300)),
    "50 nearest neighbours": KNeighborsClassifier(50),
    "gradient boosting": HistGradientBoostingClassifier(max_iter=100, learning_rate=0.05, random_state=0),
    "the optimal classifier": best,
}
print("\nCross-entropy in nats       whole distribution    second draw (standard error)")
for name, model in models.items():
    began = time.perf_counter()
    if model is not best:
        model.fit(flat(train), data.y)
    exact, _ = cross_entropy(model, flat(everywhere.points), everywhere.labels, everywhere.weights)
    drawn, error = cross_entropy(model, flat(test), data.y)
    print(f"{name:24} {exact:16.6f} {drawn:22.4f} ({error:.4f})   {time.perf_counter() - began:.0f} s")
    if exact < floor.cross_entropy - 1e-9:
        raise SystemExit(f"{name} is below the floor")

print(f"\nThe optimal classifier on {len(unseen.y)} unseen images (a probability of 0 counts as 1e-6 where it says so)")
print(f"Floor of the Brier loss on the training images: {floor.brier:.4f}")
low, up = best.predict_interval(flat(unseen.X))
bare = (low == 0) & (up == 1)
print(f"Images that no training image covers: {bare.sum()} ({bare.mean():.1%})")
print(
    "choice     errors  of them uncovered  true class at 0  cross-entropy, clipped   Brier  robust Brier    robust c-e"
)
for choice in ("lower", "upper", "middle", "nearest"):
    best.set_params(choice=choice)
    probability = kept(best, flat(unseen.X), unseen.y)
    wrong = best.predict(flat(unseen.X)) != unseen.y
    clipped = -np.log(np.maximum(probability, 1e-6)).mean()
    bounds = best.robust_loss(flat(unseen.X), unseen.y, "brier")
    robust = best.robust_loss(flat(unseen.X), unseen.y)
    print(
        f"{choice:8} {wrong.sum():5} ({wrong.mean():.4f}) {(wrong & bare).sum():9} {(probability == 0).sum():16}"
        f" {clipped:23.4f} {np.mean((1 - probability) ** 2):7.4f}  {bounds[0]:.4f}-{bounds[1]:.4f}"
        f"   {robust[0]:.4f}-{robust[1]:.4f}"
    )
