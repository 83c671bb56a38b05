"""What the database does alone: rows of a run's size into the events table, and nothing else.

One connection, one thread, the settings of the product, rows made before the clock starts.
"""

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aipartnerupflow.adapters.journal.sql import script
from aipartnerupflow.api.wiring import sqlite_path

try:
    import psycopg
except ModuleNotFoundError:
    psycopg = None  # type: ignore[assignment]

Row = tuple[Any, ...]
Write = Callable[[Sequence[Row]], None]

TREE = "bench"
TOPIC = "task.completed"
HASH_BYTES = 32
WARM_UP = 10
"""Commits before those that count."""

SQLITE_SETTINGS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=OFF",
)
SQLITE_INSERT = "INSERT INTO stored_events VALUES (?, ?, ?, ?, ?, ?)"

POSTGRES_SETTINGS = ("SET synchronous_commit TO on",)
COLUMNS = "stored_events (originator_id, originator_version, topic, state, body_hash, hash)"
POSTGRES_INSERT = f"INSERT INTO {COLUMNS} VALUES (%s, %s, %s, %s, %s, %s)"
POSTGRES_UNNEST = (
    f"INSERT INTO {COLUMNS} SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[],"
    " %s::bytea[], %s::bytea[], %s::bytea[])"
)
POSTGRES_COPY = f"COPY {COLUMNS} FROM STDIN (FORMAT binary)"
COPY_TYPES = ("text", "int8", "text", "bytea", "bytea", "bytea")


def raw(url: str, rows: int, batch: int, event_bytes: float) -> dict[str, Any]:
    """Rows a second, ``batch`` of them in each commit, and how they were written."""
    measure = _sqlite if url.startswith("sqlite") else _postgres
    speed, how = measure(url, list(_batches(rows, batch, round(event_bytes))))
    return {"raw_per_s": speed, "how": how}


def _batches(rows: int, batch: int, size: int) -> Iterator[list[Row]]:
    last = rows + WARM_UP * batch
    for first in range(1, last + 1, batch):
        yield [
            (TREE, n, TOPIC, os.urandom(size), os.urandom(HASH_BYTES), os.urandom(HASH_BYTES))
            for n in range(first, min(first + batch, last + 1))
        ]


def _speed(batches: Sequence[Sequence[Row]], write: Write) -> float:
    for batch in batches[:WARM_UP]:
        write(batch)
    counted = batches[WARM_UP:]
    began = time.perf_counter()
    for batch in counted:
        write(batch)
    return sum(map(len, counted)) / (time.perf_counter() - began)


def _ddl(schema: str) -> list[str]:
    """How the product makes the events table and its indexes."""
    made = re.compile(r"CREATE (TABLE|(UNIQUE )?INDEX)[^(]*\bstored_events\b")
    text = re.sub(r"^--.*\n", "", script(schema), flags=re.MULTILINE)
    return [part.strip() for part in text.split(";\n") if made.match(part.strip())]


# -- SQLite


def _sqlite(url: str, batches: Sequence[Sequence[Row]]) -> tuple[float, str]:
    connection = sqlite3.connect(sqlite_path(url), isolation_level=None)
    made = [*SQLITE_SETTINGS, *_ddl("sqlite_schema")]
    for statement in made:
        connection.execute(statement)

    def write(batch: Sequence[Row]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(SQLITE_INSERT, batch)
        connection.execute("COMMIT")

    speed = _speed(batches, write)
    connection.close()
    return speed, ";\n".join([*made, "BEGIN IMMEDIATE", f"{SQLITE_INSERT} [executemany]", "COMMIT"])


# -- PostgreSQL


def _postgres(url: str, batches: Sequence[Sequence[Row]]) -> tuple[float, str]:
    """By the fastest of several ways; each is one transaction and, but for COPY, one round trip."""
    made = [*POSTGRES_SETTINGS, *_ddl("postgres_schema")]
    speeds = {}
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        for statement in made:
            connection.execute(statement)
        for how, write in _postgres_ways(connection, single=len(batches[0]) == 1).items():
            connection.execute("TRUNCATE stored_events")
            speeds[how] = _speed(batches, write)
    best = max(speeds, key=speeds.__getitem__)
    slower = [f"-- slower, {speed:.0f}/s: {how}" for how, speed in speeds.items() if how != best]
    return speeds[best], ";\n".join([*made, best, *slower])


def _postgres_ways(connection: "psycopg.Connection[Any]", *, single: bool) -> Mapping[str, Write]:
    cursor = connection.cursor()

    def insert(batch: Sequence[Row]) -> None:
        cursor.execute(POSTGRES_INSERT, batch[0])

    def executemany(batch: Sequence[Row]) -> None:
        with connection.pipeline(), connection.transaction():
            cursor.executemany(POSTGRES_INSERT, batch)

    def unnest(batch: Sequence[Row]) -> None:
        cursor.execute(POSTGRES_UNNEST, [list(column) for column in zip(*batch, strict=True)])

    def copy(batch: Sequence[Row]) -> None:
        with cursor.copy(POSTGRES_COPY) as rows:
            rows.set_types(COPY_TYPES)
            for row in batch:
                rows.write_row(row)

    if single:
        return {f"{POSTGRES_INSERT} [autocommit, prepared]": insert}
    return {
        f"{POSTGRES_UNNEST} [autocommit, prepared]": unnest,
        f"{POSTGRES_INSERT} [executemany in a pipeline, one transaction]": executemany,
        f"{POSTGRES_COPY} [autocommit]": copy,
    }
