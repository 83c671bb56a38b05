"""Secrets are struck out in all the forms in which they come back."""

import base64
import html
import json as stdlib
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, json

from aipartnerupflow.adapters.executors import Registry
from aipartnerupflow.adapters.executors.results import MAX_MESSAGE, MAX_PART, outcome_of, raised
from aipartnerupflow.adapters.executors.scrubbing import Scrubber
from aipartnerupflow.adapters.executors.secrets import SecretText
from aipartnerupflow.engine.ports import Raised, Returned
from tests.adapters.executors.calls import result

PEM = "-----BEGIN KEY-----\nCANARYLINE1abcdefghij\nCANARYLINE2klmnopqrst\n-----END KEY-----"
ODD = "canary/secret+value==x y"


def knowing(**secrets: str) -> Scrubber:
    found = Scrubber()
    for label, value in secrets.items():
        found.add(SecretText.of(value, label, ()))
    return found


@pytest.mark.parametrize(
    "said", [PEM.replace("\n", "\r\n"), PEM[10:], PEM[:45], "  CANARYLINE2klmnopqrst  "]
)
def test_a_secret_of_several_lines_is_struck_out_line_by_line(said: str) -> None:
    assert "CANARY" not in knowing(S=PEM).text(said)


def test_as_a_whole_it_is_one_secret() -> None:
    assert knowing(S=PEM).text(f"<{PEM}>") == "<[secret S]>"


@pytest.mark.parametrize("order", [("A", "B"), ("B", "A")])
def test_a_secret_that_begins_another_leaves_nothing_of_it(order: tuple[str, str]) -> None:
    values = {"A": "abcdefgh", "B": "abcdefghTAILTAIL"}
    found = knowing(**{name: values[name] for name in order})
    assert found.text("x abcdefghTAILTAIL abcdefgh") == "x [secret B] [secret A]"


@pytest.mark.parametrize("written", [quote(ODD, safe=""), quote(ODD), quote_plus(ODD)])
def test_percent_encoded_it_is_struck_out(written: str) -> None:
    assert knowing(S=ODD).text(f"?k={written}&x=1") == "?k=[secret S]&x=1"


def test_quoted_within_a_text_it_is_struck_out() -> None:
    said = json.encode({"k": 'a "quoted" canary'}).decode()
    assert "canary" not in knowing(S='a "quoted" canary').text(said)


ANY = "pä/s\"<b>&'+ 😀\\t"
PYTHON = stdlib.dumps(ANY)[1:-1]
GO = PYTHON.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
NET = GO.replace("'", r"\u0027").replace("+", r"\u002b")


@pytest.mark.parametrize(
    "written",
    [
        PYTHON,
        PYTHON.replace("/", r"\/"),
        stdlib.dumps(ANY, ensure_ascii=False)[1:-1].replace("/", r"\/"),
        PYTHON.replace("e4", "E4").replace("ud83d", "uD83D").replace("ude00", "uDE00"),
        GO,
        NET.replace("e4", "E4").replace("ud83d", "uD83D").replace("ude00", "uDE00")
        .replace("3c", "3C").replace("3e", "3E").replace("2b", "2B"),
        html.escape(ANY),
        html.escape(ANY, quote=False),
        html.escape(ANY).replace("&#x27;", "&#39;"),
        html.escape(ANY).replace("&#x27;", "&#039;"),
        html.escape(ANY).replace("&#x27;", "'"),
        html.escape(ANY).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        quote(ANY, safe="").replace("%C3%A4", "%c3%a4").replace("%2F", "%2f").replace("%3C", "%3c")
        .replace("%3E", "%3e").replace("%2B", "%2b").replace("%F0%9F", "%f0%9f")
        .replace("%5C", "%5c"),
        quote(ANY, safe="!'()*"),
        ANY.encode().hex(),
        ANY.encode().hex().upper(),
    ],
)  # fmt: skip
def test_escaped_as_others_do_it_is_struck_out(written: str) -> None:
    assert knowing(S=ANY).text(f"<p>{written}</p>") == "<p>[secret S]</p>"
    assert json.decode(knowing(S=ANY).json(json.encode([written]))) == ["[secret S]"]


