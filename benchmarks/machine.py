"""The machine that is measured on: what it is, how long its disk takes, how much memory it gave."""

import os
import platform
import resource
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.places import Place

FLUSHES = 500
FLUSHED_BYTES = 4096


def describe(places: Iterable[Place]) -> str:
    """One line: processor, cores, kernel, versions, date."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    parts = [
        _processor(),
        f"{cores} cores",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        *(f"PostgreSQL {place.version}" for place in places if place.version),
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    ]
    return ", ".join(parts)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def on_tmpfs(directory: Path) -> bool:
    """Whether the directory lies in memory, as far as the mounts tell."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return False
    here = directory.resolve()
    kind = "", ""
    for line in mounts.read_text().splitlines():
        _, point, name, *_ = line.split()
        if here.is_relative_to(point) and len(point) >= len(kind[0]):
            kind = point, name
    return kind[1] in ("tmpfs", "ramfs")


def flush_us(directory: Path) -> float:
    """Median time of a flush after 4 KiB more were written to a file there, in microseconds."""
    flush = getattr(os, "fdatasync", os.fsync)
    took = []
    with TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(FLUSHES):
            file.write(bytes(FLUSHED_BYTES))
            began = time.perf_counter()
            flush(file.fileno())
            took.append(time.perf_counter() - began)
    return percentile(took, 0.5) * 1e6


def rss_mb() -> float:
    """The most memory that this process has held, in MB of 10^6 bytes.

    Not from getrusage where the kernel tells it: there a process inherits its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` of all lie: the nearest that was measured."""
    ordered = sorted(values)
    return ordered[round(part * (len(ordered) - 1))]
