"""What the machine is: figures from the kernel, no program is started."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ...domain.errors import InvalidInput
from .base import BaseTask, Inputs

_GB = 1024**3
_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_BRAND = ("model name", "Model", "Hardware", "cpu model", "uarch")

INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "resource": {"enum": ["cpu", "memory", "disk", "all"], "default": "all"},
        "timeout": {"type": "number", "description": "accepted, not needed: nothing waits"},
    },
}


class SystemInfoExecutor(BaseTask):
    """Processor, memory and disk of the machine on which it runs."""

    id = "system_info_executor"
    name = "System information"
    description = "Reports the processor, memory and disk of this machine"
    tags = ("core",)
    examples = ({"resource": "cpu"}, {"resource": "all"})
    inputs_schema = INPUTS

    @classmethod
    def safe_to_repeat(cls, inputs: Inputs) -> bool:
        """It only reads."""
        return True

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """The figures of one resource, or of ``all`` under their names."""
        resource = inputs.get("resource", "all")
        if resource == "all":
            return {name: figures() for name, figures in _RESOURCES.items()}
        if resource not in _RESOURCES:
            raise InvalidInput(f"resource is one of {', '.join(_RESOURCES)} or all")
        return _RESOURCES[resource]()


def cpu() -> dict[str, Any]:
    """``cores`` are physical ones, ``threads`` what the system schedules on."""
    records = list(_records(_read(_CPUINFO)))
    threads = os.cpu_count() or len(records) or 1
    places = {(record["physical id"], record["core id"]) for record in records if _placed(record)}
    return {
        "system": platform.system(),
        "brand": _brand(records),
        "cores": len(places) or threads,
        "threads": threads,
    }


def memory() -> dict[str, Any]:
    """``available_bytes`` is what programs can still get without swapping."""
    fields = next(_records(_read(_MEMINFO)), {})
    total = _kilobytes(fields, "MemTotal")
    if total is None:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    figures: dict[str, Any] = {
        "system": platform.system(),
        "total": _text(total),
        "total_gb": round(total / _GB, 2),
        "total_bytes": total,
    }
    available = _kilobytes(fields, "MemAvailable")
    if available is not None:
        figures["available_bytes"] = available
    return figures


def disk() -> dict[str, Any]:
    """The file system of the root folder; texts for people, ``*_bytes`` for programs."""
    usage = shutil.disk_usage("/")
    held = usage.used + usage.free  # without what is reserved for root, as df counts
    return {
        "system": platform.system(),
        "path": "/",
        "total": _text(usage.total),
        "used": _text(usage.used),
        "available": _text(usage.free),
        "used_percent": round(100 * usage.used / held, 1) if held else 0.0,
        "total_bytes": usage.total,
        "used_bytes": usage.used,
        "available_bytes": usage.free,
    }


_RESOURCES: dict[str, Callable[[], dict[str, Any]]] = {"cpu": cpu, "memory": memory, "disk": disk}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _records(text: str) -> Iterator[dict[str, str]]:
    """Lines ``name : value``, an empty line between two records."""
    for block in text.split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        record = {name.strip(): value.strip() for name, colon, value in pairs if colon}
        if record:
            yield record


def _placed(record: dict[str, str]) -> bool:
    return "physical id" in record and "core id" in record


def _brand(records: list[dict[str, str]]) -> str:
    for name in _BRAND:
        for record in records:
            if record.get(name):
                return record[name]
    return platform.processor() or platform.machine()


def _kilobytes(fields: dict[str, str], name: str) -> int | None:
    number = fields.get(name, "").removesuffix("kB").strip()
    return int(number) * 1024 if number.isdigit() else None


def _text(size: float) -> str:
    return f"{size / _GB:.1f} GB"
