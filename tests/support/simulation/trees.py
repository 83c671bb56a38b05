"""Trees by chance, with a script for each task: what its executor will do when it is called."""

from collections.abc import Sequence
from random import Random
from typing import Any

from msgspec import Raw, Struct, json, structs

from aipartnerupflow.domain.specs import (
    EMPTY_OBJECT,
    NO_POLICY,
    Concurrency,
    Dependency,
    Policy,
    RetryPolicy,
    TaskSpec,
    TreeOptions,
)
from aipartnerupflow.domain.time import to_text
from aipartnerupflow.engine.ports import SIGNAL, WAIT
from aipartnerupflow.testing.clock import NEW_YEAR_2026

KEYS = {"db": 1, "api": 2}
"""Concurrency keys and their limits."""


class Script(Struct, frozen=True):
    """What an executor does.

    ``ends``: ``ok``; ``broken`` (an error that is never retried by default); ``transient`` (the
    first ``times`` calls of a generation that get to their end fail so, then it is well); ``hangs``
    (the first ``times`` calls never end by themselves). ``seconds`` is how long a call takes at
    most. ``saves`` a checkpoint, ``tells`` how far it is, returns something ``big``. ``stubborn``:
    being stopped takes this long; more than the grace is never waited for.
    """

    ends: str = "ok"
    times: int = 0
    seconds: float = 0.0
    saves: bool = False
    tells: bool = False
    big: bool = False
    stubborn: float = 0.0


class TreePlan(Struct):
    """A tree to be run, and the scripts by the keys of its tasks."""

    name: str
    specs: Sequence[TaskSpec]
    scripts: dict[str, Script]
    options: TreeOptions = TreeOptions()


def signals_of(plan: TreePlan) -> list[str]:
    """The names of the signals that its tasks wait for: their keys."""
    return [spec.label for spec in plan.specs if executor_of(spec) == SIGNAL]


def executor_of(spec: TaskSpec) -> str | None:
    """The executor that a task of these trees names."""
    name: str | None = json.decode(spec.params).get("executor_id")
    return name


class Shape(Struct, frozen=True):
    """What the trees of a run may hold."""

    least: int = 8
    most: int = 24
    waits: bool = False
    signals: bool = False
    policies: bool = False
    keys: bool = False


