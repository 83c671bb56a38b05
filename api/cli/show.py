"""`apflow list` and `apflow get`: trees and tasks as they stand."""

from collections.abc import Iterator, Sequence
from typing import Final

from ...domain.errors import InvalidInput
from ...projections.views import TaskView, TreeView
from ..documents import Page, TaskInFull, task_in_full, tree_document, whole_tree
from ..wiring import timeline
from .console import Console, clean
from .desk import Desk, look_at
from .text import clock, count, elapsed, error_line, glimpse, result_text, seconds

STATUSES: Final = ("pending", "in_progress", "completed", "failed", "cancelled")
EMPTY: Final = (b"{}", b"null")


def trees(
    console: Console,
    *,
    status: str | None,
    drafts: bool,
    limit: int,
    after: str | None,
    store: str | None,
) -> int:
    """A page of trees, newest first."""
    if status is not None and status not in STATUSES:
        raise InvalidInput(f"there is no status {status!r}; there are {', '.join(STATUSES)}")
    desk = look_at(store)
    found = desk.store.reads.trees(
        status=status, phase="draft" if drafts else None, before=_cursor(after), limit=limit + 1
    )
    more, found = len(found) > limit, found[:limit]
    cursor = str(found[-1].num) if more else None
    if console.json:
        console.document(Page([tree_document(view) for view in found], cursor))
        return 0
    for view in found:
        console.print(_tree_line(console, view))
    if not found:
        console.say(f"no such tree in {desk.place}" if status or drafts or after else _empty(desk))
    if cursor is not None:
        console.say(f"there are more: {desk.command('list', '--after', cursor)}")
    return 0


def _cursor(after: str | None) -> int | None:
    if after is None:
        return None
    if not after.isdecimal() or len(after) > 18:
        raise InvalidInput("--after takes the cursor that a former list gave")
    return int(after)


def _empty(desk: Desk) -> str:
    return f"no tree yet in {desk.place}. Try `apflow demo`, or `apflow run FILE`."


def _tree_line(console: Console, view: TreeView) -> str:
    status = "draft" if view.is_draft else view.status
    padded = console.paint(f"{status:<11}", "bold") if view.is_draft else _padded(console, status)
    return f"{view.id}  {padded}  {clock(view.created_at)}  {clean(view.name, 60)}"


def _padded(console: Console, status: str) -> str:
    return console.status(status) + " " * (11 - len(status))


def one(console: Console, *, id: str, store: str | None) -> int:
    """A tree with its tasks; else the task by that id; else the tree whose id begins so."""
    desk = look_at(store)
    task = None if desk.store.reads.tree(id) is not None else desk.store.reads.task(id)
    if task is not None:
        _task(console, task_in_full(task, timeline(desk.store, task.tree_id)), task)
        return 0
    view = desk.store.tree(desk.tree_id(id))
    tasks = desk.store.reads.tasks(view.id)
    if console.json:
        console.document(whole_tree(view, list(tasks)))
        return 0
    _tree(console, view, tasks)
    console.say(f"history: {desk.command('history', view.id)}")
    return 0


def _tree(console: Console, view: TreeView, tasks: Sequence[TaskView]) -> None:
    flag = "  draft" if view.is_draft else "  paused" if view.paused else ""
    status = f"{console.status(view.status)}{flag}"
    took = f"  {seconds(elapsed(view.created_at, view.completed_at))}" if view.completed_at else ""
    console.print(
        f"{status}  {console.paint(clean(view.name, 80), 'bold')}  {view.id}  "
        f"{count(len(tasks), 'task')}  {clock(view.created_at)}{took}  version {view.version}"
    )
    for task, depth in _nested(tasks):
        console.print(f"{'  ' * (depth + 1)}{_task_line(console, task)}")


def _nested(tasks: Sequence[TaskView]) -> Iterator[tuple[TaskView, int]]:
    """Each task below its parent, with its depth."""
    below: dict[str | None, list[TaskView]] = {}
    for task in tasks:
        below.setdefault(task.parent_id, []).append(task)
    todo = [(task, 0) for task in reversed(below.get(None, []))]
    while todo:
        task, depth = todo.pop()
        yield task, depth
        todo.extend((child, depth + 1) for child in reversed(below.get(task.id, [])))


def _task_line(console: Console, task: TaskView) -> str:
    words = [_padded(console, task.status), clean(task.key, 80)]
    if task.key != task.name:
        words.append(console.paint(f"({clean(task.name, 60)})", "dim"))
    if task.started_at and task.completed_at:
        words.append(seconds(elapsed(task.started_at, task.completed_at)))
    if task.attempt > 1:
        words.append(f"attempt {task.attempt}")
    if task.status == "in_progress" and task.progress:
        words.append(f"{task.progress:.0%} {clean(task.message, 60)}")
    if task.error is not None:
        words.append(error_line(task.error))
    elif task.result is not None and bytes(task.result) != b"null":
        words.append(console.paint(glimpse(task.result, 80), "dim"))
    return "  ".join(words)


def _task(console: Console, document: TaskInFull, task: TaskView) -> None:
    if console.json:
        console.document(document)
        return
    console.print(_task_line(console, task))
    console.print(f"  id {task.id}")
    console.print(f"  tree {task.tree_id}")
    for attempt in document.attempts:
        end = f"{attempt.outcome} {clock(attempt.ended_at)}" if attempt.ended_at else "running"
        console.print(f"  attempt {attempt.attempt}: {clock(attempt.started_at)}, {end}")
    if task.dependencies:
        names = ", ".join(d.on if d.required else f"{d.on} (optional)" for d in task.dependencies)
        console.print(f"  depends on {names}")
    for name in ("inputs", "params", "schemas", "policy", "result"):
        value = getattr(task, name)
        if value is not None and bytes(value) not in EMPTY:
            console.print(f"  {name}: {result_text(value)}")
