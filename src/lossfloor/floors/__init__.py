"""Floors: the smallest robust loss of any classifier, of two classes or of many, at one budget or over a grid."""

from lossfloor.floors.api import curve, floor, two_class_floor
from lossfloor.floors.loss_bounds import LossBounds
from lossfloor.floors.many_class import MulticlassFloor
from lossfloor.floors.many_class_curve import MulticlassCurve
from lossfloor.floors.pairwise import PairwiseFloors, one_vs_rest_bound, pairwise_floors
from lossfloor.floors.result import UpperBounds
from lossfloor.floors.two_class import Floor
from lossfloor.floors.two_class_curve import Curve

__all__ = [
    "Curve",
    "Floor",
    "LossBounds",
    "MulticlassCurve",
    "MulticlassFloor",
    "PairwiseFloors",
    "UpperBounds",
    "curve",
    "floor",
    "one_vs_rest_bound",
    "pairwise_floors",
    "two_class_floor",
]
