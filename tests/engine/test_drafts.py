"""Drafts of one store, written from several processes."""

import pytest
from msgspec import structs

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.errors import InvalidGraph
from aipartnerupflow.domain.specs import TaskSpec
from aipartnerupflow.engine.commit import Committer
from aipartnerupflow.engine.drafts import Drafts
from aipartnerupflow.testing.clock import VirtualClock
from aipartnerupflow.testing.fakes import FakeJournal
from tests.support.bench import new_id


def process(journal: FakeJournal) -> Drafts:
    """What one process keeps of the store's drafts."""
    return Drafts(journal, Committer(journal, lambda: None), VirtualClock(), new_id)


def add(drafts: Drafts, id: str) -> None:
    spec = TaskSpec(id=id, name=id, parent="r")
    drafts.change("r", lambda tree, stamp: decide.add(tree, [spec], stamp))


def under_r(spec: TaskSpec) -> TaskSpec:
    return structs.replace(spec, parent="r") if spec.id == "s" else spec


def test_a_change_is_decided_again_when_another_process_wrote_first() -> None:
    journal = FakeJournal()
    here, there = process(journal), process(journal)
    here.create([TaskSpec(id="r", name="r")], name="r")
    add(there, "a")
    add(here, "b")
    assert [task.spec.id for task in here.get("r").live()] == ["r", "a", "b"]


def test_an_adoption_is_decided_again_when_another_process_wrote_first() -> None:
    journal = FakeJournal()
    here, there = process(journal), process(journal)
    here.create([TaskSpec(id="r", name="r")], name="r")
    here.create([TaskSpec(id="s", name="s")], name="s")
    add(there, "a")
    here.adopt(
        "r", ["s"], lambda spec: structs.replace(spec, parent="r") if spec.id == "s" else spec
    )
    assert [task.spec.id for task in here.get("r").live()] == ["r", "a", "s"]
    assert [r.event.topic for r in journal.read("s")] == ["tree.created", "tree.adopted"]


@pytest.mark.parametrize(
    ("specs", "code"),
    [
        ([], "no_tasks"),
        ([TaskSpec(id="a", name="a", parent="b"), TaskSpec(id="b", name="b", parent="a")],
         "parent_cycle"),
    ],
)  # fmt: skip
def test_what_has_no_root_is_refused_with_its_fault(specs: list[TaskSpec], code: str) -> None:
    journal = FakeJournal()
    with pytest.raises(InvalidGraph) as refused:
        process(journal).create(specs, name="t")
    assert [fault.code for fault in refused.value.faults] == [code]
    assert journal.position() == 0
