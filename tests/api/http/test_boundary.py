"""What comes from outside and means no good: refused, bounded, and the runs beside it unharmed."""

import asyncio
import gzip
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.knock import knock
from tests.support.places import until
from tests.support.servers import Api, Threaded, Work, bearer, threaded, tree

JSON = {"Content-Type": "application/json"}


def is_problem(answer: httpx.Response, status: int) -> bool:
    """Whether it is refused as everything is refused."""
    kind = answer.headers.get("content-type")
    return (answer.status_code, kind) == (status, "application/problem+json")


# -- whose name, whose page


@pytest.mark.parametrize(
    "host",
    [
        "example.org", "127.0.0.1.example.org", "localhost.example.org", "127.0.0.2", "0.0.0.0",
        "", "127.0.0.1@example.org", "example.org:8000", "[::ffff:127.0.0.1]", "[::1", "a b",
        "127.0.0.1, example.org", "localhost:8000@example.org", "xn--localhost",
    ],
)  # fmt: skip
async def test_a_host_that_is_not_ours_is_refused(api: Api, host: str) -> None:
    for path in ("/livez", "/v1/trees", "/docs", "/openapi.json", "/nowhere"):
        assert is_problem(await api.admin.get(path, headers={"Host": host}), 421)
    assert await knock(api.app, "/v1/ws", bearer(api.token) | {"Host": host}) == 421


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST", "localhost:1", "[::1]:8000", "localhost."]
)
async def test_our_names_are_ours_with_any_port(api: Api, host: str) -> None:
    assert (await api.admin.get("/livez", headers={"Host": host})).status_code == 200


async def test_two_hosts_are_none(api: Api) -> None:
    headers = [("Host", "127.0.0.1"), ("Host", "example.org")]
    assert is_problem(await api.nobody.get("/livez", headers=headers), 421)


@pytest.mark.parametrize(
    "origin",
    ["http://example.org", "null", "https://127.0.0.1:1", "http://localhost", "file://", "http://",
     "http://127.0.0.1.example.org", "http://127.0.0.1@example.org", "javascript:", "",
     "http://[", "http://example.org#127.0.0.1"],
)  # fmt: skip
async def test_a_page_of_another_origin_can_change_nothing(api: Api, origin: str) -> None:
    before = api.store.journal.position()
    headers = {"Origin": origin}
    for method, path in (("POST", "/v1/trees"), ("POST", "/tasks"), ("PUT", "/x"), ("X", "/")):
        assert is_problem(await api.admin.request(method, path, headers=headers, json=[]), 403)
    assert await knock(api.app, "/v1/ws", bearer(api.token) | headers) == 403
    assert api.store.journal.position() == before


async def test_our_own_pages_may_do_what_their_user_may(api: Api) -> None:
    headers = {"Origin": "http://127.0.0.1"}
    answer = await api.admin.post("/v1/trees", json=tree("a"), headers=headers)
    assert answer.status_code == 202
    assert await knock(api.app, "/v1/ws", bearer(api.token) | headers) == 101


async def test_other_origins_are_told_nothing_of_themselves(api: Api) -> None:
    origin = {"Origin": "http://example.org"}
    asked = {"Access-Control-Request-Method": "POST"}
    answer = await api.admin.options("/v1/trees", headers=origin | asked)
    assert answer.status_code == 405
    read = await api.admin.get("/v1/trees", headers=origin)
    for one in (answer, read):
        assert not [name for name in one.headers if name.startswith("access-control")]
        assert one.headers["cross-origin-resource-policy"] == "same-origin"


# -- bodies


def nested(depth: int, open_: str = "[", close: str = "]") -> bytes:
    return (open_ * depth + close * depth).encode()


