"""A draft is submitted: the graph is checked, executors are chosen, once and for all."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.domain.decide import graph_faults, submit, unregistered
from aipartnerupflow.domain.decide.submission import Lacking
from aipartnerupflow.domain.errors import Fault, InvalidGraph
from aipartnerupflow.domain.events import GROUP, TreeSubmitted
from aipartnerupflow.domain.specs import ExecutorRef, TaskSpec
from aipartnerupflow.testing import trees
from aipartnerupflow.testing.given import given
from aipartnerupflow.testing.trees import OPEN, draft, specs, task

MODULES = {"cook": "kitchen", "fry": "kitchen.pans", "plain": ""}
registered: Callable[[str], str | None] = MODULES.get


def chosen(*written: str | TaskSpec) -> dict[str, str | None]:
    """By task: the executor's id, ``group``, or None."""
    (event,) = given(draft(*written)).when(submit, registered).facts
    assert isinstance(event, TreeSubmitted)
    names = [event.executors[k].id if isinstance(k, int) else k for k in event.of]
    return dict(zip((spec.id for spec in specs(*written)), names, strict=True))


class TestChoice:
    @pytest.mark.parametrize(
        ("fields", "executor"),
        [
            ({"params": {"executor_id": "cook"}, "schemas": {"method": "fry"}}, "cook"),
            ({"schemas": {"method": "fry"}, "name": "cook"}, "fry"),
            ({"name": "cook"}, "cook"),
            ({"name": "unheard of"}, None),
            ({"params": {"executor_id": "unheard-of"}, "name": "cook"}, "unheard-of"),
            ({"schemas": {"method": "unheard-of"}, "name": "cook"}, "unheard-of"),
            ({"params": {"other": 1}, "schemas": {"input_schema": {}}, "name": "cook"}, "cook"),
            ({"params": {"executor_id": ""}, "schemas": {"method": ""}, "name": "cook"}, "cook"),
            ({"params": {"executor_id": None}, "name": "cook"}, "cook"),
        ],
    )
    def test_the_order_is_params_schemas_name(
        self, fields: dict[str, Any], executor: str | None
    ) -> None:
        assert chosen("r", task("a", **fields))["a"] == executor

    def test_each_place_has_its_own_word(self) -> None:
        params = {"executor_id": "cook", "method": {"not": "a name"}}
        assert chosen("r", task("a", params=params))["a"] == "cook"
        schemas = {"method": "fry", "executor_id": 7}
        assert chosen("r", task("a", schemas=schemas))["a"] == "fry"
        assert chosen("r", task("a", params={"method": "fry"}, name="cook"))["a"] == "cook"

    def test_what_names_no_executor_by_text_names_none(self) -> None:
        assert chosen("r", task("a", params={"executor_id": 7}, name="cook"))["a"] == "cook"

    def test_children_make_a_group_of_what_has_no_executor(self) -> None:
        assert chosen("r", "g", "g/a") == {"r": GROUP, "g": GROUP, "a": None}

    def test_a_parent_with_an_executor_is_no_group(self) -> None:
        parent = task("p", params={"executor_id": "cook"})
        assert chosen("r", parent, "p/a")["p"] == "cook"
        assert chosen(task("r", name="cook"), "a")["r"] == "cook"

    def test_executors_are_stored_once_each_with_their_module_in_order_of_use(self) -> None:
        tasks = (task("a", name="fry"), task("b", name="cook"), task("c", name="fry"),
                 task("d", params={"executor_id": "x"}), "e")  # fmt: skip
        event = TreeSubmitted(
            at=OPEN, by=OPEN, cause=OPEN,
            executors=(ExecutorRef("fry", "kitchen.pans"), ExecutorRef("cook", "kitchen"),
                       ExecutorRef("x", "")),
            of=(GROUP, 0, 1, 0, 2, None),
        )  # fmt: skip
        given(draft("r", *tasks)).when(submit, registered).then(event)

    def test_the_state_knows_what_was_chosen(self) -> None:
        stream = draft("r", task("a", name="cook"), "b")
        tree = given(stream).when(submit, registered).tree
        assert [tree.executor_of(t) for t in tree.live()] == [None, "cook", None]
        assert [t.is_group for t in tree.live()] == [True, False, False]


