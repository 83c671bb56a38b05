"""A defect of the engine's own, in one tree, costs it that tree and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from aipartnerupflow.domain.errors import Defect
from aipartnerupflow.engine.actor import Actor
from aipartnerupflow.engine.incoming import Incoming
from aipartnerupflow.engine.judge import Judge
from aipartnerupflow.engine.ports import Call
from aipartnerupflow.engine.starting import Starter
from aipartnerupflow.engine.turn import Provisional, Turn
from tests.support.bench import Bench, until

Of = Callable[..., Actor]


def second(_: Any, __: Turn, actor: Actor, *___: Any) -> Actor:
    return actor


PLACES: dict[str, tuple[type, str, Of]] = {
    "a report": (Judge, "facts", second),
    "what follows": (Turn, "follow", lambda _, actor: actor),
    "a timer": (Incoming, "_ring", second),
    "a start": (Starter, "_start", second),
    "a start that needs a place": (Provisional, "to_append", lambda start: start.actor),
}


class Trap:
    """Raises where it was set, for tree ``bad``, while it is armed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cls: type, name: str, of: Of) -> None:
        self.armed = False
        good = getattr(cls, name)

        def broken(*arguments: Any, **options: Any) -> Any:
            if self.armed and of(*arguments).tree.id == "bad":
                raise ZeroDivisionError
            return good(*arguments, **options)

        monkeypatch.setattr(cls, name, broken)


@pytest.fixture
async def told() -> AsyncIterator[list[dict[str, Any]]]:
    """What the loop's exception handler was given."""
    found: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


def tree(id: str) -> list[dict[str, Any]]:
    """After a second one task ends, a timer rings, and two more start, one by key."""
    return [
        {"id": id, "name": "noop"},
        {"id": f"{id}-1", "name": "second", "parent_id": id},
        {"id": f"{id}-2", "name": "wait", "parent_id": id, "inputs": {"seconds": 1}},
        {"id": f"{id}-3", "name": "noop", "parent_id": id, "dependencies": [f"{id}-1"]},
        {"id": f"{id}-4", "name": "noop", "parent_id": id, "dependencies": [f"{id}-1"],
         "concurrency": {"key": f"key of {id}"}},
    ]  # fmt: skip


async def in_a_second(call: Call) -> None:
    await asyncio.sleep(1)


@pytest.mark.parametrize("place", PLACES)
async def test_the_tree_is_let_go_of_and_the_others_go_on(
    bench: Bench, place: str, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = Trap(monkeypatch, *PLACES[place])
    bench.on("second", in_a_second)
    good, bad = await bench.submit(tree("good")), await bench.submit(tree("bad"))
    await asyncio.sleep(0.5)
    trap.armed = True
    with pytest.raises(Defect, match="tree bad"):
        await bad.waiter()
    assert await good.waiter() == "completed"
    assert [(one["message"], type(one["exception"])) for one in told] == [
        ("a defect showed in tree bad", ZeroDivisionError)
    ]
    assert bench.engine.actors == {}
    assert bench.engine._dispatch._used == {}
    trap.armed = False
    assert await (await bench.take("bad")).waiter() == "completed"
    assert bench.engine._dispatch._used == {}


async def test_who_asked_for_the_tree_is_told_and_nothing_is_stored(
    bench: Bench, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = Trap(monkeypatch, *PLACES["what follows"])
    trap.armed = True
    bench.on("second", in_a_second)
    with pytest.raises(Defect):
        await bench.submit(tree("bad"))
    assert len(told) == 1
    assert bench.topics("bad") == []
    trap.armed = False
    assert await bench.run(tree("bad")) == "completed"


async def test_so_is_who_gave_a_command_that_breaks(
    bench: Bench, told: list[dict[str, Any]]
) -> None:
    bench.on("second", in_a_second)
    actor = await bench.submit(tree("good"))

    def breaks(turn: Turn) -> Any:
        raise ZeroDivisionError

    with pytest.raises(Defect):
        await bench.engine.command(breaks)
    assert [one["message"] for one in told] == ["a defect showed in a command"]
    assert await actor.waiter() == "completed"
    await until(lambda: not bench.engine.actors)
