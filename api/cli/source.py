"""Where commands get what they show, and who carries out what they ask: a store here, or a server.

Commands render documents, whichever of the two it is.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Raw, Struct

from ...domain.errors import NotFound
from ..documents import (
    Page,
    PlanDocument,
    Submitted,
    TaskDocument,
    TaskInFull,
    TreeDocument,
    WholeTree,
    Why,
)
from ..problems import AmbiguousId
from ..told import Event

CANDIDATES = 10
"""So many ids are named where the beginning of one is not enough."""


class When(Struct, frozen=True):
    """Now, or a version of a tree, or a time."""

    version: int | None = None
    at: str | None = None


NOW = When()


class Steered(Struct, frozen=True):
    """What a command came to: the tree behind it, and its version then.

    ``undriven``: nobody runs the tree.
    """

    tree: TreeDocument
    version: int
    undriven: bool = False


class Source(Protocol):
    """What commands need."""

    @property
    def place(self) -> str:
        """As it may be shown and named."""

    def command(self, *words: str) -> str:
        """A command line that leads here too."""

    def tree_id(self, prefix: str) -> str:
        """The id of the one tree that begins so. Raises `NotFound`, `AmbiguousId`."""

    def trees(self, *, status: str | None, drafts: bool, limit: int, after: str | None) -> Page:
        """A page of trees, newest first."""

    def task_alone(self, id: str) -> TaskInFull | None:
        """The task of this id, unless a tree has it."""

    def task_then(self, task: TaskInFull, when: When) -> TaskInFull:
        """A task as it stood. Raises `NotFound`."""

    def tree(self, id: str) -> TreeDocument:
        """A tree without its tasks."""

    def whole(self, id: str, when: When = NOW) -> WholeTree:
        """A tree with its tasks and their results."""

    def outline(self, id: str) -> Sequence[TaskDocument]:
        """The tasks of a tree; with their results only where that costs nothing."""

    def full(self, id: str) -> TaskDocument | None:
        """A task with its result or error."""

    def events(self, tree: str, after: int, limit: int | None) -> Iterator[Event]:
        """The history behind a version."""

    def follow(self, tree: str, after: int) -> AsyncGenerator[Event, None]:
        """The history behind a version and what comes, until the tree has settled."""

    def steer(self, tree: str, name: str, said: Mapping[str, Any]) -> Steered:
        """Have cancel, pause, unpause, rerun or signal carried out."""

    def plan(self, tree: str, way: str, tasks: Sequence[str]) -> PlanDocument:
        """What a re-run would come to, as ids."""

    def why(self, tree: str, task: str | None) -> Sequence[Why]:
        """Why a task runs or does not; without one each that has not ended."""

    def submit(self, body: bytes, key: str | None) -> Submitted:
        """Make a tree and start it."""

    def close(self) -> None:
        """Let go of what leads there."""


def one_of(prefix: str, found: Sequence[str]) -> str:
    """The only id of those that begin so. Raises `NotFound`, `AmbiguousId`."""
    if not found:
        raise NotFound("tree", prefix)
    if len(found) > 1:
        raise AmbiguousId(prefix, tuple(found[:CANDIDATES]), len(found) > CANDIDATES)
    return found[0]


def payload_of(said: Mapping[str, Any]) -> Raw | None:
    """The payload of a signal, if it has one."""
    found: Raw | None = said.get("payload")
    return found
