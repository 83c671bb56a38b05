"""Inline: what a foreign coroutine or a blocked thread may do without being lost or left behind."""

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from weakref import ref

import pytest
from msgspec import Raw, json

from aipartnerupflow.adapters.backends import attempts
from aipartnerupflow.adapters.backends.inline import Inline, InThread
from aipartnerupflow.engine.ports import Call, Kind, Outcome, Returned
from tests.adapters.backends.helpers import Reports, call_of, until

OK = Returned(Raw(b'"ok"'))
Body = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def inline(body: Body, *, grace: float = 0.05, threads: int = 32) -> AsyncIterator[Inline]:
    """A backend whose only executor is ``body``."""

    async def invoke(call: Call, in_thread: InThread) -> Outcome:
        await body()
        return OK

    backend = Inline(invoke, grace=grace, threads=threads)
    yield backend
    await backend.close()


@asynccontextmanager
async def in_threads(
    function: Callable[[], Any], *, grace: float = 0.05, threads: int = 32
) -> AsyncIterator[Inline]:
    """A backend whose only executor is ``function``, in a thread."""

    async def invoke(call: Call, in_thread: InThread) -> Outcome:
        return Returned(Raw(json.encode(await in_thread(function))))

    backend = Inline(invoke, grace=grace, threads=threads)
    yield backend
    await backend.close()


