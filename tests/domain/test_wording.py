"""What messages repeat of what was given."""

import re
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from aipartnerupflow.domain.errors import Fault, NotFound
from aipartnerupflow.domain.wording import MAX_TOLD, cut, misfit, quoted

CANARY = "zq7canary7qz"


class Inner(Struct, forbid_unknown_fields=True):
    word: Literal["a", "b"] = "a"
    number: Literal[1, 2] = 1
    many: list[Literal["a"]] = []
    named: dict[str, Literal["a"]] = {}


class Outer(Struct):
    inner: Inner


text = st.sampled_from(
    [CANARY, f"' - at `$.x`{CANARY}", f"x - at `{CANARY}", f"\n - at `$`'\n{CANARY}", f"{CANARY}`"]
)
values = text | st.lists(text) | st.dictionaries(text, text) | st.integers(7_000_000, 8_000_000)


def reason(document: Any, kind: Any) -> str:
    """Why it does not fit; nothing where it does."""
    try:
        msgspec.json.decode(msgspec.json.encode(document), type=kind)
    except msgspec.ValidationError as error:
        return misfit(error)
    return ""


@given(st.sampled_from(["word", "number", "many", "named"]), values | st.lists(values))
def test_no_value_that_does_not_fit_is_repeated(field: str, value: Any) -> None:
    for kind, document in ((Outer, {"inner": {field: value}}), (Literal["a"], value)):
        told = reason(document, kind)
        assert CANARY not in told
        assert not re.search("[78][0-9]{6}", told)


def test_the_place_is_told() -> None:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.convert({"inner": {"many": ["a", "x"]}}, Outer)
    told = "not one of the values that are allowed - at `$.inner.many[1]`"
    assert misfit(wrong.value) == told


def test_names_are_cut() -> None:
    long = "x" * 1_000_000
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.convert({"inner": {long: 1}}, Outer)
    assert len(misfit(wrong.value)) < 300
    assert len(cut(long)) == MAX_TOLD
    assert cut(long).endswith("…")
    assert quoted("short") == "'short'"
    assert len(str(NotFound("task", long))) < 300
    assert len(Fault("code", long, "").where) == 255
    assert len(Fault("code", f"/{long}", "").where) == 4_000
