"""The servers that the tests here use are real ones."""

import signal
from pathlib import Path
from uuid import uuid4

import pytest

from aipartnerupflow.domain.errors import StoreUnavailable
from tests.support.places import until
from tests.support.servers import Api, Threaded, application, program, tree


async def test_an_application_runs_a_tree(each_api: Api) -> None:
    answer = await each_api.admin.post("/v1/trees", json=tree("a"), headers={"Prefer": "wait=10"})
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


def test_a_server_in_a_thread_runs_a_tree(socket_server: Threaded) -> None:
    with socket_server.client() as client:
        answer = client.post("/v1/trees", json=tree("a"), headers={"Prefer": "wait=10"})
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


def test_a_program_runs_a_tree(place: Path) -> None:
    with program(place) as server:
        with server.client() as client:
            answer = client.post("/v1/trees", json=tree("a"), headers={"Prefer": "wait=10"})
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
        assert server.stop() == 0
        assert not (place / "state" / "server.json").exists()


def test_control_c_ends_a_program_as_interrupted(place: Path) -> None:
    with program(place) as server:
        server.send(signal.SIGINT)
        assert server.wait() == 130
        assert "Traceback" not in server.said
        assert not (place / "state" / "server.json").exists()


async def test_open_work_is_taken_up_though_it_could_not_be_read_at_the_start(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(engine: object) -> None:
        raise StoreUnavailable("the server restarts")

    monkeypatch.setattr("aipartnerupflow.api.http.opening.resume", refused)
    url = f"memory://{uuid4().hex}"
    async with application(url, place, engine=False) as bare:
        id = (await bare.admin.post("/v1/trees", json=tree("a"))).json()["id"]
        async with application(url, place) as api:
            await until(lambda: api.store.tree(id).status == "completed")
            answer = await api.admin.get(f"/v1/trees/{id}")
    assert answer.json()["status"] == "completed"
