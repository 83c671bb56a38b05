"""Work for another instance of this software: submitted there, followed, and cancelled there."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from ....domain.errors import InvalidInput
from ...net.guard import Guard
from ...net.http import Http, Unanswered
from ...net.transport import trusted
from ...net.trust import CA_FILE
from ..base import BaseTask, Inputs
from ..configured import with_attributes
from .after import After
from .remote import Away, Remote, RemoteRefused, RemoteTimeout, outgoing
from .rpc import READS, RemoteCall
from .schemas import DEFAULT_TIMEOUT, INPUTS, MAX_TIMEOUT, OUTPUTS
from .tree import RemoteTree, body_of

MOST: Final = 1_000
"""Connections at once: each tree that is followed holds one."""


class ApflowApiExecutor(BaseTask):
    """Has a tree run on another instance, or calls one of its methods.

    A tree is submitted under the task's own idempotency key: asked again, also after a crash, the
    other instance answers with the tree that it has. Its end is this task's end.
    """

    id = "apflow_api_executor"
    name = "Another instance"
    description = "Has tasks run on another instance of this software and waits for their end"
    tags = ("http", "apflow")
    cancelable = True
    examples = (
        {
            "base_url": "https://flows.example.com",
            "tasks": [{"id": "a", "name": "system_info_executor", "inputs": {"resource": "cpu"}}],
            "auth_token": {"$secret": "FLOWS_TOKEN"},
        },
        {
            "base_url": "https://flows.example.com", "method": "tasks.execute",
            "params": {"task_id": "6f1c"}, "wait_for_completion": True,
            "auth_token": {"$secret": "FLOWS_TOKEN"},
        },
    )  # fmt: skip
    inputs_schema = INPUTS
    outputs_schema = OUTPUTS
    by_name: ClassVar[bool] = False

    guard: ClassVar[Guard] = Guard()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.judge = self.guard
        self.tls: ssl.SSLContext | None = None
        self._work: RemoteTree | RemoteCall | None = None

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Callable[..., "ApflowApiExecutor"]:
        """A factory whose executors reach what the operator allows."""
        guard = Guard(settings.get("APFLOW_PRIVATE_TARGETS", ()))
        tls = trusted(settings.get(CA_FILE))
        return with_attributes(cls, judge=guard, tls=tls)

    @classmethod
    def safe_to_repeat(cls, inputs: Inputs) -> bool:
        """Trees are: the other instance keeps the key with the tree. Of the methods, reads are."""
        return "method" not in inputs or inputs["method"] in READS

    def get_demo_result(self, task: Any, inputs: Inputs) -> dict[str, Any]:
        """As if the other instance had done it."""
        base = str(inputs.get("base_url", ""))
        if "method" in inputs:
            return {
                "success": True, "result": {"status": "completed"}, "status_code": 200,
                "base_url": base, "method": inputs["method"],
            }  # fmt: skip
        return {
            "success": True, "tree_id": "demo", "status": "completed", "base_url": base,
            "tasks": {"demo": {"result": "done there"}},
        }  # fmt: skip

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """``{success, tree_id, status, tasks}`` of a tree; see `OUTPUTS`."""
        return await self._within(inputs, self._begin(inputs))

    async def reattach(self, inputs: Inputs) -> Any:
        """Ask the other instance for what this attempt began. None where that cannot be told."""
        work = self._begin(inputs)
        try:
            if isinstance(work, RemoteTree):
                await work.submit()
                found = True
            else:
                found = await work.find()
        except (Unanswered, Away):
            return None
        if not found:
            return None

        async def follow() -> dict[str, Any]:
            return await self._within(inputs, work, found=True)

        return follow

    async def cancel(self) -> None:
        """The work ends there as well."""
        if self._work is not None:
            await self._work.end()

    def _begin(self, inputs: Inputs) -> RemoteTree | RemoteCall:
        asked = [name for name in ("method", "tasks", "tree") if inputs.get(name) is not None]
        if len(asked) != 1:
            raise InvalidInput("give one of `tasks`, `tree` and `method`")
        pause = _number(inputs, "poll_interval", 1.0, 300.0)
        after = self.context.shared.get("apflow after", After)  # first, and so closed first
        http = self.context.shared.get("apflow", lambda: Http(self.judge, tls=self.tls, most=MOST))
        remote = Remote(http, inputs, self.context)
        if asked == ["method"]:
            self._work = RemoteCall(remote, inputs, pause, after)
        else:
            body = body_of(inputs, outgoing(inputs[asked[0]]))
            self._work = RemoteTree(remote, body, pause, after)
        return self._work

    async def _within(
        self, inputs: Inputs, work: RemoteTree | RemoteCall, *, found: bool = False
    ) -> dict[str, Any]:
        seconds = _number(inputs, "timeout", DEFAULT_TIMEOUT, MAX_TIMEOUT)
        try:
            async with asyncio.timeout(seconds):
                if isinstance(work, RemoteCall):
                    return await (work.follow() if found else work.perform())
                if not found:
                    await work.submit()
                await work.remember()
                return await work.follow()
        except TimeoutError as error:
            how = "was cancelled there" if await _ended(work) else "may go on there"
            message = f"it took longer than {seconds:g} s and {how}"
            raise RemoteTimeout(message) from error


async def _ended(work: RemoteTree | RemoteCall) -> bool:
    try:
        return await work.end()
    except (Unanswered, Away, RemoteRefused):
        return False


def _number(inputs: Inputs, name: str, usual: float, most: float) -> float:
    value = inputs.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise InvalidInput(f"{name} is a number of seconds above 0, at most {most:g}")
    return float(value)
