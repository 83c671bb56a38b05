"""Drafts gain, change and lose tasks until they are submitted or join another tree."""

import pytest
from msgspec import json, structs

from aipartnerupflow.domain.decide import (
    Stamp,
    add,
    adopted,
    change,
    create,
    remove,
    submit,
)
from aipartnerupflow.domain.decide.drafts import CHUNK_BYTES
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition, NotADraft
from aipartnerupflow.domain.events import AnyEvent, TreeCreated
from aipartnerupflow.domain.evolve import fold
from aipartnerupflow.domain.specs import Dependency, TaskSpec, TreeOptions
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.testing import trees
from aipartnerupflow.testing.given import STAMP, given
from aipartnerupflow.testing.trees import UID, added, changed, draft, raw, removed, specs, task


def nothing_registered(id: str) -> str | None:
    return None


def test_a_tree_is_created_as_a_draft() -> None:
    tasks = specs("r", "a", "b <- a")
    options = TreeOptions(limit=2)
    created = TreeCreated(
        at=STAMP.at, by=STAMP.by, cause=STAMP.cause,
        uid=UID, name="cook", owner="ann", options=options, specs=tasks,
    )  # fmt: skip
    decided = given().when(create, tasks, uid=UID, name="cook", owner="ann", options=options)
    decided.then(created)
    tree = fold("r", decided.facts)
    assert tree.is_draft
    assert (tree.uid, tree.name, tree.owner, tree.options) == (UID, "cook", "ann", options)
    assert [t.status for t in tree.live()] == ["pending"] * 3


def test_a_tree_of_which_nothing_is_known_is_no_draft() -> None:
    assert not Tree("r").is_draft


def test_a_big_command_is_stored_in_chunks_that_keep_the_order() -> None:
    tasks = specs("r", *(task(f"t{n}", inputs={"text": "x" * 100_000}) for n in range(30)))
    facts = given().when(create, tasks, uid=UID, name="big").facts
    assert [fact.topic for fact in facts] == ["tree.created", "tasks.added", "tasks.added"]
    assert [t.spec for t in fold("r", facts).live()] == list(tasks)


@pytest.mark.parametrize(
    "fat",
    [
        TaskSpec(id="x" * 100, name="n", parent="r", inputs=raw({"text": "x" * 20_000})),
        TaskSpec(id="x" * 100, name="n", parent="r", params=raw({"text": "x" * 20_000})),
        TaskSpec(id="x" * 100, name="n", parent="r", schemas=raw({"text": "x" * 20_000})),
        TaskSpec(id="x" * 100, name="n" * 20_000, parent="r"),
        TaskSpec(
            id="x" * 100,
            name="n",
            parent="r",
            dependencies=tuple(Dependency(f"{n:0128}") for n in range(150)),
        ),
    ],
    ids=["inputs", "params", "schemas", "name", "dependencies"],
)
def test_chunks_are_about_as_big_as_they_may_be_whatever_fills_them(fat: TaskSpec) -> None:
    tasks = [structs.replace(fat, id=f"{n:0100}") for n in range(200)]
    facts = given(draft("r")).when(add, tasks).facts
    sizes = [len(json.encode(fact)) for fact in facts]
    assert all(0.8 * CHUNK_BYTES < size < 1.02 * CHUNK_BYTES for size in sizes[:-1])
    assert sizes[-1] < 1.02 * CHUNK_BYTES


def test_a_specification_that_is_a_chunk_by_itself_has_one_for_itself() -> None:
    big = raw({"text": "x" * 2 * CHUNK_BYTES})
    tasks = [task("r/a"), structs.replace(task("r/b"), inputs=big), task("r/c")]
    given(draft("r")).when(add, tasks).then(added(tasks[0]), added(tasks[1]), added(tasks[2]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (task("a"), task("a")),
        (task("a", key="k"), task("b", key="k")),
        (task("a", key="x"), task("a", key="y")),
        (task("a"), task("b", key="a")),
    ],
)
def test_ids_and_keys_are_unique_within_one_command(one: TaskSpec, other: TaskSpec) -> None:
    tasks = specs("r", one, other)
    given().when(create, tasks, uid=UID, name="r").refuses(InvalidInput, "two tasks are called")
    given(draft("r")).when(add, tasks[1:]).refuses(InvalidInput, "two tasks are called")


