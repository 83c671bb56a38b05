"""The same tests against every store."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.stores import Store, Stores, postgres_store, sqlite_store


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def stores(request: pytest.FixtureRequest) -> Stores:
    """Makes empty stores of one kind."""
    if request.param == "sqlite":
        return sqlite_store
    return partial(postgres_store, request.getfixturevalue("postgres_dsn"))


@pytest.fixture
def store(stores: Stores) -> Iterator[Store]:
    """An empty store."""
    with stores() as store:
        yield store
