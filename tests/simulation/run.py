"""Seed after seed, for as long as wanted: ``python -m tests.simulation.run --minutes 10 --jobs 2``.

Prints one line of JSON at the end; each violation as it is found, with the command that repeats it.
Returns 1 where something was violated.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice

from tests.support.simulation.cases import KEPT, kept, simulated
from tests.support.simulation.simulation import Outcome

CHUNK = 20
COUNTED = ("tasks", "events", "runs", "crashes", "faults", "freezes", "commands", "jumps")


def main() -> int:
    """Run what the arguments say."""
    arguments = _arguments()
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    totals: Counter[str] = Counter()
    failing: dict[int, list[str]] = {}
    for outcome in _outcomes(arguments, began):
        totals["seeds"] += 1
        totals.update({name: getattr(outcome, name) for name in COUNTED})
        if arguments.digests:
            say(f"{outcome.seed} {outcome.digest}")
        if outcome.violations:
            failing[outcome.seed] = outcome.violations
            _tell(outcome)
    seconds = time.monotonic() - began
    say(json.dumps({**totals, "violating_seeds": sorted(failing), "seconds": round(seconds, 1)}))
    return 1 if failing else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, help="how many seeds; else --minutes decides")
    parser.add_argument("--minutes", type=float, help="begin no seed after so many minutes")
    parser.add_argument("--jobs", type=int, default=1, help="processes; 0: one a core")
    parser.add_argument("--digests", action="store_true", help="print what each seed came to")
    parser.add_argument("--kept", action="store_true", help=f"only the seeds in {KEPT.name}")
    return parser.parse_args()


def _outcomes(arguments: argparse.Namespace, began: float) -> Iterator[Outcome]:
    seeds = iter(kept()) if arguments.kept else _seeds(arguments)
    until = began + arguments.minutes * 60 if arguments.minutes is not None else float("inf")
    jobs = arguments.jobs or os.cpu_count() or 1
    if jobs == 1:
        while time.monotonic() < until and (chunk := list(islice(seeds, 1))):
            yield from map(simulated, chunk)
        return
    with ProcessPoolExecutor(jobs) as pool:
        while time.monotonic() < until and (chunk := list(islice(seeds, CHUNK * jobs))):
            yield from pool.map(simulated, chunk, chunksize=CHUNK // 4)


def _seeds(arguments: argparse.Namespace) -> Iterator[int]:
    if arguments.seeds is None and arguments.minutes is None:
        arguments.seeds = 1_000
    first = arguments.start
    return count(first) if arguments.seeds is None else iter(range(first, first + arguments.seeds))


def _tell(outcome: Outcome) -> None:
    for violation in outcome.violations[:10]:
        say(f"seed {outcome.seed}: {violation}")
    say(f"  again: python -m tests.simulation.run --start {outcome.seed} --seeds 1")


def say(line: str) -> None:
    """To whoever runs this, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
