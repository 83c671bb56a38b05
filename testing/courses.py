"""How far the tasks of a logged tree have come: the books that the grammar checker keeps.

Everything is asked anew when it is needed, by the definitions; only answers that cannot change any
more are remembered, so that long logs are checked in linear time.
"""

from collections.abc import Iterator

from msgspec import Struct

from ..domain.specs import TaskSpec


class Course(Struct):
    """What the log has said about one task so far. ``end`` is its last status, ``""`` before."""

    spec: TaskSpec
    group: bool = False
    attempt: int = 0
    generation: int = 1
    running: bool = False
    called: bool = False
    end: str = ""
    refused: int = 0
    surely_blocked: bool = False
    surely_open: bool = False

    @property
    def pending(self) -> bool:
        """Neither running nor ended."""
        return not self.running and not self.end


class Courses:
    """The courses of one tree's tasks, by id, and what follows from them."""

    def __init__(self) -> None:
        self.by_id: dict[str, Course] = {}
        self.children: dict[str, list[str]] = {}

    def submitted(self, groups: Iterator[bool]) -> None:
        """The shape is final; ``groups`` says of each task in creation order whether it is one."""
        for course, group in zip(self.by_id.values(), groups, strict=False):
            course.group = group
            if course.spec.parent is not None:
                self.children.setdefault(course.spec.parent, []).append(course.spec.id)

    def ended(self, id: str) -> bool:
        """Ended itself, or never to start."""
        return bool(self.by_id[id].end) or self.blocked(id)

    def children_of(self, id: str) -> list[str]:
        """Direct children, in creation order."""
        return self.children.get(id, [])

    def missing(self, id: str) -> str:
        """The first dependency that does not allow a start yet, own or of a group above."""
        groups = self._groups_above(id)
        for one in (id, *groups):
            if self.by_id[one].surely_open:
                return ""
            for on, required in self._own(one):
                if not self._satisfied(on, required):
                    return on
        for group in groups:
            self.by_id[group].surely_open = True
        return ""

    def blocked(self, id: str) -> bool:
        """Whether a way along required dependencies, all pending, leads to something failed."""
        if not self.by_id[id].pending:
            return False
        came_from: dict[str, str] = {id: ""}
        todo = [id]
        for one in todo:  # grows: breadth first
            course = self.by_id[one]
            if course.end == "failed" or course.surely_blocked:
                self._remember(came_from, one)
                return True
            if course.pending:
                new = [on for on in self._required(one) if on not in came_from]
                came_from.update(dict.fromkeys(new, one))
                todo.extend(new)
        return False

    def _remember(self, came_from: dict[str, str], found: str) -> None:
        while found:
            course = self.by_id[found]
            course.surely_blocked = course.surely_blocked or course.pending
            found = came_from[found]

    def _satisfied(self, on: str, required: bool) -> bool:
        if on not in self.by_id:
            return False
        return self.by_id[on].end == "completed" or (not required and self.ended(on))

    def _required(self, id: str) -> Iterator[str]:
        for one in (id, *self._groups_above(id)):
            for on, required in self._own(one):
                if required and on in self.by_id:
                    yield on

    def _own(self, id: str) -> Iterator[tuple[str, bool]]:
        """Its own dependencies; what a group says of its own descendants counts for nothing."""
        course = self.by_id[id]
        for dependency in course.spec.dependencies:
            if not (course.group and id in self._above(dependency.on)):
                yield dependency.on, dependency.required

    def _groups_above(self, id: str) -> list[str]:
        return [above for above in self._above(id) if self.by_id[above].group]

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
