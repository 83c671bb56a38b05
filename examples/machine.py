"""The executors of `machine.json`: a scan of files, and figures worked out from what others found.

apflow run examples/machine.json --import examples.machine
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aipartnerupflow import BaseTask, executor_register, task

REPOSITORY = Path(__file__).resolve().parent.parent
UNITS = ("files", "lines", "bytes")
LEFT_OUT = {"__pycache__", "build", "dist", "node_modules"}


@task
def scan_files(folder: str = ".", suffixes: int = 6) -> dict[str, Any]:
    """Counts the files below a folder of this repository, their lines and bytes, by suffix."""
    top = (REPOSITORY / folder).resolve()
    if not top.is_relative_to(REPOSITORY):
        raise ValueError("folder lies outside of the repository")
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(UNITS, 0))
    for path in files_below(top):
        lines, size = measured(path)
        counts = found[path.suffix or "none"]
        counts["files"] += 1
        counts["lines"] += lines
        counts["bytes"] += size
    largest = sorted(found, key=lambda suffix: -found[suffix]["bytes"])
    return {
        **{
            unit: sum(each[unit] for each in found.values()) for unit in ("files", "lines", "bytes")
        },
        "by_suffix": {suffix: found[suffix] for suffix in largest[:suffixes]},
    }


def files_below(top: Path) -> Iterator[Path]:
    """All files, without folders that hold what tools made."""
    for folder, folders, names in os.walk(top):
        folders[:] = [each for each in folders if each not in LEFT_OUT and each[0] != "."]
        yield from (Path(folder, name) for name in names)


def measured(path: Path) -> tuple[int, int]:
    """Lines and bytes; none of a file that has gone meanwhile."""
    lines = size = 0
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                lines += chunk.count(b"\n")
                size += len(chunk)
    except OSError:
        pass
    return lines, size


@executor_register()
class MachineFigures(BaseTask):
    """Needs the results of the four tasks that looked; a class, where a function would do too."""

    id = "machine_figures"
    name = "Figures of a machine"
    description = "Works out what processor, memory, disk and files are to each other"
    inputs_schema = {  # noqa: RUF012
        "type": "object",
        "required": ["cpu", "memory", "disk", "files"],
    }

    async def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Plain numbers."""
        cpu, memory, disk, files = (inputs[name] for name in ("cpu", "memory", "disk", "files"))
        return {
            "memory_gb_per_thread": round(memory["total_bytes"] / cpu["threads"] / 2**30, 2),
            "disk_free_percent": round(100 * disk["available_bytes"] / disk["total_bytes"], 1),
            "lines_per_file": round(files["lines"] / max(files["files"], 1)),
            "copies_of_the_files_that_fit_on_the_disk": disk["available_bytes"]
            // max(files["bytes"], 1),
        }
