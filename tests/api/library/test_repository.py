"""TaskRepository: writing drafts, reading whatever is there."""

from typing import Any

import pytest

from aipartnerupflow import Task, TaskManager, TaskRepository, TaskTreeNode, task
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain.errors import (
    ApflowError,
    IdTaken,
    InvalidGraph,
    InvalidInput,
    InvalidTransition,
    NotADraft,
    NotFound,
)
from tests.support.places import topics


@pytest.fixture
def repository(manager: TaskManager) -> TaskRepository:
    return manager.task_repository


@pytest.fixture(autouse=True)
def work(executors: None) -> None:
    @task
    async def work(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"of": inputs.get("of")}


async def run(db: Session, root: Task) -> None:
    await TaskManager(db).distribute_task_tree(TaskTreeNode(root))


def names(tasks: list[Task]) -> list[str]:
    return [each.name for each in tasks]


# -- writing


async def test_a_created_task_is_the_root_of_a_draft(repository: TaskRepository) -> None:
    made = await repository.create_task("cook", "chef", inputs={"pasta": "spaghetti"}, priority=0)
    assert (made.name, made.user_id, made.status, made.draft) == ("cook", "chef", "pending", True)
    assert (made.priority, made.inputs) == (0, {"pasta": "spaghetti"})
    assert (made.task_tree_id, made.parent_id, made.dependencies) == (made.id, None, [])
    assert (made.params, made.schemas, made.result, made.error) == ({}, {}, None, None)
    assert made.created_at is not None
    assert made.created_at.tzinfo is not None
    assert (made.started_at, made.completed_at, made.updated_at) == (None, None, made.created_at)


async def test_what_is_left_out_has_its_default(repository: TaskRepository) -> None:
    made = await repository.create_task("cook")
    assert (made.priority, made.user_id, made.inputs) == (2, None, {})


async def test_a_task_under_a_parent_joins_its_tree_and_its_owner(
    repository: TaskRepository,
) -> None:
    root = await repository.create_task("dinner", "chef")
    child = await repository.create_task("cook", parent_id=root.id, id="the-pasta")
    assert (child.id, child.parent_id, child.task_tree_id) == ("the-pasta", root.id, root.id)
    assert child.user_id == "chef"


@pytest.mark.parametrize(
    "dependency", ["a", {"id": "a"}, {"id": "a", "required": True}, {"id": "a", "type": "result"}]
)
async def test_a_dependency_is_an_id_in_any_of_its_forms(
    repository: TaskRepository, dependency: Any
) -> None:
    await repository.create_task("work", id="a")
    made = await repository.create_task("work", dependencies=[dependency])
    assert made.dependencies == [{"id": "a", "required": True}]


async def test_a_dependency_may_be_optional(repository: TaskRepository) -> None:
    await repository.create_task("work", id="a")
    made = await repository.create_task("work", dependencies=[{"id": "a", "required": False}])
    assert made.dependencies == [{"id": "a", "required": False}]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"name": ""}, InvalidGraph, "a name has 1 to 255 characters"),
        ({"priority": 4}, InvalidGraph, r"priority is 0 \(urgent\), 1, 2 \(normal\) or 3 \(low\)"),
        ({"parent_id": "nobody"}, InvalidInput, "names task 'nobody', which does not exist"),
        ({"dependencies": ["nobody"]}, InvalidInput, "names task 'nobody', which does not exist"),
        ({"dependencies": [{"id": "a", "wait": 1}]}, InvalidGraph, "required; not 'wait'"),
        ({"dependencies": [{"required": True}]}, InvalidGraph, "a dependency is"),
        ({"dependencies": [{"name": "a"}]}, InvalidGraph, "'a', which is not a task of this tree"),
        ({"inputs": [1]}, InvalidGraph, "inputs is a JSON object"),
        ({"inputs": {"x": object()}}, InvalidInput, "is not JSON"),
        ({"tags": ["x"]}, InvalidInput, "create_task has no argument tags; put what belongs"),
        ({"user_id": "guest", "parent_id": "a"}, InvalidInput, "task 'a' of another user"),
        ({"user_id": "guest", "dependencies": ["a"]}, InvalidInput, "task 'a' of another user"),
        (
            {"user_id": "guest", "parent_id": "free"},
            InvalidInput,
            "has no user_id: a tree has one owner",
        ),
        ({"id": "a"}, IdTaken, "id already in use: a"),
    ],
)
async def test_a_refusal_says_what_is_wrong_and_writes_nothing(
    repository: TaskRepository,
    db: Session,
    given: dict[str, Any],
    kind: type[ApflowError],
    message: str,
) -> None:
    await repository.create_task("work", "chef", id="a")
    await repository.create_task("work", id="free")
    before = db.store.journal.position()
    with pytest.raises(kind, match=message):
        await repository.create_task(**({"name": "work"} | given))
    assert db.store.journal.position() == before


