"""What the queries over trees and tasks must give, whatever the store."""

import pytest
from msgspec import Raw

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.specs import Dependency, ErrorInfo, Policy, RetryPolicy
from aipartnerupflow.engine.ports import Append
from aipartnerupflow.projections.views import TaskView
from tests.support.facts import AT, LAST, LATER, created, new, numbers, saved, spec
from tests.support.journals import Handle

pytestmark = pytest.mark.any_log(
    reason="writes the events whose rows it asks for, and not those between"
)

ERROR = ErrorInfo("Boom", "it broke", ("Exception",), Raw(b'{"line":1}'))


def run(handle: Handle, tree: str) -> None:
    """A tree with one task of each fate: completed, failed, running, stopped, waiting."""
    ids = [tree, *(f"{tree}.{n}" for n in range(1, 6))]
    _, done, large, failed, running, stopped = ids
    facts: list[e.AnyEvent] = [
        created(tree, *ids[1:], owner="ann"),
        e.TreeSubmitted(at=LATER, of=(None,) * 6),
        *(e.TaskStarted(at=LATER, task=id) for id in ids[1:]),
        e.TaskProgressed(at=LATER, task=running, progress=0.5, message="half"),
        e.TaskCompleted(at=LAST, task=done, result=Raw(b'{"x":[1, 2]}')),
        e.TaskCompleted(at=LAST, task=large, blob=f"blob of {tree}", size=4),
        e.TaskFailed(at=LAST, task=failed, error=ERROR),
        e.TaskInterrupted(at=LAST, task=stopped, interruption="shutdown"),
    ]
    blobs = {f"blob of {tree}": b"[42]"}
    handle.journal.append([[Append(tree, 0, facts, numbers(*ids), blobs)]])


def test_a_tree_is_found_by_its_id(handle: Handle) -> None:
    run(handle, "a")
    view = handle.reads.tree("a")
    assert view is not None
    assert (view.num, view.id, view.uid, view.name) == (1, "a", "uid of a", "Tree a")
    assert (view.user_id, view.phase, view.status) == ("ann", "submitted", "in_progress")
    assert (view.version, view.created_at, view.updated_at) == (12, AT, LAST)
    assert (view.engine, view.epoch, view.released, view.completed_at) == ("", 0, True, None)
    assert handle.reads.tree("b") is None


def test_a_task_is_found_by_its_id_with_its_whole_specification(handle: Handle) -> None:
    whole = spec(
        "a.1", "a", key="one", priority=0, dependencies=(Dependency("a.2", False),),
        inputs=Raw(b'{"i": 1}'), params=Raw(b'{"p": 1.50}'), schemas=Raw(b'{"s":{}}'),
        policy=Policy(deadline=9.0),
    )  # fmt: skip
    tree = e.TreeCreated(at=AT, uid="u", name="t", owner="ann", specs=(spec("a"), whole))
    handle.journal.append([[Append("a", 0, [tree], numbers("a", "a.1"))]])
    view = handle.reads.task("a.1")
    assert view is not None
    assert (view.n, view.key, view.name, view.priority) == (1, "one", "name of a.1", 0)
    assert (view.tree_id, view.parent_id, view.user_id) == ("a", "a", "ann")
    assert view.dependencies == whole.dependencies
    assert (view.inputs, view.params, view.schemas) == (whole.inputs, whole.params, whole.schemas)
    assert view.policy == Raw(b'{"deadline":9.0}')
    assert (view.status, view.attempt, view.generation, view.draft) == ("pending", 0, 1, True)
    assert (view.progress, view.message, view.created_at) == (0.0, "", AT)
    assert (view.started_at, view.completed_at, view.result, view.error) == (None,) * 4
    assert handle.reads.task("a.2") is None


