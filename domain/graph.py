"""Whether a set of tasks can be run at all: one root, known parents and dependencies, no cycle.

All faults of a graph are found in one pass, so that a caller mends them at once. Linear in tasks
and edges.
"""

from collections.abc import Iterator, Sequence, Set

from .errors import Fault
from .specs import MAX_DEPENDENCIES, MAX_DEPTH, MAX_TASKS, TaskSpec
from .wording import cut, quoted


def check(specs: Sequence[TaskSpec], groups: Set[int] | None) -> list[Fault]:
    """All that is wrong with the graph; empty where it can be run.

    ``groups`` holds the numbers (places in ``specs``) of the tasks that are groups: a group comes
    after its children, and its dependencies hold for all below it. None where that is not known
    yet: then only what is wrong in any case is found.
    """
    if len(specs) > MAX_TASKS + 1:
        message = (
            f"{len(specs)} tasks in one tree; at most {MAX_TASKS} are allowed. Split the tree."
        )
        return [Fault("too_many_tasks", "", message)]
    if groups is not None and _is_plain(specs, groups):
        return []
    graph = _Graph(specs, groups)
    faults = [*graph.parent_faults(), *graph.dependency_faults()]
    if not any(fault.code == "too_deep" for fault in faults):
        faults.extend(graph.cycle_faults())
    return faults


def _is_plain(specs: Sequence[TaskSpec], groups: Set[int]) -> bool:
    """Cheap proof that nothing is wrong: all point back at what stands before them.

    The root comes first, parents before their children, dependencies before what waits for them,
    none of them a group. Most trees are so.
    """
    index: dict[str, int] = {}
    depths: list[int] = []
    for n, spec in enumerate(specs):
        depth = 1
        if spec.parent is not None:
            parent = index.get(spec.parent)
            if parent is None:
                return False
            depth += depths[parent]
        elif n:
            return False
        for dependency in spec.dependencies:
            on = index.get(dependency.on)
            if on is None or on in groups:
                return False
        if depth > MAX_DEPTH or len(spec.dependencies) > MAX_DEPENDENCIES:
            return False
        index[spec.id] = n
        depths.append(depth)
    return bool(specs)


