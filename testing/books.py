"""What the log of one tree has said about the tree itself, for the rules of the grammar."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import UNSET, Raw, UnsetType

from ..domain import events as e
from .courses import Courses

NULL = Raw(b"null")


class Signals:
    """What was said from outside, and not yet to a task that waits for it."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._kept: dict[str, list[Raw]] = {}

    def received(self, event: e.SignalReceived) -> Iterator[str]:
        """It is kept until a task takes it."""
        if event.id in self._ids:
            yield f"the signal {event.id} is received again"
        self._ids.add(event.id)
        payload = NULL if isinstance(event.payload, UnsetType) else event.payload
        self._kept.setdefault(event.name, []).append(payload)

    def take(self, name: str, completed: e.TaskCompleted) -> bool:
        """Use up a signal of this name that gives this result; False where there is none."""
        kept = self._kept.get(name, [])
        for n, payload in enumerate(kept):
            if completed.blob is not None or _result(completed) == bytes(payload):
                del kept[n]
                return True
        return False


def _result(completed: e.TaskCompleted) -> bytes:
    return b"null" if completed.result is UNSET else bytes(completed.result)


class Books:
    """One tree. ``over`` says what ended it, ``reopened`` holds what a re-run has named so far."""

    def __init__(self) -> None:
        self.courses = Courses()
        self.signals = Signals()
        self.submitted = False
        self.driven = False
        self.engine = ""
        self.epoch = 0
        self.paused = False
        self.cancelling = False
        self.over = ""
        self.reopened: list[str] = []

    def cancel_requested(self, id: str) -> bool:
        """Whether the log says that somebody wants the task, a group above or the tree to end."""
        if self.cancelling or self.courses.by_id[id].cancel_requested:
            return True
        by_id = self.courses.by_id
        return any(by_id[group].cancel_requested for group in self.courses.groups_above(id))


def before(one: str, other: str) -> bool:
    """Whether a time lies before another; False where one of them was left open."""
    if not one or not other:
        return False
    return datetime.fromisoformat(one) < datetime.fromisoformat(other)
