"""How far the tasks of a logged tree have come: the books that the grammar checker keeps.

Everything is asked anew when it is needed, by the definitions; only answers that cannot change
before the next re-run are remembered, so that long logs are checked in linear time.
"""

from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct

from ..domain.events import TaskStarted, TaskWaiting
from ..domain.specs import TaskSpec

BAD = ("failed", "cancelled")
"""How what blocks others has ended."""


class Course(Struct):
    """What the log has said about one task so far. ``end`` is its last status, ``""`` before.

    ``waits`` is set while it waits; ``lost`` while its attempt, begun under a former claim, has
    not been accounted for; ``early`` where an attempt began before its ``retry_at``. ``failures``,
    ``interruptions`` and ``refused`` count in the generation.
    """

    spec: TaskSpec
    group: bool = False
    attempt: int = 0
    generation: int = 1
    running: bool = False
    called: bool = False
    end: str = ""
    waits: TaskWaiting | None = None
    lost: bool = False
    early: bool = False
    retry_at: str = ""
    failures: int = 0
    interruptions: int = 0
    refused: int = 0
    cancel_requested: bool = False

    @property
    def pending(self) -> bool:
        """Neither running nor ended."""
        return not self.running and not self.end


class Courses:
    """The courses of one tree's tasks, by id, and what follows from them."""

    def __init__(self) -> None:
        self.by_id: dict[str, Course] = {}
        self.children: dict[str, list[str]] = {}
        self.at_work: dict[str, None] = {}
        """Those whose executor was called and has not been heard of to the end."""
        self._blocked: set[str] = set()
        self._doomed: set[str] = set()
        self._spared: set[str] = set()
        self._open: set[str] = set()

    # -- what the log says

    def submitted(self, groups: Iterable[bool]) -> None:
        """The shape is final; ``groups`` says of each task in creation order whether it is one."""
        for course, group in zip(self.by_id.values(), groups, strict=False):
            course.group = group
            if course.spec.parent is not None:
                self.children.setdefault(course.spec.parent, []).append(course.spec.id)

    def begin(self, event: TaskStarted) -> None:
        """An attempt runs."""
        course = self.by_id[event.task]
        course.running, course.called, course.attempt = True, event.called, event.attempt
        if event.called:
            self.at_work[event.task] = None

    def stop(self, id: str, end: str = "") -> None:
        """The attempt is over, and with an ``end`` the task too."""
        course = self.by_id[id]
        course.running = course.lost = course.early = False
        course.waits, course.retry_at, course.end = None, "", end
        self.at_work.pop(id, None)
        if end == "failed":
            self._spared.clear()
        elif end == "cancelled" and id in self._doomed:
            self._doomed.clear()

    def reopen(self, id: str, generation: int) -> None:
        """The task is as if it had never run; nothing that followed from it holds any more."""
        old = self.by_id[id]
        self.by_id[id] = Course(old.spec, old.group, generation=generation)
        self.at_work.pop(id, None)
        for known in (self._blocked, self._doomed, self._spared, self._open):
            known.clear()

    # -- what follows

    def ended(self, id: str) -> bool:
        """Ended itself, or never to start."""
        return bool(self.by_id[id].end) or self.blocked(id)

    def blocked(self, id: str) -> bool:
        """Whether a way along required dependencies, all pending, leads to what ended badly."""
        return self._leads_to(id, BAD, self._blocked)

    def children_of(self, id: str) -> list[str]:
        """Direct children, in creation order."""
        return self.children.get(id, [])

    def all_ended(self, group: str) -> bool:
        """Whether each of its children has ended."""
        return all(self.ended(id) for id in self.children_of(group))

    def verdict(self, group: str) -> str:
        """How a group ends whose children have."""
        children = self.children_of(group)
        ends = {self.by_id[id].end for id in children}
        if "failed" in ends or any(self._blocked_by_failure(id) for id in children):
            return "failed"
        return "cancelled" if ends - {"completed"} else "completed"

    def missing(self, id: str) -> str:
        """The first dependency that does not allow a start yet, own or of a group above."""
        groups = self.groups_above(id)
        for one in (id, *groups):
            if one in self._open:
                break
            for on, required in self._own(one):
                if not self._satisfied(on, required):
                    return on
        self._open.update(groups)
        return ""

    def groups_above(self, id: str) -> list[str]:
        """The nearest first."""
        return [above for above in self._above(id) if self.by_id[above].group]

    def _blocked_by_failure(self, id: str) -> bool:
        return self._leads_to(id, ("failed",), self._doomed, self._spared)

    def _leads_to(
        self, id: str, ends: Collection[str], known: set[str], spared: set[str] | None = None
    ) -> bool:
        """Breadth first. What leads there becomes ``known``, what does not ``spared``."""
        if not self.by_id[id].pending:
            return False
        came_from: dict[str, str] = {id: ""}
        todo = [id]
        for one in todo:  # grows
            course = self.by_id[one]
            if course.end in ends or one in known:
                self._remember(came_from, one, known)
                return True
            if course.pending and (spared is None or one not in spared):
                new = [on for on in self._required(one) if on not in came_from]
                came_from.update(dict.fromkeys(new, one))
                todo.extend(new)
        if spared is not None:
            spared.update(one for one in todo if self.by_id[one].pending)
        return False

    def _remember(self, came_from: dict[str, str], found: str, known: set[str]) -> None:
        while found:
            if self.by_id[found].pending:
                known.add(found)
            found = came_from[found]

    def _satisfied(self, on: str, required: bool) -> bool:
        if on not in self.by_id:
            return False
        return self.by_id[on].end == "completed" or (not required and self.ended(on))

    def _required(self, id: str) -> Iterator[str]:
        for one in (id, *self.groups_above(id)):
            for on, required in self._own(one):
                if required and on in self.by_id:
                    yield on

    def _own(self, id: str) -> Iterator[tuple[str, bool]]:
        """Its own dependencies; what a group says of its own descendants counts for nothing."""
        course = self.by_id[id]
        for dependency in course.spec.dependencies:
            if not (course.group and id in self._above(dependency.on)):
                yield dependency.on, dependency.required

    def _above(self, id: str) -> Iterator[str]:
        seen = set[str]()
        course = self.by_id.get(id)
        while course is not None and course.spec.parent is not None:
            parent = course.spec.parent
            if parent in seen or parent not in self.by_id:
                return
            seen.add(parent)
            yield parent
            course = self.by_id[parent]
