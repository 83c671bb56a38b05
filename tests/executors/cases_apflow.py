"""`apflow_api_executor` and a second server in a process of its own."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.executor_cases import CANARY, Case, Inputs
from tests.support.http_target import Target, http_target
from tests.support.servers import Program, program

HEALTHY = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"status": "healthy"}}).encode()
JOBS = """
@executor_register()
class Heap(Job):
    id = "heap"

    async def execute(self, inputs):
        return "x" * inputs["size"]
"""


class ApflowApiCase(Case):
    executor = "apflow_api_executor"
    reattaches = True
    secret_hosts = ("127.0.0.1",)
    far: Program
    target: Target

    @contextmanager
    def open(self) -> Iterator[None]:
        there = self.folder / "far"
        there.mkdir()
        with program(there, jobs=JOBS) as self.far, http_target() as self.target:
            yield

    def settings(self) -> dict[str, Any]:
        return {
            "private_targets": ["127.0.0.1"],
            "secrets.FAR.source": "file",
            "secrets.FAR.name": str(self.folder / "far" / "state" / "token"),
            "secrets.FAR.executors": [self.executor],
            "secrets.FAR.hosts": ["127.0.0.1"],
        }

    def _to(self, *tasks: Inputs, **more: Any) -> Inputs:
        token = {"$secret": "FAR"}
        return {"base_url": self.far.url, "tasks": list(tasks), "auth_token": token, **more}

    def works(self) -> Inputs:
        return self._to({"id": "a", "name": "give", "inputs": {"give": {"n": 42}}})

    def shows(self, result: Any) -> None:
        assert (result["status"], result["tasks"]) == ("completed", {"a": {"n": 42}})
        with self.far.client() as client:
            assert client.get(f"/v1/trees/{result['tree_id']}").json()["status"] == "completed"

    def wrong(self) -> Sequence[Inputs]:
        good, hang = self.works(), {"name": "signal", "inputs": {"name": "go"}}
        return [
            {}, {"base_url": 5, "tasks": [hang]}, self._to(hang, base_url="ftp://127.0.0.1"),
            self._to(hang, base_url="http://10.0.0.1"), self._to(), self._to(hang, method="x"),
            self._to(hang, auth_token="in the clear"),
            self._to(hang, headers={"Authorization": "Bearer in-the-clear"}),
            self._to({**hang, "inputs": {"name": {"$secret": "CANARY"}}}),
            {**good, "timeout": 0},
        ]  # fmt: skip

    def fails(self) -> Inputs:
        return self._to({"id": "f", "name": "fail"})

    def flaky(self) -> Inputs:
        self.target.will("/system", 503, times=1, Retry_After="0")
        self.target.will("/system", 200, HEALTHY, Content_Type="application/json")
        return {"base_url": self.target.url, "method": "system.health"}

    def hangs(self) -> Inputs:
        return self._to({"id": "h", "name": "signal", "inputs": {"name": "go"}}, name="hang")

    def _trees(self) -> list[Any]:
        with self.far.client() as client:
            found: list[Any] = client.get("/v1/trees?name=hang&limit=100").json()["items"]
            return found

    def running(self) -> int:
        return sum(tree["completed_at"] is None for tree in self._trees())

    def begun(self) -> int:
        return len(self._trees())

    def let_go(self) -> None:
        with self.far.client() as client:
            for tree in self._trees():
                client.post(f"/v1/trees/{tree['id']}/signals", json={"name": "go"})

    def leaks(self) -> Inputs:
        said = {"jsonrpc": "2.0", "id": 1, "result": {"said": f"Bearer {CANARY}"}}
        body = json.dumps(said).encode()
        self.target.will("/tasks", 200, body, Content_Type="application/json")
        token = {"$secret": "CANARY"}
        return {"base_url": self.target.url, "method": "tasks.count", "auth_token": token}

    def floods(self) -> Inputs:
        heaps = [
            {"id": f"h{n}", "name": "heap", "inputs": {"size": 3 << 20}, "parent_id": "root"}
            for n in range(4)
        ]
        return self._to({"id": "root", "name": "root"}, *heaps)
