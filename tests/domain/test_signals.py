"""Something outside says a word, and one task that waits for it completes with what was said."""

from typing import Any

import pytest

from aipartnerupflow.domain.decide import Stamp, require_signal, wait_for_signal
from aipartnerupflow.domain.decide import signal as say
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from aipartnerupflow.domain.events import AnyEvent, TaskFailed
from aipartnerupflow.domain.specs import ErrorInfo, Policy
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.testing.given import Given, given
from aipartnerupflow.testing.trees import (
    OPEN,
    attempt_failed,
    cancelled,
    completed,
    draft,
    failed,
    group_started,
    paused,
    raw,
    reopened,
    running,
    settled,
    signal,
    started,
    task,
    tree_reopened,
    waiting,
)
from tests.domain.times import at, dated, stamp, statuses, the, time_is_up

SIGNALS = {0}
"""In these trees the first executor that is named is the one that waits for signals."""


def begin(tree: Tree, id: str, stamp: Stamp) -> list[AnyEvent]:
    """`decide.wait_for_signal` by id."""
    return wait_for_signal(tree, tree.index[id], stamp)


def waits(id: str, name: str, until: str | None = None, attempt: int = 1) -> list[AnyEvent]:
    """A task that began to wait for a signal."""
    begun = started(id, attempt, called=False)
    return dated(0, begun, waiting(id, until, signal=name, attempt=attempt))


def kept(stream: Given) -> dict[str, list[tuple[str, str]]]:
    """By name: the ids and payloads of the signals that nobody has waited for yet."""
    signals = stream.tree.signals
    return {name: [(id, bytes(said).decode()) for id, said in all] for name, all in signals.items()}


def asks(id: str, **inputs: Any) -> Given:
    """One task that begins to wait with these inputs."""
    return given(dated(0, running("r", task(f"{id}(signal)", inputs=inputs))))


READY = given(running("r", "a(signal)", "b(signal)", "c <- a"))
ONE = READY.and_then(waits("a", "a"), group_started("r"))
TWO = given(
    running(
        "r",
        task("a(signal)", inputs={"name": "go"}),
        task("b(signal)", inputs={"name": "go"}),
        task("c(signal)", inputs={"name": "other"}),
    )
)
BOTH = TWO.and_then(waits("b", "go"), waits("a", "go"), waits("c", "other"))
TIMED = asks("a", timeout=60).and_then(waits("a", "a", at(60)))


class TestNames:
    def test_a_task_waits_for_its_key_where_it_says_no_name(self) -> None:
        stream = given(running("r", "a(signal)", task("b(signal)", key="approval")))
        stream.when(begin, "a").then(started("a", called=False), waiting("a", signal="a"))
        stream.when(begin, "b").then(started("b", called=False), waiting("b", signal="approval"))

    def test_or_for_the_name_that_it_says(self) -> None:
        asks("a", name="go").when(begin, "a").then(
            started("a", called=False), waiting("a", signal="go")
        )

    @pytest.mark.parametrize("inputs", [{"name": 7}, {"timeout": "soon"}, {"name": ""}, {"x": 1}])
    def test_inputs_that_say_nothing_usable_say_nothing(self, inputs: dict[str, Any]) -> None:
        asks("a", **inputs).when(begin, "a").then(
            started("a", called=False), waiting("a", signal="a")
        )

    def test_a_name_that_no_task_waits_for_is_refused_with_those_that_are(self) -> None:
        TWO.when(say, "s1", "gone", None, signals=SIGNALS).refuses(
            InvalidInput, "no task of tree r waits for 'gone'; signals are: go, other"
        )

    def test_where_nothing_waits_for_any_there_is_none(self) -> None:
        stream = given(running("r", "a(cook)"))
        stream.when(say, "s1", "a", None, signals=set()).refuses(InvalidInput, "signals are: none")

    def test_the_open_tasks_that_are_meant_can_be_asked_for(self) -> None:
        def meant(stream: Given) -> list[str]:
            return [task.spec.id for task in require_signal(stream.tree, "go", SIGNALS)]

        assert meant(TWO) == meant(BOTH) == ["a", "b"]
        assert meant(BOTH.and_then(completed("a"))) == ["b"]


