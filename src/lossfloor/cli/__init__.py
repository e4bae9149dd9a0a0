"""The command line: ``lossfloor floor``, ``curve``, ``verify`` and ``info``."""

from __future__ import annotations


def main() -> None:
    """Run the command line on the arguments of this process."""
    try:
        # Not at the top: Ctrl-C while these load is the user's too, and no reason for a traceback.
        from lossfloor.cli.app import app
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    app()
