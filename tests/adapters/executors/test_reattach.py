"""Work that outlives its engine: looked for first, called anew only where it is gone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.adapters.executors import BaseTask, Registry, TransientError, invoke
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from aipartnerupflow.engine.ports import Gone, Outcome, Raised, Returned
from tests.adapters.executors.calls import Port, call, outcome

Looks = Callable[["Remote"], Any]


class Remote(BaseTask):
    """Finds what ``looks`` finds."""

    id = "remote"
    name = "Remote"
    looks: Looks
    log: list[str]

    async def execute(self, inputs: dict[str, Any]) -> Any:
        self.log.append("executed")

    async def reattach(self, inputs: dict[str, Any]) -> Any:
        self.log.append(f"asked for {inputs['job']} of attempt {self.context.attempt}")
        return type(self).looks(self)

    async def cancel(self) -> None:
        self.log.append("told")


@pytest.fixture
def log(registry: Registry) -> list[str]:
    Remote.log = []
    registry.register(Remote)
    return Remote.log


async def found(registry: Registry, looks: Looks, port: Port | None = None) -> Outcome:
    Remote.looks = looks
    return await outcome(registry, "remote", {"job": 7}, port=port or Port(), reattach=True)


async def test_what_is_not_there_any_more_is_gone(registry: Registry, log: list[str]) -> None:
    port = Port()
    assert await found(registry, lambda _: None, port) == Gone()
    assert log == ["asked for 7 of attempt 2"]
    assert port.taken == 0


async def test_what_is_found_is_taken_over_and_then_waited_for(
    registry: Registry, log: list[str]
) -> None:
    port = Port()

    async def result() -> Any:
        return {"taken": port.taken}

    assert await found(registry, lambda _: result(), port) == Returned(Raw(b'{"taken":1}'))
    assert await found(registry, lambda _: result, port) == Returned(Raw(b'{"taken":2}'))
    assert "executed" not in log


async def test_the_work_that_was_found_can_fail(registry: Registry, log: list[str]) -> None:
    async def result() -> Any:
        raise ConnectionResetError("lost")

    outcome = await found(registry, lambda _: result())
    assert isinstance(outcome, Raised)
    assert outcome.error.type == "ConnectionResetError"


def away(_: Remote) -> Any:
    raise TransientError("the host is away", retry_after=7)


async def test_who_fails_at_looking_may_repeat_what_is_safe(
    registry: Registry, log: list[str], caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(Remote, "safe_to_repeat", classmethod(lambda *_: True))
    port = Port()
    assert await found(registry, away, port) == Gone()
    assert await found(registry, lambda _: "a word", port) == Gone()
    assert port.taken == 0
    assert caplog.text.count("reattach of executor remote failed") == 2
    assert "None or an awaitable, not a str" in caplog.text


@pytest.mark.parametrize("safe", [lambda *_: False, lambda *_: None, lambda *_: 1 / 0])
async def test_who_fails_at_looking_fails_where_repeating_is_not_safe(
    registry: Registry, log: list[str], monkeypatch: pytest.MonkeyPatch, safe: Any
) -> None:
    monkeypatch.setattr(Remote, "safe_to_repeat", classmethod(safe))
    port = Port()
    outcome = await found(registry, away, port)
    assert isinstance(outcome, Raised)
    assert (outcome.error.type, outcome.retry_after) == ("TransientError", 7)
    assert port.taken == 1, "before it is taken over, a failure counts as an interruption"
    outcome = await found(registry, lambda _: "a word")
    assert isinstance(outcome, Raised)
    assert (outcome.error.type, outcome.error.bases) == ("TypeError", ("Exception",))
    assert log == ["asked for 7 of attempt 2"] * 2


@pytest.mark.parametrize("kind", ["coroutine", "future"])
async def test_an_attempt_that_is_over_is_not_waited_for(
    registry: Registry, log: list[str], kind: str
) -> None:
    class Over(Port):
        async def taken_over(self) -> None:
            raise InvalidTransition("it is over")

    async def result() -> Any:
        log.append("waited for")

    futures: list[asyncio.Future[Any]] = []

    def looks(_: Remote) -> Any:
        if kind == "coroutine":
            return result()
        futures.append(asyncio.get_running_loop().create_future())
        return futures[0]

    outcome = await found(registry, looks, Over())
    assert isinstance(outcome, Raised)
    assert outcome.error.type == "InvalidTransition"
    assert "waited for" not in log
    assert all(future.cancelled() for future in futures)


async def test_an_attempt_that_was_taken_over_can_be_cancelled(
    registry: Registry, log: list[str]
) -> None:
    taken = asyncio.Event()

    class Tells(Port):
        async def taken_over(self) -> None:
            taken.set()

    port = Tells()
    Remote.looks = lambda _: asyncio.sleep(60)
    attempt = asyncio.ensure_future(
        invoke(registry, call("remote", {"job": 7}, port=port, reattach=True), asyncio.to_thread)
    )
    await asyncio.wait_for(taken.wait(), 10)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert log[-1] == "told"


async def test_hooks_hear_of_a_result_that_was_found_again(
    registry: Registry, log: list[str]
) -> None:
    heard: list[Any] = []
    registry.add_executor_hook("remote", "pre_hook", lambda *_: heard.append("pre"))
    registry.add_executor_hook("remote", "post_hook", lambda *args: heard.append(args[3]))
    registry.add_post_hook(lambda *args: heard.append(args[2]))
    await found(registry, lambda _: asyncio.sleep(0, 5))
    assert heard == [5, 5]


async def test_without_a_port_nobody_is_told(registry: Registry, log: list[str]) -> None:
    Remote.looks = lambda _: asyncio.sleep(0, 5)
    assert await outcome(registry, "remote", {"job": 7}, reattach=True) == Returned(Raw(b"5"))


async def test_executors_that_know_nothing_of_it_have_lost_their_work(registry: Registry) -> None:
    class Plain:
        id = "plain"
        name = "Plain"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    registry.register(Plain)
    assert await outcome(registry, "plain", reattach=True) == Gone()
    assert not registry.kind("plain").reattaches


async def test_one_that_blocks_may_look_again_too(registry: Registry) -> None:
    class Blocking(BaseTask):
        id = "blocking"
        name = "Blocking"

        def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

        async def reattach(self, inputs: dict[str, Any]) -> Any:
            return asyncio.sleep(0, 2)

    registry.register(Blocking)
    assert registry.kind("blocking").reattaches
    assert await outcome(registry, "blocking", reattach=True) == Returned(Raw(b"2"))


def test_only_those_that_have_it_of_their_own_are_asked(registry: Registry) -> None:
    class InProcess(Remote):
        id = "in_process"
        runs = "process"

    class Bare(BaseTask):
        id = "bare"
        name = "Bare"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    for cls in (Remote, InProcess, Bare):
        registry.register(cls)
    reattaches = {id: registry.kind(id).reattaches for id in ("remote", "in_process", "bare")}
    assert reattaches == {"remote": True, "in_process": False, "bare": False}


async def test_the_base_finds_nothing() -> None:
    class Bare(BaseTask):
        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    assert await Bare().reattach({}) is None


def test_one_that_would_block_the_loop_is_refused(registry: Registry) -> None:
    class Sync:
        id = "sync"
        name = "Sync"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

        def reattach(self, inputs: dict[str, Any]) -> Any:
            return None

    with pytest.raises(InvalidInput, match="async def reattach"):
        registry.register(Sync)
