"""What a task is asked to be: the specification that events carry, before anything has run.

JSON that belongs to users (inputs, params, schemas, results) is kept as the bytes that were
written (`msgspec.Raw`): it is never interpreted here, cannot be changed by accident, and costs
neither objects while it waits nor a second encoding when it is stored. What may be absent is
``Raw | UnsetType``: msgspec cannot decode ``Raw | None``, and JSON null is a value of its own.
"""

import re
from hashlib import sha1

from msgspec import UNSET, Raw, Struct, UnsetType

EMPTY_OBJECT = Raw(b"{}")
DEFAULT_PRIORITY = 2
MAX_TASKS = 100_000
"""Tasks in one tree, its root not counted."""
MAX_DEPTH = 100
MAX_DEPENDENCIES = 10_000
MAX_JSON_DEPTH = 64
MAX_SPEC_BYTES = 512 * 1024
MAX_NAME = 255
MAX_INTERRUPTIONS = 5
"""So often a task is interrupted and tried again in one generation, unless it says otherwise."""
MAX_SECONDS = 366 * 24 * 3600.0
"""No timeout, deadline, delay or wait is longer: a year."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def is_id(text: str) -> bool:
    """Whether ``text`` can be an id: 1 to 128 of ``[A-Za-z0-9._:-]``."""
    return _ID.fullmatch(text) is not None


class Dependency(Struct, frozen=True, omit_defaults=True, gc=False):
    """``on`` is the id of a task of the same tree. Required: it must complete; else it must end."""

    on: str
    required: bool = True


class RetryPolicy(Struct, frozen=True, omit_defaults=True, gc=False):
    """When a failed attempt is followed by another; times in seconds.

    ``backoff`` is ``exponential``, ``fixed`` or ``none``; ``jitter`` ``none`` or ``full``. Names in
    ``retry_on`` and ``non_retryable`` match an error's class or any of its bases, as recorded;
    without ``retry_on`` every error is retried that ``non_retryable`` does not name.
    """

    max_attempts: int = 3
    backoff: str = "exponential"
    initial_delay: float = 1.0
    multiplier: float = 2.0
    max_delay: float = 60.0
    jitter: str = "none"
    retry_on: tuple[str, ...] | None = None
    non_retryable: tuple[str, ...] = ()


class Concurrency(Struct, frozen=True, omit_defaults=True, gc=False):
    """At most ``limit`` attempts under ``key`` run at once, over the whole store."""

    key: str
    limit: int = 1


class Policy(Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """How a task is tried, how long it may take, and what its loss means. Times in seconds.

    ``timeout`` bounds one attempt, ``deadline`` the time from ready to end over all attempts,
    ``heartbeat`` the silence between two signs of life. ``on_interrupt`` is ``rerun`` or ``fail``;
    a task is interrupted ``max_interruptions`` times a generation, the next one fails it.
    ``idempotent``: the call may be repeated, whatever its executor says. ``accept`` are the status
    or exit codes that count as success, for executors that have such.
    """

    retry: RetryPolicy | None = None
    timeout: float | None = None
    deadline: float | None = None
    heartbeat: float | None = None
    on_interrupt: str = "rerun"
    max_interruptions: int = MAX_INTERRUPTIONS
    concurrency: Concurrency | None = None
    idempotent: bool = False
    accept: tuple[int, ...] = ()


NO_POLICY = Policy()


class TaskSpec(Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """One task as it will be run.

    ``key`` is what the client called it (empty: the id itself). ``parent`` and the dependencies
    hold ids. ``inputs``, ``params`` and ``schemas`` are JSON objects as bytes. ``policy`` is
    `NO_POLICY` itself where the task asks for nothing of the kind.
    """

    id: str
    name: str
    key: str = ""
    parent: str | None = None
    dependencies: tuple[Dependency, ...] = ()
    inputs: Raw = EMPTY_OBJECT
    params: Raw = EMPTY_OBJECT
    schemas: Raw = EMPTY_OBJECT
    priority: int = DEFAULT_PRIORITY
    policy: Policy = NO_POLICY

    @property
    def label(self) -> str:
        """The name under which people know this task: its key."""
        return self.key or self.id


class TreeOptions(Struct, frozen=True, omit_defaults=True, gc=False):
    """``limit`` caps how many tasks of this tree run at once; none by default.

    ``demo``: executors do not work, they give results for show.
    """

    limit: int | None = None
    demo: bool = False


NO_OPTIONS = TreeOptions()


class Request(Struct, frozen=True, gc=False):
    """What made a tree, so that the same request makes it once. SHA-256 in hex, both.

    ``key`` is that of the owner and of the idempotency key that the client gave, ``body`` that of
    what it sent.
    """

    key: str
    body: str


class ExecutorRef(Struct, frozen=True, omit_defaults=True, gc=False):
    """An executor by id. ``module`` is told to people who must import it, never imported from.

    ``reattaches``: what it does elsewhere may outlive its engine, and can be found again.
    """

    id: str
    module: str = ""
    reattaches: bool = False


class ErrorInfo(Struct, frozen=True, omit_defaults=True, gc=False):
    """Why something failed: the error's class name, its bases' names, a message, JSON detail."""

    type: str
    message: str
    bases: tuple[str, ...] = ()
    detail: Raw | UnsetType = UNSET


def idempotency_key(tree_uid: str, task: str, generation: int) -> str:
    """The key handed to executors: equal over all attempts of one generation, in no two trees.

    UUIDv5 (RFC 9562, section 5.5) of the task id and generation in the namespace of the tree's uid.
    """
    name = bytes.fromhex(tree_uid.replace("-", "")) + f"{task}/{generation}".encode()
    h = sha1(name, usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"
