"""Status rows on SQLite: the changes of many appends, statement by statement."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from ....domain.errors import CommandAnswered, SlotTaken
from ....projections.status import Changes, TreeChange
from ..chain import Head
from ..journal import Batch
from ..rows import TASK_BITS, task_row
from ..sql import statements

_sql = statements("sqlite")


def insert_tree(cursor: sqlite3.Cursor, batch: Batch) -> int:
    """The row of a new tree; returns its number."""
    new = batch.changes.new_tree
    if new is None:
        raise ValueError(f"the stream {batch.tree} has to begin with tree.created")
    row = (
        batch.tree, new.uid, new.name, new.owner, new.created_at, new.created_at, new.request,
        new.origin,
    )  # fmt: skip
    cursor.execute(_sql.insert_tree, row)
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def write(cursor: sqlite3.Cursor, batches: Sequence[Batch], heads: Sequence[Head]) -> None:
    """All row changes; ``heads[i].num`` is the row number of the tree of ``batches[i]``.

    One statement after the other and deletions before insertions, so no tree may come twice.
    """
    put: list[tuple[Any, ...]] = []
    end: list[tuple[Any, ...]] = []
    touch: list[tuple[Any, ...]] = []
    changed: list[tuple[Any, ...]] = []
    added: list[tuple[Any, ...]] = []
    takers: list[tuple[Batch, int]] = []
    for batch, head in zip(batches, heads, strict=True):
        made, base = batch.changes, head.num << TASK_BITS
        for n, s in made.put.items():
            put.append(
                (base | n, s.status, s.attempt, s.generation, s.progress, s.message,
                 s.started_at, s.completed_at, s.ended)
            )  # fmt: skip
        for n, d in made.ended.items():
            done = 1.0 if d.status == "completed" else None
            end.append((d.status, d.attempt, d.completed_at, d.ended, done, base | n))
        tree = made.tree
        if tree.is_touch:
            touch.append((tree.version, tree.updated_at, tree.status, head.num))
        else:
            changed.append(_tree_row(tree, head.num))
        for n, spec, at in made.added:
            added.append((base | n, *task_row(spec), at))
        _write_rarities(cursor, made, base, batch)
        if made.taken:
            takers.append((batch, base))
    for batch, base in takers:
        _take_slots(cursor, batch, base)
    if changed:
        cursor.executemany(_sql.update_tree, changed)
    if touch:
        cursor.executemany(_sql.touch_tree, touch)
    if added:
        cursor.executemany(_sql.insert_task, added)
    if put:
        cursor.executemany(_sql.put_state, put)
    if end:
        cursor.executemany(_sql.end_state, end)


def _tree_row(tree: TreeChange, num: int) -> tuple[Any, ...]:
    return (
        tree.version, tree.updated_at, tree.status, tree.phase, tree.engine, tree.epoch,
        tree.released, tree.completed_at, tree.paused, num,
    )  # fmt: skip


def _write_rarities(cursor: sqlite3.Cursor, made: Changes, base: int, batch: Batch) -> None:
    """What few appends hold: attempts to be repeated, progress, cancels, changes of drafts, …"""
    if made.returned:
        cursor.executemany(_sql.return_state, [(base | n,) for n in made.returned])
    if made.progressed:
        rows = [(fraction, message, base | n) for n, (fraction, message) in made.progressed.items()]
        cursor.executemany(_sql.progress_state, rows)
    if made.cancelled:
        ends = [(base | n, d.attempt, d.completed_at, d.ended) for n, d in made.cancelled.items()]
        cursor.executemany(_sql.cancel_state, ends)
    if made.freed:
        cursor.executemany(_sql.free_slot, [(base | n,) for n in made.freed])
    for n, spec in made.respecified:
        row = task_row(spec)
        cursor.execute(_sql.respecify_task, (*row[1:], base | n))
    if made.removed:
        tree = base >> TASK_BITS
        cursor.executemany(_sql.delete_task, [(id, tree) for id in made.removed])
    if made.moved_away:
        cursor.execute(_sql.delete_tasks_of, (base, base | (1 << TASK_BITS) - 1))
    if batch.blobs:
        cursor.executemany(_sql.insert_blob, list(batch.blobs.items()))
    for answer in batch.answers:
        cursor.execute(_sql.answer_command, (answer.outcome.decode(), answer.id))
        if cursor.rowcount != 1:
            raise CommandAnswered(answer.id)


def _take_slots(cursor: sqlite3.Cursor, batch: Batch, base: int) -> None:
    """After all that the transaction frees."""
    for n, slot in batch.changes.taken.items():
        cursor.execute(_sql.take_slot, {"task": base | n, "key": slot.key, "most": slot.limit})
        if cursor.rowcount != 1:
            raise SlotTaken(batch.tree, slot.key)
