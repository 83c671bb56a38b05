"""One attempt, whatever its executor does."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from msgspec import Raw, json
from pydantic import BaseModel

from aipartnerupflow.adapters.executors import BaseTask, Registry, TransientError, invoke
from aipartnerupflow.adapters.executors.results import MAX_DETAIL, MAX_MESSAGE, MAX_RESULT
from aipartnerupflow.adapters.executors.scrubbing import Scrubber
from aipartnerupflow.domain.specs import MAX_SECONDS
from aipartnerupflow.engine.ports import Raised, Returned
from tests.adapters.executors.calls import call, error, outcome, result

Does = Callable[[], Any]


def runs(registry: Registry, does: Does) -> None:
    """Registers ``it``, a coroutine, and ``blocking_it``, both of which call ``does``."""

    class It(BaseTask):
        id = "it"
        name = "It"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return does()

    class BlockingIt(BaseTask):
        id = "blocking_it"
        name = "Blocking it"

        def execute(self, inputs: dict[str, Any]) -> Any:
            return does()

    registry.register(It)
    registry.register(BlockingIt)


def raises(exception: BaseException) -> Does:
    def does() -> Any:
        raise exception

    return does


both = pytest.mark.parametrize("executor", ["it", "blocking_it"])


@both
@pytest.mark.parametrize("value", [None, False, 0, "", [], {}, {"success": True}, [1, {"a": None}]])
async def test_any_json_is_a_result(registry: Registry, executor: str, value: Any) -> None:
    runs(registry, lambda: value)
    assert await result(registry, executor) == value


class Model(BaseModel):
    at: datetime


@dataclass
class Point:
    x: int


async def test_what_has_an_obvious_json_form_is_given_it(registry: Registry) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    runs(registry, lambda: {"model": Model(at=at), "point": Point(1), "tuple": (1, 2), "at": at})
    assert await result(registry, "it") == {
        "model": {"at": "2026-01-01T00:00:00Z"},
        "point": {"x": 1},
        "tuple": [1, 2],
        "at": "2026-01-01T00:00:00Z",
    }


def endless() -> Any:
    items: list[Any] = []
    items.append(items)
    return items


@both
@pytest.mark.parametrize(
    "value",
    [object(), {"a": {1j}}, {(1, 2): 3}, "\ud800", endless()],
    ids=["object", "complex", "tuple key", "surrogate", "endless"],
)
async def test_what_is_no_json_fails_the_task(
    registry: Registry, executor: str, value: Any
) -> None:
    runs(registry, lambda: value)
    assert (await error(registry, executor)).type == "result_not_json"


async def test_a_result_has_a_largest_size(registry: Registry) -> None:
    size = [MAX_RESULT - 2]
    runs(registry, lambda: "x" * size[0])
    assert isinstance(await outcome(registry, "it"), Returned)
    size[0] += 1
    assert (await error(registry, "it")).type == "result_too_large"


async def test_a_result_has_a_largest_depth(registry: Registry) -> None:
    def nested(levels: int) -> Any:
        value: Any = '[[[[ \\[ " {{{'
        for level in range(levels):
            value = [value] if level % 2 else {"a": value}
        return [value, [[], {}] * 100]

    depth = [63]
    runs(registry, lambda: nested(depth[0]))
    assert isinstance(await outcome(registry, "it"), Returned)
    depth[0] += 1
    assert (await error(registry, "it")).type == "result_too_deep"


async def test_success_false_is_a_failure_that_carries_the_result(registry: Registry) -> None:
    given: dict[str, Any] = {"success": False, "error": "no luck", "body": [1]}
    runs(registry, lambda: given)
    found = await error(registry, "it")
    assert (found.type, found.message) == ("unsuccessful", "no luck")
    assert isinstance(found.detail, Raw)
    assert json.decode(found.detail) == given
    given = {"success": False, "status_code": 503}
    assert (await error(registry, "it")).message == "status_code 503"
    given = {"success": False}
    assert "success: false" in (await error(registry, "it")).message
    given = {"success": 0}
    assert isinstance(await outcome(registry, "it"), Returned)


async def test_a_long_unsuccessful_result_is_cut_down(registry: Registry) -> None:
    given = {"success": False, "code": 3, "stderr": "x" * MAX_DETAIL + "the end", "list": [1]}
    runs(registry, lambda: given)
    detail = (await error(registry, "it")).detail
    assert isinstance(detail, Raw)
    assert len(bytes(detail)) < MAX_DETAIL
    kept = json.decode(detail)
    assert kept["stderr"].endswith("xthe end")
    assert (kept["success"], kept["code"], kept["truncated"]) == (False, 3, True)
    assert "list" not in kept


@both
async def test_an_exception_fails_the_task_with_its_class_and_bases(
    registry: Registry, executor: str
) -> None:
    runs(registry, raises(ConnectionRefusedError("nobody there")))
    found = await error(registry, executor)
    assert (found.type, found.message) == ("ConnectionRefusedError", "nobody there")
    assert found.bases == ("ConnectionError", "OSError", "Exception", "TransientError")


class Busy(Exception):
    transient = True


class Final(TimeoutError):
    transient = False


class Guarded(ConnectionError):
    @property
    def transient(self) -> bool:
        raise RuntimeError("not for you")


class Described(Exception):
    def transient(self) -> str:
        return "a method that happens to have that name"


@both
@pytest.mark.parametrize(
    ("exception", "transient"),
    [
        (TransientError("busy"), True),
        (Busy("busy"), True),
        (ConnectionRefusedError(), True),
        (ConnectionResetError(), True),
        (ConnectionAbortedError(), True),
        (TimeoutError(), True),
        (Guarded(), True),
        (Final(), False),
        (Described(), False),
        (OSError("disk"), False),
        (ValueError("no"), False),
    ],
)
async def test_errors_that_may_pass_are_marked(
    registry: Registry, executor: str, exception: BaseException, transient: bool
) -> None:
    runs(registry, raises(exception))
    found = await error(registry, executor)
    assert [found.type, *found.bases].count("TransientError") == transient


class Asks(Exception):
    def __init__(self, retry_after: Any) -> None:
        self.retry_after = retry_after


@both
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (0, 0), (2.5, 2.5), (10**400, MAX_SECONDS), (-1, None), (float("nan"), None),
        (float("inf"), None), (True, None), ("5", None), (None, None),
    ],
)  # fmt: skip
async def test_how_long_a_target_wants_to_be_left_alone_is_told(
    registry: Registry, executor: str, asked: Any, told: float | None
) -> None:
    runs(registry, raises(Asks(asked)))
    found = await outcome(registry, executor)
    assert isinstance(found, Raised)
    assert found.retry_after == told


def test_a_transient_error_needs_no_words() -> None:
    assert TransientError().retry_after is None
    assert TransientError("busy", 3).retry_after == 3
    assert TransientError.transient


@pytest.mark.parametrize("name", ["return_code", "exit_code", "status_code"])
async def test_codes_that_the_task_accepts_count_as_success(registry: Registry, name: str) -> None:
    given: dict[str, Any] = {"success": False, name: 4}
    runs(registry, lambda: given)
    assert await result(registry, "it", accept=(4,)) == given
    assert (await error(registry, "it", accept=(5,))).type == "unsuccessful"
    assert (await error(registry, "it")).type == "unsuccessful"


@pytest.mark.parametrize("given", [{"code": 1}, {"exit_code": True}, {"exit_code": [1]}, {}])
async def test_what_is_no_code_is_not_accepted(registry: Registry, given: dict[str, Any]) -> None:
    runs(registry, lambda: {"success": False} | given)
    assert (await error(registry, "it", accept=(1,))).type == "unsuccessful"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@both
@pytest.mark.parametrize(
    ("exception", "type"),
    [
        (SystemExit(3), "SystemExit"),
        (StopIteration(1), "RuntimeError"),
        (KeyError("a"), "KeyError"),
        (asyncio.CancelledError("me"), "CancelledError"),
        (TimeoutError(), "TimeoutError"),
        (Unspeakable(), "Unspeakable"),
    ],
)
async def test_no_exception_gets_away(
    registry: Registry, executor: str, exception: BaseException, type: str
) -> None:
    runs(registry, raises(exception))
    found = await error(registry, executor)
    assert found.type == type
    assert found.message


async def test_a_message_is_bounded_and_can_be_stored(registry: Registry) -> None:
    runs(registry, raises(ValueError("é" * MAX_MESSAGE + "\ud800")))
    message = (await error(registry, "it")).message
    assert len(message.encode()) <= MAX_MESSAGE


async def test_a_constructor_that_raises_fails_the_task(registry: Registry) -> None:
    class Broken(BaseTask):
        id = "broken"
        name = "Broken"

        def __init__(self, **_: Any) -> None:
            raise OSError("no disk")

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    registry.register(Broken)
    assert (await error(registry, "broken")).type == "OSError"


async def test_constructor_and_execute_of_a_blocking_executor_share_a_thread(
    registry: Registry,
) -> None:
    threads: list[int] = []

    class Blocking(BaseTask):
        id = "blocking"
        name = "Blocking"

        def __init__(self, **_: Any) -> None:
            threads.append(threading.get_ident())

        def execute(self, inputs: dict[str, Any]) -> Any:
            threads.append(threading.get_ident())

    registry.register(Blocking)
    await outcome(registry, "blocking")
    assert threads[0] == threads[1] != threading.get_ident()


async def test_a_function_that_only_makes_a_coroutine_is_awaited_too(registry: Registry) -> None:
    class Wrapped(BaseTask):
        id = "wrapped"
        name = "Wrapped"

        def execute(self, inputs: dict[str, Any]) -> Any:
            return asyncio.sleep(0, "slept")

    registry.register(Wrapped)
    assert await result(registry, "wrapped") == "slept"


class Waits(BaseTask):
    id = "waits"
    name = "Waits"
    log: list[str]

    async def execute(self, inputs: dict[str, Any]) -> Any:
        self.log.append("began")
        try:
            await asyncio.sleep(60)
        finally:
            self.log.append(f"ended, cancelled {self.context.cancelled}")

    async def cancel(self) -> None:
        self.log.append(f"told, cancelled {self.context.cancelled}")
        await asyncio.sleep(0)


async def begun(log: list[str]) -> None:
    for _ in range(5_000):
        if log:
            return
        await asyncio.sleep(0.001)
    pytest.fail("it did not begin")


async def test_a_cancelled_attempt_tells_its_executor_and_passes_on(registry: Registry) -> None:
    log: list[str] = []
    Waits.log = log
    registry.register(Waits)
    task = asyncio.ensure_future(invoke(registry, call("waits"), asyncio.to_thread))
    await begun(log)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["began", "ended, cancelled False", "told, cancelled True"]


async def test_a_blocking_executor_sees_that_it_is_cancelled(registry: Registry) -> None:
    log: list[str] = []
    stopped = threading.Event()

    class Loops(BaseTask):
        id = "loops"
        name = "Loops"

        def execute(self, inputs: dict[str, Any]) -> Any:
            log.append("began")
            while not self.cancellation_checker():
                stopped.wait(0.005)
            stopped.set()

        def cancel(self) -> None:
            log.append("told")

    registry.register(Loops)
    task = asyncio.ensure_future(invoke(registry, call("loops"), asyncio.to_thread))
    await begun(log)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(stopped.wait, 5)
    assert log == ["began", "told"]


async def test_a_cancel_that_fails_is_logged_and_the_attempt_still_ends(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []

    class Fails(Waits):
        id = "fails"

        async def cancel(self) -> None:
            raise OSError("no")

    Fails.log = log
    registry.register(Fails)
    task = asyncio.ensure_future(invoke(registry, call("fails"), asyncio.to_thread))
    await begun(log)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "cancel of executor fails failed" in caplog.text


async def test_an_executor_that_answers_a_cancel_with_a_result_is_heard(registry: Registry) -> None:
    began = asyncio.Event()

    class Answers(BaseTask):
        id = "answers"
        name = "Answers"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            began.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "in time"

    registry.register(Answers)
    task = asyncio.ensure_future(invoke(registry, call("answers"), asyncio.to_thread))
    await began.wait()
    task.cancel()
    assert await task == Returned(Raw(b'"in time"'))


async def test_executors_that_share_a_class_share_nothing_else(registry: Registry) -> None:
    class Counts(BaseTask):
        id = "counts"
        name = "Counts"
        seen: tuple[Any, ...] = ()

        async def execute(self, inputs: dict[str, Any]) -> Any:
            await asyncio.sleep(0)
            self.seen += (inputs["n"],)
            return [self.seen, self.inputs["n"]]

    registry.register(Counts)
    found = await asyncio.gather(*(result(registry, "counts", {"n": n}) for n in range(5)))
    assert found == [[[n], n] for n in range(5)]


async def test_an_error_outside_the_executor_is_still_an_outcome(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    runs(registry, lambda: 1)

    def no_thread(work: Callable[[], Any]) -> Any:
        raise OSError("no thread left")

    with caplog.at_level(logging.WARNING):
        found = await invoke(registry, call("blocking_it"), partial(no_thread))
    assert isinstance(found, Raised)
    assert found.error.type == "OSError"


@pytest.mark.parametrize("size", [10, 2_000_000])
async def test_a_large_result_is_cleaned_of_secrets_in_a_thread(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setenv("TOKEN", "canary-in-it")
    registry.configure({"APFLOW_SECRETS": {"TOKEN": {"source": "env", "executors": ["it"]}}})
    found: set[int] = set()
    cleaned = Scrubber.json

    def noted(self: Scrubber, encoded: bytes) -> bytes:
        found.add(threading.get_ident())
        return cleaned(self, encoded)

    monkeypatch.setattr(Scrubber, "json", noted)
    runs(registry, lambda: ["canary-in-it", "x" * size])
    shown = await result(registry, "it", {"key": {"$secret": "TOKEN"}})
    assert shown[0] == "[secret TOKEN]"
    assert (threading.get_ident() in found) == (size == 10)
