"""Commands that cross processes: the owner answers, or whoever asked does it himself."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from aipartnerupflow.domain import decide
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import (
    Defect,
    InvalidInput,
    InvalidTransition,
    NotFound,
    OwnedElsewhere,
    StoreFull,
    StoreUnavailable,
)
from aipartnerupflow.engine.commands import Done, done_of, outcome_of
from aipartnerupflow.engine.lifecycle import resume
from aipartnerupflow.engine.mail import Asked, Sender, decision_of
from aipartnerupflow.engine.ports import Answered, Command
from tests.support.bench import Bench, Node, fan, one, until
from tests.support.works import Gate, broken, endless, slow_to_stop


@pytest.fixture
async def owner(bench: Bench) -> Node:
    """An engine that runs a tree of three tasks and looks into its inbox."""
    bench.on("endless", endless)
    tasks = [*fan(0), {"id": "a", "name": "endless", "parent_id": "r"}]
    tasks.append({"id": "b", "name": "noop", "parent_id": "r", "dependencies": ["a"]})
    tasks.append({"id": "s", "name": "signal", "parent_id": "r"})
    await bench.submit(tasks)
    bench.node.open_mail()
    return bench.node


@pytest.fixture
async def sender(owner: Node, bench: Bench) -> Sender:
    """What another process has, that runs nothing."""
    return bench.boot("clerk").sender


async def test_the_owner_carries_out_what_another_process_asks(
    bench: Bench, owner: Node, sender: Sender
) -> None:
    command = bench.command("signal", name="s", payload={"x": 1})
    done = await sender.send(command)
    assert isinstance(done, Done)
    assert done.version == len(bench.topics())
    (received,) = bench.facts(e.SignalReceived)
    assert (received.by, received.cause, received.id) == ("user", command.id, command.id)
    assert len(bench.facts(e.TreeClaimed)) == 1
    assert asyncio.get_running_loop().time() < 1


async def test_a_cancel_from_outside_ends_what_runs(
    bench: Bench, owner: Node, sender: Sender
) -> None:
    bench.on("endless", slow_to_stop)
    await sender.send(bench.command("cancel"))
    await until(lambda: bench.topics()[-1] == "tree.settled")
    assert [fact.stopped for fact in bench.facts(e.TaskCancelled, "a")] == [True]


async def test_the_outcome_is_stored_in_the_transaction_of_the_events(
    bench: Bench, owner: Node, sender: Sender
) -> None:
    command = bench.command("pause")
    bench.journal.illness = StoreFull("no space left")
    asked = await sender.send(command, patience=1)
    assert isinstance(asked, Asked)
    assert bench.inbox.outcome(command.id) is None
    bench.journal.illness = None
    await until(lambda: bench.inbox.outcome(command.id))
    assert bench.topics()[-1] == "tree.paused"
    assert bench.topics().count("tree.paused") == 1


async def test_a_refusal_travels_with_its_class_and_its_words(
    bench: Bench, owner: Node, sender: Sender
) -> None:
    before = bench.topics()
    with pytest.raises(InvalidInput, match="tree r has no task 'nobody'"):
        await sender.send(bench.command("cancel", task="nobody"))
    with pytest.raises(InvalidTransition, match="task a of tree r is in progress"):
        await sender.send(bench.command("rerun", way="from", tasks=["a"]))
    with pytest.raises(InvalidInput, match="there is no command 'nonsense'"):
        await sender.send(bench.command("nonsense"))
    assert bench.topics() == before
    assert bench.inbox.pending("engine-1") == []


async def test_what_changes_nothing_is_answered_too(
    bench: Bench, owner: Node, sender: Sender
) -> None:
    before = bench.topics()
    assert await sender.send(bench.command("unpause")) == Done(len(before))
    assert bench.topics() == before
    assert bench.inbox.pending("engine-1") == []


async def test_many_commands_at_once_are_each_carried_out_once(
    bench: Bench, owner: Node, sender: Sender
) -> None:
    commands = [bench.command("signal", name="s", payload=n) for n in range(50)]
    done = await asyncio.gather(
        *(sender.send(command) for command in commands), return_exceptions=True
    )
    assert [type(each) for each in done].count(Done) >= 1
    assert len(bench.facts(e.TaskCompleted, "s")) == 1
    assert bench.inbox.pending("engine-1") == []
    assert len(bench.inbox.commands) == 50


async def test_a_command_that_was_sent_twice_is_carried_out_once(
    bench: Bench, owner: Node, sender: Sender
) -> None:
    command = bench.command("pause")
    first = await sender.send(command)
    await sender.send(bench.command("unpause"))
    assert await sender.send(command) == first
    assert bench.topics()[-1] == "tree.unpaused"


async def test_a_letter_that_was_read_before_its_answer_was_stored_is_not_carried_out_again(
    bench: Bench, owner: Node
) -> None:
    """A look into the inbox may have begun before the commit and end after it."""
    command = bench.command("pause")
    bench.inbox.send(command)
    await until(lambda: bench.inbox.outcome(command.id))
    await bench.ask("unpause")
    again = await owner.engine.post(decision_of(owner.engine, command, left=True))
    assert again == (len(bench.topics()), False)
    assert bench.topics()[-1] == "tree.unpaused"
    assert set(owner.engine.actors) == {"r"}


async def test_an_owner_that_does_not_answer_is_told_and_may_do_so_later(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless"))
    owner, clerk = bench.node, bench.boot("clerk")
    asked = await clerk.sender.send(bench.command("cancel"), patience=2)
    assert isinstance(asked, Asked)
    assert asked.owner == "engine-1"
    assert asyncio.get_running_loop().time() == pytest.approx(2, abs=0.3)
    owner.open_mail()
    await until(lambda: bench.topics()[-1] == "tree.settled")
    outcome = bench.inbox.outcome(asked.command.id)
    assert outcome is not None
    assert done_of(outcome).version > 4


async def test_what_an_owner_that_died_was_asked_is_carried_out_here_once(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless"))
    owner, clerk = bench.node, bench.boot("clerk")
    sending = asyncio.create_task(clerk.sender.send(bench.command("cancel")))
    await asyncio.sleep(1)
    assert bench.topics()[-1] == "task.started"
    owner.kill()
    assert isinstance(await sending, Done)
    assert bench.topics()[-1] == "tree.settled"
    assert bench.topics().count("tree.cancel_requested") == 1
    assert bench.inbox.pending("clerk") == bench.inbox.pending("engine-1") == []


async def test_what_the_next_owner_did_meanwhile_counts_for_who_asked_the_former(
    bench: Bench,
) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless"))
    owner, clerk = bench.node, bench.boot("clerk")
    sending = asyncio.create_task(clerk.sender.send(bench.command("pause")))
    await asyncio.sleep(1)
    owner.kill()
    successor = bench.boot("engine-2")
    await bench.take()
    successor.open_mail()
    assert isinstance(await sending, Done)
    assert bench.topics().count("tree.paused") == 1


async def test_who_would_refuse_it_hears_what_another_did_just_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless"))
    owner, clerk = bench.node, bench.boot("clerk")
    refuse = bench.inbox.refuse

    def late(answer: Answered) -> None:
        refuse(Answered(answer.id, outcome_of(7)))  # as its next owner does, with its events
        refuse(answer)

    monkeypatch.setattr(bench.inbox, "refuse", late)
    sending = asyncio.create_task(clerk.sender.send(bench.command("cancel", task="nobody")))
    await asyncio.sleep(1)
    owner.kill()
    assert await sending == Done(7)


async def test_what_was_asked_before_a_crash_is_carried_out_by_the_next_owner(
    bench: Bench,
) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless"))
    clerk = bench.boot("clerk")
    asked = await clerk.sender.send(bench.command("pause"), patience=0)
    assert isinstance(asked, Asked)
    bench.nodes[0].kill()
    bench.boot("engine-2").open_mail()
    await bench.take()
    await until(lambda: bench.inbox.outcome(asked.command.id))
    assert bench.topics()[-1] == "tree.paused"


async def test_a_command_for_a_tree_that_settled_before_it_was_read_is_refused(
    bench: Bench,
) -> None:
    gate = Gate()
    bench.on("gated", gate)
    actor = await bench.submit([{"id": "q", "name": "gated"}])
    await bench.submit(one("gated"))
    owner, clerk = bench.nodes[0], bench.boot("clerk")
    asked = await clerk.sender.send(bench.command("cancel", "q"), patience=0)
    assert isinstance(asked, Asked)
    bench.on("gated", endless)
    await bench.submit([{"id": "keeps_it_busy", "name": "gated"}], node=owner)
    gate.open()
    await actor.waiter()
    owner.open_mail()
    await until(lambda: bench.inbox.outcome(asked.command.id))
    with pytest.raises(InvalidTransition, match="has settled"):
        done_of(bench.inbox.outcome(asked.command.id) or b"")


async def test_a_re_run_out_of_the_inbox_counts_once_though_its_engine_dies_of_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is stored with its events, not after them."""
    bench.on("broken", broken)
    assert await bench.run(one("broken")) == "failed"
    monkeypatch.setattr(bench.inbox, "refuse", unreachable)
    command = bench.command("rerun")
    bench.inbox.send(command)
    bench.node.open_mail()
    await until(lambda: bench.facts(e.TreeReopened))
    monkeypatch.undo()
    bench.crash("engine-2").open_mail()
    await resume(bench.engine)
    await asyncio.sleep(5)
    assert len(bench.facts(e.TreeReopened)) == 1
    outcome = bench.inbox.outcome(command.id)
    assert outcome is not None
    assert bench.topics()[done_of(outcome).version - 1] == "tree.reopened"


