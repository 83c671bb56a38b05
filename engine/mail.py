"""Commands that cross processes: asked for here, carried out by the engine that drives the tree."""

import asyncio
import logging
from typing import TYPE_CHECKING

from ..domain.decide import Stamp
from ..domain.errors import (
    ApflowError,
    CommitUnknown,
    Defect,
    InvalidTransition,
    OwnedElsewhere,
    StoreError,
)
from .commands import Done, decide_command, done_of, outcome_of, refusal_of, require_version
from .defects import tell
from .errand import Errand
from .lifecycle import reopen
from .loading import load
from .ports import Answered, Command, Inbox, Journal, Liveness, Subscription

if TYPE_CHECKING:
    from .actor import Actor
    from .engine import Engine
    from .turn import Decision, Turn

log = logging.getLogger("aipartnerupflow.engine")

PATIENCE = 5.0
"""Seconds for which the owner of a tree may take to answer."""
LOOK = 0.02
"""Seconds between two looks for the answer, at first; up to ten times that."""
AGAIN = 1.0
"""Seconds to wait after the inbox could not be read."""


class Asked:
    """A command that its owner has not answered yet: it will be carried out, or refused."""

    def __init__(self, command: Command, owner: str) -> None:
        self.command, self.owner = command, owner


class Sender:
    """Has commands carried out, whoever drives their trees."""

    def __init__(
        self, journal: Journal, inbox: Inbox | None, liveness: Liveness, errand: Errand
    ) -> None:
        self._journal = journal
        self._inbox = inbox
        self._liveness = liveness
        self._errand = errand

    async def send(self, command: Command, *, patience: float = PATIENCE) -> Done | Asked:
        """What came of it; `Asked` where the owner lives and takes longer than ``patience``.

        Raises what refuses the command, `NotFound` for a tree that there is not.
        """
        sent = [False]
        try:
            return await self._send(command, patience, sent)
        except StoreError as error:
            if sent[0] and not isinstance(error, CommitUnknown):
                raise CommitUnknown(
                    f"command {command.id} lies in the inbox of tree {command.tree}, and what "
                    f"becomes of it cannot be read now. ({error})"
                ) from error
            raise

    async def _send(self, command: Command, left: float, sent: list[bool]) -> Done | Asked:
        """``sent[0]`` turns True as soon as it may lie in the inbox."""
        pause = LOOK
        while True:
            owner = await asyncio.to_thread(self._living_owner, command.tree)
            if owner is None or self._inbox is None:
                done = await asyncio.to_thread(self._do_it_here, command, sent[0])
                if done is not None:
                    return done
                continue
            if not sent[0]:
                sent[0] = True
                await asyncio.to_thread(self._inbox.send, command)
            outcome = await asyncio.to_thread(self._outcome, command)
            if outcome is not None:
                return done_of(outcome)
            if left <= 0:
                return Asked(command, owner)
            await asyncio.sleep(pause)
            left, pause = left - pause, min(pause * 1.5, LOOK * 10)

    def _outcome(self, command: Command) -> bytes | None:
        """As far as it can be read now: the command lies there, and is not refused by that."""
        assert self._inbox is not None
        try:
            return self._inbox.outcome(command.id)
        except StoreError as error:
            log.info("the outcome of command %s cannot be read: %s", command.id, error)
            return None

    def _do_it_here(self, command: Command, sent: bool) -> Done | None:
        """Nobody drives the tree; None where somebody does after all.

        Whoever did may have carried it out before: then that counts.
        """
        try:
            return self._ran(command, left=sent)
        except ApflowError as error:
            outcome = self._inbox.outcome(command.id) if sent and self._inbox is not None else None
            if outcome is not None:
                return done_of(outcome)
            if isinstance(error, OwnedElsewhere) and self._inbox is not None:
                return None
            if sent and self._inbox is not None and not isinstance(error, StoreError):
                return self._refuse(self._inbox, command, error)
            raise

    def _ran(self, command: Command, *, left: bool) -> Done:
        """Raises `Defect` instead of what it must not raise: a letter is answered then, too."""
        try:
            return self._errand.carry_out(command, left=left)
        except ApflowError:
            raise
        except Exception as error:
            log.exception("a defect showed in a command for tree %s", command.tree)
            raise Defect(command.tree) from error

    def _refuse(self, inbox: Inbox, command: Command, error: ApflowError) -> Done:
        """Raises ``error``, unless somebody has answered meanwhile: then that counts."""
        refusal = refusal_of(error)
        inbox.refuse(Answered(command.id, refusal))
        outcome = inbox.outcome(command.id)
        if outcome is None or outcome == refusal:
            raise error
        return done_of(outcome)

    def _living_owner(self, tree: str) -> str | None:
        owned = self._journal.owner(tree)
        if owned is None or owned.released or not owned.engine:
            return None
        return owned.engine if self._liveness.alive(owned.engine) is not False else None


