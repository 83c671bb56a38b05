"""A command for a tree that no engine drives: claim, decide and let go in one commit."""

from collections.abc import Collection

from ..domain import decide
from ..domain.decide import Stamp
from ..domain.errors import CommandAnswered, OwnedElsewhere, StaleVersion
from ..domain.events import AnyEvent
from ..domain.evolve import evolve
from ..domain.time import to_text
from ..domain.tree import Tree
from .commands import Done, decide_command, done_of, outcome_of, require_version
from .commit import Committer
from .loading import load
from .ports import Answered, Append, Clock, Command, Executors, Inbox, Journal, Liveness


class Errand:
    """Commands without an engine. Blocking and thread-safe; each returns after its commit."""

    def __init__(
        self,
        journal: Journal,
        committer: Committer,
        clock: Clock,
        executors: Executors,
        liveness: Liveness,
        inbox: Inbox | None = None,
    ) -> None:
        self._journal = journal
        self._committer = committer
        self._clock = clock
        self._executors = executors
        self._liveness = liveness
        self._inbox = inbox

    def carry_out(self, command: Command, *, left: bool = False) -> Done:
        """Decide the command on the tree as it is. Raises what refuses it.

        ``left``: it lies in the inbox, where its outcome is written with it; when somebody else
        carried it out meanwhile, that is the outcome. Raises `OwnedElsewhere` where an engine that
        lives has taken the tree.
        """
        while True:
            tree = load(self._journal, command.tree)
            self._require_free(tree)
            before = tree.version
            facts = self._facts(tree, command)
            if not facts:
                if left and self._inbox is not None:
                    self._inbox.refuse(Answered(command.id, outcome_of(before)))
                return Done(before)
            answers = (Answered(command.id, outcome_of(tree.version)),) if left else ()
            append = Append(tree.id, before, facts, tree.index, keyed=tree.keyed, answers=answers)
            error = self._committer.commit([(append,)])[0]
            if error is None:
                return Done(tree.version)
            if isinstance(error, CommandAnswered) and self._inbox is not None:
                outcome = self._inbox.outcome(command.id)
                if outcome is not None:
                    return done_of(outcome)
            if not isinstance(error, StaleVersion):
                raise error

    def _require_free(self, tree: Tree) -> None:
        if not tree.submitted or tree.settled or tree.released:
            return
        if self._liveness.alive(tree.engine) is not False:
            raise OwnedElsewhere(tree.id, tree.engine)

    def _facts(self, tree: Tree, command: Command) -> list[AnyEvent]:
        """All that comes of it, applied; nothing where the command changes nothing."""
        require_version(tree, command)
        stamp = Stamp(max(to_text(self._clock.now()), tree.at), command.by, command.id)
        facts: list[AnyEvent] = []

        def apply(new: Collection[AnyEvent]) -> int:
            for fact in new:
                evolve(tree, fact)
            facts.extend(new)
            return len(new)

        over = tree.settled or not tree.submitted
        if over and not apply(decide_command(tree, command, stamp, self._executors)):
            return []
        keep = {n for n in tree.running if self._reattaches(tree, n)}
        apply(decide.claim(tree, self._liveness.name, stamp, keep=keep))
        if not over and not apply(decide_command(tree, command, stamp, self._executors)):
            return []
        while apply(decide.follow(tree, stamp)):
            pass
        apply(decide.release(tree, stamp, keep=keep))
        return facts

    def _reattaches(self, tree: Tree, n: int) -> bool:
        """Whether the work of a running task may outlive its engine, as far as is known here."""
        ref = tree.executors[tree.at_n(n).kind]
        if self._executors.module_of(ref.id) is None:
            return ref.reattaches
        return self._executors.kind(ref.id).reattaches
