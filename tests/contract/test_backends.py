"""What every place where executors run must hold: in the loop, in a thread, in a process."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import pytest
from msgspec import Raw, json, structs

from aipartnerupflow.adapters.backends.composite import Composite
from aipartnerupflow.adapters.backends.inline import Inline
from aipartnerupflow.adapters.backends.process import Processes
from aipartnerupflow.adapters.executors.invoke import invoke
from aipartnerupflow.adapters.executors.registration import default_registry
from aipartnerupflow.domain.errors import InvalidTransition
from aipartnerupflow.engine.ports import Backend, Gone, Raised, Returned, Stopped
from tests.adapters.backends.executors_for_tests import FLAVOURS
from tests.adapters.backends.helpers import Port, Reports, call_of, runs, until

AWKWARD = {
    "text": "ünï — 😀 \u0000",
    "numbers": [0, -1, 1.5, 1e300, 2**53 + 1, 2**63],
    "nothing": None,
    "nested": {"a": [[], {}, [True, False]]},
}


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    kind = default_registry.kind
    inline = Inline(partial(invoke, default_registry), grace=2)
    made = Composite(kind, inline, Processes(kind, size=2))
    yield made
    await made.close()


async def test_an_attempt_is_reported_once_with_its_result(backend: Backend, flavour: str) -> None:
    reports, call = Reports(), call_of(f"tell.{flavour}", AWKWARD)
    backend.start(call, reports)
    assert reports.of == {}, "not before start has returned"
    assert (await reports.result(call))["inputs"] == AWKWARD
    assert reports.loops == [asyncio.get_running_loop()]


async def test_an_attempt_knows_what_it_is_and_what_the_former_one_saved(
    backend: Backend, flavour: str
) -> None:
    reports = Reports()
    call = call_of(f"tell.{flavour}", checkpoint=Raw(b'{"page":7}'))
    backend.start(call, reports)
    result = await reports.result(call)
    assert result["ids"] == ["tree", call.task, 1, call.idempotency_key]
    assert result["checkpoint"] == {"page": 7}


async def test_what_an_executor_raises_is_reported_with_its_name_and_bases(
    backend: Backend, flavour: str
) -> None:
    reports, call = Reports(), call_of(f"fail.{flavour}")
    backend.start(call, reports)
    error = await reports.error(call)
    assert (error.type, error.message) == ("Unlucky", "not today")
    assert error.bases[0] == "LookupError"


async def test_of_many_attempts_each_is_reported_once(backend: Backend, flavour: str) -> None:
    reports = Reports()
    calls = [call_of(f"tell.{flavour}", {"n": n}) for n in range(50)]
    for call in calls:
        backend.start(call, reports)
    results = [await reports.result(call) for call in calls]
    assert [result["inputs"]["n"] for result in results] == list(range(50))
    assert len(reports.loops) == 50


async def test_a_stopped_attempt_has_ended_and_is_not_reported(
    backend: Backend, flavour: str
) -> None:
    reports, port = Reports(), Port()
    call = call_of(f"wait.{flavour}", port=port)
    backend.start(call, reports)
    pid = int(await port.message())
    assert (await backend.stop(call)).ended
    if flavour.startswith("process"):
        assert not runs(pid)
    await asyncio.sleep(0.01)
    assert reports.of == {}


async def test_what_an_attempt_returns_when_it_is_told_to_end_is_the_outcome_of_the_stop(
    backend: Backend, flavour: str
) -> None:
    reports, port = Reports(), Port()
    call = call_of(f"answer.{flavour}", port=port)
    backend.start(call, reports)
    pid = int(await port.message())
    stopped = await backend.stop(call)
    assert stopped.ended
    assert isinstance(stopped.outcome, Returned)
    assert json.decode(stopped.outcome.result) == {"late": call.task}
    if flavour.startswith("process"):
        assert not runs(pid)
    assert reports.of == {}


async def test_what_an_attempt_raises_when_it_is_told_to_end_is_no_outcome(
    backend: Backend, flavour: str
) -> None:
    reports, port = Reports(), Port()
    call = call_of(f"answer.{flavour}", {"angry": True}, port=port)
    backend.start(call, reports)
    await port.message()
    assert await backend.stop(call) == Stopped(True)
    assert reports.of == {}


async def test_to_stop_one_attempt_leaves_the_others_alone(backend: Backend, flavour: str) -> None:
    reports, port, other_port = Reports(), Port(), Port()
    call, other = (call_of(f"wait.{flavour}", port=each) for each in (port, other_port))
    backend.start(call, reports)
    backend.start(other, reports)
    await asyncio.gather(port.message(), other_port.message())
    await backend.stop(call)
    third = call_of(f"tell.{flavour}")
    backend.start(third, reports)
    await reports.result(third)
    assert list(reports.of) == [third.task]
    assert (await backend.stop(other)).ended


async def test_to_stop_what_has_ended_or_never_began_is_no_error(
    backend: Backend, flavour: str
) -> None:
    reports, call = Reports(), call_of(f"tell.{flavour}")
    assert (await backend.stop(call)).ended
    backend.start(call, reports)
    await reports.result(call)
    assert (await backend.stop(call)).ended


async def test_progress_reaches_the_port_while_the_attempt_runs(
    backend: Backend, flavour: str
) -> None:
    reports, port = Reports(), Port()
    call = call_of(f"wait.{flavour}", port=port)
    backend.start(call, reports)
    await port.message()
    assert (port.progressed[0][0], reports.of) == (0.5, {})
    await backend.stop(call)


async def test_signs_of_life_reach_the_port(backend: Backend, flavour: str) -> None:
    reports, port = Reports(), Port()
    call = call_of(f"beat.{flavour}", port=port)
    backend.start(call, reports)
    await reports.result(call)
    assert port.beats == 3


async def test_an_error_that_may_pass_says_so_and_when_to_come_again(
    backend: Backend, flavour: str
) -> None:
    reports, call = Reports(), call_of(f"busy.{flavour}")
    backend.start(call, reports)
    outcome = await reports.outcome(call)
    assert isinstance(outcome, Raised)
    assert (outcome.error.type, outcome.retry_after) == ("TransientError", 7)


async def test_codes_that_the_task_accepts_are_success(backend: Backend, flavour: str) -> None:
    reports = Reports()
    fine, bad = (
        structs.replace(call_of(f"exit.{flavour}", {"code": code}), accept=(3, 4))
        for code in (3, 5)
    )
    backend.start(fine, reports)
    backend.start(bad, reports)
    assert (await reports.result(fine))["exit_code"] == 3
    assert (await reports.error(bad)).type == "unsuccessful"


async def test_an_attempt_that_nobody_can_find_again_is_gone(
    backend: Backend, flavour: str
) -> None:
    reports, port = Reports(), Port()
    call = structs.replace(call_of(f"tell.{flavour}", port=port), reattach=True)
    backend.start(call, reports)
    assert await reports.outcome(call) == Gone()
    assert port.taken == 0


async def test_save_returns_once_the_port_has_taken_the_checkpoint(
    backend: Backend, flavour: str
) -> None:
    reports, port = Reports(), Port()
    call = call_of(f"save.{flavour}", port=port)
    backend.start(call, reports)
    assert await reports.result(call) == "saved"
    assert port.saved == [{"page": 1}, {"page": 2}]


async def test_a_refused_checkpoint_is_an_error_where_it_was_saved(
    backend: Backend, flavour: str
) -> None:
    reports, port = Reports(), Port(InvalidTransition("the attempt is over"))
    call = call_of(f"save.{flavour}", port=port)
    backend.start(call, reports)
    assert await reports.result(call) == "refused: the attempt is over"


async def test_close_ends_what_runs_without_a_report_and_leaves_nothing(
    backend: Backend, flavour: str
) -> None:
    others = set(threading.enumerate())
    reports, ports = Reports(), [Port(), Port()]
    done = call_of(f"tell.{flavour}")
    backend.start(done, reports)
    idle = (await reports.result(done))["pid"]
    for port in ports:
        backend.start(call_of(f"wait.{flavour}", port=port), reports)
    pids = [int(await port.message()) for port in ports]
    await backend.close()
    await until(lambda: not any("apflow-" in t.name for t in set(threading.enumerate()) - others))
    assert len(asyncio.all_tasks()) == 1, "this test"
    if flavour.startswith("process"):
        assert not any(runs(pid) for pid in (idle, *pids))
    assert list(reports.of) == [done.task]
    await backend.close()


async def test_after_close_nothing_is_started(backend: Backend, flavour: str) -> None:
    await backend.close()
    with pytest.raises(RuntimeError, match="closed"):
        backend.start(call_of(f"tell.{flavour}"), Reports())


async def test_each_kind_has_a_pool_of_a_size(backend: Backend, flavour: str) -> None:
    pool = backend.capacity(default_registry.kind(f"tell.{flavour}"))
    assert backend.pools()[pool] == {"loop": 1_000, "thread": 32, "process": 2}[pool]


async def test_an_executor_that_nobody_registered_is_reported_as_missing(backend: Backend) -> None:
    reports, call = Reports(), call_of("no-such-executor")
    backend.start(call, reports)
    assert (await reports.error(call)).type == "executor_not_found"
