#!/usr/bin/env python3
"""The server under load: how soon trees settle, what a request costs, what followers see and when.

    python benchmarks/rest.py --only streams

One JSON line per measurement on standard output; docs/performance.md says what they mean.
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.command_line import SCRATCH
from benchmarks.machine import describe, flush_us, percentile
from benchmarks.places import Place, opened
from benchmarks.suite import ROOT, environment
from benchmarks.wire import ONE, Wire, ten

CLIENTS = (1, 16, 128)
SUBMISSIONS = 600
"""Trees of ten tasks for each number of clients."""
FOLLOWERS, FOLLOWING, SECONDS = 5_000, 100, 20
LISTED = 100_000

Measures = dict[str, Any]


class Running:
    """A server process and what is known of it."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, token: str) -> None:
        self.process = process
        parts = urlsplit(url)
        self.host, self.port, self.token = parts.hostname or "", parts.port or 0, token
        self.commits: list[tuple[float, int]] = []

    def wire(self) -> Wire:
        """A new connection to it."""
        return Wire(self.host, self.port, self.token)

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self) -> int:
        """Bytes that it holds in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """End it, and read when its commits were."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=60)
        self.commits = json.loads(out.strip().splitlines()[-1])


@contextmanager
def served(place: Place, url: str) -> Iterator[Running]:
    """A server on a store."""
    with TemporaryDirectory(prefix="state-", dir=place.directory) as state:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving", state, url],
            cwd=ROOT, env={**os.environ, **environment()}, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        running = Running(process, address, (Path(state) / "token").read_text().strip())
        try:
            yield running
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


async def _settle(wire: Wire, body: bytes) -> float:
    """Submit a tree and wait for its end; seconds."""
    began = time.perf_counter()
    status, _ = await wire.call("POST", "/v1/trees", body, "Prefer: wait=60\r\n")
    if status != 200:
        raise SystemExit(f"a submission was answered with {status}")
    return time.perf_counter() - began


async def _load(server: Running, clients: int, trees: int, body: bytes) -> list[float]:
    left = iter(range(trees))
    took: list[float] = []

    async def client() -> None:
        wire = server.wire()
        took.extend([await _settle(wire, body) for _ in left])
        wire.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return took


def _library(url: str, clients: int, trees: int) -> Measures:
    """The same work through the library, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.library", url, str(clients), str(trees)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=True)
    found: Measures = json.loads(done.stdout)
    return found


def submit(place: Place) -> Iterator[Measures]:
    """Trees of ten tasks: submitted by POST, settled when it answers."""
    for clients in CLIENTS:
        with place.database() as url, served(place, url) as server:
            asyncio.run(_load(server, clients, 50, ten()))
            cpu, began = server.cpu(), time.perf_counter()
            took = asyncio.run(_load(server, clients, SUBMISSIONS, ten()))
            seconds = time.perf_counter() - began
            cpu = server.cpu() - cpu
        with place.database() as url:
            library = _library(url, clients, SUBMISSIONS)
        yield {
            "clients": clients, "trees": SUBMISSIONS,
            "trees_per_s": SUBMISSIONS / seconds,
            "p50_ms": percentile(took, 0.5) * 1e3, "p99_ms": percentile(took, 0.99) * 1e3,
            "cpu_ms": cpu / SUBMISSIONS * 1e3,
            "library_trees_per_s": library["trees_per_s"],
            "library_p50_ms": library["p50_ms"], "library_p99_ms": library["p99_ms"],
            "library_cpu_ms": library["cpu_ms"],
            "more_cpu_ms": cpu / SUBMISSIONS * 1e3 - library["cpu_ms"],
        }  # fmt: skip


def one(place: Place) -> Iterator[Measures]:
    """One client, trees of one task."""
    with place.database() as url, served(place, url) as server:
        asyncio.run(_load(server, 1, 50, ONE))
        took = asyncio.run(_load(server, 1, 500, ONE))
    yield {"trees": 500, "p50_ms": percentile(took, 0.5) * 1e3,
           "p99_ms": percentile(took, 0.99) * 1e3}  # fmt: skip


def listed(place: Place) -> Iterator[Measures]:
    """The 20 newest of many trees, in the query and by HTTP; and a long tree as it stood."""
    with place.database() as url:
        command = [sys.executable, "-m", "benchmarks.listing", url, str(LISTED)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=True
        )
        query = json.loads(done.stdout)
        with served(place, url) as server:

            async def read(paths: list[str]) -> list[float]:
                wire, took = server.wire(), []
                for path in paths:
                    began = time.perf_counter()
                    status, _ = await wire.call("GET", path)
                    took.append(time.perf_counter() - began)
                    assert status == 200, path
                return took

            lists = asyncio.run(read(["/v1/trees?limit=20"] * 300))
            version = query["version"]
            paths = [f"/v1/trees/long?at_version={1 + k * (version - 1) // 99}" for k in range(100)]
            past = asyncio.run(read(paths))
    yield {
        "trees": LISTED, "query_p50_ms": query["p50_ms"],
        "p50_ms": percentile(lists[50:], 0.5) * 1e3,
        "events": version, "past_p50_ms": percentile(past, 0.5) * 1e3,
        "past_p95_ms": percentile(past, 0.95) * 1e3,
    }  # fmt: skip


def _paced() -> bytes:
    tasks: list[dict[str, Any]] = [{"id": "paced", "name": "all"}]
    tasks += [
        {"key": f"t{n}", "name": "paced", "parent_id": "paced", "inputs": {"n": n}}
        for n in range(SECONDS * 100)
    ]
    return json.dumps({"tasks": tasks, "limit": 200}).encode()


async def _run_paced(server: Running) -> float:
    return await _settle(server.wire(), _paced())


async def _follow(
    server: Running, followers: int, following: int, base: int
) -> tuple[float, int, list[list[tuple[float, int]]]]:
    """The run's seconds, memory for each follower, and when each event came to whom."""
    seen: list[list[tuple[float, int]]] = [[] for _ in range(following)]
    wires = [server.wire() for _ in range(followers)]

    async def listen(k: int) -> None:
        tree = "paced" if k < following else "idle"
        async for data in wires[k].events(f"/v1/trees/{tree}/stream"):
            if k < following:
                seen[k].append((time.monotonic(), int(data[12 : data.index(b",")])))
                if b'"tree.settled"' in data[:120]:
                    return

    setter = server.wire()
    draft = json.dumps({"tasks": json.loads(_paced())["tasks"], "limit": 200, "start": False})
    await setter.call("POST", "/v1/trees", draft.encode())
    idle = json.dumps({"tasks": [{"id": "idle", "name": "noop"}], "start": False})
    await setter.call("POST", "/v1/trees", idle.encode())
    tasks = []
    for k in range(followers):
        tasks.append(asyncio.create_task(listen(k)))
        if k % 200 == 199:
            await asyncio.sleep(0.2)
    await asyncio.sleep(2.0)
    memory = (server.rss() - base) // max(followers, 1)
    began = time.perf_counter()
    await setter.call("POST", "/v1/trees/paced/start")
    await asyncio.gather(*tasks[:following])
    took = time.perf_counter() - began
    for task in tasks[following:]:
        task.cancel()
    for wire in wires:
        wire.close()
    return took, memory, seen