class TestSubmitting:
    def test_twice_changes_nothing(self) -> None:
        given(trees.submitted("r", "a")).when(submit, registered).then_nothing()

    def test_a_changed_registry_changes_nothing_after_it(self) -> None:
        given(trees.submitted("r", "a()")).when(submit, {"a": "m"}.get).then_nothing()

    def test_a_lone_task_is_a_tree(self) -> None:
        tree = given(draft(task("r", name="cook"))).when(submit, registered).tree
        assert list(tree.ready) == [0]

    def test_a_bad_graph_is_refused_with_all_its_faults(self) -> None:
        stream = draft("r", "a <- a", "b <- ghost", task("c", inputs={"x": {"$from": "b"}}))
        error = given(stream).when(submit, registered).refuses(InvalidGraph)
        assert [(fault.code, fault.where) for fault in error.faults] == [
            ("self_dependency", "a"),
            ("unknown_dependency", "b"),
            ("undeclared_reference", "c"),
        ]

    def test_groups_are_known_when_the_graph_is_checked(self) -> None:
        waits_for_its_own_group = draft("r", "g", "g/a <- g")
        given(waits_for_its_own_group).when(submit, registered).refuses(InvalidGraph, "g -> a -> g")
        with_executor = draft("r", task("g", name="cook"), "g/a <- g")
        tree = given(with_executor).when(submit, registered).tree
        assert [tree.at_n(n).spec.id for n in tree.ready] == ["g"]

    def test_tasks_that_nobody_can_run_are_submitted_and_fail_in_their_turn(self) -> None:
        stream = draft("r", "a", task("b", params={"executor_id": "x"}))
        tree = given(stream).when(submit, registered).tree
        assert [tree.at_n(n).spec.id for n in tree.ready] == ["a", "b"]

    def test_unless_a_strict_submission_refuses_them_with_all_else_that_is_wrong(self) -> None:
        stream = draft("r", "a <- a", task("b", params={"executor_id": "x"}))
        error = given(stream).when(submit, registered, strict=True).refuses(InvalidGraph)
        assert [(fault.code, fault.where) for fault in error.faults] == [
            ("self_dependency", "a"),
            ("executor_not_found", "a"),
            ("executor_not_found", "b"),
        ]
        sound = draft("r", task("a", name="cook"), task("b", name="plain"))
        assert given(sound).when(submit, registered, strict=True).facts

    def test_one_that_lacks_something_is_refused_with_what_to_do_about_it(self) -> None:
        todo = "far needs wires: pip install wires"
        known = {"far": Lacking("", todo)}.get
        stream = draft(task("r", name="far"), task("a", params={"executor_id": "far"}))
        error = given(stream).when(submit, known, strict=True).refuses(InvalidGraph)
        assert error.faults == tuple(Fault("executor_not_found", key, todo) for key in "ra")
        tree = given(stream).when(submit, known).tree
        assert tree.executors[0] == ExecutorRef("far", "")

    def test_what_would_be_refused_can_be_asked_beforehand(self) -> None:
        tasks = specs("r", "a <- a", task("b", inputs={"x": {"$from": "a"}}), "g", "g/c <- g")
        faults = graph_faults(tasks, registered)
        error = given(draft(*tasks)).when(submit, registered).refuses(InvalidGraph)
        assert tuple(faults) == error.faults
        assert [f.code for f in faults] == ["self_dependency", "cycle", "undeclared_reference"]


class TestReferences:
    def test_a_reference_to_a_declared_dependency_is_fine(self) -> None:
        inputs = {"deep": [{"x": {"$from": "flour", "pointer": "/kg"}}]}
        stream = draft("r", task("a", key="flour"), task("b <- a", inputs=inputs))
        assert given(stream).when(submit, registered).facts

    @pytest.mark.parametrize("named", ["c", "a", "b", "nobody"])
    def test_a_reference_to_any_other_task_is_a_fault(self, named: str) -> None:
        inputs = {"x": {"$from": named}}
        stream = draft("r", task("a", key="flour"), task("b <- a", inputs=inputs), "c")
        error = given(stream).when(submit, registered).refuses(InvalidGraph)
        assert [(f.code, f.where) for f in error.faults] == [("undeclared_reference", "b")]
        assert repr(named) in error.faults[0].message

    def test_each_undeclared_reference_is_told(self) -> None:
        inputs = {"x": {"$from": "c"}, "y": [{"$from": "d"}], "z": {"$from": "a"}}
        stream = draft("r", "a", task("b <- a", inputs=inputs), "c", "d")
        error = given(stream).when(submit, registered).refuses(InvalidGraph)
        assert len(error.faults) == 2

    def test_an_escaped_reference_is_a_reference(self) -> None:
        inputs = Raw(b'{"x":{"\\u0024from":"a"}}')
        escaped = TaskSpec(id="b", name="b", parent="r", inputs=inputs)
        given(draft("r", "a", escaped)).when(submit, registered).refuses(InvalidGraph, "'a'")


class TestUnregistered:
    def test_all_is_well_where_every_task_has_its_executor_or_is_a_group(self) -> None:
        assert unregistered(specs("r", task("a", name="cook")), registered) == []

    def test_each_task_that_nobody_here_can_run_is_told(self) -> None:
        tasks = specs("r", task("a", key="k", params={"executor_id": "x"}), task("b", name="bee"))
        faults = unregistered(tasks, registered)
        assert [(f.code, f.where) for f in faults] == [
            ("executor_not_found", "k"), ("executor_not_found", "b"),
        ]  # fmt: skip
        assert "'x' is not registered" in faults[0].message
        assert "'bee' is not one" in faults[1].message
        for fault in faults:
            assert "register it, or load the module" in fault.message
            assert "`apflow executors` lists" in fault.message
        assert all(isinstance(fault, Fault) for fault in faults)
