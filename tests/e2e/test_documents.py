"""The code samples of the two documents, run.

Changed are only: indentation that was lost, `...` by arguments, names that a sample leaves open.
What must succeed and is not built in is registered here under the name that the sample uses.
"""

import ast
import asyncio
import subprocess
import sys
import tomllib
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import aipartnerupflow
from aipartnerupflow import TaskManager, TaskTreeNode, task
from aipartnerupflow.adapters.executors import default_registry
from aipartnerupflow.api.library.sessions import Session
from tests.support.places import environment, started
from tests.support.repository import ROOT

FIRST_FIVE_MINUTES = """
from aipartnerupflow import TaskManager, TaskTreeNode, create_session
import asyncio

async def main():
    # 1. Create a database session
    db = create_session()
    
    # 2. Create a task manager
    task_manager = TaskManager(db)
    
    # 3. Create a simple task
    task = await task_manager.task_repository.create_task(
        name="system_info_executor",  # Built-in executor
        user_id="user123",
        inputs={"resource": "cpu"}
    )
    
    # 4. Build and execute
    task_tree = TaskTreeNode(task)
    await task_manager.distribute_task_tree(task_tree)
    
    # 5. Check the result
    result = await task_manager.task_repository.get_task_by_id(task.id)
    print(f"Task completed: {result.status}")
    print(f"Result: {result.result}")

asyncio.run(main())
"""  # noqa: W293

CUSTOM_EXECUTOR = '''
from aipartnerupflow import BaseTask, executor_register
@executor_register()
class MyCustomExecutor(BaseTask):
    """My custom task executor"""
    id = "my_custom_executor"
    name = "My Custom Executor"
    async def execute(self, inputs):
        # Your task logic here
        return {"result": "done"}
'''

A_TASK = """
task = await task_repository.create_task(
    name="cook_pasta", # What to do
    inputs={"pasta": "spaghetti", "water": "2L"}, # What you need
    user_id="chef123" # Who's doing it
)
"""

A_TREE = """
# Create root task
root = await task_repository.create_task(name="prepare_dinner", user_id="chef123")
# Create child tasks
buy_ingredients = await task_repository.create_task(
    name="buy_ingredients",
    parent_id=root.id, # Child of root
    user_id="chef123"
)
# Build tree
tree = TaskTreeNode(root)
tree.add_child(TaskTreeNode(buy_ingredients))
"""

A_DEPENDENCY = """
# Task B depends on Task A
task_b = await task_repository.create_task(
    name="process_data",
    dependencies=[
        {"id": task_a.id, "required": True} # Must wait for A
    ],
    user_id="user123"
)
"""

A_CHILD_THAT_WAITS_FOR_ANOTHER = """
# Task B is a child of Task A (organization)
# But Task B depends on Task C (execution order)
task_b = await task_repository.create_task(
    parent_id=task_a.id, # Organizational: B is child of A
    dependencies=[{"id": task_c.id}], # Execution: B waits for C
    name="process_data"
)
"""

A_MANAGER = """
# Create TaskManager
task_manager = TaskManager(db)
# Give it a task tree
task_tree = TaskTreeNode(root_task)
task_tree.add_child(TaskTreeNode(child_task))
# TaskManager handles everything automatically
await task_manager.distribute_task_tree(task_tree)
"""

PRIORITIES = """
# Urgent task runs first
urgent = await task_repository.create_task(
    name="urgent_task",
    priority=0, # Executes first
    parent_id=root.id
)
# Normal task runs later
normal = await task_repository.create_task(
    name="normal_task",
    priority=2, # Executes after urgent
    parent_id=root.id
)
"""

ALL_TOGETHER = """
# 1. Create TaskManager (the orchestrator)
task_manager = TaskManager(db)
# 2. Create tasks with dependencies
task_a = await task_repository.create_task(
    name="fetch_data",
    priority=1,
    parent_id=root.id
)
task_b = await task_repository.create_task(
    name="process_data",
    parent_id=root.id, # Organizational: child of root
    dependencies=[{"id": task_a.id}], # Execution: waits for A
    priority=2,
    inputs={"unit": "C"}
)
# 3. Build task tree (organization)
tree = TaskTreeNode(root)
tree.add_child(TaskTreeNode(task_a))
tree.add_child(TaskTreeNode(task_b))
# 4. TaskManager handles execution automatically
# - Checks dependencies
# - Executes in order (A, then B)
# - Tracks status
# - Handles errors
await task_manager.distribute_task_tree(tree)
"""


