"""What an executor receives: what dependencies give, overridden by what was written."""

from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.domain.inputs import EmptyPointer, at_pointer, effective, references
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.testing.trees import raw

RESULTS: dict[str, Any] = {"a": {"json": {"items": [10, {"x": 11}]}, "n": None}, "b": [1, 2]}
DOCUMENT: dict[str, Any] = {
    "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5,
    'k"l': 6, " ": 7, "m~n": 8, "~1": 9, "01": 10,
}  # fmt: skip
"""The examples of RFC 6901, section 5, and some more."""


def given_inputs(
    written: Any,
    results: dict[str, Any] | None = None,
    declared: list[str] | None = None,
    **kw: bool,
) -> dict[str, Any]:
    dependencies = [(key, lambda value=value: value) for key, value in (results or {}).items()]
    return effective(raw(written), dependencies, declared, **kw)


def from_(key: str, pointer: str | None = None) -> dict[str, str]:
    return {"$from": key} if pointer is None else {"$from": key, "pointer": pointer}


class TestReferences:
    @pytest.mark.parametrize(
        ("pointer", "value"),
        [("/json/items/0", 10), ("/json/items/1/x", 11), ("/json", {"items": [10, {"x": 11}]}),
         ("/n", None), ("", RESULTS["a"]), (None, RESULTS["a"])],
    )  # fmt: skip
    def test_a_reference_is_replaced_by_that_value(self, pointer: str | None, value: Any) -> None:
        assert given_inputs({"x": from_("a", pointer)}, RESULTS)["x"] == value

    def test_anywhere_in_the_inputs(self) -> None:
        written = {"deep": [{"er": [from_("b", "/0"), "plain"]}], "b": 0, "a": 0}
        assert given_inputs(written, RESULTS) == {
            "deep": [{"er": [1, "plain"]}], "b": 0, "a": 0,
        }  # fmt: skip

    def test_the_inputs_as_a_whole_may_be_one(self) -> None:
        assert given_inputs(from_("a", "/json"), RESULTS, declared=[]) == {"items": [10, {"x": 11}]}

    @pytest.mark.parametrize("pointer", ["/json/items", "/json/items/0", "/n"])
    def test_but_then_it_must_lead_to_an_object(self, pointer: str) -> None:
        with pytest.raises(EmptyPointer, match="no object at pointer"):
            given_inputs(from_("a", pointer), RESULTS)

    @pytest.mark.parametrize(
        "data",
        [{"$from": 5}, {"$from": "a", "pointer": 5}, {"$from": "a", "other": 1},
         {"from": "a"}, "$from", {"pointer": "/x"}],
    )  # fmt: skip
    def test_what_is_not_shaped_like_one_is_data(self, data: Any) -> None:
        assert given_inputs({"x": data}, {}) == {"x": data}
        assert list(references(raw({"x": data}))) == []

    def test_an_escaped_one_is_the_same_json(self) -> None:
        written = Raw(b'{"x":{"\\u0024from":"b","pointer":"/1"}}')
        assert effective(written, [("b", lambda: [1, 2])], [])["x"] == 2
        assert list(references(written)) == ["b"]

    def test_a_result_is_had_once_and_each_reference_gets_its_own_part(self) -> None:
        had: list[str] = []

        def result() -> Any:
            had.append("a")
            return {"items": [[1], {"x": [2]}]}

        written = {"one": from_("a", "/items"), "two": [from_("a", "/items")], "all": from_("a")}
        given = effective(raw(written), [("a", result)], ["one", "two", "all"])
        assert had == ["a", "a"]  # once for the references, once for what is declared
        given["one"][1]["x"].append(3)
        assert given["two"] == [[[1], {"x": [2]}]]
        assert given["all"] == {"items": [[1], {"x": [2]}]}

    def test_a_value_that_looks_like_a_reference_is_not_followed(self) -> None:
        results = {"a": {"x": from_("b")}, "b": 1}
        assert given_inputs({"v": from_("a", "/x")}, results, declared=[]) == {"v": from_("b")}

    def test_the_keys_that_are_named_can_be_listed(self) -> None:
        written = {"x": from_("a"), "y": [from_("b", "/1"), {"z": from_("a")}], "w": "$from"}
        assert sorted(references(raw(written))) == ["a", "a", "b"]

    def test_one_whose_dependency_gave_nothing_finds_nothing(self) -> None:
        with pytest.raises(EmptyPointer, match=r"'\$from': 'failed'"):
            given_inputs({"x": from_("failed")}, RESULTS)


