"""``python -m lossfloor.cli``: the command line without the installed script."""

from lossfloor.cli import main

main()
