"""What a log must look like, whoever wrote it: a check that shares no code with the decider.

It reads events and specifications only and keeps its own books, so that a mistake in deciding or
in folding shows here.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..domain import events as e
from ..domain.events import AnyEvent, Recorded
from ..domain.specs import TaskSpec
from . import grammar_attempts as attempts
from .books import Books
from .courses import Course
from .grammar_groups import ENDS, group_ended, group_started

AFTER_THE_END = (e.ReportRefused, e.TaskReopened)
"""All that may follow the end of a task."""
AFTER_ALL = (e.ReportRefused, e.TaskReopened, e.TreeReopened)
"""All that may follow the end of a tree."""
TaskEvent = (
    e.TaskRemoved | e.TaskStarted | e.AttemptTakenOver | e.TaskProgressed | e.TaskSaved
    | e.TaskWaiting | e.TaskCompleted | e.AttemptFailed | e.TaskFailed | e.TaskInterrupted
    | e.TaskCancelRequested | e.TaskCancelled | e.TaskReopened | e.ReportRefused
)  # fmt: skip
TreeEvent = (
    e.TreeCreated | e.TasksAdded | e.TaskChanged | e.TreeAdopted | e.TreeSubmitted | e.TreeClaimed
    | e.TreeReleased | e.SignalReceived | e.TreeCancelRequested | e.TreePaused | e.TreeUnpaused
    | e.TreeReopened | e.TreeSettled
)  # fmt: skip
DRAFTING = (e.TasksAdded, e.TaskChanged, e.TaskRemoved, e.TreeAdopted, e.TreeSubmitted)


def check_log(recorded: Sequence[Recorded]) -> list[str]:
    """Everything in the log that breaks a promise, as ``"<tree> v<version>: …"``; empty: nothing.

    The log may hold several trees, each from its first event on. Checked for each:

    - versions are dense from 1, positions (where given) rise, ``at`` never goes back;
    - drafts change before the submission, tasks run after it, under a claim and not under a pause;
    - attempts are contiguous from 1 in their generation, which only a re-run raises, by 1;
    - nothing starts before its dependencies allow it, before its ``retry_at``, after a cancel;
    - attempts that ran over a claim are accounted for before anything else is said of them;
    - retries and interruptions are as many as the policy allows, slots those that it names;
    - what waits ends by its time, or by a signal that came and that no other task has used;
    - what ran is cancelled on request only;
    - each task ends at most once a generation, each group as its children did;
    - nothing but a refused report or a re-run follows an end; a settled tree has nothing open and
      the status that its tasks give it.

    Times that are ``""`` were left open and are not compared. See `slots.slot_faults` for what
    holds over all trees of a store.
    """
    trees: dict[str, list[Recorded]] = defaultdict(list)
    for record in recorded:
        trees[record.tree].append(record)
    return [fault for stream in trees.values() for fault in _faults(stream)]


def _faults(stream: Sequence[Recorded]) -> Iterator[str]:
    books = Books()
    before: Recorded | None = None
    for record in stream:
        for fault in (*_envelope(record, before), *_place(books, record.event)):
            yield f"{record.tree} v{record.version}: {fault}"
        before = record


def _envelope(record: Recorded, before: Recorded | None) -> Iterator[str]:
    expected = 1 if before is None else before.version + 1
    if record.version != expected:
        yield f"version {record.version} where {expected} was due"
    if (before is None) != isinstance(record.event, e.TreeCreated):
        yield f"{record.event.topic} where a tree is created first, and once"
    if before is None:
        return
    if record.event.at and record.event.at < before.event.at:
        yield f"time goes back from {before.event.at} to {record.event.at}"
    if record.position and record.position <= before.position:
        yield f"position {record.position} after {before.position}"


def _place(books: Books, event: AnyEvent) -> Iterator[str]:
    """What may stand where; then what the event says."""
    if books.over and not isinstance(event, AFTER_ALL):
        yield f"{event.topic} after {books.over}"
    if not isinstance(event, e.TreeCreated) and isinstance(event, DRAFTING) == books.submitted:
        yield f"{event.topic} {'after' if books.submitted else 'before'} the submission"
    if books.reopened and not isinstance(event, e.TaskReopened | e.TreeReopened):
        yield f"{event.topic} between task.reopened and tree.reopened"
    if not isinstance(event, TaskEvent):
        yield from _of_tree(books, event)
    elif event.task in books.courses.by_id:
        yield from _of_task(books, event, books.courses.by_id[event.task])
    else:
        yield f"{event.topic} of {event.task!r}, which is no task of this tree"


def _of_task(books: Books, event: TaskEvent, course: Course) -> Iterator[str]:
    ends = isinstance(event, e.TaskCompleted | e.TaskFailed | e.TaskCancelled)
    if course.end and not isinstance(event, AFTER_THE_END):
        yield f"{event.topic} of {course.spec.id} {'again ' if ends else ''}after its end"
    match event:
        case e.TaskStarted():
            if course.group:
                yield from group_started(books, event)
            yield from attempts.started(books, event, course)
        case e.TaskCompleted() | e.TaskFailed() | e.TaskCancelled():
            if not course.end:
                yield from _ended(books, event, course)
            books.courses.stop(event.task, ENDS[type(event)])
        case e.TaskProgressed() | e.TaskSaved():
            yield from attempts.reported(event, course)
        case e.TaskWaiting():
            yield from attempts.waiting(books, event, course)
        case e.AttemptFailed():
            yield from attempts.attempt_failed(books, event, course)
        case e.TaskInterrupted():
            yield from attempts.interrupted(books, event, course)
        case e.AttemptTakenOver():
            yield from attempts.taken_over(books, event, course)
        case e.TaskCancelRequested():
            yield from _cancel_requested(event, course)
        case e.TaskReopened():
            yield from _task_reopened(books, event, course)
        case e.ReportRefused():
            yield from attempts.refused(event, course)
        case e.TaskRemoved():
            del books.courses.by_id[event.task]


def _ended(
    books: Books, event: e.TaskCompleted | e.TaskFailed | e.TaskCancelled, course: Course
) -> Iterator[str]:
    if course.group:
        yield from group_ended(books, event, course)
        return
    match event:
        case e.TaskCompleted():
            yield from attempts.completed(books, event, course)
        case e.TaskFailed():
            yield from attempts.failed(books, event, course)
        case e.TaskCancelled():
            yield from attempts.cancelled(books, event, course)


def _cancel_requested(event: e.TaskCancelRequested, course: Course) -> Iterator[str]:
    if course.cancel_requested:
        yield f"task.cancel_requested of {event.task} again"
    course.cancel_requested = True


def _task_reopened(books: Books, event: e.TaskReopened, course: Course) -> Iterator[str]:
    if not course.end:
        yield f"task.reopened of {event.task}, which has not ended"
    if event.generation != course.generation + 1:
        yield f"generation {event.generation} of {event.task} after {course.generation}"
    books.courses.reopen(event.task, event.generation)
    books.reopened.append(event.task)


def _of_tree(books: Books, event: TreeEvent) -> Iterator[str]:
    match event:
        case e.TreeCreated() | e.TasksAdded():
            yield from _added(books, event.specs)
        case e.TaskChanged():
            yield from _changed(books, event.spec)
        case e.TreeAdopted():
            books.over = "the adoption"
        case e.TreeSubmitted():
            yield from _submitted(books, event)
        case e.TreeClaimed():
            yield from _claimed(books, event)
        case e.TreeReleased():
            yield from _released(books)
        case e.SignalReceived():
            yield from books.signals.received(event)
        case e.TreeSettled():
            yield from _settled(books, event)
        case _:
            yield from _steered(books, event)


def _added(books: Books, specs: Sequence[TaskSpec]) -> Iterator[str]:
    for spec in specs:
        if spec.id in books.courses.by_id:
            yield f"task {spec.id} is added twice"
        books.courses.by_id[spec.id] = Course(spec)


def _changed(books: Books, spec: TaskSpec) -> Iterator[str]:
    if spec.id in books.courses.by_id:
        books.courses.by_id[spec.id].spec = spec
    else:
        yield f"task.changed of {spec.id!r}, which is no task of this tree"


def _submitted(books: Books, event: e.TreeSubmitted) -> Iterator[str]:
    if len(event.of) != len(books.courses.by_id):
        yield f"executors for {len(event.of)} of {len(books.courses.by_id)} tasks"
    books.submitted = True
    books.courses.submitted(kind == e.GROUP for kind in event.of)


def _claimed(books: Books, event: e.TreeClaimed) -> Iterator[str]:
    if event.epoch != books.epoch + 1:
        yield f"epoch {event.epoch} after epoch {books.epoch}"
    books.engine, books.epoch, books.driven = event.engine, event.epoch, True
    for id in books.courses.at_work:
        books.courses.by_id[id].lost = True


def _released(books: Books) -> Iterator[str]:
    books.driven = False
    for id in books.courses.at_work:
        if not books.courses.by_id[id].lost:  # else it may outlive this engine too
            yield f"released while {id} runs"


_Steering = e.TreeCancelRequested | e.TreePaused | e.TreeUnpaused | e.TreeReopened


def _steered(books: Books, event: _Steering) -> Iterator[str]:
    match event:
        case e.TreeCancelRequested():
            if books.cancelling:
                yield "tree.cancel_requested again"
            books.cancelling = True
        case e.TreePaused() | e.TreeUnpaused():
            paused = isinstance(event, e.TreePaused)
            if books.paused == paused:
                yield f"{event.topic} of a tree that is {'' if paused else 'not '}paused"
            books.paused = paused
        case e.TreeReopened():
            yield from _reopened(books)


def _reopened(books: Books) -> Iterator[str]:
    if not books.reopened:
        yield "tree.reopened, but no task is"
    courses = books.courses
    for id, course in courses.by_id.items():
        if course.group and course.end and not courses.all_ended(id):
            yield f"the tree is reopened below the group {id}, which has ended"
    books.reopened.clear()
    books.over, books.cancelling = "", False


def _settled(books: Books, event: e.TreeSettled) -> Iterator[str]:
    courses = books.courses
    for id in courses.by_id:
        if not courses.ended(id):
            yield f"the tree settles while {id} is open"
    ends = {course.end for course in courses.by_id.values()}
    worst = next((end for end in ("failed", "cancelled") if end in ends), "completed")
    if event.status != worst:
        yield f"the tree settles as {event.status}, its tasks say otherwise"
    books.over, books.paused = "the end", False
