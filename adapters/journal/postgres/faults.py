"""From PostgreSQL's errors to ours, told so that an operator knows what to do."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed

from ....domain.errors import (
    CommandAnswered,
    IdTaken,
    KeyTaken,
    SlotTaken,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from ..faults import VersionTaken
from .connect import Datastore

_KEY = re.compile(r"=\((.*)\)")

_BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)
_DAMAGED = (errors.DataCorrupted, errors.IndexCorrupted)
_NO_TABLES = (errors.UndefinedTable, errors.UndefinedFunction, errors.UndefinedColumn)
_REFUSED = ("authentication failed", "no password supplied", "pg_hba.conf", "does not exist")
_REFUSALS: Mapping[str | None, Callable[[str], Exception]] = {
    "AF001": lambda detail: SlotTaken(*msgspec.json.decode(detail)),
    "AF002": CommandAnswered,
}
"""What our own functions raise, with what they say about it."""


@contextmanager
def translated(store: Datastore) -> Iterator[None]:
    """psycopg's errors in the block as ours."""
    try:
        yield
    except psycopg.Error as error:
        text = store.hidden(error.diag.message_primary or str(error))
        raise from_postgres(error, store.label, " ".join(text.split())) from error


def from_postgres(error: psycopg.Error, store: str, text: str) -> Exception:
    """The error to raise for ``error`` of ``store``, which says ``text``, without a password."""
    if error.sqlstate in _REFUSALS:
        return _REFUSALS[error.sqlstate](error.diag.message_detail or "")
    match error:
        case errors.UniqueViolation():
            return _taken(error, store, text)
        case errors.DiskFull():
            return StoreFull(
                f"no space left for the store {store}. What was acknowledged is kept; "
                "free some space on the server."
            )
        case errors.ReadOnlySqlTransaction():
            return StoreReadOnly(
                f"the store {store} cannot be written: the server is a standby or set to read "
                "only. Name its primary."
            )
        case errors.InsufficientPrivilege():
            return StoreReadOnly(
                f"the store {store} refuses its user: {text}. Grant the right, or name a user who "
                "has it."
            )
        case errors.IdleInTransactionSessionTimeout():
            return StoreUnavailable(
                f"the store {store} gave up a transaction, because this process stood still in "
                "it. Nothing was stored; try again."
            )
        case errors.DuplicateTable() | errors.DuplicateFunction():
            return StoreUnavailable(
                f"the store {store} holds tables of somebody else ({text}). Name an empty database."
            )
        case psycopg.OperationalError():
            return _unavailable(error, store, text)
        case _:
            pass
    if isinstance(error, _DAMAGED):
        return StoreCorrupt(f"the store {store} is damaged ({text}). Restore it from a backup.")
    if isinstance(error, _NO_TABLES):
        return StoreCorrupt(
            f"the store {store} is not complete ({text}). Restore it from a backup, or name an "
            "empty database."
        )
    return StoreError(f"the store {store} failed: {text}")


def _taken(error: errors.UniqueViolation, store: str, text: str) -> Exception:
    """By the table: versions of events, else ids. A taken row number means a stale writer too."""
    constraint = error.diag.constraint_name
    if constraint in ("stored_events_pkey", "task_pkey"):
        return VersionTaken(text)
    if constraint == "tree_request":
        return KeyTaken("")
    if constraint in ("tree_id_key", "task_id_key"):
        return IdTaken(_KEY.findall(error.diag.message_detail or ""))
    return StoreCorrupt(f"the store {store} refuses a row: {text}")


def _unavailable(error: psycopg.OperationalError, store: str, text: str) -> StoreError:
    if isinstance(error, PoolClosed):
        return StoreUnavailable(f"the store {store} was closed; open it again")
    if isinstance(error, _BUSY):
        return StoreUnavailable(
            f"the store {store} is kept busy by others for longer than the time allowed ({text}). "
            "Try again, or look for the cause in pg_stat_activity."
        )
    if any(sign in text for sign in _REFUSED):
        return StoreUnavailable(
            f"the store {store} refused the connection: {text}. Check user, password and database "
            "in its address."
        )
    return StoreUnavailable(
        f"the store {store} cannot be reached: {text}. Check that the server runs and that the "
        "address is right."
    )
