"""A damaged history is told once, and nothing of it is run or written."""

import pytest

from aipartnerupflow.domain.errors import StoreCorrupt
from aipartnerupflow.engine.lifecycle import load, resume
from tests.support.bench import Bench, chain


async def interrupted(bench: Bench) -> None:
    actor = await bench.submit(chain(3))
    await actor.waiter()
    stream = bench.journal._streams["r"]
    del stream[-1]  # so that it is open work again
    bench.crash("engine-2")


@pytest.mark.parametrize("gone", [0, 3])
async def test_a_missing_event_is_named_and_the_tree_left_alone(bench: Bench, gone: int) -> None:
    await interrupted(bench)
    stream = bench.journal._streams["r"]
    del stream[gone]
    before = list(bench.journal.log)
    with pytest.raises(StoreCorrupt, match=f"its event {gone + 1} is missing"):
        load(bench.journal, "r")
    if gone:
        resumed = await resume(bench.engine)
        assert isinstance(resumed.refused["r"], StoreCorrupt)
        assert bench.engine.actors == {}
    assert bench.journal.log == before


async def test_an_event_that_fits_nothing_is_named(bench: Bench) -> None:
    await interrupted(bench)
    stream = bench.journal._streams["r"]
    first = stream[0]
    stream[0] = type(first)("r", 1, stream[3].event, 1)
    with pytest.raises(StoreCorrupt, match="its event 1 does not fit"):
        load(bench.journal, "r")
