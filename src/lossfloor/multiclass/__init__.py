"""More than two classes: lower and upper bounds of the smallest robust loss that meet."""

from lossfloor.multiclass.attack import MulticlassAttack
from lossfloor.multiclass.curve import MulticlassCurve, described, multiclass_curve
from lossfloor.multiclass.floor import FORMAT, LossBounds, MulticlassFloor, UpperBounds, multiclass_floor

__all__ = [
    "FORMAT",
    "LossBounds",
    "MulticlassAttack",
    "MulticlassCurve",
    "MulticlassFloor",
    "UpperBounds",
    "described",
    "multiclass_curve",
    "multiclass_floor",
]
