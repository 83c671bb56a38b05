"""Whether the places under concurrency keys were enough for those who held them."""

from collections import defaultdict
from collections.abc import Iterable

from ..domain import events as e
from ..domain.events import Recorded

_ENDS = (e.AttemptFailed, e.TaskCompleted, e.TaskFailed, e.TaskInterrupted, e.TaskCancelled)


def slot_faults(recorded: Iterable[Recorded]) -> list[str]:
    """Every start that took a place under its key where none was left, over all trees.

    The log of the whole store by position. An attempt holds its place from its start to its end;
    how many there are is what the starting task says. Linear in the log.
    """
    found: list[str] = []
    held: dict[tuple[str, str], str] = {}
    holders: dict[str, int] = defaultdict(int)
    for record in recorded:
        event = record.event
        if isinstance(event, e.TaskStarted) and event.slot is not None:
            key, limit = event.slot.key, event.slot.limit
            held[record.tree, event.task] = key
            holders[key] += 1
            if holders[key] > limit:
                found.append(
                    f"{record.tree} v{record.version}: {event.task} is one of {holders[key]} "
                    f"under {key!r}, which has room for {limit}"
                )
        elif isinstance(event, _ENDS):
            gone = held.pop((record.tree, event.task), None)
            if gone is not None:
                holders[gone] -= 1
    return found
