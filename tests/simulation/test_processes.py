"""Processes in one loop: what is killed is gone, what is stopped comes back where it was."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.simulation.processes import Killed, Machine, Process


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine(1)
    yield machine
    machine.bury()
    machine.close()


async def tick(seen: list[float]) -> None:
    """Note each second, and at the end that it is over."""
    try:
        while True:
            await asyncio.create_task(asyncio.sleep(1))
            seen.append(asyncio.get_running_loop().time())
    finally:
        seen.append(-1.0)


def started(machine: Machine, seen: list[float]) -> Process:
    process = machine.process("p")
    process.spawn(tick(seen))
    return process


def test_a_killed_process_never_runs_again(machine: Machine) -> None:
    seen: list[float] = []
    process = started(machine, seen)
    machine.call_later(2.5, process.kill)
    machine.run_until_complete(asyncio.sleep(10))
    assert seen == [1.0, 2.0]


def test_it_is_gone_in_the_middle_of_what_it_does(machine: Machine) -> None:
    seen: list[str] = []
    process = machine.process("p")

    async def suicide() -> None:
        try:
            process.kill()
            process.check()
            seen.append("lives on")
        finally:
            asyncio.get_running_loop().call_soon(seen.append, "a last word")

    process.spawn(suicide())
    machine.run_until_complete(asyncio.sleep(1))
    assert seen == []
    with pytest.raises(Killed):
        process.check()
    assert machine.complaints == []


def test_a_stopped_process_goes_on_where_it_was(machine: Machine) -> None:
    seen: list[float] = []
    process = started(machine, seen)
    machine.call_later(2.5, process.stop)
    machine.call_later(7.25, process.go_on)
    machine.run_until_complete(asyncio.sleep(10))
    assert seen == [1.0, 2.0, 7.25, 8.25, 9.25]


def test_a_process_killed_while_it_was_stopped_does_not_come_back(machine: Machine) -> None:
    seen: list[float] = []
    process = started(machine, seen)
    machine.call_later(2.5, process.stop)
    machine.call_later(4.0, process.kill)
    machine.call_later(5.0, process.go_on)
    machine.run_until_complete(asyncio.sleep(10))
    assert seen == [1.0, 2.0]


def test_others_go_on_meanwhile_and_hear_of_it(machine: Machine) -> None:
    here: list[float] = []
    there: list[float] = []
    process, other = started(machine, here), started(machine, there)
    died: list[float] = []
    process.on_death = lambda: died.append(machine.time())
    machine.call_later(2.5, process.kill)
    machine.run_until_complete(asyncio.sleep(4.5))
    assert died == [2.5]
    assert there == [1.0, 2.0, 3.0, 4.0]
    assert not other.dead


def test_what_nobody_caught_is_told(machine: Machine) -> None:
    def fail() -> None:
        raise LookupError("lost")

    machine.call_soon(fail)
    machine.run_until_complete(asyncio.sleep(1))
    assert len(machine.complaints) == 1
    assert "LookupError('lost')" in machine.complaints[0]
