"""Executors for the tests of backends. Each behaviour comes four times, by the end of its id:

``.loop``, ``.thread``, ``.process`` (a coroutine in a worker process) and ``.process-thread`` (a
plain function in one).
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aipartnerupflow.adapters.executors.base import BaseTask, Inputs
from aipartnerupflow.adapters.executors.errors import TransientError
from aipartnerupflow.adapters.executors.registration import executor_register
from aipartnerupflow.domain.errors import InvalidTransition

FLAVOURS = ("loop", "thread", "process", "process-thread")
Execute = Callable[[Any, Inputs], Any]


class Unlucky(LookupError):
    """Raised by ``fail``."""


def register(id: str, execute: Execute, runs: str | None = None) -> None:
    """An executor class around ``execute``."""
    fields = {"id": id, "name": id, "execute": execute, "runs": runs, "__module__": __name__}
    executor_register()(type(id, (BaseTask,), fields))


def behaviour(name: str, coroutine: Execute, plain: Execute) -> None:
    """All four flavours."""
    register(f"{name}.loop", coroutine)
    register(f"{name}.thread", plain)
    register(f"{name}.process", coroutine, "process")
    register(f"{name}.process-thread", plain, "process")


def tell(self: BaseTask, inputs: Inputs) -> Any:
    context = self.context
    return {
        "inputs": inputs,
        "pid": os.getpid(),
        "ids": [context.tree_id, context.task_id, context.attempt, context.idempotency_key],
        "checkpoint": context.checkpoint,
    }


async def tell_async(self: BaseTask, inputs: Inputs) -> Any:
    return tell(self, inputs)


def fail(self: BaseTask, inputs: Inputs) -> Any:
    raise Unlucky("not today")


async def fail_async(self: BaseTask, inputs: Inputs) -> Any:
    raise Unlucky("not today")


def wait(self: BaseTask, inputs: Inputs) -> Any:
    self.context.progress_now(0.5, str(os.getpid()))
    while not self.context.cancelled:
        time.sleep(0.002)


async def wait_async(self: BaseTask, inputs: Inputs) -> Any:
    await self.context.progress(0.5, str(os.getpid()))
    await asyncio.sleep(60)


def save(self: BaseTask, inputs: Inputs) -> Any:
    try:
        self.context.save_now({"page": 1})
        self.context.save_now({"page": 2})
    except InvalidTransition as error:
        return f"refused: {error}"
    return "saved"


async def save_async(self: BaseTask, inputs: Inputs) -> Any:
    try:
        await self.context.save({"page": 1})
        await self.context.save({"page": 2})
    except InvalidTransition as error:
        return f"refused: {error}"
    return "saved"


def answer(self: BaseTask, inputs: Inputs) -> Any:
    """Comes to a result when it is told to end, or to an error."""
    self.context.progress_now(0.5, str(os.getpid()))
    while not self.context.cancelled:
        time.sleep(0.002)
    if inputs.get("angry"):
        raise Unlucky("told to end")
    return {"late": self.context.task_id}


async def answer_async(self: BaseTask, inputs: Inputs) -> Any:
    await self.context.progress(0.5, str(os.getpid()))
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        if inputs.get("angry"):
            raise Unlucky("told to end") from None
    return {"late": self.context.task_id}


def beat(self: BaseTask, inputs: Inputs) -> Any:
    for _ in range(3):
        self.context.beat()
        time.sleep(0.03)


async def beat_async(self: BaseTask, inputs: Inputs) -> Any:
    for _ in range(3):
        self.context.beat()
        await asyncio.sleep(0.03)


def be_busy(self: BaseTask, inputs: Inputs) -> Any:
    raise TransientError("busy", retry_after=7)


async def be_busy_async(self: BaseTask, inputs: Inputs) -> Any:
    be_busy(self, inputs)


def exit_with(self: BaseTask, inputs: Inputs) -> Any:
    return {"success": False, "exit_code": inputs["code"]}


async def exit_with_async(self: BaseTask, inputs: Inputs) -> Any:
    return exit_with(self, inputs)


behaviour("tell", tell_async, tell)
behaviour("answer", answer_async, answer)
behaviour("beat", beat_async, beat)
behaviour("busy", be_busy_async, be_busy)
behaviour("exit", exit_with_async, exit_with)
behaviour("fail", fail_async, fail)
behaviour("wait", wait_async, wait)
behaviour("save", save_async, save)


async def exit_at_once(self: BaseTask, inputs: Inputs) -> Any:
    os._exit(inputs["code"])


async def signal_self(self: BaseTask, inputs: Inputs) -> Any:
    os.kill(os.getpid(), inputs["signal"])
    await asyncio.sleep(60)


async def close_every_file(self: BaseTask, inputs: Inputs) -> Any:
    os.closerange(3, 100)
    await asyncio.sleep(60)


def speak(self: BaseTask, inputs: Inputs) -> Any:
    print("a printed line")  # noqa: T201 - on purpose
    os.write(1, b"a written line\n")
    subprocess.run([sys.executable, "-c", "print('a line of a child')"], check=True)
    return "spoken"


def start_child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


async def have_children(self: BaseTask, inputs: Inputs) -> Any:
    """Goes on for ever, and so does its child; ``deaf``: without a look at its loop."""
    child = start_child()
    await self.context.progress(0.5, f"{os.getpid()} {child.pid}")
    while inputs.get("deaf"):
        pass
    await asyncio.sleep(60)


def write(file: str) -> None:
    Path(file).write_text("cleaned")


async def clean_up(self: BaseTask, inputs: Inputs) -> Any:
    try:
        await self.context.progress(0.5, "begun")
        await asyncio.sleep(60)
    finally:
        write(inputs["file"])


async def leave_a_task_behind(self: BaseTask, inputs: Inputs) -> Any:
    """The task that is left behind says something late."""
    context = self.context

    async def say() -> None:
        await asyncio.sleep(0.01)
        await context.progress(0.9, "late")
        await context.save("late")

    left_behind.append(asyncio.create_task(say()))
    return len(left_behind)


async def what_became_of_it(self: BaseTask, inputs: Inputs) -> Any:
    (task,) = left_behind
    try:
        await task
    except InvalidTransition as error:
        return str(error)


class ToldInTime(BaseTask):
    """Its `cancel` writes a file."""

    id = "told_in_time"
    name = "Told in time"
    runs = "process"

    async def execute(self, inputs: Inputs) -> Any:
        await self.context.progress(0.5, "begun")
        await asyncio.sleep(60)

    def cancel(self) -> None:
        write(self.inputs["file"])


executor_register()(ToldInTime)


async def save_at_the_end(self: BaseTask, inputs: Inputs) -> Any:
    await self.context.progress(0.5, "begun")
    try:
        await asyncio.sleep(60)
    finally:
        await self.context.save({"page": 9})


async def take_over(self: BaseTask, inputs: Inputs) -> Any:
    """Not what an executor does: what its port would do for it."""
    port = self.context._call.port
    assert port is not None
    await port.taken_over()


async def imported(self: BaseTask, inputs: Inputs) -> Any:
    return inputs["module"] in sys.modules


async def repeat(self: BaseTask, inputs: Inputs) -> Any:
    return "x" * inputs["times"]


async def repeat_late(self: BaseTask, inputs: Inputs) -> Any:
    await self.context.progress(0.5, "begun")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "x" * inputs["times"]


left_behind: list[asyncio.Task[None]] = []

for each in (
    exit_at_once, signal_self, close_every_file, speak, have_children, clean_up,
    leave_a_task_behind, what_became_of_it, save_at_the_end, take_over, imported, repeat,
    repeat_late,
):  # fmt: skip
    register(each.__name__, each, "process")
