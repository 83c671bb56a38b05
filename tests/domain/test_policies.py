"""What a client may say of retries, times, interruptions and places, and what is out of bounds."""

from typing import Any

import pytest
from msgspec import json

from aipartnerupflow.domain.decide import graph_faults, submit
from aipartnerupflow.domain.errors import InvalidGraph
from aipartnerupflow.domain.events import GROUP, TreeSubmitted
from aipartnerupflow.domain.policies import POLICY_FIELDS, policy_faults
from aipartnerupflow.domain.specs import (
    MAX_NAME,
    MAX_SECONDS,
    NO_POLICY,
    Concurrency,
    Policy,
    RetryPolicy,
    TaskSpec,
)
from aipartnerupflow.testing.given import given
from aipartnerupflow.testing.trees import draft, specs, task
from tests.domain.documents import R, faults_of, refused, spec_of, under_r


def policy(**fields: Any) -> Policy:
    return spec_of(R, under_r("a", **fields)).policy


def fault(**fields: Any) -> str:
    """What is wrong with a task's policy, and nothing else of it."""
    (found,) = refused(R, under_r("a", **fields))
    assert (found.code, found.where) == ("bad_policy", "a")
    return found.message


class TestWhatIsSaid:
    def test_nothing_is_no_policy(self) -> None:
        assert policy() is NO_POLICY
        assert policy(**dict.fromkeys(POLICY_FIELDS)) is NO_POLICY

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"timeout": 1.5}, Policy(timeout=1.5)),
            ({"deadline": 60}, Policy(deadline=60)),
            ({"heartbeat": 5}, Policy(heartbeat=5)),
            ({"on_interrupt": "fail"}, Policy(on_interrupt="fail")),
            ({"on_interrupt": "rerun"}, Policy()),
            ({"max_interruptions": 0}, Policy(max_interruptions=0)),
            ({"idempotent": True}, Policy(idempotent=True)),
            ({"idempotent": False}, Policy()),
            ({"accept": [404, 1]}, Policy(accept=(404, 1))),
            ({"concurrency": {"key": "db"}}, Policy(concurrency=Concurrency("db", 1))),
            ({"concurrency": {"key": "db", "limit": 3}}, Policy(concurrency=Concurrency("db", 3))),
            ({"retry": {}}, Policy(retry=RetryPolicy())),
            ({"retry": {"retry_on": None}}, Policy(retry=RetryPolicy())),
            ({"retry": {"retry_on": []}}, Policy(retry=RetryPolicy(retry_on=()))),
        ],
    )
    def test_each_field_is_read(self, fields: dict[str, Any], expected: Policy) -> None:
        assert policy(**fields) == expected

    def test_all_of_a_retry_is_read(self) -> None:
        said = {
            "max_attempts": 4, "backoff": "fixed", "initial_delay": 0.5, "multiplier": 3,
            "max_delay": 5, "jitter": "full", "retry_on": ["A", "B"], "non_retryable": ["C"],
        }  # fmt: skip
        assert policy(retry=said) == Policy(
            retry=RetryPolicy(4, "fixed", 0.5, 3, 5, "full", ("A", "B"), ("C",))
        )

    def test_what_was_read_is_stored_and_read_again(self) -> None:
        spec = spec_of(R, under_r("a", retry={"max_attempts": 4}, deadline=60, accept=[404]))
        assert json.decode(json.encode(spec), type=TaskSpec) == spec


class TestWhatIsNotUnderstood:
    @pytest.mark.parametrize(
        "fields",
        [
            {"timeout": "5"},
            {"deadline": [1]},
            {"on_interrupt": "ignore"},
            {"max_interruptions": 1.5},
            {"idempotent": "yes"},
            {"accept": ["4xx"]},
            {"accept": 404},
            {"concurrency": "db"},
            {"concurrency": {"limit": 1}},
            {"concurrency": {"key": "db", "limits": 1}},
            {"retry": 3},
            {"retry": {"attempts": 3}},
            {"retry": {"backoff": "linear"}},
            {"retry": {"jitter": "some"}},
            {"retry": {"max_attempts": None}},
        ],
    )
    def test_a_field_of_another_kind_is_malformed(self, fields: dict[str, Any]) -> None:
        assert faults_of(R, under_r("a", **fields)) == [("malformed", "/1")]


