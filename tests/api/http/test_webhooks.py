"""Webhooks of a server, to a receiver on a socket."""

import asyncio
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aipartnerupflow import verify_webhook
from aipartnerupflow.adapters.webhooks import delivery
from aipartnerupflow.api.http.hooks import KEY_FILE, webhook_key
from aipartnerupflow.api.settings import load_settings
from aipartnerupflow.api.submitting import parse, submit
from aipartnerupflow.api.webhooks import hook_of_config
from aipartnerupflow.api.wiring import deliveries
from aipartnerupflow.api.wiring.serving import outbox_of
from aipartnerupflow.domain.errors import InvalidInput
from tests.support.places import environment, until
from tests.support.receivers import Receiver, Reply, Request, receiver
from tests.support.servers import Api, Program, Work, application, chain, program, tree

HERE = ("127.0.0.1",)
QUICK = delivery.Pace(first=0.02, rest=0.005, look=0.5)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are followed by short delays."""
    monkeypatch.setattr(deliveries, "PACE", QUICK)


@asynccontextmanager
async def serving(url: str, place: Path, **flags: Any) -> AsyncIterator[Api]:
    async with application(url, place, private_targets=HERE, **flags) as api:
        yield api


async def submitted(api: Api, body: Any) -> str:
    answer = await api.admin.post("/v1/trees", json=body)
    assert answer.status_code == 202, answer.text
    id: str = answer.json()["id"]
    return id


def told(server: Receiver) -> list[dict[str, Any]]:
    return [msgspec.json.decode(request.body) for request in server.requests]


def is_settled(server: Receiver) -> bool:
    return any(event["type"] == "tree.settled" for event in told(server))


async def history(api: Api, tree: str) -> list[dict[str, Any]]:
    page = (await api.admin.get(f"/v1/trees/{tree}/events?limit=1000")).json()
    items: list[dict[str, Any]] = page["items"]
    return items


async def test_every_event_of_a_tree_is_told_signed_and_in_order(
    each_url: str, place: Path
) -> None:
    with receiver() as server:
        async with serving(each_url, place, webhook_secret="s" * 32) as api:
            hook = {"url": f"{server.url}/hook", "headers": {"X-Key": "k"}}
            id = await submitted(api, {"tasks": chain(3), "webhooks": [hook]})
            await until(lambda: is_settled(server))
            events = await history(api, id)
    bodies = told(server)
    assert [{**event, "tree_status": body["tree_status"]} for event, body in zip(
        events, bodies, strict=True)] == bodies  # fmt: skip
    assert bodies[-1]["tree_status"] == "completed"
    for request in server.requests:
        assert request.headers["x-key"] == "k"
        assert verify_webhook(
            "s" * 32, request.headers["x-apflow-timestamp"], request.body,
            request.headers["x-apflow-signature"],
        )  # fmt: skip
    ids = [request.headers["x-apflow-delivery"] for request in server.requests]
    assert len(set(ids)) == len(ids)
    assert [int(id.rpartition("-")[2]) for id in ids] == [event["version"] for event in events]


async def test_a_key_is_made_at_the_first_start_for_its_owner_only(place: Path) -> None:
    with receiver() as server:
        async with serving("memory://key", place) as api:
            await submitted(api, {"tasks": tree("a"), "webhooks": [{"url": server.url}]})
            await until(lambda: is_settled(server))
    path = place / "state" / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = path.read_text().strip()
    request = server.requests[0]
    assert verify_webhook(
        key, request.headers["x-apflow-timestamp"], request.body,
        request.headers["x-apflow-signature"],
    )  # fmt: skip
    async with serving("memory://key", place):
        assert path.read_text().strip() == key


def test_a_key_that_others_may_read_or_guess_is_refused(place: Path) -> None:
    settings = load_settings(state_dir=place / "state")
    assert webhook_key(settings) == webhook_key(settings)
    path = place / "state" / KEY_FILE
    path.chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        webhook_key(settings)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(InvalidInput, match="holds no key"):
        webhook_key(settings)
    with pytest.raises(InvalidInput, match="webhook_secret"):
        webhook_key(load_settings(webhook_secret="short"))


async def test_only_the_types_that_are_wanted_are_told(place: Path) -> None:
    with receiver() as server:
        async with serving("memory://types", place) as api:
            hook = {"url": server.url, "events": ["task.completed", "tree.settled"]}
            await submitted(api, {"tasks": tree("a", "b"), "webhooks": [hook]})
            await until(lambda: is_settled(server))
    types = [body["type"] for body in told(server)]
    assert sorted(types) == ["task.completed"] * 3 + ["tree.settled"]


async def test_what_is_not_public_is_not_told_unless_the_operator_allows_it(place: Path) -> None:
    with receiver() as server:
        async with application("memory://private", place) as api:
            hook = {"url": server.url}
            id = await submitted(api, {"tasks": tree("a"), "webhooks": [hook]})
            outbox = outbox_of(api.store)
            await until(lambda: [one.state for one in outbox.of(id)] == ["failed"])
            assert "private_targets" in outbox.of(id)[0].problem
    assert server.requests == []


async def test_a_receiver_that_fails_is_told_again_over_a_restart(
    each_url: str, place: Path, quick: None
) -> None:
    with receiver(lambda request: Reply(503)) as server:
        async with serving(each_url, place) as api:
            hook = {"url": server.url, "events": ["tree.settled"]}
            await submitted(api, {"tasks": tree("a"), "webhooks": [hook]})
            await until(lambda: len(server.requests) >= 3)
        server.answer = lambda request: Reply(204)
        before = len(server.requests)
        async with serving(each_url, place):
            await until(lambda: len(server.requests) > before)
            await asyncio.sleep(0.1)
    assert len(server.requests) == before + 1
    assert {body["type"] for body in told(server)} == {"tree.settled"}
    assert len({request.headers["x-apflow-delivery"] for request in server.requests}) == 1


async def test_how_they_stand_can_be_seen_without_what_may_be_secret(
    each_url: str, place: Path
) -> None:
    def answer(request: Request) -> Reply:
        return Reply(503 if request.path.startswith("/busy") else 204)

    with receiver(answer) as server:
        async with serving(each_url, place) as api:
            hooks = [
                {"url": f"{server.url}/fine/T0KEN?k=S3CRET", "headers": {"X-Key": "CREDENTIAL"}},
                {"url": f"{server.url}/busy", "events": ["tree.settled"]},
            ]
            id = await submitted(api, {"tasks": tree("a"), "webhooks": hooks})
            await until(lambda: "done" in {each.state for each in outbox_of(api.store).of(id)})
            await until(lambda: any(each.attempts for each in outbox_of(api.store).of(id)))
            answered = await api.admin.get(f"/v1/trees/{id}/webhooks")
            version = (await api.admin.get(f"/v1/trees/{id}")).json()["version"]
    fine, busy = sorted(answered.json()["items"], key=lambda each: len(each["events"]))
    origin = str(server.url).rstrip("/")
    assert fine == {
        "id": fine["id"], "origin": origin, "events": [], "state": "done",
        "told_version": version, "attempts": 0, "problem": None,
    }  # fmt: skip
    assert (busy["state"], busy["events"], busy["told_version"]) == (
        "open", ["tree.settled"], 0,
    )  # fmt: skip
    assert "503" in busy["problem"]
    assert not any(word in answered.text for word in ("T0KEN", "S3CRET", "CREDENTIAL", "busy"))


async def test_two_servers_on_one_store_tell_each_event_once(each_url: str, place: Path) -> None:
    """One of them has no engine: it delivers all the same."""
    with receiver() as server:
        async with (
            serving(each_url, place / "one") as api,
            serving(each_url, place / "two", engine=False),
        ):
            trees = [
                await submitted(api, {"tasks": tree("a"), "webhooks": [{"url": server.url}]})
                for _ in range(5)
            ]
            events = 0
            for id in trees:
                await api.store.settled(id)
                events += len(await history(api, id))
            await until(lambda: len(server.requests) >= events)
            await asyncio.sleep(0.1)
    assert len(server.requests) == events
    for id in trees:
        versions = [body["version"] for body in told(server) if body["tree_id"] == id]
        assert versions == sorted(set(versions))


async def test_a_tree_that_has_settled_gets_no_webhooks_by_another_start(each_api: Api) -> None:
    id = await submitted(each_api, {"tasks": tree("a")})
    await until(lambda: each_api.store.tree(id).phase == "settled")
    hook = {"url": "https://hooks.example.com/x"}
    answer = await each_api.admin.post(f"/v1/trees/{id}/start", json={"webhooks": [hook]})
    assert answer.status_code == 202, answer.text
    assert (await each_api.admin.get(f"/v1/trees/{id}/webhooks")).json()["items"] == []


async def test_a_draft_is_started_with_webhooks(place: Path) -> None:
    with receiver() as server:
        async with serving("memory://drafts", place) as api:
            hook = {"url": server.url}
            first = {"url": server.url + "/first", "events": ["tree.*"]}
            id = await submitted(api, {"tasks": tree("a"), "start": False, "webhooks": [first]})
            await asyncio.sleep(0.1)
            assert server.requests == []
            answer = await api.admin.post(f"/v1/trees/{id}/start", json={"webhooks": [hook]})
            assert answer.status_code == 202
            await until(lambda: [b["type"] for b in told(server)].count("tree.settled") == 2)
    of = {
        path: [msgspec.json.decode(r.body)["type"] for r in server.requests if r.path == path]
        for path in ("/", "/first")
    }
    assert of["/"][0] == "tree.submitted"
    assert of["/first"][0] == "tree.created"


@pytest.mark.parametrize(
    "hook",
    [{}, {"url": "ftp://x/"}, {"url": "http://x/", "more": 1}, {"url": "http://x/", "events": 1},
     {"url": "http://x/", "headers": {"Host": "y"}}, "http://x/"],
)  # fmt: skip
async def test_a_webhook_that_cannot_be_is_refused_and_nothing_stored(api: Api, hook: Any) -> None:
    answer = await api.admin.post("/v1/trees", json={"tasks": tree("a"), "webhooks": [hook]})
    assert answer.status_code == 422
    draft = await submitted(api, {"tasks": tree("a"), "start": False})
    answer = await api.admin.post(f"/v1/trees/{draft}/start", json={"webhooks": [hook]})
    assert answer.status_code == 422
    assert [one["id"] for one in (await api.admin.get("/v1/trees")).json()["items"]] == [draft]


async def test_a_webhook_of_the_json_rpc_protocol_has_its_shape(place: Path, work: Work) -> None:
    work.break_next(1)
    with receiver() as server:
        async with serving("memory://rpc", place) as api:
            config = {"url": server.url, "method": "PUT", "headers": {"X-A": "b"}}
            body = msgspec.json.encode(
                tree({"key": "a", "name": "give", "inputs": {"value": {"x": 1}}},
                     {"key": "b", "name": "flaky", "dependencies": ["a"]})
            )  # fmt: skip
            done = await submit(
                api.store, parse(body), owner="local", hooks=[hook_of_config(config)]
            )
            await until(lambda: bool(server.requests) and told(server)[-1]["final"])
    bodies = told(server)
    a, b = done.tasks["a"], done.tasks["b"]
    assert {request.method for request in server.requests} == {"PUT"}
    assert [(x["type"], x["task_id"]) for x in bodies if x["task_id"] in (a, b)] == [
        ("task_start", a), ("task_completed", a), ("task_start", b), ("task_failed", b),
    ]  # fmt: skip
    completed = next(x for x in bodies if x["type"] == "task_completed")
    assert completed.pop("timestamp")
    assert completed == {
        "protocol": "jsonrpc", "root_task_id": done.id, "task_id": a, "status": "completed",
        "progress": 1.0, "message": "task completed", "type": "task_completed", "final": False,
        "result": {"x": 1},
    }  # fmt: skip
    failed = next(x for x in bodies if x["type"] == "task_failed")
    assert (failed["status"], failed["error"]) == ("failed", "not yet")
    last = bodies[-1]
    assert (last["type"], last["task_id"], last["status"]) == ("final", done.id, "failed")
    assert [x["final"] for x in bodies] == [False] * (len(bodies) - 1) + [True]


async def test_the_last_word_of_the_json_rpc_protocol_holds_the_result(place: Path) -> None:
    with receiver() as server:
        async with serving("memory://rpc-result", place) as api:
            body = b'[{"name":"give","inputs":{"value":[1,2]}}]'
            hook = hook_of_config({"url": server.url})
            await submit(api.store, parse(body), owner="local", hooks=[hook])
            await until(lambda: bool(server.requests) and told(server)[-1]["final"])
    last = told(server)[-1]
    assert (last["status"], last["result"], last["progress"]) == ("completed", [1, 2], 1.0)


def _body(url: str) -> dict[str, Any]:
    hook = {"url": url, "events": ["tree.settled"]}
    return {"tasks": tree("a"), "webhooks": [hook]}


def _wait(condition: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has not come to pass"
        time.sleep(0.02)


def test_what_was_not_told_before_a_kill_is_told_after_it(place: Path) -> None:
    """The receiver is away when the tree settles; then both come back."""
    with receiver() as first:
        port = first.port
    env = {"APFLOW_PRIVATE_TARGETS": "127.0.0.1"}
    with program(place, env=env) as server:
        with server.client() as client:
            body = _body(f"http://127.0.0.1:{port}/")
            answer = client.post("/v1/trees", json=body, headers={"Prefer": "wait=10"})
            assert answer.json()["status"] == "completed"
        server.kill()
        with receiver(port=port) as again:
            server.start()
            _wait(lambda: bool(again.requests))
            time.sleep(0.3)
            assert [body["type"] for body in told(again)] == ["tree.settled"]


@pytest.mark.slow
def test_what_was_being_told_at_a_kill_is_told_again(place: Path) -> None:
    """It is the same delivery, by its id. The lease of the dead server has to end first."""
    seen: list[str] = []

    def hanging(request: Request) -> Reply:
        seen.append(request.headers["x-apflow-delivery"])
        if len(seen) == 1:
            server.send(signal.SIGKILL)
            time.sleep(1.0)
            return Reply(write=lambda file: None)
        return Reply(204)

    with (
        receiver(hanging) as away,
        program(place, env={"APFLOW_PRIVATE_TARGETS": "127.0.0.1"}) as server,
    ):
        with server.client() as client:
            client.post("/v1/trees", json=_body(away.url))
        _wait(lambda: len(seen) == 1)
        _restarted(server)
        _wait(lambda: len(seen) == 2)
    assert seen[0] == seen[1]


def _restarted(server: Program) -> None:
    server.wait()
    server.start()


def test_a_tree_whose_submission_answered_keeps_its_hook_over_a_kill(place: Path) -> None:
    """Killed as soon as the answer is there, whatever was done of the delivery by then."""
    env = {"APFLOW_PRIVATE_TARGETS": "127.0.0.1"}
    with receiver() as there, program(place, env=env) as server:
        with server.client() as client:
            answer = client.post("/v1/trees", json=_body(there.url))
            server.kill()
            id = answer.json()["id"]
        server.start()
        _wait(lambda: any(body["tree_id"] == id for body in told(there)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_two_programs_on_one_store_tell_each_event_once(
    kind: str, place: Path, request: pytest.FixtureRequest
) -> None:
    postgres = kind == "postgres"
    url = request.getfixturevalue("postgres_dsn") if postgres else f"sqlite:///{place}/both.db"
    env = {"APFLOW_PRIVATE_TARGETS": "127.0.0.1", "APFLOW_DATABASE_URL": url}
    folders = [place / "one", place / "two"]
    for folder in folders:
        folder.mkdir()
    with (
        receiver() as there,
        program(folders[0], env=env) as one,
        program(folders[1], env=env) as two,
    ):
        ids = []
        for server in (one, two) * 5:
            with server.client() as client:
                answer = client.post("/v1/trees", json=_body(there.url) | {"tasks": chain(3)})
                ids.append(answer.json()["id"])
        _wait(lambda: len(there.requests) >= len(ids))
        time.sleep(0.5)
        assert sorted(body["tree_id"] for body in told(there)) == sorted(ids)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PRIVATE_TARGETS", "x/y"), ("WEBHOOK_SECRET", "hunter2"), ("TLS_CA_FILE", "/nowhere")],
)
def test_a_server_does_not_start_with_settings_that_cannot_be(
    place: Path, name: str, value: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "aipartnerupflow", "serve", "--port", "0"], cwd=place,
        env=environment(place) | {f"APFLOW_{name}": value}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert name.lower() in done.stderr
    assert "Traceback" not in done.stderr
    assert value not in done.stderr
