"""The samples that stand in pages: taken out, run, compared with what the page says they print.

A page's Python samples follow each other in one module, with `await` outside of functions. Its
console samples follow each other in one folder: ``$ `` begins a command, ``> `` goes on with it,
and what stands below is what it prints. In what is printed ``…`` stands for anything, a line of
its own for any lines; ids, times and durations differ in any case. An id that a page shows stands
for the one that came out, also in later commands.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from tests.support.repository import ROOT, files

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHORT_ID = re.compile(r"\b[0-9a-f]{8}\b(?!-)")
_DIFFERING = [
    (_ID, "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "TIME"),
    (re.compile(r" *\b\d+(\.\d+)?m?s\b"), " SECONDS"),
]


MEASURED = {"docs/performance.md"}
"""Their samples take minutes, and print what was measured."""


class Block(Struct, frozen=True):
    """One fenced sample; ``line`` is where it begins in its page."""

    language: str
    text: str
    line: int


class Command(Struct, frozen=True):
    """A command and what it prints."""

    line: str
    prints: str


def pages() -> list[str]:
    """Every page that may hold samples, relative to the root."""
    return [
        name
        for name in files()
        if name.endswith(".md")
        and name.startswith(("README", "docs/", "examples/"))
        and name not in MEASURED
    ]


def blocks(page: str) -> Iterator[Block]:
    """The samples of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console sample."""
    line: list[str] = []
    prints: list[str] = []
    for each in block.text.splitlines():
        if each.startswith("$ "):
            if line:
                yield Command("\n".join(line), "\n".join(prints))
            line, prints = [each[2:]], []
        elif (each == ">" or each.startswith("> ")) and not prints:
            line.append(each[2:])
        else:
            prints.append(each)
    yield Command("\n".join(line), "\n".join(prints))


def is_as_printed(expected: str, actual: str) -> bool:
    """Whether ``actual`` is what the page shows."""
    pattern = "".join(
        "(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + "\n"
        for line in _levelled(expected).splitlines()
    )
    shown = _levelled(actual)
    return re.fullmatch(pattern, f"{shown}\n" if shown else "") is not None


def _levelled(text: str) -> str:
    lines = (line.rstrip() for line in text.strip("\n").splitlines())
    text = "\n".join(lines)
    for differing, word in _DIFFERING:
        text = differing.sub(word, text)
    return text


class Ids:
    """Which id came out for each that a page shows."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def learn(self, shown: str, printed: str) -> None:
        """The ids of both, in their order, where they begin alike."""
        for one, other in zip(_ID.findall(shown), _ID.findall(printed), strict=False):
            self._real.setdefault(one, other)

    def in_place_of_shown(self, command: str) -> str:
        """The command with what came out, for whole ids and for beginnings of eight."""
        shorter = {one[:8]: other[:8] for one, other in self._real.items()}
        command = _ID.sub(lambda found: self._real.get(found[0], found[0]), command)
        return _SHORT_ID.sub(lambda found: shorter.get(found[0], found[0]), command)


def with_shim(folder: Path, python: str) -> Path:
    """A folder for PATH in which ``apflow`` and ``python`` are ours."""
    bin = folder / "bin"
    bin.mkdir()
    for name, command in {"apflow": f"{python} -m aipartnerupflow", "python": python}.items():
        path = bin / name
        path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        path.chmod(0o755)
    return bin
