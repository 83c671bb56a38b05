"""When two signals say the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from aipartnerupflow.domain.signals import mark_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def raw(value: Any, **how: Any) -> Raw:
    return Raw(json.dumps(value, **how).encode())


@given(VALUES)
def test_what_is_written_in_another_way_is_the_same(value: Any) -> None:
    mark = mark_of("go", raw(value))
    assert mark_of("go", raw(value, indent=1, sort_keys=True, ensure_ascii=False)) == mark
    assert mark_of("stay", raw(value)) != mark
    assert mark_of("go", raw([value])) != mark


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(b"1", b"1.0", True), (b"1e3", b"1000", True), (b'{"a":1,"b":2}', b'{"b":2, "a":1}', True),
     (b"1", b"true", False), (b"1", b'"1"', False), (b"0.1", b"0.10", True),
     (b"1e999", b"1e999", True), (b"1e999", b"1e998", False), (b"[1,2]", b"[2,1]", False),
     (b"1.5", b'"1.5"', False)],
)  # fmt: skip
def test_json_decides_what_is_the_same(one: bytes, other: bytes, same: bool) -> None:
    assert (mark_of("go", Raw(one)) == mark_of("go", Raw(other))) is same


def test_nothing_is_null() -> None:
    assert mark_of("go", None) == mark_of("go", UNSET) == mark_of("go", Raw(b"null"))


def test_what_is_nested_too_deeply_to_be_read_has_a_mark() -> None:
    deep = Raw(b"[" * 100_000 + b"]" * 100_000)
    assert mark_of("go", deep) == mark_of("go", deep) != mark_of("go", Raw(b"[]"))