@pytest.mark.parametrize("before", [b"", b"1", b"12", b"123"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_in_base64_it_is_struck_out_wherever_it_lies(before: bytes, encode: object) -> None:
    assert callable(encode)
    shown = encode(before + ODD.encode() + b" and more").decode()
    assert "[secret S]" in knowing(S=ODD).text(shown)


def test_bytes_can_be_cleaned_before_they_are_encoded() -> None:
    assert knowing(S=ODD).raw(b"\xff" + ODD.encode() + b"\0") == b"\xff[secret S]\0"


def test_a_number_that_is_a_secret_is_struck_out() -> None:
    found = knowing(PIN="1234567890").json(b'{"a":1234567890,"b":[-1234567890.0,12345,true,0.5]}')
    assert json.decode(found) == {
        "a": "[secret PIN]", "b": ["[secret PIN]", 12345, True, 0.5],
    }  # fmt: skip


TEXTS = st.lists(
    st.sampled_from(
        ["\\", '"', "\n", "\t", "\0", "abcdefgh", "n", "u0000", ",", "12345678", "null,", "é", "]"]
    ),
    max_size=5,
).map("".join)
VALUES = st.recursive(
    TEXTS | st.sampled_from([12345678, -12345678.0, 912345678, 0.5, 1, 2, 3, 4, 5, None, True]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=10,
)


SECRETS = (
    "abcdefgh", "nabcdefgh", "tabcdefgh", "u0000abcd", '"abcdefgh', '",12345678', "12345678",
    "\\abcdefgh", "abcdefgh\\", "1,2,3,4,5", "],[],[],", "\nabcdefgh", "null,null", "éabcdefgh",
)  # fmt: skip


@given(VALUES)
def test_in_the_bytes_the_same_is_struck_out_as_in_each_text(value: Any) -> None:
    for secret in SECRETS:
        found = knowing(**{'odd "label" \\n': secret})
        assert json.decode(found.json(json.encode(value))) == found._without(value)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", ["", "\n", "\t", "\\", '"', "\0", "\\\\", '\\"'])
def test_what_looks_like_an_escape_is_none(before: str, secret: str) -> None:
    found = knowing(S=secret)
    value = [before + secret, before, secret[1:], [12345678], {before + secret: [1, 2, 3, 4, 5]}]
    assert json.decode(found.json(json.encode(value))) == found._without(value)


@pytest.mark.parametrize(
    "written",
    [
        rb'{"a":"\u0063anary\/secret"}',
        b'{\n  "a": "canary/secret"\n}',
        rb'["canary\/secret\u0001"]',
    ],
)
def test_json_that_an_executor_has_written_itself_is_cleaned(written: bytes) -> None:
    found = outcome_of(Raw(written), (), knowing(S="canary/secret"))
    assert isinstance(found, Returned)
    assert b"canary" not in bytes(found.result)
    assert b"[secret S]" in bytes(found.result)
    json.decode(found.result)


@pytest.mark.parametrize("many", ["", "canary-in-it", "\\n", '\\"', "\\u0001", "\\\\"])
def test_texts_are_not_looked_at_one_by_one(many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(self: Scrubber, value: Any) -> Any:
        raise AssertionError("it walks")

    monkeypatch.setattr(Scrubber, "_without", slow)
    body = b'["' + many.encode() + b'","canary-in-it"]'
    assert json.decode(knowing(S="canary-in-it").json(body))[1] == "[secret S]"


@pytest.mark.parametrize(
    "shown",
    ["https://a.example.com/hook/T0CANARY/B0", "/hook/T0CANARY/B0?x=1", "GET /hook/T0CANARY/B0"],
)
def test_of_a_url_that_is_a_secret_no_part_that_tells_it_is_left(shown: str) -> None:
    assert "CANARY" not in knowing(S="https://a.example.com/hook/T0CANARY/B0?x=1").text(shown)


def test_a_url_that_is_none_is_a_secret_as_any_other() -> None:
    assert knowing(S="http://[::1/canary").text("<http://[::1/canary>") == "<[secret S]>"


def test_a_result_is_cut_after_secrets_were_struck_out() -> None:
    body = "a" * 70_000 + ODD + "b" * (MAX_PART - 10)
    found = outcome_of({"success": False, "body": body}, (), knowing(S=ODD))
    assert isinstance(found, Raised)
    kept = json.decode(json.encode(found.error))["detail"]
    assert kept["truncated"] is True
    assert "y" not in kept["body"]


def test_a_message_is_cut_after_secrets_were_struck_out() -> None:
    said = "a" * (MAX_MESSAGE - 12) + ODD
    for found in (
        raised(RuntimeError(said), knowing(S=ODD)),
        outcome_of({"success": False, "error": said}, (), knowing(S=ODD)),
    ):
        assert isinstance(found, Raised)
        assert "canary" not in found.error.message


@pytest.mark.parametrize("mark", [{"stdout_truncated": True}, {"truncated": True}])
@pytest.mark.parametrize("size", range(4, len(ODD.encode()) + 1))
def test_no_beginning_of_a_secret_stays_where_a_text_was_cut(
    size: int, mark: dict[str, bool]
) -> None:
    said = "a" * 100 + ODD[:size]
    found = outcome_of({"stdout": said, **mark}, (), knowing(S=ODD))
    assert isinstance(found, Returned)
    assert json.decode(found.result) == {"stdout": "a" * 100 + "[secret S]", **mark}


@pytest.mark.parametrize("mark", [{}, {"truncated": False}, {"stderr_truncated": True}])
def test_a_text_that_was_not_cut_keeps_its_end(mark: dict[str, bool]) -> None:
    found = outcome_of({"stdout": "say can", **mark}, (), knowing(S=ODD))
    assert isinstance(found, Returned)
    assert json.decode(found.result)["stdout"] == "say can"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("x abcdXabcd", "x [secret S]"),
        ("x abcdXab", "x [secret S]"),
        ("x abc", "x abc"),
        ("x pässw\ufffd", "x [secret T]"),
        ("x p\\u00e4ss", "x [secret T]"),
        ("x 61626364", "x [secret S]"),
        ("x \ufffd", "x \ufffd"),
        ("", ""),
    ],
)
def test_the_end_of_a_text_that_is_cut(said: str, left: str) -> None:
    assert knowing(S="abcdXabcd", T="pässwörter").cut(said) == left


async def test_where_the_output_of_a_program_is_cut_no_part_of_a_secret_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ODD", ODD)
    command = ["sh", "-c", 'head -c 1048566 /dev/zero | tr "\\0" x; printf %s "$TOKEN"']
    registry = Registry(installed=list)
    registry.configure(
        {
            "APFLOW_COMMAND_ENABLED": True,
            "APFLOW_COMMAND_ALLOW": [command],
            "APFLOW_COMMAND_ENV": ["TOKEN"],
            "APFLOW_SECRETS": {"ODD": {"source": "env", "executors": ["command_executor"]}},
        }
    )
    inputs = {"command": command, "env": {"TOKEN": {"$secret": "ODD"}}}
    found = await result(registry, "command_executor", inputs)
    assert found["stdout_truncated"] is True
    assert found["stdout"] == "x" * 1_048_566 + "[secret ODD]"
