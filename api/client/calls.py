"""What can be asked of a server: each request, as both clients send it."""

import secrets
from collections.abc import Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Raw

from ...domain.errors import InvalidInput
from ..documents import (
    Accepted,
    CommandState,
    ExecutorDocument,
    Health,
    PlanDocument,
    Submitted,
    TaskDocument,
    TaskInFull,
    TreeDocument,
    Why,
)
from ..encoding import as_json
from ..told import Event, event_of
from .building import (
    JSON,
    commanding,
    get,
    given,
    items_of,
    listed,
    of_task,
    of_tree,
    reading,
    safe,
)
from .types import Call, Some
from .written import Tree, written

T = TypeVar("T")
PAGE: Final = 500
MAX_KEY: Final = 255
SUBMIT_SECONDS: Final = 60.0
"""A repetition may have to wait for the first; and large trees are looked at for long."""


def submit(
    tree: Tree,
    *,
    name: str | None = None,
    limit: int | None = None,
    start: bool = True,
    idempotency_key: str | None = None,
) -> Call[Submitted]:
    """Make a tree and start it; ``start`` false: it stays a draft."""
    beside: dict[str, Any] = {} if start else {"start": False}
    beside |= {k: v for k, v in (("name", name), ("limit", limit)) if v is not None}
    key = secrets.token_urlsafe(24) if idempotency_key is None else idempotency_key
    if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise InvalidInput(f"an idempotency key is 1 to {MAX_KEY} printable ASCII characters")
    headers = {**JSON, "Idempotency-Key": key}
    return Call(
        method="POST", path="/v1/trees", read=reading(Submitted), body=written(tree, beside),
        headers=headers, repeatable=True, takes=SUBMIT_SECONDS,
    )  # fmt: skip


def trees(
    *,
    status: str | None = None,
    user: str | None = None,
    name: str | None = None,
    executor: str | None = None,
    error: str | None = None,
    since: str | None = None,
    until: str | None = None,
    draft: bool = False,
    id_prefix: str | None = None,
    after: str | None = None,
    page: int = PAGE,
) -> Call[Some[TreeDocument]]:
    """A page of trees, newest first; of ``id_prefix`` those whose ids begin so."""
    return get(
        "/v1/trees", Some[TreeDocument],
        status=status, user=user, name=name, executor=executor, error=error, since=since,
        until=until, draft="true" if draft else None, id_prefix=id_prefix, after=after, limit=page,
    )  # fmt: skip


def tree(
    id: str, *, at_version: int | None = None, at: str | None = None, wait: float = 0.0
) -> Call[TreeDocument]:
    """A tree as it stands or stood; with ``wait`` once it has settled, or after so many seconds."""
    call = get(of_tree(id), TreeDocument, at_version=at_version, at=at)
    if wait < 1:
        return call
    prefer = {"Prefer": f"wait={int(wait)}"}
    return msgspec.structs.replace(call, headers=prefer, takes=wait)


def tasks(
    id: str,
    *,
    status: str | None = None,
    at_version: int | None = None,
    at: str | None = None,
    after: str | None = None,
    page: int = PAGE,
) -> Call[Some[TaskDocument]]:
    """A page of the tasks of a tree, in the order of their creation."""
    return get(
        of_tree(id, "tasks"), Some[TaskDocument],
        status=status, at_version=at_version, at=at, after=after, limit=page,
    )  # fmt: skip


def task(id: str, *, at_version: int | None = None, at: str | None = None) -> Call[TaskInFull]:
    """A task with all its attempts, as it stands or stood at a version, or a time, of its tree."""
    return get(of_task(id), TaskInFull, at_version=at_version, at=at)


def events(
    id: str,
    *,
    after: int | str | None = None,
    types: Sequence[str] | None = None,
    order: str = "asc",
    at_version: int | None = None,
    at: str | None = None,
    page: int = PAGE,
) -> Call[Some[Event]]:
    """A page of the history of a tree."""
    call = get(
        of_tree(id, "events"), Some[Raw],
        after=after, types=listed(types), order=order, at_version=at_version, at=at, limit=page,
    )  # fmt: skip
    raw = call.read

    def read(body: bytes) -> Some[Event]:
        found = raw(body)
        return Some([event_of(raw) for raw in found.items], found.next)

    return Call(method=call.method, path=call.path, read=read, params=call.params, repeatable=True)


