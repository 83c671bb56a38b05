"""The past over HTTP is what the present was: for every version of every tree of random runs."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from aipartnerupflow.adapters.journal.memory.recorder import open_memory
from aipartnerupflow.api.documents import task_document, tree_document
from aipartnerupflow.api.stores import Store
from aipartnerupflow.domain.events import Recorded
from aipartnerupflow.domain.evolve import evolve
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.engine.ports import Append
from aipartnerupflow.projections.views import ReadModel
from tests.support.chaos.tally import Tally
from tests.support.histories import History
from tests.support.servers import Api, Work, application, tree

RUNS, COMMITS = 50, 7
REAL = 8

Shown = tuple[Any, list[Any]]
"""A tree's document and those of its tasks."""


def shown(reads: ReadModel, id: str) -> Shown:
    """As the live rows have it, in the form in which HTTP tells it."""
    view = reads.tree(id)
    assert view is not None
    tasks = [task_document(task) for task in reads.tasks(id)]
    whole, parts = msgspec.json.decode(msgspec.json.encode((tree_document(view), tasks)))
    return whole, parts


def one_by_one(stream: Sequence[Recorded]) -> Iterator[tuple[int, Shown]]:
    """The live rows of a store that is given each event in a transaction of its own."""
    journal, reads = open_memory()
    id = stream[0].tree
    state = Tree(id)
    for recorded in stream:
        evolve(state, recorded.event)
        index = {task.spec.id: task.n for task in state.live()}
        append = Append(id, recorded.version - 1, [recorded.event], index, keyed=True)
        journal.append([[append]])
        yield recorded.version, shown(reads, id)


async def as_it_was(client: httpx.AsyncClient, id: str, version: int) -> Shown:
    """As HTTP tells it now."""
    query = {"at_version": version, "limit": 1_000}
    whole = await client.get(f"/v1/trees/{id}", params={"at_version": version})
    tasks = await client.get(f"/v1/trees/{id}/tasks", params=query)
    assert whole.status_code == tasks.status_code == 200, (whole.text, tasks.text)
    return whole.json(), tasks.json()["items"]


async def check(
    api: Api, id: str, live: dict[int, Shown], tally: Tally, rng: random.Random
) -> None:
    """Every version of a tree, and a task of each; ``live`` was seen at some of them."""
    stream = list(api.store.journal.read(id))
    for version, expected in one_by_one(stream):
        if version in live:
            assert live[version] == expected, (id, version)
            tally.add("live rows seen")
        assert await as_it_was(api.admin, id, version) == expected, (id, version)
        tally.add("versions")
        task = rng.choice(expected[1] or [{"id": "none"}])
        if api.store.reads.task(task["id"]) is not None:
            answer = await api.admin.get(f"/v1/tasks/{task['id']}", params={"at_version": version})
            then = answer.json()
            if then.get("tree_id") == id:  # it may have joined another tree since
                attempts = then.pop("attempts")
                assert then == task
                assert (attempts != []) >= (task["status"] == "in_progress" and task["attempt"] > 1)


def visible(store: Store) -> list[str]:
    return [view.id for view in store.reads.trees(limit=1_000)]


@pytest.mark.slow
@pytest.mark.any_log(reason="it is made by chance, and stops anywhere")
async def test_every_version_of_random_histories_is_told_as_it_was(
    place: Path, tally: Tally
) -> None:
    for seed in range(RUNS):
        async with application(f"memory://history-{seed}", place, engine=False) as api:
            await check_history(api, random.Random(seed), tally)
    assert tally.counts["runs"] == RUNS
    assert tally.counts["versions"] > 1_000


async def check_history(api: Api, rng: random.Random, tally: Tally) -> None:
    """Its rows after each commit are remembered; afterwards every version is asked for."""
    live: dict[str, dict[int, Shown]] = {}
    for units in History(rng).commits(COMMITS):
        api.store.journal.append(units)
        for id in {append.tree for unit in units for append in unit}:
            found = shown(api.store.reads, id)
            live.setdefault(id, {})[found[0]["version"]] = found
    tally.add("runs")
    for view in api.store.reads.trees(limit=1_000):
        await check(api, view.id, live[view.id], tally, rng)
        tally.add("trees")


