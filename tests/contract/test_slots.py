"""Places under concurrency keys: never more than the limit, over all trees and handles."""

from collections.abc import Sequence
from random import Random

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import SlotTaken, StaleVersion
from aipartnerupflow.domain.specs import Concurrency, ErrorInfo
from aipartnerupflow.engine.commit import Committer
from aipartnerupflow.engine.ports import Append
from tests.support.facts import AT, created, new, numbers, saved
from tests.support.histories import History
from tests.support.journals import Handle, Store

pytestmark = pytest.mark.any_log(reason="starts and ends tasks that have no policy and no engine")

ONE, TWO = Concurrency("key", 1), Concurrency("key", 2)
ERROR = ErrorInfo("Boom", "it broke")


def start(tree: str, after: int, slot: Concurrency | None = ONE, attempt: int = 1) -> Append:
    started = e.TaskStarted(at=AT, task=tree, attempt=attempt, slot=slot)
    return keyed(tree, after, started)


def end(tree: str, after: int) -> Append:
    return keyed(tree, after, e.TaskCompleted(at=AT, task=tree))


def keyed(tree: str, after: int, *events: e.AnyEvent) -> Append:
    return Append(tree, after, events, numbers(tree), keyed=True)


def trees(handle: Handle, ids: str) -> None:
    handle.journal.append([[new(id)] for id in ids])


def status(handle: Handle, ids: str) -> Sequence[str]:
    views = [handle.reads.task(id) for id in ids]
    return [view.status for view in views if view is not None]


def test_a_start_without_a_place_is_refused_with_its_whole_transaction(handle: Handle) -> None:
    trees(handle, "abc")
    handle.journal.append([[start("a", 1)]])
    position = handle.journal.position()
    with pytest.raises(SlotTaken) as caught:
        handle.journal.append([[saved("c", 1)], [start("b", 1)]])
    assert (caught.value.tree, caught.value.key) == ("b", "key")
    assert handle.journal.position() == position
    assert status(handle, "abc") == ["in_progress", "pending", "pending"]
    handle.journal.append([[saved("c", 1)], [saved("b", 1)]])
    assert handle.journal.verify("b") is None


def test_a_key_has_as_many_places_as_its_limit(handle: Handle) -> None:
    trees(handle, "abcd")
    handle.journal.append([[start("a", 1, TWO)], [start("b", 1, TWO)]])
    with pytest.raises(SlotTaken):
        handle.journal.append([[start("c", 1, TWO)]])
    handle.journal.append([[start("c", 1, Concurrency("key", 3))]])
    handle.journal.append([[start("d", 1, Concurrency("other", 1))]])
    assert status(handle, "abcd") == ["in_progress"] * 4


def test_places_are_counted_within_a_transaction_too(handle: Handle) -> None:
    trees(handle, "abc")
    with pytest.raises(SlotTaken) as caught:
        handle.journal.append([[start(id, 1, TWO)] for id in "abc"])
    assert caught.value.tree == "c"
    assert status(handle, "abc") == ["pending"] * 3


@pytest.mark.parametrize(
    "event",
    [
        e.TaskCompleted(at=AT, task="a"),
        e.TaskFailed(at=AT, task="a", error=ERROR),
        e.AttemptFailed(at=AT, task="a", error=ERROR, retry_at=AT),
        e.TaskCancelled(at=AT, task="a", attempt=1),
        e.TaskInterrupted(at=AT, task="a", interruption="shutdown"),
    ],
    ids=lambda event: event.topic,
)
def test_a_place_is_free_again_when_its_attempt_has_ended(
    handle: Handle, event: e.AnyEvent
) -> None:
    trees(handle, "ab")
    handle.journal.append([[start("a", 1)]])
    handle.journal.append([[keyed("a", 2, event)]])
    handle.journal.append([[start("b", 1)]])


def test_a_place_freed_in_a_transaction_may_be_taken_in_it(handle: Handle) -> None:
    trees(handle, "ab")
    handle.journal.append([[start("a", 1)]])
    handle.journal.append([[start("b", 1)], [end("a", 2)]])
    assert status(handle, "ab") == ["completed", "in_progress"]


def test_the_next_attempt_of_a_task_may_take_the_place_of_the_last(handle: Handle) -> None:
    trees(handle, "ab")
    handle.journal.append([[start("a", 1)]])
    failed = e.AttemptFailed(at=AT, task="a", error=ERROR, retry_at=AT)
    handle.journal.append([[keyed("a", 2, failed)], [start("a", 3, attempt=2)]])
    with pytest.raises(SlotTaken):
        handle.journal.append([[start("b", 1)]])
    handle.journal.append([[end("a", 4)]])
    handle.journal.append([[start("b", 1)]])


