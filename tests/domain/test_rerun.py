"""A re-run: which tasks begin their next generation, which are kept, and what comes with them."""

import pytest

from aipartnerupflow.domain.decide import (
    Plan,
    complete,
    fail,
    follow,
    lost,
    plan,
    progress,
    rerun,
    save,
    stopped,
)
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import ErrorInfo, Policy, RetryPolicy
from aipartnerupflow.testing.given import Given, given, start
from aipartnerupflow.testing.trees import (
    attempt_failed,
    cancel_requested,
    cancelled,
    completed,
    draft,
    failed,
    group_started,
    interrupted,
    raw,
    refused,
    reopened,
    running,
    saved,
    settled,
    started,
    submitted,
    task,
    tree_cancel_requested,
    tree_reopened,
    waiting,
)
from tests.domain.times import at, blocked, dated, ready, stamp, statuses, the, time_is_up

BROKEN = ErrorInfo("Broken", "")
NULL = raw(None)


def did(*ids: str) -> list[AnyEvent]:
    """These tasks started and completed, one after the other."""
    return [fact for id in ids for fact in (started(id), completed(id))]


def planned(stream: Given, way: str, *ids: str) -> tuple[str, str, str]:
    """What is reopened, what may run, and what is kept, each in one line; as the command does it.

    Whatever is planned is also done.
    """
    found = plan(stream.tree, way, ids)
    facts = [reopened(id, the(id, stream).generation + 1) for id in found.reopened]
    after = stream.when(rerun, way, ids=ids).then(*facts, tree_reopened())
    pending = {id for id, status in statuses(after).items() if status == "pending"}
    groups = {task.spec.id for task in after.tree.live() if task.is_group}
    assert set(found.runs) == pending - groups - set(blocked(after))
    assert set(found.kept) == {
        id for id, status in statuses(after).items() if status == "completed" and id not in groups
    }
    return " ".join(found.reopened), " ".join(found.runs), " ".join(found.kept)


def refusal(stream: Given, way: str, *ids: str) -> str:
    """Why this re-run is refused, planned or done."""
    error = stream.when(rerun, way, ids=ids).refuses(InvalidTransition)
    with pytest.raises(InvalidTransition) as planned_too:
        plan(stream.tree, way, ids)
    assert str(planned_too.value) == str(error)
    return str(error)


CHAIN = given(
    running("r", "a", "b <- a", "c <- b", "d <- b?"),
    started("a"), group_started("r"), completed("a"), started("b"), failed("b"),
    did("d"), failed("r", "child_failed"), settled("failed"),
)  # fmt: skip


class TestFailed:
    def test_what_failed_runs_again_and_what_was_blocked_runs_after_it(self) -> None:
        assert planned(CHAIN, "failed") == ("r b", "b c", "a d")

    def test_what_waited_for_its_end_alone_is_not_repeated(self) -> None:
        after = CHAIN.and_then(reopened("r"), reopened("b"), tree_reopened())
        assert the("d", after).phase == the("d", CHAIN).phase
        assert the("d", after).generation == 1

    def test_what_was_cancelled_counts_as_failed(self) -> None:
        stream = given(running("r", "a", "b", "c <- a"), started("a"), group_started("r"))
        stream = stream.and_then(cancelled("a", 1), failed("b"), cancelled("r", 1))
        assert planned(stream.and_then(settled("failed")), "failed") == ("r a b", "a b c", "")

    def test_where_nothing_failed_there_is_nothing_to_do(self) -> None:
        stream = given(running("r", "a"), started("a"), group_started("r"))
        done = stream.and_then(completed("a"), completed("r"), settled("completed"))
        for tree in (stream, done, given(running("r", "a"))):
            assert refusal(tree, "failed") == "nothing of tree r is to be run again"

    def test_a_group_is_not_repeated_for_its_own_sake(self) -> None:
        stream = given(
            running("r", "g", "g/a", "g/b"), started("a"), group_started("g"), group_started("r"),
            completed("a"), started("b"), failed("b"), failed("g"), failed("r"), settled("failed"),
        )  # fmt: skip
        assert planned(stream, "failed") == ("r g b", "b", "a")