class Commits:
    """Looks at the rows after each commit, in the writer's own thread."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        self.seen: dict[str, dict[int, Shown]] = {}
        journal: Any = store.journal
        append = journal.append

        def watching(units: Sequence[Sequence[Append]]) -> int:
            position: int = append(units)
            for id in {one.tree for unit in units for one in unit}:
                found = shown(store.reads, id)
                self.seen.setdefault(id, {})[found[0]["version"]] = found
            return position

        patch.setattr(journal, "append", watching)


def random_tree(rng: random.Random) -> list[dict[str, Any]]:
    """Tasks that succeed, fail, are tried again, wait, and depend on each other."""
    made: list[dict[str, Any]] = []
    for n in range(rng.randint(2, 7)):
        task: dict[str, Any] = {
            "key": f"t{n}", "name": rng.choice(["give", "give", "broken", "flaky", "signal"]),
            "dependencies": rng.sample([each["key"] for each in made], k=min(n, rng.randint(0, 2))),
        }  # fmt: skip
        if task["name"] == "give":
            task["inputs"] = {"value": rng.choice([None, [1, {"a": "ä"}], "x"]), "seconds": 0.002}
        if rng.random() < 0.5 and task["name"] != "signal":
            task["retry"] = {"max_attempts": 3, "initial_delay": 0.001}
        made.append(task)
    return tree(*made)


@pytest.mark.slow
async def test_every_version_of_real_runs_is_told_as_it_was(
    api: Api, work: Work, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = Commits(api.store, monkeypatch)
    for seed in range(REAL):
        rng = random.Random(seed)
        work.break_next(rng.randint(0, 3))
        told = (await api.admin.post("/v1/trees", json=random_tree(rng))).json()
        place = f"/v1/trees/{told['id']}"
        for _ in range(rng.randint(1, 4)):
            await asyncio.sleep(rng.uniform(0, 0.01))
            await api.admin.post(f"{place}/{rng.choice(['pause', 'unpause'])}")
        await api.admin.post(f"{place}/unpause")
        for name in told["tasks"]:
            await api.admin.post(f"{place}/signals", json={"name": name, "payload": {"n": seed}})
        if rng.random() < 0.7:
            await api.admin.post(f"{place}/cancel", json={"reason": "enough"})
        await api.admin.post(f"{place}/cancel")
        await asyncio.wait_for(api.store.settled(told["id"]), 20)
        await api.admin.post(f"{place}/rerun", json={"mode": rng.choice(["all", "failed"])})
        await api.admin.post(f"{place}/cancel")
        await asyncio.wait_for(api.store.settled(told["id"]), 20)
        await check(api, told["id"], commits.seen[told["id"]], tally, rng)
        tally.add("runs")
    assert tally.counts["live rows seen"] > 50


async def test_a_time_shows_what_had_happened_by_then(api: Api) -> None:
    answer = await api.admin.post("/v1/trees", json=tree("a", "b"), headers={"Prefer": "wait=10"})
    id = answer.json()["id"]
    stream = list(api.store.journal.read(id))
    by_version = dict(one_by_one(stream))
    for recorded in stream:
        at = recorded.event.at
        last = max(each.version for each in stream if each.event.at <= at)
        found = await api.admin.get(f"/v1/trees/{id}", params={"at": at})
        assert found.json() == by_version[last][0]
        tasks = await api.admin.get(f"/v1/trees/{id}/tasks", params={"at": at})
        assert tasks.json()["items"] == by_version[last][1]


async def test_a_time_before_its_creation_is_told_as_that(api: Api) -> None:
    answer = await api.admin.post("/v1/trees", json=[{"name": "give"}])
    id = answer.json()["id"]
    for path in (f"/v1/trees/{id}", f"/v1/trees/{id}/tasks"):
        answer = await api.admin.get(path, params={"at": "2000-01-01T00:00:00Z"})
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("/not-found")
        assert "did not exist then: it was created at 2" in answer.json()["detail"]
