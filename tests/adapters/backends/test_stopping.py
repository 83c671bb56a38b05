"""To stop an attempt: who is told, what still counts, and what is given up."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.adapters.backends.inline import Inline, InThread
from aipartnerupflow.adapters.executors import BaseTask, Registry, invoke
from aipartnerupflow.engine.ports import Call, Outcome, Returned, Stopped
from tests.adapters.backends.helpers import Reports, call_of, runs, until

Made = Callable[..., Inline]


@pytest.fixture
def registry() -> Registry:
    return Registry(installed=list)


@pytest.fixture
async def inline(registry: Registry) -> AsyncIterator[Made]:
    """Makes backends over the registry of the test."""
    made: list[Inline] = []

    def make(**options: Any) -> Inline:
        made.append(Inline(partial(invoke, registry), **{"grace": 5.0} | options))
        return made[-1]

    yield make
    for backend in made:
        await backend.close()


class Blocks(BaseTask):
    """Holds its thread until it is released; says what it is told."""

    id = "blocks"
    name = "Blocks"
    began: threading.Event
    release: threading.Event
    log: list[str]

    def execute(self, inputs: dict[str, Any]) -> Any:
        self.began.set()
        assert self.release.wait(20)
        self.log.append(f"ended, cancelled {self.context.cancelled}")
        return "released"

    def cancel(self) -> None:
        self.log.append(f"told, cancelled {self.context.cancelled}")


@pytest.fixture
def blocks(registry: Registry) -> type[Blocks]:
    """Of its own for each test, so that none releases another's thread."""

    class OfThisTest(Blocks):
        began = threading.Event()
        release = threading.Event()
        log: list[str] = []  # noqa: RUF012

    registry.register(OfThisTest)
    return OfThisTest


async def begun(backend: Inline, cls: type[Blocks]) -> tuple[Call, Reports]:
    reports, call = Reports(), call_of("blocks")
    backend.start(call, reports)
    await until(cls.began.is_set)
    return call, reports


async def test_a_thread_is_told_and_what_it_returns_within_the_grace_counts(
    inline: Made, blocks: type[Blocks]
) -> None:
    backend = inline()
    call, reports = await begun(backend, blocks)
    asyncio.get_running_loop().call_later(0.05, blocks.release.set)
    assert await backend.stop(call) == Stopped(True, Returned(Raw(b'"released"')))
    assert blocks.log == ["told, cancelled True", "ended, cancelled True"]
    assert (backend.abandoned, reports.of) == (0, {})


async def test_a_thread_that_does_not_return_is_given_up_with_all_that_waits_for_it(
    inline: Made, blocks: type[Blocks]
) -> None:
    backend, others = inline(grace=0.05), asyncio.all_tasks()
    call, reports = await begun(backend, blocks)
    assert await backend.stop(call) == Stopped(False)
    assert backend.abandoned == 1
    assert blocks.log == ["told, cancelled True"], "once"
    await until(lambda: asyncio.all_tasks() == others)
    blocks.release.set()
    await until(lambda: backend.abandoned == 0)
    await asyncio.sleep(0.01)
    assert reports.of == {}
    assert await backend.stop(call) == Stopped(True)


async def test_an_executor_is_told_to_end_though_all_threads_are_busy_with_it(
    inline: Made, blocks: type[Blocks]
) -> None:
    backend = inline(threads=1)

    def cancel(self: Blocks) -> None:
        self.release.set()

    blocks.cancel = cancel  # type: ignore[method-assign]
    call, _ = await begun(backend, blocks)
    assert await backend.stop(call) == Stopped(True, Returned(Raw(b'"released"')))


async def test_what_waits_for_a_thread_never_gets_one_once_it_is_stopped(
    inline: Made, blocks: type[Blocks]
) -> None:
    backend = inline(threads=1)
    busy, reports = await begun(backend, blocks)
    waits = call_of("blocks")
    backend.start(waits, reports)
    await asyncio.sleep(0.01)
    assert await backend.stop(waits) == Stopped(True)
    blocks.release.set()
    assert await reports.result(busy) == "released"
    assert len(blocks.log) == 1


async def test_to_close_ends_what_a_stop_that_was_cut_off_left_behind(
    inline: Made, blocks: type[Blocks]
) -> None:
    backend = inline(grace=0.1)
    call, _ = await begun(backend, blocks)
    stop = asyncio.create_task(backend.stop(call))
    await asyncio.sleep(0.01)
    stop.cancel()
    async with asyncio.timeout(5):
        await backend.close()
    assert backend.abandoned == 1
    blocks.release.set()


async def test_what_was_returned_just_before_the_stop_counts_and_is_not_reported() -> None:
    async def at_once(call: Call, in_thread: InThread) -> Outcome:
        return Returned(Raw(b"1"))

    backend, reports, call = Inline(at_once), Reports(), call_of("x")
    backend.start(call, reports)
    await asyncio.sleep(0)
    assert await backend.stop(call) == Stopped(True, Returned(Raw(b"1")))
    await asyncio.sleep(0.01)
    assert reports.of == {}
    await backend.close()


