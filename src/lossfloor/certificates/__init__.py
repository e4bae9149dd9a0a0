"""The independent checker of proofs: imports neither the solvers nor the kernels that it checks."""

from lossfloor.certificates.conflicts import decides
from lossfloor.certificates.files import Proof, StoredBounds, StoredFloor, needs_tests, read
from lossfloor.certificates.many_class import (
    MULTICLASS_LOSSES,
    MulticlassCertificate,
    MulticlassVerification,
    check_multiclass,
)
from lossfloor.certificates.two_class import Certificate, Verification, check, check_shapes

__all__ = [
    "MULTICLASS_LOSSES",
    "Certificate",
    "MulticlassCertificate",
    "MulticlassVerification",
    "Proof",
    "StoredBounds",
    "StoredFloor",
    "Verification",
    "check",
    "check_multiclass",
    "check_shapes",
    "decides",
    "needs_tests",
    "read",
]
