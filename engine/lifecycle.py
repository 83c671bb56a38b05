"""How trees come into an engine's hands: created, submitted, or taken up again after a restart."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

from ..domain import decide
from ..domain.errors import (
    ApflowError,
    Defect,
    ExecutorMissing,
    IdTaken,
    OwnedElsewhere,
    StaleVersion,
)
from ..domain.intake import NewId, fresh
from ..domain.specs import Request, TaskSpec, TreeOptions
from ..domain.tree import Tree
from .actor import Actor, Observer
from .commands import Done, decide_command, outcome_of, require_version
from .defects import tell
from .engine import Engine
from .loading import load
from .ports import Command, Executors, OpenTree
from .submission import require_waitable, submission
from .turn import Turn

__all__ = [
    "NewTree",
    "Resumed",
    "create",
    "load",
    "missing_executors",
    "reopen",
    "resume",
    "submit",
    "take",
]

AT_ONCE = 16
"""So many trees are replayed and claimed side by side."""


class NewTree(Struct, frozen=True):
    """A tree to be created and run at once."""

    specs: Sequence[TaskSpec]
    name: str
    owner: str | None = None
    options: TreeOptions = TreeOptions()
    request: Request | None = None


class Resumed(Struct):
    """What came of a resume: the trees taken up, and for each other one, why not."""

    taken: list[Actor]
    refused: dict[str, ApflowError]


def _unobserved(id: str) -> Sequence[Observer]:
    return ()


async def create(
    engine: Engine,
    new: NewTree,
    new_id: NewId,
    *,
    strict: bool = True,
    observers: Sequence[Observer] = (),
) -> Actor:
    """Create, submit and claim a tree, and start what is ready: one transaction.

    With ``strict`` a task without a registered executor refuses the tree; else it fails when its
    turn comes. ``observers`` hear of every commit, this one included. When an id is taken, the
    whole tree gets fresh ids, keys kept. Raises `InvalidGraph`.
    """
    specs = new.specs
    while True:
        try:
            return await _create(engine, specs, new, new_id(), strict, observers)
        except IdTaken:
            specs = fresh(specs, new_id)


async def _create(
    engine: Engine,
    specs: Sequence[TaskSpec],
    new: NewTree,
    uid: str,
    strict: bool,
    observers: Sequence[Observer],
) -> Actor:
    root = next((spec.id for spec in specs if spec.parent is None), None)

    def decision(turn: Turn) -> tuple[Actor, Actor]:
        tree = Tree(root or "")
        actor = Actor(tree, observers)
        actor.apply(
            decide.create(
                specs, turn.stamp_for(actor, "user"), uid=uid, name=new.name, owner=new.owner,
                options=new.options, request=new.request,
            )
        )  # fmt: skip
        _submit(engine, turn, actor, strict)
        if tree.id in engine.actors:
            raise IdTaken([tree.id])
        engine.adopt(actor)
        turn.payload += sum(len(bytes(spec.inputs)) for spec in specs)
        return actor, actor

    actor: Actor = await engine.command(decision)
    return actor


async def submit(
    engine: Engine,
    tree: Tree,
    *,
    strict: bool = False,
    demo: bool = False,
    observers: Sequence[Observer] = (),
) -> Actor:
    """Submit and claim a stored draft, and start what is ready: one transaction."""

    def decision(turn: Turn) -> tuple[Actor, Actor]:
        _refuse_second(engine, tree)
        actor = Actor(tree, observers)
        _submit(engine, turn, actor, strict, demo)
        engine.adopt(actor)
        return actor, actor

    actor: Actor = await engine.command(decision, tree=tree.id)
    return actor


def _refuse_second(engine: Engine, tree: Tree) -> None:
    """A tree has one actor; a second one would only be fenced by the first."""
    if tree.id in engine.actors:
        raise OwnedElsewhere(tree.id, engine.name)


def _submit(engine: Engine, turn: Turn, actor: Actor, strict: bool, demo: bool = False) -> None:
    tree = actor.tree
    asked = turn.stamp_for(actor, "user")
    actor.apply(submission(engine.executors, tree, asked, strict=strict, demo=demo))
    require_waitable(engine.executors, tree)
    actor.submission = tree.version, asked.at
    actor.apply(decide.claim(tree, engine.name, turn.stamp(actor)))


async def reopen(engine: Engine, command: Command, *, left: bool = False) -> Done:
    """Carry out a re-run of a tree that has settled, and drive it from here on.

    One transaction, with its outcome where it was ``left`` in the inbox. Raises what refuses it,
    `OwnedElsewhere` where the tree goes on already.
    """
    while True:
        tree = await asyncio.to_thread(load, engine.journal, command.tree)
        if not tree.settled:
            raise OwnedElsewhere(tree.id, tree.engine)

        def decision(turn: Turn, tree: Tree = tree) -> tuple[Actor, int]:
            _refuse_second(engine, tree)
            require_version(tree, command)
            actor = Actor(tree)
            stamp = turn.stamp_for(actor, command.by, command.id)
            actor.apply(decide_command(tree, command, stamp, engine.executors))
            if missing := missing_executors(engine.executors, tree):
                raise ExecutorMissing(tree.id, missing)
            version = tree.version
            if left:
                actor.answer(command.id, outcome_of(version))
            actor.apply(decide.claim(tree, engine.name, turn.stamp(actor)))
            engine.take_up(actor)
            return actor, version

        try:
            return Done(await engine.command(decision, tree=tree.id))
        except StaleVersion:
            continue  # somebody else wrote meanwhile


async def resume(
    engine: Engine,
    ids: Collection[str] | None = None,
    *,
    take_over: bool = False,
    observers: Callable[[str], Sequence[Observer]] = _unobserved,
) -> Resumed:
    """Take up every interrupted tree, or those named, by claim and replay.

    Trees of living engines are left alone unless ``take_over``; so are trees whose unfinished
    tasks need executors that are not registered here. Nothing fails by being left.
    """
    done = Resumed([], {})
    todo = [
        tree
        for tree in await asyncio.to_thread(engine.journal.open_work)
        if tree.id not in engine.actors and (ids is None or tree.id in ids)
    ]

    async def one(tree: OpenTree) -> None:
        try:
            done.taken.append(await take(engine, tree, take_over, observers))
        except ApflowError as error:
            done.refused[tree.id] = error
        except Exception as error:  # noqa: BLE001 - the others are to be taken up
            tell(engine, f"a defect showed in tree {tree.id}", error)
            done.refused[tree.id] = Defect(tree.id)

    for i in range(0, len(todo), AT_ONCE):
        await asyncio.gather(*map(one, todo[i : i + AT_ONCE]))
    return done


async def take(
    engine: Engine,
    open_tree: OpenTree,
    take_over: bool = False,
    observers: Callable[[str], Sequence[Observer]] = _unobserved,
) -> Actor:
    """Claim it. Open work may be old: whose it is now says the log, and the claim's own commit."""
    id = open_tree.id
    if not take_over:
        await asyncio.to_thread(_require_free, engine, id, open_tree.engine, open_tree.released)
    while True:
        tree = await asyncio.to_thread(load, engine.journal, id, keep=True)
        if not take_over:
            await asyncio.to_thread(_require_free, engine, id, tree.engine, tree.released)
        try:
            return await _claim(engine, tree, observers(id))
        except StaleVersion:
            continue  # somebody else wrote meanwhile


