"""`websocket_executor` and a server of the library that it uses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from tests.support.executor_cases import Case, Inputs
from tests.support.websocket_target import WebsocketTarget, websocket_target


class WebsocketCase(Case):
    executor = "websocket_executor"
    secret_hosts = ("127.0.0.1",)
    policy: ClassVar[Inputs] = {"idempotent": True}
    target: WebsocketTarget

    @contextmanager
    def open(self) -> Iterator[None]:
        with websocket_target() as self.target:
            yield

    def settings(self) -> dict[str, Any]:
        return {"private_targets": ["127.0.0.1"]}

    def works(self) -> Inputs:
        return {"url": f"{self.target.url}/echo", "message": {"n": 1}}

    def shows(self, result: Any) -> None:
        assert result["json"] == {"n": 1}

    def wrong(self) -> Sequence[Inputs]:
        url = f"{self.target.url}/hang"
        return [{}, {"url": 5}, {"url": url, "message": 5}, {"url": "http://127.0.0.1/"},
                {"url": "ws://10.0.0.1/", "message": "a"}, {"url": url, "responses": 0},
                {"url": url, "message": "a", "messages": ["b"]},
                {"url": url, "wait_response": False}]  # fmt: skip

    def fails(self) -> Inputs:
        self.target.will("/echo", 403, times=10)
        return {"url": f"{self.target.url}/echo", "message": "a"}

    def flaky(self) -> Inputs:
        self.target.will("/echo", 503, Retry_After="0")
        return {"url": f"{self.target.url}/echo", "message": "a"}

    def hangs(self) -> Inputs:
        return {"url": f"{self.target.url}/hang", "timeout": 60}

    def running(self) -> int:
        return self.target.hanging

    def begun(self) -> int:
        return self.target.opened.count("/hang")

    def let_go(self) -> None:
        self.target.released.set()

    def leaks(self) -> Inputs:
        return {"url": f"{self.target.url}/headers", "headers": {"X-Token": {"$secret": "CANARY"}}}

    def floods(self) -> Inputs:
        return {"url": f"{self.target.url}/count/100000", "responses": 100}
