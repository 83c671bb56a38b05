"""A program to be killed: takes up what is open in a store, submits trees, waits for their end.

    python -m tests.support.chaos.program '{"url": …}'

Its argument is a `Plan`. Its stages are lines on stdout; what it was told goes into the ledgers.
Dies with the process that started it.
"""

import asyncio
import ctypes
import importlib
import os
import random
import shutil
import signal
import struct
import sys
from asyncio import FIRST_COMPLETED
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from aipartnerupflow.api import wiring
from aipartnerupflow.api.stores import Store
from aipartnerupflow.domain.errors import (
    ApflowError,
    CommitUnknown,
    OwnedElsewhere,
    Released,
    StaleVersion,
    StoreError,
)
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.intake import read
from aipartnerupflow.engine.actor import Actor, Observer
from aipartnerupflow.engine.engine import Engine
from aipartnerupflow.engine.lifecycle import NewTree, create, resume
from aipartnerupflow.engine.takeover import Watch
from tests.support.chaos import forest, jobs
from tests.support.chaos.clocks import set_clock
from tests.support.chaos.ledgers import ledger
from tests.support.chaos.plan import Plan
from tests.support.chaos.troubles import trouble

SET_PARENT_DEATH_SIGNAL = 1
DENIED = 0.1
"""Seconds to wait after a submission was refused."""
LEFT = (Released, StaleVersion, OwnedElsewhere)
"""How the wait for a tree ends when somebody else has taken it."""


def die_with_parent() -> None:
    """The kernel kills this process when the thread that started it is gone (prctl(2))."""
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def say(stage: str) -> None:
    """To who started this program."""
    os.write(1, f"{stage}\n".encode())


def fencing() -> Any:
    """The module, loaded only where it is used: psycopg comes with it, which takes its time."""
    return importlib.import_module("tests.support.chaos.fencing")


@cache
def index_of(url: str) -> int:
    """The index of a SQLite store's write-ahead log, open for good: when any descriptor of it is
    closed, this process loses all locks that SQLite has on it.
    """
    return os.open(f"{url}-shm", os.O_RDONLY)


def frames(url: str) -> str:
    """Where the write-ahead log of a SQLite store ends now: its salt, and how many frames."""
    if "://" in url:
        return "-"
    head = os.pread(index_of(url), 48, 0)
    return f"{head[32:40].hex()}:{struct.unpack('=I', head[16:20])[0]}"


def told(url: str, tree: str, facts: Sequence[AnyEvent]) -> None:
    """Followers hear of a commit: from here on it must never be lost."""
    end = frames(url)
    ledger("acks").write(
        *(("told", tree, fact.topic, fact.at, getattr(fact, "task", "-"), end) for fact in facts)
    )


class Driver:
    """Runs the plan on one engine."""

    def __init__(self, plan: Plan, store: Store, engine: Engine) -> None:
        self._plan, self._store, self._engine = plan, store, engine
        self._running: set[asyncio.Task[None]] = set()

    async def resume(self) -> None:
        """Take up what nobody drives, now or whenever it is found."""
        if self._plan.watch is not None:
            self._engine.serve(Watch(self._engine).serve())
            return
        resumed = await resume(self._engine, observers=lambda id: [self._observer(id)])
        for id, error in resumed.refused.items():
            ledger("acks").write(("refused", id, type(error).__name__))
        for actor in resumed.taken:
            self._follow(actor)

    async def run(self) -> None:
        """Submit what is missing, wait for all of it, and with ``watch`` for everybody else's."""
        plan = self._plan
        numbers = iter(range(plan.part, plan.trees, plan.parts))
        more = True
        while more or self._running:
            more = more and not await asyncio.to_thread(Path("enough").exists)
            while more and len(self._running) < plan.beside:
                number = next(numbers, None)
                more = number is not None
                if number is not None and await self._is_missing(number):
                    await self._submit(number)
            if self._running:
                done, self._running = await asyncio.wait(self._running, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
        if plan.watch is not None:
            await self._others()

    async def _is_missing(self, number: int) -> bool:
        """Whether no former life has submitted it; where that cannot be told it is left out."""
        try:
            id = forest.id_of(self._plan.seed, number)
            return await asyncio.to_thread(self._store.reads.tree, id) is None
        except StoreError:
            return False

    async def _others(self) -> None:
        """Until nothing is open anywhere."""
        journal, feed = self._store.journal, self._store.feed
        while True:
            position = await asyncio.to_thread(journal.position)
            if not await asyncio.to_thread(journal.open_work):
                return
            await feed.changed(position)

    async def _submit(self, number: int) -> None:
        """Create and start a tree; what comes of it is an answer to be checked."""
        plan = self._plan
        id = forest.id_of(plan.seed, number)
        tasks = forest.grown(
            plan.seed, number,
            smallest=plan.smallest, largest=plan.largest, slower=plan.slower,
        )  # fmt: skip
        intake = read([msgspec.json.encode(task) for task in tasks], wiring.new_id)
        new = NewTree(intake.specs, id, intake.owner)
        try:
            actor = await create(self._engine, new, wiring.new_id, observers=[self._observer(id)])
        except CommitUnknown:
            ledger("acks").write(("unknown", id))
            self._running.add(asyncio.ensure_future(self._come_of(id)))
        except ApflowError as error:
            ledger("acks").write(("denied", id, type(error).__name__))
            await asyncio.sleep(DENIED)
        else:
            ledger("acks").write(("submitted", actor.tree.id))
            self._follow(actor)

    async def _come_of(self, id: str) -> None:
        """A tree whose fate is not known is not given up: where it is stored it is run."""
        actor = self._engine.actors.get(id)
        if actor is not None:
            with suppress(ApflowError):
                await actor.waiter()

    def _observer(self, tree: str) -> Observer:
        return partial(told, self._plan.url, tree)

    def _follow(self, actor: Actor) -> None:
        self._running.add(asyncio.ensure_future(self._wait(actor)))

    async def _wait(self, actor: Actor) -> None:
        try:
            status = await actor.waiter()
        except LEFT as error:
            if self._plan.watch is None:
                raise
            ledger("notes").write(("left", actor.tree.id, type(error).__name__))
        else:
            ledger("acks").write(("settled", actor.tree.id, status))


async def main(plan: Plan) -> None:
    """Resume, submit, wait."""
    say("opening")
    if plan.watch is not None:
        fencing().shorten_leases(plan.watch)
    wiring.load_modules([jobs.__name__])
    store = wiring.open_store(plan.url)
    if plan.stands:
        fencing().stand_in_transaction(store, partial(say, "standing"))
    say("opened")
    async with store.engine() as engine:
        if plan.jumps is not None:
            engine.in_background(set_clock(random.Random(plan.jumps)))
            await asyncio.sleep(0)
        driver = Driver(plan, store, engine)
        say("resuming")
        await driver.resume()
        say("resumed")
        if plan.trouble:
            engine.in_background(trouble(plan, store, engine))
        await driver.run()
    store.close()
    if plan.trouble:
        shutil.copyfile(plan.url, "kept.db")


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Plan)))
