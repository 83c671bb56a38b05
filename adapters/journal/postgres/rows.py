"""What a commit stores, as rows by table and then as the columns that PostgreSQL takes."""

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import Connection, Cursor, RawCursor
from psycopg.pq import Format
from psycopg.rows import TupleRow, tuple_row

from ....projections.status import Changes, TreeChange
from ..chain import Head
from ..journal import Batch
from ..rows import TASK_BITS, task_row
from ..sql import statements
from .arrays import Bools, Bytes, Column, Floats, Ints, Texts
from .connect import query

MAX_BYTES = 4 << 20
"""What one statement carries at most, unless a single row is larger."""

ROW_BYTES = 200
"""What a row weighs about, without the JSON that users put in."""

_TABLES: dict[str, tuple[type[Column], ...]] = {
    "trees": (Texts, Texts, Texts, Texts, Texts, Texts, Texts),
    "events": (Texts, Ints, Texts, Bytes, Bytes, Bytes),
    "changed": (Ints, Ints, Texts, Texts, Texts, Texts, Ints, Bools, Texts, Bools),
    "gone": (Ints, Texts),
    "moved": (Ints,),
    "tasks": (Ints, Texts, Texts, Texts, Texts, Ints, Texts, Texts, Texts, Texts, Texts, Texts),
    "specs": (Ints, Texts, Texts, Texts, Ints, Texts, Texts, Texts, Texts, Texts),
    "returned": (Ints,),
    "progressed": (Ints, Floats, Texts),
    "cancelled": (Ints, Ints, Texts, Ints),
    "freed": (Ints,),
    "taken": (Ints, Texts, Ints),
    "answers": (Texts, Texts),
    "blobs": (Texts, Bytes),
    "put": (Ints, Texts, Ints, Ints, Floats, Texts, Texts, Texts, Ints),
    "ended": (Ints, Texts, Ints, Texts, Ints, Floats),
    "touched": (Ints, Ints, Texts, Texts),
}
"""In the order in which they are written."""

_USUAL = ("events", "put", "ended", "touched")
_RARE = tuple(name for name in _TABLES if name not in _USUAL)

_NOTHING = {name: [kind() for kind in kinds] for name, kinds in _TABLES.items()}

Rows = dict[str, list[tuple[Any, ...]]]
"""Rows by table. A row number may be -k, for the k-th tree that is new in the transaction."""

_sql = statements("postgres")


def store(connection: Connection[Any], rows: Rows, nums: Sequence[int]) -> tuple[list[int], int]:
    """Store rows in one call, which outside a transaction is its own commit.

    ``nums`` are the numbers of the trees that earlier calls of the transaction have made. Gives
    them with those made now, and the last position, 0 where no event is among the rows.
    """
    # psycopg would look for placeholders anew each time in a statement with so many of them.
    cursor = RawCursor(connection, row_factory=tuple_row)
    cursor.format = Format.BINARY
    usual = [Ints(nums), *_columns(rows, _USUAL)]
    if not any(rows.get(name) for name in _RARE):
        (last,) = _only(cursor.execute(query(_sql.append), usual, prepare=True))
        return [*nums], last or 0
    everything = [*usual, *_columns(rows, _RARE)]
    made, last = _only(cursor.execute(query(_sql.append_all), everything, prepare=True))
    return made, last or 0


def _only(cursor: Cursor[TupleRow]) -> TupleRow:
    row = cursor.fetchone()
    assert row is not None
    return row


def _columns(rows: Rows, tables: Sequence[str]) -> Iterator[Column]:
    for name in tables:
        table = rows.get(name)
        if not table:
            yield from _NOTHING[name]
            continue
        for kind, column in zip(_TABLES[name], zip(*table, strict=True), strict=True):
            yield kind(column)


