"""A fresh engine for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.bench import Bench, nothing


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    made.on("noop", nothing)
    yield made
    made.committer.close()