class TestPointers:
    @pytest.mark.parametrize(
        ("pointer", "value"),
        [("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1),
         ("/c%d", 2), ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7),
         ("/m~0n", 8), ("/~01", 9), ("/01", 10)],
    )  # fmt: skip
    def test_it_finds(self, pointer: str, value: Any) -> None:
        assert at_pointer(DOCUMENT, "k", pointer) == value

    @pytest.mark.parametrize(
        "pointer",
        ["foo", "/nothing", "/foo/2", "/foo/-", "/foo/-1", "/foo/00", "/foo/01", "/foo/1.0",
         "/foo/bar", "/foo/0/0", "//", "/foo/", "/m~n", "/~", "/~2", "/foo/\u0661", "#/foo",
         "/foo/" + "9" * 5_000],
    )  # fmt: skip
    def test_it_finds_nothing(self, pointer: str) -> None:
        with pytest.raises(EmptyPointer, match="has nothing at pointer"):
            at_pointer(DOCUMENT, "k", pointer)

    @pytest.mark.parametrize("value", [None, True, 5, "text"])
    def test_there_is_nothing_below_a_scalar(self, value: Any) -> None:
        with pytest.raises(EmptyPointer):
            at_pointer(value, "k", "/0")

    def test_the_error_names_key_and_pointer_but_no_value(self) -> None:
        with pytest.raises(EmptyPointer) as caught:
            at_pointer({"secret": 1}, "flour", "/x")
        error = caught.value.as_error()
        assert error == ErrorInfo(
            "empty_pointer",
            "{'$from': 'flour'}: the result has nothing at pointer '/x'",
            bases=("ValueError",),
        )


class TestWithoutASchema:
    def test_results_are_given_by_key(self) -> None:
        assert given_inputs({"x": 1}, {"a": {"n": 1}, "b": None}) == {
            "a": {"n": 1}, "b": None, "x": 1,
        }  # fmt: skip

    def test_what_was_written_wins(self) -> None:
        assert given_inputs({"a": None}, {"a": 1}) == {"a": None}

    def test_without_dependencies_it_is_what_was_written(self) -> None:
        assert given_inputs({"x": [1, {"y": 2}]}) == {"x": [1, {"y": 2}]}


class TestWithASchema:
    def test_declared_properties_are_filled_in_from_results(self) -> None:
        results = {"a": {"x": 1, "other": 2}, "b": {"y": 3}}
        assert given_inputs({}, results, ["x", "y", "z"]) == {"x": 1, "y": 3}

    def test_the_first_dependency_that_has_a_property_gives_it(self) -> None:
        assert given_inputs({}, {"b": {"x": 1}, "a": {"x": 2}}, ["x"]) == {"x": 1}

    def test_also_from_the_object_under_result(self) -> None:
        assert given_inputs({}, {"a": {"result": {"x": 1}}}, ["x"]) == {"x": 1}

    def test_the_top_level_comes_before_the_object_under_result(self) -> None:
        assert given_inputs({}, {"a": {"x": 1, "result": {"x": 2}}}, ["x"]) == {"x": 1}

    def test_a_property_called_result_is_one_like_any_other(self) -> None:
        assert given_inputs({}, {"a": {"result": {"x": 1}}}, ["result"]) == {"result": {"x": 1}}

    def test_null_is_a_value(self) -> None:
        assert given_inputs({}, {"a": {"x": None}, "b": {"x": 2}}, ["x"]) == {"x": None}
        assert given_inputs({"x": None}, {"a": {"x": 1}}, ["x"]) == {"x": None}

    @pytest.mark.parametrize("result", [None, 5, "x", ["x"], {"result": ["x"]}, {"result": None}])
    def test_what_is_no_object_gives_nothing(self, result: Any) -> None:
        assert given_inputs({"y": 0}, {"a": result}, ["x"]) == {"y": 0}

    def test_what_was_written_wins(self) -> None:
        assert given_inputs({"x": 0}, {"a": {"x": 1}}, ["x"]) == {"x": 0}

    def test_nothing_comes_by_key(self) -> None:
        assert given_inputs({}, {"a": {"x": 1}}, []) == {}


class TestByKey:
    def test_every_result_comes_by_key_whatever_is_declared(self) -> None:
        results = {"a": {"x": 1}, "b": 2}
        assert given_inputs({}, results, [], by_key=True) == results
        assert given_inputs({}, results, None, by_key=True) == results

    def test_beside_what_is_declared(self) -> None:
        inputs = given_inputs({}, {"a": {"x": 1}}, ["x"], by_key=True)
        assert inputs == {"a": {"x": 1}, "x": 1}


def test_inputs_are_made_afresh_for_each_attempt() -> None:
    written = raw({"list": [1]})
    first = effective(written, (), None)
    first["list"].append(2)
    assert effective(written, (), None) == {"list": [1]}
    assert written == raw({"list": [1]})