def test_results_and_errors_come_with_the_tasks(handle: Handle) -> None:
    run(handle, "a")
    of = {task.id: task for task in handle.reads.tasks("a")}
    assert list(of) == ["a", "a.1", "a.2", "a.3", "a.4", "a.5"]
    assert [task.status for task in of.values()] == [
        "pending", "completed", "completed", "failed", "in_progress", "pending",
    ]  # fmt: skip
    assert [task.value() for task in of.values()] == [None, {"x": [1, 2]}, [42], None, None, None]
    assert [task.error for task in of.values()] == [None, None, None, ERROR, None, None]
    assert [task.progress for task in of.values()] == [0.0, 1.0, 1.0, 0.0, 0.5, 0.0]
    assert [task.started_at for task in of.values()] == [None, LATER, LATER, LATER, LATER, None]
    assert [task.completed_at for task in of.values()] == [None, LAST, LAST, LAST, None, None]
    assert of["a.4"].message == "half"
    assert all(handle.reads.task(id) == task for id, task in of.items())
    assert not any(task.draft for task in of.values())


def test_a_cancelled_task_says_why(handle: Handle) -> None:
    ids = ["a", "a.1", "a.2"]
    facts: list[e.AnyEvent] = [
        created(*ids),
        e.TreeSubmitted(at=AT, of=(None,) * 3),
        e.TaskStarted(at=LATER, task="a.1"),
        e.TaskProgressed(at=LATER, task="a.1", progress=0.5, message="half"),
        e.TaskCancelled(at=LAST, task="a.1", attempt=1, stopped=False, reason="too slow"),
        e.TaskCancelled(at=LAST, task="a.2"),
    ]
    handle.journal.append([[Append("a", 0, facts[:4], numbers(*ids))]])
    handle.journal.append([[Append("a", 4, facts[4:], numbers(*ids))]])
    begun, never = handle.reads.task("a.1"), handle.reads.task("a.2")
    assert begun is not None
    assert never is not None
    assert (begun.status, begun.attempt, begun.progress) == ("cancelled", 1, 0.5)
    assert (begun.started_at, begun.completed_at, begun.result) == (LATER, LAST, None)
    assert begun.error == ErrorInfo("cancelled", "too slow")
    assert (never.status, never.attempt, never.generation) == ("cancelled", 0, 1)
    assert (never.started_at, never.completed_at, never.progress) == (None, LAST, 0.0)
    assert never.error == ErrorInfo("cancelled", "cancelled")
    assert [task.id for task in handle.reads.find(status="cancelled")] == ["a.2", "a.1"]


def test_a_task_to_be_run_again_has_neither_result_nor_error(handle: Handle) -> None:
    run(handle, "a")
    again = [e.TaskReopened(at=LAST, task=f"a.{n}", generation=2) for n in (1, 3)]
    ids = ["a", *(f"a.{n}" for n in range(1, 6))]
    handle.journal.append([[Append("a", 12, [*again, e.TreeReopened(at=LAST)], numbers(*ids))]])
    for task in (handle.reads.task("a.1"), handle.reads.task("a.3")):
        assert task is not None
        assert (task.status, task.attempt, task.generation) == ("pending", 0, 2)
        assert (task.started_at, task.completed_at, task.progress) == (None, None, 0.0)
        assert (task.result, task.error) == (None, None)


def test_what_a_task_asks_for_comes_with_it(handle: Handle) -> None:
    policy = Policy(retry=RetryPolicy(max_attempts=5), timeout=1.5, accept=(200,))
    handle.journal.append([[new("a")]])
    added = e.TasksAdded(at=AT, specs=(spec("a.1", "a", policy=policy), spec("a.2", "a")))
    index = numbers("a", "a.1", "a.2")
    handle.journal.append([[Append("a", 1, [added], index)]])
    wanted = Raw(b'{"retry":{"max_attempts":5},"timeout":1.5,"accept":[200]}')
    assert [task.policy for task in handle.reads.tasks("a")] == [Raw(b"{}"), wanted, Raw(b"{}")]
    changes = [
        e.TaskChanged(at=AT, spec=spec("a.1", "a")),
        e.TaskChanged(at=AT, spec=spec("a.2", "a", policy=policy)),
    ]
    handle.journal.append([[Append("a", 2, changes, index)]])
    assert [task.policy for task in handle.reads.tasks("a")] == [Raw(b"{}"), Raw(b"{}"), wanted]


