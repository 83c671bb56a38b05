"""The one backend that an engine takes: in the loop, in threads and in processes."""

from collections.abc import Awaitable, Callable, Mapping

from ...engine.ports import Call, Kind, Report, Stopped
from .inline import Inline
from .process import Processes


class Composite:
    """Sends each attempt where its executor says that it runs.

    An executor that ``kind`` does not know goes to ``inline``, which reports that. ``closing`` is
    awaited when both are closed.
    """

    def __init__(
        self,
        kind: Callable[[str], Kind],
        inline: Inline,
        processes: Processes,
        *,
        closing: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._kind = kind
        self._inline = inline
        self._processes = processes
        self._closing = closing

    @property
    def abandoned(self) -> int:
        """How many threads were given up and still run."""
        return self._inline.abandoned

    def start(self, call: Call, report: Report) -> None:
        """Begin the attempt. Raises RuntimeError after `close`."""
        self._place(call).start(call, report)

    async def stop(self, call: Call) -> Stopped:
        """End the attempt wherever it runs: what its executor says may have changed since."""
        inline = await self._inline.stop(call)
        process = await self._processes.stop(call)
        return Stopped(inline.ended and process.ended, inline.outcome or process.outcome)

    def capacity(self, kind: Kind) -> str:
        """``loop``, ``thread`` or ``process``."""
        return self._backend(kind).capacity(kind)

    def pools(self) -> Mapping[str, int]:
        """The pools of both."""
        return {**self._inline.pools(), **self._processes.pools()}

    async def close(self) -> None:
        """End all attempts and release what is held. Idempotent."""
        await self._inline.close()
        await self._processes.close()
        if self._closing is not None:
            await self._closing()

    def _place(self, call: Call) -> Inline | Processes:
        try:
            return self._backend(self._kind(call.executor))
        except KeyError:
            return self._inline

    def _backend(self, kind: Kind) -> Inline | Processes:
        return self._processes if kind.runs == "process" else self._inline
