"""Whole lives of engines under accidents of all kinds: none of them breaks a promise.

``APFLOW_SEEDS`` says how many seeds are run, ``APFLOW_SIM_SECONDS`` for how long at most.
"""

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from tests.support.simulation.cases import kept, simulated
from tests.support.simulation.simulation import Outcome

PARTS = 4
SEEDS = int(os.environ.get("APFLOW_SEEDS", "1000"))
SECONDS = float(os.environ.get("APFLOW_SIM_SECONDS", "inf"))
COUNTED = (
    "tasks", "events", "runs", "crashes", "freezes", "faults", "commands", "jumps",
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What engines say of their accidents is not of interest here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_seeds_that_failed_once_hold() -> None:
    hold(kept())


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_broken_whatever_happens(part: int, capsys: pytest.CaptureFixture[str]) -> None:
    totals = hold(range(part, SEEDS, PARTS), SECONDS / PARTS)
    with capsys.disabled():
        sys.stdout.write(f"\nsimulated {', '.join(f'{n} {what}' for what, n in totals.items())}\n")
    assert totals["seeds"] > 0 or part >= SEEDS
    assert totals["tasks"] >= 15 * totals["seeds"]
    assert totals["crashes"] >= totals["seeds"] / 2


def hold(seeds: Iterable[int], seconds: float = float("inf")) -> Counter[str]:
    """Run the seeds; fails with all that was broken, and how to run each again."""
    began = time.perf_counter()
    totals: Counter[str] = Counter()
    broken: list[Outcome] = []
    for seed in seeds:
        if time.perf_counter() - began > seconds:
            break
        outcome = simulated(seed)
        totals["seeds"] += 1
        totals.update({name: getattr(outcome, name) for name in COUNTED})
        if outcome.violations:
            broken.append(outcome)
    assert not broken, "\n".join(map(_told, broken))
    return totals


def _told(outcome: Outcome) -> str:
    again = f"python -m tests.simulation.run --start {outcome.seed} --seeds 1"
    return "\n  ".join([f"seed {outcome.seed}, again with: {again}", *outcome.violations[:5]])
