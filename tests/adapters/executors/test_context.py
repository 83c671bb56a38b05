"""What an executor can say and ask while it runs."""

import asyncio
import threading
import time
from typing import Any

import pytest

from aipartnerupflow.adapters.executors import BaseTask, Context, Registry
from aipartnerupflow.adapters.executors.context import MAX_CHECKPOINT
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from tests.adapters.executors.calls import Port, call, error, result


async def test_it_tells_which_attempt_this_is(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    class Asks(BaseTask):
        id = "asks"
        name = "Asks"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            context = self.context
            context.log.warning("here")
            return [
                context.tree_id, context.task_id, context.attempt, context.generation,
                context.idempotency_key, context.deadline, context.checkpoint, context.cancelled,
            ]  # fmt: skip

    registry.register(Asks)
    found = await result(registry, "asks", checkpoint={"at": 3})
    assert found == ["root", "a-task", 2, 1, "the-key", None, {"at": 3}, False]
    record = next(record for record in caplog.records if record.message == "here")
    assert vars(record)["tree_id"] == "root"
    assert vars(record)["task_id"] == "a-task"


def test_it_tells_when_the_task_has_to_be_over_and_what_counts_as_success() -> None:
    context = Context(call("x", deadline="2026-01-01T00:00:00.500000Z", accept=(1, 404)))
    assert context.deadline == 1_767_225_600.5
    assert context.accept == (1, 404)
    assert Context(call("x")).deadline is None
    assert Context(call("x")).accept == ()


async def test_signs_of_life_are_given_from_coroutines_and_threads_alike(
    registry: Registry,
) -> None:
    heard: list[int] = []

    class Hears(Port):
        def beat(self) -> None:
            heard.append(threading.get_ident())

    class Beats(BaseTask):
        id = "beats"
        name = "Beats"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            self.context.beat()

    class BeatsInAThread(BaseTask):
        id = "beats_in_a_thread"
        name = "Beats in a thread"

        def execute(self, inputs: dict[str, Any]) -> Any:
            self.context.beat()

    registry.register(Beats)
    registry.register(BeatsInAThread)
    await result(registry, "beats", port=Hears())
    await result(registry, "beats_in_a_thread", port=Hears())
    assert heard == [threading.get_ident()] * 2


def test_a_tight_loop_cannot_flood_the_engine_with_signs_of_life() -> None:
    port = Port()
    context = Context(call("x", port=port))
    began = time.monotonic()
    while time.monotonic() - began < 0.1:
        context.beat()
    assert 2 <= port.beats <= 11


def test_signs_of_life_after_the_end_go_nowhere() -> None:
    async def make() -> Context:
        return Context(call("x", port=Port()), asyncio.get_running_loop())

    asyncio.run(make()).beat()
    Context.detached().beat()


def test_nothing_was_saved_before_the_first_checkpoint() -> None:
    assert Context(call("x")).checkpoint is None


async def test_a_coroutine_reports_and_saves(registry: Registry) -> None:
    class Talks(BaseTask):
        id = "talks"
        name = "Talks"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            await self.context.progress(0.5, "half")
            await self.context.progress(2)
            await self.context.progress(-1, "m" * 5_000)
            await self.context.save([1])

    registry.register(Talks)
    port = Port()
    await result(registry, "talks", port=port)
    assert port.progressed == [(0.5, "half"), (1.0, ""), (0.0, "m" * 1_000)]
    assert port.saved == [[1]]


async def test_a_message_that_utf_8_cannot_say_is_told_as_far_as_it_can() -> None:
    """As the name of a file: the store could not take it."""
    port = Port()
    await Context(call("x", port=port)).progress(0.5, "looking at caf\udce9.txt")
    assert port.progressed == [(0.5, "looking at caf?.txt")]


@pytest.mark.parametrize("said", ["caf\udce9", {"caf\udce9": 1}])
async def test_a_checkpoint_that_utf_8_cannot_say_is_refused(said: Any) -> None:
    with pytest.raises(InvalidInput, match="not JSON"):
        await Context.detached().save(said)


async def test_a_thread_reports_and_saves(registry: Registry) -> None:
    port = Port()

    class Talks(BaseTask):
        id = "talks"
        name = "Talks"

        def execute(self, inputs: dict[str, Any]) -> Any:
            self.context.progress_now(0.5, "half")
            self.context.save_now({"at": 1})
            return port.saved

    registry.register(Talks)
    assert await result(registry, "talks", port=port) == [{"at": 1}]
    assert port.progressed == [(0.5, "half")]


async def test_errors_of_the_engine_reach_a_thread(registry: Registry) -> None:
    class Over(Port):
        async def save(self, checkpoint: Any) -> None:
            raise InvalidTransition("over")

    class Late(Port):
        async def save(self, checkpoint: Any) -> None:
            raise TimeoutError("slow store")

    class Saves(BaseTask):
        id = "saves"
        name = "Saves"

        def execute(self, inputs: dict[str, Any]) -> Any:
            self.context.save_now(1)

    registry.register(Saves)
    assert (await error(registry, "saves", port=Over())).type == "InvalidTransition"
    assert (await error(registry, "saves", port=Late())).type == "TimeoutError"


async def test_blocking_calls_are_refused_in_a_coroutine() -> None:
    context = Context(call("x", port=Port()), asyncio.get_running_loop())
    with pytest.raises(RuntimeError, match=r"await self\.context\.save"):
        context.save_now(1)


def test_a_thread_that_outlives_its_loop_is_told() -> None:
    async def make() -> Context:
        return Context(call("x", port=Port()), asyncio.get_running_loop())

    context = asyncio.run(make())
    context.progress_now(0.5)
    with pytest.raises(InvalidTransition, match="its loop has ended"):
        context.save_now(1)


def test_a_thread_that_waits_for_a_loop_that_ends_is_told() -> None:
    asked = threading.Event()
    told: list[BaseException] = []

    class Hangs(Port):
        async def save(self, checkpoint: Any) -> None:
            asked.set()
            await asyncio.get_running_loop().create_future()

    loop = asyncio.new_event_loop()
    context = Context(call("x", port=Hangs()), loop)

    def saves() -> None:
        try:
            context.save_now(1)
        except InvalidTransition as error:
            told.append(error)

    thread = threading.Thread(target=saves)
    thread.start()
    loop.run_until_complete(asyncio.to_thread(asked.wait, 5))
    for task in asyncio.all_tasks(loop):
        task.get_coro()
    loop.run_until_complete(loop.shutdown_default_executor())
    pending = asyncio.all_tasks(loop)
    loop.close()
    thread.join(5)
    assert told
    for task in pending:
        task._log_destroy_pending = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [float("nan"), "half", None])
async def test_progress_is_a_number(value: Any) -> None:
    with pytest.raises(InvalidInput):
        await Context.detached().progress(value)


async def test_a_checkpoint_is_json_of_at_most_64_kib() -> None:
    context = Context.detached()
    await context.save("x" * (MAX_CHECKPOINT - 2))
    with pytest.raises(InvalidInput, match="65537 bytes"):
        await context.save("x" * (MAX_CHECKPOINT - 1))
    with pytest.raises(InvalidInput, match="not JSON"):
        await context.save(object())


def test_without_an_engine_blocking_calls_do_nothing() -> None:
    Context.detached().progress_now(0.5)
    Context.detached().save_now(1)


def test_without_an_operator_there_are_no_secrets() -> None:
    with pytest.raises(InvalidInput, match="there is no secret 'TOKEN'"):
        Context.detached().secret("TOKEN")
