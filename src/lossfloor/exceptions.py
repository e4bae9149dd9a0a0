"""The errors that are this project's own.

A wrong argument is a plain ``ValueError`` or ``TypeError`` that names the argument.  The classes here are for
what a caller may want to catch by itself.
"""


class LossfloorError(Exception):
    """Base class of the errors below."""


class CertificateError(LossfloorError):
    """A certificate does not prove the result that it came with."""


class DatasetNotFoundError(LossfloorError, FileNotFoundError):
    """A data set is not on this machine; the message says where it was sought and how to get it."""


class MissingDependencyError(LossfloorError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class WeakAttackWarning(UserWarning):
    """A measured robust loss is below the proved floor: the attack failed, the model did not win."""
