"""Is all as it should be? Each check of a store, its history, its work and the executors."""

import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from ..domain.errors import ApflowError, StoreCorrupt, StoreReadOnly
from ..domain.tree import Tree
from ..engine.lifecycle import load, missing_executors
from ..projections.rebuild import compare
from ..projections.views import TreeView
from .stores import Store
from .wiring import Care, inventory, owners_alive

ENOUGH_SPACE: Final = 256 * 1024 * 1024
SAMPLE: Final = 50
"""So many trees are looked at unless all are asked for."""
SYNCHRONOUS: Final = {"power": "2", "process": "1"}
PAGE: Final = 500


class Check(Struct, frozen=True):
    """``state`` is ok, note (nothing is broken, something is to be done) or problem."""

    name: str
    state: str
    detail: str
    advice: str = ""

    @classmethod
    def ok(cls, name: str, detail: str) -> "Check":
        """All is well."""
        return cls(name, "ok", detail)

    @classmethod
    def note(cls, name: str, detail: str, advice: str) -> "Check":
        """Something is to be done."""
        return cls(name, "note", detail, advice)

    @classmethod
    def problem(cls, name: str, detail: str, advice: str) -> "Check":
        """Something is broken."""
        return cls(name, "problem", detail, advice)


def executor_checks() -> Iterator[Check]:
    """Those that cannot be loaded; switched off is no fault."""
    found = inventory()
    broken = [info for info in found if info.why.startswith("cannot be loaded")]
    for info in broken:
        yield Check.problem("executors", f"{info.id} {info.why}", "Mend or uninstall its package.")
    if not broken:
        yield Check.ok("executors", f"{len(found)} can be loaded")


def store_checks(store: Store, care: Care, durability: str, *, full: bool) -> Iterator[Check]:
    """Can it be written, is there space, is it set as promised, is the file whole?"""
    position = store.journal.position()
    yield Check.ok("store", f"{care.file or 'open'}, {position} events" if position else "empty")
    try:
        care.probe()
    except StoreReadOnly as error:
        yield Check.problem("store", str(error), "Until then it can only be looked at.")
    else:
        yield Check.ok("store", "can be written")
    yield from _file(care)
    yield from _pragmas(care, durability)
    damage = care.damage(full=full)
    for text in damage:
        yield Check.problem("store", text, "Copy the file away, then restore a backup.")
    if not damage:
        yield Check.ok("store", f"the database finds no damage{'' if full else ' (quick look)'}")


def _file(care: Care) -> Iterator[Check]:
    if care.file is None:
        return
    free = shutil.disk_usage(care.file.parent).free
    detail = f"{free >> 20} MiB free beside it"
    if free < ENOUGH_SPACE:
        yield Check.problem("store", detail, "Free some space: a full disk stops every tree.")
    else:
        yield Check.ok("store", detail)
    mode = stat.S_IMODE(care.file.stat().st_mode)
    if mode & 0o077:
        yield Check.note(
            "store",
            f"others may read or write its file (mode {mode:03o})",
            f"chmod 600 {care.file}",
        )


def state_checks(folder: Path) -> Iterator[Check]:
    """Where the default store and secrets lie: nobody else may look into it."""
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError:
        return  # not made yet, or out of reach: opening the store tells
    if mode & 0o077:
        detail = f"others may look into the state directory (mode {mode:03o})"
        yield Check.note("state", detail, f"chmod 700 {folder}")


def _pragmas(care: Care, durability: str) -> Iterator[Check]:
    facts = care.facts()
    if not facts:
        return
    told = f"journal_mode {facts['journal_mode']}, synchronous {facts['synchronous']}"
    right = facts["journal_mode"] == "wal" and facts["synchronous"] == SYNCHRONOUS[durability]
    if right:
        yield Check.ok("store", f"{told}, as durability {durability!r} needs")
    else:
        yield Check.problem("store", told, "Another program has changed it; open it anew.")


def history_checks(store: Store, care: Care, *, full: bool) -> Iterator[Check]:
    """Do the hash chains hold, and do the rows say what the log says?"""
    trees = list(_trees(store, None if full else SAMPLE))
    which = f"all trees ({len(trees)})" if full else f"the newest trees ({len(trees)})"
    broken = 0
    for view in trees:
        fault = care.verify(view.id)
        if fault is not None:
            broken += 1
            yield Check.problem(
                "history",
                f"tree {view.id}: version {fault[0]}: {fault[1]}",
                "Somebody or something changed the file. Keep a copy; restore a backup.",
            )
    if not broken:
        yield Check.ok("history", f"the hash chains of {which} hold")
    wrong = list(_all_rows(care) if full else _some_rows(store, trees))
    for detail in wrong:
        yield Check.problem("rows", detail, "`apflow rebuild` makes them again from the log.")
    if not wrong:
        yield Check.ok("rows", f"the status of {which} is what the log says")


