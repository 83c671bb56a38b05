"""Processes: what a worker may do to its engine, and an engine's death to its workers."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from aipartnerupflow.adapters.backends import frames, handle
from aipartnerupflow.adapters.backends.process import Processes
from aipartnerupflow.adapters.executors.registration import default_registry
from aipartnerupflow.domain.errors import InvalidTransition
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.engine.ports import Gone, Kind, Outcome, Raised, Returned, Stopped
from tests.adapters.backends import executors_for_tests
from tests.adapters.backends.helpers import Port, Reports, call_of, runs, until

kind = default_registry.kind


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    backend = Processes(kind, size=1)
    yield backend
    await backend.close()


async def pid_of(backend: Processes) -> int:
    """The worker that takes the next attempt."""
    reports, call = Reports(), call_of("tell.process")
    backend.start(call, reports)
    return int((await reports.result(call))["pid"])


async def test_no_worker_is_started_before_it_is_needed_and_each_is_used_again(
    processes: Processes,
) -> None:
    assert processes._idle == []
    first = await pid_of(processes)
    assert first != os.getpid()
    assert await pid_of(processes) == first


async def test_there_are_never_more_workers_than_the_pool_holds() -> None:
    backend, reports = Processes(kind, size=2), Reports()
    calls = [call_of("tell.process-thread") for _ in range(20)]
    for call in calls:
        backend.start(call, reports)
    pids = {(await reports.result(call))["pid"] for call in calls}
    await backend.close()
    assert len(pids) <= 2


def test_by_default_there_are_as_many_workers_as_cores() -> None:
    assert Processes(kind).pools() == {"process": os.cpu_count()}


async def test_a_worker_that_exits_is_an_error_that_names_the_code(processes: Processes) -> None:
    reports, call = Reports(), call_of("exit_at_once", {"code": 7})
    processes.start(call, reports)
    error = await reports.error(call)
    assert (error.type, error.bases) == ("worker_died", ("TransientError",))
    assert error.message.endswith("exited with code 7")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_worker_that_is_killed_is_an_error_that_names_the_signal(
    processes: Processes, number: signal.Signals
) -> None:
    reports, call = Reports(), call_of("signal_self", {"signal": number})
    processes.start(call, reports)
    error = await reports.error(call)
    assert error.type == "worker_died"
    assert f"was killed by signal {int(number)} ({number.name})" in error.message


async def test_after_a_death_the_next_attempt_has_a_new_worker(processes: Processes) -> None:
    first = await pid_of(processes)
    reports, call = Reports(), call_of("exit_at_once", {"code": 1})
    processes.start(call, reports)
    await reports.error(call)
    assert await pid_of(processes) != first


async def test_a_worker_that_died_idle_is_replaced_without_an_error(processes: Processes) -> None:
    first = await pid_of(processes)
    os.kill(first, signal.SIGKILL)
    await until(lambda: not processes._idle[0].alive)
    assert await pid_of(processes) != first


async def test_a_worker_that_closes_its_socket_is_ended(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "LINGER", 0.01)
    first = await pid_of(processes)
    reports, call = Reports(), call_of("close_every_file")
    processes.start(call, reports)
    assert (await reports.error(call)).type == "worker_died"
    assert not runs(first)


async def test_a_frame_over_the_limit_ends_the_worker(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "MAX_FRAME", 1_000)
    reports, call = Reports(), call_of("repeat", {"times": 2_000})
    processes.start(call, reports)
    assert "over the limit" in (await reports.error(call)).message


async def test_a_result_of_sixteen_mebibytes_comes_through(processes: Processes) -> None:
    size = 16 * 1024 * 1024 - 2
    reports, call = Reports(), call_of("repeat", {"times": size})
    processes.start(call, reports)
    assert len(await reports.result(call)) == size


async def test_what_a_worker_prints_goes_to_stderr(
    processes: Processes, capfd: pytest.CaptureFixture[str]
) -> None:
    reports, call = Reports(), call_of("speak")
    processes.start(call, reports)
    assert await reports.result(call) == "spoken"
    out, err = capfd.readouterr()
    assert out == ""
    assert set(err.splitlines()) == {"a printed line", "a written line", "a line of a child"}


async def test_stop_lets_a_coroutine_clean_up(processes: Processes, tmp_path: Path) -> None:
    file, port = tmp_path / "file", Port()
    call = call_of("clean_up", {"file": str(file)}, port=port)
    processes.start(call, Reports())
    await port.message()
    assert (await processes.stop(call)).ended
    assert file.read_text() == "cleaned"


async def test_stop_lets_the_executors_own_cancel_end_what_it_began(
    processes: Processes, tmp_path: Path
) -> None:
    file, port = tmp_path / "file", Port()
    call = call_of("told_in_time", {"file": str(file)}, port=port)
    processes.start(call, Reports())
    await port.message()
    assert await processes.stop(call) == Stopped(True)
    assert file.read_text() == "cleaned"


async def test_what_is_saved_while_an_attempt_is_stopped_is_kept(processes: Processes) -> None:
    port = Port()
    call = call_of("save_at_the_end", port=port)
    processes.start(call, Reports())
    await port.message()
    assert await processes.stop(call) == Stopped(True)
    assert port.saved == [{"page": 9}]


async def test_a_large_result_that_is_sent_at_the_last_moment_comes_through(
    processes: Processes,
) -> None:
    reports, port = Reports(), Port()
    call = call_of("repeat_late", {"times": 8_000_000}, port=port)
    processes.start(call, reports)
    await port.message()
    stopped = await processes.stop(call)
    assert isinstance(stopped.outcome, Returned)
    assert len(bytes(stopped.outcome.result)) == 8_000_002
    assert reports.of == {}


@pytest.mark.parametrize("refusal", [None, InvalidTransition("it is over")])
async def test_a_worker_can_say_that_it_took_an_attempt_over(
    processes: Processes, refusal: InvalidTransition | None
) -> None:
    reports, port = Reports(), Port(refusal)
    call = call_of("take_over", port=port)
    processes.start(call, reports)
    if refusal is None:
        assert await reports.result(call) is None
        assert port.taken == 1
    else:
        assert (await reports.error(call)).message == "it is over"


async def test_no_worker_is_started_to_look_for_work_that_died_with_one(
    processes: Processes,
) -> None:
    reports, call = Reports(), call_of("tell.process")
    processes.start(msgspec.structs.replace(call, reattach=True), reports)
    assert await reports.outcome(call) == Gone()
    assert processes._idle == []


@pytest.mark.parametrize("outcome", [Returned(Raw(b"[1]")), Gone(), Raised(ErrorInfo("E", "m"), 2)])
def test_an_outcome_reaches_the_engine_as_it_left_the_worker(outcome: Outcome) -> None:
    message = frames.from_worker(frames.pack(frames.ended(outcome))[frames.HEADER :])
    assert not isinstance(message, frames.Beat | frames.Progress | frames.Save | frames.TakenOver)
    assert frames.outcome_of(message) == outcome


def test_a_call_reaches_the_worker_with_all_that_its_task_asks_for() -> None:
    call = msgspec.structs.replace(
        call_of("x", checkpoint=Raw(b"7")), deadline="2026-01-01T00:00:00Z", accept=(1, 2)
    )
    body = frames.pack(frames.start(("m",), call))[frames.HEADER :]
    message = frames.for_worker(body)
    assert isinstance(message, frames.Start)
    port = Port()
    assert frames.call_of(message, port) == msgspec.structs.replace(call, port=port)


@pytest.mark.parametrize("deaf", [False, True])
async def test_stop_ends_the_whole_process_group(deaf: bool) -> None:
    processes, reports, port = Processes(kind, size=1, grace=0.2), Reports(), Port()
    call = call_of("have_children", {"deaf": deaf}, port=port)
    processes.start(call, reports)
    worker, child = map(int, (await port.message()).split())
    assert (await processes.stop(call)).ended
    assert not runs(worker)
    await until(lambda: not runs(child))
    assert reports.of == {}
    await processes.close()


async def test_stop_ends_a_worker_that_is_frozen() -> None:
    processes, port = Processes(kind, size=1, grace=0.05), Port()
    call = call_of("wait.process", port=port)
    processes.start(call, Reports())
    pid = int(await port.message())
    os.kill(pid, signal.SIGSTOP)
    assert (await processes.stop(call)).ended
    assert not runs(pid)
    await processes.close()


async def test_what_a_dead_worker_left_running_is_ended(processes: Processes) -> None:
    reports, port = Reports(), Port()
    call = call_of("have_children", port=port)
    processes.start(call, reports)
    worker, child = map(int, (await port.message()).split())
    os.kill(worker, signal.SIGKILL)
    assert (await reports.error(call)).type == "worker_died"
    await until(lambda: not runs(child))


async def test_an_attempt_that_waits_for_a_worker_can_be_stopped(processes: Processes) -> None:
    reports, port = Reports(), Port()
    busy, waits = call_of("wait.process", port=port), call_of("tell.process")
    processes.start(busy, reports)
    await port.message()
    processes.start(waits, reports)
    assert (await processes.stop(waits)).ended
    assert (await processes.stop(busy)).ended
    assert reports.of == {}


async def test_what_an_attempt_left_running_says_nothing_after_its_end(
    processes: Processes,
) -> None:
    reports, port, next_port = Reports(), Port(), Port()
    call, after = call_of("leave_a_task_behind", port=port), call_of("what_became_of_it")
    processes.start(call, reports)
    await reports.result(call)
    processes.start(msgspec.structs.replace(after, port=next_port), reports)
    assert "over" in await reports.result(after)
    assert (port.progressed, port.saved, next_port.progressed, next_port.saved) == ([], [], [], [])


async def test_an_executor_in_main_is_refused_with_what_to_do() -> None:
    backend, reports = Processes(lambda id: Kind(id, module="__main__")), Reports()
    call = call_of("mine")
    backend.start(call, reports)
    error = await reports.error(call)
    await backend.close()
    assert error.type == "executor_in_main"
    assert "mine is defined in __main__" in error.message
    assert "Move the executor into a module" in error.message


async def test_a_module_that_cannot_be_imported_is_named() -> None:
    backend, reports = Processes(lambda id: Kind(id, module="no_such_module")), Reports()
    call = call_of("mine")
    backend.start(call, reports)
    error = await reports.error(call)
    await backend.close()
    assert error.type == "ModuleNotFoundError"
    assert "cannot import no_such_module" in error.message


async def test_workers_import_what_they_are_told_from_where_their_engine_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "told_to_import.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    backend, reports = Processes(kind, size=1, imports=["told_to_import"]), Reports()
    call = call_of("imported", {"module": "told_to_import"})
    backend.start(call, reports)
    assert await reports.result(call) is True
    await backend.close()


async def test_inputs_that_are_no_json_are_a_failure(processes: Processes) -> None:
    reports, call = Reports(), call_of("tell.process", {"what": object()})
    processes.start(call, reports)
    assert (await reports.error(call)).type == "TypeError"


SCRIPT = """
import asyncio, os, time
from aipartnerupflow.adapters.backends.process import Processes
from aipartnerupflow.adapters.executors.registration import default_registry
from tests.adapters.backends import executors_for_tests
from tests.adapters.backends.helpers import Port, Reports, call_of

