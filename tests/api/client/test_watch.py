"""Following a tree over lost connections, lost servers and lost answers."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from aipartnerupflow import AsyncClient, Client
from aipartnerupflow.api.client import Event, Unreachable
from aipartnerupflow.api.client.follow import Lines
from aipartnerupflow.domain.errors import NotFound
from tests.api.cli.programs import chain, until
from tests.support.servers import Threaded, program, tree
from tests.support.tcp import cable

Watch = Callable[[str, str, str, list[Event]], None]


def watch_blocking(url: str, token: str, id: str, seen: list[Event]) -> None:
    with Client(url, token, patience=20) as client:
        seen.extend(client.watch(id))


def watch_awaiting(url: str, token: str, id: str, seen: list[Event]) -> None:
    async def watch() -> None:
        async with AsyncClient(url, token, patience=20) as client:
            async for event in client.watch(id):
                seen.append(event)  # noqa: PERF401 - others look at it meanwhile

    asyncio.run(watch())


@pytest.mark.slow
@pytest.mark.parametrize("watch", [watch_blocking, watch_awaiting])
def test_every_version_is_seen_once_over_cuts_a_kill_and_a_restart(
    watch: Watch, place: Path
) -> None:
    with program(place) as server, cable(server.client().base_url.port or 0) as line:
        line.slice = 97  # frames come in pieces
        with Client(server.url, server.token) as client:
            id = client.submit([*chain(20, seconds=0.05)]).id
        seen: list[Event] = []
        follower = threading.Thread(target=watch, args=(line.url, server.token, id, seen))
        follower.start()
        for count in range(3, 43, 4):
            until(lambda count=count: len(seen) >= count)
            if count in (15, 27):
                server.kill() if count == 15 else server.stop()
                server.start()
            line.cut()
        follower.join(30)
        assert not follower.is_alive()
        assert line.cuts >= 3  # after that the run may be over before it is cut
        with Client(server.url, server.token) as client:
            last = client.settled(id, timeout=30)
        assert [event.version for event in seen] == list(range(1, last.version + 1))
        assert (last.status, seen[-1].type) == ("completed", "tree.settled")


def test_a_tree_is_made_once_though_answers_are_lost(server: Threaded) -> None:
    with cable(server.port) as line, Client(line.url, server.token, patience=10) as client:
        line.swallow = 2
        done = client.submit(tree("a"))
        assert line.swallow == 0
        assert [found.id for found in client.trees()] == [done.id]


def test_a_command_whose_answer_was_lost_is_not_sent_again(server: Threaded) -> None:
    with cable(server.port) as line, Client(line.url, server.token, patience=10) as client:
        done = client.submit(tree({"key": "a", "name": "signal"}))
        line.cut()
        line.swallow = 1
        with pytest.raises(Unreachable, match="may have been carried out"):
            client.pause(done.id)
        assert client.tree(done.id).paused
        line.cut()
        line.swallow = 1
        told = client.signal(done.id, "a", 1)  # counts once, so it may be sent again
        assert [e.version for e in client.events(done.id, types=["signal.received"])] == [
            told.version
        ]


def test_what_is_followed_can_be_chosen_and_ends_with_the_tree(client: Client) -> None:
    id = client.submit(tree("a"), wait=10).id
    last = client.tree(id).version
    assert [event.type for event in client.watch(id, types=["task.completed", "tree.*"])] == [
        "tree.created", "tree.submitted", "tree.claimed", "task.completed", "task.completed",
        "tree.settled",
    ]  # fmt: skip
    assert [event.type for event in client.watch(id, types=["tree.created"])] == ["tree.created"]
    assert [event.version for event in client.watch(id, after=last - 1)] == [last]
    assert list(client.watch(id, after=last)) == []
    with pytest.raises(NotFound):
        next(client.watch("nobody"))


def test_a_tree_that_is_run_again_is_followed_to_its_last_end(client: Client) -> None:
    id = client.submit(tree("a"), wait=10).id
    client.rerun(id, mode="all")
    version = client.settled(id, timeout=10).version
    seen = list(client.watch(id))
    assert [event.version for event in seen] == list(range(1, version + 1))
    assert [event.type for event in seen].count("tree.settled") == 2


def test_whoever_wants_more_than_the_end_goes_on(client: Client) -> None:
    id = client.submit(tree("a"), wait=10).id
    settled = client.tree(id).version
    following = client.watch(id, after=settled, until_settled=False)
    client.rerun(id, mode="all")
    assert next(following).version == settled + 1


async def test_a_follower_may_leave_early(server: Threaded) -> None:
    async with AsyncClient(server.url, server.token) as client:
        done = await client.submit(tree("a"))
        async with aclosing(client.watch(done.id)) as events:
            async for event in events:
                assert event.version == 1
                break
        assert (await client.tree(done.id)).id == done.id


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_stream_is_read_in_whatever_parts_it_comes(size: int) -> None:
    text = (
        b"retry: 1000\n\n: still here\n\nid: 1\nevent: a\ndata: {}\n\n"
        b"event: dropped\r\ndata: x\r\ndata:y\r\n\r\nid: 2\nevent: cut\ndata: {"
    )
    lines = Lines()
    found: list[tuple[bytes, bytes]] = []
    for at in range(0, len(text), size):
        found += lines.take(text[at : at + size])
    assert found == [(b"a", b"{}"), (b"dropped", b"x\ny")]
