"""Exceptions and warnings specific to this project.

A wrong argument is a plain ``ValueError`` or ``TypeError`` that names the argument.  The classes here are for
errors that a caller may want to catch separately.
"""


class LossfloorError(Exception):
    """Base class of the errors below."""


class CertificateError(LossfloorError):
    """A certificate does not prove the result it accompanies."""


class DatasetNotFoundError(LossfloorError, FileNotFoundError):
    """A data set is not on this machine; the message says where it was searched for and how to get it."""


class MissingDependencyError(LossfloorError, ImportError):
    """An optional package is not installed; the message names the extra that installs it."""


class WeakAttackWarning(UserWarning):
    """A measured robust loss is below the proved floor: the attack failed, the model did not win."""