def test_tasks_join_a_draft_under_a_parent_that_is_there_or_comes_along() -> None:
    new = (task("r/g"), task("g/a"))
    given(draft("r")).when(add, new).then(added(*new))


@pytest.mark.parametrize("orphan", [task("a"), task("nobody/a")])
def test_a_task_without_a_parent_in_the_draft_cannot_join(orphan: TaskSpec) -> None:
    given(draft("r")).when(add, [orphan]).refuses(InvalidInput, "'a': its parent is not a task")


@pytest.mark.parametrize(
    "taken", [task("r/a"), task("r/x", key="a"), task("r/x", key="k"), task("r/k")]
)
def test_an_id_or_key_that_the_draft_has_cannot_join_again(taken: TaskSpec) -> None:
    stream = draft("r", "a", task("b", key="k"))
    given(stream).when(add, [taken]).refuses(InvalidInput, "choose another id")


def test_a_removed_id_and_key_may_be_used_again() -> None:
    spec = task("r/a", key="k")
    given(draft("r", spec), removed("a")).when(add, [spec]).then(added(spec))


def test_a_changed_task_has_its_whole_new_specification() -> None:
    new = task("r/a", priority=0, inputs={"n": 1})
    after = given(draft("r", "a")).when(change, new).then(changed(new))
    assert after.tree.tasks[1] is not None
    assert after.tree.tasks[1].spec == new


def test_a_change_to_what_is_there_already_is_no_fact() -> None:
    given(draft("r", "a")).when(change, task("r/a")).then_nothing()


def test_a_new_key_replaces_the_old_one() -> None:
    new = task("r/a", key="new")
    tree = given(draft("r", task("a", key="old"))).when(change, new).tree
    found = tree.by_key("new")
    assert found is not None
    assert found.spec == new
    assert tree.by_key("old") is None


def test_a_key_that_another_task_has_cannot_be_taken_by_a_change() -> None:
    stream = draft("r", "a", task("b", key="k"))
    given(stream).when(change, task("r/a", key="k")).refuses(InvalidInput, "'k' already")


def test_a_task_may_move_below_another_parent_but_must_have_one() -> None:
    stream = draft("r", "g", "a")
    moved = given(stream).when(change, task("g/a")).then(changed(task("g/a")))
    assert [t.spec.parent for t in moved.tree.live()] == [None, "r", "g"]
    given(stream).when(change, task("a")).refuses(InvalidInput, "its parent is not a task of")
    given(stream).when(change, task("nobody/a")).refuses(InvalidInput, "its parent is not a task")


def test_the_root_stays_the_root() -> None:
    stream = draft("r", "a")
    new = task("r", priority=0)
    given(stream).when(change, new).then(changed(new))
    given(stream).when(change, task("a/r")).refuses(InvalidInput, "'r' is the root of tree r")


def test_what_is_not_there_can_be_neither_changed_nor_removed() -> None:
    given(draft("r")).when(change, task("r/a")).refuses(InvalidInput, "no task 'a'")
    given(draft("r")).when(remove, "a").refuses(InvalidInput, "no task 'a'")


def test_a_task_is_removed_with_all_below_it_the_deepest_first() -> None:
    stream = draft("r", "g", "g/a", "a/b", "c")
    after = given(stream).when(remove, "g").then(removed("b"), removed("a"), removed("g"))
    assert [t.spec.id for t in after.tree.live()] == ["r", "c"]


def test_a_task_on_which_others_depend_stays_and_the_message_speaks_in_keys() -> None:
    stream = draft("r", "g", task("g/a", key="flour"), task("b <- a", key="bread"))
    refusal = "task flour cannot be deleted: task bread depends on it"
    given(stream).when(remove, "g").refuses(InvalidTransition, refusal)


