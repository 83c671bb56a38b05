"""Whether an engine lives: by file lock, and by what its name says of its process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aipartnerupflow.adapters.liveness import (
    FileLiveness,
    LocalLiveness,
    ProcessLiveness,
    engine_name,
)
from aipartnerupflow.domain.errors import StoreReadOnly

HOLD = """
import sys, time
from pathlib import Path
from aipartnerupflow.adapters.liveness import FileLiveness, ProcessLiveness
kind, path = sys.argv[1:]
engine = FileLiveness(Path(path)) if kind == "file" else ProcessLiveness()
print(engine.name, flush=True)
time.sleep(60)
"""


def hold(kind: str, store: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, kind, str(store)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_an_engine_in_this_process_lives_until_it_leaves(tmp_path: Path) -> None:
    one, two = FileLiveness(tmp_path / "store.db"), FileLiveness(tmp_path / "store.db")
    assert one.alive(two.name) is True
    two.leave()
    assert one.alive(two.name) is False
    assert one.alive(one.name) is True
    one.leave()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "process"])
def test_another_process_lives_until_it_is_killed(kind: str, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    process, name = hold(kind, store)
    mine = FileLiveness(store) if kind == "file" else ProcessLiveness()
    try:
        assert mine.alive(name) is True
    finally:
        kill(process)
    assert mine.alive(name) is False
    mine.leave()


def test_who_finds_the_lock_of_a_dead_engine_removes_its_file(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    process, name = hold("file", store)
    kill(process)
    assert len(list(tmp_path.iterdir())) == 1
    mine = FileLiveness(store)
    assert mine.alive(name) is False
    mine.leave()
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_does_not_keep_a_dead_engine_alive(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    engine = FileLiveness(store)
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    try:
        engine.drop()  # as the kernel does when the process dies
        other = FileLiveness(store)
        deadline = time.monotonic() + 5  # the child may not have come to its hook yet
        while other.alive(engine.name) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert other.alive(engine.name) is False
        other.leave()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_name_from_another_machine_cannot_be_told() -> None:
    boot, *rest = engine_name().split(".")
    other = ".".join(["0123456789ab", *rest])
    assert boot != "0123456789ab"
    assert ProcessLiveness().alive(other) is None


def test_a_pid_that_was_given_to_another_process_is_not_that_engine() -> None:
    boot, namespace, _, _, random = engine_name().split(".")
    assert ProcessLiveness().alive(f"{boot}.{namespace}.1.123456789.{random}") is False


def test_in_memory_only_engines_of_this_process_live() -> None:
    one, two = LocalLiveness(), LocalLiveness()
    assert one.alive(two.name)
    two.leave()
    assert not one.alive(two.name)


def test_a_store_whose_directory_cannot_be_written_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StoreReadOnly, match="must be writable"):
        FileLiveness(tmp_path / "absent" / "store.db")


def test_a_forked_child_does_not_take_its_parents_engines_for_its_own() -> None:
    engine = ProcessLiveness()
    child = os.fork()
    if child == 0:
        os._exit(0 if engine.name not in LocalLiveness._alive else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    engine.leave()
