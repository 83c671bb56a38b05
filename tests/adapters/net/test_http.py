"""Calls through the guard: where they go, and how long and large they may become."""

import asyncio
import gzip
import logging
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from aipartnerupflow.adapters.executors.results import raised
from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.adapters.net.http import Http, Unanswered, Untrusted
from aipartnerupflow.adapters.net.transport import GuardedBackend, guarded_client
from aipartnerupflow.domain.errors import TargetRefused
from tests.support.certificates import contexts
from tests.support.receivers import Reply, Request, receiver

HERE = ("127.0.0.1",)


class Names:
    """Resolves by a table; of several answers for a name each is given once, the last for ever."""

    def __init__(self, **table: Sequence[Sequence[str]]) -> None:
        self._table = {name: list(answers) for name, answers in table.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self._table[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@asynccontextmanager
async def calls(
    private: Sequence[str] = HERE, names: Names | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Http]:
    guard = Guard(private) if names is None else Guard(private, resolve=names)
    http = Http(guard, tls=tls)
    try:
        yield http
    finally:
        await http.close()


def redirecting(*places: str, status: int = 302) -> Any:
    """Each path leads to the next place; the last one answers."""

    def answer(request: Request) -> Reply:
        step = int(request.path.rpartition("/")[2] or 0)
        if step < len(places):
            return Reply(status, {"location": places[step]})
        return Reply(200, body=b"there")

    return answer


async def test_what_is_not_public_is_not_called() -> None:
    with receiver() as server:
        async with calls(private=()) as http:
            with pytest.raises(TargetRefused):
                await http.call("GET", server.url)
    assert server.requests == []


async def test_what_the_operator_allows_is_called() -> None:
    with receiver(lambda request: Reply(200, {"X-A": "b"}, b"hello")) as server:
        async with calls() as http:
            answer = await http.call("POST", f"{server.url}/p?q=1", content=b"body",
                                     headers={"x-key": "k"})  # fmt: skip
    assert (answer.status, answer.body, answer.headers["x-a"]) == (200, b"hello", "b")
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("POST", "/p?q=1", b"body")
    assert request.headers["x-key"] == "k"


@pytest.mark.parametrize(
    "place",
    ["http://127.0.0.2:{port}/1", "http://[::1]:{port}/1", "http://10.0.0.1/",
     "http://2130706434:{port}/1", "//127.0.0.3:{port}/1", "http://169.254.169.254/latest",
     "http://[::ffff:127.0.0.2]:{port}/1", "http://0x7f.2:{port}/1", "file:///etc/passwd",
     "ftp://127.0.0.1/1", "http://[fe80::1%25lo]:{port}/1", "unix:///run/x",
     "http://a b/", "http://127.0.0.1:0/1"],
)  # fmt: skip
@pytest.mark.parametrize("status", [301, 307])
async def test_a_redirect_to_what_is_refused_is_refused(place: str, status: int) -> None:
    with receiver() as server:
        server.answer = redirecting(place.format(port=server.port), status=status)
        async with calls() as http:
            with pytest.raises(TargetRefused):
                await http.call("GET", f"{server.url}/0", seconds=5)
    assert len(server.requests) == 1


async def test_a_redirect_to_what_is_allowed_is_followed() -> None:
    with receiver() as server:
        server.answer = redirecting("/1", f"{server.url}/2", "3#fragment")
        async with calls() as http:
            answer = await http.call("GET", f"{server.url}/0")
    assert (answer.status, answer.body, answer.url) == (200, b"there", f"{server.url}/3")


async def test_five_redirects_are_followed_and_a_sixth_is_refused() -> None:
    with receiver() as server:
        server.answer = redirecting(*(f"/{n}" for n in range(1, 6)))
        async with calls() as http:
            assert (await http.call("GET", f"{server.url}/0")).status == 200
            server.answer = redirecting(*(f"/{n}" for n in range(1, 7)))
            with pytest.raises(TargetRefused, match="more than 5"):
                await http.call("GET", f"{server.url}/0")


async def test_a_redirect_is_an_answer_where_none_is_to_be_followed() -> None:
    with receiver(redirecting("/1")) as server:
        async with calls() as http:
            assert (await http.call("GET", f"{server.url}/0", redirects=0)).status == 302
            server.answer = lambda request: Reply(302)
            assert (await http.call("GET", f"{server.url}/0")).status == 302


async def test_credentials_do_not_go_to_another_origin() -> None:
    sent = {"authorization": "Bearer x", "cookie": "a=b", "x-api-key": "k", "accept": "text/plain"}
    with receiver(lambda request: Reply(200)) as other, receiver() as server:
        place = f"http://user:pw@127.0.0.1:{other.port}/1"
        server.answer = lambda request: Reply(307, {"location": place})
        async with calls() as http:
            await http.call("POST", server.url, headers=sent, content=b"{}")
    assert sent.items() <= server.requests[0].headers.items()
    (got,) = other.requests
    assert {"authorization", "cookie", "x-api-key"}.isdisjoint(got.headers)
    assert (got.headers["accept"], got.body, got.method) == ("text/plain", b"{}", "POST")
    assert got.headers["host"] == f"127.0.0.1:{other.port}"


async def test_credentials_stay_with_their_origin() -> None:
    with receiver(redirecting("/1")) as server:
        async with calls() as http:
            await http.call("GET", f"{server.url}/0", headers={"authorization": "Bearer x"})
    assert [r.headers.get("authorization") for r in server.requests] == ["Bearer x"] * 2


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"),
                                                (307, "POST"), (308, "POST")])  # fmt: skip
