"""Rows as PostgreSQL takes them: columns of one type, statements of at most 4 MB."""

from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.adapt import Transformer

from aipartnerupflow.adapters.journal.postgres.arrays import (
    Bools,
    Bytes,
    Column,
    Floats,
    Ints,
    Texts,
    clean,
    register,
)
from aipartnerupflow.adapters.journal.postgres.rows import MAX_BYTES, Rows, _weight, cut


@pytest.fixture(scope="module")
def connection(postgres_dsn: str) -> Any:
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        register(connection)
        yield connection


@pytest.mark.parametrize(
    "column",
    [
        Texts(["", "a", None, "ü" * 300, "'\"\\{},\n", "NULL", "\U0001f600", "x" * 256]),
        Bytes([b"", b"\x00\xff", b"x" * 70_000]),
        Ints([0, -1, None, 1 << 62, -(1 << 62)]),
        Floats([0.0, None, 1e300, -0.1]),
        Bools([True, None, False]),
        Texts(["one"]),
        *(kind() for kind in (Texts, Bytes, Ints, Floats, Bools)),
    ],
    ids=lambda column: f"{type(column).__name__}-{len(column.values)}",
)
def test_columns_arrive_as_they_were(connection: psycopg.Connection[Any], column: Column) -> None:
    row = connection.execute("SELECT %s", [column]).fetchone()
    assert row == (list(column.values),)


def test_a_nul_becomes_what_stands_for_the_unknown(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute("SELECT %s", [Texts(["a\0b"])]).fetchone()
    assert row == (["a\ufffdb"],)
    assert clean("a\0b") == "a\ufffdb"


def test_a_column_s_type_does_not_depend_on_its_values(
    connection: psycopg.Connection[Any],
) -> None:
    """Else each combination would be another prepared statement."""
    for kind, some in ((Ints, [1 << 40]), (Texts, ["x"]), (Floats, [None]), (Bools, [True])):
        types = set()
        for values in ([], some):
            transformer = Transformer(connection)
            transformer.dump_sequence([kind(values)], [psycopg.adapt.PyFormat.AUTO])
            types.add(transformer.types)
        assert len(types) == 1


rows = st.dictionaries(
    st.sampled_from(["trees", "events", "tasks", "put"]),
    st.lists(
        st.tuples(st.integers(), st.integers(0, 3_000_000).map(lambda size: "x" * size)),
        max_size=6,
    ),
)


@settings(max_examples=50, deadline=None)
@given(rows)
def test_rows_are_cut_into_statements_that_are_not_too_large(all: Rows) -> None:
    parts = list(cut(all))
    order = [name for part in parts for name in part]
    assert sorted(order, key=list(all).index) == order
    for name, table in all.items():
        assert [row for part in parts for row in part.get(name, [])] == table
    for part in parts:
        table = [row for rows in part.values() for row in rows]
        assert len(table) == 1 or sum(map(_weight, table)) <= MAX_BYTES
