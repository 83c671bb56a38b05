"""What befell programs, and what became of the attempts they ran: by positions in the log."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import Recorded
from tests.support.chaos.ledgers import Attempt

FOR_EVER = 1 << 62
ENDS = (
    "task.completed", "task.failed", "attempt.failed", "task.interrupted", "task.cancelled"
)  # fmt: skip
LOST = ("interrupted", "interrupted_too_often")
"""Errors of tasks that fail because an interruption was one too many."""


class Kill(NamedTuple):
    """A kill that hit something in the program ``name``: when (in ns), and where the log stood
    before it, and after all that it had sent was carried out.
    """

    name: str
    before: int
    after: int
    moment: int
    how: str = ""


class Stop(NamedTuple):
    """A time (in ns) for which a program stood still, and where the log stood."""

    name: str
    before: int
    after: int
    since: int
    until: int


class Course(Struct):
    """One called attempt by the log: positions of its start and its end, and how it ended."""

    started: int
    ended: int | None = None
    how: str = ""
    error: str = ""

    @property
    def lost(self) -> bool:
        """Whether it was interrupted."""
        return self.how == "task.interrupted" or self.error in LOST

    @property
    def _end(self) -> int:
        return FOR_EVER if self.ended is None else self.ended

    def is_hit(self, kill: Kill) -> bool:
        """Whether it was running all through the kill."""
        return self.started <= kill.before and kill.after < self._end

    def is_in(self, blow: Kill | Stop) -> bool:
        """Whether it may have been running at some time of it."""
        return self.started <= blow.after and blow.before < self._end


def courses_of(log: Sequence[Recorded]) -> dict[Attempt, Course]:
    """Every attempt whose executor was to be called."""
    found: dict[Attempt, Course] = {}
    running: dict[tuple[str, str], Course] = {}
    for recorded in log:
        event = recorded.event
        if isinstance(event, e.TaskStarted) and event.called:
            attempt = Attempt(recorded.tree, event.task, event.generation, event.attempt)
            course = found[attempt] = Course(recorded.position)
            running[recorded.tree, event.task] = course
        elif event.topic in ENDS:
            ended = running.pop((recorded.tree, getattr(event, "task", "")), None)
            if ended is not None:
                ended.ended, ended.how = recorded.position, event.topic
                ended.error = "" if not isinstance(event, e.TaskFailed) else event.error.type
    return found
