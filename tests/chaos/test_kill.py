"""kill -9 of whole programs, in start-up, in recovery and in work: nothing is lost or repeated."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.chaos.killing import kill_rounds
from tests.support.chaos.places import PostgresPlace, SQLitePlace
from tests.support.chaos.tally import Tally
from tests.support.postgres import PostgresServer

KILLS, FEWEST = 110, 100
SECONDS = 70.0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_programs_that_are_killed_lose_nothing_and_repeat_nothing(
    tmp_path: Path, postgres_server: PostgresServer, tally: Tally
) -> None:
    """A program on SQLite and one on PostgreSQL, side by side."""
    until = time.monotonic() + SECONDS

    def enough() -> bool:
        return kills(tally) >= KILLS or time.monotonic() > until

    def on_sqlite() -> None:
        kill_rounds(
            lambda n: SQLitePlace(tmp_path / f"{n}.db"),
            tmp_path / "sqlite", tally, seed=1, enough=enough,
        )  # fmt: skip

    def on_postgres() -> None:
        kill_rounds(
            lambda _: PostgresPlace(postgres_server.create_database()),
            tmp_path / "postgres", tally, seed=1_000_001, enough=enough,
        )  # fmt: skip

    both: list[Callable[[], None]] = [on_sqlite, on_postgres]
    with ThreadPoolExecutor(len(both)) as threads:
        for done in [threads.submit(each) for each in both]:
            done.result()
    assert tally.violations == []
    assert kills(tally) >= FEWEST


def kills(tally: Tally) -> int:
    """So many have hit a run or a recovery."""
    return tally.counts["sqlite kills"] + tally.counts["postgres kills"]
