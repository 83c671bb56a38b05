"""A draft takes its shape from the node tree: who joins it, who stands under whom."""

from collections.abc import Callable

import msgspec

from ...domain.errors import Fault, InvalidGraph
from ...domain.specs import TaskSpec
from ..stores import Store
from .nodes import TaskTreeNode


def shape(store: Store, root: TaskTreeNode) -> str:
    """Bring the stored draft into the shape of the nodes; returns the tree's id. Blocking.

    Trees of other nodes join the root's tree whole. Stored tasks that the nodes omit stay part of
    it. A tree that was submitted already is left as it is. Raises `InvalidGraph`.
    """
    parents = _parents(root)
    known = store.reads.owner_and_tree(list(parents))
    missing = [id for id in parents if id not in known]
    if missing:
        raise InvalidGraph(
            [Fault("unknown_task", id, "is not in this store; create it first") for id in missing]
        )
    target = known[root.task.id][1]
    if store.tree(target).phase != "draft":
        return target
    sources = list(dict.fromkeys(known[id][1] for id in parents if known[id][1] != target))
    _check_whole(root.task.id, target, sources, parents)
    if sources or any(node.task.parent_id != parents[node.task.id] for node in root):
        store.drafts.adopt(target, sources, _respecify(parents))
    return target


def _parents(root: TaskTreeNode) -> dict[str, str | None]:
    """Who stands under whom; a task in two places is a fault."""
    parents: dict[str, str | None] = {root.task.id: None}
    faults = []
    for node in root:
        for child in node.children:
            if child.task.id in parents:
                message = "stands in the node tree twice; add_child it once"
                faults.append(Fault("duplicate_node", child.task.id, message))
                raise InvalidGraph(faults)
            parents[child.task.id] = node.task.id
    return parents


def _check_whole(
    root: str, target: str, sources: list[str], parents: dict[str, str | None]
) -> None:
    faults = []
    if root != target:
        message = f"is not the root of its tree; distribute the tree of {target}"
        faults.append(Fault("not_a_root", root, message))
    for source in sources:
        if source not in parents:
            message = "only part of its tree is among the nodes; add_child its root"
            faults.append(Fault("not_a_root", source, message))
    if faults:
        raise InvalidGraph(faults)


def _respecify(parents: dict[str, str | None]) -> Callable[[TaskSpec], TaskSpec]:
    def respecify(spec: TaskSpec) -> TaskSpec:
        parent = parents.get(spec.id, spec.parent)
        return spec if parent == spec.parent else msgspec.structs.replace(spec, parent=parent)

    return respecify
