"""Executors: what they are made from, which there are, how one is called."""

from .base import BaseTask, ExecutableTask
from .context import Context
from .errors import TransientError
from .function import task
from .invoke import invoke
from .registration import (
    add_executor_hook,
    clear_config,
    default_registry,
    executor_register,
    get_task_tree_hooks,
    register_post_hook,
    register_pre_hook,
    register_task_tree_hook,
)
from .registry import Registry
from .schemas import schema_faults
from .view import TaskView

__all__ = [
    "BaseTask",
    "Context",
    "ExecutableTask",
    "Registry",
    "TaskView",
    "TransientError",
    "add_executor_hook",
    "clear_config",
    "default_registry",
    "executor_register",
    "get_task_tree_hooks",
    "invoke",
    "register_post_hook",
    "register_pre_hook",
    "register_task_tree_hook",
    "schema_faults",
    "task",
]
