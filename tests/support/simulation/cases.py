"""Which seeds are run, and what a seed that breaks down altogether comes to."""

import traceback
from collections.abc import Iterator
from pathlib import Path

from tests.support.simulation.simulation import Outcome, simulate

KEPT = Path(__file__).parents[2] / "simulation" / "seeds.txt"
"""Seeds that have failed once, one a line, with what they had found."""


def kept() -> Iterator[int]:
    """The seeds that have failed once."""
    for line in KEPT.read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        yield from map(int, words)


def simulated(seed: int) -> Outcome:
    """What came of a seed; that it broke the simulation itself is a violation too."""
    try:
        return simulate(seed)
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed has to be named
        return Outcome(seed, [f"{error!r}: {traceback.format_exc(limit=-3)}"])
