"""`apflow list` and `apflow get`: trees and tasks as they stand."""

from collections.abc import Iterator, Sequence
from typing import Final

from ...domain.errors import InvalidInput
from ..documents import TaskDocument, TaskInFull, TreeDocument, WholeTree
from ..times import instant
from .choosing import source_of
from .console import Console, clean
from .source import NOW, Source, When
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
    server: str | None,
) -> int:
    """A page of trees, newest first."""
    if status is not None and status not in STATUSES:
        raise InvalidInput(f"there is no status {status!r}; there are {', '.join(STATUSES)}")
    with source_of(store, server) as source:
        page = source.trees(status=status, drafts=drafts, limit=limit, after=after)
        if console.json:
            console.document(page)
            return 0
        for tree in page.items:
            console.print(_tree_line(console, tree))
        if not page.items:
            some = status or drafts or after
            console.say(f"no such tree in {source.place}" if some else _empty(source))
        if page.next is not None:
            console.say(f"there are more: {source.command('list', '--after', page.next)}")
    return 0


def _empty(source: Source) -> str:
    return f"no tree yet in {source.place}. Try `apflow demo`, or `apflow run FILE`."


def _tree_line(console: Console, tree: TreeDocument) -> str:
    status = "draft" if tree.draft else tree.status
    padded = console.paint(f"{status:<11}", "bold") if tree.draft else _padded(console, status)
    return f"{tree.id}  {padded}  {clock(tree.created_at)}  {clean(tree.name, 60)}"


def _padded(console: Console, status: str) -> str:
    return console.status(status) + " " * (11 - len(status))


def one(console: Console, *, id: str, at: str | None, store: str | None, server: str | None) -> int:
    """A tree with its tasks; else the task by that id; else the tree whose id begins so."""
    when = _when(at)
    with source_of(store, server) as source:
        task = source.task_alone(id)
        if task is not None:
            _task(console, task if when == NOW else source.task_then(task, when))
            return 0
        tree = source.whole(source.tree_id(id), when)
        if console.json:
            console.document(tree)
            return 0
        _tree(console, tree)
        console.say(f"history: {source.command('history', tree.id)}")
    return 0


def _when(at: str | None) -> When:
    """A version, or a time."""
    if at is None:
        return NOW
    if at.isascii() and at.isdigit() and len(at) < 16 and int(at):
        return When(version=int(at))
    return When(at=instant(at))


def _tree(console: Console, tree: WholeTree) -> None:
    flag = "  draft" if tree.draft else "  paused" if tree.paused else ""
    status = f"{console.status(tree.status)}{flag}"
    took = f"  {seconds(elapsed(tree.created_at, tree.completed_at))}" if tree.completed_at else ""
    console.print(
        f"{status}  {console.paint(clean(tree.name, 80), 'bold')}  {tree.id}  "
        f"{count(len(tree.tasks), 'task')}  {clock(tree.created_at)}{took}  version {tree.version}"
    )
    for task, depth in _nested(tree.tasks):
        console.print(f"{'  ' * (depth + 1)}{_task_line(console, task)}")


def _nested(tasks: Sequence[TaskDocument]) -> Iterator[tuple[TaskDocument, int]]:
    """Each task below its parent, with its depth."""
    below: dict[str | None, list[TaskDocument]] = {}
    for task in tasks:
        below.setdefault(task.parent_id, []).append(task)
    todo = [(task, 0) for task in reversed(below.get(None, []))]
    while todo:
        task, depth = todo.pop()
        yield task, depth
        todo.extend((child, depth + 1) for child in reversed(below.get(task.id, [])))


def _task_line(console: Console, task: TaskDocument) -> str:
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
    elif task.has_result:
        words.append(console.paint(glimpse(task.result, 80), "dim"))
    return "  ".join(words)


def _task(console: Console, task: TaskInFull) -> None:
    if console.json:
        console.document(task)
        return
    console.print(_task_line(console, task))
    console.print(f"  id {task.id}")
    console.print(f"  tree {task.tree_id}")
    for attempt in task.attempts:
        end = f"{attempt.outcome} {clock(attempt.ended_at)}" if attempt.ended_at else "running"
        console.print(f"  attempt {attempt.attempt}: {clock(attempt.started_at)}, {end}")
    if task.dependencies:
        names = ", ".join(d.id if d.required else f"{d.id} (optional)" for d in task.dependencies)
        console.print(f"  depends on {names}")
    for name in ("inputs", "params", "schemas", "policy", "result"):
        value = getattr(task, name)
        if bytes(value) not in EMPTY:
            console.print(f"  {name}: {result_text(value)}")
