"""A seed decides everything: the same log, byte for byte but for the salts, wherever it runs."""

import os
import subprocess
import sys

import pytest

from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from tests.support.repository import ROOT
from tests.support.simulation.simulation import simulate

SEEDS = range(12)


def test_a_seed_gives_the_same_log_twice() -> None:
    first = [simulate(seed).digest for seed in SEEDS]
    assert first == [simulate(seed).digest for seed in SEEDS]
    assert len(set(first)) == len(SEEDS)


def test_only_the_salts_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the salts taken for the same, so are the stored bytes and the hashes over them."""
    monkeypatch.setattr("aipartnerupflow.adapters.journal.mapper.os.urandom", bytes)
    kept: list[list[bytes]] = []
    commit = MemoryRecorder._commit

    def keep(self: MemoryRecorder, batches: object) -> int:
        position = commit(self, batches)  # type: ignore[arg-type]  # passed on as it came
        kept[-1] = self._hashes
        return position

    monkeypatch.setattr(MemoryRecorder, "_commit", keep)
    for _ in range(2):
        kept.append([])
        simulate(3)
    assert kept[0] == kept[1] != []


@pytest.mark.slow
def test_a_seed_gives_the_same_log_in_another_process() -> None:
    """Whatever order its sets have: the hash seed of Python is another one."""
    told = [_digests(hash_seed) for hash_seed in ("1", "2")]
    assert told[0] == told[1]
    assert len(told[0]) == 40


def _digests(hash_seed: str) -> list[str]:
    command = [sys.executable, "-m", "tests.simulation.run", "--seeds", "40", "--digests"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in done.stdout.splitlines() if line[:1].isdigit()]