def stream(id: str, *, after: int, types: Sequence[str] | None) -> Call[None]:
    """The events of a tree as they come."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if after:
        headers["Last-Event-ID"] = str(after)
    return Call(
        method="GET", path=of_tree(id, "stream"), read=lambda body: None, headers=headers,
        params=given(types=listed(types)), repeatable=True,
    )  # fmt: skip


def start(id: str, *, if_version: int | None = None) -> Call[Accepted]:
    """Start a draft."""
    return commanding(of_tree(id, "start"), {}, if_version)


def cancel(id: str, *, reason: str = "", if_version: int | None = None) -> Call[Accepted]:
    """Cancel a tree."""
    return commanding(of_tree(id, "cancel"), {"reason": reason}, if_version)


def cancel_task(id: str, *, reason: str = "", if_version: int | None = None) -> Call[Accepted]:
    """Cancel a task, by its id; ``if_version`` is its tree's."""
    return commanding(of_task(id, "cancel"), {"reason": reason}, if_version)


def pause(id: str, *, reason: str = "", if_version: int | None = None) -> Call[Accepted]:
    """Start nothing new of a tree."""
    return commanding(of_tree(id, "pause"), {"reason": reason}, if_version)


def unpause(id: str, *, reason: str = "", if_version: int | None = None) -> Call[Accepted]:
    """Let a paused tree go on."""
    return commanding(of_tree(id, "unpause"), {"reason": reason}, if_version)


def rerun(
    id: str,
    *,
    mode: str = "failed",
    tasks: Sequence[str] = (),
    reason: str = "",
    if_version: int | None = None,
) -> Call[Accepted]:
    """Run tasks again: ``mode`` is failed, all, or from, with ids or keys in ``tasks``."""
    said = {"mode": mode, "tasks": list(tasks), "reason": reason}
    return commanding(of_tree(id, "rerun"), said, if_version)


def rerun_task(id: str, *, reason: str = "", if_version: int | None = None) -> Call[Accepted]:
    """Run a task again, by its id, and all that depends on it."""
    return commanding(of_task(id, "rerun"), {"reason": reason}, if_version)


def plan(id: str, *, mode: str = "failed", tasks: Sequence[str] = ()) -> Call[PlanDocument]:
    """What a re-run would come to. Changes nothing."""
    body = as_json({"mode": mode, "tasks": list(tasks), "dry_run": True}, "the plan")
    return Call(
        method="POST", path=of_tree(id, "rerun"), read=reading(PlanDocument), body=body,
        headers=JSON, repeatable=True,
    )  # fmt: skip


def signal(
    id: str,
    name: str,
    payload: Any = UNSET,
    *,
    signal_id: str | None = None,
    if_version: int | None = None,
) -> Call[Accepted]:
    """Tell a tree what a task of it waits for. With an id, by default a random one, it counts once,
    however often it is sent. ``payload``, if given, is that task's result.
    """
    said = {"name": name, "id": signal_id or secrets.token_urlsafe(24), "payload": payload}
    said = {key: value for key, value in said.items() if value is not UNSET}
    call = commanding(of_tree(id, "signals"), said, if_version)
    return msgspec.structs.replace(call, repeatable=if_version is None)


def command(id: str) -> Call[CommandState]:
    """What became of a command that another engine had to carry out."""
    return get("/v1/commands/" + safe("command", id), CommandState)


def why(id: str) -> Call[list[Why]]:
    """Why each task of a tree that has not ended runs or does not."""
    return items_of(get(of_tree(id, "why"), Some[Why]))


def why_task(id: str) -> Call[Why]:
    """Why a task runs or does not."""
    return get(of_task(id, "why"), Why)


def executors() -> Call[list[ExecutorDocument]]:
    """What tasks can name."""
    return items_of(get("/v1/executors", Some[ExecutorDocument]))


def executor(id: str) -> Call[ExecutorDocument]:
    """One of them, with its schemas."""
    return get("/v1/executors/" + quote(id, safe=""), ExecutorDocument)


def health() -> Call[Health]:
    """Whether the server takes work on, and why not."""
    return msgspec.structs.replace(get("/readyz", Health), fine=(503,))


def alive() -> Call[Health]:
    """Whether it answers at all. Needs no token."""
    return get("/livez", Health)
