"""The history of a tree over HTTP: paged, filtered, cut off, waited for."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow.api.http import hub
from tests.support.places import until
from tests.support.servers import Api, Work, chain, tree

GATED = tree({"key": "a", "name": "gated"})


async def submit(api: Api, body: Any, *, wait: bool = True) -> tuple[str, int]:
    """The id and the version."""
    headers = {"Prefer": "wait=10"} if wait else {}
    answer = await api.admin.post("/v1/trees", json=body, headers=headers)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()["id"], answer.json()["version"]


async def events(api: Api, id: str, **query: Any) -> list[dict[str, Any]]:
    answer = await api.admin.get(f"/v1/trees/{id}/events", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def versions(found: list[dict[str, Any]]) -> list[int]:
    return [event["version"] for event in found]


async def test_history_is_whole_and_in_order(each_api: Api) -> None:
    id, version = await submit(each_api, chain(3))
    found = await events(each_api, id)
    assert versions(found) == list(range(1, version + 1))
    assert (found[0]["type"], found[-1]["type"]) == ("tree.created", "tree.settled")
    positions = [event["position"] for event in found]
    assert positions == sorted(set(positions))
    assert {event["tree_id"] for event in found} == {id}


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_lead_on_without_gap_or_repetition(each_api: Api, order: str) -> None:
    id, version = await submit(each_api, chain(3))
    seen: list[int] = []
    path: str | None = f"/v1/trees/{id}/events?limit=4&order={order}"
    while path is not None:
        answer = await each_api.admin.get(path)
        seen += versions(answer.json()["items"])
        link = answer.links.get("next")
        assert (link is None) == (answer.json()["next"] is None)
        path = None if link is None else link["url"]
    assert seen == (list(range(1, version + 1)) if order == "asc" else list(range(version, 0, -1)))


async def test_history_begins_where_it_is_told_to(each_api: Api) -> None:
    id, version = await submit(each_api, chain(2))
    assert versions(await events(each_api, id, after=3)) == list(range(4, version + 1))
    assert versions(await events(each_api, id, after=3, order="desc")) == [2, 1]
    assert await events(each_api, id, after=version) == []
    assert await events(each_api, id, after=2**53) == []


async def test_history_is_filtered_by_type(each_api: Api) -> None:
    id, _ = await submit(each_api, chain(2))
    found = await events(each_api, id, types="task.completed")
    assert {event["type"] for event in found} == {"task.completed"}
    assert len(found) == 3
    some = await events(each_api, id, types="tree.*, task.started")
    assert {event["type"].partition(".")[0] for event in some} == {"tree", "task"}
    assert "task.completed" not in {event["type"] for event in some}
    first = await events(each_api, id, types="task.*", limit=1, order="desc")
    assert first[0]["type"].startswith("task.")


@pytest.mark.parametrize("types", ["nothing", "", ",", "task.completed,", "*.completed", "x*"])
async def test_a_type_that_is_none_is_refused(api: Api, types: str) -> None:
    id, _ = await submit(api, tree("a"))
    answer = await api.admin.get(f"/v1/trees/{id}/events", params={"types": types})
    assert answer.status_code == 422


async def test_history_ends_at_a_version_or_a_time(each_api: Api) -> None:
    id, version = await submit(each_api, chain(2))
    whole = await events(each_api, id)
    for last in (1, 4, version):
        assert await events(each_api, id, at_version=last) == whole[:last]
    at = whole[3]["at"]
    assert await events(each_api, id, at=at) == [event for event in whole if event["at"] <= at]
    down = await events(each_api, id, at_version=4, order="desc")
    assert down == whole[:4][::-1]
    assert await events(each_api, id, at_version=4, order="desc", after=3) == whole[:2][::-1]


async def test_a_long_poll_is_woken_by_the_next_event(each_api: Api, work: Work) -> None:
    id, _ = await submit(each_api, GATED, wait=False)
    await until(lambda: work.calls)
    seen = versions(await events(each_api, id))[-1]
    asked = asyncio.create_task(events(each_api, id, after=seen, wait=30))
    await asyncio.sleep(0.05)
    assert not asked.done()
    work.open_gate()
    found = await asyncio.wait_for(asked, 10)
    assert found[0]["version"] == seen + 1


async def test_a_long_poll_waits_for_what_it_asks_for(api: Api, work: Work) -> None:
    id, _ = await submit(api, GATED, wait=False)
    await until(lambda: work.calls)
    asked = asyncio.create_task(events(api, id, types="tree.settled", wait=30))
    await asyncio.sleep(0.05)
    assert not asked.done()
    work.open_gate()
    assert [event["type"] for event in await asyncio.wait_for(asked, 10)] == ["tree.settled"]


@pytest.mark.parametrize("types", [None, "task.*", "tree.paused"])
async def test_the_etag_of_a_long_poll_is_of_its_end(
    api: Api, work: Work, types: str | None
) -> None:
    id, _ = await submit(api, GATED, wait=False)
    await until(lambda: work.calls)
    before = api.store.tree(id).version
    query = {"after": before, "wait": 0.5} | ({} if types is None else {"types": types})
    asked = asyncio.create_task(api.admin.get(f"/v1/trees/{id}/events", params=query))
    await until(lambda: api.server.streams)
    work.open_gate()
    answer = await asked
    assert int(answer.headers["etag"].strip('"')) > before
    assert all(event["version"] > before for event in answer.json()["items"])


async def test_a_long_poll_ends_empty_when_its_time_is_up(api: Api) -> None:
    id, version = await submit(api, tree("a"))
    assert await events(api, id, after=version, wait=0.05) == []


async def test_a_long_poll_ends_when_the_server_stops(api: Api) -> None:
    id, version = await submit(api, tree("a"))
    asked = asyncio.create_task(events(api, id, after=version, wait=60))
    await asyncio.sleep(0.05)
    api.server.stop()
    assert await asyncio.wait_for(asked, 5) == []


async def test_a_long_poll_does_not_wait_where_something_is_there(api: Api) -> None:
    id, version = await submit(api, tree("a"))
    found = await asyncio.wait_for(events(api, id, after=version - 1, wait=60), 5)
    assert versions(found) == [version]


@pytest.mark.parametrize("whole", [False, True], ids=["one tree", "all trees"])
async def test_who_reads_a_long_history_lets_others_be_served(
    api: Api, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    monkeypatch.setattr(hub, "PAGE", 2)
    id, version = await submit(api, chain(5))
    reads, journal = api.store.reads, api.store.journal
    place, name = (journal, "read_all") if whole else (reads, "history")
    read_page, served = getattr(place, name), 0
    seen: list[int] = []

    def reading(*args: Any, **more: Any) -> Any:
        seen.append(served)
        return read_page(*args, **more)

    monkeypatch.setattr(place, name, reading)
    lines = (
        api.server.hub.everything(0, visible=lambda owner: False)
        if whole
        else api.server.hub.tree(id, 0, topics={"tree.paused"})
    )
    following = asyncio.ensure_future(anext(lines))
    while len(seen) < version // 2:
        served += 1
        await asyncio.sleep(0)
    following.cancel()
    await asyncio.wait({following})
    await lines.aclose()
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    "query",
    [
        {"after": -1}, {"after": "x"}, {"after": 2**64}, {"wait": -1}, {"wait": 61},
        {"wait": "nan"}, {"wait": "inf"}, {"order": "up"}, {"limit": 0}, {"limit": 1001},
    ],
    ids=str,
)  # fmt: skip
async def test_a_question_that_does_not_fit_is_refused(api: Api, query: dict[str, Any]) -> None:
    id, _ = await submit(api, tree("a"))
    answer = await api.admin.get(f"/v1/trees/{id}/events", params=query)
    assert answer.status_code == 422


@pytest.mark.parametrize("whole", [False, True], ids=["one tree", "all trees"])
async def test_a_follower_is_given_a_few_kilobytes_at_a_time(api: Api, whole: bool) -> None:
    large = [{"key": f"k{n}", "name": "give", "inputs": {"x": "y" * 40_000}} for n in range(12)]
    id, version = await submit(api, tree(*large))
    following = api.server.hub
    if whole:
        news = following.everything(0, visible=lambda owner: True)
    else:
        news = following.tree(id, 0)
    told = 0
    async for lines in news:
        assert len(lines) == 1 or sum(len(line.data) for line in lines) <= hub.BITE
        told += len(lines)
        if told == version:
            break
    await news.aclose()


def test_what_a_channel_remembers_is_given_in_order_and_in_parts() -> None:
    channel = hub.Channel()
    lines = [hub.Line(n, "t", "x", b"." * (n % 3 * 30_000)) for n in range(1, 20)]
    channel.add(lines, 0, 25)
    after, seen = 0, list[int]()
    while (found := channel.since(after)) is not None and found[0]:
        some, after = found
        assert len(some) == 1 or sum(len(line.data) for line in some) <= hub.BITE
        seen += [line.mark for line in some]
    assert seen == list(range(1, 20))
    assert after == 25
