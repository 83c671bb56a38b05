"""What the grammar asks of groups: they begin with their children and end as these did."""

from collections.abc import Iterator

from ..domain import events as e
from .books import Books
from .courses import Course
from .grammar_attempts import cancelled, during

GroupEnd = e.TaskCompleted | e.TaskFailed | e.TaskCancelled
ENDS = {e.TaskCompleted: "completed", e.TaskFailed: "failed", e.TaskCancelled: "cancelled"}
"""The status that each end gives."""


def group_started(books: Books, event: e.TaskStarted) -> Iterator[str]:
    """With its first child, or when none of them can ever start."""
    courses = books.courses
    children = [courses.by_id[id] for id in courses.children_of(event.task)]
    if event.called:
        yield f"an executor is called for the group {event.task}"
    if not any(child.attempt for child in children) and not courses.all_ended(event.task):
        yield f"the group {event.task} starts before its first child"


def group_ended(books: Books, event: GroupEnd, course: Course) -> Iterator[str]:
    """As its children did; before it has begun it can be cancelled like any other task."""
    if isinstance(event, e.TaskCancelled):
        if course.pending:
            yield from cancelled(books, event, course)
            return
        if event.attempt != course.attempt or not event.stopped:
            yield f"task.cancelled of the group {event.task} is about something that ran"
    else:
        yield from during(event, course, called=False)
    if not books.courses.all_ended(event.task):
        yield f"the group {event.task} ends before its children"
    elif books.courses.verdict(event.task) != ENDS[type(event)]:
        yield f"{event.topic} of the group {event.task}, whose children say otherwise"
