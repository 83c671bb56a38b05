"""Where commands write: data on stdout, talk on stderr; colour only where people look."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

import msgspec

from ...domain.errors import ApflowError, InvalidGraph
from ..encoding import one_line
from ..problems import Exit, Problem, kind_of, page, problem

_STYLES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

STATUS_STYLE: Final = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "in_progress": "cyan",
    "pending": "dim",
}

_HIDDEN: Final = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_VISIBLE: Final = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _HIDDEN}
_SHORT: Final = {ord("\n"): "\\n", ord("\t"): "\\t", ord("\r"): "\\r"}


def clean(text: str, limit: int = 0) -> str:
    """One line that cannot steer a terminal: what came from users is shown, never obeyed."""
    if limit and len(text) > limit:
        text = text[: limit - 1] + "…"
    return text.translate(_VISIBLE | _SHORT)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads it on something that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class Unwritable(ApflowError):
    """What a command has found cannot be told."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"cannot write to stdout: {why}. Send it elsewhere; what the store holds is kept."
        )


def hush(*streams: TextIO | None) -> None:
    """Nothing more is written there: let nothing complain of it at the end of the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in filter(None, streams):
        try:
            os.dup2(nowhere, stream.fileno())
        except (OSError, ValueError):
            continue
    os.close(nowhere)


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        hush(sys.stdout)
        raise Unwritable(error.strerror or str(error)) from error


class Console:
    """The two streams of one command. With ``json`` only documents are written."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self.code = Exit.OK
        """What to end with when the reader of our data leaves early."""
        self.above: Callable[[str], None] | None = None
        """Takes talk in place of stderr, while something is drawn there."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    def paint(self, text: str, style: str, stream: TextIO | None = None) -> str:
        """``text`` in a style, where ``stream`` (stdout) shows one."""
        if os.environ.get("NO_COLOR") or not is_terminal(stream or sys.stdout):
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def status(self, status: str) -> str:
        """A status in its colour."""
        return self.paint(status, STATUS_STYLE.get(status, "bold"))

    # -- data

    def print(self, text: str = "") -> None:
        """A line of data for people."""
        self._write(text)

    def document(self, value: Any) -> None:
        """A value as one line of JSON."""
        self.lines([value])

    def lines(self, values: Iterable[Any]) -> None:
        """A line of JSON for each value, written as they come."""
        for value in values:
            self._write(one_line(msgspec.json.encode(value)).decode())

    def flush(self) -> None:
        """All data is out. Raises `Unwritable`, or `BrokenPipeError` where its reader left."""
        with _telling():
            sys.stdout.flush()

    def _write(self, line: str) -> None:
        with _telling():
            sys.stdout.write(line + "\n")

    # -- talk

    def say(self, text: str) -> None:
        """A line of talk; nothing where documents are wanted."""
        if self.json:
            return
        if self.above is not None:
            self.above(text)
            return
        self._talk(text)

    def fail(self, error: ApflowError) -> Exit:
        """Tell an error; returns what to end with."""
        if self.json:
            self._problem(problem(error))
        else:
            self._talk("\n".join(self._told(error)))
        return kind_of(error).exit

    def misuse(self, message: str) -> None:
        """Tell, as a document, that the command was not understood."""
        self._problem(Problem(page("usage"), "The command was not understood", message))

    def _problem(self, document: Problem) -> None:
        self._talk(msgspec.json.encode(document).decode())

    @staticmethod
    def _talk(text: str) -> None:
        try:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        except OSError:
            hush(sys.stderr)  # nobody listens any more; that is no reason to stop

    def _told(self, error: ApflowError) -> Iterable[str]:
        head = self.paint("apflow:", "red", sys.stderr)
        if not isinstance(error, InvalidGraph):
            yield f"{head} {clean(str(error))}"
            return
        count = len(error.faults)
        yield f"{head} the tree was refused and nothing stored; {count} to mend:"
        for fault in error.faults:
            yield f"  {clean(str(fault))}"
