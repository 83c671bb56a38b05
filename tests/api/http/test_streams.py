"""Live streams: what a client sees, how it goes on, how it ends. Kills are in `test_live`."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from aipartnerupflow.api.http.access import Caller, Scope
from aipartnerupflow.api.http.streams import EventStream, Lines
from aipartnerupflow.api.wiring.serving import tokens_of
from tests.support.places import until
from tests.support.servers import (
    Threaded,
    Work,
    application,
    bearer,
    chain,
    make_token,
    threaded,
    tree,
)
from tests.support.sse import Seen, follow

SETTLED = "tree.settled"


def submit(server: Threaded, body: Any, *, wait: bool = True, token: str | None = None) -> str:
    headers = {"Prefer": "wait=10"} if wait else {}
    with server.client(token) as client:
        answer = client.post("/v1/trees", json=body, headers=headers)
    assert answer.status_code in (200, 202), answer.text
    id: str = answer.json()["id"]
    return id


def history(server: Threaded, id: str) -> list[dict[str, Any]]:
    with server.client() as client:
        found: list[dict[str, Any]] = client.get(f"/v1/trees/{id}/events?limit=1000").json()[
            "items"
        ]
    return found


def until_settled(server: Threaded, path: str, **options: Any) -> list[Seen]:
    """What a stream brings up to the end of a tree."""
    found = []
    for seen in follow(f"{server.url}{path}", bearer(server.token), **options):
        found.append(seen)
        if seen.event == SETTLED:
            return found
    raise AssertionError("the stream ended before the tree")


@contextmanager
def socket_to(server: Threaded, path: str, token: str | None = None) -> Iterator[ClientConnection]:
    url = server.url.replace("http:", "ws:") + path
    headers = bearer(token or server.token)
    with connect(url, additional_headers=headers, open_timeout=10) as made:
        yield made


def code_at_the_end(socket: ClientConnection) -> int | None:
    """With what the server closes it, after whatever else it sends."""
    try:
        while True:
            socket.recv(10)
    except ConnectionClosed as ended:
        return None if ended.rcvd is None else ended.rcvd.code


def refused(server: Threaded, path: str) -> bool:
    """Whether a WebSocket is refused, or closed before anything comes."""
    try:
        with socket_to(server, path) as socket:
            socket.recv(10)
    except (InvalidStatus, ConnectionClosed):
        return True
    return False


def test_a_stream_of_a_tree_begins_with_its_first_event_and_is_dense(
    socket_server: Threaded,
) -> None:
    id = submit(socket_server, chain(3))
    seen = until_settled(socket_server, f"/v1/trees/{id}/stream")
    assert [one.id for one in seen] == list(range(1, len(seen) + 1))
    assert [one.data for one in seen] == history(socket_server, id)
    assert [one.event for one in seen] == [one.data["type"] for one in seen]


def test_a_stream_goes_on_with_what_comes(socket_server: Threaded, work: Work) -> None:
    id = submit(socket_server, tree({"key": "a", "name": "gated"}), wait=False)
    threading.Timer(0.2, work.open_gate).start()
    seen = until_settled(socket_server, f"/v1/trees/{id}/stream")
    assert [one.data for one in seen] == history(socket_server, id)


@pytest.mark.parametrize("way", ["header", "query"])
def test_a_stream_is_resumed_after_the_last_event_that_was_seen(
    socket_server: Threaded, way: str
) -> None:
    id = submit(socket_server, chain(3))
    path = f"/v1/trees/{id}/stream"
    options: dict[str, Any] = {"last": 4} if way == "header" else {}
    seen = until_settled(socket_server, path if options else f"{path}?after=4", **options)
    assert seen[0].id == 5


def test_the_header_of_a_reconnect_counts_more_than_the_address(socket_server: Threaded) -> None:
    id = submit(socket_server, chain(3))
    seen = until_settled(socket_server, f"/v1/trees/{id}/stream?after=1", last=5)
    assert seen[0].id == 6


def test_a_stream_brings_the_types_that_were_asked_for(socket_server: Threaded) -> None:
    id = submit(socket_server, chain(2))
    path = f"/v1/trees/{id}/stream?types=task.completed,tree.*"
    seen = until_settled(socket_server, path)
    assert {one.event.partition(".")[0] for one in seen} == {"task", "tree"}
    assert {one.event for one in seen if one.event.startswith("task")} == {"task.completed"}
    ids = [one.id for one in seen]
    assert ids == sorted(set(ids))


def test_the_stream_of_all_trees_rises_and_begins_now_unless_told_otherwise(
    socket_server: Threaded,
) -> None:
    old = submit(socket_server, tree("a"))
    found: list[Seen] = []
    begun = threading.Event()

    def read() -> None:
        for seen in follow(f"{socket_server.url}/v1/stream", bearer(socket_server.token), begun):
            found.append(seen)
            if seen.event == SETTLED:
                return

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(10)
    new = submit(socket_server, tree("a"))
    reader.join(10)
    assert {one.data["tree_id"] for one in found} == {new}
    assert [one.data for one in found] == history(socket_server, new)
    assert [one.id for one in found] == [one.data["position"] for one in found]
    everything = until_settled(socket_server, "/v1/stream?after=0")
    assert [one.data for one in everything] == history(socket_server, old)


def test_a_stream_of_all_trees_shows_ones_own(socket_server: Threaded) -> None:
    ann = make_token(socket_server.store, "ann", "operate")
    submit(socket_server, tree("a"))
    own = submit(socket_server, tree("a"), token=ann)
    submit(socket_server, tree("a"))
    for seen in follow(f"{socket_server.url}/v1/stream?after=0", bearer(ann)):
        assert seen.data["tree_id"] == own
        if seen.event == SETTLED:
            break
    with socket_to(socket_server, "/v1/ws?after=0", ann) as socket:
        while (told := json.loads(socket.recv(10))["event"])["type"] != SETTLED:
            assert told["tree_id"] == own


def test_silence_is_filled_with_heartbeats(
    socket_server: Threaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aipartnerupflow.api.http.streams.HEARTBEAT", 0.05)
    id = submit(socket_server, tree("a"))
    with (
        socket_server.client() as client,
        client.stream("GET", f"/v1/trees/{id}/stream?after=1000") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        told = [line for line in (next(lines) for _ in range(8)) if line]
    assert told[0].startswith("retry:")
    assert [line[:1] for line in told[1:]] == [":"] * (len(told) - 1)
    with socket_to(socket_server, f"/v1/trees/{id}/ws?after=1000") as socket:
        assert json.loads(socket.recv(10)) == {"type": "heartbeat"}


def test_a_websocket_brings_the_same_as_the_stream(socket_server: Threaded) -> None:
    id = submit(socket_server, chain(3))
    seen = until_settled(socket_server, f"/v1/trees/{id}/stream")
    with socket_to(socket_server, f"/v1/trees/{id}/ws") as socket:
        told = [json.loads(socket.recv(10)) for _ in seen]
    assert told == [{"id": one.id, "event": one.data} for one in seen]
    with socket_to(socket_server, f"/v1/trees/{id}/ws?after=4&types=tree.*") as socket:
        first = json.loads(socket.recv(10))
    assert first["id"] > 4
    assert first["event"]["type"].startswith("tree.")


def test_what_a_websocket_client_sends_is_dropped(socket_server: Threaded) -> None:
    id = submit(socket_server, chain(1))
    with socket_to(socket_server, f"/v1/trees/{id}/ws") as socket:
        socket.send("text")
        socket.send(b"\x00\xff")
        socket.send("{}" * 1000)
        while json.loads(socket.recv(10))["event"]["type"] != SETTLED:
            pass
        socket.send("still here")
        socket.send(b"bytes")
        assert socket.ping().wait(10)


def test_a_frame_that_is_too_large_ends_the_websocket(socket_server: Threaded) -> None:
    id = submit(socket_server, chain(1))
    with socket_to(socket_server, f"/v1/trees/{id}/ws?after=1000") as socket:
        socket.send("x" * ((1 << 20) + 1))
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(10)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1009


@pytest.mark.parametrize(
    "query", ["types=nothing", "after=x", "after=-1", "after=" + "9" * 30, "types="]
)
def test_a_websocket_that_asks_wrongly_is_refused(socket_server: Threaded, query: str) -> None:
    id = submit(socket_server, tree("a"))
    for path in (f"/v1/trees/{id}/ws", "/v1/ws"):
        assert refused(socket_server, f"{path}?{query}")
        with socket_server.client() as client:
            answer = client.get(f"{path.replace('/ws', '/stream')}?{query}")
        assert answer.status_code == 422


@pytest.mark.parametrize(
    ("path", "authorised", "status"),
    [("/v1/ws", False, 401), ("/v1/ws?types=x", True, 422), ("/v1/trees/none/ws", True, 404)],
)
def test_a_refused_websocket_is_told_why_and_the_log_says_nothing_of_it(
    socket_server: Threaded,
    caplog: pytest.LogCaptureFixture,
    path: str,
    authorised: bool,
    status: int,
) -> None:
    headers = bearer(socket_server.token if authorised else None)
    url = socket_server.url.replace("http:", "ws:") + path
    with pytest.raises(InvalidStatus) as refused_, connect(url, additional_headers=headers):
        pass
    answer = refused_.value.response
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body is not None
    assert json.loads(answer.body)["status"] == status
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, "\uff11"])
def test_a_last_event_id_that_is_none_is_refused(socket_server: Threaded, last: str) -> None:
    id = submit(socket_server, tree("a"))
    with socket_server.client() as client:
        headers = {b"Last-Event-ID": last.encode()}
        answer = client.get(f"/v1/trees/{id}/stream", headers=headers)
    assert answer.status_code == 422


def test_streams_end_at_once_when_the_server_stops(place: Path, work: Work) -> None:
    with threaded(f"memory://{uuid4().hex}", place) as server:
        id = submit(server, tree({"key": "a", "name": "gated"}), wait=False)
        with (
            server.client() as client,
            client.stream("GET", f"/v1/trees/{id}/stream") as answer,
            socket_to(server, f"/v1/trees/{id}/ws") as socket,
        ):
            lines = answer.iter_lines()
            next(lines)
            socket.recv(10)
            server.ask_to_stop()
            list(lines)  # it ends as it should, in the middle of no event
            assert code_at_the_end(socket) == 1012
        work.open_gate()


def test_a_token_has_so_many_streams_and_no_more(place: Path) -> None:
    with threaded(f"memory://{uuid4().hex}", place, max_streams=2) as server:
        id = submit(server, tree("a"))
        other = make_token(server.store, "ann", "admin")
        path = f"/v1/trees/{id}/stream"
        with server.client() as client, server.client(other) as stranger:
            with client.stream("GET", path) as one, client.stream("GET", path) as two:
                assert (one.status_code, two.status_code) == (200, 200)
                lines = one.iter_lines(), two.iter_lines()  # dropped, they would end the streams
                assert [next(some) for some in lines] == ["retry: 1000"] * 2
                third = client.get(path)
                assert (third.status_code, third.headers["retry-after"]) == (429, "1")
                assert refused(server, f"/v1/trees/{id}/ws")
                with stranger.stream("GET", path) as answer:
                    assert answer.status_code == 200
            asyncio.run(until(lambda: server.server.streams == 0))
            with client.stream("GET", path) as again:
                assert again.status_code == 200


async def test_who_waits_counts_as_a_stream(place: Path, work: Work) -> None:
    async with application(f"memory://{uuid4().hex}", place, max_streams=2) as api:
        ann = api.user("ann")
        gated = {"key": "a", "name": "gated"}
        told = (await ann.post("/v1/trees", json=[gated])).json()
        path, wait = f"/v1/trees/{told['id']}", {"Prefer": "wait=30"}
        held = [
            asyncio.ensure_future(ann.get(path, headers=wait)),
            asyncio.ensure_future(ann.get(f"{path}/events?after=1000&wait=30")),
        ]
        await until(lambda: api.server.streams == 2)
        ask = {"jsonrpc": "2.0", "id": 1, "method": "tasks.count"}
        for refused in (
            await ann.get(path, headers=wait),
            await ann.get(f"{path}/events?after=1000&wait=30"),
            await ann.get(f"{path}/stream"),
            await ann.post("/v1/trees", json=[gated | {"id": "late"}], headers=wait),
            await ann.post("/tasks", json=ask, headers=wait),
        ):
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert (await ann.get("/v1/tasks/late")).status_code == 404
        assert (await ann.get(path)).status_code == 200
        assert (await ann.post("/tasks", json=ask)).status_code == 200
        work.open_gate()
        api.server.stop()
        assert [(await one).status_code for one in held] == [200, 200]
        assert api.server.streams == 0


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a token holds is looked at all the time."""
    monkeypatch.setattr("aipartnerupflow.api.http.streams.CHECK", 0.05)
    monkeypatch.setattr("aipartnerupflow.api.http.access.CACHED_SECONDS", 0.02)


