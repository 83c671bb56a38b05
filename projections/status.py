"""Status of trees and tasks: from the events of one append to the row changes they make.

Written in the transaction of the events themselves, so that status == fold(log) at every commit.
Rows carry states and times only; results and errors are read from the event that ended the task,
whose version the row names.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, assert_never

from msgspec import Struct

from ..domain import events as e
from ..domain.specs import TaskSpec
from .slots import Slot, slots


class TaskState(Struct, gc=False):
    """The whole state row of a task that started, or was reopened, in this append.

    ``ended``: a version or 0.
    """

    status: str
    attempt: int
    generation: int
    progress: float
    message: str
    started_at: str | None
    completed_at: str | None
    ended: int


class TaskEnd(Struct, gc=False):
    """A task that did not start in this append ends."""

    status: str
    attempt: int
    completed_at: str
    ended: int


class TreeChange(Struct):
    """What changes in a tree's row: None leaves a column, an empty ``completed_at`` empties it."""

    version: int
    updated_at: str
    phase: str | None = None
    status: str | None = None
    engine: str | None = None
    epoch: int | None = None
    released: bool | None = None
    completed_at: str | None = None
    paused: bool | None = None

    @property
    def is_touch(self) -> bool:
        """Whether at most the version, the time and the status changed."""
        return (
            self.phase is None
            and self.engine is None
            and self.released is None
            and self.paused is None
        )


class NewTree(Struct, frozen=True):
    """The row of a tree that did not exist before."""

    uid: str
    name: str
    owner: str | None
    created_at: str
    request: str | None = None
    origin: str | None = None


_NONE: Any = MappingProxyType({})
"""In place of the dicts that few appends need: five containers less for each."""


class Changes(Struct):
    """All row changes of one append, net: what came and went within it leaves no trace.

    Keys of the dicts are task numbers. Removals come before additions, and ends last. ``returned``
    are tasks that wait for their next attempt; ``cancelled`` may have no row as yet.
    """

    tree: TreeChange
    new_tree: NewTree | None = None
    added: Sequence[tuple[int, TaskSpec, str]] = ()
    respecified: Sequence[tuple[int, TaskSpec]] = ()
    removed: Sequence[str] = ()
    moved_away: bool = False
    put: dict[int, TaskState] = {}
    ended: dict[int, TaskEnd] = {}
    cancelled: dict[int, TaskEnd] = _NONE
    returned: dict[int, None] = _NONE
    progressed: dict[int, tuple[float, str]] = _NONE
    freed: dict[int, None] = _NONE
    taken: dict[int, Slot] = _NONE


_TreeEvent = (
    e.TreeAdopted
    | e.TreeSubmitted
    | e.TreeClaimed
    | e.TreeReleased
    | e.TreePaused
    | e.TreeUnpaused
    | e.TreeSettled
    | e.TreeReopened
    | e.TaskWaiting
)
_NoRow = (
    e.TaskSaved
    | e.SignalReceived
    | e.AttemptTakenOver
    | e.TaskCancelRequested
    | e.TreeCancelRequested
    | e.ReportRefused
)
"""They change no more than the tree's version."""


class _Draft(Struct):
    """What becomes of a draft's tasks in one append, by id."""

    added: dict[str, tuple[TaskSpec, str]] = {}
    respecified: dict[str, TaskSpec] = {}
    removed: dict[str, None] = {}


def changes(
    events: Sequence[e.AnyEvent], first: int, index: Mapping[str, int], keyed: bool = False
) -> Changes:
    """The row changes of ``events``, which stand in one stream from version ``first`` on.

    ``index`` maps the ids of the tree's tasks to their numbers, as after these events. However a
    stream is cut into appends, the rows come out the same. ``keyed`` as in `engine.ports.Append`.
    """
    made = Changes(TreeChange(first + len(events) - 1, events[-1].at))
    draft: _Draft | None = None
    for version, event in enumerate(events, start=first):
        match event:
            case e.TaskStarted():
                _started(made, event, index[event.task])
            case e.TaskCompleted():
                _ended(made, event, "completed", index[event.task], version)
            case e.TaskFailed():
                _ended(made, event, "failed", index[event.task], version)
            case e.TaskInterrupted() | e.AttemptFailed():
                _returned(made, index[event.task])
            case e.TaskProgressed():
                _progressed(made, event, index[event.task])
            case e.TaskCancelled():
                _cancelled(made, event, index[event.task], version)
            case e.TaskReopened():
                _reopened(made, event, index[event.task])
            case e.TreeCreated() | e.TasksAdded() | e.TaskChanged() | e.TaskRemoved():
                draft = draft or _Draft()
                _draft_event(made, event, draft)
            case _:
                _tree_event(made, event)
    if draft is not None and not made.moved_away:
        made.added = [(index[id], spec, at) for id, (spec, at) in draft.added.items()]
        made.respecified = [(index[id], spec) for id, spec in draft.respecified.items()]
        made.removed = list(draft.removed)
    if keyed:
        made.freed, made.taken = slots(events, index)
    return made


