"""What is said at the end of a run, and with what the process ends."""

from collections.abc import Iterator, Sequence
from typing import Final

from ..documents import TaskDocument, TreeDocument
from ..problems import Exit, Interrupted, TimedOut
from .console import Console, clean
from .desk import Desk
from .drive import Ended, how_to_go_on
from .local import Local
from .source import Source
from .text import count, elapsed, error_line, result_text, seconds

MAX_RESULTS: Final = 5
MAX_FAILURES: Final = 10
MAX_NAMES: Final = 10

CODES: Final = {
    "completed": Exit.OK,
    "failed": Exit.TREE_FAILED,
    "cancelled": Exit.TREE_CANCELLED,
}


def code_of(statuses: Sequence[str]) -> Exit:
    """The first that holds: a tree failed, a tree was cancelled, all is well."""
    for status in ("failed", "cancelled"):
        if status in statuses:
            return CODES[status]
    return Exit.OK


def require_the_end(desk: Desk, ended: Ended) -> None:
    """Raises `Interrupted` or `TimedOut`, saying how to go on, where the run was stopped."""
    if not ended.stopped:
        return
    left = ended.left
    what = f"tree {left[0]} is not at its end" if len(left) == 1 else f"{len(left)} trees are left"
    advice = f"{what}. {how_to_go_on(desk, left)}" if left else "nothing is left to do."
    if ended.stopped == "timeout":
        raise TimedOut(f"the time allowed is over: {advice}")
    raise Interrupted(f"interrupted: {advice}")


def conclude(console: Console, desk: Desk, ended: Ended) -> int:
    """Tell how one tree ended. Raises what kept it from its end."""
    require_the_end(desk, ended)
    for error in ended.lost.values():
        raise error
    ((id, status),) = ended.settled.items()
    return told(console, Local(desk), id, status)


def told(console: Console, source: Source, id: str, status: str) -> int:
    """Tell of a tree that has settled; returns with what to end."""
    console.code = CODES[status]
    if console.json:
        console.document(source.whole(id))
    else:
        summarise(console, source, id)
    return console.code


def summarise(console: Console, source: Source, id: str) -> None:
    """A settled tree for people: what came out, what failed, where to look further."""
    tree = source.tree(id)
    tasks = source.outline(id)
    console.print(_headline(console, tree, tasks))
    for task in _failures(tasks)[:MAX_FAILURES]:
        console.print(_failure(console, source, task))
    for line in _leftovers(tasks):
        console.print(line)
    for task in _last(tree, tasks):
        full = source.full(task.id)
        if full is not None and full.has_result:
            console.print(f"{console.paint(clean(task.key), 'bold')}: {result_text(full.result)}")
    console.say(f"history: {source.command('history', id)}")


def _headline(console: Console, tree: TreeDocument, tasks: Sequence[TaskDocument]) -> str:
    took = elapsed(tree.created_at, tree.completed_at) if tree.completed_at else 0.0
    done = sum(task.status == "completed" for task in tasks)
    name = console.paint(clean(tree.name, 80), "bold")
    return (
        f"{console.status(tree.status)}  {name}  {tree.id}  "
        f"{done} of {count(len(tasks), 'task')} completed, {seconds(took)}"
    )


def _failures(tasks: Sequence[TaskDocument]) -> list[TaskDocument]:
    return [task for task in tasks if task.status == "failed"]


def _failure(console: Console, source: Source, task: TaskDocument) -> str:
    full = source.full(task.id)
    why = error_line(full.error) if full is not None and full.error is not None else ""
    attempts = f" after {count(task.attempt, 'attempt')}" if task.attempt > 1 else ""
    return f"{console.status('failed')}  {clean(task.key, 80)}{attempts}: {why}"


def _leftovers(tasks: Sequence[TaskDocument]) -> Iterator[str]:
    """How many further failures there are, and what could not start because of them."""
    more = len(_failures(tasks)) - MAX_FAILURES
    if more > 0:
        yield f"… and {count(more, 'more failure')}"
    blocked = [clean(task.key, 60) for task in tasks if task.status == "pending"]
    if blocked:
        names = ", ".join(blocked[:MAX_NAMES]) + (", …" if len(blocked) > MAX_NAMES else "")
        yield f"did not start: {names}"


def _last(tree: TreeDocument, tasks: Sequence[TaskDocument]) -> list[TaskDocument]:
    """The tasks whose results are the tree's: those that nothing else waited for."""
    awaited = {dependency.id for task in tasks for dependency in task.dependencies}
    last = [task for task in tasks if task.id not in awaited and task.status == "completed"]
    last.sort(key=lambda task: task.id != tree.id)
    return last[:MAX_RESULTS]