class _Grower:
    """Grows a tree depth first. A task depends on what was closed before it: there is no cycle."""

    def __init__(self, chance: Random, name: str, shape: Shape) -> None:
        self.chance = chance
        self.name = name
        self.shape = shape
        self.specs: list[dict[str, Any]] = []
        self.open: list[int] = []
        self.closed: list[int] = []
        self.parents: set[str] = set()

    def grow(self, size: int) -> list[TaskSpec]:
        self._add(group=True)
        for _ in range(size - 1):
            while len(self.open) > 1 and self.chance.random() < 0.3:
                self.closed.append(self.open.pop())
            self._add(group=len(self.open) < 5 and self.chance.random() < 0.18)
        return [self._spec(fields) for fields in self.specs]

    def _add(self, *, group: bool) -> None:
        n = len(self.specs)
        parent = self.specs[self.open[-1]]["id"] if self.open else None
        fields = {
            "id": f"{self.name}{n}",
            "parent": parent,
            "dependencies": self._dependencies(),
            "priority": self.chance.choice([0, 1, 2, 2, 2, 3]),
            "group": group,
        }
        self.specs.append(fields)
        if parent is not None:
            self.parents.add(parent)
        if group:
            self.open.append(n)
            return
        self.closed.append(n)
        if len(self.open) < 5 and self.chance.random() < 0.08:
            self.open.append(n)  # a parent that runs itself; it waits for no child

    def _dependencies(self) -> tuple[Dependency, ...]:
        known = self.closed[-6:]
        count = min(len(known), self.chance.choice([0, 0, 1, 1, 1, 2, 3]))
        return tuple(
            Dependency(self.specs[n]["id"], self.chance.random() < 0.7)
            for n in self.chance.sample(known, count)
        )

    def _spec(self, fields: dict[str, Any]) -> TaskSpec:
        id, group = fields["id"], fields.pop("group") and fields["id"] in self.parents
        if group:
            return TaskSpec(name=f"group {id}", params=EMPTY_OBJECT, **fields)
        executor = self._executor() or ("work" if id in self.parents else None)
        return TaskSpec(
            name=id,
            params=Raw(json.encode({"executor_id": executor})) if executor else EMPTY_OBJECT,
            inputs=self._inputs(executor),
            policy=self._policy() if executor not in (WAIT, SIGNAL) else NO_POLICY,
            **fields,
        )

    def _executor(self) -> str | None:
        """None for a task that nobody can run."""
        chance = self.chance.random()
        if self.shape.waits and chance < 0.06:
            return WAIT
        if self.shape.signals and chance < 0.12:
            return SIGNAL
        if chance > 0.99:
            return None
        return self.chance.choice(["work", "work", "safe", "unsafe", "limited", "lasting"])

    def _inputs(self, executor: str | None) -> Raw:
        if executor == WAIT:
            return Raw(json.encode({"seconds": round(self.chance.uniform(0.1, 20.0), 3)}))
        if executor != SIGNAL:
            return EMPTY_OBJECT
        asked: dict[str, Any] = {}
        if self.chance.random() < 0.5:
            asked["timeout"] = round(self.chance.uniform(1.0, 40.0), 3)
            if self.chance.random() < 0.5:
                asked["default"] = {"by": "default"}
        return Raw(json.encode(asked))

    def _policy(self) -> Policy:
        chance, asked = self.chance, dict[str, Any]()
        if self.shape.keys and chance.random() < 0.15:
            key = chance.choice(list(KEYS))
            asked["concurrency"] = Concurrency(key, KEYS[key])
        if self.shape.policies and chance.random() < 0.5:
            asked |= self._trying()
        return Policy(**asked) if asked else NO_POLICY

    def _trying(self) -> dict[str, Any]:
        chance = self.chance
        asked: dict[str, Any] = {"idempotent": chance.random() < 0.5}
        if chance.random() < 0.6:
            asked["retry"] = RetryPolicy(
                max_attempts=chance.randint(1, 4),
                backoff=chance.choice(["exponential", "fixed", "none"]),
                initial_delay=round(chance.uniform(0.05, 4.0), 3),
                jitter=chance.choice(["none", "full"]),
                retry_on=chance.choice([None, None, ("TransientError",)]),
                non_retryable=chance.choice([(), ("Broken",)]),
            )
        if chance.random() < 0.4:
            asked["timeout"] = round(chance.uniform(1.0, 6.0), 3)
        if chance.random() < 0.15:
            asked["deadline"] = round(chance.uniform(2.0, 40.0), 3)
        if chance.random() < 0.2:
            asked["heartbeat"] = round(chance.uniform(0.5, 3.0), 3)
        if chance.random() < 0.2:
            asked["on_interrupt"] = "fail"
        if chance.random() < 0.2:
            asked["max_interruptions"] = chance.randint(1, 3)
        return asked


def _script(chance: Random, spec: TaskSpec) -> Script:
    ends = chance.choices(["ok", "broken", "transient", "hangs"], [72, 6, 18, 4])[0]
    bounded = spec.policy.timeout or spec.policy.heartbeat or spec.policy.deadline
    if ends == "hangs" and not bounded:
        ends = "ok"  # else nothing would ever end it
    return Script(
        ends,
        chance.randint(1, 3),
        chance.choice([0.0, 0.02, 0.2, 1.0, 3.0, 8.0]),
        saves=chance.random() < 0.1,
        tells=chance.random() < 0.1,
        big=chance.random() < 0.02,
        stubborn=chance.choice([0.0, 0.0, 0.0, 0.5, 5.0, 60.0]),
    )


def random_plan(chance: Random, name: str, shape: Shape) -> TreePlan:
    """A sound tree, its tasks called ``<name>0``, ``<name>1`` and so on."""
    specs = _Grower(chance, name, shape).grow(chance.randint(shape.least, shape.most))
    scripts = {spec.id: _script(chance, spec) for spec in specs}
    limit = chance.randint(1, 4) if chance.random() < 0.25 else None
    return TreePlan(name, specs, scripts, TreeOptions(limit))


def name_times(chance: Random, plans: Sequence[TreePlan]) -> None:
    """Some of what waits for so many seconds waits for a time instead, maybe one that has passed.

    For worlds in which nobody sets the clock: else it might be a day away.
    """
    for plan in plans:
        plan.specs = [
            _until(spec, NEW_YEAR_2026 + chance.uniform(0.0, 60.0))
            if executor_of(spec) == WAIT and chance.random() < 0.3
            else spec
            for spec in plan.specs
        ]


def _until(spec: TaskSpec, seconds: float) -> TaskSpec:
    return structs.replace(spec, inputs=Raw(json.encode({"until": to_text(seconds)})))