async def test_a_redirected_post_keeps_its_body_only_by_307_and_308(
    status: int, method: str
) -> None:
    with receiver(redirecting("/1", status=status)) as server:
        async with calls() as http:
            await http.call("POST", f"{server.url}/0", content=b"x",
                            headers={"content-type": "text/plain"})  # fmt: skip
    last = server.requests[-1]
    assert (last.method, last.body) == (method, b"x" if method == "POST" else b"")
    assert ("content-type" in last.headers) is (method == "POST")


async def test_cookies_of_an_answer_are_not_kept() -> None:
    with receiver(lambda request: Reply(200, {"set-cookie": "a=b"})) as server:
        async with calls() as http:
            for _ in range(2):
                await http.call("GET", server.url)
    assert ["cookie" in request.headers for request in server.requests] == [False, False]


async def test_a_name_that_answers_differently_the_second_time_gains_nothing() -> None:
    """It is resolved once, and the connection goes to what was judged."""
    names = Names(rebound=[["203.0.114.1"], ["127.0.0.1"]])
    connected: list[str] = []

    class Network:
        async def connect_tcp(self, host: str, *args: Any) -> Any:
            connected.append(host)
            raise OSError("no network in this test")

    backend = GuardedBackend(Guard(resolve=names))
    backend._network = Network()  # type: ignore[assignment]
    with pytest.raises(OSError, match="no network"):
        await backend.connect_tcp("rebound", 80)
    assert (names.asked, connected) == (["rebound"], ["203.0.114.1"])


async def test_a_name_that_is_rebound_between_two_calls_is_judged_again() -> None:
    names = Names(rebound=[["127.0.0.1"], ["127.0.0.2"]])
    with receiver(lambda request: Reply(200, {"connection": "close"})) as server:
        async with calls(names=names) as http:
            url = f"http://rebound:{server.port}"
            assert (await http.call("GET", url)).status == 200
            with pytest.raises(TargetRefused):
                await http.call("GET", url)
    assert [request.headers["host"] for request in server.requests] == [f"rebound:{server.port}"]


