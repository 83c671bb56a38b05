"""aipartnerupflow: an event-sourced engine for trees of tasks.

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aipartnerupflow.adapters.executors import (
        BaseTask,
        ExecutableTask,
        TransientError,
        add_executor_hook,
        clear_config,
        executor_register,
        get_task_tree_hooks,
        register_post_hook,
        register_pre_hook,
        register_task_tree_hook,
        task,
    )
    from aipartnerupflow.api.builder import TreeBuilder
    from aipartnerupflow.api.client import AsyncClient, Client
    from aipartnerupflow.api.flow import Flow, TreeHandle
    from aipartnerupflow.api.library.manager import TaskManager
    from aipartnerupflow.api.library.nodes import Task, TaskStatus, TaskTreeNode
    from aipartnerupflow.api.library.repository import TaskRepository
    from aipartnerupflow.api.library.sessions import create_session, get_default_session
    from aipartnerupflow.api.library.streaming import StreamingCallbacks
    from aipartnerupflow.api.webhooks import verify_webhook
    from aipartnerupflow.domain.errors import ApflowError

__version__ = "0.1.0"

_EXECUTORS = "aipartnerupflow.adapters.executors"
_LIBRARY = "aipartnerupflow.api.library"
_HOMES = {
    "ApflowError": "aipartnerupflow.domain.errors",
    "AsyncClient": "aipartnerupflow.api.client",
    "BaseTask": _EXECUTORS,
    "Client": "aipartnerupflow.api.client",
    "ExecutableTask": _EXECUTORS,
    "Flow": "aipartnerupflow.api.flow",
    "StreamingCallbacks": f"{_LIBRARY}.streaming",
    "Task": f"{_LIBRARY}.nodes",
    "TaskManager": f"{_LIBRARY}.manager",
    "TaskRepository": f"{_LIBRARY}.repository",
    "TaskStatus": f"{_LIBRARY}.nodes",
    "TaskTreeNode": f"{_LIBRARY}.nodes",
    "TransientError": _EXECUTORS,
    "TreeBuilder": "aipartnerupflow.api.builder",
    "TreeHandle": "aipartnerupflow.api.flow",
    "add_executor_hook": _EXECUTORS,
    "clear_config": _EXECUTORS,
    "create_session": f"{_LIBRARY}.sessions",
    "executor_register": _EXECUTORS,
    "get_default_session": f"{_LIBRARY}.sessions",
    "get_task_tree_hooks": _EXECUTORS,
    "register_post_hook": _EXECUTORS,
    "register_pre_hook": _EXECUTORS,
    "register_task_tree_hook": _EXECUTORS,
    "task": _EXECUTORS,
    "verify_webhook": "aipartnerupflow.api.webhooks",
}

__all__ = [
    "ApflowError",
    "AsyncClient",
    "BaseTask",
    "Client",
    "ExecutableTask",
    "Flow",
    "StreamingCallbacks",
    "Task",
    "TaskManager",
    "TaskRepository",
    "TaskStatus",
    "TaskTreeNode",
    "TransientError",
    "TreeBuilder",
    "TreeHandle",
    "__version__",
    "add_executor_hook",
    "clear_config",
    "create_session",
    "executor_register",
    "get_default_session",
    "get_task_tree_hooks",
    "register_post_hook",
    "register_pre_hook",
    "register_task_tree_hook",
    "task",
    "verify_webhook",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is not None:
        value = getattr(importlib.import_module(home), name)
        globals()[name] = value
        return value
    if not name.startswith("_"):
        advice = importlib.import_module(f"{_LIBRARY}.old_names").instead_of(name)
        if advice is not None:
            raise ImportError(advice)  # what `from aipartnerupflow import …` hands on as it is
    raise AttributeError(f"module 'aipartnerupflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _OldModules:
    """Asked last for a module: says what to import instead where an older interface had it."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> None:
        if fullname.startswith(f"{__name__}."):
            old_names = importlib.import_module(f"{_LIBRARY}.old_names")
            advice = old_names.instead_of_module(fullname)
            if advice is not None:
                # Without `name`: `from package import module` keeps back an error that has it.
                raise ModuleNotFoundError(advice)


sys.meta_path.append(_OldModules())