class _NotHere(InvalidTransition):
    """The tree has left this engine's hands."""


def decision_of(engine: "Engine", command: Command, *, left: bool) -> "Decision":
    """Decide a command in a turn; ``left``: its outcome goes to the inbox with its events.

    Its answer is the tree's version, and whether it made any event.
    """

    def decision(turn: "Turn") -> "tuple[Actor | None, tuple[int, bool]]":
        actor = engine.actors.get(command.tree)
        if actor is None:
            raise _NotHere(f"tree {command.tree} is no longer run by this engine")
        if command.id in actor.carried_out:  # it was looked for before its answer was stored
            return None, (actor.tree.version, False)
        require_version(actor.tree, command)
        stamp = turn.stamp_for(actor, command.by, command.id)
        facts = decide_command(actor.tree, command, stamp, engine.executors)
        if not facts:  # told once what the tree's state stands on is stored
            return actor, (actor.tree.version, False)
        actor.apply(facts)
        if left:
            actor.answer(command.id, outcome_of(actor.tree.version))
        return actor, (actor.tree.version, True)

    return decision


async def carry_out(engine: "Engine", command: Command) -> Done:
    """A command for a tree that ``engine`` drives; returns once it is durable."""
    decision = decision_of(engine, command, left=False)
    version, _ = await engine.command(decision, tree=command.tree)
    return Done(version)


class Mailroom:
    """Takes what lies in the inbox for the trees of one engine."""

    def __init__(self, engine: "Engine", inbox: Inbox, feed: Subscription) -> None:
        self._engine = engine
        self._inbox = inbox
        self._feed = feed
        self._taken: set[str] = set()

    async def serve(self) -> None:
        """Until cancelled: a store that cannot be read now is asked again."""
        while True:
            try:
                await self._feed.mail()
                await self._take()
            except StoreError as error:
                log.info("the inbox cannot be read: %s", error)
                await asyncio.sleep(AGAIN)
            except Exception as error:  # noqa: BLE001 - the next look may be better
                tell(self._engine, "a defect showed in a look into the inbox", error)
                await asyncio.sleep(AGAIN)

    async def _take(self) -> None:
        for command in await asyncio.to_thread(self._inbox.pending, self._engine.name):
            if command.id not in self._taken:
                self._taken.add(command.id)
                self._engine.in_background(self._carry_out(command))

    async def _carry_out(self, command: Command) -> None:
        try:
            outcome = await self._outcome(command)
            if outcome is not None:
                answer = Answered(command.id, outcome)
                await asyncio.to_thread(self._inbox.refuse, answer)
        except StoreError as error:
            log.warning("command %s was not answered yet: %s", command.id, error)
        finally:
            self._taken.discard(command.id)

    async def _outcome(self, command: Command) -> bytes | None:
        """What `_decided` says; a command at which a defect shows is not tried again."""
        try:
            return await self._decided(command)
        except ApflowError:
            raise
        except Exception as error:  # noqa: BLE001 - else who asked would wait for ever
            tell(self._engine, f"a defect showed in a command for tree {command.tree}", error)
            return refusal_of(Defect(command.tree))

    async def _decided(self, command: Command) -> bytes | None:
        """The outcome where it makes no event; None where it stands with its events."""
        try:
            decision = decision_of(self._engine, command, left=True)
            version, changed = await self._engine.post(decision, tree=command.tree)
        except _NotHere:
            return await self._after_the_end(command)
        except StoreError:
            raise
        except ApflowError as error:
            return refusal_of(error)
        return None if changed else outcome_of(version)

    async def _after_the_end(self, command: Command) -> bytes | None:
        """What becomes of a command that came too late; None where that is stored with its events,
        or left to whoever drives the tree.
        """
        tree = await asyncio.to_thread(load, self._engine.journal, command.tree)
        if not tree.settled:
            return None
        try:
            if command.name == "rerun":
                await reopen(self._engine, command, left=True)
                return None
            require_version(tree, command)
            decide_command(tree, command, Stamp(tree.at), self._engine.executors)
        except StoreError:
            raise
        except OwnedElsewhere:  # it goes on since: whoever drives it finds the letter
            return None
        except ApflowError as error:
            return refusal_of(error)
        return outcome_of(tree.version)
