"""Fixtures for every test."""

import signal
from collections.abc import Iterator

import pytest

from tests.support import postgres
from tests.support.logs import every_log_is_checked as every_log_is_checked
from tests.support.logs import pytest_sessionfinish as pytest_sessionfinish
from tests.support.logs import pytest_terminal_summary as pytest_terminal_summary
from tests.support.logs import pytest_testnodedown as pytest_testnodedown
from tests.support.logs import stores_are_noticed as stores_are_noticed

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores it for what it starts in the background, and programs started here would
    # inherit that: those tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

NEEDS_POSTGRES = {"postgres_server", "postgres_dsn"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the server, so that `-m "not postgres"` leaves it out."""
    for item in items:
        if NEEDS_POSTGRES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """One server for the run (for each worker under xdist)."""
    with postgres.postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def postgres_dsn(postgres_server: postgres.PostgresServer) -> str:
    """An empty database for the module; use tree ids of your own in each test."""
    return postgres_server.create_database()