def _trees(store: Store, limit: int | None) -> Iterator[TreeView]:
    before = None
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = store.reads.trees(before=before, limit=size)
        yield from page
        if len(page) < size:
            return
        before = page[-1].num
        left = None if left is None else left - size


def _all_rows(care: Care) -> Iterator[str]:
    status = care.status()
    if status is not None:
        _, differences = compare(status)
        yield from map(str, differences)


def _some_rows(store: Store, trees: Sequence[TreeView]) -> Iterator[str]:
    for recorded in store.journal.read_all(after=max(0, store.journal.position() - 1), limit=1):
        if store.reads.tree(recorded.tree) is None:
            yield f"tree {recorded.tree} has a history, but no row"
    for view in trees:
        try:
            tree = load(store.journal, view.id)
        except ApflowError as error:
            yield str(error)
            continue
        yield from _differences(store, view, tree)


def _differences(store: Store, view: TreeView, tree: Tree) -> list[str]:
    """What the rows of one tree have otherwise than its log; nothing where it moved meanwhile."""
    found = [*_tree_differences(view, tree), *_task_differences(store, tree)]
    return found if store.tree(view.id).version == view.version else []


def _tree_differences(view: TreeView, tree: Tree) -> Iterator[str]:
    if view.version != tree.version:
        yield f"tree {view.id}: version {view.version}, in the log {tree.version}"
    phase = "settled" if tree.settled else "submitted" if tree.submitted else "draft"
    if view.phase != phase or (tree.settled and view.status != tree.settled):
        yield f"tree {view.id}: {view.phase} {view.status}, in the log {phase} {tree.settled}"


def _task_differences(store: Store, tree: Tree) -> Iterator[str]:
    rows = {task.id: task for task in store.reads.tasks(tree.id, results=False)}
    for task in tree.live():
        row = rows.pop(task.spec.id, None)
        if row is None:
            yield f"task {task.spec.id}: not there"
        elif (row.status, row.attempt) != (task.status, task.attempt):
            yield f"task {task.spec.id}: {row.status}, in the log {task.status}"
    yield from (f"task {id}: there, but not in the log" for id in rows)


def work_checks(store: Store) -> Iterator[Check]:
    """What has not settled: who runs it, and could it be resumed here?"""
    open_trees = store.journal.open_work()
    if not open_trees:
        yield Check.ok("work", "no tree was interrupted")
        return
    alive = owners_alive(store, {tree.engine for tree in open_trees if not tree.released})
    sorted_out: dict[str, list[str]] = {"running": [], "unclear": [], "left": []}
    for tree in open_trees:
        lives = False if tree.released else alive[tree.engine]
        kind = "unclear" if lives is None else "running" if lives else "left"
        sorted_out[kind].append(tree.id)
    if running := sorted_out["running"]:
        yield Check.ok("work", f"{_trees_are(running)} being run")
    if unclear := sorted_out["unclear"]:
        yield Check.note(
            "work",
            f"{_trees_are(unclear)} of engines that cannot be seen from here",
            "If you know them to be dead: apflow resume --take-over",
        )
    if left := sorted_out["left"]:
        yield Check.note("work", f"{_trees_are(left)} interrupted", "apflow resume")
        yield from _missing(store, left[:SAMPLE])


def _trees_are(ids: Sequence[str]) -> str:
    return "1 tree is" if len(ids) == 1 else f"{len(ids)} trees are"


def _missing(store: Store, trees: Sequence[str]) -> Iterator[Check]:
    for id in trees:
        try:
            missing = missing_executors(store.executors, load(store.journal, id))
        except StoreCorrupt:  # told among the histories
            continue
        if missing:
            modules = sorted({module for module in missing.values() if module})
            hint = " ".join(f"--import {module}" for module in modules) or "--import its module"
            yield Check.problem(
                "work",
                f"tree {id} needs {', '.join(sorted(missing))}, not registered here",
                f"apflow resume {hint}",
            )
