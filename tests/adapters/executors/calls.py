"""Attempts for tests: made by hand, invoked as a backend would."""

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import Raw, json

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.engine.ports import AttemptPort, Call, Outcome, Raised, Returned


def raw(value: Any) -> Raw:
    return Raw(json.encode(value))


def call(
    executor: str,
    inputs: Mapping[str, Any] | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    schemas: Mapping[str, Any] | None = None,
    owner: str | None = None,
    checkpoint: Any = None,
    port: AttemptPort | None = None,
    **more: Any,
) -> Call:
    return Call(
        executor=executor,
        tree="root",
        task="a-task",
        key="a",
        name="A task",
        attempt=2,
        generation=1,
        idempotency_key="the-key",
        inputs=dict(inputs or {}),
        params=raw(params or {}),
        schemas=raw(schemas or {}),
        owner=owner,
        checkpoint=None if checkpoint is None else raw(checkpoint),
        port=port,
        priority=0,
        parent="root",
        **more,
    )


async def outcome(registry: Registry, executor: str, inputs: Any = None, **more: Any) -> Outcome:
    return await invoke(registry, call(executor, inputs, **more), asyncio.to_thread)


async def result(registry: Registry, executor: str, inputs: Any = None, **more: Any) -> Any:
    found = await outcome(registry, executor, inputs, **more)
    assert isinstance(found, Returned), found
    return json.decode(found.result)


async def error(registry: Registry, executor: str, inputs: Any = None, **more: Any) -> ErrorInfo:
    found = await outcome(registry, executor, inputs, **more)
    assert isinstance(found, Raised), found
    return found.error


class Port:
    """Remembers what an attempt said."""

    def __init__(self) -> None:
        self.progressed: list[tuple[float, str]] = []
        self.saved: list[Any] = []
        self.beats = 0
        self.taken = 0

    def beat(self) -> None:
        self.beats += 1

    async def taken_over(self) -> None:
        await asyncio.sleep(0)
        self.taken += 1

    async def progress(self, fraction: float, message: str) -> None:
        await asyncio.sleep(0)
        self.progressed.append((fraction, message))

    async def save(self, checkpoint: Raw) -> None:
        await asyncio.sleep(0)
        self.saved.append(json.decode(checkpoint))
