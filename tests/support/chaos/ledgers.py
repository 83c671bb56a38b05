"""What the programs write outside of the store, so that it outlives any kill.

``runs`` tells where each call begins and ends, ``acks`` what the store has acknowledged. They lie
in ``$CHAOS_FOLDER``.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER, NAME = "CHAOS_FOLDER", "CHAOS_NAME"
"""Environment: where the ledgers lie, and what this program is called in them."""


END = ";"
"""The last word of a line that is whole."""


class Ledger:
    """A file of lines of words that a kill does not shorten. One that is torn spoils no other."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *lines: tuple[object, ...]) -> None:
        """Returns once they are on the disk."""
        text = "".join("\n" + " ".join(map(str, (*words, END))) for words in lines)
        os.write(self._fd, text.encode())
        os.fsync(self._fd)


@cache
def ledger(name: str) -> Ledger:
    """One of the two files, opened on first use: worker processes come here too."""
    return Ledger(Path(os.environ[FOLDER]) / name)


class Attempt(NamedTuple):
    """Which attempt of which task."""

    tree: str
    task: str
    generation: int
    number: int


class Run(NamedTuple):
    """A call as its executor told it, in the program ``name``; times in ns by the machine's
    monotone clock. ``cut``: it was stopped before its end.
    """

    key: str
    name: str
    began: int
    ended: int | None = None
    cut: bool = False

    @property
    def whole(self) -> bool:
        """Whether it came to its end by itself."""
        return self.ended is not None and not self.cut


class Told(NamedTuple):
    """An event that followers were told of."""

    tree: str
    topic: str
    at: str
    task: str


class Acks:
    """What the store has acknowledged, by kind."""

    def __init__(self, path: Path) -> None:
        self.submitted: set[str] = set()
        self.denied: dict[str, str] = {}
        self.unknown: set[str] = set()
        self.settled: dict[str, str] = {}
        self.told: Counter[Told] = Counter()
        self._ends: list[tuple[Told, str]] = []
        self.saved: dict[Attempt, int] = {}
        self.saves: Counter[str] = Counter()
        self.faults: list[str] = []
        for words in lines(path):
            self._take(*words)

    def _take(self, kind: str, tree: str, *rest: str) -> None:
        match kind, rest:
            case "submitted", ():
                self.submitted.add(tree)
            case "denied", (error,):
                self.denied[tree] = error
            case "unknown", ():
                self.unknown.add(tree)
            case "settled", (status,):
                self.settled[tree] = status
            case "told", (topic, at, task, end):
                event = Told(tree, topic, at, task)
                self.told[event] += 1
                self._ends.append((event, end))
            case "saved", (task, generation, number, step):
                self.saved[Attempt(tree, task, int(generation), int(number))] = int(step)
                self.saves[task] += 1
            case "found", (task, generation, number, step):
                self._found(Attempt(tree, task, int(generation), int(number)), int(step))
            case _:
                self.faults.append(f"{kind} {tree} {' '.join(rest)}")

    def _found(self, attempt: Attempt, step: int) -> None:
        former = [attempt._replace(number=number) for number in range(1, attempt.number)]
        kept = max((self.saved.get(each, 0) for each in former), default=0)
        if step < kept:
            self.faults.append(f"{attempt} found {step}, {kept} had been saved before")

    def durable(self, salt: str, frames: int) -> Iterator[Told]:
        """What was told when SQLite's log was an earlier one, or no longer than ``frames``."""
        for event, end in self._ends:
            of, _, length = end.partition(":")
            if of != salt or int(length) <= frames:
                yield event


def read_runs(path: Path) -> tuple[dict[Attempt, Run], list[str]]:
    """Every call by its attempt, and what is wrong with them at first sight."""
    began: dict[Attempt, Run] = {}
    faults: list[str] = []
    for what, tree, task, generation, number, key, name, moment in lines(path):
        attempt = Attempt(tree, task, int(generation), int(number))
        known = began.get(attempt)
        if what == "begin":
            if known is not None:
                faults.append(f"{attempt} was called twice")
            began[attempt] = Run(key, name, int(moment))
        elif known is None or known.name != name or known.ended is not None:
            faults.append(f"{attempt} ends in {name} where it had not begun")
        else:
            began[attempt] = known._replace(ended=int(moment), cut=what == "cut")
    return began, faults + _key_faults(began)


def _key_faults(runs: dict[Attempt, Run]) -> list[str]:
    """One idempotency key for all attempts of a generation, and for nothing else."""
    keys: dict[tuple[str, int], set[str]] = defaultdict(set)
    owners: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for attempt, run in runs.items():
        keys[attempt.task, attempt.generation].add(run.key)
        owners[run.key].add((attempt.task, attempt.generation))
    return [
        *(
            f"{task} ran under {len(them)} keys"
            for (task, _), them in keys.items()
            if len(them) > 1
        ),
        *(f"the key {key} is shared by {of}" for key, of in owners.items() if len(of) > 1),
    ]


def lines(path: Path) -> Iterator[list[str]]:
    """The words of each line that is whole."""
    if path.exists():
        for line in path.read_text().splitlines():
            *words, last = line.split(" ")
            if last == END:
                yield words