def test_tasks_that_depend_on_each_other_can_be_removed_together() -> None:
    given(draft("r", "g", "g/a", "g/b <- a")).when(remove, "g").then(
        removed("b"), removed("a"), removed("g")
    )


def test_removing_ends_even_where_parents_form_a_circle() -> None:
    circle = [task("b/a"), task("a/b")]
    given(draft("r"), added(*circle)).when(remove, "a").then(removed("b"), removed("a"))


def test_a_removed_task_leaves_no_gap_that_the_submission_would_see() -> None:
    stream = [*draft("r", "a", "b", "c <- a"), removed("b")]
    tree = given(stream).when(submit, {"a": "m", "c": "m"}.get).tree
    assert [t.spec.id for t in map(tree.at_n, tree.ready)] == ["a"]


def test_adopting_ends_the_draft() -> None:
    into = fold("big", draft("big"))
    after = given(draft("r", "a")).when(adopted, into).then(trees.adopted("big"))
    assert not after.tree.is_draft


def test_adopted_tasks_say_where_they_came_from() -> None:
    new = [task("r/a")]
    after = given(draft("r")).when(add, new, adopted_from="a")
    after.then(added(*new, adopted_from="a"))


def test_a_draft_joins_a_tree_of_its_owner_and_one_without_an_owner_joins_any() -> None:
    into = fold("big", draft("big", owner="ann"))
    given(draft("r", owner="ann")).when(adopted, into).then(trees.adopted("big"))
    given(draft("r")).when(adopted, into).then(trees.adopted("big"))
    given(draft("r", owner="bob")).when(adopted, into).refuses(InvalidTransition, "another user")


def test_a_draft_cannot_join_itself() -> None:
    given(draft("r")).when(adopted, fold("r", draft("r"))).refuses(InvalidTransition, "itself")


@pytest.mark.parametrize(
    "over", [trees.submitted("r", "a"), [*draft("r", "a"), trees.adopted("big")]]
)
def test_only_drafts_change(over: list[AnyEvent]) -> None:
    into = fold("big", draft("big"))
    given(over).when(add, [task("r/b")]).refuses(NotADraft, "tree r is no draft")
    given(over).when(change, task("r/a", priority=0)).refuses(NotADraft)
    given(over).when(remove, "a").refuses(NotADraft)
    given(over).when(adopted, into).refuses(NotADraft)


def test_an_adopted_draft_cannot_be_submitted() -> None:
    stream = [*draft("r"), trees.adopted("big")]
    given(stream).when(submit, nothing_registered).refuses(NotADraft)


def test_every_fact_of_a_command_bears_its_stamp() -> None:
    stamp = Stamp("2027-01-01T00:00:00.000000Z", "system", "c-7")
    stream = draft("r", "a", "b")
    decided = [
        *given(stream).when(add, [task("r/c")], stamp=stamp).facts,
        *given(stream).when(change, task("r/a", priority=1), stamp=stamp).facts,
        *given(stream).when(remove, "a", stamp=stamp).facts,
        *given(stream).when(adopted, fold("big", draft("big")), stamp=stamp).facts,
        *given(stream).when(submit, {"a": "m", "b": "m"}.get, stamp=stamp).facts,
    ]
    assert {(fact.at, fact.by, fact.cause) for fact in decided} == {
        (stamp.at, stamp.by, stamp.cause)
    }


def test_a_stamp_never_lies_before_the_last_event() -> None:
    late = structs.replace(draft("r")[0], at="2030-01-01T00:00:00.000000Z")
    tree = given([late]).tree
    assert STAMP.after(tree) == Stamp(late.at, STAMP.by, STAMP.cause)
    assert Stamp("2031-01-01T00:00:00.000000Z").after(tree).at == "2031-01-01T00:00:00.000000Z"


def test_dependencies_of_a_draft_may_name_what_is_not_there_yet() -> None:
    new = task("r/a <- later")
    assert new.dependencies == (Dependency("later"),)
    given(draft("r")).when(add, [new]).then(added(new))