class _Graph:
    def __init__(self, specs: Sequence[TaskSpec], groups: Set[int] | None) -> None:
        self.specs = specs
        self.groups = groups or frozenset()
        self.maybe_groups = range(len(specs)) if groups is None else groups
        self.index: dict[str | None, int] = {spec.id: n for n, spec in enumerate(specs)}
        self.parents = [self.index.get(spec.parent, -1) for spec in specs]
        """By number; -1 for none and for unknown, and where a circle of parents was cut open."""

    def parent_faults(self) -> Iterator[Fault]:
        if not self.specs:
            yield Fault("no_tasks", "", "the tree has no tasks; give it at least one")
        roots = [spec for spec in self.specs if spec.parent is None]
        if len(roots) > 1:
            names = ", ".join(cut(spec.label) for spec in roots[:10])
            yield Fault(
                "several_roots",
                roots[1].label,
                f"{len(roots)} tasks without a parent ({names}); a tree has exactly one root. "
                "Give the others a parent_id.",
            )
        for spec in self.specs:
            if spec.parent is not None and spec.parent not in self.index:
                message = f"the parent {quoted(spec.parent)} is not a task of this tree"
                yield Fault("unknown_parent", spec.label, message)
        yield from self._parent_cycles()

    def _parent_cycles(self) -> Iterator[Fault]:
        """Walk up from each task; depths are kept, so that each step is walked once."""
        depth = [0] * len(self.specs)
        on_path = -1
        for n in range(len(self.specs)):
            path: list[int] = []
            while n >= 0 and depth[n] == 0:
                depth[n] = on_path
                path.append(n)
                n = self.parents[n]
            base = depth[n] if n >= 0 else 0
            if base == on_path:
                names = [cut(self.specs[i].label) for i in [*path[path.index(n) :], n]]
                message = f"the parents form a cycle: {' -> '.join(names)}"
                yield Fault("parent_cycle", names[0], message)
                self.parents[path[-1]] = -1
            for steps, i in enumerate(reversed(path), start=1):
                depth[i] = 1 if base == on_path else base + steps
        deepest = max(depth, default=0)
        if deepest > MAX_DEPTH:
            message = f"stands {deepest} levels deep; at most {MAX_DEPTH} are allowed"
            yield Fault("too_deep", self.specs[depth.index(deepest)].label, message)

    def dependency_faults(self) -> Iterator[Fault]:
        index = self.index
        for spec in self.specs:
            if len(spec.dependencies) > MAX_DEPENDENCIES:
                message = f"{len(spec.dependencies)} dependencies; at most {MAX_DEPENDENCIES}"
                yield Fault("too_many_dependencies", spec.label, message)
            for dependency in spec.dependencies:
                if dependency.on == spec.id:
                    yield Fault("self_dependency", spec.label, "depends on itself")
                elif dependency.on not in index:
                    message = (
                        f"depends on {quoted(dependency.on)}, which is not a task of this tree. "
                        "Name a task of the tree, or add_child it first."
                    )
                    yield Fault("unknown_dependency", spec.label, message)

    def cycle_faults(self) -> Iterator[Fault]:
        """One fault for each knot of tasks that wait for each other; other faults do not hide it.

        To be asked after `parent_faults`, which cuts circles of parents open.
        """
        after = self._edges()
        for knot in _knots(after):
            path = [cut(self.specs[node >> 1].label) for node in _circle(after, knot)]
            path = [name for i, name in enumerate(path) if i == 0 or name != path[i - 1]]
            if path[0] != path[-1]:
                path.append(path[0])
            message = f"the dependencies form a cycle: {' -> '.join(path)}"
            yield Fault("cycle", path[0], message)

    def _edges(self) -> list[list[int]]:
        """Node ``2n`` is the start (or gate) of task n, ``2n + 1`` its end; edges lead onwards."""
        after: list[list[int]] = [
            [2 * (i >> 1) + 1] if i % 2 == 0 else [] for i in range(2 * len(self.specs))
        ]
        for n, spec in enumerate(self.specs):
            group = next((above for above in self._ancestors(n) if above in self.groups), None)
            if group is not None:
                after[2 * group].append(2 * n)
            if self.parents[n] in self.groups:
                after[2 * n + 1].append(2 * self.parents[n] + 1)
            for dependency in spec.dependencies:
                on = self.index.get(dependency.on, n)
                if on != n and not (n in self.maybe_groups and n in self._ancestors(on)):
                    after[2 * on + 1].append(2 * n)
        return after

    def _ancestors(self, n: int) -> Iterator[int]:
        while (n := self.parents[n]) >= 0:
            yield n


def _knots(after: list[list[int]]) -> Iterator[list[int]]:
    """Each set of several nodes that wait for each other (Tarjan's components, not recursive)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    held: dict[int, None] = {}
    for first in range(len(after)):
        todo = [] if first in order else [(first, iter(after[first]))]
        while todo:
            node, targets = todo[-1]
            if node not in order:
                order[node] = low[node] = len(order)
                held[node] = None
            for target in targets:
                if target not in order:
                    todo.append((target, iter(after[target])))
                    break
                if target in held:
                    low[node] = min(low[node], order[target])
            else:
                todo.pop()
                if todo:
                    low[todo[-1][0]] = min(low[todo[-1][0]], low[node])
                if low[node] == order[node] and len(knot := _taken_from(held, node)) > 1:
                    yield knot


def _taken_from(held: dict[int, None], node: int) -> list[int]:
    """What was put into ``held`` from ``node`` on; it is taken out."""
    taken = [held.popitem()[0]]
    while taken[-1] != node:
        taken.append(held.popitem()[0])
    return taken


def _circle(after: list[list[int]], knot: Sequence[int]) -> list[int]:
    """The shortest cycle through the first of ``knot``: each of the list waits for the next."""
    first, within = min(knot), set(knot)
    came_from: dict[int, int] = {}
    todo = [first]
    for node in todo:  # grows: breadth first
        for target in after[node]:
            if target in within and target not in came_from:
                came_from[target] = node
                todo.append(target)
    path = [first]
    while came_from[path[-1]] != first:
        path.append(came_from[path[-1]])
    return path
