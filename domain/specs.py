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

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def is_id(text: str) -> bool:
    """Whether ``text`` can be an id: 1 to 128 of ``[A-Za-z0-9._:-]``."""
    return _ID.fullmatch(text) is not None


class Dependency(Struct, frozen=True, omit_defaults=True, gc=False):
    """``on`` is the id of a task of the same tree. Required: it must complete; else it must end."""

    on: str
    required: bool = True


class TaskSpec(Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """One task as it will be run.

    ``key`` is what the client called it (empty: the id itself). ``parent`` and the dependencies
    hold ids. ``inputs``, ``params`` and ``schemas`` are JSON objects as bytes.
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

    @property
    def label(self) -> str:
        """The name under which people know this task: its key."""
        return self.key or self.id


class TreeOptions(Struct, frozen=True, omit_defaults=True, gc=False):
    """``limit`` caps how many tasks of this tree run at once; none by default."""

    limit: int | None = None


NO_OPTIONS = TreeOptions()


class ExecutorRef(Struct, frozen=True, omit_defaults=True, gc=False):
    """An executor by id. ``module`` is told to people who must import it, never imported from."""

    id: str
    module: str = ""


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
