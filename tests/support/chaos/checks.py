"""What must hold after programs were killed: by the log, the rows, and what they left outside."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.api import wiring
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import Recorded
from aipartnerupflow.projections.rebuild import compare
from aipartnerupflow.testing.grammar import check_log
from tests.support.chaos.blows import LOST, Course, Kill, Stop, courses_of
from tests.support.chaos.ledgers import Acks, Attempt, Run, Told, read_runs
from tests.support.chaos.lives import lives

TRIPPED = "ValueError"
"""What tasks of the forest fail with, if they do."""


def log_of(url: str) -> list[Recorded]:
    """The whole log, read by us."""
    store = wiring.open_store(url)
    try:
        return list(store.journal.read_all())
    finally:
        store.close()


def check_store(url: str, *, settled: bool = True) -> list[str]:
    """Grammar, hash chains, rows against log, and that nothing is left open."""
    store = wiring.open_store(url)
    try:
        assert isinstance(store.journal, EventJournal)
        log = list(store.journal.read_all())
        trees = dict.fromkeys(recorded.tree for recorded in log)
        broken = ((tree, store.journal.verify(tree)) for tree in trees)
        rows = wiring.care_of(store).status()
        assert rows is not None
        return [
            *check_log(log),
            *(f"{tree}: the hash chain breaks: {fault}" for tree, fault in broken if fault),
            *(str(difference) for difference in compare(rows)[1]),
            *(f"{tree.id} has not settled" for tree in store.journal.open_work() if settled),
        ]
    finally:
        store.close()


def check_ledgers(
    log: Sequence[Recorded], folder: Path, kills: Sequence[Kill], stops: Sequence[Stop] = ()
) -> list[str]:
    """The log against what the programs wrote beside it."""
    acks = Acks(folder / "acks")
    runs, faults = read_runs(folder / "runs")
    courses = courses_of(log)
    live = lives(runs, courses, kills, stops)
    return [
        *acks.faults,
        *faults,
        *lost(log, acks),
        *wrong_calls(courses, runs),
        *wrong_failures(courses),
        *wrong_interruptions(courses, runs, kills, stops),
        *live.overlaps(),
        *live.crowded(),
    ]


def lost(log: Sequence[Recorded], acks: Acks) -> Iterator[str]:
    """What was acknowledged and is not in the log, what was denied and is."""
    stored = Counter(map(told_of, log))
    for told, count in (acks.told - stored).items():
        yield f"{count} acknowledged event(s) lost: {told}"
    submitted = {r.tree for r in log if isinstance(r.event, e.TreeSubmitted)}
    yield from (f"the submission of {tree} is lost" for tree in acks.submitted - submitted)
    saves = Counter(told.task for told in stored.elements() if told.topic == "task.saved")
    for task, count in (acks.saves - saves).items():
        yield f"{count} acknowledged checkpoint(s) of {task} lost"
    created = {r.tree for r in log if r.version == 1}
    for tree in (created & acks.denied.keys()) - acks.submitted:
        yield f"{tree} was answered with {acks.denied[tree]}, but it is stored"
    settled = {r.tree: r.event.status for r in log if isinstance(r.event, e.TreeSettled)}
    for tree, status in acks.settled.items():
        if settled.get(tree) != status:
            yield f"{tree} was told to be {status} and is {settled.get(tree)}"


def told_of(recorded: Recorded) -> Told:
    """An event as followers are told of it."""
    event = recorded.event
    return Told(recorded.tree, event.topic, event.at, getattr(event, "task", "-"))


def wrong_calls(courses: Mapping[Attempt, Course], runs: Mapping[Attempt, Run]) -> Iterator[str]:
    """Calls that the log does not know, and ends in the log that no call can have given."""
    for attempt in runs.keys() - courses.keys():
        yield f"{attempt} was called, but never started in the log"
    for attempt, course in courses.items():
        run = runs.get(attempt)
        if course.how in ("task.completed", "attempt.failed") and (run is None or not run.whole):
            yield f"{attempt} ended by {course.how}, but its executor never did"
    yield from again(courses, runs)


def wrong_failures(courses: Mapping[Attempt, Course]) -> Iterator[str]:
    """Tasks that failed though their executor did not: the store's bad times are not theirs."""
    for attempt, course in courses.items():
        if course.error and course.error not in (*LOST, TRIPPED):
            yield f"{attempt} failed with {course.error}"


def again(courses: Mapping[Attempt, Course], runs: Mapping[Attempt, Run]) -> Iterator[str]:
    """Calls after the completion of their task."""
    done: dict[tuple[str, str, int], int] = {}
    for attempt, course in courses.items():
        if course.how == "task.completed":
            done[attempt[:3]] = attempt.number
    for attempt in runs:
        if attempt.number > done.get(attempt[:3], attempt.number):
            yield f"{attempt} ran after attempt {done[attempt[:3]]} had completed the task"


def wrong_interruptions(
    courses: Mapping[Attempt, Course],
    runs: Mapping[Attempt, Run],
    kills: Sequence[Kill],
    stops: Sequence[Stop],
) -> Iterator[str]:
    """Each kill interrupts what its program was running. A program that stood still may have lost
    what it was running. Nothing else is interrupted.
    """
    for attempt, course in courses.items():
        run = runs.get(attempt)
        for kill in kills:
            if run and run.name == kill.name and course.is_hit(kill) and not course.lost:
                yield f"{attempt} was running at {kill} and ended by {course.how or 'nothing'}"
        blows: tuple[Kill | Stop, ...] = (*kills, *stops)
        causes = (blow for blow in blows if course.is_in(blow) and _in(run, blow.name))
        if course.lost and not any(causes):
            yield f"{attempt} was interrupted, but no kill had caught it"


def _in(run: Run | None, name: str) -> bool:
    """Whether the call was, or may have been, in that program."""
    return run is None or run.name == name
