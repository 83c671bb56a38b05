"""Commands over HTTP: carried out once, on the version that was meant, whoever drives the tree."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.places import until
from tests.support.servers import Api, Work, application, program, tree

GATED = tree({"key": "a", "name": "gated"}, {"key": "b", "name": "give", "dependencies": ["a"]})


async def submit(api: Api, body: Any, *, wait: bool = False) -> str:
    headers = {"Prefer": "wait=10"} if wait else {}
    answer = await api.admin.post("/v1/trees", json=body, headers=headers)
    assert answer.status_code in (200, 202), answer.text
    id: str = answer.json()["id"]
    return id


async def running(api: Api, work: Work) -> str:
    """A tree of which `a` runs and `b` waits for it."""
    before = work.calls.count("gated")
    id = await submit(api, GATED)
    await until(lambda: work.calls.count("gated") > before)
    return id


async def order(api: Api, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await api.admin.post(f"/v1/{path}", json=body, headers=headers)


async def done(api: Api, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
    answer = await order(api, path, body, **headers)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    assert answer.headers["etag"] == f'"{told["version"]}"'
    return told


async def tasks(api: Api, id: str) -> dict[str, dict[str, Any]]:
    page = (await api.admin.get(f"/v1/trees/{id}/tasks")).json()
    return {task["key"]: task for task in page["items"]}


async def until_task(api: Api, id: str, key: str, status: str) -> None:
    for _ in range(1_000):
        if (await tasks(api, id))[key]["status"] == status:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{key} does not become {status}")


async def status(api: Api, id: str) -> str:
    found: str = (await api.admin.get(f"/v1/trees/{id}")).json()["status"]
    return found


async def reasons(api: Api, id: str, topic: str) -> list[str]:
    page = await api.admin.get(f"/v1/trees/{id}/events", params={"types": topic})
    return [event["reason"] for event in page.json()["items"]]


async def test_a_tree_is_cancelled_with_a_reason(each_api: Api, work: Work) -> None:
    id = await running(each_api, work)
    told = await done(each_api, f"trees/{id}/cancel", {"reason": "enough"})
    assert told["id"] == id
    await each_api.store.settled(id)
    assert await status(each_api, id) == "cancelled"
    assert await reasons(each_api, id, "tree.cancel_requested") == ["enough"]


async def test_one_task_is_cancelled(each_api: Api, work: Work) -> None:
    id = await running(each_api, work)
    task = (await tasks(each_api, id))["b"]["id"]
    await done(each_api, f"tasks/{task}/cancel", {"reason": "not this"})
    found = (await tasks(each_api, id))["b"]
    assert (found["status"], found["error"]["message"]) == ("cancelled", "not this")
    work.open_gate()
    await each_api.store.settled(id)


async def test_a_paused_tree_starts_nothing_until_it_is_unpaused(each_api: Api, work: Work) -> None:
    id = await running(each_api, work)
    await done(each_api, f"trees/{id}/pause", {"reason": "lunch"})
    assert (await each_api.admin.get(f"/v1/trees/{id}")).json()["paused"] is True
    work.open_gate()
    await until_task(each_api, id, "a", "completed")
    assert (await tasks(each_api, id))["b"]["status"] == "pending"
    await done(each_api, f"trees/{id}/unpause")
    await each_api.store.settled(id)
    assert await status(each_api, id) == "completed"
    assert await reasons(each_api, id, "tree.paused") == ["lunch"]


async def test_a_failed_tree_runs_again_in_place(each_api: Api, work: Work) -> None:
    work.break_next()
    id = await submit(each_api, tree({"key": "a", "name": "flaky"}, "b"), wait=True)
    assert await status(each_api, id) == "failed"
    plan = await order(each_api, f"trees/{id}/rerun", {"dry_run": True})
    assert (plan.status_code, plan.json()["id"]) == (200, id)
    assert len(plan.json()["runs"]) >= 1
    assert await status(each_api, id) == "failed"
    await done(each_api, f"trees/{id}/rerun", {"mode": "failed", "reason": "mended"})
    await each_api.store.settled(id)
    assert await status(each_api, id) == "completed"
    assert work.calls.count("give") == 1


async def test_a_tree_runs_again_from_a_task_or_as_a_whole(api: Api, work: Work) -> None:
    id = await submit(
        api, tree("a", {"key": "b", "name": "give", "dependencies": ["a"]}), wait=True
    )
    await done(api, f"trees/{id}/rerun", {"mode": "from", "tasks": ["b"]})
    await api.store.settled(id)
    assert work.calls.count("give") == 3
    await done(api, f"trees/{id}/rerun", {"mode": "all"})
    await api.store.settled(id)
    assert work.calls.count("give") == 5
    task = (await tasks(api, id))["a"]["id"]
    await done(api, f"tasks/{task}/rerun")
    await api.store.settled(id)
    assert work.calls.count("give") == 7


async def test_a_signal_completes_who_waits_for_it_and_counts_once(each_api: Api) -> None:
    id = await submit(each_api, tree({"key": "a", "name": "signal", "inputs": {"name": "go"}}))
    said = {"id": "s-1", "name": "go", "payload": {"by": ["ann"]}}
    first = await done(each_api, f"trees/{id}/signals", said)
    assert first["signal"] == "s-1"
    await each_api.store.settled(id)
    assert (await tasks(each_api, id))["a"]["result"] == {"by": ["ann"]}
    again = await done(each_api, f"trees/{id}/signals", said)
    assert again == first
    page = await each_api.admin.get(f"/v1/trees/{id}/events", params={"types": "signal.received"})
    assert len(page.json()["items"]) == 1


async def test_a_signal_that_is_sent_again_is_answered_the_same_with_if_match(
    each_api: Api,
) -> None:
    body = tree({"key": "a", "name": "signal"}, {"key": "b", "name": "signal"})
    id = await submit(each_api, body)
    etag = (await each_api.admin.get(f"/v1/trees/{id}")).headers["etag"]
    said = {"id": "s-1", "name": "a", "payload": 1}
    first = await done(each_api, f"trees/{id}/signals", said, **{"If-Match": etag})
    assert await done(each_api, f"trees/{id}/signals", said, **{"If-Match": etag}) == first
    await done(each_api, f"trees/{id}/cancel")
    await each_api.store.settled(id)
    assert await done(each_api, f"trees/{id}/signals", said, **{"If-Match": etag}) == first
    other = await order(each_api, f"trees/{id}/signals", said | {"id": "s-2"}, **{"If-Match": etag})
    assert other.status_code == 412


async def test_a_new_signal_is_answered_without_reading_all_that_came_before(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [{"key": key, "name": "signal", "inputs": {"name": "go"}} for key in ("a", "b")]
    id = await submit(api, tree(*tasks, {"key": "c", "name": "signal", "dependencies": ["a"]}))
    told = [await done(api, f"trees/{id}/signals", {"id": f"{n}", "name": "c"}) for n in range(80)]
    assert [one["version"] for one in told] == sorted({one["version"] for one in told})
    read: list[int] = []
    history = api.store.reads.history

    def counted(*about: Any, **more: Any) -> Any:
        found = history(*about, **more)
        read.append(len(found))
        return found

    monkeypatch.setattr(api.store.reads, "history", counted)
    new = await done(api, f"trees/{id}/signals", {"id": "new", "name": "go"})
    assert new["version"] == told[-1]["version"] + 1
    assert sum(read) < 40
    for n in (0, 40, 79):
        again = await done(api, f"trees/{id}/signals", {"id": f"{n}", "name": "c"})
        assert again == told[n]


async def test_the_id_of_a_signal_with_another_name_or_payload_is_refused(each_api: Api) -> None:
    body = tree({"key": "a", "name": "signal"}, {"key": "b", "name": "signal"})
    id = await submit(each_api, body)
    said = {"id": "s-1", "name": "a", "payload": 1}
    await done(each_api, f"trees/{id}/signals", said)
    before = each_api.store.journal.position()
    for other in ({"name": "b"}, {"payload": 2}, {"payload": None}):
        answer = await order(each_api, f"trees/{id}/signals", said | other)
        assert (answer.status_code, answer.json()["type"]) == (422, "/docs/problems/invalid-input")
    assert each_api.store.journal.position() == before


async def test_a_signal_without_an_id_gets_one(api: Api) -> None:
    id = await submit(api, tree({"key": "a", "name": "signal", "inputs": {"name": "go"}}))
    told = await done(api, f"trees/{id}/signals", {"name": "go"})
    assert told["signal"]
    await api.store.settled(id)
    assert (await tasks(api, id))["a"]["status"] == "completed"


COMMANDS: tuple[tuple[str, Any], ...] = (
    ("trees/{tree}/cancel", {"reason": "x"}),
    ("trees/{tree}/pause", {}),
    ("trees/{tree}/unpause", {}),
    ("trees/{tree}/signals", {"name": "go"}),
    ("trees/{tree}/rerun", {"mode": "failed"}),
    ("trees/{tree}/start", {}),
    ("tasks/{task}/cancel", {}),
    ("tasks/{task}/rerun", {}),
)


@pytest.mark.parametrize(("path", "body"), COMMANDS, ids=[path for path, _ in COMMANDS])
async def test_another_version_than_was_meant_is_refused_and_nothing_is_written(
    api: Api, path: str, body: Any
) -> None:
    id = await submit(api, tree({"key": "a", "name": "signal", "inputs": {"name": "go"}}))
    task = (await tasks(api, id))["a"]["id"]
    before = api.store.journal.position()
    answer = await order(api, path.format(tree=id, task=task), body, **{"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["type"]) == (412, "/docs/problems/version-mismatch")
    assert api.store.journal.position() == before


async def test_the_version_that_was_meant_is_taken(api: Api) -> None:
    id = await submit(api, tree({"key": "a", "name": "signal", "inputs": {"name": "go"}}))
    for command in ("pause", "unpause", "signals"):
        etag = (await api.admin.get(f"/v1/trees/{id}")).headers["etag"]
        body = {"name": "go"} if command == "signals" else None
        await done(api, f"trees/{id}/{command}", body, **{"If-Match": etag})
    await api.store.settled(id)
    await done(api, f"trees/{id}/rerun", {"mode": "all"}, **{"If-Match": "*"})


async def test_of_two_who_meant_the_same_version_one_wins(api: Api) -> None:
    id = await submit(api, tree({"key": "a", "name": "signal", "inputs": {"name": "go"}}))
    etag = (await api.admin.get(f"/v1/trees/{id}")).headers["etag"]
    answers = await asyncio.gather(
        *(
            order(api, f"trees/{id}/pause", {"reason": str(n)}, **{"If-Match": etag})
            for n in range(9)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [202] + [412] * 8


@pytest.mark.parametrize("tag", ["12", "x", '"x"', '"1", "2"', '"-1"', '"' + "9" * 30 + '"', ""])
async def test_an_if_match_that_names_no_version_is_refused(api: Api, tag: str) -> None:
    id = await submit(api, tree("a"), wait=True)
    answer = await order(api, f"trees/{id}/cancel", None, **{"If-Match": tag})
    assert answer.status_code == 422


async def test_what_the_state_does_not_allow_is_a_conflict(api: Api, work: Work) -> None:
    settled = await submit(api, tree("a"), wait=True)
    draft = await submit(api, {"tasks": tree("a"), "start": False})
    for path, body in (
        (f"trees/{settled}/pause", None),
        (f"trees/{settled}/rerun", {"mode": "failed"}),
        (f"trees/{draft}/pause", None),
        (f"trees/{draft}/rerun", {"mode": "all"}),
    ):
        before = api.store.journal.position()
        answer = await order(api, path, body)
        assert answer.status_code == 409, (path, answer.text)
        assert api.store.journal.position() == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("cancel", b"{"), ("cancel", b"[]"), ("cancel", b'{"reason": 1}'), ("cancel", b"null"),
        ("cancel", b'{"why": "x"}'), ("pause", b'"x"'), ("rerun", b'{"mode": "some"}'),
        ("rerun", b'{"mode": "from"}'), ("rerun", b'{"mode": "from", "tasks": ["nobody"]}'),
        ("rerun", b'{"tasks": "a"}'), ("rerun", b'{"dry_run": 1}'), ("signals", b"{}"),
        ("signals", b""), ("signals", b'{"name": 1}'), ("signals", b'{"name": ""}'),
        ("signals", b'{"name": "x", "id": ""}'), ("signals", b'{"name": "x", "id": 1}'),
        ("signals", b'{"name": "' + b"x" * 300 + b'"}'),
        ("signals", b'{"name": "x", "id": "' + b"x" * 300 + b'"}'),
        ("signals", b'{"name": "a\\u0000b"}'), ("cancel", b'{"reason": "\\ud800"}'),
    ],
)  # fmt: skip
async def test_a_command_that_does_not_fit_is_refused(api: Api, path: str, body: bytes) -> None:
    id = await submit(api, tree({"key": "a", "name": "signal", "inputs": {"name": "go"}}))
    before = api.store.journal.position()
    headers = {"Content-Type": "application/json"}
    answer = await api.admin.post(f"/v1/trees/{id}/{path}", content=body, headers=headers)
    assert answer.status_code in (404, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.store.journal.position() == before


@pytest.mark.parametrize(("path", "body"), COMMANDS, ids=[path for path, _ in COMMANDS])
async def test_a_command_on_nothing_is_not_found(api: Api, path: str, body: Any) -> None:
    answer = await order(api, path.format(tree="nowhere", task="nowhere"), body)
    assert answer.status_code == 404


async def test_a_command_that_never_was_is_not_found(each_api: Api) -> None:
    assert (await each_api.admin.get("/v1/commands/nowhere")).status_code == 404


# -- where another process drives the tree


@pytest.fixture
async def pure(postgres_server: Any, place: Path) -> AsyncIterator[tuple[Api, str]]:
    """An API without an engine over a database of its own."""
    dsn = postgres_server.create_database()
    async with application(dsn, place, engine=False) as api:
        yield api, dsn


async def test_a_tree_that_a_pure_api_took_is_run_by_another_engine(
    pure: tuple[Api, str], place: Path
) -> None:
    api, dsn = pure
    id = await submit(api, [{"key": "a", "name": "give", "inputs": {"give": [7]}}])
    assert (await tasks(api, id))["a"]["status"] == "pending"
    why = (await api.admin.get(f"/v1/trees/{id}/why")).json()["items"]
    assert [item["reason"] for item in why] == ["unclaimed"]
    (place / "other").mkdir()
    with program(place / "other", "--store", dsn):
        await asyncio.wait_for(api.store.settled(id), 20)
    assert (await tasks(api, id))["a"]["result"] == [7]


@pytest.mark.slow
async def test_a_slow_owner_is_not_waited_for_and_its_answer_is_found_later(
    pure: tuple[Api, str], place: Path
) -> None:
    api, dsn = pure
    (place / "other").mkdir()
    with program(place / "other", "--store", dsn) as owner:
        body = tree({"key": "a", "name": "signal", "inputs": {"name": "go"}})
        id = await submit(api, body)
        await until_task(api, id, "a", "in_progress")
        quick = await order(api, f"trees/{id}/pause")
        assert (quick.status_code, quick.json().get("command")) == (202, None)
        owner.send(signal.SIGSTOP)
        answer = await order(api, f"trees/{id}/unpause", {"reason": "on"})
        refused = asyncio.create_task(
            order(api, f"trees/{id}/signals", {"name": "go"}, **{"If-Match": '"1"'})
        )
        assert answer.status_code == 202
        assert "version" not in answer.json()
        place_of = answer.headers["location"]
        assert place_of == answer.json()["command"]
        told = (await api.admin.get(place_of)).json()
        assert (told["state"], told["name"], told["tree_id"]) == ("open", "unpause", id)
        stranger = await api.user("eve").get(place_of)
        assert stranger.status_code == 404
        owner.send(signal.SIGCONT)
        assert (await refused).status_code == 412
        for _ in range(500):
            if (told := (await api.admin.get(place_of)).json())["state"] != "open":
                break
            await asyncio.sleep(0.02)
        assert told["state"] == "done"
        assert (await api.admin.get(f"/v1/trees/{id}")).json()["version"] >= told["version"]


async def test_an_empty_body_in_chunks_is_as_good_as_none(api: Api, work: Work) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    id = await running(api, work)
    answer = await api.admin.post(f"/v1/trees/{id}/pause", content=nothing())
    assert answer.status_code == 202, answer.text
    work.open_gate()