def is_undriven(engine: Engine, id: str, owner: str) -> bool:
    """Whether the tree is claimed by this very engine, which has had to drop it all the same.

    As when it let go of it while the store could not be told.
    """
    return owner == engine.name and id not in engine.actors and id not in engine.leaving


def _require_free(engine: Engine, id: str, owner: str, released: bool) -> None:
    if released or is_undriven(engine, id, owner):
        return
    if engine.liveness.alive(owner) is not False:
        raise OwnedElsewhere(id, owner)


async def _claim(engine: Engine, tree: Tree, observers: Sequence[Observer]) -> Actor:
    missing = missing_executors(engine.executors, tree)
    if missing:
        raise ExecutorMissing(tree.id, missing)

    def decision(turn: Turn) -> tuple[Actor, Actor]:
        _refuse_second(engine, tree)
        actor = Actor(tree, observers)
        keep = {n for n in tree.running if engine.starter.reattaches(actor, n)}
        actor.apply(decide.claim(tree, engine.name, turn.stamp(actor), keep=keep))
        engine.take_up(actor)
        return actor, actor

    actor: Actor = await engine.command(decision, tree=tree.id)
    return actor


def missing_executors(executors: Executors, tree: Tree) -> dict[str, str]:
    """Executors that unfinished tasks need and this process lacks, with their modules."""
    registered = executors.module_of
    absent = {n for n, ref in enumerate(tree.executors) if registered(ref.id) is None}
    if not absent:
        return {}
    needed = {
        task.kind
        for task in tree.live()
        if task.kind in absent and not task.blocked and not task.is_over
    }  # fmt: skip
    return {tree.executors[n].id: tree.executors[n].module for n in needed}
