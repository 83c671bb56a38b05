"""Failed attempts are followed by others: when, how often, and when not."""

import asyncio
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.domain import events as e
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, MakeBench, one, until
from tests.support.works import Flaky


def busy(seconds: float) -> ConnectionError:
    """As a server says it that wants to be left alone for a while."""
    error = ConnectionError("busy")
    error.retry_after = seconds  # type: ignore[attr-defined]  # what executors set
    return error


async def attempts(bench: Bench, work: Flaky, **fields: Any) -> list[float]:
    """When each attempt of a single task with these fields began."""
    bench.on("flaky", work)
    await bench.run(one("flaky", **fields))
    assert work.at == bench.times(e.TaskStarted)
    return work.at


async def test_attempts_follow_each_other_after_one_two_and_four_seconds(bench: Bench) -> None:
    work = Flaky(3)
    assert await attempts(bench, work, retry={"max_attempts": 4}) == [0, 1, 3, 7]
    assert bench.story("r") == ["task.started", "attempt.failed"] * 3 + [
        "task.started",
        "task.completed",
    ]
    assert [call.attempt for call in work.calls] == [1, 2, 3, 4]
    assert len({call.idempotency_key for call in work.calls}) == 1


async def test_the_last_attempt_that_is_allowed_fails_the_task(bench: Bench) -> None:
    assert await attempts(bench, Flaky(9), retry={"max_attempts": 2}) == [0, 1]
    (failed,) = bench.facts(e.TaskFailed)
    assert (failed.attempt, failed.error.type) == (2, "ValueError")


@pytest.mark.parametrize(
    ("retry", "began"),
    [
        ({"backoff": "fixed", "initial_delay": 5}, [0, 5, 10]),
        ({"backoff": "none"}, [0, 0, 0]),
        ({"initial_delay": 10, "multiplier": 10, "max_delay": 30}, [0, 10, 40]),
        ({"jitter": "full"}, [0, 0.25, 0.75]),
        ({"max_attempts": 1}, [0]),
    ],
)
async def test_a_policy_says_how_long_to_wait(
    bench: Bench, retry: dict[str, Any], began: list[float]
) -> None:
    bench.chance = 0.25
    assert await attempts(bench, Flaky(9), retry=retry) == began


@pytest.mark.parametrize(
    ("retry", "error", "times"),
    [
        ({"non_retryable": ["ValueError"]}, ValueError, 1),
        ({"non_retryable": ["LookupError"]}, KeyError, 1),
        ({"non_retryable": ["LookupError"]}, ValueError, 3),
        ({"retry_on": ["LookupError"]}, KeyError, 3),
        ({"retry_on": ["LookupError"]}, ValueError, 1),
        ({"retry_on": ["ValueError"], "non_retryable": ["ValueError"]}, ValueError, 1),
    ],
)
async def test_a_policy_names_errors_by_their_class_or_any_of_its_bases(
    bench: Bench, retry: dict[str, Any], error: type[Exception], times: int
) -> None:
    assert len(await attempts(bench, Flaky(9, error), retry=retry)) == times


@pytest.mark.parametrize(
    ("error", "safe", "fields", "times"),
    [
        (ConnectionError, True, {}, 3),
        (ConnectionError, None, {}, 1),
        (ConnectionError, False, {}, 1),
        (ConnectionError, False, {"idempotent": True}, 3),
        (ConnectionError, None, {"idempotent": True}, 3),
        (ValueError, True, {}, 1),
        (ValueError, True, {"idempotent": True}, 1),
    ],
)
async def test_without_a_policy_only_what_may_pass_by_itself_and_is_safe_is_repeated(
    bench: Bench,
    error: type[Exception],
    safe: bool | None,
    fields: dict[str, Any],
    times: int,
) -> None:
    if safe is not None:
        bench.executors.repeatable["flaky"] = safe
    assert len(await attempts(bench, Flaky(9, error), **fields)) == times


@pytest.mark.parametrize(
    ("safe", "idempotent", "times"),
    [(False, False, 1), (False, True, 3), (True, False, 3), (None, False, 3)],
)
async def test_a_policy_does_not_repeat_a_call_that_its_executor_calls_unsafe(
    bench: Bench, safe: bool | None, idempotent: bool, times: int
) -> None:
    """A POST may have been carried out although its answer was lost."""
    if safe is not None:
        bench.executors.repeatable["flaky"] = safe
    assert len(await attempts(bench, Flaky(9), retry={}, idempotent=idempotent)) == times


async def test_what_the_target_asks_for_is_the_least_that_is_waited(bench: Bench) -> None:
    asked = iter([7.0, 0.5])
    work = Flaky(2, lambda: busy(next(asked)))
    assert await attempts(bench, work, retry={}) == [0, 7, 9]


