"""Attempts in worker processes, one at a time in each."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence

from ...domain.specs import ErrorInfo
from ...engine.ports import Call, Gone, Kind, Outcome, Raised, Report, Stopped
from .attempts import Attempts
from .frames import pack, start
from .handle import Handle, WorkerDied

SLACK = 5.0
"""Seconds, after SIGKILL, until a process that does not end is given up."""


class Processes:
    """Runs attempts in worker processes, started when needed and used again.

    ``kind`` tells the module of an executor; a worker imports it, after ``imports``. ``size`` is
    the number of workers (default: of cores). A worker whose attempt is stopped gets SIGTERM and,
    ``grace`` seconds later, SIGKILL, and with it its whole process group.
    """

    def __init__(
        self,
        kind: Callable[[str], Kind],
        *,
        size: int | None = None,
        imports: Sequence[str] = (),
        grace: float = 2.0,
    ) -> None:
        self._kind = kind
        self._size = size or os.cpu_count() or 1
        self._imports = tuple(imports)
        self._grace = grace
        self._attempts = Attempts(self._run, grace + SLACK)
        self._slots = asyncio.Semaphore(self._size)
        self._idle: list[Handle] = []

    def start(self, call: Call, report: Report) -> None:
        """Begin the attempt. Raises RuntimeError after `close`."""
        self._attempts.begin(call, report)

    async def stop(self, call: Call) -> Stopped:
        """End the worker that runs the attempt, and all that it started."""
        return await self._attempts.stop(call)

    def capacity(self, kind: Kind) -> str:
        """``process``."""
        return "process"

    def pools(self) -> Mapping[str, int]:
        """The number of workers."""
        return {"process": self._size}

    async def close(self) -> None:
        """End all attempts and all workers. Idempotent."""
        await self._attempts.close()
        idle, self._idle = self._idle, []
        await asyncio.gather(*(worker.close(self._grace) for worker in idle))

    async def _run(self, call: Call) -> Outcome:
        if call.reattach:
            return Gone()  # it died with its worker, and that with its engine
        module = self._kind(call.executor).module
        if module == "__main__":
            return Raised(_in_main(call.executor))
        modules = (*self._imports, module) if module else self._imports
        frame = pack(start(modules, call))
        async with self._slots:
            return await self._in_worker(frame, call)

    async def _in_worker(self, frame: bytes, call: Call) -> Outcome:
        """A worker serves again only where its attempt has ended in good order."""
        worker = self._living() or Handle()
        try:
            outcome = await worker.run(frame, call.port)
        except WorkerDied as death:
            await worker.kill(self._grace)
            return Raised(death.error)
        except asyncio.CancelledError:
            late = await worker.kill(self._grace)
            if late is None:
                raise
            return late
        except BaseException:
            await worker.kill(self._grace)
            raise
        self._idle.append(worker)
        return outcome

    def _living(self) -> Handle | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            worker.release()
        return None


def _in_main(executor: str) -> ErrorInfo:
    return ErrorInfo(
        "executor_in_main",
        f"executor {executor} is defined in __main__, the script that was started: a worker "
        "process cannot import that. Move the executor into a module and import it from there.",
    )
