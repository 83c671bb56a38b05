"""`evolve`: the only thing that changes a tree's state.

Live run and replay share it, so a restart cannot differ from what it continues. The derived facts
that deciding needs (what is ready, what is blocked, which group may end) are kept up by counters:
each edge of the graph is looked at once per ending, whatever the size of the tree.
"""

from collections.abc import Iterable
from typing import assert_never

from . import events as e
from .specs import TaskSpec
from .tree import (
    GROUP_KIND,
    NONE,
    PENDING,
    Completed,
    Failed,
    Running,
    Task,
    Tree,
    is_descendant,
    nearest_group,
)


def evolve(tree: Tree, event: e.AnyEvent) -> Tree:
    """Apply one event, in place; O(1) and the edges of what ended. Returns ``tree``."""
    tree.version += 1
    tree.at = event.at
    match event:
        case e.TaskStarted():
            _started(tree, event)
        case e.TaskCompleted():
            tree.blobs += event.blob is not None
            _end(tree, event.task, event.attempt, Completed(event.result or None, event.blob))
        case e.TaskFailed():
            tree.failed += 1
            _end(tree, event.task, event.attempt, Failed(event.error))
        case e.TaskInterrupted():
            _interrupted(tree, event.task)
        case e.TaskProgressed():
            pass
        case e.TaskSaved():
            tree.at_n(tree.index[event.task]).checkpoint = event.checkpoint
        case e.TreeCreated():
            tree.uid, tree.name = event.uid, event.name
            tree.owner, tree.options = event.owner, event.options
            _add(tree, event.specs)
        case e.TasksAdded():
            _add(tree, event.specs)
        case e.TaskChanged():
            _changed(tree, event.spec)
        case e.TaskRemoved():
            _remove(tree, event.task)
        case e.TreeAdopted():
            tree.adopted_into = event.into
        case e.TreeSubmitted():
            _submitted(tree, event)
        case e.TreeClaimed():
            tree.engine, tree.epoch, tree.released = event.engine, event.epoch, False
        case e.TreeReleased():
            tree.released = True
        case e.TreeSettled():
            tree.settled = event.status
        case e.ReportRefused():
            n = tree.index[event.task]
            tree.refused[n] = tree.refused.get(n, 0) + 1
        case _ as never:
            assert_never(never)
    return tree


def fold(id: str, events: Iterable[e.AnyEvent]) -> Tree:
    """The state after ``events``, which must be a stream from its first event on."""
    tree = Tree(id)
    for event in events:
        evolve(tree, event)
    return tree


def _add(tree: Tree, specs: Iterable[TaskSpec]) -> None:
    for spec in specs:
        n = len(tree.tasks)
        tree.tasks.append(Task(n, spec))
        tree.index[spec.id] = n
        if spec.key:
            tree.keys[spec.key] = n


def _changed(tree: Tree, spec: TaskSpec) -> None:
    n = tree.index[spec.id]
    task = tree.at_n(n)
    if task.spec.key:
        del tree.keys[task.spec.key]
    if spec.key:
        tree.keys[spec.key] = n
    task.spec = spec


def _remove(tree: Tree, id: str) -> None:
    n = tree.index.pop(id)
    task = tree.at_n(n)
    if task.spec.key:
        del tree.keys[task.spec.key]
    tree.tasks[n] = None


def _submitted(tree: Tree, event: e.TreeSubmitted) -> None:
    tree.submitted = True
    tree.executors = event.executors
    for task, of in zip(tree.live(), event.of, strict=True):
        task.kind = of if isinstance(of, int) else NONE if of is None else GROUP_KIND
    _wire(tree)
    tree.open = len(event.of)
    _became_ready(tree, [task.n for task in tree.live() if task.needs == 0])


def _wire(tree: Tree) -> None:
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


def _became_ready(tree: Tree, numbers: list[int]) -> None:
    """Nothing is missing for these any more: tasks queue up, groups let their members through."""
    for n in numbers:  # grows while it is walked
        task = tree.at_n(n)
        if not task.is_group:
            tree.ready[n] = None
            tree.fresh.append(n)
            continue
        for m in task.members or ():
            member = tree.at_n(m)
            member.needs -= 1
            if member.needs == 0 and not member.blocked:
                numbers.append(m)
        if task.open_children == 0:
            tree.due[n] = None


def _started(tree: Tree, event: e.TaskStarted) -> None:
    n = tree.index[event.task]
    task = tree.at_n(n)
    task.phase = Running(event.attempt, event.called)
    task.attempt = event.attempt
    if event.called:
        tree.running[n] = None
    tree.ready.pop(n, None)
    if task.open_children:
        tree.due.pop(n, None)
    if task.parent >= 0:
        parent = tree.at_n(task.parent)
        if parent.is_group and parent.phase is PENDING:
            tree.due[parent.n] = None


def _interrupted(tree: Tree, id: str) -> None:
    n = tree.index[id]
    task = tree.at_n(n)
    task.phase = PENDING
    task.interruptions += 1
    tree.running.pop(n, None)
    _became_ready(tree, [n])


def _end(tree: Tree, id: str, attempt: int, phase: Completed | Failed) -> None:
    n = tree.index[id]
    task = tree.at_n(n)
    task.phase = phase
    task.attempt = attempt
    task.checkpoint = None
    tree.running.pop(n, None)
    tree.ready.pop(n, None)
    tree.due.pop(n, None)
    _ended(tree, n)


def _ended(tree: Tree, n: int) -> None:
    """Task ``n`` is terminal: let its dependents through or block them, and tell the groups."""
    ended, ready = [n], list[int]()
    for m in ended:  # grows by what becomes blocked
        task = tree.at_n(m)
        tree.open -= 1
        satisfied = isinstance(task.phase, Completed)
        for edge in task.dependents or ():
            dependent = tree.at_n(edge >> 1)
            if dependent.blocked:
                continue
            if satisfied or not edge & 1:
                dependent.needs -= 1
                if dependent.needs == 0:
                    ready.append(dependent.n)
            else:
                dependent.blocker = m
                ended.append(dependent.n)
        if task.is_group and task.blocked:
            ended.extend(_block_members(tree, task))
        if task.parent >= 0:
            _child_ended(tree, tree.at_n(task.parent), task, satisfied)
    if ready:
        _became_ready(tree, ready)


def _block_members(tree: Tree, group: Task) -> Iterable[int]:
    for m in group.members or ():
        member = tree.at_n(m)
        if not member.blocked and member.phase is PENDING:
            member.blocker = group.n
            yield m


def _child_ended(tree: Tree, parent: Task, child: Task, satisfied: bool) -> None:
    parent.open_children -= 1
    if not parent.is_group:
        return
    if not satisfied and parent.first_bad < 0:
        parent.first_bad = child.n
    if parent.open_children == 0 and parent.needs == 0 and not parent.blocked:
        tree.due[parent.n] = None