class TestFrom:
    STREAM = given(
        running("r", "a", "b <- a", "c <- b?", "g <- c", "g/d", "g/e", "f <- d", "x"),
        did("a", "b", "c", "d", "e", "f", "x"), started("g", called=False), completed("g"),
        started("r", called=False), completed("r"), settled("completed"),
    )  # fmt: skip

    def test_all_that_comes_after_it_is_repeated_over_optional_edges_and_groups(self) -> None:
        assert planned(self.STREAM, "from", "b") == ("r b c g d e f", "b c d e f", "a x")
        assert planned(self.STREAM, "from", "c") == ("r c g d e f", "c d e f", "a b x")

    def test_of_a_group_only_what_comes_after_the_task(self) -> None:
        assert planned(self.STREAM, "from", "d") == ("r g d f", "d f", "a b c e x")

    def test_from_a_group_is_from_all_below_it(self) -> None:
        assert planned(self.STREAM, "from", "g") == ("r g d e f", "d e f", "a b c x")

    def test_several_can_be_named(self) -> None:
        assert planned(self.STREAM, "from", "x", "e", "x") == ("r g e x", "e x", "a b c d f")

    def test_by_key_too(self) -> None:
        stream = given(running("r(cook)", task("a", key="flour")), did("r", "a"))
        stream = stream.and_then(settled("completed"))
        assert planned(stream, "from", "flour") == ("a", "a", "r")

    def test_what_comes_after_a_group_comes_after_each_of_its_tasks(self) -> None:
        stream = given(
            running("r(cook)", "g", "g/h", "h/a", "b <- g", "k <- h?", "k/c"),
            did("r", "a", "c", "b"), started("h", called=False), completed("h"),
            started("g", called=False), completed("g"), started("k", called=False), completed("k"),
            settled("completed"),
        )  # fmt: skip
        assert planned(stream, "from", "a") == ("g h a b k c", "a b c", "r")

    def test_children_of_an_executor_do_not_come_after_it(self) -> None:
        stream = given(running("r(cook)", "p(cook)", "p/a"), did("r", "p", "a"))
        stream = stream.and_then(settled("completed"))
        assert planned(stream, "from", "p") == ("p", "p", "r a")
        assert planned(stream, "from", "a") == ("a", "a", "r p")

    def test_what_never_ran_is_not_reopened(self) -> None:
        assert planned(CHAIN, "from", "a") == ("r a b d", "a b c d", "")

    def test_from_what_is_blocked_there_is_nothing_to_do(self) -> None:
        assert refusal(CHAIN, "from", "c") == "nothing of tree r is to be run again"

    def test_a_task_that_is_not_there_is_told(self) -> None:
        CHAIN.when(rerun, "from", ids=["a", "x"]).refuses(InvalidInput, "tree r has no task 'x'")


class TestAll:
    def test_everything_that_ran_is_repeated(self) -> None:
        assert planned(CHAIN, "all") == ("r a b d", "a b c d", "")

    def test_in_a_tree_that_completed_as_well(self) -> None:
        assert planned(TestFrom.STREAM, "all") == (
            "r a b c g d e f x", "a b c d e f x", "",
        )  # fmt: skip


class TestTheCommand:
    @pytest.mark.parametrize(
        ("way", "ids", "words"),
        [
            ("some", [], "there is no re-run of 'some'; there are failed, from, all"),
            ("from", [], "`from` names the tasks"),
            ("failed", ["a"], "only `from` does"),
            ("all", ["a"], "only `from` does"),
        ],
    )
    def test_a_way_that_there_is_not_is_told(self, way: str, ids: list[str], words: str) -> None:
        CHAIN.when(rerun, way, ids=ids).refuses(InvalidInput, words)

    def test_its_reason_is_kept(self) -> None:
        CHAIN.when(rerun, "failed", reason="the disk is back").then(
            reopened("r"), reopened("b"), tree_reopened("the disk is back")
        )

    def test_a_dry_run_changes_nothing(self) -> None:
        tree = CHAIN.tree
        found = plan(tree, "failed")
        assert found == Plan(("r", "b"), ("b", "c"), ("a", "d"))
        assert tree.settled == "failed"

    @pytest.mark.parametrize("way", ["failed", "all"])
    def test_a_draft_has_not_run_yet(self, way: str) -> None:
        assert refusal(given(draft("r", "a")), way) == "tree r is a draft: it has not run yet"

    @pytest.mark.parametrize("way", ["failed", "all"])
    def test_what_has_not_begun_is_not_run_again(self, way: str) -> None:
        assert "nothing of tree r" in refusal(given(submitted("r", "a")), way)


