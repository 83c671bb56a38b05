"""An application to be called by JSON-RPC; see `tests.support.servers`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.places import executors, place
from tests.support.servers import Api, Work, application

__all__ = ["executors", "place"]


class Rpc:
    """Calls of one user."""

    def __init__(self, client: httpx.AsyncClient, path: str = "/tasks") -> None:
        self.client = client
        self.path = path

    async def post(self, body: Any, **headers: str) -> httpx.Response:
        """What came back."""
        return await self.client.post(self.path, json=body, headers=headers)

    async def ask(self, method: str, params: Any = None, **headers: str) -> Any:
        """The whole answer to a call."""
        body = {"jsonrpc": "2.0", "id": 7, "method": method}
        answer = await self.post(body if params is None else body | {"params": params}, **headers)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["jsonrpc"] == "2.0"
        assert told["id"] == 7
        return told

    async def call(self, method: str, params: Any = None, **headers: str) -> Any:
        """The result of a call that is to go well."""
        told = await self.ask(method, params, **headers)
        assert "error" not in told, told
        return told["result"]

    async def refused(self, method: str, params: Any = None, **headers: str) -> Any:
        """The error of a call that is not to go well."""
        told = await self.ask(method, params, **headers)
        assert "result" not in told, told
        error = told["error"]
        assert all({"field", "reason"} <= one.keys() for one in error["data"])
        return error

    async def run(self, *tasks: Any, **more: Any) -> Any:
        """Execute tasks, wait for their end, and give the answer."""
        return await self.call("tasks.execute", {"tasks": list(tasks), **more}, prefer="wait=20")

    async def tasks(self, root: str) -> dict[str, Any]:
        """The tasks of a tree by key."""
        found: dict[str, Any] = {}
        todo = [await self.call("tasks.tree", {"task_id": root})]
        for node in todo:
            found[node["task"]["key"]] = node["task"]
            todo.extend(node["children"])
        return found


@pytest.fixture(autouse=True)
def work(place: Path, executors: None) -> Work:
    """Executors of the test's own: `give`, `broken`, `flaky`, `gated`."""
    made = Work()
    made.register()
    return made


@pytest.fixture
async def api(place: Path) -> AsyncIterator[Api]:
    """An application over a store in memory."""
    async with application(f"memory://{uuid4().hex}", place) as made:
        yield made


@pytest.fixture
def rpc(api: Api) -> Rpc:
    """An operator."""
    return Rpc(api.user("ann"))
