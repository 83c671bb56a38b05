"""Streams through bad times: cut off, killed, slow, many at once, on another server."""

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.chaos.tally import Tally
from tests.support.places import until
from tests.support.servers import Program, Threaded, Work, bearer, chain, program, threaded, tree
from tests.support.sse import Seen, follow, parse
from tests.support.tcp import Cable, cable

SETTLED = "tree.settled"
CUTS, KILLS = 20, 3


class Watcher(threading.Thread):
    """A client that goes on after the last event it has seen, until the tree has settled."""

    def __init__(self, follow_from: Callable[[int], Iterator[Seen]]) -> None:
        super().__init__(daemon=True)
        self._follow_from = follow_from
        self.seen: list[Seen] = []

    def run(self) -> None:
        """Reconnects at once, whatever ended the connection."""
        while not (self.seen and self.seen[-1].event == SETTLED):
            last = self.seen[-1].id if self.seen else 0
            with suppress(httpx.TransportError, OSError, ConnectionClosed, AssertionError):
                for seen in self._follow_from(last):
                    self.seen.append(seen)
                    if seen.event == SETTLED:
                        return
            time.sleep(0.05)

    @property
    def ids(self) -> list[int]:
        """The versions, as they came."""
        return [seen.id for seen in self.seen]


def by_stream(url: str, token: str, id: str) -> Watcher:
    path = f"{url}/v1/trees/{id}/stream"
    return Watcher(lambda last: follow(path, bearer(token), last=last))


def slow_chain(length: int, until_file: str) -> list[dict[str, Any]]:
    """Each takes a moment; the last waits for a file."""
    tasks = [
        {
            "key": f"t{n}", "name": "append", "inputs": {"seconds": 0.02},
            "dependencies": [f"t{n - 1}"] if n else [],
        }
        for n in range(length)
    ]  # fmt: skip
    tasks[-1]["inputs"] = {"until": until_file}
    return tree(*tasks)


def cut_and_kill(server: Program, way: Cable, rng: random.Random) -> None:
    """In a random order, at random moments."""
    blows = ["cut"] * CUTS + ["kill"] * KILLS
    rng.shuffle(blows)
    for blow in blows:
        time.sleep(rng.uniform(0.0, 0.15))
        if blow == "cut":
            way.cut()
        else:
            server.kill()
            server.start()


@pytest.mark.slow
def test_clients_that_are_cut_off_while_the_server_is_killed_see_each_event_once(
    place: Path, tally: Tally
) -> None:
    seed = random.randrange(1 << 30)
    tally.note(f"seed {seed}")
    with program(place, "--store", f"sqlite:///{place}/live.db") as server:
        with server.client() as client:
            id = client.post("/v1/trees", json=slow_chain(40, "go")).json()["id"]
        with cable(httpx.URL(server.url).port or 0) as way, cable(way.port) as other:
            watchers = [by_stream(each.url, server.token, id) for each in (way, other)]
            for watcher in watchers:
                watcher.start()
            cut_and_kill(server, way, random.Random(seed))
            (place / "go").touch()
            for watcher in watchers:
                watcher.join(40)
                assert not watcher.is_alive()
            tally.add("connections cut", way.cuts)
        tally.add("servers killed", KILLS)
        tally.add("events seen", sum(len(watcher.seen) for watcher in watchers))
        with server.client() as client:
            history = client.get(f"/v1/trees/{id}/events?limit=1000").json()["items"]
    first, second = watchers
    assert first.ids == list(range(1, len(history) + 1))
    assert [seen.data for seen in first.seen] == history
    assert [seen.data for seen in second.seen] == history


@pytest.mark.slow
async def test_two_hundred_clients_see_every_event_of_a_run(
    socket_server: Threaded, tally: Tally
) -> None:
    count = 200
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=socket_server.url, headers=bearer(socket_server.token), timeout=60, limits=limits
    ) as client:
        body = {"tasks": chain(25, seconds=0.02), "start": False}
        id = (await client.post("/v1/trees", json=body)).json()["id"]
        ready = asyncio.Semaphore(0)

        async def watch() -> list[tuple[int, str]]:
            found: list[tuple[int, str]] = []
            mark = 0
            async with client.stream("GET", f"/v1/trees/{id}/stream") as answer:
                assert answer.status_code == 200
                ready.release()
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        mark = int(line[4:])
                    elif line.startswith("event: "):
                        found.append((mark, line[7:]))
                        if line == f"event: {SETTLED}":
                            return found
            return found

        watching = [asyncio.create_task(watch()) for _ in range(count)]
        for _ in range(count):
            await ready.acquire()
        await client.post(f"/v1/trees/{id}/start")
        seen = await asyncio.gather(*watching)
        page = (await client.get(f"/v1/trees/{id}/events?limit=1000")).json()["items"]
    expected = [(event["version"], event["type"]) for event in page]
    assert all(each == expected for each in seen)
    tally.add("clients", count)
    tally.add("events seen", sum(map(len, seen)))