class TestTheNextGeneration:
    AFTER = CHAIN.and_then(reopened("r"), reopened("b"), tree_reopened())

    def test_the_tree_is_open_again_and_nobody_is_blocked(self) -> None:
        tree = self.AFTER.tree
        assert (tree.settled, tree.failed, tree.open) == ("", 0, 3)
        assert blocked(self.AFTER) == {}
        assert statuses(self.AFTER) == {
            "r": "pending", "a": "completed", "b": "pending", "c": "pending", "d": "completed",
        }  # fmt: skip
        self.AFTER.when(follow).then_nothing()

    def test_attempts_begin_with_1_again(self) -> None:
        assert ready(self.AFTER) == ["b"]
        begun = self.AFTER.when(start, "b").then_in_all(
            started("b", generation=2), group_started("r", generation=2)
        )
        assert (the("b", begun).generation, the("b", begun).attempt) == (2, 1)

    def test_it_runs_on_to_its_end(self) -> None:
        begun = self.AFTER.and_then(started("b", generation=2), group_started("r", generation=2))
        after = begun.when(complete, "b", 1, result=NULL).then_in_all(completed("b"))
        last = after.and_then(started("c")).when(complete, "c", 1, result=NULL)
        ended = last.then_in_all(completed("c"), completed("r"), settled("completed"))
        again = ended.when(rerun, "from", ids=["b"])
        again.then(
            reopened("r", 3), reopened("b", 3), reopened("c"), reopened("d"), tree_reopened()
        )

    def test_or_fails_again(self) -> None:
        begun = self.AFTER.and_then(started("b", generation=2), group_started("r", generation=2))
        begun.when(fail, "b", 1, BROKEN).then_in_all(
            failed("b"), failed("r", "child_failed", "its child b failed"), settled("failed")
        )

    def test_failures_interruptions_and_the_checkpoint_are_forgotten(self) -> None:
        policy = Policy(retry=RetryPolicy(max_attempts=2))
        stream = given(
            running("r(cook)", task("a", policy=policy)), did("r"), started("a"), saved("a", 1),
            dated(0, attempt_failed("a", at(0))), started("a", 2), interrupted("a", attempt=2),
            started("a", 3), failed("a", attempt=3), settled("failed"), reopened("a"),
            tree_reopened(),
        )  # fmt: skip
        again = the("a", stream)
        assert (again.attempt, again.failures, again.interruptions) == (0, 0, 0)
        assert (again.checkpoint, again.backoff) == (None, None)
        assert ready(stream) == ["a"]
        begun = stream.and_then(started("a", generation=2))
        begun.when(fail, "a", 1, ErrorInfo("TransientError", "")).then(attempt_failed("a", at(1)))

    def test_ten_more_late_reports_are_kept(self) -> None:
        ten = [refused("b", "ended")] * 10
        stream = CHAIN.and_then(
            ten, reopened("r"), reopened("b"), tree_reopened(),
            started("b", generation=2), completed("b"),
        )  # fmt: skip
        stream.when(complete, "b", 1).then(refused("b", "ended"))

    def test_what_was_given_up_in_a_former_one_is_not_taken_for_the_attempt_of_this_one(
        self,
    ) -> None:
        stream = given(running("r(cook)", "a"), did("r"), started("a"), cancelled("a", 1))
        reopened_since = stream.and_then(settled("cancelled"), reopened("a"), tree_reopened())
        for late in (reopened_since, reopened_since.and_then(started("a", generation=2))):
            late.when(complete, "a", 1, result=NULL, generation=1).then_nothing()
            late.when(fail, "a", 1, BROKEN, generation=1).then_nothing()
            late.when(progress, "a", 1, 0.5, "", generation=1).then_nothing()
            late.when(lost, "a", 1, generation=1).then_nothing()
            late.when(save, "a", 1, NULL, generation=1).refuses(InvalidTransition)
        asked = late.and_then(cancel_requested("a"))
        asked.when(stopped, "a", 1, ended=True, generation=1).then_nothing()
        late.when(complete, "a", 1, result=NULL, generation=2).then(completed("a"))

    def test_what_is_ready_comes_in_the_order_of_numbers_and_then_of_ends(self) -> None:
        stream = given(
            running("r(cook)", "z", "c <- y", "b <- z", "y", "a"),
            did("r", "y", "z"), started("a"), failed("a"), started("b"), failed("b"),
            started("c"), failed("c"), settled("failed"),
        )  # fmt: skip
        again = stream.and_then(reopened("c"), reopened("b"), reopened("a"), tree_reopened())
        assert ready(again) == ["a", "c", "b"]


