"""Every error the system raises on purpose.

    ApflowError
    ├── InvalidGraph            the tree as written cannot be run; carries every fault at once
    ├── InvalidInput            a value that a caller gave is not usable
    ├── InvalidTransition       the state does not allow this command; nothing was written
    │   └── NotADraft           only drafts may gain, change or lose tasks
    ├── NotFound                no such task or tree in this store
    ├── IdTaken                 an id is in use already; decide again with fresh ones
    ├── KeyTaken                a request with this idempotency key has made a tree already
    ├── StaleVersion            somebody else wrote to the stream first
    ├── VersionMismatch         the caller asked for a change of another version
    ├── SlotTaken               a concurrency key has no place left in the whole store
    ├── CommandAnswered         a command out of the inbox was carried out by somebody else
    ├── OwnedElsewhere          a living engine drives this tree
    ├── Released                the engine let go of the tree: interrupted, and resumable
    ├── ExecutorMissing         an executor that unfinished work needs is not registered here
    ├── ExecutorDisabled        an executor is there, but its operator has not enabled it
    ├── TargetRefused           a connection was asked for that may not be opened
    ├── Defect                  this software did what it must not; the tree was let go of
    ├── NotBuilt                named by the documents, absent in this version
    └── StoreError              the store cannot be used as asked
        ├── StoreUnavailable    missing, unreachable, locked for too long
        │   └── CommitUnknown   whether a commit was stored cannot be found out yet
        ├── StoreReadOnly
        ├── StoreFull
        ├── StoreCorrupt        what is stored is not what was written
        └── NewerEvent          written by a later version of this software

Each message says what happened, why, and what to do. None echoes input values.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import force_setattr

from .wording import quoted

MAX_KEY = 255
MAX_POINTER = 4_000
"""So many characters of a place are told."""


class ApflowError(Exception):
    """Base of all errors raised on purpose."""


class Fault(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with a graph or an input.

    ``code`` is stable and machine-readable, ``where`` the key of a task (or a JSON Pointer into the
    document when there is no key yet), ``message`` a sentence for people.
    """

    code: str
    where: str
    message: str

    def __post_init__(self) -> None:
        most = MAX_POINTER if self.where.startswith("/") else MAX_KEY
        if len(self.where) > most:
            force_setattr(self, "where", self.where[:most])

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


MAX_FAULTS = 1_000
"""So many faults of one tree are told."""


class InvalidGraph(ApflowError):
    """The tree cannot be run as written. ``faults`` lists all that is wrong, not only the first.

    Of very many it lists the first `MAX_FAULTS`, and one more that says that there are others.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        if len(faults) > MAX_FAULTS:
            more = Fault("more", "", "there are more faults; mend these first")
            faults = [*faults[:MAX_FAULTS], more]
        self.faults = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


class InvalidInput(ApflowError):
    """A value given by the caller is not usable; says which and why."""


class InvalidTransition(ApflowError):
    """The state does not allow this command. Nothing was written."""


class NotADraft(InvalidTransition):
    """Only a tree that was neither submitted nor adopted yet may change its tasks."""

    def __init__(self, tree: str) -> None:
        super().__init__(
            f"tree {tree} is no draft (any more): its tasks cannot be added to, changed or "
            "deleted. Create a new tree instead."
        )


class NotFound(ApflowError):
    """No task or tree by that id."""

    def __init__(self, what: str, id: str) -> None:
        self.what, self.id = what, id
        super().__init__(
            f"no {what} with id {quoted(id)} in this store. `apflow list` shows what is there."
        )


class IdTaken(ApflowError):
    """A task id exists in the store already. The same command with fresh ids will pass."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        super().__init__(
            f"id already in use: {', '.join(self.ids) or 'unknown'}. "
            "Choose another id or leave it out."
        )


