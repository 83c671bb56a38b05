"""Tasks that ended are to run again: which ones, and what comes with them."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from .. import events as e
from ..errors import InvalidInput, InvalidTransition
from ..tree import Completed, Pending, Task, Tree
from .stamp import Stamp

FAILED, FROM, ALL = "failed", "from", "all"
WAYS = (FAILED, FROM, ALL)


class Plan(Struct, frozen=True):
    """What a re-run comes to, as ids in creation order.

    ``reopened`` get a new generation, groups among them; ``runs`` are all tasks that may run by it,
    those that were blocked until now included; ``kept`` have completed and are not repeated.
    """

    reopened: tuple[str, ...]
    runs: tuple[str, ...]
    kept: tuple[str, ...]


def plan(tree: Tree, way: str, ids: Sequence[str] = ()) -> Plan:
    """Work out a re-run: of what ``failed`` (or was cancelled), ``from`` tasks on, or of ``all``.

    Raises `InvalidInput` for a way or task that there is not, `InvalidTransition` where nothing is
    to be repeated or something that would be still runs.
    """
    again = _asked(tree, way, ids)
    _require_possible(tree, again)
    if not any(tree.at_n(n).is_over for n in again):
        raise InvalidTransition(f"nothing of tree {tree.id} is to be run again")
    over = {n for n in again if tree.at_n(n).is_over}
    blocked = _groups_above(tree, over)
    tasks = list(tree.live())
    runs = [t for t in tasks if not t.is_group and _would_run(t, over, blocked)]
    return Plan(
        tuple(t.spec.id for t in tasks if t.n in over),
        tuple(t.spec.id for t in runs),
        tuple(
            t.spec.id
            for t in tasks
            if not t.is_group and t.n not in over and isinstance(t.phase, Completed)
        ),
    )


def rerun(
    tree: Tree, way: str, stamp: Stamp, *, ids: Sequence[str] = (), reason: str = ""
) -> list[e.AnyEvent]:
    """The tasks of the `plan` begin their next generation, in place, and the tree goes on."""
    reopened: list[e.AnyEvent] = [
        e.TaskReopened(
            at=stamp.at, by=stamp.by, cause=stamp.cause,
            task=id, generation=tree.at_n(tree.index[id]).generation + 1,
        )
        for id in plan(tree, way, ids).reopened
    ]  # fmt: skip
    return [
        *reopened,
        e.TreeReopened(at=stamp.at, by=stamp.by, cause=stamp.cause, reason=reason),
    ]


def _asked(tree: Tree, way: str, ids: Sequence[str]) -> set[int]:
    if way not in WAYS:
        raise InvalidInput(f"there is no re-run of {way!r}; there are {', '.join(WAYS)}")
    if (way == FROM) != bool(ids):
        raise InvalidInput("`from` names the tasks to run again, and only `from` does")
    if not tree.submitted:
        raise InvalidTransition(f"tree {tree.id} is a draft: it has not run yet")
    match way:
        case "failed":
            return {t.n for t in tree.live() if not t.is_group and t.status in _BAD}
        case "all":
            return {t.n for t in tree.live()}
        case _:
            return _onwards(tree, [_named(tree, id).n for id in ids])


_BAD = ("failed", "cancelled")


def _named(tree: Tree, id: str) -> Task:
    task = tree.task(id) or tree.by_key(id)
    if task is None:
        raise InvalidInput(f"tree {tree.id} has no task {id!r}")
    return task


def _onwards(tree: Tree, todo: list[int]) -> set[int]:
    """These tasks and all that comes after them, over optional edges and groups too."""
    found = set(todo)
    whole = [n for n in todo if tree.at_n(n).is_group]
    after = list(todo)

    def add(numbers: Iterable[int], *, with_members: bool = False) -> None:
        for n in numbers:
            if with_members and tree.at_n(n).is_group and n not in opened:
                opened.add(n)
                whole.append(n)
            if n not in found:
                found.add(n)
                after.append(n)

    opened = set(whole)
    while after or whole:
        if whole:
            add(tree.at_n(whole.pop()).members or (), with_members=True)
            continue
        task = tree.at_n(after.pop())
        add((edge >> 1 for edge in task.dependents or ()), with_members=True)
        if task.parent >= 0 and tree.at_n(task.parent).is_group:
            add((task.parent,))
    return found


def _require_possible(tree: Tree, again: set[int]) -> None:
    for n in again:
        task = tree.at_n(n)
        if not task.is_group and task.status == "in_progress":
            raise InvalidTransition(
                f"task {task.spec.label} of tree {tree.id} is in progress. "
                "Wait for its end, or cancel it first."
            )
    if tree.cancelling and not tree.settled:
        raise InvalidTransition(f"tree {tree.id} is being cancelled. Wait until it has settled.")


def _groups_above(tree: Tree, over: set[int]) -> set[int]:
    """Adds the groups that ended and get an open child again; returns what stays blocked."""
    while True:
        blocked = _blocked(tree, over)
        groups = {
            task.parent
            for task in tree.live()
            if task.parent >= 0 and (task.n in over or _is_open(task, blocked))
        }
        new = {n for n in groups - over if tree.at_n(n).is_group and tree.at_n(n).is_over}
        if not new:
            return blocked
        over |= new


def _is_open(task: Task, blocked: set[int]) -> bool:
    return not task.is_over and task.n not in blocked


def _blocked(tree: Tree, over: set[int]) -> set[int]:
    """What would still be blocked once the tasks in ``over`` are open again."""
    todo = [t.n for t in tree.live() if t.n not in over and t.status in _BAD]
    found = set[int]()
    for n in todo:  # grows
        task = tree.at_n(n)
        behind = [edge >> 1 for edge in task.dependents or () if edge & 1]
        if task.is_group and n in found:
            behind.extend(task.members or ())
        for m in behind:
            if m not in found and (m in over or isinstance(tree.at_n(m).phase, Pending)):
                found.add(m)
                todo.append(m)
    return found


def _would_run(task: Task, over: set[int], blocked: set[int]) -> bool:
    if task.n in blocked:
        return False
    return task.n in over or isinstance(task.phase, Pending)
