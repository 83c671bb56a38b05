"""What the grammar asks of each attempt: how it begins, what it may report, how it ends."""

from collections.abc import Iterator

from msgspec import json

from ..domain import events as e
from ..domain.specs import ErrorInfo, Policy
from .books import Books, before
from .courses import Course

MAX_REFUSED = 10
"""So many refused reports of one task may stand in a log, for each generation."""
MAX_ATTEMPTS = 3
"""So often a task is tried whose policy does not say it."""
TRANSIENT = "TransientError"
"""Among an error's names: without a policy only such errors are followed by another attempt."""
FINAL = ("deadline_exceeded", "interrupted", "interrupted_too_often", "signal_timeout")
"""Errors of the engine that end a task."""

_Reported = (
    e.TaskProgressed | e.TaskSaved | e.TaskCompleted | e.TaskFailed | e.AttemptFailed
    | e.TaskInterrupted | e.AttemptTakenOver
)  # fmt: skip


def started(books: Books, event: e.TaskStarted, course: Course) -> Iterator[str]:
    """The tree lets it start, its dependencies do, and it is the next attempt."""
    id = event.task
    if course.running:
        yield f"{id} starts while it runs"
    if (event.generation, event.attempt) != (course.generation, course.attempt + 1):
        yield (
            f"{id} starts attempt {event.attempt} of generation {event.generation} "
            f"after attempt {course.attempt} of generation {course.generation}"
        )
    if missing := books.courses.missing(id):
        yield f"{id} starts before its dependency {missing} allows it"
    yield from _allowed(books, event, course)
    due = course.spec.policy.concurrency if event.called else None
    if event.slot != due:
        yield f"{id} starts with the slot {event.slot}, where {due} is due"
    early = before(event.at, course.retry_at)
    if early and event.called:
        yield f"{id} starts before {course.retry_at}, when its next attempt is due"
    books.courses.begin(event)
    course.early = early


def _allowed(books: Books, event: e.TaskStarted, course: Course) -> Iterator[str]:
    """What the tree says, whatever its tasks do.

    Groups begin with what happens to their children, though nobody drives the tree; in a cancelled
    one those that can end.
    """
    id = event.task
    if not books.driven and not course.group:
        yield f"{id} starts while no engine drives the tree"
    if books.paused and event.called:
        yield f"{id} starts while the tree is paused"
    if books.cancel_requested(id) and not course.group:
        yield f"{id} starts after a cancel was requested"
    parent = books.courses.by_id.get(course.spec.parent or "")
    if parent is not None and parent.group and parent.end:
        yield f"{id} starts in the group {parent.spec.id}, which has ended"


def waiting(books: Books, event: e.TaskWaiting, course: Course) -> Iterator[str]:
    """Right after a start for which nothing was called."""
    id = event.task
    if not course.running or event.attempt != course.attempt:
        yield f"task.waiting of {id}, whose attempt {event.attempt} is not running"
    elif course.called or course.group or course.waits is not None:
        yield f"task.waiting of {id}, which has begun something else"
    if event.until is None and event.signal is None:
        yield f"{id} waits for nothing"
    if books.paused:
        yield f"{id} begins to wait while the tree is paused"
    if course.early:
        yield f"{id} begins to wait before {course.retry_at}, when its next attempt is due"
    course.waits = event


def reported(event: e.TaskProgressed | e.TaskSaved, course: Course) -> Iterator[str]:
    """Progress and checkpoints come from a running executor."""
    yield from during(event, course, called=True)


def taken_over(books: Books, event: e.AttemptTakenOver, course: Course) -> Iterator[str]:
    """Found again by the engine that claimed the tree while it ran."""
    yield from during(event, course, called=True)
    if course.running and not course.lost:
        yield f"attempt.taken_over of {event.task}, whose engine has not changed"
    if (event.engine, event.epoch) != (books.engine, books.epoch):
        yield f"{event.task} is taken over by {event.engine}, epoch {event.epoch}, not by the owner"
    course.lost = False


def interrupted(books: Books, event: e.TaskInterrupted, course: Course) -> Iterator[str]:
    """It is tried again, as often as its policy says."""
    yield from during(event, course, called=True)
    policy = course.spec.policy
    course.interruptions += 1
    if policy.on_interrupt == "fail":
        yield f"{event.task} is interrupted, where its policy says that it fails"
    if course.interruptions > policy.max_interruptions:
        yield f"{event.task} is interrupted {course.interruptions} times and goes on"
    if books.cancel_requested(event.task):
        yield f"{event.task} is interrupted after a cancel was requested, and goes on"
    books.courses.stop(event.task)