@pytest.mark.parametrize("busy", [False, True])
def test_streams_end_when_the_token_is_revoked(
    socket_server: Threaded, often: None, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    if busy:
        monkeypatch.setattr("aipartnerupflow.api.http.streams.HEARTBEAT", 0.01)
    store = socket_server.store
    token = make_token(store, "ann", "admin", id="hers")
    id = submit(socket_server, chain(1))
    with (
        socket_server.client(token) as client,
        client.stream("GET", f"/v1/trees/{id}/stream") as answer,
        socket_to(socket_server, "/v1/ws", token) as socket,
    ):
        lines = answer.iter_lines()
        next(lines)
        assert tokens_of(store).revoke("hers", store.now())
        list(lines)
        assert code_at_the_end(socket) == 1008
        assert client.get(f"/v1/trees/{id}/stream").status_code == 401
    asyncio.run(until(lambda: socket_server.server.streams == 0))


def test_streams_end_when_the_token_expires(place: Path, often: None) -> None:
    with threaded(f"memory://{uuid4().hex}", place, jwt_secret="s" * 40) as server:
        claims = {"sub": "ann", "aud": "apflow", "exp": time.time() + 3, "roles": ["admin"]}
        token = jwt.encode(claims, "s" * 40, algorithm="HS256")
        with (
            server.client(token) as client,
            client.stream("GET", "/v1/stream") as answer,
            socket_to(server, "/v1/ws", token) as socket,
        ):
            assert answer.status_code == 200
            list(answer.iter_lines())
            assert code_at_the_end(socket) == 1008


def test_streams_go_on_while_the_token_holds(socket_server: Threaded, often: None) -> None:
    token = make_token(socket_server.store, "ann", "admin")
    with socket_to(socket_server, "/v1/ws", token) as socket, pytest.raises(TimeoutError):
        socket.recv(0.5)


def test_a_ticket_does_not_outlive_its_token(socket_server: Threaded, often: None) -> None:
    store = socket_server.store
    token = make_token(store, "ann", "read", id="hers")
    with socket_server.client(token) as client:
        ticket = client.post("/v1/stream-tickets").json()["ticket"]
    assert tokens_of(store).revoke("hers", store.now())
    time.sleep(0.05)
    assert httpx.get(f"{socket_server.url}/v1/stream?ticket={ticket}").status_code == 401


def test_a_client_that_leaves_leaves_nothing_behind(socket_server: Threaded) -> None:
    id = submit(socket_server, tree("a"))
    for _ in range(5):
        with (
            socket_server.client() as client,
            client.stream("GET", f"/v1/trees/{id}/stream") as answer,
        ):
            next(answer.iter_lines())
        with socket_to(socket_server, "/v1/ws"):
            pass
    hub = socket_server.server.hub
    asyncio.run(until(lambda: hub.followers == 0 and socket_server.server.streams == 0))
    assert hub._channels == {}


def test_a_ticket_opens_one_stream_and_not_a_second(socket_server: Threaded) -> None:
    id = submit(socket_server, tree("a"))
    with socket_server.client() as client:
        made = client.post("/v1/stream-tickets")
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        ticket = made.json()["ticket"]
        with httpx.stream("GET", f"{socket_server.url}/v1/trees/{id}/stream?ticket={ticket}") as it:
            assert it.status_code == 200
        again = httpx.get(f"{socket_server.url}/v1/trees/{id}/stream?ticket={ticket}")
        assert again.status_code == 401
        other = client.post("/v1/stream-tickets").json()["ticket"]
    url = f"{socket_server.url.replace('http:', 'ws:')}/v1/trees/{id}/ws?ticket={other}"
    with connect(url) as socket:
        assert json.loads(socket.recv(10))["id"] == 1
    with pytest.raises((InvalidStatus, ConnectionClosed)), connect(url) as socket:
        socket.recv(10)


INDENTED = (
    b"""[{"key": "root", "name": "give", "inputs": {\r\n  "value": [\n    1,\r    2\n  ]\n}}]"""
)


def test_json_that_was_written_over_many_lines_comes_on_one(socket_server: Threaded) -> None:
    with socket_server.client() as client:
        headers = {"Prefer": "wait=10", "Content-Type": "application/json"}
        id = client.post("/v1/trees", content=INDENTED, headers=headers).json()["id"]
    seen = until_settled(socket_server, f"/v1/trees/{id}/stream")
    assert [one.data for one in seen] == history(socket_server, id)
    assert seen[0].data["specs"][0]["inputs"] == {"value": [1, 2]}


async def test_a_stream_whose_reader_has_gone_ends_in_order_while_the_server_ends(
    place: Path,
) -> None:
    leaving, may_end = asyncio.Event(), asyncio.Event()

    async def lines() -> Lines:
        try:
            await asyncio.Event().wait()
            yield []
        finally:
            leaving.set()
            await may_end.wait()

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    async with application(f"memory://{uuid4().hex}", place) as api:
        stream = EventStream(api.server, Caller("ann", Scope.READ, "t"), lines())
        serving = asyncio.ensure_future(stream({"type": "http"}, receive, send))
        await leaving.wait()
        api.server.stop()
        await asyncio.sleep(0)
        may_end.set()
        await serving
        assert api.server.streams == 0
