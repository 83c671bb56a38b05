"""From a ready task to a call: effective inputs, their validation, who may call whom."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from ..domain.decide.attempts import deadline_of
from ..domain.errors import ApflowError
from ..domain.inputs import EmptyPointer, effective
from ..domain.specs import Concurrency, ErrorInfo, idempotency_key
from ..domain.tree import NONE, Task
from ..domain.wording import quoted
from .actor import Actor
from .dispatch import Dispatch, Key
from .ports import AttemptPort, Backend, Call, Executors, Kind


class Ready(Struct):
    """A call that may be made, or the fault for which it never will be."""

    call: Call | None
    fault: ErrorInfo | None = None


Place = tuple[Kind, tuple[Key, ...]]
"""An executor's facts, and the slots that an attempt of it takes."""

NOTHING_HELD: Mapping[str, bytes] = MappingProxyType({})
_NO_SCHEMAS = 2
"""Bytes of an empty JSON object."""


class Preparer:
    """What one engine knows of executors, looked up once per executor id."""

    def __init__(self, executors: Executors, backend: Backend, dispatch: Dispatch) -> None:
        self._executors = executors
        self._dispatch = dispatch
        self._backend = backend
        self._kinds: dict[str, Place] = {}
        self._unusable: dict[str, str] = {}
        """Why an executor that is registered cannot be had here."""
        self.waiting: set[str] = set()
        """Ids of the executors that the engine itself plays."""

    def place(self, actor: Actor, task: Task) -> Place | None:
        """Where a task runs and what slots it takes; None where there is no executor here."""
        place = actor.places.get(task.kind)
        if place is None:
            executor = actor.tree.executor_of(task)
            place = None if executor is None else self._find(executor)
            if place is None:
                return None
            if actor.tree.options.limit is not None and place[1]:
                place = (place[0], (*place[1], ("tree", actor.tree.id)))
            actor.places[task.kind] = place
        if task.spec.policy.concurrency is not None:
            return self._with_own_keys(place, task.spec.policy.concurrency)
        return place

    def _with_own_keys(self, place: Place, concurrency: Concurrency) -> Place:
        """A concurrency key holds exactly in the store; here too, so that few ask in vain."""
        if place[0].runs == "engine":
            return place
        key = ("key", concurrency.key)
        self._dispatch.limit(key, concurrency.limit)
        return place[0], (*place[1], key)

    def _find(self, executor: str) -> Place | None:
        try:
            return self._place(executor)
        except ApflowError as error:
            self._unusable[executor] = str(error)
            return None

    def _place(self, executor: str) -> Place | None:
        found = self._kinds.get(executor)
        if found is None:
            if self._executors.module_of(executor) is None:
                return None
            kind = self._executors.kind(executor)
            if kind.runs == "engine":
                self.waiting.add(executor)
                found = self._kinds[executor] = (kind, ())
                return found
            keys: tuple[Key, ...] = (("pool", self._backend.capacity(kind)),)
            if kind.limit is not None:
                keys = (*keys, ("executor", executor))
                self._dispatch.limit(("executor", executor), kind.limit)
            found = self._kinds[executor] = (kind, keys)
        return found

    def no_executor(self, actor: Actor, task: Task) -> ErrorInfo:
        """The fault of a task for which there is no executor here."""
        executor = actor.tree.executor_of(task) or ""
        if executor in self._unusable:
            return ErrorInfo("executor_not_found", self._unusable.pop(executor))
        names = ", ".join(self._executors.ids())
        if task.kind == NONE:
            wanted = f"{quoted(task.spec.name)} is no executor and the task has no children"
        else:
            wanted = f"the executor {quoted(executor)} is not registered"
        return ErrorInfo("executor_not_found", f"{wanted}. Registered are: {names}.")

    def prepare(
        self,
        actor: Actor,
        task: Task,
        kind: Kind,
        port: AttemptPort,
        held: Mapping[str, bytes] = NOTHING_HELD,
        *,
        attempt: int | None = None,
    ) -> Ready:
        """The call with its effective inputs, validated; ``held`` are large results by hash.

        It is for the next attempt, unless another is named.
        """
        spec = task.spec
        declared, checked = kind.properties, kind.checked
        if len(memoryview(spec.schemas)) > _NO_SCHEMAS:
            declared, checked = self._executors.properties(kind.id, spec.schemas), True
        try:
            inputs = effective(
                spec.inputs,
                actor.results(task, held) if spec.dependencies else (),
                declared,
                by_key=kind.by_key,
            )
        except EmptyPointer as error:
            return Ready(None, error.as_error())
        if checked and (fault := self._fault(kind, task, inputs)):
            return Ready(None, fault)
        number = task.attempt + 1 if attempt is None else attempt
        return Ready(self._call(actor, task, kind, inputs, port, number))

    def _fault(self, kind: Kind, task: Task, inputs: dict[str, Any]) -> ErrorInfo | None:
        """What is wrong with the inputs, or with the executor, as where its library is missing."""
        try:
            wrong = self._executors.violations(kind.id, task.spec.schemas, inputs)
        except ApflowError as error:
            return ErrorInfo("executor_not_found", str(error))
        return ErrorInfo("invalid_inputs", "; ".join(wrong), ("ValueError",)) if wrong else None

    def _call(
        self, actor: Actor, task: Task, kind: Kind, inputs: dict[str, Any], port: AttemptPort,
        attempt: int,
    ) -> Call:  # fmt: skip
        tree, spec = actor.tree, task.spec
        return Call(
            executor=kind.id,
            tree=tree.id,
            task=spec.id,
            key=spec.label,
            name=spec.name,
            attempt=attempt,
            generation=task.generation,
            idempotency_key=idempotency_key(tree.uid, spec.id, task.generation),
            inputs=inputs,
            params=spec.params,
            schemas=spec.schemas,
            owner=tree.owner,
            checkpoint=task.checkpoint,
            port=port,
            priority=spec.priority,
            parent=spec.parent,
            deadline=deadline_of(task) if tree.timed else None,
            accept=spec.policy.accept,
            demo=tree.options.demo,
        )

    async def hooks(self, call: Call) -> Mapping[str, Any] | None:
        """What pre-hooks made of the inputs; None where they left them alone.

        None run for what only waits: the engine itself reads these inputs.
        """
        if call.executor in self.waiting:
            return None
        return await self._executors.before(call)

    @property
    def has_hooks(self) -> bool:
        """Whether pre-hooks are registered."""
        return self._executors.has_before
