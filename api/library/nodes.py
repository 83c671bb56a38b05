"""What the Python API hands out: tasks as read, and the tree of nodes that callers build."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ...projections.views import TaskView
from .old_names import AdvisesOnOldMembers


class TaskStatus:
    """The five public statuses, as strings."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @classmethod
    def is_terminal(cls, status: str) -> bool:
        """Whether a task with this status has ended."""
        return status in (cls.COMPLETED, cls.FAILED, cls.CANCELLED)

    @classmethod
    def is_active(cls, status: str) -> bool:
        """Whether a task with this status may still do something."""
        return status in (cls.PENDING, cls.IN_PROGRESS)


class Task:
    """One task as it stood when it was read. Changing an attribute changes nothing in the store.

    ``inputs``, ``params`` and ``schemas`` are dicts; ``result`` any JSON value, None unless it
    completed; ``error`` a message, None unless it failed; times are aware datetimes or None.
    ``has_children`` is None where the task was read without its tree.
    """

    def __init__(self, view: TaskView, *, has_children: bool | None = None) -> None:
        decode = msgspec.json.decode
        self.id = view.id
        self.key = view.key
        self.name = view.name
        self.parent_id = view.parent_id
        self.task_tree_id = view.tree_id
        self.user_id = view.user_id
        self.status = view.status
        self.draft = view.draft
        self.priority = view.priority
        self.dependencies: list[dict[str, Any]] = [
            {"id": d.on, "required": d.required} for d in view.dependencies
        ]
        self.inputs: dict[str, Any] = decode(view.inputs)
        self.params: dict[str, Any] = decode(view.params)
        self.schemas: dict[str, Any] = decode(view.schemas)
        self.result: Any = view.value()
        self.error: str | None = (view.error.message or view.error.type) if view.error else None
        self.error_type: str | None = view.error.type if view.error else None
        self.progress = view.progress
        self.attempt = view.attempt
        self.created_at = _time(view.created_at)
        self.started_at = _time(view.started_at)
        self.completed_at = _time(view.completed_at)
        self.updated_at = self.completed_at or self.started_at or self.created_at
        self.has_children = has_children

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values; times as ISO 8601 text."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in vars(self).items()
        }

    output = to_dict

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.name!r} {self.status}>"


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def tasks_of(views: Sequence[TaskView]) -> list[Task]:
    """All tasks of one tree, which know whether they have children."""
    parents = {view.parent_id for view in views}
    return [Task(view, has_children=view.id in parents) for view in views]


class TaskTreeNode(AdvisesOnOldMembers):
    """A task and the nodes below it: how callers say what the tree looks like."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.children: list[TaskTreeNode] = []

    def add_child(self, node: "TaskTreeNode") -> None:
        """Put ``node``, with all below it, under this one."""
        self.children.append(node)

    def has_children(self) -> bool:
        """Whether any node stands below this one."""
        return bool(self.children)

    def __iter__(self) -> Iterator["TaskTreeNode"]:
        """This node and all below it, parents before their children."""
        todo = [self]
        while todo:
            node = todo.pop()
            yield node
            todo.extend(reversed(node.children))

    def calculate_progress(self) -> float:
        """The mean over the leaves' progress, each child counting alike; a leaf's own."""
        done: dict[int, float] = {}
        for node in reversed(list(self)):
            parts = [done[id(child)] for child in node.children]
            done[id(node)] = sum(parts) / len(parts) if parts else float(node.task.progress)
        return done[id(self)]

    def calculate_status(self) -> str:
        """Over the children: failed if one failed, completed if all did; a leaf's own."""
        if not self.children:
            return self.task.status
        states = {child.task.status for child in self.children}
        if states == {TaskStatus.COMPLETED}:
            return TaskStatus.COMPLETED
        for status in (TaskStatus.FAILED, TaskStatus.IN_PROGRESS):
            if status in states:
                return status
        return TaskStatus.PENDING

    def to_list(self) -> list["TaskTreeNode"]:
        """All nodes, parents before their children."""
        return list(self)

    def output(self) -> dict[str, Any]:
        """Nested ``{"task": …, "children": […]}``."""
        made: dict[int, dict[str, Any]] = {}
        for node in reversed(list(self)):
            children = [made.pop(id(child)) for child in node.children]
            made[id(node)] = {"task": node.task.to_dict(), "children": children}
        return made[id(self)]

    def output_list(self) -> list[dict[str, Any]]:
        """The tasks of all nodes as dicts, parents before their children."""
        return [node.task.to_dict() for node in self]


def tree_of(tasks: list[Task]) -> TaskTreeNode:
    """The node tree that the tasks' parents make; exactly one has none."""
    nodes = {task.id: TaskTreeNode(task) for task in tasks}
    roots = []
    for task in tasks:
        if task.parent_id is None:
            roots.append(nodes[task.id])
        else:
            nodes[task.parent_id].add_child(nodes[task.id])
    return roots[0]
