"""From when to when each call was live: no two of one task at a time, no more than have places."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.support.chaos.blows import FOR_EVER, Course, Kill, Stop
from tests.support.chaos.forest import KEYED, PLACES
from tests.support.chaos.ledgers import Attempt, Run

WAKES = 5_000_000_000
"""Nanoseconds within which a program that has lost its trees in its sleep must end their calls."""


class Life(NamedTuple):
    """A call, and its time in ns."""

    attempt: Attempt
    began: int
    ended: int


class Lives(NamedTuple):
    """All calls. ``woken`` went on for a moment after their program had slept and lost them."""

    all: Sequence[Life]
    woken: int

    def overlaps(self) -> Iterator[str]:
        """Attempts of one task that were live at a time."""
        by_task: dict[tuple[str, int], list[Life]] = defaultdict(list)
        for life in sorted(self.all, key=lambda life: life.began):
            by_task[life.attempt.task, life.attempt.generation].append(life)
        for tries in by_task.values():
            last = tries[0]
            for life in tries[1:]:
                if life.began < last.ended:
                    yield f"{last} and {life} were live at a time"
                last = max(last, life, key=lambda life: life.ended)

    def crowded(self) -> Iterator[str]:
        """More calls under the concurrency key than it has places."""
        keyed = [life for life in self.all if life.attempt.task.endswith(KEYED)]
        begins = [(life.began, 1, life.attempt) for life in keyed]
        live = 0
        for _, change, attempt in sorted(begins + [(x.ended, -1, x.attempt) for x in keyed]):
            live += change
            if live > PLACES:
                yield f"{attempt} ran beside {PLACES} others under its concurrency key"


def lives(
    runs: Mapping[Attempt, Run],
    courses: Mapping[Attempt, Course],
    kills: Sequence[Kill],
    stops: Sequence[Stop],
) -> Lives:
    """A call ends with its executor or its program. What its program lost while it stood still
    ended for all others when that began.
    """
    deaths = {kill.name: kill.moment for kill in kills}
    found, woken = [], 0
    for attempt, run in runs.items():
        end = run.ended or deaths.get(run.name, FOR_EVER)
        sleep = _lost_in(run, end, courses.get(attempt), stops)
        if sleep is not None:
            woken += end > sleep.until
            end = sleep.since
        if end > run.began:
            found.append(Life(attempt, run.began, end))
    return Lives(found, woken)


def _lost_in(run: Run, end: int, course: Course | None, stops: Sequence[Stop]) -> Stop | None:
    """The sleep in which somebody else took this call's tree, if it was so."""
    if course is None or not course.lost:
        return None
    for stop in stops:
        mine = stop.name == run.name and course.is_in(stop)
        if mine and run.began < stop.until + WAKES and stop.since < end < stop.until + WAKES:
            return stop
    return None
