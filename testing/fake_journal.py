"""The store as lists, for tests of the engine: a journal and its inbox."""

import threading
from collections.abc import Iterator, Sequence

from ..domain.errors import CommandAnswered, IdTaken, NotFound, SlotTaken, StaleVersion
from ..domain.events import (
    AttemptFailed,
    Recorded,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
    TaskStarted,
    TreeAdopted,
    TreeClaimed,
    TreeReleased,
    TreeReopened,
    TreeSettled,
    TreeSubmitted,
)
from ..engine.ports import Answered, Append, Command, OpenTree, Unit

_ENDS = AttemptFailed | TaskCompleted | TaskFailed | TaskCancelled | TaskInterrupted


class FakeJournal:
    """`engine.ports.Journal` in lists. ``fail_next`` is raised by the next append, once.

    ``commits`` holds, for each transaction, the events it stored; ``slots`` the concurrency key of
    each (tree, task) that holds a place; ``outcomes`` the JSON by the id of its command.
    """

    def __init__(self) -> None:
        self.log: list[Recorded] = []
        self.commits: list[list[Recorded]] = []
        self.fail_next: Exception | None = None
        self.slots: dict[tuple[str, str], str] = {}
        self.outcomes: dict[str, bytes] = {}
        self._streams: dict[str, list[Recorded]] = {}
        self._blobs: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def append(self, units: Sequence[Unit]) -> int:
        """See `Journal.append`."""
        with self._lock:
            if self.fail_next is not None:
                error, self.fail_next = self.fail_next, None
                raise error
            appends = [append for unit in units for append in unit]
            self._check(appends)
            answers = self._unanswered(appends)
            self.slots = self._places(appends)
            self.outcomes |= answers
            self.commits.append(
                [recorded for append in appends for recorded in self._store(append)]
            )
            return len(self.log)

    def _check(self, appends: Sequence[Append]) -> None:
        at = {tree: len(stream) for tree, stream in self._streams.items()}
        for append in appends:
            if at.get(append.tree, 0) != append.expected:
                if append.expected == 0:
                    raise IdTaken([append.tree])
                raise StaleVersion(append.tree, append.expected)
            at[append.tree] = append.expected + len(append.events)

    def _unanswered(self, appends: Sequence[Append]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for answer in (answer for append in appends for answer in append.answers):
            if answer.id in found or answer.id in self.outcomes:
                raise CommandAnswered(answer.id)
            found[answer.id] = answer.outcome
        return found

    def _places(self, appends: Sequence[Append]) -> dict[tuple[str, str], str]:
        """Who holds places after these events."""
        held = dict(self.slots)
        for append in appends:
            for event in append.events:
                if isinstance(event, _ENDS):
                    held.pop((append.tree, event.task), None)
                elif isinstance(event, TaskStarted) and (slot := event.slot) is not None:
                    if list(held.values()).count(slot.key) >= slot.limit:
                        raise SlotTaken(append.tree, slot.key)
                    held[append.tree, event.task] = slot.key
        return held

    def _store(self, append: Append) -> Iterator[Recorded]:
        stream = self._streams.setdefault(append.tree, [])
        self._blobs.update(append.blobs or {})
        for event in append.events:
            recorded = Recorded(append.tree, len(stream) + 1, event, len(self.log) + 1)
            stream.append(recorded)
            self.log.append(recorded)
            yield recorded

    def read(self, tree: str, *, after: int = 0, limit: int | None = None) -> Iterator[Recorded]:
        """See `Journal.read`."""
        stream = self._streams.get(tree, [])
        return iter(stream[after:][:limit])

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Iterator[Recorded]:
        """See `Journal.read_all`."""
        return iter(self.log[after:][:limit])

    def read_blob(self, hash: str) -> bytes:
        """See `Journal.read_blob`."""
        if hash not in self._blobs:
            raise NotFound("blob", hash)
        return self._blobs[hash]

    def open_work(self) -> Sequence[OpenTree]:
        """See `Journal.open_work`."""
        found = (self._last_claim(tree, settled=False) for tree in list(self._streams))
        return [tree for tree in found if tree is not None]

    def owner(self, tree: str) -> OpenTree | None:
        """See `Journal.owner`."""
        return self._last_claim(tree, settled=False)

    def claimed(self, engine: str) -> Sequence[str]:
        """The trees, settled ones too, that were last claimed by ``engine``."""
        claims = (self._last_claim(tree, settled=True) for tree in list(self._streams))
        return [claim.id for claim in claims if claim is not None and claim.engine == engine]

    def _last_claim(self, tree: str, *, settled: bool) -> OpenTree | None:
        """None where it was not submitted; where it has settled too, unless ``settled``."""
        phase, engine, epoch, released = "draft", "", 0, True
        for recorded in self._streams.get(tree, ()):
            match recorded.event:
                case TreeSubmitted() | TreeReopened():
                    phase = "open"
                case TreeSettled() | TreeAdopted():
                    phase = "over" if phase == "open" else "draft"
                case TreeClaimed() as claim:
                    engine, epoch, released = claim.engine, claim.epoch, False
                case TreeReleased():
                    released = True
                case _:
                    pass
        if phase == "open" or (settled and phase == "over"):
            return OpenTree(tree, tree, engine, epoch, released)
        return None

    def position(self) -> int:
        """See `Journal.position`."""
        return len(self.log)

    def close(self) -> None:
        """Nothing is held."""


class FakeInbox:
    """`engine.ports.Inbox` of a `FakeJournal`."""

    def __init__(self, journal: FakeJournal) -> None:
        self.commands: dict[str, Command] = {}
        self._journal = journal

    def send(self, command: Command) -> None:
        """See `Inbox.send`. Nobody is woken."""
        self.commands.setdefault(command.id, command)

    def pending(self, engine: str) -> Sequence[Command]:
        """See `Inbox.pending`."""
        mine = set(self._journal.claimed(engine))
        commands = list(self.commands.values())
        return [c for c in commands if c.tree in mine and c.id not in self._journal.outcomes]

    def refuse(self, answer: Answered) -> None:
        """See `Inbox.refuse`."""
        self._journal.outcomes.setdefault(answer.id, answer.outcome)

    def outcome(self, id: str) -> bytes | None:
        """See `Inbox.outcome`."""
        return self._journal.outcomes.get(id)

    def find(self, id: str) -> Command | None:
        """See `Inbox.find`."""
        return self.commands.get(id)
