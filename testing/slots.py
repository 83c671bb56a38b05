"""Whether the places under concurrency keys were enough for those who held them."""

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from ..domain import events as e
from ..domain.events import Recorded

_ENDS = (e.AttemptFailed, e.TaskCompleted, e.TaskFailed, e.TaskInterrupted, e.TaskCancelled)


class _Crowd(Struct):
    """A start for which no place was left, unless one is freed later in its own transaction.

    A transaction is a run of positions in which each tree stands once: ``trees`` are those since
    the start, ``last`` the one that stands there now.
    """

    key: str
    limit: int
    at: str
    fault: str
    trees: set[str]
    last: str

    def goes_on(self, tree: str) -> bool:
        """Whether the next event, of this tree, may stand in the same transaction."""
        if tree != self.last and tree in self.trees:
            return False
        self.trees.add(tree)
        self.last = tree
        return True


class _Places:
    """Who holds what, over all trees, as the log goes on."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._held: dict[tuple[str, str], str] = {}
        self._holders: dict[str, int] = defaultdict(int)
        self._times: dict[str, str] = {}
        self._crowds: list[_Crowd] = []

    def take(self, record: Recorded) -> None:
        """The next event of the store."""
        event, tree = record.event, record.tree
        if self._crowds:
            self._judge([crowd for crowd in self._crowds if not crowd.goes_on(tree)])
        if isinstance(event, e.TaskStarted) and event.slot is not None:
            self._start(record, event, event.slot.key, event.slot.limit)
        elif isinstance(event, _ENDS):
            key = self._held.pop((tree, event.task), None)
            if key is not None:
                self._holders[key] -= 1
                self._freed(key, event.at, decided_before=self._times.get(tree, ""))
        self._times[tree] = event.at

    def end(self) -> None:
        """The log is over."""
        self._judge(self._crowds)

    def _start(self, record: Recorded, event: e.TaskStarted, key: str, limit: int) -> None:
        self._held[record.tree, event.task] = key
        self._holders[key] += 1
        if self._holders[key] > limit:
            fault = (
                f"{record.tree} v{record.version}: {event.task} is one of {self._holders[key]} "
                f"under {key!r}, which has room for {limit}"
            )
            crowd = _Crowd(key, limit, event.at, fault, {record.tree}, record.tree)
            self._crowds.append(crowd)

    def _freed(self, key: str, at: str, *, decided_before: str) -> None:
        """A place that is free only after the start did not make room for it.

        The time of a tree stands still while its clock is behind, and tells nothing then.
        """
        self._crowds = [
            crowd
            for crowd in self._crowds
            if crowd.key != key
            or self._holders[key] > crowd.limit
            or (at > crowd.at and at != decided_before)
        ]

    def _judge(self, crowds: list[_Crowd]) -> None:
        self.faults.extend(crowd.fault for crowd in crowds)
        self._crowds = [crowd for crowd in self._crowds if crowd not in crowds]


def slot_faults(recorded: Iterable[Recorded]) -> list[str]:
    """Every start that took a place under its key where none was left, over all trees.

    The log of the whole store by position. An attempt holds its place from its start to its end;
    how many there are is what the starting task says. A place may be taken in the transaction that
    frees it, whichever stands first there; as the log does not say where one ends, what may be one
    counts as such. Linear in the log.
    """
    places = _Places()
    for record in recorded:
        places.take(record)
    places.end()
    return places.faults
