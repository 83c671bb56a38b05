"""Faults for as long as wanted: ``python -m tests.chaos.run --minutes 30``.

Kills, power losses, full disks, everything that a server can do, whatever can be asked over HTTP,
and beside them, on a core of its own, the simulation. Prints one table of what was done and found.
Returns 1 where a promise was broken, or where something could not be tried at all.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from aipartnerupflow.domain.errors import ApflowError
from tests.support.chaos.parts import Parts
from tests.support.chaos.server import rough_server
from tests.support.chaos.tally import Tally
from tests.support.repository import ROOT

SHARES = {"disks": 0.06, "power losses": 0.08, "duels": 0.2, "storms": 0.17, "requests": 0.06}
"""Of the time. Kills have the rest, but for what is needed to come to an end."""
USED = 0.93
FEWEST = 10.0
"""Seconds of kills, however long the others took."""
DONE = (
    "sqlite kills", "postgres kills", "backends killed at work", "times of lost answers",
    "engines killed", "engines stopped", "WAL cuts", "full: healed", "locked: healed", "seeds",
    "cases by a caller", "cases by nobody",
)  # fmt: skip
"""What must have been done at least once."""
LAST_SEED = 60.0
"""Seconds that the last seed of the simulation may take."""
BROKEN = (AssertionError, OSError, psycopg.Error, ApflowError)
"""How a part may end that cannot go on."""
SHOWN = 30
"""So many violations of a part are shown."""


def main() -> int:
    """Run what the arguments say."""
    arguments = _arguments()
    began, seconds = time.monotonic(), arguments.minutes * 60
    simulation = _Simulation(seconds * USED, arguments.seed * 10_000_000)
    folder = Path(tempfile.mkdtemp(prefix="apflow-chaos-"))
    with rough_server() as server:
        found = _run_parts(Parts(server, folder, arguments.seed), seconds, began)
    found["simulation"] = simulation.result()
    for name, tally in found.items():
        _print(name, tally)
    return _conclude(found, arguments.seed, time.monotonic() - began, folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="about how long it takes")
    parser.add_argument("--seed", type=int, default=1, help="from which all others follow")
    return parser.parse_args()


def _run_parts(parts: Parts, seconds: float, began: float) -> dict[str, Tally]:
    long = seconds > 600
    trees, lease = (1_000, 10) if long else (60, 3)
    run: dict[str, Callable[[Tally, float], None]] = {
        "disks": parts.disks,
        "power losses": parts.power_losses,
        "duels": lambda tally, time: parts.duels(tally, time, trees=trees, lease=lease),
        "storms": parts.storms,
        "requests": parts.requests,
        "kills": parts.kills,
    }
    found: dict[str, Tally] = {}
    for name, part in run.items():
        now, tally = time.monotonic(), Tally()
        left = max(FEWEST, began + seconds * USED - now)
        try:
            part(tally, seconds * SHARES[name] if name in SHARES else left)
        except BROKEN as error:
            tally.violated([f"broken off: {type(error).__name__}: {error}"])
        found[name] = tally
        _say(f"{name}: {time.monotonic() - now:.0f} s, {len(tally.violations)} violations")
    return found


class _Simulation:
    """The simulation in a process of its own."""

    def __init__(self, seconds: float, first: int) -> None:
        self._tally = Tally()
        self._until = time.monotonic() + seconds + LAST_SEED
        options = ["--minutes", f"{seconds / 60:.3f}", "--start", str(first), "--jobs", "1"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.simulation.run", *options],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("seed "):
                self._tally.violated([line.rstrip()])
            elif line.startswith("{"):
                for name, number in json.loads(line).items():
                    if isinstance(number, int):
                        self._tally.add(name if name == "seeds" else f"simulated {name}", number)

    def result(self) -> Tally:
        """Wait for its end, for as long as a seed may take."""
        try:
            code = self._process.wait(max(1.0, self._until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reading.join()
        if code and not self._tally.violations:
            self._tally.violated([f"it ended with {code}"])
        return self._tally


def _print(name: str, tally: Tally) -> None:
    _say(f"\n{name}: {len(tally.violations)} violations")
    for what in sorted(tally.counts):
        _say(f"  {what:<45} {tally.counts[what]:>12,}")
    for line in (*tally.notes, *tally.violations[:SHOWN]):
        _say(f"  {line}")


def _conclude(found: dict[str, Tally], seed: int, seconds: float, folder: Path) -> int:
    done = sum((tally.counts for tally in found.values()), start=Tally().counts)
    violations = sum(len(tally.violations) for tally in found.values())
    missing = [what for what in DONE if not done[what]]
    _say(f"\n{violations} violations in {seconds / 60:.1f} minutes, seed {seed}")
    if missing:
        _say(f"never done: {', '.join(missing)}")
    if violations:
        _say(f"what the programs left is in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 1 if missing else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