def rows_of(batches: Sequence[Batch], heads: Sequence[Head]) -> Rows:
    """All rows; ``heads[i].num`` is the row number of the tree of ``batches[i]``."""
    rows: Rows = {name: [] for name in _TABLES}
    events, touched = rows["events"], rows["touched"]
    for batch, head in zip(batches, heads, strict=True):
        for event, hash in zip(batch.stored, batch.hashes, strict=True):
            events.append(
                (batch.tree, event.originator_version, event.topic, event.state,
                 event.body_hash, hash)
            )  # fmt: skip
        made, tree = batch.changes, batch.changes.tree
        base = head.num << TASK_BITS
        if tree.is_touch:
            touched.append((head.num, tree.version, tree.updated_at, tree.status))
        else:
            _add_tree(rows, batch, tree, head.num)
        _add_states(rows, made, base)
        if made.added:
            rows["tasks"].extend((base | n, *task_row(spec), at) for n, spec, at in made.added)
        _add_rarities(rows, batch, base)
    return rows


def _add_tree(rows: Rows, batch: Batch, tree: TreeChange, num: int) -> None:
    new = batch.changes.new_tree
    if new is not None:
        rows["trees"].append(
            (batch.tree, new.uid, new.name, new.owner, new.created_at, new.request, new.origin)
        )
    rows["changed"].append(
        (num, tree.version, tree.updated_at, tree.status, tree.phase, tree.engine, tree.epoch,
         tree.released, tree.completed_at, tree.paused)
    )  # fmt: skip


def _add_states(rows: Rows, made: Changes, base: int) -> None:
    put, ended = rows["put"], rows["ended"]
    for n, s in made.put.items():
        put.append(
            (base | n, s.status, s.attempt, s.generation, s.progress, s.message,
             s.started_at, s.completed_at, s.ended)
        )  # fmt: skip
    for n, d in made.ended.items():
        done = 1.0 if d.status == "completed" else None
        ended.append((base | n, d.status, d.attempt, d.completed_at, d.ended, done))


def _add_rarities(rows: Rows, batch: Batch, base: int) -> None:
    """What few appends hold: attempts to be repeated, progress, cancels, changes of drafts, …"""
    made = batch.changes
    if made.returned:
        rows["returned"].extend((base | n,) for n in made.returned)
    if made.progressed:
        rows["progressed"].extend(
            (base | n, fraction, message) for n, (fraction, message) in made.progressed.items()
        )
    if made.cancelled:
        rows["cancelled"].extend(
            (base | n, d.attempt, d.completed_at, d.ended) for n, d in made.cancelled.items()
        )
    if made.freed:
        rows["freed"].extend((base | n,) for n in made.freed)
    if made.taken:
        rows["taken"].extend((base | n, slot.key, slot.limit) for n, slot in made.taken.items())
    if batch.answers:
        rows["answers"].extend((one.id, one.outcome.decode()) for one in batch.answers)
    if made.respecified:
        rows["specs"].extend((base | n, *task_row(spec)[1:]) for n, spec in made.respecified)
    if made.removed:
        rows["gone"].extend((base >> TASK_BITS, id) for id in made.removed)
    if made.moved_away:
        rows["moved"].append((base >> TASK_BITS,))
    if batch.blobs:
        rows["blobs"].extend(batch.blobs.items())


def size_of(rows: Rows) -> int:
    """About how many bytes the rows take."""
    size = sum(map(len, rows.values())) * ROW_BYTES
    size += sum(len(row[3]) for row in rows["events"])
    for name in ("tasks", "specs", "answers", "blobs"):
        size += sum(map(_weight, rows[name]))
    return size


def cut(rows: Rows) -> Iterator[Rows]:
    """The same rows in the same order, in calls of at most `MAX_BYTES`."""
    part: Rows = {}
    size = 0
    for name, table in rows.items():
        for row in table:
            weight = ROW_BYTES + _weight(row)
            if size and size + weight > MAX_BYTES:
                yield part
                part, size = {}, 0
            part.setdefault(name, []).append(row)
            size += weight
    yield part


def _weight(row: Sequence[Any]) -> int:
    return sum(len(value) for value in row if isinstance(value, str | bytes))
