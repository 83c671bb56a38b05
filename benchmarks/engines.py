#!/usr/bin/env python3
"""Several processes on one store: how soon a restart goes on, and whether two engines hinder.

    python benchmarks/engines.py --runs 3

One JSON line per measurement and store on standard output; docs/performance.md says what they mean.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.command_line import SCRATCH
from benchmarks.machine import describe, flush_us
from benchmarks.places import STORES, Place, Unavailable, opened
from benchmarks.suite import ROOT, environment

LEFT = 1_000
"""Trees that the former engine left."""
TOGETHER = 1_000
"""Trees of ten tasks that the engines run, in all."""

Measures = dict[str, Any]


def resumed(place: Place, trees: int) -> Measures:
    """Milliseconds from the start of a process to the first task that it goes on with."""
    with place.database() as url:
        _leave(url, trees)
        mark = place.directory / "first-resumed"
        mark.unlink(missing_ok=True)
        began = time.time()
        process = _start("resume", url, str(mark))
        while not mark.exists():
            time.sleep(0.001)
            if process.poll() is not None:
                raise SystemExit("the resume ended before it began a task")
        first = float(mark.read_text() or time.time())
        process.kill()
        process.wait()
        mark.unlink()
    return {"first_ms": (first - began) * 1e3}


def _leave(url: str, trees: int) -> None:
    """A process runs trees that do not end, and is killed."""
    process = _start("leave", url, str(trees))
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()


def together(place: Place, trees: int) -> Measures:
    """Tasks a second by one engine, and by two that share the same work on one store."""
    one = _rate(place, [trees])
    two = _rate(place, [trees // 2, trees - trees // 2])
    return {"one_per_s": one, "two_per_s": two, "ratio": two / one}


def _rate(place: Place, shares: list[int]) -> float:
    with place.database() as url:
        processes = [_start("share", url, str(n), str(k)) for k, n in enumerate(shares)]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()  # ready
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        spans = [json.loads(process.communicate()[0]) for process in processes]
    took = float(max(end for _, end in spans) - min(begin for begin, _ in spans))
    return sum(shares) * 10 / took


def _start(step: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.several", step, *arguments],
        cwd=ROOT, env={**os.environ, **environment()}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


MEASUREMENTS = {"resumed": (resumed, LEFT, STORES), "together": (together, TOGETHER, ("postgres",))}


def line(name: str, place: Place, trees: int | None, runs: int) -> Measures:
    """The medians over the runs."""
    measure, usual, _ = MEASUREMENTS[name]
    n = trees or usual
    found = [measure(place, n) for _ in range(runs)]
    medians = {key: round(statistics.median(run[key] for run in found), 3) for key in found[0]}
    flush = round(flush_us(place.directory))
    return {"measurement": name, "store": place.store, "trees": n, **medians, "flush_us": flush}


def main() -> int:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="benchmarks/engines.py")
    parser.add_argument("--only", choices=MEASUREMENTS)
    parser.add_argument("--store", choices=STORES)
    parser.add_argument("--trees", type=int)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=SCRATCH)
    given = parser.parse_args()
    given.dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for store in [given.store] if given.store else STORES:
            try:
                place = stack.enter_context(opened(store, given.dir.resolve()))
            except Unavailable as error:
                print(f"{store} is left out: {error}", file=sys.stderr)
                continue
            print(describe([place]), file=sys.stderr, flush=True)
            for name, (_, _, stores) in MEASUREMENTS.items():
                if store in stores and given.only in (None, name):
                    print(json.dumps(line(name, place, given.trees, given.runs)), flush=True)
    if given.dir == SCRATCH and not any(SCRATCH.iterdir()):
        SCRATCH.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())