def test_one_keyed_append_makes_its_whole_transaction_so(handle: Handle) -> None:
    trees(handle, "abc")
    handle.journal.append([[saved("a", 1)], [start("a", 2)]])
    with pytest.raises(SlotTaken):
        handle.journal.append([[saved("b", 1)], [start("b", 2)]])
    handle.journal.append([[end("a", 3)], [saved("a", 4)]])
    handle.journal.append([[start("b", 1)], [saved("b", 2)]])
    with pytest.raises(SlotTaken):
        handle.journal.append([[start("c", 1)]])


def test_a_task_is_not_in_its_own_way(handle: Handle) -> None:
    """Its place was left behind by an append that did not say that it is keyed."""
    trees(handle, "ab")
    handle.journal.append([[start("a", 1)]])
    done = e.TaskCompleted(at=AT, task="a")
    again = e.TaskReopened(at=AT, task="a", generation=2)
    handle.journal.append([[Append("a", 2, [done, again], numbers("a"))]])
    handle.journal.append([[start("a", 4)]])
    with pytest.raises(SlotTaken):
        handle.journal.append([[start("b", 1)]])
    handle.journal.append([[end("a", 5)], [start("b", 1)]])


def test_what_starts_and_ends_in_one_transaction_holds_no_place(handle: Handle) -> None:
    trees(handle, "abc")
    handle.journal.append([[start("a", 1)], [end("a", 2)]])
    handle.journal.append([[start("b", 1)]])
    with pytest.raises(SlotTaken):
        handle.journal.append([[start("c", 1)]])


def test_a_new_tree_may_start_with_a_place_in_its_first_transaction(handle: Handle) -> None:
    def at_once(tree: str) -> Append:
        started = e.TaskStarted(at=AT, task=tree, slot=ONE)
        submitted = e.TreeSubmitted(at=AT, of=(None,))
        facts: list[e.AnyEvent] = [created(tree), submitted, started]
        return Append(tree, 0, facts, numbers(tree), keyed=True)

    handle.journal.append([[new("x")], [at_once("a")]])
    for refused in (start("x", 1), at_once("b")):
        with pytest.raises(SlotTaken) as caught:
            handle.journal.append([[refused]])
        assert caught.value.tree == refused.tree
    handle.journal.append([[end("a", 3)], [at_once("b")]])


def test_another_handle_s_places_are_taken(shared: Store) -> None:
    one, two = shared.open(), shared.open()
    trees(one, "ab")
    one.journal.append([[start("a", 1)]])
    with pytest.raises(SlotTaken):
        two.journal.append([[start("b", 1)]])
    one.journal.append([[end("a", 2)]])
    two.journal.append([[start("b", 1)]])


def test_a_key_may_be_any_text(handle: Handle) -> None:
    key = "q'\"\\{},NULL\n ünï \U0001f600"
    trees(handle, "ab")
    handle.journal.append([[start("a", 1, Concurrency(key))]])
    with pytest.raises(SlotTaken) as caught:
        handle.journal.append([[start("b", 1, Concurrency(key))]])
    assert (caught.value.tree, caught.value.key) == ("b", key)


def test_a_stale_append_is_told_as_such_whatever_its_slots(handle: Handle) -> None:
    trees(handle, "ab")
    handle.journal.append([[start("a", 1)], [saved("b", 1)]])
    with pytest.raises(StaleVersion):
        handle.journal.append([[start("b", 1)]])


def test_the_committer_refuses_only_those_without_a_place(handle: Handle) -> None:
    trees(handle, "abcd")
    committer = Committer(handle.journal, lambda: None)
    results = committer.commit([[start("a", 1)], [start("b", 1)], [saved("c", 1)], [start("d", 1)]])
    committer.close()
    assert [type(result) for result in results] == [type(None), SlotTaken, type(None), SlotTaken]
    assert status(handle, "abcd") == ["in_progress", "pending", "pending", "pending"]


@pytest.mark.parametrize("seed", range(3))
def test_no_place_is_held_once_everything_has_ended(shared: Store, seed: int) -> None:
    handle, history = shared.open(), History(Random(seed))
    held = 0
    for units in [*history.commits(40), history.finish()]:
        if units:
            handle.journal.append(units)
            held += len(shared.ask("SELECT * FROM slot"))
    assert held
    assert shared.ask("SELECT * FROM slot") == []
