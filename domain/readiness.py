"""What may start and what never will: kept up by counters as tasks end.

Each edge of the graph is looked at once per ending, and once more where a task that something
cancelled blocks turns out to be blocked by a failure too; whatever the size of the tree.
"""

from collections.abc import Iterator

from .tree import (
    BY_CANCEL,
    BY_FAILURE,
    GOOD,
    PENDING,
    Cancelled,
    Completed,
    Failed,
    Task,
    Tree,
    is_descendant,
    nearest_group,
)


def wire(tree: Tree) -> None:
    """Turn ids into numbers: children, gates, edges and what each task still needs."""
    index, tasks = tree.index, tree.tasks
    for task in tree.live():
        if task.spec.parent is not None:
            task.parent = index[task.spec.parent]
            parent = tree.at_n(task.parent)
            parent.children = _with(parent.children, task.n)
            parent.open_children += 1
    for task in tree.live():
        group = nearest_group(tree, task)
        if group is not None:
            task.gate = group.n
            task.needs += 1
            group.members = _with(group.members, task.n)
        for dependency in task.spec.dependencies:
            n = index[dependency.on]
            if task.is_group and is_descendant(tree, n, task.n):
                continue
            other = tasks[n]
            assert other is not None
            other.dependents = _with(other.dependents, task.n << 1 | dependency.required)
            task.needs += 1


def _with(numbers: list[int] | None, n: int) -> list[int]:
    if numbers is None:
        return [n]
    numbers.append(n)
    return numbers


def rewire(tree: Tree) -> None:
    """Work everything out again from the phases, after tasks were reopened."""
    for task in tree.live():
        task.needs = int(task.gate >= 0)
        task.blocker, task.harm = -1, GOOD
        task.open_children = len(task.children or ())
        task.first_bad = task.first_failed = -1
    for task in tree.live():
        for edge in task.dependents or ():
            tree.at_n(edge >> 1).needs += 1
    tree.open = sum(1 for _ in tree.live())
    for dead in (tree.ready, tree.due):
        dead.clear()
    tree.fresh.clear()
    became_ready(tree, [task.n for task in tree.live() if task.needs == 0])
    for task in sorted((t for t in tree.live() if t.is_over), key=_end_of):
        ended(tree, task.n)
    for n in list(tree.deadlines):
        if tree.at_n(n).phase is PENDING and tree.at_n(n).needs:
            _forget_deadline(tree, n)


def _end_of(task: Task) -> int:
    return task.ended


def became_ready(tree: Tree, numbers: list[int]) -> None:
    """Nothing is missing for these any more: tasks queue up, groups let their members through."""
    for n in numbers:  # grows while it is walked
        task = tree.at_n(n)
        if not task.is_group:
            if task.phase is PENDING:
                _queue(tree, task)
            continue
        for m in task.members or ():
            member = tree.at_n(m)
            member.needs -= 1
            if member.needs == 0 and not member.blocked:
                numbers.append(m)
        if task.open_children == 0 and not task.is_over:
            tree.due[n] = None


def pending_again(tree: Tree, n: int) -> None:
    """An attempt of task ``n`` is over, and another one follows: at once, or once all is there.

    Something that it waited for may have been reopened while it ran.
    """
    if tree.at_n(n).needs:
        _forget_deadline(tree, n)
    else:
        became_ready(tree, [n])


def _forget_deadline(tree: Tree, n: int) -> None:
    """It had been ready, but something that it depends on is to be done again."""
    tree.deadlines.pop(n, None)
    tree.at_n(n).ready_at = ""


def _queue(tree: Tree, task: Task) -> None:
    if task.backoff is None:
        tree.ready[task.n] = None
        tree.fresh.append(task.n)
    else:
        tree.armed.append(task.n)
    if tree.timed and task.spec.policy.deadline is not None and not task.ready_at:
        task.ready_at = tree.at
        tree.deadlines[task.n] = tree.version
        tree.armed.append(task.n)


def ended(tree: Tree, n: int) -> None:
    """Task ``n`` is terminal: let its dependents through or block them, and tell the groups."""
    over, ready = [n], list[int]()
    worse: list[int] = []
    for m in over:  # grows by what becomes blocked
        task = tree.at_n(m)
        tree.open -= 1
        task.harm = harm = _harm(task)
        for edge in task.dependents or ():
            dependent = tree.at_n(edge >> 1)
            if harm and edge & 1:
                _block(tree, dependent, m, harm, over, worse)
            elif not dependent.blocked:
                dependent.needs -= 1
                if dependent.needs == 0:
                    ready.append(dependent.n)
        if task.is_group and task.blocked:
            for member in _members(tree, task):
                _block(tree, member, m, harm, over, worse)
        if task.parent >= 0:
            _child_ended(tree, tree.at_n(task.parent), task)
    if worse:
        _worsen(tree, worse)
    if ready:
        became_ready(tree, ready)


def _harm(task: Task) -> int:
    match task.phase:
        case Completed():
            return GOOD
        case Failed():
            return BY_FAILURE
        case Cancelled():
            return BY_CANCEL
        case _:
            return task.harm


def _block(tree: Tree, task: Task, by: int, harm: int, over: list[int], worse: list[int]) -> None:
    """Never to start, because of ``by``; a failure weighs more than a cancel.

    A group that has begun is not blocked itself, but what has not begun below it is.
    """
    todo = [task]
    for one in todo:  # grows
        if one.phase is not PENDING:
            if one.is_group:
                todo.extend(_members(tree, one))
        elif not one.blocked:
            one.blocker, one.harm = by, harm
            over.append(one.n)
        elif harm > one.harm:
            one.blocker, one.harm = by, harm
            worse.append(one.n)


def _worsen(tree: Tree, worse: list[int]) -> None:
    """What a cancel blocked turns out to be blocked by a failure: so are those behind it."""
    for m in worse:  # grows
        task = tree.at_n(m)
        for edge in task.dependents or ():
            if edge & 1:
                _block(tree, tree.at_n(edge >> 1), m, task.harm, [], worse)
        if task.is_group:
            for member in _members(tree, task):
                _block(tree, member, m, task.harm, [], worse)
        if task.parent >= 0:
            _note_bad(tree.at_n(task.parent), task)


def _members(tree: Tree, group: Task) -> Iterator[Task]:
    return (tree.at_n(m) for m in group.members or ())


def _child_ended(tree: Tree, parent: Task, child: Task) -> None:
    parent.open_children -= 1
    if not parent.is_group:
        return
    if child.harm:
        _note_bad(parent, child)
    if parent.open_children or parent.blocked or parent.is_over:
        return
    if parent.phase is not PENDING or not parent.needs:
        tree.due[parent.n] = None


def _note_bad(group: Task, child: Task) -> None:
    if group.first_bad < 0:
        group.first_bad = child.n
    if child.harm == BY_FAILURE and group.first_failed < 0:
        group.first_failed = child.n
