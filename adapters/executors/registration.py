"""The registry of this process, and the decorators that fill it.

It is module state because a decorator has nothing else to go by. Everything else is handed the
registry that it works with.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

from .entry import Factory
from .hooks import Hook
from .registry import Registry

C = TypeVar("C", bound=type)
H = TypeVar("H", bound=Hook)

default_registry: Final = Registry()


def executor_register(
    factory: Factory | None = None,
    override: bool = False,
    pre_hook: Hook | None = None,
    post_hook: Hook | None = None,
) -> Callable[[C], C]:
    """Register a class under its ``id``; ``factory(**params)`` makes its instances.

    Where the id is taken the first one stays, unless ``override`` is set.
    """

    def register(cls: C) -> C:
        default_registry.register(
            cls, factory, override=override, pre_hook=pre_hook, post_hook=post_hook
        )
        return cls

    if isinstance(factory, type) and hasattr(factory, "execute"):  # written without brackets
        default_registry.register(factory)
        return cast("Callable[[C], C]", factory)
    return register


def add_executor_hook(executor_id: str, hook_type: str, hook_func: Hook) -> None:
    """Add a ``pre_hook`` or ``post_hook`` to an executor that is registered."""
    default_registry.add_executor_hook(executor_id, hook_type, hook_func)


def register_pre_hook(hook: H) -> H:
    """Run ``hook(task)`` before each attempt; it may change ``task.inputs``."""
    default_registry.add_pre_hook(hook)
    return hook


def register_post_hook(hook: H) -> H:
    """Run ``hook(task, inputs, result)`` after each attempt that succeeded."""
    default_registry.add_post_hook(hook)
    return hook


def register_task_tree_hook(event: str) -> Callable[[H], H]:
    """Keep the function for ``on_tree_created``, ``_started``, ``_completed`` or ``_failed``."""

    def register(hook: H) -> H:
        default_registry.add_tree_hook(event, hook)
        return hook

    return register


def get_task_tree_hooks(event: str) -> Sequence[Hook]:
    """The functions kept for a tree event."""
    return default_registry.tree_hooks(event)


def clear_config() -> None:
    """Forget all hooks and settings; registered executors stay."""
    default_registry.clear_config()
