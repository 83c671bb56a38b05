"""The command as people run it: in a process of its own, with a module of executors beside it."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.places import environment

JOBS = """
import asyncio
import os
import time

from aipartnerupflow import BaseTask, executor_register


class Job(BaseTask):
    async def execute(self, inputs):
        return inputs.get("give")


@executor_register()
class Give(Job):
    id = "give"
    description = "Gives what it is given"


@executor_register()
class Append(Job):
    id = "append"

    async def execute(self, inputs):
        context = self.context
        with open("ledger", "a") as ledger:
            ledger.write(f"{context.task_id} {context.attempt} {context.idempotency_key}\\n")
        await asyncio.sleep(inputs.get("seconds", 0))
        while "until" in inputs and not os.path.exists(inputs["until"]):
            await asyncio.sleep(0.01)
        return context.task_id


@executor_register()
class Fail(Job):
    id = "fail"

    async def execute(self, inputs):
        print("a word of its own")
        raise ValueError("no \\x1b[31mgood")


@executor_register()
class Block(Job):
    id = "block"

    async def execute(self, inputs):
        open("blocked", "w").close()
        time.sleep(60)
"""


class Done(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its output, as one JSON document."""
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        """Its only word on stderr, a problem document."""
        return json.loads(self.err)


_started: "list[subprocess.Popen[str]]" = []


def write_jobs(place: Path) -> None:
    """The module ``jobs``, with executors of its own."""
    (place / "jobs.py").write_text(JOBS)


def write_tree(place: Path, tree: Any, name: str = "tree.json") -> str:
    """A tree as a file."""
    (place / name).write_text(json.dumps(tree))
    return name


def start(place: Path, *args: str, stdin: Any = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    """Start ``apflow`` in ``place``."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "aipartnerupflow", *args],
        cwd=place,
        env=environment(place),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _started.append(process)
    return process


def end_all() -> None:
    """What a test that failed left running."""
    for process in _started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    _started.clear()


def end(process: "subprocess.Popen[str]", stdin: str | None = None) -> Done:
    """Wait for it."""
    out, err = process.communicate(stdin, timeout=60)
    return Done(process.returncode, out, err)


def apflow(place: Path, *args: str, stdin: str | None = None) -> Done:
    """Run ``apflow`` in ``place`` to its end."""
    given = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    return end(start(place, *args, stdin=given), stdin)


def chain(length: int, **inputs: Any) -> Sequence[dict[str, Any]]:
    """Tasks that follow each other, each appending a line to the file ``ledger``."""
    last = f"t{length - 1}"
    return [
        {
            "id": f"t{n}",
            "name": "append",
            "inputs": inputs,
            "parent_id": None if n == length - 1 else last,
            "dependencies": [f"t{n - 1}"] if n else [],
        }
        for n in range(length)
    ]


def ledger(place: Path) -> list[list[str]]:
    """Task, attempt and idempotency key of each call so far."""
    try:
        lines = (place / "ledger").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [line.split() for line in lines]


def until_calls(place: Path, count: int) -> None:
    """Returns once so many calls have begun."""
    until(lambda: len(ledger(place)) >= count)


def until(condition: Any) -> None:
    """Returns once the condition holds, which must be within half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it has not come to pass"
        time.sleep(0.01)
