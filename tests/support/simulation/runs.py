"""The world outside the engines, where executors do their work: it remembers every call."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Raw, Struct, json

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import ApflowError
from aipartnerupflow.domain.specs import TaskSpec
from aipartnerupflow.engine.ports import Call, Gone, Outcome, Raised
from tests.support.simulation.executors import BROKEN, KINDS, TRANSIENT, result_of
from tests.support.simulation.ledger import AttemptId, Ledger
from tests.support.simulation.processes import Process
from tests.support.simulation.trees import Script, TreePlan, executor_of

FOR_EVER = 10.0**7


class Run(Struct):
    """One call of an executor, as the executor saw it. ``how`` it ended: "" while it runs."""

    id: AttemptId
    call: Call
    process: Process
    began: float
    ended: float = 0.0
    how: str = ""


class Job(Struct):
    """Work that goes on outside, whatever becomes of the engine that began it."""

    until: float
    outcome: Outcome


class Outside:
    """Plays all executors by their scripts. What it sees go wrong it tells ``violated``."""

    def __init__(self, ledger: Ledger, chance: Random, violated: Callable[[str], None]) -> None:
        self.runs: list[Run] = []
        self.active: dict[int, Run] = {}
        self.plans: dict[str, TreePlan] = {}
        self.slots = 1_000
        self.healed = False
        self._specs: dict[tuple[str, str], TaskSpec] = {}
        self._ledger = ledger
        self._chance = chance
        self._violated = violated
        self._stopping: set[AttemptId] = set()
        self._seen: dict[AttemptId, Run] = {}
        self._calls: Counter[tuple[str, str, int]] = Counter()
        self._jobs: dict[AttemptId, Job] = {}

    def add(self, plan: TreePlan) -> None:
        """Know a tree's scripts."""
        self.plans[plan.name] = plan
        self._specs.update({(plan.name, spec.label): spec for spec in plan.specs})

    def script(self, call: Call) -> Script:
        """What the executor does in this task."""
        plan = self.plans.get(self._ledger.of(call.tree).name)
        return Script() if plan is None else plan.scripts[call.key]

    def stubborn(self, call: Call) -> float:
        """Seconds that the call takes to end when it is stopped; it is about to be."""
        self._stopping.add((call.tree, call.task, call.generation, call.attempt))
        return self.script(call).stubborn

    def killed(self, process: Process) -> None:
        """All that ran in it is over."""
        for key, run in list(self.active.items()):
            if run.process is process:
                self._over(key, run, "killed")

    # -- one call

    def work_in(self, process: Process) -> Callable[[Call], Any]:
        """What a backend in this process calls."""

        async def work(call: Call) -> Outcome:
            return await self._work(process, call)

        return work

    async def _work(self, process: Process, call: Call) -> Outcome:
        id = (call.tree, call.task, call.generation, call.attempt)
        if call.reattach:
            return await self._reattach(call, id)
        run = Run(id, call, process, self._time())
        self._judge(run)
        self.runs.append(run)
        key = len(self.runs)
        self.active[key] = run
        try:
            outcome = await self._play(call, id)
        except asyncio.CancelledError:
            self._over(key, run, "stopped")
            raise
        self._over(key, run, type(outcome).__name__)
        return outcome

    def _over(self, key: int, run: Run, how: str) -> None:
        self.active.pop(key, None)
        run.ended, run.how = self._time(), how

    async def _play(self, call: Call, id: AttemptId) -> Outcome:
        script = self.script(call)
        seconds = self._chance.uniform(0.0, script.seconds) if script.seconds else 0.0
        calls = (call.tree, call.key, call.generation)
        bad = self._calls[calls] < script.times
        if KINDS[call.executor].reattaches:
            self._jobs[id] = Job(self._time() + seconds, self._outcome(call, script.ends, bad=bad))
        if script.saves or script.tells:
            await self._talk(call, script)
        await asyncio.sleep(FOR_EVER if script.ends == "hangs" and bad else seconds)
        self._calls[calls] += 1
        return self._outcome(call, script.ends, bad=bad)

    def _outcome(self, call: Call, ends: str, *, bad: bool) -> Outcome:
        if ends == "broken":
            return Raised(BROKEN)
        if ends == "transient" and bad:
            return Raised(TRANSIENT)
        return result_of(call, big=self.script(call).big)

    async def _talk(self, call: Call, script: Script) -> None:
        """Tell how far it is; save a checkpoint, which must be in the log when `save` returns."""
        assert call.port is not None
        if script.tells:
            for percent in (25, 50, 75):
                await call.port.progress(percent / 100, "on its way")
                await asyncio.sleep(self._chance.uniform(0.0, 0.8))
        if script.saves:
            checkpoint = Raw(json.encode({"saved_by": call.attempt}))
            try:
                await call.port.save(checkpoint)
            except ApflowError:
                return
            if self._saved(call, call.attempt) != bytes(checkpoint):
                self._violated(f"a checkpoint of {call.key} was acknowledged and is not stored")

    async def _reattach(self, call: Call, id: AttemptId) -> Outcome:
        job = self._jobs.get(id)
        await asyncio.sleep(self._chance.uniform(0.0, 0.3))
        if job is None or self._chance.random() < 0.3:
            return Gone()
        assert call.port is not None
        await call.port.taken_over()
        await asyncio.sleep(max(0.0, job.until - self._time()))
        return job.outcome

    # -- whether it may be called

    def _judge(self, run: Run) -> None:
        call, id = run.call, run.id
        books = self._ledger.of(call.tree)
        if id in self._seen:
            self._violated(f"the executor is called twice for attempt {id}")
        self._seen[id] = run
        if id not in self._ledger.started:
            self._violated(f"the executor is called for {id}, whose start is not stored")
            return
        if run.process.was_stopped:
            return  # it may be behind the log, and is fenced when it writes
        if (call.task, call.generation) in books.completed:
            self._violated(f"{id} runs though its task has completed")
        self._judge_limits(run)
        self._judge_inputs(call)
        if call.checkpoint is not None or self.script(call).saves:
            saved = self._saved(call, call.attempt - 1)
            if saved != (None if call.checkpoint is None else bytes(call.checkpoint)):
                self._violated(f"{id} gets the checkpoint {call.checkpoint!r}, stored is {saved!r}")

    def _judge_limits(self, run: Run) -> None:
        call = run.call
        beside = [
            other.call
            for other in self.active.values()
            if other.process is run.process and other.id not in self._stopping
        ]
        name = self._ledger.of(call.tree).name
        limits = {
            "the engine": (self.slots, len(beside)),
            "the executor": (KINDS[call.executor].limit, sum(
                other.executor == call.executor for other in beside
            )),
            "the tree": (self.plans[name].options.limit, sum(
                other.tree == call.tree for other in beside
            )),
        }  # fmt: skip
        for what, (limit, running) in limits.items():
            if limit is not None and running >= limit:
                self._violated(f"{run.id} runs as number {running + 1} where {what} allows {limit}")

    def _judge_inputs(self, call: Call) -> None:
        name = self._ledger.of(call.tree).name
        for dependency in self._specs[name, call.key].dependencies:
            on = self._specs[name, dependency.on]
            executor = executor_of(on)
            ordinary = executor is not None and KINDS[executor].runs != "engine"
            if dependency.required and ordinary:
                found = call.inputs.get(on.label)
                if not isinstance(found, dict) or found.get("from") != on.label:
                    self._violated(f"{call.key} was not given the result of {on.label}: {found!r}")

    def _saved(self, call: Call, until: int) -> bytes | None:
        """The last checkpoint in the log, of this generation and of an attempt up to ``until``.

        A later generation may have begun, where the call stood still with its engine.
        """
        found: bytes | None = None
        generation = 1
        for entry in self._ledger.of(call.tree).entries:
            match entry.event:
                case e.TaskSaved(task=call.task, attempt=attempt, checkpoint=saved):
                    if generation == call.generation and attempt <= until:
                        found = bytes(saved)
                case e.TaskReopened(task=call.task, generation=later):
                    generation = later
                case _:
                    pass
        return found

    def _time(self) -> float:
        return asyncio.get_running_loop().time()
