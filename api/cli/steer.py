"""`apflow cancel`, `pause`, `unpause`, `rerun` and `signal`."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from ...domain.errors import InvalidInput
from .choosing import source_of
from .console import Console, clean
from .placing import place
from .source import Source, Steered
from .text import count


def cancel(
    console: Console,
    *,
    id: str,
    task: str | None,
    reason: str,
    store: str | None,
    server: str | None,
) -> int:
    """Cancel a tree or a task."""
    with source_of(store, server) as source:
        tree, task = place(source, id, task)
        done = source.steer(tree, "cancel", {"task": task, "reason": reason})
        return _conclude(console, source, "cancelled", done)


def pause(console: Console, *, id: str, reason: str, store: str | None, server: str | None) -> int:
    """Pause a tree."""
    with source_of(store, server) as source:
        done = source.steer(source.tree_id(id), "pause", {"reason": reason})
        return _conclude(console, source, "paused", done)


def unpause(
    console: Console, *, id: str, reason: str, store: str | None, server: str | None
) -> int:
    """Unpause a tree."""
    with source_of(store, server) as source:
        done = source.steer(source.tree_id(id), "unpause", {"reason": reason})
        return _conclude(console, source, "unpaused", done)


def rerun(
    console: Console,
    *,
    id: str,
    start: Sequence[str] | None,
    all_: bool,
    dry_run: bool,
    reason: str,
    store: str | None,
    server: str | None,
) -> int:
    """Run tasks of a tree again, or say which ones that would be."""
    if start and all_:
        raise InvalidInput("--from and --all exclude each other: all begins everywhere")
    way = "from" if start else "all" if all_ else "failed"
    with source_of(store, server) as source:
        tree = source.tree_id(id)
        if dry_run:
            return _dry_run(console, source, tree, way, start or ())
        said = {"way": way, "tasks": list(start or ()), "reason": reason}
        return _conclude(console, source, "to run again", source.steer(tree, "rerun", said))


def _dry_run(console: Console, source: Source, tree: str, way: str, start: Sequence[str]) -> int:
    plan = source.plan(tree, way, start)
    keys = {task.id: task.key for task in source.outline(tree)}
    runs, kept = ([keys[id] for id in ids] for ids in (plan.runs, plan.kept))
    if console.json:
        console.document({"id": tree, "runs": runs, "kept": kept})
        return 0
    for key in runs:
        console.print(f"runs  {clean(key)}")
    for key in kept:
        console.print(f"kept  {clean(key)}")
    console.say(f"nothing was changed; {count(len(runs), 'task')} would run")
    return 0


def signal(
    console: Console,
    *,
    id: str,
    name: str,
    payload: str | None,
    signal_id: str | None,
    store: str | None,
    server: str | None,
) -> int:
    """Send a signal to a tree."""
    said: dict[str, Any] = {"name": name, "id": signal_id, "payload": _json(payload)}
    with source_of(store, server) as source:
        done = source.steer(source.tree_id(id), "signal", said)
        return _conclude(console, source, f"told {clean(name)}", done)


def _json(text: str | None) -> Raw | None:
    if text is None:
        return None
    try:
        msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"--payload is not JSON: {error}. Quote strings: '\"yes\"'") from error
    return Raw(text.encode())


def _conclude(console: Console, source: Source, word: str, done: Steered) -> int:
    tree = done.tree
    if console.json:
        console.document(
            {"id": tree.id, "status": tree.status, "version": tree.version, "paused": tree.paused}
        )
        return 0
    console.print(f"tree {tree.id} {word}: {tree.status}, version {done.version}")
    if tree.paused:
        console.say(f"nothing of it starts until: {source.command('unpause', tree.id)}")
    elif done.undriven:
        console.say(f"no engine runs it. {source.command('resume', tree.id)}")
    return 0
