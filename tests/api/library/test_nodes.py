"""TaskTreeNode: what callers build, and what they read from it."""

import pytest

from aipartnerupflow import Task, TaskManager, TaskStatus, TaskTreeNode


@pytest.fixture
async def root(manager: TaskManager) -> TaskTreeNode:
    """r: a (b, c), d."""
    await manager.task_repository.create_tasks(
        [
            {"id": "r", "name": "r"},
            {"id": "a", "name": "a", "parent_id": "r"},
            {"id": "b", "name": "b", "parent_id": "a"},
            {"id": "c", "name": "c", "parent_id": "a"},
            {"id": "d", "name": "d", "parent_id": "r"},
        ]
    )
    return await manager.task_repository.build_task_tree("r")


def ids(node: TaskTreeNode) -> list[str]:
    return [each.task.id for each in node]


def task(root: TaskTreeNode, id: str) -> Task:
    return next(node.task for node in root if node.task.id == id)


def test_a_node_is_walked_parents_first(root: TaskTreeNode) -> None:
    assert ids(root) == ["r", "a", "b", "c", "d"]
    assert [node.task.id for node in root.to_list()] == ids(root)
    assert [node.has_children() for node in root] == [True, True, False, False, False]


def test_a_leaf_has_its_own_progress_and_status(root: TaskTreeNode) -> None:
    leaf = TaskTreeNode(task(root, "d"))
    leaf.task.progress, leaf.task.status = 0.25, "in_progress"
    assert (leaf.calculate_progress(), leaf.calculate_status()) == (0.25, "in_progress")


def test_progress_is_the_mean_of_the_children_each_counting_alike(root: TaskTreeNode) -> None:
    for id, progress in {"r": 1.0, "a": 1.0, "b": 1.0, "c": 0.5, "d": 0.25}.items():
        task(root, id).progress = progress
    assert root.calculate_progress() == pytest.approx((0.75 + 0.25) / 2)


@pytest.mark.parametrize(
    ("a", "d", "status"),
    [
        ("completed", "completed", "completed"),
        ("completed", "failed", "failed"),
        ("in_progress", "failed", "failed"),
        ("in_progress", "completed", "in_progress"),
        ("completed", "pending", "pending"),
        ("completed", "cancelled", "pending"),
    ],
)
def test_the_status_is_told_by_the_children_alone(
    root: TaskTreeNode, a: str, d: str, status: str
) -> None:
    task(root, "a").status, task(root, "d").status = a, d
    task(root, "b").status = "failed"
    assert root.calculate_status() == status


def test_a_tree_is_told_nested_and_flat(root: TaskTreeNode) -> None:
    nested = root.output()
    assert nested["task"]["id"] == "r"
    assert [child["task"]["id"] for child in nested["children"]] == ["a", "d"]
    assert nested["children"][0]["children"][1] == {
        "task": task(root, "c").to_dict(),
        "children": [],
    }
    assert [each["id"] for each in root.output_list()] == ids(root)


def test_a_tree_may_be_deep(root: TaskTreeNode) -> None:
    top = node = TaskTreeNode(task(root, "d"))
    for _ in range(5_000):
        child = TaskTreeNode(task(root, "d"))
        node.add_child(child)
        node = child
    assert top.calculate_progress() == 0.0
    assert len(top.output_list()) == 5_001


def test_statuses_have_names() -> None:
    names = {name: value for name, value in vars(TaskStatus).items() if name.isupper()}
    assert names == {
        name.upper(): name
        for name in ("pending", "in_progress", "completed", "failed", "cancelled")
    }
    assert TaskStatus.is_terminal("cancelled")
    assert not TaskStatus.is_terminal("in_progress")
    assert TaskStatus.is_active("pending")
    assert not TaskStatus.is_active("failed")
