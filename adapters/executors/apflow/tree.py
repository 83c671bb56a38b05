"""A tree on another instance that stands for one task of this one."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from ....domain.errors import InvalidInput
from ...net.http import Answer, Unanswered
from .after import After
from .facts import SETTLED, TYPES, Fact, fact_of, facts_of
from .kept import Kept
from .remote import (
    CONFLICT,
    LAST,
    MAX_ANSWER,
    Away,
    Patience,
    Remote,
    RemoteRefused,
    decoded,
    seen,
)

MAX_MESSAGE: Final = 1_000
PAGE: Final = 10
"""Events of one answer, where there is no stream: each may have 1 MiB."""
WAIT: Final = 20
"""Seconds for which an answer without news is held back there."""
STREAMS: Final = 3
"""Streams in a row that bring no news: then the history is asked for instead."""
CANCELLING: Final = 7.0
"""Seconds for which an attempt waits until a tree has been cancelled. It is, also if that takes
longer.
"""


class _Submitted(Struct):
    id: str
    tasks: dict[str, str]


class RemoteTree:
    """One tree: submitted once per key, followed to its end, cancelled there if need be."""

    def __init__(self, remote: Remote, body: bytes, pause: float, after: After) -> None:
        self._remote = remote
        self._afterwards = after
        self._body = body
        self._pause = pause
        self._posting: asyncio.Task[Answer] | None = None
        self._ending: asyncio.Task[bool] | None = None
        self.id: str | None = None
        self.status: str | None = None
        self._kept = Kept()
        self._after = 0

    async def submit(self) -> None:
        """Submit it, or find what was submitted before under the same key.

        A later attempt takes up what a former one began, unless that has ended badly.
        """
        context = self._remote.context
        saved = context.checkpoint
        if isinstance(saved, dict) and saved.get("attempt") == context.attempt:
            await self._post(str(saved.get("key")))
            return
        for n in range(1, context.attempt + 1):
            await self._post(
                context.idempotency_key if n == 1 else f"{context.idempotency_key}-{n}"
            )
            if n == context.attempt or not await self._ended_badly():
                return

    async def remember(self) -> None:
        """A second look by this attempt finds the same tree, however that ends meanwhile."""
        if self._remote.context.attempt > 1:
            await self._remote.context.save(
                {"attempt": self._remote.context.attempt, "key": self._key}
            )

    async def _post(self, key: str) -> None:
        self._key, self.id = key, None
        most = min(MAX_ANSWER, (1 << 20) + 16 * len(self._body))  # a key and an id for each task
        self._posting = asyncio.create_task(
            self._remote.ask("POST", "/v1/trees", self._body, limit=most, Idempotency_Key=key)
        )
        self._posting.add_done_callback(seen)
        self._take(await asyncio.shield(self._posting))

    def _take(self, answer: Answer) -> None:
        self._remote.judge(answer)
        try:
            made = msgspec.convert(decoded(answer), _Submitted)
        except msgspec.ValidationError as error:
            raise RemoteRefused("its answer to a tree is not what it should be", 200) from error
        self.id = made.id
        self._kept.keys = {id: key for key, id in made.tasks.items()}

    async def _ended_badly(self) -> bool:
        answer = await self._remote.call("GET", f"/v1/trees/{self.id}")
        return _object(answer).get("status") in ("failed", "cancelled")

    async def follow(self) -> dict[str, Any]:
        """Wait for its end; gives the result of the task."""
        patience, streams = Patience(self._pause), 0
        while self.status is None:
            before, error = self._after, None
            try:
                await (self._stream() if streams < STREAMS else self._poll())
            except (Unanswered, Away) as failure:
                error = failure
            if self._after > before:
                patience.over()
                streams = min(streams, STREAMS - 1) if error is None else streams
            elif error is not None or streams < STREAMS:
                streams += 1
                await patience.wait(error)
        return await self._result()

    async def _stream(self) -> None:
        """One connection, for as long as it lasts."""
        path = f"/v1/trees/{self.id}/stream?types={TYPES}"
        async with self._remote.stream("GET", path, Last_Event_ID=str(self._after)) as (
            head, events,
        ):  # fmt: skip
            if not head.headers.get("content-type", "").startswith("text/event-stream"):
                self._remote.judge(head)
                raise Away("it gives no stream")
            async for event in events:
                if event.id:
                    await self._apply(fact_of(event.data))
                if self.status is not None:
                    return

    async def _poll(self) -> None:
        """A page of the history, once there is news."""
        path = (
            f"/v1/trees/{self.id}/events?types={TYPES}&after={self._after}&limit={PAGE}&wait={WAIT}"
        )
        began = asyncio.get_running_loop().time()
        answer = await self._remote.call("GET", path, seconds=WAIT + 15)
        facts = facts_of(answer.body)
        for fact in facts:
            await self._apply(fact)
        if not facts and asyncio.get_running_loop().time() - began < 1.0:
            await asyncio.sleep(self._pause)

    async def _apply(self, fact: Fact) -> None:
        if fact.version <= self._after or self.status is not None:
            return
        self._after = fact.version
        if fact.type != SETTLED and fact.task not in self._kept.keys:
            return
        match fact.type:
            case "task.completed":
                self._kept.complete(fact.task, fact.result, fetch=fact.blob is not None)
            case "task.failed":
                self._kept.end(fact.task, self._message(fact.error or {}))
            case "task.cancelled":
                self._kept.end(fact.task)
            case "task.reopened":
                self._kept.forget(fact.task)
            case "tree.settled":
                self.status = fact.status
            case _:
                return
        await self._tell()

    def _message(self, error: Mapping[str, Any]) -> str:
        said = error.get("message") or error.get("type") or "no reason was given"
        return self._remote.context.scrub(str(said))[:MAX_MESSAGE]

    async def _tell(self) -> None:
        ended, total = len(self._kept.ended), max(len(self._kept.keys), 1)
        message = f"{ended} of {total} tasks ended"
        await self._remote.context.progress(min(ended / total, 1.0), message)

    async def _result(self) -> dict[str, Any]:
        kept, tasks = self._kept, dict[str, Any]()
        for id, result in kept.ended.items():
            if result is True:
                await self._large(id, tasks)
            elif result is not False:
                tasks[kept.key_of(id)] = msgspec.json.decode(result)
        found: dict[str, Any] = {
            "success": self.status == "completed", "tree_id": self.id, "status": self.status,
            "tasks": tasks, "base_url": self._remote.shown,
        }  # fmt: skip
        if kept.errors:
            found["errors"] = {kept.key_of(id): said for id, said in kept.errors.items()}
        if self.status != "completed":
            found["error"] = self._why()
        if kept.cut:
            found["truncated"] = True
        return found

    async def _large(self, id: str, tasks: dict[str, Any]) -> None:
        """A result that does not stand in its event, if there is room for it."""
        if (room := self._kept.room) > 0:
            answer = await self._again(f"/v1/tasks/{id}", room)
            if not answer.cut:
                self._kept.take(len(answer.body))
                tasks[self._kept.key_of(id)] = _object(answer).get("result")
                return
        self._kept.cut = True

    async def _again(self, path: str, limit: int) -> Answer:
        patience = Patience(self._pause)
        while True:
            try:
                return await self._remote.call("GET", path, limit=limit)
            except (Unanswered, Away) as error:
                await patience.wait(error)

    def _why(self) -> str:
        for id, said in self._kept.errors.items():
            return f"task {self._kept.key_of(id)} of the remote tree failed: {said}"
        return f"the remote tree was {self.status}"

    async def end(self) -> bool:
        """Cancel it there, and see that it has come to an end; whether it has.

        Where it is not known yet whether there is one, the answer that tells is awaited later on.
        """
        posting = self._posting
        if posting is None or self.status is not None:
            return False
        if self._ending is None:
            self._ending = self._afterwards.begin(self._end(posting))
        await asyncio.wait({posting}, timeout=LAST)
        if posting.done():
            await asyncio.wait({self._ending}, timeout=CANCELLING)
        ending = self._ending
        return ending.done() and not ending.cancelled() and ending.result()

    async def _end(self, posting: "asyncio.Task[Answer]") -> bool:
        await asyncio.wait({posting})
        if posting.cancelled() or posting.exception() is not None:
            return False
        if self.id is None:
            self._take(posting.result())
        tree = f"/v1/trees/{self.id}"
        body = msgspec.json.encode({"reason": "the task that waits for it was ended"})
        answer = await self._remote.ask("POST", f"{tree}/cancel", body)
        if answer.status != CONFLICT:  # else it had ended
            self._remote.judge(answer)
            await self._remote.call("GET", tree, seconds=5.0, Prefer="wait=2")
        return True


def body_of(inputs: Mapping[str, Any], tasks: Any) -> bytes:
    """What is sent, the same bytes for the same inputs."""
    if isinstance(tasks, dict):
        tasks = [tasks]
    written: dict[str, Any] = {"tasks": [_keyed(task) for task in tasks]}
    written |= {name: inputs[name] for name in ("name", "limit") if inputs.get(name) is not None}
    return msgspec.json.encode(written)


def _keyed(task: Any) -> Any:
    """With a key for an id: ids are unique over there, and this may not be the only such tree."""
    if not isinstance(task, dict):
        return task
    if "id" in task and "key" in task:
        raise InvalidInput("a remote task has a key or an id, not both: its id is made there")
    made = {"key" if name == "id" else name: value for name, value in task.items()}
    if isinstance(made.get("children"), list):
        made["children"] = [_keyed(child) for child in made["children"]]
    return made


def _object(answer: Answer) -> dict[str, Any]:
    found = decoded(answer)
    if not isinstance(found, dict):
        raise RemoteRefused("what answers at base_url is no instance of this software", 200)
    return found
