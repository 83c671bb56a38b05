"""Functions of users that run around executors. One that fails is logged and changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from logging import getLogger
from threading import Thread
from typing import Any, Final

from ...domain.errors import InvalidInput

Hook = Callable[..., Any]
"""A coroutine function, or a plain one, which then runs in a thread."""
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls something in a thread; what it returns is awaited in the loop."""

TREE_EVENTS: Final = (
    "on_tree_created",
    "on_tree_started",
    "on_tree_completed",
    "on_tree_failed",
)
_log = getLogger(__name__)


class Around:
    """The hooks of one executor: the two it was registered with, then those added later.

    ``pre(executor, task, inputs)``: what it returns other than None is the result, and `execute`
    is not called. ``post(executor, task, inputs, result)``: what it returns is not looked at.
    """

    __slots__ = ("own", "post", "pre")

    def __init__(self, own_pre: Hook | None = None, own_post: Hook | None = None) -> None:
        self.own = (own_pre, own_post)
        self.pre: list[Hook] = [] if own_pre is None else [own_pre]
        self.post: list[Hook] = [] if own_post is None else [own_post]

    def added_from(self, former: "Around") -> None:
        """Take over what was added to a former registration of the same executor."""
        self.pre.extend(hook for hook in former.pre if hook is not former.own[0])
        self.post.extend(hook for hook in former.post if hook is not former.own[1])

    def add(self, kind: str, hook: Hook) -> None:
        """Raises `InvalidInput` for anything but ``pre_hook`` and ``post_hook``."""
        lists = {"pre_hook": self.pre, "post_hook": self.post}
        if kind not in lists:
            raise InvalidInput(f"no kind of hook is called {kind!r}: use pre_hook or post_hook")
        add_once(lists[kind], hook)

    def clear(self) -> None:
        """Take all away, those of the registration too."""
        self.pre.clear()
        self.post.clear()


def add_once(hooks: list[Hook], hook: Hook) -> None:
    """Add ``hook`` where it is not there yet."""
    if not callable(hook):
        raise InvalidInput("a hook is a function")
    if hook not in hooks:
        hooks.append(hook)


async def run_hook(hook: Hook, args: tuple[Any, ...], in_thread: InThread) -> Any:
    """What the hook returns, None where it fails."""
    try:
        if iscoroutinefunction(hook):
            return await hook(*args)
        return await off_loop(partial(hook, *args), in_thread)
    except (Exception, SystemExit):  # noqa: BLE001 - a hook is the user's own code
        name = getattr(hook, "__qualname__", repr(hook))
        _log.warning("the hook %s failed and is passed over", name, exc_info=True)
        return None


async def off_loop(work: Callable[[], Any], in_thread: InThread) -> Any:
    """Call ``work`` in a thread. Where it only made a coroutine, that is run here."""
    value, error = await in_thread(partial(caught, work))
    if error is not None:
        raise error
    return await value if isawaitable(value) else value


def caught(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Nothing is raised in the thread: not every error can be set on a future."""
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - foreign code; raised again in the loop
        return None, error


def in_own_thread(work: Callable[[], Any]) -> Awaitable[Any]:
    """Call ``work``, which raises nothing, in a daemon thread of its own.

    For what must not queue up behind the very calls that it is to end.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def settle(value: Any) -> None:
        if not done.done():
            done.set_result(value)

    def run() -> None:
        value = context.run(work)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, value)

    Thread(target=run, name="apflow-cancel", daemon=True).start()
    return done
