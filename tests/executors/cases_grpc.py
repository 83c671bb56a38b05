"""`grpc_executor` and a server that describes itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from tests.support.executor_cases import Case, Inputs
from tests.support.grpc_target import PROBE, GrpcTarget, grpc_target


class GrpcCase(Case):
    executor = "grpc_executor"
    secret_hosts = ("127.0.0.1",)
    policy: ClassVar[Inputs] = {"idempotent": True}
    target: GrpcTarget

    @contextmanager
    def open(self) -> Iterator[None]:
        with grpc_target() as self.target:
            yield

    def settings(self) -> dict[str, Any]:
        return {"private_targets": ["127.0.0.1"]}

    def calls(self, method: str, **more: Any) -> Inputs:
        inputs = {"server": self.target.server, "service": PROBE, "method": method, "tls": False}
        return inputs | more

    def works(self) -> Inputs:
        return self.calls("Echo", request={"big": 7})

    def shows(self, result: Any) -> None:
        assert result["response"]["big"] == "7"

    def wrong(self) -> Sequence[Inputs]:
        return [{}, {"server": 5}, self.calls("Hang", server="127.0.0.1"),
                self.calls("Hang", server="10.0.0.1:443"), self.calls("Hang", request=[]),
                self.calls("Hang", request={"unknown": 1}), self.calls("Hung"),
                self.calls("Hang", proto_file="a.proto"), self.calls("Upload"),
                self.calls("Hang", server="unix:/tmp/a")]  # fmt: skip

    def fails(self) -> Inputs:
        return self.calls("Fail", request={"code": 5, "details": "no such thing"})

    def flaky(self) -> Inputs:
        self.target.flaky = 1
        return self.calls("Flaky")

    def hangs(self) -> Inputs:
        return self.calls("HangStream", timeout=60)

    def running(self) -> int:
        return self.target.hanging

    def begun(self) -> int:
        return sum(name.startswith("Hang") for name in self.target.calls)

    def let_go(self) -> None:
        self.target.released.set()

    def leaks(self) -> Inputs:
        return self.calls("Echo", metadata={"x-token": {"$secret": "CANARY"}})

    def floods(self) -> Inputs:
        return self.calls("Count", request={"count": 100_000, "size": 10_000})
