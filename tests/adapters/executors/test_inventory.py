"""What is said of executors that are switched on and can do nothing, or not all."""

import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from aipartnerupflow.adapters.executors import Registry
from aipartnerupflow.adapters.executors.inventory import ExecutorInfo, describe


def told(id: str, **settings: Any) -> ExecutorInfo:
    registry = Registry(installed=list)
    registry.configure(settings)
    return describe(registry, id)


def test_commands_that_are_switched_on_without_a_list_are_of_no_use() -> None:
    info = told("command_executor", APFLOW_COMMAND_ENABLED=True)
    assert (info.usable, info.enabled) == (False, True)
    assert "APFLOW_COMMAND_ALLOW" in info.why
    assert "APFLOW_COMMAND_ALLOW" in info.advice
    info = told("command_executor", APFLOW_COMMAND_ENABLED=True, APFLOW_COMMAND_ALLOW=[["uptime"]])
    assert (info.usable, info.why, info.advice) == (True, "", "")


def test_what_is_switched_off_says_that_and_nothing_else() -> None:
    for id in ("command_executor", "docker_executor"):
        info = told(id)
        assert (info.usable, info.enabled, info.why) == (False, False, "switched off")


def test_containers_without_an_engine_say_where_it_was_looked_for() -> None:
    with tempfile.TemporaryDirectory(prefix="apflow-") as folder:
        path = Path(folder) / "docker.sock"
        on = {"APFLOW_DOCKER_ENABLED": True, "APFLOW_DOCKER_SOCKET": str(path)}
        info = told("docker_executor", **on)
        assert (info.usable, info.enabled) == (False, True)
        assert str(path) in info.why
        assert "APFLOW_DOCKER_SOCKET" in info.advice
        with socket.socket(socket.AF_UNIX) as engine:
            engine.bind(str(path))
            assert told("docker_executor", **on).usable


def test_servers_over_http_are_said_to_need_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "extra" not in told("mcp_executor").description
    monkeypatch.setitem(sys.modules, "mcp", None)
    info = told("mcp_executor")
    assert info.usable
    assert info.description.endswith("; over HTTP with the extra mcp")
    assert len(info.description) <= 100  # as much as a list of executors shows
    assert "aipartnerupflow[mcp]" in info.advice
