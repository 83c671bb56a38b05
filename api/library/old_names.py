"""Names that code written for the system of the documents may ask for, and what to use instead."""

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
    "tool_register": "not built: tools belong to agent executors, which are not in this version",
    "register_tool": "not built: tools belong to agent executors, which are not in this version",
    "resolve_tool": "not built: tools belong to agent executors, which are not in this version",
    "get_tool_registry": "not built: tools belong to agent executors, not in this version",
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
    "set_demo_sleep_scale": "not built: there is no demo mode for executors in this version",
    "SessionLimitExceeded": "sessions are handles on one open store and have no limit",
}


def instead_of(name: str) -> str | None:
    """What to use instead of an old name; None where the name was never one."""
    advice = _ADVICE.get(name)
    return None if advice is None else f"aipartnerupflow has no {name!r}: {advice}."
