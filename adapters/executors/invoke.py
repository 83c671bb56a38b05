"""One attempt from beginning to end, in an event loop."""

import asyncio
from functools import partial
from typing import Any

import msgspec

from ...domain.specs import ErrorInfo
from ...engine.ports import Call, Gone, Outcome, Raised, Returned
from .attempt import Attempt
from .context import Context
from .demo import demonstrate
from .hooks import InThread
from .registry import Registry
from .results import LARGE, encoded_of, judged, outcome_of, raised
from .scrubbing import Scrubber
from .secrets import names_in
from .shared import Shared
from .vault import Vault


async def invoke(
    registry: Registry, call: Call, in_thread: InThread, shared: Shared | None = None
) -> Outcome:
    """Call the executor of ``call`` with all that surrounds it, or have it look for its work.

    Whatever it does becomes an outcome; only the cancellation of this attempt passes through.
    ``in_thread`` calls blocking code in a thread and hands on what it returns; ``shared`` is what
    the attempts of one engine have in common.
    """
    vault = Vault(registry.secrets, call)
    context = Context(call, asyncio.get_running_loop(), vault, shared)
    attempt: Attempt | None = None
    try:
        if call.inputs and not call.demo and names_in(call.inputs):
            inputs = await in_thread(partial(vault.fill, call.inputs))
            call = msgspec.structs.replace(call, inputs=inputs)
        entry = registry.entry(call.executor)
        around = entry.around
        attempt = Attempt(entry, call, context, in_thread)
        if call.demo:
            result = await demonstrate(entry, call, context, in_thread, registry.demo_scale)
        elif call.reattach:
            found = await attempt.find()
            if found is None:
                return Gone()
            result = await attempt.follow(found)
        elif entry.coroutine and not around.pre and not around.post:
            attempt.executor = executor = entry.make(call, context)
            result = await executor.execute(call.inputs)
        else:
            result = await attempt.run()
        if vault.used:
            outcome = await _without_secrets(result, call, vault.used)
        else:
            outcome = outcome_of(result, call.accept)
        if registry.post and type(outcome) is Returned:
            await registry.after(call, call.inputs, result, in_thread)
        return outcome
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            return raised(error, vault.used)  # its own doing, nobody asked for it
        context.cancelled = True
        if attempt is not None:
            await attempt.tell()
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an executor is foreign code
        if attempt is None and isinstance(error, KeyError):
            return Raised(_not_found(registry, call.executor))
        return raised(error, vault.used)


async def _without_secrets(result: Any, call: Call, scrubber: Scrubber) -> Outcome:
    """As `outcome_of`; a large result does not hold up the loop, nor waits for blocking code."""
    encoded = encoded_of(result, scrubber)
    if isinstance(encoded, Raised):
        return encoded
    judge = partial(judged, encoded, result, call.accept, scrubber)
    return await asyncio.to_thread(judge) if len(encoded) > LARGE else judge()


def _not_found(registry: Registry, id: str) -> ErrorInfo:
    known = ", ".join(registry.ids())
    return ErrorInfo(
        "executor_not_found",
        f"the executor {id!r} is not registered here. Registered are: {known}.",
    )
