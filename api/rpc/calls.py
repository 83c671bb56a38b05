"""One call while it is carried out: who calls, what is given, how long they would wait."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Raw, Struct, UnsetType

from ...domain.errors import NotFound
from ...domain.specs import is_id
from ...projections.views import TaskView
from ..http.access import Caller, Scope
from ..http.server import Server
from ..submitting import LARGE
from .documents import OVER
from .errors import Code, RpcError
from .parameters import Given, usable

if TYPE_CHECKING:
    from ..stores import Store


T = TypeVar("T")
NOBODY: Final = "\0"
"""Who owns nothing."""
MAX_NAMED: Final = 5_000
"""Tasks that the calls of one body may name in lists."""


class Spent(Struct):
    """What the calls of one body have come to so far."""

    ids: int = 0


class Call:
    """What every method gets. ``until`` is by the loop's clock; ``alone``: not one of a batch."""

    def __init__(
        self,
        server: Server,
        caller: Caller,
        params: Raw | UnsetType,
        *,
        until: float,
        alone: bool,
        spent: Spent,
    ) -> None:
        self._spent = spent
        self.server = server
        self.caller = caller
        self.params = params
        self.until = until
        self.alone = alone

    @property
    def store(self) -> "Store":
        """The store."""
        return self.server.store

    def given(self) -> Given:
        """The parameters by name."""
        return Given(self.params)

    async def aside(self, read: Callable[["Call"], T]) -> T:
        """What ``read`` makes of this call; beside the loop where it is large."""
        if isinstance(self.params, UnsetType) or len(memoryview(self.params)) < LARGE:
            return read(self)
        return await asyncio.to_thread(read, self)

    @property
    def patience(self) -> float:
        """Seconds that are left."""
        return max(self.until - asyncio.get_running_loop().time(), 0.0)

    async def task(self, id: str) -> TaskView:
        """Raises `NotFound`, also for what is somebody else's."""
        return await self.server.visible_task(usable(id), self.caller)

    async def tasks(self, ids: Sequence[str]) -> dict[str, TaskView]:
        """Those of these tasks that the caller may see, by id. Raises `RpcError` over the bound."""
        self.spend(len(ids))
        wanted = list(filter(is_id, ids))
        found = await asyncio.to_thread(self.store.reads.tasks_by_id, wanted) if wanted else ()
        return {view.id: view for view in found if self.caller.may_see(view.user_id)}

    def spend(self, ids: int) -> None:
        """Count tasks that are named. Raises `RpcError` where one body names too many."""
        self._spent.ids += ids
        if self._spent.ids > MAX_NAMED:
            reason = f"the requests of one body name {MAX_NAMED} tasks at most; send another one"
            raise RpcError.of(Code.INVALID_PARAMS, "task_ids", reason)

    async def maybe_task(self, id: str) -> TaskView | None:
        """The same, or None."""
        try:
            return await self.task(id)
        except NotFound:
            return None

    def require(self, scope: Scope, field: str = "method") -> None:
        """Raises `RpcError` where the token has not this scope."""
        if self.caller.scope < scope:
            reason = (
                f"this needs the scope {scope.name.lower()}; the token has "
                f"{self.caller.scope.name.lower()}"
            )
            raise RpcError.of(Code.UNAUTHORIZED, field, reason)

    def owner(self, user_id: str | None) -> str | None:
        """Whose tasks to look for: one's own, or, for admins, anybody's or all; or `NOBODY`'s."""
        if self.caller.sees_all:
            return user_id
        return self.caller.user if user_id in (None, self.caller.user) else NOBODY

    async def over(self, id: str) -> TaskView:
        """The task once it has ended, or as it stands when patience is at its end."""
        position = self.store.journal.position()
        view = await self.task(id)
        while view.status not in OVER and self.patience and not self.server.stopping.is_set():
            stopping = asyncio.ensure_future(self.server.stopping.wait())
            changed = asyncio.ensure_future(self.store.feed.changed(position))
            waiting = {stopping, changed}
            await asyncio.wait(waiting, timeout=self.patience, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)
            position = self.store.journal.position()
            view = await self.task(id)
        return view
