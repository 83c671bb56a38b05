"""What every inbox must hold, whatever it stores in."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.adapters.journal.memory.inbox import KEPT, MemoryInbox
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.adapters.journal.postgres.inbox import PostgresInbox
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder
from aipartnerupflow.adapters.journal.sqlite.inbox import SQLiteInbox
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import CommandAnswered, StoreUnavailable
from aipartnerupflow.engine.ports import Answered, Append, Command, Inbox
from tests.support.facts import AT, LAST, LATER, new, numbers, saved
from tests.support.journals import Handle, MemoryStore, PostgresStore, Store

pytestmark = pytest.mark.any_log(reason="writes events that say little behind any others")

DONE = b'{"version":3}'


class Shifted:
    """A clock that can be moved."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead


def inbox_of(handle: Handle, clock: Shifted | None = None) -> Inbox:
    recorder = handle.recorder
    if isinstance(recorder, MemoryRecorder):
        return MemoryInbox(recorder, now=clock.now if clock else time.monotonic)
    if isinstance(recorder, PostgresRecorder):
        return PostgresInbox(recorder)
    return SQLiteInbox(recorder)


@pytest.fixture
def inbox(handle: Handle) -> Inbox:
    return inbox_of(handle)


def command(id: str, tree: str = "a", at: str = AT, **fields: Any) -> Command:
    arguments = Raw(b'{"reason": "n\xc3\xb6 \\u0000 more"}')
    return Command(
        id, tree, **{"name": "cancel", "arguments": arguments, "by": "ann", **fields}, at=at
    )


def claimed(tree: str, engine: str) -> list[Append]:
    """A tree that an engine drives."""
    facts: list[e.AnyEvent] = [
        e.TreeSubmitted(at=AT, executors=(), of=(None,)),
        e.TreeClaimed(at=AT, engine=engine, epoch=1),
    ]
    return [new(tree), Append(tree, 1, facts, numbers(tree))]


def ids(commands: Sequence[Command]) -> list[str]:
    return [command.id for command in commands]


def test_what_is_sent_is_pending_for_the_engine_that_drives_the_tree(
    handle: Handle, inbox: Inbox
) -> None:
    handle.journal.append([claimed("a", "one"), claimed("b", "two"), [new("draft")]])
    inbox.send(command("c1"))
    inbox.send(command("c2", "b"))
    inbox.send(command("c3", "draft"))
    inbox.send(command("c4", "nowhere"))
    assert inbox.pending("one") == [command("c1")]
    assert ids(inbox.pending("two")) == ["c2"]
    assert inbox.pending("three") == []
    assert inbox.outcome("c1") is None


def test_the_oldest_comes_first(handle: Handle, inbox: Inbox) -> None:
    handle.journal.append([claimed("a", "one"), claimed("b", "one")])
    inbox.send(command("x", "a", LATER))
    inbox.send(command("y", "b", LAST))
    inbox.send(command("z", "a", AT))
    assert ids(inbox.pending("one")) == ["z", "x", "y"]


def test_the_same_id_twice_is_left_once(handle: Handle, inbox: Inbox) -> None:
    handle.journal.append([claimed("a", "one")])
    inbox.send(command("c"))
    inbox.send(command("c", by="bob"))
    assert inbox.pending("one") == [command("c")]


def test_the_outcome_stands_with_the_events_of_the_command(handle: Handle, inbox: Inbox) -> None:
    handle.journal.append([claimed("a", "one")])
    inbox.send(command("c"))
    append = saved("a", 3)
    answered = Append("a", 3, append.events, append.index, answers=[Answered("c", DONE)])
    handle.journal.append([[answered]])
    assert inbox.outcome("c") == DONE
    assert inbox.pending("one") == []
    inbox.send(command("c"))
    assert inbox.pending("one") == []
    again = Append("a", 4, append.events, append.index, answers=[Answered("c", DONE)])
    with pytest.raises(CommandAnswered):
        handle.journal.append([[again]])
    assert len(list(handle.journal.read("a"))) == 4


def test_a_command_that_makes_no_event_is_answered_once(handle: Handle, inbox: Inbox) -> None:
    handle.journal.append([claimed("a", "one")])
    inbox.send(command("c"))
    inbox.refuse(Answered("c", b'{"error":"n\xc3\xb6"}'))
    inbox.refuse(Answered("c", DONE))
    inbox.refuse(Answered("never sent", DONE))
    assert inbox.outcome("c") == b'{"error":"n\xc3\xb6"}'
    assert inbox.outcome("never sent") is None
    assert inbox.pending("one") == []


