"""Faults for as long as wanted: ``python -m tests.chaos.run --minutes 30``.

Kills, power losses, full disks and everything that a server can do, and beside them, on a core of
its own, the simulation. Prints one table of what was done and found. Returns 1 where a promise was
broken, or where something could not be tried at all.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.chaos.parts import Parts
from tests.support.chaos.server import rough_server
from tests.support.chaos.tally import Tally
from tests.support.repository import ROOT

SHARES = {"kills": 0.45, "storms": 0.17, "duels": 0.2, "power losses": 0.08, "disks": 0.06}
"""Of the time; what is left is for ends that take longer."""
DONE = (
    "sqlite kills", "postgres kills", "backends killed at work", "engines killed",
    "engines stopped", "WAL cuts", "full: healed", "locked: healed", "seeds",
)  # fmt: skip
"""What must have been done at least once."""


def main() -> int:
    """Run what the arguments say."""
    arguments = _arguments()
    began, tally = time.monotonic(), Tally()
    seconds = arguments.minutes * 60
    simulation = _Simulation(seconds * sum(SHARES.values()), arguments.seed * 10_000_000, tally)
    folder = Path(tempfile.mkdtemp(prefix="apflow-chaos-"))
    with rough_server() as server:
        _run_parts(Parts(server, folder, tally, arguments.seed), seconds, tally)
    simulation.join()
    _print(tally, time.monotonic() - began, arguments.seed, folder)
    missing = [what for what in DONE if not tally.counts[what]]
    return 1 if tally.violations or missing else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="about how long it takes")
    parser.add_argument("--seed", type=int, default=1, help="from which all others follow")
    return parser.parse_args()


def _run_parts(parts: Parts, seconds: float, tally: Tally) -> None:
    long = seconds > 600
    run: dict[str, Callable[[float], None]] = {
        "disks": parts.disks,
        "power losses": parts.power_losses,
        "duels": lambda time: parts.duels(
            time, trees=1_000 if long else 100, lease=10 if long else 3
        ),
        "storms": parts.storms,
        "kills": parts.kills,
    }
    for name, part in run.items():
        began = time.monotonic()
        part(seconds * SHARES[name])
        _say(f"{name}: {time.monotonic() - began:.0f} s, {len(tally.violations)} violations")


class _Simulation:
    """The simulation in a process of its own."""

    def __init__(self, seconds: float, first: int, tally: Tally) -> None:
        self._tally = tally
        options = ["--minutes", f"{seconds / 60:.3f}", "--start", str(first), "--jobs", "1"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.simulation.run", *options],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        *found, summary = [line.rstrip() for line in self._process.stdout] or [""]
        self._tally.violated(found, "simulation")
        totals: dict[str, Any] = json.loads(summary or "{}")
        for name, number in totals.items():
            if isinstance(number, int):
                self._tally.add(name if name == "seeds" else f"simulated {name}", number)

    def join(self) -> None:
        """Wait for its end."""
        self._reading.join()
        if self._process.wait() and not self._tally.violations:
            self._tally.violated(["it ended with an error"], "simulation")


def _print(tally: Tally, seconds: float, seed: int, folder: Path) -> None:
    for violation in tally.violations:
        _say(f"VIOLATED {violation}")
    width = max(map(len, tally.counts), default=0)
    for what in sorted(tally.counts):
        _say(f"{what:<{width}}  {tally.counts[what]:>12,}")
    for note in tally.notes:
        _say(note)
    _say(f"{len(tally.violations)} violations in {seconds / 60:.1f} minutes, seed {seed}; {folder}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
