"""The outbox of webhooks on every store: one server at a time, and no tree without its hooks."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder
from aipartnerupflow.adapters.journal.side import MemorySide, PostgresSide, SQLiteSide
from aipartnerupflow.adapters.webhooks.outbox import Claimed, Outbox
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.domain.specs import Request
from aipartnerupflow.domain.time import to_seconds, to_text
from aipartnerupflow.domain.webhooks import Hook
from aipartnerupflow.engine.ports import Append
from tests.support.facts import AT, new, numbers
from tests.support.journals import Handle, Store

pytestmark = pytest.mark.any_log(reason="writes the events whose rows it asks for, no others")

ONE, TWO = Hook("http://one.example/"), Hook("http://two.example/", events=("task.*",))
REQUEST = Request("key", "body")
DAYS_LATER = "2026-01-03T00:00:00.000000Z"
WEEKS_LATER = "2026-01-12T00:00:00.000000Z"


def outbox_on(handle: Handle) -> Outbox:
    recorder = handle.recorder
    if isinstance(recorder, MemoryRecorder):
        return Outbox(MemorySide(handle.reads.tree))
    if isinstance(recorder, PostgresRecorder):
        return Outbox(PostgresSide(recorder))
    return Outbox(SQLiteSide(recorder))


@pytest.fixture
def outbox(handle: Handle) -> Outbox:
    return outbox_on(handle)


def grow(handle: Handle, tree: str, after: int, *events: e.AnyEvent) -> None:
    handle.journal.append([[Append(tree, after, list(events), numbers(tree))]])


def submitted(handle: Handle, tree: str, *more: e.AnyEvent, owner: str | None = None) -> None:
    """A tree of version 2 and so many."""
    handle.journal.append([[new(tree, owner=owner)]])
    grow(handle, tree, 1, e.TreeSubmitted(at=AT, of=("group",)), *more)


def settled(handle: Handle, tree: str) -> None:
    """A tree of version 3."""
    submitted(handle, tree, e.TreeSettled(at=AT, status="completed"))


def claim(
    outbox: Outbox, now: float = 100.0, holder: str = "me", limit: int = 9, share: int = 20
) -> list[Claimed]:
    return list(outbox.claim(holder, now, now + 10.0, limit, share))


def seen(claimed: Sequence[Claimed]) -> list[tuple[str, int]]:
    return [(one.hook.url, one.seen) for one in claimed]


def later(claimed: Claimed, version: int) -> Claimed:
    return Claimed(
        claimed.id, claimed.tree, claimed.hook, version, 0, 0, claimed.holder, claimed.since
    )


def test_a_hook_is_claimed_with_what_it_was_registered_for(handle: Handle, outbox: Outbox) -> None:
    submitted(handle, "t")
    hook = Hook("http://x.example/", ("task.*",), {"a": "b"}, "PUT", 3.5, 2, "jsonrpc")
    (id,) = outbox.add("t", [hook], at=AT, seen=1)
    assert claim(outbox) == [Claimed(id, "t", hook, 1, 0, 0, "me", AT)]


def test_a_hook_waits_until_its_tree_has_news(handle: Handle, outbox: Outbox) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE], at=AT, seen=2)
    assert (claim(outbox), outbox.next_due()) == ([], None)
    grow(handle, "t", 2, e.TreePaused(at=AT))
    assert outbox.next_due() == 0.0
    assert seen(claim(outbox)) == [(ONE.url, 2)]


def test_a_draft_is_not_told_of_until_it_is_submitted(handle: Handle, outbox: Outbox) -> None:
    handle.journal.append([[new("t")]])
    outbox.add("t", [ONE], at=AT)
    assert (claim(outbox), outbox.next_due()) == ([], None)
    grow(handle, "t", 1, e.TreeSubmitted(at=AT, of=("group",)))
    assert seen(claim(outbox)) == [(ONE.url, 0)]


def test_a_hook_may_be_there_before_its_tree(handle: Handle, outbox: Outbox) -> None:
    outbox.add("", [ONE, TWO], at=AT, request=REQUEST)
    assert outbox.unbound() == [REQUEST]
    assert claim(outbox) == []
    submitted(handle, "t")
    outbox.bind(REQUEST, "t")
    assert outbox.unbound() == []
    assert sorted(seen(claim(outbox))) == [(ONE.url, 0), (TWO.url, 0)]


def test_the_same_request_registers_once(handle: Handle, outbox: Outbox) -> None:
    first = outbox.add("", [ONE], at=AT, request=REQUEST)
    assert outbox.add("", [ONE], at=AT, request=REQUEST) == first
    submitted(handle, "t")
    outbox.bind(REQUEST, "t")
    (claimed,) = claim(outbox)
    assert outbox.end(claimed, "done", 100.0)
    assert outbox.add("", [ONE], at=AT, request=REQUEST) == first
    assert claim(outbox, 200.0) == [], "it is not told again"


def test_hooks_of_a_refused_tree_are_taken_back(handle: Handle, outbox: Outbox) -> None:
    outbox.remove(outbox.add("", [ONE], at=AT, request=REQUEST))
    assert outbox.unbound() == []
    outbox.add("", [ONE], at=AT, request=REQUEST)
    outbox.bind(REQUEST, "t")
    outbox.remove(outbox.add("", [ONE], at=AT, request=REQUEST))
    submitted(handle, "t")
    assert len(claim(outbox)) == 1, "those of a tree that is there are not"


def test_who_holds_a_hook_holds_it_alone_until_the_lease_ends(
    handle: Handle, outbox: Outbox
) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE], at=AT)
    (mine,) = claim(outbox, 100.0)
    assert claim(outbox, 109.9, "you") == []
    assert outbox.next_due() == 110.0
    assert outbox.hold(mine, 120.0)
    assert claim(outbox, 111.0, "you") == []
    (yours,) = claim(outbox, 120.0, "you")
    assert not outbox.hold(mine, 130.0)
    assert not outbox.advance(later(mine, 1), None, 130.0)
    assert not outbox.end(mine, "done", 100.0)
    outbox.put_off(mine, 1, 500.0, "late")
    outbox.release(mine, 500.0)
    assert outbox.advance(later(yours, 1), None, 130.0)


def test_two_servers_share_the_hooks(shared: Store) -> None:
    one, other = shared.open(), shared.open()
    submitted(one, "t")
    outbox_on(one).add("t", [Hook(f"http://{n}.example/") for n in range(10)], at=AT)
    mine = claim(outbox_on(one), 100.0, "me", 6)
    yours = claim(outbox_on(other), 100.0, "you", 6)
    assert (len(mine), len(yours)) == (6, 4)
    assert {one.id for one in mine}.isdisjoint(one.id for one in yours)


def test_no_more_are_claimed_than_asked_for(handle: Handle, outbox: Outbox) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE, TWO], at=AT)
    assert claim(outbox, limit=0) == []
    assert len(claim(outbox, limit=1)) == 1


def hooks(count: int) -> list[Hook]:
    return [Hook(f"http://{n}.example/") for n in range(count)]


def test_one_owners_hooks_leave_room_for_those_of_others(handle: Handle, outbox: Outbox) -> None:
    for tree, owner in (("t", "ann"), ("u", "ann"), ("v", "bob"), ("w", None)):
        submitted(handle, tree, owner=owner)
        outbox.add(tree, hooks(6), at=AT)
    first = claim(outbox, limit=9, share=2)
    assert len({one.tree for one in first} & {"v", "w"}) == 2
    assert len(first) == 6
    assert claim(outbox, limit=9, share=2, holder="you") == []
    outbox.release(next(one for one in first if one.tree == "v"), 100.0)
    assert [one.tree for one in claim(outbox, limit=9, share=2, holder="you")] == ["v"]
    assert len(claim(outbox, now=110.0, share=2)) == 6, "the leases have ended"


def test_hooks_that_failed_leave_room_for_the_owners_others(handle: Handle, outbox: Outbox) -> None:
    submitted(handle, "t", owner="ann")
    outbox.add("t", hooks(6), at=AT)
    for one in claim(outbox):
        outbox.put_off(one, 1, 99.0, "busy")
    submitted(handle, "u", owner="ann")
    outbox.add("u", hooks(6), at=AT)
    first = claim(outbox, limit=9, share=2)
    assert sorted(one.tree for one in first) == ["t", "t", "u", "u"]


def test_the_cursor_moves_on_and_what_failed_is_forgotten(handle: Handle, outbox: Outbox) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE], at=AT)
    (claimed,) = claim(outbox)
    outbox.put_off(claimed, 3, 100.0, "busy")
    (claimed,) = claim(outbox)
    assert claimed.attempts == 3
    assert outbox.advance(later(claimed, 1), None, 100.0)
    (claimed,) = claim(outbox, 101.0)
    assert (claimed.seen, claimed.attempts) == (1, 0)
    assert outbox.advance(later(claimed, 2), None, 100.0)
    assert claim(outbox, 102.0) == []


def test_a_hook_that_was_put_off_is_due_later(handle: Handle, outbox: Outbox) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE], at=AT)
    (claimed,) = claim(outbox)
    outbox.put_off(claimed, 1, 150.0, "busy")
    assert outbox.next_due() == 150.0
    assert claim(outbox, 149.9) == []
    assert [one.attempts for one in claim(outbox, 150.0)] == [1]


def test_a_hook_that_is_let_go_of_keeps_what_failed(handle: Handle, outbox: Outbox) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE], at=AT)
    outbox.put_off(claim(outbox)[0], 2, 100.0, "busy")
    outbox.release(claim(outbox)[0], 100.0)
    assert [one.attempts for one in claim(outbox, 100.0)] == [2]


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_hook_that_has_ended_is_told_nothing(handle: Handle, outbox: Outbox, state: str) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE], at=AT)
    assert outbox.end(claim(outbox)[0], state, 100.0, "why")
    grow(handle, "t", 2, e.TreePaused(at=AT))
    assert (claim(outbox, 200.0), outbox.next_due()) == ([], None)


def test_registering_again_changes_nothing_while_it_is_open(handle: Handle, outbox: Outbox) -> None:
    submitted(handle, "t")
    first = outbox.add("t", [ONE, ONE], at=AT, seen=0)
    assert len(first) == 1
    assert outbox.add("t", [ONE], at=DAYS_LATER, seen=2) == ()
    assert seen(claim(outbox)) == [(ONE.url, 0)]


def test_registering_again_goes_on_with_one_that_has_ended(handle: Handle, outbox: Outbox) -> None:
    settled(handle, "t")
    outbox.add("t", [ONE], at=AT)
    assert outbox.end(claim(outbox)[0], "done", 100.0)
    outbox.add("t", [ONE], at=DAYS_LATER, seen=3)
    assert claim(outbox, 200.0) == []
    grow(handle, "t", 3, e.TreeReopened(at=AT))
    assert seen(claim(outbox, 200.0)) == [(ONE.url, 3)]


def test_one_that_is_registered_again_just_before_its_end_does_not_end(
    handle: Handle, outbox: Outbox
) -> None:
    settled(handle, "t")
    outbox.add("t", [ONE], at=AT)
    (claimed,) = claim(outbox)
    outbox.add("t", [ONE], at=DAYS_LATER, seen=3)
    assert outbox.advance(later(claimed, 3), None, 110.0)
    assert not outbox.end(claimed, "done", 100.0)
    outbox.release(claimed, 0.0)
    grow(handle, "t", 3, e.TreeReopened(at=AT))
    assert seen(claim(outbox)) == [(ONE.url, 3)]


def test_a_tree_has_ten_hooks_at_most(handle: Handle, outbox: Outbox) -> None:
    hooks = [Hook(f"http://{n}.example/") for n in range(11)]
    with pytest.raises(InvalidInput, match="10 webhooks"):
        outbox.add("t", hooks, at=AT)
    outbox.add("t", hooks[:10], at=AT)
    outbox.add("t", hooks[:10], at=AT)
    with pytest.raises(InvalidInput, match="10 webhooks"):
        outbox.add("t", hooks[10:], at=AT)
    outbox.add("u", hooks[10:], at=AT)
    outbox.add("", hooks[:10], at=AT, request=REQUEST)
    with pytest.raises(InvalidInput, match="10 webhooks"):
        outbox.add("", hooks[10:], at=AT, request=REQUEST)


def test_after_a_day_a_hook_whose_tree_never_came_is_given_up(
    handle: Handle, outbox: Outbox
) -> None:
    outbox.add("", [ONE], at=AT, request=REQUEST)
    outbox.sweep(AT)
    assert outbox.unbound() == [REQUEST]
    outbox.sweep(DAYS_LATER)
    assert outbox.unbound() == []


def test_after_a_day_a_hook_of_a_settled_tree_has_ended(handle: Handle, outbox: Outbox) -> None:
    settled(handle, "t")
    outbox.add("t", [ONE], at=AT, seen=3)
    outbox.add("t", [TWO], at=AT, seen=2)
    outbox.sweep(AT)
    outbox.sweep(DAYS_LATER)
    grow(handle, "t", 3, e.TreeReopened(at=AT))
    assert seen(claim(outbox)) == [(TWO.url, 2)]


def test_an_open_hook_is_kept_and_one_that_has_ended_is_forgotten_after_a_week(
    handle: Handle, outbox: Outbox
) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE], at=AT)
    (id,) = outbox.add("t", [TWO], at=AT)
    ended = next(one for one in claim(outbox) if one.id == id)
    outbox.end(ended, "done", 100.0)
    outbox.sweep(WEEKS_LATER)
    assert seen(claim(outbox, 200.0)) == [(ONE.url, 0)]


def test_the_week_is_counted_from_the_end(handle: Handle, outbox: Outbox) -> None:
    settled(handle, "t")
    outbox.add("t", [ONE], at=AT)
    day = to_seconds(WEEKS_LATER)
    outbox.end(claim(outbox)[0], "done", day)
    outbox.sweep(WEEKS_LATER)
    assert [one.state for one in outbox.of("t")] == ["done"]
    outbox.sweep(to_text(day + 8 * 86_400))
    assert outbox.of("t") == []


def test_one_that_has_ended_and_is_registered_again_is_due_at_once(
    handle: Handle, outbox: Outbox
) -> None:
    settled(handle, "t")
    outbox.add("t", [ONE], at=AT)
    outbox.end(claim(outbox)[0], "done", 1e9)
    outbox.add("t", [ONE], at=DAYS_LATER)
    assert seen(claim(outbox, 200.0)) == [(ONE.url, 0)]


def test_what_was_refused_is_withdrawn_unless_it_was_open_before(
    handle: Handle, outbox: Outbox
) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE], at=AT)
    made = outbox.add("t", [ONE, TWO], at=DAYS_LATER)
    assert len(made) == 1
    outbox.withdraw(made, AT)
    assert len(outbox.of("t")) == 2
    outbox.withdraw(made, DAYS_LATER)
    assert [one.hook for one in outbox.of("t")] == [ONE]


def test_what_is_swept_keeps_no_headers(handle: Handle, outbox: Outbox) -> None:
    secret = Hook("http://x.example/", ("task.*",), {"Authorization": "Bearer secret"}, "PUT")
    settled(handle, "t")
    submitted(handle, "u")
    outbox.add("t", [secret], at=AT, seen=3)
    outbox.add("", [secret], at=AT, request=REQUEST)
    outbox.sweep(DAYS_LATER)
    found = [*outbox.of("t"), *outbox.of("")]
    assert [(one.state, one.hook) for one in found] == [
        ("done", replace(secret, headers={})), ("failed", replace(secret, headers={})),
    ]  # fmt: skip


def test_the_hooks_of_a_tree_are_listed_as_they_stand(handle: Handle, outbox: Outbox) -> None:
    submitted(handle, "t")
    outbox.add("t", [ONE], at=AT)
    (claimed,) = claim(outbox)
    outbox.put_off(claimed, 2, 0.0, "busy")
    (found,) = outbox.of("t")
    assert (found.id, found.hook, found.tree) == (claimed.id, ONE, "t")
    assert (found.seen, found.attempts, found.state, found.problem) == (0, 2, "open", "busy")
    outbox.end(claim(outbox)[0], "failed", 100.0, "gone")
    assert [(one.state, one.problem) for one in outbox.of("t")] == [("failed", "gone")]
    assert outbox.of("u") == []


def test_the_headers_of_a_hook_that_has_ended_are_not_kept(handle: Handle, outbox: Outbox) -> None:
    hook = Hook("http://x.example/", headers={"Authorization": "Bearer secret"})
    settled(handle, "t")
    first = outbox.add("t", [hook], at=AT)
    assert outbox.end(claim(outbox)[0], "done", 100.0)
    assert [one.hook.headers for one in outbox.of("t")] == [{}]
    assert outbox.add("t", [hook], at=DAYS_LATER, seen=0) == first
    assert [one.hook for one in claim(outbox, 200.0)] == [hook]
