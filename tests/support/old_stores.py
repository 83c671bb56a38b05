"""Stores as version 1 of the schema had them, with what such a version had written.

The folder ``version1`` holds its tables and functions, and the rows of a small store: a tree that
was interrupted, one that has settled, a draft, and the timeline of all. Never edit them.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

_FOLDER = Path(__file__).parent / "version1"
_TRACKING = """CREATE TABLE tracking (
    application_name TEXT, notification_id INTEGER, PRIMARY KEY (application_name)
) WITHOUT ROWID"""
"""Made by the library, and so not in the schema for SQLite."""


def make_sqlite(path: Path) -> None:
    """A file with a store of version 1."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((_FOLDER / "sqlite_schema.sql").read_text(encoding="utf-8"))
        connection.execute(_TRACKING)
        for table, columns, rows in _tables():
            places = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
        connection.execute("PRAGMA user_version=1")
        connection.commit()


def make_postgres(dsn: str, schema: str = "public") -> None:
    """A store of version 1 in an empty schema."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT set_config('search_path', %s, true)", (schema,))
        connection.execute((_FOLDER / "postgres_schema.sql").read_bytes())
        for table, columns, rows in _tables():
            statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(sql.Placeholder() * len(columns)),
            )
            flags = [n for n, name in enumerate(columns) if name == "released"]
            for row in rows:
                for n in flags:
                    row[n] = bool(row[n])
                connection.execute(statement, row)
        connection.execute("INSERT INTO tracking VALUES ('__schema__', 1)")
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('tree', 'num'), (SELECT max(num) FROM tree))"
        )


def _tables() -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    found = json.loads((_FOLDER / "rows.json").read_text(encoding="utf-8"))
    for table, content in found.items():
        rows = [[_value(value) for value in row] for row in content["rows"]]
        yield table, content["columns"], rows


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return value["text"].encode() if "text" in value else bytes.fromhex(value["hex"])
    return value
