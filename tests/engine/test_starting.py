"""From ready tasks to starts: what is taken is given back once, and the work is in proportion."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow.domain.errors import Defect
from aipartnerupflow.engine.actor import Actor
from aipartnerupflow.engine.starting import Starter
from aipartnerupflow.engine.turn import Turn
from tests.support.bench import Bench
from tests.support.works import Gate


async def test_a_defect_in_a_refusal_gives_the_slots_back_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice would be a slot of somebody else's, whose report then broke a turn."""
    refuse = Starter.refuse

    def breaks(self: Starter, turn: Turn, actor: Actor, *rest: Any) -> None:
        if actor.tree.id == "bad":
            raise ZeroDivisionError
        refuse(self, turn, actor, *rest)

    monkeypatch.setattr(Starter, "refuse", breaks)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    gate = Gate()
    bench.on("gated", gate)
    good = await bench.submit([{"id": "good", "name": "gated"}])
    bench.executors.wrong = ("/: nothing is allowed",)
    with pytest.raises(Defect):
        await bench.submit([{"id": "bad", "name": "noop"}])
    assert bench.engine._dispatch._used == {("pool", "loop"): 1}
    gate.open()
    assert await good.waiter() == "completed"
    assert bench.engine._dispatch._used == {}
