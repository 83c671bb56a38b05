"""A store whose disk is full, or which another process keeps locked, under a running program."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.chaos.checks import check_ledgers, check_store, log_of
from tests.support.chaos.ledgers import lines
from tests.support.chaos.plan import Plan
from tests.support.chaos.programs import ended, program
from tests.support.chaos.tally import Tally

TREES = 100_000
"""More than it comes to."""
SECONDS = 100.0
MOUNT = 'mount -t tmpfs -o size="$0" tmpfs "$1" && shift && exec "$@"'
SIZE = "8m"


def small_disk(folder: Path) -> Sequence[str] | None:
    """What starts a command that finds a small disk in ``folder``, which goes away with it.

    None where file systems cannot be mounted here, not even by a user who is root to himself only.
    """
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *as_user, "--mount", "sh", "-c", MOUNT, SIZE, str(folder)]
    try:
        tried = subprocess.run([*command, "true"], check=False, capture_output=True)
    except FileNotFoundError:
        return None
    return None if tried.returncode else command


def endure(
    folder: Path, tally: Tally, plan: Plan, prefix: Sequence[str] = (), *, reason: str
) -> None:
    """Run trees through ``plan.trouble``, for which the engine must give a reason like this."""
    with program(folder, plan, prefix) as running:
        if faults := ended(running, SECONDS):
            tally.violated(faults, f"{plan.trouble}, seed {plan.seed}")
            return
    kept = str(folder / "kept.db")
    faults = [*check_store(kept), *check_ledgers(log_of(kept), folder, ())]
    for what, *rest in lines(folder / "troubles"):
        if what == "wrong" or (what == "reason" and reason not in rest[0]):
            faults.append(" ".join([what, *rest]))
        tally.add(f"{plan.trouble}: {what}")
    tally.violated(faults, f"{plan.trouble}, seed {plan.seed}")