def _started(made: Changes, event: e.TaskStarted, n: int) -> None:
    if made.returned:
        made.returned.pop(n, None)
    made.put[n] = TaskState(
        "in_progress", event.attempt, event.generation, 0.0, "", event.at, None, 0
    )
    if event.called:
        made.tree.status = "in_progress"


def _ended(
    made: Changes,
    event: e.TaskCompleted | e.TaskFailed | e.TaskCancelled,
    status: str,
    n: int,
    version: int,
) -> None:
    state = made.put.get(n)
    if state is None:
        made.ended[n] = TaskEnd(status, event.attempt, event.at, version)
        return
    state.status, state.attempt = status, event.attempt
    state.completed_at, state.ended = event.at, version
    if status == "completed":
        state.progress = 1.0


def _cancelled(made: Changes, event: e.TaskCancelled, n: int, version: int) -> None:
    if n in made.put:
        _ended(made, event, "cancelled", n, version)
        return
    if made.cancelled is _NONE:
        made.cancelled = {}
    made.cancelled[n] = TaskEnd("cancelled", event.attempt, event.at, version)


def _returned(made: Changes, n: int) -> None:
    state = made.put.get(n)
    if state is None:
        if made.returned is _NONE:
            made.returned = {}
        made.returned[n] = None
        if made.progressed:
            made.progressed.pop(n, None)
    else:
        state.status, state.started_at, state.progress, state.message = "pending", None, 0.0, ""


def _reopened(made: Changes, event: e.TaskReopened, n: int) -> None:
    made.put[n] = TaskState("pending", 0, event.generation, 0.0, "", None, None, 0)
    for rows in (made.ended, made.cancelled, made.returned, made.progressed):
        if rows:
            rows.pop(n, None)


def _progressed(made: Changes, event: e.TaskProgressed, n: int) -> None:
    state = made.put.get(n)
    if state is None:
        if made.progressed is _NONE:
            made.progressed = {}
        made.progressed[n] = (event.progress, event.message)
    else:
        state.progress, state.message = event.progress, event.message


def _draft_event(
    made: Changes,
    event: e.TreeCreated | e.TasksAdded | e.TaskChanged | e.TaskRemoved,
    draft: _Draft,
) -> None:
    match event:
        case e.TreeCreated():
            key = None if event.request is None else event.request.key
            made.new_tree = NewTree(event.uid, event.name, event.owner, event.at, key, event.origin)
            made.tree.phase, made.tree.status = "draft", "pending"
            draft.added.update((spec.id, (spec, event.at)) for spec in event.specs)
        case e.TasksAdded():
            draft.added.update((spec.id, (spec, event.at)) for spec in event.specs)
        case e.TaskChanged(spec=spec):
            if spec.id in draft.added:
                draft.added[spec.id] = (spec, draft.added[spec.id][1])
            else:
                draft.respecified[spec.id] = spec
        case e.TaskRemoved(task=id):
            if draft.added.pop(id, None) is None:
                draft.respecified.pop(id, None)
                draft.removed[id] = None
        case _ as never:
            assert_never(never)


def _tree_event(made: Changes, event: _TreeEvent | _NoRow) -> None:
    tree = made.tree
    match event:
        case e.TreeAdopted():
            tree.phase, made.moved_away = "adopted", True
        case e.TreeSubmitted():
            tree.phase = "submitted"
        case e.TreeClaimed():
            tree.engine, tree.epoch, tree.released = event.engine, event.epoch, False
        case e.TreeReleased():
            tree.released = True
        case e.TaskWaiting():
            tree.status = "in_progress"
        case e.TreePaused():
            tree.paused = True
        case e.TreeUnpaused():
            tree.paused = False
        case e.TreeSettled():
            tree.phase, tree.status, tree.completed_at = "settled", event.status, event.at
            tree.paused = False
        case e.TreeReopened():
            tree.phase, tree.status, tree.completed_at = "submitted", "in_progress", ""
        case (
            e.TaskSaved()
            | e.SignalReceived()
            | e.AttemptTakenOver()
            | e.TaskCancelRequested()
            | e.TreeCancelRequested()
            | e.ReportRefused()
        ):
            pass
        case _ as never:
            assert_never(never)
