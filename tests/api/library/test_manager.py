"""TaskManager: trees run to their end, whatever shape they were given in."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aipartnerupflow import Task, TaskManager, TaskTreeNode, task
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain.errors import (
    InvalidGraph,
    InvalidInput,
    InvalidTransition,
    NotFound,
)
from aipartnerupflow.domain.events import TaskCompleted
from tests.support.places import started, topics, until

Spec = dict[str, Any]


@pytest.fixture(autouse=True)
def work(executors: None) -> None:
    @task
    async def work(inputs: dict[str, Any]) -> Any:
        return inputs.get("give", inputs)

    @task
    async def nothing() -> None:
        """The result is null."""

    @task
    async def slow(seconds: float = 0.5) -> None:
        await asyncio.sleep(seconds)

    @task
    async def broken() -> None:
        raise RuntimeError("it broke")


@pytest.fixture
def run(manager: TaskManager) -> Callable[..., Awaitable[dict[str, Task]]]:
    """Creates a group ``r`` with these tasks below it, runs it, gives its tasks by id."""

    async def run(*tasks: Spec) -> dict[str, Task]:
        specs = [{"id": "r", "name": "r"}, *({"parent_id": "r"} | each for each in tasks)]
        root, *_ = await manager.task_repository.create_tasks(specs)
        settled = await manager.distribute_task_tree(TaskTreeNode(root))
        return {node.task.id: node.task for node in settled}

    return run


Run = Callable[..., Awaitable[dict[str, Task]]]


def statuses(tasks: dict[str, Task]) -> dict[str, str]:
    return {id: each.status for id, each in tasks.items()}


# -- shapes


async def test_drafts_of_their_own_join_the_tree_of_the_root(
    manager: TaskManager, db: Session
) -> None:
    create = manager.task_repository.create_task
    root, a = await create("root", id="r"), await create("work", id="a")
    b = await create("work", id="b", dependencies=["a"])
    tree, below = TaskTreeNode(root), TaskTreeNode(a)
    below.add_child(TaskTreeNode(b))
    tree.add_child(below)
    settled = await manager.distribute_task_tree(tree)
    assert [node.task.id for node in settled] == ["r", "a", "b"]
    assert {node.task.status for node in settled} == {"completed"}
    assert (await manager.task_repository.build_task_tree("b")).task.id == "r"
    assert topics(db, "a")[-1] == "tree.adopted"
    assert "tree.adopted" not in topics(db, "r")


async def test_a_single_node_runs_all_that_is_stored_below_it(
    manager: TaskManager, run: Run
) -> None:
    tasks = await run({"id": "a", "name": "work"}, {"id": "b", "name": "work", "parent_id": "a"})
    assert statuses(tasks) == {"r": "completed", "a": "completed", "b": "completed"}


async def test_flat_and_nested_nodes_of_stored_parents_run_alike(
    manager: TaskManager, db: Session
) -> None:
    """What the nodes say wins over what the store said."""
    create = manager.task_repository.create_task
    root = await create("root")
    a = await create("work", parent_id=root.id)
    b = await create("work", parent_id=a.id)
    flat = TaskTreeNode(root)
    flat.add_child(TaskTreeNode(a))
    flat.add_child(TaskTreeNode(b))
    settled = await manager.distribute_task_tree(flat)
    assert [child.task.id for child in settled.children] == [a.id, b.id]
    assert settled.calculate_status() == "completed"


async def test_a_task_in_two_places_is_refused(manager: TaskManager) -> None:
    create = manager.task_repository.create_task
    root, a = await create("root"), await create("work")
    tree = TaskTreeNode(root)
    for _ in range(2):
        tree.add_child(TaskTreeNode(a))
    with pytest.raises(InvalidGraph, match="stands in the node tree twice"):
        await manager.distribute_task_tree(tree)


async def test_a_part_of_a_tree_cannot_be_run_alone_or_join_another(
    manager: TaskManager, db: Session
) -> None:
    create = manager.task_repository.create_task
    root, other = await create("root", id="r"), await create("other", id="o")
    part = await create("work", parent_id="o", id="p")
    with pytest.raises(InvalidGraph, match="is not the root of its tree; distribute the tree of o"):
        await manager.distribute_task_tree(TaskTreeNode(part))
    tree = TaskTreeNode(root)
    tree.add_child(TaskTreeNode(part))
    with pytest.raises(InvalidGraph, match="only part of its tree is among the nodes"):
        await manager.distribute_task_tree(tree)
    assert topics(db, "r") == ["tree.created"]
    assert other.draft


async def test_a_tree_that_was_run_joins_no_other(manager: TaskManager, db: Session) -> None:
    create = manager.task_repository.create_task
    done, root = await create("work", id="d"), await create("root", id="r")
    await manager.distribute_task_tree(TaskTreeNode(done))
    tree = TaskTreeNode(root)
    tree.add_child(TaskTreeNode(done))
    with pytest.raises(InvalidTransition, match="tree d is no draft"):
        await manager.distribute_task_tree(tree)
    assert topics(db, "r") == ["tree.created"]


async def test_a_tree_of_another_user_joins_no_other(manager: TaskManager) -> None:
    create = manager.task_repository.create_task
    root, other = await create("root", "chef"), await create("work", "guest")
    tree = TaskTreeNode(root)
    tree.add_child(TaskTreeNode(other))
    with pytest.raises(InvalidTransition, match="belongs to another user"):
        await manager.distribute_task_tree(tree)


async def test_a_dependency_outside_of_the_tree_is_named_with_the_way_out(
    manager: TaskManager,
) -> None:
    create = manager.task_repository.create_task
    await create("work", id="outside")
    root = await create("root")
    await create("work", parent_id=root.id, dependencies=["outside"], id="a")
    refusal = "a: depends on 'outside', which is not a task of this tree.*add_child it first"
    with pytest.raises(InvalidGraph, match=refusal):
        await manager.distribute_task_tree(TaskTreeNode(root))


async def test_a_circle_is_refused_and_the_draft_can_be_mended(manager: TaskManager) -> None:
    """The root depends on its child through adoption: a group waits for its children anyway."""
    repository = manager.task_repository
    a = await repository.create_task("work", id="a")
    b = await repository.create_task("work", id="b", dependencies=["a"])
    tree = TaskTreeNode(b)
    tree.add_child(TaskTreeNode(a))
    settled = await manager.distribute_task_tree(tree)
    assert settled.calculate_status() == "completed"


async def test_a_node_that_is_not_stored_here_is_refused(
    manager: TaskManager, tmp_path_factory: pytest.TempPathFactory
) -> None:
    created = await manager.task_repository.create_task("work")
    created.id = "elsewhere"
    with pytest.raises(InvalidGraph, match="elsewhere: is not in this store; create it first"):
        await manager.distribute_task_tree(TaskTreeNode(created))


# -- running


async def test_dependents_start_after_what_they_depend_on(run: Run, db: Session) -> None:
    await run(
        {"id": "c", "name": "save", "params": {"executor_id": "work"}, "dependencies": ["b"]},
        {"id": "b", "name": "process", "params": {"executor_id": "work"}, "dependencies": ["a"]},
        {"id": "a", "name": "fetch", "params": {"executor_id": "work"}},
    )
    assert started(db, "r") == ["fetch", "process", "save"]


async def test_results_of_dependencies_arrive_under_their_keys(run: Run) -> None:
    tasks = await run(
        {"id": "a", "name": "work", "inputs": {"give": {"degrees": 21}}},
        {"id": "b", "name": "work", "inputs": {"unit": "C"}, "dependencies": ["a"]},
        {
            "id": "c",
            "name": "work",
            "inputs": {"give": {"$from": "a", "pointer": "/degrees"}},
            "dependencies": ["a"],
        },
    )
    assert tasks["b"].result == {"a": {"degrees": 21}, "unit": "C"}
    assert tasks["c"].result == 21


async def test_a_null_result_satisfies_dependents(run: Run) -> None:
    tasks = await run(
        {"id": "a", "name": "nothing"}, {"id": "b", "name": "work", "dependencies": ["a"]}
    )
    assert statuses(tasks) == {"r": "completed", "a": "completed", "b": "completed"}
    assert tasks["a"].result is None
    assert tasks["b"].result == {"a": None}


async def test_three_dependents_of_half_a_second_run_side_by_side(run: Run) -> None:
    before = time.monotonic()
    tasks = await run(
        {"id": "a", "name": "nothing"},
        *({"id": id, "name": "slow", "dependencies": ["a"]} for id in ("b", "c", "d")),
    )
    assert time.monotonic() - before < 1.2
    assert set(statuses(tasks).values()) == {"completed"}


async def test_the_most_urgent_goes_first_where_there_is_one_place(run: Run, db: Session) -> None:
    @task(limit=1)
    async def narrow() -> None:
        await asyncio.sleep(0)

    await run(
        {"id": "first", "name": "nothing"},
        *(
            {"id": str(n), "name": f"p{n}", "priority": n, "dependencies": ["first"],
             "params": {"executor_id": "narrow"}}
            for n in (3, 2, 1, 0)
        ),
    )  # fmt: skip
    assert started(db, "r") == ["nothing", "p0", "p1", "p2", "p3"]


async def test_a_failure_blocks_what_requires_it_and_lets_clean_up_run(
    run: Run, db: Session
) -> None:
    tasks = await run(
        {"id": "a", "name": "broken"},
        {"id": "b", "name": "work", "dependencies": ["a"]},
        {"id": "c", "name": "work", "dependencies": [{"id": "b", "required": False}]},
        {"id": "d", "name": "work"},
    )
    assert statuses(tasks) == {
        "r": "failed", "a": "failed", "b": "pending", "c": "completed", "d": "completed",
    }  # fmt: skip
    assert (tasks["a"].error, tasks["a"].error_type) == ("it broke", "RuntimeError")
    assert tasks["r"].error == "its child a failed"
    assert tasks["c"].result == {}


async def test_a_group_with_a_blocked_child_fails_and_names_it(run: Run) -> None:
    tasks = await run(
        {"id": "a", "name": "broken"},
        {"id": "g", "name": "group"},
        {"id": "b", "name": "work", "parent_id": "g", "dependencies": ["a"]},
    )
    assert tasks["g"].status == "failed"
    assert tasks["g"].error == "its child b could not start, because a failed"


async def test_a_task_that_fails_raises_nothing(manager: TaskManager) -> None:
    created = await manager.task_repository.create_task("broken")
    settled = await manager.distribute_task_tree(TaskTreeNode(created))
    assert (settled.task.status, settled.task.error) == ("failed", "it broke")


async def test_an_unknown_executor_fails_the_task_and_names_what_there_is(run: Run) -> None:
    tasks = await run(
        {"id": "a", "name": "work", "params": {"executor_id": "wrok"}},
        {"id": "b", "name": "nobody"},
    )
    assert [tasks[id].error_type for id in ("a", "b")] == ["executor_not_found"] * 2
    assert "the executor 'wrok' is not registered. Registered are: aggregate" in str(
        tasks["a"].error
    )
    assert "'nobody' is no executor and the task has no children" in str(tasks["b"].error)
    assert tasks["a"].attempt == 1


async def test_a_big_result_is_kept_beside_the_log(run: Run, db: Session) -> None:
    text = "x" * 100_000
    tasks = await run({"id": "a", "name": "work", "inputs": {"give": {"text": text}}})
    assert tasks["a"].result == {"text": text}
    completed = [r.event for r in db.store.journal.read("r") if isinstance(r.event, TaskCompleted)]
    assert completed[0].blob is not None
    assert db.store.journal.read_blob(completed[0].blob) == b'{"text":"%b"}' % text.encode()


async def test_a_big_result_is_handed_on(run: Run) -> None:
    tasks = await run(
        {"id": "a", "name": "work", "inputs": {"give": {"text": "x" * 100_000}}},
        {
            "id": "b",
            "name": "work",
            "inputs": {"give": {"$from": "a", "pointer": "/text"}},
            "dependencies": ["a"],
        },
    )
    assert tasks["b"].error is None
    assert tasks["b"].result == "x" * 100_000


async def test_a_result_that_is_no_json_fails_the_task(run: Run) -> None:
    @task
    async def odd() -> object:
        return object()

    tasks = await run({"id": "a", "name": "odd"})
    assert (tasks["a"].status, tasks["a"].error_type) == ("failed", "result_not_json")


async def test_many_trees_run_at_once(manager: TaskManager) -> None:
    repository = manager.task_repository
    made = [
        await repository.create_tasks(
            [{"name": "r", "children": [{"name": "work"}, {"name": "nothing"}]}]
        )
        for _ in range(500)
    ]
    trees = [TaskTreeNode(tasks[0]) for tasks in made]
    settled = await asyncio.gather(*map(manager.distribute_task_tree, trees))
    assert {node.task.status for tree in settled for node in tree} == {"completed"}
    assert len({tree.task.id for tree in settled}) == 500


# -- again, twice, not to the end


async def test_a_settled_tree_is_given_at_once_and_nothing_runs_again(
    manager: TaskManager, db: Session
) -> None:
    created = await manager.task_repository.create_task("work", id="r")
    await manager.distribute_task_tree(TaskTreeNode(created))
    before = topics(db, "r")
    again = await asyncio.wait_for(manager.distribute_task_tree(TaskTreeNode(created)), 1)
    assert again.task.status == "completed"
    assert topics(db, "r") == before


async def test_two_callers_at_once_have_one_run(manager: TaskManager, db: Session) -> None:
    created = await manager.task_repository.create_task("slow", id="r", inputs={"seconds": 0.1})
    callers = [manager.distribute_task_tree(TaskTreeNode(created)) for _ in range(3)]
    for tree in await asyncio.wait_for(asyncio.gather(*callers), 10):
        assert tree.task.status == "completed"
    assert started(db, "r") == ["slow"]


async def test_a_caller_that_comes_later_waits_for_the_first(
    manager: TaskManager, db: Session
) -> None:
    created = await manager.task_repository.create_task("slow", id="r", inputs={"seconds": 0.3})
    first = asyncio.create_task(manager.distribute_task_tree(TaskTreeNode(created)))
    await until(lambda: "task.started" in topics(db, "r"))
    second = await manager.distribute_task_tree(TaskTreeNode(created))
    assert second.task.status == "completed"
    assert (await first).task.status == "completed"
    assert started(db, "r") == ["slow"]


async def test_a_cancelled_wait_leaves_the_tree_interrupted_and_the_next_call_goes_on(
    manager: TaskManager, db: Session
) -> None:
    attempts: list[tuple[int, str]] = []

    @task
    async def patient(context: Any) -> int:
        attempts.append((context.attempt, context.idempotency_key))
        await asyncio.sleep(60 if context.attempt == 1 else 0)
        return int(context.attempt)

    await manager.task_repository.create_tasks(
        [
            {"id": "r", "name": "r"},
            {"id": "a", "name": "work", "parent_id": "r"},
            {"id": "b", "name": "patient", "parent_id": "r", "dependencies": ["a"]},
        ]
    )
    tree = await manager.task_repository.build_task_tree("r")
    wait = asyncio.create_task(manager.distribute_task_tree(tree))
    await until(lambda: attempts)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert topics(db, "r")[-2:] == ["task.interrupted", "tree.released"]
    interrupted = await manager.task_repository.get_task_by_id("b")
    assert interrupted is not None
    assert (interrupted.status, interrupted.started_at) == ("pending", None)

    settled = await asyncio.wait_for(manager.distribute_task_tree(tree), 10)
    assert [node.task.status for node in settled] == ["completed"] * 3
    assert [number for number, _ in attempts] == [1, 2]
    assert attempts[0][1] == attempts[1][1]
    assert started(db, "r") == ["work", "patient", "patient"]


async def test_who_waited_for_a_run_that_was_cancelled_goes_on_with_it(
    manager: TaskManager, db: Session
) -> None:
    created = await manager.task_repository.create_task("slow", id="r", inputs={"seconds": 0.5})
    first = asyncio.create_task(manager.distribute_task_tree(TaskTreeNode(created)))
    await until(lambda: "task.started" in topics(db, "r"))
    second = asyncio.create_task(manager.distribute_task_tree(TaskTreeNode(created)))
    await asyncio.sleep(0.05)
    first.cancel()
    node = await asyncio.wait_for(second, 10)
    assert node.task.status == "completed"
    assert topics(db, "r").count("task.started") == 2


# -- what is not there


async def test_cancel_task_ends_what_runs_and_says_so(manager: TaskManager, db: Session) -> None:
    task = await manager.task_repository.create_task(name="slow", id="z", inputs={"seconds": 60})
    run = asyncio.create_task(manager.distribute_task_tree(TaskTreeNode(task)))
    await until(lambda: db.store.tree("z").status == "in_progress")
    answer = await manager.cancel_task("z", "no more")
    assert answer == {"status": "cancelled", "message": "no more"}
    node = await asyncio.wait_for(run, 10)
    assert (node.task.status, node.task.error) == ("cancelled", "no more")
    late = await manager.cancel_task("z")
    assert late["status"] == "failed"
    assert "has settled (cancelled)" in late["message"]


async def test_cancelling_a_task_that_there_is_not_is_told(manager: TaskManager) -> None:
    with pytest.raises(NotFound):
        await manager.cancel_task("nobody")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"pre_hooks": []}, "pre_hooks: register hooks with @register_pre_hook"),
        ({"post_hooks": None}, "post_hooks: register hooks with @register_post_hook"),
        ({"executor_instances": {}}, "register their classes with @executor_register"),
        ({"use_demo": True}, "use_demo: submit the tree for show: .*demo=True"),
        ({"nobody": 1}, "nobody: it takes db and root_task_id"),
        ({"use_demo": True, "pre_hooks": []}, "no argument pre_hooks: .* no argument use_demo: "),
    ],
)
def test_an_unknown_argument_is_refused_with_what_to_do_instead(
    db: Session, arguments: dict[str, Any], advice: str
) -> None:
    with pytest.raises(InvalidInput, match=advice):
        TaskManager(db, **arguments)


def test_another_session_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"takes what create_session\(\) returns"):
        TaskManager("sqlite:///x.db")  # type: ignore[arg-type]
