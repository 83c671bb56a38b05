"""One container: begun, watched, ended, and found again after a crash."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing, suppress
from itertools import chain, repeat
from typing import Any, Final

from msgspec import Struct

from ..errors import TransientError
from ..processes.running import MAX_FLOOD, Stream
from .engine import Engine, EngineAway, EngineRefused
from .schemas import MISSING

MAX_KEPT: Final = 1024 * 1024
"""Bytes of the log that are kept."""
END_SECONDS: Final = 8.0
"""How long ending a container may take: the engine of tasks waits ten."""
LOST: Final = "the container is gone: somebody has removed it"
AGAIN: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries to reach the container engine again; the last one from then on."""


class ContainerLost(TransientError):
    """The container is gone: somebody has removed it."""


class Ended(Struct, frozen=True):
    """How it ended; without a ``code`` it was ended by force."""

    code: int | None
    error: str = ""


class Job:
    """A container by its name. ``keep``: it stays when it has ended."""

    def __init__(
        self, engine: Engine, name: str, hear: Callable[[bytes], None], *, keep: bool
    ) -> None:
        self.log = Stream(bytearray())
        self.id = ""
        self._engine = engine
        self._name = name
        self._hear = hear
        self._keep = keep
        self._begun = False

    async def fetch(self, image: str, pull: str, judge: Callable[[str], Awaitable[None]]) -> None:
        """Have the image there. ``judge`` sees what is to be fetched."""
        if pull == "always" or (pull == MISSING and not await self._engine.has_image(image)):
            await judge(image)
            await self._engine.pull(image)

    async def make(self, spec: Mapping[str, Any]) -> None:
        """Make the container, and do not start it yet."""
        self._begun = True
        try:
            self.id = await _whole(self._engine.create(self._name, spec))
        except EngineRefused:
            self._begun = False  # of that name may be another one's
            raise
        except BaseException:
            await self.end()
            raise

    async def run(self, judge: Callable[[], Awaitable[None]]) -> Ended:
        """Start it and wait for its end. When the wait is cut short it is ended.

        Where ``judge`` raises it is dropped, and was not started.
        """
        try:
            await judge()
            await self._engine.start(self._name)
        except BaseException:
            await self.end(dropped=True)
            raise
        return await self.follow()

    async def find(self, labels: Mapping[str, str]) -> bool:
        """Whether there is one that runs, or has ended and waits for being collected."""
        found = await self._engine.find(labels)
        for container in found:
            if container.get("State") == "created":
                await self._engine.remove(str(container["Id"]))
            else:
                self.id = self._name = str(container["Id"])
                return True
        return False

    async def seek(self, labels: Mapping[str, str]) -> Ended:
        """Look for it until the engine tells, then wait for its end, and collect."""
        self._begun = True
        try:
            for wait in chain(AGAIN, repeat(AGAIN[-1])):
                if await self._told(labels):
                    break
                await asyncio.sleep(wait)
        except BaseException:
            await self.end()
            raise
        return await self.follow()

    async def _told(self, labels: Mapping[str, str]) -> bool:
        try:
            found = await self.find(labels)
        except (EngineAway, EngineRefused):
            return False
        if not found:
            raise ContainerLost(LOST)
        return True

    async def follow(self) -> Ended:
        """Wait for its end, and collect."""
        self._begun = True
        try:
            return await self._until_ended()
        except BaseException:
            await self.end()
            raise

    async def end(self, *, dropped: bool = False) -> None:
        """Kill and drop it, or only kill it if it is to be kept. At most `END_SECONDS`."""
        if not self._begun:
            return
        self._begun = False
        with suppress(TimeoutError, EngineAway, EngineRefused):
            async with asyncio.timeout(END_SECONDS):
                if self._keep and not dropped:
                    await self._engine.kill(self._name)
                else:
                    await self._engine.remove(self._name)

    async def _until_ended(self) -> Ended:
        tries = 0
        while True:
            try:
                ended = await self._watch()
                if not self._keep:
                    await self._engine.remove(self._name)
                self._begun = False
                return ended
            except EngineAway:
                pass  # containers can outlive their engine: look again
            except EngineRefused as error:
                if error.status == 404:
                    raise ContainerLost(LOST) from error
                raise
            await asyncio.sleep(AGAIN[min(tries, len(AGAIN) - 1)])
            tries += 1

    async def _watch(self) -> Ended:
        """Take in the log until the container has ended."""
        known, seen = self.log.size, 0
        async with aclosing(self._engine.logs(self._name)) as pieces:
            async for piece in pieces:
                fresh = piece[max(0, known - seen) :]
                seen += len(piece)
                self._take(fresh)
                if self.log.size > MAX_FLOOD:
                    await self._engine.kill(self._name)
                    return Ended(None, "ended by force: it wrote too much")
        await self._engine.wait(self._name)
        return await self._outcome()

    def _take(self, piece: bytes) -> None:
        if piece:
            self.log.kept += piece[: max(0, MAX_KEPT - len(self.log.kept))]
            self.log.size += len(piece)
            self._hear(piece)

    async def _outcome(self) -> Ended:
        found = await self._engine.inspect(self._name)
        if found is None:
            raise ContainerLost(LOST)
        self.id = str(found["Id"])
        state = found["State"]
        error = "it needed more memory than it was given" if state.get("OOMKilled") else ""
        return Ended(int(state["ExitCode"]), error)


async def _whole(work: Coroutine[Any, Any, str]) -> str:
    """Let it end before a cancel goes through: what it makes has to be known, to be dropped."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=END_SECONDS / 2)
        if not task.cancel() and not task.cancelled():
            task.exception()  # it is told by the cancel already
        raise
