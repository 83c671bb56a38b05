"""`apflow cancel`, `pause`, `unpause`, `rerun`, `signal` and `why`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from ...domain.errors import InvalidInput, NotFound
from ...engine.commands import Done
from ...projections.views import TaskView
from .. import steering
from ..steering import command_of, steer
from .console import Console, clean
from .desk import Desk, look_at, settle_in
from .text import clock, count

OVER: Final = ("completed", "failed", "cancelled")


def cancel(console: Console, *, id: str, task: str | None, reason: str, store: str | None) -> int:
    """Cancel a tree or a task."""
    desk = look_at(store)
    tree, task = _place(desk, id, task)
    said = {"task": task, "reason": reason}
    return _conclude(console, desk, tree, "cancelled", _steer(desk, tree, "cancel", said))


def pause(console: Console, *, id: str, reason: str, store: str | None) -> int:
    """Pause a tree."""
    return _simple(console, "pause", "paused", id, reason, store)


def unpause(console: Console, *, id: str, reason: str, store: str | None) -> int:
    """Unpause a tree."""
    return _simple(console, "unpause", "unpaused", id, reason, store)


def _simple(console: Console, name: str, word: str, id: str, reason: str, store: str | None) -> int:
    desk = look_at(store)
    tree = desk.tree_id(id)
    return _conclude(console, desk, tree, word, _steer(desk, tree, name, {"reason": reason}))


def rerun(
    console: Console,
    *,
    id: str,
    start: Sequence[str] | None,
    all_: bool,
    dry_run: bool,
    reason: str,
    store: str | None,
) -> int:
    """Run tasks of a tree again, or say which ones that would be."""
    if start and all_:
        raise InvalidInput("--from and --all exclude each other: all begins everywhere")
    desk = look_at(store)
    tree = desk.tree_id(id)
    way = "from" if start else "all" if all_ else "failed"
    if dry_run:
        return _dry_run(console, desk, tree, way, start or ())
    said = {"way": way, "tasks": list(start or ()), "reason": reason}
    return _conclude(console, desk, tree, "to run again", _steer(desk, tree, "rerun", said))


def _dry_run(console: Console, desk: Desk, tree: str, way: str, start: Sequence[str]) -> int:
    plan = asyncio.run(steering.plan(desk.store, tree, way, start))
    keys = {task.id: task.key for task in desk.store.reads.tasks(tree, results=False)}
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
) -> int:
    """Send a signal to a tree."""
    desk = look_at(store)
    tree = desk.tree_id(id)
    said: dict[str, Any] = {"name": name, "id": signal_id, "payload": _json(payload)}
    done = _steer(desk, tree, "signal", said)
    return _conclude(console, desk, tree, f"told {clean(name)}", done)


def _json(text: str | None) -> Raw | None:
    if text is None:
        return None
    try:
        msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"--payload is not JSON: {error}. Quote strings: '\"yes\"'") from error
    return Raw(text.encode())


def _steer(desk: Desk, tree: str, name: str, said: Mapping[str, Any]) -> Done:
    command = command_of(desk.store, tree, name, said)
    return asyncio.run(steer(desk.store, command))


def _conclude(console: Console, desk: Desk, tree: str, word: str, done: Done) -> int:
    view = desk.store.tree(tree)
    if console.json:
        console.document(
            {"id": tree, "status": view.status, "version": view.version, "paused": view.paused}
        )
        return 0
    console.print(f"tree {tree} {word}: {view.status}, version {done.version}")
    if view.paused:
        console.say(f"nothing of it starts until: {desk.command('unpause', tree)}")
    elif view.phase != "settled" and view.released:
        console.say(f"no engine runs it. {desk.command('resume', tree)}")
    return 0


def _place(desk: Desk, id: str, key: str | None) -> tuple[str, str | None]:
    """The tree, and the task in it, if one is meant."""
    reads = desk.store.reads
    task = None if reads.tree(id) is not None else reads.task(id)
    if task is not None:
        if key is not None:
            raise InvalidInput(f"{id} is a task already; --task belongs to a tree")
        return task.tree_id, task.id
    tree = desk.tree_id(id)
    return tree, None if key is None else _task_of(desk, tree, key).id


def _task_of(desk: Desk, tree: str, key: str) -> TaskView:
    for task in desk.store.reads.tasks(tree, results=False):
        if key in (task.key, task.id):
            return task
    raise NotFound("task", key)


def why(
    console: Console,
    *,
    id: str,
    task: str | None,
    store: str | None,
    imports: Sequence[str] | None,
) -> int:
    """Why tasks run or do not."""
    settle_in(imports, store)
    desk = look_at(store)
    tree, one = _place(desk, id, task)
    tasks = desk.store.reads.tasks(tree, results=False)
    wanted = [t for t in tasks if (t.id == one if one is not None else t.status not in OVER)]
    found = [(t, steering.why(desk.store, t.id)) for t in wanted]
    if console.json:
        items = [{"task_id": t.id, "key": t.key, "status": t.status, **reason}
                 for t, reason in found]  # fmt: skip
        console.document(items[0] if one is not None else {"items": items, "next": None})
        return 0
    for t, reason in found:
        console.print(f"{console.status(t.status)}  {clean(t.key, 80)}: {sentence(reason)}")
    if not found:
        console.say(f"tree {tree} has ended: every task of it has")
    return 0


_SENTENCES: Final = {
    "draft": "its tree was not submitted",
    "dependency": "waits for {on}",
    "group": "waits with its group {on}: {detail}",
    "children": "starts with its first child",
    "blocked": "never starts, because {on} did not complete",
    "paused": "the tree is paused",
    "cancelling": "the tree is being cancelled",
    "unclaimed": "{detail}",
    "retry": "its next attempt starts at {until}",
    "slot": "waits for a free slot",
    "concurrency": "waits for {detail}",
    "running": "runs, {detail}",
    "stopping": "was asked to end, and has not yet",
    "timer": "waits until {until}",
    "signal": "waits for the signal {signal}",
    "completed": "has completed",
    "failed": "has failed: {detail}",
    "cancelled": "was cancelled: {detail}",
    "executor_missing": "its executor is missing: {detail}",
}


def sentence(reason: Mapping[str, str]) -> str:
    """A reason in words."""
    text = _SENTENCES[reason["reason"]].format_map({k: clean(v, 200) for k, v in reason.items()})
    if reason["reason"] == "signal" and "until" in reason:
        text += f", until {clock(reason['until'])}"
    if reason["reason"] in ("timer", "signal") and "detail" in reason:
        text += f"; {reason['detail']}"
    if "deadline" in reason:
        text += f"; it has to be over by {clock(reason['deadline'])}"
    return text
