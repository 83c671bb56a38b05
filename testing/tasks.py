"""Specifications of tasks in few words.

A task is written ``"[parent/]id[(executor)] [<- dependency[?] …]"``: ``"g/c <- a b?"`` is the task
``c`` in ``g``, which requires ``a`` and waits for the end of ``b``. The first task of a tree is its
root, the parent of all that name no other. A task with children is a group, and one without is run
by the executor `WORK`, unless an executor is written: ``"p(build)"``. ``"x()"`` has none at all.
"""

import re
from typing import Any

from msgspec import Raw, json, structs

from ..domain.specs import (
    DEFAULT_PRIORITY,
    EMPTY_OBJECT,
    NO_POLICY,
    Dependency,
    Policy,
    TaskSpec,
)

WORK = "work"
"""The executor of tasks that name none and have no children."""

_WRITTEN = re.compile(
    r"((?P<parent>[\w.:-]+)/)?(?P<id>[\w.:-]+)(\((?P<executor>\w*)\))?(\s*<-\s*(?P<needs>\S.*))?"
)


def raw(value: Any) -> Raw:
    """A Python value as the JSON bytes that specifications and facts hold."""
    return Raw(json.encode(value))


def task(
    written: str,
    *,
    name: str = "",
    key: str = "",
    priority: int = DEFAULT_PRIORITY,
    inputs: Any = None,
    params: Any = None,
    schemas: Any = None,
    policy: Policy = NO_POLICY,
) -> TaskSpec:
    """One specification; ``inputs``, ``params`` and ``schemas`` are Python values."""
    match = _WRITTEN.fullmatch(written)
    if match is None:
        raise ValueError(f"{written!r} is not written as [parent/]id[(executor)] [<- dependency …]")
    if match["executor"] is not None:
        params = {"executor_id": match["executor"]} | (params or {})
    return TaskSpec(
        id=match["id"],
        name=name or match["id"],
        key=key,
        parent=match["parent"],
        dependencies=tuple(
            Dependency(word.removesuffix("?"), not word.endswith("?"))
            for word in (match["needs"] or "").split()
        ),
        inputs=EMPTY_OBJECT if inputs is None else raw(inputs),
        params=EMPTY_OBJECT if params is None else raw(params),
        schemas=EMPTY_OBJECT if schemas is None else raw(schemas),
        priority=priority,
        policy=policy,
    )


def specs(*written: str | TaskSpec) -> tuple[TaskSpec, ...]:
    """The specifications of a whole tree; the first is the root."""
    read = [task(word) if isinstance(word, str) else word for word in written]
    root = read[0]
    return (root, *(s if s.parent else structs.replace(s, parent=root.id) for s in read[1:]))