@pytest.mark.parametrize("depth", [65, 1_000, 100_000])
async def test_deeply_nested_bodies_are_refused(api: Api, depth: int) -> None:
    before = api.store.journal.position()
    inner = nested(depth).decode()
    objects = '{"a":' * depth + "1" + "}" * depth
    bodies = [f'[{{"name": "give", "inputs": {{"a": {each}}}}}]' for each in (inner, objects)]
    bodies += [f'[{{"name": "give", "params": {{"a": {inner}}}}}]']
    if depth > 65:
        bodies += [inner, f'{{"tasks": {inner}}}']
    for body in bodies:
        answer = await api.admin.post("/v1/trees", content=body.encode(), headers=JSON)
        assert is_problem(answer, 422), body[:40]
        if depth > 65:
            path = "/v1/trees/nowhere/cancel"
            answer = await api.admin.post(path, content=body.encode(), headers=JSON)
            assert answer.status_code in (404, 422)
    assert api.store.journal.position() == before


async def test_a_tree_that_is_too_deep_is_refused(api: Api) -> None:
    body: Any = {"name": "give"}
    for _ in range(150):
        body = {"name": "group", "children": [body]}
    assert is_problem(await api.admin.post("/v1/trees", json=body), 422)


@pytest.mark.parametrize("packed", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x-gzip"])
async def test_a_packed_body_is_not_unpacked(api: Api, packed: str) -> None:
    bomb = gzip.compress(b" " * (64 << 20)) if "gzip" in packed else zlib.compress(b" " * 9_999)
    headers = JSON | {"Content-Encoding": packed}
    answer = await api.admin.post("/v1/trees", content=bomb, headers=headers)
    assert is_problem(answer, 415)


async def test_a_body_that_says_it_is_too_large_is_refused_unread(api: Api) -> None:
    for path, size in (("/v1/trees/x/cancel", (1 << 20) + 1), ("/v1/trees", (64 << 20) + 1)):
        headers = JSON | {"Content-Length": str(size)}
        assert is_problem(await api.admin.post(path, content=b"{}", headers=headers), 413)


@pytest.mark.parametrize(
    "length", ["-1", "1e3", "0x10", "9" * 30, "\u0663", "+2", "2 2", "", "two"]
)
async def test_a_length_that_is_none_is_refused(api: Api, length: str) -> None:
    headers = {b"Content-Length": length.encode(), b"Content-Type": b"application/json"}
    answer = await api.admin.post("/v1/trees", content=b"{}", headers=headers)
    assert is_problem(answer, 400)


async def test_a_body_that_never_says_how_long_it_is_is_bounded(api: Api) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b" " * (1 << 16)

    answer = await api.admin.post("/v1/trees/x/cancel", content=endless(), headers=JSON)
    assert is_problem(answer, 413)
    assert sent < 3 << 20


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/xml", "x"])
async def test_what_a_form_of_a_page_can_send_is_refused(api: Api, kind: str) -> None:
    answer = await api.admin.post("/v1/trees", content=b"[]", headers={"Content-Type": kind})
    assert is_problem(answer, 415)


# -- schemas that come with a task

A_SCHEMA: dict[str, Any] = {"type": "object"}
for _ in range(40):
    A_SCHEMA = {"properties": {"a": A_SCHEMA}}
TRICKS: dict[str, Any] = {
    "file": {"$ref": "file:///etc/passwd"},
    "http": {"$ref": "http://169.254.169.254/latest"},
    "https below": {"properties": {"a": {"$ref": "https://example.org/schema"}}},
    "relative": {"$ref": "other.json#/a"},
    "urn": {"$ref": "urn:example:schema"},
    "id and relative": {"$id": "http://127.0.0.1/", "$ref": "x"},
    "dynamic": {"$dynamicRef": "http://example.org/#a"},
    "dialect": {"$schema": "http://example.org/dialect"},
    "pattern": {"properties": {"a": {"pattern": "^(a+)+$"}}},
    "pattern of names": {"patternProperties": {"^(a|a)*$": True}},
    "pattern in a list": {"anyOf": [{"pattern": "x"}]},
    "unevaluated": {"unevaluatedProperties": False},
    "depth": A_SCHEMA,
    "size": {"enum": ["x" * 70_000]},
    "no schema": {"properties": 7},
    "endless": {"$ref": "#/properties/nowhere"},
}


@pytest.mark.parametrize("name", TRICKS)
async def test_a_schema_that_plays_tricks_is_refused(api: Api, name: str) -> None:
    before = api.store.journal.position()
    schemas = {"input_schema": TRICKS[name]}
    for start in (True, False):
        body = {"tasks": [{"name": "give", "schemas": schemas}], "start": start}
        answer = await api.admin.post("/v1/trees", json=body)
        assert is_problem(answer, 422), answer.text
    asking = {"name": "signal", "inputs": {"name": "go", "schema": TRICKS[name]}}
    answer = await api.admin.post("/v1/trees", json=[asking])
    assert answer.status_code == 422 or api.store.reads.tasks(answer.json()["id"])
    if answer.status_code == 202:
        page = await api.admin.get(
            f"/v1/trees/{answer.json()['id']}?x", headers={"Prefer": "wait=5"}
        )
        assert page.json()["status"] == "failed"
    else:
        assert api.store.journal.position() == before


async def test_a_schema_that_plays_none_is_taken_and_holds(api: Api) -> None:
    schema = {"type": "object", "required": ["value"], "properties": {"value": {"type": "string"}}}
    for value, status in (("x", "completed"), (7, "failed")):
        task = {"name": "give", "schemas": {"input_schema": schema}, "inputs": {"value": value}}
        answer = await api.admin.post("/v1/trees", json=[task], headers={"Prefer": "wait=10"})
        assert answer.json()["status"] == status


# -- bytes on a socket


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """So short that tests can wait for its end; in seconds."""
    short = 0.3
    monkeypatch.setattr("aipartnerupflow.api.http.protocol.HEADER_SECONDS", short)
    monkeypatch.setattr("aipartnerupflow.api.http.boundary.BODY_SECONDS", short)
    return short


@pytest.fixture
def server(place: Path, patience: float) -> Iterator[Threaded]:
    with threaded(f"memory://{uuid4().hex}", place) as made:
        yield made


class Raw:
    """A client that writes bytes."""

    def __init__(self, server: Threaded) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=15)
        self._head = (
            f"Host: 127.0.0.1\r\nAuthorization: Bearer {server.token}\r\n"
            "Content-Type: application/json\r\n"
        ).encode()

    def send(self, data: bytes) -> bool:
        """Whether somebody took it."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def head(self, line: bytes, *fields: bytes) -> bytes:
        """A whole head of a request."""
        return (
            line + b" HTTP/1.1\r\n" + self._head + b"".join(f + b"\r\n" for f in fields) + b"\r\n"
        )

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        found = b""
        with suppress(ConnectionError):
            while data := self._socket.recv(1 << 16):
                found += data
        return found

    def drip(self, data: bytes, *, each: int = 1, pause: float = 0.02) -> bool:
        """Send it in drops; whether all was taken before the server hung up."""
        for at in range(0, len(data), each):
            if not self.send(data[at : at + each]):
                return False
            time.sleep(pause)
        return True

    def close(self) -> None:
        self._socket.close()


@contextmanager
def raw(server: Threaded) -> Iterator[Raw]:
    made = Raw(server)
    try:
        yield made
    finally:
        made.close()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_connection_that_says_nothing_is_closed(server: Threaded) -> None:
    with raw(server) as client:
        assert status(client.rest()) == 408


def test_a_head_that_comes_in_drops_is_cut_off(server: Threaded) -> None:
    with raw(server) as client:
        assert not client.drip(client.head(b"GET /livez", b"X: " + b"x" * 5_000))
        assert status(client.rest() or b"HTTP/1.1 408 ") == 408


def test_the_head_of_a_second_request_is_waited_for_no_longer(server: Threaded) -> None:
    with raw(server) as client:
        client.send(client.head(b"GET /livez"))
        time.sleep(0.1)
        client.send(b"GET /livez HT")
        answer = client.rest()
    assert b"200 OK" in answer
    assert b" 408 " in answer


@pytest.mark.parametrize("piece", [b"X-A: b\r\n", b"x"], ids=["many fields", "one field"])
def test_a_head_without_end_is_cut_off(server: Threaded, piece: bytes) -> None:
    with raw(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: y")
        sent = 0
        while client.send(piece * 1_000) and sent < 50 << 20:
            sent += 1_000 * len(piece)
        assert sent < 20 << 20
        assert b" 431 " in (client.rest() or b" 431 ")


@pytest.mark.parametrize("size", [70_000, 300_000])
def test_a_head_that_is_too_large_is_refused_with_a_reason(server: Threaded, size: int) -> None:
    with raw(server) as client:
        client.send(client.head(b"GET /livez", b"X-Long: " + b"x" * size))
        answer = client.rest()
    if answer:  # the reset may have overtaken it
        assert status(answer) == 431
        assert b"application/problem+json" in answer


def test_trailers_without_end_are_cut_off(server: Threaded) -> None:
    with raw(server) as client:
        client.send(client.head(b"POST /v1/trees/x/cancel", b"Transfer-Encoding: chunked"))
        client.send(b"2\r\n{}\r\n0\r\n")
        sent = 0
        while client.send(b"X-A: b\r\n" * 1_000) and sent < 50 << 20:
            sent += 8_000
        assert sent < 20 << 20


def test_chunks_that_are_all_frame_are_cut_off(server: Threaded) -> None:
    with raw(server) as client:
        client.send(client.head(b"POST /v1/trees/x/cancel", b"Transfer-Encoding: chunked"))
        client.send(b"2;")
        sent = 0
        while client.send(b"x" * 10_000) and sent < 50 << 20:
            sent += 10_000
        assert sent < 20 << 20


@pytest.mark.parametrize("drip", [False, True], ids=["still", "in drops"])
def test_a_slow_body_is_cut_off(server: Threaded, drip: bool) -> None:
    with raw(server) as client:
        client.send(client.head(b"POST /v1/trees", b"Content-Length: 5000"))
        client.send(b"[")
        if drip:
            assert not client.drip(b" " * 500)
        answer = client.rest()
    assert status(answer or b"HTTP/1.1 408 ") == 408


def test_a_body_that_is_not_there_is_not_waited_for_when_the_server_stops(place: Path) -> None:
    with threaded(f"memory://{uuid4().hex}", place) as stopping, raw(stopping) as client:
        client.send(client.head(b"POST /v1/trees", b"Content-Length: 5000"))
        client.send(b"[")
        asyncio.run(until(lambda: stopping.server._bodies))
        stopping.ask_to_stop()
        answer = client.rest()
    assert status(answer) == 503
    assert b"content-type: application/problem+json" in answer.lower()
    assert b"retry-after: 1" in answer.lower()


def test_a_body_that_nobody_reads_is_not_waited_for_without_end(server: Threaded) -> None:
    with raw(server) as client:
        client.send(client.head(b"POST /nowhere", b"Content-Length: 5000"))
        assert not client.drip(b" " * 500)
        answer = client.rest()
    assert status(answer or b"HTTP/1.1 404 ") == 404


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00" * 100, b"\xff\xfe GET", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET  /  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)  # fmt: skip
def test_junk_is_refused(server: Threaded, junk: bytes) -> None:
    with raw(server) as client:
        client.send(junk)
        answer = client.rest()
    assert not answer or status(answer) in (400, 408, 421)
    assert b"200 OK" not in answer


def test_junk_behind_a_request_does_not_change_its_answer(server: Threaded) -> None:
    with raw(server) as client:
        client.send(client.head(b"GET /livez") + b"\x00junk\r\n\r\n")
        answer = client.rest()
    assert answer.count(b"HTTP/1.1 200 OK") <= 1
    assert b" 500 " not in answer


def test_requests_in_one_packet_are_answered_in_their_order(server: Threaded) -> None:
    with raw(server) as client:
        one = client.head(b"GET /livez")
        client.send(one * 20 + client.head(b"GET /nowhere", b"Connection: close"))
        answer = client.rest()
    assert answer.count(b"HTTP/1.1 200 OK") == 20
    assert answer.rindex(b" 404 ") > answer.rindex(b" 200 ")


@pytest.mark.parametrize("length", [b"2", b"500"], ids=["too short", "too long"])
def test_a_wrong_length_is_no_way_into_another_request(server: Threaded, length: bytes) -> None:
    smuggled = b"{}GET /v1/trees HTTP/1.1\r\nHost: example.org\r\n\r\n"
    with raw(server) as client:
        path = b"POST /v1/trees/nowhere/cancel"
        client.send(client.head(path, b"Content-Length: " + length) + smuggled)
        answer = client.rest()
    assert b" 404 " in answer or b" 408 " in answer
    assert b'"items"' not in answer


def test_both_lengths_at_once_are_refused(server: Threaded) -> None:
    with raw(server) as client:
        both = (b"Content-Length: 5", b"Transfer-Encoding: chunked")
        client.send(client.head(b"POST /v1/trees/nowhere/cancel", *both) + b"0\r\n\r\n")
        assert status(client.rest()) == 400


# -- and what runs beside it


@pytest.mark.slow
def test_a_run_beside_an_attack_completes_and_others_are_answered(
    server: Threaded, work: Work
) -> None:
    body = tree(
        *(
            {"key": f"t{n}", "name": "give", "inputs": {"seconds": 0.02},
             "dependencies": [f"t{n - 1}"] if n else []}
            for n in range(30)
        )
    )  # fmt: skip
    with server.client() as client:
        id = client.post("/v1/trees", json=body).json()["id"]
        stop = threading.Event()
        attackers = [
            threading.Thread(target=attack, args=(server, stop, number), daemon=True)
            for number in range(7)
        ]
        for attacker in attackers:
            attacker.start()
        answered = 0
        while client.get(f"/v1/trees/{id}").json()["status"] != "completed":
            assert client.get("/livez").status_code == 200
            answered += 1
            assert answered < 5_000
            time.sleep(0.01)
        stop.set()
        for attacker in attackers:
            attacker.join(20)
        events = client.get(f"/v1/trees/{id}/events?limit=1000").json()["items"]
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    assert work.calls.count("give") == 30


def attack(server: Threaded, stop: threading.Event, number: int) -> None:
    """One after the other, from a different one on for each attacker."""
    bomb = gzip.compress(b" " * (8 << 20))
    deep = nested(200_000)

    def way(client: Raw, number: int) -> None:
        match number % 7:
            case 0:
                client.send(client.head(b"POST /v1/trees", b"Content-Length: 99999") + b"[")
            case 1:
                client.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000)
            case 2:
                packed = (b"Content-Encoding: gzip", b"Content-Length: %d" % len(bomb))
                client.send(client.head(b"POST /v1/trees", *packed) + bomb)
            case 3:
                fields = (b"Connection: close", b"Content-Length: %d" % len(deep))
                client.send(client.head(b"POST /v1/trees", *fields) + deep)
            case 4:
                client.send(b"\x00\xff" * 5_000)
            case 5:
                client.drip(client.head(b"GET /livez"), pause=0.01)
            case _:
                last = client.head(b"GET /livez", b"Connection: close")
                client.send(client.head(b"GET /v1/trees?limit=x") * 50 + last)

    while not stop.is_set():
        with suppress(OSError), raw(server) as client:
            way(client, number)
            client.rest()
        number += 1
