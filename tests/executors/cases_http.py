"""`rest_executor` and a server of the standard library."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.executor_cases import Case, Inputs
from tests.support.http_target import Target, http_target


class RestCase(Case):
    executor = "rest_executor"
    secret_hosts = ("127.0.0.1",)
    target: Target

    @contextmanager
    def open(self) -> Iterator[None]:
        with http_target() as self.target:
            yield

    def settings(self) -> dict[str, Any]:
        return {"private_targets": ["127.0.0.1"]}

    def works(self) -> Inputs:
        return {"url": f"{self.target.url}/ok", "method": "POST", "json": {"n": 1}}

    def shows(self, result: Any) -> None:
        assert result["json"]["body"] == '{"n":1}'

    def wrong(self) -> Sequence[Inputs]:
        url = f"{self.target.url}/wrong"
        return [{}, {"url": 5}, {"url": url, "method": "BREW"}, {"url": "file:///etc/passwd"},
                {"url": "http://10.0.0.1/"}, {"url": url, "json": 1, "data": "x"}]  # fmt: skip

    def fails(self) -> Inputs:
        self.target.will("/gone", 404, times=10)
        return {"url": f"{self.target.url}/gone"}

    def flaky(self) -> Inputs:
        self.target.will("/busy", 503, times=1, Retry_After="0")
        return {"url": f"{self.target.url}/busy"}

    def hangs(self) -> Inputs:
        return {"url": f"{self.target.url}/hang"}

    def running(self) -> int:
        return self.target.hanging

    def begun(self) -> int:
        return sum(asked["path"] == "/hang" for asked in self.target.asked)

    def let_go(self) -> None:
        self.target.released.set()

    def leaks(self) -> Inputs:
        return {"url": f"{self.target.url}/echo", "headers": {"X-Token": {"$secret": "CANARY"}}}

    def floods(self) -> Inputs:
        self.target.will("/flood", 200, b"x" * (11 << 20), Content_Type="text/plain")
        return {"url": f"{self.target.url}/flood"}
