"""What a command comes to: one pure function each, from the state to the facts it makes.

None of them reads a clock, a registry or randomness: times, ids and what is registered are
arguments, and what was decided is in the event. A refused command raises and makes no fact.
"""

from .attempts import complete, fail, may_start, progress, save, start, stopped, take_over
from .drafts import add, adopted, change, create, remove
from .follow import follow, group_started, groups_to_start
from .owners import claim, lost, release
from .rerun import Plan, plan, rerun
from .stamp import Stamp
from .steering import cancel_task, cancel_tree, pause, unpause
from .submission import graph_faults, submit, unregistered
from .waits import (
    overdue,
    require_signal,
    signal,
    signal_inputs,
    time_is_up,
    wait,
    wait_for_signal,
)
from .why import why

__all__ = [
    "Plan",
    "Stamp",
    "add",
    "adopted",
    "cancel_task",
    "cancel_tree",
    "change",
    "claim",
    "complete",
    "create",
    "fail",
    "follow",
    "graph_faults",
    "group_started",
    "groups_to_start",
    "lost",
    "may_start",
    "overdue",
    "pause",
    "plan",
    "progress",
    "release",
    "remove",
    "require_signal",
    "rerun",
    "save",
    "signal",
    "signal_inputs",
    "start",
    "stopped",
    "submit",
    "take_over",
    "time_is_up",
    "unpause",
    "unregistered",
    "wait",
    "wait_for_signal",
    "why",
]
