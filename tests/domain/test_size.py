"""Big, long and deep trees: nothing recurses, nothing is quadratic."""

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import count

import pytest
from msgspec import json

from aipartnerupflow.domain.decide import (
    cancel_tree,
    claim,
    complete,
    create,
    fail,
    follow,
    plan,
    rerun,
    start,
    stopped,
    submit,
)
from aipartnerupflow.domain.errors import InvalidGraph
from aipartnerupflow.domain.events import AnyEvent, Recorded
from aipartnerupflow.domain.evolve import evolve, fold
from aipartnerupflow.domain.graph import check
from aipartnerupflow.domain.intake import read
from aipartnerupflow.domain.specs import MAX_DEPTH, MAX_TASKS, Dependency, ErrorInfo, TaskSpec
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.testing.given import STAMP
from aipartnerupflow.testing.grammar import check_log
from aipartnerupflow.testing.state import differences
from aipartnerupflow.testing.trees import UID, raw

BROKEN = ErrorInfo("Broken", "")
ROOT = TaskSpec(id="r", name="r")
NULL = raw(None)


def no_id() -> str:
    raise AssertionError("every task has an id")


def work(id: str) -> str | None:
    return "m" if id == "work" else None


def leaf(n: int, *dependencies: int, required: bool = True, parent: str = "r") -> TaskSpec:
    ons = tuple(Dependency(f"t{on}", required) for on in dependencies)
    return TaskSpec(id=f"t{n}", name="work", parent=parent, dependencies=ons)


def chain(length: int) -> list[TaskSpec]:
    return [ROOT, *(leaf(n, *([n - 1] if n else [])) for n in range(length))]


class Run:
    """One engine without limits that keeps the log."""

    def __init__(self, specs: Iterable[TaskSpec]) -> None:
        self.tree = Tree("r")
        self.log: list[AnyEvent] = []
        self.apply(create(list(specs), STAMP, uid=UID, name="r"))
        self.apply(submit(self.tree, work, STAMP))
        self.apply(claim(self.tree, "engine-1", STAMP))

    def apply(self, facts: list[AnyEvent]) -> None:
        for fact in facts:
            evolve(self.tree, fact)
        self.log.extend(facts)

    def start_all(self) -> None:
        fresh, self.tree.fresh = self.tree.fresh, []
        for n in fresh:
            self.apply(start(self.tree, n, STAMP))

    def follow(self) -> None:
        while facts := follow(self.tree, STAMP):
            self.apply(facts)

    def to_the_end(self) -> "Run":
        """Everything that can start completes."""
        while self.tree.fresh:
            self.start_all()
            self.follow()
            for n in list(self.tree.running):
                id = self.tree.at_n(n).spec.id
                self.apply(complete(self.tree, id, 1, STAMP, result=NULL))
                self.follow()
        return self

    def recorded(self) -> list[Recorded]:
        return [Recorded("r", n, fact, n) for n, fact in enumerate(self.log, start=1)]


def written(specs: Iterable[TaskSpec]) -> Iterator[bytes]:
    for spec in specs:
        dependencies = [{"id": d.on, "required": d.required} for d in spec.dependencies]
        yield json.encode(
            {"id": spec.id, "name": spec.name, "parent_id": spec.parent}
            | ({"dependencies": dependencies} if dependencies else {})
        )


@pytest.mark.slow
def test_a_hundred_thousand_tasks_from_the_document_to_the_end() -> None:
    specs = [ROOT, *(leaf(n) for n in range(MAX_TASKS))]
    taken_in = read(written(specs), no_id).specs
    assert list(taken_in) == specs
    run = Run(taken_in).to_the_end()
    assert run.tree.settled == "completed"
    assert run.tree.version == len(run.log) >= 2 * MAX_TASKS
    assert differences(fold("r", run.log), run.tree) == []
    assert check_log(run.recorded()) == []


def test_one_task_more_is_refused_before_it_is_read() -> None:
    specs = [ROOT, *(leaf(n) for n in range(MAX_TASKS + 1))]
    with pytest.raises(InvalidGraph, match="Split the tree"):
        read(written(specs), no_id)


def test_a_chain_of_ten_thousand() -> None:
    run = Run(chain(10_000)).to_the_end()
    assert run.tree.settled == "completed"
    assert check_log(run.recorded()) == []
    assert differences(fold("r", run.log), run.tree) == []


def test_a_chain_of_ten_thousand_written_backwards() -> None:
    run = Run([ROOT, *reversed(chain(10_000)[1:])]).to_the_end()
    assert run.tree.settled == "completed"


def test_a_chain_of_ten_thousand_that_is_blocked_at_once() -> None:
    run = Run(chain(10_000))
    run.start_all()
    run.follow()
    run.apply(fail(run.tree, "t0", 1, BROKEN, STAMP))
    run.follow()
    assert run.tree.settled == "failed"
    assert sum(task.blocked for task in run.tree.live()) == 9_999
    assert check_log(run.recorded()) == []


def test_a_cycle_of_ten_thousand_is_told_as_one() -> None:
    specs = chain(10_000)
    specs[1] = leaf(0, 9_999)
    (fault,) = check(specs, {0})
    assert fault.code == "cycle"
    assert fault.message.count("->") == 10_000


def test_five_thousand_cycles_are_told_each() -> None:
    specs = [ROOT, *(leaf(n, n ^ 1) for n in range(10_000))]
    assert [fault.code for fault in check(specs, {0})] == ["cycle"] * 5_000


def test_a_fan_of_ten_thousand_into_one() -> None:
    run = Run([ROOT, *(leaf(n) for n in range(10_000)), leaf(10_000, *range(10_000))])
    assert run.to_the_end().tree.settled == "completed"
    assert check_log(run.recorded()) == []


