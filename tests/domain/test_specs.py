"""Ids, labels, the idempotency key; what errors and events say of themselves."""

import inspect
from uuid import UUID, uuid5

import pytest
from msgspec import UNSET, json

from aipartnerupflow.domain import errors
from aipartnerupflow.domain.errors import (
    ApflowError,
    ExecutorMissing,
    Fault,
    IdTaken,
    InvalidGraph,
    NewerEvent,
    NotADraft,
    NotFound,
    OwnedElsewhere,
    StaleVersion,
)
from aipartnerupflow.domain.events import EVENT_TYPES, Recorded, TaskCompleted, TaskStarted
from aipartnerupflow.domain.specs import TaskSpec, idempotency_key, is_id
from aipartnerupflow.domain.time import to_text
from aipartnerupflow.testing.trees import UID, completed, raw, started, task


@pytest.mark.parametrize("text", ["a", "A-z.0_9:x", "-", "0", "x" * 128])
def test_an_id_is_1_to_128_of_a_small_alphabet(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", " ", "a b", "a/b", "é", "a\n", "x" * 129, "\u0661"])
def test_nothing_else_is_an_id(text: str) -> None:
    assert not is_id(text)


def test_people_know_a_task_by_its_key_or_else_by_its_id() -> None:
    assert task("a", key="flour").label == "flour"
    assert task("a").label == "a"


class TestIdempotencyKey:
    def test_it_is_a_uuid_of_version_5_in_36_characters(self) -> None:
        key = idempotency_key(UID, "a", 1)
        assert key == str(uuid5(UUID(UID), "a/1"))
        assert len(key) == 36
        assert UUID(key).version == 5

    def test_another_tree_task_or_generation_has_another(self) -> None:
        other = "00000000-0000-4000-8000-000000000001"
        keys = {
            idempotency_key(uid, id, generation)
            for uid in (UID, other)
            for id in ("a", "a1", "b")
            for generation in (1, 2, 11)
        }
        assert len(keys) == 18


class TestStoredForm:
    def test_null_is_a_result_and_none_is_no_result(self) -> None:
        with_null, without = completed("a", None), TaskCompleted(at="", task="a")
        assert json.encode(with_null) != json.encode(without)
        for fact in (with_null, without):
            assert json.decode(json.encode(fact), type=TaskCompleted) == fact
        assert without.result is UNSET

    @pytest.mark.parametrize("value", [None, 5, "x", [1], {"a": {"b": []}}])
    def test_json_of_users_is_stored_as_it_is(self, value: object) -> None:
        stored = json.encode(completed("a", value))
        assert json.decode(stored)["result"] == value
        assert json.decode(stored, type=TaskCompleted).result == raw(value)

    def test_what_has_its_default_takes_no_room(self) -> None:
        assert json.encode(TaskStarted(at="now", task="a")) == b'{"at":"now","task":"a"}'
        assert json.encode(TaskSpec(id="a", name="n")) == b'{"id":"a","name":"n"}'

    def test_an_older_reader_skips_fields_that_came_later(self) -> None:
        later = b'{"salt":"00","at":"now","task":"a","new":{"x":[1]}}'
        assert json.decode(later, type=TaskStarted) == TaskStarted(at="now", task="a")

    def test_topics_are_short_and_tell_of_the_past(self) -> None:
        for kind in EVENT_TYPES:
            subject, _, verb = kind.topic.partition(".")
            assert subject in {"tree", "task", "tasks", "report", "attempt", "signal"}
            assert verb.islower()
            assert kind.version >= 1

    def test_text_order_is_time_order(self) -> None:
        moments = [0.0, 0.000001, 0.5, 1.0, 59.999999, 1e9, 1767225600.25]
        texts = [to_text(moment) for moment in moments]
        assert texts == sorted(texts)
        assert {len(text) for text in texts} == {len("2026-01-01T00:00:00.000000Z")}

    def test_an_envelope_numbers_an_event(self) -> None:
        assert Recorded("r", 1, started("a")).position == 0


class TestErrors:
    def test_all_of_them_are_of_one_family(self) -> None:
        raised = [cls for _, cls in inspect.getmembers(errors, inspect.isclass)
                  if issubclass(cls, Exception)]  # fmt: skip
        assert len(raised) > 10
        assert all(issubclass(cls, ApflowError) for cls in raised)

    def test_the_drawing_of_the_family_names_each_and_none_that_is_gone(self) -> None:
        drawn = set()
        for line in (errors.__doc__ or "").splitlines():
            words = line.replace("│", " ").replace("├──", " ").replace("└──", " ").split()
            if line.startswith("    ") and words:
                drawn.add(words[0])
        defined = {name for name, cls in inspect.getmembers(errors, inspect.isclass)
                   if issubclass(cls, Exception)}  # fmt: skip
        assert drawn == defined

    def test_an_invalid_graph_tells_all_its_faults(self) -> None:
        error = InvalidGraph([Fault("x", "a", "is wrong"), Fault("y", "", "all is wrong")])
        assert str(error) == "a: is wrong; all is wrong"
        assert [fault.code for fault in error.faults] == ["x", "y"]

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (NotADraft("r"), ["r", "Create a new tree"]),
            (NotFound("task", "a"), ["task", "'a'", "apflow list"]),
            (IdTaken(["a", "b"]), ["a, b", "another id"]),
            (IdTaken([]), ["unknown"]),
            (StaleVersion("r", 7), ["r", "7", "Read it again"]),
            (OwnedElsewhere("r", "engine-1"), ["engine-1", "--take-over"]),
            (ExecutorMissing("r", {"b": "kitchen", "a": "kitchen"}), ["a, b", "--import kitchen."]),
            (ExecutorMissing("r", {"a": ""}), ["a", "Import the module"]),
            (NewerEvent("task.completed", 2), ["'task.completed'", "2", "Upgrade"]),
        ],
    )
    def test_a_message_says_what_and_what_to_do(self, error: ApflowError, words: list[str]) -> None:
        assert all(word in str(error) for word in words)
