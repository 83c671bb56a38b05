"""What there is to run: every executor by name, with what it takes, and why one cannot be used."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Final

from msgspec import Struct

from ...domain.errors import NotFound
from .builtin import BUILTIN
from .command.policy import ALLOW
from .entry import Entry
from .loading import load
from .registry import Registry
from .schemas import as_json_schema

PARTLY: Final = {"mcp_executor": ("mcp", "over HTTP")}
"""Executors of which only a part needs an extra, the module that comes with it, and which."""


class ExecutorInfo(Struct, frozen=True):
    """``usable`` is false where it cannot be loaded, is switched off, or is on and can do nothing;
    ``why`` says which, and ``advice`` how to make it usable. ``extra`` is what has to be installed
    with the package.
    """

    id: str
    name: str
    description: str
    module: str
    built_in: bool
    usable: bool
    why: str = ""
    advice: str = ""
    extra: str | None = None
    installed: bool = True
    enabled: bool = True
    reattaches: bool = False
    runs: str = ""
    limit: int | None = None
    cancelable: bool = False
    tags: tuple[str, ...] = ()
    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] = {}
    examples: tuple[Any, ...] = ()


def inventory(registry: Registry) -> list[ExecutorInfo]:
    """All executors, those that cannot be loaded among them, by id."""
    found = {info.id: info for info in _broken(registry)}
    for id in registry.ids():
        found.setdefault(id, describe(registry, id))
    return [found[id] for id in sorted(found)]


def describe(registry: Registry, id: str) -> ExecutorInfo:
    """One executor. Raises `NotFound`."""
    try:
        return _described(registry.entry(id))
    except KeyError as error:
        if error.__cause__ is not None:
            return _unusable(id, error.__cause__)
        raise NotFound("executor", id) from error
    except (Exception, SystemExit) as error:  # noqa: BLE001 - importing and asking foreign code
        return _unusable(id, error)


def _broken(registry: Registry) -> Iterator[ExecutorInfo]:
    """What installed packages declare and cannot be loaded or is switched off."""
    for plugin in load(".plugins:find")():
        try:
            info = describe(registry, plugin.name)
        except NotFound as error:  # the registry has tried before, and forgotten it
            info = _unusable(plugin.name, error)
        if not info.usable:
            yield info


def _described(entry: Entry) -> ExecutorInfo:
    cls, kind = entry.cls, entry.kind
    example = entry.factory() if entry.takes_params else cls()
    policy = getattr(example, "policy", None)
    off = policy is not None and not getattr(policy, "enabled", True)
    why, advice = ("switched off", str(getattr(policy, "advice", ""))) if off else _idle(policy)
    without, how = _partly(entry.id)
    return ExecutorInfo(
        id=entry.id,
        name=_text(example, "name") or entry.id,
        description=(_text(example, "description") or _first_line(cls.__doc__)) + without,
        module=cls.__module__,
        built_in=_is_built_in(entry.id),
        usable=not why,
        why=why,
        advice=advice or how,
        extra=_extra(entry.id),
        enabled=not off,
        reattaches=kind.reattaches,
        runs=kind.runs,
        limit=kind.limit,
        cancelable=bool(getattr(example, "cancelable", False)),
        tags=tuple(str(tag) for tag in getattr(example, "tags", ())),
        input_schema=as_json_schema(entry.declared),
        output_schema=_outputs(example),
        examples=tuple(getattr(example, "examples", ())),
    )


def _idle(policy: Any) -> tuple[str, str]:
    """Why it can do nothing although it is switched on, and what helps; empty where it can."""
    if getattr(policy, "allow", None) == ():
        return (
            f"switched on, but {ALLOW} is empty: every command is refused",
            f'list the commands that may be run in {ALLOW}, such as [["uptime"], ["echo", "*"]]',
        )
    socket = getattr(policy, "socket", None)
    if isinstance(socket, str) and not os.path.exists(socket):
        return (
            f"switched on, but there is no socket {socket} of a container engine",
            "start the engine, or name its socket in APFLOW_DOCKER_SOCKET",
        )
    return "", ""


def _partly(id: str) -> tuple[str, str]:
    """What it lacks a library for, and how to get that; empty where it is there."""
    module, part = PARTLY.get(id, ("", ""))
    if not module or find_spec(module) is not None:
        return "", ""
    extra = f"pip install 'aipartnerupflow[{module}]'"
    return f"; {part} with the extra {module}", f"{extra}, for what it does {part}"


def _outputs(example: Any) -> dict[str, Any]:
    get = getattr(example, "get_output_schema", None)
    schema = get() if callable(get) else None
    return schema if isinstance(schema, dict) else {}


def _text(example: Any, name: str) -> str:
    value = getattr(example, name, "")
    return value if isinstance(value, str) else ""


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0]


def _unusable(id: str, error: BaseException) -> ExecutorInfo:
    """One of ours lacks only its library; of others it is said what went wrong."""
    extra = _extra(id)
    missing = extra is not None and isinstance(error.__cause__, ModuleNotFoundError)
    if missing:
        why = f"not installed: {getattr(error.__cause__, 'name', '')} is missing"
        advice = f"pip install 'aipartnerupflow[{extra}]'"
    else:
        why = f"cannot be loaded: {type(error).__name__}: {error}"
        advice = "Mend or uninstall its package."
    return ExecutorInfo(
        id, id, "", "", _is_built_in(id), usable=False, why=why, advice=advice, extra=extra,
        installed=not missing,
    )  # fmt: skip


def _is_built_in(id: str) -> bool:
    return any(each.kind.id == id for each in BUILTIN)


def _extra(id: str) -> str | None:
    return next((each.extra for each in BUILTIN if each.kind.id == id), None)
