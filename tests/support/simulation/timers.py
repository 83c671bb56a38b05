"""Whether anything happened before its time, told from the log and the loop's own clock."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.specs import NO_POLICY, TaskSpec
from aipartnerupflow.domain.time import later, to_seconds
from tests.support.simulation.ledger import Entry
from tests.support.simulation.world import World

SLACK = 3.0
"""Seconds that may pass between a decision and the first try to store it, while the store is slow.
"""
ROUNDING = 1e-5


class _Set(Struct):
    """Something that may not come before ``due``, ``seconds`` after ``began``.

    That is when it was decided where the time runs from then on, else when it was stored.
    """

    began: float
    version: int
    due: str
    seconds: float
    absolute: bool = False


def early(world: World) -> Iterator[str]:
    """Everything that came too early."""
    for books in world.ledger.books.values():
        yield from _Stream(world).read(books.entries)


class _Stream:
    def __init__(self, world: World) -> None:
        self.world = world
        self.claims: list[int] = []
        self.specs: dict[str, TaskSpec] = {}
        self.retries: dict[str, _Set] = {}
        self.waits: dict[str, _Set] = {}
        self.started: dict[str, Entry] = {}
        self.frozen = any(node.process.was_stopped for node in world.nodes)

    def read(self, entries: list[Entry]) -> Iterator[str]:
        for entry in entries:
            event: Any = entry.event
            match event:
                case e.TreeCreated() | e.TasksAdded():
                    self.specs.update({spec.id: spec for spec in event.specs})
                case e.TreeClaimed():
                    self.claims.append(entry.recorded.version)
                case e.AttemptFailed():
                    yield from self._timed_out(entry, event)
                    seconds = to_seconds(event.retry_at) - to_seconds(event.at)
                    self.retries[event.task] = _set(entry, event.retry_at, seconds)
                case e.TaskReopened():
                    self.retries.pop(event.task, None)
                case e.TaskStarted():
                    yield from self._starts(entry, event)
                case e.TaskWaiting(until=str(until)):
                    seconds = to_seconds(until) - to_seconds(event.at)
                    self.waits[event.task] = _set(entry, until, seconds, event.absolute)
                case e.TaskCompleted() | e.TaskFailed() | e.TaskCancelled():
                    yield from self._ends(entry, event)
                case _:
                    pass

    def _starts(self, entry: Entry, event: e.TaskStarted) -> Iterator[str]:
        self.started[event.task] = entry
        timer = self.retries.pop(event.task, None)
        if timer is not None and event.called:
            yield from self._judge(timer, entry, f"attempt {event.attempt} of {event.task}")

    def _ends(
        self, entry: Entry, event: e.TaskCompleted | e.TaskFailed | e.TaskCancelled
    ) -> Iterator[str]:
        timer = self.waits.pop(event.task, None)
        if isinstance(event, e.TaskFailed):
            yield from self._timed_out(entry, event)
        if timer is None:
            return
        if isinstance(event, e.TaskFailed):
            if event.error.type == "signal_timeout":
                yield from self._judge(timer, entry, f"the timeout of {event.task}")
        elif isinstance(event, e.TaskCompleted) and _is_timer(timer, event):
            yield from self._judge(timer, entry, f"the end of {event.task}")

    def _timed_out(self, entry: Entry, event: e.AttemptFailed | e.TaskFailed) -> Iterator[str]:
        policy = self.specs[event.task].policy
        began = self.started.get(event.task)
        kind = event.error.type
        seconds = {"attempt_timeout": policy.timeout, "heartbeat_timeout": policy.heartbeat}.get(
            kind
        )
        if policy is not NO_POLICY and began is not None and seconds is not None:
            due = later(began.event.at, seconds)
            timer = _Set(began.when, began.recorded.version, due, seconds)
            yield from self._judge(timer, entry, f"the {kind} of {event.task}")

    def _judge(self, timer: _Set, entry: Entry, what: str) -> Iterator[str]:
        """By the wall clock where nobody has set it; else, within one engine, by the loop's."""
        now = entry.given
        wall_early = to_seconds(timer.due) - to_seconds(entry.event.at) > ROUNDING
        elapsed = now - timer.began
        told = f"{what} came {elapsed:.3f} s after it was set for {timer.seconds:.3f} s"
        if not any(jump <= now for jump in self.world.jumps):
            if wall_early:
                yield f"{told}, before {timer.due}"
            return
        restarted = any(timer.version < claim < entry.recorded.version for claim in self.claims)
        if timer.absolute or restarted or self.frozen:
            return
        if elapsed < timer.seconds - SLACK:
            yield f"{told}, by a clock that nobody can set"


def _set(entry: Entry, due: str, seconds: float, absolute: bool = False) -> _Set:
    return _Set(entry.given, entry.recorded.version, due, seconds, absolute)


def _is_timer(timer: _Set, event: e.TaskCompleted) -> bool:
    """Whether a wait ended by its time: its result says so, or is the default."""
    result = bytes(event.result or b"")
    return b"waited_until" in result or b"default" in result
