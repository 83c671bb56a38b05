"""What can be seen of the trees that run here, kept up by their events as they are committed."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from ...domain import events as e
from ...domain.specs import ErrorInfo
from ...engine.actor import Observer
from ...projections.views import TaskView, TreeView
from ..documents import TaskDocument, TreeDocument

KEPT = 20
"""So many failures and recent endings are remembered of each tree."""


class Step(Struct):
    """A transition of one task. ``seconds``: how long an attempt took that has ended."""

    tree: "Watched"
    task: str
    word: str
    attempt: int
    seconds: float | None = None
    error: ErrorInfo | None = None


class Running(Struct):
    """An attempt under way; ``since`` is monotone time. ``called`` is false for groups."""

    since: float
    attempt: int
    called: bool
    progress: float = 0.0
    message: str = ""


class Watched:
    """One tree: what its tasks are called, and how far they are."""

    def __init__(self, tell: Callable[[Step], None], started: Callable[["Watched"], None]) -> None:
        self.id = ""
        self.name = ""
        self.labels: dict[str, str] = {}
        self.parents: dict[str, str | None] = {}
        self.ended: dict[str, str] = {}
        self.took: dict[str, float] = {}
        self.running: dict[str, Running] = {}
        self.failures: list[tuple[str, ErrorInfo]] = []
        self.failed = 0
        self.latest: deque[str] = deque(maxlen=KEPT)
        self.settled = ""
        self.since = time.monotonic()
        self._tell = tell
        self._started = started

    @property
    def total(self) -> int:
        """How many tasks there are."""
        return len(self.labels)

    def known(
        self, view: TreeView | TreeDocument, tasks: Sequence[TaskView] | Sequence[TaskDocument]
    ) -> None:
        """Begin with what is stored, for a tree that is resumed, or runs elsewhere."""
        self.id, self.name = view.id, view.name
        for task in tasks:
            self.labels[task.id] = task.key
            self.parents[task.id] = task.parent_id
            if task.status in ("completed", "failed", "cancelled"):
                self.ended[task.id] = task.status
                self.failed += task.status == "failed"

    def at_work(self, tasks: Sequence[TaskDocument]) -> None:
        """What runs elsewhere; since when is only known from here on."""
        parents = set(self.parents.values())
        for task in tasks:
            if task.status == "in_progress":
                called = task.id not in parents
                self.running[task.id] = Running(
                    time.monotonic(), task.attempt, called, task.progress, task.message
                )

    def take(self, facts: Sequence[e.AnyEvent]) -> None:
        """The events of one commit. Never raises: it is called by the engine."""
        now = time.monotonic()
        for fact in facts:
            match fact:
                case e.TaskStarted():
                    self.running[fact.task] = Running(now, fact.attempt, fact.called)
                    self._tell(Step(self, fact.task, "started", fact.attempt))
                case e.TaskCompleted():
                    self._end(fact.task, fact.attempt, "completed", now)
                case e.TaskFailed():
                    self.failed += 1
                    if len(self.failures) < KEPT:
                        self.failures.append((fact.task, fact.error))
                    self._end(fact.task, fact.attempt, "failed", now, fact.error)
                case e.TaskInterrupted():
                    self.running.pop(fact.task, None)
                    self._tell(Step(self, fact.task, "interrupted", fact.attempt))
                case e.AttemptFailed():
                    running = self.running.pop(fact.task, None)
                    took = 0.0 if running is None else now - running.since
                    word = f"failed, tries again at {fact.retry_at[11:19]}"
                    self._tell(Step(self, fact.task, word, fact.attempt, took, fact.error))
                case e.TaskCancelled():
                    self._end(fact.task, fact.attempt, "cancelled", now)
                case e.TaskProgressed() if (running := self.running.get(fact.task)) is not None:
                    running.progress, running.message = fact.progress, fact.message
                case _:
                    self._tree(fact)

    def _tree(self, fact: e.AnyEvent) -> None:
        match fact:
            case e.TreeCreated():
                self.name = fact.name
                self._add(fact)
            case e.TasksAdded():
                self._add(fact)
            case e.TreeClaimed():
                self._started(self)
            case e.TreeSettled():
                self.settled = fact.status
            case e.TaskWaiting() if (running := self.running.get(fact.task)) is not None:
                running.message = _awaited(fact)
            case e.TaskReopened():
                self.failed -= self.ended.pop(fact.task, "") == "failed"
                self.failures = [each for each in self.failures if each[0] != fact.task]
            case e.TreeReopened():
                self.settled = ""
            case _:
                pass

    def _add(self, fact: e.TreeCreated | e.TasksAdded) -> None:
        for spec in fact.specs:
            self.labels[spec.id] = spec.label
            self.parents[spec.id] = spec.parent
            if spec.parent is None:
                self.id = spec.id

    def _end(
        self, task: str, attempt: int, word: str, now: float, error: ErrorInfo | None = None
    ) -> None:
        running = self.running.pop(task, None)
        seconds = 0.0 if running is None else now - running.since
        self.ended[task] = word
        self.took[task] = seconds
        self.latest.append(task)
        self._tell(Step(self, task, word, attempt, seconds, error))


class Watch:
    """All trees that run here. ``tell`` hears every step, ``started`` every tree that begins."""

    def __init__(self) -> None:
        self.trees: list[Watched] = []
        self.since = time.monotonic()
        self.tell: Callable[[Step], None] = _ignore
        self.started: Callable[[Watched], None] = _ignore

    def observer(self, view: TreeView | None = None, tasks: Sequence[TaskView] = ()) -> Observer:
        """What to give the engine for one more tree: a new one, or one that is stored already."""
        watched = Watched(lambda step: self.tell(step), self._begun)
        if view is not None:
            watched.known(view, tasks)
        return watched.take

    def join(self, tree: TreeDocument, tasks: Sequence[TaskDocument]) -> Observer:
        """A tree that runs elsewhere, as it stands; returns what takes its further events."""
        watched = Watched(lambda step: self.tell(step), self._begun)
        watched.known(tree, tasks)
        watched.at_work(tasks)
        self._begun(watched)
        return watched.take

    def _begun(self, watched: Watched) -> None:
        if not any(watched is tree for tree in self.trees):
            self.trees.append(watched)
            self.started(watched)


def _awaited(fact: e.TaskWaiting) -> str:
    until = f" until {fact.until[11:19]}" if fact.until is not None else ""
    return f"waits for {fact.signal or 'a time'}{until}"


def _ignore(_: object) -> None:
    """Nobody listens."""
