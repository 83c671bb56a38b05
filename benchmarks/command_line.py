"""The arguments of engine.py, and the order in which things are measured."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.machine import describe, on_tmpfs
from benchmarks.places import STORES, Place, Unavailable, opened
from benchmarks.suite import ENGINE_LIMIT, ROOT, WORKLOADS, Options, Workload, line, profile

SCRATCH = ROOT / ".bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the arguments ask for."""
    parser = _parser()
    given = parser.parse_args(arguments)
    stores = tuple(dict.fromkeys(given.store or STORES))
    chosen = [WORKLOADS[name] for name in dict.fromkeys(given.workload or WORKLOADS)]
    if given.workload and (unfit := _unfit(chosen, stores, sampled=given.profile)):
        parser.error(unfit)
    options = Options(given.n, given.runs, given.writer, given.limit, given.verbose)
    given.dir.mkdir(parents=True, exist_ok=True)
    if on_tmpfs(given.dir):
        _say(f"warning: {given.dir} is in memory; name a directory on a disk with --dir")
    with ExitStack() as stack:
        places = _places(stack, stores, given.dir.resolve(), required=bool(given.store))
        _say(describe(places))
        _measure(places, chosen, options, sampled=given.profile)
    if given.dir == SCRATCH and not any(SCRATCH.iterdir()):
        SCRATCH.rmdir()
    return 0


def _measure(
    places: Sequence[Place], chosen: Sequence[Workload], options: Options, *, sampled: bool
) -> None:
    for place in places:
        for workload in chosen:
            if place.store not in workload.stores:
                continue
            if not sampled:
                print(json.dumps(line(place, workload, options)), flush=True)
            elif workload.can_be_sampled:
                print(profile(place, workload, options), flush=True)


def _places(
    stack: ExitStack, stores: Sequence[str], directory: Path, *, required: bool
) -> list[Place]:
    """The stores that can be had; one that was named has to."""
    places = []
    for store in stores:
        try:
            places.append(stack.enter_context(opened(store, directory)))
        except Unavailable as error:
            if required:
                raise SystemExit(f"{store}: {error}") from error
            _say(f"{store} is left out: {error}")
    return places


def _unfit(chosen: Sequence[Workload], stores: Sequence[str], *, sampled: bool) -> str:
    """Which workload was named in vain, and why."""
    for workload in chosen:
        if sampled and not workload.can_be_sampled:
            return f"{workload.name} has no profile"
        if not set(workload.stores) & set(stores):
            return f"{workload.name} is measured on {', '.join(workload.stores)} only"
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/engine.py",
        description="One JSON line per workload and store on standard output; the machine on "
        "standard error. docs/performance.md explains the fields.",
    )
    add = parser.add_argument
    add("--workload", action="append", choices=WORKLOADS, help="may be repeated; all by default")
    add("--store", action="append", choices=STORES, help="may be repeated; both by default")
    add("--n", type=_positive, help="tasks in all, groups not counted (default: the workload's)")
    add("--runs", type=_positive, default=3, help="runs, of which the medians are told (3)")
    add("--writer", choices=("inline", "thread"), help="force one (default: the workload's)")
    add("--limit", type=_limit, default=ENGINE_LIMIT, help="tasks of a tree at once (1000)")
    add("--dir", type=Path, default=SCRATCH, help="where stores are made; on a disk (.bench)")
    add("--profile", action="store_true", help="where the time goes, instead of the lines")
    add("--verbose", action="store_true", help="say on standard error what raw_per_s measures")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _limit(text: str) -> int:
    number = _positive(text)
    if number > ENGINE_LIMIT:
        raise argparse.ArgumentTypeError(f"an engine runs at most {ENGINE_LIMIT} at once")
    return number


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