def big_results(count: int) -> list[dict[str, Any]]:
    return tree(
        *({"key": f"t{n}", "name": "give", "inputs": {"value": "x" * 60_000}} for n in range(count))
    )


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes nothing for a moment is dropped."""
    monkeypatch.setattr("aipartnerupflow.api.http.streams.SLOW", 0.3)


def submit(server: Threaded, body: Any) -> str:
    with server.client() as client:
        answer = client.post("/v1/trees", json=body, headers={"Prefer": "wait=30"})
    assert answer.json()["status"] == "completed", answer.text
    id: str = answer.json()["id"]
    return id


def lines_of(data: bytes) -> Iterator[str]:
    """The lines of a body in chunks."""
    body = b""
    rest = data.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length or len(rest) < length:
            break
        body, rest = body + rest[:length], rest[length + 2 :]
    yield from body.decode().split("\n")


@pytest.mark.slow
def test_a_slow_reader_is_dropped_with_a_hint_and_resumes_without_loss(
    socket_server: Threaded, impatient: None
) -> None:
    id = submit(socket_server, big_results(120))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", socket_server.port))
        token = socket_server.token
        slow.sendall(
            f"GET /v1/trees/{id}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        time.sleep(0.1)
        asyncio.run(until(lambda: socket_server.server.streams == 0))
        data = b""
        while part := slow.recv(1 << 16):
            data += part
    seen = list(parse(lines_of(data)))
    hint = seen.pop()
    assert hint.event == "dropped"
    after = hint.data["after"]
    assert [one.id for one in seen] == list(range(1, after + 1))
    rest = by_stream(socket_server.url, token, id)
    rest.seen = list(seen)
    rest.run()
    with socket_server.client() as client:
        history = client.get(f"/v1/trees/{id}/events?limit=1000").json()["items"]
    assert [one.data for one in rest.seen] == history
    assert after < len(history)


@pytest.mark.slow
def test_a_slow_websocket_is_dropped_with_a_hint(socket_server: Threaded, impatient: None) -> None:
    id = submit(socket_server, big_results(120))
    url = f"{socket_server.url.replace('http:', 'ws:')}/v1/trees/{id}/ws"
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    small.connect(("127.0.0.1", socket_server.port))
    with connect(
        url, sock=small, additional_headers=bearer(socket_server.token), max_queue=1,
        compression=None,
    ) as client:  # fmt: skip
        asyncio.run(until(lambda: socket_server.server.streams == 0))
        ids: list[int] = []
        with suppress(ConnectionClosed):
            while True:
                ids.append(json.loads(client.recv(20))["id"])
    assert ids == list(range(1, len(ids) + 1))
    assert client.close_code == 1013
    assert client.close_reason == f"too slow; go on with after={len(ids)}"


@pytest.mark.slow
def test_a_slow_reader_does_not_hold_up_the_others(socket_server: Threaded, work: Work) -> None:
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect(("127.0.0.1", socket_server.port))
        token = socket_server.token
        slow.sendall(
            f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        asyncio.run(until(lambda: socket_server.server.streams == 1))
        id = submit(socket_server, big_results(120))
        watcher = by_stream(socket_server.url, token, id)
        watcher.run()
        assert watcher.ids == list(range(1, len(watcher.ids) + 1))


def test_a_second_server_streams_what_the_engine_of_the_first_does(
    place: Path, postgres_dsn: str
) -> None:
    (place / "engine").mkdir()
    with (
        threaded(postgres_dsn, place, engine=False) as second,
        program(place / "engine", "--store", postgres_dsn) as first,
    ):
        with first.client() as client:
            id = client.post("/v1/trees", json=slow_chain(8, "go")).json()["id"]
        ours = by_stream(second.url, second.token, id)
        theirs = by_stream(first.url, first.token, id)
        for watcher in (ours, theirs):
            watcher.start()
        (place / "engine" / "go").touch()
        for watcher in (ours, theirs):
            watcher.join(30)
        assert ours.ids == list(range(1, len(ours.ids) + 1))
        assert ours.seen[-1].event == SETTLED
        assert ours.seen == theirs.seen


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_following_while_it_runs_and_reading_afterwards_are_the_same(
    place: Path, kind: str
) -> None:
    url = f"memory://{uuid4().hex}" if kind == "memory" else f"sqlite:///{place}/x.db"
    with threaded(url, place) as server, server.client() as client:
        body = {"tasks": chain(10), "start": False}
        id = client.post("/v1/trees", json=body).json()["id"]
        live = [by_stream(server.url, server.token, id) for _ in range(3)]
        for watcher in live:
            watcher.start()
        client.post(f"/v1/trees/{id}/start")
        for watcher in live:
            watcher.join(20)
        late = by_stream(server.url, server.token, id)
        late.run()
    assert [watcher.seen for watcher in live] == [late.seen] * 3
