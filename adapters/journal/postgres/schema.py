"""The tables and functions of a store on PostgreSQL: made once, brought up to date on opening."""

from typing import Any

from psycopg import Connection, Cursor
from psycopg.rows import TupleRow, tuple_row

from ....domain.errors import StoreUnavailable
from ..sql import script, statements
from .connect import query

SCHEMA_VERSION = 3
OLDEST_SERVER = 14

_sql = statements("postgres")
_STEPS = statements("postgres_migrations")


def make_schema(connection: Connection[Any], store: str) -> None:
    """Make what is missing, in one transaction; two who come at once wait for each other.

    Raises `StoreUnavailable` where the server does not fit or a later version made the store.
    """
    _check_server(connection, store)
    cursor = connection.cursor(row_factory=tuple_row)
    if _version(cursor, store) == SCHEMA_VERSION:
        return
    with connection.transaction():
        cursor.execute(query(_sql.lock_schema))
        found = _version(cursor, store)
        if found == SCHEMA_VERSION:
            return
        if found:
            _migrate(cursor, found)
        else:
            cursor.execute(query(script("postgres_schema")), prepare=False)
            cursor.execute(query(_sql.mark_schema), (SCHEMA_VERSION,))
        cursor.execute(query(script("postgres_functions")), prepare=False)


def _migrate(cursor: Cursor[TupleRow], found: int) -> None:
    """The tables from version ``found`` to ours, while no writer is halfway through a commit."""
    cursor.execute(query(_sql.lock))
    for version in range(found, SCHEMA_VERSION):
        cursor.execute(query(getattr(_STEPS, f"from_{version}")), prepare=False)
    cursor.execute(query(_sql.move_schema), (SCHEMA_VERSION,))


def _check_server(connection: Connection[Any], store: str) -> None:
    version = connection.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise StoreUnavailable(
            f"the store {store} is on PostgreSQL {version}. Use {OLDEST_SERVER} or later."
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreUnavailable(
            f"the store {store} has the encoding {encoding}. Make the database with encoding UTF8."
        )


def _version(cursor: Cursor[TupleRow], store: str) -> int:
    """0 where there is no store yet."""
    has_schema = cursor.execute(query(_sql.has_schema)).fetchone()
    if has_schema is None or not has_schema[0]:
        return 0
    row = cursor.execute(query(_sql.schema_version)).fetchone()
    found = int(row[0]) if row else 0
    if found > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"the store {store} was made by a later version of aipartnerupflow. "
            "Upgrade to use it; nothing was changed."
        )
    return found