async def test_the_jitter_of_the_default_is_drawn_by_chance_and_stands_in_the_log(
    bench: Bench,
) -> None:
    bench.executors.repeatable["flaky"] = True
    bench.chance = 0.75
    assert await attempts(bench, Flaky(2, TimeoutError)) == [0, 0.75, 2.25]
    assert [bench.seconds(fact.retry_at) for fact in bench.facts(e.AttemptFailed)] == [0.75, 2.25]


@pytest.mark.parametrize(("back_after", "second"), [(10, 60), (39, 60), (100, 120)])
async def test_a_restart_in_the_middle_of_a_backoff_keeps_the_due_time(
    bench: Bench, back_after: float, second: float
) -> None:
    work = Flaky(1)
    bench.on("flaky", work)
    await bench.submit(one("flaky", retry={"backoff": "fixed", "initial_delay": 60}))
    await asyncio.sleep(20)
    bench.crash("engine-2")
    await asyncio.sleep(back_after)
    await bench.resume_all()
    assert work.at == [0, second]
    assert bench.times(e.TaskCompleted) == [second]


async def test_a_checkpoint_reaches_the_attempt_after_a_failure(bench: Bench) -> None:
    async def work(call: Call) -> str | None:
        if call.checkpoint is None:
            assert call.port is not None
            await call.port.save(Raw(b'"half"'))
            raise ValueError
        return bytes(call.checkpoint).decode()

    bench.on("work", work)
    await bench.run(one("work", retry={}))
    (completed,) = bench.facts(e.TaskCompleted)
    assert bytes(completed.result or b"") == b'"\\"half\\""'


async def test_a_task_in_backoff_holds_no_slot_and_gets_one_when_it_is_due(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(slots=1)

    async def steady(call: Call) -> None:
        await asyncio.sleep(0.4)

    bench.on("flaky", Flaky(1))
    bench.on("steady", steady)
    await bench.run(
        [
            {"id": "r", "name": "root"},
            {"id": "a", "name": "flaky", "parent_id": "r", "retry": {}, "priority": 0},
            *({"id": f"s{i}", "name": "steady", "parent_id": "r"} for i in range(4)),
        ]
    )
    assert bench.times(e.TaskStarted, "a") == [0, 1.2]
    assert bench.times(e.TaskStarted, "s3") == [1.2]


async def test_a_failure_in_many_trees_at_once_costs_each_its_own_backoff(bench: Bench) -> None:
    async def work(call: Call) -> None:
        if call.attempt < 3:
            raise ValueError

    bench.on("work", work)
    trees = [[{"id": f"r{i}", "name": "work", "retry": {}}] for i in range(200)]
    assert set(await asyncio.gather(*map(bench.run, trees))) == {"completed"}
    assert {tuple(bench.times(e.TaskStarted, f"r{i}")) for i in range(200)} == {(0, 1, 3)}
    assert len(bench.engine.timers) == 0


async def test_no_second_place_in_the_queue_starts_a_task_before_its_backoff_is_over(
    make_bench: MakeBench,
) -> None:
    """A pause and its end queue up again what had been queued already."""
    bench = make_bench(slots=1)
    gate = asyncio.Event()

    async def gated(call: Call) -> None:
        await gate.wait()

    bench.on("gated", gated)
    work = Flaky(1)
    bench.on("flaky", work)
    await bench.submit(
        [
            {"id": "r", "name": "root"},
            {"id": "a", "name": "gated", "parent_id": "r", "priority": 0},
            {"id": "b", "name": "flaky", "parent_id": "r",
             "retry": {"backoff": "fixed", "initial_delay": 60}},
        ]
    )  # fmt: skip
    for _ in range(3):
        await bench.ask("pause")
        await bench.ask("unpause")
    gate.set()
    await until(lambda: bench.topics()[-1] == "tree.settled")
    assert work.at == pytest.approx([0, 60], abs=0.01)


async def test_the_timer_of_a_former_backoff_starts_nothing(bench: Bench) -> None:
    work = Flaky(2)
    bench.on("flaky", work)
    bench.on("gated", lambda call: asyncio.sleep(300))
    await bench.submit(
        [
            {"id": "r", "name": "root"},
            {"id": "keeps_it_open", "name": "gated", "parent_id": "r"},
            {"id": "b", "name": "flaky", "parent_id": "r",
             "retry": {"backoff": "fixed", "initial_delay": 60}},
        ]
    )  # fmt: skip
    await asyncio.sleep(10)
    await bench.ask("cancel", task="b")
    await bench.ask("rerun", way="from", tasks=["b"])
    await until(lambda: len(work.calls) == 3)
    assert work.at == [0, 10, 70]
