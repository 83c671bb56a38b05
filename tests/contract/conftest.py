"""Each journal in turn, empty for every test."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.journals import Handle, MemoryStore, PostgresStore, SQLiteStore, Store

POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)
_schemas = count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`store` runs over all journals, `shared` over those that other processes can open."""
    if "shared" in metafunc.fixturenames:
        metafunc.parametrize("kind", ["sqlite", POSTGRES])
    elif "store" in metafunc.fixturenames:
        metafunc.parametrize("kind", ["memory", "sqlite", POSTGRES])


@pytest.fixture
def store(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    made: Store
    if kind == "memory":
        made = MemoryStore()
    elif kind == "sqlite":
        made = SQLiteStore(tmp_path / "store.db")
    else:
        made = PostgresStore(request.getfixturevalue("postgres_dsn"), f"s{next(_schemas)}")
    yield made
    made.close()


@pytest.fixture
def shared(store: Store) -> Store:
    return store


@pytest.fixture
def handle(store: Store) -> Handle:
    return store.open()
