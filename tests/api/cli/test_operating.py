"""`apflow token` and `apflow config`: who may call a server, and what it goes by."""

from pathlib import Path

import pytest

from aipartnerupflow import Client
from aipartnerupflow.api.cli.desk import without_password
from aipartnerupflow.api.client import Unauthenticated
from aipartnerupflow.api.settings_sources import KEYS
from tests.api.cli.conftest import Apflow
from tests.support.servers import threaded

CREATE = ("token", "create", "--user", "ann")


def test_a_token_is_made_shown_once_and_revoked(jobs: Path, apflow: Apflow) -> None:
    made = apflow(*CREATE, "--scopes", "submit", "--name", "laptop", "--store", "s.db")
    text = made.out.strip()
    assert (made.code, len(text) > 40) == (0, True)
    listed = apflow("token", "list", "--store", "s.db", "--json")
    (token,) = listed.document["items"]
    assert (token["user"], token["scopes"], token["name"]) == ("ann", ["submit"], "laptop")
    shown = apflow("token", "list", "--store", "s.db").out
    assert text not in listed.out + shown
    assert shown.split()[1:4] == ["valid", "submit", "ann"]
    with threaded("sqlite:///s.db", jobs) as server:
        with Client(server.url, text) as client:
            assert list(client.trees()) == []
        assert apflow("token", "revoke", token["id"], "--store", "s.db").code == 0
        server.server.access.forget()
        with Client(server.url, text) as client, pytest.raises(Unauthenticated):
            list(client.trees())
    assert "revoked" in apflow("token", "list", "--store", "s.db").out
    assert apflow("token", "revoke", token["id"], "--store", "s.db").code == 3


def test_a_token_can_expire(apflow: Apflow) -> None:
    made = apflow(*CREATE, "--expires", "30d", "--json").document
    assert made["expires_at"] > made["created_at"]
    assert made["scopes"] == ["read"]
    until = apflow(*CREATE, "--expires", "2099-01-01T00:00:00Z", "--json").document
    assert until["expires_at"] == "2099-01-01T00:00:00.000000Z"
    assert "until 2099-01-01" in apflow("token", "list").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("token", "make"), "create, list or revoke"),
        (("token", "revoke"), "the id of a token"),
        (("token", "create", "x"), "the id of a token"),
        (("token", "create"), "--user NAME"),
        ((*CREATE, "--scopes", "write"), "--scopes takes read"),
        ((*CREATE, "--scopes", ""), "--scopes takes read"),
        ((*CREATE, "--expires", "2000-01-01T00:00:00Z"), "that is to come"),
        ((*CREATE, "--expires", "soon"), "RFC 3339"),
        (("config", "set"), "config show"),
    ],
)
def test_a_wrong_word_is_a_misuse(words: tuple[str, ...], message: str, apflow: Apflow) -> None:
    done = apflow(*words)
    assert (done.code, message in done.err) == (2, True), done.err


def test_no_token_is_made_for_a_look(jobs: Path, apflow: Apflow) -> None:
    assert "no token yet" in apflow("token", "list").err
    assert apflow("token", "list", "--store", "typo.db").code == 1
    assert not (jobs / "typo.db").exists()


def test_every_setting_is_shown_with_its_source_and_no_secret(
    apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_JWT_SECRET", "very secret indeed, and long enough")
    monkeypatch.setenv("APFLOW_TOKEN", "apflow_hidden")
    monkeypatch.setenv(
        "APFLOW_DATABASE_URL", "postgresql://me:hidden@host/x?a=1&sslpassword=hidden"
    )
    Path("apflow.toml").write_text("port = 9000\n")
    done = apflow("config", "show", "--sources", "--json")
    items = {item["key"]: item for item in done.document["items"]}
    assert set(items) == set(KEYS)
    assert items["port"] == {"key": "port", "value": 9000, "source": "apflow.toml"}
    assert items["jwt_secret"]["value"] == items["server_token"]["value"] == "***"
    assert items["database_url"]["value"] == ("postgresql://me:***@host/x?a=1&sslpassword=***")
    assert items["host"]["source"] == "default"
    shown = apflow("config", "show", "--sources").out
    assert "9000  (apflow.toml)" in shown
    plain = apflow("config", "show", "--json")
    assert "source" not in plain.document["items"][0]
    for text in (done.out, shown, plain.out):
        assert "hidden" not in text
        assert "secret indeed" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://h/db?password=pw", "postgresql://h/db?password=***"),
        ("postgresql://h/db?PassWord=pw&a=b", "postgresql://h/db?PassWord=***&a=b"),
        ("postgresql://u:p?w@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db?sslmode=require", "postgresql://u@h/db?sslmode=require"),
    ],
)
def test_a_password_is_struck_out_wherever_it_stands_in_a_url(url: str, shown: str) -> None:
    assert without_password(url) == shown
