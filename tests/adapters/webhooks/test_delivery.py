"""When hooks are told of what: in order, again after failures, and by whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aipartnerupflow.adapters.feed import Feed
from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.memory.reads import MemoryReads
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.adapters.journal.side import MemorySide
from aipartnerupflow.adapters.webhooks.delivery import MAX_MISSED, Deliveries, Pace
from aipartnerupflow.adapters.webhooks.outbox import Claimed, Outbox
from aipartnerupflow.adapters.webhooks.posting import Again, Gone, Outcome, Refused, Taken
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import Recorded
from aipartnerupflow.domain.specs import Request
from aipartnerupflow.domain.webhooks import Hook
from aipartnerupflow.engine.ports import Append
from aipartnerupflow.projections.views import TreeView
from tests.support.facts import AT, new, numbers, spec
from tests.support.places import until

pytestmark = pytest.mark.any_log(reason="writes the events that are to be told, no others")

ALL = Hook("http://all.example/")
QUICK = Pace(rest=0.001, look=0.02)


class Hands:
    """A clock that is set."""

    def __init__(self) -> None:
        self.time = 1_767_225_600.0

    def now(self) -> float:
        return self.time


class World:
    """A store in memory, and receivers that answer as they are told."""

    def __init__(self) -> None:
        recorder = MemoryRecorder()
        mapper = StructMapper()
        self.journal = EventJournal(recorder, mapper)
        self.reads = MemoryReads(recorder, mapper)
        self.side = MemorySide(self.reads.tree)
        self.outbox = Outbox(self.side)
        self.feed = Feed(self.journal)
        self.clock = Hands()
        self.told: list[tuple[str, int]] = []
        self.answers: list[Outcome] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def grow(self, tree: str, after: int, *events: e.AnyEvent) -> None:
        self.journal.append([[Append(tree, after, list(events), numbers(tree))]])
        self.feed.wake()

    def submitted(self, tree: str, *more: e.AnyEvent, owner: str | None = None) -> None:
        """A tree of version 2 and so many."""
        self.journal.append([[new(tree, owner=owner)]])
        self.grow(tree, 1, e.TreeSubmitted(at=AT, of=("group",)), *more)

    async def post(self, claimed: Claimed, version: int, body: bytes) -> Outcome:
        self.told.append((claimed.hook.url, version))
        await self.gate.wait()
        return self.answers.pop(0) if self.answers else Taken()

    def deliveries(self, name: str = "me", pace: Pace = QUICK) -> Deliveries:
        return Deliveries(
            outbox=self.outbox, journal=self.journal, reads=self.reads, feed=self.feed,
            clock=self.clock, post=self.post, body=body, name=name, pace=pace,
        )  # fmt: skip

    @asynccontextmanager
    async def serving(self, name: str = "me", pace: Pace = QUICK) -> AsyncIterator[None]:
        task = asyncio.create_task(self.deliveries(name, pace).serve())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled(), task.exception()

    def row(self, tree: str = "t") -> tuple[str, int, int, str]:
        """State, cursor, failures and problem of the tree's only hook."""
        (found,) = self.outbox.of(tree)
        return found.state, found.seen, found.attempts, found.problem

    def versions(self) -> list[int]:
        return [version for _, version in self.told]


def body(hook: Hook, recorded: Recorded, tree: TreeView) -> bytes | None:
    return b"{}" if hook.wants(recorded.event.topic) else None


@pytest.fixture
async def world() -> World:
    return World()


SETTLED = e.TreeSettled(at=AT, status="completed")
PAUSED, UNPAUSED = e.TreePaused(at=AT), e.TreeUnpaused(at=AT)
ON_AND_OFF: list[e.AnyEvent] = [PAUSED, UNPAUSED]


async def test_every_event_is_told_once_in_order_and_then_it_is_done(world: World) -> None:
    world.outbox.add("t", [ALL], at=AT)
    async with world.serving():
        world.submitted("t", PAUSED)
        await until(lambda: world.versions() == [1, 2, 3])
        assert world.row()[0] == "open"
        world.grow("t", 3, UNPAUSED, SETTLED)
        await until(lambda: world.row()[0] == "done")
    assert world.versions() == [1, 2, 3, 4, 5]
    assert world.row() == ("done", 5, 0, "")


async def test_only_the_types_that_are_wanted_are_told(world: World) -> None:
    world.outbox.add("t", [Hook("http://some.example/", ("tree.p*", "tree.created"))], at=AT)
    async with world.serving():
        world.submitted("t", PAUSED, UNPAUSED, SETTLED)
        await until(lambda: world.row()[0] == "done")
    assert world.versions() == [1, 3]
    assert world.row()[1] == 5


async def test_more_events_than_are_read_at_once_are_told_in_order(world: World) -> None:
    world.outbox.add("t", [ALL], at=AT)
    async with world.serving():
        world.submitted("t", *ON_AND_OFF * 130, SETTLED)
        await until(lambda: world.row()[0] == "done")
    assert world.versions() == list(range(1, 264))