def executor(id: str, result: Any = None, seconds: float = 0) -> None:
    """Registers an executor of that name which takes anything."""

    @task(id=id)
    async def run(inputs: dict[str, Any]) -> Any:
        await asyncio.sleep(seconds)
        return {"done": id} if result is None else result


class Sample:
    """Runs samples in one module, with `await` outside of functions as the documents write it."""

    def __init__(self, db: Session) -> None:
        repository = TaskManager(db).task_repository
        self.names: dict[str, Any] = {
            "db": db,
            "task_repository": repository,
            "TaskManager": TaskManager,
            "TaskTreeNode": TaskTreeNode,
        }

    def __getattr__(self, name: str) -> Any:
        return self.names[name]

    async def run(self, text: str, **undefined: Any) -> None:
        """Execute the text, with what it leaves open as given."""
        self.names.update(undefined)
        code = compile(text, "<sample>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert isinstance(code, CodeType)
        coroutine = eval(code, self.names)
        if coroutine is not None:
            await coroutine


@pytest.fixture
def sample(db: Session) -> Sample:
    return Sample(db)


async def statuses(db: Session, tree: str) -> dict[str, str]:
    tasks = await TaskManager(db).task_repository.get_all_tasks_in_tree(tree)
    return {each.name: each.status for each in tasks}


# -- getting started


def run_script(path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, path.name],
        cwd=path.parent, env=environment(path.parent), capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_first_five_minutes_run_as_printed_and_run_again(tmp_path: Path) -> None:
    script = tmp_path / "first.py"
    script.write_text(FIRST_FIVE_MINUTES)
    for _ in range(2):
        ran = run_script(script)
        assert (ran.returncode, ran.stderr) == (0, "")
        first, second = ran.stdout.splitlines()
        assert first == "Task completed: completed"
        result = ast.literal_eval(second.removeprefix("Result: "))
        assert result["threads"] >= result["cores"] >= 1
    assert (tmp_path / "state" / "apflow.db").is_file()


def test_every_extra_that_the_documents_install_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"crewai", "a2a", "cli", "all", "http", "ssh", "grpc"} <= set(
        extras["optional-dependencies"]
    )


def test_every_name_that_the_documents_import_is_exported() -> None:
    names = {"TaskManager", "TaskTreeNode", "create_session", "BaseTask", "executor_register"}
    assert names <= set(aipartnerupflow.__all__)
    assert all(hasattr(aipartnerupflow, name) for name in names)


# -- concepts


async def test_a_task_is_created_pending(sample: Sample) -> None:
    await sample.run(A_TASK)
    created = sample.task
    assert (created.name, created.user_id, created.status) == ("cook_pasta", "chef123", "pending")
    assert created.inputs == {"pasta": "spaghetti", "water": "2L"}
    assert (created.result, created.error, created.progress) == (None, None, 0.0)


async def test_a_tree_is_built_of_nodes_and_its_root_is_a_group(
    sample: Sample, db: Session
) -> None:
    executor("buy_ingredients")
    await sample.run(A_TREE)
    settled = await TaskManager(db).distribute_task_tree(sample.tree)
    assert settled.calculate_status() == "completed"
    assert await statuses(db, sample.root.id) == {
        "prepare_dinner": "completed",
        "buy_ingredients": "completed",
    }
    assert started(db, sample.root.id) == ["buy_ingredients"]


