"""The executors that describe the machine and gather results, on this machine."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aipartnerupflow.adapters.executors import Registry, system_info
from tests.adapters.executors.calls import error, raw, result

SYSTEM = "system_info_executor"
AGGREGATE = "aggregate_results_executor"


async def test_processor_figures_are_those_of_this_machine(registry: Registry) -> None:
    cpu = await result(registry, SYSTEM, {"resource": "cpu"})
    assert set(cpu) == {"system", "brand", "cores", "threads"}
    assert cpu["threads"] == os.cpu_count()
    assert 1 <= cpu["cores"] <= cpu["threads"]
    assert cpu["brand"]
    assert cpu["system"] == os.uname().sysname


async def test_memory_figures_are_those_of_this_machine(registry: Registry) -> None:
    memory = await result(registry, SYSTEM, {"resource": "memory", "timeout": 5})
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory["total_bytes"] == pytest.approx(total, rel=0.05)
    assert memory["total_gb"] == pytest.approx(memory["total_bytes"] / 1024**3, abs=0.01)
    assert 0 < memory["available_bytes"] <= memory["total_bytes"]
    assert memory["total"].endswith(" GB")


async def test_disk_figures_are_those_of_this_machine(registry: Registry) -> None:
    disk = await result(registry, SYSTEM, {"resource": "disk"})
    assert disk["total_bytes"] == shutil.disk_usage("/").total
    assert 0 <= disk["used_percent"] <= 100
    assert {"system", "total", "used", "available", "path"} <= set(disk)


async def test_all_is_the_default_and_holds_the_three(registry: Registry) -> None:
    assert list(await result(registry, SYSTEM)) == ["cpu", "memory", "disk"]
    assert list(await result(registry, SYSTEM, {"resource": "all"})) == ["cpu", "memory", "disk"]


async def test_another_resource_is_a_violation(registry: Registry) -> None:
    inputs = {"resource": "; id"}
    assert registry.violations(SYSTEM, raw({}), inputs) == [
        '/resource: enum ["cpu", "memory", "disk", "all"]'
    ]
    assert (await error(registry, SYSTEM, inputs)).type == "InvalidInput"
    assert registry.violations(SYSTEM, raw({}), {}) == []


def test_cores_are_counted_by_their_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(
        "\n\n".join(
            f"processor\t: {n}\nmodel name\t: A: B\nphysical id\t: {n // 4}\ncore id\t\t: {n % 2}"
            for n in range(8)
        )
    )
    monkeypatch.setattr(system_info, "_CPUINFO", info)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    cpu = system_info.cpu()
    assert (cpu["cores"], cpu["threads"], cpu["brand"]) == (4, 8, "A: B")


def test_without_the_kernels_files_figures_are_still_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(system_info, "_CPUINFO", tmp_path / "none")
    monkeypatch.setattr(system_info, "_MEMINFO", tmp_path / "none")
    cpu: dict[str, Any] = system_info.cpu()
    assert cpu["cores"] == cpu["threads"] >= 1
    assert cpu["brand"]
    assert system_info.memory()["total_bytes"] > 0


async def test_the_aggregate_holds_all_that_it_is_given(registry: Registry) -> None:
    given = {"a": {"result": 1}, "b.c": None, "d": [1]}
    found = await result(registry, AGGREGATE, given)
    assert found["results"] == given
    assert (found["result_count"], found["summary"]) == (3, "3 results")
    age = datetime.now(UTC) - datetime.fromisoformat(found["timestamp"])
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert (await result(registry, AGGREGATE))["result_count"] == 0
    assert registry.kind(AGGREGATE).by_key
