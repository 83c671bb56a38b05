"""A server that ends connections, restarts, stands still; engines that are killed and stopped."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chaos.duel import Duel, machine
from tests.support.chaos.places import PostgresPlace, looking_at
from tests.support.chaos.plan import Plan
from tests.support.chaos.server import RoughServer, rough_server
from tests.support.chaos.storm import (
    lost_answers,
    restarts,
    stillness,
    terminations,
    under_fire,
)
from tests.support.chaos.tally import Tally
from tests.support.chaos.ways import way_to

BACKENDS = 32
LEASE = 3.0
"""Seconds, to be quicker than the 10 of an engine that nobody has told otherwise."""


@pytest.fixture(scope="module")
def server() -> Iterator[RoughServer]:
    with rough_server() as started:
        yield started


@pytest.mark.slow
def test_a_storm_of_ended_connections_is_answered_truly_and_survived(
    server: RoughServer, tmp_path: Path, tally: Tally
) -> None:
    blow = terminations(random.Random(1), tally, gap=0.15)
    under_fire(server.create_database(), tmp_path, tally, seed=1, troubles=[blow] * BACKENDS)
    assert tally.violations == []
    assert tally.counts["backends killed at work"] >= BACKENDS - 5


@pytest.mark.slow
def test_commits_whose_answers_are_lost_are_found_out_and_stored_once(
    server: RoughServer, tmp_path: Path, tally: Tally
) -> None:
    dsn = server.create_database()
    with way_to(dsn, tmp_path) as way:
        blow = lost_answers(way, random.Random(5), tally, gap=0.15)
        under_fire(dsn, tmp_path, tally, seed=5, troubles=[blow] * BACKENDS, way=way)
    assert tally.violations == []


@pytest.mark.slow
def test_runs_survive_restarts_and_a_server_that_stands_still(
    server: RoughServer, tmp_path: Path, tally: Tally
) -> None:
    troubles = [restarts(server, tally), stillness(server, tally, seconds=3)]
    troubles += [restarts(server, tally)]
    under_fire(server.create_database(), tmp_path, tally, seed=2, troubles=troubles)
    assert tally.violations == []


@pytest.mark.slow
def test_two_engines_that_are_killed_and_stopped_by_turns_complete_each_task_once(
    server: RoughServer, tmp_path: Path, tally: Tally
) -> None:
    with looking_at(PostgresPlace(server.create_database())) as place:
        plan = Plan(place.url, seed=3, trees=60, beside=20, smallest=10, largest=10, slower=15)
        Duel(place, tmp_path, plan, tally, lease=LEASE).fight(25, peace=60)
    assert tally.violations == []
    assert tally.counts["engines killed"] > 0
    assert tally.counts["engines stopped"] > 0


@pytest.mark.slow
def test_an_engine_that_stops_inside_a_transaction_holds_nobody_up_and_is_fenced(
    server: RoughServer, tmp_path: Path, tally: Tally
) -> None:
    """As on two machines, where that can be had."""
    with looking_at(PostgresPlace(server.create_database())) as place:
        plan = Plan(place.url, seed=4, trees=40, beside=10, smallest=10, largest=10, slower=15)
        duel = Duel(place, tmp_path, plan, tally, lease=LEASE, prefix=machine() or ())
        duel.fence(peace=60)
    assert tally.violations == []
    assert tally.counts["trees lost by stopped engines, and logged"] > 0
