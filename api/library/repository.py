"""TaskRepository: writing drafts, reading whatever is there."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, Unpack

from ...domain import decide
from ...domain.errors import IdTaken, InvalidInput, InvalidTransition, NotFound
from ...domain.intake import read, read_one
from ...domain.specs import TaskSpec
from ..encoding import as_json
from ..policies import POLICY_FIELDS, PolicyFields
from ..stores import Store
from ..written import named
from .nodes import Task, TaskTreeNode, tasks_of, tree_of
from .old_names import AdvisesOnOldMembers

T = TypeVar("T")

_ORDERS = ("created_at", "priority", "name", "status")


class TaskRepository(AdvisesOnOldMembers):
    """Tasks of one store. Every method returns once what it wrote is durable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- writing

    async def create_task(
        self,
        name: str,
        user_id: str | None = None,
        parent_id: str | None = None,
        priority: int | None = None,
        dependencies: Sequence[str | Mapping[str, Any]] | None = None,
        inputs: Mapping[str, Any] | None = None,
        schemas: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        id: str | None = None,
        **policy: Unpack[PolicyFields],
    ) -> Task:
        """A new task in a draft: under ``parent_id``, or as the root of a tree of its own.

        ``policy``: retry, timeout and their like, as in a tree that is written as JSON.

        Dependencies name stored tasks by id; whether the graph can be run is checked when the tree
        is distributed. Takes the same time however large the tree is. Raises `InvalidGraph`,
        `InvalidInput`, `IdTaken`, `NotADraft`.
        """
        if unknown := policy.keys() - set(POLICY_FIELDS):
            raise InvalidInput(
                f"create_task has no argument {', '.join(sorted(unknown))}; put what belongs to "
                "the work into inputs, and what belongs to the executor into params"
            )
        document = {
            "name": name, "user_id": user_id, "parent_id": parent_id, "priority": priority,
            "dependencies": list(dependencies or ()), "inputs": inputs, "schemas": schemas,
            "params": params, "id": id, **policy,
        }  # fmt: skip
        written = {name: value for name, value in document.items() if value is not None}
        named(user_id, "user_id")
        spec = read_one(as_json(written, f"task {name!r}"), self._store.new_id)
        return await self.run(lambda: self._create(spec, user_id))

    def _create(self, spec: TaskSpec, user_id: str | None) -> Task:
        drafts = self._store.drafts
        tree_id = self._check_named(spec, user_id)
        try:
            if tree_id is None:
                drafts.create([spec], name=spec.name, owner=user_id)
            else:
                drafts.change(tree_id, lambda tree, stamp: decide.add(tree, [spec], stamp))
        except IdTaken as error:
            raise IdTaken([spec.id]) from error
        return self._task(spec.id)

    def _check_named(self, spec: TaskSpec, user_id: str | None) -> str | None:
        """All named tasks exist and are of one owner; the tree of the parent, if there is one."""
        named = [d.on for d in spec.dependencies]
        if spec.parent is not None:
            named.append(spec.parent)
        if not named:
            return None
        known = self._store.reads.owner_and_tree(named)
        for id in named:
            if id not in known:
                raise InvalidInput(f"task {spec.name!r} names task {id!r}, which does not exist")
            owner = known[id][0]
            if user_id is not None and owner is not None and owner != user_id:
                raise InvalidInput(f"task {spec.name!r} names task {id!r} of another user")
        if spec.parent is None:
            return None
        owner, tree_id = known[spec.parent]
        if user_id is not None and owner is None:
            raise InvalidInput(
                f"task {spec.name!r} has a user_id, but stands under {spec.parent!r}, which has "
                "no user_id: a tree has one owner. Create its root with that user_id."
            )
        return tree_id

    async def create_tasks(self, tasks: Sequence[Mapping[str, Any]]) -> list[Task]:
        """A new draft from an array of dicts, one of them without ``parent_id``, or nested.

        In one transaction; where an id is taken the whole array gets fresh ones, references mapped.
        Raises `InvalidGraph` with all faults.
        """
        documents = [as_json(task, f"task {n} of the array") for n, task in enumerate(tasks)]
        return await self.run(lambda: self._create_all(documents))

    def _create_all(self, documents: Sequence[bytes]) -> list[Task]:
        intake = read(documents, self._store.new_id)
        named(intake.owner, "user_id")
        tree = self._store.create_draft(intake)
        return self._tasks(tree.id)

    async def delete_task(self, task_id: str) -> bool:
        """Remove a draft's task and all below it. False where there is no such task.

        Raises `NotADraft` for a submitted tree, `InvalidTransition` where others depend on it and
        for the root of a tree.
        """
        return await self.run(lambda: self._delete(task_id))

    def _delete(self, task_id: str) -> bool:
        known = self._store.reads.owner_and_tree([task_id])
        if task_id not in known:
            return False
        tree_id = known[task_id][1]
        if tree_id == task_id:
            raise InvalidTransition(
                f"task {task_id} is the root of its tree and cannot be deleted: what was created "
                "stays in the log. A draft that nobody distributes does nothing."
            )
        self._store.drafts.change(tree_id, lambda tree, stamp: decide.remove(tree, task_id, stamp))
        return True

    # -- reading

    async def get_task_by_id(self, task_id: str) -> Task | None:
        """The task as it stands now; None where there is none."""
        return await self.run(lambda: self._maybe(task_id))

    async def get_child_tasks_by_parent_id(self, parent_id: str) -> list[Task]:
        """The tasks directly below ``parent_id``, in creation order."""
        tasks = await self.get_all_tasks_in_tree(parent_id)
        return [task for task in tasks if task.parent_id == parent_id]

    async def get_root_task(self, task: Task | str) -> Task | None:
        """The root of the tree that the task is in."""
        return await self.run(lambda: self._maybe(self._tree_id(task)))

    async def get_all_tasks_in_tree(self, task: Task | str) -> list[Task]:
        """All tasks of the tree that the task is in, in creation order."""
        return await self.run(lambda: self._tasks(self._tree_id(task)))

    async def build_task_tree(self, task: Task | str) -> TaskTreeNode:
        """The node tree of all stored tasks of the tree that the task is in."""
        return tree_of(await self.get_all_tasks_in_tree(task))

    async def get_all_children_recursive(self, parent_id: str) -> list[Task]:
        """All tasks below ``parent_id``, parents before their children."""
        tree = await self.build_task_tree(parent_id)
        top = next(node for node in tree if node.task.id == parent_id)
        return [node.task for node in top if node is not top]

    async def find_dependent_tasks(self, task_id: str) -> list[Task]:
        """The tasks that directly depend on ``task_id``."""
        tasks = await self.get_all_tasks_in_tree(task_id)
        return [t for t in tasks if any(d["id"] == task_id for d in t.dependencies)]

    async def get_completed_tasks_by_ids(self, task_ids: Sequence[str]) -> dict[str, Task]:
        """Those of the tasks that have completed, by id."""
        found = await self.run(lambda: [self._maybe(id) for id in task_ids])
        return {task.id: task for task in found if task and task.status == "completed"}

    async def query_tasks(
        self,
        user_id: str | None = None,
        status: str | None = None,
        parent_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
        order_by: str = "created_at",
        order_desc: bool = True,
    ) -> list[Task]:
        """Tasks over all trees. ``parent_id=""``: roots only."""
        if order_by not in _ORDERS:
            raise InvalidInput(f"order_by is one of {', '.join(_ORDERS)}")
        views = await self.run(
            lambda: self._store.reads.find(
                owner=user_id, status=status, parent=parent_id or None, roots=parent_id == "",
                limit=limit, offset=offset, order=order_by, descending=order_desc,
            )
        )  # fmt: skip
        return [Task(view) for view in views]

    # -- within

    def _maybe(self, id: str) -> Task | None:
        view = self._store.reads.task(id)
        return None if view is None else Task(view)

    def _task(self, id: str) -> Task:
        task = self._maybe(id)
        if task is None:
            raise NotFound("task", id)
        return task

    def _tasks(self, tree: str) -> list[Task]:
        return tasks_of(self._store.reads.tasks(tree))

    def _tree_id(self, task: Task | str) -> str:
        id = task if isinstance(task, str) else task.id
        known = self._store.reads.owner_and_tree([id])
        if id not in known:
            raise NotFound("task", id)
        return known[id][1]

    async def run(self, blocking: Callable[[], T]) -> T:
        """Off the loop while an engine works in this process, else at once."""
        return await asyncio.to_thread(blocking) if self._store.busy else blocking()