async def test_an_id_that_is_none_becomes_the_key_of_a_fresh_one(
    repository: TaskRepository,
) -> None:
    made = await repository.create_task("work", id="Fetch & save")
    assert made.key == "Fetch & save"
    assert made.id != made.key


async def test_a_tree_that_was_run_takes_no_more_tasks(
    repository: TaskRepository, db: Session
) -> None:
    root = await repository.create_task("work", id="r")
    await run(db, root)
    with pytest.raises(NotADraft, match="tree r is no draft"):
        await repository.create_task("work", parent_id=root.id)


async def test_an_array_becomes_one_draft_in_one_transaction(
    repository: TaskRepository, db: Session
) -> None:
    tasks = await repository.create_tasks(
        [
            {"id": "dinner", "name": "dinner", "user_id": "chef"},
            {"id": "buy", "name": "work", "parent_id": "dinner"},
            {"id": "cook", "name": "work", "parent_id": "dinner", "dependencies": ["buy"]},
        ]
    )
    assert [each.id for each in tasks] == ["dinner", "buy", "cook"]
    assert {each.user_id for each in tasks} == {"chef"}
    assert tasks[0].has_children is True
    assert tasks[1].has_children is False
    assert topics(db, "dinner") == ["tree.created"]


async def test_an_array_may_be_nested_and_name_its_tasks_by_name(
    repository: TaskRepository,
) -> None:
    children = [{"name": "buy"}, {"name": "cook", "dependencies": [{"name": "buy"}]}]
    root, buy, cook = await repository.create_tasks([{"name": "dinner", "children": children}])
    assert (buy.parent_id, cook.parent_id) == (root.id, root.id)
    assert cook.dependencies == [{"id": buy.id, "required": True}]


async def test_an_array_whose_id_is_taken_gets_fresh_ids_and_keeps_its_keys(
    repository: TaskRepository,
) -> None:
    array = [{"id": "a", "name": "group"}, {"id": "b", "name": "work", "parent_id": "a"}]
    await repository.create_tasks(array)
    root, child = await repository.create_tasks(array)
    assert (root.key, child.key) == ("a", "b")
    assert root.id != "a"
    assert child.parent_id == root.id


async def test_all_faults_of_an_array_are_told_at_once(
    repository: TaskRepository, db: Session
) -> None:
    with pytest.raises(InvalidGraph) as refused:
        await repository.create_tasks(
            [
                {"id": "a", "name": "work", "priority": 9},
                {"id": "b", "name": "work", "dependencies": ["nobody", "c"], "parent_id": "a"},
                {"id": "c", "name": "work", "dependencies": ["b"], "parent_id": "a"},
                {"id": "d", "name": "work"},
            ]
        )
    codes = {fault.code for fault in refused.value.faults}
    assert codes == {"bad_priority", "unknown_dependency", "several_roots", "cycle"}
    assert db.store.journal.position() == 0


async def test_a_draft_loses_a_task_with_all_below_it(repository: TaskRepository) -> None:
    await repository.create_tasks(
        [
            {"id": "r", "name": "r"},
            {"id": "a", "name": "a", "parent_id": "r"},
            {"id": "b", "name": "b", "parent_id": "a"},
            {"id": "c", "name": "c", "parent_id": "r"},
        ]
    )
    assert await repository.delete_task("a") is True
    assert names(await repository.get_all_tasks_in_tree("r")) == ["r", "c"]
    assert await repository.get_task_by_id("b") is None
    assert await repository.delete_task("a") is False


async def test_what_others_need_what_was_run_and_roots_are_not_deleted(
    repository: TaskRepository, db: Session
) -> None:
    root = await repository.create_task("group", id="r")
    await repository.create_task("work", parent_id="r", id="a")
    await repository.create_task("work", parent_id="r", id="b", dependencies=["a"])
    with pytest.raises(InvalidTransition, match="a cannot be deleted: task b depends on it"):
        await repository.delete_task("a")
    with pytest.raises(InvalidTransition, match="r is the root of its tree"):
        await repository.delete_task("r")
    await run(db, root)
    with pytest.raises(NotADraft):
        await repository.delete_task("b")
    assert len(await repository.get_all_tasks_in_tree("r")) == 3


# -- reading


@pytest.fixture
async def dinner(repository: TaskRepository) -> list[Task]:
    """dinner: shop (milk, bread) and cook, which needs the two; cook runs, the rest are groups."""
    return await repository.create_tasks(
        [
            {"id": "dinner", "name": "dinner", "user_id": "chef"},
            {"id": "shop", "name": "shop", "parent_id": "dinner"},
            {"id": "milk", "name": "work", "parent_id": "shop", "priority": 3},
            {"id": "bread", "name": "work", "parent_id": "shop", "priority": 1},
            {"id": "cook", "name": "work", "parent_id": "dinner",
             "dependencies": ["milk", {"id": "bread", "required": False}]},
        ]
    )  # fmt: skip


