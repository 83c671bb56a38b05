"""Trees as clients write them, into the store: once, whoever drives them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import sha256
from typing import Any

from ..domain.errors import (
    Fault,
    IdTaken,
    InvalidGraph,
    InvalidInput,
    KeyTaken,
    NotADraft,
    StaleVersion,
    VersionMismatch,
)
from ..domain.events import TasksAdded, TreeCreated, TreeSubmitted
from ..domain.intake import Intake, read
from ..domain.specs import Request
from ..domain.webhooks import Hook
from ..engine.lifecycle import NewTree, create
from ..engine.lifecycle import submit as submit_draft
from ..engine.submission import require_version
from .documents import Submitted as Submitted
from .stores import Store
from .webhooks import announced, hooks_of, registered
from .written import HOOKS_NEED_A_SERVER as HOOKS_NEED_A_SERVER
from .written import Written as Written
from .written import named
from .written import options as options
from .written import parse as parse

FEW = 500
"""So many tasks are looked at in the loop's own thread."""
LARGE = 64 * 1024
"""Bytes of JSON that are read beside the loop, which has others to serve."""
CREATING = ("tree.created", "tasks.added", "tree.submitted")


class KeyMisused(InvalidInput):
    """An idempotency key came again with another body."""


def request_of(owner: str | None, key: str, body: bytes) -> Request:
    """What makes a request one and the same: its owner, its key, and what it says."""
    return Request(sha256(f"{owner or ''}\0{key}".encode()).hexdigest(), sha256(body).hexdigest())


async def understood(
    body: bytes, owner: str | None, key: str | None
) -> tuple[Written, Request | None]:
    """What a body asks for, and the request that it makes with an idempotency key.

    Raises what `parse` raises.
    """

    def read() -> tuple[Written, Request | None]:
        return parse(body), request_of(owner, key, body) if key else None

    return read() if len(body) < LARGE else await asyncio.to_thread(read)


async def submit(
    store: Store,
    written: Written,
    *,
    owner: str | None,
    request: Request | None = None,
    drive: bool = True,
    admin: bool = False,
    hooks: Sequence[Hook] = (),
) -> Submitted:
    """Make the tree, and start it unless it is to stay a draft; returns once that is durable.

    ``hooks`` are told of it, beside those that are written with it.

    With ``request`` at most one tree is made of it; asked again, the answer is the same. Without
    ``drive``, or without an engine in this loop, any engine of the store takes it up. Only an
    ``admin`` may make trees for others. Raises `InvalidInput`, `KeyMisused`, `IdTaken` where an id
    is that of another task of the same owner, or `InvalidGraph` with all faults.
    """
    if request is not None:
        found = await store.look(of_request, store, request)
        if found is not None:
            return found
    registered = store.executors.module_of if written.start else None
    intake = await _read(store, written, registered)
    if admin and intake.owner is not None:
        owner = named(intake.owner, "user_id")
    elif intake.owner not in (None, owner):
        message = "its tasks name another user_id than the caller's; leave it out"
        raise InvalidGraph([Fault("other_owner", "", message)])
    named(written.name)
    hooks = (*hooks, *hooks_of(written.webhooks))
    try:
        async with _new_here(store, intake, owner), announced(store, hooks, request) as request:
            return await _make(store, written, intake, owner, request, drive)
    except KeyTaken:
        assert request is not None
        found = await asyncio.to_thread(of_request, store, request)
        if found is None:
            raise
        return found


@asynccontextmanager
async def _new_here(store: Store, intake: Intake, owner: str | None) -> AsyncIterator[None]:
    """Holds the id of a root that its caller chose: of several at once the first one has it, and
    the others are told as if they had come later.
    """
    root = next((spec.id for spec in intake.specs if spec.parent is None), "")
    if root not in intake.given:
        if intake.given:
            await _require_new(store, intake.given, owner)
        yield
        return
    async with store.taking(root):
        await _require_new(store, intake.given, owner)
        yield


async def _require_new(store: Store, ids: Sequence[str], owner: str | None) -> None:
    """Ids that others use are replaced by fresh ones; one's own are a mistake to be told of."""
    look = store.look if len(ids) <= FEW else asyncio.to_thread
    found = await look(store.reads.owner_and_tree, ids)
    if own := [id for id, (of, _) in found.items() if of == owner]:
        raise IdTaken(own)


async def _read(store: Store, written: Written, registered: Any) -> Intake:
    if sum(len(memoryview(task)) for task in written.tasks) < LARGE:
        return read(written.tasks, store.new_id, registered)
    return await asyncio.to_thread(read, written.tasks, store.new_id, registered)