async def test_the_order_follows_the_dependencies(sample: Sample, db: Session) -> None:
    """Fetch, process, save, created the other way round than they must run."""
    for name in ("fetch_data", "process_data", "save_results"):
        executor(name)
    create = TaskManager(db).task_repository.create_task
    root = await create(name="pipeline", user_id="user123")
    task_a = await create(name="fetch_data", user_id="user123")
    await sample.run(A_DEPENDENCY, task_a=task_a)
    task_c = await create(
        name="save_results", dependencies=[{"id": sample.task_b.id}], user_id="user123"
    )
    tree = TaskTreeNode(root)
    for each in (task_c, sample.task_b, task_a):
        tree.add_child(TaskTreeNode(each))
    await TaskManager(db).distribute_task_tree(tree)
    assert started(db, root.id) == ["fetch_data", "process_data", "save_results"]
    assert set((await statuses(db, root.id)).values()) == {"completed"}


async def test_who_stands_under_whom_orders_nothing(sample: Sample, db: Session) -> None:
    """B stands under A and waits for C, which is created last and runs long."""
    for name in ("fetch_data", "process_data"):
        executor(name)
    executor("collect_data", seconds=0.1)
    create = TaskManager(db).task_repository.create_task
    root = await create(name="pipeline")
    task_a = await create(name="fetch_data", parent_id=root.id)
    task_c = await create(name="collect_data", parent_id=root.id)
    await sample.run(A_CHILD_THAT_WAITS_FOR_ANOTHER, task_a=task_a, task_c=task_c)
    assert sample.task_b.parent_id == task_a.id
    await TaskManager(db).distribute_task_tree(TaskTreeNode(root))
    order = started(db, root.id)
    assert order.index("collect_data") < order.index("process_data")
    assert set((await statuses(db, root.id)).values()) == {"completed"}


async def test_the_custom_executor_runs_as_printed(sample: Sample, db: Session) -> None:
    await sample.run(CUSTOM_EXECUTOR, __name__="sample")
    assert "my_custom_executor" in default_registry.ids()
    manager = TaskManager(db)
    created = await manager.task_repository.create_task(name="my_custom_executor")
    settled = await manager.distribute_task_tree(TaskTreeNode(created))
    assert settled.task.status == "completed"
    assert settled.task.result == {"result": "done"}


async def test_the_manager_runs_a_tree_of_two(sample: Sample, db: Session) -> None:
    executor("child_task")
    create = TaskManager(db).task_repository.create_task
    root_task = await create(name="root_task")
    child_task = await create(name="child_task", parent_id=root_task.id)
    await sample.run(A_MANAGER, root_task=root_task, child_task=child_task)
    assert set((await statuses(db, root_task.id)).values()) == {"completed"}


async def test_the_urgent_task_starts_before_the_normal_one(sample: Sample, db: Session) -> None:
    for name in ("urgent_task", "normal_task", "earlier_task"):
        executor(name)
    create = TaskManager(db).task_repository.create_task
    root = await create(name="root")
    await create(name="earlier_task", parent_id=root.id)
    await sample.run(PRIORITIES, root=root)
    assert (sample.urgent.priority, sample.normal.priority) == (0, 2)
    await TaskManager(db).distribute_task_tree(TaskTreeNode(root))
    assert started(db, root.id) == ["urgent_task", "earlier_task", "normal_task"]


async def test_all_together(sample: Sample, db: Session) -> None:
    executor("fetch_data", {"degrees": 21})
    executor("process_data")
    root = await TaskManager(db).task_repository.create_task(name="weather")
    await sample.run(ALL_TOGETHER, root=root)
    assert started(db, root.id) == ["fetch_data", "process_data"]
    assert set((await statuses(db, root.id)).values()) == {"completed"}


async def test_all_together_says_what_is_missing_where_nobody_wrote_the_executors(
    sample: Sample, db: Session
) -> None:
    root = await TaskManager(db).task_repository.create_task(name="weather")
    await sample.run(ALL_TOGETHER, root=root)
    read = TaskManager(db).task_repository.get_task_by_id
    task_a, task_b, group = [await read(t.id) for t in (sample.task_a, sample.task_b, root)]
    assert task_a is not None
    assert task_b is not None
    assert group is not None
    assert (task_a.status, task_b.status, group.status) == ("failed", "pending", "failed")
    assert "'fetch_data' is no executor" in str(task_a.error)
    assert "system_info_executor" in str(task_a.error)
    assert group.error == f"its child {task_a.id} failed"
