"""What must hold at the end of a simulated world, whatever happened in it."""

from collections import Counter
from collections.abc import Iterator

from aipartnerupflow.adapters.journal.memory.projections import MemoryStatus
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.evolve import fold
from aipartnerupflow.domain.specs import idempotency_key
from aipartnerupflow.projections.rebuild import compare
from aipartnerupflow.testing.grammar import check_log
from tests.support.simulation.places import crowded
from tests.support.simulation.timers import early
from tests.support.simulation.trees import executor_of
from tests.support.simulation.twins import undecided
from tests.support.simulation.world import World


def judge(world: World) -> None:
    """Everything that can only be seen at the end; adds to the world's violations."""
    for check in (
        _grammar, _rows, _states, _chain, _once_each, _keys, _answers, early, crowded, undecided,
    ):  # fmt: skip
        world.violations.extend(check(world))


def _grammar(world: World) -> Iterator[str]:
    for fault in check_log([entry.recorded for entry in world.ledger.entries()]):
        if "released while" not in fault or not _lasts(world, fault.split()[-2]):
            yield fault


def _lasts(world: World, task: str) -> bool:
    """What may outlive its engine is not interrupted by a command that lets go at once."""
    specs = {spec.id: spec for plan in world.plans for spec in plan.specs}
    return executor_of(specs[task]) == "lasting"


def _rows(world: World) -> Iterator[str]:
    _, found = compare(MemoryStatus(world.ledger, world.mapper))
    yield from map(str, found)


def _states(world: World) -> Iterator[str]:
    """The rows say what the states say, which are folded by other code."""
    tables = world.ledger.tables
    for id, books in world.ledger.books.items():
        tree = fold(id, [entry.event for entry in books.entries])
        row = tables.trees[id]
        if (row.paused, row.engine, row.epoch) != (tree.paused, tree.engine, tree.epoch):
            yield f"the row of {id} is {row}"
        if tree.settled and row.status != tree.settled:
            yield f"the row of {id} says {row.status}, it has {tree.settled}"
        for task in tree.live():
            state = tables.tasks[task.spec.id].state
            stored = ("pending", 1, 0)
            if state is not None:
                stored = (state.status, state.generation, state.attempt)
            if stored[0] != task.status:
                yield f"the row of {task.spec.id} says {stored}, its state is {task.status}"


def _chain(world: World) -> Iterator[str]:
    """The books and what the store hands out are the same log."""
    read = world.ledger.log(0, 1 << 30)
    booked = list(world.ledger.log_text())
    if [(row.tree, row.version) for row in read] != [(tree, n) for tree, n, _ in booked]:
        yield "the store does not hold what was committed"


def _once_each(world: World) -> Iterator[str]:
    """A client that asked until it had its tree has got one."""
    names = Counter(books.name for books in world.ledger.books.values())
    yield from (f"{n} trees were made of {name}" for name, n in names.items() if n > 1)


def _answers(world: World) -> Iterator[str]:
    """A command has one effect, and none where it was refused."""
    for id, entries in world.ledger.caused.items():
        if len({entry.commit for entry in entries}) > 1:
            yield f"command {id} was carried out twice: {[entry.event for entry in entries]}"
        if id in world.refused:
            yield f"command {id} was refused ({world.refused[id]}), and made {entries[0].event}"
    for command, outcome in world.ledger.tables.inbox.values():
        owner = world.ledger.tables.trees[command.tree].engine
        if outcome is None and "/" not in owner and not world.node(owner).process.killed:
            yield f"{command.name} of {command.tree} was never answered, and {owner} was alive"


def _keys(world: World) -> Iterator[str]:
    """One idempotency key over all attempts of a generation, and none for two tasks."""
    uids = {
        entry.recorded.tree: entry.event.uid
        for entry in world.ledger.entries()
        if isinstance(entry.event, e.TreeCreated)
    }
    for run in world.outside.runs:
        tree, task, generation, _ = run.id
        if run.call.idempotency_key != idempotency_key(uids[tree], task, generation):
            yield f"{run.id} was given the idempotency key {run.call.idempotency_key}"
