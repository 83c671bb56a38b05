"""The same engine by definition: nothing is kept, everything is worked out from the log each time.

Slow and plain on purpose. Of domain/ only events and specifications are used.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import TaskSpec

TERMINAL = ("completed", "failed")


class Shape:
    """Tasks by id, and which of them are groups."""

    def __init__(self, specs: Sequence[TaskSpec], groups: set[str]) -> None:
        self.specs = {spec.id: spec for spec in specs}
        self.groups = groups

    def parent(self, id: str) -> str | None:
        return self.specs[id].parent

    def children(self, id: str) -> list[str]:
        return [other for other in self.specs if self.parent(other) == id]

    def above(self, id: str) -> list[str]:
        """Its parent, that one's parent, and so on; ends where parents form a circle."""
        found: list[str] = []
        parent = self.parent(id)
        while parent is not None and parent in self.specs and parent not in found:
            found.append(parent)
            parent = self.parent(parent)
        return found

    def needs(self, id: str) -> list[tuple[str, bool]]:
        """What must have happened before it may start, as (task, whether it must complete).

        Its own dependencies and those of all groups above it, but for what a task says of itself
        (a fault) and a group of tasks below itself.
        """
        groups = [one for one in self.above(id) if one in self.groups]
        return [
            (dependency.on, dependency.required)
            for one in (id, *groups)
            for dependency in self.specs[one].dependencies
            if dependency.on in self.specs
            and dependency.on != one
            and not (one in self.groups and one in self.above(dependency.on))
        ]

    def faults(self) -> set[tuple[str, str]]:
        """The code and place of what makes it impossible to run; cycles as one, without place."""
        found = set()
        roots = [id for id in self.specs if self.parent(id) is None]
        if not self.specs:
            found.add(("no_tasks", ""))
        if len(roots) > 1:
            found.add(("several_roots", roots[1]))
        for id, spec in self.specs.items():
            if spec.parent is not None and spec.parent not in self.specs:
                found.add(("unknown_parent", id))
            if id in self.above(id):
                found.add(("parent_cycle", ""))
            for dependency in spec.dependencies:
                if dependency.on == id:
                    found.add(("self_dependency", id))
                elif dependency.on not in self.specs:
                    found.add(("unknown_dependency", id))
        if any(("end", id) in self.waits_for(("end", id)) for id in self.specs):
            found.add(("cycle", ""))
        return found

    def waits_for(self, moment: tuple[str, str]) -> set[tuple[str, str]]:
        """All moments (start or end of a task) that have to come before this one."""
        found: set[tuple[str, str]] = set()
        todo = [moment]
        while todo:
            for before in self._waits_directly_for(*todo.pop()):
                if before not in found:
                    found.add(before)
                    todo.append(before)
        return found

    def _waits_directly_for(self, what: str, id: str) -> Iterator[tuple[str, str]]:
        if what == "start":
            yield from (("end", on) for on, _ in self.needs(id))
        else:
            yield "start", id
            if id in self.groups:
                yield from (("end", child) for child in self.children(id))


class Naive:
    """What a log means."""

    def __init__(self, log: Sequence[AnyEvent]) -> None:
        self.log = list(log)

    @cached_property
    def specs(self) -> list[TaskSpec]:
        specs: dict[str, TaskSpec] = {}
        for event in self.log:
            if isinstance(event, e.TreeCreated | e.TasksAdded):
                specs |= {spec.id: spec for spec in event.specs}
            elif isinstance(event, e.TaskChanged):
                specs[event.spec.id] = event.spec
            elif isinstance(event, e.TaskRemoved):
                del specs[event.task]
        return list(specs.values())

    @cached_property
    def shape(self) -> Shape:
        of: tuple[int | str | None, ...] = ()
        for event in self.log:
            if isinstance(event, e.TreeSubmitted):
                of = event.of
        groups = {spec.id for spec, kind in zip(self.specs, of, strict=False) if kind == e.GROUP}
        return Shape(self.specs, groups)

    @property
    def submitted(self) -> bool:
        return any(isinstance(event, e.TreeSubmitted) for event in self.log)

    @cached_property
    def by_task(self) -> dict[str, list[AnyEvent]]:
        by_task: dict[str, list[AnyEvent]] = {}
        for event in self.log:
            by_task.setdefault(getattr(event, "task", ""), []).append(event)
        return by_task

    def about(self, id: str) -> list[AnyEvent]:
        return self.by_task.get(id, [])

    def status(self, id: str) -> str:
        status = "pending"
        for event in self.about(id):
            if isinstance(event, e.TaskStarted):
                status = "in_progress"
            elif isinstance(event, e.TaskInterrupted):
                status = "pending"
            elif isinstance(event, e.TaskCompleted):
                status = "completed"
            elif isinstance(event, e.TaskFailed):
                status = "failed"
        return status

    def attempts(self, id: str) -> int:
        return sum(isinstance(event, e.TaskStarted) for event in self.about(id))

    def blocked(self, id: str) -> bool:
        return self.status(id) == "pending" and any(
            required and (self.status(on) == "failed" or self.blocked(on))
            for on, required in self.shape.needs(id)
        )

    def ended(self, id: str) -> bool:
        return self.status(id) in TERMINAL or self.blocked(id)

    def may_start(self, id: str) -> bool:
        """Whether its dependencies allow it, whatever else may hold it back."""
        return all(
            self.status(on) == "completed" if required else self.ended(on)
            for on, required in self.shape.needs(id)
        )

    def ready(self) -> set[str]:
        return {
            id
            for id in self.shape.specs
            if self.submitted
            and id not in self.shape.groups
            and self.status(id) == "pending"
            and self.may_start(id)
        }

    def group_status(self, id: str) -> str:
        """What the status of a group has to be, as soon as all that follows has been drawn."""
        children = self.shape.children(id)
        if self.blocked(id) or not self.may_start(id):
            return "pending"
        if all(self.ended(child) for child in children):
            good = all(self.status(child) == "completed" for child in children)
            return "completed" if good else "failed"
        started = any(self.status(child) != "pending" or self.attempts(child) for child in children)
        return "in_progress" if started else "pending"

    def tree_status(self) -> str:
        """How the tree has settled; empty while something can still happen."""
        if not self.submitted or not all(self.ended(id) for id in self.shape.specs):
            return ""
        failed = any(self.status(id) == "failed" for id in self.shape.specs)
        return "failed" if failed else "completed"

    def first_bad_children(self, group: str) -> set[str]:
        """The children that were the first to end badly: several where one event blocked them."""
        for length in range(1, len(self.log) + 1):
            then = Naive(self.log[:length])
            if not then.submitted:
                continue
            bad = {
                child
                for child in self.shape.children(group)
                if then.status(child) == "failed" or then.blocked(child)
            }
            if bad:
                return bad
        return set()