async def test_a_name_that_is_rebound_between_redirects_is_judged_again() -> None:
    names = Names(rebound=[["127.0.0.1"], ["10.0.0.1"]])
    with receiver() as server:
        server.answer = lambda request: Reply(
            302, {"location": f"http://rebound:{server.port}/1", "connection": "close"}
        )
        async with calls(names=names) as http:
            with pytest.raises(TargetRefused):
                await http.call("GET", f"http://rebound:{server.port}/0")
    assert len(server.requests) == 1


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    names = Names(two=[["127.0.0.9", "127.0.0.1"]])
    with receiver(lambda request: Reply(200)) as server:
        async with calls(private=["127.0.0.0/8"], names=names) as http:
            assert (await http.call("GET", f"http://two:{server.port}")).status == 200


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_of_the_environment_is_not_used(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver(lambda request: Reply(200)) as server, receiver() as proxy:
        monkeypatch.setenv(name, proxy.url)
        async with calls() as http:
            assert (await http.call("GET", server.url)).status == 200
            with pytest.raises(TargetRefused):
                await http.call("GET", "http://10.0.0.1/")
    assert proxy.requests == []


async def test_credentials_of_netrc_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with receiver(lambda request: Reply(200)) as server:
        async with calls() as http:
            await http.call("GET", server.url)
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("url", ["http://a:b@127.0.0.1/", "ftp://127.0.0.1/", "nothing", "",
                                 "http:///x", "http://127.0.0.1:99999/", "unix:/x",
                                 "javascript:1"])  # fmt: skip
async def test_what_is_no_plain_url_is_refused(url: str) -> None:
    async with calls() as http:
        with pytest.raises(TargetRefused):
            await http.call("GET", url)


async def test_a_socket_of_this_machine_is_never_opened() -> None:
    with pytest.raises(TargetRefused):
        await GuardedBackend(Guard(HERE)).connect_unix_socket("/run/x.sock")


async def test_a_large_answer_is_cut() -> None:
    with receiver(lambda request: Reply(200, body=b"x" * 1_000_000)) as server:
        async with calls() as http:
            cut = await http.call("GET", server.url, limit=1_000)
            whole = await http.call("GET", server.url, limit=1_000_000)
    assert (len(cut.body), cut.cut) == (1_000, True)
    assert (len(whole.body), whole.cut) == (1_000_000, False)


async def test_an_endless_answer_is_cut() -> None:
    def pour(file: Any) -> None:
        file.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            file.write(b"x" * 65_536)

    with receiver(lambda request: Reply(write=pour)) as server:
        async with calls() as http:
            answer = await http.call("GET", server.url, limit=100_000)
    assert (len(answer.body), answer.cut) == (100_000, True)


@pytest.mark.parametrize("packing", ["gzip", "x-gzip", "deflate"])
async def test_a_packed_answer_is_unpacked_as_far_as_it_may_go(packing: str) -> None:
    plain = b"x" * 50_000_000
    body = zlib.compress(plain) if packing == "deflate" else gzip.compress(plain, 1)
    reply = Reply(200, {"content-encoding": packing}, body)
    with receiver(lambda request: reply) as server:
        async with calls() as http:
            answer = await http.call("GET", server.url, limit=10_000)
            reply.body = gzip.compress(b"small")
            small = await http.call("GET", server.url, limit=10_000)
    assert (answer.body, answer.cut) == (b"x" * 10_000, True)
    assert (small.body, small.cut) == (b"small", False)


async def test_an_answer_that_is_not_what_it_says_it_is_is_none() -> None:
    reply = Reply(200, {"content-encoding": "gzip"}, b"not packed")
    with receiver(lambda request: reply) as server:
        async with calls() as http:
            with pytest.raises(Unanswered, match="unpacked"):
                await http.call("GET", server.url)


async def test_headers_without_end_are_no_answer() -> None:
    def pour(file: Any) -> None:
        file.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            file.write(b"x-more: " + b"y" * 60_000 + b"\r\n")

    with receiver(lambda request: Reply(write=pour)) as server:
        async with calls() as http:
            with pytest.raises(Unanswered):
                await http.call("GET", server.url)


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\nx"])
async def test_a_call_ends_in_time_however_slowly_it_is_answered(drip: bytes) -> None:
    def slowly(file: Any) -> None:
        file.write(drip)
        for _ in range(100):
            file.write(b"x" if drip.endswith(b"x") else b"")
            time.sleep(0.02)

    with receiver(lambda request: Reply(write=slowly)) as server:
        async with calls() as http:
            begun = asyncio.get_running_loop().time()
            with pytest.raises(Unanswered, match=r"0\.2 s"):
                await http.call("GET", server.url, seconds=0.2)
            assert asyncio.get_running_loop().time() - begun < 1.5


async def test_the_time_holds_for_all_redirects_together() -> None:
    def slow(request: Request) -> Reply:
        time.sleep(0.15)
        return Reply(302, {"location": "/again"})

    with receiver(slow) as server:
        async with calls() as http:
            with pytest.raises(Unanswered, match="within"):
                await http.call("GET", server.url, seconds=0.4)
    assert len(server.requests) < 5


async def test_a_target_that_is_away_may_be_there_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with calls() as http:
        with pytest.raises(Unanswered) as caught:
            await http.call("GET", f"http://127.0.0.1:{port}/secret")
    assert caught.value.transient
    assert "secret" not in str(caught.value)


async def test_a_target_that_breaks_off_may_answer_later() -> None:
    with receiver(lambda request: Reply(write=lambda file: None)) as server:
        async with calls() as http:
            with pytest.raises(Unanswered):
                await http.call("GET", server.url)


async def test_the_certificate_is_that_of_the_name_though_the_address_is_pinned(
    tmp_path: Path,
) -> None:
    server_tls, client_tls = contexts(tmp_path, "hooks.test")
    asked: list[str | None] = []
    server_tls.sni_callback = lambda sock, name, context: asked.append(name)
    names = Names(**{"hooks.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]})
    with receiver(lambda request: Reply(200), tls=server_tls) as server:
        async with calls(names=names, tls=client_tls) as http:
            assert (await http.call("GET", f"https://hooks.test:{server.port}/")).status == 200
            with pytest.raises(Unanswered):
                await http.call("GET", f"https://other.test:{server.port}/")
        async with calls(names=names) as http:
            with pytest.raises(Unanswered):
                await http.call("GET", f"https://hooks.test:{server.port}/")
    assert asked == ["hooks.test", "other.test", "hooks.test"]
    assert len(server.requests) == 1


async def test_a_redirect_does_not_leave_tls(tmp_path: Path) -> None:
    server_tls, client_tls = contexts(tmp_path, "hooks.test")
    names = Names(**{"hooks.test": [["127.0.0.1"]]})
    with receiver() as plain, receiver(tls=server_tls) as server:
        server.answer = lambda request: Reply(302, {"location": plain.url})
        async with calls(names=names, tls=client_tls) as http:
            with pytest.raises(TargetRefused, match="without TLS"):
                await http.call("GET", f"https://hooks.test:{server.port}/")
    assert plain.requests == []


async def test_a_client_that_follows_redirects_itself_is_guarded_at_each() -> None:
    with receiver() as server:
        server.answer = redirecting(f"http://127.0.0.2:{server.port}/1")
        async with guarded_client(Guard(HERE)) as client:
            assert (await client.get(f"{server.url}/0")).status_code == 302
            with pytest.raises(TargetRefused):
                await client.get(f"{server.url}/0", follow_redirects=True)


def test_the_library_still_takes_the_transport_that_the_guard_is_put_into() -> None:
    assert hasattr(httpx.AsyncHTTPTransport(trust_env=False), "_pool")


async def test_of_a_url_only_the_origin_is_logged_and_no_header(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = Reply(200, {"x-said": "canary-header"})
    with caplog.at_level(logging.DEBUG), receiver(lambda request: said) as target:
        async with calls() as http:
            await http.call("GET", f"{target.url}/canary-path?key=canary-query")
    assert f"{target.url}/ " in caplog.text
    assert "canary" not in caplog.text


def hanging_up(*at: int) -> Any:
    """Closes the connection instead of answering the requests of these numbers."""
    count = 0

    def answer(request: Request) -> Reply:
        nonlocal count
        count += 1
        return Reply(write=lambda file: None) if count in at else Reply(200)

    return answer


@pytest.mark.parametrize(
    ("method", "headers", "again"),
    [
        ("GET", {}, True), ("HEAD", {}, True), ("PUT", {}, True), ("POST", {}, False),
        ("POST", {"idempotency-key": "k"}, True),
    ],
)  # fmt: skip
async def test_what_met_a_kept_connection_that_was_closed_is_sent_again_where_that_is_safe(
    method: str, headers: dict[str, str], again: bool
) -> None:
    with receiver(hanging_up(2)) as server:
        async with calls() as http:
            await http.call("GET", server.url)
            calling = http.call(method, server.url, headers=headers, content=b"x")
            if again:
                assert (await calling).status == 200
            else:
                with pytest.raises(Unanswered, match="closed without an answer") as caught:
                    await calling
                assert caught.value.transient
    assert len(server.requests) == 2 + again


async def test_what_is_to_be_sent_once_is_sent_once() -> None:
    with receiver(hanging_up(2)) as server:
        async with calls() as http:
            await http.call("GET", server.url)
            with pytest.raises(Unanswered):
                await http.call("POST", server.url, headers={"idempotency-key": "k"}, once=True)
    assert len(server.requests) == 2


async def test_a_certificate_that_is_not_trusted_does_not_pass_by_itself(tmp_path: Path) -> None:
    served, _ = contexts(tmp_path, "site.test")
    names = Names(**{"site.test": [["127.0.0.1"]]})
    with receiver(tls=served) as server:
        async with calls(names=names) as http:
            with pytest.raises(Untrusted) as caught:
                await http.call("GET", f"https://site.test:{server.port}/")
    assert str(caught.value) == "its certificate is not trusted: self-signed certificate"
    assert not raised(caught.value).error.bases.count("TransientError")


async def test_a_certificate_for_another_name_is_told_without_the_name(tmp_path: Path) -> None:
    served, trusting = contexts(tmp_path, "site.test")
    names = Names(**{"other.test": [["127.0.0.1"]]})
    with receiver(tls=served) as server:
        async with calls(names=names, tls=trusting) as http:
            with pytest.raises(Untrusted) as caught:
                await http.call("GET", f"https://other.test:{server.port}/")
    assert str(caught.value) == "its certificate is not trusted: it is for another name"


async def test_a_name_that_is_not_found_is_told_so() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    http = Http(Guard(resolve=nowhere))
    with pytest.raises(Unanswered, match="the name of the target cannot be resolved") as caught:
        await http.call("GET", "http://nowhere.test/")
    assert caught.value.transient
    await http.close()
