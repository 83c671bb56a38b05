"""From ready tasks to calls: slots are taken, inputs prepared, the start goes into the turn."""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from msgspec import Raw, Struct

from ..domain import decide
from ..domain.specs import ErrorInfo
from ..domain.time import later, to_seconds, to_text
from ..domain.tree import Task
from .actor import Actor
from .attempt import Attempt
from .defects import contain
from .dispatch import Dispatch, Entry, Key
from .ports import WAIT, Backend, Call, Executors
from .prepare import Place, Preparer
from .slowly import Slowly
from .turn import Provisional, Turn
from .writing import Write

if TYPE_CHECKING:
    from .engine import Engine

LOOK_AGAIN = 0.25
"""Seconds after which a place is asked for again that another engine held."""


class _Active(Struct):
    """An attempt that holds slots."""

    call: Call
    keys: tuple[Key, ...]


class Starter:
    """Starts what is ready as far as there are slots. Works inside an engine's turns.

    While ``held`` nothing starts.
    """

    def __init__(
        self, engine: "Engine", dispatch: Dispatch, executors: Executors, backend: Backend
    ) -> None:
        self._engine = engine
        self._dispatch = dispatch
        self.preparer = Preparer(executors, backend, dispatch)
        self._slowly = Slowly(engine, self, dispatch)
        self._active: dict[tuple[str, str], _Active] = {}
        self._asking: dict[Actor, list[Entry]] = {}
        """By tree, those that wait until it has asked for a place for another one."""
        self.held = False

    @property
    def active(self) -> int:
        """How many attempts hold slots."""
        return len(self._active)

    def ended(self, call: Call) -> None:
        """The attempt is over: its slots are free."""
        key = (call.tree, call.task)
        active = self._active.get(key)
        if active is not None and (active.call is call or active.call.is_same(call)):
            del self._active[key]
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
        if actor.tree.ready or actor.tree.delayed:
            self._dispatch.forget(actor)
        return [active.call for active in taken]

    def forget(self, actor: Actor) -> None:
        """The tree is not run here any more: its limits go, and its keys where nobody else has
        them.
        """
        tree = actor.tree
        if tree.options.limit is not None:
            self._dispatch.unlimit(("tree", tree.id))
        if tree.keyed:
            asked = (task.spec.policy.concurrency for task in tree.live())
            for key in {concurrency.key for concurrency in asked if concurrency is not None}:
                self._dispatch.unlimit(("key", key))

    def offer(self, actors: Iterable[Actor]) -> None:
        """Queue up what has become ready."""
        offer = self._dispatch.offer
        for actor in actors:
            tree = actor.tree
            if tree.fresh:
                fresh, tree.fresh = tree.fresh, []
                for n in fresh:
                    offer(actor, n, tree.at_n(n).spec.priority)

    def offer_one(self, actor: Actor, n: int) -> None:
        """Queue up a task that may start now."""
        self._dispatch.offer(actor, n, actor.tree.at_n(n).spec.priority)

    def start_ready(self, turn: Turn) -> None:
        """Start the first ready tasks of all trees, until there are no slots for more."""
        if self.held:
            return
        for entry in self._dispatch.ready():
            self._start_one(turn, entry)
        for actor in list(self._asking):
            self._ask_next(turn, actor)

    def _start_one(self, turn: Turn, entry: Entry) -> None:
        actor, n = entry[2], entry[3]
        if actor.driven and n not in actor.preparing and self.is_startable(actor, n):
            try:
                self._try_start(turn, entry, actor, actor.tree.at_n(n))
            except Exception as error:  # noqa: BLE001 - the other trees have done nothing
                contain(self._engine, turn, actor, error)

    def _ask_next(self, turn: Turn, actor: Actor) -> None:
        """A tree asks for one place under a concurrency key a turn: the next of those that want
        one, in the order of the queue.
        """
        asking = self._asking.get(actor, [])
        while asking and actor not in turn.provisional:
            self._start_one(turn, heappop(asking))
        if not asking:
            self._asking.pop(actor, None)

    def is_startable(self, actor: Actor, n: int) -> bool:
        """Whether the task may (still) start."""
        tree = actor.tree
        if tree.paused or tree.cancelling:
            return False
        if n in tree.ready:
            return True
        return n in tree.delayed and n in actor.ripe and not tree.at_n(n).needs

    def _try_start(self, turn: Turn, entry: Entry, actor: Actor, task: Task) -> None:
        place = self.preparer.place(actor, task)
        if place is None:
            self.refuse(turn, actor, task, self.preparer.no_executor(actor, task))
            return
        kind, keys = place
        if actor in turn.provisional and task.spec.policy.concurrency is not None:
            heappush(self._asking.setdefault(actor, []), entry)
            return
        if not self._dispatch.take(entry, keys):
            return
        begun = False
        try:
            begun = self._start(turn, actor, task, (kind, keys))
        finally:
            if not begun:
                self._dispatch.free(keys)

    def _start(self, turn: Turn, actor: Actor, task: Task, place: Place) -> bool:
        """Whether it was begun, and holds its slots from now on."""
        kind, keys = place
        if self.preparer.has_hooks or (actor.tree.blobs and actor.missing_blobs(task)):
            self._slowly.prepare(actor, task, kind, keys)
            return True
        port = Attempt(self._engine, actor, task, task.attempt + 1)
        ready = self.preparer.prepare(actor, task, kind, port)
        if ready.call is None:
            assert ready.fault is not None
            self.refuse(turn, actor, task, ready.fault)
            return False
        self.launch(turn, actor, task, ready.call, keys, None)
        return True

    def launch(
        self, turn: Turn, actor: Actor, task: Task, call: Call, keys: tuple[Key, ...],
        inputs: Raw | None,
    ) -> None:  # fmt: skip
        """Decide the start; the call follows once it is durable."""
        stamp = turn.stamp(actor, due=task.backoff.due if task.backoff else "")
        if call.executor in self.preparer.waiting:
            self._wait(turn, actor, task, call)
            return
        if task.spec.policy.concurrency is not None:
            entry = self._dispatch.entry(actor, task.n, task.spec.priority)
            turn.provisional[actor] = Provisional(actor, call, entry, keys, inputs, stamp)
            return
        actor.apply(decide.start(actor.tree, task.n, stamp, inputs=inputs))
        actor.ripe.discard(task.n)
        turn.touch(actor)
        if actor.tree.due:
            turn.follow(actor)
        self.activate(call, keys)
        turn.launches.append((actor, call, task.spec.policy))

    def activate(self, call: Call, keys: tuple[Key, ...]) -> None:
        """The attempt holds these slots until it has ended."""
        self._active[call.tree, call.task] = _Active(call, keys)

    def _wait(self, turn: Turn, actor: Actor, task: Task, call: Call) -> None:
        """What only waits is not called and holds nothing."""
        stamp = turn.stamp(actor)
        if call.executor == WAIT:
            absolute = "until" in call.inputs
            if absolute:
                until = to_text(to_seconds(call.inputs["until"]))
            else:
                until = later(stamp.at, call.inputs["seconds"])
            facts = decide.wait(actor.tree, task.n, stamp, until=until, absolute=absolute)
        else:
            facts = decide.wait_for_signal(actor.tree, task.n, stamp)
        actor.apply(facts)
        turn.touch(actor)
        turn.follow(actor)
        self.offer((actor,))

    def refuse(self, turn: Turn, actor: Actor, task: Task, fault: ErrorInfo) -> None:
        """The task fails before its executor is reached."""
        stamp = turn.stamp(actor, due=task.backoff.due if task.backoff else "")
        actor.apply(decide.start(actor.tree, task.n, stamp, fault=fault))
        turn.touch(actor)
        turn.follow(actor)
        self.offer((actor,))

    # -- starts that the store may refuse

    def asked_for(self, turn: Turn) -> list[Write]:
        """Those for whose task nothing else happened in the same turn; the slots of others are
        freed.
        """
        writes: list[Write] = []
        for actor, start in list(turn.provisional.items()):
            if not self.is_startable(actor, start.entry[3]):
                self._dispatch.free(start.keys)
                self._wake(actor)
                continue
            try:
                writes.append(Write(actor, (start.to_append(),), start))
            except Exception as error:  # noqa: BLE001 - the other trees have done nothing
                contain(self._engine, turn, actor, error)
        return writes

    def accepted(self, start: Provisional) -> None:
        """The store had a place for it."""
        start.actor.accepted(start.facts)
        start.actor.ripe.discard(start.entry[3])
        self.activate(start.call, start.keys)
        self._wake(start.actor)

    def refused(self, start: Provisional) -> None:
        """It was not stored, or its tree has been lost meanwhile.

        Where somebody else holds the last place, it is asked for again a little later.
        """
        self._dispatch.free(start.keys)
        self._engine.loop.call_later(LOOK_AGAIN, self._engine.soon, start.actor, start.entry[3])
        self._wake(start.actor)

    def _wake(self, actor: Actor) -> None:
        """The tree may ask for another place in the next turn."""
        asking = self._asking.get(actor)
        if asking:
            self._engine.soon(actor, heappop(asking)[3])

    # -- after a restart

    def reattach(self, actor: Actor, n: int) -> None:
        """Look for the work of an attempt that began under a former engine."""
        task = actor.tree.at_n(n)
        place = self.preparer.place(actor, task)
        assert place is not None, "missing executors were looked for"
        self._dispatch.occupy(place[1])
        self._slowly.reattach(actor, task, place[0], place[1])

    def reattaches(self, actor: Actor, n: int) -> bool:
        """Whether the executor of a task may find its work again."""
        place = self.preparer.place(actor, actor.tree.at_n(n))
        return place is not None and place[0].reattaches