def _latencies(server: Running, seen: list[list[tuple[float, int]]]) -> list[float]:
    positions = [position for _, position in server.commits]
    return [
        at - server.commits[bisect_left(positions, position)][0]
        for events in seen
        for at, position in events
    ]


def streams(place: Place) -> Iterator[Measures]:
    """Many followers, of whom some follow one tree that is paced."""
    with place.database() as url, served(place, url) as server:
        alone = asyncio.run(_run_paced(server))
    with place.database() as url, served(place, url) as server:
        base = server.rss()
        took, memory, seen = asyncio.run(_follow(server, FOLLOWERS, FOLLOWING, base))
        server.stop()
        late = _latencies(server, [events[1:] for events in seen])
    counts = {len(events) for events in seen}
    yield {
        "followers": FOLLOWERS, "following": FOLLOWING, "events": max(counts),
        "missed": max(counts) - min(counts), "p50_ms": percentile(late, 0.5) * 1e3,
        "p95_ms": percentile(late, 0.95) * 1e3, "kb_per_client": memory / 1024,
        "run_s": took, "without_s": alone, "ratio": took / alone,
    }  # fmt: skip


def alone(place: Place) -> Iterator[Measures]:
    """One follower of the same tree."""
    with place.database() as url, served(place, url) as server:
        _, _, seen = asyncio.run(_follow(server, 1, 1, server.rss()))
        server.stop()
        late = _latencies(server, [seen[0][1:]])
    yield {"events": len(seen[0]), "p50_ms": statistics.median(late) * 1e3,
           "p95_ms": percentile(late, 0.95) * 1e3}  # fmt: skip


MEASUREMENTS: dict[str, Callable[[Place], Iterator[Measures]]] = {
    "one": one, "submit": submit, "listed": listed, "alone": alone, "streams": streams,
}  # fmt: skip


def main() -> int:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="benchmarks/rest.py")
    parser.add_argument("--only", choices=MEASUREMENTS)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--dir", type=Path, default=SCRATCH)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    given.dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        place = stack.enter_context(opened(given.store, given.dir.resolve()))
        print(describe([place]), file=sys.stderr, flush=True)
        for name, measure in MEASUREMENTS.items():
            if given.only not in (None, name):
                continue
            for found in measure(place):
                short = {k: round(v, 3) if isinstance(v, float) else v for k, v in found.items()}
                line = {"measurement": name, "store": given.store, **short}
                print(json.dumps(line | {"flush_us": round(flush_us(place.directory))}), flush=True)
    if given.dir == SCRATCH and not any(SCRATCH.iterdir()):
        SCRATCH.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())
