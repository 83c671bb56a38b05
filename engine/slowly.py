"""Preparing what takes its time: large results are fetched and hooks have their say."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from ..domain import decide
from ..domain.decide.attempts import is_running
from ..domain.errors import ApflowError, NewerEvent, StoreCorrupt, StoreError
from ..domain.specs import ErrorInfo
from ..domain.tree import Completed, Task
from .actor import Actor
from .attempt import Attempt
from .defects import tell
from .dispatch import Dispatch, Key
from .ports import Kind
from .prepare import Ready
from .turn import Turn

if TYPE_CHECKING:
    from .engine import Engine
    from .starting import Starter

ASK_AGAIN = 0.5
"""Seconds until a store is asked again that could not be read."""


class Slowly:
    """Prepares attempts beside the turns; they hold their slots meanwhile."""

    def __init__(self, engine: "Engine", starter: "Starter", dispatch: Dispatch) -> None:
        self._engine = engine
        self._starter = starter
        self._dispatch = dispatch

    def prepare(self, actor: Actor, task: Task, kind: Kind, keys: tuple[Key, ...]) -> None:
        """Start the task once all is there."""
        waiting = self._engine.in_background(self._prepare(actor, task, kind, keys))
        actor.preparing[task.n] = (waiting, keys)

    def reattach(self, actor: Actor, task: Task, kind: Kind, keys: tuple[Key, ...]) -> None:
        """Ask the executor for the attempt that began before."""
        waiting = self._engine.in_background(self._reattach(actor, task, kind, keys))
        actor.preparing[task.n] = (waiting, keys)

    async def _prepare(self, actor: Actor, task: Task, kind: Kind, keys: tuple[Key, ...]) -> None:
        changed: Raw | None = None
        ready = Ready(None)
        given = actor.given(task)
        try:
            ready = await self._with_blobs(actor, task, kind, task.attempt + 1)
            given = actor.given(task)
            preparer = self._starter.preparer
            if ready.call is not None and preparer.has_hooks:
                inputs = await preparer.hooks(ready.call)
                if inputs is not None:
                    changed = Raw(msgspec.json.encode(inputs))
                    ready.call = msgspec.structs.replace(ready.call, inputs=inputs)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            this = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and this is not None and this.cancelling():
                raise  # by `take_back`, which has freed the slots
            text = str(error) or "a pre-hook cancelled itself"
            ready = Ready(None, ErrorInfo(type(error).__name__, text))

        def decision(turn: Turn) -> tuple[Actor | None, None]:
            if actor.preparing.pop(task.n, None) is None:
                return None, None  # taken back meanwhile
            begun = False
            try:
                if self._is_current(ready, actor, task, given):
                    begun = self._begin(turn, actor, task, ready, keys, changed)
                else:
                    self._engine.soon(actor, task.n)
            finally:
                if not begun:
                    self._dispatch.free(keys)
            return actor, None

        self._engine.post(decision, tree=actor.tree.id)

    def _is_current(
        self, ready: Ready, actor: Actor, task: Task, given: Sequence[Completed]
    ) -> bool:
        """Whether it is still the next attempt, its inputs come from what is completed now, and
        anything may start at all.
        """
        call = ready.call
        if call is not None and (call.generation, call.attempt) != (
            task.generation,
            task.attempt + 1,
        ):
            return False
        now = actor.given(task)
        same = len(now) == len(given) and all(a is b for a, b in zip(now, given, strict=True))
        return same and not self._starter.held

    def _begin(
        self, turn: Turn, actor: Actor, task: Task, ready: Ready, keys: tuple[Key, ...],
        changed: Raw | None,
    ) -> bool:  # fmt: skip
        """Start it, unless something else has happened to it meanwhile: whether it was."""
        starter = self._starter
        if not starter.is_startable(actor, task.n):
            return False
        if ready.call is None:
            starter.refuse(turn, actor, task, ready.fault or ErrorInfo("not_prepared", ""))
            return False
        if task.spec.policy.concurrency is not None and actor in turn.provisional:
            self._engine.soon(actor, task.n)
            return False
        starter.launch(turn, actor, task, ready.call, keys, changed)
        return True

    async def _reattach(self, actor: Actor, task: Task, kind: Kind, keys: tuple[Key, ...]) -> None:
        try:
            ready = await self._with_blobs(actor, task, kind, task.attempt)
        except ApflowError:  # the next attempt will tell of it
            ready = Ready(None)
        except Exception as error:  # noqa: BLE001 - else its slots were never given back
            tell(self._engine, f"a defect showed in tree {actor.tree.id}", error)
            ready = Ready(None)

        def decision(turn: Turn) -> tuple[Actor | None, None]:
            if actor.preparing.pop(task.n, None) is None:
                return None, None
            if ready.call is None or not is_running(task, task.attempt):
                self._dispatch.free(keys)
                stamp = turn.stamp(actor)
                actor.apply(decide.lost(actor.tree, task.spec.id, task.attempt, stamp))
                return actor, None
            call = msgspec.structs.replace(ready.call, reattach=True)
            self._starter.activate(call, keys)
            turn.launches.append((actor, call, task.spec.policy))
            return actor, None

        self._engine.post(decision, tree=actor.tree.id)

    async def _read(self, hash: str) -> bytes:
        """A large result; a store that is away is asked again, as long as it takes."""
        while True:
            try:
                return await asyncio.to_thread(self._engine.journal.read_blob, hash)
            except StoreError as error:
                if isinstance(error, StoreCorrupt | NewerEvent):
                    raise
            await asyncio.sleep(ASK_AGAIN)

    async def _with_blobs(self, actor: Actor, task: Task, kind: Kind, attempt: int) -> Ready:
        """The call, its large results at hand whatever the actor lets go meanwhile."""
        held: dict[str, bytes] = {}
        for hash in actor.blobs_of(task):
            known = actor.blob(hash)
            held[hash] = await self._read(hash) if known is None else known
        port = Attempt(self._engine, actor, task, attempt)
        return self._starter.preparer.prepare(actor, task, kind, port, held, attempt=attempt)
