"""Names that code written for the system of the documents may ask for, and what to use instead."""

from typing import TYPE_CHECKING, Any

_ERRORS = "aipartnerupflow.domain.errors"
_NO_TOOLS = "not built: tools belong to agent executors, which are not in this version"

_ADVICE = {
    "create_storage": "use create_session",
    "get_default_storage": "use get_default_session",
    "create_pooled_session": "use create_session: a store is open once a process and needs no pool",
    "set_default_session": "pass the session to TaskManager",
    "reset_default_session": "pass the session to TaskManager",
    "configure_database": "set APFLOW_DATABASE_URL, or pass a URL to create_session",
    "TaskCreator": "use TaskManager(db).task_repository.create_tasks(tasks)",
    "TaskExecutor": "use TaskManager(db).distribute_task_tree(tree), or Flow",
    "TaskBuilder": "use TreeBuilder",
    "TaskModel": "use Task; what is stored are events, and the task table is a projection of them",
    "set_task_model_class": "there are no custom task columns; put your data into inputs or params",
    "get_task_model_class": "there are no custom task columns; put your data into inputs or params",
    "task_model_register": "there are no custom task columns; put your data into inputs or params",
    "set_use_task_creator": "arrays always become one tree: task_repository.create_tasks",
    "get_use_task_creator": "arrays always become one tree: task_repository.create_tasks",
    "set_require_existing_tasks": "create tasks with create_task, or run an array with Flow.submit",
    "get_require_existing_tasks": "create tasks with create_task, or run an array with Flow.submit",
    "storage_register": "stores are SQLite and PostgreSQL, chosen by URL in create_session",
    "hook_register": "use register_pre_hook, register_post_hook or register_task_tree_hook",
    "tool_register": _NO_TOOLS,
    "register_tool": _NO_TOOLS,
    "resolve_tool": _NO_TOOLS,
    "get_tool_registry": _NO_TOOLS,
    "get_hook_session": "use the session that you made with create_session",
    "get_hook_repository": "use TaskRepository(session.store), or TaskManager(db).task_repository",
    "get_pre_hooks": "hooks are kept by the executor registry and cannot be listed",
    "get_post_hooks": "hooks are kept by the executor registry and cannot be listed",
    "TaskPreHook": "a pre-hook is any function of one argument, the task",
    "TaskPostHook": "a post-hook is any function of three arguments: task, inputs, result",
    "register_webhook_verify_hook": "not built: there is no webhook gateway in this version",
    "get_webhook_verify_hook": "not built: there is no webhook gateway in this version",
    "WebhookVerifyContext": "not built: there is no webhook gateway in this version",
    "WebhookVerifyResult": "not built: there is no webhook gateway in this version",
    "Extension": "register executors with @executor_register()",
    "ExtensionCategory": "register executors with @executor_register()",
    "ExtensionRegistry": "register executors with @executor_register()",
    "get_registry": "register executors with @executor_register(); `apflow executors` lists them",
    "register_extension": "register executors with @executor_register()",
    "ConfigManager": "settings come from the environment, apflow.toml and the user's settings file",
    "get_config_manager": "settings come from the environment, apflow.toml and the user's file",
    "set_demo_sleep_scale": "set APFLOW_DEMO_SLEEP_SCALE, or demo_sleep_scale in apflow.toml",
    "SessionLimitExceeded": "sessions are handles on one open store and have no limit",
    "BusinessError": "catch ApflowError, or what fits of those in " + _ERRORS,
    "ValidationError": f"catch InvalidInput and InvalidGraph, both in {_ERRORS}",
    "ConfigurationError": f"catch InvalidInput, in {_ERRORS}",
    "NetworkError": "catch ApflowError; a task that cannot reach a host fails, see its error_type",
    "AuthenticationError": "catch ApflowError; a task that is refused fails, see its error_type",
    "SystemError": f"catch ApflowError, or StoreError in {_ERRORS}; Python's own is a builtin",
    "ExecutorError": "a task that fails does not raise: see its status, error and error_type; "
    f"ExecutorMissing and ExecutorDisabled are in {_ERRORS}",
    "StorageError": f"catch StoreError, in {_ERRORS}",
    "core": "import its names from aipartnerupflow itself",
    "extensions": "executors are registered with @executor_register(); "
    "`apflow executors` lists those that are there",
    "cli": "use the command apflow, or python -m aipartnerupflow",
}

