"""Commands for trees that nobody drives: claimed, decided and let go in one commit."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from aipartnerupflow.domain import decide
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.decide import Stamp
from aipartnerupflow.domain.errors import (
    ApflowError,
    InvalidInput,
    InvalidTransition,
    NotFound,
    OwnedElsewhere,
    StoreFull,
)
from aipartnerupflow.engine.commands import Done
from aipartnerupflow.engine.lifecycle import load
from aipartnerupflow.engine.ports import Append, Call, Command, Unit
from tests.support.bench import Bench, Node, chain, fan, one, until
from tests.support.works import Flaky, Gate, endless


@pytest.fixture
async def clerk(bench: Bench) -> Node:
    """A process that runs nothing, on a store whose engine has died of a tree of three tasks."""
    bench.on("endless", endless)
    tasks = [*fan(0), {"id": "a", "name": "endless", "parent_id": "r"}]
    tasks.append({"id": "b", "name": "noop", "parent_id": "r", "dependencies": ["a"]})
    tasks.append({"id": "s", "name": "signal", "parent_id": "r"})
    await bench.submit(tasks)
    bench.node.kill()
    return bench.boot("clerk")


def last(bench: Bench) -> list[str]:
    """The topics of the last commit."""
    return [recorded.event.topic for recorded in bench.journal.commits[-1]]


async def test_a_command_claims_decides_and_lets_go_in_one_commit(
    bench: Bench, clerk: Node
) -> None:
    before = len(bench.journal.commits)
    done = clerk.errand.carry_out(bench.command("pause", reason="hold on"))
    assert len(bench.journal.commits) == before + 1
    assert last(bench) == ["tree.claimed", "task.interrupted", "tree.paused", "tree.released"]
    assert done == Done(len(bench.topics()))
    (paused,) = bench.facts(e.TreePaused)
    assert (paused.by, paused.reason) == ("user", "hold on")
    assert load(bench.journal, "r").released


async def test_a_cancel_settles_what_nobody_runs(bench: Bench, clerk: Node) -> None:
    clerk.errand.carry_out(bench.command("cancel"))
    assert last(bench)[0] == "tree.claimed"
    assert last(bench)[-1] == "tree.settled"
    tree = load(bench.journal, "r")
    assert {task.status for task in tree.live()} == {"cancelled"}
    assert bench.journal.open_work() == []


async def test_a_signal_completes_a_task_that_waits(bench: Bench, clerk: Node) -> None:
    clerk.errand.carry_out(bench.command("signal", name="s", payload=7))
    assert bytes(bench.facts(e.TaskCompleted, "s")[0].result or b"") == b"7"
    assert last(bench)[-1] == "tree.released"


async def test_a_re_run_of_a_settled_tree_leaves_it_to_whoever_comes(bench: Bench) -> None:
    bench.on("flaky", Flaky(1))
    assert await bench.run(one("flaky")) == "failed"
    clerk = bench.boot("clerk")
    clerk.errand.carry_out(bench.command("rerun"))
    assert last(bench) == ["task.reopened", "tree.reopened", "tree.claimed", "tree.released"]
    await bench.resume_all()
    assert bench.facts(e.TreeSettled)[-1].status == "completed"


async def test_what_has_been_decided_is_kept_by_the_next_engine(bench: Bench, clerk: Node) -> None:
    clerk.errand.carry_out(bench.command("pause"))
    clerk.errand.carry_out(bench.command("cancel", task="s"))
    bench.on("endless", Gate())
    actor = await bench.take()
    assert bench.started() == []
    clerk_again = bench.boot("clerk-2")
    with pytest.raises(OwnedElsewhere):
        clerk_again.errand.carry_out(bench.command("unpause"))
    assert actor.tree.paused


async def test_what_changes_nothing_writes_nothing(bench: Bench, clerk: Node) -> None:
    before = bench.topics()
    assert clerk.errand.carry_out(bench.command("unpause")) == Done(len(before))
    assert bench.topics() == before


@pytest.mark.parametrize(
    ("what", "said", "error"),
    [
        ("cancel", {"task": "nobody"}, InvalidInput),
        ("signal", {"name": "nobody"}, InvalidInput),
        ("rerun", {}, InvalidTransition),
        ("nonsense", {}, InvalidInput),
        ("cancel", {"who": 1}, InvalidInput),
    ],
)
async def test_what_is_refused_writes_nothing(
    bench: Bench, clerk: Node, what: str, said: dict[str, Any], error: type[ApflowError]
) -> None:
    before = bench.topics()
    with pytest.raises(error):
        clerk.errand.carry_out(bench.command(what, **said))
    assert bench.topics() == before


async def test_of_an_unknown_tree_nothing_can_be_asked(bench: Bench, clerk: Node) -> None:
    with pytest.raises(NotFound, match="no tree with id 'nobody'"):
        clerk.errand.carry_out(bench.command("cancel", "nobody"))


async def test_a_tree_of_a_living_engine_is_left_to_it(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless"))
    clerk = bench.boot("clerk")
    with pytest.raises(OwnedElsewhere, match="engine-1, which is alive"):
        clerk.errand.carry_out(bench.command("cancel"))


async def test_a_store_that_is_full_is_told_and_nothing_is_written(
    bench: Bench, clerk: Node
) -> None:
    before = bench.topics()
    bench.journal.illness = StoreFull("no space left")
    with pytest.raises(StoreFull):
        clerk.errand.carry_out(bench.command("cancel"))
    bench.journal.illness = None
    assert bench.topics() == before


def interfere(bench: Bench, monkeypatch: pytest.MonkeyPatch, with_: Callable[[], object]) -> None:
    """Let something be written just before the next append."""
    append, todo = bench.journal.append, [with_]

    def late(units: Sequence[Unit]) -> int:
        if todo:
            todo.pop()()
        return append(units)

    monkeypatch.setattr(bench.journal, "append", late)


async def test_when_somebody_else_wrote_first_it_is_decided_again(
    bench: Bench, clerk: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = bench.boot("clerk-2")
    interfere(bench, monkeypatch, lambda: other.errand.carry_out(bench.command("pause")))
    clerk.errand.carry_out(bench.command("cancel", task="s"))
    assert bench.topics().count("task.interrupted") == 1
    assert [fact.epoch for fact in bench.facts(e.TreeClaimed)] == [1, 2, 3]
    assert bench.story("s")[-1] == "task.cancelled"


async def test_of_two_cancels_at_once_one_changes_something(
    bench: Bench, clerk: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = bench.boot("clerk-2")
    interfere(bench, monkeypatch, lambda: other.errand.carry_out(bench.command("cancel")))
    with pytest.raises(InvalidTransition, match="has settled"):
        clerk.errand.carry_out(bench.command("cancel"))
    assert bench.topics().count("tree.cancel_requested") == 1


async def test_an_engine_that_takes_the_tree_meanwhile_has_to_be_asked(
    bench: Bench, clerk: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.alive.add("engine-3")

    def take() -> None:
        tree = load(bench.journal, "r")
        facts = decide.claim(tree, "engine-3", Stamp(tree.at))
        bench.journal.append([[Append("r", tree.version, facts, tree.index)]])

    interfere(bench, monkeypatch, take)
    with pytest.raises(OwnedElsewhere, match="engine-3"):
        clerk.errand.carry_out(bench.command("cancel"))
    assert last(bench) == ["tree.claimed", "task.interrupted"]


async def test_work_that_outlives_engines_is_left_to_be_found(bench: Bench) -> None:
    gate = Gate()

    async def find(call: Call) -> Any:
        return lambda: gate(call)

    bench.on("outside", gate)
    bench.executors.reattach["outside"] = find
    await bench.submit([*chain(1), {"id": "a", "name": "outside", "parent_id": "r"}])
    await until(lambda: bench.facts(e.TaskCompleted, "t0"))
    bench.node.kill()
    clerk = bench.boot("clerk")
    clerk.errand.carry_out(bench.command("pause"))
    assert bench.story("a") == ["task.started"]
    clerk.errand.carry_out(bench.command("unpause"))
    actor = await bench.take()
    gate.open()
    assert await actor.waiter() == "completed"
    assert bench.story("a") == ["task.started", "attempt.taken_over", "task.completed"]


# -- commands that lie in the inbox


def left(bench: Bench, what: str, **said: Any) -> Command:
    command = bench.command(what, **said)
    bench.inbox.send(command)
    return command


async def test_the_outcome_of_what_lies_in_the_inbox_is_stored_with_it(
    bench: Bench, clerk: Node
) -> None:
    command = left(bench, "pause")
    done = clerk.errand.carry_out(command, left=True)
    assert bench.inbox.outcome(command.id) == b'{"version":%d}' % done.version


async def test_what_somebody_else_carried_out_meanwhile_is_not_done_again(
    bench: Bench, clerk: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = left(bench, "pause")
    other = bench.boot("clerk-2")

    def meanwhile() -> None:
        other.errand.carry_out(command, left=True)
        other.errand.carry_out(bench.command("unpause"))

    interfere(bench, monkeypatch, meanwhile)
    done = clerk.errand.carry_out(command, left=True)
    assert bench.inbox.outcome(command.id) == b'{"version":%d}' % done.version
    assert bench.topics().count("tree.paused") == 1


async def test_what_changes_nothing_is_answered_too(bench: Bench, clerk: Node) -> None:
    """Else it would be carried out later, when it might change something."""
    command = left(bench, "unpause")
    clerk.errand.carry_out(command, left=True)
    assert bench.inbox.outcome(command.id) is not None
