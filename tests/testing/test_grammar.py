"""Broken logs are planted; the checker finds each, and nothing in a sound one."""

import time
from collections.abc import Iterable

import pytest
from msgspec import structs

from aipartnerupflow.domain.events import AnyEvent, Recorded
from aipartnerupflow.testing.grammar import check_log
from aipartnerupflow.testing.trees import (
    added,
    adopted,
    cancelled,
    changed,
    claimed,
    completed,
    draft,
    failed,
    group_started,
    interrupted,
    log,
    progressed,
    refused,
    released,
    removed,
    running,
    saved,
    settled,
    started,
    submitted,
    task,
)

TWO = running("r", "a", "b <- a")
BEGUN = [*TWO, started("a"), group_started("r")]
A_DONE = [*BEGUN, completed("a")]
DONE = [*A_DONE, started("b"), completed("b"), completed("r"), settled("completed")]
BLOCKED = [*BEGUN, failed("a"), failed("r"), settled("failed")]
LOST = [*BEGUN, claimed("engine-2", 2), interrupted("a")]

SOUND = {
    "to the end": DONE,
    "blocked under a failure": BLOCKED,
    "late reports": [*DONE, refused("a", "ended"), refused("b", "ended")],
    "interrupted and taken over": [*LOST, refused("a", "former_attempt"), started("a", 2),
                                   progressed("a", 0.5, attempt=2), saved("a", 1, attempt=2),
                                   completed("a", attempt=2)],
    "released and claimed again": [*BEGUN, interrupted("a", "shutdown"), released(),
                                   claimed("engine-2", 2), started("a", 2)],
    "a draft that changes": [*draft("r", "a"), added("r/b"), changed(task("r/b", priority=0)),
                             removed("a"), adopted("other")],
    "an optional dependency on what failed": [*running("r(x)", "a", "b <- a?"), started("a"),
                                              failed("a"), started("b")],
    "an optional dependency on what is blocked": [
        *running("r(x)", "x", "y <- x", "a <- y", "b <- a?"), started("x"), failed("x"),
        started("b")],
    "a fault before the call": [*running("r"), started("r", called=False), failed("r"),
                                settled("failed")],
    "a group that starts and ends at once": [
        *running("r(x)", "x", "g", "g/a <- x"), started("x"), failed("x"),
        group_started("g"), failed("g")],
    "a group that depends on its own child": [*running("r <- a", "a"), started("a"),
                                              group_started("r"), completed("a"), completed("r")],
    "a group behind a dependency": [*running("r(x)", "x", "g <- x", "g/h", "h/a"), started("x"),
                                    completed("x"), started("a"), group_started("h"),
                                    group_started("g")],
    "a group that does not wait for what its children hold": [
        *running("r", "p(x)", "p/a"), started("p"), group_started("r"), completed("p"),
        completed("r"), started("a"), completed("a"), settled("completed")],
    "a group behind what failed": [*running("r(x)", "x", "g <- x", "g/a"), started("x"),
                                   started("r"), failed("x"), completed("r"), settled("failed")],
}  # fmt: skip

