"""The timeline: one row per attempt, from when to when it ran and how it ended.

Groups, tasks that wait, and tasks that failed before their executor was reached have rows as well:
they started and ended. A task has at most one open attempt, so an end finds its row by the task.
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
    """The open attempt of a task, begun in an earlier batch, ends. Maybe there is none."""

    tree: str
    task: str
    ended_at: str
    outcome: str


class TimelineChanges(Struct):
    """Row changes of one batch; ``ended`` comes before ``begun``. No task ends twice in it."""

    ended: list[AttemptEnd] = []
    begun: list[AttemptRow] = []


_Ending = e.TaskCompleted | e.TaskFailed | e.AttemptFailed | e.TaskCancelled | e.TaskInterrupted
_Attempts = dict[tuple[str, str], AttemptRow | None]
"""By tree and task: the open attempt that the batch began; None where the task has none open."""


def changes(batch: Sequence[e.Recorded]) -> TimelineChanges:
    """The row changes of events that follow each other in the log."""
    made = TimelineChanges()
    attempts: _Attempts = {}
    for recorded in batch:
        event = recorded.event
        match event:
            case e.TaskStarted():
                row = AttemptRow(
                    recorded.tree, event.task, event.generation, event.attempt,
                    event.at, recorded.version,
                )  # fmt: skip
                made.begun.append(row)
                attempts[recorded.tree, event.task] = row
            case e.TaskCompleted():
                _end(made, attempts, recorded.tree, event, "completed")
            case e.TaskFailed() | e.AttemptFailed():
                _end(made, attempts, recorded.tree, event, "failed")
            case e.TaskCancelled():
                _end(made, attempts, recorded.tree, event, "cancelled")
            case e.TaskInterrupted():
                _end(made, attempts, recorded.tree, event, "interrupted")
            case _:
                pass
    return made


def _end(
    made: TimelineChanges, attempts: _Attempts, tree: str, event: _Ending, outcome: str
) -> None:
    key = tree, event.task
    if key not in attempts:
        made.ended.append(AttemptEnd(tree, event.task, event.at, outcome))
    elif (row := attempts[key]) is not None:
        row.ended_at, row.outcome = event.at, outcome
    attempts[key] = None


TIMELINE = Projector("timeline", 2, changes)
"""The projector of the table ``attempt``."""
