"""From a turn to the store, through bad times: what cannot be stored now is given again.

While the store is full, locked or out of reach nothing new is decided, what runs goes on, and what
the last turn came to is given to the store again and again until it takes it. So nothing that was
reported is lost, and a commit whose fate is unknown is stored once.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ..domain.errors import (
    ApflowError,
    CommitUnknown,
    NewerEvent,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)
from .actor import Actor
from .commit import Committer, Results, StoreClosed
from .ports import Unit
from .turn import Provisional, Turn

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("aipartnerupflow.engine")

SAVE_DEADLINE = 10.0
"""Seconds after which those who wait for a commit are told that it is not known to be stored."""
STALL = 0.5
"""A commit that takes longer than its size explains shows as degraded. Seconds."""
ROWS_A_SECOND, BYTES_A_SECOND = 10_000, 10 << 20
"""What any store takes in, however slow its disk."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts to store the same."""


class Health(Struct, frozen=True):
    """``degraded`` says why nothing new is taken on; empty while all is well."""

    degraded: str = ""


class Write(Struct):
    """What is stored of one tree in a turn; ``start`` where it is a start that needs a place.

    ``unsure``: it may have been stored by a try that failed.
    """

    actor: Actor
    unit: Unit
    start: Provisional | None = None
    error: ApflowError | None = None
    unsure: bool = False


Written = Callable[[Turn, Sequence[Write]], None]


class Writing:
    """One commit after the other. ``written`` is called in the loop once its outcome is known."""

    def __init__(
        self, loop: "asyncio.AbstractEventLoop", committer: Committer, written: Written
    ) -> None:
        self._loop = loop
        self._committer = committer
        self._written = written
        self._began = 0.0
        self._fair = STALL
        self._pause = FIRST_PAUSE
        self._reason = ""
        self._late: asyncio.TimerHandle | None = None
        self._told = False
        self.busy = False

    @property
    def health(self) -> Health:
        """How it stands; seen within a second of the first sign."""
        if self._reason:
            return Health(self._reason)
        if self.busy and self._loop.time() - self._began > self._fair:
            return Health("the store has not answered for a while; waiting for it")
        return Health()

    def write(self, turn: Turn, writes: Sequence[Write], *, idle: bool) -> None:
        """Store all in one transaction; in this thread where that is quicker and hurts nobody."""
        units = [write.unit for write in writes]
        self._began = self._loop.time()
        self._told = False
        small = turn.is_small() and not self._reason
        if self._committer.may_inline(idle=idle, small=small):
            self._done(turn, writes, writes, self._committer.commit(units))
            return
        self.busy = True
        self._fair = STALL + turn.rows() / ROWS_A_SECOND + turn.payload / BYTES_A_SECOND
        self._late = self._loop.call_later(SAVE_DEADLINE, self._tell, turn)
        self._submit(turn, writes, writes)

    def _submit(self, turn: Turn, writes: Sequence[Write], todo: Sequence[Write]) -> None:
        def done(results: Results) -> None:
            try:
                self._loop.call_soon_threadsafe(self._done, turn, writes, todo, results)
            except RuntimeError:
                log.warning("the event loop ended before its last commit was answered")

        try:
            self._committer.submit([write.unit for write in todo], done)
        except StoreClosed as error:
            self._conclude(turn, writes, [(write, error) for write in todo])
        except StoreUnavailable as error:
            self._done(turn, writes, todo, [error] * len(todo))

    def _done(
        self, turn: Turn, writes: Sequence[Write], todo: Sequence[Write], results: Results
    ) -> None:
        """Settle what is settled; give the rest to the store again."""
        again: list[Write] = []
        refused: dict[Actor, ApflowError] = {}
        for write, error in zip(todo, results, strict=True):
            write.error = error
            write.unsure |= isinstance(error, CommitUnknown)
            if _may_heal(write, error, self._told):
                again.append(write)
            elif error is not None:
                write.error = _honest(write, error)
                if write.start is None:  # nobody asked for a start
                    refused[write.actor] = write.error
        if not again:
            self._healthy()
            self._conclude(turn, writes, ())
            return
        _refuse(turn, refused)
        self._degrade(turn, str(again[0].error))
        self._loop.call_later(self._pause, self._submit, turn, writes, again)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _conclude(
        self, turn: Turn, writes: Sequence[Write], failed: Sequence[tuple[Write, ApflowError]]
    ) -> None:
        for write, error in failed:
            write.error = _honest(write, error)
        self.busy = False
        if self._late is not None:
            self._late.cancel()
            self._late = None
        self._written(turn, writes)

    def _degrade(self, turn: Turn, reason: str) -> None:
        self.busy = True
        if not self._reason:
            log.warning("nothing new is taken on until the store is back: %s", reason)
        self._reason = reason
        if self._late is None:
            self._late = self._loop.call_later(SAVE_DEADLINE, self._tell, turn)

    def _tell(self, turn: Turn) -> None:
        """Those who wait shall not wait for ever; what they asked for is not given up."""
        self._told = True
        error = CommitUnknown(
            f"not stored within {SAVE_DEADLINE:.0f} s, but not given up either "
            f"({self.health.degraded}). Look at the tree before you repeat the command."
        )
        for answer in turn.answers:
            if not answer.patient and not answer.future.done():
                answer.future.set_exception(error)

    def _healthy(self) -> None:
        if self._reason:
            log.warning("the store is back")
        self._reason, self._pause = "", FIRST_PAUSE


def _refuse(turn: Turn, refused: Mapping[Actor, ApflowError]) -> None:
    """Those whose trees will not be stored need not wait for the others."""
    for answer in turn.answers:
        error = None if answer.actor is None else refused.get(answer.actor)
        if error is not None and not answer.future.done():
            answer.future.set_exception(error)


def _may_heal(write: Write, error: ApflowError | None, told: bool) -> bool:
    """Whether the same may be stored later; a tree that was never stored is refused at once,
    unless who asked for it was ``told`` that it is not given up.

    A refusal may be meant for what is stored with it, so it does not tell that what is unsure was
    not stored. What is damaged or was written by a later version does not heal.
    """
    if not isinstance(error, StoreError) or isinstance(error, StoreCorrupt | NewerEvent):
        return False
    return told or write.unsure or bool(write.actor.stored)


def _honest(write: Write, error: ApflowError) -> ApflowError:
    """What a store that fails for good lets one say of a write."""
    if not write.unsure or not isinstance(error, StoreError):
        return error
    return CommitUnknown(f"it is not known whether it was stored, and now the store fails: {error}")
