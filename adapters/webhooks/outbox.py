"""Which hooks are to be told of what: rows beside the log, each worked on by one server at a time.

A row names its tree, or the request that is to make it: then it was written before the tree was,
and finds it by that request.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...domain.errors import InvalidInput
from ...domain.specs import Request
from ...domain.time import later, to_seconds
from ...domain.webhooks import MAX_HOOKS, Hook
from ..journal.side import Row, Side

DAY: Final = 86_400.0
KEPT: Final = 7 * DAY
"""Seconds for which a hook that has ended is kept."""


class Claimed(Struct, frozen=True):
    """A hook in the hands of ``holder``. Of what stands up to the version ``seen`` it was told all
    that it wants; of the next event ``attempts`` failed, and before it ``missed`` in a row were
    given up without an answer.
    """

    id: str
    tree: str
    hook: Hook
    seen: int
    attempts: int
    missed: int
    holder: str
    since: str
    """When it was registered last."""


class Registered(Struct, frozen=True):
    """A hook as it stands. ``state`` is open, done or failed; ``problem`` is the last one. Up to
    the version ``seen`` the log was looked at for it.
    """

    id: str
    tree: str
    hook: Hook
    seen: int
    attempts: int
    state: Literal["open", "done", "failed"]
    problem: str


class Outbox:
    """All hooks of one store. Blocking; any thread may call. Times ``now`` are in seconds."""

    def __init__(self, side: Side) -> None:
        self._side = side

    def add(
        self,
        tree: str,
        hooks: Sequence[Hook],
        *,
        at: str,
        seen: int = 0,
        request: Request | None = None,
    ) -> tuple[str, ...]:
        """Keep them, of a tree or of a ``request`` whose tree is not there yet.

        The ids: of a request all, of a tree those that were not open; one that is stays as it is.
        Raises `InvalidInput` where there would be more than a tree may have.
        """
        made = "" if request is None else f"{request.key}/{request.body}"
        rows = {_id(tree or made, hook): hook for hook in hooks}
        open_ = {row[0] for row in self._side.read("open_webhooks", {"tree": tree, "made": made})}
        if len(open_ | set(rows)) > MAX_HOOKS:
            raise InvalidInput(f"a tree may have {MAX_HOOKS} webhooks, not more")
        for id, hook in rows.items():
            config = msgspec.json.encode(hook).decode()
            self._side.write(
                "add_webhook",
                {"id": id, "tree": tree, "made": made, "config": config, "seen": seen, "at": at},
            )
        return tuple(id for id in rows if not tree or id not in open_)

    def of(self, tree: str) -> Sequence[Registered]:
        """The hooks of a tree, also those that have ended within a week."""
        return [
            Registered(id, tree, msgspec.json.decode(config, type=Hook), *rest)
            for id, tree, config, *rest in self._side.read("webhooks_of_tree", {"tree": tree})
        ]

    def bind(self, request: Request, tree: str) -> None:
        """Its tree is there."""
        self._side.write("bind_webhooks", {"made": f"{request.key}/{request.body}", "tree": tree})

    def unbound(self) -> Sequence[Request]:
        """The requests whose trees nobody has named yet."""
        rows = self._side.read("unbound_webhooks", {})
        return [Request(*row[0].split("/", 1)) for row in rows]

    def remove(self, ids: Sequence[str]) -> None:
        """Their tree was refused."""
        for id in ids:
            self._side.write("remove_webhook", {"id": id})

    def withdraw(self, ids: Sequence[str], at: str) -> None:
        """What they were registered for ``at`` that time was refused."""
        for id in ids:
            self._side.write("withdraw_webhook", {"id": id, "at": at})

    def claim(
        self, holder: str, now: float, until: float, limit: int, share: int
    ) -> Sequence[Claimed]:
        """Take hooks that have something to be told and are due, those that wait longest first.

        Nobody else gets them before ``until``, unless they are let go of. Of each owner's hooks
        ``share`` are in hands at a time, and as many of those whose last try failed: so receivers
        that hang keep neither other owners' hooks waiting, nor the owner's own that are well.
        """
        values: dict[str, Any] = {"holder": holder, "now": now, "share": share}
        if limit < 1 or not self._side.read("ready_webhooks", values):
            return []
        values |= {"until": until, "limit": limit}
        return [_claimed(row) for row in self._side.write("claim_webhooks", values)]

    def hold(self, claimed: Claimed, until: float) -> bool:
        """Hold it longer. False where it is somebody else's by now."""
        values = {"id": claimed.id, "holder": claimed.holder, "until": until}
        return bool(self._side.write("hold_webhook", values))

    def advance(self, claimed: Claimed, problem: str | None, until: float) -> bool:
        """It was told up to its ``seen``, or that was given up: ``problem``. Held on ``until``.

        False where it is somebody else's by now.
        """
        values = {
            "id": claimed.id, "holder": claimed.holder, "seen": claimed.seen,
            "missed": claimed.missed, "problem": problem, "until": until,
        }  # fmt: skip
        return bool(self._side.write("advance_webhook", values))

    def release(self, claimed: Claimed, now: float) -> None:
        """Let go of it; whatever of the next event has failed still counts."""
        self._side.write(
            "release_webhook", {"id": claimed.id, "holder": claimed.holder, "due": now}
        )

    def put_off(self, claimed: Claimed, attempts: int, due: float, problem: str | None) -> None:
        """Let go of it until it is ``due``."""
        values = {
            "id": claimed.id, "holder": claimed.holder, "attempts": attempts, "due": due,
            "problem": problem,
        }  # fmt: skip
        self._side.write("put_off_webhook", values)

    def end(self, claimed: Claimed, state: str, now: float, problem: str | None = None) -> bool:
        """``done`` or ``failed``. False where it was registered again, for what comes next.

        Its headers, which may be credentials, are not kept.
        """
        hook = replace(claimed.hook, headers={})
        values = {
            "id": claimed.id, "holder": claimed.holder, "state": state, "problem": problem,
            "created_at": claimed.since, "config": msgspec.json.encode(hook).decode(), "now": now,
        }  # fmt: skip
        return bool(self._side.write("end_webhook", values))

    def next_due(self) -> float | None:
        """When the next hook is due, or free, that has something to be told."""
        rows = self._side.read("next_webhook", {})
        due: float | None = rows[0][0] if rows else None
        return due

    def sweep(self, at: str) -> None:
        """Give up hooks whose tree never came within a day, or has long settled; forget old ones.

        ``at`` is the time, as in events.
        """
        now, day_ago = to_seconds(at), later(at, -DAY)
        self._side.write("sweep_unbound_webhooks", {"before": day_ago, "now": now})
        self._side.write("sweep_idle_webhooks", {"before": day_ago, "now": now})
        values = {"before": later(at, -KEPT), "ended": now - KEPT}
        self._side.write("sweep_ended_webhooks", values)


def _id(of: str, hook: Hook) -> str:
    """The same for the same hook, so that registering twice is registering once."""
    return hashlib.sha256(of.encode() + b"\0" + msgspec.json.encode(hook)).hexdigest()[:32]


def _claimed(row: Row) -> Claimed:
    id, tree, config, *rest = row
    return Claimed(id, tree, msgspec.json.decode(config, type=Hook), *rest)
