"""Classifiers that achieve the floor on the training data: scikit-learn estimators for two classes and for many."""

from lossfloor.classifiers.many_class import MulticlassFloorClassifier
from lossfloor.classifiers.two_class import FloorClassifier

__all__ = ["FloorClassifier", "MulticlassFloorClassifier"]