class TestArriving:
    @pytest.mark.parametrize("payload", [{"by": "ann"}, [], 0, False, "", None])
    def test_the_task_that_waits_completes_with_what_was_said(self, payload: object) -> None:
        after = ONE.when(say, "s1", "a", raw(payload), signals=SIGNALS).then(
            signal("s1", "a", payload), completed("a", payload)
        )
        assert not after.tree.waiting
        assert not after.tree.signals
        assert statuses(after)["a"] == "completed"

    def test_where_nothing_was_said_with_it_the_result_is_null(self) -> None:
        ONE.when(say, "s1", "a", None, signals=SIGNALS).then(signal("s1", "a"), completed("a"))

    def test_each_signal_completes_one_task_and_the_first_that_waits_first(self) -> None:
        after = BOTH.when(say, "s1", "go", raw(1), signals=SIGNALS).then(
            signal("s1", "go", 1), completed("b", 1)
        )
        last = after.when(say, "s2", "go", raw(2), signals=SIGNALS).then(
            signal("s2", "go", 2), completed("a", 2)
        )
        last.when(say, "s3", "go", raw(3), signals=SIGNALS).refuses(
            InvalidTransition, "all tasks that wait for 'go' in tree r have ended"
        )
        assert statuses(last)["c"] == "in_progress"

    def test_a_second_one_with_the_same_id_changes_nothing(self) -> None:
        after = BOTH.and_then(signal("s1", "go", 1), completed("b", 1))
        after.when(say, "s1", "go", raw(2), signals=SIGNALS).then_nothing()
        after.when(say, "s1", "other", None, signals=SIGNALS).then_nothing()

    def test_a_later_attempt_can_be_what_waits(self) -> None:
        stream = READY.and_then(started("a"), dated(0, attempt_failed("a", at(0))))
        stream.and_then(waits("a", "a", attempt=2)).when(
            say, "s1", "a", None, signals=SIGNALS
        ).then(signal("s1", "a"), completed("a", attempt=2))

    def test_a_paused_tree_listens(self) -> None:
        ONE.and_then(paused()).when(say, "s1", "a", None, signals=SIGNALS).then(
            signal("s1", "a"), completed("a")
        )


class TestArrivingEarly:
    EARLY = READY.and_then(signal("s1", "a", {"n": 1}), signal("s2", "a", {"n": 2}))

    def test_it_is_kept_until_a_task_waits_for_it(self) -> None:
        after = READY.when(say, "s1", "a", raw(7), signals=SIGNALS).then(signal("s1", "a", 7))
        assert kept(after) == {"a": [("s1", "7")]}
        assert statuses(after)["a"] == "pending"

    def test_that_task_is_over_at_once(self) -> None:
        after = self.EARLY.when(begin, "a").then(
            started("a", called=False), waiting("a", signal="a"), completed("a", {"n": 1})
        )
        assert kept(after) == {"a": [("s2", '{"n":2}')]}

    def test_what_waits_for_another_does_not_hear_it(self) -> None:
        self.EARLY.when(begin, "b").then(started("b", called=False), waiting("b", signal="b"))

    def test_the_last_one_leaves_nothing_behind(self) -> None:
        stream = READY.and_then(signal("s1", "a"))
        assert kept(stream.and_then(waits("a", "a"), completed("a"))) == {}

    def test_nothing_said_is_null(self) -> None:
        stream = READY.and_then(signal("s1", "a"))
        stream.when(begin, "a").then(
            started("a", called=False), waiting("a", signal="a"), completed("a", None)
        )

    def test_its_id_is_known_from_then_on(self) -> None:
        self.EARLY.when(say, "s2", "a", raw(3), signals=SIGNALS).then_nothing()
        used = self.EARLY.and_then(waits("a", "a"), completed("a", {"n": 1}))
        used.when(say, "s1", "b", None, signals=SIGNALS).then_nothing()

    def test_an_id_that_was_refused_is_not(self) -> None:
        READY.when(say, "s1", "x", None, signals=SIGNALS).refuses(InvalidInput)
        READY.when(say, "s1", "a", None, signals=SIGNALS).then(signal("s1", "a"))


