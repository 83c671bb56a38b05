"""What loading a big tree does to the collector of garbage."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from aipartnerupflow.engine import loading
from aipartnerupflow.engine.lifecycle import load
from tests.support.bench import Bench, fan, one
from tests.support.works import endless


class Cycle:
    """Garbage of the usual kind, once nobody has it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is exempt from collection, before and after; four events make a big tree."""
    monkeypatch.setattr(loading, "BIG", 3)
    gc.unfreeze()
    yield
    gc.unfreeze()


async def test_to_look_at_a_big_tree_exempts_nothing_from_collection(bench: Bench) -> None:
    await bench.run(fan(5))
    assert load(bench.journal, "r").version > 3
    assert gc.get_freeze_count() == 0


async def test_a_big_tree_that_is_taken_up_is_exempt_and_no_garbage_with_it(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless"))
    bench.crash("engine-2")
    garbage = weakref.ref(Cycle())
    await bench.take()
    assert gc.get_freeze_count() > 0
    assert garbage() is None
