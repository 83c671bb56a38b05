"""From what an attempt reported to the facts that it comes to."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from ..domain import decide
from ..domain.decide.drafts import INLINE_BYTES
from ..domain.events import AnyEvent
from ..domain.specs import ErrorInfo
from .actor import Actor
from .ports import Call, Executors, Gone, Outcome, Raised
from .turn import Turn


class Judge:
    """Judges outcomes. ``chance`` draws from [0, 1), for the jitter of retries."""

    def __init__(self, executors: Executors, chance: Callable[[], float]) -> None:
        self._executors = executors
        self._chance = chance

    def facts(self, turn: Turn, actor: Actor, call: Call, outcome: Outcome) -> Sequence[AnyEvent]:
        """What an outcome comes to; large results are kept with the actor until stored."""
        stamp, tree = turn.stamp(actor), actor.tree
        if isinstance(outcome, Raised):
            return self.failure(turn, actor, call, outcome.error, retry_after=outcome.retry_after)
        if isinstance(outcome, Gone):
            return decide.lost(tree, call.task, call.attempt, stamp, generation=call.generation)
        result = outcome.result
        size = len(memoryview(result))
        turn.payload += size
        if size <= INLINE_BYTES:
            return decide.complete(
                tree, call.task, call.attempt, stamp, result=result, generation=call.generation
            )
        data = bytes(result)
        blob = sha256(data).hexdigest()
        actor.new_blobs[blob] = data
        return decide.complete(
            tree, call.task, call.attempt, stamp, blob=blob, size=size, generation=call.generation
        )

    def failure(
        self, turn: Turn, actor: Actor, call: Call, error: ErrorInfo, *,
        retry_after: float | None = None, final: bool = False,
    ) -> Sequence[AnyEvent]:  # fmt: skip
        """What an error comes to: another attempt later, or the end.

        One in looking for former work says only that it was not found.
        """
        tree, stamp = actor.tree, turn.stamp(actor)
        if not final and tree.index[call.task] in tree.orphans:
            return decide.lost(tree, call.task, call.attempt, stamp, generation=call.generation)
        return decide.fail(
            tree, call.task, call.attempt, error, stamp,
            safe=self._executors.safe(call), retry_after=retry_after, chance=self._chance(),
            final=final, generation=call.generation,
        )  # fmt: skip
