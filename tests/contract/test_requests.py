"""A request makes one tree; trees are listed by what they are; histories are read in pages."""

import pytest
from msgspec import Raw

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import KeyTaken
from aipartnerupflow.domain.specs import ErrorInfo, Request
from aipartnerupflow.engine.commit import Committer
from aipartnerupflow.engine.ports import Append
from tests.support.facts import AT, LAST, LATER, new, numbers, saved, spec
from tests.support.journals import Handle, Store

pytestmark = pytest.mark.any_log(reason="writes the events whose rows it asks for, no others")

REQUEST = Request("key", "body")


def asked(tree: str, request: Request | None = REQUEST, origin: str | None = None) -> Append:
    made = e.TreeCreated(
        at=AT, uid=f"uid of {tree}", name=f"Tree {tree}", owner="ann", request=request,
        origin=origin, specs=(spec(tree),),
    )  # fmt: skip
    return Append(tree, 0, [made], numbers(tree))


def test_a_request_makes_one_tree(handle: Handle) -> None:
    handle.journal.append([[asked("a")]])
    with pytest.raises(KeyTaken):
        handle.journal.append([[asked("b")]])
    found = handle.reads.tree_of_request("key")
    assert found is not None
    assert (found.id, found.request) == ("a", "key")
    assert handle.reads.tree("b") is None
    assert handle.reads.tree_of_request("another") is None


def test_two_requests_of_one_transaction_exclude_each_other_too(handle: Handle) -> None:
    with pytest.raises(KeyTaken):
        handle.journal.append([[asked("a"), asked("b")]])
    assert handle.reads.trees() == []


def test_a_repeated_request_leaves_the_others_of_its_group_alone(handle: Handle) -> None:
    committer = Committer(handle.journal, lambda: None)
    handle.journal.append([[asked("a")]])
    results = committer.commit([[asked("b")], [new("c")]])
    assert [type(result) for result in results] == [KeyTaken, type(None)]
    assert handle.reads.tree("c") is not None


def test_of_two_processes_one_makes_the_tree(shared: Store) -> None:
    one, other = shared.open(), shared.open()
    one.journal.append([[asked("a")]])
    with pytest.raises(KeyTaken):
        other.journal.append([[asked("b")]])


def test_any_number_of_trees_come_without_a_request(handle: Handle) -> None:
    handle.journal.append([[asked("a", None)], [asked("b", None, "a")]])
    found = handle.reads.tree("b")
    assert found is not None
    assert (found.request, found.origin) == (None, "a")


# -- lists


def many(handle: Handle) -> None:
    failing: list[e.AnyEvent] = [
        e.TaskStarted(at=LATER, task="failed"),
        e.TaskFailed(at=LATER, task="failed", error=ErrorInfo("Boom", "it broke")),
    ]
    chosen = e.TreeCreated(
        at=LATER, uid="u", name="Lunch", owner="bob",
        specs=(
            spec("later"),
            spec("later.1", "later", name="x", params=Raw(b'{"executor_id":"cook"}')),
            spec("later.2", "later", name="y", schemas=Raw(b'{"method":"fry"}')),
            spec("later.3", "later", name="boil"),
        ),
    )  # fmt: skip
    handle.journal.append([[new("first", owner="ann")], [new("failed", owner="ann")]])
    handle.journal.append([[Append("failed", 1, failing, numbers("failed"))]])
    ids = numbers("later", "later.1", "later.2", "later.3")
    handle.journal.append([[Append("later", 0, [chosen], ids)]])


def ids(handle: Handle, **wanted: str) -> list[str]:
    return [view.id for view in handle.reads.trees(**wanted)]  # type: ignore[arg-type]


def test_trees_are_found_by_name_owner_and_time(handle: Handle) -> None:
    many(handle)
    assert ids(handle) == ["later", "failed", "first"]
    assert ids(handle, name="unch") == ["later"]
    assert ids(handle, name="%") == []
    assert ids(handle, owner="ann") == ["failed", "first"]
    assert ids(handle, since=LATER) == ["later"]
    assert ids(handle, until=LATER) == ["failed", "first"]
    assert ids(handle, since=AT, until=LAST, owner="bob") == ["later"]


@pytest.mark.parametrize("executor", ["cook", "fry", "boil"])
def test_trees_are_found_by_an_executor_however_it_is_named(handle: Handle, executor: str) -> None:
    many(handle)
    assert ids(handle, executor=executor) == ["later"]
    assert ids(handle, executor="x") == []


def test_trees_are_found_by_the_type_of_an_error(handle: Handle) -> None:
    many(handle)
    assert ids(handle, error="Boom") == ["failed"]
    assert ids(handle, error="it broke") == []


# -- histories


def test_a_history_is_read_between_two_versions_in_either_order(handle: Handle) -> None:
    handle.journal.append([[new("a")], [new("b")], [saved("a", 1, 4)]])

    def versions(**wanted: object) -> list[int]:
        return [r.version for r in handle.reads.history("a", **wanted)]  # type: ignore[arg-type]

    assert versions() == [1, 2, 3, 4, 5]
    assert versions(after=2) == [3, 4, 5]
    assert versions(after=1, before=4) == [2, 3]
    assert versions(limit=2) == [1, 2]
    assert versions(descending=True, limit=2) == [5, 4]
    assert versions(descending=True, before=4) == [3, 2, 1]
    assert versions(topics=["tree.created"]) == [1]
    assert versions(topics=["tree.settled", "task.saved"], limit=1) == [2]
    assert versions(topics=[]) == []
    assert handle.reads.history("nobody") == []
    whole = list(handle.journal.read("a"))
    assert list(handle.reads.history("a")) == whole
