"""The client for event loops."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Self, TypeVar

import httpx

from ..told import Event
from . import calls, flows, methods
from .base import PATIENCE, Base, request_of
from .follow import Follow, answer_of
from .types import Answer, Call

T = TypeVar("T")


class AsyncClient(Base):
    """`Client`, to be awaited: it belongs to one loop; `close` it, or use it in an ``async with``.

    Without arguments it is the server that the settings name (`APFLOW_URL`, `APFLOW_TOKEN`), else
    the one that runs on the state directory. Raises `InvalidInput`, `Unreachable`.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, patience: float = PATIENCE
    ) -> None:
        super().__init__(url, token, patience)
        self._http = httpx.AsyncClient(**self._options())

    submit = methods.awaiting_flow(flows.submit)
    settled = methods.awaiting_flow(flows.settled)
    trees = methods.awaiting_pages(calls.trees)
    tree = methods.awaiting(calls.tree)
    tasks = methods.awaiting_pages(calls.tasks)
    task = methods.awaiting(calls.task)
    events = methods.awaiting_pages(calls.events)
    start = methods.awaiting(calls.start)
    cancel = methods.awaiting(calls.cancel)
    cancel_task = methods.awaiting(calls.cancel_task)
    pause = methods.awaiting(calls.pause)
    unpause = methods.awaiting(calls.unpause)
    rerun = methods.awaiting(calls.rerun)
    rerun_task = methods.awaiting(calls.rerun_task)
    plan = methods.awaiting(calls.plan)
    signal = methods.awaiting(calls.signal)
    command = methods.awaiting(calls.command)
    why = methods.awaiting(calls.why)
    why_task = methods.awaiting(calls.why_task)
    executors = methods.awaiting(calls.executors)
    executor = methods.awaiting(calls.executor)
    health = methods.awaiting(calls.health)

    async def watch(
        self,
        id: str,
        after: int = 0,
        types: Sequence[str] | None = None,
        *,
        until_settled: bool = True,
    ) -> AsyncGenerator[Event, None]:
        """The events of a tree behind version ``after``, then what comes, until it has settled.

        Goes on by itself where the connection or the server is lost, without a gap or a duplicate.
        ``types`` are names, or their beginnings with ``*`` behind. Raises `Unreachable` when the
        server is away for longer than ``patience``.
        """
        follow = Follow(id, after, types, until_settled, self.patience)
        await self.run(follow.begun())
        while not follow.over:
            try:
                async with aclosing(self._followed(follow)) as events:
                    async for event in events:
                        yield event
            except httpx.RequestError as error:
                follow.cut(error)
            if not follow.over:
                await asyncio.sleep(follow.pause())

    async def _followed(self, follow: Follow) -> AsyncGenerator[Event, None]:
        async with self._http.stream(**request_of(follow.call(), stream=True)) as response:
            if response.status_code != 200:
                follow.refused(answer_of(response, await response.aread()))
                return
            follow.opened(response.headers.get("content-type", ""))
            async for part in response.aiter_raw():
                for event in follow.take(part):
                    if follow.is_wanted(event):
                        yield event
                    await self.run(follow.seen(event))
                    if follow.over:
                        return

    async def send(self, call: Call[T]) -> T:
        """Any call of `calls`: what the other methods are made of."""
        return await self.run(flows.ask(self.patience, call))

    async def run(self, flow: flows.Flow[T]) -> T:
        """Go through a flow."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                    step = flow.send(None)
                    continue
                try:
                    answer = await self._answer(step)
                except httpx.RequestError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    async def _answer(self, call: Call[T]) -> Answer:
        response = await self._http.request(**request_of(call))
        return answer_of(response, response.content)

    async def close(self) -> None:
        """Let go of its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
