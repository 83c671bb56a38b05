"""What clients write becomes specifications; every fault is told at once, none is guessed at."""

from typing import Any

import pytest
from msgspec import json

from aipartnerupflow.domain.errors import InvalidGraph
from aipartnerupflow.domain.intake import Intake, fresh, read, read_one
from aipartnerupflow.domain.specs import MAX_NAME, Dependency, TaskSpec
from tests.domain.documents import R, counting, faults_of, refused, spec_of, taken_in, under_r


class TestShape:
    def test_a_flat_array_names_parents(self) -> None:
        specs = taken_in(R, under_r("a"), {"id": "b", "name": "b", "parent_id": "a"}).specs
        assert [(s.id, s.parent) for s in specs] == [("r", None), ("a", "r"), ("b", "a")]

    def test_a_nested_tree_holds_children_and_the_parents_come_first(self) -> None:
        leaf = {"id": "leaf", "name": "leaf"}
        inner = {"id": "g", "name": "g", "children": [leaf]}
        specs = taken_in(R | {"children": [inner, {"id": "b", "name": "b"}]}).specs
        assert [(s.id, s.parent) for s in specs] == [
            ("r", None), ("g", "r"), ("b", "r"), ("leaf", "g"),
        ]  # fmt: skip

    def test_nested_and_flat_may_be_mixed(self) -> None:
        specs = taken_in(R | {"children": [{"id": "a", "name": "a"}]}, under_r("b")).specs
        assert [(s.id, s.parent) for s in specs] == [("r", None), ("b", "r"), ("a", "r")]

    def test_a_nested_task_may_repeat_its_parent_but_name_no_other(self) -> None:
        inner = {"name": "a", "parent_id": "r"}
        assert spec_of(R | {"children": [inner]}).parent == "r"
        other = {"id": "a", "name": "a", "parent_id": "x"}
        assert faults_of(R | {"children": [other]}, under_r("x")) == [("two_parents", "a")]

    def test_an_array_may_be_given_in_any_order(self) -> None:
        specs = taken_in(under_r("b", dependencies=["a"]), under_r("a"), R).specs
        assert [(s.id, s.parent) for s in specs] == [("b", "r"), ("a", "r"), ("r", None)]

    def test_nothing_makes_nothing(self) -> None:
        assert taken_in() == Intake((), None)


class TestIdsAndKeys:
    def test_a_usable_id_is_kept_and_is_the_key(self) -> None:
        spec = spec_of({"id": "A-z.0_9:x", "name": "n"})
        assert (spec.id, spec.key, spec.label) == ("A-z.0_9:x", "", "A-z.0_9:x")

    @pytest.mark.parametrize("id", ["has space", "ümlaut", "a/b", "x" * 129])
    def test_any_other_id_becomes_a_key_under_a_fresh_id(self, id: str) -> None:
        spec = spec_of({"id": id, "name": "n"})
        assert (spec.id, spec.key) == ("new-1", id)

    def test_without_an_id_both_are_fresh(self) -> None:
        spec = spec_of({"name": "n"})
        assert (spec.id, spec.key, spec.label) == ("new-1", "", "new-1")

    def test_a_key_may_be_written_beside_the_id(self) -> None:
        spec = spec_of({"id": "i", "key": "k", "name": "n"})
        assert (spec.id, spec.key) == ("i", "k")

    def test_one_key_for_two_tasks_is_a_fault(self) -> None:
        assert faults_of(R, under_r("a", key="k"), under_r("k")) == [("duplicate_key", "k")]
        assert faults_of(R, under_r("a"), under_r("a")) == [("duplicate_key", "a")]

    def test_tasks_that_write_no_id_do_not_clash(self) -> None:
        specs = taken_in(R | {"children": [{"name": "a"}, {"name": "a"}]}).specs
        assert [s.id for s in specs] == ["r", "new-1", "new-2"]

    def test_an_unusable_id_still_refers_and_clashes(self) -> None:
        odd = under_r("has space", key="k")
        spec = spec_of(R, odd, under_r("b", dependencies=[{"id": "has space"}]))
        assert spec.dependencies == (Dependency("new-1"),)
        assert faults_of(R, odd, under_r("has space", key="l")) == [("duplicate_key", "has space")]

    def test_two_keys_that_are_one_are_told_whatever_the_ids(self) -> None:
        assert faults_of(R, under_r("a", key="k"), under_r("b", key="k")) == [
            ("duplicate_key", "k")
        ]

    def test_what_else_is_wrong_is_not_guessed_at_while_names_are_double(self) -> None:
        tasks = (
            R,
            under_r("a"),
            under_r("b", dependencies=["a"]),
            under_r("a", dependencies=["b"]),
        )
        assert faults_of(*tasks) == [("duplicate_key", "a")]

    def test_one_id_under_two_keys_is_a_fault_too(self) -> None:
        first, second = under_r("a", key="x"), under_r("a", key="y")
        assert faults_of(R, first, second) == [("duplicate_key", "a")]

    @pytest.mark.parametrize("id", ["x" * (MAX_NAME + 1), "nul\0"])
    def test_a_key_has_a_usual_length_and_no_nul(self, id: str) -> None:
        assert faults_of({"id": id, "name": "n"}) == [("bad_key", id[:40])]


