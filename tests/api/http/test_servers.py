"""The servers that the tests here use are real ones."""

import signal
from pathlib import Path

from tests.support.servers import Api, Threaded, program, tree


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
