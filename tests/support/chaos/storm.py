"""PostgreSQL ends connections, restarts and stands still under a program that runs trees on it."""

import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.support.chaos.checks import check_ledgers, check_store, log_of
from tests.support.chaos.ledgers import Acks
from tests.support.chaos.places import WATCHER, PostgresPlace, looking_at
from tests.support.chaos.plan import Plan
from tests.support.chaos.programs import ended, program, wait_for
from tests.support.chaos.server import RoughServer
from tests.support.chaos.tally import Tally
from tests.support.chaos.ways import Way

TREES = 100_000
"""More than it comes to."""
BESIDE = 8
DEAF = 0.02
"""Seconds for which answers are lost."""
HEALED = 60.0
"""Seconds within which everything must settle once the server is left in peace."""
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ("
    "  SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    "  AND backend_type = 'client backend' AND application_name <> %s"
    "  AND (state = 'active' OR %s) ORDER BY random() LIMIT 1)"
)

Trouble = Callable[[PostgresPlace], None]
"""One blow to the server."""


def under_fire(
    dsn: str,
    folder: Path,
    tally: Tally,
    *,
    seed: int,
    troubles: Iterable[Trouble],
    way: Way | None = None,
) -> None:
    """Run trees during all troubles, then in peace to the end, then look at what is left.

    ``way`` is how the program comes to the server, if not straight.
    """
    folder.mkdir(parents=True, exist_ok=True)
    url = dsn if way is None else way.dsn
    with looking_at(PostgresPlace(dsn)) as place:
        with program(folder, Plan(url, seed, trees=TREES, beside=BESIDE)) as running:
            wait_for(lambda: place.position() > 0, running)
            for trouble in troubles:
                trouble(place)
                if not running.running():
                    break
            (folder / "enough").touch()
            healed = time.monotonic()
            tally.violated(ended(running, HEALED), f"seed {seed}")
            tally.add("seconds to settle", round(time.monotonic() - healed))
        log = log_of(dsn)
        faults = [*check_store(dsn), *check_ledgers(log, folder, ())]
    tally.violated(faults, f"postgres, seed {seed}")
    acks = Acks(folder / "acks")
    tally.add("events under fire", len(log))
    tally.add("submissions answered", len(acks.submitted))
    tally.add("submissions denied", len(acks.denied))
    tally.add("submissions in doubt", len(acks.unknown))


def terminations(rng: random.Random, tally: Tally, *, gap: float) -> Trouble:
    """Ends one connection, one that works if there is any, after up to two ``gap`` seconds."""

    def trouble(place: PostgresPlace) -> None:
        time.sleep(rng.uniform(0, 2 * gap))
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            if place.ask(TERMINATE, (WATCHER, False)):
                tally.add("backends killed at work")
                return
        tally.add("backends killed idle", len(place.ask(TERMINATE, (WATCHER, True))))

    return trouble


def lost_answers(way: Way, rng: random.Random, tally: Tally, *, gap: float) -> Trouble:
    """The server does what it is told, but its answers are lost, and the connections with them."""

    def trouble(_: PostgresPlace) -> None:
        time.sleep(rng.uniform(0, 2 * gap))
        way.deaf = True
        time.sleep(DEAF)
        way.deaf = False
        tally.add("times of lost answers")

    return trouble


def restarts(server: RoughServer, tally: Tally) -> Trouble:
    """Restarts the server as after a crash."""

    def trouble(place: PostgresPlace) -> None:
        time.sleep(1)
        server.restart()
        tally.add("server restarts")

    return trouble


def stillness(server: RoughServer, tally: Tally, *, seconds: float) -> Trouble:
    """All of the server stands still for a while."""

    def trouble(_: PostgresPlace) -> None:
        time.sleep(1)
        with server.standing_still():
            time.sleep(seconds)
        tally.add("server stops")

    return trouble
