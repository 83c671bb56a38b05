"""What every executor should hold: a suite of tests for those who write one.

    from aipartnerupflow.testing.executors import ExecutorContract


    class TestWeather(ExecutorContract):
        executor = Weather

        def works(self):
            return {"city": "Berlin"}

        def wrong(self):
            return [{}, {"city": 5}]

Any runner of tests finds the methods; they need no plugin. What does not fit an executor is left
out by returning None.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from ..adapters.executors import Registry, invoke
from ..adapters.executors.inventory import describe
from ..adapters.executors.shared import Shared
from ..domain.specs import EMPTY_OBJECT
from ..engine.ports import Call, Outcome, Raised, Returned

SECONDS = 10.0
"""For anything that should be at once."""

Inputs = dict[str, Any]


class ExecutorContract:
    """Say which ``executor`` it is, a class or a decorated function, and what it `works` with.

    ``settings`` are those of its operator, by the names of their variables.
    """

    executor: ClassVar[Any] = None
    settings: ClassVar[Mapping[str, Any]] = {}

    def works(self) -> Inputs:
        """Inputs with which it succeeds, at once."""
        raise NotImplementedError("say what it works with")

    def shows(self, result: Any) -> None:
        """Asserts that ``result`` is what `works` gives."""

    def wrong(self) -> Sequence[Inputs]:
        """Inputs that it refuses, by its schema or by raising."""
        return ()

    def fails(self) -> Inputs | None:
        """Inputs with which it fails, and would again."""
        return None

    def hangs(self) -> Inputs | None:
        """Inputs with which it takes long."""
        return None

    def running(self) -> int:
        """How many of `hangs` are at work, wherever that is."""
        return 0

    # -- what is tested

    def test_it_succeeds_and_gives_json(self) -> None:
        """`works` works."""
        found = self._run(self.works())
        assert isinstance(found, Returned), f"it failed: {found}"
        result = msgspec.json.decode(found.result)
        self.shows(result)

    def test_its_schemas_say_what_it_takes_and_gives(self) -> None:
        """`works` and all examples fit the schema of the inputs."""
        registry, id = self._registry()
        info = describe(registry, id)
        assert info.usable, info.why
        for inputs in (self.works(), *info.examples):
            wrong = registry.violations(id, Raw(b"{}"), inputs)
            assert not wrong, f"these inputs do not fit its own schema: {wrong}"

    def test_it_refuses_inputs_that_make_no_sense(self) -> None:
        """Each of `wrong`, by schema or by itself, and for good."""
        registry, id = self._registry()
        for inputs in self.wrong():
            if registry.violations(id, Raw(b"{}"), inputs):
                continue
            found = self._run(inputs)
            assert isinstance(found, Raised), f"it took {sorted(inputs)}"
            assert "TransientError" not in found.error.bases, "trying again would not help"

    def test_it_tells_why_it_fails(self) -> None:
        """`fails` fails with a message."""
        inputs = self.fails()
        if inputs is not None:
            found = self._run(inputs)
            assert isinstance(found, Raised), f"it did not fail: {found}"
            assert found.error.message

    def test_it_ends_when_it_is_cancelled(self) -> None:
        """And leaves nothing at work."""
        inputs = self.hangs()
        if inputs is not None:
            asyncio.run(self._cancelled(inputs))

    def test_it_leaves_its_inputs_alone(self) -> None:
        """What it was given is the same afterwards."""
        inputs = self.works()
        before = msgspec.json.encode(inputs)
        self._run(inputs)
        assert msgspec.json.encode(inputs) == before

    # -- how

    def _registry(self) -> tuple[Registry, str]:
        registry = Registry(installed=list)
        registry.configure(self.settings)
        cls = getattr(self.executor, "__executor__", self.executor)
        registry.register(cls, override=True)
        id = cls.id if isinstance(cls.id, str) else cls().id
        return registry, id

    def _run(self, inputs: Inputs) -> Outcome:
        async def run() -> Outcome:
            async with asyncio.timeout(SECONDS):
                return await self._begin(inputs)

        return asyncio.run(run())

    async def _begin(self, inputs: Inputs) -> Outcome:
        registry, id = self._registry()
        shared = Shared()
        try:
            return await invoke(registry, _call(id, inputs), asyncio.to_thread, shared)
        finally:
            await shared.close()

    async def _cancelled(self, inputs: Inputs) -> None:
        running = asyncio.ensure_future(self._begin(inputs))
        await _until(lambda: self.running() > 0 or running.done())
        assert not running.done(), f"it did not take long: {running}"
        running.cancel()
        await asyncio.wait([running], timeout=SECONDS)
        assert running.done(), "it goes on although it was cancelled"
        await _until(lambda: self.running() == 0)


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(int(SECONDS * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it has not come to pass")


def _call(id: str, inputs: Inputs) -> Call:
    return Call(
        executor=id, tree="tree", task="task", key="task", name=id, attempt=1, generation=1,
        idempotency_key="00000000-0000-5000-8000-000000000000", inputs=inputs,
        params=EMPTY_OBJECT, schemas=EMPTY_OBJECT,
    )  # fmt: skip