class TestGroupsAbove:
    def test_those_of_a_reopened_task_are_reopened(self) -> None:
        stream = given(
            running("r", "g", "g/h", "h/a", "g/b"), started("a"), group_started("h"),
            group_started("g"), group_started("r"), failed("a"), failed("h"), did("b"),
            failed("g"), failed("r"), settled("failed"),
        )  # fmt: skip
        assert planned(stream, "failed") == ("r g h a", "a", "b")

    def test_so_are_those_of_what_is_no_longer_blocked(self) -> None:
        stream = given(
            running("r(cook)", "x", "g", "g/a <- x", "h", "h/b <- g"), did("r"), started("x"),
            failed("x"), group_started("g"), failed("g"), group_started("h"), failed("h"),
            settled("failed"),
        )  # fmt: skip
        assert planned(stream, "failed") == ("x g h", "x a b", "r")

    def test_not_those_of_what_is_blocked_by_something_else(self) -> None:
        stream = given(
            running("r(cook)", "x", "y", "g", "g/a <- x y", "h", "h/b <- x"), did("r"),
            started("x"), failed("x"), started("y"), failed("y"), group_started("g"), failed("g"),
            group_started("h"), failed("h"), settled("failed"),
        )  # fmt: skip
        assert planned(stream, "from", "x") == ("x g h a b".replace(" a b", ""), "x b", "r")

    def test_a_parent_with_an_executor_is_not(self) -> None:
        stream = given(running("r(cook)", "a"), did("r"), started("a"), failed("a"))
        assert planned(stream.and_then(settled("failed")), "failed") == ("a", "a", "r")

    def test_a_group_in_progress_goes_on_in_its_generation(self) -> None:
        stream = given(running("r", "a", "b"), started("a"), group_started("r"), failed("a"))
        assert planned(stream, "failed") == ("a", "a b", "")
        again = stream.and_then(reopened("a"), tree_reopened(), started("a", generation=2))
        after = again.and_then(completed("a"), started("b"))
        after.when(complete, "b", 1, result=NULL).then_in_all(
            completed("b"), completed("r"), settled("completed")
        )


