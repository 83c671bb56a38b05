"""An answer is shown within what a result may have: the request was done in any case."""

import base64

import pytest
from msgspec import json

from aipartnerupflow.adapters.executors.rest.answer import MAX_BOTH, MAX_SHOWN, shown
from aipartnerupflow.adapters.executors.results import outcome_of
from aipartnerupflow.adapters.net.http import Answer
from aipartnerupflow.engine.ports import Returned

LARGE = 10 << 20


def answer(body: bytes, kind: str, *, cut: bool = False) -> Answer:
    return Answer(200, {"content-type": kind}, body, "http://a.example.com/", cut)


def as_it_is(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize(
    ("body", "kind", "cut"),
    [
        (b"[" + b'"x",' * (LARGE // 4 - 1) + b"1]", "application/json", False),
        (b"[" + b"1e5," * (LARGE // 4 - 1) + b"1]", "application/json", True),
        (b"\x01" * LARGE, "text/plain", True),
        (b"x" * LARGE, "text/plain", False),
        (b"\x01" * (LARGE // 2) + b"x" * (LARGE // 2), "text/plain", True),
        (b"\xff" * LARGE, "application/octet-stream", False),
        (b"\xff" * LARGE, "text/plain", True),
        (b'"' + b"\\u0001" * (MAX_BOTH // 6 - 1) + b'"', "application/json", False),
    ],
    ids=["json", "json that grows", "signs", "text", "signs first", "bytes", "no text", "both"],
)
def test_whatever_comes_fits_into_a_result(body: bytes, kind: str, cut: bool) -> None:
    found = shown(answer(body, kind), as_it_is)
    assert len(json.encode(found)) <= MAX_SHOWN + 1_000
    assert found.get("truncated", False) is cut
    assert isinstance(outcome_of({"success": True, **found}), Returned)


def test_a_large_body_is_not_shown_twice() -> None:
    small = shown(answer(b"[1]", "application/json"), as_it_is)
    assert small == {"body": "[1]", "json": [1]}
    large = shown(answer(b"[" + b"1," * MAX_BOTH + b"1]", "application/json"), as_it_is)
    assert set(large) == {"json"}


def test_json_that_nests_too_deep_is_shown_as_text() -> None:
    body = b"[" * 5_000 + b"]" * 5_000
    found = shown(answer(body, "application/json"), as_it_is)
    assert found["body"] == body.decode()
    assert "json_error" in found
    assert isinstance(outcome_of({"success": True, **found}), Returned)


def test_secrets_are_struck_out_before_a_body_is_cut_or_encoded() -> None:
    def scrub(data: bytes) -> bytes:
        return data.replace(b"canary", b"[secret S]")

    found = shown(answer(b"\xffcanary", "image/png"), scrub)
    assert base64.b64decode(found["body_base64"]) == b"\xff[secret S]"
    assert shown(answer(b"canary", "text/plain"), scrub)["body"] == "[secret S]"
