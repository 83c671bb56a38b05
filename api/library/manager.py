"""TaskManager: runs trees of tasks to their end."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from ...domain import events as e
from ...domain.errors import InvalidInput, InvalidTransition, NotFound
from ..running import run_to_end
from ..steering import command_of, steer
from ..stores import Store
from ..wiring import tree_hooks
from .nodes import TaskTreeNode, tree_of
from .old_names import AdvisesOnOldMembers, instead_of_argument
from .repository import TaskRepository
from .sessions import Session
from .shape import shape
from .streaming import StreamingCallbacks

log = logging.getLogger("aipartnerupflow.library")


class TaskManager(AdvisesOnOldMembers):
    """Checks dependencies, starts what is ready by priority, keeps every step in the log.

    ``db`` is what `create_session` returns. Belongs to no event loop: it may be used from several
    loops, one after the other or at once.
    """

    def __init__(self, db: Session, root_task_id: str | None = None, **unknown: Any) -> None:
        if unknown:
            raise InvalidInput(
                "; ".join(
                    f"TaskManager has no argument {name}: {instead_of_argument(name)}"
                    for name in sorted(unknown)
                )
            )
        if not isinstance(db, Session):
            raise InvalidInput("TaskManager takes what create_session() returns")
        self.db = db
        self.stream = False
        self.task_repository = TaskRepository(db.store)
        self.streaming_callbacks = StreamingCallbacks(root_task_id)

    async def distribute_task_tree(
        self, task_tree: TaskTreeNode, use_callback: bool = True
    ) -> TaskTreeNode:
        """Run the tree; returns its nodes, as they stand then, once it is settled.

        At once where it is settled already. A task that fails does not raise; a tree that cannot
        be run does: `InvalidGraph`. Cancelling the call leaves the tree interrupted and resumable.
        """
        store = self.db.store
        tree_id = await self.task_repository.run(lambda: shape(store, task_tree))
        observers = [] if use_callback is False else self._observers(tree_id)
        hooks = _TreeHooks(self.task_repository, tree_id)
        was_run_here = await run_to_end(store, tree_id, observers, before=hooks.created)
        settled = tree_of(await self.task_repository.get_all_tasks_in_tree(tree_id))
        if was_run_here:
            await hooks.ended(settled, store.tree(tree_id).status)
        return settled

    async def distribute_task_tree_with_streaming(
        self, task_tree: TaskTreeNode, use_callback: bool = True
    ) -> None:
        """`distribute_task_tree`, telling every step to ``streaming_callbacks``."""
        self.stream = True
        try:
            await self.distribute_task_tree(task_tree, use_callback)
        finally:
            self.stream = False

    async def cancel_task(self, task_id: str, error_message: str | None = None) -> dict[str, Any]:
        """Cancel a task, or all below it where it is a group; returns when it has ended.

        ``{"status": "cancelled" | "failed", "message": …}``: failed where it had ended before, or
        still reported a result. Raises `NotFound`.
        """
        store = self.db.store
        view = await asyncio.to_thread(store.reads.task, task_id)
        if view is None:
            raise NotFound("task", task_id)
        said = {"task": task_id, "reason": error_message or "Cancelled by user"}
        try:
            await steer(store, command_of(store, view.tree_id, "cancel", said))
        except InvalidTransition as error:
            return {"status": "failed", "message": str(error)}
        status = await _ended(store, task_id)
        message = error_message if status == "cancelled" and error_message else f"it {status}"
        return {"status": "cancelled" if status == "cancelled" else "failed", "message": message}

    def _observers(self, tree: str) -> Sequence[Callable[[Sequence[e.AnyEvent]], None]]:
        callbacks = self.streaming_callbacks
        if not callbacks.listening:
            return ()
        return (lambda facts: callbacks.observe(tree, facts),)


async def _ended(store: Store, task: str) -> str:
    """The status to which a task comes that was asked to end."""
    while True:
        position = store.journal.position()
        view = await asyncio.to_thread(store.reads.task, task)
        if view is None or view.status in ("completed", "failed", "cancelled"):
            return "is gone" if view is None else view.status
        await store.feed.changed(position)


class _TreeHooks:
    """Calls the hooks registered with `register_task_tree_hook`: once a tree, errors are logged."""

    def __init__(self, repository: TaskRepository, tree: str) -> None:
        self._repository = repository
        self._tree = tree

    async def created(self) -> None:
        """The tree is about to be submitted."""
        if not (tree_hooks("on_tree_created") or tree_hooks("on_tree_started")):
            return
        root = await self._repository.build_task_tree(self._tree)
        await call_hooks("on_tree_created", root.task, root)
        await call_hooks("on_tree_started", root.task)

    async def ended(self, root: TaskTreeNode, status: str) -> None:
        """The tree has settled."""
        if status == "completed":
            await call_hooks("on_tree_completed", root.task, status)
        else:
            await call_hooks("on_tree_failed", root.task, f"Tree finished with status: {status}")


async def call_hooks(event: str, *arguments: Any) -> None:
    """Call every hook of ``event``, plain or async, in the order in which they were registered."""
    for hook in tree_hooks(event):
        try:
            answer = hook(*arguments)
            if hasattr(answer, "__await__"):
                await answer
        except Exception:  # foreign code: a hook never fails a tree
            log.exception("a hook for %s failed", event)
