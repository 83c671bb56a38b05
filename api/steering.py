"""What users ask of trees that exist: cancel, pause, unpause, re-run, signal, and why."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from msgspec import Raw

from ..domain import decide
from ..domain.decide import Plan
from ..domain.errors import ApflowError, NotFound, OwnedElsewhere
from ..domain.tree import Tree
from ..engine.commands import Done, done_of
from ..engine.engine import Engine
from ..engine.lifecycle import load, missing_executors, reopen
from ..engine.mail import PATIENCE, Asked, carry_out
from ..engine.ports import Command
from ..projections.views import TaskView
from .encoding import as_json
from .problems import Unanswered
from .stores import Store
from .wiring import owners_alive

UNDRIVEN = "no engine drives the tree; resume it"
_NEEDS_AN_ENGINE = (
    "slot", "concurrency", "retry", "running", "stopping", "timer", "signal", "unclaimed",
)  # fmt: skip


def command_of(
    store: Store, tree: str, name: str, arguments: Mapping[str, Any], *, id: str | None = None
) -> Command:
    """A command by a user, with a fresh id unless one is given."""
    said = {key: value for key, value in arguments.items() if value is not None}
    encoded = as_json(said, f"what {name} is given")
    at = store.now()
    return Command(id or store.new_id(), tree, name, Raw(encoded), "user", at)


async def steer(store: Store, command: Command, *, patience: float = PATIENCE) -> Done:
    """Have a command carried out, whoever drives the tree; returns once it is durable.

    Raises what refuses it, and `Unanswered` where its owner takes longer than ``patience``
    (seconds).
    """
    engine = store.running_engine()
    if engine is not None:
        done = await _here(store, engine, command)
        if done is not None:
            return done
    async with store.sender() as sender:
        answer = await sender.send(command, patience=patience)
    if isinstance(answer, Asked):
        tree = command.tree
        raise Unanswered(
            f"engine {answer.owner}, which runs tree {tree}, has not answered yet. The command "
            f"{command.id} lies in its inbox and will be carried out."
        )
    return answer


async def _here(store: Store, engine: Engine, command: Command) -> Done | None:
    """By this loop's engine, if it drives the tree, or is to drive it again from its end."""
    async with store.taking(command.tree):
        if command.tree in engine.actors:
            return await carry_out(engine, command)
        view = await asyncio.to_thread(store.tree, command.tree)
        if command.name == "rerun" and view.phase == "settled":
            try:
                return await reopen(engine, command)
            except OwnedElsewhere:
                return None
    return None


def outcome(store: Store, id: str) -> tuple[Command, Done | ApflowError | None] | None:
    """A command that went through the inbox, and what came of it, if anything has. Blocking."""
    inbox = store.inbox
    command = None if inbox is None else inbox.find(id)
    if inbox is None or command is None:
        return None
    found = inbox.outcome(id)
    if found is None:
        return command, None
    try:
        return command, done_of(found)
    except ApflowError as error:
        return command, error


async def plan(store: Store, tree: str, way: str, tasks: Sequence[str] = ()) -> Plan:
    """What a re-run would come to. Writes nothing. Raises what would refuse it."""
    state = await asyncio.to_thread(load, store.journal, tree)
    return decide.plan(state, way, tasks)


def why(store: Store, id: str) -> dict[str, str]:
    """Why a task runs, or does not: `decide.why`, and who drives its tree. Blocking.

    Further reasons: ``executor_missing`` (``detail`` says what to import), ``unclaimed``.
    """
    view = store.reads.task(id)
    if view is None:
        raise NotFound("task", id)
    return _Reasons(store, load(store.journal, view.tree_id)).of(id)


def why_all(store: Store, tree: str, limit: int) -> list[tuple[TaskView, dict[str, str]]]:
    """`why` for the first ``limit`` tasks of a tree that have not ended. Blocking."""
    reasons = _Reasons(store, load(store.journal, tree))
    views = store.reads.tasks(tree, results=False)
    open_ = [view for view in views if view.status in ("pending", "in_progress")]
    return [(view, reasons.of(view.id)) for view in open_[:limit]]


class _Reasons:
    """Reasons for the tasks of one tree; what holds for the whole tree is found out once."""

    def __init__(self, store: Store, tree: Tree) -> None:
        self._store = store
        self._tree = tree

    @cached_property
    def _driven(self) -> bool:
        tree = self._tree
        return not tree.released and (
            owners_alive(self._store, [tree.engine])[tree.engine] is not False
        )

    @cached_property
    def _missing(self) -> dict[str, str]:
        return missing_executors(self._store.executors, self._tree)

    def of(self, id: str) -> dict[str, str]:
        tree = self._tree
        found = decide.why(tree, id)
        if found["reason"] not in _NEEDS_AN_ENGINE:
            return found
        if self._driven:
            return found | {"engine": tree.engine}
        if found["reason"] in ("timer", "signal"):
            return found | {"detail": UNDRIVEN}
        task = tree.task(id)
        executor = None if task is None else tree.executor_of(task)
        if executor in self._missing:
            module = self._missing[executor]
            hint = f"--import {module}" if module else "import its module"
            detail = f"the executor {executor!r} is not registered here; {hint}"
            return {"reason": "executor_missing", "detail": detail}
        return {"reason": "unclaimed", "detail": UNDRIVEN}
