"""The same engine by definition: nothing is kept, everything is worked out from the log each time.

Slow and plain on purpose. Of domain/ only events and specifications are used.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import NO_POLICY, TaskSpec

BAD = ("failed", "cancelled")
TERMINAL = ("completed", *BAD)
MOVES: dict[type[AnyEvent], str] = {
    e.TaskStarted: "in_progress",
    e.AttemptFailed: "pending",
    e.TaskInterrupted: "pending",
    e.TaskCompleted: "completed",
    e.TaskFailed: "failed",
    e.TaskCancelled: "cancelled",
    e.TaskReopened: "pending",
}
"""The status that each fact about a task gives it."""


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
        found |= {("group_policy", id) for id in self.groups if self.specs[id].policy != NO_POLICY}
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
    """What a log means. ``known`` is the shape, where it is known from a shorter log."""

    def __init__(self, log: Sequence[AnyEvent], known: Shape | None = None) -> None:
        self.log = list(log)
        self._known = known
        self._blocked: dict[tuple[str, tuple[str, ...]], bool] = {}

    # What the log says

    @cached_property
    def specs(self) -> list[TaskSpec]:
        if self._known is not None:
            return list(self._known.specs.values())
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
        if self._known is not None:
            return self._known
        of: tuple[int | str | None, ...] = ()
        for event in self.log:
            if isinstance(event, e.TreeSubmitted):
                of = event.of
        groups = {spec.id for spec, kind in zip(self.specs, of, strict=False) if kind == e.GROUP}
        return Shape(self.specs, groups)

    def last(self, kind: type[AnyEvent]) -> int:
        """The place in the log of the last fact of this kind; -1: there is none."""
        return self._last.get(kind, -1)

    @cached_property
    def _last(self) -> dict[type[AnyEvent], int]:
        return {type(event): n for n, event in enumerate(self.log)}

    @cached_property
    def submitted(self) -> bool:
        return self.last(e.TreeSubmitted) >= 0

    @cached_property
    def paused(self) -> bool:
        return self.last(e.TreePaused) > max(self.last(e.TreeUnpaused), self.last(e.TreeSettled))

    @cached_property
    def cancelling(self) -> bool:
        return self.last(e.TreeCancelRequested) > self.last(e.TreeReopened)

    @cached_property
    def by_task(self) -> dict[str, list[tuple[int, AnyEvent]]]:
        by_task: dict[str, list[tuple[int, AnyEvent]]] = {}
        for n, event in enumerate(self.log):
            by_task.setdefault(getattr(event, "task", ""), []).append((n, event))
        return by_task

    def places(self, id: str, *kinds: type[AnyEvent]) -> list[int]:
        """Where facts of these kinds about a task stand, in all its generations."""
        return [n for n, event in self.by_task.get(id, ()) if type(event) in kinds]

    def since(self, id: str) -> int:
        """Where its generation begins."""
        return max(self.places(id, e.TaskReopened), default=-1)

    def about(self, id: str, *kinds: type[AnyEvent]) -> list[AnyEvent]:
        """The facts of these kinds about a task in its generation."""
        return [event for event in self._in_generation[id] if type(event) in kinds]

    @cached_property
    def _in_generation(self) -> dict[str, list[AnyEvent]]:
        found: dict[str, list[AnyEvent]] = {}
        for id in self.shape.specs:
            since = self.since(id)
            found[id] = [event for n, event in self.by_task.get(id, ()) if n > since]
        return found

    def generation(self, id: str) -> int:
        return 1 + len(self.places(id, e.TaskReopened))

    def attempts(self, id: str) -> int:
        return len(self.about(id, e.TaskStarted))

    # One task

    @cached_property
    def statuses(self) -> dict[str, str]:
        moves = {id: self.last_of(id, *MOVES) for id in self.shape.specs}
        return {id: MOVES[type(fact)] if fact else "pending" for id, fact in moves.items()}

    def status(self, id: str) -> str:
        return self.statuses[id]

    def last_of(self, id: str, *kinds: type[AnyEvent]) -> AnyEvent | None:
        found = self.about(id, *kinds)
        return found[-1] if found else None

    def delayed(self, id: str) -> bool:
        """Between two attempts, of which the next one has its time."""
        last = self.last_of(id, e.TaskStarted, e.TaskInterrupted, e.AttemptFailed)
        return self.status(id) == "pending" and isinstance(last, e.AttemptFailed)

    def waits(self, id: str) -> e.TaskWaiting | None:
        """For what it waits in its attempt, if it does."""
        last = self.last_of(id, e.TaskStarted, e.TaskWaiting)
        waits = self.status(id) == "in_progress" and isinstance(last, e.TaskWaiting)
        return last if waits and isinstance(last, e.TaskWaiting) else None

    def runs(self, id: str) -> bool:
        """An executor was called and has not been heard of to the end."""
        last = self.last_of(id, e.TaskStarted)
        return self.status(id) == "in_progress" and isinstance(last, e.TaskStarted) and last.called

    def to_end(self, id: str) -> bool:
        """It runs, and since its attempt began somebody has asked it to end."""
        began = max(self.places(id, e.TaskStarted), default=-1)
        asked = max([self.last(e.TreeCancelRequested), *self.places(id, e.TaskCancelRequested)])
        return self.runs(id) and asked > began

    def orphaned(self, id: str) -> bool:
        """It runs, began under a former claim, and nobody has found it since the last one."""
        known = max(self.places(id, e.TaskStarted, e.AttemptTakenOver), default=-1)
        return self.runs(id) and self.last(e.TreeClaimed) > known

    # Tasks among tasks

    def blocked(self, id: str, by: tuple[str, ...] = BAD) -> bool:
        """Whether something that it requires ended so, or is blocked by what did."""
        if (id, by) not in self._blocked:
            self._blocked[id, by] = self.status(id) == "pending" and any(
                required and (self.status(on) in by or self.blocked(on, by))
                for on, required in self.shape.needs(id)
            )
        return self._blocked[id, by]

    def doomed(self, id: str) -> bool:
        """Whether it is a failure that blocks it, not only a cancel."""
        return self.blocked(id, ("failed",))

    def ended(self, id: str) -> bool:
        return self.status(id) in TERMINAL or self.blocked(id)

    def may_start(self, id: str) -> bool:
        """Whether its dependencies allow it, whatever else may hold it back."""
        return all(
            self.status(on) == "completed" if required else self.ended(on)
            for on, required in self.shape.needs(id)
        )

    def could_start(self, id: str) -> bool:
        """Whether nothing of the graph holds it back."""
        pending = self.submitted and self.status(id) == "pending"
        return pending and id not in self.shape.groups and self.may_start(id)

    def ready(self) -> set[str]:
        return {id for id in self.shape.specs if self.could_start(id) and not self.delayed(id)}

    # Groups and the tree

    def verdict(self, group: str) -> str:
        """How a group ends whose children have."""
        children = self.shape.children(group)
        if any(self.status(child) == "failed" or self.doomed(child) for child in children):
            return "failed"
        good = all(self.status(child) == "completed" for child in children)
        return "completed" if good else "cancelled"

    def group_status(self, id: str) -> str:
        """What the status of an open group has to be; "ended" where it can be open no longer."""
        children = self.shape.children(id)
        begun = self.attempts(id) > 0
        if not begun and (self.blocked(id) or not self.may_start(id)):
            return "pending"
        if all(self.ended(child) for child in children):
            return "ended"
        since = self.since(id)
        starts = [n for child in children for n in self.places(child, e.TaskStarted)]
        return "in_progress" if begun or max(starts, default=-1) > since else "pending"

    def tree_status(self) -> str:
        """How the tree has settled; empty while something can still happen."""
        if not self.submitted or not all(self.ended(id) for id in self.shape.specs):
            return ""
        found = set(self.statuses.values())
        return next((bad for bad in BAD if bad in found), "completed")

    def first_bad_children(self, group: str, verdict: str) -> set[str]:
        """The children that were first to end so: several where one event did it.

        After a re-run it is as if all that had ended by then had ended in that moment.
        """
        for length in range(max(1, self.last(e.TreeReopened)), len(self.log) + 1):
            then = Naive(self.log[:length], self.shape)
            if then.submitted and (bad := then.bad_children(group, verdict)):
                return bad
        return set()

    def bad_children(self, group: str, verdict: str) -> set[str]:
        by = BAD if verdict == "cancelled" else ("failed",)
        children = self.shape.children(group)
        return {one for one in children if self.status(one) in by or self.blocked(one, by)}

    def signals(self) -> dict[str, list[tuple[str, bytes]]]:
        """What was said and not heard yet: the id and payload, by name.

        A task that waits hears a signal in the moment in which it comes; one that begins to wait
        hears the oldest.
        """
        kept: dict[str, list[tuple[str, bytes]]] = {}
        waits: dict[str, str] = {}
        for before, event in zip([None, *self.log], self.log, strict=False):
            if isinstance(event, e.SignalReceived):
                payload = bytes(event.payload) if event.payload else b"null"
                kept.setdefault(event.name, []).append((event.id, payload))
            elif isinstance(event, e.TaskWaiting):
                waits[event.task] = event.signal or ""
            elif isinstance(event, e.TaskCompleted | e.TaskFailed | e.TaskCancelled):
                said = kept.get(waits.pop(event.task, ""))
                if said and isinstance(event, e.TaskCompleted):
                    said.pop(-1 if isinstance(before, e.SignalReceived) else 0)
        return {name: said for name, said in kept.items() if said}
