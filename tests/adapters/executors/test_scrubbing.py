"""Secrets are struck out in all the forms in which they come back."""

import base64
from urllib.parse import quote, quote_plus

import pytest
from msgspec import json

from aipartnerupflow.adapters.executors.results import MAX_MESSAGE, MAX_PART, outcome_of, raised
from aipartnerupflow.adapters.executors.scrubbing import Scrubber
from aipartnerupflow.adapters.executors.secrets import SecretText
from aipartnerupflow.engine.ports import Raised

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