BROKEN: dict[str, tuple[Iterable[AnyEvent], str]] = {
    "a second end": ([*A_DONE, failed("a")], "task.failed of a again after its end"),
    "a second completion": ([*A_DONE, completed("a")], "task.completed of a again"),
    "an end before its start": ([*TWO, completed("a")], "a, whose attempt 1 is not running"),
    "an end of a former attempt": (
        [*LOST, started("a", 2), completed("a")], "a, whose attempt 1 is not running"),
    "an end after an interruption": ([*LOST, failed("a")], "a, whose attempt 1 is not running"),
    "a start before a dependency": (
        [*BEGUN, started("b")], "b starts before its dependency a allows it"),
    "a start after a required failure": (
        [*BEGUN, failed("a"), started("b")], "b starts before its dependency a"),
    "a start before an optional dependency": (
        [*running("r(x)", "a", "b <- a?"), started("a"), started("b")], "dependency a"),
    "a start below a group that waits": (
        [*running("r(x)", "x", "g <- x", "g/a"), started("a")],
        "a starts before its dependency x allows it"),
    "a start far below a group that waits": (
        [*running("r(x)", "x", "g <- x", "g/h", "h/p(x)", "p/a"), started("a")], "dependency x"),
    "a group before its dependency": (
        [*running("r(x)", "x", "g <- x", "g/a"), group_started("g")],
        "g starts before its dependency x"),
    "a group before its first child": (
        [*TWO, group_started("r")], "the group r starts before its first child"),
    "a group that is called": (
        [*TWO, started("a"), started("r")], "an executor is called for the group r"),
    "a group that ends early": (
        [*A_DONE, completed("r")], "the group r ends before its children"),
    "a group that hides a failure": (
        [*BEGUN, failed("a"), completed("r")], "the group r, whose children say otherwise"),
    "a group that fails for nothing": (
        [*A_DONE, started("b"), completed("b"), failed("r")], "whose children say otherwise"),
    "a first attempt that is not 1": (
        [*TWO, started("a", 2)], "a starts attempt 2 of generation 1 after attempt 0"),
    "a gap in the attempts": ([*LOST, started("a", 3)], "starts attempt 3 of generation 1"),
    "an attempt twice": ([*LOST, started("a")], "starts attempt 1 of generation 1 after attempt 1"),
    "another generation by itself": (
        [*LOST, structs.replace(started("a"), generation=2)], "attempt 1 of generation 2"),
    "a start of what runs": ([*BEGUN, started("a", 2)], "a starts while it runs"),
    "a start after the end": ([*A_DONE, started("a", 2)], "task.started of a after its end"),
    "a start that nobody drives": (
        [*submitted("r", "a"), started("a")], "a starts while no engine drives the tree"),
    "a start after the release": (
        [*TWO, released(), started("a")], "a starts while no engine drives the tree"),
    "a release that leaves work behind": ([*BEGUN, released()], "released while a runs"),
    "an interruption of what does not run": (
        [*TWO, interrupted("a")], "task.interrupted of a, whose attempt 1 is not running"),
    "an interruption of a group": (
        [*BEGUN, interrupted("r")], "task.interrupted of r, whose executor was not called"),
    "progress after the end": ([*A_DONE, progressed("a", 1.0)], "task.progressed of a after"),
    "a checkpoint of what does not run": ([*TWO, saved("a", 1)], "task.saved of a, whose"),
    "a result without a call": (
        [*TWO, started("a", called=False), completed("a")],
        "task.completed of a, whose executor was not called"),
    "an epoch twice": ([*TWO, claimed("engine-2", 1)], "epoch 1 after epoch 1"),
    "a settled tree with an open task": (
        [*A_DONE, settled("completed")], "the tree settles while b is open"),
    "a settled tree with a running task": (
        [*BEGUN, settled("completed")], "the tree settles while a is open"),
    "a tree that settles too well": (
        [*BLOCKED[:-1], settled("completed")], "settles as completed, its tasks say otherwise"),
    "a tree that settles too badly": (
        [*DONE[:-1], settled("failed")], "settles as failed, its tasks say otherwise"),
    "anything after the end": ([*DONE, claimed("engine-2", 2)], "tree.claimed after the end"),
    "a start after the end of all": ([*BLOCKED, started("b")], "task.started after the end"),
    "a report of what never ran": ([*TWO, refused("a", "ended")], "attempt 1 is not over"),
    "a report of what still runs": ([*BEGUN, refused("a", "x")], "attempt 1 is not over"),
    "an eleventh refused report": (
        [*DONE, *[refused("a", "ended")] * 11], "11 refused reports of a"),
    "a change after the submission": ([*TWO, added("r/c")], "tasks.added after the submission"),
    "a second submission": ([*TWO, TWO[1]], "tree.submitted after the submission"),
    "a start in a draft": ([*draft("r"), started("r")], "task.started before the submission"),
    "a change after the adoption": (
        [*draft("r"), adopted("s"), added("r/a")], "tasks.added after the adoption"),
    "a task twice": ([*draft("r", "a"), added("r/a")], "task a is added twice"),
    "a change of nothing": ([*draft("r"), changed(task("r/a"))], "'a', which is no task"),
    "an event of no task": ([*TWO, started("ghost")], "'ghost', which is no task of this tree"),
    "executors for too few": (
        [*draft("r", "a"), structs.replace(submitted("r")[1], at="")], "for 1 of 2 tasks"),
    "two creations": ([*draft("r"), *draft("r")], "tree.created where a tree is created first"),
    "no creation": (TWO[1:], "tree.submitted where a tree is created first"),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_log_has_no_faults(name: str) -> None:
    assert check_log(log(SOUND[name])) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_log_is_found_out(name: str) -> None:
    facts, words = BROKEN[name]
    faults = check_log(log(facts))
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize("n", range(len(DONE) - 1))
def test_no_event_can_be_missing_but_the_last(n: int) -> None:
    assert check_log(log(DONE[:n], DONE[n + 1 :]))


@pytest.mark.parametrize("n", range(len(DONE)))
def test_no_event_can_stand_twice(n: int) -> None:
    assert check_log(log(DONE[: n + 1], DONE[n:]))


def test_a_fault_says_where_it_stands() -> None:
    (fault, *_) = check_log(log([*A_DONE, completed("a")]))
    assert fault.startswith("r v7: ")


class TestEnvelope:
    def test_versions_are_dense_from_1(self) -> None:
        records = log(DONE)
        assert "version 3 where 2 was due" in check_log([records[0], *records[2:]])[0]
        assert "version 2 where 1 was due" in check_log(records[1:])[0]
        assert any("version 1 where 2" in fault for fault in check_log([records[0], records[0]]))

    def test_time_never_goes_back(self) -> None:
        def at(record: Recorded, moment: str) -> Recorded:
            return structs.replace(record, event=structs.replace(record.event, at=moment))

        early, late = "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000001Z"
        first, second = log(TWO)[:2]
        assert check_log([at(first, early), at(second, early)]) == []
        assert check_log([at(first, early), at(second, late)]) == []
        faults = check_log([at(first, late), at(second, early)])
        assert faults == [f"r v2: time goes back from {late} to {early}"]

    def test_positions_rise_with_gaps_where_they_are_known(self) -> None:
        first, second = (structs.replace(record, position=0) for record in log(TWO)[:2])
        assert check_log([first, second]) == []
        placed = structs.replace(first, position=7), structs.replace(second, position=9)
        assert check_log(placed) == []
        back = structs.replace(first, position=7), structs.replace(second, position=7)
        assert check_log(back) == ["r v2: position 7 after 7"]


def test_trees_are_told_apart() -> None:
    one, other = log(DONE, tree="r"), log([*A_DONE, completed("a")], tree="s")
    mixed = [record for pair in zip(one, other, strict=False) for record in pair]
    assert check_log([structs.replace(record, position=0) for record in mixed]) == [
        "s v7: task.completed of a again after its end"
    ]


def test_nothing_is_a_sound_log() -> None:
    assert check_log([]) == []


def test_long_ways_through_what_is_blocked_are_walked_once() -> None:
    """By the definitions alone each of these groups would have to be asked about all before it."""
    n = 4_000
    written = [word for i in range(1, n) for word in (f"g{i}", f"g{i}/t{i} <- t{i - 1}")]
    tree = running("r", "t0", *written)
    broken = [*tree, started("t0"), failed("t0")]
    stopped = [*tree, cancelled("t0")]
    for i in range(1, n):
        broken += [group_started(f"g{i}"), failed(f"g{i}")]
        stopped += [group_started(f"g{i}"), cancelled(f"g{i}", 1)]
    began = time.process_time()
    assert check_log(log(broken, group_started("r"), failed("r"), settled("failed"))) == []
    assert check_log(log(stopped, group_started("r"), cancelled("r", 1))) == []
    assert time.process_time() - began < 10