def nested(levels: int) -> list[TaskSpec]:
    """Groups in groups; every group depends on a first task, the last one holds another."""
    first = leaf(0)
    groups = [
        TaskSpec(id=f"g{n}", name="g", parent=f"g{n - 1}" if n else "r",
                 dependencies=(Dependency("t0"),))
        for n in range(levels - 2)
    ]  # fmt: skip
    return [ROOT, first, *groups, leaf(1, parent=groups[-1].id)]


def test_a_hundred_nested_groups() -> None:
    run = Run(nested(MAX_DEPTH)).to_the_end()
    assert run.tree.settled == "completed"
    assert [task.status for task in run.tree.live()] == ["completed"] * (MAX_DEPTH + 1)
    assert check_log(run.recorded()) == []


def test_a_hundred_nested_groups_that_are_blocked_from_above() -> None:
    run = Run(nested(MAX_DEPTH))
    run.start_all()
    run.follow()
    run.apply(fail(run.tree, "t0", 1, BROKEN, STAMP))
    run.follow()
    assert run.tree.settled == "failed"
    assert sum(task.blocked for task in run.tree.live()) == MAX_DEPTH - 1
    assert check_log(run.recorded()) == []


def document(levels: int) -> bytes:
    above = levels - 1
    return b'{"name":"g","children":[' * above + b'{"name":"leaf"}' + b"]}" * above


def test_documents_may_be_nested_as_deep_as_trees_and_no_deeper() -> None:
    ids = iter(range(1_000))
    assert len(read([document(MAX_DEPTH)], lambda: f"i{next(ids)}").specs) == MAX_DEPTH
    for levels in (MAX_DEPTH + 1, 5_000, 100_000):
        with pytest.raises(InvalidGraph, match="nested"):
            read([document(levels)], lambda: "i")


def test_a_tower_of_parents_is_refused_quickly_however_high() -> None:
    specs = [ROOT, *(leaf(n, parent=f"t{n - 1}" if n else "r") for n in range(50_000))]
    assert [fault.code for fault in check(specs, None)] == ["too_deep"]


def wide(size: int) -> list[TaskSpec]:
    return [ROOT, *(leaf(n) for n in range(size))]


def fan(size: int) -> list[TaskSpec]:
    return [*wide(size), leaf(size, *range(size))]


def stages(size: int) -> list[TaskSpec]:
    """Groups of one task each, of which every one needs the group before."""
    specs = [ROOT]
    for n in range(size // 2):
        before = (Dependency(f"g{n - 1}"),) if n else ()
        specs.append(TaskSpec(id=f"g{n}", name="g", parent="r"))
        specs.append(TaskSpec(id=f"t{n}", name="work", parent=f"g{n}", dependencies=before))
    return specs


Shape = Callable[[int], list[TaskSpec]]
SHAPES = pytest.mark.parametrize("shape", [wide, chain, fan, stages])


def cancel_all(run: Run) -> None:
    """Half of what can run does when the tree is asked to end."""
    half = run.tree.fresh[::2]
    run.tree.fresh = []
    for n in half:
        run.apply(start(run.tree, n, STAMP))
    run.follow()
    run.apply(cancel_tree(run.tree, STAMP))
    for n in list(run.tree.cancels):
        run.apply(stopped(run.tree, run.tree.at_n(n).spec.id, 1, STAMP, ended=True))
    run.follow()
    assert run.tree.settled == "cancelled"


def fail_first(run: Run) -> None:
    """What is started first fails, and all behind it is blocked."""
    (first, *_) = run.tree.fresh
    run.apply(start(run.tree, first, STAMP))
    run.apply(fail(run.tree, run.tree.at_n(first).spec.id, 1, BROKEN, STAMP))
    run.follow()
    run.tree.fresh.remove(first)
    run.to_the_end()
    assert run.tree.settled == "failed"


def run_again(run: Run, way: str) -> None:
    """Planned, done, and on to the end."""
    reopened = plan(run.tree, way).reopened
    run.apply(rerun(run.tree, way, STAMP))
    run.follow()
    assert run.to_the_end().tree.settled == "completed"
    assert all(run.tree.at_n(run.tree.index[id]).generation == 2 for id in reopened)


def effort(work: Callable[[], object]) -> int:
    """How many calls it takes: what time would tell, on a machine that has nothing else to do."""
    calls = count()
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, argument: next(calls) if event != "return" else None)
    try:
        work()
    finally:
        sys.setprofile(before)
    return next(calls)


@pytest.mark.parametrize("shape", [wide, chain])
def test_a_cancel_of_ten_thousand_and_a_re_run_of_them_all(shape: Shape) -> None:
    run = Run(shape(10_000))
    cancel_all(run)
    run_again(run, "all")
    assert check_log(run.recorded()) == []
    assert differences(fold("r", run.log), run.tree) == []


def test_a_re_run_of_the_first_of_five_thousand_stages() -> None:
    run = Run(stages(10_000))
    fail_first(run)
    run_again(run, "failed")
    assert check_log(run.recorded()) == []
    assert differences(fold("r", run.log), run.tree) == []


@SHAPES
def test_four_times_the_tree_is_four_times_the_work(shape: Shape) -> None:
    def steps(size: int) -> tuple[int, int, int, int]:
        one, other = Run(shape(size)), Run(shape(size))
        return (
            effort(lambda: cancel_all(one)),
            effort(lambda: run_again(one, "all")),
            effort(lambda: fail_first(other)),
            effort(lambda: run_again(other, "failed")),
        )

    for small, big in zip(steps(500), steps(2_000), strict=True):
        assert big < 4.5 * small
