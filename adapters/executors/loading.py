"""The one place where code is imported by its name, and only once it is needed."""

from importlib import import_module
from typing import Any


def load(path: str) -> Any:
    """What ``package.module:name`` stands for. A leading dot means this folder."""
    module, _, name = path.partition(":")
    return getattr(import_module(module, __package__), name)
