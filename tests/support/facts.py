"""Events to put into a journal, and what rows they should make."""

from collections.abc import Iterable
from typing import Any

from msgspec import Raw, json

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.specs import (
    Concurrency,
    Dependency,
    ErrorInfo,
    ExecutorRef,
    Policy,
    TaskSpec,
    TreeOptions,
)
from aipartnerupflow.engine.ports import Append
from aipartnerupflow.projections.views import TaskView, TreeView

AT = "2026-01-01T00:00:00.000000Z"
LATER = "2026-01-01T00:00:01.000000Z"
LAST = "2026-01-01T00:00:02.000000Z"
MARKERS = Raw(b'{"_type_":"uuid_hex","_data_":"not a uuid"}')
"""Looks like what `eventsourcing`'s own transcoder writes for a UUID."""


def spec(id: str, parent: str | None = None, **fields: Any) -> TaskSpec:
    return TaskSpec(id=id, parent=parent, **{"name": f"name of {id}", **fields})


def created(tree: str, *tasks: str, at: str = AT, owner: str | None = None) -> e.TreeCreated:
    """A tree with a root of its own id and these children."""
    specs = (spec(tree), *(spec(task, tree) for task in tasks))
    return e.TreeCreated(at=at, uid=f"uid of {tree}", name=f"Tree {tree}", owner=owner, specs=specs)


def numbers(*ids: str) -> dict[str, int]:
    return {id: n for n, id in enumerate(ids)}


def new(tree: str, *tasks: str, at: str = AT, owner: str | None = None) -> Append:
    """The first append of a tree."""
    return Append(tree, 0, [created(tree, *tasks, at=at, owner=owner)], numbers(tree, *tasks))


def saved(tree: str, after: int, count: int = 1, *, size: int = 1) -> Append:
    """Events that say little, for a tree whose root is a task."""
    checkpoint = Raw(b'"%s"' % (b"x" * size))
    events = [e.TaskSaved(at=AT, task=tree, checkpoint=checkpoint) for _ in range(count)]
    return Append(tree, after, events, numbers(tree))


def one_of_each(a: str, b: str) -> list[Append]:
    """Appends to the trees ``a`` and ``b`` that hold every kind of event."""
    one, two, three, four = (f"{a}.{n}" for n in range(1, 5))
    rich = TaskSpec(
        id=four, name="näme \U0001f600", key="key four", parent=a, priority=0,
        dependencies=(Dependency(one), Dependency(two, False)),
        inputs=MARKERS, params=Raw(b'{"a": [1, 2.5e300, null]}'),
        schemas=Raw(b'{"input_schema":{}}'), policy=Policy(timeout=2.5, accept=(200, 204)),
    )  # fmt: skip
    error = ErrorInfo("Boom", "it \u0000 broke", ("Exception",), Raw(b'{"line":1}'))
    facts: list[e.AnyEvent] = [
        e.TreeCreated(
            at=AT, by="user", cause="command 1", uid="u", name="T", owner="ann",
            options=TreeOptions(3), specs=(spec(a), spec(one, a), spec(two, a), spec(three, a)),
        ),
        e.TasksAdded(at=AT, specs=(spec(four, a),), adopted_from=b),
        e.TaskChanged(at=AT, spec=rich),
        e.TaskRemoved(at=AT, task=three),
        e.TreeSubmitted(at=AT, executors=(ExecutorRef("x", "module"),), of=("group", 0, 0, None)),
        e.TreeClaimed(at=AT, engine="engine-a", epoch=1),
        e.TaskStarted(at=AT, task=a, called=False),
        e.TaskStarted(at=AT, task=one, inputs=MARKERS),
        e.TaskProgressed(at=LATER, task=one, progress=0.25, message="a quarter"),
        e.TaskSaved(at=LATER, task=one, checkpoint=MARKERS),
        e.TaskInterrupted(at=LATER, task=one, interruption="shutdown"),
        e.TaskStarted(at=LATER, task=one, attempt=2, slot=Concurrency("key", 2)),
        e.AttemptTakenOver(at=LATER, task=one, attempt=2, engine="engine-b", epoch=2),
        e.TaskCompleted(at=LATER, task=one, attempt=2, result=MARKERS),
        e.TaskStarted(at=LATER, task=two),
        e.AttemptFailed(at=LATER, task=two, error=error, retry_at=LAST),
        e.TaskStarted(at=LATER, task=two, attempt=2),
        e.TaskFailed(at=LAST, task=two, attempt=2, error=error),
        e.ReportRefused(at=LAST, task=two, attempt=1, reason="ended"),
        e.TreePaused(at=LAST, reason="lunch"),
        e.TaskStarted(at=LAST, task=four, called=False),
        e.TaskWaiting(at=LAST, task=four, signal="go"),
        e.TreeUnpaused(at=LAST),
        e.SignalReceived(at=LAST, id="s1", name="come", payload=MARKERS),
        e.TaskCancelRequested(at=LAST, task=four, reason="enough"),
        e.TreeCancelRequested(at=LAST, reason="all of it"),
        e.TaskCancelled(at=LAST, task=four, attempt=1, reason="enough"),
        e.TreeReleased(at=LAST, engine="engine-a"),
        e.TreeSettled(at=LAST, status="failed"),
        e.TaskReopened(at=LAST, task=two, generation=2),
        e.TreeReopened(at=LAST),
        e.TaskCancelled(at=LAST, task=two),
        e.TreeSettled(at=LAST, status="cancelled"),
    ]  # fmt: skip
    index = numbers(a, one, two) | {four: 4}
    return [new(b), Append(a, 0, facts, index), Append(b, 1, [e.TreeAdopted(at=AT, into=a)], {})]


