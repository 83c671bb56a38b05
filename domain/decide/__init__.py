"""What a command comes to: one pure function each, from the state to the facts it makes.

None of them reads a clock, a registry or randomness: times, ids and what is registered are
arguments, and what was decided is in the event. A refused command raises and makes no fact.
"""

from .attempts import complete, fail, progress, save, start
from .drafts import add, adopted, change, create, remove
from .follow import follow, why_waiting
from .stamp import Stamp
from .submission import claim, graph_faults, interrupt, release, submit, unregistered

__all__ = [
    "Stamp",
    "add",
    "adopted",
    "change",
    "claim",
    "complete",
    "create",
    "fail",
    "follow",
    "graph_faults",
    "interrupt",
    "progress",
    "release",
    "remove",
    "save",
    "start",
    "submit",
    "unregistered",
    "why_waiting",
]
