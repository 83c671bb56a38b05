"""All methods by name: what each needs, and why some are not there."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from ..http.access import Scope
from . import cancelling, copying, drafting, executing, reading, system
from .calls import Call
from .errors import Code, RpcError

Perform = Callable[[Call], Awaitable[Any]]


class Method(Struct, frozen=True):
    """``scope``: what a token needs; ``about``: a line for people."""

    scope: Scope
    perform: Perform
    about: str


def _method(scope: Scope, perform: Perform) -> Method:
    return Method(scope, perform, (perform.__doc__ or "").partition("\n")[0].replace("``", "`"))


METHODS: Final[Mapping[str, Method]] = {
    "tasks.create": _method(Scope.SUBMIT, drafting.create),
    "tasks.get": _method(Scope.READ, reading.get),
    "tasks.detail": _method(Scope.READ, reading.detail),
    "tasks.update": _method(Scope.SUBMIT, drafting.update),
    "tasks.delete": _method(Scope.SUBMIT, drafting.delete),
    "tasks.list": _method(Scope.READ, reading.list_tasks),
    "tasks.count": _method(Scope.READ, reading.count),
    "tasks.tree": _method(Scope.READ, reading.tree),
    "tasks.children": _method(Scope.READ, reading.children),
    "tasks.execute": _method(Scope.SUBMIT, executing.execute),
    "tasks.cancel": _method(Scope.OPERATE, cancelling.cancel),
    "tasks.copy": _method(Scope.SUBMIT, copying.copy),
    "tasks.clone": _method(Scope.SUBMIT, copying.clone),
    "tasks.running.list": _method(Scope.READ, reading.running_list),
    "tasks.running.status": _method(Scope.READ, reading.running_status),
    "tasks.running.count": _method(Scope.READ, reading.running_count),
    "tasks.running.cancel": _method(Scope.OPERATE, cancelling.cancel),
    "system.health": _method(Scope.READ, system.health),
    "system.executors": _method(Scope.READ, system.executors),
}

_SCHEDULES: Final = "this version has no schedules; let a scheduler of your system submit trees"
_KEYS: Final = "this server keeps no keys for language models"
ABSENT: Final[Mapping[str, str]] = {
    "tasks.generate": "this version makes no trees from words; write them, or use a builder",
    "tasks.scheduled.list": _SCHEDULES,
    "tasks.scheduled.due": _SCHEDULES,
    "tasks.scheduled.init": _SCHEDULES,
    "tasks.scheduled.complete": _SCHEDULES,
    "tasks.scheduled.export-ical": _SCHEDULES,
    "tasks.webhook.trigger": "this version has no triggers; call tasks.execute with a token",
    "config.llm_key.set": _KEYS,
    "config.llm_key.get": _KEYS,
    "config.llm_key.delete": _KEYS,
}
"""Methods of the old system that there are not, and why."""


class Face(Struct, frozen=True):
    """The methods that one address offers: those whose names begin so."""

    prefixes: tuple[str, ...]

    def find(self, name: str) -> Method:
        """Raises `RpcError`."""
        if name in ABSENT:
            raise RpcError.of(Code.METHOD_NOT_FOUND, "method", ABSENT[name])
        if name not in METHODS:
            reason = "there is no such method; GET /tasks/methods lists all"
            raise RpcError.of(Code.METHOD_NOT_FOUND, "method", reason)
        if not name.startswith(self.prefixes):
            reason = "it is not offered here: tasks.* at /tasks, system.* at /system, all at /"
            raise RpcError.of(Code.METHOD_NOT_FOUND, "method", reason)
        return METHODS[name]


TASKS: Final = Face(("tasks.",))
SYSTEM: Final = Face(("system.", "config."))
ALL: Final = Face(("",))