class TestFreshIds:
    SPECS = taken_in(R, under_r("a", key="flour"), under_r("b", dependencies=["a"])).specs

    def test_keys_stay_as_they_were_written(self) -> None:
        renewed = fresh(self.SPECS, counting())
        assert [s.id for s in renewed] == ["new-1", "new-2", "new-3"]
        assert [s.label for s in renewed] == ["r", "flour", "b"]

    def test_references_follow_the_ids(self) -> None:
        renewed = fresh(self.SPECS, counting())
        assert [s.parent for s in renewed] == [None, "new-1", "new-1"]
        assert renewed[2].dependencies == (Dependency("new-2"),)

    def test_whether_a_dependency_is_required_stays(self) -> None:
        specs = taken_in(R, under_r("a", dependencies=[{"id": "r", "required": False}])).specs
        assert fresh(specs, counting())[1].dependencies == (Dependency("new-1", False),)

    def test_all_else_stays(self) -> None:
        written = under_r("a", inputs={"n": 1}, params={"p": 1}, schemas={"s": 1}, priority=0)
        (spec,) = fresh([spec_of(R, written)], counting())
        assert (spec.name, spec.priority) == ("a", 0)
        assert list(map(bytes, (spec.inputs, spec.params, spec.schemas))) == [
            b'{"n":1}', b'{"p":1}', b'{"s":1}',
        ]  # fmt: skip

    def test_references_that_lead_outside_are_left_alone(self) -> None:
        (spec,) = fresh([TaskSpec(id="a", name="a", parent="elsewhere")], counting())
        assert spec.parent == "elsewhere"


class TestReferences:
    TWO = (R, under_r("a", key="flour", name="mill"))

    @pytest.mark.parametrize(
        "reference",
        ["a", "flour", "mill", {"id": "a"}, {"key": "flour"}, {"name": "mill"},
         {"id": "flour"}, {"id": "mill"}, {"name": "a"}],
    )  # fmt: skip
    def test_a_dependency_is_named_by_id_key_or_name(self, reference: Any) -> None:
        spec = spec_of(*self.TWO, under_r("b", dependencies=[reference]))
        assert spec.dependencies == (Dependency("a"),)

    @pytest.mark.parametrize("parent", ["a", "flour", "mill"])
    def test_a_parent_too(self, parent: str) -> None:
        assert spec_of(*self.TWO, under_r("b", parent_id=parent)).parent == "a"

    def test_the_word_decides_where_a_text_names_two_tasks(self) -> None:
        tasks = (R, under_r("a", key="k", name="x"), under_r("x", key="kk", name="n"),
                 under_r("c", name="k"))  # fmt: skip
        by = {
            word: spec_of(*tasks, under_r("b", dependencies=[{word: text}])).dependencies[0].on
            for word, text in (("id", "x"), ("name", "x"), ("key", "k"))
        }
        assert by == {"id": "x", "name": "a", "key": "a"}
        bare = spec_of(*tasks, under_r("b", dependencies=["k"]))
        assert bare.dependencies == (Dependency("a"),)
        named = spec_of(*tasks, under_r("b", dependencies=[{"name": "k"}]))
        assert named.dependencies == (Dependency("c"),)

    def test_a_name_that_several_tasks_have_names_none(self) -> None:
        twins = (R, under_r("a", name="twin"), under_r("b", name="twin"))
        (fault,) = refused(*twins, under_r("c", dependencies=["twin"]))
        assert (fault.code, fault.where) == ("unknown_dependency", "c")
        assert "'twin', which is the name of several tasks; use an id" in fault.message
        (fault,) = refused(*twins, under_r("c", parent_id="twin"))
        assert (fault.code, fault.where) == ("unknown_parent", "c")
        assert "'twin', which is the name of several tasks; use an id" in fault.message

    def test_a_dependency_that_is_not_there_is_named(self) -> None:
        (fault,) = refused(R, under_r("a", dependencies=["ghost"]))
        assert (fault.code, fault.where) == ("unknown_dependency", "a")
        assert "'ghost'" in fault.message
        assert "add_child" in fault.message

    def test_required_is_the_default(self) -> None:
        spec = spec_of(*self.TWO, under_r("b", dependencies=["a", {"id": "r", "required": False}]))
        assert spec.dependencies == (Dependency("a"), Dependency("r", False))

    def test_a_dependency_written_twice_counts_once_and_required_wins(self) -> None:
        twice = [{"id": "a", "required": False}, "flour", {"name": "mill", "required": False}]
        assert spec_of(*self.TWO, under_r("b", dependencies=twice)).dependencies == (
            Dependency("a"),
        )

    @pytest.mark.parametrize(
        ("dependency", "message"),
        [
            ({}, '{"id": …}'),
            ({"required": True}, '{"id": …}'),
            ({"id": 5}, '{"id": …}'),
            ({"id": "a", "required": "no"}, "true or false"),
            ({"id": "a", "optional": True}, "not 'optional'"),
        ],
    )
    def test_what_is_no_dependency_is_a_fault(self, dependency: Any, message: str) -> None:
        (fault,) = refused(*self.TWO, under_r("b", dependencies=[dependency]))
        assert (fault.code, fault.where) == ("bad_dependency", "b")
        assert message in fault.message

    def test_the_type_of_an_exported_dependency_means_nothing(self) -> None:
        exported = [{"id": "a", "required": True, "type": "result"}]
        spec = spec_of(*self.TWO, under_r("b", dependencies=exported))
        assert spec.dependencies == (Dependency("a"),)