async def _make(
    store: Store,
    written: Written,
    intake: Intake,
    owner: str | None,
    request: Request | None,
    drive: bool,
) -> Submitted:
    root = next((spec for spec in intake.specs if spec.parent is None), None)
    name = written.name or ("" if root is None else root.name)
    engine = store.running_engine() if drive else None
    settings = options(written.limit, written.demo)
    if not written.start:
        made = Intake(intake.specs, owner)
        tree = await asyncio.to_thread(store.create_draft, made, name, settings, request)
        return await asyncio.to_thread(submitted, store, tree.id)
    if engine is None:
        tree = await asyncio.to_thread(
            store.unclaimed.create,
            intake.specs, name=name, owner=owner, options=settings, request=request,
        )  # fmt: skip
        return await asyncio.to_thread(submitted, store, tree.id)
    actor = await create(
        engine, NewTree(intake.specs, name, owner, settings, request), store.new_id
    )
    assert actor.submission is not None, "it was submitted with its creation"
    version, at = actor.submission
    tasks = {task.spec.label: task.spec.id for task in actor.tree.live()}
    return Submitted(actor.tree.id, name, version, False, owner, at, tasks)


async def start(
    store: Store,
    id: str,
    *,
    drive: bool = True,
    demo: bool = False,
    hooks: Sequence[Hook] = (),
    if_version: int | None = None,
) -> int:
    """Submit a draft, with ``demo`` for show only; returns the tree's version behind it. Twice
    changes nothing. ``hooks`` are told of it from here on, unless it has settled or is refused.

    Raises `NotFound`, `InvalidGraph`, `NotADraft` where it was adopted, or `VersionMismatch` where
    it is not at ``if_version`` when it is submitted.
    """
    view = await asyncio.to_thread(store.tree, id)
    require_version(view, if_version)  # else hooks would be registered for nothing
    async with registered(store, view, hooks if view.phase != "settled" else ()):
        return await _started(store, id, drive, demo, if_version)


async def _started(store: Store, id: str, drive: bool, demo: bool, if_version: int | None) -> int:
    with suppress(NotADraft):
        try:
            await _submit(store, id, drive, demo, if_version)
        except (StaleVersion, VersionMismatch):  # by what was kept of it; now what is stored counts
            await _submit(store, id, drive, demo, if_version)
        return (await asyncio.to_thread(store.tree, id)).version
    view = await asyncio.to_thread(store.tree, id)
    if view.phase == "adopted":
        raise NotADraft(id)
    require_version(view, if_version)
    return view.version


async def _submit(store: Store, id: str, drive: bool, demo: bool, if_version: int | None) -> None:
    engine = store.running_engine() if drive else None
    if engine is None:
        submit = partial(store.unclaimed.submit, id, demo=demo, if_version=if_version)
        await asyncio.to_thread(submit)
        return
    async with store.taking(id):  # who comes second finds no draft
        tree = await asyncio.to_thread(store.drafts.hand_over, id)
        require_version(tree, if_version)
        await submit_draft(engine, tree, strict=True, demo=demo)


def of_request(store: Store, request: Request) -> Submitted | None:
    """What came of this request, if it was made before. Blocking. Raises `KeyMisused`."""
    view = store.reads.tree_of_request(request.key)
    if view is None:
        return None
    created = next(iter(store.journal.read(view.id, limit=1))).event
    assert isinstance(created, TreeCreated)
    if created.request is None or created.request.body != request.body:
        raise KeyMisused(
            "this idempotency key came before with another body. Use a new key for a new tree; "
            "send exactly the same body again to learn what became of the former one."
        )
    return submitted(store, view.id)


def submitted(store: Store, id: str) -> Submitted:
    """The tree as its own command left it: submitted, or else a draft as it was created."""
    version, tasks = 0, dict[str, str]()
    created: TreeCreated | None = None
    draft = True
    for recorded in store.reads.history(id, topics=CREATING):
        event = recorded.event
        if isinstance(event, TreeCreated):
            created = event
        elif created is None or event.at != created.at:
            break  # another command's
        elif isinstance(event, TreeSubmitted):
            draft, version = False, recorded.version
            break
        elif not isinstance(event, TasksAdded):
            break
        version = recorded.version
        tasks.update((spec.label, spec.id) for spec in event.specs)
    assert created is not None, "a stream begins with tree.created"
    return Submitted(id, created.name, version, draft, created.owner, created.at, tasks)
