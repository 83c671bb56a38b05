"""One tree for one key, however many ask at once, and whatever dies between."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.chaos.tally import Tally
from tests.support.servers import Api, Program, application, bearer, program, tree
from tests.support.tcp import Cable, cable

MANY = 100
BODY = tree({"key": "a", "name": "append"}, {"key": "b", "name": "append"})


async def ask(client: httpx.AsyncClient, key: str, body: Any = None) -> httpx.Response:
    return await client.post("/v1/trees", json=body or tree("a"), headers={"Idempotency-Key": key})


def same(answers: list[httpx.Response]) -> str:
    """The id that all of them tell; everything else is equal, too."""
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    id: str = answers[0].json()["id"]
    return id


async def test_a_hundred_at_once_make_one_tree_and_have_one_answer(each_api: Api) -> None:
    before = {view.id for view in each_api.store.reads.trees(limit=1_000)}
    answers = await asyncio.gather(*(ask(each_api.admin, "once") for _ in range(MANY)))
    id = same(list(answers))
    assert {view.id for view in each_api.store.reads.trees(limit=1_000)} - before == {id}
    await each_api.store.settled(id)
    assert same([await ask(each_api.admin, "once"), *answers]) == id


async def test_a_hundred_drafts_at_once_are_one(api: Api) -> None:
    body = {"tasks": tree("a"), "start": False}
    same(list(await asyncio.gather(*(ask(api.admin, "draft", body) for _ in range(MANY)))))
    assert len(api.store.reads.trees()) == 1


async def test_of_two_bodies_at_once_one_is_taken(api: Api) -> None:
    bodies = [tree("a"), tree("b")] * 20
    answers = await asyncio.gather(*(ask(api.admin, "either", body) for body in bodies))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [202] * 20 + [422] * 20
    same([answer for answer in answers if answer.status_code == 202])
    assert len(api.store.reads.trees()) == 1


async def test_keys_of_their_own_make_trees_of_their_own(api: Api) -> None:
    answers = await asyncio.gather(*(ask(api.admin, f"k{n % 10}") for n in range(MANY)))
    assert len({answer.json()["id"] for answer in answers}) == 10
    assert len(api.store.reads.trees(limit=100)) == 10


async def test_a_hundred_at_once_at_two_servers_of_one_store_make_one_tree(
    place: Path, postgres_server: Any
) -> None:
    dsn = postgres_server.create_database()
    (place / "other").mkdir()
    with program(place / "other", "--store", dsn) as other:
        async with (
            application(dsn, place, engine=False) as api,
            httpx.AsyncClient(
                base_url=other.url, headers=bearer(other.token), timeout=60
            ) as elsewhere,
        ):
            clients = [api.admin, elsewhere] * (MANY // 2)
            body = [{"key": "a", "name": "give"}]
            answers = await asyncio.gather(*(ask(client, "both", body) for client in clients))
            id = same(list(answers))
            assert [view.id for view in api.store.reads.trees()] == [id]
            await asyncio.wait_for(api.store.settled(id), 20)


# -- killed between the commit and the answer


def in_sqlite(path: Path) -> int:
    """How many trees are committed, as anybody sees who opens the file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM tree").fetchone()[0])


def in_postgres(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT count(*) FROM tree").fetchone()
        assert found is not None
        return int(found[0])


def kill_when_committed(server: Program, way: Cable, key: str, count: Callable[[], int]) -> None:
    """Ask, lose the answer, and kill the server as soon as the tree can be seen in the store."""
    before = count()
    way.swallow = 1 << 30
    with (
        httpx.Client(base_url=way.url, headers=bearer(server.token), timeout=20) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.post("/v1/trees", json=BODY, headers={"Idempotency-Key": key})
    until = time.monotonic() + 20
    while count() == before:
        assert time.monotonic() < until, "it was not committed"
    server.kill()
    way.swallow = 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_server_that_is_killed_before_it_could_answer_gives_the_answer_later(
    place: Path, tally: Tally, kind: str, request: pytest.FixtureRequest
) -> None:
    path = place / "kill.db"
    dsn = ""
    if kind == "postgres":
        dsn = request.getfixturevalue("postgres_server").create_database()
    url = dsn or f"sqlite:///{path}"

    def count() -> int:
        return in_postgres(dsn) if dsn else in_sqlite(path)

    with program(place, "--store", url) as server, cable(httpx.URL(server.url).port or 0) as way:
        for n in range(3):
            kill_when_committed(server, way, f"k{n}", count)
            tally.add("kills between commit and answer")
            server.start()
            answers = asyncio.run(ask_all(server, f"k{n}"))
            id = same(answers)
            assert count() == n + 1
            with server.client() as client:
                done = client.get(f"/v1/trees/{id}", headers={"Prefer": "wait=30"}).json()
                assert done["status"] == "completed"
                events = client.get(f"/v1/trees/{id}/events?types=task.completed").json()["items"]
            assert len(events) == 3
            tally.add("equal answers", len(answers))


async def ask_all(server: Program, key: str) -> list[httpx.Response]:
    """Many at once, at the server as it stands after its restart."""
    async with httpx.AsyncClient(
        base_url=server.url, headers=bearer(server.token), timeout=60
    ) as client:
        return list(await asyncio.gather(*(ask(client, key, BODY) for _ in range(MANY))))


@pytest.mark.slow
def test_a_hundred_that_are_under_way_when_the_server_is_killed_end_with_one_tree(
    place: Path, tally: Tally
) -> None:
    path = place / "storm.db"
    with program(place, "--store", f"sqlite:///{path}") as server:
        answers = asyncio.run(through_a_kill(server))
        id = same(answers)
        tally.add("requests through a kill", len(answers))
        assert in_sqlite(path) == 1
        with server.client() as client:
            done = client.get(f"/v1/trees/{id}", headers={"Prefer": "wait=30"}).json()
    assert done["status"] == "completed"


async def through_a_kill(server: Program) -> list[httpx.Response]:
    """Each asks until it is answered; the server is killed meanwhile, and started again."""
    token = server.token
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(headers=bearer(token), timeout=20, limits=limits) as client:

        async def persist() -> httpx.Response:
            while True:
                with suppress(httpx.TransportError):
                    return await client.post(
                        f"{server.url}/v1/trees", json=BODY, headers={"Idempotency-Key": "storm"}
                    )
                await asyncio.sleep(0.02)

        asking = [asyncio.create_task(persist()) for _ in range(MANY)]
        await asyncio.sleep(0.03)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        return await asyncio.gather(*asking)
