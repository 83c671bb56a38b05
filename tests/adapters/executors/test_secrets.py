"""Secrets reach the executors that they are listed for, and nothing that is kept."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw, json

from aipartnerupflow.adapters.executors import BaseTask, Registry
from aipartnerupflow.adapters.executors.secrets import Secrets, SecretText, require_for
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.engine.ports import Raised, Returned
from tests.adapters.executors.calls import error, outcome, result

CANARY = "canary-7f3a9c51"
NAMED = {"$secret": "TOKEN"}


class Port:
    """Hears what an attempt says."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def beat(self) -> None:
        self.said.append("beat")

    async def progress(self, fraction: float, message: str) -> None:
        self.said.append(message)

    async def save(self, checkpoint: Any) -> None:
        self.said.append(bytes(checkpoint).decode())

    async def taken_over(self) -> None:
        self.said.append("taken over")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("THE_TOKEN", CANARY)
    found = Registry()
    found.configure(
        {
            "APFLOW_SECRETS": {
                "TOKEN": {
                    "source": "env", "name": "THE_TOKEN", "executors": ["user"],
                    "hosts": ["api.example.com"],
                },
                "ANNS": {
                    "source": "env", "name": "THE_TOKEN", "executors": ["user"],
                    "owners": ["ann"],
                },
            }
        }
    )  # fmt: skip
    found.register(User)
    found.register(Other)
    return found


SCHEMA = {
    "type": "object",
    "properties": {"does": {"type": "string"}, "token": {"type": "string"}},
}


class User(BaseTask):
    """Does with its secret what no executor should."""

    id = "user"
    name = "user"
    inputs_schema = SCHEMA
    got: Any = None

    async def execute(self, inputs: dict[str, Any]) -> Any:
        token = User.got = inputs.get("token")
        match inputs.get("does"):
            case "raise":
                raise RuntimeError(f"refused {token}")
            case "fail":
                return {"success": False, "error": f"no {token}", "sent": [token]}
            case "tell":
                await self.context.progress(0.5, f"with {token}")
                await self.context.save({"token": token})
                self.context.log.warning("sent %s", token)
            case "ask":
                token = User.got = self.context.secret("TOKEN")
            case _:
                pass
        return {"echo": f"Bearer {token}", token or "none": 1}


class Other(BaseTask):
    id = "other"
    name = "other"

    async def execute(self, inputs: dict[str, Any]) -> Any:
        return inputs


async def test_a_secret_reaches_its_executor_and_no_result(registry: Registry) -> None:
    assert await result(registry, "user", {"token": NAMED}) == {
        "echo": "Bearer [secret TOKEN]",
        "[secret TOKEN]": 1,
    }
    assert User.got == CANARY
    assert repr(User.got) == "[secret TOKEN]"


async def test_what_is_asked_for_is_struck_out_as_well(registry: Registry) -> None:
    assert (await result(registry, "user", {"does": "ask"}))["echo"] == "Bearer [secret TOKEN]"
    assert User.got == CANARY


@pytest.mark.parametrize("does", ["raise", "fail"])
async def test_no_error_repeats_a_secret(registry: Registry, does: str) -> None:
    found = await outcome(registry, "user", {"token": NAMED, "does": does})
    assert isinstance(found, Raised)
    assert CANARY not in json.encode(found).decode()
    assert "[secret TOKEN]" in found.error.message


async def test_no_progress_checkpoint_or_log_repeats_a_secret(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    port = Port()
    with caplog.at_level(logging.WARNING):
        found = await outcome(registry, "user", {"token": NAMED, "does": "tell"}, port=port)
    assert isinstance(found, Returned)
    assert port.said == ["with [secret TOKEN]", '{"token":"[secret TOKEN]"}']
    assert "sent [secret TOKEN]" in caplog.text
    assert CANARY not in caplog.text


async def test_a_secret_is_only_for_the_executors_that_are_listed(registry: Registry) -> None:
    assert "no secret 'TOKEN' for other" in (await error(registry, "other", {"x": NAMED})).message


async def test_a_secret_may_be_for_some_owners_only(registry: Registry) -> None:
    named = {"token": {"$secret": "ANNS"}}
    assert "not for the owner" in (await error(registry, "user", named, owner="bob")).message
    assert await result(registry, "user", named, owner="ann")


@pytest.mark.parametrize(
    "written", [{"$secret": "TOKEN", "more": 1}, {"$secret": 5}, {"$secret": None}]
)
async def test_a_reference_is_a_name_and_nothing_else(registry: Registry, written: Any) -> None:
    assert (await error(registry, "other", {"x": [written]})).type == "InvalidInput"


async def test_the_environment_is_not_searched_by_a_tasks_word(registry: Registry) -> None:
    found = await error(registry, "user", {"token": {"$secret": "THE_TOKEN"}})
    assert "no secret 'THE_TOKEN'" in found.message


def test_inputs_are_checked_as_if_the_secret_were_there(registry: Registry) -> None:
    assert registry.violations("user", Raw(b"{}"), {"token": NAMED}) == []
    assert registry.violations("user", Raw(b"{}"), {"token": 5})


def test_a_secret_can_lie_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{CANARY}\n")
    secrets = listed(source="file", name=str(path))
    assert secrets.get("S", executor="e", owner=None) == CANARY
    path.unlink()
    with pytest.raises(InvalidInput, match="not where the settings say"):
        secrets.get("S", executor="e", owner=None)


def test_a_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "1234567")
    with pytest.raises(InvalidInput, match="fewer than 8") as caught:
        listed(source="env", name="SHORT").get("S", executor="e", owner=None)
    assert "1234567" not in str(caught.value)


@pytest.mark.parametrize(
    "said", [{"source": "url"}, {"source": "env", "extra": 1}, {"source": "env", "executors": "e"}]
)
def test_a_list_that_makes_no_sense_is_refused(said: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="the secret S"):
        Secrets({"S": {"executors": ["e"], **said}})


def test_a_secret_goes_to_its_hosts_only() -> None:
    secret = SecretText.of(CANARY, "S", ("api.example.com",))
    require_for("API.example.com.", [{"headers": {"Authorization": secret}}])
    with pytest.raises(InvalidInput, match="may not be sent to this host"):
        require_for("evil.example.com", [{"headers": [secret]}])
    require_for("evil.example.com", ["no secret"])


def listed(**said: Any) -> Secrets:
    return Secrets({"S": {"executors": ["e"], **said}})