class TestBlockedAgain:
    def test_what_would_be_blocked_at_once_is_not_reopened(self) -> None:
        stream = given(
            running("r(cook)", "x", "y <- x", "g <- y", "g/a"), did("r"), started("x"),
            cancelled("y"), cancelled("a"), failed("x"), settled("failed"),
        )  # fmt: skip
        assert refusal(stream, "from", "y") == "nothing of tree r is to be run again"
        assert planned(stream, "from", "x") == ("x y a", "x y a", "r")
        assert planned(stream, "failed") == ("x y a", "x y a", "r")

    def test_with_others_it_is(self) -> None:
        stream = given(
            running("r(cook)", "x", "y <- x", "z"), did("r", "z"), started("x"), cancelled("y"),
            failed("x"), settled("failed"),
        )  # fmt: skip
        assert planned(stream, "from", "y", "z") == ("y z", "z", "r")

    def test_what_requires_a_group_with_a_child_that_stays_failed_is_not_promised_to_run(
        self,
    ) -> None:
        stream = given(
            running("r(cook)", "g", "g/a", "g/b", "h", "h/c <- g", "d <- g?", "e <- h"),
            did("r", "b"), started("a"), group_started("g"), failed("a"), failed("g"), did("d"),
            group_started("h"), failed("h"), settled("failed"),
        )  # fmt: skip
        found = plan(stream.tree, "from", ["b"])
        assert found == Plan(("g", "b", "h", "d"), ("b", "d"), ("r",))
        assert plan(stream.tree, "failed") == Plan(
            ("g", "a", "h"), ("a", "c", "e"), ("r", "b", "d")
        )

    def test_a_group_that_is_reopened_and_blocked_blocks_what_is_below_it(self) -> None:
        stream = given(
            running("r(cook)", "x", "g <- x", "g/a", "z"), did("r", "x", "a", "z"),
            group_started("g"), completed("g"), settled("completed"),
            reopened("x"), reopened("a"), reopened("g"), tree_reopened(), cancelled("a"),
            started("x", generation=2), failed("x"), settled("failed"),
        )  # fmt: skip
        assert blocked(stream) == {"g": "x"}
        assert refusal(stream, "from", "a") == "nothing of tree r is to be run again"
        assert planned(stream, "from", "a", "z") == ("a z", "z", "r")


