"""What every journal must hold: in memory, on SQLite, on PostgreSQL."""

import threading
import time
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec
import pytest
from eventsourcing.compressor import ZlibCompressor
from eventsourcing.persistence import StoredEvent
from msgspec import Raw
from msgspec.structs import replace

from aipartnerupflow.adapters.journal.chain import START, links
from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.memory.recorder import open_memory
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import (
    IdTaken,
    NewerEvent,
    NotFound,
    StaleVersion,
    StoreError,
    StoreUnavailable,
)
from aipartnerupflow.engine.commit import Committer
from aipartnerupflow.engine.ports import Append, OpenTree
from tests.support.facts import (
    AT,
    LATER,
    MARKERS,
    Expected,
    created,
    new,
    numbers,
    one_of_each,
    saved,
    spec,
    task_row,
    tree_row,
)
from tests.support.histories import History, Steps
from tests.support.journals import Handle, Store

pytestmark = pytest.mark.any_log(
    reason="writes events that say little behind any others, and damages stores"
)


def log_of(journal: EventJournal) -> list[tuple[str, int, e.AnyEvent]]:
    return [(r.tree, r.version, r.event) for r in journal.read_all()]


def assert_intact(journal: EventJournal, *trees: str) -> None:
    assert {tree: journal.verify(tree) for tree in trees} == dict.fromkeys(trees)


# -- reading back what was written


def test_every_kind_of_event_is_read_back_as_it_was_written(handle: Handle) -> None:
    journal = handle.journal
    appends = one_of_each("a", "b")
    written = {tree: [x for a in appends if a.tree == tree for x in a.events] for tree in "ab"}
    assert {type(x) for events in written.values() for x in events} == set(e.EVENT_TYPES)
    journal.append([appends])
    for tree, events in written.items():
        assert [r.event for r in journal.read(tree)] == events


def test_versions_are_dense_and_positions_rise(handle: Handle) -> None:
    journal = handle.journal
    first = journal.append([[new("a")], [new("b")]])
    last = journal.append([[saved("a", 1, 3)], [saved("b", 1, 2)]])
    for tree, count in (("a", 4), ("b", 3)):
        assert [r.version for r in journal.read(tree)] == list(range(1, count + 1))
    positions = [r.position for r in journal.read_all()]
    assert positions == sorted(set(positions))
    assert positions[1] == first
    assert positions[-1] == last == journal.position()


def test_an_empty_journal_is_at_position_0(handle: Handle) -> None:
    assert handle.journal.position() == 0
    assert log_of(handle.journal) == []
    assert list(handle.journal.read("nobody")) == []
    assert handle.journal.verify("nobody") is None


def test_streams_are_read_from_any_version_and_up_to_a_limit(handle: Handle) -> None:
    journal = handle.journal
    journal.append([[new("a")], [new("b")]])
    journal.append([[saved("a", 1, 9)]])
    assert [r.version for r in journal.read("a", after=4)] == [5, 6, 7, 8, 9, 10]
    assert [r.version for r in journal.read("a", after=4, limit=2)] == [5, 6]
    assert list(journal.read("a", after=10)) == []
    assert list(journal.read("a", limit=0)) == []


def test_the_log_is_read_from_any_position_and_up_to_a_limit(handle: Handle) -> None:
    journal = handle.journal
    journal.append([[new("a")]])
    journal.append([[saved("a", 1, 5)]])
    positions = [r.position for r in journal.read_all()]
    assert [r.position for r in journal.read_all(after=positions[2])] == positions[3:]
    assert [r.position for r in journal.read_all(after=positions[2], limit=1)] == [positions[3]]


