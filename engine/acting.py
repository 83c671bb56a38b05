"""What a commit lets happen: executors are called, answers given, settled trees let go."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..domain.errors import ApflowError, SlotTaken
from .actor import Actor
from .ports import Report
from .turn import Turn
from .writing import Write

if TYPE_CHECKING:
    from .engine import Engine


class Acting:
    """Acts on turns of one engine, once what became of their commit is known."""

    def __init__(self, engine: "Engine", report: Report) -> None:
        self._engine = engine
        self._report = report

    def written(self, turn: Turn, writes: Sequence[Write]) -> None:
        """All that was to be stored is stored, or was refused for good."""
        engine = self._engine
        failures: dict[Actor, ApflowError] = {}
        for write in writes:
            if write.error is None:
                self._stored(turn, write)
                continue
            if write.start is None:
                failures[write.actor] = write.error
            else:
                engine.starter.refused(write.start)
            if not isinstance(write.error, SlotTaken):
                engine.lose(write.actor, write.error)
        self.begin(turn, failures)
        for actor in turn.touched:
            if actor.tree.settled and actor not in failures and actor.driven:
                engine.finish(actor)

    def begin(self, turn: Turn, failures: Mapping[Actor, ApflowError]) -> None:
        """What is durable may be seen outside."""
        self.call(turn)
        self.answer(turn, failures)

    def call(self, turn: Turn) -> None:
        """Call the executors whose starts are durable."""
        engine = self._engine
        began, start = engine.supervisor.began, engine.backend.start
        for actor, call, policy in turn.launches:
            if actor.driven:
                began(actor, call, policy)
                start(call, self._report)

    def answer(self, turn: Turn, failures: Mapping[Actor, ApflowError]) -> None:
        """Answer who asked."""
        for answer in turn.answers:
            if answer.future.done():
                continue
            error = failures.get(answer.actor) if answer.actor is not None else None
            if error is not None:
                answer.future.set_exception(error)
            else:
                answer.future.set_result(answer.value)

    def _stored(self, turn: Turn, write: Write) -> None:
        engine, actor = self._engine, write.actor
        if write.start is None:
            actor.committed()
        elif actor.driven:
            engine.starter.accepted(write.start)
            turn.launches.append((actor, write.start.call, write.start.policy))
        else:
            engine.starter.refused(write.start)
        if actor.tree.cancels and actor.driven:
            engine.supervisor.end_cancelled(actor)
