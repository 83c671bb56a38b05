"""Every test on a loop of virtual time, with a fresh engine; what it left is checked at the end."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from aipartnerupflow.testing.loop import VirtualLoop
from tests.support.bench import Bench, MakeBench
from tests.support.works import nothing

Loops = Mapping[str, Callable[[], VirtualLoop]]


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Loops:
    """The loops on which the tests of this folder run."""
    return {"virtual": VirtualLoop}


@pytest.fixture
async def make_bench() -> AsyncIterator[MakeBench]:
    """Takes the arguments of `Bench`."""
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        made.append(Bench(**options))
        made[-1].on("noop", nothing)
        return made[-1]

    yield make
    for bench in made:
        bench.end()


@pytest.fixture
async def bench(make_bench: MakeBench) -> Bench:
    return make_bench()