def test_a_tree_says_whether_it_is_paused(handle: Handle) -> None:
    def take(after: int, *events: e.AnyEvent) -> bool:
        handle.journal.append([[Append("a", after, events, numbers("a"))]])
        view = handle.reads.tree("a")
        assert view is not None
        return view.paused

    handle.journal.append([[new("a")]])
    assert not take(1, e.TreeSubmitted(at=AT, of=(None,)))
    assert take(2, e.TreePaused(at=AT))
    assert take(3, e.TreeClaimed(at=AT, engine="x", epoch=1))
    assert not take(4, e.TreeUnpaused(at=AT))
    assert take(5, e.TreePaused(at=AT))
    assert not take(6, e.TreeSettled(at=AT, status="completed"))


def test_tasks_come_in_pages_that_go_on_behind_the_last_one_seen(handle: Handle) -> None:
    run(handle, "a")
    run(handle, "b")
    whole = handle.reads.tasks("a")
    for limit in range(1, 8):
        found: list[TaskView] = []
        after: int | None = None
        while page := handle.reads.tasks("a", after=after, limit=limit):
            assert len(page) <= limit
            found += page
            after = page[-1].n
        assert found == whole
    assert handle.reads.tasks("a", after=2) == whole[3:]
    assert handle.reads.tasks("a", after=2**31) == []


def test_tasks_are_found_by_their_ids_over_all_trees(handle: Handle) -> None:
    run(handle, "a")
    run(handle, "b")
    found = handle.reads.tasks_by_id(["b.2", "nobody", "a.3", "a.3", "a"])
    assert {task.id: task for task in found} == {
        id: handle.reads.task(id) for id in ("a", "a.3", "b.2")
    }
    assert len(found) == 3
    assert handle.reads.tasks_by_id([]) == []


def test_tasks_can_be_of_one_state(handle: Handle) -> None:
    run(handle, "a")

    def ids(status: str, after: int | None = None, limit: int | None = None) -> list[str]:
        found = handle.reads.tasks("a", status=status, after=after, limit=limit)
        return [task.id for task in found]

    assert ids("pending") == ["a", "a.5"]
    assert ids("completed") == ["a.1", "a.2"]
    assert ids("completed", after=1) == ids("completed", after=0, limit=9)[1:] == ["a.2"]
    assert ids("completed", limit=1) == ["a.1"]
    assert ids("cancelled") == []


def test_results_are_left_out_on_demand(handle: Handle) -> None:
    run(handle, "a")
    for task in handle.reads.tasks("a", results=False):
        assert (task.result, task.error) == (None, None)
    assert handle.reads.tasks("b") == []


def test_a_result_that_is_null_is_not_the_same_as_none(handle: Handle) -> None:
    facts: list[e.AnyEvent] = [
        created("a", "b"),
        e.TaskStarted(at=AT, task="a"),
        e.TaskCompleted(at=AT, task="a", result=Raw(b"null")),
    ]
    handle.journal.append([[Append("a", 0, facts, numbers("a", "b"))]])
    views = handle.reads.tasks("a")
    assert [view.result for view in views] == [Raw(b"null"), None]


def test_what_a_reader_gets_does_not_change_under_it(handle: Handle) -> None:
    handle.journal.append([[new("a")]])
    view = handle.reads.tree("a")
    handle.journal.append([[saved("a", 1)]])
    assert view is not None
    assert view.version == 1


def test_trees_come_newest_first_page_by_page(handle: Handle) -> None:
    for n in range(1, 8):
        handle.journal.append([[new(f"t{n}")]])
    first = handle.reads.trees(limit=3)
    second = handle.reads.trees(limit=3, before=first[-1].num)
    third = handle.reads.trees(limit=3, before=second[-1].num)
    assert [[tree.id for tree in page] for page in (first, second, third)] == [
        ["t7", "t6", "t5"], ["t4", "t3", "t2"], ["t1"],
    ]  # fmt: skip
    assert handle.reads.trees(before=third[-1].num) == []


