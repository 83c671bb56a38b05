"""Outcomes of commands out of the inbox: stored with the events of the command, and once."""

from collections.abc import Callable

import pytest
from msgspec import Raw

from aipartnerupflow.domain.errors import CommandAnswered, StaleVersion, StoreError
from aipartnerupflow.engine.commit import Committer
from aipartnerupflow.engine.ports import Answered, Append, Command
from tests.support.facts import AT, new, numbers, saved
from tests.support.journals import Handle, MemoryStore, Store

pytestmark = pytest.mark.any_log(reason="writes events that say little behind any others")

DONE = b'{"ok":"f\xc3\xbcr immer"}'
Outcome = Callable[[str], bytes | None]


def send(store: Store, handle: Handle, *ids: str) -> Outcome:
    """Leave commands in the inbox; gives what tells their outcomes."""
    if isinstance(store, MemoryStore):
        inbox = handle.recorder.tables.inbox
        for id in ids:
            inbox[id] = [Command(id, "a", "pause", Raw(b"{}"), "user", AT), None]
        return lambda id: inbox[id][1]
    for id in ids:
        store.change(
            'INSERT INTO inbox (id, tree, name, arguments, "by", at) '
            "VALUES (%(id)s, 'a', 'pause', '{}', 'user', %(at)s)",
            {"id": id, "at": AT},
        )

    def outcome(id: str) -> bytes | None:
        rows = {id: (text, at) for id, text, at in store.ask(
            "SELECT id, outcome, answered_at FROM inbox"
        )}  # fmt: skip
        text, at = rows[id]
        assert (text is None) == (at is None)
        return None if text is None else str(text).encode()

    return outcome


def answered(tree: str, after: int, *ids: str) -> Append:
    append = saved(tree, after)
    answers = [Answered(id, DONE) for id in ids]
    return Append(tree, after, append.events, numbers(tree), answers=answers)


def test_an_outcome_is_stored_with_the_events_of_its_command(store: Store) -> None:
    handle = store.open()
    outcome = send(store, handle, "c1", "c2", "c3")
    handle.journal.append([[new("a")]])
    handle.journal.append([[answered("a", 1, "c1")], [answered("a", 2, "c3")]])
    assert [outcome(id) for id in ("c1", "c2", "c3")] == [DONE, None, DONE]
    assert [r.version for r in handle.journal.read("a")] == [1, 2, 3]


def test_a_command_with_an_outcome_is_not_carried_out_again(store: Store) -> None:
    handle = store.open()
    outcome = send(store, handle, "c1", "c2")
    handle.journal.append([[new("a")], [new("b")]])
    handle.journal.append([[answered("a", 1, "c1")]])
    with pytest.raises(CommandAnswered) as caught:
        handle.journal.append([[saved("b", 1)], [answered("a", 2, "c2", "c1")]])
    assert caught.value.id == "c1"
    assert outcome("c2") is None
    assert [r.version for r in handle.journal.read("a")] == [1, 2]
    assert [r.version for r in handle.journal.read("b")] == [1]
    handle.journal.append([[answered("a", 2, "c2")]])
    assert handle.journal.verify("a") is None


def test_a_command_that_is_not_there_is_taken_for_answered(store: Store) -> None:
    """It was kept for a day after its outcome, and is gone."""
    handle = store.open()
    handle.journal.append([[new("a")]])
    with pytest.raises(CommandAnswered):
        handle.journal.append([[answered("a", 1, "c1")]])
    assert handle.journal.position() == 1


def test_of_two_answers_in_one_group_the_first_counts(store: Store) -> None:
    handle = store.open()
    outcome = send(store, handle, "c1")
    handle.journal.append([[new("a")], [new("b")]])
    committer = Committer(handle.journal, lambda: None)
    results = committer.commit(
        [[answered("a", 1, "c1")], [answered("b", 1, "c1")], [saved("b", 1)]]
    )
    committer.close()
    assert [type(result) for result in results] == [type(None), CommandAnswered, type(None)]
    assert outcome("c1") == DONE


def test_a_refused_append_leaves_its_command_open(store: Store) -> None:
    handle = store.open()
    outcome = send(store, handle, "c1")
    handle.journal.append([[new("a")]])
    with pytest.raises(StaleVersion):
        handle.journal.append([[answered("a", 5, "c1")]])
    handle.lose("before")
    with pytest.raises(StoreError):
        handle.journal.append([[answered("a", 1, "c1")]])
    assert outcome("c1") is None


def test_an_answer_whose_commit_is_lost_on_the_way_back_is_stored_once(store: Store) -> None:
    handle = store.open()
    outcome = send(store, handle, "c1")
    handle.journal.append([[new("a")]])
    handle.lose("after")
    handle.journal.append([[answered("a", 1, "c1")]])
    assert outcome("c1") == DONE
    assert [r.version for r in handle.journal.read("a")] == [1, 2]


def test_an_outcome_of_another_handle_counts(shared: Store) -> None:
    one, two = shared.open(), shared.open()
    send(shared, one, "c1")
    one.journal.append([[new("a")], [new("b")]])
    one.journal.append([[answered("a", 1, "c1")]])
    with pytest.raises(CommandAnswered):
        two.journal.append([[answered("b", 1, "c1")]])
