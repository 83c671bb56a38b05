"""Where executor classes come from."""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from ...domain.decide.submission import Lacking
from ...domain.errors import InvalidInput
from .builtin import Builtin
from .loading import load

if TYPE_CHECKING:
    from .entry import Entry


_BRINGS: Final = {
    "docker": ("httpx",),
    "grpc": ("grpc", "grpc_reflection"),
    "http": ("httpx",),
    "ssh": ("asyncssh",),
    "websocket": ("websockets",),
}
"""The modules that come with an extra and are imported with its executors."""


def module_of(builtin: Builtin) -> str:
    """Empty, as it is part of this package; `Lacking` where its extra is not installed.

    Nothing is imported for that.
    """
    for name in _BRINGS.get(builtin.extra or "", ()):
        if find_spec(name) is None:
            return Lacking("", _needs(builtin, name))
    return ""


def _needs(builtin: Builtin, name: str | None) -> str:
    return f"{builtin.kind.id} needs {name}: pip install 'aipartnerupflow[{builtin.extra}]'"


def load_class(builtin: Builtin) -> Any:
    """The class. Raises `InvalidInput` where its extra is not installed."""
    try:
        return load(builtin.path)
    except ModuleNotFoundError as error:
        raise InvalidInput(_needs(builtin, error.name)) from error


def is_ours(entry: "Entry") -> bool:
    return entry.cls.__module__.startswith(f"{__package__}.")


def same(one: type, other: type) -> bool:
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


def importable(module: str) -> str:
    """The name by which a module can be imported elsewhere; empty for a script."""
    if module != "__main__":
        return module
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec.name if spec is not None else ""