def test_commands_for_a_settled_tree_are_pending_too(handle: Handle, inbox: Inbox) -> None:
    settled = Append("a", 3, [e.TreeSettled(at=LAST, status="completed")], numbers("a"))
    handle.journal.append([[*claimed("a", "one"), settled]])
    inbox.send(command("c"))
    assert ids(inbox.pending("one")) == ["c"]


def test_they_go_to_who_takes_the_tree_over(handle: Handle, inbox: Inbox) -> None:
    handle.journal.append([claimed("a", "one")])
    inbox.send(command("c"))
    taken = e.TreeClaimed(at=LATER, engine="two", epoch=2)
    handle.journal.append([[Append("a", 3, [taken], numbers("a"))]])
    assert inbox.pending("one") == []
    assert ids(inbox.pending("two")) == ["c"]


def test_outcomes_are_kept_for_a_day(store: Store) -> None:
    handle, clock = store.open(), Shifted()
    inbox = inbox_of(handle, clock)
    handle.journal.append([claimed("a", "one")])
    for id in ("old", "open", "young"):
        inbox.send(command(id))
    inbox.refuse(Answered("old", DONE))
    inbox.send(command("more"))
    _age(store, clock, "old", 0.9)
    inbox.send(command("more"))
    assert inbox.outcome("old") == DONE
    _age(store, clock, "old", 1.1)
    inbox.refuse(Answered("young", DONE))
    inbox.send(command("old"))
    assert inbox.outcome("old") == DONE  # it is asked for
    inbox.send(command("more"))
    assert inbox.outcome("old") is None
    assert inbox.outcome("young") == DONE
    assert sorted(ids(inbox.pending("one"))) == ["more", "open"]


def _age(store: Store, clock: Shifted, id: str, days: float) -> None:
    """The answer is that old now."""
    if isinstance(store, MemoryStore):
        clock.ahead = days * KEPT
    elif isinstance(store, PostgresStore):
        store.change(
            "UPDATE inbox SET answered_at = now() - %(days)s * interval '1 day' WHERE id = %(id)s",
            {"days": days, "id": id},
        )
    else:
        store.change(
            "UPDATE inbox SET answered_at = strftime('%Y-%m-%dT%H:%M:%f000Z', "
            "julianday('now') - %(days)s) WHERE id = %(id)s",
            {"days": days, "id": id},
        )


def test_another_process_sees_what_was_sent(shared: Store) -> None:
    one, two = shared.open(), shared.open()
    one.journal.append([claimed("a", "one")])
    inbox_of(two).send(command("c"))
    assert inbox_of(one).pending("one") == [command("c")]
    inbox_of(one).refuse(Answered("c", DONE))
    assert inbox_of(two).outcome("c") == DONE


def test_what_was_sent_outlives_its_sender(shared: Store) -> None:
    one = shared.open()
    one.journal.append([claimed("a", "one")])
    inbox_of(one).send(command("c"))
    one.journal.close()
    assert ids(inbox_of(shared.open()).pending("one")) == ["c"]


def test_many_may_send_and_answer_at_once(store: Store) -> None:
    handle = store.open()
    handle.journal.append([claimed("a", "one")])
    inbox = inbox_of(handle)

    def send(n: int) -> None:
        for k in range(5):
            inbox.send(command(f"{n}.{k}"))
            inbox.refuse(Answered(f"{n}.{k - 1}", DONE))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids(inbox.pending("one"))) == ["0.4", "1.4", "2.4", "3.4"]


def test_a_closed_store_says_so(handle: Handle, inbox: Inbox) -> None:
    handle.journal.close()
    for use in (
        lambda: inbox.send(command("c")),
        lambda: inbox.pending("one"),
        lambda: inbox.refuse(Answered("c", DONE)),
        lambda: inbox.outcome("c"),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            use()


def test_each_letter_and_each_refusal_wakes_who_listens_on_postgresql(
    postgres_dsn: str,
) -> None:
    store = PostgresStore(postgres_dsn, "waking")
    try:
        inbox = inbox_of(store.open())
        with store.connected() as listener:
            listener.execute("LISTEN apflow_inbox")
            inbox.send(command("c"))
            inbox.refuse(Answered("c", DONE))
            assert len(list(listener.notifies(timeout=5, stop_after=2))) == 2
    finally:
        store.close()


def test_a_command_is_found_by_its_id_answered_or_not(handle: Handle) -> None:
    inbox = inbox_of(handle)
    handle.journal.append([[new("a")]])
    command = Command("c1", "a", "pause", Raw(b'{"reason":"r"}'), "user", AT)
    assert inbox.find("c1") is None
    inbox.send(command)
    assert inbox.find("c1") == command
    inbox.refuse(Answered("c1", DONE))
    assert inbox.find("c1") == command
