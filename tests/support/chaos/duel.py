"""Two engines on one PostgreSQL store, one killed and one stopped by turns.

Each lives in a pid namespace of its own, as on a machine of its own: neither can look whether the
other's process lives, so only its lease tells.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import structs

from aipartnerupflow.domain import events as e
from tests.support.chaos.blows import Kill, Stop, courses_of
from tests.support.chaos.checks import check_ledgers, check_store, log_of
from tests.support.chaos.ledgers import read_runs
from tests.support.chaos.lives import lives
from tests.support.chaos.places import PostgresPlace
from tests.support.chaos.plan import Plan
from tests.support.chaos.programs import Program, ended, program, wait_for
from tests.support.chaos.tally import Tally

SCAN = 1.0
"""Seconds between two looks of an engine for trees that were left, see `engine.takeover`."""
FENCED = "is no longer run by this engine"
"""What the log of an engine says of a tree that somebody else has taken."""
BEAT = 0.5
"""More than the part of a lease after which it is prolonged."""
HELD_UP = 4.0
"""Seconds for which a transaction that stands still may hold others up, and some to spare."""
LINGER = 0.1
"""Seconds for which the server may still carry out what a dead program has sent."""


def machine() -> Sequence[str] | None:
    """What starts a command in a pid namespace of its own; None where that is not allowed."""
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    apart = ["unshare", *as_user, "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = ["setpriv", "--pdeathsig", "KILL", *apart]  # it must not outlive who started it
    try:
        tried = subprocess.run([*command, "true"], check=False, capture_output=True)
    except FileNotFoundError:
        return None
    return None if tried.returncode else command


class Duel:
    """Two programs that share the trees of one forest and what the other one leaves."""

    def __init__(
        self,
        place: PostgresPlace,
        folder: Path,
        plan: Plan,
        tally: Tally,
        *,
        lease: float,
        prefix: Sequence[str] = (),
    ) -> None:
        self._place, self._folder, self._plan, self._tally = place, folder, plan, tally
        self._lease, self._prefix = lease, prefix
        self._kills: list[Kill] = []
        self._stops: list[Stop] = []
        self._stack = ExitStack()
        self._programs: list[Program] = []

    def fight(self, seconds: float, *, peace: float) -> None:
        """Kill one, stop the other past its lease, by turns, for so long or until all is done.

        In ``peace`` they must come to their end within so many seconds.
        """
        until = time.monotonic() + seconds
        with self._stack:
            self._programs = [self._start(part) for part in (0, 1)]
            turn = 0
            while self._both_run() and time.monotonic() < until:
                self._kill(turn % 2)
                self._breathe(2 * SCAN)
                self._stop(1 - turn % 2)
                self._breathe(2 * SCAN)
                turn += 1
            self._end(peace)
        self._check()

    def fence(self, *, peace: float) -> None:
        """Stop one past its lease inside a transaction; then peace as in `fight`."""
        with self._stack:
            self._programs = [self._start(0, stands=True), self._start(1)]
            wait_for(lambda: self._programs[0].stage == "standing", self._programs[0])
            self._stop(0, held_up=HELD_UP)
            self._end(peace)
        self._check()

    def _start(self, part: int, *, stands: bool = False) -> Program:
        plan = structs.replace(self._plan, part=part, parts=2, watch=self._lease, stands=stands)
        return self._stack.enter_context(program(self._folder, plan, self._prefix))

    def _end(self, peace: float) -> None:
        until = time.monotonic() + peace
        for running in self._programs:
            left = max(1.0, until - time.monotonic())
            self._tally.violated(ended(running, left), "duel")

    def _both_run(self) -> bool:
        return all(running.running() for running in self._programs)

    def _breathe(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._both_run():
            time.sleep(0.01)

    def _kill(self, part: int) -> None:
        victim = self._programs[part]
        before = self._place.position()
        if victim.kill():
            dead = time.monotonic_ns()
            time.sleep(LINGER)
            self._kills.append(Kill(victim.name, before, self._place.position(), dead))
            self._tally.add("engines killed")
            self._programs[part] = self._start(part)

    def _stop(self, part: int, *, held_up: float | None = None) -> None:
        """With ``held_up`` the other one must have stored something after so many seconds."""
        victim = self._programs[part]
        if not victim.running():
            return
        since = time.monotonic_ns()
        victim.signal(signal.SIGSTOP)
        before = self._place.position()
        if held_up is not None:
            time.sleep(held_up)
            if self._place.position() == before:
                self._tally.violated([f"nothing was stored for {held_up} s"], "a held transaction")
        time.sleep(self._lease + 2 * SCAN)
        until = time.monotonic_ns()
        victim.signal(signal.SIGCONT)
        self._breathe(self._lease * BEAT)  # until then its lease has run out, though it is awake
        self._stops.append(Stop(victim.name, before, self._place.position(), since, until))
        self._tally.add("engines stopped" if held_up is None else "engines stopped in a commit")

    def _check(self) -> None:
        log = log_of(self._place.url)
        runs, _ = read_runs(self._folder / "runs")
        faults = [
            *check_store(self._place.url),
            *check_ledgers(log, self._folder, self._kills, self._stops),
        ]
        live = lives(runs, courses_of(log), self._kills, self._stops)
        self._tally.add("calls that woke beside their repetition", live.woken)
        self._tally.violated(faults, f"duel, seed {self._plan.seed}")
        self._tally.add("events in duels", len(log))
        done = sum(isinstance(r.event, e.TaskCompleted) for r in log)
        self._tally.add("tasks completed in duels", done)
        fenced = (self._folder / "stderr").read_text().count(FENCED)
        self._tally.add("trees lost by stopped engines, and logged", fenced)
