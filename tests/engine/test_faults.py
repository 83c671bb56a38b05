"""One tree, and a store that fails once: at every append in turn, in every way.

Whatever happens, the tree ends as it would have without, nobody was told anything that is not so,
and nothing that completed runs again.
"""

import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

import pytest
from msgspec import structs

from aipartnerupflow.adapters.journal.memory.recorder import open_memory
from aipartnerupflow.domain.errors import StaleVersion
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.engine.commit import Committer
from aipartnerupflow.engine.ports import Append
from aipartnerupflow.testing.trees import claimed, running, started
from tests.support.faulty import At, Kind, Never, Schedule
from tests.support.simulation.checks import judge
from tests.support.simulation.simulation import told
from tests.support.simulation.thirty import plan, whole_life
from tests.support.simulation.world import Setting, World, live

COMMITTERS = ("inline", "thread", "auto")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What engines say of a store that fails is not of interest here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def life(committer: str, schedule: Schedule) -> World:
    world = World(30, Setting(committer=committer), [plan()], schedule)
    live(world, whole_life(world))
    judge(world)
    return world


def statuses(world: World) -> dict[str, str]:
    return {
        id: entry.state.status for id, entry in world.ledger.tables.tasks.items() if entry.state
    }


def test_what_builds_on_a_refused_append_is_refused_with_it() -> None:
    """Its version may fit by chance: somebody else has written as many events."""
    journal, _ = open_memory()
    index = {"r": 0, "a": 1}
    stream = dated(running("r", "r/a"))
    journal.append([(Append("r", 0, stream, index),)])
    journal.append([(Append("r", 3, dated([claimed("engine-2", 2)]), index),)])
    late = [
        (Append("r", 3, dated([claimed("engine-3", 2)]), index),),
        (Append("r", 4, dated([started("a")]), index),),
    ]
    results = Committer(journal, lambda: None).commit(late)
    assert [type(error) for error in results] == [StaleVersion, StaleVersion]
    assert len(list(journal.read("r"))) == 4


def dated(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    return [structs.replace(event, at="2026-01-01T00:00:00.000000Z") for event in events]


@cache
def undisturbed(committer: str) -> tuple[dict[str, str], int]:
    """How the tasks end where nothing goes wrong, and in how many appends."""
    world = life(committer, Never())
    assert not told(world)
    return statuses(world), world.nodes[0].connection.appends


@pytest.mark.parametrize("committer", COMMITTERS)
def test_the_tree_has_everything_in_it(committer: str) -> None:
    ends, appends = undisturbed(committer)
    assert len(plan().specs) == 30
    assert {*ends.values()} == {"completed", "failed"}
    assert appends > 30


@pytest.mark.slow
@pytest.mark.parametrize("committer", COMMITTERS)
def test_it_ends_the_same_wherever_the_store_fails_once(
    committer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ends, appends = undisturbed(committer)
    runs = Counter[Kind]()
    wrong: list[str] = []
    for kind in Kind:
        for n in range(1, appends + 1):
            at = At(n, kind)
            world = life(committer, at)
            runs[kind] += at.happened
            found = told(world)
            if statuses(world) != ends:
                found.append(f"tasks ended otherwise: {statuses(world).items() ^ ends.items()}")
            wrong.extend(f"{kind} at append {n}, {committer}: {what}" for what in found)
    with capsys.disabled():
        of_each = ", ".join(f"{n} {kind}" for kind, n in runs.items())
        sys.stdout.write(f"\n{committer}: {runs.total()} trees, each with one fault: {of_each}\n")
    assert not wrong, "\n".join(wrong[:30])
