"""Calls of another instance by JSON-RPC, and waiting for what they began."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ....domain.errors import InvalidInput
from ...net.http import Answer, Unanswered
from ...net.sse import ServerEvent
from ..base import Inputs
from ..http_rules import TRANSIENT
from .after import After
from .remote import LAST, SECONDS, Away, Patience, Remote, RemoteRefused, decoded, outgoing, seen

EXECUTE: Final = "tasks.execute"
READS: Final = frozenset(
    {
        "tasks.get", "tasks.detail", "tasks.list", "tasks.count", "tasks.tree", "tasks.children",
        "tasks.running.list", "tasks.running.status", "tasks.running.count",
        "system.health", "system.executors",
    }
)  # fmt: skip
"""Methods that only look."""
FINAL: Final = ("completed", "failed", "cancelled")
_NOT: Final = ("failed", "not_found")
STILL: Final = 2
"""So often a tree must be seen with something failed and nothing running to count as over."""
MAX_MESSAGE: Final = 1_000


class RemoteCall:
    """One method, and, if that is wanted, the end of the tree that it started."""

    def __init__(self, remote: Remote, inputs: Inputs, pause: float, after: After) -> None:
        self._remote = remote
        self._afterwards = after
        self._pause = pause
        self.method = str(inputs.get("method", ""))
        given = outgoing(inputs.get("params"))
        self.params: Any = {} if given is None else given
        self.streams = bool(inputs.get("use_streaming")) and self.method == EXECUTE
        self.waits = self.streams or bool(inputs.get("wait_for_completion"))
        self.path = "/system" if self.method.startswith(("system.", "config.")) else "/tasks"
        self.task: str | None = None
        self.polls = 0
        self._over = False
        self._asked = False
        self._posting: asyncio.Task[dict[str, Any]] | None = None

    async def perform(self) -> dict[str, Any]:
        """Call it, and wait for its end if that is asked for."""
        if await self._known():
            return await self.follow()
        found = await (self._streamed() if self.streams else self._posted())
        if not self.waits or not found["success"]:
            return found
        if self.task is None and not await self._begun(found):
            return found
        return await self.follow()

    async def _posted(self) -> dict[str, Any]:
        """The answer to the call, which goes on where this attempt ends: it names what is to be
        cancelled then.
        """
        self._asked = True
        self._posting = asyncio.create_task(self._called(self.method, self.params))
        self._posting.add_done_callback(seen)
        return await asyncio.shield(self._posting)

    async def _begun(self, found: dict[str, Any]) -> bool:
        """Whether the answer names a task that can be waited for; a later look finds it."""
        self.task = _task_of(found["result"], self.params) if found["success"] else None
        if self.task is not None:
            await self.remember()
        return self.task is not None

    async def remember(self) -> None:
        """A look after a crash finds the same task."""
        context = self._remote.context
        await context.save({"task_id": self.task, "attempt": context.attempt})

    async def _known(self) -> bool:
        """Whether an attempt has started it already, and it has not ended badly."""
        saved = self._remote.context.checkpoint
        if not self.waits or not isinstance(saved, dict) or "task_id" not in saved:
            return False
        self.task = str(saved["task_id"])
        if saved.get("attempt") == self._remote.context.attempt:
            return True
        found = await self._called("tasks.get", {"task_id": self.task})
        task = found.get("result")
        return isinstance(task, dict) and task.get("status") not in ("failed", "cancelled")

    async def find(self) -> bool:
        """Whether this attempt has started something there before."""
        saved = self._remote.context.checkpoint
        attempt = self._remote.context.attempt
        return isinstance(saved, dict) and saved.get("attempt") == attempt and await self._known()

    async def follow(self) -> dict[str, Any]:
        """Ask again and again how it stands, until it has ended."""
        patience, still = Patience(self._pause), 0
        while True:
            try:
                found = await self._called("tasks.tree", {"task_id": self.task})
                self.polls += 1
                patience.over()
            except (Unanswered, Away) as error:
                await patience.wait(error)
                continue
            if not found["success"]:
                return found | {"task_id": self.task}
            task, tasks = _flat(found["result"])
            ended = sum(each.get("status") in FINAL for each in tasks)
            await self._tell(ended, len(tasks))
            running = any(each.get("status") == "in_progress" for each in tasks)
            bad = next((each for each in tasks if each.get("status") in FINAL[1:]), None)
            still = still + 1 if bad is not None and not running else 0
            if task.get("status") in FINAL or still >= STILL:
                self._over = True
                return self._ended(task, bad, patience.total)
            await asyncio.sleep(self._pause)

    def _ended(
        self, task: Mapping[str, Any], bad: Mapping[str, Any] | None, failures: int
    ) -> dict[str, Any]:
        status = task["status"] if task.get("status") in FINAL else (bad or {}).get("status")
        result = {
            "success": status == "completed", "task_id": self.task, "status": status,
            "task": task, "result": task.get("result"), "poll_count": self.polls,
            "total_failures": failures, "base_url": self._remote.shown, "method": self.method,
        }  # fmt: skip
        if status != "completed":
            said = (bad or task).get("error") or "no reason was given"
            result["error"] = f"the remote task was {status}: {self._cut(said)}"
        return result

    def _cut(self, said: Any) -> str:
        return self._remote.context.scrub(str(said))[:MAX_MESSAGE]

    async def _tell(self, ended: int, total: int) -> None:
        message = f"{ended} of {total} tasks ended"
        await self._remote.context.progress(ended / max(total, 1), message)

    async def _called(self, method: str, params: Any, seconds: float = SECONDS) -> dict[str, Any]:
        answer = await self._remote.ask(
            "POST", self.path, self._envelope(method, params), seconds=seconds,
            Idempotency_Key=self._remote.context.idempotency_key,
        )  # fmt: skip
        return self._read(answer, method)

    def _envelope(self, method: str, params: Any) -> bytes:
        return msgspec.json.encode(
            {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, enc_hook=str
        )

    def _read(self, answer: Answer, method: str) -> dict[str, Any]:
        """Errors of JSON-RPC come with any status; without one, the status counts."""
        if answer.status in TRANSIENT:
            self._remote.judge(answer)
        try:
            said = decoded(answer)
        except RemoteRefused:
            self._remote.judge(answer)
            raise
        common = {"status_code": answer.status, "base_url": self._remote.shown, "method": method}
        error = said.get("error") if isinstance(said, dict) else None
        if isinstance(error, dict):
            message = self._cut(error.get("message", ""))
            return {
                "success": False, "error": f"the other instance refused it: {message}",
                "error_code": error.get("code"), "error_data": error.get("data"), **common,
            }  # fmt: skip
        self._remote.judge(answer)
        if not isinstance(said, dict) or "result" not in said:
            raise RemoteRefused("what answers at base_url speaks no JSON-RPC", answer.status)
        return {"success": True, "result": said["result"], **common}

    async def _streamed(self) -> dict[str, Any]:
        """The answer, once the stream behind it is over or lost: how it stands is asked then."""
        params = {**self.params, "use_streaming": True} if isinstance(self.params, dict) else None
        if params is None:
            raise InvalidInput("with use_streaming, params is an object")
        body = self._envelope(self.method, params)
        self._asked = True
        key = self._remote.context.idempotency_key
        answer: dict[str, Any] | None = None
        try:
            async with self._remote.stream("POST", self.path, body, Idempotency_Key=key) as (
                head, events,
            ):  # fmt: skip
                if not head.headers.get("content-type", "").startswith("text/event-stream"):
                    return await self._plain(head)
                async for event in events:
                    if answer is None:
                        answer = self._read(_as_answer(head, event), self.method)
                        if not await self._begun(answer):
                            break
                    elif await self._last(event):
                        break
        except Unanswered:
            if answer is None:
                raise
        if answer is None:
            raise Away("the stream ended before it began")
        return answer

    async def _plain(self, head: Answer) -> dict[str, Any]:
        """It does not stream, or refuses: then in the ordinary way."""
        self._remote.judge(head)
        return await self._called(self.method, self.params)

    async def _last(self, event: ServerEvent) -> bool:
        """Tells of an event; whether it is the last one."""
        try:
            said = msgspec.json.decode(event.data.encode())
        except msgspec.DecodeError:
            return True
        if not isinstance(said, dict):
            return True
        progress = said.get("progress")
        if said.get("task_id") == self.task and isinstance(progress, int | float):
            await self._remote.context.progress(float(progress), str(said.get("message") or ""))
        return said.get("type") in ("stream_end", "timeout") or bool(said.get("final"))

    async def end(self) -> bool:
        """Cancel there what was started; whether that was done."""
        if self.method != EXECUTE or self._over or not await self._started():
            return False
        return await self._cancel()

    async def _cancel(self) -> bool:
        found = await self._called("tasks.cancel", {"task_ids": [self.task]}, seconds=LAST)
        told = found.get("result")
        each = told if isinstance(told, list) else [told]
        return bool(found["success"]) and not any(map(_is_refusal, each))

    async def _started(self) -> bool:
        """Whether anything may have been; the call may still be unanswered."""
        named = _task_of(None, self.params) if self._asked else None
        if self.task is None and self._posting is not None:
            await asyncio.wait({self._posting}, timeout=LAST)
            if self._posting.done():
                if not self._read_late(self._posting):
                    return False
            elif named is None:
                self._afterwards.begin(self._end_late(self._posting))
                return False
            self._posting.cancel()
        self.task = self.task or named
        return self.task is not None

    def _read_late(self, posting: "asyncio.Task[dict[str, Any]]") -> bool:
        """False where the answer says that nothing was started."""
        if posting.cancelled() or posting.exception() is not None:
            return True
        found = posting.result()
        self.task = _task_of(found["result"], self.params) if found["success"] else None
        return bool(found["success"])

    async def _end_late(self, posting: "asyncio.Task[dict[str, Any]]") -> None:
        """Once the answer is there that names what was started."""
        await asyncio.wait({posting})
        if self._read_late(posting) and self.task is not None:
            await self._cancel()


def _as_answer(head: Answer, event: ServerEvent) -> Answer:
    return msgspec.structs.replace(head, body=event.data.encode())


def _task_of(result: Any, params: Any) -> str | None:
    """The task that is waited for, as the answer names it, else as the call did."""
    for said in (result, params):
        if isinstance(said, dict):
            for name in ("root_task_id", "task_id", "id"):
                if isinstance(said.get(name), str):
                    return str(said[name])
    return None


def _is_refusal(told: Any) -> bool:
    """Whether this is a task that was not cancelled after all."""
    return isinstance(told, dict) and ("code" in told or told.get("status") in _NOT)


def _flat(tree: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The task, and all tasks of its tree: ``{"task", "children"}``, or a bare task."""
    if not isinstance(tree, dict):
        raise RemoteRefused("the other instance does not know the task any more", 404)
    top = tree.get("task", tree)
    tasks, nodes = [], [tree]
    while nodes:
        node = nodes.pop()
        tasks.append(node.get("task", node))
        nodes += node.get("children") or []
    return top, tasks
