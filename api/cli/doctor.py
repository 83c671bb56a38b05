"""`apflow doctor`: looks for what is wrong, and says what to do about it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from ...domain.errors import ApflowError
from ..checks import Check, executor_checks, history_checks, state_checks, store_checks, work_checks
from ..documents import Page
from ..problems import Exit
from ..wiring import care_of
from .console import Console, clean
from .desk import Desk, settle_in

STYLES: Final = {"ok": "green", "note": "yellow", "problem": "red"}


class Line(Struct, frozen=True):
    """A check as told in JSON."""

    check: str
    state: str
    detail: str
    advice: str = ""


def main(console: Console, *, full: bool, store: str | None, imports: Sequence[str] | None) -> int:
    """Make all checks, one after the other; ends with 1 where there is a problem."""
    found: list[Line] = []
    for check in _checks(full=full, store=store, imports=imports):
        line = Line(check.name, check.state, check.detail, check.advice)
        found.append(line)
        if not console.json:
            _tell(console, line)
    if console.json:
        console.document(Page(found))
    problems = sum(line.state == "problem" for line in found)
    console.say(f"{problems or 'no'} {'problem' if problems == 1 else 'problems'}")
    return Exit.ERROR if problems else Exit.OK


def _checks(*, full: bool, store: str | None, imports: Sequence[str] | None) -> Iterator[Check]:
    settings = settle_in(imports, store)
    yield from executor_checks()
    yield from state_checks(settings.state_dir)
    try:
        desk = Desk(settings, make=False)
    except ApflowError as error:
        yield Check.problem("store", str(error), "")
        return
    care = care_of(desk.store)
    parts: tuple[Callable[[], Iterator[Check]], ...] = (
        lambda: store_checks(desk.store, care, settings.durability, full=full),
        lambda: history_checks(desk.store, care, full=full),
        lambda: work_checks(desk.store),
    )
    for part in parts:
        try:
            yield from part()
        except ApflowError as error:
            yield Check.problem("store", str(error), "")


def _tell(console: Console, line: Line) -> None:
    state = console.paint(f"{line.state:<8}", STYLES[line.state])
    console.print(f"{state} {line.check:<10} {clean(line.detail)}")
    if line.advice:
        console.print(f"{'':<20}{clean(line.advice)}")
