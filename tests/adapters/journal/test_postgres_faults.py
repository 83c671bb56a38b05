"""Each of PostgreSQL's errors becomes one of ours that says what, why, and what to do."""

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout

from aipartnerupflow.adapters.journal.postgres.faults import from_postgres
from aipartnerupflow.domain.errors import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)


@pytest.mark.parametrize(
    ("error", "kind", "advice"),
    [
        (errors.DiskFull, StoreFull, "free some space"),
        (errors.ReadOnlySqlTransaction, StoreReadOnly, "Name its primary"),
        (errors.InsufficientPrivilege, StoreReadOnly, "Grant the right"),
        (errors.IdleInTransactionSessionTimeout, StoreUnavailable, "try again"),
        (errors.LockNotAvailable, StoreUnavailable, "Try again"),
        (errors.QueryCanceled, StoreUnavailable, "Try again"),
        (errors.DeadlockDetected, StoreUnavailable, "Try again"),
        (errors.AdminShutdown, StoreUnavailable, "Check that the server runs"),
        (errors.CannotConnectNow, StoreUnavailable, "Check that the server runs"),
        (errors.TooManyConnections, StoreUnavailable, "Check that the server runs"),
        (psycopg.OperationalError, StoreUnavailable, "Check that the server runs"),
        (PoolTimeout, StoreUnavailable, "Check that the server runs"),
        (PoolClosed, StoreUnavailable, "open it again"),
        (errors.DuplicateTable, StoreUnavailable, "Name an empty database"),
        (errors.UndefinedTable, StoreCorrupt, "Restore it from a backup"),
        (errors.DataCorrupted, StoreCorrupt, "Restore it from a backup"),
        (errors.IndexCorrupted, StoreCorrupt, "Restore it from a backup"),
        (errors.SyntaxError, StoreError, "text"),
        (errors.UniqueViolation, StoreCorrupt, "refuses a row"),
    ],
)
def test_errors_become_ours(
    error: type[psycopg.Error], kind: type[StoreError], advice: str
) -> None:
    found = from_postgres(error("raw"), "PostgreSQL 'db'", "the text")
    assert type(found) is kind
    assert str(found).startswith("the store PostgreSQL 'db' ") or kind is StoreFull
    assert advice in str(found)