async def test_a_tree_that_is_reopened_at_once_is_told_on(world: World) -> None:
    world.outbox.add("t", [ALL], at=AT)
    async with world.serving():
        world.submitted("t", SETTLED, e.TreeReopened(at=AT))
        await until(lambda: world.versions() == [1, 2, 3, 4])
        await until(lambda: world.outbox.next_due() is None)
        assert world.row()[0] == "open"
        world.grow("t", 4, SETTLED)
        await until(lambda: world.row()[0] == "done")


async def test_a_draft_that_another_tree_takes_in_is_done(world: World) -> None:
    world.outbox.add("t", [ALL], at=AT)
    world.journal.append([[new("t"), new("u")]])
    joined = e.TasksAdded(at=AT, specs=(spec("t", "u"),), adopted_from="t")
    into = e.TreeAdopted(at=AT, into="u")
    async with world.serving():
        world.journal.append([[Append("u", 1, [joined], {"t": 1}), Append("t", 1, [into], {})]])
        world.feed.wake()
        await until(lambda: world.row()[0] == "done")


async def test_what_fails_is_told_again_after_1_2_4_seconds_and_what_follows_waits(
    world: World,
) -> None:
    world.answers = [Again("busy")] * 3
    world.outbox.add("t", [ALL], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving():
        for failures, seconds in ((1, 1.0), (2, 2.0), (3, 4.0)):
            await failed(world, failures)
            assert world.outbox.next_due() == world.clock.time + seconds
            world.clock.time += seconds - 0.1
            await asyncio.sleep(0.03)
            assert world.versions() == [1] * failures
            world.clock.time += 0.1
        await until(lambda: world.row()[0] == "done")
    assert world.versions() == [1, 1, 1, 1, 2, 3]
    assert world.row() == ("done", 3, 0, "busy")


async def failed(world: World, times: int) -> None:
    await until(lambda: world.row()[2] == times)


def test_the_delay_doubles_up_to_five_minutes() -> None:
    delays = [Pace().delay(attempts) for attempts in range(12)]
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert Pace().delay(10**9) == 300


async def test_a_receiver_that_asks_for_longer_is_left_alone_for_longer(world: World) -> None:
    world.answers = [Again("busy", 77.0)]
    world.outbox.add("t", [ALL], at=AT)
    world.submitted("t")
    async with world.serving():
        await until(lambda: world.row()[2] == 1)
    assert world.outbox.next_due() == world.clock.time + 77.0


async def test_after_ten_attempts_an_event_is_given_up_and_the_next_one_is_told(
    world: World,
) -> None:
    world.answers = [Again("away")] * 10
    world.outbox.add("t", [ALL], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving(), moving(world.clock):
        await until(lambda: world.row()[0] == "done")
    assert world.versions() == [1] * 10 + [2, 3]
    assert world.row()[3] == "away"


async def test_so_many_retries_are_made_as_the_hook_says(world: World) -> None:
    world.answers = [Again("away")] * 3
    world.outbox.add("t", [Hook("http://x.example/", retries=2)], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving(), moving(world.clock):
        await until(lambda: world.row()[0] == "done")
    assert world.versions() == [1, 1, 1, 2, 3]


async def test_a_hook_whose_last_event_is_given_up_is_done_too(world: World) -> None:
    world.answers = [Taken(), Taken(), Again("away")]
    world.outbox.add("t", [Hook("http://x.example/", retries=0)], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving():
        await until(lambda: world.row()[0] == "done")
    assert world.row() == ("done", 3, 0, "away")


async def test_a_hook_that_never_answers_has_failed_after_ten_events(world: World) -> None:
    world.answers = [Again("away")] * 100
    world.outbox.add("t", [Hook("http://x.example/", retries=0)], at=AT)
    world.submitted("t", *ON_AND_OFF * 10)
    async with world.serving(), moving(world.clock):
        await until(lambda: world.row()[0] == "failed")
    assert world.versions() == list(range(1, MAX_MISSED + 1))


async def test_an_answer_in_between_lets_it_go_on(world: World) -> None:
    away: list[Outcome] = [Again("away")] * (MAX_MISSED - 1)
    world.answers = [*away, Taken(), *away, Taken()]
    world.outbox.add("t", [Hook("http://x.example/", retries=0)], at=AT)
    world.submitted("t", *ON_AND_OFF * 10, SETTLED)
    async with world.serving(), moving(world.clock):
        await until(lambda: world.row()[0] == "done")
    assert world.versions() == list(range(1, 24))


async def test_an_event_that_is_refused_is_given_up_at_once(world: World) -> None:
    world.answers = [Taken(), Refused("the receiver answered 404")]
    world.outbox.add("t", [ALL], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving():
        await until(lambda: world.row()[0] == "done")
    assert world.versions() == [1, 2, 3]
    assert world.row()[3] == "the receiver answered 404"


async def test_a_hook_that_is_gone_is_told_nothing_more(world: World) -> None:
    world.answers = [Gone("its address is not public")]
    world.outbox.add("t", [ALL], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving():
        await until(lambda: world.row()[0] == "failed")
        await asyncio.sleep(0.03)
    assert world.versions() == [1]
    assert world.row()[3] == "its address is not public"


async def test_a_slow_receiver_holds_up_no_other(world: World) -> None:
    world.gate.clear()
    world.outbox.add("t", [ALL], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving():
        await until(lambda: world.versions() == [1])
        world.outbox.add("u", [Hook("http://other.example/")], at=AT)
        world.submitted("u", SETTLED)
        await until(lambda: ("http://other.example/", 1) in world.told)
        world.gate.set()
        await until(lambda: len(world.told) == 6)


async def test_no_more_hooks_are_told_at_once_than_allowed(world: World) -> None:
    world.gate.clear()
    world.outbox.add("t", [Hook(f"http://{n}.example/") for n in range(5)], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving(pace=Pace(rest=0.001, look=0.02, at_once=2)):
        await until(lambda: len(world.told) == 2)
        await asyncio.sleep(0.03)
        assert len(world.told) == 2
        world.gate.set()
        await until(lambda: len(world.told) == 15)


async def test_receivers_that_hang_keep_no_other_owner_waiting(world: World) -> None:
    world.gate.clear()
    for tree in "abcdefghij":
        world.outbox.add(tree, [Hook(f"http://{tree}{n}.example/") for n in range(10)], at=AT)
        world.submitted(tree, SETTLED, owner="ann")
    async with world.serving():
        await until(lambda: len(world.told) == Pace().share)
        world.outbox.add("t", [ALL], at=AT)
        world.submitted("t", SETTLED, owner="bob")
        await until(lambda: (ALL.url, 1) in world.told)
        assert len(world.told) == Pace().share + 1
        world.gate.set()
        await until(lambda: len(world.told) == 303)


async def test_two_servers_tell_each_event_once(world: World) -> None:
    hooks = [Hook(f"http://{n}.example/") for n in range(10)]
    for tree in "abcde":
        world.outbox.add(tree, hooks, at=AT)
    async with world.serving("one"), world.serving("two"):
        for tree in "abcde":
            world.submitted(tree, PAUSED, SETTLED)
        await until(lambda: len(world.told) >= 200)
        await asyncio.sleep(0.05)
    assert len(world.told) == 200
    for hook in hooks:
        assert [v for url, v in world.told if url == hook.url].count(1) == 5


async def test_a_server_that_stops_lets_go_at_once_and_another_tells_it_again(
    world: World,
) -> None:
    world.gate.clear()
    world.outbox.add("t", [ALL], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving("one"):
        await until(lambda: world.versions() == [1])
    world.gate.set()
    async with world.serving("two"):
        await until(lambda: world.row()[0] == "done")
    assert world.versions() == [1, 1, 2, 3]


async def test_what_a_dead_server_held_is_told_when_its_lease_has_ended(world: World) -> None:
    world.outbox.add("t", [ALL], at=AT)
    world.submitted("t", SETTLED)
    now = world.clock.time
    world.outbox.claim("dead", now, now + 15.0, 1, 1)
    async with world.serving():
        await asyncio.sleep(0.03)
        assert world.told == []
        world.clock.time += 15.0
        await until(lambda: world.row()[0] == "done")


async def test_a_server_that_was_held_up_beyond_its_lease_moves_nothing(world: World) -> None:
    world.gate.clear()
    world.outbox.add("t", [ALL], at=AT)
    world.submitted("t", SETTLED)
    async with world.serving("slow"):
        await until(lambda: world.versions() == [1])
        world.clock.time += 60.0
        now = world.clock.time
        (taken,) = world.outbox.claim("quick", now, now + 1_000.0, 1, 1)
        world.gate.set()
        await asyncio.sleep(0.03)
        assert world.versions() == [1]
        assert world.row()[1] == 0
        world.outbox.release(taken, now)
        await until(lambda: world.row()[0] == "done")


async def test_a_hook_finds_the_tree_that_its_request_made(world: World) -> None:
    mine, other = Request("key", "body"), Request("key", "another body")
    world.outbox.add("", [ALL], at=AT, request=mine)
    world.outbox.add("", [Hook("http://other.example/")], at=AT, request=other)
    made = e.TreeCreated(at=AT, uid="u", name="T", request=mine, specs=(spec("t"),))
    async with world.serving():
        world.journal.append([[Append("t", 0, [made], numbers("t"))]])
        world.grow("t", 1, e.TreeSubmitted(at=AT, of=("group",)), SETTLED)
        await until(lambda: len(world.told) == 3)
        await asyncio.sleep(0.03)
    assert {url for url, _ in world.told} == {ALL.url}
    assert world.outbox.unbound() == [other]


@asynccontextmanager
async def moving(clock: Hands) -> AsyncIterator[None]:
    """Five minutes pass all the time."""

    async def move() -> None:
        while True:
            await asyncio.sleep(0.002)
            clock.time += 300.0

    task = asyncio.create_task(move())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