class Gate:
    """Blocks the threads that pass until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.waiting = 0
        self.passed = 0

    def __call__(self) -> str:
        self.waiting += 1
        assert self.open.wait(10)
        self.passed += 1
        return "passed"


class Odd(ValueError):
    """An error with a base of its own."""


async def test_what_is_raised_becomes_a_failure_with_its_bases() -> None:
    async def body() -> None:
        raise Odd("no")

    async with inline(body) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        error = await reports.error(call)
    assert (error.type, error.message) == ("Odd", "no")
    assert error.bases[0] == "ValueError"


async def test_an_error_without_words_says_its_name() -> None:
    async def body() -> None:
        raise Odd

    async with inline(body) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        assert (await reports.error(call)).message == "Odd"


async def test_an_executor_that_exits_fails_and_the_loop_goes_on() -> None:
    async def body() -> None:
        sys.exit(3)

    async with inline(body) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        assert (await reports.error(call)).type == "SystemExit"


async def test_an_executor_that_raises_cancelled_error_itself_has_failed() -> None:
    async def body() -> None:
        raise asyncio.CancelledError

    async with inline(body) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        assert (await reports.error(call)).type == "CancelledError"


async def test_an_executor_that_cancels_its_own_task_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts, "HOLD", 0.01)

    async def body() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(10)

    async with inline(body) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        assert (await reports.error(call)).type == "CancelledError"


def test_attempts_cut_off_by_the_end_of_the_loop_are_not_reported() -> None:
    reported: list[Outcome] = []

    async def forever() -> None:
        await asyncio.sleep(10)

    async def program() -> None:
        async def invoke(call: Call, in_thread: InThread) -> Outcome:
            await forever()
            return OK

        Inline(invoke).start(call_of("x"), lambda _, outcome: reported.append(outcome))
        await asyncio.sleep(0)

    asyncio.run(program())
    assert reported == []


async def test_a_running_attempt_is_held_though_nobody_else_holds_it() -> None:
    tasks: list[ref[asyncio.Task[Any]]] = []

    async def body() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(ref(task))
        del task
        await asyncio.get_running_loop().create_future()

    async with inline(body) as backend:
        backend.start(call_of("x"), Reports())
        await until(lambda: bool(tasks))
        gc.collect()
        assert tasks[0]() is not None


async def test_a_coroutine_that_will_not_end_is_abandoned_after_the_grace() -> None:
    release = asyncio.Event()

    async def body() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with inline(body, grace=0.02) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        await asyncio.sleep(0)
        assert not (await backend.stop(call)).ended
        release.set()
        assert (await backend.stop(call)).ended
    assert reports.of == {}


async def test_a_result_that_comes_after_the_stop_is_not_reported() -> None:
    async def body() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return

    async with inline(body) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        await asyncio.sleep(0)
        assert (await backend.stop(call)).ended
    assert reports.of == {}


async def test_two_who_stop_the_same_attempt_both_wait_for_its_end() -> None:
    cleaned = 0

    async def body() -> None:
        nonlocal cleaned
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.01)
            cleaned += 1

    async with inline(body, grace=5) as backend:
        call = call_of("x")
        backend.start(call, Reports())
        await asyncio.sleep(0)
        both = await asyncio.gather(backend.stop(call), backend.stop(call))
        assert [stopped.ended for stopped in both] == [True, True]
        assert cleaned == 1


async def test_an_attempt_that_is_stopped_before_its_first_step_never_runs() -> None:
    ran = False

    async def body() -> None:
        nonlocal ran
        ran = True

    async with inline(body) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        assert (await backend.stop(call)).ended
    assert not ran
    assert reports.of == {}


async def test_a_thread_that_does_not_end_is_abandoned_and_its_slot_is_free_again() -> None:
    gate = Gate()
    async with in_threads(gate, grace=0.02, threads=1) as backend:
        reports, first, second = Reports(), call_of("x"), call_of("x")
        backend.start(first, reports)
        await until(lambda: gate.waiting == 1)
        assert not (await backend.stop(first)).ended
        assert backend.abandoned == 1
        gate.open.set()
        await until(lambda: backend.abandoned == 0)
        assert gate.passed == 1
        backend.start(second, reports)
        assert await reports.result(second) == "passed"
    assert first.task not in reports.of


async def test_a_new_thread_replaces_an_abandoned_one() -> None:
    gate = Gate()
    async with in_threads(gate, grace=0.02, threads=2) as backend:
        reports = Reports()
        lost, others = call_of("x"), [call_of("x"), call_of("x")]
        backend.start(lost, reports)
        await until(lambda: gate.waiting == 1)
        assert not (await backend.stop(lost)).ended
        for call in others:
            backend.start(call, reports)
        await until(lambda: gate.waiting == 3)
        gate.open.set()
        assert [await reports.result(call) for call in others] == ["passed", "passed"]


async def test_a_call_that_waits_gets_the_slot_of_an_abandoned_thread() -> None:
    gate = Gate()
    async with in_threads(gate, grace=0.02, threads=1) as backend:
        reports, lost, waits = Reports(), call_of("x"), call_of("x")
        backend.start(lost, reports)
        await until(lambda: gate.waiting == 1)
        backend.start(waits, reports)
        await asyncio.sleep(0)
        assert not (await backend.stop(lost)).ended
        await until(lambda: gate.waiting == 2)
        gate.open.set()
        assert await reports.result(waits) == "passed"


async def test_where_all_threads_are_abandoned_a_further_one_is_refused_with_the_reason() -> None:
    gate = Gate()
    async with in_threads(gate, grace=0.01, threads=1) as backend:
        reports, lost, late = Reports(), call_of("x"), call_of("x")
        backend.start(lost, reports)
        await until(lambda: gate.waiting == 1)
        await backend.stop(lost)
        backend.start(late, reports)
        error = await reports.error(late)
        gate.open.set()
    assert error.type == "NoThreadLeft"
    assert "1 threads were abandoned" in error.message


async def test_a_thread_that_ends_within_the_grace_has_really_ended() -> None:
    gate = Gate()
    async with in_threads(gate, grace=5) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        await until(lambda: gate.waiting == 1)
        asyncio.get_running_loop().call_later(0.01, gate.open.set)
        assert (await backend.stop(call)).ended
        assert backend.abandoned == 0
    assert reports.of == {}


async def test_a_call_that_waits_for_a_thread_is_dropped_when_it_is_stopped() -> None:
    gate = Gate()
    async with in_threads(gate, grace=5, threads=1) as backend:
        reports, busy, waits = Reports(), call_of("x"), call_of("x")
        backend.start(busy, reports)
        await until(lambda: gate.waiting == 1)
        backend.start(waits, reports)
        await asyncio.sleep(0)
        assert (await backend.stop(waits)).ended
        gate.open.set()
        assert await reports.result(busy) == "passed"
    assert gate.waiting == 1


async def test_threads_see_the_context_variables_of_their_caller() -> None:
    color = contextvars.ContextVar("color", default="none")
    color.set("green")
    async with in_threads(color.get) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        assert await reports.result(call) == "green"


async def test_threads_are_named_daemons_that_are_used_again() -> None:
    def who() -> list[Any]:
        thread = threading.current_thread()
        return [thread.name.startswith("apflow-thread-"), thread.daemon, thread.ident]

    async with in_threads(who) as backend:
        reports, first, second = Reports(), call_of("x"), call_of("x")
        backend.start(first, reports)
        named, daemon, ident = await reports.result(first)
        backend.start(second, reports)
        assert await reports.result(second) == [True, True, ident]
    assert (named, daemon) == (True, True)


async def test_stop_iteration_from_a_thread_is_a_failure_like_any_other() -> None:
    async with in_threads(lambda: next(iter(()))) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        error = await reports.error(call)
    assert "StopIteration" in error.message


async def test_no_thread_is_left_after_close() -> None:
    async with in_threads(time.monotonic) as backend:
        reports, call = Reports(), call_of("x")
        backend.start(call, reports)
        await reports.outcome(call)
        assert "apflow-thread" in str(threading.enumerate())
    await until(lambda: "apflow-thread" not in str(threading.enumerate()))


SCRIPT = """
import asyncio, time
from aipartnerupflow.adapters.backends.inline import Inline
from tests.adapters.backends.helpers import call_of

async def invoke(call, in_thread):
    await in_thread(lambda: time.sleep(60))

async def main():
    backend = Inline(invoke, grace=0.01)
    call = call_of("x")
    backend.start(call, print)
    await asyncio.sleep(0.05)
    print((await backend.stop(call)).ended, backend.abandoned)

asyncio.run(main())
"""


def test_an_abandoned_thread_does_not_keep_the_interpreter_from_ending() -> None:
    path = f"import sys; sys.path[:] = {sys.path!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", path + SCRIPT], capture_output=True, text=True, timeout=20
    )
    assert (done.stdout.split(), done.stderr) == (["False", "1"], "")


async def test_only_executors_that_block_take_a_slot_for_threads() -> None:
    async with inline(asyncio.Event().wait) as backend:
        assert backend.capacity(Kind("a")) == "loop"
        assert backend.capacity(Kind("a", runs="thread")) == "thread"
        assert backend.pools() == {"loop": 1_000, "thread": 32}
