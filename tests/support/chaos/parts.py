"""The parts of a long run of faults, each for as long as it is given."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.chaos.duel import Duel, machine
from tests.support.chaos.fullness import TREES, endure, small_disk
from tests.support.chaos.killing import kill_rounds
from tests.support.chaos.places import PostgresPlace, SQLitePlace, looking_at
from tests.support.chaos.plan import Plan
from tests.support.chaos.powerloss import lose_power
from tests.support.chaos.server import RoughServer
from tests.support.chaos.storm import (
    Trouble,
    lost_answers,
    restarts,
    stillness,
    terminations,
    under_fire,
)
from tests.support.chaos.tally import Tally
from tests.support.chaos.ways import Way, way_to
from tests.support.fuzzing import fuzz_server
from tests.support.servers import Work

DUEL, PEACE = 90.0, 300.0
"""Seconds for which two engines fight at most, and in which they must have finished after that."""
SHORT = 3.0
"""Seconds of a lease that is quicker than the usual one."""
CASES = 5_000
"""So many requests are made of the API at least."""
LONGEST_STORM = 60.0
"""Seconds after which a storm makes place for the next, on a database of its own."""


class Parts:
    """All of them, on one server, below one folder; every seed follows from ``seed``."""

    def __init__(self, server: RoughServer, folder: Path, seed: int) -> None:
        self._server, self._folder = server, folder
        self._seeds = count(seed)
        self._rng = random.Random(seed)

    def kills(self, tally: Tally, seconds: float) -> None:
        """kill -9 on both stores, side by side."""
        until = time.monotonic() + seconds
        here = self._here("kills")

        def on(place_of: Callable[[int], Any], name: str) -> None:
            kill_rounds(
                place_of, here / name, tally, seed=1_000 * next(self._seeds),
                enough=lambda: time.monotonic() > until,
            )  # fmt: skip

        with ThreadPoolExecutor(2) as threads:
            for done in (
                threads.submit(on, lambda n: SQLitePlace(here / f"{n}.db"), "sqlite"),
                threads.submit(on, lambda _: PostgresPlace(self._database()), "postgres"),
            ):
                done.result()

    def power_losses(self, tally: Tally, seconds: float) -> None:
        """Cuts of SQLite's write-ahead log, at least one log."""
        for here in self._until(tally, seconds, "power"):
            events = self._rng.randrange(60, 1_500)
            lose_power(here, tally, seed=next(self._seeds), events=events, full=40)

    def storms(self, tally: Tally, seconds: float) -> None:
        """The server ends connections all the time, answers are lost, and now and then the server
        is restarted or stopped.
        """
        for here in self._until(tally, seconds, "storm"):
            longest = min(seconds, LONGEST_STORM)
            dsn = self._database()
            with way_to(dsn, here) as way:
                under_fire(
                    dsn, here, tally,
                    seed=next(self._seeds), troubles=self._troubles(tally, longest, way), way=way,
                )  # fmt: skip

    def _troubles(self, tally: Tally, seconds: float, way: Way) -> Iterator[Trouble]:
        until = time.monotonic() + seconds
        often = (
            terminations(self._rng, tally, gap=0.2),
            terminations(self._rng, tally, gap=0.2),
            lost_answers(way, self._rng, tally, gap=0.2),
        )
        rare = (
            restarts(self._server, tally),
            stillness(self._server, tally, seconds=4),
            stillness(self._server, tally, seconds=14),
        )
        while time.monotonic() < until:
            yield self._rng.choice(rare if self._rng.random() < 0.03 else often)

    def duels(self, tally: Tally, seconds: float, *, trees: int, lease: float) -> None:
        """Two engines on one store, at least one duel; every other one as on two machines.

        After each, one engine is stopped inside a transaction.
        """
        apart = machine() or ()
        for n, here in enumerate(self._until(tally, seconds, "duel")):
            with looking_at(PostgresPlace(self._database())) as place:
                plan = Plan(
                    place.url, next(self._seeds), trees=trees, beside=60, smallest=10, largest=10,
                    slower=30 if lease > SHORT else 10,
                )  # fmt: skip
                prefix = () if n % 2 else apart
                Duel(place, here, plan, tally, lease=lease, prefix=prefix).fight(DUEL, peace=PEACE)
            (fenced := here / "fenced").mkdir()
            with looking_at(PostgresPlace(self._database())) as place:
                plan = Plan(
                    place.url, next(self._seeds), trees=40, beside=10, smallest=10, largest=10,
                    slower=15,
                )  # fmt: skip
                Duel(place, fenced, plan, tally, lease=SHORT, prefix=prefix).fence(peace=PEACE)

    def disks(self, tally: Tally, seconds: float) -> None:
        """Full disks and locked stores, at least one of each."""
        for here in self._until(tally, seconds, "disk"):
            disk = here / "small"
            disk.mkdir()
            prefix = small_disk(disk)
            if prefix is None:
                tally.note("no full disk: nothing can be mounted here")
            else:
                plan = self._trouble(disk / "s.db", "full", 1.0)
                endure(here, tally, plan, prefix, reason="no_space_left")
            lasts = 12.0 if seconds > 30 else 1.0
            (locked := here / "locked").mkdir()
            endure(locked, tally, self._trouble(locked / "s.db", "locked", lasts), reason="")

    def requests(self, tally: Tally, seconds: float) -> None:
        """What fits the description of the API and what does not, `CASES` requests or more."""
        until = time.monotonic() + seconds

        def enough() -> bool:
            return tally.counts["cases"] >= CASES and time.monotonic() > until

        Work().register()
        while not (enough() or tally.violations):
            here = self._here("requests")
            fuzz_server(here, tally, examples=40, seed=next(self._seeds), enough=enough)

    def _trouble(self, path: Path, trouble: str, lasts: float) -> Plan:
        seed = next(self._seeds)
        return Plan(str(path), seed, trees=TREES, trouble=trouble, times=2, lasts=lasts)

    def _database(self) -> str:
        return self._server.create_database()

    def _until(self, tally: Tally, seconds: float, name: str) -> Iterator[Path]:
        """A folder for each round that begins within so many seconds; none after a violation."""
        until = time.monotonic() + seconds
        yield self._here(name)
        while time.monotonic() < until and not tally.violations:
            yield self._here(name)

    def _here(self, name: str) -> Path:
        here = self._folder / f"{name}-{next(self._seeds)}"
        here.mkdir()
        return here