class TestBounds:
    @pytest.mark.parametrize("field", ["timeout", "deadline", "heartbeat"])
    def test_a_span_is_above_0_and_at_most_a_year(self, field: str) -> None:
        for good in (0.001, MAX_SECONDS):
            assert getattr(policy(**{field: good}), field) == good
        for bad in (0, -1, MAX_SECONDS + 1):
            assert fault(**{field: bad}).startswith(f"{field} is a number of seconds above 0")

    @pytest.mark.parametrize("field", ["initial_delay", "max_delay"])
    def test_a_pause_may_be_nothing_and_is_at_most_a_year(self, field: str) -> None:
        for good in (0, MAX_SECONDS):
            assert policy(retry={field: good}).retry is not None
        for bad in (-0.1, MAX_SECONDS + 1):
            assert fault(retry={field: bad}).startswith(f"retry.{field} is a number of seconds")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"max_interruptions": -1}, "max_interruptions is 0 to 1000 (default 5)"),
            ({"max_interruptions": 1001}, "max_interruptions is 0 to 1000 (default 5)"),
            ({"retry": {"max_attempts": 0}}, "retry.max_attempts is 1 to 1000"),
            ({"retry": {"max_attempts": 1001}}, "retry.max_attempts is 1 to 1000"),
            ({"retry": {"multiplier": 0.9}}, "retry.multiplier is 1 or more"),
            ({"concurrency": {"key": "k", "limit": 0}}, "concurrency.limit is 1 to 1000000"),
            ({"concurrency": {"key": "k", "limit": 10**6 + 1}}, "concurrency.limit is 1 to"),
            ({"concurrency": {"key": ""}}, "concurrency.key has 1 to 255 characters"),
            ({"concurrency": {"key": "x" * (MAX_NAME + 1)}}, "concurrency.key has 1 to 255"),
            ({"concurrency": {"key": "a\0"}}, "none of them NUL"),
            ({"accept": list(range(101))}, "accept names at most 100 codes"),
            ({"retry": {"retry_on": [""]}}, "retry.retry_on is a list of at most 100 names"),
            ({"retry": {"non_retryable": ["x" * 256]}}, "retry.non_retryable is a list"),
            ({"retry": {"retry_on": ["E"] * 101}}, "retry.retry_on is a list"),
        ],
    )
    def test_what_is_out_of_bounds_is_told(self, fields: dict[str, Any], message: str) -> None:
        assert message in fault(**fields)

    @pytest.mark.parametrize(
        "fields",
        [
            {"max_interruptions": 1000},
            {"retry": {"max_attempts": 1000, "multiplier": 1}},
            {"concurrency": {"key": "x" * MAX_NAME, "limit": 10**6}},
            {"accept": list(range(100))},
            {"retry": {"retry_on": ["E"] * 100, "non_retryable": ["x" * 255]}},
        ],
    )
    def test_the_bounds_themselves_are_within(self, fields: dict[str, Any]) -> None:
        assert policy(**fields) != NO_POLICY

    def test_all_faults_are_told_at_once(self) -> None:
        wrong = {"timeout": 0, "accept": [0] * 101, "retry": {"max_attempts": 0, "multiplier": 0}}
        assert faults_of(R | {"deadline": -1}, under_r("a", **wrong)) == [
            ("bad_policy", "r"), *[("bad_policy", "a")] * 4,
        ]  # fmt: skip

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_what_is_no_number_is_out_of_bounds_for_python_too(self, number: float) -> None:
        retry = RetryPolicy(initial_delay=number, max_delay=number, multiplier=number)
        wrong = Policy(timeout=number, deadline=number, heartbeat=number, retry=retry)
        assert len(list(policy_faults(wrong))) == 6


class TestGroups:
    def test_a_group_has_no_policy(self) -> None:
        stream = given(draft("r", task("g", key="stage", policy=Policy(timeout=1)), "g/a(work)"))
        error = stream.when(submit, {"work": "m"}.get).refuses(InvalidGraph)
        assert [(fault.code, fault.where) for fault in error.faults] == [("group_policy", "stage")]
        assert "a group calls no executor" in error.faults[0].message

    def test_one_that_says_nothing_is_none(self) -> None:
        stream = given(draft("r", task("g", policy=Policy()), "g/a(work)"))
        (fact,) = stream.when(submit, {"work": "m"}.get).facts
        assert isinstance(fact, TreeSubmitted)
        assert fact.of[:2] == (GROUP, GROUP)

    def test_a_parent_with_an_executor_may_have_one(self) -> None:
        tasks = specs("r", task("p(work)", policy=Policy(timeout=1)), "p/a(work)")
        assert graph_faults(tasks, {"work": "m"}.get) == []

    def test_documents_are_refused_for_it_where_the_executors_are_known(self) -> None:
        tasks = specs(task("r", policy=Policy(deadline=1)), "a(work)")
        assert [fault.code for fault in graph_faults(tasks, {"work": "m"}.get)] == ["group_policy"]
        assert graph_faults(tasks, {"work": "m", "r": "m"}.get) == []