def test_more_than_a_page_is_read_in_order(handle: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aipartnerupflow.adapters.journal.journal.PAGE", 4)
    monkeypatch.setattr("aipartnerupflow.adapters.journal.postgres.recorder.PAGE", 4)
    journal = handle.journal
    journal.append([[new("a")]])
    journal.append([[saved("a", 1, 10)]])
    assert [r.version for r in journal.read("a")] == list(range(1, 12))
    assert [r.version for r in journal.read("a", limit=9)] == list(range(1, 10))
    assert [r.version for r in journal.read_all()] == list(range(1, 12))
    assert_intact(journal, "a")


def test_json_that_looks_like_a_transcoder_s_markers_survives(handle: Handle) -> None:
    done = e.TaskCompleted(at=AT, task="a", result=MARKERS)
    tree = e.TreeCreated(
        at=AT, uid="u", name="t", specs=(spec("a", inputs=MARKERS, params=MARKERS),)
    )
    facts: list[e.AnyEvent] = [tree, e.TaskStarted(at=AT, task="a"), done]
    handle.journal.append([[Append("a", 0, facts, numbers("a"))]])
    assert [r.event for r in handle.journal.read("a")] == facts
    view = handle.reads.task("a")
    assert view is not None
    assert (view.inputs, view.params, view.result) == (MARKERS, MARKERS, MARKERS)


def test_texts_hold_every_character(handle: Handle) -> None:
    text = "q'\"\\{},NULL\n\t\x7f ünï \U0001f600"
    tree = e.TreeCreated(at=AT, uid="u", name=text, owner=text, specs=(spec("a", name=text),))
    started = e.TaskStarted(at=AT, task="a")
    progress = e.TaskProgressed(at=AT, task="a", progress=0.5, message=text)
    handle.journal.append([[Append("a", 0, [tree, started], numbers("a"))]])
    handle.journal.append([[Append("a", 2, [progress], numbers("a"))]])
    view, task = handle.reads.tree("a"), handle.reads.task("a")
    assert view is not None
    assert task is not None
    assert (view.name, view.user_id, task.name, task.message) == (text, text, text, text)
    assert [t.id for t in handle.reads.trees(owner=text)] == ["a"]


def test_a_nul_in_a_text_does_no_harm(handle: Handle) -> None:
    handle.journal.append([[new("a", owner="a\0b")]])
    handle.journal.append([[saved("a", 1)]])
    assert next(handle.journal.read("a")).event == created("a", owner="a\0b")
    assert [view.id for view in handle.reads.trees(owner="a\0b")] == ["a"]
    assert handle.reads.task("a\0") is None
    assert list(handle.reads.taken(["a\0", "a"])) == ["a"]


# -- what is refused


def test_an_append_at_a_stale_version_is_refused_and_nothing_is_written(handle: Handle) -> None:
    journal = handle.journal
    journal.append([[new("a")]])
    journal.append([[saved("a", 1, 2)]])
    before = log_of(journal)
    for expected in (1, 2, 7):
        with pytest.raises(StaleVersion) as caught:
            journal.append([[saved("a", expected)]])
        assert (caught.value.tree, caught.value.expected) == ("a", expected)
    assert log_of(journal) == before
    journal.append([[saved("a", 3)]])
    assert_intact(journal, "a")


def test_a_tree_that_is_not_there_is_at_version_0(handle: Handle) -> None:
    with pytest.raises(StaleVersion):
        handle.journal.append([[saved("nobody", 3)]])
    assert handle.journal.position() == 0


def test_another_handle_s_append_makes_ours_stale(shared: Store) -> None:
    one, two = shared.open(), shared.open()
    one.journal.append([[new("a")]])
    two.journal.append([[saved("a", 1, 2)]])
    with pytest.raises(StaleVersion) as caught:
        one.journal.append([[new("b")], [saved("a", 1)]])
    assert caught.value.tree == "a"
    assert one.reads.tree("b") is None
    one.journal.append([[saved("a", 3)]])
    two.journal.append([[saved("a", 4)]])
    assert_intact(one.journal, "a")


def test_two_handles_see_each_other_s_writes(shared: Store) -> None:
    one, two = shared.open(), shared.open()
    one.journal.append([[new("a")]])
    assert two.reads.tree("a") == one.reads.tree("a")
    two.journal.append([[new("b", "b.1")]])
    assert log_of(one.journal) == log_of(two.journal)
    assert [view.num for view in one.reads.trees()] == [2, 1]
    assert one.journal.position() == two.journal.position()


def test_a_tree_s_id_is_taken_once_it_exists(handle: Handle) -> None:
    handle.journal.append([[new("a")]])
    for _ in range(2):
        with pytest.raises(IdTaken) as caught:
            handle.journal.append([[new("a")]])
        assert caught.value.ids == ("a",)
    assert handle.journal.position() == 1


def test_a_task_s_id_is_taken_in_every_tree(handle: Handle) -> None:
    handle.journal.append([[new("a", "x", "y")]])
    with pytest.raises(IdTaken) as caught:
        handle.journal.append([[new("b", "z", "y")]])
    assert caught.value.ids == ("y",)
    assert handle.reads.tree("b") is None
    assert handle.reads.task("z") is None
    assert [r.tree for r in handle.journal.read_all()] == ["a"]
    handle.journal.append([[new("b", "z")]])
    assert_intact(handle.journal, "a", "b")


def test_an_id_of_another_handle_is_taken(shared: Store) -> None:
    one, two = shared.open(), shared.open()
    one.journal.append([[new("a", "x")]])
    for tree in (new("a"), new("b", "x")):
        with pytest.raises(IdTaken):
            two.journal.append([[tree]])


def test_two_who_add_the_same_next_task_do_not_both_succeed(shared: Store) -> None:
    one, two = shared.open(), shared.open()
    one.journal.append([[new("a")]])
    add = e.TasksAdded(at=AT, specs=(spec("x", "a"),))
    other = e.TasksAdded(at=AT, specs=(spec("y", "a"),))
    two.journal.append([[Append("a", 1, [add], numbers("a", "x"))]])
    with pytest.raises(StaleVersion):
        one.journal.append([[Append("a", 1, [other], numbers("a", "y"))]])
    assert one.reads.task("y") is None


def test_a_stream_begins_with_its_tree(handle: Handle) -> None:
    with pytest.raises(ValueError, match=r"tree\.created"):
        handle.journal.append([[saved("a", 0)]])
    handle.journal.append([[new("a")]])
    assert_intact(handle.journal, "a")


def test_a_plain_stored_event_is_refused(handle: Handle) -> None:
    plain = StoredEvent("a", 1, "tree.created", b"{}")
    with pytest.raises(TypeError, match=r"EventJournal\.append"):
        handle.recorder.insert_events([plain])
    assert handle.journal.position() == 0


def test_a_group_with_one_conflict_is_refused_whole(handle: Handle) -> None:
    journal = handle.journal
    journal.append([[new("a", "x")], [new("b")]])
    for conflict in (saved("a", 5), new("d", "x"), new("a")):
        with pytest.raises((StaleVersion, IdTaken)):
            journal.append([[new("c")], [conflict], [saved("b", 1)]])
    assert [r.tree for r in journal.read_all()] == ["a", "b"]
    assert handle.reads.tree("c") is None


def test_the_committer_then_finds_the_one_in_conflict(handle: Handle) -> None:
    journal = handle.journal
    journal.append([[new("a", "x")], [new("b")]])
    committer = Committer(journal, lambda: None)
    pair = [saved("b", 1), new("e", "x")]
    results = committer.commit(
        [[new("c")], [saved("a", 5)], [new("d", "x")], pair, [saved("b", 1, 2)], [new("a")]]
    )
    committer.close()
    kinds = [type(result) for result in results]
    assert kinds == [type(None), StaleVersion, IdTaken, IdTaken, type(None), IdTaken]
    assert [r.version for r in journal.read("b")] == [1, 2, 3]
    assert_intact(journal, "a", "b", "c")


def test_commands_on_one_tree_may_share_a_transaction(handle: Handle) -> None:
    journal = handle.journal
    started = Append("a", 2, [e.TaskStarted(at=AT, task="a")], numbers("a"))
    journal.append([[new("a")], [saved("a", 1)], [started], [saved("a", 3, 2)]])
    assert [r.version for r in journal.read("a")] == [1, 2, 3, 4, 5]
    view = handle.reads.task("a")
    assert view is not None
    assert view.status == "in_progress"
    assert_intact(journal, "a")


# -- large commands


def large(tree: str, megabytes: int) -> Append:
    """A command whose specifications come in events of a megabyte, with a large result."""
    inputs = Raw(b'{"text":"%s"}' % (b"0123456789abcdef" * 32_000))
    chunks: list[e.AnyEvent] = [created(tree)]
    ids = [tree]
    for chunk in range(megabytes):
        pair = [f"{tree}.{chunk}.{n}" for n in (1, 2)]
        ids += pair
        chunks.append(
            e.TasksAdded(at=AT, specs=tuple(spec(id, tree, inputs=inputs) for id in pair))
        )
    started = [e.TaskStarted(at=AT, task=id) for id in ids]
    return Append(tree, 0, [*chunks, *started], numbers(*ids), {"blob": b"b" * (5 << 20)})


def test_a_command_of_30_mb_is_one_transaction(handle: Handle) -> None:
    begun = time.monotonic()
    command = large("a", 30)
    last = handle.journal.append([[command], [new("b")]])
    assert [r.event for r in handle.journal.read("a")] == command.events
    assert last == handle.journal.position() == len(command.events) + 1
    tasks = handle.reads.tasks("a")
    assert len(tasks) == 61
    assert {task.status for task in tasks} == {"in_progress"}
    assert sum(len(bytes(task.inputs)) for task in tasks) > 30_000_000
    assert handle.journal.read_blob("blob") == b"b" * (5 << 20)
    handle.journal.append([[saved("a", len(command.events))], [saved("b", 1)]])
    assert_intact(handle.journal, "a", "b")
    assert time.monotonic() - begun < 30


def test_a_large_command_that_is_refused_leaves_nothing(handle: Handle) -> None:
    handle.journal.append([[new("x", "y")]])
    with pytest.raises(IdTaken):
        handle.journal.append([[large("a", 12)], [new("b", "y")]])
    assert handle.journal.position() == 1
    assert handle.reads.tasks("a") == []
    with pytest.raises(NotFound):
        handle.journal.read_blob("blob")


# -- commits whose outcome is not told


def test_a_commit_that_happened_though_it_raised_is_reported_as_stored(handle: Handle) -> None:
    journal = handle.journal
    journal.append([[new("a")]])
    handle.lose("after")
    assert journal.append([[saved("a", 1, 2)], [new("b")]]) == journal.position()
    assert [r.version for r in journal.read("a")] == [1, 2, 3]
    journal.append([[saved("a", 3)], [saved("b", 1)]])
    assert_intact(journal, "a", "b")


def test_a_commit_that_did_not_happen_is_reported_and_may_be_repeated(handle: Handle) -> None:
    journal = handle.journal
    journal.append([[new("a")]])
    handle.lose("before")
    with pytest.raises(StoreError):
        journal.append([[saved("a", 1, 2)], [new("b")]])
    assert [r.version for r in journal.read("a")] == [1]
    assert handle.reads.tree("b") is None
    journal.append([[saved("a", 1, 2)], [new("b")]])
    journal.append([[saved("a", 3)], [saved("b", 1)]])
    assert [r.version for r in journal.read("a")] == [1, 2, 3, 4]
    assert_intact(journal, "a", "b")


def test_another_s_commit_is_not_taken_for_a_lost_one(
    shared: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = shared.open(), shared.open()
    one.journal.append([[new("a")]])
    hash_at = one.recorder.hash_at

    def hash_at_last(tree: str, version: int) -> bytes | None:
        if two.journal.position() == 1:
            two.journal.append([[saved("a", 1)]])
        found: bytes | None = hash_at(tree, version)
        assert found is not None
        return found

    monkeypatch.setattr(one.recorder, "hash_at", hash_at_last)
    one.lose("before")
    with pytest.raises(StoreError):
        one.journal.append([[saved("a", 1)]])
    assert_intact(one.journal, "a")


# -- newer versions


class LaterMapper(StructMapper):
    """Writes what a later version of this software would write."""

    def encode(self, *args: Any) -> Any:
        rows = super().encode(*args)
        for row in rows:
            row.__dict__["topic"] += "/2"
        return rows


def test_an_event_of_a_later_version_is_refused_and_nothing_is_changed(store: Store) -> None:
    handle, later = store.open(), store.open(LaterMapper())
    handle.journal.append([[new("a")]])
    later.journal.append([[saved("a", 1)]])
    position = handle.journal.position()
    for read in (handle.journal.read("a"), handle.journal.read_all()):
        with pytest.raises(NewerEvent, match=r"'task.saved' of version 2.*Upgrade"):
            list(read)
    assert handle.journal.position() == position
    assert_intact(handle.journal, "a")


# -- many at once


@pytest.mark.timeout(60)
def test_a_tailing_reader_misses_nothing_of_8_writers(store: Store) -> None:
    handles = [store.open() for _ in range(8)]
    reader = store.open().journal
    failures: list[BaseException] = []
    written = threading.Event()
    seen: list[int] = []

    def write(journal: EventJournal, tree: str) -> None:
        try:
            journal.append([[new(tree)]])
            for n in range(25):
                journal.append([[saved(tree, 1 + 10 * n, 10)]])
        except BaseException as error:  # noqa: BLE001 (told below, in the test's own thread)
            failures.append(error)

    def tail() -> None:
        over = False
        while not over:
            over = written.is_set()
            after = seen[-1] if seen else 0
            seen.extend(r.position for r in reader.read_all(after=after, limit=100))
            over = over and reader.position() == (seen[-1] if seen else 0)

    writers = [
        threading.Thread(target=write, args=(handle.journal, f"t{n}"))
        for n, handle in enumerate(handles)
    ]
    tailing = threading.Thread(target=tail)
    for thread in (tailing, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    written.set()
    tailing.join()
    assert not failures
    assert len(seen) == 8 * 251
    assert seen == [r.position for r in reader.read_all()]
    assert_intact(reader, *(f"t{n}" for n in range(8)))


def test_one_handle_serves_many_threads(handle: Handle) -> None:
    journal = handle.journal

    def work(tree: str) -> None:
        journal.append([[new(tree)]])
        for n in range(1, 20):
            journal.append([[saved(tree, n)]])
            assert handle.reads.tree(tree) is not None
            assert len(list(journal.read(tree))) == n + 1

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log_of(journal)) == 4 * 20
    assert_intact(journal, *(f"t{n}" for n in range(4)))


# -- the hash chain


def test_hashes_follow_from_all_events_before_them(handle: Handle) -> None:
    journal, mapper = handle.journal, handle.journal.mapper
    journal.append([[new("a")]])
    journal.append([[saved("a", 1, 2)]])
    rows = list(handle.recorder.chain("a"))
    stored = mapper.encode("a", 1, [r.event for r in journal.read("a")])
    for event, (_, _, state, body_hash, _) in zip(stored, rows, strict=True):
        assert mapper.body_hash(state) == body_hash
        event.__dict__["body_hash"] = body_hash
    assert links(stored, START) == [hash for *_, hash in rows]
    assert handle.recorder.hash_at("a", 3) == rows[-1][-1]
    assert handle.recorder.hash_at("a", 4) is None


def test_equal_events_have_different_hashes(handle: Handle) -> None:
    handle.journal.append([[new("a")]])
    handle.journal.append([[saved("a", 1, 2)]])
    bodies = [body_hash for _, _, _, body_hash, _ in handle.recorder.chain("a")]
    assert len(set(bodies)) == 3


@pytest.mark.parametrize("mapper", [None, StructMapper(compressor=ZlibCompressor())])
@pytest.mark.parametrize("column", ["state", "body_hash", "hash"])
def test_a_flipped_byte_is_named_by_its_version(
    shared: Store, column: str, mapper: StructMapper | None
) -> None:
    journal = shared.open(mapper).journal
    journal.append([[new("a")], [new("b")]])
    journal.append([[saved("a", 1, 4)]])
    statement = (
        f"SELECT {column} FROM stored_events WHERE originator_id = 'a' AND originator_version = 3"
    )
    value = bytearray(shared.ask(statement)[0][0])
    value[len(value) // 2] ^= 1
    shared.change(
        f"UPDATE stored_events SET {column} = %(value)s "
        "WHERE originator_id = 'a' AND originator_version = 3",
        {"value": bytes(value)},
    )
    broken = journal.verify("a")
    assert broken is not None
    assert broken[0] == 3
    assert_intact(journal, "b")


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ("SET topic = 'task.waved' WHERE originator_version = 3", 3),
        ("SET originator_version = 9 WHERE originator_version = 5", 5),
        ("SET originator_id = 'b' WHERE originator_version = 5", None),
    ],
)
def test_a_changed_envelope_is_named_too(shared: Store, change: str, version: int | None) -> None:
    journal = shared.open().journal
    journal.append([[new("a")]])
    journal.append([[saved("a", 1, 4)]])
    shared.change(f"UPDATE stored_events {change}", {})
    broken = {tree: journal.verify(tree) for tree in ("a", "b")}
    if version is None:
        assert broken["a"] is None, "what is cut off at the end is not missed"
        assert broken["b"] == (1, "missing: the next stored version is 5")
    else:
        assert broken["a"] is not None
        assert broken["a"][0] == version


# -- the rows


def assert_rows_follow(handle: Handle) -> None:
    expected = Expected(handle.journal.read_all())
    for id, row in expected.trees.items():
        view = handle.reads.tree(id)
        assert view is not None
        assert tree_row(view) == row
    found = {
        task.id: task_row(task) for tree in expected.trees for task in handle.reads.tasks(tree)
    }
    assert found == expected.tasks
    assert handle.recorder.max_tracking_id("status") == handle.journal.position()


@pytest.mark.parametrize("seed", range(6))
def test_status_is_the_fold_of_the_log_after_every_commit(store: Store, seed: int) -> None:
    """Two handles take turns, so that one cannot live on what it remembers of its own writes."""
    handles = [store.open(), store.open()]
    random = Random(seed)
    history = History(random)
    for units in [*history.commits(40), history.finish()]:
        handle = random.choice(handles)
        if units:
            handle.journal.append(units)
            assert_rows_follow(random.choice(handles))
    assert_intact(handles[0].journal, *history.trees)


def test_rows_follow_every_kind_of_event(handle: Handle) -> None:
    for append in one_of_each("a", "b"):
        handle.journal.append([[append]])
    assert_rows_follow(handle)


def test_rows_follow_however_appends_are_cut(store: Store) -> None:
    handle = store.open()
    appends = one_of_each("a", "b")
    index = dict(appends[1].index)
    whole = list(appends[1].events)
    handle.journal.append([[appends[0]]])
    handle.journal.append([[Append("a", 0, whole[:1], {**index, "a.3": 3})]])
    for version, event in enumerate(whole[1:], start=1):
        handle.journal.append([[Append("a", version, [event], index)]])
    handle.journal.append([[appends[2]]])
    assert_rows_follow(handle)


@pytest.mark.parametrize("seed", range(4))
def test_rows_come_out_the_same_however_a_history_is_cut(store: Store, seed: int) -> None:
    steps = Steps(Random(seed))
    steps.commits(15)
    handles, random = [store.open(), store.open()], Random(seed)
    for units in steps.cut(random, most=6):
        random.choice(handles).journal.append(units)
    assert_rows_follow(handles[0])
    _, reads = whole = open_memory()
    whole[0].append([steps.units])
    for tree in steps.trees:
        assert handles[0].reads.tree(tree) == reads.tree(tree)
        assert handles[0].reads.tasks(tree) == reads.tasks(tree)


@pytest.mark.parametrize("running", [False, True])
def test_a_task_cancelled_in_the_first_transaction_of_its_tree_has_ended(
    handle: Handle, running: bool
) -> None:
    started = [e.TaskStarted(at=AT, task="a")] if running else []
    cancelled = e.TaskCancelled(at=LATER, task="a", attempt=len(started))
    submitted = e.TreeSubmitted(at=AT, of=(None,))
    facts: list[e.AnyEvent] = [created("a"), submitted, *started, cancelled]
    handle.journal.append([[new("x")], [Append("a", 0, facts, numbers("a"))]])
    assert_rows_follow(handle)
    view = handle.reads.task("a")
    assert view is not None
    assert (view.status, view.completed_at) == ("cancelled", LATER)
    assert view.started_at == (AT if running else None)


def test_a_tree_released_after_it_has_settled_keeps_the_time_of_its_end(handle: Handle) -> None:
    submitted = e.TreeSubmitted(at=AT, of=(None,))
    settled = e.TreeSettled(at=LATER, status="completed")
    facts: list[e.AnyEvent] = [created("a"), submitted, settled]
    handle.journal.append([[Append("a", 0, facts, numbers("a"))]])
    released = e.TreeReleased(at=LATER, engine="engine-a")
    handle.journal.append([[Append("a", 3, [released], numbers("a"))]])
    assert_rows_follow(handle)
    view = handle.reads.tree("a")
    assert view is not None
    assert view.completed_at == LATER


def test_tasks_move_from_tree_to_tree(handle: Handle) -> None:
    journal, reads = handle.journal, handle.reads
    journal.append([[new("a")], [new("b", "x")]])
    moved = e.TasksAdded(at=AT, specs=(spec("b", "a"), spec("x", "b")), adopted_from="b")
    into = Append("a", 1, [moved], numbers("a", "b", "x"))
    gone = Append("b", 1, [e.TreeAdopted(at=AT, into="a")], {})
    journal.append([[into, gone]])
    assert [task.id for task in reads.tasks("a")] == ["a", "b", "x"]
    assert reads.tasks("b") == []
    assert reads.owner_and_tree(["x"]) == {"x": (None, "a")}
    view = reads.tree("b")
    assert view is not None
    assert view.phase == "adopted"
    assert [tree.id for tree in reads.trees()] == ["a"]
    assert_rows_follow(handle)


def test_blobs_are_stored_with_their_events(handle: Handle) -> None:
    journal = handle.journal
    blobs = {"aa": b"\x00\xff" * 100, "bb": b""}
    facts: list[e.AnyEvent] = [
        created("a"),
        e.TaskStarted(at=AT, task="a"),
        e.TaskCompleted(at=AT, task="a", blob="aa", size=200),
    ]
    journal.append([[Append("a", 0, facts, numbers("a"), blobs)]])
    journal.append([[Append("a", 3, [e.TreeReleased(at=AT, engine="x")], numbers("a"), blobs)]])
    assert {name: journal.read_blob(name) for name in blobs} == blobs
    with pytest.raises(NotFound):
        journal.read_blob("cc")
    with pytest.raises(StaleVersion):
        journal.append([[replace(saved("a", 2), blobs={"cc": b"c"})]])
    with pytest.raises(NotFound):
        journal.read_blob("cc")


def test_open_work_is_what_was_submitted_and_has_not_settled(handle: Handle) -> None:
    def submitted(tree: str, *more: e.AnyEvent) -> Append:
        facts = [created(tree), e.TreeSubmitted(at=AT, of=(None,)), *more]
        return Append(tree, 0, facts, numbers(tree))

    claimed = e.TreeClaimed(at=AT, engine="engine-a", epoch=3)
    released = e.TreeReleased(at=AT, engine="engine-a")
    settled = e.TreeSettled(at=AT, status="completed")
    handle.journal.append([[new("draft")], [submitted("free")]])
    handle.journal.append([[submitted("let go", claimed, released)], [submitted("held", claimed)]])
    handle.journal.append([[submitted("over", claimed, settled)]])
    assert handle.journal.open_work() == [
        OpenTree("free", "Tree free", "", 0, True),
        OpenTree("let go", "Tree let go", "engine-a", 3, True),
        OpenTree("held", "Tree held", "engine-a", 3, False),
    ]
    handle.journal.append([[Append("free", 2, [settled], numbers("free"))]])
    assert [tree.id for tree in handle.journal.open_work()] == ["let go", "held"]


def test_the_owner_of_a_tree_is_who_claimed_it_last_as_long_as_it_is_open(handle: Handle) -> None:
    def take(after: int, *events: e.AnyEvent) -> OpenTree | None:
        handle.journal.append([[Append("a", after, events, numbers("a"))]])
        return handle.journal.owner("a")

    handle.journal.append([[new("a")], [new("b")]])
    assert handle.journal.owner("a") is None
    assert handle.journal.owner("nobody") is None
    claimed = e.TreeClaimed(at=AT, engine="engine-a", epoch=1)
    mine = OpenTree("a", "Tree a", "engine-a", 1, False)
    assert take(1, e.TreeSubmitted(at=AT, of=(None,))) == OpenTree("a", "Tree a", "", 0, True)
    assert take(2, claimed) == mine
    assert take(3, e.TreeReleased(at=AT, engine="engine-a")) == replace(mine, released=True)
    other = replace(claimed, engine="engine-b", epoch=2)
    assert take(4, other) == OpenTree("a", "Tree a", "engine-b", 2, False)
    assert take(5, e.TreeSettled(at=AT, status="failed")) is None
    assert handle.journal.open_work() == []
    again = take(6, e.TaskReopened(at=AT, task="a", generation=2), e.TreeReopened(at=AT))
    assert again == OpenTree("a", "Tree a", "engine-b", 2, False)
    assert handle.journal.open_work() == [again]
    moved = e.TasksAdded(at=AT, specs=(), adopted_from="b")
    handle.journal.append([[Append("b", 1, [moved, e.TreeAdopted(at=AT, into="a")], {})]])
    assert handle.journal.owner("b") is None


# -- mappers and the library's seams


def test_events_are_stored_compressed_by_the_library_s_compressor(store: Store) -> None:
    journal = store.open(StructMapper(compressor=ZlibCompressor())).journal
    journal.append([[new("a")]])
    journal.append([[saved("a", 1, size=10_000)]])
    states = [state for _, _, state, _, _ in journal.recorder.chain("a")]
    assert max(map(len, states)) < 500
    assert [r.event for r in journal.read("a")] == [
        created("a"),
        *saved("a", 1, size=10_000).events,
    ]
    assert_intact(journal, "a")


def test_the_library_s_readers_see_the_log(handle: Handle) -> None:
    handle.journal.append([[new("a")]])
    handle.journal.append([[saved("a", 1, 3)]])
    events = handle.recorder.select_events("a", gt=1, limit=2)
    assert [event.originator_version for event in events] == [2, 3]
    notes = handle.recorder.select_notifications(start=2, limit=2)
    assert [(note.id, note.originator_version) for note in notes] == [(2, 2), (3, 3)]
    assert handle.recorder.max_notification_id() == handle.journal.position()


def test_events_are_readable_by_people(shared: Store) -> None:
    handle = shared.open()
    handle.journal.append([[new("a")]])
    statement = "SELECT position, tree, version, topic, state, hash FROM events_readable"
    position, tree, version, topic, state, hash = shared.ask(statement)[0]
    assert (position, tree, version, topic) == (1, "a", 1, "tree.created")
    assert msgspec.json.decode(state)["name"] == "Tree a"
    recorded = handle.recorder.hash_at("a", 1)
    assert recorded is not None
    assert hash == recorded.hex()


# -- closing


def test_a_closed_journal_says_so(handle: Handle) -> None:
    journal = handle.journal
    journal.append([[new("a")]])
    journal.close()
    journal.close()
    asks: Iterable[Any] = (
        lambda: journal.append([[saved("a", 1)]]),
        lambda: list(journal.read("a")),
        journal.position,
        journal.open_work,
        lambda: handle.reads.tree("a"),
    )
    for ask in asks:
        with pytest.raises(StoreUnavailable, match="closed"):
            ask()


def test_what_was_written_is_there_when_opened_again(shared: Store) -> None:
    first = shared.open()
    first.journal.append([one_of_each("a", "b")])
    log = log_of(first.journal)
    first.journal.close()
    second = shared.open()
    assert log_of(second.journal) == log
    second.journal.append([[new("c")]])
    assert_rows_follow(second)
    assert_intact(second.journal, "a", "b", "c")
