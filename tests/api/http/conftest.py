"""Servers over each kind of store; see `tests.support.servers`."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.chaos.tally import Tally
from tests.support.places import executors, place
from tests.support.servers import Api, Threaded, Work, application, threaded

__all__ = ["executors", "place"]


@pytest.fixture(autouse=True)
def work(place: Path, executors: None) -> Work:
    """Executors of the test's own: `give`, `broken`, `flaky`, `gated`."""
    made = Work()
    made.register()
    return made


@pytest.fixture
async def api(place: Path) -> AsyncIterator[Api]:
    """An application over a store in memory."""
    async with application(f"memory://{uuid4().hex}", place) as made:
        yield made


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def each_url(request: pytest.FixtureRequest, place: Path) -> str:
    """A new store of each kind; the database is that of the module."""
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    if request.param == "sqlite":
        return f"sqlite:///{place}/each.db"
    dsn: str = request.getfixturevalue("postgres_dsn")
    return dsn


@pytest.fixture
async def each_api(each_url: str, place: Path) -> AsyncIterator[Api]:
    """An application over a store of each kind."""
    async with application(each_url, place) as made:
        yield made


@pytest.fixture
def socket_server(place: Path) -> Iterator[Threaded]:
    """A server on a socket over a store in memory."""
    with threaded(f"memory://{uuid4().hex}", place) as made:
        yield made


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Tally]:
    """What a test counts; `tests/chaos/conftest.py` tells it at the end of the run."""
    made = Tally()
    yield made
    record_property("chaos", str(made))
