"""The client that waits for each answer."""

import time
from collections.abc import Iterator, Sequence
from typing import Self, TypeVar

import httpx

from ..told import Event
from . import calls, flows, methods
from .base import PATIENCE, Base, request_of
from .follow import Follow, answer_of
from .types import Answer, Call

T = TypeVar("T")


class Client(Base):
    """Talks to a server. Several threads may share one; `close` it, or use it in a ``with``.

    Without arguments it is the server that the settings name (`APFLOW_URL`, `APFLOW_TOKEN`), else
    the one that runs on the state directory. Raises `InvalidInput`, `Unreachable`.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, patience: float = PATIENCE
    ) -> None:
        super().__init__(url, token, patience)
        self._http = httpx.Client(**self._options())

    submit = methods.blocking_flow(flows.submit)
    settled = methods.blocking_flow(flows.settled)
    trees = methods.blocking_pages(calls.trees)
    tree = methods.blocking(calls.tree)
    tasks = methods.blocking_pages(calls.tasks)
    task = methods.blocking(calls.task)
    events = methods.blocking_pages(calls.events)
    start = methods.blocking(calls.start)
    cancel = methods.blocking(calls.cancel)
    cancel_task = methods.blocking(calls.cancel_task)
    pause = methods.blocking(calls.pause)
    unpause = methods.blocking(calls.unpause)
    rerun = methods.blocking(calls.rerun)
    rerun_task = methods.blocking(calls.rerun_task)
    plan = methods.blocking(calls.plan)
    signal = methods.blocking(calls.signal)
    command = methods.blocking(calls.command)
    why = methods.blocking(calls.why)
    why_task = methods.blocking(calls.why_task)
    executors = methods.blocking(calls.executors)
    executor = methods.blocking(calls.executor)
    health = methods.blocking(calls.health)

    def watch(
        self,
        id: str,
        after: int = 0,
        types: Sequence[str] | None = None,
        *,
        until_settled: bool = True,
    ) -> Iterator[Event]:
        """The events of a tree behind version ``after``, then what comes, until it has settled.

        Goes on by itself where the connection or the server is lost, without a gap or a duplicate.
        ``types`` are names, or their beginnings with ``*`` behind. Raises `Unreachable` when the
        server is away for longer than ``patience``.
        """
        follow = Follow(id, after, types, until_settled, self.patience)
        self.run(follow.begun())
        while not follow.over:
            try:
                yield from self._followed(follow)
            except httpx.RequestError as error:
                follow.cut(error)
            if not follow.over:
                time.sleep(follow.pause())

    def _followed(self, follow: Follow) -> Iterator[Event]:
        with self._http.stream(**request_of(follow.call(), stream=True)) as response:
            if response.status_code != 200:
                follow.refused(answer_of(response, response.read()))
                return
            follow.opened(response.headers.get("content-type", ""))
            for part in response.iter_raw():
                for event in follow.take(part):
                    if follow.is_wanted(event):
                        yield event
                    self.run(follow.seen(event))
                    if follow.over:
                        return

    def send(self, call: Call[T]) -> T:
        """Any call of `calls`: what the other methods are made of."""
        return self.run(flows.ask(self.patience, call))

    def run(self, flow: flows.Flow[T]) -> T:
        """Go through a flow."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, float):
                    time.sleep(step)
                    step = flow.send(None)
                    continue
                try:
                    answer = self._answer(step)
                except httpx.RequestError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _answer(self, call: Call[T]) -> Answer:
        response = self._http.request(**request_of(call))
        return answer_of(response, response.content)

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