def attempt_failed(books: Books, event: e.AttemptFailed, course: Course) -> Iterator[str]:
    """Another attempt follows: the policy allows it, and nobody wants the task to end."""
    id, policy = event.task, course.spec.policy
    yield from during(event, course, called=True)
    course.failures += 1
    most = MAX_ATTEMPTS if policy.retry is None else policy.retry.max_attempts
    if course.failures >= most:
        yield f"{id} goes on after {course.failures} failed attempts of {most}"
    if event.error.type in FINAL or not _is_repeated(event.error, policy):
        yield f"{id} goes on after {event.error.type}, which is not to be repeated"
    if books.cancel_requested(id):
        yield f"{id} goes on after a cancel was requested"
    if before(event.retry_at, event.at):
        yield f"{id} is to be tried again at {event.retry_at}, before its attempt failed"
    yield from _error_fits(event.error, id, course)
    books.courses.stop(id)
    course.retry_at = event.retry_at


def _is_repeated(error: ErrorInfo, policy: Policy) -> bool:
    names = {error.type, *error.bases}
    if policy.retry is None:
        return TRANSIENT in names
    wanted = policy.retry.retry_on is None or bool(names & set(policy.retry.retry_on))
    return wanted and not names & set(policy.retry.non_retryable)


def completed(books: Books, event: e.TaskCompleted, course: Course) -> Iterator[str]:
    """By its executor, or because what it waited for is there."""
    if course.waits is None:
        yield from during(event, course, called=True)
        return
    id, waits = event.task, course.waits
    yield from during(event, course, called=False)
    up = waits.until is not None and not before(event.at, waits.until)
    if waits.signal is None:
        if not up:
            yield f"{id} completes before {waits.until}, until when it waits"
    elif not books.signals.take(waits.signal, event):
        if not up:
            yield f"{id} completes without the signal {waits.signal!r} and before its time is up"
        elif "default" not in json.decode(course.spec.inputs):
            yield f"{id} completes without the signal {waits.signal!r} and without a default"


def failed(books: Books, event: e.TaskFailed, course: Course) -> Iterator[str]:
    """For good; what was asked to end is cancelled instead."""
    id, error = event.task, event.error.type
    yield from during(event, course, called=False)
    if course.called and books.cancel_requested(id):
        yield f"task.failed of {id} after a cancel was requested"
    if course.early and error != "deadline_exceeded":
        yield f"{id} starts before {course.retry_at}, when its next attempt is due"
    if error == "signal_timeout":
        waits = course.waits
        if waits is None or waits.signal is None or waits.until is None:
            yield f"{id} fails by {error}, but waits for no signal that has a timeout"
        elif before(event.at, waits.until):
            yield f"{id} fails by {error} before {waits.until}"
    yield from _error_fits(event.error, id, course)


def _error_fits(error: ErrorInfo, id: str, course: Course) -> Iterator[str]:
    """The engine's own errors need a cause in the policy."""
    policy = course.spec.policy
    allowed = {
        "attempt_timeout": policy.timeout is not None and course.called,
        "heartbeat_timeout": policy.heartbeat is not None and course.called,
        "deadline_exceeded": policy.deadline is not None,
        "interrupted": policy.on_interrupt == "fail",
        "interrupted_too_often": course.interruptions >= policy.max_interruptions,
    }
    if not allowed.get(error.type, True):
        yield f"{id} fails by {error.type}, for which its policy gives no cause"


def cancelled(books: Books, event: e.TaskCancelled, course: Course) -> Iterator[str]:
    """What runs needs a request in the log; else the command may be a request by itself."""
    id = event.task
    if event.attempt != course.attempt:
        yield f"task.cancelled of {id} names attempt {event.attempt}, it is at {course.attempt}"
    elif course.running and not course.called and course.waits is None:
        yield f"task.cancelled of {id}, whose executor was not called"
    at_work = course.running and course.called
    if not books.cancel_requested(id) and (at_work or event.by == "engine"):
        yield f"task.cancelled of {id}, though nobody requested it"
    if not event.stopped and not at_work:
        yield f"task.cancelled of {id}, of which nothing ran that could go on"


def refused(event: e.ReportRefused, course: Course) -> Iterator[str]:
    """A report of an attempt that is over."""
    course.refused += 1
    if course.refused > MAX_REFUSED:
        yield f"{course.refused} refused reports of {event.task}; at most {MAX_REFUSED} are kept"
    if event.attempt > course.attempt or (course.running and event.attempt == course.attempt):
        yield f"report.refused of {event.task}, whose attempt {event.attempt} is not over"


def during(event: _Reported, course: Course, *, called: bool) -> Iterator[str]:
    """What only a running attempt can say; with ``called`` only one that has an executor.

    An attempt that ran over a claim is given up, cancelled or taken over before it says anything.
    """
    resolves = isinstance(event, e.AttemptTakenOver | e.TaskInterrupted | e.TaskFailed)
    if not course.running or event.attempt != course.attempt:
        yield f"{event.topic} of {event.task}, whose attempt {event.attempt} is not running"
    elif called and not course.called:
        yield f"{event.topic} of {event.task}, whose executor was not called"
    elif course.lost and not resolves:
        yield f"{event.topic} of {event.task}, which nobody has taken over since the claim"
