"""What is said at the end of a run, and with what the process ends."""

from collections.abc import Iterator, Sequence
from typing import Final

from ...projections.views import TaskView, TreeView
from ..documents import WholeTree, whole_tree
from ..problems import Exit, Interrupted, TimedOut
from .console import Console, clean
from .desk import Desk
from .drive import Ended, how_to_go_on
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
    console.code = CODES[status]
    if console.json:
        console.document(document(desk, id))
    else:
        summarise(console, desk, id)
    return console.code


def document(desk: Desk, id: str) -> WholeTree:
    """A tree with all its tasks and their results."""
    return whole_tree(desk.store.tree(id), list(desk.store.reads.tasks(id)))


def summarise(console: Console, desk: Desk, id: str) -> None:
    """A settled tree for people: what came out, what failed, where to look further."""
    tree = desk.store.tree(id)
    tasks = desk.store.reads.tasks(id, results=False)
    console.print(_headline(console, tree, tasks))
    for task in _failures(tasks)[:MAX_FAILURES]:
        console.print(_failure(console, desk, task))
    for line in _leftovers(tasks):
        console.print(line)
    for task in _last(tree, tasks):
        full = desk.store.reads.task(task.id)
        if full is not None and full.result is not None and bytes(full.result) != b"null":
            console.print(f"{console.paint(clean(task.key), 'bold')}: {result_text(full.result)}")
    console.say(f"history: {desk.command('history', id)}")


def _headline(console: Console, tree: TreeView, tasks: Sequence[TaskView]) -> str:
    took = elapsed(tree.created_at, tree.completed_at) if tree.completed_at else 0.0
    done = sum(task.status == "completed" for task in tasks)
    name = console.paint(clean(tree.name, 80), "bold")
    return (
        f"{console.status(tree.status)}  {name}  {tree.id}  "
        f"{done} of {count(len(tasks), 'task')} completed, {seconds(took)}"
    )


def _failures(tasks: Sequence[TaskView]) -> list[TaskView]:
    return [task for task in tasks if task.status == "failed"]


def _failure(console: Console, desk: Desk, task: TaskView) -> str:
    full = desk.store.reads.task(task.id)
    why = error_line(full.error) if full is not None and full.error is not None else ""
    attempts = f" after {count(task.attempt, 'attempt')}" if task.attempt > 1 else ""
    return f"{console.status('failed')}  {clean(task.key, 80)}{attempts}: {why}"


def _leftovers(tasks: Sequence[TaskView]) -> Iterator[str]:
    """How many further failures there are, and what could not start because of them."""
    more = len(_failures(tasks)) - MAX_FAILURES
    if more > 0:
        yield f"… and {count(more, 'more failure')}"
    blocked = [clean(task.key, 60) for task in tasks if task.status == "pending"]
    if blocked:
        names = ", ".join(blocked[:MAX_NAMES]) + (", …" if len(blocked) > MAX_NAMES else "")
        yield f"did not start: {names}"


def _last(tree: TreeView, tasks: Sequence[TaskView]) -> list[TaskView]:
    """The tasks whose results are the tree's: those that nothing else waited for."""
    awaited = {dependency.on for task in tasks for dependency in task.dependencies}
    last = [task for task in tasks if task.id not in awaited and task.status == "completed"]
    last.sort(key=lambda task: task.id != tree.id)
    return last[:MAX_RESULTS]
