#!/usr/bin/env python3
"""What it costs to let tasks make HTTP calls: rest_executor against the same calls by bare httpx.

    python benchmarks/calls.py

One JSON line per store on standard output; docs/performance.md says what they mean.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx

from aipartnerupflow import Flow

CALLS, AT_ONCE, RUNS = 1_000, 50, 5
SERVER = """
import asyncio
ANSWER = (
    b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 11\\r\\n\\r\\n"
    b"{\\"ok\\":true}"
)

async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
"""It shares no code with httpx, and does next to nothing."""


async def bare(url: str) -> float:
    """Seconds for all calls by one shared client."""
    left = iter(range(CALLS))
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=AT_ONCE)) as client:

        async def caller() -> None:
            for _ in left:
                (await client.get(url)).raise_for_status().json()

        await asyncio.gather(*(caller() for _ in range(5)))  # connections are made
        left = iter(range(CALLS))
        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        return time.perf_counter() - began


async def tasks(url: str, store: str) -> float:
    """Seconds for as many tasks in one tree, from its submission to its end."""
    tree: list[dict[str, Any]] = [{"key": "all", "name": "all"}]
    tree += [
        {"key": f"c{n}", "name": "rest_executor", "parent_id": "all", "inputs": {"url": url}}
        for n in range(CALLS)
    ]
    async with Flow(store) as flow:
        warm = await flow.submit([{"name": "rest_executor", "inputs": {"url": url}}])
        await warm.settled()
        began = time.perf_counter()
        handle = await flow.submit(tree, limit=AT_ONCE)
        if await handle.settled() != "completed":
            raise SystemExit("a call failed")
        return time.perf_counter() - began


def main() -> int:
    """Both by turns; medians."""
    argparse.ArgumentParser(prog="benchmarks/calls.py").parse_args()
    os.environ["APFLOW_PRIVATE_TARGETS"] = "127.0.0.1"
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE) as server,
    ):
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/"
        found: dict[str, list[float]] = {"bare": [], "memory": [], "sqlite": []}
        try:
            for run in range(RUNS):
                found["bare"].append(asyncio.run(bare(url)))
                found["memory"].append(asyncio.run(tasks(url, f"memory://{run}")))
                found["sqlite"].append(asyncio.run(tasks(url, f"sqlite:///{folder}/{run}.db")))
        finally:
            server.kill()
    medians = {name: statistics.median(values) for name, values in found.items()}
    for store in ("memory", "sqlite"):
        line = {
            "measurement": "calls", "store": store, "calls": CALLS, "at_once": AT_ONCE,
            "bare_s": round(medians["bare"], 4), "tasks_s": round(medians[store], 4),
            "ratio": round(medians[store] / medians["bare"], 3),
        }  # fmt: skip
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
