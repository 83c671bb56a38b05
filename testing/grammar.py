"""What a log must look like, whoever wrote it: a check that shares no code with the decider.

It reads events and specifications only and keeps its own books, so that a mistake in deciding or
in folding shows here.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..domain import events as e
from ..domain.events import AnyEvent, Recorded
from ..domain.specs import TaskSpec
from .courses import Course, Courses

MAX_REFUSED = 10
"""So many refused reports of one task may stand in a log."""
AFTER_THE_END = (e.ReportRefused,)
"""All that may follow the end of a task or of its tree."""
TaskEvent = (
    e.TaskRemoved
    | e.TaskStarted
    | e.TaskProgressed
    | e.TaskSaved
    | e.TaskCompleted
    | e.TaskFailed
    | e.TaskInterrupted
    | e.ReportRefused
)
TreeEvent = (
    e.TreeCreated
    | e.TasksAdded
    | e.TaskChanged
    | e.TreeAdopted
    | e.TreeSubmitted
    | e.TreeClaimed
    | e.TreeReleased
    | e.TreeSettled
)
DRAFTING = (e.TasksAdded, e.TaskChanged, e.TaskRemoved, e.TreeAdopted, e.TreeSubmitted)


def check_log(recorded: Sequence[Recorded]) -> list[str]:
    """Everything in the log that breaks a promise, as ``"<tree> v<version>: …"``; empty: nothing.

    The log may hold several trees, each from its first event on. Checked for each: versions are
    dense from 1, positions (where given) rise, ``at`` never goes back; drafts change before the
    submission, tasks run after it and under a claim; attempts are contiguous from 1; nothing
    starts before its dependencies allow it; each task ends at most once, each group after its
    children; nothing but a refused report follows an end; a settled tree has nothing open and the
    status that its tasks give it.
    """
    trees: dict[str, list[Recorded]] = defaultdict(list)
    for record in recorded:
        trees[record.tree].append(record)
    return [fault for stream in trees.values() for fault in _Stream().faults(stream)]


class _Stream:
    def __init__(self) -> None:
        self.courses = Courses()
        self.submitted = False
        self.driven = False
        self.epoch = 0
        self.over = ""

    def faults(self, stream: Sequence[Recorded]) -> Iterator[str]:
        before: Recorded | None = None
        for record in stream:
            for fault in (*_envelope(record, before), *self._place(record.event)):
                yield f"{record.tree} v{record.version}: {fault}"
            before = record

    def _place(self, event: AnyEvent) -> Iterator[str]:
        """What may stand where; then what the event says."""
        if self.over and not isinstance(event, AFTER_THE_END):
            yield f"{event.topic} after {self.over}"
        if not isinstance(event, e.TreeCreated) and isinstance(event, DRAFTING) == self.submitted:
            yield f"{event.topic} {'after' if self.submitted else 'before'} the submission"
        if not isinstance(event, TaskEvent):
            yield from self._of_tree(event)
        elif event.task in self.courses.by_id:
            yield from self._of_task(event, self.courses.by_id[event.task])
        else:
            yield f"{event.topic} of {event.task!r}, which is no task of this tree"

    def _of_tree(self, event: TreeEvent) -> Iterator[str]:
        match event:
            case e.TreeCreated() | e.TasksAdded():
                yield from self._added(event.specs)
            case e.TaskChanged():
                yield from self._changed(event.spec)
            case e.TreeAdopted():
                self.over = "the adoption"
            case e.TreeSubmitted():
                yield from self._submitted(event)
            case e.TreeClaimed():
                if event.epoch != self.epoch + 1:
                    yield f"epoch {event.epoch} after epoch {self.epoch}"
                self.epoch, self.driven = event.epoch, True
            case e.TreeReleased():
                yield from self._released()
            case e.TreeSettled():
                yield from self._settled(event)

    def _of_task(self, event: TaskEvent, course: Course) -> Iterator[str]:
        if course.end and not isinstance(event, AFTER_THE_END):
            second = isinstance(event, e.TaskCompleted | e.TaskFailed)
            yield f"{event.topic} of {course.spec.id} {'again ' if second else ''}after its end"
        match event:
            case e.TaskRemoved():
                del self.courses.by_id[event.task]
            case e.TaskStarted():
                yield from self._started(event, course)
            case e.TaskCompleted() | e.TaskFailed():
                yield from self._ended(event, course)
            case e.TaskInterrupted():
                yield from _during(event, course, called=True)
                course.running = False
            case e.TaskProgressed() | e.TaskSaved():
                yield from _during(event, course, called=True)
            case e.ReportRefused():
                yield from _refused(event, course)

    def _added(self, specs: Sequence[TaskSpec]) -> Iterator[str]:
        for spec in specs:
            if spec.id in self.courses.by_id:
                yield f"task {spec.id} is added twice"
            self.courses.by_id[spec.id] = Course(spec)

    def _changed(self, spec: TaskSpec) -> Iterator[str]:
        if spec.id in self.courses.by_id:
            self.courses.by_id[spec.id].spec = spec
        else:
            yield f"task.changed of {spec.id!r}, which is no task of this tree"

    def _submitted(self, event: e.TreeSubmitted) -> Iterator[str]:
        if len(event.of) != len(self.courses.by_id):
            yield f"executors for {len(event.of)} of {len(self.courses.by_id)} tasks"
        self.submitted = True
        self.courses.submitted(kind == e.GROUP for kind in event.of)

    def _released(self) -> Iterator[str]:
        self.driven = False
        for id, course in self.courses.by_id.items():
            if course.running and course.called:
                yield f"released while {id} runs"

    def _started(self, event: e.TaskStarted, course: Course) -> Iterator[str]:
        id = event.task
        if not self.driven:
            yield f"{id} starts while no engine drives the tree"
        if course.running:
            yield f"{id} starts while it runs"
        if (event.generation, event.attempt) != (course.generation, course.attempt + 1):
            yield (
                f"{id} starts attempt {event.attempt} of generation {event.generation} "
                f"after attempt {course.attempt} of generation {course.generation}"
            )
        if missing := self.courses.missing(id):
            yield f"{id} starts before its dependency {missing} allows it"
        if course.group:
            yield from self._group_started(event)
        course.running, course.called, course.attempt = True, event.called, event.attempt

    def _group_started(self, event: e.TaskStarted) -> Iterator[str]:
        children = [self.courses.by_id[id] for id in self.courses.children_of(event.task)]
        if event.called:
            yield f"an executor is called for the group {event.task}"
        if not any(child.attempt for child in children) and not self._all_ended(event.task):
            yield f"the group {event.task} starts before its first child"

    def _ended(self, event: e.TaskCompleted | e.TaskFailed, course: Course) -> Iterator[str]:
        failed = isinstance(event, e.TaskFailed)
        if not course.end:
            yield from _during(event, course, called=not course.group and not failed)
        if course.group:
            children = self.courses.children_of(event.task)
            good = all(self.courses.by_id[id].end == "completed" for id in children)
            if not self._all_ended(event.task):
                yield f"the group {event.task} ends before its children"
            elif good == failed:
                yield f"{event.topic} of the group {event.task}, whose children say otherwise"
        course.running, course.end = False, "failed" if failed else "completed"

    def _all_ended(self, group: str) -> bool:
        return all(self.courses.ended(id) for id in self.courses.children_of(group))

    def _settled(self, event: e.TreeSettled) -> Iterator[str]:
        for id in self.courses.by_id:
            if not self.courses.ended(id):
                yield f"the tree settles while {id} is open"
        failed = any(course.end == "failed" for course in self.courses.by_id.values())
        if event.status != ("failed" if failed else "completed"):
            yield f"the tree settles as {event.status}, its tasks say otherwise"
        self.over = "the end"


def _envelope(record: Recorded, before: Recorded | None) -> Iterator[str]:
    expected = 1 if before is None else before.version + 1
    if record.version != expected:
        yield f"version {record.version} where {expected} was due"
    if (before is None) != isinstance(record.event, e.TreeCreated):
        yield f"{record.event.topic} where a tree is created first, and once"
    if before is None:
        return
    if record.event.at < before.event.at:
        yield f"time goes back from {before.event.at} to {record.event.at}"
    if record.position and record.position <= before.position:
        yield f"position {record.position} after {before.position}"


_OfAttempt = e.TaskCompleted | e.TaskFailed | e.TaskInterrupted | e.TaskProgressed | e.TaskSaved


def _during(event: _OfAttempt, course: Course, *, called: bool) -> Iterator[str]:
    """What only a running attempt can say; with ``called`` only one that has an executor."""
    if not course.running or event.attempt != course.attempt:
        yield f"{event.topic} of {event.task}, whose attempt {event.attempt} is not running"
    elif called and not course.called:
        yield f"{event.topic} of {event.task}, whose executor was not called"


def _refused(event: e.ReportRefused, course: Course) -> Iterator[str]:
    course.refused += 1
    if course.refused > MAX_REFUSED:
        yield f"{course.refused} refused reports of {event.task}; at most {MAX_REFUSED} are kept"
    if event.attempt > course.attempt or (course.running and event.attempt == course.attempt):
        yield f"report.refused of {event.task}, whose attempt {event.attempt} is not over"