def unreachable(answer: Answered) -> None:
    raise StoreUnavailable("unreachable")


async def test_two_re_runs_that_lie_in_the_inbox_are_told_apart(bench: Bench) -> None:
    """The second finds the tree running again, by the engine that reads it."""
    bench.on("broken", broken)
    assert await bench.run(one("broken")) == "failed"
    bench.on("broken", endless)
    commands = [bench.command("rerun") for _ in range(2)]
    for command in commands:
        bench.inbox.send(command)
    bench.node.open_mail()
    first, second = (command.id for command in commands)
    await until(lambda: bench.inbox.outcome(first) and bench.inbox.outcome(second))
    done_of(bench.inbox.outcome(first) or b"")
    with pytest.raises(InvalidTransition, match="nothing of tree r is to be run again"):
        done_of(bench.inbox.outcome(second) or b"")
    assert len(bench.facts(e.TreeReopened)) == 1


async def test_an_owner_that_only_seemed_to_be_dead_is_asked_after_all(
    bench: Bench, owner: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    clerk = bench.boot("clerk")
    alive, wrong = clerk.liveness.alive, iter([False])
    monkeypatch.setattr(clerk.liveness, "alive", lambda engine: next(wrong, alive(engine)))
    assert isinstance(await clerk.sender.send(bench.command("pause")), Done)
    assert len(bench.inbox.commands) == 1
    assert len(bench.facts(e.TreeClaimed)) == 1


async def test_what_nobody_drives_is_done_without_a_letter(bench: Bench, owner: Node) -> None:
    await bench.engine.release(list(owner.engine.actors.values()))
    clerk = bench.boot("clerk")
    assert isinstance(await clerk.sender.send(bench.command("pause")), Done)
    assert bench.inbox.commands == {}


async def test_of_a_tree_that_there_is_not_nothing_can_be_asked(
    bench: Bench, sender: Sender
) -> None:
    with pytest.raises(NotFound, match="no tree with id 'nobody'"):
        await sender.send(bench.command("cancel", "nobody"))
    assert bench.inbox.commands == {}


async def test_a_store_without_an_inbox_has_no_way_to_a_living_owner(
    bench: Bench, owner: Node
) -> None:
    clerk = bench.boot("clerk")
    alone = Sender(bench.journal, None, clerk.liveness, clerk.errand)
    with pytest.raises(OwnedElsewhere):
        await alone.send(bench.command("cancel"))


async def test_an_inbox_that_cannot_be_read_for_a_while_is_read_later(
    bench: Bench, owner: Node, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending, failures = bench.inbox.pending, iter([True] * 3)

    def away(engine: str) -> object:
        if next(failures, False):
            raise StoreUnavailable("unreachable")
        return pending(engine)

    monkeypatch.setattr(bench.inbox, "pending", away)
    assert isinstance(await sender.send(bench.command("pause")), Done)


async def test_trees_of_others_are_none_of_its_business(bench: Bench, owner: Node) -> None:
    bench.boot("engine-2")
    await bench.submit([{"id": "q", "name": "endless"}])
    letter: Command = bench.command("cancel", "q")
    bench.inbox.send(letter)
    await asyncio.sleep(5)
    assert bench.inbox.outcome(letter.id) is None
    bench.node.open_mail()
    await until(lambda: bench.inbox.outcome(letter.id))
    assert bench.topics("q")[-1] == "tree.settled"


class Broken:
    """A decision with a defect, and what was told of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tries = 0
        self.told: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.told.append(context["exception"]))
        monkeypatch.setattr(decide, "pause", self)

    def __call__(self, *_: object, **__: object) -> list[e.AnyEvent]:
        self.tries += 1
        raise ZeroDivisionError


@pytest.fixture
async def pause_breaks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Broken]:
    yield Broken(monkeypatch)
    asyncio.get_running_loop().set_exception_handler(None)


async def test_a_letter_at_which_a_defect_shows_is_answered_and_not_tried_again(
    bench: Bench, owner: Node, pause_breaks: Broken
) -> None:
    command = bench.command("pause")
    bench.inbox.send(command)
    await asyncio.sleep(60)
    with pytest.raises(Defect, match="tree r"):
        done_of(bench.inbox.outcome(command.id) or b"")
    assert pause_breaks.tries == 1
    assert {type(error) for error in pause_breaks.told} == {ZeroDivisionError}


async def test_so_is_one_for_a_tree_that_has_settled(bench: Bench, pause_breaks: Broken) -> None:
    assert await bench.run(one("noop")) == "completed"
    bench.node.open_mail()
    command = bench.command("pause")
    bench.inbox.send(command)
    await asyncio.sleep(60)
    with pytest.raises(Defect, match="tree r"):
        done_of(bench.inbox.outcome(command.id) or b"")
    assert pause_breaks.tries == 1
    assert [type(error) for error in pause_breaks.told] == [ZeroDivisionError]


async def test_so_is_one_whose_owner_died_and_which_breaks_here(
    bench: Bench, pause_breaks: Broken
) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless"))
    owner, clerk = bench.node, bench.boot("clerk")
    command = bench.command("pause")
    sending = asyncio.create_task(clerk.sender.send(command))
    await asyncio.sleep(1)
    owner.kill()
    with pytest.raises(Defect, match="tree r"):
        await sending
    with pytest.raises(Defect):
        done_of(bench.inbox.outcome(command.id) or b"")
    assert pause_breaks.tries == 1


async def test_a_look_into_the_inbox_that_breaks_is_not_the_last(
    bench: Bench, owner: Node, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    good, left = bench.inbox.pending, [ZeroDivisionError()]

    def breaks(engine: str) -> Sequence[Command]:
        if left:
            raise left.pop()
        return good(engine)

    monkeypatch.setattr(bench.inbox, "pending", breaks)
    await asyncio.sleep(1)
    assert not left
    await sender.send(bench.command("cancel"))
    assert "tree.cancel_requested" in bench.topics()
