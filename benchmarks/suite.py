"""The workloads, and how the figures of each come together: run by run, then the medians."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import flush_us
from benchmarks.places import STORES, Place

ROOT = Path(__file__).resolve().parents[1]
ENGINE_LIMIT = 1_000
"""So many coroutines an engine runs at once."""
TREE_TASKS = 100_000
"""As many tasks as one tree may have."""
TASK_EVENTS = 2
"""Events of a task that is run: started, completed."""
LEAST_SHARE = 0.005
"""What took less is left out of a profile."""
OUR_VARIABLES = ("APFLOW_", "AIPARTNERUPFLOW_", "DATABASE_URL")

Measures = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What the command line says. None: as the workload has it."""

    n: int | None
    runs: int
    writer: str | None
    limit: int
    verbose: bool


@dataclass(frozen=True)
class Workload:
    """``kind`` says how it is measured, ``batch`` how many rows the raw run puts in a commit."""

    name: str
    kind: str
    n: int
    shape: str = ""
    batch: int = 100
    writer: str = "auto"
    stores: tuple[str, ...] = STORES

    @property
    def can_be_sampled(self) -> bool:
        """Whether `--profile` has anything to say of it."""
        return self.kind == "trees"


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("chain", "trees", 1_000, "chain", 1, writer="inline"),
        Workload("chain-thread", "trees", 1_000, "chain", 1, "thread", stores=("sqlite",)),
        Workload("fanout", "trees", 10_000, "fanout"),
        Workload("trees", "trees", 10_000, "trees"),
        Workload("replay", "replay", 100_000),
        Workload("status", "status", 1_000_000),
        Workload("scaling", "growth", 10_000, "fanout"),
        Workload("create", "growth", 10_000, "create"),
    )
}


FIELDS = (
    "tasks_per_s", "p50_ms", "p99_ms", "rss_mb", "raw_per_s", "ratio", "commits", "cpu_us",
    "flush_us",
)  # fmt: skip


def line(place: Place, workload: Workload, options: Options) -> Measures:
    """The figures of one workload on one store: the medians over the runs."""
    n = options.n or workload.n
    runs = list(RUNS[workload.kind](place, workload, n, options))
    if options.verbose and (how := runs[0].pop("how", "")):
        print(f"-- raw_per_s of {workload.name}\n{how};", file=sys.stderr, flush=True)
    found = _medians(runs)
    if found.get("raw_per_s"):
        found["ratio"] = found["tasks_per_s"] / found["raw_per_s"]
    figures = {field: _short(found.get(field)) for field in FIELDS}
    extra = {field: _short(value) for field, value in found.items() if field in EXTRA_FIELDS}
    head = {"workload": workload.name, "store": place.store, "n": n}
    return {**head, **figures, "limit": options.limit, **extra}


def profile(place: Place, workload: Workload, options: Options) -> str:
    """Where the time of one run goes, thread by thread."""
    n = options.n or workload.n
    with place.database() as url:
        found = _step("sample", url=url, **_of_run(workload, n, options))
    took = n / found["tasks_per_s"]
    title = f"{workload.name}, {place.store}, {n} tasks, {found['tasks_per_s']:.0f} tasks/s"
    table = [
        f"{thread:<16}{group:<38}{seconds / n * 1e6:>10.1f}{seconds / took:>8.0%}"
        for thread, group, seconds in found["groups"]
        if seconds >= LEAST_SHARE * took
    ]
    head = f"{'thread':<16}{'group':<38}{'us/task':>10}{'share':>8}"
    return "\n".join([title, head, *table, ""])


# -- one run, by kind


def _trees(place: Place, workload: Workload, n: int, options: Options) -> Iterator[Measures]:
    """The engine and the database alone take turns, each with a database of its own."""
    rows = n if workload.batch == 1 else n * TASK_EVENTS
    for _ in range(options.runs):
        with place.database() as url:
            found = _step("run", url=url, **_of_run(workload, n, options))
        size = found["event_bytes"]
        with place.database() as url:
            raw = _step("raw", url=url, rows=rows, batch=workload.batch, event_bytes=size)
        yield {**found, **raw, "flush_us": flush_us(place.directory)}


def _replay(place: Place, workload: Workload, n: int, options: Options) -> Iterator[Measures]:
    with place.database() as url:
        _step("fill", url=url, trees=1, per_tree=n)
        for _ in range(options.runs):
            found = _step("replay", url=url, n=n)
            yield {**found, "flush_us": flush_us(place.directory)}


def _status(place: Place, workload: Workload, n: int, options: Options) -> Iterator[Measures]:
    per_tree = min(n, TREE_TASKS)
    trees = {"trees": -(-n // per_tree), "per_tree": per_tree}
    with place.database() as url:
        _step("fill", url=url, **trees)
        for _ in range(options.runs):
            found = _step("status", url=url, **trees)
            yield {**found, "flush_us": flush_us(place.directory)}


def _growth(place: Place, workload: Workload, n: int, options: Options) -> Iterator[Measures]:
    """The same with ``n`` and with a tenth of it."""
    small_n = max(1, n // 10)
    for _ in range(options.runs):
        small = _alone(place, workload, small_n, options)
        found = _alone(place, workload, n, options)
        yield {
            **found,
            "flush_us": flush_us(place.directory),
            "small_n": small_n,
            "us_per_task": 1e6 / found["tasks_per_s"],
            "small_us_per_task": 1e6 / small["tasks_per_s"],
            "growth": small["tasks_per_s"] / found["tasks_per_s"],
            "cpu_growth": found["cpu_us"] / small["cpu_us"],
        }


def _alone(place: Place, workload: Workload, n: int, options: Options) -> Measures:
    with place.database() as url:
        if workload.shape == "create":
            return _step("create", url=url, n=n)
        return _step("run", url=url, **_of_run(workload, n, options))


RUNS = {"trees": _trees, "replay": _replay, "status": _status, "growth": _growth}
EXTRA_FIELDS = ("small_n", "us_per_task", "small_us_per_task", "growth", "cpu_growth")


def _of_run(workload: Workload, n: int, options: Options) -> Measures:
    forced = workload.name == "chain-thread"
    return {
        "shape": workload.shape,
        "n": n,
        "writer": workload.writer if forced else options.writer or workload.writer,
        "limit": None if options.limit == ENGINE_LIMIT else options.limit,
    }


# -- processes and figures


def _step(step: str, **parameters: Any) -> Measures:
    """Run one step of the worker in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.worker", step, json.dumps(parameters)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"the step {step} failed with {parameters}")
    measured: Measures = json.loads(done.stdout)
    return measured


def environment() -> dict[str, str]:
    """What this process has, without settings of the product; its paths made absolute."""
    paths = [str(Path(path).absolute()) for path in sys.path]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OUR_VARIABLES)}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def _medians(runs: Sequence[Measures]) -> Measures:
    return {
        field: statistics.median(run[field] for run in runs)
        for field, value in runs[0].items()
        if isinstance(value, int | float)
    }


def _short(value: float | None) -> float | int | None:
    """Four significant digits, and all of a whole number."""
    if value is None or value == int(value):
        return None if value is None else int(value)
    return round(value) if value >= 1_000 else float(f"{value:.4g}")
