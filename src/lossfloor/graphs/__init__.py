"""How conflicts are stored: rows of them, and the graphs of two classes and of many."""

from lossfloor.graphs.assembly import assemble
from lossfloor.graphs.bipartite import ConflictGraph
from lossfloor.graphs.multipartite import ClassGraph
from lossfloor.graphs.rows import BitRows, ConflictRows, ListRows, decided, lists_of

__all__ = ["BitRows", "ClassGraph", "ConflictGraph", "ConflictRows", "ListRows", "assemble", "decided", "lists_of"]
