"""All rules together, and a course on which every kind of command has its chance."""

from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from msgspec import json

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.evolve import fold
from aipartnerupflow.testing.state import differences
from tests.domain.course import chances, is_driven, is_open
from tests.domain.random_trees import IDS, ROOT, SIGNAL
from tests.domain.rules_attempts import Attempts
from tests.domain.rules_drafts import Drafts
from tests.domain.rules_steering import Steering
from tests.domain.rules_waits import Waits


class AnyCourse(Drafts, Attempts, Waits, Steering):
    """Whatever may happen to a tree, in any order."""

    @precondition(lambda self: self.tree.submitted)
    @rule(chance=chances, steps=st.integers(1, 10))
    def go_on(self, chance: Random, steps: int) -> None:
        self.everything_holds()
        for _ in range(steps):
            draw = chance.random()
            if draw < 0.1:
                self.ask_in_vain(chance)
            elif draw < 0.3 or self.tree.settled:
                self.steer(chance)
            else:
                self.work(chance)
            self.everything_holds()

    def work(self, chance: Random) -> None:
        """What must come before anything can go on, or the next step of an engine."""
        if self.tree.released:
            self.claim("engine-2", chance)
        elif self.tree.paused and not self.heard():
            self.pause_or_unpause(on=False)
        else:
            self.step(chance)

    def steer(self, chance: Random) -> None:
        """What users ask for, and what befalls engines."""
        n = chance.randrange(1_000)
        if self.tree.settled or n < 250:
            ways = chance.sample(["failed", "failed", "from", "from", "from", "all"], 3)
            any(self.rerun(way, chance) for way in ways)
        elif n < 500:
            self.cancel(n)
        elif n < 520:
            self.cancel_everything()
        elif n < 620:
            self.pause_or_unpause(on=n < 570)
        elif n < 750:
            self.say(chance.choice([SIGNAL, *IDS]), f"s{n % 30}", None)
        elif n < 850:
            self.claim("engine-3", chance)
        elif n < 900:
            self.release(chance)
        else:
            self.clock.jump(chance.choice([0.5, 30.0, 3600.0, -3600.0]))
            if is_driven(self):
                self.timers()

    def ask_in_vain(self, chance: Random) -> None:
        """What is refused, or changes nothing but the record."""
        n = chance.randrange(1_000)
        if is_open(self):
            self.start_what_may_not_start(n)
            self.report_what_never_ran(n)
        if is_driven(self):
            self.take_over_what_is_not_lost(n)
        if any(task.generation > 1 for task in self.tree.live()):
            self.report_from_a_former_generation(n, n % 2 > 0, 1 + n % 3)
        self.report_late(n, chance.choice([1, 1, 2, 11]), n % 2 > 0)

    @rule()
    def reload(self) -> None:
        """A restart: the state is what the stored form of the log folds to."""
        stored = [(type(fact), json.encode(fact)) for fact in self.log]
        self.log = [json.decode(body, type=kind) for kind, body in stored]
        reloaded = fold(ROOT, self.log)
        assert differences(reloaded, self.tree, ignore=()) == []
        self.tree = reloaded

    def teardown(self) -> None:
        """Whatever has happened, what is left can be run to its end."""
        chance, steps = Random(self.commands), 0
        if is_open(self):
            self.decide(decide.unpause)
        while is_open(self):
            self.work(chance)
            self.everything_holds()
            steps += 1
            assert steps < 2_000
        self.everything_holds()
        self.the_log_is_well_formed()
