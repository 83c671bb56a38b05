"""kill -9 of whole programs, at event counts that chance chooses, until they have had enough."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.chaos.blows import Kill
from tests.support.chaos.checks import check_ledgers, check_store, log_of
from tests.support.chaos.places import Place, looking_at
from tests.support.chaos.plan import Plan
from tests.support.chaos.programs import LOOK, STAGES, Nursery, Program, ended, nursery, program
from tests.support.chaos.tally import Tally

KILLS_A_ROUND = 60
JUMPY = 0.3
"""So many programs have a clock that is set again and again."""
STUCK = 20.0
"""Seconds in which some more events must be stored."""
COLD = 0.1
"""So many programs begin with loading their modules, as they do in life."""


def kill_rounds(
    place_of: Callable[[int], Any],
    folder: Path,
    tally: Tally,
    *,
    seed: int,
    enough: Callable[[], bool],
) -> None:
    """Rounds of kills, each on a store of its own, until there is enough of them or a violation."""
    folder.mkdir(parents=True)
    with nursery(folder) as quick:
        for number in count():
            if enough() or tally.violations:
                return
            here = folder / f"round-{number}"
            here.mkdir()
            with looking_at(place_of(number)) as place:
                _Round(place, here, tally, seed + number, enough, quick).run()


class _Round:
    """One store, one forest: killed and started again, then left in peace, then looked at."""

    def __init__(
        self,
        place: Place,
        folder: Path,
        tally: Tally,
        seed: int,
        enough: Callable[[], bool],
        quick: Nursery,
    ) -> None:
        self._place, self._folder, self._tally, self._seed = place, folder, tally, seed
        self._enough, self._quick = enough, quick
        self._rng = random.Random(seed)
        self._kills: list[Kill] = []

    def run(self) -> None:
        """Until all has settled."""
        over = False
        while not over:
            kill = len(self._kills) < KILLS_A_ROUND and not self._enough()
            with self._program() as victim:
                over = not self._hunt(victim) if kill else True
                if over:
                    self._end(victim)
        log = log_of(self._place.url)
        faults = check_store(self._place.url) + check_ledgers(log, self._folder, self._kills)
        self._tally.violated(faults, f"{self._place.kind}, seed {self._seed}")
        self._tally.add(f"{self._place.kind} events", len(log))

    def _program(self) -> AbstractContextManager[Program]:
        jumps = self._rng.randrange(1 << 30) if self._rng.random() < JUMPY else None
        plan = Plan(self._place.url, self._seed, jumps=jumps)
        if self._rng.random() < COLD:
            return program(self._folder, plan)
        return self._quick.program(self._folder, plan)

    def _hunt(self, victim: Program) -> bool:
        """Kill it when its time has come; False where it came to its end before that, or will
        never come to it.
        """
        due, how = self._trigger()
        until = time.monotonic() + STUCK
        while not due(victim):
            if not victim.running() or time.monotonic() > until:
                return False
            time.sleep(LOOK)
        live = self._place.open_work()
        if not victim.kill():
            return False
        dead = time.monotonic_ns()
        self._place.quiet()
        if live:
            position = self._place.position()
            self._kills.append(Kill(victim.name, position, position, dead, how))
            self._tally.add(f"{self._place.kind} kills")
            self._tally.add(f"{self._place.kind} kills {how}")
        return True

    def _trigger(self) -> tuple[Callable[[Program], bool], str]:
        """When to kill: at a number of events, or shortly after a stage of the start."""
        chance = self._rng.random()
        if chance < 0.2:
            return self._soon_after(("opening", "opened")), "in start-up"
        if chance < 0.4:
            return self._soon_after(("resuming",)), "in recovery"
        target = self._place.position() + self._rng.choice((1, 1, 2, 3, 5, 8, 12, 20, 30))
        return (lambda _: self._place.position() >= target), "in work"

    def _soon_after(self, stages: Sequence[str]) -> Callable[[Program], bool]:
        """True a moment after the program has said that it is in one of the stages, or beyond."""
        stage = self._rng.choice(stages)
        wait = self._rng.choice((0.0, 0.0, 0.001, 0.003, 0.008))

        def due(victim: Program) -> bool:
            victim.running()
            if STAGES.index(victim.stage) < STAGES.index(stage):
                return False
            time.sleep(wait)
            return True

        return due

    def _end(self, victim: Program) -> None:
        """Nobody kills any more: everything has to settle."""
        self._tally.violated(ended(victim), f"{self._place.kind}, seed {self._seed}")