def test_trees_that_come_in_one_transaction_stay_in_their_order(handle: Handle) -> None:
    handle.journal.append([[new("a")], [new("c")], [new("b")]])
    handle.journal.append([[new("e")], [new("d")]])
    assert [tree.id for tree in handle.reads.trees()] == ["d", "e", "b", "c", "a"]


def test_trees_are_chosen_by_owner_status_and_phase(handle: Handle) -> None:
    handle.journal.append([[new("a", owner="ann")], [new("b", owner="bob")], [new("c")]])
    run(handle, "d")
    reads = handle.reads
    assert [tree.id for tree in reads.trees(owner="ann")] == ["d", "a"]
    assert [tree.id for tree in reads.trees(status="pending")] == ["c", "b", "a"]
    assert [tree.id for tree in reads.trees(phase="submitted")] == ["d"]
    assert [tree.id for tree in reads.trees(phase="draft", owner="bob")] == ["b"]
    assert reads.trees(owner="nobody") == []
    assert reads.trees(owner="") == []


def test_adopted_trees_are_left_out(handle: Handle) -> None:
    moved = e.TasksAdded(at=AT, specs=(spec("b", "a"),), adopted_from="b")
    handle.journal.append([[new("a")], [new("b")]])
    into = Append("a", 1, [moved], numbers("a", "b"))
    handle.journal.append([[into, Append("b", 1, [e.TreeAdopted(at=AT, into="a")], {})]])
    assert [tree.id for tree in handle.reads.trees()] == ["a"]
    assert list(handle.reads.ids_like("")) == ["a"]


@pytest.fixture
def found(handle: Handle) -> Handle:
    """Tasks that differ in what they can be ordered and chosen by."""
    tree = e.TreeCreated(
        at=LATER, uid="u", name="t", owner="ann",
        specs=(
            spec("a", name="m", priority=2),
            spec("a.1", "a", name="Z", priority=10),
            spec("a.2", "a", name="b", priority=1),
            spec("a.3", "a.1", name="ä", priority=2),
        ),
    )  # fmt: skip
    started = [e.TaskStarted(at=LATER, task="a.1"), e.TaskStarted(at=LATER, task="a.2")]
    ended = e.TaskCompleted(at=LAST, task="a.2", result=Raw(b"1"))
    back = e.TaskInterrupted(at=LAST, task="a.1", interruption="shutdown")
    index = numbers("a", "a.1", "a.2", "a.3")
    handle.journal.append([[Append("a", 0, [tree, *started, ended, back], index)]])
    handle.journal.append([[new("b", "b.1", at=AT, owner="bob")]])
    return handle


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        ("created_at", "b b.1 a a.1 a.2 a.3"),
        ("priority", "a.2 a a.3 b b.1 a.1"),
        ("name", "a.1 a.2 a b b.1 a.3"),
        ("status", "a.2 a a.1 a.3 b b.1"),
    ],
)
def test_tasks_are_found_in_order(found: Handle, order: str, ids: str) -> None:
    """Text by code points; equals in creation order."""
    reads, wanted = found.reads, ids.split()
    assert [task.id for task in reads.find(order=order, descending=False)] == wanted
    assert [task.id for task in reads.find(order=order)] == wanted[::-1]
    assert [task.id for task in reads.find(order=order, descending=False, limit=2, offset=3)] == (
        wanted[3:5]
    )


def test_the_newest_tasks_are_found_first(found: Handle) -> None:
    assert [task.id for task in found.reads.find()] == ["a.3", "a.2", "a.1", "a", "b.1", "b"]


def test_tasks_are_chosen_by_owner_status_parent_and_root(found: Handle) -> None:
    def ids(**wanted: object) -> list[str]:
        tasks = found.reads.find(descending=False, **wanted)  # type: ignore[arg-type]
        return [task.id for task in tasks]

    assert ids(owner="bob") == ["b", "b.1"]
    assert ids(status="completed") == ["a.2"]
    assert ids(status="pending") == ["b", "b.1", "a", "a.1", "a.3"]
    assert ids(parent="a") == ["a.1", "a.2"]
    assert ids(roots=True) == ["b", "a"]
    assert ids(roots=True, owner="ann") == ["a"]
    assert ids(parent="a", status="pending", owner="ann") == ["a.1"]
    assert ids(parent="") == []


