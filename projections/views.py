"""What readers get: trees and tasks as they stand, and the port that finds them."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

from ..domain.events import Recorded
from ..domain.specs import Dependency, ErrorInfo


class TreeView(Struct, kw_only=True):
    """A tree's row.

    ``phase`` is draft, submitted, settled or adopted; ``status`` the public one. ``paused``:
    nothing new starts in it.
    """

    num: int
    id: str
    uid: str
    name: str
    user_id: str | None
    phase: str
    status: str
    version: int
    engine: str
    epoch: int
    released: bool
    created_at: str
    updated_at: str
    completed_at: str | None
    paused: bool
    request: str | None = None
    """`Request.key` of the request that made it."""
    origin: str | None = None
    """The tree that it was copied from."""

    @property
    def is_draft(self) -> bool:
        """Not submitted yet."""
        return self.phase == "draft"


class TaskView(Struct, kw_only=True):
    """A task's row, its specification and how far it is.

    ``policy`` is a JSON object with what it asks for otherwise than usual. ``result`` is JSON as
    bytes and there only where it completed; ``error`` only where it failed or was cancelled.
    """

    id: str
    tree_id: str
    n: int
    key: str
    name: str
    parent_id: str | None
    user_id: str | None
    priority: int
    dependencies: tuple[Dependency, ...]
    inputs: Raw
    params: Raw
    schemas: Raw
    policy: Raw
    created_at: str
    status: str
    attempt: int
    generation: int
    progress: float
    message: str
    started_at: str | None
    completed_at: str | None
    draft: bool
    result: Raw | None = None
    error: ErrorInfo | None = None

    def value(self) -> Any:
        """The result as Python values; None where there is none."""
        return None if self.result is None else msgspec.json.decode(self.result)


class AttemptView(Struct, frozen=True, kw_only=True):
    """One line of the timeline. ``outcome`` is None while it runs."""

    task: str
    generation: int
    attempt: int
    started_at: str
    ended_at: str | None
    outcome: str | None


class ReadModel(Protocol):
    """Queries over the status rows. Blocking; any thread may call."""

    def tree(self, id: str) -> TreeView | None:
        """A tree by id."""

    def task(self, id: str) -> TaskView | None:
        """A task by id, with its result or error."""

    def tasks(
        self,
        tree: str,
        *,
        results: bool = True,
        after: int | None = None,
        limit: int | None = None,
        status: str | None = None,
    ) -> Sequence[TaskView]:
        """The tasks of a tree in creation order: all, or those in a state.

        ``after`` is the ``n`` of the last one seen, ``limit`` how many there are to be at most.
        """

    def tasks_by_id(self, ids: Sequence[str]) -> Sequence[TaskView]:
        """Those of these tasks that exist, in any order, with their results or errors."""

    def trees(
        self,
        *,
        status: str | None = None,
        owner: str | None = None,
        phase: str | None = None,
        name: str | None = None,
        executor: str | None = None,
        error: str | None = None,
        since: str | None = None,
        until: str | None = None,
        before: int | None = None,
        limit: int = 20,
    ) -> Sequence[TreeView]:
        """Newest first, adopted ones left out; ``before`` is the ``num`` of the last one seen.

        ``name`` is contained in the tree's; a task of it names ``executor``; one failed with an
        error of the type ``error``; it was created from ``since`` on and before ``until``.
        """

    def tree_of_request(self, key: str) -> TreeView | None:
        """The tree that a request with this `Request.key` made."""

    def find(
        self,
        *,
        owner: str | None = None,
        status: str | None = None,
        parent: str | None = None,
        roots: bool = False,
        limit: int = 100,
        offset: int = 0,
        order: str = "created_at",
        descending: bool = True,
    ) -> Sequence[TaskView]:
        """Tasks over all trees; ``order`` is created_at, priority, name or status."""

    def counts(self, *, owner: str | None = None, roots: bool = False) -> dict[str, int]:
        """How many tasks there are over all trees, by status; only those that are not zero."""

    def parents(self, ids: Sequence[str]) -> set[str]:
        """Which of these tasks have others below them."""

    def ids_by_key(self, tree: str, keys: Sequence[str]) -> dict[str, str]:
        """The ids of those tasks of a tree that have these keys."""

    def ids_like(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """Ids of trees (adopted ones left out) that begin with ``prefix``."""

    def taken(self, ids: Sequence[str]) -> Sequence[str]:
        """Which of these task ids exist."""

    def owner_and_tree(self, ids: Sequence[str]) -> dict[str, tuple[str | None, str]]:
        """For each of these task ids that exists: its owner and its tree."""

    def history(
        self,
        tree: str,
        *,
        after: int = 0,
        before: int | None = None,
        topics: Sequence[str] | None = None,
        limit: int = 1000,
        descending: bool = False,
    ) -> Sequence[Recorded]:
        """Events of a tree between two versions, both left out; only those of ``topics``."""

    def attempts(self, tree: str) -> Sequence[AttemptView]:
        """The timeline of a tree, as far as the projection has come."""
