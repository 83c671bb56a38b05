"""Tasks that ended are to run again: which ones, and what comes with them."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from .. import events as e
from ..errors import InvalidInput, InvalidTransition
from ..tree import Completed, Pending, Task, Tree
from ..wording import quoted
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
    outlook = _Outlook(tree, {n for n in again if tree.at_n(n).is_over})
    outlook.reopen_groups()
    outlook.give_up_groups()
    tasks, over = list(tree.live()), outlook.over
    runs = [t for t in tasks if not t.is_group and outlook.would_run(t)]
    if not any(t.n in over for t in runs):
        raise InvalidTransition(f"nothing of tree {tree.id} is to be run again")
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
        raise InvalidInput(f"there is no re-run of {quoted(way)}; there are {', '.join(WAYS)}")
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
        raise InvalidInput(f"tree {tree.id} has no task {quoted(id)}")
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


class _Outlook:
    """What would be blocked and what could run, were the tasks in ``over`` open again.

    By task it is kept how many of those that it requires, or is in, keep it from starting for
    ever, so that each edge is looked at a few times only, however many groups are reopened.
    """

    def __init__(self, tree: Tree, over: set[int]) -> None:
        self.over = over
        self._tree = tree
        self._causes: dict[int, int] = {}
        for task in tree.live():
            if task.n not in over and task.status in _BAD:
                self._spread(_requiring(task), 1)

    def reopen_groups(self) -> None:
        """Adds to ``over`` the groups that ended and get an open child again."""
        todo = [t.n for t in self._tree.live() if t.n in self.over or self._is_open(t)]
        for n in todo:  # grows
            parent = self._tree.at_n(n).parent
            if parent >= 0 and parent not in self.over:
                group = self._tree.at_n(parent)
                if group.is_group and group.is_over:
                    todo.append(parent)
                    todo.extend(self._reopen(group))

    def give_up_groups(self) -> None:
        """What requires a group of which a child will never complete is as good as blocked."""
        given_up = set[int]()
        todo = [t.n for t in self._tree.live() if self._never_completes(t)]
        for n in todo:  # grows
            parent = self._tree.at_n(n).parent
            if parent >= 0 and parent not in given_up:
                group = self._tree.at_n(parent)
                if group.is_group and (parent in self.over or not group.is_over):
                    given_up.add(parent)
                    todo.append(parent)
                    todo.extend(self._spread(_requiring(group), 1))

    def would_run(self, task: Task) -> bool:
        """Whether it is pending, or will be, and nothing keeps it from starting for ever."""
        pending = task.n in self.over or isinstance(task.phase, Pending)
        return pending and not self._is_blocked(task)

    def _never_completes(self, task: Task) -> bool:
        bad = task.n not in self.over and task.status in _BAD
        return bad or self._is_blocked(task)

    def _is_open(self, task: Task) -> bool:
        return not task.is_over and not self._is_blocked(task)

    def _is_blocked(self, task: Task) -> bool:
        return bool(self._causes.get(task.n)) and (task.n in self.over or not task.is_over)

    def _reopen(self, group: Task) -> list[int]:
        """Returns what is free by it."""
        self.over.add(group.n)
        bad = group.status in _BAD
        if not self._is_blocked(group):
            return self._spread(_requiring(group), -1) if bad else []
        if not bad:
            self._spread(_requiring(group), 1)
        return []

    def _spread(self, numbers: Iterable[int], step: int) -> list[int]:
        """Each of these has a cause more or less; returns what changed, those behind it too."""
        changed, todo = list[int](), list(numbers)
        for n in todo:  # grows
            task = self._tree.at_n(n)
            causes, before = self._causes.get(n, 0), self._is_blocked(task)
            self._causes[n] = causes + step
            if self._is_blocked(task) != before:
                changed.append(n)
                todo.extend(_requiring(task))
            if bool(causes) != bool(causes + step):  # though it has ended, for those below it
                todo.extend(task.members or ())
        return changed


def _requiring(task: Task) -> Iterator[int]:
    return (edge >> 1 for edge in task.dependents or () if edge & 1)