class TestUnsettledTrees:
    STREAM = given(
        running("r", "a", "b <- a", "c <- a?", "d"), started("a"), group_started("r"),
        failed("a"), started("d"),
    )  # fmt: skip

    def test_what_runs_and_is_not_repeated_runs_on(self) -> None:
        assert planned(self.STREAM, "failed") == ("a", "a b c", "")
        after = self.STREAM.and_then(reopened("a"), tree_reopened())
        assert list(after.tree.running) == list(self.STREAM.tree.running)
        after.when(complete, "d", 1, result=NULL).then(completed("d"))

    def test_what_would_be_repeated_must_not_run(self) -> None:
        runs = self.STREAM.and_then(started("c"))
        text = "task c of tree r is in progress. Wait for its end, or cancel it first."
        assert refusal(runs, "from", "a") == text
        assert refusal(self.STREAM, "all").startswith("task d of tree r is in progress")
        assert planned(runs, "failed") == ("a", "a b", "")

    def test_nor_wait_for_a_time_or_a_word(self) -> None:
        waits = self.STREAM.and_then(started("c", called=False), waiting("c", signal="go"))
        assert "task c of tree r is in progress" in refusal(waits, "from", "a")

    def test_a_tree_that_is_to_end_has_to_settle_first(self) -> None:
        stream = self.STREAM.and_then(tree_cancel_requested(), cancelled("c"))
        assert refusal(stream, "failed") == "tree r is being cancelled. Wait until it has settled."
        ended = stream.and_then(cancelled("d", 1), failed("r"), settled("failed"))
        assert planned(ended, "failed") == ("r a c d", "a b c d", "")
        again = ended.and_then(
            reopened("r"), reopened("a"), reopened("c"), reopened("d"), tree_reopened()
        )
        again.when(start, "a").then(started("a", generation=2))

    def test_what_is_ready_again_waits_for_what_is_repeated(self) -> None:
        stream = given(running("r", "a", "b <- a"), started("a"), group_started("r"))
        stream = stream.and_then(completed("a"))
        assert ready(stream) == ["b"]
        assert planned(stream, "from", "a") == ("a", "a b", "")
        after = stream.and_then(reopened("a"), tree_reopened())
        assert ready(after) == ["a"]
        assert ready(after.and_then(started("a", generation=2), completed("a"))) == ["b"]

    def test_so_does_what_is_to_be_tried_again_even_if_that_is_due(self) -> None:
        policy = Policy(retry=RetryPolicy(), deadline=60)
        stream = given(
            dated(0, running("r", "a", task("b <- a", policy=policy)), did("a"), started("b")),
            dated(0, attempt_failed("b", at(1))), group_started("r"),
        )  # fmt: skip
        assert planned(stream, "from", "a") == ("a", "a b", "")
        after = stream.and_then(dated(2, reopened("a"), tree_reopened()))
        assert not after.tree.deadlines
        after.when(start, "b", stamp=stamp(5)).refuses(InvalidTransition, "b is not ready")
        after.when(time_is_up, "b", stamp=stamp(60)).then_nothing()
        blocked_now = after.and_then(dated(6, started("a", generation=2), failed("a")))
        blocked_now.when(start, "b", stamp=stamp(7)).refuses(InvalidTransition, "not ready")
        there = after.and_then(dated(8, started("a", generation=2), completed("a")))
        assert there.tree.armed[-2:] == [2, 2]
        there.when(start, "b", stamp=stamp(8)).then(started("b", 2))
        there.when(time_is_up, "b", stamp=stamp(67)).then_nothing()
        assert there.when(time_is_up, "b", stamp=stamp(68)).facts

    def test_so_does_what_ran_meanwhile_and_was_interrupted_or_failed(self) -> None:
        policy = Policy(retry=RetryPolicy(), deadline=60)
        stream = given(
            dated(0, running("r", "a", task("b <- a?", policy=policy)), started("a")),
            dated(0, failed("a"), started("b"), group_started("r")),
            dated(1, reopened("a"), tree_reopened()),
        )  # fmt: skip
        assert stream.tree.deadlines
        for fact in (interrupted("b"), attempt_failed("b", at(2))):
            after = stream.and_then(dated(2, fact))
            assert ready(after) == ["a"]
            assert not after.tree.deadlines
            after.when(start, "b", stamp=stamp(9)).refuses(InvalidTransition, "not ready")
            there = after.and_then(dated(3, started("a", generation=2), failed("a")))
            there.when(start, "b", stamp=stamp(9)).then(started("b", 2))

    def test_a_group_that_has_begun_ends_even_if_what_it_requires_fails_the_second_time(
        self,
    ) -> None:
        stream = given(
            running("r(cook)", "x", "g <- x", "g/h", "h/a", "g/b", "g/c", "z"), did("r", "x"),
            started("a"), group_started("h"), group_started("g"), completed("a"), completed("h"),
            started("b"), completed("b"), did("z"),
        )  # fmt: skip
        assert planned(stream, "from", "x") == ("x h a b", "x a b c", "r z")
        again = stream.and_then(
            reopened("x"), reopened("h"), reopened("a"), reopened("b"), tree_reopened(),
            started("x", generation=2),
        )  # fmt: skip
        text = "its child {} could not start, because x failed"
        last = again.when(fail, "x", 1, BROKEN).then_in_all(
            failed("x"), failed("g", "child_blocked", text.format("h")), settled("failed")
        )
        assert blocked(last) == {"h": "x", "a": "h", "b": "x", "c": "x"}
        assert planned(last, "from", "z") == ("z", "z", "r")
        assert blocked(last.and_then(reopened("z"), tree_reopened())) == blocked(last)
        assert planned(last, "failed") == ("x g", "x a b c", "r z")

    def test_or_if_it_succeeds(self) -> None:
        stream = given(
            running("r(cook)", "x", "g <- x", "g/a", "g/b"), did("r", "x"), started("a"),
            group_started("g"), completed("a"), reopened("x"), reopened("a"), tree_reopened(),
            started("x", generation=2), completed("x"),
        )  # fmt: skip
        assert ready(stream) == ["a", "b"]
        late = stream.and_then(started("a", generation=2), completed("a"), started("b"))
        late.when(complete, "b", 1, result=NULL).then_in_all(
            completed("b"), completed("g"), settled("completed")
        )

    def test_or_if_its_children_are_done_before_what_it_only_waited_for(self) -> None:
        stream = given(
            running("r(cook)", "x", "g <- x?", "g/a"), did("r"), started("x"), failed("x"),
            started("a"), group_started("g"), reopened("x"), tree_reopened(),
        )  # fmt: skip
        after = stream.when(complete, "a", 1, result=NULL).then_in_all(
            completed("a"), completed("g")
        )
        assert ready(after) == ["x"]
