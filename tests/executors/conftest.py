"""Each executor in turn, with the far side that it calls."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.executors.cases_apflow import ApflowApiCase
from tests.executors.cases_command import CommandCase
from tests.executors.cases_docker import DockerCase
from tests.executors.cases_grpc import GrpcCase
from tests.executors.cases_http import RestCase
from tests.executors.cases_mcp import McpHttpCase, McpStdioCase
from tests.executors.cases_ssh import OpenSshCase, SshCase
from tests.executors.cases_websocket import WebsocketCase
from tests.support.executor_cases import CANARY, Case
from tests.support.places import executors, place

__all__ = ["executors", "place"]

CASES: Sequence[type[Case]] = (
    ApflowApiCase,
    CommandCase,
    DockerCase,
    GrpcCase,
    RestCase,
    SshCase,
    OpenSshCase,
    WebsocketCase,
    McpHttpCase,
    McpStdioCase,
)


@pytest.fixture(params=CASES, ids=lambda case: case.label or case.executor)
def case(
    request: pytest.FixtureRequest, place: Path, executors: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Case]:
    """The settings file is written where an operator's lies."""
    monkeypatch.setenv("CANARY_VALUE", CANARY)
    made: Case = request.param(place)
    with made.open():
        write_settings(place, made)
        yield made


def write_settings(place: Path, case: Case) -> None:
    path = place / ".config" / "apflow" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(settings_text([case]))


def settings_text(cases: Sequence[Case]) -> str:
    """A settings file for all of them, with the secret ``CANARY`` for their executors and hosts."""
    settings: dict[str, Any] = {}
    for case in cases:
        for name, value in case.settings().items():
            known = settings.get(name)
            if isinstance(known, list):
                value = [*known, *(one for one in value if one not in known)]
            elif isinstance(known, dict):
                value = known | value
            settings[name] = value
    secrets = {
        "CANARY": {
            "source": "env", "name": "CANARY_VALUE",
            "executors": [case.executor for case in cases],
            "hosts": sorted({host for case in cases for host in case.secret_hosts}),
        },
        **settings.pop("secrets", {}),
    }  # fmt: skip
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items()]
    for name, said in secrets.items():
        lines.append(f"[secrets.{name}]")
        lines += [f"{key} = {_toml(value)}" for key, value in said.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """As TOML has it: JSON, but for tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)
