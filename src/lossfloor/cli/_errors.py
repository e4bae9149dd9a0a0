"""Which errors are shown to the user, and the exit status of each."""

from __future__ import annotations

from lossfloor.exceptions import DatasetNotFoundError, LossfloorError

FAILED = 1
USAGE = 2
INTERRUPTED = 130


class UsageError(ValueError):
    """Command-line arguments that are invalid together."""


def exit_status(error: BaseException) -> int | None:
    """Return the exit status for an error, or None if it is not meant for the user."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return None  # whoever read our output has gone, which typer ends quietly
    if isinstance(error, (ValueError, TypeError, DatasetNotFoundError)):
        return USAGE
    if isinstance(error, (LossfloorError, OSError, MemoryError)):
        return FAILED
    return None


def message(error: BaseException) -> str:
    """Word an error for the command line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return f"not enough memory. {error}".strip()
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}"
    return str(error)
