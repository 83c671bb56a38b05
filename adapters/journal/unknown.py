"""What became of commits that reported a failure.

With its random salt the hash of an event is nobody else's: the one that is stored at our version is
ours, or our commit did not happen. Where the store cannot be asked, what it was given is
remembered, so that the same appends may be given again and are stored once.
"""

import threading
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, NoReturn

import msgspec
from msgspec import Struct

from ...domain.errors import CommitUnknown, StoreError, StoreFull, StoreReadOnly
from ...domain.events import AnyEvent
from ...engine.ports import Append

if TYPE_CHECKING:
    from .journal import Batch, Recorder

MAX_APPENDS = 10_000
"""So many are remembered; the oldest go first."""

_encode = msgspec.json.Encoder().encode


class Try(Struct, frozen=True):
    """One time that an append was given: what it said, and the hash that its last event has then.

    ``answered``: the commands that it answers.
    """

    count: int
    said: bytes
    hash: bytes
    answered: frozenset[str]


class Unknown:
    """The tries of which it is not known whether they were stored. Thread-safe."""

    def __init__(self, recorder: "Recorder") -> None:
        self._recorder = recorder
        self._tries: dict[tuple[str, int], list[Try]] = {}
        self._lock = threading.Lock()

    def resolve(
        self, appends: Sequence[Append], batches: Sequence["Batch"], failure: StoreError
    ) -> int | None:
        """The store's position if the batches, which are these appends, were stored after all.

        None where they were not. Raises `CommitUnknown`.
        """
        if not all(batch.hashes for batch in batches):
            return None  # it did not come to a commit
        hash_at = self._recorder.hash_at
        try:
            if not all(
                hash_at(batch.tree, batch.expected + len(batch.stored)) == batch.hashes[-1]
                for batch in batches
            ):
                return None
        except StoreError as error:
            if isinstance(failure, StoreFull | StoreReadOnly):
                return None
            self._lose(appends, batches, error)
        try:
            return self._recorder.position()
        except StoreError as error:
            self._lose(appends, batches, error)

    def _lose(
        self, appends: Sequence[Append], batches: Sequence["Batch"], error: StoreError
    ) -> NoReturn:
        of = {batch.tree: batch for batch in batches}
        for append in appends:
            batch = of[append.tree]
            last = append.expected + len(append.events) - batch.expected - 1
            self._remember(append, batch.hashes[last])
        raise _unknown(error) from error

    def _remember(self, append: Append, hash: bytes) -> None:
        key = (append.tree, append.expected)
        answered = frozenset(answer.id for answer in append.answers)
        made = Try(len(append.events), _digest(append.events), hash, answered)
        with self._lock:
            self._tries[key] = [*self._tries.pop(key, ()), made]
            while len(self._tries) > MAX_APPENDS:
                del self._tries[next(iter(self._tries))]

    def left(self, appends: Sequence[Append]) -> Sequence[Append]:
        """What earlier tries have not stored of these; the same object where that is all.

        Raises `CommitUnknown`.
        """
        if not self._tries:
            return appends
        try:
            rests = [self._rest(append) for append in appends]
        except StoreError as error:
            raise _unknown(error) from error
        if all(rest is append for rest, append in zip(rests, appends, strict=True)):
            return appends
        return [rest for rest in rests if rest.events]

    def _rest(self, append: Append) -> Append:
        with self._lock:
            tries = self._tries.get((append.tree, append.expected), ())
        for one in tries:
            if (
                one.said == _digest(append.events[: one.count])
                and self._recorder.hash_at(append.tree, append.expected + one.count) == one.hash
            ):
                return self._rest(_after(append, one))
        return append

    def position(self) -> int:
        """The store's, where earlier tries have stored all. Raises `CommitUnknown`."""
        try:
            return self._recorder.position()
        except StoreError as error:
            raise _unknown(error) from error

    def forget(self, appends: Sequence[Append]) -> None:
        """These are stored."""
        if self._tries:
            with self._lock:
                for append in appends:
                    self._tries.pop((append.tree, append.expected), None)


def _after(append: Append, stored: Try) -> Append:
    """The append without what was stored of it."""
    return msgspec.structs.replace(
        append,
        expected=append.expected + stored.count,
        events=append.events[stored.count :],
        answers=[answer for answer in append.answers if answer.id not in stored.answered],
    )


def _digest(events: Sequence[AnyEvent]) -> bytes:
    return sha256(_encode([(event.topic, event.version, event) for event in events])).digest()


def _unknown(error: StoreError) -> CommitUnknown:
    return CommitUnknown(
        "the store was lost in the middle of a commit, and whether it was stored cannot be found "
        f"out. Look at the tree before you repeat the command. ({error})"
    )
