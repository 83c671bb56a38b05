"""Who holds a place under a concurrency key: from the events of one append to the row changes.

An attempt that started with a slot holds it until it ends, however it ends.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from ..domain import events as e


class Slot(Struct, frozen=True, gc=False):
    """A place that a task takes, if fewer than ``limit`` others hold one under ``key``.

    Without a limit in any case: what stands in the log was granted when it was written.
    """

    key: str
    limit: int | None


def slots(
    events: Sequence[e.AnyEvent], index: Mapping[str, int]
) -> tuple[dict[int, None], dict[int, Slot]]:
    """The numbers of tasks that let go of what they may hold, and the slots that are taken then."""
    freed: dict[int, None] = {}
    taken: dict[int, Slot] = {}
    for event in events:
        match event:
            case e.TaskStarted(task=task, slot=slot) if slot is not None:
                taken[index[task]] = Slot(slot.key, slot.limit)
            case (
                e.AttemptFailed(task=task)
                | e.TaskCompleted(task=task)
                | e.TaskFailed(task=task)
                | e.TaskCancelled(task=task)
                | e.TaskInterrupted(task=task)
            ):
                n = index[task]
                if taken.pop(n, None) is None:
                    freed[n] = None
            case _:
                pass
    return freed, taken
