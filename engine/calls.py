"""The executors' side of the ports: what is called, where, and how it answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Raw, Struct

from ..domain.specs import DEFAULT_PRIORITY, ErrorInfo


class Kind(Struct, frozen=True):
    """What the engine must know of an executor before calling it.

    ``properties`` are the top-level properties of its input schema, None where it declares none.
    ``limit`` caps how many run at once in this engine. ``runs`` says where: ``loop``, ``thread``,
    ``process``, or ``engine`` for what only waits (`WAIT`, `SIGNAL`): it is never called and holds
    no slot. ``checked``: it declares a schema that inputs must fit. ``reattaches``: it can find
    work again that outlived its engine.
    """

    id: str
    module: str = ""
    properties: tuple[str, ...] | None = None
    by_key: bool = False
    limit: int | None = None
    runs: str = "loop"
    checked: bool = True
    reattaches: bool = False


WAIT, SIGNAL = "wait", "signal"
"""Ids of the two executors that the engine itself plays."""


class Executors(Protocol):
    """What is registered in this process."""

    def module_of(self, id: str) -> str | None:
        """The module that registered the executor; None where it is not registered."""

    def kind(self, id: str) -> Kind:
        """Raises KeyError where it is not registered."""

    def ids(self) -> Sequence[str]:
        """All registered ids, sorted."""

    def violations(self, id: str, schemas: Raw, inputs: Any) -> Sequence[str]:
        """How ``inputs`` violate the executor's input schema or the task's own: pointer, rule."""

    def properties(self, id: str, schemas: Raw) -> tuple[str, ...] | None:
        """The input properties declared by the task's own schema, else by the executor's."""

    def schema_faults(self, schemas: Raw) -> Sequence[str]:
        """Why the schemas that came with a task may not be used; empty where they may."""

    def safe(self, call: "Call") -> bool | None:
        """Whether the call may be repeated, as its executor tells from its inputs; None where it
        does not tell.
        """

    def payload_faults(self, schema: Any, payload: Any) -> Sequence[str]:
        """How a signal's payload violates the JSON Schema that its task gives: pointer, rule."""

    async def before(self, call: "Call") -> Mapping[str, Any] | None:
        """Run the pre-hooks; returns changed inputs, None where nothing changed."""

    @property
    def has_before(self) -> bool:
        """Whether any pre-hook is registered."""


class Call(Struct, frozen=True):
    """One attempt, as handed to a backend. Picklable but for ``port``.

    ``inputs`` are the effective ones. ``name``, ``priority``, ``parent``, ``params`` and
    ``schemas`` are the task's as submitted, for hooks and executors that ask for ``self.task``.
    ``deadline`` is when the task has to be over (RFC 3339); ``accept`` are codes that count as
    success. With ``reattach`` the attempt began under a former engine: its executor is asked for
    it first, and never called anew. With ``demo`` it does not work, but gives a result for show.
    """

    executor: str
    tree: str
    task: str
    key: str
    name: str
    attempt: int
    generation: int
    idempotency_key: str
    inputs: Any
    params: Raw
    schemas: Raw
    owner: str | None = None
    checkpoint: Raw | None = None
    port: "AttemptPort | None" = None
    priority: int = DEFAULT_PRIORITY
    parent: str | None = None
    deadline: str | None = None
    accept: tuple[int, ...] = ()
    reattach: bool = False
    demo: bool = False

    def is_same(self, other: "Call") -> bool:
        """Whether both are the same attempt, of tasks that are the same."""
        return self.attempt == other.attempt and self.generation == other.generation


class AttemptPort(Protocol):
    """How a running attempt talks back to its engine. Each of these is a sign of life."""

    def beat(self) -> None:
        """A sign of life, nothing more."""

    async def taken_over(self) -> None:
        """The attempt was found again. Returns after the commit; `InvalidTransition` where it is
        over.
        """

    async def progress(self, fraction: float, message: str) -> None:
        """Lossy; at most one a second is stored."""

    async def save(self, checkpoint: Raw) -> None:
        """Returns after the commit. Raises `InvalidTransition` where the attempt is over."""


class Returned(Struct, frozen=True, gc=False):
    """The executor came back with this JSON."""

    result: Raw


class Raised(Struct, frozen=True, gc=False):
    """The executor failed. ``retry_after``: seconds that its target asks to be left alone."""

    error: ErrorInfo
    retry_after: float | None = None


class Gone(Struct, frozen=True, gc=False):
    """The answer to a call with ``reattach``: what ran under the former engine is not there."""


Outcome = Returned | Raised | Gone
Report = Callable[[Call, Outcome], None]
"""Called once per attempt, in the engine's loop."""


class Stopped(Struct, frozen=True, gc=False):
    """How an attempt took being stopped.

    ``ended``: it has really ended, else it was abandoned. ``outcome``: what it still returned.
    """

    ended: bool
    outcome: Outcome | None = None


class Backend(Protocol):
    """Where executors run. Lives in one event loop."""

    def start(self, call: Call, report: Report) -> None:
        """Begin the attempt; ``report`` is called once, later, in the loop, unless stopped."""

    async def stop(self, call: Call) -> Stopped:
        """End the attempt for good. No report follows."""

    def capacity(self, kind: Kind) -> str:
        """The name of the pool in which an attempt of this kind takes a slot."""

    def pools(self) -> Mapping[str, int]:
        """How many attempts each pool holds at once."""

    async def close(self) -> None:
        """End all attempts and release what is held."""