class GoesOn(BaseTask):
    """Takes no notice of its cancellation."""

    id = "goes_on"
    name = "Goes on"
    log: list[str]

    async def execute(self, inputs: dict[str, Any]) -> Any:
        self.log.append("began")
        for _ in range(20):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                self.log.append("took no notice")
        self.log.append("ended")
        return "late"


async def test_a_coroutine_that_swallows_its_cancellation_is_abandoned_and_ends_unheard(
    registry: Registry, inline: Made
) -> None:
    GoesOn.log = []
    registry.register(GoesOn)
    backend, reports, call = inline(grace=0.02), Reports(), call_of("goes_on")
    backend.start(call, reports)
    await until(lambda: bool(GoesOn.log))
    assert await backend.stop(call) == Stopped(False)
    assert GoesOn.log == ["began", "took no notice"]
    await until(lambda: "ended" in GoesOn.log)
    await asyncio.sleep(0.02)
    assert reports.of == {}


async def test_a_coroutine_that_gathers_what_it_has_is_heard(
    registry: Registry, inline: Made
) -> None:
    GoesOn.log = []
    registry.register(GoesOn)
    backend, reports, call = inline(), Reports(), call_of("goes_on")
    backend.start(call, reports)
    await until(lambda: bool(GoesOn.log))
    assert await backend.stop(call) == Stopped(True, Returned(Raw(b'"late"')))
    assert reports.of == {}


async def test_a_result_that_is_none_of_a_success_is_no_outcome(
    registry: Registry, inline: Made
) -> None:
    class Partly(GoesOn):
        id = "partly"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            await super().execute(inputs)
            return {"success": False}

    Partly.log = []
    registry.register(Partly)
    backend, reports, call = inline(), Reports(), call_of("partly")
    backend.start(call, reports)
    await until(lambda: bool(Partly.log))
    assert await backend.stop(call) == Stopped(True)
    assert reports.of == {}


async def test_what_a_stopped_thread_only_began_in_the_loop_never_runs(
    registry: Registry, inline: Made, blocks: type[Blocks]
) -> None:
    ran: list[int] = []

    async def late() -> None:
        ran.append(1)

    def execute(self: Blocks, inputs: dict[str, Any]) -> Awaitable[None]:
        Blocks.execute(self, inputs)
        return late()

    blocks.execute = execute  # type: ignore[method-assign]
    backend = inline()
    call, reports = await begun(backend, blocks)
    asyncio.get_running_loop().call_later(0.02, blocks.release.set)
    assert await backend.stop(call) == Stopped(True)
    assert (ran, reports.of) == ([], {})


SCRIPT = """
import asyncio, threading
from functools import partial
from aipartnerupflow.adapters.backends.inline import Inline
from aipartnerupflow.adapters.executors import BaseTask, Registry, invoke
from tests.adapters.backends.helpers import call_of, until

began = threading.Event()

class Blocks(BaseTask):
    id = "blocks"
    name = "Blocks"

    def execute(self, inputs):
        began.set()
        threading.Event().wait(60)

async def main():
    registry = Registry(installed=list)
    registry.register(Blocks)
    Inline(partial(invoke, registry)).start(call_of("blocks"), print)
    await until(began.is_set)

asyncio.run(main())
print("the loop has ended")
"""


def test_a_blocked_thread_does_not_hold_up_the_end_of_its_loop() -> None:
    path = f"import sys; sys.path[:] = {sys.path!r}\n"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", path + SCRIPT], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr) == ("the loop has ended\n", "")
    assert time.monotonic() - began < 8, "less than the grace"


def marked(key: str) -> list[int]:
    """The processes that have ``key`` in their environment: a command and all below it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            here = key.encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if here and runs(int(folder.name)):
            found.append(int(folder.name))
    return found


async def test_a_stopped_command_leaves_no_process_of_its_group(
    registry: Registry, inline: Made
) -> None:
    allowed = json.dumps([["sh", "-c", "*"]])
    registry.configure({"APFLOW_COMMAND_ENABLED": "true", "APFLOW_COMMAND_ALLOW": allowed})
    script = "trap '' TERM INT HUP; sleep 60 & (sleep 60; true) & sleep 60; true"
    backend, reports = inline(), Reports()
    call = call_of("command_executor", {"command": ["sh", "-c", script]})
    backend.start(call, reports)
    await until(lambda: len(marked(call.idempotency_key)) == 6)  # the guard's watcher is one
    assert await backend.stop(call) == Stopped(True)
    assert len(marked(call.idempotency_key)) <= 1
    await until(lambda: marked(call.idempotency_key) == [])
    assert reports.of == {}
