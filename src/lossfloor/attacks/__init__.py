"""The adversary's optimal mixed strategy, of two classes and of many, and the data that it makes."""

from lossfloor.attacks.many_class import MulticlassAttack
from lossfloor.attacks.perturbed import PerturbedData
from lossfloor.attacks.two_class import Attack

__all__ = ["Attack", "MulticlassAttack", "PerturbedData"]
