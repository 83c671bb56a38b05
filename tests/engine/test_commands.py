"""What users ask of trees, by name."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from aipartnerupflow.domain import errors
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.decide import Stamp
from aipartnerupflow.domain.errors import ApflowError, InvalidInput, NotFound, OwnedElsewhere
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.engine.commands import (
    KINDS,
    Cancel,
    Done,
    Pause,
    Rerun,
    Signal,
    decide_command,
    done_of,
    outcome_of,
    read_arguments,
    refusal_of,
)
from aipartnerupflow.engine.lifecycle import load
from aipartnerupflow.engine.ports import Command
from tests.support.bench import Bench, fan, one
from tests.support.works import endless

AT = "2026-01-01T00:00:00.000000Z"


def command(name: str, arguments: Any = None) -> Command:
    data = arguments if isinstance(arguments, bytes) else msgspec.json.encode(arguments or {})
    return Command("c-1", "r", name, Raw(data), "user", AT)


async def running(bench: Bench) -> Tree:
    """A tree with a task that runs and one that waits for a signal."""
    bench.on("endless", endless)
    tasks = [*fan(0), {"id": "a", "key": "alpha", "name": "endless", "parent_id": "r"}]
    tasks.append({"id": "s", "name": "signal", "parent_id": "r"})
    await bench.submit(tasks)
    return load(bench.journal, "r")


@pytest.mark.parametrize(
    ("name", "arguments", "read"),
    [
        ("cancel", {}, Cancel()),
        ("cancel", {"task": "a", "reason": "x"}, Cancel("a", "x")),
        ("cancel", {"task": None}, Cancel()),
        ("pause", {"reason": "x"}, Pause("x")),
        ("unpause", {}, Pause()),
        ("rerun", {}, Rerun("failed")),
        ("rerun", {"way": "from", "tasks": ["a"]}, Rerun("from", ("a",))),
        ("signal", {"name": "go"}, Signal("go")),
        ("signal", {"name": "go", "payload": None}, Signal("go", None, Raw(b"null"))),
    ],
)
def test_arguments_are_read_by_the_name_of_the_command(
    name: str, arguments: dict[str, Any], read: object
) -> None:
    assert read_arguments(command(name, arguments)) == read


@pytest.mark.parametrize("name", ["", "Cancel", "stop", "__class__", "x" * 10_000])
def test_an_unknown_name_is_told_with_those_that_there_are(name: str) -> None:
    with pytest.raises(InvalidInput, match="there are cancel, pause, unpause, rerun, signal"):
        read_arguments(command(name))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cancel", b"{"),
        ("cancel", b"[]"),
        ("cancel", b"\xff"),
        ("cancel", b""),
        ("cancel", {"who": "me"}),
        ("cancel", {"task": 7}),
        ("pause", {"reason": None}),
        ("rerun", {"tasks": "a"}),
        ("rerun", {"tasks": [1]}),
        ("signal", {}),
        ("signal", {"name": 1}),
        ("signal", {"name": "go", "id": 1}),
        ("signal", b'{"name":"go","payload":' + b"[" * 2_000 + b"]" * 2_000 + b"}"),
    ],
)
def test_arguments_that_are_not_usable_are_refused_and_not_repeated(
    name: str, arguments: Any
) -> None:
    with pytest.raises(InvalidInput, match=f"the arguments of {name} are not usable"):
        read_arguments(command(name, arguments))


def test_a_secret_in_arguments_that_are_refused_is_not_told() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_arguments(command("cancel", {"task": {"password": "hunter2"}}))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["cancel", "pause", "unpause", "rerun"])
async def test_a_reason_has_a_thousand_characters_at_most(bench: Bench, name: str) -> None:
    tree = await running(bench)
    with pytest.raises(InvalidInput, match="a reason has at most 1000 characters"):
        decide_command(tree, command(name, {"reason": "x" * 1_001}), Stamp(AT), bench.executors)


async def test_by_whom_and_why_stands_with_what_it_makes(bench: Bench) -> None:
    await running(bench)
    asked = bench.command("pause", reason="lunch")
    stamp = Stamp(AT, asked.by, asked.id)
    (paused,) = decide_command(load(bench.journal, "r"), asked, stamp, bench.executors)
    assert isinstance(paused, e.TreePaused)
    assert (paused.by, paused.cause, paused.reason) == ("user", asked.id, "lunch")


@pytest.mark.parametrize("task", ["a", "alpha"])
async def test_a_task_is_named_by_id_or_key(bench: Bench, task: str) -> None:
    tree = await running(bench)
    facts = decide_command(tree, command("cancel", {"task": task}), Stamp(AT), bench.executors)
    assert [fact.topic for fact in facts] == ["task.cancel_requested"]


async def test_a_signal_without_an_id_has_that_of_its_command(bench: Bench) -> None:
    tree = await running(bench)
    facts = decide_command(tree, command("signal", {"name": "s"}), Stamp(AT), bench.executors)
    assert isinstance(facts[0], e.SignalReceived)
    assert facts[0].id == "c-1"


async def test_a_payload_of_the_greatest_size_is_taken(bench: Bench) -> None:
    tree = await running(bench)
    said = {"name": "s", "payload": "x" * (64 * 1024 - 2)}
    assert decide_command(tree, command("signal", said), Stamp(AT), bench.executors)


async def test_nothing_is_asked_of_a_draft(bench: Bench) -> None:
    for name in KINDS:
        said = {"name": "s"} if name == "signal" else {}
        with pytest.raises(ApflowError, match="is a draft"):
            decide_command(Tree("r"), command(name, said), Stamp(AT), bench.executors)


async def test_a_command_that_is_refused_in_a_turn_leaves_the_others_alone(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless"))
    with pytest.raises(InvalidInput):
        await bench.ask("cancel", task="nobody")
    assert (await bench.ask("pause")).version == 5
    assert bench.topics()[-1] == "tree.paused"


# -- outcomes, as they lie in an inbox


def test_an_outcome_tells_the_version() -> None:
    assert done_of(outcome_of(7)) == Done(7)


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("not so"),
        errors.InvalidTransition("too late"),
        NotFound("tree", "r"),
        OwnedElsewhere("r", "engine-1"),
        errors.InvalidGraph([errors.Fault("cycle", "a", "goes round")]),
        errors.ExecutorMissing("r", {"x": "m"}),
        errors.NewerEvent("x", 2),
    ],
)
def test_a_refusal_travels_with_its_class_and_its_words(error: ApflowError) -> None:
    with pytest.raises(type(error)) as retold:
        done_of(refusal_of(error))
    assert type(retold.value) is type(error)
    assert str(retold.value) == str(error)


def test_a_refusal_of_a_class_that_is_not_known_here_is_an_error_all_the_same() -> None:
    with pytest.raises(ApflowError, match="from the future"):
        done_of(b'{"error":"FromTheFuture","message":"from the future"}')
