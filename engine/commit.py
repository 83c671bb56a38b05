"""Group commit: one writer for a store, whatever the number of trees, engines and threads.

What arrives while a transaction is in flight goes into the next one. A caller with nothing else to
do may write inline, in its own thread, which saves two thread switches a commit.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from ..domain.errors import (
    ApflowError,
    CommandAnswered,
    Defect,
    IdTaken,
    KeyTaken,
    SlotTaken,
    StaleVersion,
    StoreError,
    StoreUnavailable,
)
from .ports import Journal, Unit

log = logging.getLogger("aipartnerupflow.engine")

Results = list[ApflowError | None]
"""One entry per unit: None where it is durable, else why it is not stored."""

Done = Callable[[Results], None]
Group = list[tuple[Sequence[Unit], Done]]


class StoreClosed(StoreUnavailable):
    """It was closed in this process: it will not take anything any more."""


class Committer:
    """The only way into a journal. Thread-safe; its thread starts with the first use and is a
    daemon that drains on `close`.

    ``mode``: ``auto`` (the caller may write inline when nobody else writes), ``inline`` or
    ``thread`` force one way, for measuring. ``free`` says, without waiting, whether the store takes
    a commit at once: a caller's loop must not stand still for another process.
    """

    def __init__(
        self,
        journal: Journal,
        committed: Callable[[], None],
        *,
        mode: str = "auto",
        free: Callable[[], bool] = lambda: True,
    ) -> None:
        self.mode = mode
        self._free = free
        self._journal = journal
        self._committed = committed
        self._writing = threading.Lock()
        self._wake = threading.Condition()
        self._queue: Group = []
        self._thread: threading.Thread | None = None
        self._closing = False

    def commit(self, units: Sequence[Unit]) -> Results:
        """Write in this thread; blocks until durable or refused."""
        with self._writing:
            results = _append(self._journal, units)
        self._committed()
        return results

    def may_inline(self, *, idle: bool, small: bool) -> bool:
        """Whether a caller should write in its own thread: nothing of it runs, little to write."""
        if self.mode != "auto":
            return self.mode == "inline"
        if not idle or not small or self._queue or self._writing.locked():
            return False
        return self._free()

    def submit(self, units: Sequence[Unit], done: Done) -> None:
        """Hand over to the writer thread, which calls ``done`` once the outcome is known.

        Raises `StoreClosed`, or `StoreUnavailable` where the thread cannot be started now; then
        ``done`` is never called.
        """
        with self._wake:
            if self._closing:
                raise StoreClosed("the store is being closed; open it again")
            if self._thread is None:
                self._thread = self._started()
            self._queue.append((units, done))
            self._wake.notify()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="apflow-writer", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise StoreUnavailable(
                f"the store cannot be written for now: {error}. The process, or the machine, has "
                "too many threads."
            ) from error
        return thread

    def close(self) -> None:
        """Write what is queued, then end the thread. Idempotent."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        try:
            while group := self._next_group():
                self._write(group)
        finally:
            with self._wake:
                self._thread = None

    def _next_group(self) -> Group:
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            group, self._queue = self._queue, []
            return group

    def _write(self, group: Group) -> None:
        """Write a group and answer; a defect on the way is an answer too, then ends the thread."""
        units = [unit for some, _ in group for unit in some]
        results: Results = [StoreUnavailable("the writer broke down; see the log")] * len(units)
        try:
            with self._writing:
                results = _append(self._journal, units)
            self._committed()
        finally:
            at = 0
            for some, done in group:
                done(results[at : at + len(some)])
                at += len(some)


def _append(journal: Journal, units: Sequence[Unit]) -> Results:
    """All at once; where one is in conflict, or a defect shows, one by one, so that it alone is
    refused.
    """
    try:
        journal.append(units)
    except (StaleVersion, IdTaken, KeyTaken, SlotTaken, CommandAnswered) as error:
        return [error] if len(units) == 1 else _one_by_one(journal, units)
    except ApflowError as error:
        return [error] * len(units)
    except Exception as error:  # noqa: BLE001 - the other trees have done nothing
        return [_defect(units[0], error)] if len(units) == 1 else _one_by_one(journal, units)
    return [None] * len(units)


def _defect(unit: Unit, error: Exception) -> Defect:
    """It would show again: the unit is not to be given to the store again."""
    tree = unit[0].tree
    log.error("a defect showed while events of tree %s were stored", tree, exc_info=error)
    return Defect(tree)


def _one_by_one(journal: Journal, units: Sequence[Unit]) -> Results:
    """What builds on a refused unit is refused with it: its version may fit by chance.

    Where the store failed it is told the same, so that both may be given again.
    """
    results: Results = []
    refused: dict[tuple[str, int], ApflowError] = {}
    for unit in units:
        behind = [append for append in unit if (append.tree, append.expected) in refused]
        result: ApflowError | None
        if not behind:
            (result,) = _append(journal, [unit])
        else:
            result = refused[behind[0].tree, behind[0].expected]
            if not isinstance(result, StoreError):
                result = StaleVersion(behind[0].tree, behind[0].expected)
        if result is not None and not isinstance(result, SlotTaken):
            refused |= {(a.tree, a.expected + len(a.events)): result for a in unit}
        results.append(result)
    return results
