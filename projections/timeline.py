"""The timeline: one row per attempt, from when to when it ran and how it ended.

Groups and tasks that failed before their executor was reached have rows as well: they started and
ended. A task has at most one open attempt, so an end finds its row by the task.
"""

from collections.abc import Sequence

from msgspec import Struct

from ..domain import events as e
from .runner import Projector


class AttemptRow(Struct, gc=False):
    """A row of the table ``attempt``. ``started`` is the version of the event that began it."""

    tree: str
    task: str
    generation: int
    attempt: int
    started_at: str
    started: int
    ended_at: str | None = None
    outcome: str | None = None


class AttemptEnd(Struct, gc=False):
    """The open attempt of a task, begun in an earlier batch, ends."""

    tree: str
    task: str
    ended_at: str
    outcome: str


class TimelineChanges(Struct):
    """Row changes of one batch; ``ended`` comes before ``begun``."""

    ended: list[AttemptEnd] = []
    begun: list[AttemptRow] = []


def changes(batch: Sequence[e.Recorded]) -> TimelineChanges:
    """The row changes of events that follow each other in the log."""
    made = TimelineChanges()
    running: dict[tuple[str, str], AttemptRow] = {}
    for recorded in batch:
        event = recorded.event
        match event:
            case e.TaskStarted():
                row = AttemptRow(
                    recorded.tree, event.task, event.generation, event.attempt,
                    event.at, recorded.version,
                )  # fmt: skip
                made.begun.append(row)
                running[recorded.tree, event.task] = row
            case e.TaskCompleted():
                _end(made, running, recorded.tree, event, "completed")
            case e.TaskFailed():
                _end(made, running, recorded.tree, event, "failed")
            case e.TaskInterrupted():
                _end(made, running, recorded.tree, event, "interrupted")
            case _:
                pass
    return made


def _end(
    made: TimelineChanges,
    running: dict[tuple[str, str], AttemptRow],
    tree: str,
    event: e.TaskCompleted | e.TaskFailed | e.TaskInterrupted,
    outcome: str,
) -> None:
    row = running.pop((tree, event.task), None)
    if row is None:
        made.ended.append(AttemptEnd(tree, event.task, event.at, outcome))
    else:
        row.ended_at, row.outcome = event.at, outcome


TIMELINE = Projector("timeline", 1, changes)
"""The projector of the table ``attempt``."""