def test_found_tasks_bring_their_results(found: Handle) -> None:
    (task,) = found.reads.find(status="completed")
    assert task == found.reads.task("a.2")
    assert task.value() == 1


def test_tasks_are_counted_by_status(handle: Handle) -> None:
    run(handle, "a")
    handle.journal.append([[new("b", "b.1", owner="ben")]])
    counts = handle.reads.counts
    assert counts() == {"completed": 2, "failed": 1, "in_progress": 1, "pending": 4}
    assert counts(owner="ben") == {"pending": 2}
    assert counts(owner="ben", roots=True) == {"pending": 1}
    assert counts(owner="cat") == {}


def test_tasks_tell_whether_others_stand_below_them(handle: Handle) -> None:
    tree = e.TreeCreated(
        at=AT, uid="u", name="t",
        specs=(spec("a"), spec("a.1", "a"), spec("a.1.1", "a.1"), spec("a.2", "a")),
    )  # fmt: skip
    handle.journal.append([[Append("a", 0, [tree], numbers("a", "a.1", "a.1.1", "a.2"))]])
    handle.journal.append([[new("b")]])
    asked = ["a", "a.1", "a.1.1", "a.2", "b", "nobody"]
    assert handle.reads.parents(asked) == {"a", "a.1"}
    assert handle.reads.parents(["a.1"]) == {"a.1"}
    assert handle.reads.parents([]) == set()


def test_tasks_are_found_by_their_keys(handle: Handle) -> None:
    tree = e.TreeCreated(at=AT, uid="u", name="t", specs=(spec("a"), spec("a.1", "a", key="one")))
    handle.journal.append([[Append("a", 0, [tree], numbers("a", "a.1"))]])
    handle.journal.append([[new("b", "b.1")]])
    keys = ["a", "one", "a.1", "b.1"]
    assert handle.reads.ids_by_key("a", keys) == {"a": "a", "one": "a.1"}
    assert handle.reads.ids_by_key("c", keys) == {}


def test_ids_are_found_by_their_beginning(handle: Handle) -> None:
    ids = ["ab_1", "abx1", "ab%2", "ab.3", "Ab_1", "ab", "b", "ab_2", "ab\\4"]
    handle.journal.append([[new(id)] for id in ids])
    reads = handle.reads
    assert list(reads.ids_like("ab_")) == ["ab_1", "ab_2"]
    assert list(reads.ids_like("ab%")) == ["ab%2"]
    assert list(reads.ids_like("ab\\")) == ["ab\\4"]
    assert list(reads.ids_like("ab")) == sorted(id for id in ids if id.startswith("ab"))
    assert list(reads.ids_like("ab", limit=2)) == ["ab", "ab%2"]
    assert list(reads.ids_like("zz")) == []
    assert len(reads.ids_like("")) == 9


def test_ids_of_tasks_are_told_to_be_taken_or_not(handle: Handle) -> None:
    handle.journal.append([[new("a", "x", "y")]])
    assert sorted(handle.reads.taken(["x", "q", "a", "x'"])) == ["a", "x"]
    assert list(handle.reads.taken([])) == []
    assert sorted(handle.recorder.ids_taken(["y", "q"])) == ["y"]


def test_owner_and_tree_of_many_tasks_are_told_at_once(handle: Handle) -> None:
    handle.journal.append([[new("a", "x", owner="ann")], [new("b", "y")]])
    assert handle.reads.owner_and_tree(["x", "y", "z", "a"]) == {
        "x": ("ann", "a"), "y": (None, "b"), "a": ("ann", "a"),
    }  # fmt: skip
    assert handle.reads.owner_and_tree([]) == {}


def test_a_tree_without_a_timeline_has_no_attempts(handle: Handle) -> None:
    handle.journal.append([[new("a")]])
    assert handle.reads.attempts("a") == []
    assert handle.reads.attempts("b") == []
