"""A program ends with the process that started it, whatever else came out of that process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Writes its process id, and stays.
PROGRAM = """
import os, sys, time
with open(sys.argv[1], "w") as file:
    file.write(f"{os.getpid()}.")
time.sleep(60)
"""
# Starts the program, forks, says who the child is, and is killed.
ENGINE = """
import asyncio, os, pathlib, signal, sys, time
from aipartnerupflow.adapters.executors.processes.running import run

async def main(program, place):
    argv = [sys.executable, "-c", program, place]
    under_way = asyncio.create_task(run(argv, env={}, seconds=60, max_output=100))
    while not (pathlib.Path(place).exists() and pathlib.Path(place).read_text().endswith(".")):
        await asyncio.sleep(0.01)
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(*sys.argv[1:]))
"""


def alive(pid: int) -> bool:
    """Whether it runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_fork_of_the_engine_keeps_no_program_alive(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    argv = [sys.executable, "-c", ENGINE, PROGRAM, str(place)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as engine:
        assert engine.stdout is not None
        child = int(engine.stdout.readline())
        try:
            program = int(place.read_text().rstrip("."))
            for _ in range(500):
                if not alive(program):
                    break
                time.sleep(0.01)
            assert not alive(program)
            assert alive(child)
        finally:
            os.kill(child, signal.SIGKILL)
    assert engine.returncode == -signal.SIGKILL
