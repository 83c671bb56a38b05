"""The status rows made again equal those that the appends made, row for row."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.domain import decide
from aipartnerupflow.domain.decide import Stamp
from aipartnerupflow.domain.errors import IdTaken, StoreCorrupt, StoreReadOnly
from aipartnerupflow.domain.events import (
    AnyEvent,
    ReportRefused,
    TaskCompleted,
    TaskRemoved,
    TaskReopened,
    TaskStarted,
    TreeReopened,
    TreeSettled,
    TreeSubmitted,
)
from aipartnerupflow.domain.evolve import evolve
from aipartnerupflow.domain.specs import Concurrency, TaskSpec
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.engine.ports import Append, Unit
from aipartnerupflow.projections.rebuild import (
    Difference,
    Rebuilt,
    Replay,
    StatusCopy,
    StatusStore,
    compare,
    rebuild,
)
from tests.support.histories import History
from tests.support.stores import Store, Stores, sqlite_store

TABLES = {
    "tree": "SELECT * FROM tree ORDER BY num",
    "task": "SELECT * FROM task ORDER BY num",
    "task_state": "SELECT * FROM task_state ORDER BY num",
    "slot": "SELECT * FROM slot ORDER BY task",
    "tracking": "SELECT * FROM tracking ORDER BY application_name",
}
STAMP = Stamp("2026-01-01T00:00:00.000000Z")


@pytest.fixture
def journal(store: Store) -> EventJournal:
    return store.journal


def dump(store: Store) -> dict[str, list[Any]]:
    return {table: store.query(sql) for table, sql in TABLES.items()}


class Killed(Exception):
    """Stands for the death of the process."""


class Altered:
    """Status rows whose copy is altered before it is used."""

    def __init__(self, status: StatusStore, alter: Callable[[Any], None]) -> None:
        self._status = status
        self._alter = alter

    @contextmanager
    def copy(self, *, writable: bool = False) -> Iterator[StatusCopy]:
        with self._status.copy(writable=writable) as copy:
            self._alter(copy)
            yield copy


def fill(journal: EventJournal, seed: int = 5, commits: int = 120) -> None:
    history = History(Random(seed))
    for commit in history.commits(commits):
        if commit:
            journal.append(commit)


def differences(store: Store) -> Sequence[str]:
    return [str(difference) for difference in compare(store.status())[1]]


# -- a hand-made store of drafts


def spec(id: str, parent: str | None = None) -> TaskSpec:
    return TaskSpec(id=id, name=id, parent=parent)


def append(tree: Tree, facts: Sequence[AnyEvent]) -> Append:
    version = tree.version
    for fact in facts:
        evolve(tree, fact)
    return Append(tree.id, version, tuple(facts), dict(tree.index))


def keyed(append: Append) -> Append:
    return replace(append, keyed=True)


def created(tree: Tree, *children: str) -> Append:
    specs = [spec(tree.id), *(spec(id, tree.id) for id in children)]
    return append(tree, decide.create(specs, STAMP, uid=f"u-{tree.id}", name=tree.id))


def adoption(source: Tree, into: Tree) -> Unit:
    specs = [replace(task.spec, parent=task.spec.parent or into.id) for task in source.live()]
    added = decide.add(into, specs, STAMP, adopted_from=source.id)
    return (append(into, added), append(source, decide.adopted(source, into, STAMP)))


def ids(store: Store) -> list[tuple[int, int, str]]:
    return store.query("SELECT num >> 20, num & 1048575, id FROM task ORDER BY num")


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_an_adoption_comes_out_the_same_wherever_a_batch_ends(
    store: Store, journal: EventJournal, batch: int
) -> None:
    target, source = Tree("target"), Tree("source")
    journal.append([(created(source, "a", "b"),), (created(target),)])
    journal.append([adoption(source, target)])
    before = dump(store)
    rebuild(store.status(), batch=batch)
    assert dump(store) == before
    assert ids(store) == [(2, 0, "target"), (2, 1, "source"), (2, 2, "a"), (2, 3, "b")]


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_an_id_that_was_removed_and_given_again_has_its_new_number(
    store: Store, journal: EventJournal, batch: int
) -> None:
    one, two = Tree("one"), Tree("two")
    journal.append([(created(one, "a", "b"),), (created(two),)])
    journal.append([(append(one, decide.remove(one, "a", STAMP)),)])
    journal.append([(append(one, decide.add(one, [spec("a", "one")], STAMP)),)])
    journal.append([(append(one, decide.remove(one, "a", STAMP)),)])
    journal.append([(append(two, decide.add(two, [spec("a", "two")], STAMP)),)])
    journal.append([(append(one, decide.add(one, [spec("c", "one")], STAMP)),)])
    before = dump(store)
    rebuild(store.status(), batch=batch)
    assert dump(store) == before
    assert ids(store) == [(1, 0, "one"), (1, 2, "b"), (1, 4, "c"), (2, 0, "two"), (2, 1, "a")]


@pytest.mark.parametrize("batch", range(1, 9))
def test_tasks_that_move_twice_end_up_in_the_last_tree_wherever_a_batch_ends(
    store: Store, journal: EventJournal, batch: int
) -> None:
    first, second, last = Tree("first"), Tree("second"), Tree("last")
    journal.append([(created(last),), (created(second),), (created(first, "a"),)])
    journal.append([(append(last, decide.add(last, [spec("b", "last")], STAMP)),)])
    journal.append([adoption(first, second)])
    journal.append([adoption(second, last)])
    before = dump(store)
    assert compare(store.status(), batch=batch)[1] == []
    rebuild(store.status(), batch=batch)
    assert dump(store) == before
    assert [id for _, _, id in ids(store)] == ["last", "b", "second", "first", "a"]


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5])
def test_a_task_that_one_command_gives_to_another_tree_is_kept_there(
    store: Store, journal: EventJournal, batch: int
) -> None:
    one, two = Tree("one"), Tree("two")
    journal.append([(created(one, "a"),), (created(two),)])
    given = append(two, decide.add(two, [spec("a", "two")], STAMP))
    journal.append([(given, append(one, decide.remove(one, "a", STAMP)))])
    before = dump(store)
    store.execute("DELETE FROM task")
    rebuild(store.status(), batch=batch)
    assert dump(store) == before
    assert ids(store) == [(1, 0, "one"), (2, 0, "two"), (2, 1, "a")]


def test_several_appends_to_one_tree_in_one_commit_keep_their_order(
    store: Store, journal: EventJournal
) -> None:
    tree = Tree("one")
    journal.append(
        [
            (created(tree, "a"),),
            (append(tree, decide.add(tree, [spec("b", "one")], STAMP)),),
            (append(tree, decide.remove(tree, "b", STAMP)),),
            (append(tree, decide.change(tree, replace(spec("a", "one"), key="k"), STAMP)),),
        ]
    )
    assert store.query("SELECT id, key FROM task ORDER BY num") == [("one", "one"), ("a", "k")]
    assert differences(store) == []


# -- rebuild


@settings(max_examples=20, deadline=None)
@given(random=st.randoms(use_true_random=False), batch=st.integers(1, 60))
def test_whatever_happened_the_rows_made_again_are_the_same(
    stores: Stores, random: Random, batch: int
) -> None:
    with stores() as store:
        journal, history = store.journal, History(random)
        for commit in history.commits(15):
            if commit:
                journal.append(commit)
        before = dump(store)
        assert compare(store.status(), batch=batch)[1] == []
        rebuild(store.status(), batch=batch)
        assert dump(store) == before
        for commit in [*history.commits(5), history.finish()]:
            if commit:
                journal.append(commit)
        assert compare(store.status(), batch=batch)[1] == []


def test_a_rebuild_mends_what_is_wrong_missing_or_too_much(
    store: Store, journal: EventJournal
) -> None:
    fill(journal)
    before = dump(store)
    damage(store)
    assert dump(store) != before
    done = rebuild(store.status())
    assert done == Rebuilt(len(list(journal.read_all())), journal.position())
    assert dump(store) == before


def test_trees_keep_their_numbers_where_a_refused_command_has_left_a_gap(
    store: Store, journal: EventJournal
) -> None:
    journal.append([(created(Tree("one"), "a"),)])
    with pytest.raises(IdTaken):
        journal.append([(created(Tree("refused"), "a"),)])
    journal.append([(created(Tree("two"), "b"),)])
    before = dump(store)
    damage(store)
    rebuild(store.status())
    assert dump(store) == before
    store.execute("DELETE FROM tree WHERE id = 'two'")
    rebuild(store.status())
    tree = store.query("SELECT num FROM tree WHERE id = 'two'")
    assert tree == store.query("SELECT num >> 20 FROM task WHERE id = 'b'")
    journal.append([(created(Tree("three")),)])
    assert differences(store) == []


def test_a_rebuild_that_dies_leaves_the_rows_as_they_were(
    store: Store, journal: EventJournal
) -> None:
    fill(journal)
    before = dump(store)

    def die(copy: Any) -> None:
        replace = copy.replace

        def replace_and_die(position: int) -> None:
            replace(position)
            raise Killed

        copy.replace = replace_and_die

    damage(store)
    before = dump(store)
    with pytest.raises(Killed):
        rebuild(Altered(store.status(), die))
    assert dump(store) == before
    assert rebuild(store.status()).position == journal.position()


@pytest.mark.any_log(reason="damages rows")
def test_readers_see_the_old_rows_until_the_new_ones_are_all_in_place(
    store: Store, journal: EventJournal
) -> None:
    fill(journal, commits=20)
    damage(store)
    before = dump(store)
    with store.status().copy(writable=True) as copy, copy.exclusive():
        copy.replace(0)
        assert dump(store) == before
    assert dump(store)["tree"] == []


def test_what_is_appended_during_a_rebuild_is_in_it(store: Store, journal: EventJournal) -> None:
    fill(journal, commits=20)

    def append_meanwhile(copy: Any) -> None:
        exclusive = copy.exclusive

        def append_first() -> Any:
            journal.append([(created(Tree("later")),)])
            return exclusive()

        copy.exclusive = append_first

    damage(store)
    done = rebuild(Altered(store.status(), append_meanwhile))
    assert done.position == journal.position()
    assert differences(store) == []
    assert store.query("SELECT version FROM tree WHERE id = 'later'") == [(1,)]


def test_an_empty_store_is_rebuilt_to_an_empty_store(store: Store) -> None:
    before = dump(store)
    assert rebuild(store.status()) == Rebuilt(0, 0)
    assert dump(store) == before
    assert differences(store) == []


def test_appends_go_on_after_a_rebuild(store: Store, journal: EventJournal) -> None:
    history = History(Random(2))
    for round in range(4):
        for commit in history.commits(10):
            if commit:
                journal.append(commit)
        rebuild(store.status(), batch=round + 1)
    journal.append(history.finish())
    assert differences(store) == []


def test_numbers_of_tasks_are_forgotten_with_the_end_of_their_tree(store: Store) -> None:
    journal, history = store.journal, History(Random(9))
    for commit in [*history.commits(80), history.finish()]:
        if commit:
            journal.append(commit)
    asked: list[str] = []

    def find(tree: str) -> dict[str, int]:
        asked.append(tree)
        return history.trees[tree].index

    replay = Replay(find)
    for recorded in journal.read_all():
        replay.changes([recorded])
    drafts = [tree for tree in history.trees.values() if tree.is_draft]
    assert replay.remembered == len(drafts) < len(history.trees)
    assert asked, "no settled tree was run again"


def settled(tree: Tree) -> Append:
    """Its only task, the root, has run."""
    facts: list[AnyEvent] = [
        *decide.create([spec(tree.id)], STAMP, uid="u", name="t"),
        TreeSubmitted(at=STAMP.at, of=(None,)),
        TaskStarted(at=STAMP.at, task=tree.id),
        TaskCompleted(at=STAMP.at, task=tree.id),
        TreeSettled(at=STAMP.at, status="completed"),
    ]
    return append(tree, facts)


def late(tree: Tree) -> Append:
    refused = ReportRefused(at=STAMP.at, task=tree.id, attempt=1, reason="ended")
    return append(tree, [refused])


@pytest.mark.any_log(reason="writes the events whose rows it asks for, and not those between")
def test_a_late_report_does_not_bring_the_numbers_of_a_settled_tree_back(
    store: Store, journal: EventJournal
) -> None:
    tree = Tree("one")
    journal.append([(settled(tree),), (late(tree),)])
    nothing: dict[str, dict[str, int]] = {}
    replay = Replay(nothing.__getitem__)
    for recorded in journal.read_all():
        replay.changes([recorded])
    assert replay.remembered == 0


@pytest.mark.any_log(reason="writes the events whose rows it asks for, and not those between")
@pytest.mark.parametrize("batch", [*range(1, 10), 100])
def test_a_tree_that_goes_on_after_its_end_comes_out_the_same_wherever_a_batch_ends(
    store: Store, journal: EventJournal, batch: int
) -> None:
    """The numbers of its tasks are forgotten at its end, and come back out of the copy."""
    tree = Tree("one")
    removed = [TaskRemoved(at=STAMP.at, task="a")]
    journal.append([(created(tree, "a", "b", "c"),), (append(tree, removed),)])
    run: list[AnyEvent] = [
        TreeSubmitted(at=STAMP.at, of=(None, None, None)),
        *(TaskStarted(at=STAMP.at, task=id) for id in ("one", "b", "c")),
        *(TaskCompleted(at=STAMP.at, task=id) for id in ("one", "b", "c")),
        TreeSettled(at=STAMP.at, status="completed"),
    ]
    again: list[AnyEvent] = [
        TaskReopened(at=STAMP.at, task="b", generation=2),
        TaskReopened(at=STAMP.at, task="c", generation=2),
        TreeReopened(at=STAMP.at),
        TaskStarted(at=STAMP.at, task="c", generation=2, slot=Concurrency("key")),
    ]
    journal.append([(append(tree, run),)])
    journal.append([(late(tree),)])
    journal.append([(keyed(append(tree, again)),)])
    before = dump(store)
    assert before["slot"] == [(1 << 20 | 3, "key")]
    assert compare(store.status(), batch=batch)[1] == []
    rebuild(store.status(), batch=batch)
    assert dump(store) == before
    states = store.query("SELECT num & 3, status, generation FROM task_state ORDER BY num")
    assert states == [(0, "completed", 1), (2, "pending", 2), (3, "in_progress", 2)]


@pytest.mark.any_log(reason="writes the events whose rows it asks for, and not those between")
def test_slots_are_made_again_whatever_their_limits_allow_now(
    store: Store, journal: EventJournal
) -> None:
    """They were granted one by one; what one batch comes to need not fit in this order."""
    trees = [Tree(id) for id in ("one", "two")]
    for tree, limit in zip(trees, (2, 1), strict=True):
        start = TaskStarted(at=STAMP.at, task=tree.id, slot=Concurrency("key", limit))
        of = TreeSubmitted(at=STAMP.at, of=(None,))
        facts = [*decide.create([spec(tree.id)], STAMP, uid="u", name="t"), of]
        journal.append([(append(tree, facts),)])
        if tree is trees[1]:
            journal.append([(keyed(append(tree, [start])),)])
    start = TaskStarted(at=STAMP.at, task="one", slot=Concurrency("key", 2))
    journal.append([(keyed(append(trees[0], [start])),)])
    before = dump(store)
    assert [key for _, key in before["slot"]] == ["key", "key"]
    assert differences(store) == []
    store.execute("DELETE FROM slot WHERE task >> 20 = 2")
    store.execute("UPDATE slot SET key = 'other'")
    assert differences(store) == [
        "slot one: key not as in the log",
        "slot two: missing, though the log has it",
    ]
    rebuild(store.status())
    assert dump(store) == before


@pytest.mark.any_log(reason="takes an event out of a stream")
@pytest.mark.parametrize("version", [1, 2])
def test_a_stream_that_lacks_an_event_is_told_as_damage(
    store: Store, journal: EventJournal, version: int
) -> None:
    tree = Tree("one")
    journal.append([(created(tree),)])
    journal.append([(append(tree, decide.add(tree, [spec("a", "one")], STAMP)),)])
    journal.append([(append(tree, decide.remove(tree, "a", STAMP)),)])
    before = dump(store)
    store.execute(f"DELETE FROM stored_events WHERE originator_version = {version}")
    with pytest.raises(StoreCorrupt, match="tree one"):
        compare(store.status())
    with pytest.raises(StoreCorrupt, match="tree one"):
        rebuild(store.status(), batch=1)
    assert dump(store) == before


# -- compare


def damage(store: Store) -> None:
    store.execute("UPDATE tree SET status = 'cancelled' WHERE num = 1")
    store.execute("DELETE FROM task WHERE num = (SELECT MIN(num) FROM task)")
    store.execute("INSERT INTO task_state VALUES (9, 'failed', 1, 1, 0.5, '', '', '', 7)")
    store.execute("UPDATE tracking SET notification_id = 1 WHERE application_name = 'status'")


@pytest.mark.any_log(reason="damages rows")
def test_a_comparison_names_each_row_that_is_not_as_in_the_log(
    store: Store, journal: EventJournal
) -> None:
    journal.append([(created(Tree("one"), "a", "b"),)])
    damage(store)
    assert differences(store) == [
        "tree one: status not as in the log",
        "task one: missing, though the log has it",
        "task_state 9: there, though the log does not have it",
    ]


@pytest.mark.any_log(reason="damages rows")
def test_a_comparison_names_a_position_that_is_not_the_last(
    store: Store, journal: EventJournal
) -> None:
    journal.append([(created(Tree("one")),), (created(Tree("two")),)])
    store.execute("UPDATE tracking SET notification_id = 1 WHERE application_name = 'status'")
    assert differences(store) == ["tracking status: position not as in the log"]


@pytest.mark.any_log(reason="damages rows")
def test_a_comparison_shows_no_value_of_a_user(store: Store, journal: EventJournal) -> None:
    journal.append([(created(Tree("one")),)])
    store.execute('UPDATE task SET inputs = \'{"password":"hush"}\'')
    assert differences(store) == ["task one: inputs not as in the log"]


@pytest.mark.any_log(reason="damages rows")
def test_a_comparison_ends_at_its_limit(store: Store, journal: EventJournal) -> None:
    journal.append([(created(Tree(f"t{n}")),) for n in range(10)])
    store.execute("UPDATE task SET name = 'other' WHERE num >> 20 > 1")
    store.execute("DELETE FROM task WHERE num >> 20 = 1")
    found: Sequence[Difference] = compare(store.status(), limit=3)[1]
    assert [(one.key, one.stored is None, one.rebuilt is None) for one in found] == [
        ("t0", True, False),
        ("t1", False, False),
        ("t2", False, False),
    ]


@pytest.mark.any_log(reason="damages rows")
def test_a_comparison_changes_nothing_and_holds_nobody_up(
    store: Store, journal: EventJournal
) -> None:
    fill(journal, commits=20)
    damage(store)
    before = dump(store)
    with store.status().copy() as copy, copy.snapshot():
        assert copy.page(0, 1)
        journal.append([(created(Tree("later")),)])
        assert copy.page(journal.position() - 1, 1) == []
    after = dump(store)
    assert [row for row in after["tree"] if row[1] != "later"] == before["tree"]


def test_a_file_is_opened_for_reading_only_to_compare() -> None:
    with sqlite_store() as store:
        store.journal.append([(created(Tree("one")),)])
        with pytest.raises(StoreReadOnly), store.status().copy() as copy, copy.snapshot():
            copy.replace(0)
