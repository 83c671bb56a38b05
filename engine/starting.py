"""From ready tasks to calls: slots are taken, inputs prepared, the start goes into the turn."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from ..domain import decide
from ..domain.specs import ErrorInfo
from ..domain.tree import Task
from .actor import Actor
from .attempt import Attempt
from .dispatch import Dispatch, Entry, Key
from .ports import Backend, Call, Executors, Kind
from .prepare import Preparer
from .turn import Turn

if TYPE_CHECKING:
    from .engine import Engine


class _Active(Struct):
    """An attempt that holds slots."""

    call: Call
    keys: tuple[Key, ...]


class Starter:
    """Starts what is ready as far as there are slots. Works inside an engine's turns."""

    def __init__(
        self, engine: "Engine", dispatch: Dispatch, executors: Executors, backend: Backend
    ) -> None:
        self._engine = engine
        self._dispatch = dispatch
        self._preparer = Preparer(executors, backend, dispatch)
        self._active: dict[tuple[str, str], _Active] = {}

    @property
    def active(self) -> int:
        """How many attempts hold slots."""
        return len(self._active)

    def ended(self, call: Call) -> None:
        """The attempt was reported: its slots are free."""
        active = self._active.pop((call.tree, call.task), None)
        if active is not None:
            self._dispatch.free(active.keys)

    def take_back(self, actor: Actor) -> list[Call]:
        """Free all slots of a tree and forget its queue; returns its calls, which still run."""
        found = [key for key in self._active if key[0] == actor.tree.id]
        taken = [self._active.pop(key) for key in found]
        for active in taken:
            self._dispatch.free(active.keys)
        for waiting, keys in actor.preparing.values():
            waiting.cancel()
            self._dispatch.free(keys)
        actor.preparing.clear()
        if actor.tree.ready:
            self._dispatch.forget(actor)
        return [active.call for active in taken]

    def offer(self, actors: Iterable[Actor]) -> None:
        """Queue up what has become ready."""
        offer = self._dispatch.offer
        for actor in actors:
            tree = actor.tree
            if tree.fresh:
                fresh, tree.fresh = tree.fresh, []
                for n in fresh:
                    offer(actor, n, tree.at_n(n).spec.priority)

    def start_ready(self, turn: Turn) -> None:
        """Start the first ready tasks of all trees, until there are no slots for more."""
        for entry in self._dispatch.ready():
            actor, n = entry[2], entry[3]
            if actor.driven and n in actor.tree.ready and n not in actor.preparing:
                self._try_start(turn, entry, actor, actor.tree.at_n(n))

    def _try_start(self, turn: Turn, entry: Entry, actor: Actor, task: Task) -> None:
        place = self._preparer.place(actor, task)
        if place is None:
            self._refuse(turn, actor, task, self._preparer.no_executor(actor, task))
            return
        kind, keys = place
        if not self._dispatch.take(entry, keys):
            return
        if self._preparer.has_hooks or (actor.tree.blobs and actor.missing_blobs(task)):
            waiting = self._engine.in_background(self._prepare_slowly(actor, task, kind, keys))
            actor.preparing[task.n] = (waiting, keys)
        else:
            self._start(turn, actor, task, kind, keys)

    def _start(
        self, turn: Turn, actor: Actor, task: Task, kind: Kind, keys: tuple[Key, ...]
    ) -> None:
        port = Attempt(self._engine, actor, task.spec.id, task.attempt + 1)
        ready = self._preparer.prepare(actor, task, kind, port)
        if ready.call is None:
            self._dispatch.free(keys)
            assert ready.fault is not None
            self._refuse(turn, actor, task, ready.fault)
            return
        self._launch(turn, actor, task, ready.call, keys, None)

    def _launch(
        self, turn: Turn, actor: Actor, task: Task, call: Call, keys: tuple[Key, ...],
        inputs: Raw | None,
    ) -> None:  # fmt: skip
        actor.apply(decide.start(actor.tree, task.n, turn.stamp(actor), inputs=inputs))
        turn.touch(actor)
        if actor.tree.due:
            turn.follow(actor)
        self._active[call.tree, call.task] = _Active(call, keys)
        turn.launches.append((actor, call))

    def _refuse(self, turn: Turn, actor: Actor, task: Task, fault: ErrorInfo) -> None:
        """The task fails before its executor is reached."""
        actor.apply(decide.start(actor.tree, task.n, turn.stamp(actor), fault=fault))
        turn.touch(actor)
        turn.follow(actor)
        self.offer((actor,))

    async def _prepare_slowly(
        self, actor: Actor, task: Task, kind: Kind, keys: tuple[Key, ...]
    ) -> None:
        """Fetch large results and let hooks have their say, holding the slots meanwhile."""
        changed: Raw | None = None
        call: Call | None = None
        fault: ErrorInfo | None = None
        try:
            call, fault = await self._ready_with_blobs(actor, task, kind)
            if call is not None and self._preparer.has_hooks:
                inputs = await self._preparer.hooks(call)
                if inputs is not None:
                    changed = Raw(msgspec.json.encode(inputs))
                    call = msgspec.structs.replace(call, inputs=inputs)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            this = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and this is not None and this.cancelling():
                raise  # by `take_back`, which has freed the slots
            fault = ErrorInfo(type(error).__name__, str(error) or "a pre-hook cancelled itself")

        def decision(turn: Turn) -> tuple[Actor | None, None]:
            if actor.preparing.pop(task.n, None) is None:
                return None, None  # taken back meanwhile
            if fault is not None or call is None:
                self._dispatch.free(keys)
                self._refuse(turn, actor, task, fault or ErrorInfo("not_prepared", ""))
            else:
                self._launch(turn, actor, task, call, keys, changed)
            return actor, None

        self._engine.post(decision)

    async def _ready_with_blobs(
        self, actor: Actor, task: Task, kind: Kind
    ) -> tuple[Call | None, ErrorInfo | None]:
        """The call, its large results at hand whatever the actor lets go meanwhile."""
        held: dict[str, bytes] = {}
        for hash in actor.blobs_of(task):
            known = actor.blob(hash)
            if known is None:
                known = await asyncio.to_thread(self._engine.journal.read_blob, hash)
            held[hash] = known
        port = Attempt(self._engine, actor, task.spec.id, task.attempt + 1)
        ready = self._preparer.prepare(actor, task, kind, port, held)
        return ready.call, ready.fault
