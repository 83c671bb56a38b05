"""The loop on virtual time: what it promises, and that a seed decides all that is left open."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from aipartnerupflow.testing.clock import NEW_YEAR_2026
from aipartnerupflow.testing.loop import LoopClock, Stuck, VirtualLoop, run

YEAR = 366 * 86_400.0


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop(1)
    yield loop
    loop.close()


def test_a_year_takes_no_time() -> None:
    async def sleeper() -> float:
        await asyncio.sleep(YEAR)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run(sleeper()) == YEAR
    assert time.monotonic() - began < 5


def test_callbacks_keep_the_order_of_their_calls(loop: VirtualLoop) -> None:
    seen: list[int] = []
    for n in range(100):
        loop.call_soon(seen.append, n)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == list(range(100))


@pytest.mark.parametrize("lateness", [0.0, 5.0])
def test_timers_are_never_early_and_keep_their_order(lateness: float) -> None:
    loop = VirtualLoop(7, lateness=lateness)
    rung: list[tuple[float, float]] = []

    def ring(due: float) -> None:
        rung.append((due, loop.time()))

    for n in range(200):
        due = (n * 37 % 100) / 10 + 0.1
        loop.call_later(due, ring, due)
    loop.call_later(50.0, loop.stop)
    loop.run_forever()
    loop.close()
    assert len(rung) == 200
    assert [due for due, _ in rung] == sorted(due for due, _ in rung)
    assert all(due <= at <= due + lateness for due, at in rung)


def test_a_seed_decides_the_order_of_timers_of_one_instant() -> None:
    def order(seed: int) -> list[int]:
        loop, seen = VirtualLoop(seed), list[int]()
        for n in range(20):
            loop.call_at(1.0, seen.append, n)
        loop.call_at(2.0, loop.stop)
        loop.run_forever()
        loop.close()
        return seen

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(10)}) > 5


def test_what_would_run_in_threads_runs_here_in_an_order_of_chance() -> None:
    async def ends(seen: list[int]) -> list[int]:
        def job(n: int) -> int:
            assert threading.current_thread() is threading.main_thread()
            seen.append(n)
            return n

        return await asyncio.gather(*(asyncio.to_thread(job, n) for n in range(20)))

    orders = set()
    for seed in range(10):
        seen: list[int] = []
        assert run(ends(seen), seed=seed, lateness=1.0) == list(range(20))
        orders.add(tuple(seen))
    assert len(orders) > 5


def test_a_thread_s_error_reaches_who_waits_for_it() -> None:
    def fail() -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        run(asyncio.to_thread(fail))


def test_a_job_that_nobody_waits_for_any_more_is_not_begun() -> None:
    async def impatient() -> list[str]:
        done: list[str] = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.get_running_loop().run_in_executor(None, done.append, "late")
        await asyncio.sleep(1)
        return done

    assert run(impatient(), lateness=1.0, seed=3) == []


def test_a_cancelled_timer_holds_nobody_up(loop: VirtualLoop) -> None:
    loop.call_later(10.0, loop.stop).cancel()
    loop.call_later(20.0, loop.stop)
    loop.run_forever()
    assert loop.time() == 20.0


def test_waiting_for_nothing_is_told(loop: VirtualLoop) -> None:
    with pytest.raises(Stuck, match="nobody will do"):
        loop.run_forever()


def test_spinning_is_told() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - that it never ends is what is tested
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="no time passes"):
        run(spin())


def test_a_call_that_blocks_lets_time_pass_for_all(loop: VirtualLoop) -> None:
    rung: list[float] = []
    loop.call_soon(loop.block, 7.0)
    loop.call_later(1.0, lambda: rung.append(loop.time()))
    loop.call_later(8.0, loop.stop)
    loop.run_forever()
    assert rung == [7.0]


def test_the_clock_goes_with_the_loop_until_it_is_set(loop: VirtualLoop) -> None:
    clock = LoopClock(loop)
    assert clock.text() == "2026-01-01T00:00:00.000000Z"
    loop.block(1.5)
    assert clock.now() == NEW_YEAR_2026 + 1.5
    clock.jump(-86_400.0)
    assert clock.text() == "2025-12-31T00:00:01.500000Z"
    assert loop.time() == 1.5


def test_a_finished_future_stops_the_loop_at_once(loop: VirtualLoop) -> None:
    loop.call_later(100.0, lambda: None)

    async def quick() -> str:
        return "done"

    assert loop.run_until_complete(quick()) == "done"
    assert loop.time() == 0.0
