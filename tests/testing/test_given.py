"""The sentence helper itself: it passes what holds and fails what does not."""

import pytest
from msgspec import structs

from aipartnerupflow.domain.decide import Stamp, complete, follow
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from aipartnerupflow.domain.events import AnyEvent, TaskCompleted
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.testing.given import STAMP, given, start
from aipartnerupflow.testing.state import differences
from aipartnerupflow.testing.trees import (
    completed,
    group_started,
    raw,
    running,
    settled,
    specs,
    started,
    submitted,
    task,
)

BEGUN = given(running("r", "a"), started("a"), group_started("r"))


class TestThen:
    def test_the_same_facts_pass(self) -> None:
        BEGUN.when(complete, "a", 1, result=raw(7)).then(completed("a", 7))

    @pytest.mark.parametrize(
        "wrong",
        [(), (completed("a", 8),), (completed("b", 7),), (completed("a", 7, attempt=2),),
         (completed("a", 7), settled("completed")), (settled("completed"),)],
    )  # fmt: skip
    def test_others_fail_and_both_are_shown(self, wrong: tuple[AnyEvent, ...]) -> None:
        with pytest.raises(AssertionError, match=r"expected(.|\n)*but decided was(.|\n)*task"):
            BEGUN.when(complete, "a", 1, result=raw(7)).then(*wrong)

    def test_when_by_whom_and_why_count_where_they_are_given(self) -> None:
        full = TaskCompleted(
            at=STAMP.at, by=STAMP.by, cause=STAMP.cause, task="a", attempt=1, result=raw(7)
        )
        decided = BEGUN.when(complete, "a", 1, result=raw(7))
        decided.then(full)
        for wrong in ({"at": "2027"}, {"by": "system"}, {"cause": None}):
            with pytest.raises(AssertionError):
                decided.then(structs.replace(full, **wrong))

    def test_a_refusal_is_not_a_fact(self) -> None:
        with pytest.raises(AssertionError, match="refused: task a is not ready"):
            BEGUN.when(start, "a").then(started("a", 2))

    def test_nothing_is_nothing(self) -> None:
        given(submitted("r", "a")).when(follow).then_nothing()
        with pytest.raises(AssertionError):
            BEGUN.when(complete, "a", 1).then_nothing()

    def test_the_stream_goes_on_from_there(self) -> None:
        after = BEGUN.when(complete, "a", 1, result=raw(7)).then(completed("a", 7))
        after.when(follow).then(completed("r"))

    def test_all_that_follows_can_be_asked_for(self) -> None:
        decided = BEGUN.when(complete, "a", 1, result=raw(7))
        decided.then_in_all(completed("a", 7), completed("r"), settled("completed"))
        with pytest.raises(AssertionError):
            decided.then_in_all(completed("a", 7), completed("r"))


class TestRefuses:
    def test_the_error_is_handed_out(self) -> None:
        error = BEGUN.when(start, "a").refuses(InvalidTransition, "task a")
        assert "ready" in str(error)

    def test_another_error_message_or_none_fails(self) -> None:
        with pytest.raises(AssertionError, match="another refusal"):
            BEGUN.when(start, "a").refuses(InvalidInput)
        with pytest.raises(AssertionError, match="not in the message"):
            BEGUN.when(start, "a").refuses(InvalidTransition, "task b")
        with pytest.raises(AssertionError, match=r"not refused(.|\n)*task\.completed"):
            BEGUN.when(complete, "a", 1).refuses(InvalidTransition)


class TestWhen:
    def test_a_command_that_changes_the_state_is_found_out(self) -> None:
        def meddle(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
            tree.at_n(1).attempt = 9
            return []

        with pytest.raises(AssertionError, match=r"tasks\[1\]\.attempt: 9 != 1"):
            BEGUN.when(meddle)

    def test_the_stamp_can_be_chosen(self) -> None:
        (fact,) = BEGUN.when(complete, "a", 1, stamp=Stamp("2030", "system")).facts
        assert (fact.at, fact.by, fact.cause) == ("2030", "system", None)

    def test_without_facts_there_is_no_tree(self) -> None:
        def decide(stamp: Stamp) -> list[AnyEvent]:
            return [settled("completed")]

        given().when(decide).then(settled("completed"))


class TestWriting:
    def test_a_task_in_a_line(self) -> None:
        spec = task("g/c(cook) <- a b?")
        assert (spec.id, spec.parent) == ("c", "g")
        assert [(d.on, d.required) for d in spec.dependencies] == [("a", True), ("b", False)]
        assert bytes(spec.params) == b'{"executor_id":"cook"}'

    def test_the_first_is_the_root_of_those_that_name_no_parent(self) -> None:
        assert [spec.parent for spec in specs("r", "a", "a/b")] == [None, "r", "a"]

    @pytest.mark.parametrize("line", ["", "a b", "a <-", "a <- ", "/a", "a/b/c"])
    def test_anything_else_is_told(self, line: str) -> None:
        with pytest.raises(ValueError, match="is not written as"):
            task(line)

    def test_executors_are_chosen_as_written(self) -> None:
        tree = given(submitted("r", "a", "p(cook)", "p/b", "x()")).tree
        assert [tree.executor_of(t) for t in tree.live()] == [None, "work", "cook", "work", None]
        assert [t.is_group for t in tree.live()] == [True, False, False, False, False]


class TestState:
    def test_equal_streams_give_equal_states(self) -> None:
        assert differences(BEGUN.tree, BEGUN.tree, ignore=()) == []

    def test_each_difference_is_told(self) -> None:
        other = BEGUN.and_then(completed("a")).tree
        told = "\n".join(differences(BEGUN.tree, other))
        for name in ("version", "running", "open", "due", "tasks[1].phase"):
            assert name in told

    def test_the_order_of_what_is_ready_counts(self) -> None:
        one, other = given(running("r", "a", "b")).tree, given(running("r", "a", "b")).tree
        other.ready = dict.fromkeys(reversed(list(other.ready)))
        assert [line.partition(":")[0] for line in differences(one, other)] == ["ready"]

    def test_what_only_a_live_engine_empties_does_not_count(self) -> None:
        one, other = BEGUN.tree, BEGUN.tree
        other.fresh.clear()
        assert differences(one, other) == []
        assert differences(one, other, ignore=()) == ["fresh: [1] != []"]

    def test_trees_of_other_sizes_differ(self) -> None:
        one, other = given(running("r", "a")).tree, given(running("r", "a", "b")).tree
        assert any(line.startswith("tasks: ") for line in differences(one, other))