async def test_a_task_is_read_by_id_and_none_where_there_is_none(
    repository: TaskRepository, dinner: list[Task]
) -> None:
    found = await repository.get_task_by_id("milk")
    assert found is not None
    assert (found.name, found.priority) == ("work", 3)
    assert await repository.get_task_by_id("wine") is None


async def test_children_are_those_directly_below(
    repository: TaskRepository, dinner: list[Task]
) -> None:
    children = await repository.get_child_tasks_by_parent_id("dinner")
    assert [each.id for each in children] == ["shop", "cook"]
    assert await repository.get_child_tasks_by_parent_id("milk") == []
    everything = await repository.get_all_children_recursive("dinner")
    assert [each.id for each in everything] == ["shop", "milk", "bread", "cook"]
    below = await repository.get_all_children_recursive("shop")
    assert [each.id for each in below] == ["milk", "bread"]


async def test_the_whole_tree_is_read_from_any_of_its_tasks(
    repository: TaskRepository, dinner: list[Task]
) -> None:
    everything = [each.id for each in dinner]
    for asked in ("bread", dinner[-1]):
        root = await repository.get_root_task(asked)
        assert root is not None
        assert root.id == "dinner"
        found = await repository.get_all_tasks_in_tree(asked)
        assert [each.id for each in found] == everything
        tree = await repository.build_task_tree(asked)
        assert [node.task.id for node in tree] == everything


async def test_what_is_asked_of_an_unknown_task_is_not_found(repository: TaskRepository) -> None:
    for ask in (
        repository.get_all_tasks_in_tree,
        repository.build_task_tree,
        repository.get_root_task,
        repository.get_child_tasks_by_parent_id,
        repository.get_all_children_recursive,
        repository.find_dependent_tasks,
    ):
        with pytest.raises(NotFound, match="no task with id 'wine'"):
            await ask("wine")


async def test_dependents_are_those_that_name_the_task(
    repository: TaskRepository, dinner: list[Task]
) -> None:
    assert [each.id for each in await repository.find_dependent_tasks("bread")] == ["cook"]
    assert await repository.find_dependent_tasks("cook") == []


async def test_of_several_tasks_those_that_completed_are_read_with_their_results(
    repository: TaskRepository, db: Session, dinner: list[Task]
) -> None:
    assert await repository.get_completed_tasks_by_ids(["milk", "cook"]) == {}
    await run(db, dinner[0])
    done = await repository.get_completed_tasks_by_ids(["milk", "wine", "cook"])
    assert done.keys() == {"milk", "cook"}
    assert done["cook"].result == {"of": None}


async def test_tasks_are_found_by_owner_status_and_parent_over_all_trees(
    repository: TaskRepository, db: Session, dinner: list[Task]
) -> None:
    lone = await repository.create_task("work", "guest", id="lone", priority=0)
    await run(db, lone)
    find = repository.query_tasks
    assert [each.id for each in await find(user_id="guest")] == ["lone"]
    assert [each.id for each in await find(status="completed")] == ["lone"]
    assert [each.id for each in await find(parent_id="", order_desc=False)] == ["dinner", "lone"]
    assert {each.id for each in await find(parent_id="shop")} == {"milk", "bread"}
    by_priority = await find(order_by="priority", order_desc=False)
    assert [each.id for each in by_priority][:2] == ["lone", "bread"]
    page = await find(order_by="created_at", order_desc=False, limit=2, offset=1)
    assert [each.id for each in page] == ["shop", "milk"]
    with pytest.raises(InvalidInput, match="order_by is one of created_at, priority, name"):
        await find(order_by="inputs; DROP TABLE task")


async def test_a_task_as_read_says_whether_it_has_children_where_its_tree_was_read(
    repository: TaskRepository, dinner: list[Task]
) -> None:
    alone = await repository.get_task_by_id("shop")
    assert alone is not None
    assert alone.has_children is None
    whole = await repository.get_all_tasks_in_tree("shop")
    assert [each.id for each in whole if each.has_children] == ["dinner", "shop"]


async def test_changing_what_was_read_changes_nothing_in_the_store(
    repository: TaskRepository, dinner: list[Task]
) -> None:
    found = await repository.get_task_by_id("milk")
    assert found is not None
    found.inputs["litres"] = 2
    found.status = "completed"
    again = await repository.get_task_by_id("milk")
    assert again is not None
    assert (again.inputs, again.status) == ({}, "pending")


async def test_a_task_is_told_as_json_values(
    repository: TaskRepository, dinner: list[Task]
) -> None:
    told = dinner[4].output()
    assert told["id"] == "cook"
    assert told["dependencies"][0] == {"id": "milk", "required": True}
    assert isinstance(told["created_at"], str)
    assert told == dinner[4].to_dict()
