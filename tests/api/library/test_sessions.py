"""Sessions: handles on the process's one open store, in any loop, thread and process."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aipartnerupflow import TaskManager, TaskTreeNode, create_session, get_default_session, task
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain.errors import ApflowError, InvalidInput, StoreUnavailable
from tests.support.places import environment, started, topics, until


@pytest.fixture(autouse=True)
def slow(executors: None) -> None:
    @task
    async def slow(seconds: float = 0.0) -> None:
        await asyncio.sleep(seconds)


async def run_one(manager: TaskManager, seconds: float = 0.0) -> str:
    made = await manager.task_repository.create_task("slow", inputs={"seconds": seconds})
    return (await manager.distribute_task_tree(TaskTreeNode(made))).task.status


# -- which store


def test_without_arguments_it_is_the_one_in_the_state_directory(place: Path) -> None:
    session = create_session()
    assert Path(session.url.removeprefix("sqlite:///")) == place / "state" / "apflow.db"
    assert (place / "state").stat().st_mode & 0o777 == 0o700
    assert (place / "state" / "apflow.db").stat().st_mode & 0o777 == 0o600
    assert get_default_session().store is session.store
    session.store.close()


def test_the_environment_names_another(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APFLOW_DATABASE_URL", f"sqlite:///{place / 'named.db'}")
    session = create_session()
    assert (place / "named.db").is_file()
    session.store.close()


def test_all_ways_to_name_a_file_lead_to_one_open_store(place: Path) -> None:
    (place / "link.db").symlink_to(place / "x.db")
    names = ["x.db", "sqlite:///x.db", f"sqlite:///{place / 'x.db'}", str(place / "link.db")]
    stores = {create_session(name).store for name in names}
    assert create_session(path="x.db").store in stores
    assert create_session(place / "x.db").store in stores
    assert len(stores) == 1
    stores.pop().close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("duckdb:///x.duckdb", "DuckDB stores are not supported. Use sqlite:///path.db"),
        ("mysql://host/db", "unknown kind of store 'mysql'"),
        ("sqlite://x.db", "names no file. Write sqlite:///relative/path.db"),
        ("no/such/folder/x.db", "the directory .* does not exist. Make it"),
        (".", "is a directory; name a file in it"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_the_way_out(
    place: Path, url: str, message: str
) -> None:
    with pytest.raises(ApflowError, match=message):
        create_session(url)


@pytest.mark.parametrize("given", [5, True, 0, b"x.db", []])
def test_what_is_neither_url_nor_path_is_refused(place: Path, given: Any) -> None:
    for argument in ("connection_string", "path"):
        with pytest.raises(InvalidInput, match=f"a URL or a path, .* {type(given).__name__}$"):
            create_session(**{argument: given})
    assert list(place.iterdir()) == []


def test_a_closed_store_refuses_and_can_be_opened_again(place: Path) -> None:
    session = create_session("x.db")
    session.store.close()
    session.store.close()
    with pytest.raises(StoreUnavailable, match="was closed; open it again"):
        session.store.tree("r")
    again = create_session("x.db")
    assert asyncio.run(run_one(TaskManager(again))) == "completed"
    again.store.close()


async def test_a_session_may_be_used_in_a_with_block_and_stays_usable(place: Path) -> None:
    with create_session("x.db") as session:
        pass
    async with session:
        assert await run_one(TaskManager(session)) == "completed"
    session.close()
    assert await run_one(TaskManager(session)) == "completed"
    session.store.close()


# -- loops and threads; the fixtures make session and manager outside of any loop


def test_one_manager_serves_one_loop_after_the_other(manager: TaskManager) -> None:
    assert [asyncio.run(run_one(manager)) for _ in range(2)] == ["completed"] * 2


def test_a_tree_may_be_created_in_one_loop_and_run_in_another(manager: TaskManager) -> None:
    made = asyncio.run(manager.task_repository.create_task("slow"))
    settled = asyncio.run(manager.distribute_task_tree(TaskTreeNode(made)))
    assert settled.task.status == "completed"


def in_threads(*works: Callable[[], Any]) -> list[Any]:
    answers: list[Any] = [None] * len(works)

    def work(n: int) -> None:
        try:
            answers[n] = works[n]()
        except BaseException as error:
            answers[n] = error
            raise

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def test_loops_in_several_threads_run_trees_side_by_side(manager: TaskManager) -> None:
    async def several() -> list[str]:
        return [await run_one(manager, 0.01) for _ in range(5)]

    answers = in_threads(*[lambda: asyncio.run(several())] * 4)
    assert answers == [["completed"] * 5] * 4


def test_loops_in_two_threads_that_want_one_tree_have_one_run(
    manager: TaskManager, db: Session
) -> None:
    made = asyncio.run(manager.task_repository.create_task("slow", id="r", inputs={"seconds": 0.3}))

    def run() -> str:
        return asyncio.run(manager.distribute_task_tree(TaskTreeNode(made))).task.status

    assert in_threads(run, run) == ["completed"] * 2
    assert started(db, "r") == ["slow"]


def test_a_loop_that_ends_leaves_its_tree_interrupted_and_resumable(
    manager: TaskManager, db: Session
) -> None:
    made = asyncio.run(manager.task_repository.create_task("slow", id="r"))

    @task(id="slow", override=True)
    async def endless(context: Any) -> None:
        await asyncio.sleep(60 if context.attempt == 1 else 0)

    async def leave_it_running() -> None:
        run = asyncio.create_task(manager.distribute_task_tree(TaskTreeNode(made)))
        await until(lambda: started(db, "r"))
        assert not run.done()

    asyncio.run(leave_it_running())
    assert topics(db, "r")[-2:] == ["task.interrupted", "tree.released"]
    settled = asyncio.run(manager.distribute_task_tree(TaskTreeNode(made)))
    assert (settled.task.status, settled.task.attempt) == ("completed", 2)


# -- processes

FORK = """
import asyncio, os, sys
from aipartnerupflow import TaskManager, TaskTreeNode, create_session

db = create_session("x.db")
manager = TaskManager(db)

async def run(manager):
    task = await manager.task_repository.create_task("system_info_executor")
    return (await manager.distribute_task_tree(TaskTreeNode(task))).task.status

print("before", asyncio.run(run(manager)), flush=True)
pid = os.fork()
if pid == 0:
    try:
        asyncio.run(run(manager))
    except Exception as error:
        print("child", type(error).__name__, error)
    print("child", asyncio.run(run(TaskManager(create_session("x.db")))), flush=True)
    sys.exit(0)
os.waitpid(pid, 0)
print("parent", asyncio.run(run(manager)))
"""


def test_after_a_fork_the_handle_refuses_and_the_store_can_be_opened_again(place: Path) -> None:
    (place / "fork.py").write_text(FORK)
    ran = subprocess.run(
        [sys.executable, "fork.py"],
        cwd=place, env=environment(place), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        "before completed",
        "child StoreUnavailable this store was opened before the process forked; "
        "open it again in the child",
        "child completed",
        "parent completed",
    ]


def test_settings_of_an_unknown_kind_are_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_DATABASE_URL", "duckdb:///x.duckdb")
    with pytest.raises(InvalidInput, match="sqlite:///"):
        create_session()
