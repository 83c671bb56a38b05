"""A store, engines that come and go, clients and accidents: everything that a seed decides."""

import asyncio
import gc
import random
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from random import Random
from typing import Any
from uuid import UUID

from msgspec import Struct

from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.testing.loop import LoopClock
from tests.support.faulty import WRITES, Kind, Schedule, Sometimes
from tests.support.simulation.executors import SimulatedExecutors
from tests.support.simulation.ledger import Ledger
from tests.support.simulation.nodes import Connection, Node
from tests.support.simulation.processes import Machine, Process
from tests.support.simulation.runs import Outside
from tests.support.simulation.trees import Shape, TreePlan, random_plan

HOUR, DAY = 3_600.0, 86_400.0
SEEN = 5.0
"""Seconds that may pass between a look whether an engine is alive and the claim's commit."""


class Setting(Struct, frozen=True, kw_only=True):
    """What kind of world it is. All that happens to engines ends after ``horizon`` seconds.

    ``committer``: where the writer writes, see `engine.commit.Committer`. ``leases``: whether an
    engine is alive is told by its lease, else by its process.
    """

    committer: str = "inline"
    hooks: bool = False
    slots: int = 1_000
    nodes: int = 1
    leases: bool = False
    lateness: float = 0.0
    crashes: int = 0
    jumps: int = 0
    freezes: int = 0
    closes: int = 0
    commands: int = 0
    horizon: float = 0.0


def random_setting(chance: Random) -> Setting:
    """The setting of a seed: at least one crash."""
    return Setting(
        committer=chance.choice(["inline", "thread", "auto"]),
        hooks=chance.random() < 0.1,
        slots=chance.choice([2, 8, 1_000]),
        nodes=2 if chance.random() < 0.35 else 1,
        leases=chance.random() < 0.5,
        lateness=chance.choice([0.0, 0.0, 0.01, 0.5]),
        crashes=chance.choice([1, 1, 2, 3, 5]),
        jumps=chance.choice([0, 0, 1, 3]),
        freezes=chance.choice([0, 1, 2]),
        closes=chance.choice([0, 0, 0, 1]),
        commands=chance.choice([0, 2, 6, 12]),
        horizon=chance.uniform(5.0, 40.0),
    )


def random_faults(chance: Random) -> Sometimes:
    """What the store does in a seed: in every second one it is well."""
    kinds = chance.sample(list(Kind), chance.randint(1, 4)) if chance.random() < 0.5 else []
    rate = chance.choice([0.02, 0.1, 0.3])
    reads = rate / 4 if any(kind not in WRITES for kind in kinds) else 0.0
    rates = dict.fromkeys(["hash_at", "stream", "open_work", "owner", "position", "blob"], reads)
    return Sometimes(chance, {**rates, "record": rate}, kinds)


def random_plans(seed: int, chance: Random, shape: Shape) -> Sequence[TreePlan]:
    """The trees of a seed."""
    count = chance.choice([1, 1, 1, 2, 3])
    return [random_plan(Random(f"{seed}/tree {n}"), "abc"[n], shape) for n in range(count)]


class World:
    """What goes wrong in it stands in ``violations``."""

    def __init__(
        self, seed: int, setting: Setting, plans: Sequence[TreePlan], schedule: Schedule
    ) -> None:
        self.seed = seed
        self.setting = setting
        self.plans = plans
        self.schedule = schedule
        self.loop = Machine(seed, lateness=setting.lateness)
        self.mapper = StructMapper()
        self.clock = LoopClock(self.loop)
        self.ledger = Ledger(self.loop.time, self.mapper, self._claimed)
        self.violations: list[str] = []
        self.outside = Outside(self.ledger, self.chance("outside"), self.violated)
        self.outside.slots = setting.slots
        for plan in plans:
            self.outside.add(plan)
        self.mail = asyncio.Event()
        """Somebody has sent a command."""
        self.executors = SimulatedExecutors(hooks=setting.hooks)
        self.leases: dict[str, float] = {}
        self.lapsed: dict[str, float] = {}
        """When an engine last found that its lease had run out."""
        self.forced: set[str] = set()
        """Trees that somebody has taken by force."""
        self.nodes: list[Node] = []
        self.jumps: list[float] = []
        """When somebody set the clock."""
        self.refused: dict[str, str] = {}
        """Commands that were refused for good, and how."""
        self.acknowledged = 0
        self._ids = self.chance("ids")
        self._coming: list[asyncio.Future[Node]] = []

    def chance(self, what: str) -> Random:
        """A source of chance of its own, so that one matter does not disturb another."""
        return Random(f"{self.seed}/{what}")

    def violated(self, what: str) -> None:
        """A promise was broken."""
        self.violations.append(f"at {self.loop.time():.3f} s: {what}")

    def new_id(self) -> str:
        """A fresh id, the same in every run of the seed."""
        return str(UUID(int=self._ids.getrandbits(128), version=4))

    def jump(self, seconds: float) -> None:
        """Set the wall clock."""
        self.jumps.append(self.loop.time())
        self.clock.jump(seconds)

    # -- engines

    def connect(self, process: Process) -> Connection:
        """What a new process has of the store."""
        connection = Connection(self.ledger, self.schedule, sleep=self.loop.block)
        connection.process, connection.ledger = process, self.ledger
        return connection

    def boot(self) -> Node:
        """A new engine with a name that was never there."""
        node = Node(self, f"engine-{len(self.nodes) + 1}")
        self.nodes.append(node)
        coming, self._coming = self._coming, []
        for future in coming:
            if not future.done():
                future.set_result(node)
        return node

    async def next_node(self) -> Node:
        """The engine that comes next, at the moment it comes."""
        future: asyncio.Future[Node] = self.loop.create_future()
        self._coming.append(future)
        return await future

    def up(self) -> list[Node]:
        """Engines that can be asked something."""
        return [node for node in self.nodes if node.is_up]

    def node(self, name: str) -> Node:
        """An engine by name, or by that of somebody in its process, dead or alive."""
        return self.nodes[int(name.partition("/")[0].removeprefix("engine-")) - 1]

    def is_alive(self, name: str) -> bool:
        """What others can tell of an engine."""
        if self.setting.leases:
            return self.leases.get(name, 0.0) > self.loop.time()
        return not self.node(name).process.dead

    def died(self, node: Node) -> None:
        """An engine is gone, and what it ran is over."""
        self.outside.killed(node.process)

    def _claimed(self, tree: str, before: str, after: str) -> None:
        """A tree that was not free has been claimed: its owner must have been taken for dead."""
        node = self.node(before)
        if before == after:
            if not node.connection.troubled and not node.process.was_stopped:
                self.violated(f"{after} claimed {tree}, which it drove, and its store was well")
        elif self.is_alive(before) and tree not in self.forced and not self._was_away(before):
            self.violated(f"{after} claimed {tree} from {before}, which was alive")

    def _was_away(self, name: str) -> bool:
        """Whether others may just have seen an engine without a lease."""
        return self.loop.time() - self.lapsed.get(name, -DAY) < SEEN


def live(world: World, main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` to its end, then let go of everything, in silence.

    Chance that is nobody's own comes from the seed too.
    """
    random.seed(world.seed)
    threshold = gc.get_threshold()
    try:
        world.loop.run_until_complete(main)
    finally:
        world.loop.bury()
        with suppress(RuntimeError):
            world.loop.close()
        gc.set_threshold(*threshold)
