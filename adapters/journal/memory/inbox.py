"""The inbox of a store in memory: for simulations, where several engines share one process."""

import time
from collections.abc import Callable, Sequence

from ....engine.ports import Answered, Command
from .recorder import MemoryRecorder

KEPT = 86_400.0
"""Seconds for which an outcome is kept after it was first seen."""


class MemoryInbox:
    """See `engine.ports.Inbox`. ``now`` gives seconds that only rise."""

    def __init__(
        self, recorder: MemoryRecorder, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._recorder = recorder
        self._now = now
        self._answered: dict[str, float] = {}

    def send(self, command: Command) -> None:
        """See `Inbox.send`."""
        with self._recorder.lock:
            self._recorder.check_open()
            self._sweep(command.id)
            self._recorder.tables.inbox.setdefault(command.id, [command, None])

    def _sweep(self, but: str) -> None:
        inbox, now = self._recorder.tables.inbox, self._now()
        for id in [id for id, (_, outcome) in inbox.items() if outcome is not None and id != but]:
            if self._answered.setdefault(id, now) < now - KEPT:
                del inbox[id], self._answered[id]

    def pending(self, engine: str) -> Sequence[Command]:
        """See `Inbox.pending`."""
        with self._recorder.lock:
            self._recorder.check_open()
            tables = self._recorder.tables
            found = [
                command
                for command, outcome in tables.inbox.values()
                if outcome is None
                and command.tree in tables.trees
                and tables.trees[command.tree].engine == engine
            ]
            return sorted(found, key=lambda command: command.at)

    def refuse(self, answer: Answered) -> None:
        """See `Inbox.refuse`."""
        with self._recorder.lock:
            self._recorder.check_open()
            letter = self._recorder.tables.inbox.get(answer.id)
            if letter is not None and letter[1] is None:
                letter[1] = answer.outcome

    def outcome(self, id: str) -> bytes | None:
        """See `Inbox.outcome`."""
        with self._recorder.lock:
            self._recorder.check_open()
            letter = self._recorder.tables.inbox.get(id)
            return None if letter is None else letter[1]

    def find(self, id: str) -> Command | None:
        """See `Inbox.find`."""
        with self._recorder.lock:
            self._recorder.check_open()
            letter = self._recorder.tables.inbox.get(id)
            return None if letter is None else letter[0]
