"""What is open, by the fold and by the stores' query."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from aipartnerupflow.domain.events import (
    AnyEvent,
    Recorded,
    TreeAdopted,
    TreeClaimed,
    TreeCreated,
    TreeReleased,
    TreeReopened,
    TreeSettled,
    TreeSubmitted,
)
from aipartnerupflow.domain.specs import TaskSpec
from aipartnerupflow.projections.open_work import OpenWork, open_work
from tests.support.histories import History
from tests.support.stores import Stores

AT = "2026-01-01T00:00:00.000000Z"
CREATED = TreeCreated(at=AT, uid="u", name="Tree", specs=(TaskSpec(id="t", name="t"),))
SUBMITTED = TreeSubmitted(at=AT, of=(None,))
CLAIMED = TreeClaimed(at=AT, engine="engine-a", epoch=3)


def given_events(*events: AnyEvent) -> list[OpenWork]:
    return open_work(Recorded("t", n, event, n) for n, event in enumerate(events, 1))


def test_a_draft_is_no_open_work() -> None:
    assert given_events(CREATED) == []


def test_an_adopted_draft_is_no_open_work() -> None:
    assert given_events(CREATED, TreeAdopted(at=AT, into="u")) == []


def test_a_submitted_tree_is_open_and_free() -> None:
    assert given_events(CREATED, SUBMITTED) == [OpenWork("t", "Tree", "", 0, True)]


def test_a_claimed_tree_names_its_engine() -> None:
    claimed = OpenWork("t", "Tree", "engine-a", 3, False)
    assert given_events(CREATED, SUBMITTED, CLAIMED) == [claimed]


def test_a_released_tree_says_so_and_keeps_the_epoch() -> None:
    released = TreeReleased(at=AT, engine="engine-a")
    assert given_events(CREATED, SUBMITTED, CLAIMED, released) == [
        OpenWork("t", "Tree", "engine-a", 3, True)
    ]


def test_a_settled_tree_is_no_open_work() -> None:
    assert given_events(CREATED, SUBMITTED, CLAIMED, TreeSettled(at=AT, status="completed")) == []


def test_a_reopened_tree_is_open_again_and_names_who_claimed_it_last() -> None:
    settled = TreeSettled(at=AT, status="failed")
    assert given_events(CREATED, SUBMITTED, CLAIMED, settled, TreeReopened(at=AT)) == [
        OpenWork("t", "Tree", "engine-a", 3, False)
    ]


@settings(max_examples=15, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_the_query_answers_what_the_fold_says(stores: Stores, random: Random) -> None:
    with stores() as store:
        journal, history = store.journal, History(random)
        for commit in history.commits(15):
            if commit:
                journal.append(commit)
        found = [
            OpenWork(tree.id, tree.name, tree.engine, tree.epoch, tree.released)
            for tree in journal.open_work()
        ]
        assert found == open_work(journal.read_all())
