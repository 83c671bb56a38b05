"""The state of one tree: the fold of its stream. Only `evolve` changes it.

Tasks are numbered in creation order; inside the state they are known by that number ``n``.
"""

from collections.abc import Iterable
from typing import assert_never

from msgspec import Raw, Struct

from .specs import ErrorInfo, ExecutorRef, TaskSpec, TreeOptions

NONE, GROUP_KIND = -1, -2
"""`Task.kind` where it is no index into the tree's executors: no executor found, or a group."""


class Pending(Struct, frozen=True, gc=False):
    """Not started, or waiting for its next attempt."""


class Running(Struct, frozen=True, gc=False):
    """An attempt is under way; ``called`` is false for a group."""

    attempt: int
    called: bool


class Waiting(Struct, frozen=True, gc=False):
    """It waits, without a slot: until a time, or for ``signal`` with ``until`` as its timeout.

    ``since`` is when it began to wait; with ``absolute`` the time was named, else a span.
    """

    attempt: int
    until: str | None
    signal: str | None
    absolute: bool
    since: str


class Completed(Struct, frozen=True, gc=False):
    """``result`` is the JSON, or ``blob`` names it by SHA-256."""

    result: Raw | None
    blob: str | None


class Failed(Struct, frozen=True, gc=False):
    """Ended badly."""

    error: ErrorInfo


class Cancelled(Struct, frozen=True, gc=False):
    """Ended on request."""

    reason: str


class Backoff(Struct, frozen=True, gc=False):
    """The next attempt may start at ``due``; the last one failed at ``since``."""

    due: str
    since: str


Phase = Pending | Running | Waiting | Completed | Failed | Cancelled
PENDING = Pending()
GOOD, BY_CANCEL, BY_FAILURE = 0, 1, 2
"""How badly a task has ended, or what blocks it: the worse one counts."""


class Task(Struct, gc=False):
    """A task's place in the graph and in its life.

    ``needs`` counts what still has to happen before it may start: dependencies not satisfied, and
    the closed gate of the group it is in (``gate``). ``blocker`` is the task that made it blocked,
    -1 if none did, ``harm`` how badly that one ended. Edges in ``dependents`` are
    ``n << 1 | required``. ``failures`` and ``interruptions`` count within the generation;
    ``ready_at`` is kept where there is a deadline. ``ended`` is the version of its end, 0 before.
    ``first_bad`` and ``first_failed`` are children of a group.
    """

    n: int
    spec: TaskSpec
    parent: int = -1
    kind: int = NONE
    phase: Phase = PENDING
    attempt: int = 0
    generation: int = 1
    failures: int = 0
    interruptions: int = 0
    needs: int = 0
    gate: int = -1
    blocker: int = -1
    harm: int = GOOD
    open_children: int = 0
    first_bad: int = -1
    first_failed: int = -1
    ended: int = 0
    dependents: list[int] | None = None
    children: list[int] | None = None
    members: list[int] | None = None
    checkpoint: Raw | None = None
    backoff: Backoff | None = None
    ready_at: str = ""

    @property
    def blocked(self) -> bool:
        """Pending for ever, because something it requires ended badly."""
        return self.blocker >= 0

    @property
    def is_group(self) -> bool:
        """No executor, but children: it ends when they have."""
        return self.kind == GROUP_KIND

    @property
    def is_over(self) -> bool:
        """Completed, failed or cancelled."""
        return isinstance(self.phase, Completed | Failed | Cancelled)

    @property
    def status(self) -> str:
        """The public status."""
        match self.phase:
            case Pending():
                return "pending"
            case Running() | Waiting():
                return "in_progress"
            case Completed():
                return "completed"
            case Failed():
                return "failed"
            case Cancelled():
                return "cancelled"
            case _ as never:
                assert_never(never)


