"""Where executor classes come from."""

import sys
from typing import TYPE_CHECKING, Any

from ...domain.errors import InvalidInput
from .builtin import Builtin
from .loading import load

if TYPE_CHECKING:
    from .entry import Entry


def load_class(builtin: Builtin) -> Any:
    """The class. Raises `InvalidInput` where its extra is not installed."""
    try:
        return load(builtin.path)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"{builtin.kind.id} needs {error.name}: pip install 'aipartnerupflow[{builtin.extra}]'"
        ) from error


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
