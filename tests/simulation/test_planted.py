"""Bugs planted one at a time: the simulation finds each of them, and within a few seeds."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from msgspec import structs

from aipartnerupflow.adapters.journal.journal import Batch
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.domain import readiness
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import idempotency_key
from aipartnerupflow.domain.tree import Task, Tree
from aipartnerupflow.engine.actor import Actor
from aipartnerupflow.engine.ports import Call
from aipartnerupflow.engine.starting import Starter
from aipartnerupflow.engine.timers import Timers
from aipartnerupflow.engine.turn import Turn
from aipartnerupflow.engine.writing import Writing
from aipartnerupflow.projections.status import Changes, changes
from tests.support.simulation.cases import simulated

SEEDS = 60
"""So many are tried at most."""

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What engines say of their accidents is not of interest here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def start_before_a_dependency(patch: pytest.MonkeyPatch) -> None:
    """One thing less is waited for."""
    wire = readiness.wire

    def careless(tree: Tree) -> None:
        wire(tree)
        for task in tree.live():
            if task.spec.dependencies and task.needs:
                task.needs -= 1

    patch.setattr("aipartnerupflow.domain.evolve.wire", careless)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """The store appends whatever it is given, at whatever version the stream has reached."""
    record = MemoryRecorder.record

    def unfenced(self: MemoryRecorder, batches: Sequence[Batch]) -> int:
        return record(self, [_moved(self, batch) for batch in batches])

    patch.setattr(MemoryRecorder, "record", unfenced)


def _moved(recorder: MemoryRecorder, batch: Batch) -> Batch:
    last = len(recorder._stored_events_index.get(batch.tree, {}))
    if last <= batch.expected:
        return batch
    for n, event in enumerate(batch.stored, start=last + 1):
        event.__dict__["originator_version"] = n
    batch.changes.tree.version += last - batch.expected
    batch.expected = last
    return batch


def row_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A commit leaves out the rows of what failed in it."""

    def forgetful(events: Sequence[AnyEvent], *arguments: Any) -> Changes:
        made = changes(events, *arguments)
        kept = {n: end for n, end in made.ended.items() if end.status != "failed"}
        return structs.replace(made, ended=kept)

    patch.setattr("aipartnerupflow.adapters.journal.journal.changes", forgetful)


def retry_forgotten_by_a_restart(patch: pytest.MonkeyPatch) -> None:
    """Who takes up a tree does not look for what is in its backoff."""

    def arm_some(self: Timers, actor: Actor) -> None:
        actor.tree.armed = [*actor.tree.waiting, *actor.tree.deadlines]
        self.arm(actor)

    patch.setattr(Timers, "arm_all", arm_some)


def key_of_an_attempt(patch: pytest.MonkeyPatch) -> None:
    """Each attempt has an idempotency key of its own."""
    calls = iter(range(1_000_000))

    def another(uid: str, task: str, generation: int) -> str:
        return idempotency_key(uid, f"{task}/{next(calls)}", generation)

    patch.setattr("aipartnerupflow.engine.prepare.idempotency_key", another)


def call_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """Executors are called while their starts are on the way to the store."""
    launch = Starter.launch

    def hasty(self: Starter, turn: Turn, actor: Actor, task: Task, call: Call, *more: Any) -> None:
        self._engine.backend.start(call, _nothing)
        launch(self, turn, actor, task, call, *more)

    patch.setattr(Starter, "launch", hasty)


def answer_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """Whoever asked is told that it is done before it is."""
    write = Writing.write

    def hasty(self: Writing, turn: Turn, *more: Any, **options: Any) -> None:
        for answer in turn.answers:
            if not answer.future.done():
                answer.future.set_result(answer.value)
        write(self, turn, *more, **options)

    patch.setattr(Writing, "write", hasty)


def slots_without_end(patch: pytest.MonkeyPatch) -> None:
    """Concurrency keys hold nobody up, in the store or here."""
    patch.setattr("aipartnerupflow.adapters.journal.memory.rows.Tables._check_slots", _nothing)
    patch.setattr(
        "aipartnerupflow.engine.prepare.Preparer._with_own_keys",
        lambda self, place, concurrency: place,
    )


def _nothing(*_: object) -> None:
    """Checks nothing."""


def timers_half_as_long(patch: pytest.MonkeyPatch) -> None:
    """What was to wait waits half as long by the loop's clock."""
    remaining = Timers._remaining
    patch.setattr(Timers, "_remaining", lambda self, alarm: remaining(self, alarm) / 2)


PLANTS: dict[Plant, str] = {
    start_before_a_dependency: r"starts before its dependency",
    no_fence: r"epoch|while it runs|is not running|after its end|again after",
    row_forgotten: r"not as in the log|the row of",
    retry_forgotten_by_a_restart: r"never settled",
    key_of_an_attempt: r"idempotency key",
    call_before_the_commit: r"whose start is not stored",
    answer_before_the_commit: r"acknowledged, and (it )?is not stored|version that is not stored",
    slots_without_end: r"hold '(db|api)'",
    timers_half_as_long: r"before 20|by a clock that nobody can set",
}


@pytest.mark.any_log(reason="what is planted breaks the log")
@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    found: list[str] = []
    for seed in range(SEEDS):
        found.extend(simulated(seed).violations)
        if any(re.search(PLANTS[plant], violation) for violation in found):
            return
    raise AssertionError(f"not found in {SEEDS} seeds; found was {found[:5]}")


def test_without_them_nothing_is_found() -> None:
    assert [told for seed in range(20) for told in simulated(seed).violations] == []