async def main():
    backend = Processes(default_registry.kind, size=2)
    tells = [call_of("tell.process-thread") for _ in range(2)]
    reports, port = Reports(), Port()
    for call in tells:
        backend.start(call, reports)
    pids = [str((await reports.result(call))["pid"]) for call in tells]
    backend.start(call_of("have_children", {"deaf": DEAF}, port=port), reports)
    pids.append(await port.message())
    fork = os.fork() if FORK else 0
    if FORK and not fork:
        time.sleep(60)  # and holds all the sockets open
    print(fork, *pids, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("fork", [False, True])
@pytest.mark.parametrize("deaf", [False, True])
async def test_workers_and_their_children_end_when_their_engine_is_killed(
    deaf: bool, fork: bool
) -> None:
    path = f"import sys; sys.path[:] = {sys.path!r}; DEAF = {deaf}; FORK = {fork}\n"
    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-c", path + SCRIPT, stdout=subprocess.PIPE
    )
    assert engine.stdout is not None
    forked, *pids = (int(word) for word in (await engine.stdout.readline()).split())
    assert all(map(runs, pids))
    engine.kill()
    await until(lambda: not any(map(runs, pids)))
    if fork:
        os.kill(forked, signal.SIGKILL)
    await engine.communicate()


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_busy_worker_ends_itself_and_its_children_when_its_socket_is_closed(
    deaf: bool,
) -> None:
    port, worker = Port(), handle.Handle()
    module = kind("have_children").module
    frame = frames.pack(frames.start((module,), call_of("have_children", {"deaf": deaf})))
    attempt = asyncio.create_task(worker.run(frame, port))
    _, child = map(int, (await port.message()).split())
    worker.release()
    with pytest.raises(handle.WorkerDied, match="SIGKILL"):
        await attempt
    await until(lambda: not runs(child))


async def test_an_idle_worker_ends_in_good_order_when_its_socket_is_closed() -> None:
    worker = handle.Handle()
    frame = frames.pack(frames.start((), call_of("system_info_executor")))
    await worker.run(frame, None)
    worker.release()
    assert await worker._code == 0


def test_the_executors_of_these_tests_are_registered_by_their_module() -> None:
    assert kind("speak").module == executors_for_tests.__name__
