"""One tree in the hands of an engine: its state, what is not yet stored, who waits for it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from ..domain.errors import ApflowError
from ..domain.events import AnyEvent
from ..domain.evolve import evolve
from ..domain.tree import Completed, Task, Tree
from .dispatch import Key
from .finishing import mark_seen
from .ports import Answered, Append, Kind
from .timers import Alarm

KEPT_BYTES = 64 << 20
"""So much of a tree's large results stays in memory."""

Observer = Callable[[Sequence[AnyEvent]], None]
"""Called in the engine's loop, after the commit, with the events of one append."""


class Actor:
    """The tree's single writer. Everything here happens in the engine's loop.

    State runs ahead of the store by exactly ``pending``; when their commit fails the whole actor is
    dropped and the state is had from the log again. ``ripe`` are tasks whose backoff is over by the
    engine's own timer: the wall clock may have been set since. ``carried_out`` are commands out of
    the inbox.
    """

    def __init__(self, tree: Tree, observers: Iterable[Observer] = ()) -> None:
        self.tree = tree
        self.stored = tree.version
        self.pending: list[AnyEvent] = []
        self.answered: list[Answered] = []
        self.carried_out: set[str] = set()
        self.new_blobs: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.places: dict[int, tuple[Kind, tuple[Key, ...]]] = {}
        self.driven = False
        self.alarms: set[tuple[int, Alarm]] = set()
        self.ripe: set[int] = set()
        self.preparing: dict[int, tuple[asyncio.Task[None], tuple[Key, ...]]] = {}
        self.observers: list[Observer] = list(observers)
        self.submission: tuple[int, str] | None = None
        """The version and the time of ``tree.submitted``, where that was decided here."""
        self._over: asyncio.Future[str] | None = None
        self._ended: str | ApflowError | None = None

    @property
    def is_lost(self) -> bool:
        """Whether this engine has given it up."""
        return isinstance(self._ended, ApflowError)

    def apply(self, facts: Sequence[AnyEvent]) -> None:
        """Take facts into the state and into what is to be stored next."""
        tree = self.tree
        for fact in facts:
            evolve(tree, fact)
        self.pending.extend(facts)

    def answer(self, command: str, outcome: bytes) -> None:
        """A command out of the inbox is carried out: its outcome is stored with what is pending."""
        self.answered.append(Answered(command, outcome))
        self.carried_out.add(command)

    def to_append(self) -> Append:
        """What is pending, as one append."""
        tree = self.tree
        return Append(
            tree.id, self.stored, tuple(self.pending), tree.index, self.new_blobs or None,
            tree.keyed, tuple(self.answered),
        )  # fmt: skip

    def committed(self) -> None:
        """What was pending is durable."""
        facts, self.pending = self.pending, []
        if self.answered:
            self.answered = []
        self.stored = self.tree.version
        if self.new_blobs:
            self._keep(self.new_blobs)
            self.new_blobs = {}
        for observer in self.observers:
            observer(facts)

    def accepted(self, facts: Sequence[AnyEvent]) -> None:
        """What was stored without being applied first is durable."""
        self.apply(facts)
        self.committed()

    def _keep(self, blobs: Mapping[str, bytes]) -> None:
        """Dependents are likely to ask soon; what is let go can be had from the store."""
        self.blobs.update(blobs)
        size = sum(map(len, self.blobs.values()))
        while size > KEPT_BYTES:
            size -= len(self.blobs.pop(next(iter(self.blobs))))

    def blob(self, hash: str) -> bytes | None:
        """A large result, where it is in memory, stored or about to be."""
        return self.blobs.get(hash) or self.new_blobs.get(hash)

    def blobs_of(self, task: Task) -> list[str]:
        """Hashes of the large results that the task's dependencies gave."""
        completed = self._completed_dependencies(task)
        return [phase.blob for _, phase in completed if phase.blob is not None]

    def missing_blobs(self, task: Task) -> bool:
        """Whether any of `blobs_of` is not in memory."""
        return any(self.blob(hash) is None for hash in self.blobs_of(task))

    def results(self, task: Task, held: Mapping[str, bytes]) -> list[tuple[str, Callable[[], Any]]]:
        """For each completed dependency: its key, and how to get a fresh copy of its result.

        Large ones are taken from ``held``, else from memory.
        """
        return [
            (other.spec.label, partial(self._decoded, phase, held))
            for other, phase in self._completed_dependencies(task)
        ]

    def _decoded(self, phase: Completed, held: Mapping[str, bytes]) -> Any:
        if phase.blob is None:
            return None if phase.result is None else msgspec.json.decode(phase.result)
        data = held.get(phase.blob) or self.blob(phase.blob)
        assert data is not None
        return msgspec.json.decode(data)

    def given(self, task: Task) -> list[Completed]:
        """What its dependencies have given, as it stands now."""
        return [phase for _, phase in self._completed_dependencies(task)]

    def _completed_dependencies(self, task: Task) -> list[tuple[Task, Completed]]:
        found = []
        for dependency in task.spec.dependencies:
            other = self.tree.task(dependency.on)
            if other is not None and isinstance(other.phase, Completed):
                found.append((other, other.phase))
        return found

    def waiter(self) -> "asyncio.Future[str]":
        """A future of the settled status; fails when this engine does not go on with the tree."""
        if self._over is None:
            self._over = asyncio.get_running_loop().create_future()
            self._over.add_done_callback(mark_seen)
            self._tell()
        return self._over

    def settle(self) -> None:
        """The tree has settled, durably: tell who waits."""
        self._ended = self.tree.settled
        self._tell()

    def abandon(self, error: ApflowError) -> None:
        """This engine will not go on with the tree."""
        self._ended = self._ended or error
        self._tell()

    def _tell(self) -> None:
        if self._over is None or self._over.done() or self._ended is None:
            return
        if isinstance(self._ended, str):
            self._over.set_result(self._ended)
        else:
            self._over.set_exception(self._ended)