class KeyTaken(ApflowError):
    """A tree was made by a request with this key (the hash of owner and key) already."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__("the idempotency key was used before; read the tree that it made")


class VersionMismatch(ApflowError):
    """The tree is at another version than the caller asked for. Nothing was written."""

    def __init__(self, tree: str, expected: int, found: int) -> None:
        self.tree, self.expected, self.found = tree, expected, found
        super().__init__(
            f"tree {tree} is at version {found}, not {expected}. Read it again, then decide anew."
        )


class StaleVersion(ApflowError):
    """The stream has moved on since it was read: the append was refused, nothing was written."""

    def __init__(self, tree: str, expected: int) -> None:
        self.tree, self.expected = tree, expected
        super().__init__(
            f"tree {tree} is no longer at version {expected}: somebody else wrote to it. "
            "Read it again."
        )


class SlotTaken(ApflowError):
    """No place is left under a concurrency key: the start was refused, nothing was written."""

    def __init__(self, tree: str, key: str) -> None:
        self.tree, self.key = tree, key
        super().__init__(f"all places of the concurrency key {quoted(key)} are taken")


class CommandAnswered(ApflowError):
    """The command has an outcome already: nothing was written."""

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"the command {id} was carried out already; read its outcome")


class OwnedElsewhere(ApflowError):
    """A living engine drives the tree."""

    def __init__(self, tree: str, engine: str) -> None:
        self.tree, self.engine = tree, engine
        super().__init__(
            f"tree {tree} is being run by engine {engine}, which is alive. "
            "Stop that process first, or take the tree over with --take-over."
        )


class Released(ApflowError):
    """The engine that drove the tree let go of it. Nothing is lost; it can be resumed."""

    def __init__(self, tree: str) -> None:
        self.tree = tree
        super().__init__(f"tree {tree} was interrupted; `apflow resume {tree}` goes on with it")


class ExecutorMissing(ApflowError):
    """Unfinished tasks need executors that are not registered in this process.

    ``missing`` maps an executor id to the module that defined it when the tree was submitted.
    """

    def __init__(self, tree: str, missing: dict[str, str]) -> None:
        self.tree, self.missing = tree, missing
        names = ", ".join(sorted(missing))
        hints = " ".join(f"--import {m}" for m in sorted({m for m in missing.values() if m}))
        advice = f"Load it with {hints}." if hints else "Import the module that registers it."
        super().__init__(
            f"tree {tree} needs executor {names}, which is not registered here. {advice}"
        )


class ExecutorDisabled(ApflowError):
    """The executor exists but is switched off, or what was asked of it is not on its allow-list."""


class TargetRefused(ApflowError):
    """A task or a client asked for a connection that may not be opened. It will not be another
    time either, unless the operator allows it.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"the target of the connection is refused: {why}.")


class Defect(ApflowError):
    """Something that this software must not do went wrong while it ran a tree.

    What is stored is what was decided before; the tree can be taken up again.
    """

    def __init__(self, tree: str = "") -> None:
        where = f"while tree {tree} was run. It was let go of" if tree else "in a command"
        super().__init__(
            f"a defect of this software showed {where}; what is stored is right, and goes on from "
            "there when it is resumed. The log has more: please report it."
        )


class NotBuilt(ApflowError):
    """Named by the documents, absent in this version; says what to use instead."""


class StoreError(ApflowError):
    """The store cannot be used as asked."""


class StoreUnavailable(StoreError):
    """The store is missing, unreachable, or locked for longer than the configured time."""


class CommitUnknown(StoreUnavailable):
    """Whether the commit was stored cannot be found out now; the same commit may be given again."""


class StoreReadOnly(StoreError):
    """The store can be read but not written."""


class StoreFull(StoreError):
    """No space left for the store. What was acknowledged before is kept."""


class StoreCorrupt(StoreError):
    """What is stored is not what was written."""


class NewerEvent(StoreError):
    """An event was written by a later version of this software and is not guessed at."""

    def __init__(self, topic: str, version: int) -> None:
        super().__init__(
            f"the store holds an event {topic!r} of version {version}, which this version of "
            "aipartnerupflow does not know. Upgrade aipartnerupflow to read it; "
            "nothing was changed."
        )
