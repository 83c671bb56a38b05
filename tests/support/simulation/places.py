"""Whether a concurrency key was ever held by more than its limit, by the log."""

from collections import defaultdict
from collections.abc import Iterator

from aipartnerupflow.domain import events as e
from tests.support.simulation.ledger import Entry
from tests.support.simulation.world import World

Holders = dict[str, dict[tuple[str, str], int]]
"""By key: the tasks that hold a place, and the limit that each names."""


def crowded(world: World) -> Iterator[str]:
    """Each commit after which too many held a place."""
    holders: Holders = defaultdict(dict)
    commits: dict[int, list[Entry]] = defaultdict(list)
    for entry in world.ledger.entries():
        commits[entry.commit].append(entry)
    for number in sorted(commits):
        for entry in commits[number]:
            _move(holders, entry)
        for key, held in holders.items():
            if held and len(held) > min(held.values()):
                yield f"{len(held)} hold {key!r}, which {min(held.values())} may: {sorted(held)}"


def _move(holders: Holders, entry: Entry) -> None:
    event, tree = entry.event, entry.recorded.tree
    match event:
        case e.TaskStarted(slot=slot) if slot is not None:
            holders[slot.key][tree, event.task] = slot.limit
        case (
            e.TaskCompleted()
            | e.AttemptFailed()
            | e.TaskFailed()
            | e.TaskCancelled()
            | e.TaskInterrupted()
        ):
            for held in holders.values():
                held.pop((tree, event.task), None)
        case _:
            pass
