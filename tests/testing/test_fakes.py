"""The stand-ins for the ports refuse and answer what the real ones do."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.domain.errors import CommandAnswered, SlotTaken, StaleVersion
from aipartnerupflow.domain.events import (
    AnyEvent,
    AttemptFailed,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
    TaskStarted,
    TreeAdopted,
    TreeClaimed,
    TreeCreated,
    TreeReleased,
    TreeReopened,
    TreeSettled,
    TreeSubmitted,
)
from aipartnerupflow.domain.specs import EMPTY_OBJECT, Concurrency, ErrorInfo
from aipartnerupflow.engine.ports import (
    SIGNAL,
    WAIT,
    Answered,
    Append,
    Backend,
    Call,
    Command,
    Executors,
    Gone,
    Inbox,
    Journal,
    Liveness,
    Outcome,
    Raised,
    Returned,
    Stopped,
)
from aipartnerupflow.testing.fakes import (
    FakeBackend,
    FakeExecutors,
    FakeInbox,
    FakeJournal,
    FakeLiveness,
)

pytestmark = pytest.mark.any_log(
    reason="writes the events that count for a fake, and not those between"
)

AT = "2026-01-01T00:00:00.000000Z"
WRONG = ErrorInfo("Wrong", "no")


class Store:
    """A fake journal that is told events only."""

    def __init__(self) -> None:
        self.journal = FakeJournal()

    def add(self, tree: str, *events: AnyEvent, answers: tuple[Answered, ...] = ()) -> None:
        expected = len(list(self.journal.read(tree)))
        self.journal.append([[Append(tree, expected, events, {}, answers=answers)]])

    def claimed(self, tree: str, engine: str) -> None:
        created = TreeCreated(at=AT, uid="u", name=tree, specs=())
        claim = TreeClaimed(at=AT, engine=engine, epoch=1)
        self.add(tree, created, TreeSubmitted(at=AT), claim)


@pytest.fixture
def store() -> Store:
    return Store()


def started(task: str, limit: int = 1) -> TaskStarted:
    return TaskStarted(at=AT, task=task, slot=Concurrency("db", limit))


def test_they_are_what_the_engine_asks_for() -> None:
    journal: Journal = FakeJournal()
    inbox: Inbox = FakeInbox(FakeJournal())
    executors: Executors = FakeExecutors()
    backend: Backend = FakeBackend(FakeExecutors())
    liveness: Liveness = FakeLiveness("me")
    assert journal.position() == 0
    assert inbox.outcome("c") is None
    assert executors.ids() == [SIGNAL, WAIT]
    assert backend.pools() == {"loop": 1_000}
    assert liveness.beat_every is None


def test_a_concurrency_key_has_so_many_places_in_the_whole_store(store: Store) -> None:
    store.add("a", started("a1", 2))
    store.add("b", started("b1", 2))
    with pytest.raises(SlotTaken):
        store.add("b", started("b2", 2))
    assert len(store.journal.log) == 2, "nothing was written"
    store.add("b", TaskCompleted(at=AT, task="b1"), started("b2", 2))
    assert store.journal.slots == {("a", "a1"): "db", ("b", "b2"): "db"}


@pytest.mark.parametrize(
    "end",
    [
        AttemptFailed(at=AT, task="a1", error=WRONG, retry_at=AT),
        TaskFailed(at=AT, task="a1", error=WRONG),
        TaskInterrupted(at=AT, task="a1", interruption="shutdown"),
        TaskCancelled(at=AT, task="a1"),
        TaskCompleted(at=AT, task="a1"),
    ],
)
def test_a_place_is_free_again_when_its_attempt_ends(store: Store, end: AnyEvent) -> None:
    store.add("a", started("a1"))
    store.add("a", end)
    store.add("b", started("b1"))


def test_a_command_is_answered_once_with_its_events(store: Store) -> None:
    answer = Answered("c", b'"done"')
    store.add("a", started("a1"), answers=(answer,))
    with pytest.raises(CommandAnswered):
        store.add("a", TaskCompleted(at=AT, task="a1"), answers=(answer,))
    assert len(store.journal.log) == 1
    stale = Append("a", 5, [], {}, answers=(Answered("d", b"1"),))
    with pytest.raises(StaleVersion):
        store.journal.append([[stale]])
    assert store.journal.outcomes == {"c": b'"done"'}


def test_the_owner_is_who_claimed_an_open_tree_last(store: Store) -> None:
    journal = store.journal
    assert journal.owner("a") is None
    store.add("a", TreeCreated(at=AT, uid="u", name="a", specs=()))
    assert journal.owner("a") is None
    store.add("a", TreeSubmitted(at=AT), TreeClaimed(at=AT, engine="one", epoch=1))
    store.add("a", TreeClaimed(at=AT, engine="two", epoch=2))
    owner = journal.owner("a")
    assert owner is not None
    assert (owner.engine, owner.epoch, owner.released) == ("two", 2, False)
    store.add("a", TreeReleased(at=AT, engine="two"))
    owner = journal.owner("a")
    assert owner is not None
    assert owner.released
    store.add("a", TreeSettled(at=AT, status="failed"))
    assert (journal.owner("a"), journal.open_work()) == (None, [])
    store.add("a", TreeReopened(at=AT))
    assert [tree.engine for tree in journal.open_work()] == ["two"]
    store.add("b", TreeCreated(at=AT, uid="u", name="b", specs=()), TreeAdopted(at=AT, into="a"))
    assert journal.owner("b") is None


def test_the_inbox_holds_what_is_unanswered_for_the_trees_of_an_engine(store: Store) -> None:
    store.claimed("a", "one")
    store.claimed("b", "two")
    store.add("a", TreeSettled(at=AT, status="completed"))
    inbox = FakeInbox(store.journal)
    first, second, other = (
        Command(id, tree, "cancel", EMPTY_OBJECT, "user", AT)
        for id, tree in (("1", "a"), ("2", "a"), ("3", "b"))
    )
    for command in (first, second, other, first):
        inbox.send(command)
    assert inbox.pending("one") == [first, second]
    inbox.refuse(Answered("1", b"0"))
    inbox.refuse(Answered("1", b"9"))
    store.add("a", TreeReopened(at=AT), answers=(Answered("2", b"2"),))
    assert inbox.pending("one") == []
    assert (inbox.outcome("1"), inbox.outcome("2"), inbox.outcome("3")) == (b"0", b"2", None)


def call(executor: str, port: Any = None, *, reattach: bool = False) -> Call:
    return Call(
        executor, "r", "a", "a", "a", 1, 1, "key", {}, EMPTY_OBJECT, EMPTY_OBJECT,
        port=port, reattach=reattach,
    )  # fmt: skip


Work = Callable[[Call], Coroutine[Any, Any, Any]]


async def outcome(work: Work, *, grace: float = 1.0) -> tuple[Stopped, list[Outcome]]:
    """What comes of stopping ``work`` and what is reported of it."""
    executors = FakeExecutors(it=work)
    backend, reports = FakeBackend(executors, grace=grace), list[Outcome]()
    backend.start(call("it"), lambda _, outcome: reports.append(outcome))
    await asyncio.sleep(0)
    stopped = await backend.stop(backend.calls[0])
    await asyncio.sleep(0.02)
    return stopped, reports


async def test_what_is_returned_on_being_stopped_is_its_outcome() -> None:
    async def answers(call: Call) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "late"

    async def fails(call: Call) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError

    async def ends(call: Call) -> Any:
        await asyncio.sleep(60)

    async def goes_on(call: Call) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.02)

    assert await outcome(answers) == (Stopped(True, Returned(Raw(b'"late"'))), [])
    assert await outcome(fails) == (Stopped(True), [])
    assert await outcome(ends) == (Stopped(True), [])
    assert await outcome(goes_on, grace=0.001) == (Stopped(False), [])
    backend = FakeBackend(FakeExecutors())
    assert await backend.stop(call("it")) == Stopped(True)


async def reported(executors: FakeExecutors, call: Call) -> Outcome:
    reports: asyncio.Queue[Outcome] = asyncio.Queue()
    FakeBackend(executors).start(call, lambda _, outcome: reports.put_nowait(outcome))
    return await asyncio.wait_for(reports.get(), 5)


async def test_errors_are_told_as_the_real_backends_tell_them() -> None:
    class Busy(ConnectionError):
        retry_after = 5

    async def busy(call: Call) -> Any:
        raise Busy("later")

    async def cancels_itself(call: Call) -> Any:
        raise asyncio.CancelledError

    executors = FakeExecutors(busy=busy, cancels_itself=cancels_itself)
    bases = ("ConnectionError", "OSError", "Exception", "TransientError")
    assert await reported(executors, call("busy")) == Raised(ErrorInfo("Busy", "later", bases), 5)
    found = await reported(executors, call("cancels_itself"))
    assert isinstance(found, Raised)
    assert found.error.type == "CancelledError"


async def test_work_is_found_again_by_who_looks_for_it() -> None:
    taken: list[int] = []

    class Port:
        async def taken_over(self) -> None:
            taken.append(1)

    async def result() -> Any:
        return len(taken)

    async def finds(call: Call) -> Any:
        return result()

    async def finds_a_function(call: Call) -> Any:
        return result

    async def finds_nothing(call: Call) -> Any:
        return None

    executors = FakeExecutors()
    executors.reattach = {"a": finds, "b": finds_a_function, "c": finds_nothing}
    outcomes = [await reported(executors, call(id, Port(), reattach=True)) for id in "abcd"]
    assert outcomes == [Returned(Raw(b"1")), Returned(Raw(b"2")), Gone(), Gone()]
    assert [executors.kind(id).reattaches for id in "abcd"] == [True, True, True, False]


def test_executors_tell_what_tests_have_told_them() -> None:
    executors = FakeExecutors()
    executors.repeatable["it"] = False
    executors.refusal = lambda schema, payload: () if payload == schema else ("/: not equal",)
    assert (executors.safe(call("it")), executors.safe(call("other"))) == (False, None)
    assert list(executors.payload_faults(1, 2)) == ["/: not equal"]
    assert [executors.kind(id).runs for id in (WAIT, SIGNAL, "it")] == ["engine", "engine", "loop"]
    assert executors.module_of(WAIT) == ""


def test_a_lease_can_be_said_to_have_run_out() -> None:
    liveness = FakeLiveness("me")
    assert liveness.beat(["it"])
    liveness.lapsed = True
    assert not liveness.beat(["it"])
    assert liveness.beat(["it"])
    assert liveness.beats == [["it"]] * 3