class Tree:
    """The fold of one stream. Read it freely; only `evolve` writes, and who looks up ``listeners``.

    ``ready`` holds the tasks that could start now, in the order in which they became ready;
    ``delayed`` those whose next attempt has its time; ``fresh`` and ``armed`` what became ready or
    was given a time since somebody last emptied these lists; ``due`` the groups that have to start
    or end; ``waiting`` what waits without a slot; ``deadlines`` the open tasks that have become
    ready and have one; these two and ``delayed`` with the version that gave them their time;
    ``cancels`` running tasks that are to end, with the reason; ``orphans`` those that began
    under a former engine; ``blobs`` counts the large results; ``open`` the tasks that have not
    ended. ``signals`` are those that nobody waited for yet: (id, payload) by name;
    ``signal_ids`` have the mark of each that ever came; ``listeners`` the tasks that wait for each
    name, from when a signal first asks for them. ``keyed`` and ``timed``: some task has a
    concurrency key, a deadline.
    """

    __slots__ = (
        "adopted_into", "armed", "at", "blobs", "cancelled", "cancelling", "cancels", "deadlines",
        "delayed", "due", "engine", "epoch", "executors", "failed", "fresh", "id", "index", "keyed",
        "keys", "listeners", "name", "open", "options", "orphans", "owner", "paused", "ready",
        "refused", "released", "running", "settled", "signal_ids", "signals", "submitted", "tasks",
        "timed", "uid", "version", "waiting",
    )  # fmt: skip

    def __init__(self, id: str) -> None:
        self.id = id
        self.version = 0
        self.at = ""
        self.uid = ""
        self.name = ""
        self.owner: str | None = None
        self.options = TreeOptions()
        self.tasks: list[Task | None] = []
        self.index: dict[str, int] = {}
        self.keys: dict[str, int] = {}
        self.executors: tuple[ExecutorRef, ...] = ()
        self.submitted = False
        self.adopted_into = ""
        self.settled = ""
        self.engine = ""
        self.epoch = 0
        self.released = True
        self.paused = False
        self.cancelling = False
        self.keyed = False
        self.timed = False
        self.ready: dict[int, None] = {}
        self.delayed: dict[int, int] = {}
        self.fresh: list[int] = []
        self.armed: list[int] = []
        self.due: dict[int, None] = {}
        self.running: dict[int, None] = {}
        self.waiting: dict[int, int] = {}
        self.deadlines: dict[int, int] = {}
        self.cancels: dict[int, str] = {}
        self.orphans: dict[int, None] = {}
        self.signals: dict[str, list[tuple[str, Raw]]] = {}
        self.signal_ids: dict[str, bytes] = {}
        self.listeners: dict[str, list[int]] | None = None
        self.open = 0
        self.failed = 0
        self.cancelled = 0
        self.blobs = 0
        self.refused: dict[int, int] = {}

    @property
    def is_draft(self) -> bool:
        """Whether tasks may still be added, changed or removed."""
        return self.version > 0 and not self.submitted and not self.adopted_into

    def task(self, id: str) -> Task | None:
        """The task by its id, none if there is none (any more)."""
        n = self.index.get(id)
        return None if n is None else self.tasks[n]

    def by_key(self, key: str) -> Task | None:
        """The task by what its client called it."""
        n = self.keys.get(key)
        return self.task(key) if n is None else self.tasks[n]

    def at_n(self, n: int) -> Task:
        """The task by number; it must exist."""
        task = self.tasks[n]
        assert task is not None
        return task

    def live(self) -> Iterable[Task]:
        """All tasks that were not removed, in creation order."""
        return (task for task in self.tasks if task is not None)

    def executor_of(self, task: Task) -> str | None:
        """The id of the executor that was chosen for ``task``; none for groups and the unknown."""
        return self.executors[task.kind].id if task.kind >= 0 else None


def nearest_group(tree: Tree, task: Task) -> Task | None:
    """The closest group above ``task``: the one whose dependencies hold for it."""
    n = task.parent
    while n >= 0:
        above = tree.at_n(n)
        if above.is_group:
            return above
        n = above.parent
    return None


def is_descendant(tree: Tree, n: int, above: int) -> bool:
    """Whether task ``n`` stands somewhere below task ``above``."""
    while n >= 0:
        n = tree.at_n(n).parent
        if n == above:
            return True
    return False