class TestOneTask:
    """A task that joins what is stored: who it refers to is looked up elsewhere."""

    def test_parent_and_dependencies_stay_as_written(self) -> None:
        dependencies = ["b", {"id": "c", "required": False}, "b"]
        document = {"name": "a", "parent_id": "stored", "dependencies": dependencies}
        spec = read_one(json.encode(document), counting())
        assert (spec.id, spec.parent) == ("new-1", "stored")
        assert spec.dependencies == (Dependency("b"), Dependency("c", False))

    def test_children_come_one_by_one(self) -> None:
        with pytest.raises(InvalidGraph, match="no children"):
            read_one(json.encode({"name": "a", "children": [{"name": "b"}]}), counting())

    def test_its_own_faults_are_told_at_once(self) -> None:
        with pytest.raises(InvalidGraph) as caught:
            read_one(json.encode({"id": "a", "name": "", "priority": 9, "oops": 1}), counting())
        assert [fault.code for fault in caught.value.faults] == [
            "unknown_field", "bad_name", "bad_priority",
        ]  # fmt: skip


class TestAllAtOnce:
    def test_faults_of_every_kind_are_told_together(self) -> None:
        documents = (
            R | {"oops": 1},
            under_r("a", dependencies=["ghost", "a"], priority=9),
            under_r("b", parent_id="nobody", inputs=[]),
            under_r("c", dependencies=["d"]),
            under_r("d", dependencies=["c"]),
            under_r("e", retry={"max_attempts": 0}, name=""),
            {"id": "other", "name": "second root"},
        )
        assert sorted(faults_of(*documents)) == [
            ("bad_name", "e"),
            ("bad_policy", "e"),
            ("bad_priority", "a"),
            ("cycle", "c"),
            ("malformed", "b"),
            ("self_dependency", "a"),
            ("several_roots", "other"),
            ("unknown_dependency", "a"),
            ("unknown_field", "/0"),
            ("unknown_parent", "b"),
        ]

    def test_an_unknown_parent_is_told_once_and_makes_no_second_root(self) -> None:
        assert faults_of(R, under_r("a", parent_id="x")) == [("unknown_parent", "a")]

    def test_a_group_that_names_its_own_child_is_no_cycle_whatever_else_is_wrong(self) -> None:
        documents = (
            R | {"dependencies": ["a"], "priority": 9},
            under_r("a", dependencies=["z"]),
            under_r("z", dependencies=[{"id": "p", "required": False}]),
            under_r("p"),
        )
        assert faults_of(*documents) == [("bad_priority", "r")]

    def test_with_a_registry_all_is_told_that_a_submission_would_refuse(self) -> None:
        documents = [
            json.encode(document)
            for document in (
                R | {"priority": 9},
                under_r("g"),
                {"id": "a", "name": "a", "parent_id": "g", "dependencies": ["g"]},
                under_r("b", name="cook", inputs={"x": {"$from": "a"}}),
            )
        ]
        with pytest.raises(InvalidGraph) as caught:
            read(documents, counting(), {"cook": "kitchen"}.get)
        assert [(f.code, f.where) for f in caught.value.faults] == [
            ("bad_priority", "r"), ("cycle", "g"), ("undeclared_reference", "b"),
            ("executor_not_found", "a"),
        ]  # fmt: skip

    def test_unreadable_documents_are_all_told_before_anything_refers_to_them(self) -> None:
        documents = [b"{", b'{"name":"n","dependencies":["x"]}', b"5"]
        with pytest.raises(InvalidGraph) as caught:
            read(documents, counting())
        assert [(f.code, f.where) for f in caught.value.faults] == [
            ("malformed", "/0"), ("malformed", "/2"),
        ]  # fmt: skip

    def test_the_message_holds_them_all(self) -> None:
        with pytest.raises(InvalidGraph, match=r"a: .*; b: .*"):
            taken_in(R, under_r("a", priority=9), under_r("b", priority=9))
