"""A fresh engine for each test."""

import pytest

from tests.support.bench import Bench, nothing


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    made.on("noop", nothing)
    return made