_PENDING: dict[str, Any] = {
    "status": "pending", "attempt": 0, "progress": 0.0, "message": "", "started_at": None,
    "completed_at": None,
}  # fmt: skip


class Expected:
    """Trees and tasks after a log, taken event by event: slow, and too simple to be wrong."""

    def __init__(self, log: Iterable[e.Recorded]) -> None:
        self.trees: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        for recorded in log:
            self._take(recorded.tree, recorded.version, recorded.event)

    def _take(self, id: str, version: int, event: e.AnyEvent) -> None:
        if isinstance(event, e.TreeCreated):
            self.trees[id] = {
                "uid": event.uid, "name": event.name, "user_id": event.owner, "phase": "draft",
                "status": "pending", "engine": "", "epoch": 0, "released": True,
                "created_at": event.at, "completed_at": None, "paused": False,
            }  # fmt: skip
        tree = self.trees[id]
        tree.update(version=version, updated_at=event.at)
        match event:
            case e.TreeCreated(specs=specs) | e.TasksAdded(specs=specs):
                for spec in specs:
                    self._add(id, spec, event.at)
            case e.TaskChanged(spec=spec):
                self.tasks[spec.id]["spec"] = spec
            case e.TaskRemoved(task=task):
                del self.tasks[task]
            case e.TreeAdopted():
                tree["phase"] = "adopted"
                self.tasks = {k: v for k, v in self.tasks.items() if v["tree_id"] != id}
            case e.TreeSubmitted():
                tree["phase"] = "submitted"
            case e.TreeClaimed(engine=engine, epoch=epoch):
                tree.update(engine=engine, epoch=epoch, released=False)
            case e.TreeReleased():
                tree["released"] = True
            case e.TreePaused() | e.TreeUnpaused():
                tree["paused"] = isinstance(event, e.TreePaused)
            case e.TreeSettled(status=status):
                tree.update(phase="settled", status=status, completed_at=event.at, paused=False)
            case e.TreeReopened():
                tree.update(phase="submitted", status="in_progress", completed_at=None)
            case _:
                self._take_task(tree, event)

    def _take_task(self, tree: dict[str, Any], event: e.AnyEvent) -> None:
        match event:
            case e.TaskStarted(task=task):
                if event.called:
                    tree["status"] = "in_progress"
                self.tasks[task].update(
                    status="in_progress", attempt=event.attempt, generation=event.generation,
                    progress=0.0, message="", started_at=event.at, completed_at=None,
                )  # fmt: skip
            case e.TaskProgressed(task=task):
                self.tasks[task].update(progress=event.progress, message=event.message)
            case e.TaskInterrupted(task=task) | e.AttemptFailed(task=task):
                self.tasks[task].update(status="pending", started_at=None, progress=0.0, message="")
            case e.TaskWaiting():
                tree["status"] = "in_progress"
            case e.TaskCompleted(task=task):
                self.tasks[task].update(
                    status="completed", attempt=event.attempt, completed_at=event.at, progress=1.0
                )
            case e.TaskFailed(task=task):
                self.tasks[task].update(
                    status="failed", attempt=event.attempt, completed_at=event.at
                )
            case e.TaskCancelled(task=task):
                self.tasks[task].update(
                    status="cancelled", attempt=event.attempt, completed_at=event.at
                )
            case e.TaskReopened(task=task, generation=generation):
                self.tasks[task].update(_PENDING, generation=generation)
            case _:
                pass

    def _add(self, tree: str, spec: TaskSpec, at: str) -> None:
        old = self.tasks.pop(spec.id, None)  # adopted: the tree that it leaves says so later
        assert old is None or old["tree_id"] != tree
        self.tasks[spec.id] = {
            "tree_id": tree, "spec": spec, "created_at": at, "generation": 1, **_PENDING,
        }  # fmt: skip


def tree_row(view: TreeView) -> dict[str, Any]:
    """What `Expected` says of a tree, as the read model has it."""
    names = (
        "uid", "name", "user_id", "phase", "status", "engine", "epoch", "released", "created_at",
        "completed_at", "paused", "version", "updated_at",
    )  # fmt: skip
    return {name: getattr(view, name) for name in names}


def task_row(view: TaskView) -> dict[str, Any]:
    """What `Expected` says of a task, as the read model has it."""
    names = (
        "tree_id", "created_at", "status", "attempt", "generation", "progress", "message",
        "started_at", "completed_at",
    )  # fmt: skip
    spec = TaskSpec(
        id=view.id, name=view.name, key="" if view.key == view.id else view.key,
        parent=view.parent_id, dependencies=view.dependencies, inputs=view.inputs,
        params=view.params, schemas=view.schemas, priority=view.priority,
        policy=json.decode(view.policy, type=Policy),
    )  # fmt: skip
    return {"spec": spec, **{name: getattr(view, name) for name in names}}
