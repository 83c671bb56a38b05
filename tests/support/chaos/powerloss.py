"""Power loss on SQLite: what is left of a store when the end of its write-ahead log is not.

SQLite flushes the log before it writes into the database itself, so as long as nothing of the
present log was or is being carried over, the database with any part of the log from its beginning
is what a power cut may leave.
"""

import random
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests.support.chaos.checks import check_store, log_of, told_of
from tests.support.chaos.ledgers import Acks
from tests.support.chaos.places import SQLitePlace, looking_at
from tests.support.chaos.plan import Plan
from tests.support.chaos.programs import ended, program, wait_for
from tests.support.chaos.tally import Tally

HEADER, FRAME_HEADER = 32, 24
TREES = 1_000
"""More than it comes to."""
FEW = 50
"""With fewer frames there is too little to cut."""
TRIES = 20
"""So many programs are killed until one leaves a log of which nothing was carried over."""
RESUMED = 3
"""So many rests are run to their end."""

MADE = "SELECT 1 FROM sqlite_master WHERE name = 'stored_events'"
ROWS = "SELECT rowid, originator_id, originator_version, hash FROM stored_events ORDER BY rowid"


class Wal(NamedTuple):
    """A write-ahead log: its bytes, the size of its frames, and the salt that marks them valid."""

    data: bytes
    frame: int
    salt: str
    frames: int

    def cut(self, frames: int, more: int = 0) -> bytes:
        """Its beginning: so many whole frames and some bytes of the next."""
        return self.data[: HEADER + frames * self.frame + more]


class Row(NamedTuple):
    """A stored event as SQLite gives it."""

    position: int
    tree: str
    version: int
    hash: bytes


def read_wal(path: Path) -> Wal:
    """The log beside a store that nobody has open."""
    data = path.read_bytes()
    page = struct.unpack(">I", data[8:12])[0]
    salt, frame = data[16:24], page + FRAME_HEADER
    frames = 0
    while salt == data[HEADER + frames * frame + 8 : HEADER + frames * frame + 16]:
        frames += 1
    return Wal(data, frame, salt.hex(), frames)


def carried_over(store: Path) -> int:
    """How many frames of the present log may be in the database: walCkptInfo.nBackfillAttempted of
    SQLite's wal.c, which is set before the first of them is carried over, not after the last.
    """
    index = Path(f"{store}-shm").read_bytes()
    return int(struct.unpack("=I", index[128:132])[0])


def lose_power(folder: Path, tally: Tally, *, seed: int, events: int, full: int) -> None:
    """Kill a program after about so many events, and look at every possible rest of its store.

    ``full`` rests get every check, and a few of them are run to their end.
    """
    for n in range(TRIES):
        here = folder / f"life-{n}"
        here.mkdir()
        store = here / "lost.db"
        with looking_at(SQLitePlace(store)) as place:
            _run_until(place, here, seed, events + n * FEW)
        if not carried_over(store) and read_wal(Path(f"{store}-wal")).frames >= FEW:
            _Rests(store, here, tally, seed).look(full)
            return
    tally.violated([f"of {TRIES} kills none left a log that can be cut"])


def _run_until(place: SQLitePlace, folder: Path, seed: int, events: int) -> None:
    with program(folder, Plan(place.url, seed, trees=TREES)) as running:
        wait_for(lambda: place.position() >= events, running)
        running.kill()
    place.close()  # its files will be read


class _Rests:
    def __init__(self, store: Path, folder: Path, tally: Tally, seed: int) -> None:
        self._database = store.read_bytes()
        self._wal = read_wal(Path(f"{store}-wal"))
        self._folder, self._tally, self._seed = folder, tally, seed
        self._rng = random.Random(seed)
        self._copy = folder / "copy.db"
        self._write(self._wal.data)
        self._rows = _rows(self._copy)
        self._acks = Acks(folder / "acks")
        self._places = {
            told_of(recorded): place for place, recorded in enumerate(log_of(str(self._copy)))
        }

    def look(self, full: int) -> None:
        """At the rest behind every frame, and behind some bytes of every tenth."""
        ends = range(self._wal.frames + 1)
        chosen = sorted(self._rng.sample(ends, min(full, len(ends))))
        for frames in ends:
            for rest in self._rests(frames):
                self._write(rest)
                self._tally.add("WAL cuts")
                faults = [*(self._deep() if frames in chosen else ()), *self._wrong(frames)]
                where = f"seed {self._seed}, {len(rest)} bytes of the WAL"
                self._tally.violated(faults, where)
        for frames in chosen[:: max(1, len(chosen) // RESUMED)]:
            self._write(self._wal.cut(frames))
            self._go_on(frames)

    def _rests(self, frames: int) -> Iterator[bytes]:
        yield self._wal.cut(frames)
        if frames == self._wal.frames or self._rng.random() > 0.1:
            return
        torn = self._wal.cut(frames, self._rng.randrange(1, self._wal.frame))
        yield torn
        lacking = self._wal.frame - (len(torn) - HEADER) % self._wal.frame
        yield torn + bytes(lacking)
        yield torn + self._rng.randbytes(lacking)

    def _write(self, wal: bytes) -> None:
        for beside in self._folder.glob("copy.db*"):
            beside.unlink()
        self._copy.write_bytes(self._database)
        Path(f"{self._copy}-wal").write_bytes(wal)

    def _wrong(self, frames: int) -> Iterator[str]:
        """The rest is a beginning of the log, and holds what was acknowledged up to there."""
        try:
            rows = _rows(self._copy)
        except sqlite3.DatabaseError as error:
            yield f"what is left cannot be read: {error}"
            return
        if rows != self._rows[: len(rows)]:
            yield "what is left is no beginning of the log"
        for told in self._acks.durable(self._wal.salt, frames):
            if self._places.get(told, 1 << 62) >= len(rows):
                yield f"{told} was acknowledged, and {len(rows)} events are left without it"

    def _deep(self) -> list[str]:
        self._tally.add("WAL cuts, every check")
        return check_store(str(self._copy), settled=False)

    def _go_on(self, frames: int) -> None:
        """The rest can be resumed, and settles."""
        here = self._folder / f"on-{frames}"
        here.mkdir()
        with program(here, Plan(str(self._copy), self._seed, trees=0)) as running:
            faults = ended(running)
        faults += check_store(str(self._copy))
        self._tally.violated(faults, f"seed {self._seed}, resumed behind frame {frames}")
        self._tally.add("WAL cuts, resumed")


def _rows(store: Path) -> list[Row]:
    with closing(sqlite3.connect(store)) as connection:
        if not connection.execute(MADE).fetchone():
            return []
        return [Row(*row) for row in connection.execute(ROWS)]
