"""The executors of the programs that are killed. Each call is told outside of the store."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aipartnerupflow.adapters.executors.context import Context
from aipartnerupflow.adapters.executors.errors import TransientError
from aipartnerupflow.adapters.executors.function import task
from tests.support.chaos.ledgers import NAME, ledger


@contextmanager
def told_run(context: Context) -> Iterator[None]:
    """The call begins and ends; ``cut`` where it was stopped."""
    end = "cut"
    _tell_run("begin", context)
    try:
        yield
        end = "end"
    finally:
        _tell_run(end, context)


def _tell_run(what: str, context: Context) -> None:
    key, number, generation = context.idempotency_key, context.attempt, context.generation
    task, name, moment = context.task_id, os.environ[NAME], time.monotonic_ns()
    ledger("runs").write((what, context.tree_id, task, generation, number, key, name, moment))


@task(id="chaos_nap")
async def nap(inputs: dict[str, Any], context: Context) -> dict[str, Any]:
    """Sleeps in the loop."""
    with told_run(context):
        await asyncio.sleep(inputs.get("seconds", 0))
    return {"attempt": context.attempt}


@task(id="chaos_work")
def work(inputs: dict[str, Any], context: Context) -> str:
    """Blocks a thread."""
    with told_run(context):
        time.sleep(inputs.get("seconds", 0))
    return "x" * int(inputs.get("bytes", 1))


@task(id="chaos_keep")
async def keep(inputs: dict[str, Any], context: Context) -> int:
    """Saves checkpoints, and finds the last one that was acknowledged."""
    this = (context.tree_id, context.task_id, context.generation, context.attempt)
    with told_run(context):
        found = int(context.checkpoint or 0)
        ledger("acks").write(("found", *this, found))
        for step in range(found + 1, found + 4):
            await asyncio.sleep(inputs.get("seconds", 0))
            await context.save(step)
            ledger("acks").write(("saved", *this, step))
    return found


@task(id="chaos_trip")
async def trip(inputs: dict[str, Any], context: Context) -> None:
    """Fails for good."""
    with told_run(context):
        await asyncio.sleep(inputs.get("seconds", 0))
    raise ValueError("tripped")


@task(id="chaos_flaky")
async def flaky(inputs: dict[str, Any], context: Context) -> int:
    """Fails in its first attempts."""
    with told_run(context):
        await asyncio.sleep(inputs.get("seconds", 0))
    if context.attempt <= inputs["fails"]:
        raise TransientError("not yet")
    return context.attempt
