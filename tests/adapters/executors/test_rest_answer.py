"""An answer is shown within what a result may have: the request was done in any case."""

import base64
import codecs

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


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("Müller".encode("latin-1"), "text/html; charset=iso-8859-1", "Müller"),
        ("Müller".encode("latin-1"), 'Text/HTML;Charset="ISO-8859-1"; x=y', "Müller"),
        ("€".encode("cp1252"), "text/plain;charset=windows-1252", "€"),
        ("東京".encode("shift_jis"), "text/plain; charset=Shift_JIS", "東京"),
        ("Київ".encode("koi8-u"), "text/plain; charset=koi8-u", "Київ"),
        ("ü".encode("utf-16"), "text/plain; charset=utf-16", "ü"),
        ("ü".encode(), "text/plain; charset=utf-8", "ü"),
        ("ü".encode(), "text/plain", "ü"),
        ("ü".encode(), "text/plain; charset=none-such", "ü"),
        ("ü".encode(), "text/plain; charset=zlib", "ü"),
        ("ü".encode(), "text/plain; charset=idna", "ü"),
        (b"\x81 \xfc", "text/plain; charset=cp1252", "\ufffd ü"),
        (b"\xfc", "text/plain", "\ufffd"),
        (b"+2AA-x", "text/plain; charset=utf-7", "?x"),
    ],
)
def test_a_text_is_read_by_its_charset(body: bytes, kind: str, text: str) -> None:
    assert shown(answer(body, kind), as_it_is) == {"body": text}


def test_a_charset_that_python_does_not_know_is_not_looked_up() -> None:
    asked: list[str] = []
    codecs.register(lambda name: asked.append(name))
    shown(answer(b"x", "text/plain; charset=charset_of_nobody"), as_it_is)
    assert asked == []


def test_a_large_text_that_is_not_in_its_charset_takes_no_time() -> None:
    found = shown(answer(b"\x81" * LARGE, "text/plain; charset=cp1252"), as_it_is)
    assert set(found["body"]) == {"\ufffd"}
    large = shown(answer(b"\xfc" * LARGE, "text/plain; charset=cp1252"), as_it_is)
    assert set(large["body"]) == {"ü"}
    assert len(json.encode(large)) <= MAX_SHOWN + 1_000


def test_secrets_are_found_in_any_charset() -> None:
    def scrub(data: bytes) -> bytes:
        return data.replace("gehört".encode(), b"[secret S]")

    body = "gehört".encode("utf-16")
    assert shown(answer(body, "text/plain; charset=utf-16"), scrub)["body"] == "[secret S]"


@pytest.mark.parametrize(
    ("kind", "is_json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/vnd.a.b+json;v=1", True),
        ("application/x-ndjson", False),
        ("application/jsonl", False),
        ("application/json-seq", False),
        ("text/plain; of=application/json", False),
    ],
)
def test_json_is_what_is_said_to_be_json_alone(kind: str, is_json: bool) -> None:
    body = b'{"a":1}'
    found = shown(answer(body, kind), as_it_is)
    assert found == ({"body": body.decode(), "json": {"a": 1}} if is_json else {"body": '{"a":1}'})
    lines = shown(answer(body * 2, kind), as_it_is)
    assert lines["body"] == '{"a":1}{"a":1}'
    assert ("json_error" in lines) is is_json


def test_json_in_another_charset_is_json() -> None:
    found = shown(answer('"ü"'.encode("latin-1"), "application/json;charset=latin1"), as_it_is)
    assert found == {"body": '"ü"', "json": "ü"}
