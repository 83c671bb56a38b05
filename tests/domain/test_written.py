"""Fields and JSON of a document: what is no task is told where it stands."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, json

from aipartnerupflow.domain.errors import MAX_FAULTS, InvalidGraph
from aipartnerupflow.domain.intake import read
from aipartnerupflow.domain.specs import (
    MAX_JSON_DEPTH,
    MAX_NAME,
    MAX_SPEC_BYTES,
    MAX_TASKS,
    TaskSpec,
)
from aipartnerupflow.domain.written import FIELDS, TOLERATED, depth, items_of
from tests.domain.documents import R, counting, faults_of, refused, spec_of, taken_in, under_r


class TestFields:
    def test_an_unknown_field_is_told_with_those_that_exist(self) -> None:
        (fault,) = refused(R | {"nmae": "x"})
        assert (fault.code, fault.where) == ("unknown_field", "/0")
        assert "'nmae'" in fault.message
        assert all(field in fault.message for field in FIELDS)

    def test_how_a_former_run_went_is_no_part_of_what_is_to_be_run(self) -> None:
        assert spec_of(R | dict.fromkeys(TOLERATED, "whatever")) == TaskSpec(id="r", name="root")

    def test_null_is_as_good_as_left_out(self) -> None:
        nothing = dict.fromkeys(FIELDS - {"name", "id"})
        assert taken_in(R | nothing) == taken_in(R)

    def test_the_place_of_a_nested_fault_is_a_pointer(self) -> None:
        deep = R | {"children": [{"name": "a"}, {"name": "b", "children": [{"oops": 1}]}]}
        assert [fault.where for fault in refused(deep)] == ["/0/children/1/children/0"] * 2

    def test_a_task_has_a_name(self) -> None:
        (fault,) = refused({"id": "a"})
        assert (fault.code, fault.message) == (
            "malformed", "Object missing required field `name`",
        )  # fmt: skip

    @pytest.mark.parametrize("name", ["", "x" * (MAX_NAME + 1), "nul\0"])
    def test_a_name_has_a_usual_length_and_no_nul(self, name: str) -> None:
        assert faults_of(R, under_r("a", name=name)) == [("bad_name", "a")]

    def test_the_longest_name_is_a_name(self) -> None:
        assert spec_of({"name": "x" * MAX_NAME}).name == "x" * MAX_NAME

    @pytest.mark.parametrize("priority", [0, 1, 2, 3])
    def test_priorities_are_0_to_3(self, priority: int) -> None:
        assert spec_of(R | {"priority": priority}).priority == priority

    def test_2_is_the_priority_of_those_that_name_none(self) -> None:
        assert spec_of(R).priority == 2

    @pytest.mark.parametrize("priority", [-1, 4])
    def test_there_is_no_other_priority(self, priority: int) -> None:
        assert faults_of(R | {"priority": priority}) == [("bad_priority", "r")]

    def test_the_owner_is_the_one_that_all_name(self) -> None:
        assert taken_in(R | {"user_id": "ann"}, under_r("a")).owner == "ann"
        assert taken_in(R).owner is None
        others = (R | {"user_id": "ann"}, under_r("a", user_id="bob"))
        assert faults_of(*others) == [("several_owners", "")]


class TestBounds:
    def test_no_more_is_taken_than_one_tree_can_have(self) -> None:
        taken = 0

        def endless() -> Iterator[bytes]:
            nonlocal taken
            while True:
                taken += 1
                yield b"0"

        with pytest.raises(InvalidGraph) as caught:
            read(endless(), counting())
        assert [fault.code for fault in caught.value.faults] == ["too_many_tasks"]
        assert taken == MAX_TASKS + 2

    def test_of_very_many_faults_the_first_are_told_and_that_there_are_more(self) -> None:
        with pytest.raises(InvalidGraph) as caught:
            read([b"0"] * (MAX_FAULTS + 500), counting())
        *told, last = caught.value.faults
        assert [fault.where for fault in told] == [f"/{n}" for n in range(MAX_FAULTS)]
        assert (last.code, last.message) == ("more", "there are more faults; mend these first")

    def test_so_are_those_of_tasks_that_can_be_read(self) -> None:
        wrong = [json.encode({"name": "", "id": f"a{n}"}) for n in range(MAX_FAULTS + 500)]
        with pytest.raises(InvalidGraph) as caught:
            read(wrong, counting())
        assert len(caught.value.faults) == MAX_FAULTS + 1

    @pytest.mark.parametrize(
        ("item", "code"), [(b"{}", "too_many_tasks"), (b"0", "malformed"), (b"[]", "malformed")]
    )
    @pytest.mark.parametrize("nested", [False, True])
    def test_an_array_is_counted_before_anything_is_made_of_it(
        self, item: bytes, code: str, nested: bool
    ) -> None:
        array = b"[" + item + (b"," + item) * (MAX_TASKS + 1) + b"]"
        document = b'{"name":"r","children":%b}' % array
        with pytest.raises(InvalidGraph) as caught:
            read([document] if nested else items_of(array), counting())
        assert [fault.code for fault in caught.value.faults] == [code]

    def test_as_many_as_a_tree_can_have_are_counted_and_given(self) -> None:
        array = b"[{}" + b",{}" * MAX_TASKS + b"]"
        assert len(items_of(array)) == MAX_TASKS + 1

    def test_a_task_has_a_largest_size(self) -> None:
        many = b",".join(b'"%d":0' % n for n in range(600_000))
        with pytest.raises(InvalidGraph) as caught:
            read([b'{"name":"r",%b}' % many], counting())
        assert [(f.code, f.where) for f in caught.value.faults] == [("too_large", "/0")]

    def test_what_is_too_long_is_not_repeated_whole(self) -> None:
        long = "x" * 10_000
        faults = refused(R | {long: 1}, under_r(long, dependencies=[long + "y"]))
        assert faults
        assert all(len(fault.message) < 2_000 for fault in faults)
        assert all(len(fault.where) <= MAX_NAME for fault in faults)


class TestJson:
    @pytest.mark.parametrize("field", ["inputs", "params", "schemas"])
    def test_objects_are_kept_byte_for_byte(self, field: str) -> None:
        written = b'{"name":"n","%b" : { "b":1.50,  "a":"\\u00e9" } }' % field.encode()
        (spec,) = read([written], counting()).specs
        assert bytes(getattr(spec, field)) == b'{ "b":1.50,  "a":"\\u00e9" }'

    @pytest.mark.parametrize("value", [[], "text", 1, True])
    def test_they_must_be_objects(self, value: Any) -> None:
        (fault,) = refused(R, under_r("a", inputs=value))
        assert (fault.code, fault.where) == ("malformed", "a")
        assert "inputs is a JSON object" in fault.message

    def test_they_have_a_largest_size(self) -> None:
        fits = {"x": "y" * (MAX_SPEC_BYTES - len('{"x":""}'))}
        assert len(bytes(spec_of(R | {"inputs": fits}).inputs)) == MAX_SPEC_BYTES
        assert faults_of(R | {"params": fits | {"z": 1}}) == [("too_large", "r")]

    def test_they_have_a_greatest_depth(self) -> None:
        deep = nested(MAX_JSON_DEPTH)
        assert json.decode(spec_of(R | {"inputs": deep}).inputs) == deep
        assert faults_of(R | {"inputs": nested(MAX_JSON_DEPTH + 1)}) == [("too_deep", "r")]

    def test_brackets_in_strings_and_side_by_side_are_not_depth(self) -> None:
        brackets = {"a": '[{\\"' * 100, "b": [[]] * 100}
        assert json.decode(spec_of(R | {"inputs": brackets}).inputs) == brackets

    @pytest.mark.parametrize(
        "text", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000]
    )
    @pytest.mark.parametrize("field", [b"inputs", b"dependencies", b"children", b"oops"])
    def test_bottomless_json_is_a_fault_like_any_other(self, field: bytes, text: bytes) -> None:
        with pytest.raises(InvalidGraph) as caught:
            read([b'{"name":"n","%b":%b}' % (field, text)], counting())
        assert {fault.code for fault in caught.value.faults} <= {"malformed", "unknown_field"}

    @pytest.mark.parametrize(
        "document",
        [b"", b"{", b"[]", b"null", b'{"name":"\xff"}', b'{"name":"\\ud800"}', b"\xff",
         b'{"name":1}', b'{"name":"n","dependencies":5}', b'{"name":"n","children":{}}'],
    )  # fmt: skip
    def test_what_is_no_task_is_malformed(self, document: bytes) -> None:
        with pytest.raises(InvalidGraph) as caught:
            read([document], counting())
        assert [(f.code, f.where) for f in caught.value.faults] == [("malformed", "/0")]

    @pytest.mark.parametrize("value", [b'"\xff"', b'"\\ud800"', b"1e999", b'"\\x"'])
    def test_what_is_kept_as_bytes_is_json_all_the_same(self, value: bytes) -> None:
        with pytest.raises(InvalidGraph) as caught:
            read([b'{"name":"n","id":"a","inputs":{"x":%b}}' % value], counting())
        assert [f.code for f in caught.value.faults] == ["malformed"]

    def test_raw_values_are_read_like_bytes(self) -> None:
        assert read([Raw(b'{"name":"n"}')], counting()) == taken_in({"name": "n"})


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def levels(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


@given(
    st.recursive(
        st.text('[{"\\}]x') | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text('["{\\'), inner, max_size=3)
        ),
        max_leaves=20,
    )
)
def test_depth_is_exact_where_there_are_many_brackets(value: Any) -> None:
    wide = [value, [[]] * MAX_JSON_DEPTH]
    assert depth(json.encode(wide)) == levels(wide)