_SERVER = "the server is the command `apflow serve`; what asks it is aipartnerupflow.Client"
_MODULES = {
    "core": "import names from aipartnerupflow itself, as in `from aipartnerupflow import "
    f"TaskManager`, and errors from {_ERRORS}",
    "extensions": _ADVICE["extensions"],
    "cli": _ADVICE["cli"],
    "api.a2a": "not built: there is no A2A server in this version; " + _SERVER,
    "api.app": _SERVER,
    "api.docs": _SERVER,
    "api.extensions": _SERVER,
    "api.main": _SERVER,
    "api.mcp": "not built: there is no MCP server in this version; " + _SERVER,
    "api.middleware": _SERVER,
    "api.protocols": _SERVER,
    "api.routes": _SERVER,
}

_MANAGER = {
    "pre_hooks": "register hooks with @register_pre_hook",
    "post_hooks": "register hooks with @register_post_hook",
    "executor_instances": "executors are made anew for each attempt; register their classes with "
    "@executor_register()",
    "use_demo": "submit the tree for show: `await flow.submit(tasks, demo=True)` in a Flow",
}

_AT_CREATION = (
    "give it to create_task; in a draft, delete_task and create it again; "
    "what was submitted is history"
)
_NO_SCHEDULER = "not built: there is no scheduler in this version; let cron call `apflow run`"
_READ = "read with TaskManager(db).task_repository: query_tasks, get_task_by_id and others"
_WRITE = "write with TaskManager(db).task_repository: create_task, create_tasks, delete_task"
_DURABLE = "leave it out: each method returns once what it wrote is durable"

_MEMBERS = {
    "TaskManager": _MANAGER
    | {"execute_after_task": "dependents start by themselves; distribute_task_tree runs them all"},
    "TaskRepository": {
        "update_task": _AT_CREATION,
        "update_task_dependencies": _AT_CREATION,
        "update_task_inputs": _AT_CREATION + "; @register_pre_hook may change those of an attempt",
        "update_task_name": _AT_CREATION,
        "update_task_params": _AT_CREATION,
        "update_task_priority": _AT_CREATION,
        "update_task_schemas": _AT_CREATION,
        "update_task_status": "a status cannot be set: it follows from what happened when "
        "distribute_task_tree ran the tree",
        "get_due_scheduled_tasks": _NO_SCHEDULER,
        "get_scheduled_tasks": _NO_SCHEDULER,
        "mark_scheduled_task_running": _NO_SCHEDULER,
        "complete_scheduled_run": _NO_SCHEDULER,
        "initialize_schedule": _NO_SCHEDULER,
        "reset_task_tree_for_reexecution": 'use `await flow.tree(id).rerun("all")` in a Flow',
        "get_task_tree_for_api": "use (await build_task_tree(task_id)).output()",
        "count_tasks_by_status": "count what query_tasks(status=…) gives, page by page",
        "db": "the session is TaskManager.db",
        "task_model_class": _ADVICE["set_task_model_class"],
    },
    "Session": {
        "add": _WRITE,
        "add_all": _WRITE,
        "begin": _DURABLE,
        "commit": _DURABLE,
        "delete": _WRITE,
        "execute": _READ,
        "expire_all": "leave it out: every read sees what is stored",
        "flush": _DURABLE,
        "get": _READ,
        "merge": _WRITE,
        "query": _READ,
        "refresh": "read the task again with TaskManager(db).task_repository.get_task_by_id",
        "rollback": "leave it out: a method that raises has written nothing",
        "scalar": _READ,
        "scalars": _READ,
    },
    "TaskTreeNode": {
        "copy": "read another with task_repository.build_task_tree",
        "to_mapping": "use {node.task.id: node for node in tree}",
        "update": "nodes show what was read; " + _AT_CREATION,
    },
}


class AdvisesOnOldMembers:
    """Base of classes that say what to use instead of what they no longer have."""

    if not TYPE_CHECKING:  # else type checkers take every attribute to be there

        def __getattr__(self, name: str) -> Any:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            for kind in type(self).__mro__:
                advice = _MEMBERS.get(kind.__name__, {}).get(name)
                if advice is not None:
                    message += f": {advice}."
                    break
            raise AttributeError(message, name=name, obj=self)


def instead_of_argument(name: str) -> str:
    """What to do instead of giving TaskManager the argument."""
    return _MANAGER.get(name, "it takes db and root_task_id")


def instead_of_module(fullname: str) -> str | None:
    """What to import instead of an old module; None where the module was never one."""
    advice = _MODULES.get(fullname.partition(".")[2])
    return None if advice is None else f"there is no module {fullname!r}: {advice}."


def instead_of(name: str) -> str | None:
    """What to use instead of an old name; None where the name was never one."""
    advice = _ADVICE.get(name)
    return None if advice is None else f"aipartnerupflow has no {name!r}: {advice}."