class TestWhereNothingWaitsAnyMore:
    def test_a_draft_is_refused(self) -> None:
        stream = given(draft("r", "a(signal)"))
        stream.when(say, "s1", "a", None, signals=SIGNALS).refuses(InvalidTransition, "a draft")

    def test_so_is_a_settled_tree(self) -> None:
        stream = given(running("r(signal)"), waits("r", "r"), failed("r"), settled("failed"))
        stream.when(say, "s1", "r", None, signals=SIGNALS).refuses(
            InvalidTransition, r"tree r has settled \(failed\): nothing waits"
        )

    @pytest.mark.parametrize("end", [completed("a"), failed("a"), cancelled("a", 1)])
    def test_so_is_one_for_a_task_that_has_ended(self, end: AnyEvent) -> None:
        ONE.and_then(end).when(say, "s1", "a", None, signals=SIGNALS).refuses(
            InvalidTransition, "have ended"
        )


class TestTimeout:
    def test_it_is_counted_from_the_beginning_of_the_wait(self) -> None:
        asks("a", timeout=60).when(begin, "a", stamp=stamp(5)).then(
            started("a", called=False), waiting("a", at(65), signal="a")
        )

    def test_without_a_default_the_task_fails(self) -> None:
        text = f"no signal 'a' came until {at(60)}"
        fact = TaskFailed(
            at=OPEN, by=OPEN, cause=OPEN, task="a",
            error=ErrorInfo("signal_timeout", text, ("TimeoutError",)),
        )  # fmt: skip
        TIMED.when(time_is_up, "a", stamp=stamp(60)).then(fact)
        TIMED.when(time_is_up, "a", stamp=stamp(59.999999)).then_nothing()

    @pytest.mark.parametrize("value", [{"ok": True}, 0, False, "", [], None])
    def test_with_one_it_completes_with_that(self, value: object) -> None:
        stream = asks("a", timeout=60, default=value).and_then(waits("a", "a", at(60)))
        after = stream.when(time_is_up, "a", stamp=stamp(60)).then(completed("a", value))
        assert not after.tree.waiting

    def test_nothing_but_what_was_not_there_is_used_up_by_it(self) -> None:
        stream = given(
            running("r", task("a(signal)", inputs={"timeout": 60, "default": 1}), "b(signal)"),
            signal("s1", "b", "for b"),
            waits("a", "a", at(60)),
        )
        after = stream.when(time_is_up, "a", stamp=stamp(60)).then(completed("a", 1))
        assert kept(after) == {"b": [("s1", '"for b"')]}

    def test_a_signal_in_time_is_what_counts(self) -> None:
        after = TIMED.when(say, "s1", "a", raw(1), signals=SIGNALS).then(
            signal("s1", "a", 1), completed("a", 1)
        )
        after.when(time_is_up, "a", stamp=stamp(60)).then_nothing()

    def test_a_deadline_that_comes_first_comes_first(self) -> None:
        policy = Policy(deadline=30)
        stream = given(dated(0, running("r", task("a(signal)", policy=policy))))
        stream = stream.and_then(waits("a", "a", at(60)))
        (fact,) = stream.when(time_is_up, "a", stamp=stamp(30)).facts
        assert isinstance(fact, TaskFailed)
        assert fact.error.type == "deadline_exceeded"


class TestReRun:
    ENDED = ONE.and_then(signal("s1", "a", 1), completed("a", 1), signal("s2", "b", 2))
    AGAIN = ENDED.and_then(reopened("a"), tree_reopened())

    def test_the_task_waits_for_another_signal(self) -> None:
        self.AGAIN.when(begin, "a").then(
            started("a", called=False, generation=2), waiting("a", signal="a")
        )
        self.AGAIN.when(say, "s1", "a", None, signals=SIGNALS).then_nothing()
        self.AGAIN.when(say, "s3", "a", None, signals=SIGNALS).then(signal("s3", "a"))

    def test_what_was_kept_is_kept(self) -> None:
        assert kept(self.AGAIN) == {"b": [("s2", "2")]}


def test_a_cancelled_task_uses_nothing_up() -> None:
    after = BOTH.and_then(cancelled("b", 1))
    assert [after.tree.at_n(n).spec.id for n in after.tree.waiting] == ["a", "c"]
    after.when(say, "s1", "go", None, signals=SIGNALS).then(signal("s1", "go"), completed("a"))
    assert the("b", after).is_over
